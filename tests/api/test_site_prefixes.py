"""Numbers of a site, for machines."""

from collections.abc import Callable

import pytest

from sbc.models import Sbc
from simulator.sbc.device import Device
from sites.models import Site
from tenants.abilities import Role
from tests.api.conftest import Api, ApiMaker
from tests.breakers.hands import run_due
from tests.cast import Cast
from tests.sites.conftest import boxes, boxes_server, device, known
from tests.sites.numbers import TAG, on_device, place, rows, written

__all__ = ["boxes", "boxes_server", "device", "known"]
pytestmark = pytest.mark.django_db


@pytest.fixture
def site(cast: Cast, device: Device, known: Callable[..., Sbc]) -> Site:
    device.plant("CustDialPlan", [])
    return place(cast.contoso, known(device))


@pytest.fixture
def path(site: Site) -> str:
    return f"tenants/{site.tenant_id}/sites/{site.uid}/prefixes"


def test_numbers_come_and_go(api: Api, site: Site, path: str, device: Device) -> None:
    wish = {"prefixes": [{"prefix": "+4155[00-99]"}, {"prefix": "+411", "tag": "vip.example", "name": "VIP"}]}
    answer = api.post(path, wish, Idempotency_Key="once")
    assert (answer.status, answer.headers["Location"]) == (202, answer.json["command"]["url"])
    assert [one["outcome"] for one in answer.json["added"]] == ["adding", "adding"]
    assert api.post(path, wish, Idempotency_Key="once").json == answer.json
    run_due()
    again = api.post(path, wish)
    assert (again.json["command"], again.json["added"][0]["outcome"]) == (None, "there")
    listed = api.get(f"{path}?search=%2B415542&state=present").json["results"]
    assert [(row["prefix"], row["tag"], row["index"], row["numbers"]) for row in listed] == [
        ("+4155[00-99]", TAG, 1, 100)
    ]
    (rule,) = api.get("prefixes?search=%2B415542").json["results"]
    assert (rule["customer"], rule["site"]) == ("Contoso", "Zurich")
    change = {"remove": [{"prefix": "+415[500-599]"}, {"prefix": "+49"}], "add": [{"prefix": "+4155[00-49]"}]}
    assert api.patch(path, change).status == 202
    run_due()
    assert on_device(site, ["+411", "+4155[00-49]"])
    swapped = {"remove": [{"prefix": "+411"}], "add": [{"prefix": "+411", "tag": "other.example"}]}
    assert api.patch(path, swapped).status == 202
    run_due()
    assert rows(site)["+411"].written_tag == "other.example"
    assert api.delete(f"{path}/{rows(site)['+411'].uid}").status == 202
    run_due()
    assert on_device(site, ["+4155[00-49]"])


def test_what_is_wrong_changes_nothing(cast: Cast, api: Api, site: Site, path: str, api_of: ApiMaker) -> None:
    other = place(cast.fabrikam, site.sbc, "London", "fabrikam.example")
    written(other, "+4155[00-99]")
    taken = api.post(path, {"prefixes": [{"prefix": "+411"}, {"prefix": "+415542"}]})
    assert (taken.status, taken.code) == (409, "number_taken")
    assert "Fabrikam" in taken.json["detail"]
    otto = api_of(Role.OPERATOR, cast.contoso).post(path, {"prefixes": [{"prefix": "+415542"}]})
    assert "Fabrikam" not in otto.text
    wrong = api.post(path, {"prefixes": [{"prefix": "+44[1-20]"}]})
    assert (wrong.status, wrong.fields) == (422, {"prefix"})
    assert "did you mean +44[01-20]" in wrong.text
    assert api.patch(path, {"remove": [{"prefix": "x"}]}).status == 422
    assert api.post(path, {"prefixes": []}).status == 422
    assert api.get(path).json["results"] == []
    assert (
        api_of(Role.CUSTOMER_ADMIN, cast.contoso).post(path, {"prefixes": [{"prefix": "+1"}]}).status == 403
    )
    assert api_of(Role.CUSTOMER_MONITOR, cast.contoso).get(path).status == 200
    assert api_of(Role.CUSTOMER_ADMIN, cast.fabrikam).get(path).status == 404
