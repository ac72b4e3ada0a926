"""A deleted customer is gone after 30 days, however large its copy of the directory is, and nobody else is."""

import uuid

import pytest
from django.apps import apps
from django.db import connection, models
from django.utils import timezone

from audit.models import Entry
from authstatus.services import check
from directory.models import DirectoryGroup, DirectoryUser, GroupMember
from replication import sweeper
from tenants import scope, shredding
from tenants.access import SYSTEM
from tenants.models import Secret, Tenant, TenantKey
from tests.cast import Cast

pytestmark = pytest.mark.django_db
USERS = 90


def _mirrored(tenant: Tenant) -> None:
    users = [DirectoryUser(tenant=tenant, object_id=uuid.uuid4(), search="") for _ in range(USERS)]
    group = DirectoryGroup(tenant=tenant, object_id=uuid.uuid4(), search="")
    with scope.one(tenant.id):
        DirectoryUser.objects.bulk_create(users)
        DirectoryGroup.objects.bulk_create([group])
        GroupMember.objects.bulk_create(
            GroupMember(tenant=tenant, group_id=group.object_id, member_id=user.object_id) for user in users
        )
        check(SYSTEM, tenant)


def _rows(tenant: Tenant) -> dict[str, int]:
    """How many rows each table holds about a customer."""
    found = {}
    with scope.every("what is left of a customer"), connection.cursor() as cursor:
        for model in apps.get_models():
            for field in model._meta.fields:
                if isinstance(field, models.ForeignKey) and field.related_model is Tenant:
                    cursor.execute(
                        f'SELECT count(*) FROM "{model._meta.db_table}" WHERE {field.column} = %s',
                        [tenant.id],
                    )
                    found[model._meta.label] = cursor.fetchone()[0]
    return {label: number for label, number in found.items() if number}


def test_everything_of_it_goes_and_nothing_else(cast: Cast) -> None:
    for tenant in (cast.contoso, cast.fabrikam):
        _mirrored(tenant)
    before = _rows(cast.fabrikam)
    assert before["directory.GroupMember"] == USERS
    with scope.one(cast.contoso.id):
        Tenant.objects.update(deleted_at=timezone.now(), shred_at=timezone.now())
    assert sweeper.shred() == 1
    assert _rows(cast.contoso) == {}
    assert _rows(cast.fabrikam) == before
    with scope.every("the trail"):
        assert not Tenant.objects.filter(id=cast.contoso.id).exists()
        assert Entry.objects.filter(tenant_id=cast.contoso.id, action="tenant.shredded").count() == 1
    assert sweeper.shred() == 0


def test_the_key_goes_first_and_the_rest_round_by_round(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    _mirrored(cast.contoso)
    monkeypatch.setattr(shredding, "BATCH", 10)
    monkeypatch.setattr(shredding, "ROUNDS", 3)
    rounds = 0
    with scope.one(cast.contoso.id):
        while not shredding.shred(SYSTEM, cast.contoso):
            rounds += 1
            assert not TenantKey.objects.exists()
            assert not Secret.objects.exists()
    assert rounds > USERS // 10 // 3
    assert _rows(cast.contoso) == {}
    with scope.every("the trail"):
        assert Entry.objects.filter(action="tenant.shredded").count() == 1


def test_another_customers_scope_shreds_nothing(cast: Cast) -> None:
    before = _rows(cast.contoso)
    with scope.one(cast.fabrikam.id), pytest.raises(scope.NoScope):
        shredding.shred(SYSTEM, cast.contoso)
    assert _rows(cast.contoso) == before
