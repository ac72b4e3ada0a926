"""The calls for OVOC-style callers: their shapes, our walls, and the samples of docs/api.md."""

import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from api.urls import v1
from sbc.models import Sbc
from sites.models import Prefix, PrefixState, ScriptTemplate, Site, SiteState
from tenants import scope
from tenants.abilities import Role
from tenants.models import Tenant
from tests.api.conftest import Api, make_token
from tests.breakers.hands import run_due
from tests.cast import Cast
from tests.sbc.conftest import boxes, boxes_server, device, known
from tests.sites.conftest import pair

__all__ = ["boxes", "boxes_server", "device", "known"]
pytestmark = pytest.mark.django_db
BASE = "/api/tenantui/api"
SECRET = "canary-heron~secret~of~the~app~registration"


@pytest.fixture
def sbc(device: Any, known: Callable[..., Sbc]) -> Sbc:
    device.plant("CustDialPlan", [])
    return known(device)


@pytest.fixture
def script(db: None) -> ScriptTemplate:
    return pair("SIP trunk")


def body(sbc: Sbc, script: ScriptTemplate | None = None, **more: Any) -> dict[str, Any]:
    where = {"sbcId": sbc.id}
    if script is not None:
        where |= {"sbcOnboardingScript": script.id, "sbcCleanupScript": script.cleanup_id}
    return {"shortName": "Northwind", "siteLocation": where, "ovocCustomerType": "IPGROUP_TYPE", **more}


def test_customers_without_their_secrets(api: Api, cast: Cast, sbc: Sbc) -> None:
    with scope.every("a test writes"):
        Site.objects.create(
            tenant=cast.contoso,
            sbc=sbc,
            name="Zurich",
            configuration="SipTrunk",
            sbc_state=SiteState.DEPLOYED,
        )
    short = api.get(f"{BASE}/v3/customer")
    contoso = next(row for row in short.json if row["CustomerShortName"] == "Contoso")
    assert (contoso["LicenseType"], contoso["LicensedUsersCount"]) == (2, 30)
    assert "SiteLocation" not in contoso
    whole = api.get(f"{BASE}/v3/customer?allDetails=true")
    one = api.get(f"{BASE}/v3/customer/{cast.contoso.id}?allDetails=true")
    assert one.json in whole.json
    assert one.json["SiteLocation"][0]["sbcDeploymentState"] == "Deployed"
    assert one.json["ApplicationClientId"]
    assert "ApplicationClientSecret" not in one.json
    assert SECRET not in whole.text + one.text
    last = max(row["UmpCustomerGuid"] for row in short.json)
    assert api.get(f"{BASE}/v3/customer?after={last}").json == []
    assert api.get(f"{BASE}/v3/customer?allDetails=maybe").fields == {"allDetails"}
    assert api.get(f"{BASE}/v2/customer/{cast.contoso.id}").json["Id"] == str(cast.contoso.id)


