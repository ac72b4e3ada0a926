"""Where the portal may send something when people name the host."""

from urllib.parse import urlsplit

from django.conf import settings

from core.guard import Guard


def guard() -> Guard:
    """The internet, what OUTBOUND_ALLOWED_NETWORKS opens, and this machine where Microsoft is a stand-in on it."""
    gateway = urlsplit(settings.M365_GATEWAY_URL).hostname
    return Guard(
        tuple(settings.OUTBOUND_ALLOWED_NETWORKS), loopback=gateway in {"localhost", "127.0.0.1", "::1"}
    )
