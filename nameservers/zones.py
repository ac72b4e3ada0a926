"""Zones, name servers and keys as people name them, and what name servers said: no line is needed for these."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, field

from core.errors import InvalidInput
from core.guard import Guard

ALGORITHMS = ("hmac-sha256", "hmac-sha384", "hmac-sha512")
MOST_SERVERS = 6
PORT = 53


@dataclass(frozen=True, slots=True)
class Server:
    """A name server as people name it."""

    host: str
    port: int = PORT

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == PORT else f"{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Key:
    """The key that an update is signed with; the secret in base64, as name servers' own files have it."""

    name: str
    algorithm: str
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Zone:
    """A zone, its primary name server, and the key that may change it."""

    name: str
    server: Server
    key: Key
    guard: Guard


@dataclass(frozen=True, slots=True)
class Look:
    """What the name servers of a name answered: the texts of each that did, by the server."""

    answers: dict[str, tuple[str, ...]]
    silent: tuple[str, ...]

    def having(self, text: str) -> int:
        """How many of those that answered have this very text."""
        return sum(text in texts for texts in self.answers.values())


def parse_server(text: str, *, field: str) -> Server:
    """`host`, `host:port`, `[IPv6]:port`. Raises InvalidInput."""
    text = text.strip().lower()
    host, _, port = text.rpartition(":")
    bare_ipv6 = text.count(":") > 1 and not host.endswith("]")
    if not host or bare_ipv6:
        host, port = text, str(PORT)
    number = int(port) if port.isascii() and port.isdigit() and len(port) <= 5 else 0
    host = host.removeprefix("[").removesuffix("]").removesuffix(".")
    if not host or len(host) > 253 or not 0 < number < 65_536 or any(one in host for one in " /@?#\\"):
        raise InvalidInput(field=field, why=f"{text[:80]} is not the name or address of a server")
    return Server(host, number)


def check_secret(text: str, *, field: str) -> str:
    """Raises InvalidInput for what is not base64 of 16 bytes or more."""
    try:
        raw = base64.b64decode(text.strip(), validate=True)
    except (binascii.Error, ValueError):
        raise InvalidInput(
            field=field, why="it is not base64, as the name server's key file has it"
        ) from None
    if not 16 <= len(raw) <= 128:
        raise InvalidInput(field=field, why="it has to be 16 to 128 bytes long")
    return text.strip()
