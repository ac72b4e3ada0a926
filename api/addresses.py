"""ApiAllowedIps: from where the API may be called at all (decisions 17 and 25, NET-04)."""

from rest_framework.request import Request

from accounts import installation
from accounts.addresses import allowed
from core.errors import Forbidden


def check(request: Request) -> None:
    """Refuse a caller outside ApiAllowedIps, before anybody asks who it is. Raises Forbidden, naming the
    address that was seen: whoever adds it to the list must know which one."""
    address: str | None = getattr(request, "client_address", None)
    if not allowed(address, installation.get("api_allowed_ips")):
        raise Forbidden("address_not_allowed", detail={"address": address or "unknown"})
