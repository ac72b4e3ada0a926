"""Only configuration says where Microsoft is: at another stand-in's address, or at the real names over TLS."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from simulator.clouds import all_hosts
from simulator.hosts import write_certificate
from tests.system.kept import Kept
from tests.system.microsoft import Microsoft, network_of
from tests.system.stage import Stage

INSIDE = Path(__file__).with_name("inside.py")
RESOLVER = Path(__file__).with_name("resolver")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return write_certificate(tmp_path_factory.mktemp("tls"))


def main_job(stage: Stage, microsoft: Microsoft, **clouds: str) -> None:
    """By `ump`, which needs no network to reach the portal; for a customer in each of the clouds."""
    for name, cloud in clouds.items():
        customer = microsoft.customer(name, users=40, groups=4, cloud=cloud)
        added = stage.ump(
            *("tenants", "add", name, "--secret-stdin", "--entra-tenant-id", customer.tenant_id),
            *("--client-id", customer.client_id, "--cloud", cloud),
            stdin=customer.secret + "\n",
        )
        kept = Kept(stage, customer, added["id"])
        kept.in_step()
        customer.control("PATCH", "/users/%233", {"jobTitle": "Captain"})
        assert stage.ump("replicate", name, "--wait")["result"]["users"]["changed"] == 1
        kept.is_the_same()
        assert customer.history("unknown_request") == []


def test_another_stand_in_over_tls(
    make_stage: Callable[..., Any], tmp_path: Path, certificate: tuple[Path, Path]
) -> None:
    with Microsoft(tmp_path / "simulator.log", certificate=certificate) as other:
        assert other.url.startswith("https://")
        given = {"M365_GATEWAY_URL": other.url, "M365_CA_BUNDLE": str(certificate[0])}
        with make_stage("gateway", given) as stage:
            main_job(stage, other, Contoso="global")


def test_the_real_names_over_tls(
    make_stage: Callable[..., Any], tmp_path: Path, certificate: tuple[Path, Path]
) -> None:
    set_up = _private_network if _may_have_a_network() else _own_resolver
    print(f"by {set_up.__name__}")
    with set_up(make_stage, tmp_path, certificate) as (stage, microsoft):
        for name in ("web", "worker"):
            assert "M365_GATEWAY_URL" not in stage.running(name).environment
        main_job(stage, microsoft, Contoso="global", Fabrikam="gcc_high")


def _may_have_a_network() -> bool:
    return os.geteuid() == 0 and not subprocess.run(["unshare", "-mn", "true"], check=False).returncode


Pairs = Iterator[tuple[Stage, Microsoft]]


@contextlib.contextmanager
def _private_network(
    make_stage: Callable[..., Any], directory: Path, certificate: tuple[Path, Path]
) -> Pairs:
    """A network with nothing in it but this machine, where the names stand in /etc/hosts."""
    hosts = directory / "hosts"
    hosts.write_text("".join(f"127.0.0.1 {name}\n" for name in ("localhost", *all_hosts())))
    prefix = ("unshare", "-mn", "--", sys.executable, str(INSIDE), str(hosts))
    given = {"REQUESTS_CA_BUNDLE": str(certificate[0])}
    with make_stage("network", given, prefix=prefix) as stage, network_of(stage.pid) as there:
        log = directory / "simulator.log"
        with Microsoft(log, certificate=certificate, port=443, there=there) as microsoft:
            yield stage, microsoft


@contextlib.contextmanager
def _own_resolver(make_stage: Callable[..., Any], directory: Path, certificate: tuple[Path, Path]) -> Pairs:
    """Where only the owner of the machine may make networks: Python is told where the names lead."""
    with Microsoft(directory / "simulator.log", certificate=certificate) as microsoft:
        given = {
            "REQUESTS_CA_BUNDLE": str(certificate[0]),
            "PYTHONPATH": str(RESOLVER),
            "RESOLVED_HOSTS": ",".join(all_hosts()),
            "RESOLVED_PORT": microsoft.url.rpartition(":")[2],
        }
        with make_stage("resolver", given) as stage:
            yield stage, microsoft
