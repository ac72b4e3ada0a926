from django.apps import AppConfig
from django.db.backends.signals import connection_created


class TenantsConfig(AppConfig):
    name = "tenants"
    verbose_name = "Customers"

    def ready(self) -> None:
        from tenants import scope  # noqa: PLC0415  apps must be loaded first

        # A connection that is opened (again) in the middle of a scope starts without the scope's setting.
        connection_created.connect(scope.on_connect, dispatch_uid="tenants.scope")
