"""A PostgreSQL of our own for one machine, without any account, package or service to set up.

`start(data_root)` returns a `Server` with the connection URLs; the server ends with the last process that
holds it. No Django in here: settings need the answer before Django can start.
"""

from ump_portal.embedded.errors import EmbeddedError
from ump_portal.embedded.server import Server, remove, start

__all__ = ["EmbeddedError", "Server", "remove", "start"]
