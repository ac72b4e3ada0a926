"""Taking a customer over to the provider's own app registration, by page and API, and the consent link."""

import re
import uuid
from collections.abc import Callable
from urllib.parse import parse_qs, urlsplit

import pytest
from django.conf import LazySettings
from django.test import Client

from authstatus import registrations, shared_app
from m365.consent import STATE
from replication.models import Command
from simulator.server import Simulator
from tenants import provider_app, scope
from tenants.abilities import Role
from tenants.access import SYSTEM
from tenants.credentials import Given
from tenants.models import (
    AppOwner,
    Cloud,
    Connection,
    Method,
    Plan,
    Secret,
    SecretKind,
    Tenant,
    Verification,
)
from tenants.services import give_role
from tests.api.conftest import Api, make_token
from tests.cast import Cast
from tests.directory.pretend import Customer, Worker
from tests.pages.helpers import text_of

pytestmark = pytest.mark.django_db
Browser = Callable[..., Client]
PROVIDERS = uuid.UUID("0f5dd0e1-64ac-4b51-a1ea-222222222222")
BACK = "https://ump.example/authenticate/OAuth2Callback"


@pytest.fixture
def app() -> None:
    provider_app.change(
        SYSTEM, client_id=PROVIDERS, redirect_uri=BACK, given=Given(SecretKind.CLIENT_SECRET, "p~" + "x" * 30)
    )


def place(tenant: Tenant) -> str:
    return f"/tenants/{tenant.id}/provider-app/"


def row(tenant: Tenant) -> Connection:
    with scope.one(tenant.id):
        found: Connection = Connection.objects.get(tenant=tenant)
        return found


def test_the_page_says_what_it_means_and_the_old_credential_is_gone(
    app: None, cast: Cast, client_of: Browser
) -> None:
    client = client_of(cast.olga)
    assert place(cast.contoso) in text_of(client, f"/tenants/{cast.contoso.id}/connection/")
    asked = text_of(client, place(cast.contoso))
    for words in ("on nobody&#x27;s behalf", "is forgotten", "User.Read.All", f"client_id={PROVIDERS}"):
        assert words in asked.replace("&#39;", "&#x27;").replace("nobody's", "nobody&#x27;s"), words
    assert client.post(place(cast.contoso)).status_code == 303
    stored = row(cast.contoso)
    assert (stored.method, stored.app_owner, stored.client_id) == (Method.APP, AppOwner.PROVIDER, PROVIDERS)
    assert stored.verification == Verification.NEVER
    with scope.one(cast.contoso.id):
        assert not Secret.objects.filter(tenant=cast.contoso).exists()
        assert Command.objects.filter(tenant=cast.contoso, kind="verify_credentials").count() == 1
    assert place(cast.contoso) not in text_of(client, f"/tenants/{cast.contoso.id}/connection/"), "done"
    again = client.post(place(cast.contoso))
    assert again.status_code == 409
    assert "already" in again.content.decode()


def _no_app(cast: Cast) -> None:
    provider_app.ProviderApp.objects.all().delete()


def _elsewhere(cast: Cast) -> None:
    Connection.objects.filter(tenant=cast.contoso).update(cloud=Cloud.GCC_HIGH)


def _essentials(cast: Cast) -> None:
    Tenant.objects.filter(id=cast.contoso.id).update(plan=Plan.ESSENTIALS)


def _nowhere(cast: Cast) -> None:
    Tenant.objects.filter(id=cast.contoso.id).update(entra_tenant_id=None)


def _migrating(cast: Cast) -> None:
    registrations.migrate(
        SYSTEM, cast.contoso, cloud=Cloud.GLOBAL, client_id=PROVIDERS, client_secret="q~" + "y" * 30
    )