def test_a_customer_with_a_site_that_is_deployed(
    api: Api, cast: Cast, sbc: Sbc, script: ScriptTemplate
) -> None:
    given = {
        "OnlinePstnGateway": "northwind.customers.example",
        "CarrierHostName": "sip.example",
        "CacProfile": "10 sessions",
    }
    made = api.post(f"{BASE}/v2/customer", body(sbc, script, scriptParameters=given))
    assert made.status == 201, made.text
    site = made.json["SiteLocation"][0]
    told = api.get(f"{BASE}/v2/sitelocation/{site['id']}").json
    assert (told["siteName"], told["onlinePstnGateway"]) == ("Northwind", "northwind.customers.example")
    assert told["sbcInfo"]["sbcScripts"]["onboardingScript"] == script.id
    assert told["pendingTasks"] == [made.json["taskId"]]
    task = api.get(f"{BASE}/v2/task/{made.json['taskId']}").json
    assert (task["id"], task["status"]) == (made.json["taskId"], "Queued")
    assert task["ExecutionMessages"][0]["message"].startswith("Queued by")
    assert api.get(made.headers["Location"]).json["ShortName"] == "Northwind"
    with scope.every("a test looks"):
        own = Api(make_token(Role.CUSTOMER_ADMIN, Tenant.objects.get(name="Northwind")))
    his = own.get(f"{BASE}/v2/sitelocation/{site['id']}").json
    assert (his["sbcInfo"], his["pendingTasks"]) == ({"sbcConfigurationType": "SipTrunk"}, [])
    other = Api(make_token(Role.CUSTOMER_ADMIN, cast.contoso))
    assert other.get(f"{BASE}/v2/sitelocation/{site['id']}").status == 404


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"siteLocation": {"sbcId": 99_999}}, "sbcId"),
        ({"siteLocation": {"sbcId": "1"}}, "siteLocation.sbcId"),
        ({"shortName": "a" * 16}, "shortName"),
        ({"shortName": "ab"}, "name"),
        ({"fullName": "a<b"}, "name"),
        ({"scriptParameters": {"Unknown": "x"}}, "Unknown"),
        ({"surprise": 1}, "surprise"),
    ],
)
def test_what_is_wrong_leaves_no_customer(
    api: Api, cast: Cast, sbc: Sbc, change: dict[str, Any], field: str
) -> None:
    refused = api.post(f"{BASE}/v2/customer", body(sbc, **change))
    assert refused.status == 422, refused.text
    assert any(field in each for each in refused.fields), refused.fields
    assert len(api.get(f"{BASE}/v3/customer").json) == 2


def test_numbers_of_a_site_and_nobody_elses(api: Api, cast: Cast, sbc: Sbc, device: Any) -> None:
    made = api.post(
        f"{BASE}/v2/customer/{cast.contoso.id}/sitelocation/",
        {
            "siteLocationName": "Zurich", "sbcId": sbc.id, "ovocCustomerType": "IPGROUP_TYPE",
            "scriptParameters": {"OnlinePstnGateway": "contoso.customers.example"},
        },
    )  # fmt: skip
    assert (made.status, made.json["taskId"]) == (201, None), made.text
    url = f"{BASE}/v2/customer/{cast.contoso.id}/sitelocation/{made.json['id']}/dialplan/CustDialPlan"
    assert api.get(url).json == {"dialPlanId": "CustDialPlan", "ruleDTO": []}
    added = api.patch(
        url, {"dialPlanId": "CustDialPlan", "add": [{"name": "Zurich", "prefix": "+41589061[000-999]"}]}
    )
    assert added.status == 202, added.text
    assert api.get(url).json["ruleDTO"] == []  # not before it was read back
    run_due()
    assert api.get(added.headers["Location"]).json["status"] == "Succeeded"
    rule = {"name": "Zurich", "prefix": "+41589061[000-999]", "tag": "contoso.customers.example"}
    assert api.get(url).json["ruleDTO"] == [rule]
    foreign = url.replace(str(cast.contoso.id), str(cast.fabrikam.id))
    assert api.get(foreign).status == 404
    assert api.patch(foreign, {"remove": [rule]}).status == 404
    for wrong in (
        {"add": [{"prefix": "+41xx"}]},
        {"add": [{"prefix": "+4199"}], "remove": [{"prefix": "+4188"}]},
        {"dialPlanId": "Zoom"},
        {"add": [{"prefix": 5}]},
    ):
        assert api.patch(url, wrong).status == 422, wrong
    for strange in ("%00", "Cust%00DialPlan"):
        named = url.replace("CustDialPlan", strange)
        assert api.get(named).code == "not_found"
        assert api.patch(named, {"remove": [rule]}).code == "not_found"
    assert api.patch(url, {}).json == {"taskId": None}
    assert api.patch(url, {"remove": [rule]}).status == 202
    run_due()
    assert api.get(url).json["ruleDTO"] == []
    with scope.every("a test looks"):
        assert not Prefix.objects.exclude(state=PrefixState.REMOVING).exists()


