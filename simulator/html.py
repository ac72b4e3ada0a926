"""The look of the simulator's own few pages: plain, readable, one inline style, no script."""

from __future__ import annotations

import html

from simulator.http1 import Response

_STYLE = """
:root{color-scheme:light dark;font:16px/1.5 system-ui,sans-serif}
body{margin:0 auto;padding:1rem 1.5rem 3rem;max-width:78rem}
h1{font-size:1.5rem}table{border-collapse:collapse;width:100%}
th,td{text-align:left;vertical-align:top;padding:.5rem .75rem}
th,td{border-bottom:1px solid;border-color:color-mix(in srgb,currentColor 20%,transparent)}
td form{display:inline}button{font:inherit;padding:.25rem .6rem;margin:.1rem;min-height:2rem;cursor:pointer}
.note{opacity:.8}.banner{padding:.6rem 1rem;border:2px solid;border-radius:.4rem}
.wide{overflow-x:auto}
label{display:block;margin:.75rem 0 .25rem}select,input{font:inherit;padding:.3rem;max-width:100%}
"""


def escape(text: object) -> str:
    return html.escape(str(text))


def page(title: str, body: str, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """A whole HTML document around a body that is already escaped."""
    text = (
        f'<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head>'
        f"<body><main><h1>{escape(title)}</h1>{body}</main></body></html>"
    )
    return Response(
        status,
        text.encode(),
        {"Content-Type": "text/html; charset=utf-8", "Cache-Control": "no-store", **(headers or {})},
    )


def hidden(fields: dict[str, str]) -> str:
    """Hidden inputs that carry these values through a form."""
    return "".join(
        f'<input type="hidden" name="{escape(name)}" value="{escape(value)}">'
        for name, value in fields.items()
    )


def redirect(location: str) -> Response:
    return Response(303, b"", {"Location": location, "Cache-Control": "no-store"})
