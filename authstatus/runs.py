"""Verify All: one check for every customer within reach, followed as one.

A check that failed and access that failed are two things (complaint B 13): a time-out, a busy Microsoft or a fault
of our own app says nothing about a customer, and is counted apart.
"""

import dataclasses
import datetime as dt
import enum
import uuid
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Case, CharField, Count, Exists, Max, OuterRef, Q, QuerySet, Value, When
from django.db.models.functions import Now

from accounts.taken import take_turn
from audit.services import record
from authstatus.commands import VERIFY
from authstatus.models import LeftOut, VerifyRow, VerifyRun
from core.errors import CATALOGUE, NotFound, Remedy
from replication import services as queue
from replication.models import OPEN, Command, Reason, State
from tenants.abilities import Ability
from tenants.access import Actor
from tenants.models import Connection, Tenant
from tenants.written import Written

ONE_AT_A_TIME = 0x5645524946590001
"""Key of the advisory lock under which runs are started."""


class Outcome(enum.StrEnum):
    """What became of one customer in a run, or is to become of it."""

    WAITING = "waiting"
    CHECKING = "checking"
    AGAIN = "again"
    OK = "ok"
    ACCESS_FAILED = "access_failed"
    CHECK_FAILED = "check_failed"
    CANCELLED = "cancelled"
    LEFT_OUT = "left_out"


WORDS: dict[Outcome, tuple[str, str]] = {
    Outcome.WAITING: ("neutral", "Waiting"),
    Outcome.CHECKING: ("busy", "Checking"),
    Outcome.AGAIN: ("busy", "Tries again"),
    Outcome.OK: ("ok", "OK"),
    Outcome.ACCESS_FAILED: ("bad", "Access failed"),
    Outcome.CHECK_FAILED: ("warn", "Check failed"),
    Outcome.CANCELLED: ("neutral", "Cancelled"),
    Outcome.LEFT_OUT: ("neutral", "Not checked"),
}
"""Tone and word of each."""
UNDER_WAY = (Outcome.WAITING, Outcome.CHECKING, Outcome.AGAIN)
TRIED = (Reason.BACKING_OFF, Reason.THROTTLED, Reason.WORKER_LOST)
OF_ACCESS = sorted(
    code
    for code, kind in CATALOGUE.items()
    if kind.remedy == Remedy.AFTER_FIX and kind.scope == "connection" and code != "secret_unreadable"
)
"""Errors that say something about the customer's own access; all others are faults of the check."""


@dataclasses.dataclass(frozen=True)
class Progress:
    """How far a run is, over the customers in scope."""

    counts: dict[Outcome, int]
    ended_at: dt.datetime | None

    def __getitem__(self, outcome: str) -> int:
        return self.counts[Outcome(outcome)]

    @property
    def total(self) -> int:
        """Customers that are checked; those left out are counted apart."""
        return sum(self.counts.values()) - self.counts[Outcome.LEFT_OUT]

    @property
    def under_way(self) -> int:
        return sum(self.counts[outcome] for outcome in UNDER_WAY)

    @property
    def done(self) -> int:
        return self.total - self.under_way

    @property
    def open(self) -> bool:
        return self.under_way > 0


# --- Reads, within the scope in force -----------------------------------------------------------------------
def runs() -> QuerySet[VerifyRun]:
    """Those that had a customer of the scope in them, the newest first."""
    return VerifyRun.objects.filter(Exists(VerifyRow.objects.filter(run=OuterRef("pk")))).order_by(
        "-started_at", "id"
    )


def run(run_id: uuid.UUID) -> VerifyRun:
    """Raises NotFound, also for a run without any customer of the scope."""
    found = runs().filter(id=run_id).first()
    if found is None:
        raise NotFound(thing="run")
    return found


def running() -> VerifyRun | None:
    """The newest that is under way and that nobody cancelled."""
    return _RUNNING.sole()


def _running() -> QuerySet[VerifyRun]:
    at_work = VerifyRow.objects.filter(run=OuterRef("pk"), command__state__in=OPEN)
    return VerifyRun.objects.filter(Exists(at_work), cancelled_at=None).order_by("-started_at", "id")[:1]


_RUNNING = Written(_running)


def rows(found: VerifyRun, *, search: str = "", outcome: str = "") -> QuerySet[Any]:
    """The run's customers by name, each with its `outcome`."""
    listed = _with_outcome(VerifyRow.objects.filter(run=found)).select_related("tenant", "command")
    if search:
        listed = listed.filter(named(search))
    return (listed.filter(outcome=outcome) if outcome else listed).order_by("tenant__name", "id")


def named(search: str) -> Q:
    """Of rows: those whose customer or M365 Email has this in its name."""
    account = Connection.objects.filter(tenant=OuterRef("tenant"), account__icontains=search)
    return Q(tenant__name__icontains=search) | Q(Exists(account))


