"""The main job from end to end, with HTTP alone, and with `ump` alone."""

import json
import uuid

import pytest
import requests

from tests.system.kept import Kept
from tests.system.microsoft import Customer, Microsoft
from tests.system.rest import Api
from tests.system.stage import Stage, until


@pytest.fixture
def customer(microsoft: Microsoft) -> Customer:
    return microsoft.customer(f"Contoso {uuid.uuid4().hex[:6]}", users=120, groups=12)


def over(api: Api, url: str, seconds: float = 30) -> dict[str, object]:
    """The command there, once it is over; as a program would follow it."""

    def look() -> dict[str, object] | None:
        found = api.get(url)
        return found if found["state"] in ("succeeded", "failed", "cancelled", "suspended") else None

    return until(f"{url} is over", look, seconds)


def nothing_was_written(customer: Customer) -> None:
    assert customer.history("write") == []
    assert customer.history("unknown_request") == [], "the portal asked for what Microsoft does not have"


def test_with_http_alone(stage: Stage, customer: Customer) -> None:
    made = stage.ump("token", "create", "OVOC", "--role", "provider_admin")
    api = Api(stage.base, made["token"])

    # A customer with its app registration: added, and its check is queued at once.
    answer = api.call(
        "POST",
        "/tenants",
        {"name": customer.name, "entra_tenant_id": customer.tenant_id, "connection": customer.connection()},
        **{"Idempotency-Key": "add-1-" + customer.tenant_id},
    )
    assert answer.status_code == 201, answer.text
    added = answer.json()
    assert answer.headers["Location"] == added["url"]
    check = over(api, added["check"]["url"])
    assert check["state"] == "succeeded", check
    assert customer.name in str(check["message"])
    assert api.get(f"/tenants/{added['id']}/connection")["verification"] == "successful"

    # A proven one is replicated by itself.
    first = until(
        "a first replication", lambda: api.rows(f"/tenants/{added['id']}/commands?kind=quick_replication")
    )
    assert over(api, first[0]["url"])["state"] == "succeeded"
    users = api.rows(f"/tenants/{added['id']}/users")
    assert {row["object_id"] for row in users} == {row["id"] for row in customer.living("users")}
    assert len(users) == 120

    # One changes at Microsoft, and arrives by delta.
    victim = users[17]["object_id"]
    customer.control("PATCH", f"/users/{victim}", {"jobTitle": "Captain of the Ship"})
    lists = customer.routes("/users") + customer.routes("/groups")
    answer = api.call("POST", f"/tenants/{added['id']}/replications", {})
    assert answer.status_code == 202, answer.text
    second = over(api, answer.headers["Location"])
    assert second["state"] == "succeeded"
    assert second["result"]["users"]["changed"] == 1  # type: ignore[index]  # JSON
    assert api.get(f"/tenants/{added['id']}/users/{victim}")["job_title"] == "Captain of the Ship"
    assert lists == customer.routes("/users") + customer.routes("/groups"), (
        "it was read in full, not by delta"
    )

    nothing_was_written(customer)
    api.close()


def test_who_has_no_token_gets_nothing(stage: Stage, customer: Customer) -> None:
    for headers in ({}, {"Authorization": "Bearer ump_wrong"}):
        answer = requests.get(f"{stage.base}/api/v1/tenants", headers=headers, timeout=10)
        assert answer.status_code == 401
        assert answer.headers["Content-Type"] == "application/problem+json"


def test_with_ump_alone(stage: Stage, customer: Customer) -> None:
    added = stage.ump(
        *("tenants", "add", customer.name, "--secret-stdin", "--entra-tenant-id", customer.tenant_id),
        *("--client-id", customer.client_id),
        stdin=customer.secret + "\n",
    )
    kept = Kept(stage, customer, added["id"])
    done = stage.ump("replicate", customer.name, "--wait")
    assert done["state"] == "Succeeded"
    shown = stage.ump("tenants", "show", customer.name)
    assert (shown["users"], shown["groups"]) == (120, 12)
    assert shown["verification"] == "Successful"
    until("what the clock asks of a new customer has ended", lambda: _open(stage, customer) == 0)
    kept.is_the_same()

    # A dry run says what would change, and changes nothing.
    customer.control("DELETE", "/users/%230")
    customer.control("POST", "/users", {"displayName": "Zoe Quick"})
    before = kept.ids("user")
    dry = stage.ump("replicate", customer.name, "--dry-run", "--wait")
    assert dry["state"] == "Succeeded"
    assert (dry["result"]["users"]["added"], dry["result"]["users"]["removed"]) == (1, 1)
    assert kept.ids("user") == before

    # The real one does what the dry run said.
    real = stage.ump("replicate", customer.name, "--wait")
    assert real["result"]["users"] == dry["result"]["users"]
    kept.is_the_same()

    listed = stage.ump("queue", "--state", "")
    mine = [row for row in listed["commands"] if row["customer"] == customer.name]
    assert {row["state"] for row in mine} == {"Succeeded"}
    assert stage.ump("tenants", "list", "--search", customer.name)[0]["id"] == kept.id
    nothing_was_written(customer)


def _open(stage: Stage, customer: Customer) -> int:
    return int(stage.ump("tenants", "show", customer.name)["queue"]["open"])


def test_ump_says_what_is_wrong(stage: Stage) -> None:
    failed = stage.ump("replicate", "nobody of that name", expect=1)
    assert failed["code"] == "not_found"
    words = stage.ump_process("replicate", "nobody of that name")
    assert words.returncode == 1
    assert "nobody of that name" in words.stderr
    assert "Traceback" not in words.stderr
    assert json.dumps(failed)