def test_scripts(api: Api, script: ScriptTemplate) -> None:
    short = api.get(f"{BASE}/v2/scripttemplates?scriptType=SBC").json
    assert {row["scriptType"] for row in short} == {1, 2}
    assert "script" not in short[0]
    whole = api.get(f"{BASE}/v2/scripttemplates?allDetails=true").json
    found = next(row for row in whole if row["id"] == script.id)
    assert found["relatedScripts"] == [{"key": "cleanup", "value": script.cleanup_id}]
    assert "ip-group" in found["script"]
    assert api.get(f"{BASE}/v2/scripttemplates?scriptType=M365").json == []
    assert api.get(f"{BASE}/v2/scripttemplates?scriptType=Other").fields == {"scriptType"}


def test_the_same_doors_and_addresses_as_elsewhere(cast: Cast, sbc: Sbc, nobody: Api) -> None:
    assert nobody.get(f"{BASE}/v3/customer").status == 401
    far = Api(make_token(), address="203.0.113.9")
    assert far.get(f"{BASE}/v3/customer").code == "address_not_allowed"
    contosos = Api(make_token(Role.CUSTOMER_ADMIN, cast.contoso))
    assert [row["CustomerFullName"] for row in contosos.get(f"{BASE}/v3/customer").json] == ["Contoso"]
    assert contosos.get(f"{BASE}/v2/customer/{cast.fabrikam.id}").status == 404
    assert contosos.post(f"{BASE}/v2/customer", body(sbc)).status == 404
    monitor = Api(make_token(Role.MONITOR))
    assert monitor.post(f"{BASE}/v2/customer", body(sbc)).status == 403


def test_the_samples_of_the_paper_can_be_sent(
    api: Api, cast: Cast, sbc: Sbc, script: ScriptTemplate, device: Any
) -> None:
    paper = (Path(__file__).parents[2] / "docs" / "api.md").read_text(encoding="utf-8")
    section = paper[paper.index("## Calls for OVOC-style callers") :]
    block = section[section.index("```sh") + 5 : section.index("```\n", section.index("```sh") + 5)]
    known_ids = {"CUSTOMER": str(cast.contoso.id), "SBC": str(sbc.id), "SCRIPT": str(script.id)}
    sent = 0
    for line in block.replace("\\\n", " ").strip().split("\n"):
        words = shlex.split(re.sub(r"\$\(uuidgen\)", f"key-{sent}", line))
        if not words or words[0] != "curl":
            continue
        url = next(word for word in words if word.startswith("$BASE")).replace("$BASE", BASE)
        text = words[words.index("--json") + 1] if "--json" in words else ""
        method = words[words.index("-X") + 1] if "-X" in words else "POST" if text else "GET"
        for name, value in known_ids.items():
            url, text = url.replace(f"${name}", value), text.replace(f"${name}", value)
        answer = api(method, url, json.loads(text) if text else None)
        assert answer.status < 300, f"{line}: {answer.text}"
        if isinstance(answer.json, dict):
            known_ids |= {"TASK": str(answer.json.get("taskId") or known_ids.get("TASK", ""))}
            if "sitelocation/" in url and method == "POST":
                known_ids["SITE"] = answer.json["id"]
        run_due()
        sent += 1
    assert sent >= 8


def test_each_call_is_on_paper() -> None:
    from api.ovoc_urls import urlpatterns

    paper = (Path(__file__).parents[2] / "docs" / "api.md").read_text(encoding="utf-8")
    for route in urlpatterns:
        view: Any = route.callback
        address = re.sub(r"<\w+:(\w+)>", r"{\1}", str(route.pattern))
        for method in view.view_class.doors if hasattr(view, "view_class") else view.cls.doors:
            assert f"| {method} | `{address}` |" in paper, address
    assert not {str(route.name) for route in urlpatterns} & {str(route.name) for route in v1}
