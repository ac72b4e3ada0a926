"""Pages read in parts: the same objects and links as in one piece, whatever the objects hold."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from core.errors import UmpError
from m365 import replies

HOST = "graph.example"
SNARES = st.sampled_from(['},{"id":', '"value":[', ']}', '"', "\\", "\0", "}", "é", ","])  # fmt: skip
TEXT = st.lists(SNARES | st.text(max_size=3), max_size=4).map("".join)
ID = TEXT.filter(lambda text: bool(text.replace("\0", "")))
INNER = st.lists(st.fixed_dictionaries({"id": ID}), max_size=3)
OBJECTS = st.lists(st.fixed_dictionaries({"id": ID}, optional={"value": INNER, "name": TEXT}), max_size=12)
BESIDE = st.dictionaries(st.sampled_from(["@odata.nextLink", "@odata.count", "a"]), ID, max_size=2)


def in_parts(content: bytes, part: int) -> tuple[replies.Page, list[int]]:
    sizes: list[int] = []

    def turn(objects: list[dict[str, Any]]) -> list[dict[str, Any]]:
        sizes.append(len(objects))
        return objects

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(replies, "PART", part)
        return replies.read_in_parts(content, HOST, turn), sizes


@given(BESIDE, OBJECTS, BESIDE, st.integers(1, 200))
@example({"a": '{"value":['}, [{"id": "1", "value": [{"id": "2"}, {"id": "3"}]}] * 9, {}, 1)
def test_a_page_in_parts_is_the_page(
    before: dict[str, str], objects: list[dict[str, Any]], after: dict[str, str], part: int
) -> None:
    content = orjson.dumps({**before, "value": objects, **after})
    whole = replies.read_page(replies.json_object(content, HOST), HOST)

    assert in_parts(content, part)[0] == whole


def test_never_more_than_a_part_of_a_page_is_there_at_once() -> None:
    content = orjson.dumps({"value": [{"id": str(n), "name": "x" * 90} for n in range(999)]})
    page, sizes = in_parts(content, 10_000)

    assert len(page.value) == sum(sizes) == 999
    assert max(sizes) == pytest.approx(100, abs=20)


@pytest.mark.parametrize("left", [0.99, 0.5, 0.01])
def test_half_a_page_is_none(left: float) -> None:
    content = orjson.dumps({"value": [{"id": str(n)} for n in range(200)], "@odata.nextLink": "https://x"})

    with pytest.raises(UmpError, match="broken or was cut off"):
        in_parts(content[: int(len(content) * left)], 100)
