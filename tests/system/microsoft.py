"""Microsoft 365 as a process: the simulator, its customers, and an address that must stay silent."""

from __future__ import annotations

import contextlib
import ctypes
import os
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Self, TypeVar

import requests

from tests.system.stage import end, spawn, until

CLONE_NEWNET = 0x40000000
Answer = TypeVar("Answer")


class Network:
    """The network that a process lives in: its processes are started, and its addresses asked, from here."""

    def __init__(self, pid: int) -> None:
        self.prefix = ["nsenter", "-t", str(pid), "-n", "--"]
        self._file = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY)

    def run(self, ask: Callable[[], Answer]) -> Answer:
        """In a thread of its own, since only a thread changes its network."""

        def inside() -> Answer:
            libc = ctypes.CDLL(None, use_errno=True)
            if libc.setns(self._file, CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), "this network cannot be entered")
            return ask()

        with ThreadPoolExecutor(1) as pool:
            return pool.submit(inside).result()

    def close(self) -> None:
        os.close(self._file)


@contextlib.contextmanager
def network_of(pid: int) -> Iterator[Network]:
    network = Network(pid)
    try:
        yield network
    finally:
        network.close()


class Microsoft:
    """A simulator in a process of its own; `url` is its address.

    With a `certificate` (it and its key) it speaks TLS; `there` is the network that it is in, if it is not ours.
    """

    def __init__(
        self,
        log: Path,
        *,
        port: int = 0,
        certificate: tuple[Path, Path] | None = None,
        there: Network | None = None,
    ) -> None:
        self.log = log
        self._certificate = certificate
        self._there = there
        command = [*(there.prefix if there else ()), sys.executable, "-m", "simulator", "--seed", "empty"]
        command += ["--port", str(port)]
        if certificate:
            command += ["--tls-cert", str(certificate[0]), "--tls-key", str(certificate[1])]
        self._popen = spawn(command, log)
        self.url = until("the simulator says where it is", self._address)

    def _address(self) -> str:
        assert self._popen.poll() is None, self.log.read_text()
        told = self.log.read_text().partition("Simulator at ")[2].partition("\n")[0]
        return told.replace("127.0.0.1", "localhost") if self._certificate else told

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        end(self._popen)

    def control(self, method: str, path: str, body: Any = None) -> Any:
        def ask() -> requests.Response:
            with requests.Session() as session:
                session.trust_env = False
                verify = str(self._certificate[0]) if self._certificate else True
                url = f"{self.url}/_sim{path}"
                return session.request(method, url, json=body, timeout=60, verify=verify)

        answer = self._there.run(ask) if self._there else ask()
        assert answer.status_code == 200, answer.text
        return answer.json()

    def customer(self, name: str, **spec: Any) -> Customer:
        """A new tenant of Microsoft's; `spec` as docs/simulator.md has it."""
        return Customer(self, self.control("POST", "/tenants", {"name": name, **spec}))


class Customer:
    """A tenant at the simulator, and what can be done to it there."""

    def __init__(self, microsoft: Microsoft, told: dict[str, Any]) -> None:
        self.microsoft = microsoft
        self.name: str = told["name"]
        self.tenant_id: str = told["tenant_id"]
        self.canary: str = told["canary"]
        self.domain: str = told["domain"]
        app = told["apps"][0] if told["apps"] else {}
        self.client_id: str = app.get("client_id", "")
        self.secret: str = app.get("secret", "")

    def control(self, method: str, path: str = "", body: Any = None) -> Any:
        return self.microsoft.control(method, f"/tenants/{self.tenant_id}{path}", body)

    def trouble(self, kind: str, **options: Any) -> None:
        self.microsoft.control("POST", "/trouble", {"tenant": self.tenant_id, "kind": kind, **options})

    def no_trouble(self) -> None:
        self.microsoft.control("DELETE", f"/trouble?tenant={self.tenant_id}")

    def heal(self) -> None:
        self.no_trouble()
        self.control("POST", "/heal")

    def history(self, kind: str) -> list[dict[str, Any]]:
        found = self.microsoft.control("GET", f"/history?kind={kind}&tenant={self.tenant_id}&limit=1000")
        return list(found["history"])

    def routes(self, route: str = "") -> int:
        """How many requests arrived so far, at one route or at all."""
        stats = self.microsoft.control("GET", f"/stats?tenant={self.tenant_id}")
        return sum(row["requests"] for row in stats["by_route"] if route in ("", row["route"]))

    def living(self, kind: str) -> list[dict[str, Any]]:
        """The `users` or `groups` that a client would see."""
        found: list[dict[str, Any]] = []
        while True:
            page = self.control("GET", f"/{kind}?offset={len(found)}&limit=5000")
            found += page[kind]
            if len(found) >= page["total"]:
                return [row for row in found if row["state"] == "live"]

    def memberships(self) -> set[tuple[str, str]]:
        """(group, member) of all living groups."""
        groups = [row["id"] for row in self.living("groups")]
        members = {group: self.control("GET", f"/groups/{group}/members")["members"] for group in groups}
        return {(group, member) for group in groups for member in members[group]}

    def connection(self, **changes: Any) -> dict[str, Any]:
        """The body that the REST API takes for it."""
        return {"client_id": self.client_id, "client_secret": self.secret, **changes}


class Sinkhole:
    """An address that must never hear anything; `heard` counts the connections that it got."""

    def __init__(self) -> None:
        self.heard = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def _listen(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.heard += 1
            connection.close()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(10)
