"""A deleted customer is gone after 30 days, however large its copy of the directory is, and nobody else is."""

import copy
import datetime as dt
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.apps import apps
from django.db import connection, connections, models
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from audit.models import Entry
from authstatus.services import check
from core.errors import UmpError
from directory.models import DirectoryGroup, DirectoryUser, GroupMember
from replication import sweeper
from tenants import scope, services, shredding
from tenants.access import SYSTEM
from tenants.models import Secret, Tenant, TenantKey
from tests.cast import Cast
from tests.overlap import somebody_waits
from tests.pages.helpers import SignIn, fresh, post, text_of, url

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


def _deleted(tenant: Tenant, *, days_left: int = 0) -> Tenant:
    """Deleted, and its time is over unless days are left; as it was read a moment later."""
    now = timezone.now()
    with scope.one(tenant.id):
        Tenant.objects.update(deleted_at=now, shred_at=now + dt.timedelta(days=days_left))
        return Tenant.objects.get()


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
    _deleted(cast.contoso)
    assert sweeper.shred() == 1
    assert _rows(cast.contoso) == {}
    assert _rows(cast.fabrikam) == before
    with scope.every("the trail"):
        assert not Tenant.objects.filter(id=cast.contoso.id).exists()
        assert Entry.objects.filter(tenant_id=cast.contoso.id, action="tenant.shredded").count() == 1
    assert sweeper.shred() == 0


def test_the_key_goes_first_and_the_rest_round_by_round(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    _mirrored(cast.contoso)
    _deleted(cast.contoso)
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


# --- A restore and the shredder -----------------------------------------------------------------------------


def test_a_customer_that_is_half_destroyed_cannot_be_restored(
    cast: Cast, monkeypatch: pytest.MonkeyPatch, client_of: SignIn
) -> None:
    """A large one takes several rounds, and its key went in the first."""
    _mirrored(cast.contoso)
    _deleted(cast.contoso)
    monkeypatch.setattr(shredding, "BATCH", 10)
    monkeypatch.setattr(shredding, "ROUNDS", 3)
    assert sweeper.shred() == 0
    pia = client_of(cast.pia)
    assert "cannot be restored any more" in text_of(pia, url(cast.contoso))
    assert "/restore/" not in text_of(pia, url(cast.contoso))
    assert "/restore/" not in text_of(pia, "/tenants/deleted/")
    assert "its key is destroyed" in text_of(pia, "/tenants/deleted/")
    assert pia.get(url(cast.contoso, "restore/")).status_code == 303, "back to the page that says so"
    answer = post(pia, url(cast.contoso, "restore/"), {}, 410).content.decode()
    assert "cannot be restored any more" in answer
    assert fresh(cast.contoso).deleted_at
    while not sweeper.shred():
        pass
    assert _rows(cast.contoso) == {}


def test_a_restore_that_meets_the_shredder_at_work_is_refused(
    cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its page was open since before the time was over."""
    _mirrored(cast.contoso)
    read_before = _deleted(cast.contoso)
    refused: list[str] = []
    delete = shredding._delete

    def meets(model: Any, tenant_id: uuid.UUID, most: int | None) -> int:
        if most is not None and not refused:
            with pytest.raises(UmpError) as error:
                services.restore_tenant(SYSTEM, read_before)
            refused.append(error.value.code)
        return delete(model, tenant_id, most)

    monkeypatch.setattr(shredding, "_delete", meets)
    assert sweeper.shred() == 1
    assert refused == ["tenant_shredded"]


@pytest.mark.parametrize("days_left", [None, 1])
def test_one_that_is_back_or_has_time_left_is_not_touched(cast: Cast, days_left: int | None) -> None:
    """Whoever read the list of those to destroy may have read it a moment too early."""
    _mirrored(cast.contoso)
    read_before = _deleted(cast.contoso, days_left=days_left or 1)
    with scope.one(cast.contoso.id):
        if days_left is None:
            services.restore_tenant(SYSTEM, read_before)
        before = _rows(cast.contoso)
        assert not shredding.shred(SYSTEM, read_before)
    assert _rows(cast.contoso) == before
    assert before["tenants.TenantKey"] == 1


def test_a_second_restore_says_nothing_twice(cast: Cast) -> None:
    read_before = _deleted(cast.contoso, days_left=1)
    with scope.one(cast.contoso.id):
        services.restore_tenant(SYSTEM, read_before)
        services.restore_tenant(SYSTEM, read_before)
    with scope.every("the trail"):
        assert Entry.objects.filter(action="tenant.restored").count() == 1


def test_a_restore_locks_the_customer_before_it_waits_for_licences(cast: Cast) -> None:
    """As edits do, or the two would wait in a circle."""
    read_before = _deleted(cast.contoso, days_left=1)
    with scope.one(cast.contoso.id), CaptureQueriesContext(connection) as asked:
        services.restore_tenant(SYSTEM, read_before)
    told = [each["sql"] for each in asked]
    (row,) = [number for number, sql in enumerate(told) if "FOR NO KEY UPDATE" in sql]
    (turn,) = [number for number, sql in enumerate(told) if "pg_advisory_xact_lock" in sql]
    assert row < turn


@pytest.mark.django_db(transaction=True)
def test_of_two_shredders_one_tells_it(committed_cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    tenant = _deleted(committed_cast.contoso)
    told, second_ended = threading.Event(), threading.Event()
    tell = shredding._record

    def slowly(*given: Any) -> None:
        tell(*given)
        if not told.is_set():
            told.set()
            while not somebody_waits() and not second_ended.is_set():
                pass

    def first() -> bool:
        try:
            with scope.one(tenant.id):
                return shredding.shred(SYSTEM, copy.copy(tenant))
        finally:
            connections.close_all()

    def second() -> bool:
        try:
            assert told.wait(30)
            with scope.one(tenant.id):
                return shredding.shred(SYSTEM, copy.copy(tenant))
        finally:
            second_ended.set()
            connections.close_all()

    monkeypatch.setattr(shredding, "_record", slowly)
    with ThreadPoolExecutor(2) as pool:
        for each in [pool.submit(first), pool.submit(second)]:
            each.result(60)
    assert _rows(tenant) == {}
    with scope.every("the trail"):
        assert Entry.objects.filter(action="tenant.shredded").count() == 1
