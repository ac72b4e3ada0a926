"""Adding a customer and its connection: checked at once, watched live, and no secret ever comes back."""

import datetime as dt
import uuid
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from django.utils import timezone

from replication.models import Command, State
from tenants import scope
from tenants.models import SecretKind, Tenant, Verification
from tests.cast import Cast
from tests.pages.helpers import (
    SignIn,
    change,
    commands,
    connection,
    failed,
    fresh,
    post,
    text_of,
    url,
    verified,
)

pytestmark = pytest.mark.django_db
SECRET = "Tz~8Q~a-very-long-client-secret-of-microsoft"


def values(**more: Any) -> dict[str, Any]:
    return {
        "name": "Tailspin Toys", "entra_tenant_id": str(uuid.uuid4()), "domain": "", "plan": "pro",
        "service": "direct_routing", "licensed_users": "30", "cloud": "global", "client_id": str(uuid.uuid4()),
        "client_secret": SECRET, "certificate": "", "private_key": "",
    } | more  # fmt: skip


def added() -> Tenant:
    with scope.every("a test"):
        return Tenant.objects.get(name="Tailspin Toys")


def certificate(days: int = 30) -> tuple[str, str]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "sync")])
    now = timezone.now()
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(1).not_valid_before(now - dt.timedelta(days=400))
        .not_valid_after(now + dt.timedelta(days=days)).sign(key, hashes.SHA256())
    )  # fmt: skip
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return made.public_bytes(serialization.Encoding.PEM).decode(), pem.decode()


def test_a_customer_is_added_and_checked(cast: Cast, client_of: SignIn) -> None:
    client = client_of(cast.olga)
    answer = post(client, "/tenants/add/", values())
    tenant = added()
    assert answer.headers["Location"] == url(tenant)
    assert [(c.kind, c.state) for c in commands(tenant)] == [("verify_credentials", State.QUEUED)]
    page = text_of(client, url(tenant))
    assert "Getting ready" in page
    assert "Credentials stored" in page
    assert "Validating credentials, please wait!" in page
    assert "First replication" in page
    assert SECRET not in page


def test_a_check_that_is_under_way_is_no_reproach(cast: Cast, client_of: SignIn) -> None:
    post(client_of(cast.olga), "/tenants/add/", values())
    page = text_of(client_of(cast.olga), "/")
    assert "Nobody has checked this connection yet" in page, "Contoso and Fabrikam were never checked"
    shown = page[page.index(">Tailspin Toys</a>") :]
    assert "being checked" in shown[: shown.index("</tr>")]
    assert "Nobody needs to act" in shown[: shown.index("</tr>")]


def test_the_steps_follow_the_commands(cast: Cast, client_of: SignIn) -> None:
    client = client_of(cast.olga)
    post(client, "/tenants/add/", values())
    tenant = added()
    failed(tenant, "app_not_found")
    with scope.one(tenant.id):
        Command.objects.update(state=State.FAILED, finished_at=timezone.now(), lease_until=None)
    live = text_of(client, url(tenant, "live/"))
    assert 'data-state="failed"' in live
    assert "Microsoft does not know Sync app" in live
    verified(tenant)
    change(tenant, last_replicated_at=None)
    with scope.one(tenant.id):
        Command.objects.update(
            kind="quick_replication", state=State.EXECUTING, lease_until=timezone.now() + dt.timedelta(seconds=30),
            finished_at=None, progress={"label": "Reading users", "done": 900, "total": 2000},
        )  # fmt: skip
    live = text_of(client, url(tenant, "live/"))
    assert "900 of 2,000 (45%)" in live
    assert live.count('data-state="done"') == 2
    verified(tenant)
    live = text_of(client, url(tenant, "live/"))
    assert live.count('data-state="done"') == 4, "the last step is seen done, not gone"
    change(tenant, created_at=timezone.now() - dt.timedelta(hours=1))
    with scope.one(tenant.id):
        Command.objects.update(state=State.SUCCEEDED, finished_at=timezone.now(), lease_until=None)
    assert "data-state" not in text_of(client, url(tenant, "live/"))


@pytest.mark.parametrize(
    ("wrong", "field", "words"),
    [
        ({"name": ""}, "name", "required"),
        ({"name": "contoso"}, "name", "There is a customer with this name already."),
        ({"name": "a<b"}, "name", "control character"),
        ({"entra_tenant_id": "contoso.com"}, "entra_tenant_id", "Enter it as Microsoft shows it"),
        ({"entra_tenant_id": "c0000000-0000-4000-8000-000000000001"}, "entra_tenant_id", "not available"),
        ({"client_id": "12"}, "client_id", "Enter it as Microsoft shows it"),
        ({"client_secret": str(uuid.uuid4())}, "client_secret", "Secret ID"),
        ({"client_secret": ""}, "client_secret", "needed"),
        ({"client_secret": "with blank inside"}, "client_secret", "blanks"),
        ({"plan": "essentials"}, "plan", "Hosted Essentials Plus and Hosted Pro only"),
        ({"licensed_users": "999999"}, "licensed_users", "left in the pool"),
        ({"domain": "not a domain"}, "domain", "not a domain name"),
        ({"certificate": "x", "private_key": "y"}, "client_secret", "not both"),
        ({"client_secret": "", "certificate": "x", "private_key": "y"}, "certificate", "PEM"),
    ],
)
def test_what_is_wrong_is_said_beside_its_field(
    cast: Cast, client_of: SignIn, wrong: dict[str, str], field: str, words: str
) -> None:
    answer = post(
        client_of(cast.olga),
        "/tenants/add/",
        values(**wrong),
        422,
    )
    page = answer.content.decode()
    error = page[page.index(f'id="id_{field}_error"') :][:600]
    assert words in error
    assert SECRET not in page, "a form sent back never holds the secret"
    with scope.every("a test"):
        assert Tenant.objects.count() == 2


