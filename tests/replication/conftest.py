"""Every run of a command is looked at (tests/fences.py)."""

from tests.fences import fenced

__all__ = ["fenced"]
