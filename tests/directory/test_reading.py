"""From Microsoft's objects to rows: every shape that may come, and what must never reach the database."""

import datetime as dt
import threading
import uuid
from typing import Any

import orjson
import pytest

from core.errors import UmpError
from directory.models import LONGEST_SEARCH, DirectoryUser
from directory.sync import jobs, staging
from directory.sync.reading import (
    GROUPS,
    USERS,
    Table,
    changes,
    completed,
    each_once,
    fold,
    lines,
    listed,
    member_lines,
    member_type,
)
from m365 import replies
from m365.graph import Turn
from tenants import scope
from tests.cast import Cast

ID = "aaaaaaaa-0000-4000-8000-00000000000{}"


def user(number: int = 1, **more: Any) -> dict[str, Any]:
    return {
        "id": ID.format(number),
        "displayName": f"User {number}",
        "userPrincipalName": f"u{number}@x.example",
        **more,
    }


def stored(cast: Cast, *objects: dict[str, Any]) -> dict[str, DirectoryUser]:
    with scope.one(cast.contoso.id):
        staging.merge(cast.contoso.id, USERS, lines(USERS, listed(USERS, objects)), write=True)
        return {str(row.object_id): row for row in DirectoryUser.objects.filter(tenant=cast.contoso)}


def test_every_property_arrives(cast: Cast) -> None:
    sku = str(uuid.uuid4())
    row = stored(
        cast,
        user(
            givenName="Zoë",
            surname="Ünal",
            mail="zoe@x.example",
            department="Sales",
            jobTitle="Head",
            companyName="X",
            officeLocation="3.1",
            city="Köln",
            country="Germany",
            usageLocation="DE",
            businessPhones=["+49 221 1", "+49 221 2"],
            mobilePhone="+49 170 1",
            assignedLicenses=[{"skuId": sku, "disabledPlans": []}],
            accountEnabled=False,
            userType="Member",
            onPremisesSyncEnabled=True,
            createdDateTime="2024-02-29T12:00:00Z",
        ),
    )[ID.format(1)]
    assert (row.given_name, row.surname, row.city) == ("Zoë", "Ünal", "Köln")
    assert row.business_phones == "+49 221 1, +49 221 2"
    assert row.sku_ids == [uuid.UUID(sku)]
    assert (row.account_enabled, row.on_premises, row.user_type) == (False, True, "Member")
    assert row.created_at == dt.datetime(2024, 2, 29, 12, tzinfo=dt.UTC)
    assert row.search == "user 1 u1@x.example zoe@x.example"


def test_nulls_are_empty_and_an_unset_account_counts_as_enabled(cast: Cast) -> None:
    row = stored(cast, user(mail=None, businessPhones=None, assignedLicenses=None, createdDateTime=None))[
        ID.format(1)
    ]
    assert (row.mail, row.business_phones, row.sku_ids) == ("", "", [])
    assert (row.account_enabled, row.on_premises, row.created_at) == (True, False, None)


@pytest.mark.parametrize(
    "odd",
    [
        "a\tb",
        "a\nb",
        "a\r\nb",
        "back\\slash",
        "\\N",
        "\\.",
        "\x01",
        "a\0b",
        "'; DROP TABLE x; --",
        "🙂",
        "\u202e",
    ],
)
def test_odd_signs_arrive_as_they_are(cast: Cast, odd: str) -> None:
    row = stored(cast, user(displayName=odd), user(2))[ID.format(1)]
    assert row.display_name == odd.replace("\0", "").replace("\x01", "")


def test_an_odd_sign_alone_in_every_text_at_once(cast: Cast) -> None:
    texts = {field.name: "\x01\\" for field in USERS.fields if field.column not in {"sku_ids", "created_at"}}
    texts = {
        name: value
        for name, value in texts.items()
        if name not in {"accountEnabled", "onPremisesSyncEnabled"}
    }
    row = stored(cast, {**user(), **texts, "businessPhones": ["\t"]})[ID.format(1)]
    assert (row.display_name, row.business_phones, row.search) == ("\\", "\t", "\\")


def test_a_very_long_text_is_cut_and_the_search_text_too(cast: Cast) -> None:
    row = stored(cast, user(displayName="Ä" * 100_000))[ID.format(1)]
    assert len(row.display_name) == 1000
    assert row.display_name.endswith("…")
    assert len(row.search) == LONGEST_SEARCH


@pytest.mark.parametrize(
    "broken",
    [
        {"id": "not-a-guid"},
        {"id": None},
        {"id": 7},
        {"displayName": 5},
        {"displayName": ["x"]},
        {"businessPhones": "+49"},
        {"businessPhones": [1]},
        {"assignedLicenses": ["x"]},
        {"assignedLicenses": [{"skuId": "x"}]},
        {"accountEnabled": "yes"},
        {"createdDateTime": "yesterday"},
        {"createdDateTime": 5},
    ],
)
def test_another_shape_is_a_bad_reply(broken: dict[str, Any]) -> None:
    with pytest.raises(UmpError) as caught:
        listed(USERS, [{**user(), **broken}])
    assert caught.value.code == "bad_reply"


