"""Webhooks by browser and by API: who may, what is shown once, and whose events one sees."""

import re
import uuid
from html import unescape
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from events.models import Type
from events.services import tell
from replication import sweeper
from replication.models import Command
from tenants import scope
from tenants.access import SYSTEM
from tenants.models import ProviderSecret, Tenant
from tenants.services import add_tenant, delete_tenant
from tests.breakers.hands import proven
from tests.cast import Cast
from tests.pages.helpers import SignIn, post, text_of
from webhooks import services
from webhooks.models import Endpoint

pytestmark = pytest.mark.django_db
FORM = {"name": "Tickets", "url": "https://tickets.example/hook", "types": ["connection.degraded"]}


def test_a_provider_admin_adds_one_and_sees_its_secret_once(cast: Cast, client_of: SignIn) -> None:
    pia = client_of(cast.pia)
    assert "/settings/webhooks/" in text_of(pia, "/")
    assert "No webhook yet" in text_of(pia, "/settings/webhooks/")
    made = post(pia, "/settings/webhooks/add/", {**FORM, "tenants": "contoso\n"}, 201).content.decode()
    assert "whsec_" in made
    endpoint = Endpoint.objects.get()
    assert endpoint.tenants == [cast.contoso.id]
    base = f"/settings/webhooks/{endpoint.id}/"
    for page in (base, f"{base}edit/", f"{base}replay/", "/settings/webhooks/", "/audit/"):
        assert "whsec_" not in text_of(pia, page), page
    for act in ("test", "hold", "resume"):
        assert "Tickets" in text_of(pia, f"{base}{act}/")
        post(pia, f"{base}{act}/", {})
    with scope.every("a test looks"):
        assert Command.objects.filter(kind="deliver_events", target=str(endpoint.id)).count() == 1
    post(pia, f"{base}edit/", {**FORM, "tenants": "Nobody"}, 422)
    post(pia, f"{base}edit/", {**FORM, "url": "http://tickets.example"}, 422)
    post(pia, f"{base}edit/", {**form_of(pia, endpoint), "name": "Renamed", "tenants": "contoso"})
    post(pia, f"{base}replay/", {"cursor": "-1"}, 422)
    post(pia, f"{base}replay/", {"cursor": "0"})
    post(pia, f"{base}remove/", {})
    assert not Endpoint.objects.exists()


def form_of(browser: Client, endpoint: Endpoint) -> dict[str, object]:
    """As on a page that is opened now."""
    page = browser.get(f"/settings/webhooks/{endpoint.id}/edit/")
    return {**FORM, "version": page.context["form"]["version"].value()}


def test_whoever_saves_later_is_told_and_undoes_nothing(cast: Cast, client_of: SignIn) -> None:
    endpoint, _ = services.add(SYSTEM, name="Tickets", url=FORM["url"])
    pia, edit = client_of(cast.pia), f"/settings/webhooks/{endpoint.id}/edit/"
    first, second = form_of(pia, endpoint), form_of(pia, endpoint)
    post(pia, edit, {**first, "url": "https://tickets.example/new"})
    late = post(pia, edit, {**second, "name": "Renamed"}, 422).content.decode()
    assert "Somebody changed Tickets" in late
    assert 'value="Renamed"' in late
    assert Endpoint.objects.get().url == "https://tickets.example/new"


def leave(tenant: Tenant, *, for_good: bool = False) -> None:
    with scope.one(tenant.id):
        delete_tenant(SYSTEM, tenant, typed_name=tenant.name)
        if for_good:
            Tenant.objects.update(shred_at=timezone.now())
    assert not for_good or sweeper.shred() == 1


def edited(page: str) -> str:
    """What the form says in its field Customers."""
    (text,) = re.findall(r'<textarea name="tenants"[^>]*>([^<]*)</textarea>', page)
    return unescape(str(text)).strip()


