"""The one way out: a `requests` session with limits, and nothing remembered between calls.

Bare `requests` waits for ever, reads for ever, follows redirects with whatever it carries, keeps cookies (one
jar would carry tenant A's to tenant B) and sends credentials of ~/.netrc. The session made here does none of
that. Every failure of the line leaves it as a `UmpError`; answers of any status are returned.

A session belongs to the thread that made it. `redact` and `redact_text` are offered here for those who log
about calls.
"""

from __future__ import annotations

import http.client
import io
import math
import os
import socket
import threading
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.cookiejar import DefaultCookiePolicy
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter
from requests.cookies import RequestsCookieJar
from requests.structures import CaseInsensitiveDict
from requests.utils import get_environ_proxies
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from core.errors import UmpError
from core.guard import Guard
from core.redaction import is_secret_key, redact, redact_text

__all__ = [
    "NEVER_SENT",
    "Outbound",
    "OutboundConfig",
    "is_secret_key",
    "outbound",
    "redact",
    "redact_text",
    "session_of_thread",
]

MEBIBYTE = 1024 * 1024
PIECE = 64 * 1024
MOST_HOSTS = 1000
USER_AGENT = "UMP-Portal/1"

# Failures before the first byte of a request left: repeating even a write is harmless.
NEVER_SENT = frozenset({"unreachable", "name_not_resolved", "tls_failed", "proxy_failed"})


@dataclass(frozen=True, slots=True)
class OutboundConfig:
    """Limits in seconds and bytes, and where to send what.

    With `gateway_url`, requests for `gateway_hosts` connect to that address instead, with their `Host` header
    unchanged; everything else about them stays as if it were not there.
    """

    gateway_url: str = ""
    gateway_hosts: frozenset[str] = frozenset()
    ca_bundle: str | None = None
    connect: float = 5.0
    read: float = 30.0
    total: float = 60.0
    max_body: int = 32 * MEBIBYTE
    user_agent: str = USER_AGENT
    guard: Guard | None = None
    """For hosts that people name: only addresses that it allows are connected to."""
    fingerprint: str = ""
    """SHA-256 in hex of the one certificate to accept over https, whoever signed it and whatever name it bears."""
    server_name: str = ""
    """The name that the certificate must bear, where the address is another one."""


class _Clock(threading.local):
    """When the call that this thread makes must be over and have left (monotonic seconds), and the longest single
    wait."""

    ends: float = 0.0
    sent_by: float = math.inf
    read: float = 30.0
    guard: Guard | None = None

    def next_wait(self) -> float:
        left = self.ends - time.monotonic()
        if left <= 0:
            raise TimeoutError("the call's deadline has passed")
        return min(left, self.read)


_clock = _Clock()


