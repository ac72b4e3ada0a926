from importlib import import_module

from django.apps import AppConfig, apps
from django.utils.module_loading import module_has_submodule


class ReplicationConfig(AppConfig):
    name = "replication"
    verbose_name = "Replication"

    def ready(self) -> None:
        """A new kind of command is one file: every room's commands.py registers its own.

        The contract has a commands.py too, for the noun; it holds nothing that a worker could do.
        """
        for config in apps.get_app_configs():
            if config.name != "api" and config.module and module_has_submodule(config.module, "commands"):
                import_module(f"{config.name}.commands")
