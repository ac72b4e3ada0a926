"""Pages of the mails that were taken: a list, and each as text and as its HTML in a frame where nothing runs."""

from __future__ import annotations

import base64
import re

from simulator import html
from simulator.http1 import Request, Response
from simulator.mailbox import Mail, MailServer
from simulator.objects import stamp

_ONE = re.compile(r"/outbox/(?P<number>\d{1,9})(?P<html>/html)?\Z")
_LINK = re.compile(r"https?://[^\s<>\"]+[^\s<>\".,;:!?)]")
_SANDBOX = "allow-popups allow-popups-to-escape-sandbox"
_FRAME = f"default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox {_SANDBOX}"


class Outbox:
    """`/outbox` and what is below it; None for other addresses."""

    def __init__(self, mail: MailServer) -> None:
        self._mail = mail

    def handle(self, request: Request) -> Response | None:
        if request.method != "GET" or not request.path.startswith("/outbox"):
            return None
        if request.path == "/outbox":
            return self._list()
        found = _ONE.match(request.path)
        mail = self._mail.find(int(found["number"])) if found is not None else None
        if found is None or mail is None:
            return html.page("Not found", '<p>No such mail. <a href="/outbox">Outbox</a></p>', 404)
        return _frame(mail) if found["html"] else _page(mail)

    def _list(self) -> Response:
        rows = "".join(_row(mail) for mail in self._mail.mails())
        heads = "".join(f'<th scope="col">{head}</th>' for head in ("Subject", "To", "From", "When"))
        table = (
            f'<div class="wide"><table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div>'
            if rows
            else "<p>No mail was sent yet.</p>"
        )
        about = (
            '<p class="note">What the portal mailed. Nothing here was delivered to anybody. '
            "Addresses that begin with <code>refused@</code> are refused. "
            '<a href="/">All tenants</a> <a href="/outbox">Reload</a></p>'
        )
        return html.page("Outbox", about + table)


def _row(mail: Mail) -> str:
    subject = html.escape(mail.message["subject"] or "(no subject)")
    cells = (", ".join(mail.recipients), mail.sender, stamp(mail.at))
    return f'<tr><th scope="row"><a href="/outbox/{mail.id}">{subject}</a></th>' + "".join(
        [*(f"<td>{html.escape(cell)}</td>" for cell in cells), "</tr>"]
    )


def _page(mail: Mail) -> Response:
    described = mail.describe()
    wanted = ("From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted")
    headers = {name.lower(): value for name, value in described["headers"].items()}
    heads = "".join(
        f'<tr><th scope="row">{name}</th><td>{html.escape(headers[name.lower()])}</td></tr>'
        for name in wanted
        if name.lower() in headers
    )
    frame = (
        f'<h2>As HTML</h2><iframe sandbox="{_SANDBOX}" title="The mail as HTML" '
        f'src="/outbox/{mail.id}/html" width="100%" height="700"></iframe>'
        if described["html"]
        else ""
    )
    body = (
        f'<p><a href="/outbox">Outbox</a></p><table>{heads}</table>{frame}'
        f'<h2>As text</h2><pre style="white-space:pre-wrap;overflow-wrap:anywhere">{_linked(described["text"])}</pre>'
    )
    return html.page(described["subject"] or "(no subject)", body)


def _linked(text: str) -> str:
    """Escaped, with its addresses as links."""
    made, last = [], 0
    for found in _LINK.finditer(text):
        safe = html.escape(found.group())
        made += [html.escape(text[last : found.start()]), f'<a rel="noreferrer" href="{safe}">{safe}</a>']
        last = found.end()
    return "".join([*made, html.escape(text[last:])])


def _frame(mail: Mail) -> Response:
    """The HTML part as it is, with its pictures in it; links open in a tab of their own."""
    text = mail.part("html")
    for part in mail.message.walk():
        name, kind = str(part["Content-ID"] or "").strip("<>"), part.get_content_type()
        content = part.get_payload(decode=True) if name and kind.startswith("image/") else None
        if isinstance(content, bytes):
            text = text.replace(f"cid:{name}", f"data:{kind};base64,{base64.b64encode(content).decode()}")
    text = text.replace("<head>", '<head><base target="_blank">', 1)
    headers = {
        "Content-Type": "text/html; charset=utf-8",
        "Content-Security-Policy": _FRAME,
        "Cache-Control": "no-store",
    }
    return Response(200, text.encode(), headers)
