from django.apps import AppConfig


class PortalConfig(AppConfig):
    name = "ump_portal"
    verbose_name = "UMP Portal"
