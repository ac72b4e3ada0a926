"""The whole way over the API: ask, dry run, look, apply, undo."""

from typing import Any

import pytest

from replication.models import Command
from tenants import scope
from tenants.abilities import Role
from tenants.models import Tenant
from tests.api.conftest import Api, make_token
from tests.provisioning.helpers import Stage

pytestmark = pytest.mark.django_db


def test_from_a_wish_to_microsoft_and_back_by_an_administrator_of_the_customer(stage: Stage) -> None:
    with scope.one(stage.tenant.id):
        Tenant.objects.filter(id=stage.tenant.id).update(licensed_users=200)
    api = Api(make_token(Role.CUSTOMER_ADMIN, stage.tenant))
    base = f"tenants/{stage.tenant.id}"
    before, users, given = stage.held(), stage.without_number(2), stage.free(2)
    wishes = [
        {"user": str(user), "what": "number", "value": number}
        for user, number in zip(users, given, strict=True)
    ]
    assert api.post(f"{base}/plans", {}).code == "nothing_to_plan"
    assert api.post(f"{base}/changes", {"changes": wishes}).status == 202

    drawn = finished(stage, api.post(f"{base}/plans", {}))
    plan = api.get(f"{base}/plans/{drawn['result']['plan']}").json
    assert (plan["state"], plan["figures"]) == ("ready", {"give": 2})
    lines = api.get(f"{base}/plans/{plan['id']}/lines").json["results"]
    assert [(one["user_id"], one["act"], one["after"]) for one in lines] == [
        (str(user), "give", f"{number} (Direct Routing)") for user, number in zip(users, given, strict=True)
    ]
    assert api.post(f"{base}/plans/{plan['id']}/apply", {"fingerprint": "0" * 64}).code == "changes_moved"
    assert stage.held() == before
    body = {"fingerprint": plan["fingerprint"]}
    assert finished(stage, api.post(f"{base}/plans/{plan['id']}/apply", body))["outcome"] == "complete"
    assert set(given) <= set(stage.held())
    assert {one["state"] for one in api.get(f"{base}/plans/{plan['id']}/lines").json["results"]} == {"done"}

    stage.replicate()
    undone = api.post(f"{base}/plans/{plan['id']}/undo", {})
    assert (undone.status, undone.json["kept"], undone.json["left"], undone.json["refused"]) == (202, 2, 0, 0)
    assert stage.process().state == "succeeded"
    assert stage.held() == before


def finished(stage: Stage, answer: Any) -> Any:
    """The command of an answer, carried out to its end, as the API tells it."""
    assert answer.status == 202, answer.text
    with scope.one(stage.tenant.id):
        command = Command.objects.get(id=answer.json["number"])
    stage.finish(command)
    api = Api(make_token())
    return api.get(answer.headers["Location"]).json
