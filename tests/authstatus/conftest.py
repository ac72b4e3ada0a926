"""The pretend Microsoft 365 and the worker of tests/directory."""

from tests.directory.conftest import add_customer, customer, dies, microsoft, microsoft_server, worker
from tests.fences import fenced

__all__ = ["add_customer", "customer", "dies", "fenced", "microsoft", "microsoft_server", "worker"]
