"""/tenants/{id}/users, groups, licences."""

import uuid

import pytest

from tenants.abilities import Ability, Role
from tests.api.conftest import SKU, Api, ApiMaker, add_group, add_sku, add_user
from tests.cast import Cast


@pytest.fixture
def base(cast: Cast) -> str:
    """Contoso with three users, two groups and a licence."""
    lee = add_user(
        cast.contoso, "Lee Gu", department="Sales", sku_ids=[SKU, uuid.UUID(int=7)], user_type="Member"
    )
    ann = add_user(cast.contoso, "Ann Beebe", account_enabled=False, user_type="Member")
    add_user(cast.contoso, "Zoe Guest", user_type="Guest")
    add_user(cast.fabrikam, "Max Foreign")
    inner = add_group(cast.contoso, "Inner", [lee])
    add_group(cast.contoso, "Outer", [lee, ann, inner])
    add_sku(cast.contoso)
    return f"tenants/{cast.contoso.id}"


def names(api: Api, path: str) -> list[str]:
    answer = api.get(path)
    assert answer.status == 200, answer.text
    return [row["display_name"] for row in answer.json["results"]]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", ["Ann Beebe", "Lee Gu", "Zoe Guest"]),
        ("order=-name", ["Zoe Guest", "Lee Gu", "Ann Beebe"]),
        ("search=gu+lee", ["Lee Gu"]),
        ("search=nobody", []),
        ("enabled=false", ["Ann Beebe"]),
        ("department=Sales", ["Lee Gu"]),
        (f"licence={SKU}", ["Lee Gu"]),
        ("type=Guest", ["Zoe Guest"]),
    ],
)
def test_users(api: Api, base: str, query: str, found: list[str]) -> None:
    assert names(api, f"{base}/users?{query}") == found


@pytest.mark.parametrize("query", ["licence=E5", "type=King", "enabled=perhaps", "password=x"])
def test_filters_that_are_none(api: Api, base: str, query: str) -> None:
    field = query.split("=", maxsplit=1)[0]
    answer = api.get(f"{base}/users?{query}")
    assert (answer.status, answer.fields) == (422, {field})


def test_a_user_with_licences_in_words(api: Api, base: str) -> None:
    row = api.get(f"{base}/users?search=lee").json["results"][0]
    assert row["licences"][0] == {"sku_id": str(SKU), "part_number": "MCOEV", "name": "Teams Phone Standard"}
    assert row["licences"][1]["part_number"] == ""
    assert api.get(row["url"]).json == row


def test_groups(api: Api, base: str) -> None:
    assert names(api, f"{base}/groups") == ["Inner", "Outer"]
    assert names(api, f"{base}/groups?kind=Security&search=out") == ["Outer"]
    assert names(api, f"{base}/groups?kind=Distribution") == []
    assert api.get(f"{base}/groups?kind=Club").fields == {"kind"}
    row = api.get(f"{base}/groups?search=outer").json["results"][0]
    assert (row["members"], row["kind"]) == (3, "Security")
    assert api.get(row["url"]).json == row


def test_members(api: Api, base: str) -> None:
    group = api.get(f"{base}/groups?search=outer").json["results"][0]["url"]
    rows = api.get(f"{group}/members").json["results"]
    assert sorted(row["display_name"] for row in rows) == ["Ann Beebe", "Inner", "Lee Gu"]
    assert [row["object_id"] for row in rows] == sorted(row["object_id"] for row in rows)


def test_licences(api: Api, base: str) -> None:
    row = api.get(f"{base}/licences").json["results"][0]
    assert (row["name"], row["enabled"], row["consumed"], row["free"]) == ("Teams Phone Standard", 10, 4, 6)


def test_foreign_absent_and_malformed_are_the_same(api_of: ApiMaker, cast: Cast, base: str) -> None:
    lee = uuid.uuid5(cast.contoso.id, "Lee Gu")
    inner = uuid.uuid5(cast.contoso.id, "Inner")
    foreign = api_of(Role.CUSTOMER_ADMIN, cast.fabrikam)
    for path in ("users", f"users/{lee}", "groups", f"groups/{inner}", f"groups/{inner}/members", "licences"):
        assert foreign.get(f"{base}/{path}").status == 404
        if "/" in path:
            assert foreign.get(f"tenants/{cast.fabrikam.id}/{path}").status == 404
    provider = api_of()
    for path in ("users/x", f"users/{uuid.uuid4()}", f"groups/{uuid.uuid4()}", f"groups/{lee}/members"):
        assert provider.get(f"{base}/{path}").code == "not_found"


def test_the_ability(api_of: ApiMaker, base: str) -> None:
    api = api_of(scopes=[Ability.VIEW_TENANT])
    for path in ("users", "groups", "licences"):
        assert api.get(f"{base}/{path}").status == 403
