"""Makes the secrets that docker-compose.yml mounts: `python deploy/make_secrets.py [DIRECTORY]`.

Each is made once and never changed. The directory is closed to everybody else (0700); the files inside can be
read by any account, since the containers run as several.
"""

import secrets
import sys
from pathlib import Path

from ump_portal.keys import key_files


def make(directory: Path) -> None:
    """Write what is missing in `directory`."""
    key_files(directory)
    password = {
        name: _once(directory / f"{name}_password", secrets.token_urlsafe(32))
        for name in ("postgres", "ump_owner", "ump_app", "redis")
    }
    _once(directory / "database_url", f"postgres://ump_app:{password['ump_app']}@postgres/ump")
    _once(directory / "database_owner_url", f"postgres://ump_owner:{password['ump_owner']}@postgres/ump")
    _once(directory / "broker_url", f"redis://:{password['redis']}@redis:6379/0")
    _once(directory / "redis.conf", f"requirepass {password['redis']}\n")
    for path in directory.iterdir():
        path.chmod(0o444)


def _once(path: Path, content: str) -> str:
    """What stands in the file; `content` when it is new."""
    if not path.exists():
        path.touch(mode=0o600)
        path.write_text(content)
    return path.read_text()


if __name__ == "__main__":
    make(Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).with_name("secrets")))
