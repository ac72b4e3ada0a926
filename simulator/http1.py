"""A small threaded HTTP/1.1 server: keep-alive, optional TLS, one thread a connection.

Written out because the standard library's handler parses headers as mail, which costs more than
answering does, and the benchmarks share two cores with it. Requests may sleep for their latency
without holding up others.
"""

from __future__ import annotations

import contextlib
import dataclasses
import email.utils
import http
import io
import socket
import ssl
import threading
import urllib.parse
from collections.abc import Callable
from typing import Literal

MAX_HEADER = 65_536
MAX_BODY = 64 * 1024 * 1024
_REASONS = {status.value: status.phrase for status in http.HTTPStatus}


@dataclasses.dataclass(slots=True)
class Request:
    """One request. Header names are lower case; `path` is decoded; `query` holds each name's last value."""

    method: str
    path: str
    raw_query: str
    headers: dict[str, str]
    body: bytes = b""
    secure: bool = False

    @property
    def host(self) -> str:
        """The Host header as sent, with its port."""
        return self.headers.get("host", "").lower()

    def query(self) -> dict[str, str]:
        return dict(urllib.parse.parse_qsl(self.raw_query, keep_blank_values=True))

    def form(self) -> dict[str, str]:
        """A form-encoded body; empty for anything else."""
        text = self.body.decode("utf-8", "replace")
        return dict(urllib.parse.parse_qsl(text, keep_blank_values=True))


@dataclasses.dataclass(slots=True)
class Response:
    """One answer. `drop` closes the connection instead of it, or in the middle of it."""

    status: int
    body: bytes = b""
    headers: dict[str, str] = dataclasses.field(default_factory=dict)
    drop: Literal["", "before", "midway"] = ""


class BadHttpError(Exception):
    """Bytes that are no HTTP request."""


Handler = Callable[[Request], Response]


def _read_head(stream: io.BufferedIOBase) -> tuple[str, str, dict[str, str]] | None:
    line = stream.readline(MAX_HEADER)
    while line == b"\r\n":  # RFC 9112 2.2: tolerate an empty line before a request
        line = stream.readline(MAX_HEADER)
    if not line:
        return None
    parts = line.decode("latin-1").split()
    if len(parts) != 3 or not parts[2].startswith("HTTP/1."):
        raise BadHttpError("request line")
    headers: dict[str, str] = {}
    total = len(line)
    while True:
        line = stream.readline(MAX_HEADER)
        total += len(line)
        if line in {b"\r\n", b"\n"}:
            break
        name, colon, value = line.decode("latin-1").partition(":")
        if not colon or total > MAX_HEADER:
            raise BadHttpError("header")
        headers[name.strip().lower()] = value.strip()
    if parts[2] == "HTTP/1.0":
        headers.setdefault("connection", "close")
    return parts[0], parts[1], headers


def _read_chunks(stream: io.BufferedIOBase) -> bytes:
    body = bytearray()
    while True:
        size = int(stream.readline(1024).split(b";")[0], 16)
        if size > MAX_BODY - len(body):
            raise BadHttpError("body too large")
        body += stream.read(size)
        if size:
            stream.readline(1024)
            continue
        while stream.readline(MAX_HEADER) not in {b"\r\n", b"\n", b""}:
            pass
        return bytes(body)


def _read_request(stream: io.BufferedIOBase, connection: socket.socket, *, secure: bool) -> Request | None:
    head = _read_head(stream)
    if head is None:
        return None
    method, target, headers = head
    if headers.get("expect", "").lower() == "100-continue":
        connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
    if headers.get("transfer-encoding", "").lower() == "chunked":
        body = _read_chunks(stream)
    else:
        length = int(headers.get("content-length") or 0)
        if not 0 <= length <= MAX_BODY:
            raise BadHttpError("content length")
        body = stream.read(length) if length else b""
    if target.startswith(("http://", "https://")):
        target = "/" + target.split("/", 3)[3] if target.count("/") > 2 else "/"
    path, _, query = target.partition("?")
    return Request(method, urllib.parse.unquote(path), query, headers, body, secure)


def _head(response: Response, *, keep: bool, now: float) -> bytes:
    lines = [f"HTTP/1.1 {response.status} {_REASONS.get(response.status, 'Unknown')}"]
    lines += [f"{name}: {value}" for name, value in response.headers.items()]
    if response.status not in {204, 304}:
        lines.append(f"Content-Length: {len(response.body)}")
    lines.append(f"Date: {email.utils.formatdate(now, usegmt=True)}")
    if not keep:
        lines.append("Connection: close")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


class Server:
    """Accepts connections until closed. `handler` is called in the connection's own thread."""

    def __init__(
        self,
        host: str,
        port: int,
        handler: Handler,
        clock: Callable[[], float],
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._handler, self._clock, self._tls = handler, clock, tls
        self._listener = socket.create_server((host, port), backlog=1024)
        self.port: int = self._listener.getsockname()[1]
        self._open: set[socket.socket] = set()
        self._threads: set[threading.Thread] = set()
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._acceptor = threading.Thread(target=self._accept, name="simulator", daemon=True)
        self._acceptor.start()

    def pause(self, seconds: float) -> None:
        """Sleep in the calling connection's thread; cut short when the server closes."""
        self._closing.wait(seconds)

    def close(self) -> None:
        """Stop accepting, cut every connection and wait for the threads."""
        self._closing.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._acceptor.join(5)
        with self._lock:
            connections, threads = list(self._open), list(self._threads)
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in threads:
            thread.join(5)

    def _accept(self) -> None:
        while not self._closing.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                if self._closing.is_set():
                    return
                self._closing.wait(0.05)  # out of file descriptors: others will close
                continue
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            thread = threading.Thread(target=self._converse, args=(connection,), daemon=True)
            with self._lock:
                self._open.add(connection)
                self._threads.add(thread)
            thread.start()

    def _converse(self, raw: socket.socket) -> None:
        connection = raw
        try:
            with contextlib.suppress(OSError, ValueError, BadHttpError):
                if self._tls is not None:
                    connection = self._tls.wrap_socket(raw, server_side=True)
                    with self._lock:
                        self._open.discard(raw)
                        self._open.add(connection)
                with io.BufferedReader(socket.SocketIO(connection, "r"), 65_536) as stream:
                    while not self._closing.is_set() and self._exchange(stream, connection):
                        pass
        finally:
            connection.close()
            raw.close()
            with self._lock:
                self._open.discard(connection)
                self._open.discard(raw)
                self._threads.discard(threading.current_thread())

    def _exchange(self, stream: io.BufferedIOBase, connection: socket.socket) -> bool:
        """One request and its answer; False when the connection is over."""
        try:
            request = _read_request(stream, connection, secure=self._tls is not None)
        except (BadHttpError, ValueError):
            connection.sendall(_head(Response(400), keep=False, now=self._clock()))
            return False
        if request is None:
            return False
        keep = request.headers.get("connection", "").lower() != "close"
        response = self._handler(request)
        if response.drop == "before":
            return False
        head = _head(response, keep=keep, now=self._clock())
        body = response.body if request.method != "HEAD" else b""
        if response.drop == "midway":
            # Without a body the cut goes through the status line, or the client would miss nothing.
            connection.sendall(head + body[: len(body) // 2] if body else head[:10])
            return False
        if len(body) < 65_536:
            connection.sendall(head + body)
        else:
            connection.sendall(head)
            connection.sendall(body)
        return keep
