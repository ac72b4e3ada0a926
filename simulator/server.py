"""The simulator as one thing: hosts by name, the control API and its page on the simulator's own address."""

from __future__ import annotations

import pathlib
import re
import ssl
from types import TracebackType
from typing import Self

from simulator import demo
from simulator.clouds import AUTHORITY_HOSTS, CLOUDS, DEVICE_PAGE_HOSTS, GRAPH_HOSTS
from simulator.control.api import Control
from simulator.entra.pages import device_page
from simulator.entra.service import Entra, find_path
from simulator.graph.dispatch import Graph
from simulator.http1 import Request, Response, Server
from simulator.mailbox import MailServer
from simulator.nameserver import NameServer
from simulator.pages import Pages
from simulator.sbc import samples
from simulator.sbc.fleet import Fleet
from simulator.world import World

SEEDS = ("empty", "demo")
_DEVICE_PATHS = frozenset({"/devicelogin", "/deviceloginus", "/deviceloginchina", "/device"})
_PREFIXED = re.compile(r"/(?P<host>[a-z0-9.-]+\.[a-z]+)(?P<rest>/.*)\Z")


class Simulator:
    """A running simulator: `url` is its own address, `state` its world, `dns`, `mail`, `sbcs` its other servers."""

    def __init__(
        self,
        *,
        host: str,
        port: int,
        seed: str,
        latency_ms: float,
        tls: ssl.SSLContext | None,
        dns_port: int,
        mail_port: int,
    ) -> None:
        self.state = World(pause=self._pause)
        self.dns = NameServer(
            host, dns_port, clock=self.state.now, record=self.state.record, pause=self._pause
        )
        self.state.dns_address = (self.dns.host, self.dns.port)
        self.mail = MailServer(host, mail_port, clock=self.state.now, pause=self._pause, tls=tls)
        self.sbcs = Fleet(host, clock=self.state.now, record=self.state.record)
        self.seed(seed)
        self.state.latency_ms = latency_ms
        self._entra, self._graph = Entra(self.state), Graph(self.state)
        self._control = Control(self.state, self.seed, self.dns, self.sbcs, self.mail)
        self._pages = Pages(self.state, self.mail)
        self._server = Server(host, port, self._handle, self.state.now, tls)
        self.port = self._server.port
        self.url = f"{'https' if tls else 'http'}://{host}:{self.port}"

    def seed(self, name: str) -> None:
        """Start over: with the demo's customers, or with nobody."""
        self.state.reset()
        self.dns.reset()
        self.mail.reset()
        self.sbcs.reset()
        if name == "demo":
            demo.plant(self.state)
            samples.plant(self.sbcs)

    def close(self) -> None:
        self._server.close()
        self.dns.close()
        self.mail.close()
        self.sbcs.reset()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _pause(self, seconds: float) -> None:
        self._server.pause(seconds)

    def _handle(self, request: Request) -> Response:
        """Hand a request to whoever its Host header names."""
        name = request.host.partition(":")[0]
        base = f"https://{request.host}"
        if name in GRAPH_HOSTS:
            return self._graph.handle(request, GRAPH_HOSTS[name], base)
        if name in AUTHORITY_HOSTS:
            return self._entra.handle(request, name, base)
        if name in DEVICE_PAGE_HOSTS:
            return device_page(self.state, request)
        return self._own_address(request)

    def _own_address(self, request: Request) -> Response:
        """The control API, the page for people, and the browser's way to the sign-in pages."""
        path = request.path
        if path == "/_sim" or path.startswith("/_sim/"):
            return self._control.handle(request)
        if path in _DEVICE_PATHS:
            return device_page(self.state, request)
        prefixed = _PREFIXED.match(path)
        if prefixed is not None and prefixed["host"] in {*AUTHORITY_HOSTS, *GRAPH_HOSTS, *DEVICE_PAGE_HOSTS}:
            # A browser cannot send another Host header; the gateway's links carry the host in the path.
            request.path = prefixed["rest"]
            request.headers["host"] = prefixed["host"]
            return self._handle(request)
        base = f"{'https' if request.secure else 'http'}://{request.host}"
        if path.startswith("/v1.0/"):
            return self._graph.handle(request, None, base)
        found = find_path(path)
        if found is not None:
            tenant = self.state.find(found[1]["place"])
            cloud = tenant.cloud if tenant is not None else CLOUDS["global"]
            return self._entra.handle(request, cloud.authority, base)
        return self._pages.handle(request)


def start(
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    seed: str = "empty",
    latency_ms: float = 0.0,
    tls_cert: str | pathlib.Path | None = None,
    tls_key: str | pathlib.Path | None = None,
    dns_port: int = 0,
    mail_port: int = 0,
) -> Simulator:
    """Run a simulator in threads of this process; a port of 0 takes any free one. Close it when done.

    Raises ValueError for an unknown seed, OSError when a port is taken.
    """
    if seed not in SEEDS:
        raise ValueError(f"seed is one of {', '.join(SEEDS)}")
    tls = None
    if tls_cert is not None:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(tls_cert, tls_key)
    return Simulator(
        host=host,
        port=port,
        seed=seed,
        latency_ms=latency_ms,
        tls=tls,
        dns_port=dns_port,
        mail_port=mail_port,
    )
