"""Sites over the API: add, look, deploy, change, remove; secrets in only, the device for the provider only."""

import pytest

from sbc.models import Sbc
from simulator.sbc.device import Device
from sites.models import ScriptTemplate, Site
from tenants import scope
from tenants.abilities import Role
from tests.api.conftest import Api, make_token
from tests.breakers.hands import run_due
from tests.cast import Cast
from tests.sites.conftest import PASSWORD, tables, wish

pytestmark = pytest.mark.django_db


def test_a_site_is_added_looked_at_deployed_and_removed(
    cast: Cast, device: Device, sbc: Sbc, byoc: ScriptTemplate
) -> None:
    operator = Api(make_token(Role.OPERATOR))
    customer = Api(make_token(Role.CUSTOMER_ADMIN, cast.contoso))
    place = f"tenants/{cast.contoso.id}/sites"
    given = wish(sbc, byoc)
    body = {
        "name": "Zurich",
        "sbc_id": str(sbc.uid),
        "configuration": "Byoc",
        "gateway": given["gateway"],
        "script_id": str(byoc.uid),
        "values": given["values"],
        "secrets": given["secrets_"],
    }
    strange = operator("POST", place, {**body, "sbc_id": str(byoc.uid)})
    assert (strange.status, strange.json["errors"][0]["field"]) == (422, "sbc_id")
    made = operator("POST", place, body)
    assert (made.status, made.json["sbc_state"], made.json["has_secrets"]) == (201, "none", True)
    one = f"{place}/{made.json['id']}"
    before = tables(device)
    look = operator("POST", f"{one}/preview", {"act": "deploy"})
    run_due()
    told = operator("GET", f"commands/{look.json['number']}").json["result"]
    assert tables(device) == before
    assert len(told["rows"]) == 5
    assert operator("POST", f"{one}/deploy", {"plan": told["plan"]}).status == 202
    assert operator("PATCH", one, {"name": "Zug"}).code == "conflict"
    run_due()
    listed = operator("GET", f"{place}?sbc_state=deployed").json["results"]
    assert [(row["name"], len(row["rows"])) for row in listed] == [("Zurich", 5)]
    assert operator("GET", one).json == listed[0]
    seen = customer("GET", one)
    assert (seen.json["sbc_state"], seen.json["sbc_id"], seen.json["rows"], seen.json["values"]) == (
        "deployed", None, [], {},
    )  # fmt: skip
    assert customer("POST", f"{one}/remove").status == 403
    assert PASSWORD not in seen.text + operator("GET", one).text + str(told)
    assert operator("POST", f"{one}/deploy").code == "conflict"
    assert operator("DELETE", one).code == "conflict"
    assert operator("POST", f"{one}/remove").status == 202
    run_due()
    assert tables(device) == before
    assert operator("PATCH", one, {"name": "Zug", "script_id": None, "values": {}}).json["name"] == "Zug"
    assert operator("DELETE", one).status == 204
    with scope.one(cast.contoso.id):
        assert not Site.objects.exists()
