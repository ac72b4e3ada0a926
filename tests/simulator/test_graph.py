"""Reading: tokens, permissions, pages, queries, and the small collections."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from simulator.graph.call import ROUTES
from simulator.graph.dispatch import HANDLERS
from tests.simulator.client import Visitor

Visit = Callable[..., Visitor]


def _error(answer: object) -> str:
    return str(answer.json()["error"]["code"])  # type: ignore[attr-defined]


def test_every_line_of_the_table_has_its_handler() -> None:
    lines = {(route.method, route.template) for routes in ROUTES.values() for route in routes}

    assert lines == set(HANDLERS)


# Tokens and permissions.


@pytest.mark.parametrize(
    "header",
    ["", "Bearer", "Bearer nonsense", "Bearer a.b.c", "Basic eDp5"],
    ids=["none", "empty", "text", "jwt", "basic"],
)
def test_no_good_token_is_401(contoso: Visitor, header: str) -> None:
    answer = contoso.get("/users", headers={"Authorization": header})

    assert (answer.status_code, _error(answer)) == (401, "InvalidAuthenticationToken")
    assert answer.headers["WWW-Authenticate"].startswith("Bearer ")


def test_a_forged_token_is_401(contoso: Visitor) -> None:
    head, body, signature = contoso.token.split(".")
    changed = "A" if body[-1] != "A" else "B"

    answer = contoso.get(
        "/users", headers={"Authorization": f"Bearer {head}.{body[:-1]}{changed}.{signature}"}
    )

    assert answer.status_code == 401


def test_an_expired_token_is_401_and_a_new_one_works(contoso: Visitor) -> None:
    assert contoso.get("/users").status_code == 200
    contoso.advance(3600)
    expired = contoso.get("/users")
    contoso.renew()

    assert expired.status_code == 401
    assert expired.json()["error"]["message"] == "Lifetime validation failed, the token is expired."
    assert contoso.get("/users").status_code == 200


def test_a_token_without_roles_is_a_token_but_opens_nothing(visit: Visit) -> None:
    visitor = visit(users=2, app={"roles": []})

    assert _error(visitor.get("/organization")) == "Authorization_RequestDenied"
    assert visitor.get("/users").status_code == 403


@pytest.mark.parametrize(
    ("role", "path", "status"),
    [
        ("User.Read.All", "/users", 200),
        ("User.Read.All", "/users/delta", 200),
        ("User.Read.All", "/groups", 403),
        ("User.ReadBasic.All", "/users/delta", 403),
        ("GroupMember.Read.All", "/groups/delta", 200),
        ("GroupMember.Read.All", "/users", 403),
        ("Organization.Read.All", "/subscribedSkus", 200),
        ("LicenseAssignment.Read.All", "/subscribedSkus", 200),
        ("LicenseAssignment.Read.All", "/organization", 403),
        ("Directory.Read.All", "/groups", 200),
        ("RoleManagement.Read.Directory", "/directoryRoles", 200),
        ("Application.Read.All", "/applications", 200),
        ("Domain.Read.All", "/domains", 200),
    ],
)
def test_each_route_asks_for_its_permission(visit: Visit, role: str, path: str, status: int) -> None:
    assert visit(users=2, app={"roles": [role]}).get(path).status_code == status


def test_reading_rights_do_not_write(visit: Visit) -> None:
    visitor = visit(users=2, app={"roles": ["User.Read.All"]})
    user = visitor.rows("/users?$select=id")[0]["id"]

    assert visitor.call("PATCH", f"/users/{user}", json={"jobTitle": "x"}).status_code == 403
    assert visitor.control("GET", "/history?kind=write")["history"][0]["status"] == 403


# Requests that Microsoft does not have.


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/nonsense"),
        ("GET", "/users?$foo=1"),
        ("GET", "/users?$skip=10"),
        ("GET", "/users?$select=shoeSize"),
        ("PUT", "/users"),
        ("GET", "/users/delta?$top=5"),
        ("GET", "/subscribedSkus?$select=skuId"),
    ],
)
def test_a_request_outside_the_table_is_400_and_remembered(contoso: Visitor, method: str, path: str) -> None:
    answer = contoso.call(method, path)
    noted = contoso.control("GET", "/history?kind=unknown_request")["history"]

    assert answer.status_code == 400
    assert [(entry["method"], entry["path"]) for entry in noted] == [
        (method, "/v1.0" + path.split("?", maxsplit=1)[0])
    ]


def test_ordinary_requests_leave_no_trace_of_unknown_ones(contoso: Visitor) -> None:
    contoso.get("/users?$top=5&$select=id")
    contoso.get("/users/00000000-0000-4000-8000-000000000001")

    assert contoso.control("GET", "/history?kind=unknown_request")["history"] == []


# Pages.


def test_pages_join_to_every_user_once(contoso: Visitor) -> None:
    pages = list(contoso.pages("/users?$select=id,displayName&$top=7"))

    ids = [row["id"] for page in pages for row in page["value"]]
    assert [len(page["value"]) for page in pages] == [7, 7, 7, 7, 2]
    assert len(set(ids)) == 30
    assert set(pages[0]["value"][0]) == {"id", "displayName"}
    assert "@odata.nextLink" not in pages[-1]


def test_without_select_the_default_properties_come(contoso: Visitor) -> None:
    assert set(contoso.rows("/users")[0]) == {
        "businessPhones", "displayName", "givenName", "id", "jobTitle", "mail", "mobilePhone",
        "officeLocation", "preferredLanguage", "surname", "userPrincipalName",
    }  # fmt: skip


@pytest.mark.parametrize("top", ["0", "1000", "-1", "many"])
def test_page_sizes_outside_1_to_999_are_refused(contoso: Visitor, top: str) -> None:
    assert _error(contoso.get(f"/users?$top={top}")) == "Request_UnsupportedQuery"


def test_page_links_are_sealed(contoso: Visitor) -> None:
    link = contoso.get("/users?$top=7").json()["@odata.nextLink"]
    token = link.split("$skiptoken=")[1]

    assert contoso.get(link).status_code == 200
    assert _error(contoso.get(link + "A")) == "Directory_ExpiredPageToken"
    assert _error(contoso.get("/users?$top=7&$skiptoken=MTAw")) == "Directory_ExpiredPageToken"
    assert _error(contoso.get(f"/users?$top=9&$skiptoken={token}")) == "Directory_ExpiredPageToken"
    assert _error(contoso.get(f"/groups?$top=7&$skiptoken={token}")) == "Directory_ExpiredPageToken"


def test_a_link_of_one_tenant_opens_nothing_in_another(contoso: Visitor, visit: Visit) -> None:
    fabrikam = visit(name="Fabrikam", users=30)
    link = contoso.get("/users?$top=7").json()["@odata.nextLink"]

    assert fabrikam.get(link).status_code == 400


def test_removing_members_between_pages_makes_nobody_skipped(contoso: Visitor) -> None:
    group = contoso.rows("/groups?$select=id")[0]["id"]
    everybody = [row["id"] for row in contoso.rows(f"/groups/{group}/members?$select=id")]
    first = contoso.get(f"/groups/{group}/members?$select=id&$top=4").json()
    contoso.inside("POST", f"/groups/{group}/members", {"remove": everybody[:2]})

    rest = contoso.rows(first["@odata.nextLink"])

    assert [row["id"] for row in first["value"] + rest] == everybody


def test_members_say_their_type_and_can_be_cast(visit: Visit) -> None:
    visitor = visit(users=10, groups=3, memberships_per_user=2, nested_groups=1)
    group = visitor.inside("GET", "/groups/%230")["id"]

    members = visitor.rows(f"/groups/{group}/members?$select=id")
    users = visitor.rows(f"/groups/{group}/members/microsoft.graph.user?$select=id")
    count = visitor.get(f"/groups/{group}/members/$count", headers={"ConsistencyLevel": "eventual"}).text

    assert members[-1]["@odata.type"] == "#microsoft.graph.group"
    assert {row["@odata.type"] for row in users} == {"#microsoft.graph.user"}
    assert len(members) == len(users) + 1 == int(count)


# Queries.


def test_counting_needs_the_eventual_header(contoso: Visitor) -> None:
    eventual = {"ConsistencyLevel": "eventual"}

    assert contoso.get("/users/$count").status_code == 400
    assert contoso.get("/users/$count", headers=eventual).text == "30"
    assert contoso.get("/users?$top=1&$count=true", headers=eventual).json()["@odata.count"] == 30
    assert "@odata.count" not in contoso.get("/users?$top=1&$count=true").json()


def test_filters_find_what_they_should(contoso: Visitor) -> None:
    users = contoso.rows("/users?$select=id,userPrincipalName,displayName,department,accountEnabled&$top=999")
    one = users[3]

    def found(text: str) -> list[str]:
        answer = (
            contoso.gateway.get(
                "https://graph.microsoft.com/v1.0/users",
                params=None,
                headers={"Authorization": f"Bearer {contoso.token}"},
            )
            if not text
            else contoso.get("/users?$select=id&$filter=" + text.replace(" ", "%20"))
        )
        return [row["id"] for row in answer.json()["value"]]

    assert found(f"userPrincipalName eq '{one['userPrincipalName'].upper()}'") == [one["id"]]
    assert found(f"startswith(displayName,'{one['displayName'][:4]}')")
    assert found(f"id in ('{users[0]['id']}','{users[1]['id']}')") == [users[0]["id"], users[1]["id"]]
    both = found(f"department eq '{one['department']}' and accountEnabled eq true")
    assert both == [u["id"] for u in users if u["department"] == one["department"] and u["accountEnabled"]]


def test_advanced_filters_need_header_and_count(contoso: Visitor) -> None:
    path = "/users?$filter=endswith(mail,'.example')"

    assert _error(contoso.get(path)) == "Request_UnsupportedQuery"
    assert contoso.get(path + "&$count=true", headers={"ConsistencyLevel": "eventual"}).status_code == 200


def test_properties_of_single_users_are_501_in_lists(contoso: Visitor) -> None:
    assert contoso.get("/users?$select=aboutMe").status_code == 501
    assert contoso.get("/users/delta?$select=mailboxSettings").status_code == 501


# Single objects and small collections.


def test_a_user_is_found_by_id_and_by_name(contoso: Visitor) -> None:
    user = contoso.rows("/users?$select=id,userPrincipalName&$top=1")[0]
    by_id = contoso.get(f"/users/{user['id']}?$select=id,displayName").json()

    assert contoso.get(f"/users/{user['userPrincipalName']}").json()["id"] == user["id"]
    assert by_id["@odata.context"].endswith("$metadata#users(id,displayName)/$entity")
    assert _error(contoso.get("/users/nobody@contoso.example")) == "Request_ResourceNotFound"


def test_the_organisation_names_its_domains(contoso: Visitor) -> None:
    row = contoso.get("/organization").json()["value"][0]

    assert row["displayName"] == "Contoso"
    assert [(d["name"], d["isDefault"], d["isInitial"]) for d in row["verifiedDomains"]] == [
        ("contoso.example", True, False),
        ("contoso.onmicrosoft.com", False, True),
    ]


def test_licences_add_up(visit: Visit) -> None:
    visitor = visit(users=400)
    skus = {row["skuPartNumber"]: row for row in visitor.get("/subscribedSkus").json()["value"]}
    held = [
        item["skuId"]
        for user in visitor.rows("/users?$select=assignedLicenses&$top=999")
        for item in user["assignedLicenses"]
    ]

    assert set(skus) == {"SPE_E5", "SPE_E3", "MCOEV", "PHONESYSTEM_VIRTUALUSER"}
    for row in skus.values():
        assert row["consumedUnits"] == held.count(row["skuId"]) < row["prepaidUnits"]["enabled"]


def test_roles_apps_and_principals_can_be_read(visit: Visit) -> None:
    teams = "69091246-20e8-4a56-aa4d-066075b2a7a8"
    roles = ["Application.Read.All", "RoleManagement.Read.Directory", "Directory.Read.All"]
    visitor = visit(users=3, app={"roles": roles, "directory_roles": [teams]})
    client_id = visitor.app["client_id"]

    principal = visitor.get(f"/servicePrincipals(appId='{client_id}')?$select=id,appId").json()
    granted = visitor.rows(f"/servicePrincipals/{principal['id']}/appRoleAssignments")
    held = visitor.rows(
        f"/roleManagement/directory/roleAssignments?$filter=principalId%20eq%20'{principal['id']}'"
    )
    activated = visitor.rows("/directoryRoles")

    assert len(granted) == 3
    assert [row["roleDefinitionId"] for row in held] == [teams]
    assert teams in {row["roleTemplateId"] for row in activated}
    assert visitor.rows(f"/directoryRoles/roleTemplateId={teams}/members")[0]["id"] == principal["id"]
    graph = visitor.get("/servicePrincipals(appId='00000003-0000-0000-c000-000000000000')").json()
    assert {role["value"] for role in graph["appRoles"]} >= {"User.Read.All", "Group.Read.All"}


def test_answers_carry_graphs_headers(contoso: Visitor) -> None:
    answer = contoso.get("/users?$top=1", headers={"client-request-id": "mine"})

    assert answer.headers["client-request-id"] == "mine"
    assert answer.headers["request-id"]
    assert answer.headers["x-ms-ags-diagnostic"].startswith('{"ServerInfo"')
    assert (
        contoso.get("/nonsense", headers={"client-request-id": "mine"}).json()["error"]["innerError"][
            "client-request-id"
        ]
        == "mine"
    )
