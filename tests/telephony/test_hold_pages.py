"""Pages of ranges, reservations and blocks: how many and which before anything is done, and who may."""

import csv
import datetime as dt
import io
from collections.abc import Callable

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import User
from telephony import holds, ranges
from telephony.landing import key
from telephony.models import NumberHold, NumberRange
from tenants import scope
from tests.cast import CANARY_FABRIKAM, Cast
from tests.pages.helpers import change, post, text_of, url
from tests.telephony.making import add_number, add_person
from tests.telephony.test_ranges import add_range, block, reserve

SignIn = Callable[[User], Client]
pytestmark = pytest.mark.django_db


@pytest.fixture
def base(cast: Cast) -> str:
    """Ten numbers of Contoso, the first one somebody's."""
    tenant = cast.contoso
    add_number(tenant, "+41589061000", add_person(tenant, "Ada Lovelace", "+41589061000"))
    for last in range(1, 10):
        add_number(tenant, f"+4158906100{last}")
    return url(tenant, "numbers/")


def held(cast: Cast) -> dict[str, tuple[str, str, str]]:
    with scope.one(cast.contoso.id):
        return {str(row): (row.kind, row.holder, row.note) for row in NumberHold.objects.all()}


def ids(cast: Cast, *ends: int) -> list[str]:
    return [key(f"+4158906100{end}") for end in ends]


def test_ticked_numbers_are_reserved_after_it_was_said_which(
    cast: Cast, base: str, client_of: SignIn
) -> None:
    client = client_of(cast.adam)
    block(cast.contoso, "+41589061002")
    asked = post(client, f"{base}reserve/", {"id": ids(cast, 0, 1, 2)}, 200).content.decode()
    for words in (
        "Reserve 2 numbers?",
        "+41589061000 (Ada Lovelace)",
        "1 will be left out",
        "blocked already",
    ):
        assert words in asked, words
    assert set(held(cast)) == {"+41589061002"}, "a question changes nothing"
    wrong = post(client, f"{base}reserve/", {"id": ids(cast, 1), "confirm": "1", "holder": ""}, 422)
    assert "required" in wrong.content.decode()
    tomorrow = timezone.now().date() + dt.timedelta(days=1)
    given = {
        "id": ids(cast, 0, 1, 2),
        "confirm": "1",
        "holder": "Sales",
        "until": str(tomorrow),
        "note": "May",
    }
    post(client, f"{base}reserve/", given)
    assert held(cast)["+41589061001"] == ("reserved", "Sales", "May")
    shown = text_of(client, base)
    assert "2 numbers are reserved." in shown
    assert "+41589061002 was left out: it is blocked already." in shown
    assert f"Reserved for Sales until {tomorrow + dt.timedelta(days=1):%d %b %Y} by Adam (May)" in shown
    assert "A user has it. Reserved for Sales" in shown
    assert "<small>reserved</small>" in shown
    post(client, f"{base}release/", {"id": ids(cast, 0, 1, 2, 3), "confirm": "1"})
    assert held(cast) == {}


def test_all_that_match_are_counted_and_named(cast: Cast, base: str, client_of: SignIn) -> None:
    client = client_of(cast.olga)
    asked = text_of(client, f"{base}block/?state=free")
    assert "Block 9 numbers?" in asked
    assert asked.count('name="id"') == 9
    assert "+41589061000" not in asked
    assert "All 9 that match:" in text_of(client, f"{base}?state=free")
    assert "Block 1 number?" in text_of(client, f"{base}block/?number={ids(cast, 4)[0]}")
    post(client, f"{base}block/?state=free", {"id": ids(cast, 4), "confirm": "1", "reason": "faulty"})
    assert held(cast) == {"+41589061004": ("blocked", "", "faulty")}
    assert text_of(client, f"{base}?state=blocked").count('<th scope="row">') == 1


def test_who_may_not_sees_no_button_and_gets_nowhere(cast: Cast, base: str, client_of: SignIn) -> None:
    vera = client_of(cast.vera)
    assert "Reserve" not in text_of(vera, base).replace("Reserved", "").replace("Reservations", "")
    text_of(vera, f"{base}reserve/", 403)
    text_of(client_of(cast.adam), f"{base}ranges/add/", 403)
    change(cast.contoso, licensed_users=0)
    told = text_of(client_of(cast.adam), f"{base}holds/")
    assert "Needs a Users licence" in told
    assert "holds/reserve/" not in told
    given = {"first": "+41589061001", "holder": "Sales"}
    answer = post(client_of(cast.adam), f"{base}holds/reserve/", given, 422).content.decode()
    assert "DID management is not offered to this customer" in answer


