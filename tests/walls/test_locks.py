"""Foreign keys are checked at the commit, by a lock that FOR UPDATE refuses: nobody takes that."""

import re
from pathlib import Path

from django.conf import settings

HERE: Path = settings.BASE_DIR
STRONG = re.compile(r"select_for_update\((?![^)]*no_key=True)|\bFOR UPDATE\b")
COMMENT = re.compile(r"#.*")
ROOMS = [HERE / app for app in settings.INSTALLED_APPS if (HERE / app).is_dir()]


def test_rows_are_locked_without_their_keys() -> None:
    sources = [path for room in ROOMS for path in room.rglob("*.py") if "migrations" not in path.parts]
    assert len(sources) > 100
    found = [
        f"{path.relative_to(HERE)}:{text.count(chr(10), 0, match.start()) + 1}"
        for path in sources
        for text in [COMMENT.sub("", path.read_text())]
        for match in STRONG.finditer(text)
    ]
    assert found == []