@pytest.mark.parametrize(
    ("hinder", "code", "words"),
    [
        (_no_app, "provider_app_missing", "No ClientId was specified."),
        (_elsewhere, "provider_app_elsewhere", "GCC High"),
        (_essentials, "plan_without_app", "Hosted Essentials Plus"),
        (_nowhere, "tenant_not_given", "which organisation is meant"),
        (_migrating, "conflict", "under way"),
    ],
)
def test_what_stands_in_the_way_is_said_and_nothing_happens(
    app: None, cast: Cast, client_of: Browser, hinder: Callable[[Cast], None], code: str, words: str
) -> None:
    with scope.one(cast.contoso.id):
        hinder(cast)
    client = client_of(cast.olga)
    for answer in (client.get(place(cast.contoso)), client.post(place(cast.contoso))):
        text = answer.content.decode()
        assert answer.status_code == 409
        assert words in text
        assert "btn primary" not in text.partition('id="dialog"')[2], "no button that would do nothing"
    refused = Api(make_token(Role.OPERATOR)).post(f"tenants/{cast.contoso.id}/connection/provider-app", {})
    assert refused.code == code
    assert row(cast.contoso).app_owner == AppOwner.CUSTOMER


def test_over_the_api_once_for_one_key(app: None, cast: Cast) -> None:
    api, address = Api(make_token(Role.OPERATOR)), f"tenants/{cast.contoso.id}/connection/provider-app"
    answer = api.post(address, {}, Idempotency_Key="one")
    assert (answer.status, answer.json["kind"]) == (202, "verify_credentials")
    assert api.post(address, {}, Idempotency_Key="one").json == answer.json
    found = api.get(f"tenants/{cast.contoso.id}/connection").json
    assert (found["method"], found["app_owner"]) == ("app", "provider")
    query = parse_qs(urlsplit(found["consent_link"]).query)
    assert (query["client_id"], query["redirect_uri"]) == ([str(PROVIDERS)], [BACK])


def test_the_end_of_a_consent_link_believes_nothing(cast: Cast, client_of: Browser) -> None:
    back = f"/authenticate/OAuth2Callback?state={STATE}&admin_consent=True"
    stranger = Client()
    assert "Thank you" in text_of(stranger, f"{back}&tenant={cast.contoso.entra_tenant_id}")
    refused = stranger.get(f"{back}&error=consent_required&error_description=AADSTS65004: declined")
    assert refused.status_code == 422
    assert "declined" in refused.content.decode()
    assert "AADSTS" not in refused.content.decode()
    assert row(cast.contoso).app_owner == AppOwner.CUSTOMER


@pytest.mark.parametrize("name", ["olga", "otto", "mona", "adam", "vera", "both", "nora"])
def test_the_end_of_a_consent_link_leads_on_to_a_page_that_its_reader_may_see(
    cast: Cast, client_of: Browser, name: str
) -> None:
    person = cast.max if name == "both" else getattr(cast, name)
    if name == "both":
        role = Role.CUSTOMER_MONITOR
        give_role(SYSTEM, user_id=person.id, email=person.email, role=role, tenant=cast.contoso)
    client = client_of(person)
    page = text_of(client, f"/authenticate/OAuth2Callback?state={STATE}&admin_consent=True")
    buttons = re.findall(r'<a class="btn primary" href="([^"]+)">([^<]+)</a>', page)
    settings = (f"/tenants/{cast.contoso.id}/connection/", "Microsoft 365 Settings")
    wanted = {"adam": settings, "vera": settings, "both": ("/", "Your organisations"), "nora": None}
    asked = wanted.get(name, ("/authentication-status/", "Authentication Status"))
    assert buttons == ([asked] if asked else [])
    for place, _ in buttons:
        text_of(client, place)


def test_it_is_proven_at_microsoft(
    customer: Customer, microsoft: Simulator, worker: Worker, settings: LazySettings
) -> None:
    """The provider's app is known in the customer's tenant: the check succeeds as that app."""
    settings.CONSENT_PROPAGATION_SECONDS = 0
    old = row(customer.tenant)
    value = customer.pretend.apps[str(old.client_id)].secrets[0].value
    provider_app.change(
        SYSTEM, client_id=old.client_id, redirect_uri=BACK, given=Given(SecretKind.CLIENT_SECRET, value)
    )
    with scope.one(customer.tenant.id):
        command = shared_app.use(SYSTEM, customer.tenant)
    worker.finish(command)
    assert row(customer.tenant).verification == Verification.SUCCESSFUL
