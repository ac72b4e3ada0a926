"""Known SBCs by browser: who may, what is shown, what never is."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from sbc.models import Link, Ovoc, Sbc
from simulator.sbc.device import Device
from simulator.server import Simulator
from tests.breakers.hands import run_due
from tests.cast import Cast, signed_in_at
from tests.pages.helpers import SignIn, post, text_of
from tests.sbc.conftest import fresh

pytestmark = pytest.mark.django_db
COLUMNS = (
    "Id", "Ovoc Sbc Id", "Name", "Ip Address", "Device Fqdn", "NAT Ip Addresses", "Https", "Gateway User", "Status",
    "Sip Users Count", "Sites Count",
)  # fmt: skip


def form(device: Any, **changes: Any) -> dict[str, Any]:
    values = {
        "name": device.name,
        "address": f"{device.host}:{device.port}",
        "user": device.user,
        "password": device.password,
        "fingerprint": device.fingerprint,
        **({"https": "on"} if device.https else {}),
    }
    return {**values, **changes}


def test_an_operator_adds_one_and_sees_how_it_fares(cast: Cast, client_of: SignIn, device: Device) -> None:
    olga = client_of(cast.olga)
    assert "Known SBCs" in text_of(olga, "/audit/")
    assert "No SBC yet" in text_of(olga, "/sbcs/")
    page = text_of(olga, "/sbcs/add/")
    assert 'name="https" id="id_https" checked' in page or "checked" in page.split('name="https"')[1][:60]
    for words in ("SBC Name", "ex: 1.2.3.4", "ex: sbc.contoso.com or contoso.com"):
        assert words in page
    post(olga, "/sbcs/add/", form(device, address="169.254.169.254"), 422)
    post(olga, "/sbcs/add/", form(device))
    sbc = Sbc.objects.get()
    base = f"/sbcs/{sbc.uid}/"
    assert "Trying the connection" in text_of(olga, base)
    assert olga.get(f"{base}live/").status_code == 200
    run_due()
    assert olga.get(f"{base}live/").status_code == 286
    page = text_of(olga, base)
    assert "UMP Management" in page
    assert "Connected" in page
    assert device.serial in page
    assert "Change history" in page
    assert "SBC added" in page
    assert "SBC added" in text_of(olga, f"/audit/?q={sbc.uid}")
    listed = text_of(olga, "/sbcs/")
    for column in COLUMNS:
        assert f">{column}<" in listed, column
    assert "-N/A-" in listed
    assert device.password not in page + listed + text_of(olga, f"{base}edit/")
    assert "sbc1" in text_of(olga, "/sbcs/?q=sbc1&link=connected&sort=-name&size=25")
    assert "No SBC matches" in text_of(olga, "/sbcs/?q=nothing")


def test_devices_are_shown_as_ovoc_does(cast: Cast, client_of: SignIn, device: Device, known: Any) -> None:
    device.alarms = [{"id": "1", "description": "Fan", "severity": "Critical", "source": "", "date": ""}]
    sbc = known(device)
    page = text_of(client_of(cast.mona), "/sbcs/devices/")
    for column in (
        "Name", "IP Address / FQDN", "Product Type", "HA", "Status", "QoS Status", "Calls",
        "Max Concurrent Calls", "Quality", "Successful/Failed", "Version", "Manage",
    ):  # fmt: skip
        assert f">{column}<" in page, column
    assert "Error" in page
    one = text_of(client_of(cast.mona), f"/sbcs/{sbc.uid}/")
    assert "<dt>Critical alarms</dt><dd>1</dd>" in one
    assert ">OVOC<" not in one
    Sbc.objects.update(ovoc_id=7, ovoc={"license": "EXPIRED", "tenant": "fmcuc", "region": "AutoDetection"})
    one = text_of(client_of(cast.mona), f"/sbcs/{sbc.uid}/")
    for words in ("EXPIRED", "fmcuc", "AutoDetection"):
        assert words in one


def test_a_locked_device_is_struck_through(cast: Cast, client_of: SignIn, device: Device, known: Any) -> None:
    device.set({"state": "LOCKED"})
    sbc = known(device)
    mona = client_of(cast.mona)
    for page in ("/sbcs/", f"/sbcs/{sbc.uid}/"):
        assert "(locked)" in text_of(mona, page)
        assert "<s" in text_of(mona, page)
    assert "Warning" in text_of(mona, f"/sbcs/{sbc.uid}/")
    assert "Add New SBC" not in text_of(mona, "/sbcs/")


def test_a_refusal_is_explained_and_not_repeated(
    cast: Cast, client_of: SignIn, device: Device, known: Any
) -> None:
    sbc = known(device, password="wrong")
    olga, base = client_of(cast.olga), f"/sbcs/{sbc.uid}/"
    page = text_of(olga, base)
    assert "Authentication failed" in page
    assert "enter Gateway User and Gateway Password again" in page
    assert "Test connection" not in page
    post(olga, f"{base}check/", {}, 502)
    assert device.logins_refused == 1
    post(olga, f"{base}edit/", form(device, password=""))  # nothing moved: the stored one stays
    run_due()
    assert device.logins_refused == 1
    post(olga, f"{base}edit/", form(device))
    run_due()
    assert fresh(sbc).link == Link.CONNECTED
    post(olga, f"{base}check/", {})
    run_due()
    assert "Remove" in text_of(olga, f"{base}remove/")
    post(olga, f"{base}remove/", {})
    assert not Sbc.objects.exists()


def test_whoever_saves_later_is_told(cast: Cast, client_of: SignIn, device: Device, known: Any) -> None:
    sbc = known(device)
    olga, edit = client_of(cast.olga), f"/sbcs/{sbc.uid}/edit/"
    seen = {"version": sbc.row_version, "password": ""}
    assert f'name="version" value="{sbc.row_version}"' in text_of(olga, edit)
    post(olga, edit, form(device, **seen, name="First"))
    late = post(olga, edit, form(device, **seen, name="Second"), 422).content.decode()
    assert "changed" in late
    assert "Second" in late
    assert fresh(sbc).name == "First"


def test_the_fingerprint_of_an_untrusted_device_is_shown(
    cast: Cast, client_of: SignIn, boxes: Simulator, known: Any
) -> None:
    device = boxes.sbcs.add("tls.example", https=True)
    sbc = known(device, fingerprint="")
    page = text_of(client_of(cast.olga), f"/sbcs/{sbc.uid}/")
    assert "TLS error" in page
    assert device.fingerprint in page


def test_the_list_is_reloaded_from_ovoc(cast: Cast, client_of: SignIn, boxes: Simulator) -> None:
    pia, found = client_of(cast.pia), boxes.sbcs.ovoc
    assert "Reload From Ovoc" not in text_of(pia, "/sbcs/")
    post(pia, "/sbcs/reload/", {}, 409)
    found.put({"name": "<b>x</b>", "ipAddress": "169.254.4.1", "productType": "Mediant"})
    values = {"address": f"{found.host}:{found.port}", "user": found.user}
    post(pia, "/sbcs/ovoc/", values, 422)
    post(pia, "/sbcs/ovoc/", {**values, "password": found.password})
    assert "Reload From Ovoc" in text_of(pia, "/sbcs/")
    answer = post(pia, "/sbcs/reload/", {})
    run_due()
    assert "1 added" in text_of(pia, answer["Location"])
    page = text_of(pia, "/sbcs/")
    assert "&lt;b&gt;x" in page
    assert "1 added" in page
    assert "cannot sign in yet" in text_of(pia, f"/sbcs/{Sbc.objects.get().uid}/")
    text_of(client_of(cast.olga), "/sbcs/ovoc/", 403)


def test_whoever_enters_ovoc_later_is_told(cast: Cast, client_of: SignIn) -> None:
    pia, ovoc = client_of(cast.pia), "/sbcs/ovoc/"
    values = {"address": "169.254.4.9", "user": "operator", "password": "x" * 12}
    for version, later in ((0, "169.254.4.10"), (2, "169.254.4.11")):
        assert f'name="version" value="{version}"' in text_of(pia, ovoc)
        post(pia, ovoc, {**values, "version": version})
        late = post(pia, ovoc, {**values, "version": version, "address": later}, 422).content.decode()
        assert "Somebody changed OVOC since you last read it." in late
        assert later in late, "what was typed stays"
    assert (Ovoc.objects.get().address, Ovoc.objects.get().row_version) == ("169.254.4.9", 3)


@pytest.mark.parametrize(("who", "status"), [("mona", 200), ("otto", 403), ("adam", 404), ("nora", 404)])
def test_who_sees_the_list(cast: Cast, client_of: SignIn, who: str, status: int) -> None:
    text_of(client_of(getattr(cast, who)), "/sbcs/", status)


def test_the_list_costs_as_many_queries_for_three_as_for_one(
    cast: Cast, client_of: SignIn, boxes: Simulator, known: Callable[..., Sbc]
) -> None:
    mona = client_of(cast.mona)
    counts = []
    for names in (["a.example"], ["b.example", "c.example"]):
        for name in names:
            known(boxes.sbcs.add(name))
        text_of(mona, "/sbcs/")
        with CaptureQueriesContext(connection) as seen:
            text_of(mona, "/sbcs/")
        counts.append(len(seen))
    assert counts[0] == counts[1]


def test_only_a_fresh_sign_in_enters_a_password(cast: Cast, client_of: SignIn, device: Device) -> None:
    olga = client_of(cast.olga)
    signed_in_at(olga, cast.olga, 0)
    assert olga.post("/sbcs/add/", form(device)).status_code == 303
    assert not Sbc.objects.exists()
