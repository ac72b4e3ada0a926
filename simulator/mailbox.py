"""A mail server that delivers nothing: real SMTP on a port of its own, and what it took can be looked at.

`trouble` makes it fail in the ways mail servers do. It offers STARTTLS where the simulator has a certificate.
"""

from __future__ import annotations

import collections
import dataclasses
import email
import email.policy
import itertools
import re
import socketserver
import ssl
import threading
from collections.abc import Callable
from email.message import EmailMessage
from typing import Any

from simulator.tenant import BadRequestError

KEPT, NOTED = 500, 100_000
"""Whole mails, and lines of the ledger; of each the newest."""
LONGEST_LINE, LARGEST_MAIL, MOST_RECIPIENTS = 2_000, 2_000_000, 50
IDLE_SECONDS = 60.0
REFUSED = "refused@"
"""Who begins like this is not known here, whatever the trouble."""
TROUBLES = {
    "": "none",
    "busy": "421 at the greeting",
    "later": "451 for every recipient",
    "refuse": "550 for every recipient",
    "refuse_mail": "554 after the mail",
    "lost": "takes the mail and hangs up without an answer",
    "silent": "says nothing at all",
}
_SETTINGS = frozenset({"trouble", "slow_ms"})
_ADDRESS = re.compile(r"(?i)\s*(?:FROM|TO):\s*<([^<>\s]*)>")
_IDENTITY = re.compile(rb"(?im)^Message-ID:\s*(\S{1,500})")


@dataclasses.dataclass(slots=True)
class Behaviour:
    """What can be changed while it runs; every answer takes `slow_ms` longer."""

    trouble: str = ""
    slow_ms: float = 0.0


@dataclasses.dataclass(frozen=True)
class Mail:
    """One mail as it was taken."""

    id: int
    at: float
    sender: str
    recipients: tuple[str, ...]
    protected: bool
    raw: bytes

    @property
    def message(self) -> EmailMessage:
        found: EmailMessage = email.message_from_bytes(self.raw, policy=email.policy.default)
        return found

    def part(self, kind: str) -> str:
        """The text of the part `plain` or `html`, or nothing."""
        body = self.message.get_body((kind,))
        return str(body.get_content()).replace("\r\n", "\n") if body is not None else ""

    def describe(self) -> dict[str, Any]:
        message = self.message
        return {
            "id": self.id,
            "at": self.at,
            "from": self.sender,
            "to": list(self.recipients),
            "protected": self.protected,
            "subject": str(message["subject"] or ""),
            "headers": {name: str(value) for name, value in message.items()},
            "text": self.part("plain"),
            "html": self.part("html"),
        }


