"""The whole product in Debian's Chromium: the fixtures of the look's own tests."""

from tests.ui.conftest import browser_type_launch_args, house, synchronous, unhurried

__all__ = ["browser_type_launch_args", "house", "synchronous", "unhurried"]