@pytest.mark.parametrize("for_good", [False, True])
def test_a_webhook_of_customers_that_left_does_not_become_everybodys(
    cast: Cast, client_of: SignIn, for_good: bool
) -> None:
    endpoint, _ = services.add(SYSTEM, name="Alder's", url=FORM["url"], tenants=[cast.contoso.id])
    leave(cast.contoso, for_good=for_good)
    add_tenant(SYSTEM, name="Contoso", entra_tenant_id=None)
    pia, base = client_of(cast.pia), f"/settings/webhooks/{endpoint.id}/"
    for page in ("/settings/webhooks/", base):
        assert str(cast.contoso.id) in text_of(pia, page), page
    shown = edited(text_of(pia, f"{base}edit/"))
    assert shown == f"{cast.contoso.id} ({'gone' if for_good else 'Contoso, deleted'})"
    post(pia, f"{base}edit/", {**form_of(pia, endpoint), "name": "Renamed", "tenants": shown})
    assert Endpoint.objects.get().tenants == [cast.contoso.id], "not the new one of the same name"
    refused = post(pia, f"{base}edit/", {**form_of(pia, endpoint), "tenants": " \n"}, 422).content.decode()
    assert "tick All customers" in refused
    post(pia, f"{base}edit/", {**form_of(pia, endpoint), "tenants": shown, "everybody": "on"}, 422)
    post(pia, f"{base}edit/", {**form_of(pia, endpoint), "tenants": str(uuid.uuid4())}, 422)
    assert Endpoint.objects.get().tenants == [cast.contoso.id]
    post(pia, f"{base}edit/", {**form_of(pia, endpoint), "tenants": f"{shown}\nfabrikam"})
    assert set(Endpoint.objects.get().tenants) == {cast.contoso.id, cast.fabrikam.id}
    post(pia, f"{base}edit/", {**form_of(pia, endpoint), "tenants": "", "everybody": "on"})
    assert Endpoint.objects.get().tenants == []
    assert "All customers" not in text_of(pia, f"{base}edit/"), "asked only where it was limited"
    post(pia, f"{base}edit/", form_of(pia, endpoint))


def test_by_the_api_neither(cast: Cast, api: Any) -> None:
    endpoint, _ = services.add(SYSTEM, name="Alder's", url=FORM["url"], tenants=[cast.contoso.id])
    leave(cast.contoso, for_good=True)
    pia, url = api("pia"), f"/api/v1/webhooks/{endpoint.id}"

    def put(**more: Any) -> Any:
        tag = pia.get(url)["ETag"]
        return pia.put(url, {**FORM, **more}, content_type="application/json", HTTP_IF_MATCH=tag)

    as_read = pia.get(url).json()["tenants"]
    assert put(tenants=as_read).json()["tenants"] == as_read, "what was read can be written back"
    refused = put()
    assert (refused.status_code, Endpoint.objects.get().tenants) == (422, [cast.contoso.id])
    assert put(tenants=[str(uuid.uuid4())]).status_code == 422
    assert put(tenants=[]).json()["tenants"] == []
    assert put().status_code == 200


def test_a_new_signing_secret_is_shown_once_and_the_old_one_is_ended_by_hand(
    cast: Cast, client_of: SignIn
) -> None:
    endpoint, first = services.add(SYSTEM, name="Tickets", url=FORM["url"])
    pia, base = client_of(cast.pia), f"/settings/webhooks/{endpoint.id}/"
    post(pia, f"{base}rotate/", {"overlap_hours": "999"}, 422)
    made = post(pia, f"{base}rotate/", {"overlap_hours": "24"}, 201).content.decode()
    assert "whsec_" in made
    assert first not in made
    assert "two signatures" in made
    assert "The one before signs too" in text_of(pia, base)
    assert "still accepted" in post(pia, f"{base}rotate/", {"overlap_hours": "24"}, 422).content.decode()
    assert "refuses every call" in text_of(pia, f"{base}drop-old-secret/")
    post(pia, f"{base}drop-old-secret/", {})
    assert "The one before signs too" not in text_of(pia, base)
    post(pia, f"{base}rotate/", {"overlap_hours": "0"}, 201)
    assert Endpoint.objects.get().former_secret is None
    post(pia, f"{base}rotate/", {"overlap_hours": "1"}, 201)
    post(pia, f"{base}remove/", {})
    assert not ProviderSecret.objects.exists(), "both are forgotten"


