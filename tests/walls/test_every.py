"""Who opens the scope of every customer, and why, written down: a scope that was widened is a changed line.

    .venv/bin/python -m tests.walls.test_every > tests/walls/every.txt

Work for one customer asks for that customer's rows as well, so nothing that can be seen changes when its scope is
widened by mistake: only the second and third wall are gone. Somebody has to mean it.
"""

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).resolve().parent.parent.parent
LIST = Path(__file__).with_name("every.txt")
WIDE = re.compile(r'\bscope\.(?:every(?:_in_sight)?\(\s*([^()]*?),?\s*\)|glance\(\s*("[^"]*"))')
NO_PRODUCT = {"tests", "bench", "simulator", "docs", "deploy", "var"}


def lines() -> Iterator[str]:
    """`file: why`, once for each place."""
    for room in sorted(HERE.iterdir()):
        if room.name not in NO_PRODUCT and (room / "__init__.py").exists():
            for path in sorted(room.rglob("*.py")):
                for why, at_a_glance in WIDE.findall(path.read_text(encoding="utf-8")):
                    yield f"{path.relative_to(HERE).as_posix()}: {why or at_a_glance}"


def test_whoever_sees_every_customer_is_written_down() -> None:
    written, found = Counter(LIST.read_text(encoding="utf-8").splitlines()), Counter(lines())
    told = [f"- {one}" for one in (written - found).elements()] + [
        f"+ {one}" for one in (found - written).elements()
    ]
    assert not told, "\n".join(
        ["if this is meant: python -m tests.walls.test_every > tests/walls/every.txt", *told]
    )


if __name__ == "__main__":
    print("\n".join(sorted(lines())))
