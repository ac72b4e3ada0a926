"""What a failure says: about one customer's connection, or about the provider's own line (decision 7).

Everything is decided by rows and the database's clock, so that any number of workers count as one. Locks are
taken customer before lane: call `weigh` before the command is moved.
"""

import dataclasses
import datetime as dt
import enum
import uuid
from typing import Any

from django.conf import settings
from django.db import connection as database
from django.db import transaction
from django.db.models import Exists, F, Q
from django.db.models.functions import Now
from django.utils import timezone

from accounts import installation
from accounts.taken import still_there
from audit.services import record
from breakers.models import AccessFailure, Breaker, Name
from core.errors import Remedy, UmpError
from events.models import Type
from events.services import tell
from tenants import scope
from tenants.access import SYSTEM, Actor
from tenants.lines import OF_PROVIDER_APP
from tenants.models import AppOwner, Connection, ProviderApp, Tenant, Verification

KEPT = 100
"""Failures kept of each customer; Max Access Failures cannot be more."""
FORGOTTEN = dt.timedelta(days=30)
BATCH = 5000
ALIKE_WITHIN = dt.timedelta(minutes=5)
ALIKE_SHARE = 0.2
"""So large a share of those who could, and BREAKER_LEAST_CUSTOMERS, must fail alike before nobody is blamed."""
PROBE_FIRST, PROBE_MOST = dt.timedelta(minutes=1), dt.timedelta(minutes=5)

ON_THE_LINE = frozenset(
    {
        "microsoft_busy", "graph_unavailable", "unreachable", "name_not_resolved", "tls_failed", "proxy_failed",
        "connection_lost", "deadline", "redirected", "bad_reply", "key_unavailable",
    }
)  # fmt: skip
"""No proper answer: the trouble lies between the workers and Microsoft."""
OURS = frozenset(
    {
        "connection_unverified", "connection_missing", "tenant_not_given", "tenant_paused", "secret_unreadable",
        "certificate_unreadable", "breaker_open",
    }
)  # fmt: skip
"""Reasons of our own for which Microsoft was not even asked: another try without a person's act is pointless."""


class Meaning(enum.Enum):
    """What a failure turned out to be."""

    OTHER = "nothing about access"
    LINE = "the provider's own trouble: the work waits, nobody is blamed"
    TRY_AGAIN = "an access failure, fewer than Max Access Failures so far"
    HOLD = "the customer's work has to wait for a person"


