"""A newer key-encryption key, as a rotation begins with."""

import base64
from pathlib import Path
from typing import Any

from django.conf import settings

from core.encryption import Pair


def put_on_top(configured: Any, folder: Path) -> Pair:
    """New key files: the newer key above those in force. The configuration names them from now on."""
    new = Pair.new()
    for name, value in (("KEK_FILE", new.private), ("KEK_PUBLIC_FILE", new.public)):
        before = Path(getattr(settings, name)).read_text()
        path = folder / f"newer-{name}"
        path.write_text(f"k2 {base64.b64encode(value).decode()}\n{before}")
        setattr(configured, name, str(path))
    return new
