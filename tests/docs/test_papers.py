"""The papers say what is true: links lead somewhere, examples are generated, decisions are numbered."""

import re
from pathlib import Path

import pytest
from django.conf import settings

from ump_portal.env_example import render

HERE: Path = settings.BASE_DIR
PAPERS = sorted([*HERE.glob("*.md"), *(HERE / "docs").rglob("*.md"), *(HERE / "bench").glob("*.md")])
LINK = re.compile(r"\]\((?!https?://|#)([^)#]+)")


def test_the_example_of_the_environment_is_the_generated_one() -> None:
    assert (HERE / ".env.example").read_text() == render(), "run: ump env-example > .env.example"


@pytest.mark.parametrize("paper", PAPERS, ids=lambda paper: str(paper.relative_to(HERE)))
def test_every_link_leads_somewhere(paper: Path) -> None:
    missing = [link for link in LINK.findall(paper.read_text()) if not (paper.parent / link).exists()]
    assert missing == []


def test_decisions_are_numbered_without_a_gap() -> None:
    notes = sorted((HERE / "docs" / "decisions").glob("0*.md"))
    assert [int(note.name[:4]) for note in notes] == list(range(1, len(notes) + 1))
    for number, note in enumerate(notes, 1):
        assert note.read_text().startswith(f"# {number}. "), note.name


def test_the_house_is_drawn_with_all_its_rooms() -> None:
    drawing = (HERE / "docs" / "architecture.md").read_text()
    ours = [app for app in settings.INSTALLED_APPS if (HERE / app).is_dir()]
    assert len(ours) >= 7
    assert [room for room in [*ours, "core", "m365", "simulator"] if f"{room}/" not in drawing] == []


def test_the_first_screen_of_the_readme_names_both_commands() -> None:
    top = (HERE / "README.md").read_text().splitlines()[:20]
    assert any(line.startswith("make demo") and "bin/demo" in line for line in top)
    assert any(line.startswith("make test") and "bin/test" in line for line in top)
