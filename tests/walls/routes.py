"""Every route of the product with what guards it, read from the URL resolver."""

import dataclasses
from collections.abc import Iterator
from typing import Any

from django.urls import URLPattern, URLResolver, get_resolver

from tenants.web import Door

# Routes without a customer behind them. Whoever adds one here says why it needs no door.
OPEN = {
    "healthz": "for load balancers; says nothing about anybody",
    "styleguide": "components with invented data, in the demo and in development only",
    "missing": "what every unknown address below /api/ answers",
    "schema": "the contract itself",
    "docs": "the contract itself",
    "brand-logo": "the provider's logo, which everybody who gets a link or signs in must see",
    "brand-css": "the provider's colour, as above",
    "oauth2-callback": "Microsoft sends people back here; a state that only their browser may use says for whom",
}
SIGN_IN = ("accounts/",)
"""allauth's own; ours below the same address have doors."""


@dataclasses.dataclass(frozen=True)
class Route:
    """One address; `doors` by method, empty for an open one."""

    name: str
    pattern: str
    api: bool
    doors: dict[str, Door]
    why_open: str = ""

    @property
    def takes(self) -> set[str]:
        return {
            part.split(":")[-1].rstrip(">")
            for part in self.pattern.split("<")[1:]
            for part in [part.split(">")[0]]
        }

    def address(self, **values: Any) -> str:
        """The path with these values; also ones that no converter would accept."""
        text = self.pattern
        for name in self.takes:
            start = text.index(next(part for part in _placeholders(text) if part.rstrip(">").endswith(name)))
            end = text.index(">", start) + 1
            text = text[:start] + str(values[name]) + text[end:]
        return "/" + text


def _placeholders(text: str) -> Iterator[str]:
    start = 0
    while (start := text.find("<", start)) >= 0:
        end = text.index(">", start) + 1
        yield text[start:end]
        start = end


def routes() -> list[Route]:
    return [
        _route(prefix, pattern)
        for prefix, pattern in _walk("", get_resolver())
        if not prefix.startswith(SIGN_IN) or hasattr(pattern.callback, "door")
    ]


def _walk(prefix: str, resolver: URLResolver) -> Iterator[tuple[str, URLPattern]]:
    for entry in resolver.url_patterns:
        whole = prefix + str(entry.pattern)
        if isinstance(entry, URLResolver):
            yield from _walk(whole, entry)
        else:
            yield whole, entry


def _route(whole: str, entry: URLPattern) -> Route:
    callback: Any = entry.callback
    name = str(entry.name)
    api = whole.startswith("api/")
    door: Door | None = getattr(callback, "door", None)
    if door is not None:
        return Route(name, whole, api, dict.fromkeys(door.methods, door))
    doors: dict[str, Door] = getattr(
        getattr(callback, "view_class", getattr(callback, "cls", None)), "doors", {}
    )
    return Route(name, whole, api, dict(doors), OPEN.get(name, ""))
