"""Whatever comes in: it ends in a named state with advice, the worker lives, and nothing is half-written."""

import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from simulator.demo import handout
from tests.system.kept import CHECK, Kept, Row, add
from tests.system.microsoft import Customer, Microsoft, Sinkhole
from tests.system.stage import Stage, until

ROLES = [
    "User.Read.All",
    "Group.Read.All",
    "GroupMember.Read.All",
    "Organization.Read.All",
    "LicenseAssignment.Read.All",
]
DAY = 86_400
# Tokens are renewed five minutes before their end: with this, every other second.
SHORT_TOKENS = {"token_seconds": 302}


@pytest.fixture(autouse=True)
def _the_worker_lives(stage: Stage) -> Iterator[None]:
    said, pids = len(stage.said()), {one.pid for one in stage.members("worker")}
    yield
    assert {one.pid for one in stage.members("worker")} == pids
    assert "Traceback" not in stage.said()[said:]


def new(microsoft: Microsoft, name: str, **spec: Any) -> Customer:
    return microsoft.customer(f"{name} {uuid.uuid4().hex[:6]}", **{"users": 30, "groups": 5, **spec})


def told(kept: Kept, row: Row) -> dict[str, Any]:
    """What a client of the API reads of it: a state, what happened, and what to do."""
    found: dict[str, Any] = kept.stage.admin.get(f"/tenants/{kept.id}/commands/{row.id}")
    assert found["error"]["message"], found
    assert found["error"]["advice"], found
    assert found["error"]["who"], found
    return found


def stumbles(kept: Kept) -> Row:
    """The newest replication, once it has met trouble."""

    def look() -> Row | None:
        row = kept.commands()[0]
        return row if row.error and row.state != "executing" else None

    return until("the trouble is met", look)


# --- What people enter --------------------------------------------------------------------------------------
def refused(stage: Stage, customer: Customer, code: str, **changes: Any) -> Kept:
    """Added; its check fails for this reason, and nothing is replicated."""
    kept = add(stage, customer, **changes)
    check = kept.ended(CHECK)
    assert (check.state, check.code) == ("failed", code), check
    assert told(kept, check)["error"]["code"] == code
    connection = stage.admin.get(f"/tenants/{kept.id}/connection")
    assert connection["verification"] in ("failed", "no_token")
    assert (connection["problem"]["code"], bool(connection["problem"]["advice"])) == (code, True)
    assert kept.commands() == []
    answer = stage.admin.call("POST", f"/tenants/{kept.id}/replications", {})
    assert answer.status_code == 202
    waiting = kept.ended()
    assert (waiting.state, waiting.code) == ("suspended", code)
    assert kept.count("user") == 0
    return kept


def test_an_unknown_tenant_id(stage: Stage, microsoft: Microsoft) -> None:
    customer = new(microsoft, "Unknown")
    customer.tenant_id = str(uuid.uuid4())
    refused(stage, customer, "tenant_unknown")


def test_anothers_tenant_id(stage: Stage, microsoft: Microsoft) -> None:
    customer, other = new(microsoft, "Foreign"), new(microsoft, "Other")
    customer.tenant_id = other.tenant_id
    kept = refused(stage, customer, "app_not_found")
    assert other.canary not in str(stage.admin.get(f"/tenants/{kept.id}"))


def test_an_expired_secret_and_its_mending(stage: Stage, microsoft: Microsoft) -> None:
    customer = new(microsoft, "Expired")
    customer.control("PATCH", "/app", {"secret_expires": "2020-01-01T00:00:00Z"})
    kept = refused(stage, customer, "secret_expired")
    customer.control(
        "PATCH", "/app", {"secret": "new8Q~" + "n" * 34, "secret_expires": "2099-01-01T00:00:00Z"}
    )
    body = customer.connection(client_secret="new8Q~" + "n" * 34)
    assert stage.admin.call("PUT", f"/tenants/{kept.id}/connection", body).status_code == 200
    assert kept.ended(CHECK).state == "succeeded"
    kept.in_step()
    kept.is_the_same()


