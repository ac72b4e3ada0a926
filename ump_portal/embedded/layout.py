"""Where an embedded database lives, and which account runs it.

PostgreSQL refuses to run as root. Then it runs as `nobody`: an account that every Debian has, so that none
has to be created; a bare high uid would not do, because `initdb` looks its own name up and stops without
one. That account usually can't enter the checkout (it may lie below root's home), and no permission is
changed on anything we did not create, so as root everything lives under `/var/lib/ump-portal` instead: not
under `/var/tmp`, which is swept, and where others could have put the directory first.
"""

import hashlib
import os
import pwd
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path

from ump_portal.embedded.errors import EmbeddedError

SYSTEM_HOME = Path("/var/lib/ump-portal")
ACCOUNT_NAME = "nobody"
SOCKET_NAME = ".s.PGSQL.5432"
# sockaddr_un.sun_path holds 108 bytes with its closing zero (unix(7)).
SOCKET_PATH_LIMIT = 107


@dataclass(frozen=True)
class Account:
    """The unprivileged account that runs the server when we are root."""

    uid: int
    gid: int


@dataclass(frozen=True)
class Layout:
    """The directories of one embedded database.

    `home` is ours, `data` and `sockets` belong to `account` (to ourselves when it is None).
    """

    home: Path
    sockets: Path
    control: Path
    account: Account | None

    @property
    def data(self) -> Path:
        return self.home / "data"

    @property
    def watch_socket(self) -> Path:
        return self.control / "watch.sock"

    @property
    def start_lock(self) -> Path:
        return self.home / "start.lock"

    @property
    def run_lock(self) -> Path:
        return self.home / "run.lock"

    @property
    def log(self) -> Path:
        return self.home / "postgres.log"

    @property
    def passwords(self) -> Path:
        return self.home / "passwords.json"

    def create(self) -> None:
        """Make what is missing; refuse what somebody else made."""
        if self.account is not None:
            own_directory(SYSTEM_HOME, 0o755)
            own_directory(self.home, 0o711)
        else:
            self.home.parent.mkdir(parents=True, exist_ok=True)
            own_directory(self.home, 0o700)
        own_directory(self.sockets, 0o700, self.account)


def layout_for(data_root: Path) -> Layout:
    """The layout that belongs to `data_root`; nothing is created.

    Raises EmbeddedError when no directory for the sockets has a path that is short enough.
    """
    data_root = data_root.absolute()
    if os.geteuid() != 0:
        sockets = _socket_directory(data_root)
        return Layout(home=data_root, sockets=sockets, control=sockets, account=None)
    home = SYSTEM_HOME / _short_hash(data_root)
    return Layout(home=home, sockets=home / "run", control=home, account=_account())


def own_directory(path: Path, mode: int, account: Account | None = None) -> None:
    """Create `path` for `account`, or check that the one there is ours: a real directory, not a link.

    It appears under its name only when it is whole: who starts at the same moment, or after a kill, never
    meets one that is still root's.
    """
    owner = account or Account(os.geteuid(), os.getegid())
    if not os.path.lexists(path):
        try:
            _put(path, mode, owner)
        except OSError as error:
            if not os.path.lexists(path):  # otherwise somebody else was faster
                raise EmbeddedError(f"{path} cannot be made ({error.strerror}).") from error
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != owner.uid:
        raise EmbeddedError(
            f"{path} is there already and belongs to somebody else. Move it away, then try again."
        )


def _put(path: Path, mode: int, owner: Account) -> None:
    half = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}-"))
    try:
        os.chown(half, owner.uid, owner.gid)
        half.chmod(mode)
        half.rename(path)
    except OSError:
        half.rmdir()
        raise


def _account() -> Account:
    try:
        entry = pwd.getpwnam(ACCOUNT_NAME)
    except KeyError:
        raise EmbeddedError(
            f"PostgreSQL cannot run as root, and this machine has no account '{ACCOUNT_NAME}'. "
            "Run the command as an ordinary user, or set DATABASE_URL."
        ) from None
    return Account(entry.pw_uid, entry.pw_gid)


def _socket_directory(home: Path) -> Path:
    candidates = [home / "run"]
    name = f"ump-{os.geteuid()}-{_short_hash(home)}"
    if runtime := os.environ.get("XDG_RUNTIME_DIR"):
        candidates.append(Path(runtime) / name)
    candidates.append(Path(tempfile.gettempdir()) / name)
    for directory in candidates:
        if len(os.fsencode(directory / SOCKET_NAME)) <= SOCKET_PATH_LIMIT and (
            directory.parent == home or directory.parent.is_dir()
        ):
            return directory
    raise EmbeddedError(
        f"A socket path may have {SOCKET_PATH_LIMIT} bytes, and {home} is longer. "
        "Set TMPDIR to a short directory, or move the checkout."
    )


def _short_hash(path: Path) -> str:
    return hashlib.sha256(os.fsencode(path)).hexdigest()[:12]
