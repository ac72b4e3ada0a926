"""Whose request is this, really? The one place that reads X-Forwarded-For (facts/security.md 5.5)."""

import ipaddress
from collections.abc import Sequence

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def client_address(peer: str, forwarded: str | None, proxies: Sequence[Network], hops: int) -> str | None:
    """The client's address as text, or None when it cannot be told.

    The header is believed only when the peer itself is a trusted proxy; then the address is the one that the
    outermost of `hops` trusted proxies saw, counted from the right. The others name the proxy before them, which
    must be a trusted one, too: whoever reached an inner proxy past the outer one has written the rest himself.
    Anything malformed gives None: an exception, or a guess, once let people in without a password (authentik
    CVE-2024-47070).
    """
    address = _parse(peer)
    if not _is_within(address, proxies):
        return str(address) if address else None
    if forwarded is None or hops < 1:
        return None
    parts = [part.strip() for part in forwarded.split(",")]
    if len(parts) < hops or len(parts) > 50:
        return None
    found, *between = [_parse(part) for part in parts[-hops:]]
    return str(found) if found and all(_is_within(proxy, proxies) for proxy in between) else None


def _is_within(address: Address | None, networks: Sequence[Network]) -> bool:
    return address is not None and any(address in network for network in networks)


def _parse(text: str) -> Address | None:
    try:
        address = ipaddress.ip_address(text.strip())
    except ValueError:
        return None
    mapped = getattr(address, "ipv4_mapped", None)
    return mapped or address
