"""Permissions and directory roles, given and taken one by one, as tokens and readers see them."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.simulator.client import Visitor

Visit = Callable[..., Visitor]
TEAMS = "69091246-20e8-4a56-aa4d-066075b2a7a8"
GLOBAL = "62e90394-69f5-4237-9190-012177145e10"
READERS = ["Application.Read.All", "RoleManagement.Read.Directory", "Directory.Read.All"]


def claims(token: str) -> dict[str, Any]:
    part = token.split(".")[1]
    return dict(json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))))


def roles(visitor: Visitor) -> set[str]:
    return set(claims(visitor.ask_token().json()["access_token"]).get("roles", ()))


def test_one_permission_is_taken_and_given_back_exactly_and_at_once(contoso: Visitor) -> None:
    before = roles(contoso)
    contoso.change_app(remove_roles=["Group.ReadWrite.All"])
    without = roles(contoso)
    contoso.renew()
    refused = contoso.get("/groups").status_code
    contoso.change_app(add_roles=["Group.ReadWrite.All"])

    assert before - without == {"Group.ReadWrite.All"}
    assert (refused, contoso.get("/users").status_code) == (403, 200)
    assert roles(contoso) == before


def test_a_permission_may_take_its_time_and_be_forced(contoso: Visitor) -> None:
    contoso.tune(consent_delay=300)
    contoso.change_app(add_roles=["Domain.Read.All"])
    early = roles(contoso)
    contoso.change_app(remove_roles=["Group.ReadWrite.All"], at_once=True)
    forced = roles(contoso)
    contoso.advance(301)

    assert "Domain.Read.All" not in early
    assert "Group.ReadWrite.All" not in forced
    assert "Domain.Read.All" in forced  # what comes at once is the list as it is meant to be
    assert "Group.ReadWrite.All" not in roles(contoso)


def test_what_was_never_granted_cannot_be_taken(contoso: Visitor) -> None:
    answer = contoso.control(
        "PATCH", "/tenants/contoso.example/app", {"remove_roles": ["Mail.Send"]}, expect=400
    )

    assert "Mail.Send" in answer["error"]


def test_an_apps_directory_role_is_in_its_token_and_in_the_list(visit: Visit) -> None:
    visitor = visit(users=3, app={"roles": READERS})
    visitor.change_app(add_directory_roles=[TEAMS])
    held = claims(visitor.token)
    rows = visitor.rows(
        f"/roleManagement/directory/roleAssignments?$filter=principalId%20eq%20'{held['oid']}'"
    )
    visitor.change_app(remove_directory_roles=[TEAMS])
    visitor.renew()

    assert TEAMS in held["wids"]
    assert [row["roleDefinitionId"] for row in rows] == [TEAMS]
    assert visitor.get(f"/roleManagement/directory/roleAssignments/{rows[0]['id']}").status_code == 404
    assert TEAMS not in claims(visitor.token)["wids"]


def test_a_persons_directory_roles_can_be_changed(visit: Visit) -> None:
    visitor = visit(users=3, app={"roles": READERS, "redirect_uris": ["https://p.example/cb"]})
    user = visitor.inside("GET", "/users/%231")["id"]
    held = visitor.inside("POST", f"/users/{user}/directory-roles", {"add": [TEAMS]})
    members = visitor.rows(f"/directoryRoles/roleTemplateId={TEAMS}/members")
    visitor.inside("POST", f"/users/{user}/directory-roles", {"remove": [TEAMS]})

    assert held == {"directory_roles": [TEAMS]}
    assert members == [{"@odata.type": "#microsoft.graph.user", "id": user}]
    answer = visitor.control(
        "POST", f"/tenants/contoso.example/users/{user}/directory-roles", {"remove": [TEAMS]}, expect=400
    )
    assert "does not hold" in answer["error"]


def test_a_deleted_persons_roles_are_gone(visit: Visit) -> None:
    visitor = visit(users=3, app={"roles": READERS})
    before = visitor.rows("/roleManagement/directory/roleAssignments")
    visitor.inside("DELETE", "/users/%230")

    assert [row["roleDefinitionId"] for row in before] == [GLOBAL]
    assert visitor.rows("/roleManagement/directory/roleAssignments") == []


def test_readers_see_what_is_granted(visit: Visit) -> None:
    visitor = visit(users=3, app={"roles": READERS, "delegated": "User.Read Group.Read.All"})
    client_id = visitor.app["client_id"]
    principal = visitor.get(f"/servicePrincipals(appId='{client_id}')").json()
    graph = visitor.get("/servicePrincipals(appId='00000003-0000-0000-c000-000000000000')").json()
    names = {role["id"]: role["value"] for role in graph["appRoles"]}

    assigned = visitor.rows(f"/servicePrincipals(appId='{client_id}')/appRoleAssignments")
    granted = visitor.rows(f"/servicePrincipals/{principal['id']}/oauth2PermissionGrants")

    assert {names[row["appRoleId"]] for row in assigned} == set(READERS)
    assert {row["resourceId"] for row in assigned} == {graph["id"]}
    assert [(row["consentType"], row["scope"]) for row in granted] == [
        ("AllPrincipals", "User.Read Group.Read.All")
    ]
    assert granted == visitor.rows(f"/oauth2PermissionGrants?$filter=clientId%20eq%20'{principal['id']}'")
    visitor.change_app(delegated="")
    assert visitor.rows("/oauth2PermissionGrants") == []


# One app of the provider in many tenants.


@pytest.fixture
def provider(visit: Visit) -> Visitor:
    return visit(name="Provider", users=2, app={"multi_tenant": True, "roles": []})


@pytest.fixture
def customers(visit: Visit, provider: Visitor) -> list[Visitor]:
    """Two customers who consented to the provider's app; their visitors come with its id and secret."""
    return [_customer(visit, provider, name) for name in ("Adatum", "Blueyonder")]


