"""The end of a customer, 30 days after it was deleted (decision 24): first its secrets and its key, then its rows.

Whole floors above keep rows about customers, up to millions each, and this one knows none of them. So it asks the
models who points at the customer, children first, and deletes in short transactions; a process that dies in
between leaves the rest for the next round.
"""

import uuid
from collections.abc import Iterator

from django.apps import apps
from django.db import connection, models, transaction

from audit.services import record
from tenants import selectors
from tenants.access import Actor
from tenants.models import Tenant, TenantKey
from tenants.owned import check_owned

BATCH = 10_000
"""Rows in one transaction: a fraction of a second."""
ROUNDS = 50
"""Batches in one call, so that whoever calls comes back to other work."""


def shred(actor: Actor, tenant: Tenant) -> bool:
    """Delete what is left of the customer; True when nothing is. Call it in the customer's scope.

    False too, and nothing is touched, when its time is not over (any more): it was restored, or another sweeper
    has ended it. The first transaction already destroys what could open a secret: the copy that a thief of backups
    has is worth nothing from then on, and a restore is refused (tenants.services). The trail stays.
    Raises NoScope in another customer's scope.
    """
    check_owned(Tenant, [tenant])
    order = list(_children_first())
    keys = order.index(TenantKey)
    with transaction.atomic():
        _lock(tenant)
        if not selectors.is_over(tenant):
            return False
        if TenantKey.objects.filter(tenant=tenant).exists():
            _record(actor, tenant)
            for model in _holders_of_keys(order[:keys]):
                _delete(model, tenant.id, None)
            _delete(TenantKey, tenant.id, None)
    rounds = 0
    for model in order:
        while _delete_some(model, tenant):
            rounds += 1
            if rounds == ROUNDS:
                return False
    tenant.delete()
    return True


def _children_first() -> Iterator[type[models.Model]]:
    """Every model with rows of a customer, each after all that point at it."""
    owned = [model for model in apps.get_models() if _owner_column(model) is not None]
    done: set[type[models.Model]] = set()

    def visit(model: type[models.Model]) -> Iterator[type[models.Model]]:
        if model in done:
            return
        done.add(model)
        for child in owned:
            targets = {field.related_model for field in child._meta.fields if field.is_relation}
            if model in targets and child is not model:
                yield from visit(child)
        yield model

    for model in owned:
        yield from visit(model)


def _holders_of_keys(earlier: list[type[models.Model]]) -> Iterator[type[models.Model]]:
    """Of these, what has to go before the keys may: what points at them, directly or not."""
    wanted: set[type[models.Model]] = {TenantKey}
    for model in reversed(earlier):
        if wanted & {field.related_model for field in model._meta.fields if field.is_relation}:
            wanted.add(model)
    return (model for model in earlier if model in wanted)


def _owner_column(model: type[models.Model]) -> str | None:
    for field in model._meta.fields:
        if field.is_relation and field.related_model is Tenant:
            return str(field.column)
    return None


def _lock(tenant: Tenant) -> None:
    """Sweepers and a restore wait for each other here; what is decided is asked after it."""
    Tenant.objects.select_for_update(no_key=True).filter(id=tenant.id).first()


def _delete_some(model: type[models.Model], tenant: Tenant) -> int:
    """One batch. Two sweepers take turns: who waited for the very rows that another deletes would find none left of
    many, and go on to what they point at."""
    with transaction.atomic():
        _lock(tenant)
        return _delete(model, tenant.id, BATCH)


def _delete(model: type[models.Model], tenant_id: uuid.UUID, most: int | None) -> int:
    """At most so many of the customer's rows, past Django, which would fetch them all first; how many it was."""
    table, column = model._meta.db_table, _owner_column(model)
    with connection.cursor() as cursor:
        cursor.execute(
            f'DELETE FROM "{table}" WHERE ctid = ANY(ARRAY('  # noqa: S608  names of our own models
            f'SELECT ctid FROM "{table}" WHERE "{column}" = %s LIMIT %s))',
            [tenant_id, most],
        )
        return int(cursor.rowcount)


def _record(actor: Actor, tenant: Tenant) -> None:
    record(
        actor,
        "tenant.shredded",
        tenant_id=tenant.id,
        object_kind="tenant",
        object_id=tenant.id,
        object_label=tenant.name,
    )