@dataclasses.dataclass(frozen=True)
class Rule:
    """Max Access Failures within Access Failure Window; 0 failures = the rule is off, no window = since the
    last successful check."""

    failures: int
    window: dt.timedelta

    @property
    def minutes(self) -> int:
        return int(self.window.total_seconds() // 60)


def rule_of(connection: Connection) -> Rule:
    """The customer's own numbers, or the installation's."""
    own_failures, own_window = connection.max_access_failures, connection.access_failure_window
    failures = installation.get("max_access_failures") if own_failures is None else own_failures
    minutes = installation.get("access_failure_window") if own_window is None else own_window
    return Rule(int(failures), dt.timedelta(minutes=int(minutes)))


def counted(connection: Connection) -> int:
    """How many failures count towards the customer's rule now."""
    return _count(connection.tenant_id, rule_of(connection))


@transaction.atomic
def change_rule(
    actor: Actor, tenant: Tenant, *, max_access_failures: int | None, access_failure_window: int | None
) -> Connection:
    """The customer's own numbers; None is the installation's. Raises InvalidInput naming the field."""
    given = {"max_access_failures": max_access_failures, "access_failure_window": access_failure_window}
    cleaned = {
        name: None if value is None else installation.KINDS[name].clean(value, actor)
        for name, value in given.items()
    }
    connection = still_there(Connection.objects.filter(tenant=tenant), "connection")
    changes = {installation.KINDS[name].title: (getattr(connection, name), cleaned[name]) for name in given}
    for name, value in cleaned.items():
        setattr(connection, name, value)
    connection.row_version += 1
    connection.save(update_fields=[*cleaned, "row_version", "changed_at"])
    record(
        actor,
        "connection.rule_changed",
        tenant_id=tenant.id,
        object_kind="connection",
        object_id=connection.id,
        object_label=tenant.name,
        changes={title: pair for title, pair in changes.items() if pair[0] != pair[1]},
    )
    return connection


def weigh(tenant_id: uuid.UUID, command: int, error: UmpError) -> Meaning:
    """Keep a failure and say what it means. In the scope of every tenant and the transaction of its move."""
    if error.code in OF_PROVIDER_APP:
        open_breaker(Name.PROVIDER_APP, error)
        return Meaning.LINE
    if error.code in ON_THE_LINE:
        _keep(tenant_id, command, error.code, of_line=True)
        if is_open(Name.LINE) or _alike(Name.LINE, error.code):
            open_breaker(Name.LINE, error)
            return Meaning.LINE
        return Meaning.OTHER
    if error.scope != "connection" or error.remedy != Remedy.AFTER_FIX:
        return Meaning.OTHER
    if error.code in OURS:
        return Meaning.HOLD
    return _refused(tenant_id, command, error)


def _refused(tenant_id: uuid.UUID, command: int, error: UmpError) -> Meaning:
    """Microsoft said no. One after another for each customer, so that two workers never both miss the N-th.

    The connection's row is where they take turns: whoever changes it and the lane begins with it.
    """
    connection: Connection | None = (
        Connection.objects.select_for_update(no_key=True).filter(tenant_id=tenant_id).first()
    )
    _keep(tenant_id, command, error.code)
    if connection is None:
        return Meaning.HOLD
    if connection.app_owner == AppOwner.PROVIDER and _alike(Name.PROVIDER_APP, error.code):
        open_breaker(Name.PROVIDER_APP, error)
        return Meaning.LINE
    rule = rule_of(connection)
    if rule.failures == 0:
        return Meaning.HOLD
    if _count(tenant_id, rule) < rule.failures:
        return Meaning.TRY_AGAIN
    if connection.degraded_at is None:
        Connection.objects.filter(tenant_id=tenant_id).update(degraded_at=Now())
        record(
            SYSTEM,
            "connection.degraded",
            tenant_id=tenant_id,
            object_kind="connection",
            object_id=connection.id,
            changes={"Max Access Failures": (None, rule.failures), "last failure": (None, error.code)},
        )
    return Meaning.HOLD


def note_held(tenant_id: uuid.UUID) -> None:
    """The data lane is about to be held; lists say so until `clear`. Call it before the lane is locked."""
    Connection.objects.filter(tenant_id=tenant_id, held_at=None).update(held_at=Now())


def _keep(tenant_id: uuid.UUID, command: int, code: str, *, of_line: bool = False) -> None:
    AccessFailure.objects.bulk_create(
        [AccessFailure(tenant_id=tenant_id, command=command, code=code, of_line=of_line)]
    )
    kept = AccessFailure.objects.filter(tenant_id=tenant_id, of_line=of_line).order_by("-id")
    over = list(kept.values_list("id", flat=True)[KEPT : KEPT + 1])
    if over:
        AccessFailure.objects.filter(tenant_id=tenant_id, of_line=of_line, id__lte=over[0]).delete()


def _count(tenant_id: uuid.UUID, rule: Rule) -> int:
    found = AccessFailure.objects.filter(tenant_id=tenant_id, of_line=False)
    if rule.window:
        found = found.filter(at__gt=Now() - rule.window)
    return int(found.count())


_ALIKE = """
    SELECT (SELECT count(DISTINCT f.tenant_id) FROM breakers_accessfailure f
             WHERE f.at > statement_timestamp() - %(within)s
               AND CASE WHEN %(line)s THEN f.of_line ELSE f.code = %(code)s AND f.tenant_id IN (
                   SELECT c.tenant_id FROM tenants_connection c WHERE c.app_owner = 'provider') END),
           (SELECT count(*) FROM tenants_connection c JOIN tenants_tenant t ON t.id = c.tenant_id
             WHERE t.enabled AND t.deleted_at IS NULL AND (%(line)s OR c.app_owner = 'provider'))
"""


def _alike(name: Name, code: str) -> bool:
    """Whether so many fail alike that it is not their own doing."""
    values: dict[str, Any] = {"within": ALIKE_WITHIN, "line": name == Name.LINE, "code": code}
    with database.cursor() as cursor:
        cursor.execute(_ALIKE, values)
        failing, all_of_them = cursor.fetchone()
    return bool(failing >= max(settings.BREAKER_LEAST_CUSTOMERS, ALIKE_SHARE * all_of_them))


def clear(tenant_id: uuid.UUID) -> bool:
    """Access was proven: forget the failures; True when that ended Degraded.

    Call it in the tenant's scope and in a transaction.
    """
    failures = AccessFailure.objects.filter(tenant_id=tenant_id, of_line=False)
    own = Connection.objects.filter(tenant_id=tenant_id)
    marked = Q(held_at__isnull=False) | Q(degraded_at__isnull=False) | Exists(failures)
    since = own.filter(marked).values_list("degraded_at").first()
    if since is None:
        return False  # as after nearly every check
    failures.delete()
    own.update(held_at=None, degraded_at=None)
    ended = since[0] is not None
    if ended:
        record(
            SYSTEM,
            "connection.restored",
            tenant_id=tenant_id,
            object_kind="connection",
            object_id=tenant_id,
        )
    return ended


# --- The provider's own line --------------------------------------------------------------------------------
def is_open(name: Name) -> bool:
    return Breaker.objects.filter(name=name).exists()


@transaction.atomic
def open_breaker(name: Name, error: UmpError) -> bool:
    """From now on work that would fail alike waits; False when it did already."""
    _, opened = Breaker.objects.get_or_create(
        name=name, defaults={"problem": dict(error.to_dict()), "probe_at": Now()}
    )
    if opened:
        _record("breaker.opened", name, error.code)
    return opened


def cause_of(name: Name) -> str:
    """The code that opened it, or nothing while it is closed."""
    found = Breaker.objects.filter(name=name).first()
    return str(found.problem.get("code", "")) if found else ""


@transaction.atomic
def close_breaker(name: Name) -> None:
    """A probe got through; what failed alike until now is forgotten, or it would open again at the next failure.

    Make it the last thing of a transaction: it tells an event (events.services.tell).
    """
    found = Breaker.objects.select_for_update(no_key=True).filter(name=name).first()
    if found is None:
        return
    found.delete()
    AccessFailure.objects.filter(of_line=name == Name.LINE, at__gt=Now() - ALIKE_WITHIN).filter(
        **({} if name == Name.LINE else {"code": found.problem.get("code", "")})
    ).delete()
    _record("breaker.closed", name, "")
    if found.told:
        lasted = round((timezone.now() - found.opened_at).total_seconds())
        tell(Type.BREAKER_CLOSED, None, {"breaker": name.value, "title": name.label, "seconds": lasted})


def tell_opened() -> int:
    """Tell of each breaker that opened and was not told yet; how many.

    Not where it opens: there lanes are still to be locked, and telling comes after all locks. One that closed again
    before anybody was told is not worth an event. In the scope of every tenant.
    """
    untold = list(Breaker.objects.select_for_update(no_key=True, skip_locked=True).filter(told=False))
    for found in untold:
        Breaker.objects.filter(name=found.name).update(told=True)
        about = {name: found.problem.get(name, "") for name in ("code", "message", "advice", "who")}
        tell(Type.BREAKER_OPENED, None, {"breaker": found.name, "title": found.get_name_display(), **about})
    return len(untold)


def due_probes() -> list[Name]:
    """Breakers whose next probe is due; each is put off to the one after, so that two sweepers send one."""
    due: list[Name] = []
    with transaction.atomic():
        for found in Breaker.objects.select_for_update(no_key=True, skip_locked=True):
            if not _is_due(found):
                continue
            wait = min(PROBE_FIRST * 2 ** min(found.probes, 10), PROBE_MOST)
            Breaker.objects.filter(name=found.name).update(
                probe_at=Now() + wait, probed_at=Now(), probes=F("probes") + 1
            )
            due.append(Name(found.name))
    return due


def _is_due(found: Breaker) -> bool:
    """By its time, or because somebody mended the provider's app since the last probe."""
    if Breaker.objects.filter(name=found.name, probe_at__lte=Now()).exists():
        return True
    last = found.probed_at or found.opened_at
    proven = Q(verification=Verification.SUCCESSFUL, verified_at__gt=last)
    mended = ProviderApp.objects.filter(Q(changed_at__gt=last) | proven)
    return found.name == Name.PROVIDER_APP and mended.exists()


def someone_to_try(name: Name) -> uuid.UUID | None:
    """Any customer whose work waits for this breaker; another one each time, so that no single one decides."""
    with scope.every("a probe looks for any customer whose line it may try"):
        found = Connection.objects.filter(
            tenant__deleted_at=None, tenant__enabled=True, tenant__entra_tenant_id__isnull=False
        )
        if name == Name.PROVIDER_APP:
            found = found.filter(app_owner=AppOwner.PROVIDER)
        for proven in (found.filter(verification=Verification.SUCCESSFUL), found):
            tenant_id: uuid.UUID | None = proven.order_by("?").values_list("tenant_id", flat=True).first()
            if tenant_id is not None:
                return tenant_id
    return None


def forget() -> int:
    """Delete failures nobody counts any more, a bounded number a round; how many."""
    with scope.every("old access failures are forgotten"):
        old = AccessFailure.objects.filter(at__lt=Now() - FORGOTTEN).values_list("id", flat=True)[:BATCH]
        return AccessFailure.objects.filter(id__in=list(old)).delete()[0]


def _record(action: str, name: Name, code: str) -> None:
    record(
        SYSTEM,
        action,
        tenant_id=None,
        object_kind="breaker",
        object_id=name.value,
        object_label=name.label,
        changes={"because of": (None, code)} if code else None,
    )
