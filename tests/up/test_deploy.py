"""docker-compose.yml and Dockerfile: no engine runs here, but what they promise can be read."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from core.encryption import Keyring, Pair

CHECKOUT = Path(__file__).parent.parent.parent
COMPOSE: dict[str, Any] = yaml.safe_load((CHECKOUT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name for name, service in SERVICES.items() if "build" in service}


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_every_service_is_stripped_of_rights(name: str) -> None:
    service = SERVICES[name]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["read_only"] is True
    assert service["user"].partition(":")[0] not in {"", "0", "root"}
    assert "privileged" not in service


def test_only_workers_mount_the_key_that_opens_secrets() -> None:
    workers = {"worker", "worker-powershell"}
    assert {name for name, service in SERVICES.items() if "kek" in service.get("secrets", [])} == workers
    holders = {name for name, service in SERVICES.items() if "UMP_KEK_FILE" in service.get("environment", {})}
    assert holders == workers


def test_only_the_migration_may_change_the_schema() -> None:
    holders = {
        name for name, service in SERVICES.items() if "database_owner_url" in service.get("secrets", [])
    }
    assert holders == {"migrate"}


def test_database_and_broker_are_for_the_portal_alone() -> None:
    assert COMPOSE["networks"]["inside"] == {"internal": True}
    for name in ("postgres", "redis"):
        assert SERVICES[name]["networks"] == ["inside"]
        assert "ports" not in SERVICES[name]


def test_what_is_published_is_published_to_this_host_only() -> None:
    for service in SERVICES.values():
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))


def test_everything_that_stays_has_a_health_check() -> None:
    stays = {name for name, service in SERVICES.items() if service["restart"] == "unless-stopped"}
    assert stays == {"web", "worker", "worker-powershell", "beat", "simulator", "postgres", "redis"}
    assert {name for name in stays if "healthcheck" not in SERVICES[name]} == set()


def test_the_portal_waits_for_the_migration() -> None:
    for name in OURS - {"migrate", "simulator"}:
        assert SERVICES[name]["depends_on"]["migrate"]["condition"] == "service_completed_successfully"


def test_every_variable_is_one_that_the_settings_read() -> None:
    read = set(
        re.findall(r'env\.\w+\(\s*"([A-Z0-9_]+)"', (CHECKOUT / "ump_portal" / "settings.py").read_text())
    )
    for name in OURS:
        for variable in SERVICES[name].get("environment", {}):
            known = variable in read or variable.removesuffix("_FILE") in read
            assert known, f"{name}: {variable}"


def test_every_mounted_secret_is_made(tmp_path: Path) -> None:
    script = [sys.executable, str(CHECKOUT / "deploy" / "make_secrets.py"), str(tmp_path / "secrets")]
    for _ in range(2):  # the second run changes nothing
        subprocess.run(script, check=True, cwd=CHECKOUT, env={"PYTHONPATH": str(CHECKOUT)})
        made = {path.name: path.read_text() for path in (tmp_path / "secrets").iterdir()}
    wanted = {Path(secret["file"]).name for secret in COMPOSE["secrets"].values()}
    assert wanted <= set(made)
    assert made["ump_app_password"] in made["database_url"]
    assert made["ump_owner_password"] in made["database_owner_url"]
    assert made["redis_password"] in made["redis.conf"]
    private = Keyring.read(tmp_path / "secrets" / "kek")
    public = Keyring.read(tmp_path / "secrets" / "kek.pub")
    assert Pair.of(private[private.current]).public == public[public.current]
    assert (tmp_path / "secrets").stat().st_mode & 0o777 == 0o700


def test_the_image_takes_every_package_of_the_product_and_no_secret() -> None:
    ignored = (CHECKOUT / ".dockerignore").read_text().splitlines()
    packages = re.search(r"packages = \[(.*?)\]", (CHECKOUT / "pyproject.toml").read_text(), re.S)
    assert packages
    for package in re.findall(r'"(\w+)"', packages[1]):
        assert f"!{package}/" in ignored
    assert ignored[1] == "*"
    assert not [line for line in ignored if "secrets" in line and line.startswith("!") and "make" not in line]


def test_the_image_does_not_run_as_root() -> None:
    lines = (CHECKOUT / "Dockerfile").read_text().splitlines()
    assert any("--require-hashes" in line for line in lines)
    users = [line for line in lines if line.startswith(("FROM ", "USER "))]
    ends = {stage: users[place + 1 : place + 3] for place, stage in enumerate(users)}
    assert ends["FROM ${PYTHON} AS portal"][0] == "USER 10001:10001"
    assert ends["FROM portal AS powershell"] == ["USER root", "USER 10001:10001"]
    assert users[-1] == "FROM portal"


def test_powershell_is_in_one_image_and_only_where_it_is_wanted() -> None:
    stages = re.findall(r"^FROM \S+ AS (\S+)", (CHECKOUT / "Dockerfile").read_text(), re.M)
    for name in OURS:
        assert SERVICES[name]["build"]["target"] == (
            "powershell" if name == "worker-powershell" else "portal"
        )
    assert {"portal", "powershell"} <= set(stages)
    assert SERVICES["worker-powershell"]["profiles"] == ["powershell"]
    assert "--queues=powershell" in SERVICES["worker-powershell"]["command"]
