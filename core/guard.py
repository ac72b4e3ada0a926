"""Which addresses the portal may call when people name the host (SSRF): the internet, and what is allowed by hand."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Sequence
from dataclasses import dataclass

from core.errors import UmpError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
NAT64 = ipaddress.ip_network("64:ff9b::/96")
NEVER = frozenset(
    ipaddress.ip_address(text)
    for text in ("169.254.169.254", "fd00:ec2::254", "168.63.129.16", "100.100.100.200", "192.0.0.192")
)
"""Where clouds hand out the keys of the machine itself; no list of allowed networks opens these."""


@dataclass(frozen=True, slots=True)
class Guard:
    """`networks` (CIDR) may be called although they are not the internet; `loopback` for demonstrations only."""

    networks: tuple[str, ...] = ()
    loopback: bool = False

    def allows(self, text: str) -> bool:
        """Whether this address may be called; False for what is no address."""
        try:
            address = _plain(ipaddress.ip_address(text.partition("%")[0]))
        except ValueError:
            return False
        if address in NEVER or address.is_unspecified or address.is_multicast:
            return False
        if address.is_loopback:
            return self.loopback
        if any(address in ipaddress.ip_network(each) for each in self.networks):
            return True
        return address.is_global

    def resolve(self, host: str, port: int) -> str:
        """The first address of the host, when every one of them is allowed.

        The caller connects to this very address: a second look-up could bring another. Raises UmpError:
        name_not_resolved, address_forbidden.
        """
        try:
            found: Sequence[tuple[object, ...]] = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (socket.gaierror, UnicodeError) as error:
            raise UmpError.of("name_not_resolved", host=host) from error
        addresses = [str(each[4][0]) for each in found]  # type: ignore[index]  # a socket's address
        if not addresses or not all(self.allows(each) for each in addresses):
            raise UmpError.of("address_forbidden", host=host)
        return addresses[0]


def _plain(address: Address) -> Address:
    """The IPv4 address inside an IPv6 one, where there is one."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or address
