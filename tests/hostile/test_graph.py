"""Microsoft Graph, whatever it answers: pages, batches, writes, and every reader of what is in them."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.http import Outbound, OutboundConfig
from directory.sync import licences as skus
from directory.sync import reading
from m365 import activation, domains, registrations, teams, teams_writes, user_writes
from m365.clouds import CLOUDS
from m365.graph import BatchRequest, GraphClient
from m365.identity import Token
from m365.pacing import Pacer
from tests.hostile.judge import judged
from tests.hostile.mutations import answers, share
from tests.hostile.wire import FarEnd, far_end, reply
from tests.m365.desk import ROOT, Clock, at_will

GLOBAL = CLOUDS["global"]
TOKEN = "eyJkept.token.value"
GATEWAY = "gateway.example"
USER, GROUP, SKU = (f"{number}1111111-2222-4333-8444-555555555555" for number in (1, 2, 3))

ERROR = {
    "error": {"code": "x", "message": "Words.", "details": [{"code": "y"}], "innerError": {"request-id": "r"}}
}
PAGE = {
    "@odata.nextLink": f"{ROOT}/users?$skiptoken=2",
    "value": [{"id": USER, "displayName": "A"}, {"id": GROUP}],
}
DELTA = {
    "@odata.deltaLink": f"{ROOT}/users/delta?$deltatoken=2",
    "value": [{"id": USER, "@removed": {"reason": "x"}}],
}
BATCH = {
    "responses": [
        {"id": "1", "status": 200, "headers": {"Retry-After": "1"}, "body": {"value": []}},
        {"id": "2", "status": 429, "headers": {"Retry-After": "1", "x-ms-resource-unit": "2"}, "body": ERROR},
    ]
}
ASKED = [BatchRequest("1", "/users?$select=id"), BatchRequest("2", "/groups?$select=id")]
PERSON = {
    "id": USER, "userPrincipalName": "a@example.com", "displayName": "A", "businessPhones": ["+4912345"],
    "assignedLicenses": [{"skuId": SKU, "disabledPlans": []}], "accountEnabled": True, "createdDateTime":
    "2026-01-01T00:00:00Z", "onPremisesSyncEnabled": None, "usageLocation": "DE", "mail": None,
    "assignedPlans": [{"servicePlanId": SKU, "capabilityStatus": "Enabled"}],
}  # fmt: skip
GROUP_OF = {"id": GROUP, "displayName": "G", "groupTypes": ["Unified"], "mailEnabled": True,
            "members@delta": [{"id": USER, "@odata.type": "#microsoft.graph.user"}]}  # fmt: skip
TEAMS_USER = {
    "id": USER, "userPrincipalName": "a@example.com", "accountType": "user", "isEnterpriseVoiceEnabled": True,
    "featureTypes": ["Teams"], "createdDateTime": "2026-01-01T00:00:00Z", "modifiedDateTime": None,
    "telephoneNumbers": [{"telephoneNumber": "+4912345", "assignmentCategory": "primary"}],
    "effectivePolicyAssignments": [{"policyType": "TeamsMeetingPolicy", "policyAssignment": {
        "policyId": "x", "displayName": "Tag:A", "assignmentType": "direct", "groupId": GROUP}}],
}  # fmt: skip
NUMBER = {
    "id": "n", "telephoneNumber": "+4912345", "numberType": "directRouting", "assignmentStatus": "unassigned",
    "activationState": "activated", "assignmentTargetId": USER, "capabilities": ["userAssignment"], "city": "B",
    "supportedCustomerActions": [], "locationId": None, "isoCountryCode": "DE", "operatorId": GROUP,
}  # fmt: skip
DOMAIN = {"id": "example.com", "isVerified": False}
PROOF = {"value": [{"recordType": "Txt", "text": "MS=ms1"}]}
BOUGHT = {"id": "x", "skuId": SKU, "skuPartNumber": "MCOEV", "capabilityStatus": "Enabled", "consumedUnits": 3,
          "prepaidUnits": {"enabled": 5, "warning": 0, "suspended": 0, "lockedOut": 0}, "servicePlans": [
              {"servicePlanId": "4828c8ec-dc2e-4779-b502-87ac9ce28ab7", "servicePlanName": "MCOEV",
               "appliesTo": "User", "provisioningStatus": "Success"}]}  # fmt: skip
APPLICATION = {
    "id": USER, "appId": GROUP, "displayName": "App", "tags": ["x"], "createdDateTime": "2026-01-01T00:00:00Z",
    "passwordCredentials": [{"keyId": SKU, "displayName": "k", "hint": "abc", "endDateTime": "2027-01-01T00:00:00Z",
                             "startDateTime": "2026-01-01T00:00:00Z", "secretText": "s3cret-of-the-answer"}],
    "keyCredentials": [{"keyId": SKU, "displayName": "k", "customKeyIdentifier": "q1s=", "endDateTime":
                        "2027-01-01T00:00:00Z", "type": "AsymmetricX509Cert", "usage": "Verify"}],
}  # fmt: skip
RIGHTS = {
    "value": [{"id": "x", "resourceId": SKU, "appRoleId": SKU, "roleTemplateId": SKU, "scope": "User.Read"}]
}
OPERATION = {"id": "o", "status": "succeeded", "numbers": [{"status": "failed", "statusDetail": "taken"}]}


def batched(body: Any) -> dict[str, Any]:
    return {"responses": [{"id": "0", "status": 200, "body": body}]}


def first(pages: Iterator[Any], most: int = 4) -> list[Any]:
    return list(itertools.islice(pages, most))


def mirrored(table: reading.Table) -> Callable[[GraphClient], Any]:
    """A list and a delta, down to the lines for COPY."""

    def read(graph: GraphClient) -> Any:
        page = graph.page(f"{ROOT}/users?$top=9", place="/users")
        rows = reading.listed(table, page.value)
        found = reading.changes(page.value)
        lines = reading.lines(table, rows)
        assert lines.count(b"\n") == len(rows)
        return rows, lines, found.changed, found.removed, [*found.members]

    return read


READERS: dict[str, tuple[list[Any], Callable[[GraphClient], Any]]] = {
    "pages": ([PAGE, DELTA], lambda graph: first(graph.pages("/users"), 9)),
    "page": ([PAGE, DELTA], lambda graph: graph.page(f"{ROOT}/users/delta?x=1", place="/users/delta")),
    "batch": ([BATCH], lambda graph: graph.batch(ASKED)),
    "first pages": ([batched(DELTA), batched(ERROR)],
                    lambda graph: graph.first_pages({"0": f"{ROOT}/users/delta?$deltatoken=1"})),
    "get": ([PERSON], lambda graph: graph.get("/users/1")),
    "post": ([PERSON], lambda graph: graph.post("/users", {"city": "Oslo"})),
    "patch": ([PERSON], lambda graph: graph.patch("/users/1", {"city": "Oslo"}, if_match="x")),
    "delete": ([ERROR], lambda graph: graph.delete("/users/1")),
    "mirrored users": ([{"value": [PERSON, PERSON]}], mirrored(reading.USERS)),
    "mirrored groups": ([{"value": [GROUP_OF, GROUP_OF]}], mirrored(reading.GROUPS)),
    "licences": ([{"value": [BOUGHT]}], skus.read),
    "phone licences": ([{"value": [BOUGHT]}], activation.phone_licences),
    "country": ([{"value": [{"id": "x", "countryLetterCode": "DE"}]}], lambda graph: activation.country(graph, "T")),
    "activation user": ([PERSON], lambda graph: activation.find(graph, "x")),
    "another with phone": ([{"value": [PERSON]}],
                           lambda graph: activation.another_with_phone(graph, "example.com", ())),
    "made user": ([PERSON], lambda graph: activation.create(graph, "example.com", "DE")),
    "own roles": ([RIGHTS], lambda graph: activation.roles_of(graph, OWN)),
    "domain": ([DOMAIN], lambda graph: domains.find(graph, "example.com")),
    "added domain": ([DOMAIN], lambda graph: domains.add(graph, "example.com")),
    "proof": ([PROOF], lambda graph: domains.proof(graph, "example.com")),
    "verified": ([DOMAIN], lambda graph: domains.verify(graph, "example.com")),
    "domain's users": ([{"value": [PERSON]}], lambda graph: domains.users_of(graph, "example.com")),
    "registration": ([{"value": [APPLICATION]}], lambda graph: registrations.by_client_id(graph, GROUP)),
    "principal": ([{"value": [APPLICATION]}], lambda graph: registrations.principal_of(graph, GROUP)),
    "roles": ([RIGHTS], lambda graph: registrations.granted_roles(graph, GROUP)),
    "directory roles": ([RIGHTS], lambda graph: registrations.directory_roles(graph, GROUP)),
    "teams users": ([{"value": [TEAMS_USER]}], lambda graph: first(teams.users(graph))),
    "policies": ([{"value": [TEAMS_USER]}], lambda graph: first(teams.policies(graph))),
    "numbers": ([{"value": [NUMBER]}], lambda graph: first(teams.numbers(graph))),
    "number": ([{"value": [NUMBER]}], lambda graph: teams.some_numbers(graph, ["+4912345"])["+4912345"]),
    "teams user": ([TEAMS_USER], lambda graph: teams.some_users(graph, [USER])[USER]),
    "operations": ([batched(OPERATION), batched({"value": OPERATION})],
                   lambda graph: teams_writes.operations(graph, [("o", "+4912345", "A")])),
    "read back": ([batched(PERSON)], lambda graph: user_writes.read_users(graph, [USER], ["city", "displayName"])),
    "members": ([batched({"value": [PERSON]})], lambda graph: user_writes.members_among(graph, [(GROUP, USER)])),
}  # fmt: skip
CLOCK = Clock()


def _own() -> Token:
    from datetime import UTC, datetime

    return Token(TOKEN, datetime.now(UTC))


OWN = _own()


def client() -> GraphClient:
    clock = Clock()
    config = OutboundConfig(f"http://{GATEWAY}", frozenset({GLOBAL.graph_host}))
    return GraphClient(
        Outbound(config),
        GLOBAL,
        lambda _fresh: TOKEN,
        pacer=Pacer(clock),
        wait=clock.wait,
        before_write=at_will,
    )


@pytest.fixture(scope="module")
def far() -> Iterator[FarEnd]:
    with far_end() as far:
        yield far
        assert far.called <= {GATEWAY}
        assert far.hosts <= {GLOBAL.graph_host}


def hostile(far: FarEnd, what: str, data: st.DataObject) -> None:
    good, read = READERS[what]
    waiting = data.draw(st.lists(answers([*good, *good, *good, ERROR]), min_size=1, max_size=3))
    far.requests = 0
    far.answer = lambda _request: [waiting.pop(0) if len(waiting) > 1 else waiting[0]]
    with client().session as session:
        graph = client()
        graph.session = session
        judged(lambda: read(graph), TOKEN)
    assert far.requests <= 100, "it asks on and on"


def test_names_and_texts_lose_what_no_database_keeps(far: FarEnd) -> None:
    far.answer = lambda _request: [reply(b'{"\\u0000a": {"b\\u0000": ["c\\u0000"]}}')]
    assert judged(lambda: client().post("/users", {})) == {"a": {"b": ["c"]}}


@pytest.mark.parametrize("what", sorted(READERS))
@share(45 / len(READERS))
@given(data=st.data())
def test_whatever_graph_answers(far: FarEnd, what: str, data: st.DataObject) -> None:
    hostile(far, what, data)
