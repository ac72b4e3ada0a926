"""Cursor pages: complete, stable, bound to their list, and as cheap for three rows as for one."""

import base64
import json

import pytest
from django.core import signing
from django.db import connection
from django.test.utils import CaptureQueriesContext

from api.pagination import SALT
from replication import services as queue
from tenants import scope
from tenants.abilities import Role
from tenants.access import SYSTEM
from tenants.models import Tenant
from tests.api.conftest import SKU, Api, ApiMaker, add_group, add_sku, add_user
from tests.cast import Cast


@pytest.fixture
def base(cast: Cast) -> str:
    """Contoso with seven users; two share a name."""
    for name in ("Ann", "Bea", "Cem", "Dan", "Eva", "Flo"):
        add_user(cast.contoso, name)
    add_user(cast.contoso, "dan")
    return f"tenants/{cast.contoso.id}"


def walk(api: Api, path: str, towards: str = "next") -> list[list[str]]:
    pages, url = [], path
    while url:
        answer = api.get(url)
        assert answer.status == 200, answer.text
        pages.append([row["user_principal_name"][:3] for row in answer.json["results"]])
        url = answer.json[towards] or ""
    return pages


def test_forth_and_back(api: Api, base: str) -> None:
    pages = walk(api, f"{base}/users?limit=3")
    assert pages == [["ann", "bea", "cem"], ["dan", "dan", "eva"], ["flo"]]
    last = api.get(f"{base}/users?limit=3").json["next"]
    last = api.get(last).json["next"]
    assert walk(api, last, "previous") == [["flo"], ["dan", "dan", "eva"], ["ann", "bea", "cem"]]


def test_downwards(api: Api, base: str) -> None:
    assert walk(api, f"{base}/users?limit=4&order=-name") == [
        ["flo", "eva", "dan", "dan"],
        ["cem", "bea", "ann"],
    ]


def test_a_page_that_ends_exactly(api: Api, base: str) -> None:
    assert [len(page) for page in walk(api, f"{base}/users?limit=7")] == [7]
    assert api.get(f"{base}/users?limit=200").json["next"] is None


@pytest.mark.parametrize("order", ["name", "-created_at", "changed_at", "-licensed_users"])
def test_one_by_one_in_every_order(api: Api, cast: Cast, order: str) -> None:
    whole = [row["id"] for row in api.get(f"tenants?order={order}").json["results"]]
    url, found = f"tenants?order={order}&limit=1", []
    while url:
        answer = api.get(url).json
        found += [row["id"] for row in answer["results"]]
        url = answer["next"] or ""
    assert found == whole
    assert len(whole) == 2


def test_rows_that_come_meanwhile_repeat_nothing(api: Api, cast: Cast, base: str) -> None:
    first = api.get(f"{base}/users?limit=3").json
    add_user(cast.contoso, "Abe")
    second = api.get(first["next"]).json
    assert [row["display_name"].lower() for row in second["results"]] == ["dan", "dan", "eva"]


def test_filters_stay_in_the_link(api: Api, base: str) -> None:
    found = api.get(f"{base}/users?limit=1&search=dan").json
    assert len(api.get(found["next"]).json["results"]) == 1
    assert walk(api, f"{base}/users?limit=1&search=dan") == [["dan"], ["dan"]]


def test_other_orders(api: Api, cast: Cast) -> None:
    for number in range(3):
        api.post("tenants", {"name": f"Northwind {number}"})
    for order in (
        "name",
        "-name",
        "created_at",
        "-created_at",
        "changed_at",
        "licensed_users",
        "-licensed_users",
    ):
        names, url = [], f"tenants?limit=2&order={order}"
        while url:
            page = api.get(url).json
            names += [row["name"] for row in page["results"]]
            url = page["next"]
        assert sorted(names) == ["Contoso", "Fabrikam", "Northwind 0", "Northwind 1", "Northwind 2"], order


