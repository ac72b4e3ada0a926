"""The browser and the server of tests/ui, for the journeys here."""

from tests.ui.conftest import browser_type_launch_args, house, synchronous, unhurried

__all__ = ["browser_type_launch_args", "house", "synchronous", "unhurried"]
