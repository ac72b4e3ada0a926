from typing import Any

from django.apps import AppConfig
from django.db.backends.signals import connection_created


class PortalConfig(AppConfig):
    name = "ump_portal"
    verbose_name = "UMP Portal"

    def ready(self) -> None:
        connection_created.connect(_read_times_at_once, dispatch_uid="ump_portal.times")


def _read_times_at_once(connection: Any, **_: Any) -> None:
    """Django's own factory asks at each time of each row whether an event loop runs, longer than reading it takes."""
    zone = connection.timezone
    connection.tzinfo_factory = lambda offset: zone
