"""Changes of a customer's users as people ask for them, and what becomes of plans.

Each act is one transaction with its audit entry. A change waits for further ones (REP-07); then one command works out
what differs and writes it. Nothing is written at Microsoft here.
"""

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.db.models.functions import Now

from audit.services import Changes, record
from core.errors import Conflict, InvalidInput, UmpError
from provisioning import judging
from provisioning.aspects import Found, Route, Thing, aspect_of
from provisioning.judging import Verdict, Wish
from provisioning.models import (
    OPEN_CHANGES,
    Change,
    ChangeState,
    Edit,
    Line,
    LineState,
    Plan,
    PlanState,
    Source,
)
from replication import services as queue
from replication.models import OPEN, Command
from tenants.access import SYSTEM, Actor
from tenants.models import Tenant

APPLY = "apply_changes"
MOST = 20_000
"""Changes of one act."""
NAMED = 5
BATCH = 2_000


@dataclasses.dataclass(frozen=True)
class Asked:
    """What became of an act: a verdict for each wish, and the edit and the command where anything was kept."""

    verdicts: list[Verdict]
    edit: Edit | None = None
    command: Command | None = None

    @property
    def kept(self) -> list[Verdict]:
        return [each for each in self.verdicts if each.counts]

    @property
    def refused(self) -> list[Verdict]:
        return [each for each in self.verdicts if each.problem]


def preview(tenant: Tenant, wishes: Sequence[Wish], *, by: Actor = SYSTEM) -> Asked:
    """What `ask` would say of these, in the customer's scope; nothing is kept. Raises InvalidInput for too many."""
    if len(wishes) > MOST:
        raise InvalidInput(field="changes", why=f"there are {len(wishes):,}; {MOST:,} fit into one act")
    return Asked(judging.judge(tenant, wishes, by=by))


@transaction.atomic
def ask(
    actor: Actor,
    tenant: Tenant,
    wishes: Sequence[Wish],
    *,
    source: Source,
    title: str = "",
    all_or_none: bool = False,
    undo_of: Plan | None = None,
) -> Asked:
    """Keep what can be kept of these wishes, in the customer's scope, and start (or move) the wait.

    A newer wish for the same thing takes an older one's place, and one for what is there already takes it back.
    With `all_or_none` nothing is kept unless everything can be. Raises InvalidInput for too many.
    """
    judging.lock(tenant)
    about = (wishes, source, title, all_or_none, undo_of)
    try:
        with transaction.atomic():
            return _ask(actor, tenant, *about)
    except IntegrityError:
        # Another customer asked for one of these numbers meanwhile: now that is to be seen.
        return _ask(actor, tenant, *about)


def _ask(
    actor: Actor,
    tenant: Tenant,
    wishes: Sequence[Wish],
    source: Source,
    title: str,
    all_or_none: bool,
    undo_of: Plan | None,
) -> Asked:
    asked = preview(tenant, wishes, by=actor)
    if not asked.verdicts or (all_or_none and asked.refused):
        return asked
    same = [each.wish.thing for each in asked.verdicts if each.same]
    dropped = _replace(tenant, same, ChangeState.WITHDRAWN)
    if not asked.kept:
        if dropped:
            _note(actor, tenant, "changes.withdrawn", {"changes": (dropped, 0)})
        return asked
    _replace(tenant, [each.wish.thing for each in asked.kept], ChangeState.SUPERSEDED)
    edit = Edit.objects.create(
        tenant=tenant,
        source=source,
        title=title[:300] or _title(asked.kept),
        undo_of=undo_of,
        actor_kind=actor.kind,
        actor_id=actor.id,
        actor_label=actor.label,
    )
    Change.objects.bulk_create((_row(tenant, edit, each) for each in asked.kept), batch_size=BATCH)
    _note(actor, tenant, "changes.asked", {edit.title: (None, f"{len(asked.kept):,} changes")}, edit)
    return dataclasses.replace(asked, edit=edit, command=_wait(actor, tenant))


def _row(tenant: Tenant, edit: Edit, verdict: Verdict) -> Change:
    thing, wanted = verdict.wish.thing, verdict.wish.wanted
    return Change(
        tenant=tenant,
        edit=edit,
        subject_id=thing.subject_id,
        subject_name=verdict.name[:300],
        aspect=thing.aspect,
        wanted=wanted,
        before=verdict.before,
        number=aspect_of(thing.aspect).number_in(wanted),
        file_line=verdict.wish.line or None,
    )


