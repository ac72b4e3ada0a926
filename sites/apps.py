"""Where customers' calls leave: sites on SBCs, the scripts that make them, the prefixes that lead to them."""

from importlib import import_module

from django.apps import AppConfig


class SitesConfig(AppConfig):
    name = "sites"

    def ready(self) -> None:
        """The commands of numbers and of the import are in files of their own."""
        import_module("sites.number_commands")
        import_module("sites.import_commands")