def test_a_tenant_in_another_cloud(stage: Stage, microsoft: Microsoft) -> None:
    refused(stage, new(microsoft, "Elsewhere", cloud="gcc_high"), "wrong_cloud")


def test_a_guid_pasted_as_secret(stage: Stage, microsoft: Microsoft) -> None:
    customer = new(microsoft, "Pasted")
    body = {
        "name": customer.name,
        "entra_tenant_id": customer.tenant_id,
        "connection": customer.connection(client_secret=str(uuid.uuid4())),
    }
    answer = stage.admin.call("POST", "/tenants", body)
    assert answer.status_code == 422
    problem = answer.json()
    assert problem["code"] == "secret_is_guid"
    assert "Value" in problem["advice"]
    assert stage.sql("SELECT id FROM tenants_tenant WHERE name = %s", customer.name) == []
    assert customer.routes() == 0


# --- What Microsoft answers ---------------------------------------------------------------------------------
WAITS, ENDS = ("queued", "backing_off"), ("failed", "")


@pytest.mark.parametrize(
    ("kind", "options", "code", "becomes"),
    [
        ("html", {}, "bad_reply", WAITS),
        ("truncated", {}, "bad_reply", WAITS),
        ("giant_field", {"bytes": 10_000_000}, "bad_reply", WAITS),
        ("endless_pages", {}, "endless_pages", WAITS),
        ("drop", {"when": "midway"}, "connection_lost", WAITS),
        ("error", {"status": 503}, "graph_unavailable", WAITS),
    ],
)
def test_an_answer_that_is_none(
    stage: Stage,
    microsoft: Microsoft,
    kind: str,
    options: dict[str, Any],
    code: str,
    becomes: tuple[str, str],
) -> None:
    kept = add(stage, new(microsoft, kind))
    kept.in_step()
    kept.customer.trouble(kind, host="graph", path="/users", **options)
    kept.customer.control("POST", "/users", {"displayName": "Zoe Quick"})
    before = (kept.ids("user"), kept.count("group"), kept.memberships())
    kept.replicate(full=True)
    row = stumbles(kept)
    assert (row.state, row.reason, row.code) == (*becomes, code)
    told(kept, row)
    if kind != "endless_pages":  # there every page was a good one
        assert (kept.ids("user"), kept.count("group"), kept.memberships()) == before
    kept.customer.no_trouble()
    kept.due_now()
    again = kept.in_step()
    assert (again.id, again.attempts) == (row.id, 1)
    kept.is_the_same()


def test_links_to_another_host(stage: Stage, microsoft: Microsoft) -> None:
    """In the middle of a list, and as the link to go on from next time."""
    sinkhole = Sinkhole()
    try:
        for name, users, scheme in (("Listed", 1100, "https"), ("Linked", 20, "http")):
            customer = new(microsoft, name, users=users)
            customer.trouble("foreign_next_link", url=f"{scheme}://127.0.0.1:{sinkhole.port}")
            kept = add(stage, customer)
            row = kept.ended()
            assert (row.state, row.code) == ("failed", "foreign_next_link"), row
            assert "Nothing was sent there" in told(kept, row)["error"]["advice"]
            links = stage.sql("SELECT delta_link FROM directory_stream WHERE tenant_id = %s", kept.id)
            assert not any(str(sinkhole.port) in link for (link,) in links)
            customer.no_trouble()
            kept.replicate()
            kept.in_step()
            kept.is_the_same()
    finally:
        sinkhole.close()
    assert sinkhole.heard == 0


def test_a_storm_of_429(stage: Stage, microsoft: Microsoft) -> None:
    customer = new(microsoft, "Storm", users=2500, groups=60)
    customer.trouble("throttle", host="graph", retry_after="1", count=6)
    kept = add(stage, customer)
    row = kept.in_step()
    assert (row.attempts, row.deaths) == (0, 0), "being asked to wait is no failure"
    kept.is_the_same()