def progress(found: list[VerifyRun]) -> dict[uuid.UUID, Progress]:
    """How far each of them is; one query."""
    grouped = (
        _with_outcome(VerifyRow.objects.filter(run__in=found))
        .order_by()
        .values("run_id", "outcome")
        .annotate(number=Count("id"), last=Max("command__finished_at"))
    )
    made = {each.id: Progress(dict.fromkeys(Outcome, 0), None) for each in found}
    for row in grouped:
        one = made[row["run_id"]]
        one.counts[Outcome(row["outcome"])] = row["number"]
        ended = max(filter(None, (one.ended_at, row["last"])), default=None)
        made[row["run_id"]] = dataclasses.replace(one, ended_at=ended)
    return {
        key: one if not one.open else dataclasses.replace(one, ended_at=None) for key, one in made.items()
    }


def _with_outcome(found: QuerySet[VerifyRow]) -> QuerySet[Any]:
    of: dict[Outcome, Q] = {
        Outcome.LEFT_OUT: Q(command=None),
        Outcome.OK: Q(command__state=State.SUCCEEDED),
        Outcome.CHECKING: Q(command__state=State.EXECUTING),
        Outcome.CANCELLED: Q(command__state=State.CANCELLED),
        Outcome.ACCESS_FAILED: Q(command__state=State.FAILED, command__error__code__in=OF_ACCESS),
        Outcome.AGAIN: Q(command__state=State.QUEUED, command__reason__in=TRIED),
        Outcome.WAITING: Q(command__state=State.QUEUED),
    }
    cases = [When(rule, then=Value(outcome)) for outcome, rule in of.items()]
    default = Value(Outcome.CHECK_FAILED)  # it failed by no fault of the customer, or was set aside
    return found.annotate(outcome=Case(*cases, default=default, output_field=CharField()))


# --- Writes -------------------------------------------------------------------------------------------------
@transaction.atomic
def start(actor: Actor) -> tuple[VerifyRun, bool]:
    """Queue a check for every customer of the scope; the run, and whether it is new.

    One that is under way and checks all of them already is joined. The checks yield to what people ask for.
    """
    take_turn(ONE_AT_A_TIME)
    reach = _reach()
    wanted = [tenant_id for tenant_id, why_not in reach.items() if not why_not]
    already = running()
    if already is not None and set(wanted) <= set(_checked_in(already)):
        return already, False
    VerifyRun.objects.filter(
        started_at__lt=Now() - dt.timedelta(days=settings.COMMAND_RETENTION_DAYS)
    ).delete()
    made = VerifyRun.objects.create(started_by=actor.label)
    commands = queue.submit_many(actor, VERIFY, wanted)
    VerifyRow.objects.bulk_create(
        [
            VerifyRow(run=made, tenant_id=tenant_id, command_id=commands.get(tenant_id), left_out=why_not)
            for tenant_id, why_not in reach.items()
        ],
        batch_size=1000,
    )
    _record(actor, "verify_run.started", made, {"customers": (None, len(wanted))})
    return made, True


@transaction.atomic
def cancel(actor: Actor, found: VerifyRun) -> int:
    """Take the waiting checks of the scope back; those at work finish, those that a person asked for stay. How many.

    The run as a whole is over for who started it, or may check every customer; others end their own part.
    """
    waiting = Command.objects.filter(
        id__in=VerifyRow.objects.filter(run=found).values("command"), state=State.QUEUED
    )
    taken_back = queue.cancel_many(actor, list(waiting.values_list("id", flat=True)))
    whole = actor.may(Ability.VERIFY_CONNECTION) or found.started_by == actor.label
    if whole:
        VerifyRun.objects.filter(id=found.id, cancelled_at=None).update(
            cancelled_at=Now(), cancelled_by=actor.label
        )
    if taken_back:
        _record(actor, "verify_run.cancelled", found, {"checks cancelled": (None, taken_back)})
    return taken_back


def _reach() -> dict[uuid.UUID, str]:
    """Every living customer of the scope, with why it cannot be checked (empty: it can)."""
    why = Case(
        When(enabled=False, then=Value(LeftOut.DISABLED)),
        When(paused_at__isnull=False, then=Value(LeftOut.PAUSED)),
        When(~Exists(Connection.objects.filter(tenant=OuterRef("pk"))), then=Value(LeftOut.NOT_CONNECTED)),
        default=Value(LeftOut.NO),
        output_field=CharField(),
    )
    living = Tenant.objects.filter(deleted_at=None).order_by("id")
    return dict(living.annotate(why_not=why).values_list("id", "why_not"))


def _checked_in(found: VerifyRun) -> list[uuid.UUID]:
    checked = VerifyRow.objects.filter(run=found, command__isnull=False)
    return list(checked.values_list("tenant_id", flat=True))


def _record(actor: Actor, action: str, found: VerifyRun, changes: dict[str, tuple[object, object]]) -> None:
    record(
        actor,
        action,
        tenant_id=None,
        object_kind="verify_run",
        object_id=found.id,
        object_label="Verify All",
        changes=changes,
    )
