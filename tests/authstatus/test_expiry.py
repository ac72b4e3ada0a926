"""A secret that ends soon is told at 90, 60, 30, 14, 7 and 1 days, once each."""

import datetime as dt
import uuid

import pytest
from django.http import QueryDict
from django.utils import timezone

from authstatus import expiry, registrations, status
from events.models import Event
from tenants import health, provider_app, scope, secrets
from tenants.access import SYSTEM
from tenants.credentials import Given
from tenants.models import Cloud, Connection, Method, ProviderSecret, Purpose, Secret, SecretKind, Tenant
from tests.breakers.hands import proven
from webhooks import digests

pytestmark = pytest.mark.django_db


def ends_in(tenant: Tenant, days: float) -> None:
    with scope.one(tenant.id):
        Secret.objects.update(expires_at=timezone.now() + dt.timedelta(days=days))


def told(tenant: Tenant | None) -> list[int]:
    with scope.every("a test looks"):
        found = Event.objects.filter(tenant=tenant, type="secret.expiring").order_by("id")
        return [event.data["threshold_days"] for event in found]


def test_each_threshold_is_told_once_and_nothing_is_made_up_for() -> None:
    tenant = proven("Alder")
    end = timezone.now() + dt.timedelta(days=89)
    with scope.one(tenant.id):
        Secret.objects.update(expires_at=end)
    assert expiry.tell_expiring() == 1
    assert expiry.tell_expiring() == 0
    assert told(tenant) == [90]
    ends_in(tenant, 10)
    assert expiry.tell_expiring() == 1
    assert told(tenant) == [90, 14], "those between are past"
    for days in (6, 0.5):
        ends_in(tenant, days)
        expiry.tell_expiring()
    assert told(tenant) == [90, 14, 7, 1]


@pytest.mark.parametrize("days", [91, -1])
def test_what_is_far_or_past_is_not_told(days: int) -> None:
    tenant = proven("Alder")
    ends_in(tenant, days)
    assert expiry.tell_expiring() == 0


def test_a_customer_who_is_gone_is_not_told_of() -> None:
    tenant = proven("Alder")
    ends_in(tenant, 5)
    with scope.one(tenant.id):
        Tenant.objects.update(enabled=False)
    assert expiry.tell_expiring() == 0


def test_the_providers_own_app_is_told_too() -> None:
    provider_app.change(
        SYSTEM,
        client_id=uuid.uuid4(),
        redirect_uri="https://portal.example/authenticate/OAuth2Callback",
        given=Given(SecretKind.CLIENT_SECRET, "s~" * 20, expires_at=timezone.now() + dt.timedelta(days=20)),
    )
    assert expiry.tell_expiring() == 1
    assert told(None) == [30]
    assert ProviderSecret.objects.count() == 1


def test_two_sweepers_tell_it_once() -> None:
    tenant = proven("Alder")
    ends_in(tenant, 20)
    with scope.every("another sweeper was faster"):
        key = expiry_key(tenant)
        assert expiry._tell(tenant.id, "client_secret", "in use", timezone.now(), 30, key)
    assert expiry.tell_expiring() == 0
    assert not expiry._tell(tenant.id, "client_secret", "in use", timezone.now(), 30, key)


def expiry_key(tenant: Tenant) -> str:
    secret = Secret.objects.get(tenant=tenant)
    assert secret.expires_at
    return f"{secret.id}:{secret.expires_at:%Y%m%d}:30"


def unused(tenant: Tenant, days: float) -> None:
    """It signs in with a stored sign-in that was used so many days ago."""
    with scope.one(tenant.id):
        row = Connection.objects.get(tenant=tenant)
        row.method, row.granted = (
            Method.TOKEN,
            secrets.store(tenant, SecretKind.TOKEN_CACHE, "{}", set_by="x"),
        )
        row.granted_at = row.refreshed_at = timezone.now() - dt.timedelta(days=days)
        row.save()
        Secret.objects.update(expires_at=None)


@pytest.mark.parametrize(("days", "thresholds"), [(1, []), (40, []), (61, [30]), (80, [14]), (89.5, [1])])
def test_the_end_of_a_stored_sign_in_is_forecast_once_nobody_uses_it(
    days: float, thresholds: list[int]
) -> None:
    tenant = proven("Alder")
    unused(tenant, days)
    expiry.tell_expiring()
    expiry.tell_expiring()
    assert told(tenant) == thresholds


@pytest.mark.parametrize(
    ("days", "bucket", "state"), [(6, None, "healthy"), (8, "90", "healthy"), (80, "30", "attention")]
)
def test_it_stands_in_the_lists_once_it_has_been_idle_for_a_week(
    days: float, bucket: str | None, state: str
) -> None:
    tenant = proven("Alder")
    unused(tenant, days)
    with scope.every("a test looks"):
        Tenant.objects.update(last_replicated_at=timezone.now())
        Connection.objects.update(verification="successful")
        shown = {name for name, number in health.horizon().items() if number and name != "unknown"}
        row = health.with_health(Tenant.objects.filter(id=tenant.id)).get()
        listed = status.matching(QueryDict()).get(id=tenant.id)
    assert shown == ({bucket} if bucket else set())
    assert row.health == state
    assert (row.expires_at is not None) == bool(bucket)
    assert listed.ends_at == row.expires_at


def test_what_is_kept_beside_the_connection_is_told_too() -> None:
    tenant = proven("Alder")
    ends_in(tenant, 200)
    with scope.one(tenant.id):
        soon = timezone.now() + dt.timedelta(days=20)
        given = Given(SecretKind.CLIENT_SECRET, "s~" * 20, expires_at=soon)
        registrations.new_candidate(
            SYSTEM, tenant, Purpose.MIGRATION, given, cloud=Cloud.GLOBAL, client_id=uuid.uuid4()
        )
    assert expiry.tell_expiring() == 1
    with scope.every("a test looks"):
        data = Event.objects.get(type="secret.expiring").data
    assert (data["threshold_days"], data["use"]) == (30, "candidate")
    with scope.every("the digest"):
        (line,) = digests._kept_beside()
    assert line[0] == "Alder"
    assert "Being proven; ends on" in line[1]
    assert line[2].endswith("/registration/")
