"""The locks hold every package with its hashes, say where nothing comes from, and fit what is installed."""

import importlib.metadata
import re
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

CHECKOUT = Path(__file__).parent.parent.parent
LOCKS = ("requirements.lock", "requirements-dev.lock")
ENTRY = re.compile(
    r"^(?P<name>[a-z0-9-]+)==(?P<version>[^ ]+) \\\n(?P<hashes>(?: +--hash=sha256:[0-9a-f]{64}[^\n]*\n)+)",
    re.M,
)


def locked(name: str) -> dict[str, tuple[str, frozenset[str]]]:
    """Version and hashes by package."""
    found = {}
    for entry in ENTRY.finditer((CHECKOUT / name).read_text()):
        hashes = frozenset(re.findall(r"sha256:[0-9a-f]{64}", entry["hashes"]))
        found[entry["name"]] = (entry["version"], hashes)
    return found


def wanted(name: str) -> list[Requirement]:
    lines = (line.partition("#")[0].strip() for line in (CHECKOUT / name).read_text().splitlines())
    return [Requirement(line) for line in lines if line and not line.startswith("-")]


@pytest.mark.parametrize("name", LOCKS)
def test_every_package_has_its_hashes(name: str) -> None:
    pinned = re.findall(r"^([A-Za-z0-9][^ =]*)==", (CHECKOUT / name).read_text(), re.M)
    assert len(pinned) > 50
    assert sorted(pinned) == sorted(locked(name))


@pytest.mark.parametrize("name", LOCKS)
def test_no_host_and_no_path_is_named(name: str) -> None:
    text = (CHECKOUT / name).read_text()
    assert (
        re.findall(
            r"https?:|file:/|--(?:extra-)?index-url|--find-links|--trusted-host| @ |(?<![\w.-])/\w+", text
        )
        == []
    )


@pytest.mark.parametrize(
    ("source", "lock"), [("requirements.in", LOCKS[0]), ("requirements-dev.in", LOCKS[1])]
)
def test_what_is_asked_for_is_locked(source: str, lock: str) -> None:
    found = locked(lock)
    for requirement in wanted(source):
        version, _ = found[canonicalize_name(requirement.name)]
        assert requirement.specifier.contains(version), requirement


def test_the_tests_run_what_the_product_runs() -> None:
    product, tests = (locked(name) for name in LOCKS)
    assert {name: tests.get(name) for name in product} == product


def test_psycopg_3_stays_out() -> None:
    """Beside it Django would silently stop using psycopg2."""
    assert "psycopg" not in locked(LOCKS[1])
    assert "psycopg2-binary" in locked(LOCKS[0])


def test_what_is_installed_is_what_is_locked() -> None:
    installed = {
        canonicalize_name(distribution.metadata["Name"]): distribution.version
        for distribution in importlib.metadata.distributions()
    }
    # Pip and its kin come with the environment; the environment of somebody else may have newer ones.
    tools = {"pip", "setuptools", "wheel"}
    differ = {
        name: (version, installed.get(name))
        for name, (version, _) in locked(LOCKS[0]).items()
        if name not in tools and installed.get(name) != version
    }
    assert differ == {}
