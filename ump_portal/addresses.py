"""Whose request is this, really? The one place that reads X-Forwarded-For (facts/security.md 5.5)."""

import ipaddress
from collections.abc import Sequence

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def client_address(peer: str, forwarded: str | None, proxies: Sequence[Network], hops: int) -> str | None:
    """The client's address as text, or None when it cannot be told.

    The header is believed only when the peer itself is a trusted proxy; then the address is the one that the
    outermost of `hops` trusted proxies saw, counted from the right. Anything malformed gives None: an
    exception, or a guess, once let people in without a password (authentik CVE-2024-47070).
    """
    address = _parse(peer)
    if address is None or not proxies or not any(address in network for network in proxies):
        return str(address) if address else None
    if forwarded is None or hops < 1:
        return None
    parts = [part.strip() for part in forwarded.split(",")]
    if len(parts) < hops or len(parts) > 50:
        return None
    found = _parse(parts[-hops])
    return str(found) if found else None


def _parse(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(text.strip())
    except ValueError:
        return None
    mapped = getattr(address, "ipv4_mapped", None)
    return mapped or address