class _TimedSocketIO(io.RawIOBase):
    """Reads of a socket that end when the call's deadline does, however slowly the bytes drip.

    A plain socket time-out starts anew with each byte, so a server that sends one now and then would hold the
    thread for hours.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._raw = sock.makefile("rb", buffering=0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._sock.settimeout(_clock.next_wait())
        return self._raw.readinto(buffer)

    def close(self) -> None:
        if not self.closed:
            self._raw.close()
            super().close()


class _TimedResponse(http.client.HTTPResponse):
    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp.close()
        self.fp = io.BufferedReader(_TimedSocketIO(sock), PIECE)


@contextmanager
def _checked_address(made: Any) -> Iterator[None]:
    """Inside, the connection goes to the address that was checked, whatever the name leads to a moment later."""
    name = made._dns_host
    try:
        if _clock.guard is not None and made.proxy is None:
            made._dns_host = _clock.guard.resolve(name, made.port)
        yield
    finally:
        made._dns_host = name


class _TimedHTTPConnection(HTTPConnection):
    response_class = _TimedResponse

    def _new_conn(self) -> socket.socket:
        with _checked_address(self):
            return super()._new_conn()

    def send(self, data: Any) -> None:
        """Head and body come by themselves; whoever is too late for one of them breaks off the request.

        As close to the line as can be: connecting, and getting one's turn among other threads, may take seconds.
        """
        if self.sock is None and self.auto_open:
            self.connect()
        if time.monotonic() > _clock.sent_by:
            raise UmpError.of("interrupted", detail={"cause": "not sent in time"})
        super().send(data)


class _TimedHTTPSConnection(_TimedHTTPConnection, HTTPSConnection):
    """The same over TLS."""


class _TimedHTTPPool(HTTPConnectionPool):
    ConnectionCls = _TimedHTTPConnection


class _TimedHTTPSPool(HTTPSConnectionPool):
    ConnectionCls = _TimedHTTPSConnection


class _TimedAdapter(HTTPAdapter):
    """An adapter whose connections heed the call's deadline, and the config's wishes about certificates."""

    def __init__(self, config: OutboundConfig | None = None, **kwargs: Any) -> None:
        self._tls: dict[str, Any] = {}
        if config is not None and config.fingerprint:
            self._tls = {"assert_fingerprint": config.fingerprint}
        elif config is not None and config.server_name:
            self._tls = {"assert_hostname": config.server_name, "server_hostname": config.server_name}
        super().__init__(**kwargs)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **(kwargs | self._tls))
        self.poolmanager.pool_classes_by_scheme = {"http": _TimedHTTPPool, "https": _TimedHTTPSPool}

    def proxy_manager_for(self, proxy: str, **proxy_kwargs: Any) -> Any:
        manager = super().proxy_manager_for(proxy, **proxy_kwargs)
        manager.pool_classes_by_scheme = {"http": _TimedHTTPPool, "https": _TimedHTTPSPool}
        return manager


class GatewayAdapter(_TimedAdapter):
    """Sends to another address what was meant for a known host; the `Host` header and the path stay.

    Over https the certificate must be the gateway's own. A proxy is used when the environment names one for
    the gateway's address, not for the host that the request names.
    """

    def __init__(self, gateway_url: str, **kwargs: Any) -> None:
        parts = urlsplit(gateway_url)
        if parts.scheme not in ("http", "https") or not parts.netloc:
            raise ValueError("the gateway must be an http:// or https:// address")
        self._gateway = parts
        self._proxies = get_environ_proxies(gateway_url)
        super().__init__(**kwargs)

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        wanted = urlsplit(request.url or "")
        moved = request.copy()
        moved.headers = CaseInsensitiveDict({"Host": wanted.netloc.rpartition("@")[2], **request.headers})
        path = self._gateway.path.rstrip("/") + (wanted.path or "/")
        moved.url = urlunsplit((self._gateway.scheme, self._gateway.netloc, path, wanted.query, ""))
        kwargs["proxies"] = self._proxies
        response = super().send(moved, *args, **kwargs)
        response.url, response.request = str(request.url), request
        return response


class Outbound(requests.Session):
    """A session with a total deadline per call, capped bodies, no cookies, no redirects, for one thread.

    Usable as MSAL's `http_client`. Raises UmpError `unreachable`, `name_not_resolved`, `tls_failed`,
    `proxy_failed` (see NEVER_SENT), `connection_lost`, `deadline`, `reply_too_large` or `interrupted`; and
    RuntimeError when another thread uses it.
    """

    def __init__(self, config: OutboundConfig) -> None:
        super().__init__()
        self.config = config
        self._thread = threading.get_ident()
        self._ends: float | None = None
        self.headers["User-Agent"] = config.user_agent
        self.cookies = RequestsCookieJar(policy=DefaultCookiePolicy(allowed_domains=[]))
        # Else requests would read the environment three times for each call, and ~/.netrc, whose password would
        # replace our Authorization header. What we want of the environment is read once, here and in _proxies_for.
        self.trust_env = False
        self.verify = not config.fingerprint and (config.ca_bundle or _bundle_of_environment() or True)
        self._proxies: dict[tuple[str, str], dict[str, str]] = {}
        self.mount("https://", _TimedAdapter(config, pool_connections=8, pool_maxsize=4))
        self.mount("http://", _TimedAdapter(pool_connections=8, pool_maxsize=4))
        if config.gateway_url:
            gateway = GatewayAdapter(config.gateway_url, pool_connections=2, pool_maxsize=4)
            for host in config.gateway_hosts:
                self.mount(f"https://{host}/", gateway)

    def request(
        self,
        method: str | bytes,
        url: str | bytes,
        *args: Any,
        deadline: float | None = None,
        sent_by: float | None = None,
        **kwargs: Any,
    ) -> requests.Response:
        """Like requests', but whole: the body is read, within `deadline` seconds (default: the config's).

        What has not left by the moment `sent_by` (monotonic seconds) leaves no more: `interrupted`.
        """
        if threading.get_ident() != self._thread:
            raise RuntimeError("an outbound session belongs to the thread that made it")
        _clock.ends = self._end_of_call(deadline)
        _clock.sent_by = math.inf if sent_by is None else sent_by
        _clock.read = self.config.read
        _clock.guard = self.config.guard
        kwargs.update(allow_redirects=False, stream=True)
        try:
            parts = urlsplit(str(url))
            host = parts.hostname or ""
            kwargs.setdefault("proxies", self._proxies_for(parts.scheme, parts.netloc))
            if self.config.guard and kwargs["proxies"]:
                # The proxy looks the name up itself; we can only look before it does.
                self.config.guard.resolve(host, parts.port or 443)
        except ValueError as error:
            raise UmpError.of("internal", detail={"cause": "not a web address"}) from error
        try:
            kwargs["timeout"] = (min(self.config.connect, _clock.next_wait()), self.config.read)
            response = super().request(method, url, *args, **kwargs)
            self._read_body(response, host)
        except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
            raise _translate(error, host) from error
        except (OSError, http.client.HTTPException, UnicodeError) as error:
            raise UmpError.of(_code_of(error), host=host) from error
        return response

    def get_redirect_target(self, resp: requests.Response) -> None:
        """Never: requests would read the whole body, past the cap, to work out where to go next."""

    @contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """All calls made inside share this much time, whatever each was given."""
        before = self._ends
        ends = time.monotonic() + seconds
        self._ends = ends if before is None else min(before, ends)
        try:
            yield
        finally:
            self._ends = before

    def _proxies_for(self, scheme: str, netloc: str) -> dict[str, str]:
        key = (scheme, netloc)
        if key not in self._proxies:
            if len(self._proxies) > MOST_HOSTS:
                self._proxies.clear()
            self._proxies[key] = get_environ_proxies(f"{scheme}://{netloc}/")
        return dict(self._proxies[key])

    def _end_of_call(self, deadline: float | None) -> float:
        ends = time.monotonic() + (self.config.total if deadline is None else deadline)
        return ends if self._ends is None else min(ends, self._ends)

    def _read_body(self, response: requests.Response, host: str) -> None:
        body = io.BytesIO()
        try:
            for piece in response.raw.stream(PIECE, decode_content=True):
                if body.tell() + len(piece) > self.config.max_body:
                    limit = f"{self.config.max_body // MEBIBYTE} MiB"
                    raise UmpError.of("reply_too_large", host=host, limit=limit)
                body.write(piece)
        except BaseException:
            response.close()
            raise
        response.raw.release_conn()
        response._content = body.getvalue()
        response._content_consumed = True  # type: ignore[attr-defined]  # requests' flag, not in its stubs
        # Without a charset requests would guess one by reading every byte; all our counterparts send UTF-8.
        response.encoding = response.encoding or "utf-8"


def _bundle_of_environment() -> str:
    return os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE") or ""


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error and everything wrapped in it: requests and urllib3 hide the cause in args and `reason`."""
    waiting: list[object] = [error]
    seen: set[int] = set()
    while waiting:
        one = waiting.pop()
        if not isinstance(one, BaseException) or id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        waiting += [one.__cause__, one.__context__, getattr(one, "reason", None), *one.args]


