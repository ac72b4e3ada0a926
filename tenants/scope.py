"""Which customers may be touched right now (DESIGN 6, the second and third wall).

A scope is one tenant, a given set, or every tenant. Outside a scope no query of a tenant's model runs at
all. The scope is mirrored into PostgreSQL, where row-level security holds even for raw SQL: `app.tenant`
carries the ids, and "every tenant" is another role, entered by SET LOCAL ROLE.
"""

import contextlib
import dataclasses
import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextvars import ContextVar
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg2.extensions import TRANSACTION_STATUS_INERROR


class NoScope(RuntimeError):
    """A query of a tenant's data without a scope, or across it: always a mistake of ours, never of a person."""


@dataclasses.dataclass(frozen=True)
class Scope:
    """`tenants` None means every tenant; `reason` says why, for whoever greps for it."""

    tenants: frozenset[uuid.UUID] | None
    reason: str = ""

    def covers(self, tenant_id: uuid.UUID | None) -> bool:
        return self.tenants is None or tenant_id in self.tenants

    def within(self, other: "Scope") -> bool:
        return other.tenants is None or (self.tenants is not None and self.tenants <= other.tenants)

    @property
    def setting(self) -> str:
        """The value of `app.tenant`: ids with commas; empty for "every", whose role needs none."""
        return ",".join(sorted(map(str, self.tenants or ())))


_current: ContextVar[Scope | None] = ContextVar("tenant_scope", default=None)
_session: ContextVar[contextlib.ExitStack | None] = ContextVar("scope_session", default=None)


def current() -> Scope | None:
    return _current.get()


def require() -> Scope:
    """The scope in force. Raises NoScope."""
    found = _current.get()
    if found is None:
        raise NoScope(
            "A tenant's data was asked for outside a scope; open one with tenants.access or scope.one."
        )
    return found


@contextlib.contextmanager
def one(tenant_id: uuid.UUID) -> Iterator[Scope]:
    with _enter(Scope(frozenset({tenant_id}))) as scope:
        yield scope


@contextlib.contextmanager
def some(tenant_ids: Iterable[uuid.UUID]) -> Iterator[Scope]:
    """For an operator who looks after a given set of customers."""
    with _enter(Scope(frozenset(tenant_ids))) as scope:
        yield scope


@contextlib.contextmanager
def every(reason: str) -> Iterator[Scope]:
    """Every tenant. Rare and grep-able; opens a transaction, because SET LOCAL ROLE ends with one."""
    within = connections[DEFAULT_DB_ALIAS].in_atomic_block
    with transaction.atomic(), _enter(Scope(None, reason), role_ends=not within) as scope:
        yield scope


def every_in_sight(reason: str) -> contextlib.AbstractContextManager[Scope]:
    """As `every`, for reads: where every tenant is in sight already, nothing is sent to the database."""
    here = _current.get()
    return every(reason) if here is None or here.tenants is not None else contextlib.nullcontext(here)


def glance(reason: str, sql: str, params: Sequence[Any]) -> list[tuple[Any, ...]]:
    """What one SELECT over every tenant says; by a single message where no transaction is open.

    PostgreSQL takes statements that come together for one transaction, so that the role ends with them.
    """
    connection = connections[DEFAULT_DB_ALIAS]
    inside = connection.in_atomic_block
    with every(reason) if inside else contextlib.nullcontext(), connection.cursor() as cursor:
        cursor.execute(sql if inside else f"SET LOCAL ROLE ump_every; {sql}", params)
        return list(cursor.fetchall())


@contextlib.contextmanager
def nothing() -> Iterator[None]:
    """No scope at all, for a moment: a thread pool or a callback must not inherit somebody's."""
    with _enter(None):
        yield


@contextlib.contextmanager
def imagined(tenant_id: uuid.UUID) -> Iterator[None]:
    """For a query that is written and not asked (tenants.written): the database keeps the scope that it knows."""
    token = _current.set(Scope(frozenset({tenant_id})))
    try:
        yield
    finally:
        _current.reset(token)


@contextlib.contextmanager
def session() -> Iterator[contextlib.ExitStack]:
    """What a request, a CLI call or a worker wraps itself in: scopes opened by doors close at its end."""
    with contextlib.ExitStack() as stack:
        token = _session.set(stack)
        try:
            yield stack
        finally:
            _session.reset(token)


def open_in_session(scope: contextlib.AbstractContextManager[Scope]) -> Scope:
    """Open a scope that lasts until the session ends; the door's way. Raises NoScope outside a session."""
    stack = _session.get()
    if stack is None:
        raise NoScope("A door was used outside scope.session().")
    return stack.enter_context(scope)


@contextlib.contextmanager
def _enter(scope: Scope | None, *, role_ends: bool = False) -> Iterator[Any]:
    """`role_ends`: the transaction is over when the scope is, and takes the role along."""
    before = _current.get()
    token = _current.set(scope)
    try:
        _tell(connections[DEFAULT_DB_ALIAS], before, scope)
        yield scope
    finally:
        _current.reset(token)
        _tell(connections[DEFAULT_DB_ALIAS], scope, before, role=not role_ends)


def _tell(
    connection: BaseDatabaseWrapper, before: Scope | None, now: Scope | None, *, role: bool = True
) -> None:
    """Send what differs. Nothing goes to a closed connection (it is told when it opens) or a broken
    transaction: its rollback restores what was, and a second error would hide the first."""
    if connection.connection is None or _broken(connection):
        return
    was_every, is_every = (scope is not None and scope.tenants is None for scope in (before, now))
    setting_was, setting_is = (scope.setting if scope else "" for scope in (before, now))
    with connection.cursor() as cursor:
        if role and was_every != is_every:
            cursor.execute("SET LOCAL ROLE ump_every" if is_every else "SET LOCAL ROLE NONE")
        if setting_was != setting_is:
            cursor.execute("SELECT set_config('app.tenant', %s, false)", [setting_is])


def _broken(connection: BaseDatabaseWrapper) -> bool:
    if connection.in_atomic_block and connection.needs_rollback:
        return True
    raw = connection.connection
    return bool(raw.closed) or raw.get_transaction_status() == TRANSACTION_STATUS_INERROR


def on_connect(connection: BaseDatabaseWrapper, **_: Any) -> None:
    """Django's connection_created: a new connection learns the scope that is in force."""
    scope = _current.get()
    if connection.alias == DEFAULT_DB_ALIAS and scope is not None and scope.tenants is not None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT set_config('app.tenant', %s, false)", [scope.setting])
