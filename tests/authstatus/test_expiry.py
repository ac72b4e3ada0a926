"""A secret that ends soon is told at 90, 60, 30, 14, 7 and 1 days, once each."""

import datetime as dt
import uuid

import pytest
from django.utils import timezone

from authstatus import expiry
from events.models import Event
from tenants import provider_app, scope
from tenants.access import SYSTEM
from tenants.credentials import Given
from tenants.models import ProviderSecret, Secret, SecretKind, Tenant
from tests.breakers.hands import proven

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
        assert expiry._tell(tenant.id, "client_secret", timezone.now(), 30, key)
    assert expiry.tell_expiring() == 0
    assert not expiry._tell(tenant.id, "client_secret", timezone.now(), 30, key)


def expiry_key(tenant: Tenant) -> str:
    secret = Secret.objects.get(tenant=tenant)
    assert secret.expires_at
    return f"{secret.id}:{secret.expires_at:%Y%m%d}:30"
