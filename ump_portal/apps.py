from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core import checks
from django.db.backends.signals import connection_created


class PortalConfig(AppConfig):
    name = "ump_portal"
    verbose_name = "UMP Portal"

    def ready(self) -> None:
        connection_created.connect(_read_times_at_once, dispatch_uid="ump_portal.times")
        checks.register(_check_proxy)


def _check_proxy(**_: Any) -> list[checks.CheckMessage]:
    """TLS ends at a proxy, and only one that is trusted may say that it did."""
    if not settings.SECURE_SSL_REDIRECT or (settings.TRUSTED_PROXIES and settings.TRUSTED_PROXY_COUNT):
        return []
    told = "PORTAL_BASE_URL begins with https://, and nobody is trusted to say that a request came by TLS."
    hint = (
        "Browsers would be sent there for ever. Name the proxy that ends TLS in TRUSTED_PROXIES, and say in "
        "TRUSTED_PROXY_COUNT how many there are in a row."
    )
    return [checks.Warning(told, hint=hint, id="ump.W001")]


def _read_times_at_once(connection: Any, **_: Any) -> None:
    """Django's own factory asks at each time of each row whether an event loop runs, longer than reading it takes."""
    zone = connection.timezone
    connection.tzinfo_factory = lambda offset: zone
