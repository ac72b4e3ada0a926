"""The key files of one installation, made once (DESIGN 7, core/encryption.py says what is in them).

`python -m ump_portal.keys DIRECTORY` makes them for a deployment by hand.
"""

import base64
import contextlib
import os
import secrets
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from core.encryption import KEY_BYTES, Keyring, Pair


@dataclass(frozen=True)
class KeyFiles:
    """Paths: `kek` is for workers only, `kek_public` and `web` for web and workers, `secret` is Django's."""

    kek: Path
    kek_public: Path
    web: Path
    secret: Path

    def shared(self) -> dict[str, str]:
        """The variables that every process of the portal needs."""
        return {
            "SECRET_KEY": self.secret.read_text().strip(),
            "UMP_KEK_PUBLIC_FILE": str(self.kek_public),
            "UMP_WEB_KEY_FILE": str(self.web),
        }

    def workers(self) -> dict[str, str]:
        """What only workers may have besides: with it, secrets of customers can be opened."""
        return {"UMP_KEK_FILE": str(self.kek)}


def key_files(directory: Path) -> KeyFiles:
    """The files in `directory` (mode 0700), each made when it is missing, none ever changed.

    Raises core.encryption.KeyMissing when a file that is there cannot be read.
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    files = KeyFiles(
        kek=directory / "kek",
        kek_public=directory / "kek.pub",
        web=directory / "web.key",
        secret=directory / "secret_key",
    )
    _make(files.kek, _line(f"kek-{secrets.token_hex(4)}", os.urandom(KEY_BYTES)))
    _make(files.web, _line(f"web-{secrets.token_hex(4)}", os.urandom(KEY_BYTES)))
    _make(files.secret, secrets.token_urlsafe(48) + "\n")
    _make(files.kek_public, "".join(_public_lines(files.kek)))
    return files


def _public_lines(kek: Path) -> Iterator[str]:
    ring = Keyring.read(kek)
    for line in kek.read_text(encoding="ascii").splitlines():
        name = line.partition(" ")[0]
        yield _line(name, Pair.of(ring[name]).public)


def _line(name: str, key: bytes) -> str:
    return f"{name} {base64.b64encode(key).decode('ascii')}\n"


def _make(path: Path, content: str) -> None:
    """Write a file that only its owner can read, and nobody change; whole or not at all."""
    if path.exists():
        return
    half = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(half, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400)
    with os.fdopen(descriptor, "w") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    try:
        with contextlib.suppress(FileExistsError):  # another start was faster: its key is the key
            os.link(half, path)
    finally:
        half.unlink()


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit("Usage: python -m ump_portal.keys DIRECTORY")
    key_files(Path(sys.argv[1]))


if __name__ == "__main__":
    main()
