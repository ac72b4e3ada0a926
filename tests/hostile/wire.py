"""The network as a far end that answers with any bytes: all of ours above TCP runs, and no socket is opened."""

from __future__ import annotations

import io
import os
import socket
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import dns.query
import pytest
from urllib3.util import connection

Answer = Callable[[bytes], Iterable[bytes]]
"""From the head and body of a request to the bytes of its answer, piece by piece."""


class _Pieces(io.RawIOBase):
    """What a connection still has to give."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces, self._left = pieces, memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._left:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._left = memoryview(piece)
        count = min(len(buffer), len(self._left))
        buffer[:count] = self._left[:count]
        self._left = self._left[count:]
        return count


class Connection:
    """As much of a socket as http.client and urllib3 touch. It is never used twice: it looks closed afterwards."""

    _ended = os.open(os.devnull, os.O_RDONLY)

    def __init__(self, far: FarEnd) -> None:
        self._far, self._sent, self._raw = far, bytearray(), _Pieces(iter(()))

    def sendall(self, data: bytes) -> None:
        self._sent += data
        self._raw = _Pieces(self._far.pieces(self._sent))

    def makefile(self, mode: str, buffering: int = -1) -> io.IOBase:
        return self._raw if buffering == 0 else io.BytesIO()

    def fileno(self) -> int:
        return self._ended

    def settimeout(self, _seconds: float | None) -> None:
        """It never waits."""

    shutdown = setsockopt = settimeout

    def close(self) -> None:
        """There is nothing to close."""


@dataclass
class FarEnd:
    """`called` are the hosts that were connected to, and `hosts` those that requests named."""

    answer: Answer = lambda _request: ()
    called: set[str] = field(default_factory=set)
    hosts: set[str] = field(default_factory=set)
    requests: int = 0

    def pieces(self, request: bytearray) -> Iterator[bytes]:
        self.requests += 1
        head = bytes(request)
        for line in head.partition(b"\r\n\r\n")[0].split(b"\r\n"):
            name, _, value = line.partition(b":")
            if name.lower() == b"host":
                self.hosts.add(value.strip().decode())
        yield from self.answer(head)

    def connect(self, address: tuple[str, int], *_args: object, **_options: object) -> Connection:
        self.called.add(address[0])
        return Connection(self)


@contextmanager
def far_end() -> Iterator[FarEnd]:
    """Inside, every connection of urllib3 leads to it."""
    far = FarEnd()
    with pytest.MonkeyPatch.context() as patch:
        for name in [
            name for name in os.environ if name.lower().endswith("_proxy") or name.endswith("CA_BUNDLE")
        ]:
            patch.delenv(name)
        patch.setattr(connection, "create_connection", far.connect)
        yield far


def reply(body: bytes, status: int = 200, headers: Iterable[tuple[str, str]] = ()) -> bytes:
    """A proper HTTP answer with this body."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers)
    return (
        f"HTTP/1.1 {status} Whatever\r\n{lines}Content-Length: {len(body)}\r\n\r\n".encode("utf-8", "replace")
        + body
    )


class NameServerSocket:
    """As much of a socket as dnspython touches: the answer is ready as soon as the question was sent."""

    family = socket.AF_INET

    def __init__(self, far: NameServerEnd, stream: bool) -> None:
        self._far, self._stream, self._ready = far, stream, b""

    def sendto(self, data: bytes, _where: object) -> int:
        self._far.asked += 1
        self._ready = self._far.answer(bytes(data), False)
        return len(data)

    def send(self, data: bytes) -> int:
        self._far.asked += 1
        self._ready = self._far.answer(bytes(data)[2:], True)
        return len(data)

    def recvfrom(self, size: int) -> tuple[bytes, tuple[str, int]]:
        return self._ready[:size], (self._far.address, 53)

    def recv(self, size: int) -> bytes:
        found, self._ready = self._ready[:size], self._ready[size:]
        return found

    def connect_ex(self, where: tuple[str, int]) -> int:
        self._far.called.add(where[0])
        return 0

    def getpeername(self) -> tuple[str, int]:
        return self._far.address, 53

    def nothing(self, *_args: object) -> None:
        """Options of a socket that is none."""

    setblocking = bind = close = settimeout = setsockopt = nothing

    def __enter__(self) -> NameServerSocket:
        return self

    def __exit__(self, *_args: object) -> None:
        """As close."""


@dataclass
class NameServerEnd:
    address: str
    answer: Callable[[bytes, bool], bytes]
    """From a question, and whether it came over TCP, to the bytes that come back."""
    called: set[str] = field(default_factory=set)
    asked: int = 0


@contextmanager
def name_server(address: str, answer: Callable[[bytes, bool], bytes]) -> Iterator[NameServerEnd]:
    far = NameServerEnd(address, answer)

    def connect(where: tuple[str, int], timeout: float) -> NameServerSocket:
        line = NameServerSocket(far, stream=True)
        line.connect_ex(where)
        return line

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket, "create_connection", connect)
        patch.setattr(
            dns.query,
            "socket_factory",
            lambda _family, kind, *_: NameServerSocket(far, kind == socket.SOCK_STREAM),
        )
        yield far
