"""The guide for one customer, and the buttons for its app registration, through the door."""

import uuid
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from authstatus import guide, registrations
from core.errors import InvalidInput
from m365 import permissions
from replication.models import Command
from tenants import scope, services
from tenants.models import Cloud, Connection, Tenant
from tests.cast import Cast

pytestmark = pytest.mark.django_db
Browser = Callable[..., Client]


def page(client: Client, tenant: Tenant, query: str = "") -> str:
    answer = client.get(f"/tenants/{tenant.id}/registration/{query}")
    assert answer.status_code == 200
    return answer.content.decode()


def test_the_guide_carries_this_customers_values(cast: Cast, client_of: Browser) -> None:
    text = page(client_of(cast.vera), cast.contoso)
    for wanted in (
        "Voice portal for Contoso",
        str(cast.contoso.entra_tenant_id),
        "/authenticate/OAuth2Callback",
        "36 months",
        "User.Read.All",
        permissions.PERMISSIONS["User.Read.All"].application,
        "https://portal.azure.com/#view/Microsoft_AAD_RegisteredApps/",
    ):
        assert wanted in text, wanted
    assert "data-copy" in text
    assert "/registration/migrate/" not in text, "she may look, not change"


def test_each_cloud_has_its_own_links(cast: Cast, client_of: Browser) -> None:
    with scope.one(cast.contoso.id):
        Connection.objects.filter(tenant=cast.contoso).update(cloud=Cloud.GCC_HIGH)
    text = page(client_of(cast.pia), cast.contoso)
    assert "https://portal.azure.us/#view" in text
    assert "https://portal.azure.com" not in text
    sync = page(client_of(cast.pia), cast.contoso, "?guide=sync")
    assert "needs one of its own" in sync


def test_the_providers_guide_is_the_providers(cast: Cast, client_of: Browser) -> None:
    text = page(client_of(cast.pia), cast.contoso, "?guide=sync")
    for name in (
        "Directory.AccessAsUser.All",
        "user_impersonation",
        "24 months",
        "multitenant",
        "needs neither",
    ):
        assert name in text, name
    assert client_of(cast.adam).get(f"/tenants/{cast.contoso.id}/registration/?guide=sync").status_code == 404


def test_a_pbx_is_registered_with_https_only(cast: Cast, client_of: Browser) -> None:
    client = client_of(cast.adam)
    text = page(client, cast.contoso, "?guide=pbx&server=PBX.contoso.com:8443")
    assert "https://pbx.contoso.com:8443/ClientOAuth" in text
    for name in permissions.PROFILES["pbx"].delegated:
        assert permissions.PERMISSIONS[name].delegated in text
    assert "http is refused" in page(client, cast.contoso, "?guide=pbx&server=http://pbx.contoso.com")
    assert client.get(f"/tenants/{cast.contoso.id}/registration/?guide=other").status_code == 404


@pytest.mark.parametrize(
    "server", ["pbx.contoso.com", "192.0.2.7", "https://pbx.contoso.com", "[2001:db8::1]:443"]
)
def test_servers_that_are_taken(server: str) -> None:
    assert guide.check_server(server)


@pytest.mark.parametrize(
    "server",
    [
        "http://pbx.contoso.com",
        "pbx contoso",
        "a/b.com",
        "evil@pbx.contoso.com",
        "pbx.contoso.com:99999",
        "x" * 300,
    ],
)
def test_servers_that_are_refused(server: str) -> None:
    with pytest.raises(InvalidInput):
        guide.check_server(server)


def test_what_the_portal_found_is_ticked(cast: Cast) -> None:
    with scope.one(cast.contoso.id):
        services.note_check(cast.contoso.id, verification="successful", problem=None)  # type: ignore[arg-type]
        stored = Connection.objects.select_related("secret").get(tenant=cast.contoso)
        least = permissions.PROFILES["directory_read"].application
        done = {step.title for step in guide.guide("own", cast.contoso, stored, least).steps if step.done}
        some = {step.title for step in guide.guide("own", cast.contoso, stored, least[:1]).steps if step.done}
    assert {"Register the app", "Add the permissions", "Grant admin consent", "Enter it here"} <= done
    assert "Grant admin consent" not in some


def test_migrating_by_the_form(cast: Cast, client_of: Browser) -> None:
    client, address = client_of(cast.adam), f"/tenants/{cast.contoso.id}/registration/migrate/"
    assert client.get(address).status_code == 200
    guid = {"cloud": "global", "client_id": str(uuid.uuid4()), "client_secret": str(uuid.uuid4())}
    refused = client.post(address, guid)
    assert refused.status_code == 422
    assert guid["client_secret"] not in refused.content.decode()
    given = {**guid, "client_secret": "abc8Q~" + "x" * 34}
    answer = client.post(address, given)
    assert answer.status_code == 303
    with scope.one(cast.contoso.id):
        command = Command.objects.get(tenant=cast.contoso, kind=registrations.MIGRATE)
    assert answer["Location"].endswith(f"/commands/{command.id}/")
    text = page(client, cast.contoso)
    assert "Prove the new app registration" in text
    assert "adam@example.test" in text
    assert given["client_secret"] not in text
    assert "Discard" in text
    client.post(f"/tenants/{cast.contoso.id}/registration/forget/")
    assert "Prove the new" not in page(client, cast.contoso)


def test_renewing_is_asked_for_with_its_consequences(cast: Cast, client_of: Browser) -> None:
    client, address = client_of(cast.olga), f"/tenants/{cast.contoso.id}/registration/renew/"
    assert "Replication goes on" in client.get(address).content.decode()
    assert client.post(address).status_code == 303
    with scope.one(cast.contoso.id):
        assert Command.objects.filter(kind=registrations.RENEW).count() == 1
        Connection.objects.filter(tenant=cast.contoso).update(app_owner="provider")
    refused: Any = client.post(address, follow=True)
    assert "whose secret is the provider" in refused.content.decode()


def test_renewing_everybodys_secret_is_the_provider_admins(cast: Cast, client_of: Browser) -> None:
    asked = client_of(cast.pia).get("/settings/renew-secrets/").content.decode()
    assert "<b>2</b> customers" in asked
    assert 'action="/settings/renew-secrets/"' in asked, "also where it is a dialog on another page"
    assert client_of(cast.pia).post("/settings/renew-secrets/").status_code == 303
    with scope.every("a test looks"):
        assert Command.objects.filter(kind=registrations.RENEW_ALL, tenant=None).count() == 1
    assert client_of(cast.olga).get("/settings/renew-secrets/").status_code == 403


def test_nothing_is_made_while_a_credential_waits(cast: Cast, client_of: Browser) -> None:
    client, home = client_of(cast.pia), f"/tenants/{cast.contoso.id}/registration/"
    assert f"{home}create/" in page(client, cast.contoso)
    given = {"cloud": "global", "client_id": str(uuid.uuid4()), "client_secret": "abc8Q~" + "x" * 34}
    assert client.post(f"{home}migrate/", given).status_code == 303
    assert f"{home}create/" not in page(client, cast.contoso)
    assert "xxxx" in client.get(f"{home}migrate/").content.decode(), "its last four characters"
    refused = client.post(f"{home}create/", follow=True)
    assert "waits to be proven" in refused.content.decode()
