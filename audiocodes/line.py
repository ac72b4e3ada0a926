"""HTTP to a device or to OVOC: Basic on each request, one address, nothing followed (facts/audiocodes.md 1.1, 3.1).

A refused password is never sent again by anything here: a few wrong tries lock the account, and this server's
address with it. A line lives for one visit and belongs to one thread.
"""

from __future__ import annotations

import base64
import hashlib
import socket
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import orjson
from requests import Response

from core.errors import UmpError, WriteRefused
from core.guard import Guard
from core.http import MEBIBYTE, Outbound, OutboundConfig
from core.measure import too_many_values

CONNECT, READ, VISIT = 5.0, 10.0, 180.0
"""Seconds: for a connection, for an answer that is no file, and for all calls of a line."""
MOST_DATA, MOST_FILE = MEBIBYTE, 64 * MEBIBYTE
OK, NO_CONTENT = 200, 204
BUSY_WAIT = 15.0
_LONGEST_WHY = 300


@dataclass(frozen=True, slots=True)
class Target:
    """Where, as whom, and which certificate: `fingerprint` is that of the only one to accept (SHA-256 in hex).

    Without one it must be trusted, and bear `server_name` or else the host.
    """

    name: str
    host: str
    port: int
    https: bool
    user: str
    password: str = field(repr=False)
    fingerprint: str = ""
    server_name: str = ""

    @property
    def base(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.https else 'http'}://{host}:{self.port}"


class Line:
    """Calls to one target.

    `before_write` is called right before each call that is no GET, and ends it by raising, or says by when it must
    have left (`Outbound.request`); without it nothing but GET leaves the process.
    """

    def __init__(
        self,
        target: Target,
        guard: Guard,
        *,
        ca_bundle: str | None = None,
        before_write: Callable[[], float | None] | None = None,
        seconds: float = VISIT,
    ) -> None:
        self.target, self._before_write = target, before_write
        self._ends = time.monotonic() + seconds
        self._guard, self._ca_bundle = guard, ca_bundle
        self._sessions: dict[int, Outbound] = {}
        pair = f"{target.user}:{target.password}".encode()
        self._headers = {"Authorization": f"Basic {base64.b64encode(pair).decode()}"}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for session in self._sessions.values():
            session.close()

    def call(
        self,
        method: str,
        path: str,
        *,
        seconds: float = READ,
        most: int = MOST_DATA,
        **more: Any,
    ) -> Response:
        """An answer of 200 or 204, within `seconds`, what is left of the line's own time, and `most` bytes.

        Raises UmpError: those of core.http, of `refusal`, sbc_certificate; WriteRefused; by `before_write`.
        """
        sent_by = None
        if method != "GET":
            if self._before_write is None:
                raise WriteRefused(host=self.target.name)
            sent_by = self._before_write()
        left = max(0.0, min(seconds, self._ends - time.monotonic()))
        try:
            answer = self._session(most).request(
                method,
                f"{self.target.base}{path}",
                headers=self._headers,
                deadline=left,
                sent_by=sent_by,
                **more,
            )
        except UmpError as error:
            raise self._in_words(error) from error
        if answer.status_code in {OK, NO_CONTENT}:
            return answer
        raise refusal(answer, self.target.name)

    def json(self, path: str, **more: Any) -> dict[str, Any]:
        """The object of an answer; an empty one for "no content". Raises bad_reply too."""
        answer = self.call("GET", path, **more)
        if answer.status_code == NO_CONTENT or not answer.content:
            return {}
        found = parsed(answer.content)
        if not isinstance(found, dict):
            raise UmpError.of("bad_reply", host=self.target.name, why=_why_unreadable(answer.content))
        return found

    def _session(self, most: int) -> Outbound:
        if most not in self._sessions:
            self._sessions[most] = Outbound(
                OutboundConfig(
                    ca_bundle=self._ca_bundle,
                    connect=CONNECT,
                    read=60.0,
                    max_body=most,
                    guard=self._guard,
                    fingerprint=self.target.fingerprint,
                    server_name=self.target.server_name,
                )
            )
        return self._sessions[most]

    def _in_words(self, error: UmpError) -> UmpError:
        """The same with the device's name; about a certificate, with the fingerprint that was shown."""
        if error.code == "tls_failed":
            shown = presented(self.target, self._guard)
            return UmpError.of(
                "sbc_certificate", host=self.target.name, detail={"fingerprint": shown, **error.detail}
            )
        return UmpError.of(
            error.code,
            host=self.target.name,
            limit=error.fields.get("limit", ""),
            detail={"address": self.target.host, **error.detail},
        )


def refusal(answer: Response, name: str) -> UmpError:
    """What an answer other than 200 and 204 means (facts 1.1, 1.2)."""
    status = answer.status_code
    why = _description(answer) or f"HTTP {status}"
    detail = {"status": status}
    if status == 401:
        return UmpError.of("sbc_sign_in_refused", host=name, detail=detail)
    if status in {403, 405}:
        return UmpError.of("sbc_not_permitted", host=name, detail=detail)
    if status == 409:
        return UmpError.of("sbc_busy", host=name, why=why, retry_after=BUSY_WAIT, detail=detail)
    if 300 <= status < 400:
        return UmpError.of("redirected", host=name, detail=detail)
    return UmpError.of("sbc_failed", host=name, why=why, detail=detail)


def _description(answer: Response) -> str:
    found = parsed(answer.content)
    text = found.get("description") if isinstance(found, dict) else None
    return " ".join(text.split()).rstrip(".")[:_LONGEST_WHY] if isinstance(text, str) else ""


def parsed(content: bytes) -> object:
    """The JSON of an answer without NULs, which PostgreSQL cannot store; None for what is none, or far too much."""
    if too_many_values(content):
        return None
    try:
        return orjson.loads(content.replace(b"\\u0000", b""))
    except orjson.JSONDecodeError:
        return None


def _why_unreadable(content: bytes) -> str:
    return "it is a web page instead of data" if content.lstrip()[:1] == b"<" else "it is no JSON object"


def presented(target: Target, guard: Guard) -> str:
    """SHA-256 in hex of the certificate that is shown there, trusted or not; nothing is sent. Empty if none comes."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        address = guard.resolve(target.host, target.port)
        with (
            socket.create_connection((address, target.port), timeout=CONNECT) as plain,
            context.wrap_socket(plain, server_hostname=target.server_name or target.host) as secure,
        ):
            shown = secure.getpeercert(binary_form=True)
    except (OSError, ValueError, UmpError):
        return ""
    return hashlib.sha256(shown).hexdigest() if shown else ""
