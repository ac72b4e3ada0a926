"""Writing users and numbers, against the pretend Microsoft: what comes back, what is refused, what is in doubt."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import responses

from core.errors import InvalidInput, NotFound, OutcomeUnknown, PermissionMissing, UmpError
from core.http import Outbound
from m365 import teams, teams_writes, user_writes, writing
from m365.clouds import CLOUDS, outbound_config
from m365.graph import CallRecord, GraphClient, Written
from m365.pacing import Pacer
from m365.teams_writes import State, Wish
from simulator.server import Simulator, start
from tests.m365.desk import Clock, at_will, desk
from tests.simulator.client import Gateway, Visitor

ROLES = [
    "User.ReadWrite.All",
    "GroupMember.ReadWrite.All",
    "Group.Read.All",
    "TeamsUserConfiguration.Read.All",
    "TeamsTelephoneNumber.ReadWrite.All",
    "TeamsPolicyUserAssign.ReadWrite.All",
]
REQUEST = "0b5f7f0e-0000-4000-8000-000000000001"
NOBODY = "0b5f7f0e-0000-4000-8000-00000000dead"


@pytest.fixture(scope="module")
def running() -> Iterator[Simulator]:
    with start() as simulator:
        yield simulator


class Place:
    """A tenant of thirty and more users, and our line to it on a clock that only tests move."""

    def __init__(self, visitor: Visitor, session: Outbound) -> None:
        self.visitor, self.clock, self.calls = visitor, Clock(), list[CallRecord]()
        self.graph = GraphClient(
            session,
            CLOUDS["global"],
            lambda _fresh: visitor.token,
            on_call=self.calls.append,
            pacer=Pacer(self.clock),
            wait=self.wait,
            before_write=at_will,
            names={"tenant": "Contoso"},
        )
        self.users = visitor.inside("GET", "/users?limit=60")["users"]
        self.numbers = {one["telephoneNumber"]: one for one in visitor.inside("GET", "/numbers")["numbers"]}

    def wait(self, seconds: float) -> bool:
        self.visitor.advance(seconds)
        return self.clock.wait(seconds)

    def user(self, **wanted: Any) -> str:
        """The id of a user: `synced`, `phone` (licensed for Teams Phone), `number` (has one)."""
        held = {one["assignmentTargetId"] for one in self.numbers.values()}
        for row in self.users:
            plans = {plan["servicePlanId"] for plan in row.get("assignedPlans") or ()}
            about = {
                "synced": bool(row.get("onPremisesSyncEnabled")),
                "phone": "4828c8ec-dc2e-4779-b502-87ac9ce28ab7" in plans,
                "number": row["id"] in held,
                "teams": "57ff2da0-773e-42df-b2af-ffb7a2317929" in plans,
            }
            if all(about[name] == value for name, value in wanted.items()):
                return str(row["id"])
        raise LookupError(wanted)

    def free(self) -> str:
        rows = self.numbers.items()
        return next(key for key, row in rows if row["assignmentStatus"] == "unassigned")

    def writes(self, kind: str = "write") -> list[dict[str, Any]]:
        tenant = self.visitor.tenant["tenant_id"]
        return list(self.visitor.control("GET", f"/history?kind={kind}&tenant={tenant}")["history"])

    def send(self, write: writing.Write) -> Written:
        (answer,) = writing.send_all(self.graph, [write])
        if isinstance(answer, UmpError):
            raise answer
        return answer

    def order(self, write: writing.Write) -> teams_writes.Ordered:
        return teams_writes.ordered(self.graph, self.send(write))

    def look(
        self, ordered: teams_writes.Ordered, number: str = "", thing: str = ""
    ) -> teams_writes.Operation:
        (now,) = teams_writes.operations(self.graph, [(ordered.operation_id, number, thing)])
        assert now is not None
        return now

    def end(self, ordered: teams_writes.Ordered, number: str = "", thing: str = "") -> teams_writes.Operation:
        for _ in range(4):
            now = self.look(ordered, number, thing)
            if now.state != State.RUNNING:
                return now
        raise AssertionError("the order does not end")

    def read(self, user: str, *names: str) -> dict[str, Any]:
        row = user_writes.read_users(self.graph, [user], names)[user]
        assert row is not None
        return dict(row)


@pytest.fixture
def place(running: Simulator) -> Iterator[Place]:
    running.seed("empty")
    gateway = Gateway(running)
    visitor = Visitor(running, {}, gateway)
    spec = {"name": "Contoso", "users": 60, "groups": 3, "memberships_per_user": 1, "app": {"roles": ROLES}}
    visitor.tenant = visitor.control("POST", "/tenants", spec)
    with Outbound(outbound_config(running.url)) as session:
        yield Place(visitor, session)
    gateway.close()


# Numbers


def test_a_number_is_ordered_followed_and_read_back(place: Place) -> None:
    number, user = place.free(), place.user(phone=True, number=False)
    assign = teams_writes.assign_write(number, "directRouting", user, location_id="here", request_id=REQUEST)
    ordered = place.order(assign)
    assert (ordered.written.status, ordered.written.client_request_id) == (202, REQUEST)
    assert len(ordered.written.request_id) == 36
    now, forgotten = teams_writes.operations(
        place.graph, [(ordered.operation_id, number, ""), (NOBODY, "", "")]
    )
    assert (now and now.state, forgotten) == (State.RUNNING, None)
    assert place.end(ordered) == teams_writes.Operation(State.SUCCEEDED)
    found, nothing = teams.some_numbers(place.graph, [number, "+4999"]).values()
    assert (found and (found.target_id, found.location_id), nothing) == ((user, "here"), None)
    known, unknown = teams.some_users(place.graph, [user, NOBODY]).values()
    assert (known and known.user.numbers, unknown) == (((number, "primary"),), None)

    back = place.order(teams_writes.unassign_write(number, "directRouting"))
    assert place.end(back).state == State.SUCCEEDED
    read = teams.some_numbers(place.graph, [number])[number]
    assert read is not None
    assert read.target_id == ""
    acts = [one["path"].rpartition("/")[2] for one in place.writes()]
    assert acts == ["assignNumber", "unassignNumber"]
    assert [(one["target"], one["status"]) for one in place.writes("number")] == [
        (user, "succeeded"),
        (None, "succeeded"),
    ]


def test_an_accepted_order_that_fails_says_why_in_words(place: Place) -> None:
    free, phone = place.free(), place.user(phone=True, number=False)
    taken = next(key for key, row in place.numbers.items() if row["assignmentTargetId"])
    country = place.user(phone=True, number=False)

    def failed(write: writing.Write) -> teams_writes.Operation:
        ended = place.end(place.order(write), write.thing, "Anna")
        assert ended.state == State.FAILED
        return ended

    cases = [
        (taken, "directRouting", phone, "number_in_use"),
        ("+4999000", "operatorConnect", phone, "number_unknown"),
        (free, "callingPlan", phone, "number_kind_differs"),
        (free, "directRouting", place.user(phone=False, teams=True), "teams_phone_missing"),
        (free, "directRouting", NOBODY, "remote_not_found"),
    ]
    for number, kind, target, code in cases:
        ended = failed(teams_writes.assign_write(number, kind, target))
        assert ended.error is not None
        assert (ended.error.code, ended.error.detail["microsoft_says"]) == (code, ended.says)
    place.visitor.inside("PATCH", f"/users/{country}", {"usageLocation": None})
    ended = failed(teams_writes.assign_write(free, "directRouting", country))
    assert ended.error is not None
    assert ended.error.code == "usage_location_missing"
    ended = failed(teams_writes.unassign_write(free, "directRouting"))
    assert ended.error is not None
    assert ended.error.code == "number_not_assigned"
    place.visitor.tune(order_fails="Something nobody has a word for.")
    ended = failed(teams_writes.assign_write(free, "directRouting", phone))
    assert ended.error is not None
    assert ended.error.code == "number_order_failed"
    assert "Something nobody has a word for." in ended.error.message
    assert free in ended.error.message


def test_a_number_of_a_calling_plan_wants_a_location(running: Simulator) -> None:
    """And the address of an operation is never gone to: only its id is taken."""
    assert (
        teams_writes._reason(
            "A Calling Plan number needs an emergency location.", "+49", "Anna", desk().client
        ).code
        == "number_location_missing"
    )
    graph = desk().client
    ours = "https://graph.microsoft.com/v1.0/admin/teams/telephoneNumberManagement/operations"
    for location, found in (
        (f"{ours}('abc-1')", "abc-1"),
        (f"{ours}/abc-1", "abc-1"),
        (ours.replace("graph.microsoft.com", "graph.attacker.example") + "('abc-1')", ""),
        (f"{ours}('../users')", ""),
        ("https://graph.microsoft.com/v1.0/admin/teams/x", ""),
        ("", ""),
    ):
        assert teams_writes._operation_id(graph, location) == found, location


def test_a_lost_reply_is_an_open_outcome_that_reading_settles(place: Place) -> None:
    """Of a write that is sent alone; of a batch, see below."""
    number, user = place.free(), place.user(phone=True, number=False)
    place.visitor.trouble("drop", when="after", count=1, method="POST", path="assignNumber")
    with pytest.raises(OutcomeUnknown) as lost:
        writing.send(
            place.graph, teams_writes.assign_write(number, "directRouting", user, request_id=REQUEST)
        )
    assert lost.value.detail["client_request_id"] == REQUEST
    assert number in lost.value.message
    assert [(one["status"], one["answered"]) for one in place.writes()] == [(202, None)]
    place.visitor.advance(60)
    found = teams.some_numbers(place.graph, [number])[number]
    assert found is not None
    assert found.target_id == user


def test_a_write_shows_after_its_lag_and_twice_is_noticed_at_once(place: Place) -> None:
    place.visitor.tune(lag=30, order_looks=0)
    number, user = place.free(), place.user(phone=True, number=False)
    place.look(place.order(teams_writes.assign_write(number, "directRouting", user)))
    kind, name = "TeamsCallingPolicy", "AllowCalling"
    (policy,) = teams_writes.policy_ids(place.graph, [(kind, name)])
    place.send(teams_writes.policies_write("assign", [Wish(user, kind, str(policy))]))
    place.send(user_writes.user_write(user, {"usageLocation": "AT"}))

    def seen() -> tuple[bool, bool, bool]:
        known, found = (
            teams.some_users(place.graph, [user])[user],
            teams.some_numbers(place.graph, [number])[number],
        )
        country = place.read(user, "usageLocation")["usageLocation"]
        assert known is not None
        assert bool(known.user.numbers) == bool(found and found.target_id)
        held = {one.kind: one.name for one in known.policies.held if one.source == "direct"}
        return bool(known.user.numbers), held.get(kind) == name, country == "AT"

    assert seen() == (False, False, False)
    other = place.order(teams_writes.assign_write(number, "directRouting", place.users[0]["id"]))
    refused = place.end(other)
    assert refused.error is not None
    assert refused.error.code == "number_in_use"
    place.visitor.advance(31)
    assert seen() == (True, True, True)


# Policies


def test_policies_that_are_refused_together_are_judged_each_alone(place: Place) -> None:
    user, kind = place.user(teams=True), "TeamsCallingPolicy"
    good, unknown = teams_writes.policy_ids(place.graph, [(kind, "AllowCalling"), (kind, "O'Neill's")])
    assert isinstance(good, str)
    assert isinstance(unknown, UmpError)
    assert unknown.code == "policy_unknown"
    wishes = [
        Wish(user, kind, good),
        Wish(NOBODY, kind, good, "Anna"),
        Wish(user, "TenantDialPlan", "x", "Bert"),
    ]
    with pytest.raises(NotFound) as refused:
        place.send(teams_writes.policies_write("assign", wishes, request_id=REQUEST))
    assert teams_writes.is_refusal(refused.value)
    alone = teams_writes.alone("assign", wishes, request_id=REQUEST)
    first, second, third = writing.send_all(place.graph, alone)
    assert isinstance(first, Written)
    assert isinstance(second, UmpError)
    assert (second.code, "Anna" in second.message) == ("remote_not_found", True)
    assert isinstance(third, UmpError)
    assert (third.code, "Bert" in third.message) == ("policy_refused", True)
    assert [one["status"] for one in place.writes()] == [404, 204, 404, 400]
    assert place.send(teams_writes.policies_write("unassign", wishes[:1])).status == 204
    known = teams.some_users(place.graph, [user])[user]
    assert known is not None
    assert kind not in {one.kind for one in known.policies.held}


def test_what_microsoft_puts_off_of_a_batch_says_so(place: Place) -> None:
    """Among the rows, each for itself, Microsoft has enough of us."""
    user, kind = place.user(teams=True), "TeamsCallingPolicy"
    wishes = [Wish(user, kind, "x"), Wish(user, kind, "y"), Wish(user, kind, "z")]
    place.visitor.trouble("throttle", skip=1, retry_after="3000", path="userAssignments")
    answers = writing.send_all(place.graph, teams_writes.alone("assign", wishes, request_id=REQUEST))
    codes = [isinstance(one, UmpError) and one.code for one in answers]
    assert codes == ["policy_refused", "throttled", "throttled"]
    assert [call.path for call in place.calls] == ["/v1.0/$batch"]


# Together


def test_writes_in_one_batch_are_judged_each_for_itself(place: Place) -> None:
    """With the id that was noted before each; what nobody knows the end of is in doubt, and nothing else is."""
    number, user, synced = place.free(), place.user(phone=True, number=False), place.user(synced=True)
    ids = [f"0b5f7f0e-0000-4000-8000-00000000000{at}" for at in range(5)]
    writes = [
        teams_writes.assign_write(number, "directRouting", user, request_id=ids[0]),
        user_writes.user_write(user, {"city": "Ulm"}, request_id=ids[1]),
        user_writes.user_write(synced, {"city": "Ulm"}, thing="Anna", request_id=ids[2]),
        user_writes.user_write(NOBODY, {"city": "Ulm"}, thing="Bert", request_id=ids[3]),
        user_writes.user_write(
            place.users[0]["id"], {"usageLocation": "AT"}, thing="Cleo", request_id=ids[4]
        ),
    ]
    place.visitor.trouble("error", status=503, count=1, method="PATCH", path=place.users[0]["id"])
    order, detail, premises, nobody, doubt = writing.send_all(place.graph, writes)
    assert isinstance(order, Written)
    assert place.end(teams_writes.ordered(place.graph, order)).state == State.SUCCEEDED
    assert isinstance(detail, Written)
    assert (detail.status, detail.client_request_id, len(detail.request_id)) == (204, ids[1], 36)
    assert isinstance(premises, UmpError)
    assert (premises.code, premises.detail["client_request_id"]) == ("synced_from_premises", ids[2])
    assert isinstance(nobody, NotFound)
    assert isinstance(doubt, OutcomeUnknown)
    assert "Cleo" in doubt.message
    assert place.read(user, "city")["city"] == "Ulm"


@pytest.mark.parametrize(("trouble", "said"), [("drop", "outcome_unknown"), ("throttle", "throttled")])
def test_what_happens_to_a_batch_is_said_of_each_write(place: Place, trouble: str, said: str) -> None:
    """Nobody knows of a lost one, and the next one is sent; of one that was put off, the rest is put off too."""
    writes = [user_writes.user_write(one["id"], {"usageLocation": "AT"}) for one in place.users[:22]]
    about = {"when": "after"} if trouble == "drop" else {"retry_after": "3000"}
    place.visitor.trouble(trouble, count=1, path=r"\$batch", **about)
    answers = writing.send_all(place.graph, writes)
    assert {one.code for one in answers[:20] if isinstance(one, UmpError)} == {said}
    assert all(isinstance(one, Written) == (trouble == "drop") for one in answers[20:])


# Users


def test_details_are_written_and_cleared(place: Place) -> None:
    user = place.user(synced=False)
    changes = {
        "department": "Night shift ",
        "jobTitle": "",
        "businessPhones": ["+49 30 1"],
        "mobilePhone": None,
    }
    written = place.send(user_writes.user_write(user, changes, request_id=REQUEST))
    assert (written.status, written.client_request_id) == (204, REQUEST)
    after, nobody = user_writes.read_users(place.graph, [user, NOBODY], changes).values()
    assert after == {
        "id": user,
        "department": "Night shift",
        "jobTitle": None,
        "businessPhones": ["+49 30 1"],
        "mobilePhone": None,
    }
    assert nobody is None


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({}, "the change"),
        ({"accountEnabled": "no"}, "accountEnabled"),
        ({"displayName": " "}, "displayName"),
        ({"usageLocation": "germany"}, "usageLocation"),
        ({"department": "x" * 65}, "department"),
        ({"businessPhones": ["1", "2"]}, "businessPhones"),
        ({"city": "Köln\0"}, "city"),
    ],
)
def test_what_microsoft_would_refuse_is_not_sent(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        user_writes.checked(changes)
    assert field in refused.value.message


def test_who_can_mend_what_was_refused_of_a_user(place: Place) -> None:
    synced, gone = place.user(synced=True), place.user(synced=False)
    with pytest.raises(UmpError) as premises:
        place.send(user_writes.user_write(synced, {"department": "X", "usageLocation": "DE"}, thing="Anna"))
    assert (premises.value.code, premises.value.fields["field"]) == ("synced_from_premises", "department")
    assert "Anna" in premises.value.message
    assert premises.value.detail["request_id"]
    country = user_writes.user_write(synced, {"usageLocation": "DE"})
    assert place.send(country).status == 204
    place.visitor.inside("DELETE", f"/users/{gone}")
    for user, code in ((gone, "user_deleted"), (NOBODY, "remote_not_found")):
        with pytest.raises(NotFound) as missing:
            place.send(user_writes.user_write(user, {"city": "Ulm"}, thing="Bert"))
        assert missing.value.code == code
        assert "Bert" in missing.value.message
    place.visitor.change_app(roles=["User.Read.All"])
    place.visitor.renew()
    with pytest.raises(PermissionMissing, match=r"User\.ReadWrite\.All"):
        place.send(country)


def test_members_come_and_go_once(place: Place) -> None:
    group = place.visitor.inside("GET", "/groups/%230")["id"]
    inside = set(place.visitor.inside("GET", "/groups/%230/members")["members"])
    user = next(row["id"] for row in place.users if row["id"] not in inside)
    root = place.graph.cloud.graph_root
    add, remove = (
        user_writes.member_write(root, group, user, wanted=wanted, thing="Front Desk")
        for wanted in (True, False)
    )
    assert place.send(add).status == 204
    assert place.send(add).status == 400, "already one"
    assert user_writes.members_among(place.graph, [(group, user), (NOBODY, user)]) == {
        (group, user): True,
        (NOBODY, user): False,
    }
    assert place.send(remove).status == 204
    assert place.send(remove).status == 404, "no longer one"
    assert user_writes.members_among(place.graph, [(group, user)]) == {(group, user): False}
    place.visitor.inside("PATCH", f"/groups/{group}", {"groupTypes": ["DynamicMembership"]})
    for write in (add, remove):
        with pytest.raises(UmpError) as rule:
            place.send(write)
        assert rule.value.code == "group_by_rule"
        assert "Front Desk" in rule.value.message


# What is not what was promised


def test_an_answer_for_another_one_is_none(wire: responses.RequestsMock) -> None:
    """A filter that was ignored, and an order in a shape of the documentation."""
    row = {"id": "b3A=", "telephoneNumber": "+41589061000", "numberType": "directRouting"}
    body = {"responses": [{"id": "0", "status": 200, "body": {"value": [row]}}]}
    wire.post("https://graph.microsoft.com/v1.0/$batch", json=body)
    assert teams.some_numbers(desk().client, ["+41589061999"])["+41589061999"] is None
    body["responses"][0]["body"] = {"value": [{"id": NOBODY}]}
    wire.replace("POST", "https://graph.microsoft.com/v1.0/$batch", json=body)
    assert not user_writes.members_among(desk().client, [(NOBODY, REQUEST)])[NOBODY, REQUEST]
    wrapped = {"value": {"status": "succeeded", "numbers": [{"status": "skipped", "statusDetail": "So."}]}}
    body["responses"][0]["body"] = wrapped
    wire.replace("POST", "https://graph.microsoft.com/v1.0/$batch", json=body)
    (order,) = teams_writes.operations(desk().client, [("a", "", "")])
    assert order is not None
    assert order.state == State.FAILED


@pytest.mark.parametrize("cloud", ["gcc_high", "china"])
def test_numbers_and_policies_are_written_in_the_worldwide_cloud_only(cloud: str) -> None:
    writes = [
        teams_writes.assign_write("+49", "directRouting", NOBODY),
        teams_writes.policies_write("assign", [Wish(NOBODY, "TeamsCallingPolicy", "x")]),
    ]
    answers = writing.send_all(desk(cloud=CLOUDS[cloud]).client, writes)
    assert [isinstance(one, UmpError) and one.code for one in answers] == ["teams_needs_powershell"] * 2
