"""/tenants/{id}/resource-accounts and their designs."""

import json
from typing import Any

import pytest

from core.errors import UmpError
from m365.powershell import handout
from resource_accounts import selectors, services
from resource_accounts.models import Design, Kind
from tenants import scope
from tenants.access import SYSTEM
from tests.api.conftest import Api
from tests.cast import Cast
from tests.telephony.making import add_person

QUEUE = {"type": "call_queue", "name": "Help", "account": "help@contoso.test"}


@pytest.fixture
def where(cast: Cast) -> str:
    add_person(cast.contoso, "Ann Adler")
    return f"tenants/{cast.contoso.id}/resource-account-designs"


def test_a_design_is_added_planned_and_changed(api: Api, cast: Cast, where: str) -> None:
    people = f"ann.adler@{cast.contoso.domain or 'contoso.example'}"
    refused = api.post(where, {**QUEUE, "settings": {"users": "nobody@contoso.test"}})
    assert (refused.status, refused.json["errors"][0]["field"]) == (422, "users")
    made = api.post(where, {**QUEUE, "settings": {"users": people}})
    assert made.status == 201, made.text
    assert made.json["settings"]["alert"] == "30"
    one = f"{where}/{made.json['id']}"
    plan: Any = api.get(f"{one}/plan").json
    assert [step["action"] for step in plan["steps"]] == ["create", "create", "create"]
    assert plan["steps"][1]["after"]["People"] == "Ann Adler"
    refused = api.post(f"{one}/build", {"plan": plan["plan"]})
    assert (refused.status, "PowerShell" in refused.text) == (409, True), "no worker could take it"
    scripts = api.get(f"{one}/scripts").json
    assert ("New-CsCallQueue" in scripts["ready"], scripts["remove"]) == (True, "")
    assert "New-Cs" not in scripts["verify"]
    refused = api.post(f"{one}/verify", {"result": "something else"})
    assert refused.status == 422
    nothing = {"organisation": str(cast.contoso.entra_tenant_id), "account": [], "queues": []}
    read = api.post(f"{one}/verify", {"result": handout.MARK + json.dumps(nothing)})
    assert (read.status, read.json["state"], read.json["by_hand"]) == (200, "none", False)
    assert read.json["checked_at"]
    changed = api.patch(one, {"settings": {"alert": "60"}}, if_match=made.headers["ETag"])
    assert (changed.status, changed.json["settings"]["users"]) == (200, people)
    assert api.delete(one).status == 204


def test_build_wants_the_plan_that_was_seen(
    api: Api, cast: Cast, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(selectors, "powershell_is_there", lambda: True)
    with scope.one(cast.contoso.id):
        spec = {"users": f"ann.adler@{cast.contoso.domain or 'contoso.example'}"}
        design = services.add(
            SYSTEM, cast.contoso, kind=Kind.CALL_QUEUE, name="Help", upn="help@contoso.test", spec=spec
        )
    one = f"{where}/{design.uid}"
    assert api.post(f"{one}/build", {"plan": "0" * 64}).status == 409
    plan = api.get(f"{one}/plan").json["plan"]
    assert api.post(f"{one}/build", {"plan": plan}).status == 202
    assert api.get(one).json["state"] == "building"
    assert api.post(f"{one}/build", {"plan": plan}).status == 409
    with scope.one(cast.contoso.id), pytest.raises(UmpError, match="being worked on"):
        services.delete(SYSTEM, Design.objects.get(pk=design.pk))
