"""The base of every model that belongs to a customer: no scope, no query (DESIGN 6, the second wall).

A queryset takes the scope's filter when it is made and remembers the scope; when it runs, that scope must
still be in force. All reading goes through `Query.get_compiler`, so `.exists()`, aggregates, iterators,
subqueries and walks over foreign keys are caught in one place; writes are checked one by one below.
"""

import uuid
from collections.abc import Collection, Iterable
from typing import Any, Self, TypeVar

from django.db import models
from django.db.models import sql
from django.db.models.base import ModelState

from tenants import scope
from tenants.scope import NoScope, Scope

M = TypeVar("M", bound=models.Model)


class ScopedQuery(sql.Query):
    """A query that runs in the scope it was made in, or a wider one, and nowhere else."""

    made_in: Scope | None = None

    def get_compiler(self, *args: Any, **kwargs: Any) -> Any:
        self.check()
        return super().get_compiler(*args, **kwargs)

    def check(self) -> None:
        now = scope.require()
        if self.made_in is None or not self.made_in.within(now):
            raise NoScope(f"A query of {self.model} was made in another scope than it runs in.")


class ScopedQuerySet(models.QuerySet[M]):
    def __init__(self, model: Any = None, query: Any = None, using: Any = None, hints: Any = None) -> None:
        super().__init__(model, query or ScopedQuery(model), using, hints)

    def in_scope(self) -> Self:
        """Only the rows of the scope in force, by the filter that the planner needs."""
        now = scope.require()
        column = owner_column(self.model)
        found = self
        if now.tenants is not None:
            ids = list(now.tenants)
            found = self.filter(**({column: ids[0]} if len(ids) == 1 else {f"{column}__in": ids}))
        found.query.made_in = now  # type: ignore[attr-defined]  # it is a ScopedQuery
        return found

    def update(self, **values: Any) -> int:
        self.query.check()  # type: ignore[attr-defined]  # it is a ScopedQuery
        if {"tenant", "tenant_id"} & values.keys():
            raise NoScope("A row never moves from one customer to another.")
        return super().update(**values)

    def _raw_delete(self, using: str | None) -> int:
        self.query.check()  # type: ignore[attr-defined]  # as above
        return super()._raw_delete(using)

    def _update(self, values: Any) -> int:
        self.query.check()  # type: ignore[attr-defined]  # as above
        return super()._update(values)  # type: ignore[misc,no-any-return]  # as above

    def _insert(self, objs: Iterable[M], *args: Any, **kwargs: Any) -> Any:
        objs = list(objs)
        check_owned(self.model, objs)
        return super()._insert(objs, *args, **kwargs)  # type: ignore[misc]  # as above

    def bulk_create(self, objs: Iterable[M], *args: Any, **kwargs: Any) -> list[M]:
        objs = list(objs)
        check_owned(self.model, objs)
        return super().bulk_create(objs, *args, **kwargs)

    def raw(self, *args: Any, **kwargs: Any) -> Any:
        raise NoScope("Raw queries pass the filter; write SQL in a selector, inside a scope, and say why.")


def sole(rows: models.QuerySet[M]) -> M | None:
    """The only row there can be, or None; `first` would put rows in order for it."""
    return next(iter(rows.order_by()[:1]), None)


class ScopedManager(models.Manager[M]):
    def get_queryset(self) -> ScopedQuerySet[M]:
        return ScopedQuerySet(self.model, using=self._db).in_scope()


class Owned(models.Model):
    """Mixin for the checks that belong to one object. Subclasses set `base_manager_name = "objects"`."""

    objects = ScopedManager()

    class Meta:
        abstract = True
        base_manager_name = "objects"

    def save(self, *args: Any, **kwargs: Any) -> None:
        check_owned(type(self), [self])
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        check_owned(type(self), [self])
        return super().delete(*args, **kwargs)

    @classmethod
    def from_db(cls, db: str | None, field_names: Collection[str], values: Collection[Any], **_: Any) -> Self:
        """A row as it was read; columns that were not asked for are read when they are used, as always.

        Django's own goes through `__init__`, a field at a time, which takes ten times as long: half of a list.
        """
        new = cls.__new__(cls)
        new.__dict__.update(zip(field_names, values, strict=True))
        new._state = ModelState()
        new._state.adding, new._state.db = False, db
        return new


class TenantOwned(Owned):
    """A row of one customer."""

    tenant = models.ForeignKey("tenants.Tenant", models.CASCADE, related_name="+")

    class Meta(Owned.Meta):
        abstract = True


def owner_column(model: type[models.Model]) -> str:
    """`tenant_id`, or `id` for the Tenant itself."""
    return "id" if model._meta.label == "tenants.Tenant" else "tenant_id"


def owner_of(row: models.Model) -> uuid.UUID | None:
    return getattr(row, owner_column(type(row)))  # type: ignore[no-any-return]  # a UUID column by construction


def check_owned(model: type[models.Model], rows: Iterable[models.Model]) -> None:
    """Raises NoScope when one of the rows belongs to a customer outside the scope in force."""
    now = scope.require()
    for row in rows:
        if not now.covers(owner_of(row)):
            raise NoScope(f"A {model.__name__} of another customer cannot be written in this scope.")
