"""SBC devices over REST: the same services, and no password in any answer."""

from typing import Any

import pytest
from django.test import Client

from replication.models import State
from sbc import selectors, services
from sbc.models import Link, Sbc
from simulator.sbc.device import Device
from simulator.server import Simulator
from tenants.access import SYSTEM, Actor
from tests.breakers.hands import run_due
from tests.cast import Cast
from tests.sbc.conftest import commands, wish
from tests.walls.test_matrix import Stage

pytestmark = pytest.mark.django_db
JSON = "application/json"


@pytest.fixture
def pia(cast: Cast) -> Client:
    return of(cast, "pia")


def of(cast: Cast, name: str) -> Client:
    stage = Stage.__new__(Stage)
    stage.cast = cast
    return stage.client(name, api=True)


def test_a_device_is_added_changed_checked_and_removed(pia: Client, device: Device) -> None:
    made = pia.post("/api/v1/sbcs", wish(device), content_type=JSON)
    assert made.status_code == 201, made.content
    assert made.json()["check"]["kind"] == selectors.CHECK
    assert device.password not in made.content.decode()
    run_due()
    one = pia.get(made["Location"])
    body = one.json()
    assert (body["link"], body["device_status"], body["serial"]) == ("connected", "ok", device.serial)
    assert body["address"] == f"127.0.0.1:{device.port}"
    assert device.password not in one.content.decode()

    url = made["Location"]
    stale = pia.patch(url, {"name": "x"}, content_type=JSON, headers={"If-Match": '"v99"'})
    assert stale.status_code == 412
    moved = pia.patch(url, {"address": "169.254.4.1"}, content_type=JSON)
    assert (moved.status_code, moved.json()["errors"][0]["field"]) == (422, "password")
    renamed = pia.patch(url, {"name": "Renamed"}, content_type=JSON, headers={"If-Match": one["ETag"]})
    assert (renamed.status_code, renamed.json()["name"]) == (200, "Renamed")
    run_due()
    assert pia.post(f"{url}/check", {}, content_type=JSON).status_code == 202
    run_due()
    listed = pia.get("/api/v1/sbcs?link=connected").json()["results"]
    assert [row["name"] for row in listed] == ["Renamed"]
    assert pia.get("/api/v1/sbcs?link=refused").json()["results"] == []
    assert pia.delete(url).status_code == 204
    assert pia.get(url).status_code == 404


def test_who_changes_what_somebody_removes_meanwhile_is_told(
    pia: Client, device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = pia.post("/api/v1/sbcs", wish(device), content_type=JSON)["Location"]
    change = services.change

    def late(actor: Actor, sbc: Sbc, **given: Any) -> Any:
        services.remove(SYSTEM, sbc)
        return change(actor, sbc, **given)

    monkeypatch.setattr(services, "change", late)
    answer = pia.patch(url, {"name": "Renamed"}, content_type=JSON)
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert "SBC" in answer.json()["detail"]


def test_a_refused_password_is_told_and_not_sent_again(pia: Client, device: Device) -> None:
    url = pia.post("/api/v1/sbcs", wish(device, password="wrong"), content_type=JSON)["Location"]
    run_due()
    body = pia.get(url).json()
    assert (body["link"], body["problem"]["code"]) == (Link.REFUSED, "sbc_sign_in_refused")
    assert pia.post(f"{url}/check", {}, content_type=JSON).json()["code"] == "sbc_sign_in_refused"
    assert device.logins_refused == 1


def test_the_list_is_reloaded(pia: Client, boxes: Simulator) -> None:
    assert pia.post("/api/v1/sbcs/reload", {}, content_type=JSON).json()["code"] == "ovoc_missing"


@pytest.mark.parametrize(("who", "see", "add"), [("olga", 200, 201), ("mona", 200, 403), ("adam", 404, 404)])
def test_who_may(cast: Cast, device: Device, who: str, see: int, add: int) -> None:
    client: Any = of(cast, who)
    assert client.get("/api/v1/sbcs").status_code == see
    assert client.post("/api/v1/sbcs", wish(device), content_type=JSON).status_code == add
    assert Sbc.objects.count() == (add == 201)
    assert all(each.state == State.QUEUED for each in commands(selectors.CHECK))


def test_prefixes_are_refreshed_and_searched(pia: Client, device: Device) -> None:
    device.plant(
        "CustDialPlan", [("Contoso", "+41589061[000-999]", "a.example"), ("manual", "+4xx[0-4]", "b")]
    )
    url = pia.post("/api/v1/sbcs", wish(device), content_type=JSON)["Location"]
    run_due()
    assert pia.get(f"{url}/prefixes").json()["results"] == []
    assert pia.post(f"{url}/prefixes/refresh", {}, content_type=JSON).status_code == 202
    run_due()
    assert [row["index"] for row in pia.get(f"{url}/prefixes").json()["results"]] == [0, 1]
    asked = pia.get("/api/v1/prefixes", {"search": "+41589061500", "dial_plan": "CustDialPlan"}).json()
    assert [(row["prefix"], row["takes"]) for row in asked["results"]] == [
        ("+41589061[000-999]", True),
        ("+4xx[0-4]", False),
    ]
    assert pia.get("/api/v1/prefixes?search=contoso").json()["results"][0]["takes"] is None
    first = pia.get("/api/v1/prefixes?limit=1").json()
    assert len(pia.get(first["next"]).json()["results"]) == 1
    assert pia.get("/api/v1/prefixes", {"search": "a\0b"}).status_code == 422