def test_by_hand_also_what_microsoft_does_not_know(cast: Cast, base: str, client_of: SignIn) -> None:
    add_range(cast.contoso, "+41589062000", "+41589062099")
    client = client_of(cast.adam)
    given = {"first": "+41589062010", "last": "+41589062019", "reason": "fax"}
    post(client, f"{base}holds/block/", given)
    assert held(cast) == {"+41589062010 to +41589062019": ("blocked", "", "fax")}
    again = post(client, f"{base}holds/block/", given, 422).content.decode()
    assert "is blocked already" in again
    shown = text_of(client, f"{base}holds/?q=%2B41589062015")
    assert "to +41589062019, 10 numbers" in shown
    lines = b"".join(client.get(f"{base}holds/export.csv").streaming_content).decode("utf-8-sig")  # type: ignore[attr-defined]
    assert [row[:4] for row in csv.reader(io.StringIO(lines))][1] == [
        "+41589062010", "+41589062019", "10", "Blocked",
    ]  # fmt: skip
    with scope.one(cast.contoso.id):
        row = holds.of_tenant(cast.contoso).get()
    assert "Blocked by Adam: fax." in text_of(client, f"{base}holds/{row.uid}/release/")
    post(client, f"{base}holds/{row.uid}/release/", {})
    assert held(cast) == {}


def test_for_ever_is_said_by_an_empty_field(cast: Cast, base: str, client_of: SignIn) -> None:
    given = {"first": "+41589061003", "holder": "Sales", "until": "9999-12-31"}
    add_range(cast.contoso, "+41589061000", "+41589061009")
    said = post(client_of(cast.adam), f"{base}holds/reserve/", given, 422).content.decode()
    assert "leave this empty for a reservation without end" in said
    assert held(cast) == {}


@pytest.mark.parametrize("search", ["0589061000²", "1200²4412", "①②③④⑤⑥", "٠٥٨٩٠٦١"])
def test_signs_that_are_nearly_digits_are_words(
    cast: Cast, base: str, client_of: SignIn, search: str
) -> None:
    block(cast.contoso, "+41589061002")
    for page in ("holds/", "ranges/", ""):
        text_of(client_of(cast.adam), f"{base}{page}?q={search}")


def test_ranges_are_added_changed_and_removed(cast: Cast, base: str, client_of: SignIn) -> None:
    client = client_of(cast.olga)
    base += "ranges/"
    assert "No number ranges yet" in text_of(client, base)
    given = {"name": "Zurich", "kind": "directRouting", "first": "+41589061000", "last": "+41589061009"}
    post(client, f"{base}add/", given)
    shown = text_of(client, base)
    for words in ("to +41589061009, 10 numbers", "Numbers left", "Direct Routing"):
        assert words in shown, words
    assert (
        "a range here: the range Zurich has"
        in post(client, f"{base}add/", {**given, "name": "Twin"}, 422).content.decode()
    )
    with scope.one(cast.contoso.id):
        row = NumberRange.objects.get()
    of_range = text_of(client, f"{url(cast.contoso, 'numbers/')}?range={row.uid}&state=assigned")
    assert of_range.count('<th scope="row">') == 1
    assert "Range: Zurich" in of_range
    changed = {**given, "last": "+41589061000", "version": "1"}
    post(client, f"{base}{row.uid}/change/", changed)
    assert "Used up" in text_of(client, base)
    assert "Nearly used up:" in text_of(client, url(cast.contoso, "numbers/"))
    assert (
        "Somebody changed Zurich" in post(client, f"{base}{row.uid}/change/", changed, 422).content.decode()
    )
    lines = b"".join(client.get(f"{base}export.csv").streaming_content).decode("utf-8-sig")  # type: ignore[attr-defined]
    assert [row[:7] for row in csv.reader(io.StringIO(lines))][1] == [
        "Zurich", "+41589061000", "+41589061000", "Direct Routing", "", "1", "0",
    ]  # fmt: skip
    assert "Remove Zurich?" in text_of(client, f"{base}{row.uid}/remove/")
    post(client, f"{base}{row.uid}/remove/", {})
    with scope.one(cast.contoso.id):
        assert not ranges.of_tenant(cast.contoso).exists()


def test_nothing_of_another_customer_is_shown(cast: Cast, base: str, client_of: SignIn) -> None:
    other = add_range(cast.fabrikam, "+41589069000", name=CANARY_FABRIKAM, note=CANARY_FABRIKAM)
    reserve(cast.fabrikam, "+41589069000", holder=CANARY_FABRIKAM)
    client = client_of(cast.otto)
    for part in ("", "ranges/", "holds/"):
        assert CANARY_FABRIKAM not in text_of(client, base + part)
    given = {"name": "Mine", "kind": "directRouting", "first": "+41589069000"}
    answer = post(client, f"{base}ranges/add/", given, 422).content.decode()
    assert "another customer has numbers of it" in answer
    assert CANARY_FABRIKAM not in answer
    assert "Fabrikam" not in answer
    text_of(client, f"{base}ranges/{other.uid}/change/", 404)


@pytest.mark.parametrize("part", ["", "ranges/", "holds/"])
def test_as_many_queries_with_one_row_as_with_three(
    cast: Cast, base: str, client_of: SignIn, part: str
) -> None:
    for start in (1000, 1003, 1006):
        add_range(cast.contoso, f"+4158906{start}", f"+4158906{start + 2}", f"R{start}")
        block(cast.contoso, f"+4158906{start}")
    client = client_of(cast.adam)

    def queries(search: str) -> int:
        with CaptureQueriesContext(connection) as asked:
            text_of(client, f"{base}{part}?q={search}")
        return len(asked)

    queries("")
    few, many = {"": ("61000", "6100"), "ranges/": ("R1000", "R"), "holds/": ("41589061003", "wrong")}[part]
    assert queries(few) == queries(many)
