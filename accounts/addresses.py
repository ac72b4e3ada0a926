"""Addresses and CIDR blocks, as people write them into lists of what is allowed."""

import ipaddress
from collections.abc import Iterable

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def allowed(address: str | None, blocks: Iterable[str]) -> bool:
    """Whether the address lies in one of the addresses or CIDR blocks; unreadable blocks match nothing."""
    try:
        found = ipaddress.ip_address(address or "")
    except ValueError:
        return False
    return any(found in network for network in map(network_of, blocks) if network is not None)


def within(network: Network, blocks: Iterable[str]) -> bool:
    """Whether one of the blocks holds all of the network; unreadable blocks hold nothing."""
    return any(
        network.network_address in outer and network.broadcast_address in outer
        for outer in map(network_of, blocks)
        if outer is not None
    )


def network_of(block: str) -> Network | None:
    """The block, or None when it cannot be read."""
    try:
        return ipaddress.ip_network(block.strip(), strict=False)
    except ValueError:
        return None
