from django.apps import AppConfig
from django.contrib.postgres.indexes import OpClass
from django.db.backends.signals import connection_created
from django.db.models.expressions import OrderBy
from django.db.models.functions import Collate
from django.db.models.indexes import IndexExpression


class TenantsConfig(AppConfig):
    name = "tenants"
    verbose_name = "Customers"

    def ready(self) -> None:
        from tenants import scope  # noqa: PLC0415  apps must be loaded first

        # A connection that is opened (again) in the middle of a scope starts without the scope's setting.
        connection_created.connect(scope.on_connect, dispatch_uid="tenants.scope")
        # As django.contrib.postgres would do it, of which nothing else is needed.
        IndexExpression.register_wrappers(OrderBy, OpClass, Collate)