def _customer(visit: Visit, provider: Visitor, name: str) -> Visitor:
    customer = visit(name=name, users=3)
    customer.tenant["apps"] = provider.tenant["apps"]
    given = {"client_id": provider.app["client_id"], "roles": ["User.Read.All"]}
    customer.inside("POST", "/consent", given)
    return customer


def _code(visitor: Visitor) -> int | None:
    return (visitor.ask_token().json().get("error_codes") or [None])[0]


def test_one_secret_opens_every_tenant_that_consented(customers: list[Visitor], visit: Visit) -> None:
    stranger = visit(name="Stranger", users=2)
    stranger.tenant["apps"] = customers[0].tenant["apps"]

    assert [customer.get("/users").status_code for customer in customers] == [200, 200]
    assert _code(stranger) == 700016
    assert claims(customers[0].token)["tid"] == customers[0].tenant["tenant_id"]
    assert claims(customers[0].token)["oid"] != claims(customers[1].token)["oid"]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"secret_expires": "2020-01-01T00:00:00Z"}, 7000222),
        ({"secret": "another"}, 7000215),
        ({"disabled": True}, 7000112),
    ],
)
def test_what_is_wrong_at_home_hits_every_customer(
    provider: Visitor, customers: list[Visitor], change: dict[str, Any], code: int
) -> None:
    provider.change_app(**change)

    assert [_code(customer) for customer in customers] == [code, code]


def test_the_providers_app_deleted_is_gone_for_all(provider: Visitor, customers: list[Visitor]) -> None:
    provider.inside("POST", "/break", {"break": "app_not_found"})
    gone = [_code(customer) for customer in customers]
    provider.inside("POST", "/heal")

    assert (gone, [_code(customer) for customer in customers]) == ([700016, 700016], [None, None])


def test_a_customer_switches_the_app_off_for_itself_only(customers: list[Visitor]) -> None:
    first, second = customers
    path = f"/apps/{first.app['client_id']}"
    first.inside("PATCH", path, {"enabled": False})
    off = _code(first)
    first.inside("PATCH", path, {"enabled": True, "remove_roles": ["User.Read.All"]})

    assert (off, _code(second)) == (7000112, None)
    assert roles(first) == set()
    assert roles(second) == {"User.Read.All"}


def test_a_customer_cannot_change_the_providers_registration(customers: list[Visitor]) -> None:
    path = f"/tenants/adatum.example/apps/{customers[0].app['client_id']}"

    answer = customers[0].control("PATCH", path, {"secret": "mine"}, expect=400)

    assert "home tenant" in answer["error"]


@pytest.mark.parametrize("cloud", ["gcc_high", "dod", "china"])
def test_no_cloud_knows_an_app_of_another(provider: Visitor, visit: Visit, cloud: str) -> None:
    customer = visit(name="Granite", cloud=cloud, users=2)
    refused = customer.control(
        "POST", "/tenants/granite.example/consent", {"client_id": provider.app["client_id"]}, expect=400
    )
    graph = {"gcc_high": "graph.microsoft.us", "dod": "dod-graph.microsoft.us"}.get(
        cloud, "microsoftgraph.chinacloudapi.cn"
    )
    host = "login.partner.microsoftonline.cn" if cloud == "china" else "login.microsoftonline.us"
    customer.tenant["apps"] = provider.tenant["apps"]

    assert "cloud" in refused["error"]
    assert customer.ask_token(host, scope=f"https://{graph}/.default").json()["error_codes"] == [700016]
    assert customer.ask_token().json()["error_codes"] == [900382]
