"""A real server on loopback that answers what a test tells it to, byte by byte where that is the subject."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

Answer = Callable[[socket.socket, bytes], None]


@dataclass
class Wire:
    """`heads` holds the head of each request received, as bytes."""

    port: int
    heads: list[bytes] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)
    current: socket.socket | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


def reply(body: bytes = b"{}", status: str = "200 OK", headers: str = "") -> Answer:
    """An answer with the given body and a right Content-Length."""
    head = (
        f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n{headers}\r\n"
    )

    def answer(connection: socket.socket, _request: bytes) -> None:
        connection.sendall(head.encode() + body)

    return answer


def _head(connection: socket.socket) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data:
        piece = connection.recv(65536)
        if not piece:
            return b""
        data += piece
    return data


def _serve(server: socket.socket, wire: Wire, answer: Answer) -> None:
    while not wire.stop.is_set():
        try:
            connection, _ = server.accept()
        except ssl.SSLError:
            continue
        except OSError:
            return
        with connection:
            wire.current = connection
            connection.settimeout(10)
            try:
                while request := _head(connection):
                    wire.heads.append(request)
                    answer(connection, request)
            except OSError:
                continue


def _hang_up(connection: socket.socket | None) -> None:
    if connection is not None:
        with suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)


@contextmanager
def serving(answer: Answer, tls: ssl.SSLContext | None = None) -> Iterator[Wire]:
    """Serve one connection after another until the block ends."""
    server = socket.create_server(("127.0.0.1", 0))
    if tls is not None:
        server = tls.wrap_socket(server, server_side=True)
    wire = Wire(server.getsockname()[1])
    thread = threading.Thread(target=_serve, args=(server, wire, answer), daemon=True)
    thread.start()
    try:
        yield wire
    finally:
        wire.stop.set()
        _hang_up(wire.current)
        server.shutdown(socket.SHUT_RDWR)
        server.close()
        thread.join(12)
