from importlib import import_module

from django.apps import AppConfig


class AuthstatusConfig(AppConfig):
    name = "authstatus"
    verbose_name = "Authentication Status"

    def ready(self) -> None:
        """Its further files of kinds; the first is found by itself."""
        import_module("authstatus.registration_commands")
        import_module("authstatus.registration_creation")
        import_module("authstatus.registration_keys")
        import_module("authstatus.helper_app")
        import_module("authstatus.delegated")
        import_module("authstatus.qoe")