def _wait(actor: Actor, tenant: Tenant) -> Command | None:
    """The debounce: each change moves the waiting command (REP-07). Nothing waits where the customer says so."""
    return queue.submit(actor, APPLY, tenant, delay=tenant.delay)


def _replace(tenant: Tenant, things: Sequence[Thing], state: ChangeState) -> int:
    """End the waiting wishes for these things; how many there were."""
    ended = 0
    for at in range(0, len(things), BATCH):
        part = set(things[at : at + BATCH])
        rows = waiting(tenant).filter(
            subject_id__in={each.subject_id for each in part}, aspect__in={each.aspect for each in part}
        )
        found = rows.values_list("id", "subject_id", "aspect")
        ids = [key for key, subject, aspect in found if Thing(subject, aspect) in part]
        if ids:
            ended += Change.objects.filter(id__in=ids).update(state=state, changed_at=Now())
    return ended


def waiting(tenant: Tenant) -> QuerySet[Change]:
    """The wishes that nothing has been done about yet."""
    rows: QuerySet[Change] = Change.objects.filter(tenant=tenant, state=ChangeState.PENDING)
    return rows


@transaction.atomic
def withdraw(actor: Actor, tenant: Tenant, ids: Iterable[int] | None = None) -> int:
    """Take waiting wishes back, these or all; how many there were. What is being applied is not among them."""
    rows = waiting(tenant) if ids is None else waiting(tenant).filter(id__in=list(ids))
    named = _names(list(rows[: NAMED + 1]))
    gone = rows.update(state=ChangeState.WITHDRAWN, changed_at=Now())
    if gone:
        _note(actor, tenant, "changes.withdrawn", {"changes": (f"{gone:,}: {named}", None)})
    return gone


@transaction.atomic
def ask_again(actor: Actor, tenant: Tenant, ids: Iterable[int]) -> Asked:
    """Ask once more for wishes that failed, as a new act; judged as of now."""
    rows = Change.objects.filter(tenant=tenant, state=ChangeState.FAILED, id__in=list(ids))
    wishes = [Wish(Thing(row.subject_id, row.aspect), row.wanted) for row in rows]
    return ask(actor, tenant, wishes, source=Source.EDIT, title="Tried again")


# --- Plans --------------------------------------------------------------------------------------------------
@transaction.atomic
def draw(actor: Actor, tenant: Tenant) -> Command:
    """Work out what would be written now; nothing is. The command's result has the plan's uid.

    Raises Conflict (nothing_to_plan) when no change waits.
    """
    if not waiting(tenant).exists():
        raise Conflict("nothing_to_plan", tenant=tenant.name)
    return queue.submit(actor, APPLY, tenant, dry_run=True)


@transaction.atomic
def apply(actor: Actor, tenant: Tenant, plan: Plan, digest: str) -> Command:
    """Carry out a plan that somebody has looked at: `digest` says what he saw.

    Raises UmpError (changes_moved) when it is another plan than he saw, or is not to be had any more.
    """
    row = Plan.objects.select_for_update(no_key=True).get(id=plan.id)
    if row.state != PlanState.READY or row.digest != digest or not still_wanted(row):
        raise UmpError.of("changes_moved", why="the changes that wait are not those of this plan any more")
    _note(actor, tenant, "plan.confirmed", {"writes": (None, writes(row))}, plan=row)
    return queue.submit(actor, APPLY, tenant, target=str(row.uid), params={"plan": str(row.uid)})


def still_wanted(plan: Plan) -> bool:
    """Whether the plan has a line for each change that waits, and no other."""
    lined = Line.objects.filter(plan=plan)
    missing = Change.objects.filter(tenant_id=plan.tenant_id, state=ChangeState.PENDING).exclude(
        id__in=lined.values("change_id")
    )
    return not missing.exists() and not lined.exclude(change__state=ChangeState.PENDING).exists()


def applicable(plan: Plan) -> bool:
    """Whether there is something in it to write, and it says what is wanted now."""
    return plan.state == PlanState.READY and writes(plan) > 0 and still_wanted(plan)


def writes(plan: Plan) -> int:
    """How many lines of it write something."""
    return sum(int(plan.figures.get(act, 0)) for act in ("give", "change", "take"))