class MailServer:
    """Takes mail on one port. `clock` tells the time, `pause` waits."""

    def __init__(
        self,
        host: str,
        port: int,
        *,
        clock: Callable[[], float],
        pause: Callable[[float], None],
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.behaviour = Behaviour()
        self.tls = tls
        self.clock, self.pause = clock, pause
        self._mails: collections.deque[Mail] = collections.deque(maxlen=KEPT)
        self._ledger: collections.deque[dict[str, Any]] = collections.deque(maxlen=NOTED)
        self._next = 1
        self._lock = threading.Lock()
        self._server = _Server((host, port), _Session)
        self._server.house = self
        self.host: str = host
        self.port: int = self._server.socket.getsockname()[1]
        threading.Thread(
            target=self._server.serve_forever, args=(0.1,), daemon=True, name="simulator mail"
        ).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def reset(self) -> None:
        with self._lock:
            self._mails.clear()
            self._ledger.clear()
            self._next = 1
            self.behaviour = Behaviour()

    def set(self, changes: dict[str, Any]) -> None:
        """Change settings. Raises BadRequestError."""
        if unknown := changes.keys() - _SETTINGS:
            raise BadRequestError(f"no setting is called {', '.join(sorted(unknown))}")
        if changes.get("trouble", "") not in TROUBLES:
            raise BadRequestError(f"trouble is one of {', '.join(filter(None, TROUBLES))}, or empty")
        self.behaviour = dataclasses.replace(self.behaviour, **changes)

    def take(self, sender: str, recipients: tuple[str, ...], raw: bytes, *, protected: bool) -> None:
        found = _IDENTITY.search(raw.replace(b"\r\n", b"\n").partition(b"\n\n")[0])
        identity = found[1].decode("ascii", "replace") if found else ""
        with self._lock:
            self._mails.append(Mail(self._next, self.clock(), sender, recipients, protected, raw))
            self._ledger.append({"id": self._next, "to": list(recipients), "message_id": identity})
            self._next += 1

    def ledger(self, since: int, limit: int) -> dict[str, Any]:
        """Who got which mail after the one of that id, oldest first; `total` counts what left the ledger too."""
        with self._lock:
            rows = itertools.islice((row for row in self._ledger if row["id"] > since), limit)
            return {"total": self._next - 1, "ledger": list(rows)}

    def mails(self, to: str = "") -> list[Mail]:
        """Newest first; only those to an address that contains `to`."""
        with self._lock:
            return [one for one in reversed(self._mails) if any(to in who for who in one.recipients)]

    def find(self, number: int) -> Mail | None:
        return next((one for one in self.mails() if one.id == number), None)

    def describe(self, to: str = "") -> dict[str, Any]:
        return {
            "host": self.host,
            "port": self.port,
            "settings": dataclasses.asdict(self.behaviour),
            "mails": [mail.describe() for mail in self.mails(to)],
        }


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False
    house: MailServer


class _Session(socketserver.StreamRequestHandler):
    """One connection: a line in, a line out (RFC 5321), until it quits or is idle for too long."""

    timeout = IDLE_SECONDS
    server: _Server

    def setup(self) -> None:
        super().setup()
        self.house = self.server.house
        self.sender: str | None = None
        self.recipients: list[str] = []
        self.protected = False
        self.over = False

    def handle(self) -> None:
        trouble = self.house.behaviour.trouble
        try:
            if trouble == "silent":
                self.rfile.read(1)
                return
            if trouble == "busy":
                self._say("421 Too busy, come back later")
                return
            self._say("220 simulator.example ESMTP")
            while not self.over:
                line = self.rfile.readline(LONGEST_LINE)
                if not line.endswith(b"\n"):
                    return
                word, _, rest = line.decode("utf-8", "replace").strip().partition(" ")
                self._command(word.upper(), rest)
        except OSError:
            return  # the other side is gone, or was idle for too long

    def finish(self) -> None:
        super().finish()
        if self.protected:  # the socket that the server closes afterwards was detached
            self.connection.close()

    def _command(self, word: str, rest: str) -> None:
        actions = {
            "EHLO": self._ehlo, "HELO": self._helo, "MAIL": self._mail, "RCPT": self._rcpt, "DATA": self._data,
            "RSET": self._rset, "NOOP": self._rset, "QUIT": self._quit, "STARTTLS": self._starttls,
        }  # fmt: skip
        act = actions.get(word)
        if act is None:
            self._say("502 Not known here")
        else:
            act(rest)

    def _ehlo(self, _rest: str) -> None:
        extensions = ["simulator.example", f"SIZE {LARGEST_MAIL}", "8BITMIME"]
        if self.house.tls is not None and not self.protected:
            extensions.append("STARTTLS")
        for extension in extensions[:-1]:
            self.wfile.write(f"250-{extension}\r\n".encode())
        self._say(f"250 {extensions[-1]}")

    def _helo(self, _rest: str) -> None:
        self._say("250 simulator.example")

    def _starttls(self, _rest: str) -> None:
        if self.house.tls is None or self.protected:
            self._say("454 TLS is not available")
            return
        self._say("220 Go ahead")
        self.connection = self.house.tls.wrap_socket(self.connection, server_side=True)
        self.connection.settimeout(IDLE_SECONDS)
        self.rfile, self.wfile = self.connection.makefile("rb"), self.connection.makefile("wb", 0)
        self.protected, self.sender, self.recipients = True, None, []

    def _mail(self, rest: str) -> None:
        found = _ADDRESS.match(rest)
        if found is None:
            self._say("501 MAIL FROM:<address>")
            return
        self.sender, self.recipients = found[1], []
        self._say("250 Good")

    def _rcpt(self, rest: str) -> None:
        found = _ADDRESS.match(rest)
        trouble = self.house.behaviour.trouble
        if self.sender is None or found is None or not found[1]:
            self._say("503 MAIL FROM first, then RCPT TO:<address>")
        elif trouble == "refuse" or found[1].startswith(REFUSED):
            self._say(f"550 <{found[1]}> is not known here")
        elif trouble == "later" or len(self.recipients) >= MOST_RECIPIENTS:
            self._say("451 Come back later")
        else:
            self.recipients.append(found[1])
            self._say("250 Good")

    def _data(self, _rest: str) -> None:
        if self.sender is None or not self.recipients:
            self._say("503 Nobody to send it to")
            return
        self._say("354 Go ahead, end with a dot")
        raw = self._read_mail()
        trouble = self.house.behaviour.trouble
        if raw is None:
            self._say("552 Too large")
        elif trouble == "refuse_mail":
            self._say(
                "554 This mail is not wanted: " + raw.decode("utf-8", "replace")[-200:].replace("\n", " ")
            )
        else:
            self.house.take(self.sender, tuple(self.recipients), raw, protected=self.protected)
            self.over = trouble == "lost"
            if not self.over:
                self._say("250 Taken")
        self.sender, self.recipients = None, []

    def _read_mail(self) -> bytes | None:
        """Up to the dot alone on a line; None when it is too large. Raises ConnectionError in the middle of it."""
        lines: list[bytes] = []
        size = 0
        while True:
            line = self.rfile.readline(LARGEST_MAIL)
            if not line:
                raise ConnectionError
            if line in {b".\r\n", b".\n"}:
                return b"".join(lines) if size <= LARGEST_MAIL else None
            size += len(line)
            if size <= LARGEST_MAIL:
                lines.append(line[1:] if line.startswith(b".") else line)

    def _rset(self, _rest: str) -> None:
        self.sender, self.recipients = None, []
        self._say("250 Good")

    def _quit(self, _rest: str) -> None:
        self._say("221 Bye")
        self.over = True

    def _say(self, line: str) -> None:
        if self.house.behaviour.slow_ms:
            self.house.pause(self.house.behaviour.slow_ms / 1000)
        self.wfile.write(line.replace("\r", " ").encode() + b"\r\n")