def test_a_private_key_never_comes_back(cast: Cast, client_of: SignIn) -> None:
    cert, key = certificate()
    other = certificate()[1]
    answer = post(
        client_of(cast.olga),
        "/tenants/add/",
        values(client_secret="", certificate=cert, private_key=other),
        422,
    )
    page = answer.content.decode()
    assert "does not belong to this certificate" in page
    assert "PRIVATE KEY" not in page
    assert "<details open>" in page
    post(client_of(cast.olga), "/tenants/add/", values(client_secret="", certificate=cert, private_key=key))
    found = connection(added())
    assert found.secret is not None
    assert found.secret.kind == SecretKind.CERTIFICATE_KEY
    assert found.secret.expires_at is not None


def test_an_expired_certificate_is_refused(cast: Cast, client_of: SignIn) -> None:
    cert, key = certificate(days=-1)
    answer = post(
        client_of(cast.olga),
        "/tenants/add/",
        values(client_secret="", certificate=cert, private_key=key),
        422,
    )
    assert "expired already" in answer.content.decode()


def test_the_connection_shows_everything_but_the_secret(cast: Cast, client_of: SignIn) -> None:
    verified(cast.contoso, days_left=40)
    page = text_of(client_of(cast.adam), url(cast.contoso, "connection/"))
    stored = connection(cast.contoso)
    assert "Microsoft 365 Settings" in page
    assert "Last Authentication Status:" in page
    assert "Successful" in page
    assert str(stored.client_id) in page
    assert stored.secret is not None
    assert f"ends in <code>{stored.secret.hint}</code>" in page
    assert "in 40 days" in page
    assert "Read users" in page
    assert '<code class="wrap">User.Read.All</code>' in page
    assert "canary-heron~secret" not in page


def test_new_credentials_hold_the_work_until_they_are_proven(cast: Cast, client_of: SignIn) -> None:
    verified(cast.contoso)
    before = connection(cast.contoso)
    data = {
        "cloud": "global",
        "client_id": str(before.client_id),
        "client_secret": SECRET,
        "expires_at": "2031-05-01",
    }
    answer = post(client_of(cast.adam), url(cast.contoso, "connection/set/"), data)
    assert answer.headers["Location"] == url(cast.contoso)
    after = connection(cast.contoso)
    assert after.verification == Verification.NEVER
    assert after.secret is not None
    assert after.secret.hint == "soft"
    assert after.secret.expires_at == dt.datetime(2031, 5, 1, tzinfo=dt.UTC)
    assert commands(cast.contoso)[-1].kind == "verify_credentials"


def test_empty_secrets_keep_the_stored_one(cast: Cast, client_of: SignIn) -> None:
    before = connection(cast.contoso)
    data = {
        "cloud": "dod",
        "client_id": str(before.client_id),
        "client_secret": "",
        "expires_at": "2031-05-01",
    }
    post(client_of(cast.adam), url(cast.contoso, "connection/set/"), data)
    after = connection(cast.contoso)
    assert after.cloud == "dod"
    assert after.secret_id == before.secret_id
    assert after.secret is not None
    assert after.secret.expires_at == dt.datetime(2031, 5, 1, tzinfo=dt.UTC)


def test_a_wrong_connection_is_sent_back_without_the_secret(cast: Cast, client_of: SignIn) -> None:
    data = {"cloud": "global", "client_id": "no", "client_secret": SECRET, "expires_at": "2020-01-01"}
    answer = post(client_of(cast.adam), url(cast.contoso, "connection/set/"), data, 422)
    page = answer.content.decode()
    assert SECRET not in page
    assert "This date has passed" in page
    assert "Enter it as Microsoft shows it" in page


def test_who_may_only_look_sees_no_form(cast: Cast, client_of: SignIn) -> None:
    page = text_of(client_of(cast.vera), url(cast.contoso, "connection/"))
    assert "connection/set/" not in page
    assert "but not change it" in page
    post(client_of(cast.vera), url(cast.contoso, "connection/set/"), {}, 403)


def test_raw_facts_are_for_the_provider(cast: Cast, client_of: SignIn) -> None:
    failed(cast.contoso, "secret_expired", correlation_id="abc-123")
    assert "abc-123" in text_of(client_of(cast.olga), url(cast.contoso, "connection/"))
    customer = text_of(client_of(cast.adam), url(cast.contoso, "connection/"))
    assert "abc-123" not in customer
    assert "You, or another administrator of your organisation" in customer


def test_check_credentials_joins_the_waiting_check(cast: Cast, client_of: SignIn) -> None:
    client = client_of(cast.adam)
    for _ in range(2):
        post(client, url(cast.contoso, "check/"), {})
    assert len(commands(cast.contoso)) == 1
    assert "tries one harmless call for each thing" in text_of(client, url(cast.contoso, "check/"))


def test_every_check_is_kept(cast: Cast, client_of: SignIn) -> None:
    failed(cast.contoso)
    verified(cast.contoso)
    page = text_of(client_of(cast.vera), url(cast.contoso, "checks/"))
    assert page.index("Signed in to Contoso") < page.index("has expired")
    assert fresh(cast.contoso).deploy_state == "ready"