def test_a_long_wait_is_the_queues(stage: Stage, microsoft: Microsoft) -> None:
    kept = add(stage, new(microsoft, "Patience"))
    kept.in_step()
    # Telephony, which is read after a first sync by itself, would meet it first, and all of the lane would wait.
    kept.customer.trouble("throttle", host="graph", path="delta", retry_after="600", count=1)
    kept.replicate()
    row = stumbles(kept)
    assert (row.state, row.reason, row.attempts) == ("queued", "throttled", 0)
    waits = stage.one(
        "SELECT extract(epoch FROM not_before - now()) FROM replication_lane WHERE tenant_id = %s AND name = 'data'",
        kept.id,
    )
    assert 570 < waits <= 601


# --- What changes in the middle -----------------------------------------------------------------------------
@pytest.mark.parametrize("what", ["consent", "secret"])
def test_taken_away_in_the_middle(stage: Stage, microsoft: Microsoft, what: str) -> None:
    customer = new(
        microsoft, f"Lost {what}", users=9000, groups=40, settings={"latency_ms": 400, **SHORT_TOKENS}
    )
    kept = add(stage, customer)
    until("the first sync is in its middle", lambda: kept.count("user") > 900)
    if what == "consent":
        customer.control("PATCH", "/app", {"roles": []})
    else:
        customer.control("PATCH", "/app", {"secret_expires": "2020-01-01T00:00:00Z"})
    row = kept.ended()
    assert row.state == "suspended", row
    assert row.code == {"consent": "permission_missing", "secret": "secret_expired"}[what], row
    assert told(kept, row)["reason"] == "connection"
    assert 0 < kept.count("user") < 9000
    assert stage.one("SELECT last_replicated_at FROM tenants_tenant WHERE id = %s", kept.id) is None

    customer.heal()
    if what == "consent":
        customer.control("PATCH", "/app", {"roles": ROLES})
    answer = stage.admin.call("POST", f"/tenants/{kept.id}/connection/check", {})
    assert answer.status_code == 202
    assert kept.ended(CHECK).state == "succeeded"
    assert kept.in_step().id == row.id, "it goes on where it stood"
    kept.is_the_same()


# --- Clocks -------------------------------------------------------------------------------------------------
@pytest.fixture
def tomorrow(microsoft: Microsoft) -> Iterator[None]:
    """Our machine's clock is a day behind Microsoft's."""
    microsoft.control("POST", "/clock", {"offset": DAY})
    yield
    microsoft.control("POST", "/clock", {"offset": 0})


@pytest.mark.usefixtures("tomorrow")
def test_a_wrong_clock(stage: Stage, microsoft: Microsoft) -> None:
    kept = add(stage, new(microsoft, "Yesterday"))
    kept.in_step()
    kept.customer.control("PATCH", "/users/%231", {"jobTitle": "Captain"})
    kept.replicate()
    assert kept.in_step().result["users"]["changed"] == 1
    kept.is_the_same()


@pytest.mark.usefixtures("tomorrow")
def test_a_wrong_clock_and_a_certificate(stage: Stage, microsoft: Microsoft) -> None:
    """What is signed with a time is refused, and the advice names the clock."""
    pem = next(story for story in handout() if story.get("certificate_pem"))
    customer = new(microsoft, "Signed", app={"certificate_pem": pem["certificate_pem"], "secret": None})
    body = {"certificate": pem["certificate_pem"], "private_key": pem["private_key_pem"], "client_secret": ""}
    kept = refused(stage, customer, "certificate_refused", **body)
    assert "clock" in told(kept, kept.commands(CHECK)[0])["error"]["advice"]
    microsoft.control("POST", "/clock", {"offset": 0})
    assert stage.admin.call("POST", f"/tenants/{kept.id}/connection/check", {}).status_code == 202
    assert kept.ended(CHECK).state == "succeeded"
    kept.in_step()
    kept.is_the_same()


def test_a_clock_that_jumps_in_the_middle(stage: Stage, microsoft: Microsoft) -> None:
    customer = new(microsoft, "Jump", users=4000, groups=40, settings={"latency_ms": 300})
    kept = add(stage, customer)
    until("the first sync is in its middle", lambda: kept.count("user") > 900)
    microsoft.control("POST", "/clock", {"offset": 2 * DAY})
    try:
        kept.in_step()
        kept.is_the_same()
    finally:
        microsoft.control("POST", "/clock", {"offset": 0})