@dataclasses.dataclass(frozen=True)
class Undoing:
    """What an undo of a plan would take back, and what it would leave as it is; `now` is what the copy says."""

    back: list[Line]
    left: list[Line]
    later: set[Thing]
    now: Found

    @property
    def wishes(self) -> list[Wish]:
        return [Wish(thing_of(line), line.before) for line in self.back]

    def why_left(self, line: Line) -> str:
        """In a sentence."""
        if thing_of(line) in self.later:
            return "A later plan of the portal has changed it again."
        return "Somebody has changed it at Microsoft since; his word is newer."


def thing_of(line: Line) -> Thing:
    return Thing(line.subject_id, line.aspect)


def what_undo(tenant: Tenant, plan: Plan) -> Undoing:
    """What `undo` would do; nothing is kept. Raises Conflict (nothing_to_undo).

    A line is left where somebody has changed the thing since: his word is newer. What nobody knows the end of is
    taken back as well.
    """
    rows = Line.objects.filter(plan=plan, state__in=[LineState.DONE, LineState.UNSEEN, LineState.SENT])
    lines = list(rows.exclude(act="nothing").order_by("-place", "-id"))
    if not lines:
        raise Conflict("nothing_to_undo")
    now = judging.current([thing_of(line) for line in lines], tenant)
    found = Undoing([], [], _changed_later(lines), now)
    for line in lines:
        thing, family = thing_of(line), aspect_of(line.aspect)
        known = (line.after, line.before)
        moved = thing in now and not any(family.same(now[thing], each) for each in known)
        (found.left if moved or thing in found.later else found.back).append(line)
    return found


@transaction.atomic
def undo(actor: Actor, tenant: Tenant, plan: Plan) -> tuple[Asked, list[Line]]:
    """Ask for the inverse of what a plan did; what is left as it is comes back with it. Raises as `what_undo`."""
    found = what_undo(tenant, plan)
    title = f"Undo of the changes of {plan.drawn_at:%d %b %Y, %H:%M} UTC"
    asked = ask(actor, tenant, found.wishes, source=Source.UNDO, title=title, undo_of=plan)
    return asked, found.left


def _changed_later(lines: Sequence[Line]) -> set[Thing]:
    """Of these lines' things, those that a later plan has changed again."""
    newest = max(line.id for line in lines)
    later = Line.objects.filter(
        tenant_id=lines[0].tenant_id,
        id__gt=newest,
        state__in=[LineState.DONE, LineState.UNSEEN, LineState.SENT],
        subject_id__in={line.subject_id for line in lines},
    ).exclude(act="nothing")
    return {Thing(*each) for each in later.values_list("subject_id", "aspect")}


# --- In the trail -------------------------------------------------------------------------------------------
def _title(kept: Sequence[Verdict]) -> str:
    aspects = sorted({_brief(each.wish.thing.aspect) for each in kept})
    users = {each.wish.thing.subject_id for each in kept}
    what = ", ".join(aspects[:NAMED]) + (" and more" if len(aspects) > NAMED else "")
    return f"{what} of {kept[0].name if len(users) == 1 else f'{len(users):,} users'}"[:300]


def _brief(aspect: str) -> str:
    """Rules on SBCs are one thing, whatever their numbers."""
    family = aspect_of(aspect)
    return family.one if family.family == Route.family else family.title(aspect)


def _names(rows: Sequence[Change]) -> str:
    names = list(dict.fromkeys(row.subject_name for row in rows))
    return ", ".join(names[:NAMED]) + (" and others" if len(names) > NAMED else "")


def _note(
    actor: Actor,
    tenant: Tenant,
    action: str,
    changes: Changes,
    edit: Edit | None = None,
    *,
    plan: Plan | None = None,
) -> None:
    about: Any = edit or plan
    kind = "edit" if edit else "plan" if plan else "tenant"
    record(
        actor,
        action,
        tenant_id=tenant.id,
        object_kind=kind,
        object_id=about.uid if about else tenant.id,
        object_label=edit.title if edit else tenant.name,
        changes=changes,
    )


def is_open(tenant: Tenant) -> bool:
    """Whether anything waits or is being written."""
    applying = Command.objects.filter(tenant=tenant, kind=APPLY, dry_run=False, state__in=OPEN)
    return Change.objects.filter(tenant=tenant, state__in=OPEN_CHANGES).exists() or applying.exists()
