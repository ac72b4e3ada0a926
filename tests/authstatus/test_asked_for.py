"""The guide, the sign-in, the check and Microsoft's own tables speak of the same permissions."""

import json
from pathlib import Path
from typing import Any

import pytest

import simulator.graph
from authstatus import checking, delegated, guide
from m365 import permissions
from m365.clouds import CLOUDS
from m365.identity_delegated import OPENID, scopes
from m365.permissions import DIRECTORY_READ, FEATURES, PROFILES, TELEPHONY_READ
from tenants.models import Method, Plan, Service, Tenant
from tests.cast import Cast

CONTRACT = json.loads((Path(str(simulator.graph.__file__)).parent / "contract.json").read_text())["routes"]


def accepted(call: str, kind: str) -> set[str]:
    """What Microsoft's table takes for reading this."""
    for route in CONTRACT:
        shape = "/".join("{}" if part.startswith("{") else part for part in route["path"].lower().split("/"))
        if (shape, route["method"]) == (call.lower(), "GET"):
            return set(route[kind])
    raise LookupError(call)


@pytest.mark.django_db
def test_the_guide_lists_what_a_sign_in_asks_for_and_nothing_else(cast: Cast) -> None:
    asked = {name.rpartition("/")[2] for name in scopes(CLOUDS["global"])}
    steps = guide.guide("sync", cast.contoso, None).steps
    (listed,) = [step.permissions for step in steps if step.title == "Add the permissions"]
    names = {one.name.partition(" ")[0] for one in listed}
    assert names | set(OPENID) == asked
    assert set(delegated.asked_for()) <= names
    assert all(one.id for one in listed)


@pytest.mark.parametrize("feature", [*DIRECTORY_READ, *TELEPHONY_READ])
def test_every_call_of_a_feature_is_open_to_what_is_asked_for(feature: str) -> None:
    asked = {name.rpartition("/")[2] for name in scopes(CLOUDS["global"])}
    own = set(PROFILES["directory_read"].application)
    found = FEATURES[feature]
    assert found.probe.partition("?")[0].lower() in found.calls, "the probe proves one of the feature's calls"
    for call in found.calls:
        assert asked & accepted(call, "delegated"), call
        assert own & accepted(call, "application"), call


def test_what_the_guides_ask_for_is_no_excess_and_lacks_nothing() -> None:
    tenant = Tenant(plan=Plan.PRO, service=Service.DIRECT_ROUTING)
    for method, profile in ((Method.TOKEN, "sync_delegated"), (Method.APP, "custom_app")):
        needs = checking.needs_of(tenant, method)
        granted: Any = {*PROFILES[profile].delegated, *PROFILES[profile].application}
        granted |= set(PROFILES["directory_read"].application if method == Method.APP else ())
        states = permissions.judge_permissions(granted, needs.features, needs.asked_for)
        assert set(states.values()) == {permissions.Held.PRESENT}, method
