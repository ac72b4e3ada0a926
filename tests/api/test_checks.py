"""/tenants/{id}/connection/permissions, roles, checks."""

from typing import Any

import pytest

from core.errors import UmpError
from m365.permissions import Held
from tenants.abilities import Role
from tests.api.conftest import Api, ApiMaker
from tests.authstatus.test_check_pages import CALL, PERMISSION, ROLE, Found, keep
from tests.cast import Cast
from tests.pages.helpers import verified


@pytest.fixture
def base(cast: Cast) -> str:
    """Contoso, which lost a permission and has one and a role too many."""
    verified(cast.contoso)
    refused = dict(UmpError.of("permission_missing", permission="x").to_dict())
    keep(
        cast.contoso,
        Found(PERMISSION, "GroupMember.Read.All", Held.MISSING),
        Found(CALL, "groups", Held.MISSING, refused),
        Found(PERMISSION, "Mail.Send", Held.EXTRA),
        Found(ROLE, "User Administrator", Held.EXTRA),
        but=("GroupMember.Read.All", "groups"),
    )
    return f"tenants/{cast.contoso.id}/connection"


def rows(api: Api, path: str) -> list[dict[str, Any]]:
    answer = api.get(path)
    assert answer.status == 200, answer.text
    return list(answer.json["results"])


def test_each_permission_and_call(api: Api, base: str) -> None:
    missing = rows(api, f"{base}/permissions?state=missing")
    assert [(row["kind"], row["name"]) for row in missing] == [
        ("permission", "GroupMember.Read.All"),
        ("call", "groups"),
    ]
    assert missing[1]["problem"]["code"] == "permission_missing"
    assert missing[1]["purpose"] == "Read groups and their members"
    page = api.get(f"{base}/permissions?limit=3").json
    assert len(page["results"]) == 3
    assert page["next"]


def test_roles_say_what_they_are_for(api: Api, base: str) -> None:
    (role,) = rows(api, f"{base}/roles")
    assert (role["name"], role["state"], role["stage"]) == ("User Administrator", "extra", "Onboarding")
    assert role["for_new_site"] is True
    assert "May be removed" in role["condition"]


def test_the_history_says_what_came_and_went(api: Api, base: str) -> None:
    newest, first = rows(api, f"{base}/checks")
    assert {(each["name"], each["now"]) for each in newest["drift"]} == {
        ("GroupMember.Read.All", "not there"),
        ("Mail.Send", "there"),
    }
    assert (first["result_text"], first["drift"]) == ("Successful", [])
    assert rows(api, f"{base}/checks?result=no_token") == []


def test_others_see_nothing(api_of: ApiMaker, cast: Cast, base: str) -> None:
    foreign = api_of(Role.CUSTOMER_ADMIN, cast.fabrikam)
    for name in ("permissions", "roles", "checks"):
        assert foreign.get(f"{base}/{name}").status == 404
    assert rows(api_of(Role.CUSTOMER_MONITOR, cast.contoso), f"{base}/roles")
