"""On PYTHONPATH: Microsoft's names lead to a port of this machine, for where no private network can be had."""

import os
import socket
from typing import Any

HOSTS = frozenset(os.environ["RESOLVED_HOSTS"].split(","))
PORT = int(os.environ["RESOLVED_PORT"])
_ask = socket.getaddrinfo


def getaddrinfo(host: Any, port: Any, *args: Any, **kwargs: Any) -> Any:
    if host in HOSTS:
        return _ask("127.0.0.1", PORT, *args, **kwargs)
    return _ask(host, port, *args, **kwargs)


socket.getaddrinfo = getaddrinfo