def cursor_of(api: Api, path: str) -> str:
    return str(api.get(path).json["next"]).split("cursor=")[1].split("&")[0]


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[:-1] + ("A" if text[-1] != "A" else "B"),
        lambda text: "A" + text,
        lambda text: text.split(":")[0],
        lambda text: "",
        lambda text: "%00",
        lambda text: "x" * 5000,
        lambda text: base64.urlsafe_b64encode(json.dumps(["", False, ["a", "b"]]).encode()).decode() + ":a:b",
        lambda text: signing.dumps(["", False, ["a"]], salt="another"),
        lambda text: signing.dumps({"a": 1}, salt=SALT),
        lambda text: signing.dumps(7, salt=SALT),
    ],
)
def test_a_cursor_that_was_tampered_with(api: Api, base: str, damage: object) -> None:
    text = cursor_of(api, f"{base}/users?limit=3").replace("%3A", ":")
    answer = api.get(f"{base}/users?limit=3&cursor={damage(text)}")  # type: ignore[operator]  # a lambda
    assert (answer.status, answer.fields) == (422, {"cursor"})


def test_a_cursor_belongs_to_its_list_filters_order_and_caller(
    api: Api, api_of: ApiMaker, cast: Cast, base: str
) -> None:
    text = cursor_of(api, f"{base}/users?limit=3")
    assert api.get(f"{base}/users?cursor={text}&limit=5").status == 200
    for path in (
        f"{base}/users?cursor={text}&order=-name",
        f"{base}/users?cursor={text}&search=a",
        f"{base}/groups?cursor={text}",
        f"tenants/{cast.fabrikam.id}/users?cursor={text}",
    ):
        assert api.get(path).fields == {"cursor"}, path
    assert api_of(Role.MONITOR).get(f"{base}/users?cursor={text}").fields == {"cursor"}


# --- Query counts -------------------------------------------------------------------------------------------
def grow(cast: Cast, number: int) -> None:
    """The nth of everything that is listed."""
    user = add_user(cast.contoso, f"User {number}", sku_ids=[SKU])
    add_group(cast.contoso, f"Group {number}", [user])
    add_group(cast.contoso, f"Outer {number}", [user])
    add_sku(cast.contoso, f"SKU_{number}", SKU if number == 0 else user.object_id)
    tenant = Tenant.objects.none if number < 0 else None
    assert tenant is None
    with scope.one(cast.contoso.id):
        queue.submit(SYSTEM, "sync", cast.contoso, target=f"t{number}")
        queue.pause_tenant(SYSTEM, cast.contoso, paused=False)


LISTS = [
    "tenants",
    "commands",
    "audit",
    "tokens",
    "T/commands",
    "T/users",
    "T/groups",
    "T/licences",
    "T/groups/G/members",
]


@pytest.mark.parametrize("path", LISTS)
def test_query_counts_do_not_grow_with_rows(api: Api, api_of: ApiMaker, cast: Cast, path: str) -> None:
    grow(cast, 0)
    group = add_group(cast.contoso, "Everybody", [add_user(cast.contoso, "One")])
    whole = path.replace("T", f"tenants/{cast.contoso.id}").replace("G", str(group.object_id))
    api.get(whole)
    with CaptureQueriesContext(
        connection,
    ) as few:
        before = api.get(whole)
    for number in (1, 2):
        grow(cast, number)
        api_of(Role.MONITOR)
        add_more(cast, group.object_id, number)
    with CaptureQueriesContext(connection) as many:
        after = api.get(whole)
    assert (before.status, after.status) == (200, 200), after.text
    assert len(after.json["results"]) > len(before.json["results"]) or path == "tenants"
    assert len(many) == len(few), "\n".join(query["sql"] for query in many.captured_queries)


def add_more(cast: Cast, group_id: object, number: int) -> None:
    from directory.models import GroupMember, MemberType

    user = add_user(cast.contoso, f"Member {number}")
    with scope.one(cast.contoso.id):
        GroupMember.objects.create(
            tenant_id=cast.contoso.id,
            group_id=group_id,
            member_id=user.object_id,
            member_type=MemberType.USER,
        )