def test_an_object_that_comes_twice_in_a_page_counts_once(cast: Cast) -> None:
    rows = stored(cast, user(displayName="Old"), user(2), user(displayName="New", id=ID.format(1).upper()))
    assert rows[ID.format(1)].display_name == "New"
    assert len(rows) == 2


def test_pieces_of_one_object_are_put_together() -> None:
    found = changes([{"id": ID.format(1), "displayName": "A"}, {"id": ID.format(1), "mail": "a@x.example"}])
    assert found.changed == {ID.format(1): {"id": ID.format(1), "displayName": "A", "mail": "a@x.example"}}


def test_the_later_of_tombstone_and_object_wins() -> None:
    gone = {"id": ID.format(1), "@removed": {"reason": "changed"}}
    assert changes([user(), gone]).removed == {ID.format(1): "changed"}
    assert changes([user(), gone]).changed == {}
    assert changes([gone, user()]).removed == {}
    assert set(changes([gone, user()]).changed) == {ID.format(1)}


def test_what_a_delta_does_not_mention_stays_as_it_was() -> None:
    known = {ID.format(1): [f"old {field.column}" for field in USERS.fields]}
    row = completed(USERS, {ID.format(1): {"id": ID.format(1), "mail": None, "city": "Bonn"}}, known)[
        ID.format(1)
    ]
    values = dict(zip([field.column for field in USERS.fields], row, strict=True))
    assert (values["mail"], values["city"], values["department"]) == ("", "Bonn", "old department")


def test_what_a_delta_does_not_mention_of_a_new_object_is_empty() -> None:
    row = completed(USERS, {ID.format(1): {"id": ID.format(1)}}, {})[ID.format(1)]
    assert row == [field.empty for field in USERS.fields]


@pytest.mark.parametrize(
    ("kind", "word"),
    [
        ("#microsoft.graph.user", "user"),
        ("#microsoft.graph.orgContact", "orgContact"),
        (None, ""),
        (5, ""),
        ("#x.a\tb", ""),
        ("#x." + "y" * 50, ""),
    ],
)
def test_a_members_type_is_a_word_or_nothing(kind: Any, word: str) -> None:
    assert member_type({"@odata.type": kind}) == word


def test_members_of_a_group_that_is_gone_in_the_same_page_are_left_out() -> None:
    group, member = ID.format(1), ID.format(2)
    joined = {
        "id": group,
        "displayName": "G",
        "members@delta": [{"id": member, "@odata.type": "#microsoft.graph.user"}],
    }
    assert changes([joined]).members == {(group, member): "user"}
    assert changes([joined, {"id": group, "@removed": {}}]).members == {}


class OnePage:
    """A client whose list is a single page."""

    def __init__(self, *objects: dict[str, Any]) -> None:
        self.content = orjson.dumps({"value": objects})

    def pages(self, *_: object, turn: Turn) -> list[replies.Page]:
        return [replies.read_in_parts(self.content, "x", turn)]


def test_an_object_in_two_parts_of_a_page_counts_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replies, "PART", 1)
    found: list[Any] = []
    first, last = user(1, city="A\u2028B"), user(1, city="Łódź")

    jobs.read_list("users", "", threading.Event())(OnePage(first, user(2), last), found.append)
    page = found[0]

    assert page.read == 2
    assert page.text == lines(USERS, listed(USERS, [last, user(2)]))


def test_a_member_on_two_pages_of_a_group_counts_once() -> None:
    twice = member_lines([("g", "a", ""), ("g", "b", "user"), ("g", "a", "user")])
    assert each_once(twice, 1) == member_lines([("g", "a", "user"), ("g", "b", "user")])


@pytest.mark.parametrize("broken", ["x", 5, [5], [{"id": "x"}]])
def test_broken_members_are_a_bad_reply(broken: Any) -> None:
    with pytest.raises(UmpError, match="cannot be read"):
        changes([{"id": ID.format(1), "members@delta": broken}])


def test_searching_heeds_neither_capitals_nor_accents() -> None:
    assert fold("Émile ÜNAL") == "emile unal"
    assert fold("Straße") == "strasse"


@pytest.mark.parametrize("table", [USERS, GROUPS])
def test_what_is_selected_is_what_is_read(table: Table) -> None:
    """A property that is read but not asked for would silently stay empty."""
    assert table.select.split(",") == ["id", *dict.fromkeys(field.name for field in table.fields)] or set(
        table.select.split(",")
    ) == {"id", *(field.name for field in table.fields)}