@pytest.mark.parametrize(("who", "status"), [("olga", 403), ("mona", 403), ("adam", 404), ("nora", 404)])
def test_nobody_else_does(cast: Cast, client_of: SignIn, who: str, status: int) -> None:
    text_of(client_of(getattr(cast, who)), "/settings/webhooks/", status)


def test_the_api_does_the_same(cast: Cast, api: Any) -> None:
    pia = api("pia")
    made = pia.post("/api/v1/webhooks", FORM, content_type="application/json")
    assert made.status_code == 201, made.content
    body = made.json()
    assert body["secret"].startswith("whsec_")
    url = f"/api/v1/webhooks/{body['id']}"
    shown = pia.get(url)
    assert "secret" not in shown.json()
    assert pia.get("/api/v1/webhooks").json()["results"][0]["name"] == "Tickets"
    changed = pia.put(
        url, {**FORM, "name": "New"}, content_type="application/json", HTTP_IF_MATCH=shown["ETag"]
    )
    assert changed.json()["name"] == "New"
    stale = pia.put(url, FORM, content_type="application/json", HTTP_IF_MATCH=shown["ETag"])
    assert stale.status_code == 412
    for act, given in (("test", {}), ("resume", {}), ("replay", {"after": 0})):
        assert pia.post(f"{url}/{act}", given, content_type="application/json").status_code == 200, act
    renewed = pia.post(
        f"{url}/rotate-secret",
        {"overlap_hours": 2},
        content_type="application/json",
        HTTP_IDEMPOTENCY_KEY="one",
    )
    assert renewed.json()["secret"] != body["secret"]
    assert renewed.json()["former_until"]
    again = pia.post(
        f"{url}/rotate-secret",
        {"overlap_hours": 2},
        content_type="application/json",
        HTTP_IDEMPOTENCY_KEY="one",
    )
    assert again.status_code == 409
    assert "shown only once" in again.json()["detail"]
    dropped = pia.post(f"{url}/drop-old-secret", {}, content_type="application/json")
    assert dropped.json()["former_until"] is None
    assert pia.post(f"{url}/drop-old-secret", {}, content_type="application/json").status_code == 409
    assert pia.delete(url).status_code == 204


def test_events_are_read_from_a_cursor_and_only_ones_own(cast: Cast, api: Any) -> None:
    alder = proven("Alder")
    for tenant in (cast.contoso, alder, cast.contoso):
        with scope.one(tenant.id):
            tell(Type.DEGRADED, tenant.id, {"of": tenant.name})
    adam, pia = api("adam"), api("pia")
    seen = adam.get("/api/v1/events").json()["results"]
    assert [row["data"]["of"] for row in seen] == ["Contoso", "Contoso"]
    later = adam.get(f"/api/v1/events?after={seen[0]['id']}").json()["results"]
    assert [row["id"] for row in later] == [seen[1]["id"]]
    everything = pia.get("/api/v1/events?limit=2").json()
    assert len(everything["results"]) == 2
    assert len(pia.get(everything["next"]).json()["results"]) == 1
    assert pia.get("/api/v1/events?type=secret.expiring").json()["results"] == []
    assert pia.get("/api/v1/events?after=-1").status_code == 422


@pytest.fixture
def api(cast: Cast) -> Any:
    from tests.walls.test_matrix import Stage

    stage = Stage.__new__(Stage)
    stage.cast = cast

    def of(name: str) -> Client:
        return stage.client(name, api=True)

    return of