# Most specific first; the first class found anywhere in the chain names the failure.
_MEANINGS: tuple[tuple[type[BaseException] | tuple[type[BaseException], ...], str], ...] = (
    ((requests.exceptions.ProxyError, urllib3.exceptions.ProxyError), "proxy_failed"),
    ((urllib3.exceptions.NameResolutionError, socket.gaierror), "name_not_resolved"),
    ((requests.exceptions.SSLError, urllib3.exceptions.SSLError), "tls_failed"),
    ((requests.exceptions.ReadTimeout, urllib3.exceptions.ReadTimeoutError), "deadline"),
    ((requests.exceptions.ConnectTimeout, urllib3.exceptions.ConnectTimeoutError), "unreachable"),
    (urllib3.exceptions.NewConnectionError, "unreachable"),
    (TimeoutError, "deadline"),
    ((requests.exceptions.InvalidURL, requests.exceptions.InvalidHeader, UnicodeError), "internal"),
    ((requests.exceptions.MissingSchema, requests.exceptions.InvalidSchema), "internal"),
    (urllib3.exceptions.LocationValueError, "internal"),
)


def _code_of(error: BaseException) -> str:
    causes = list(_chain(error))
    for classes, code in _MEANINGS:
        if any(isinstance(cause, classes) for cause in causes):
            return code
    return "connection_lost"


def _translate(error: Exception, host: str) -> UmpError:
    if any(isinstance(cause, urllib3.exceptions.DecodeError) for cause in _chain(error)):
        return UmpError.of("bad_reply", host=host, why="it is compressed in a broken way")
    return UmpError.of(_code_of(error), host=host, detail={"cause": type(error).__name__})


def outbound(
    gateway_url: str = "",
    ca_bundle: str | None = None,
    *,
    gateway_hosts: Collection[str] = (),
    connect: float = 5.0,
    read: float = 30.0,
    total: float = 60.0,
    max_body: int = 32 * MEBIBYTE,
    user_agent: str = USER_AGENT,
) -> Outbound:
    """A new session for the calling thread; times in seconds, `max_body` in bytes after decompression."""
    hosts = frozenset(gateway_hosts)
    return Outbound(OutboundConfig(gateway_url, hosts, ca_bundle, connect, read, total, max_body, user_agent))


class _Sessions(threading.local):
    def __init__(self) -> None:
        self.process = os.getpid()
        self.kept: dict[OutboundConfig, Outbound] = {}


_sessions = _Sessions()


def session_of_thread(config: OutboundConfig) -> Outbound:
    """The calling thread's session for this config, made at the first call and kept with its connections.

    After a fork the child starts anew: two processes writing to one socket would mix their requests.
    """
    if _sessions.process != os.getpid():
        _sessions.process, _sessions.kept = os.getpid(), {}
    if config not in _sessions.kept:
        _sessions.kept[config] = Outbound(config)
    return _sessions.kept[config]
