"""Foreign keys are checked at the commit, by a lock that FOR UPDATE refuses: nobody takes that.

And what a person can remove between the look and the lock is told in words, not by an exception of the database's.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from django.conf import settings

HERE: Path = settings.BASE_DIR
STRONG = re.compile(r"select_for_update\((?![^)]*no_key=True)|\bFOR UPDATE\b")
TAKEN_FOR_GRANTED = re.compile(
    r"(\w+)\s*\.objects\s*\.select_for_update\([^)]*\)\)?(?:\s*\.\w+\([^()]*\))*?\s*\.get\("
)
STAY = {
    "Brand", "Design", "Invitation", "InvitationMail", "Plan", "ProviderApp", "Run", "Tenant",
    "TenantKey", "User",
}  # fmt: skip
"""Nobody removes them while somebody may write them: a customer goes with everything, a design after its command."""
COMMENT = re.compile(r"#.*")
ROOMS = [HERE / app for app in settings.INSTALLED_APPS if (HERE / app).is_dir()]


def test_rows_are_locked_without_their_keys() -> None:
    assert [where for where, _ in everywhere(STRONG)] == []


def test_what_can_be_removed_is_not_taken_for_granted() -> None:
    found = list(everywhere(TAKEN_FOR_GRANTED))
    assert {match[1] for _, match in found} >= {"Tenant", "Invitation", "Run"}
    assert [where for where, match in found if match[1] not in STAY] == [], "accounts.taken.still_there"


def everywhere(pattern: re.Pattern[str]) -> Iterator[tuple[str, re.Match[str]]]:
    sources = [path for room in ROOMS for path in room.rglob("*.py") if "migrations" not in path.parts]
    assert len(sources) > 100
    for path in sources:
        text = COMMENT.sub("", path.read_text())
        for match in pattern.finditer(text):
            yield f"{path.relative_to(HERE)}:{text.count(chr(10), 0, match.start()) + 1}", match
