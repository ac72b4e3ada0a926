"""Carrying out a plan: intent, write, read back, line by line (DESIGN 4 and 5).

What is sent was written down before, so a worker that dies leaves lines that are SENT: nobody knows whether Microsoft
heard of them. They are read back, and sent again only when the old value is still there after everything that was
under way must have arrived (facts/security.md 6.1). A line is DONE when Microsoft shows the new value.
"""

import datetime as dt
import uuid
from collections.abc import Iterable, Sequence
from typing import Any

from django.conf import settings
from django.db.models import Exists, F, OuterRef, Subquery
from django.db.models.functions import Now

from audit.services import record
from core.errors import OutcomeUnknown, UmpError
from m365 import permissions
from m365.graph import GraphClient
from provisioning import telling
from provisioning.aspects import Answers, Aspect, Found, Intent, Progress, Sent, Thing, aspect_of, stops
from provisioning.models import ENDED, UNDER_WAY, Change, ChangeState, Line, LineState, Plan, PlanState
from provisioning.planning import observe
from replication.context import Again, Context
from tenants.access import Actor

CHUNK = 20
MOST_UNDER_WAY = 100
"""Lines whose end is not known: what a crash leaves to be read back."""
MOST_SENDS = 3
LOOK_AGAIN = dt.timedelta(seconds=2)
_CHANGE_OF = {
    LineState.DONE: ChangeState.APPLIED,
    LineState.UNSEEN: ChangeState.APPLIED,
    LineState.FAILED: ChangeState.FAILED,
    LineState.BLOCKED: ChangeState.FAILED,
    LineState.SKIPPED: ChangeState.SUPERSEDED,
}


class Applying:
    """The lines of one plan, in as many slices as it takes."""

    def __init__(self, ctx: Context, graph: GraphClient, plan: Plan, *, app: str) -> None:
        self.ctx, self.graph, self.plan, self.app = ctx, graph, plan, app
        self.lines = Line.objects.filter(plan=plan)

    def slice(self) -> Again | None:
        """None once every line has ended."""
        while True:
            under_way = self.lines.filter(state__in=UNDER_WAY).count()
            chunk = self._intend(room=min(CHUNK, MOST_UNDER_WAY - under_way))
            if chunk:
                self._send(chunk)
            elif not under_way:
                return None
            elif not self._follow():
                return Again("Waiting for Microsoft to show what it accepted", wait=LOOK_AGAIN)
            self._tell()
            if self.ctx.should_yield():
                return Again()

    def settle(self) -> Again | None:
        """Only read back what is under way; None once nothing is. Nothing is sent."""
        while self.lines.filter(state__in=UNDER_WAY).exists():
            if not self._follow():
                return Again("Waiting for Microsoft to show what it accepted", wait=LOOK_AGAIN)
            if self.ctx.should_yield():
                return Again()
        return None

    # --- The intent -----------------------------------------------------------------------------------------
    def _intend(self, *, room: int) -> list[Line]:
        """The next lines, written down as sent. What a newer wish has replaced meanwhile is left out."""
        if room <= 0:
            return []
        with self.ctx.transaction():
            newer = Change.objects.filter(
                tenant_id=self.plan.tenant_id,
                state=ChangeState.PENDING,
                subject_id=OuterRef("subject_id"),
                aspect=OuterRef("aspect"),
            )
            planned = self.lines.filter(state=LineState.PLANNED)
            replaced = list(planned.filter(Exists(newer)).values_list("id", flat=True)[:CHUNK])
            self._end_all(replaced, LineState.SKIPPED)
            chunk = self._next(planned.exclude(id__in=replaced), room)
            for line in chunk:
                line.state, line.sends = LineState.SENT, line.sends + 1
                line.request_id, line.operation = str(uuid.uuid4()), ""
            Line.objects.bulk_update(chunk, ["state", "sends", "request_id", "operation"])
            self.lines.filter(id__in=[line.id for line in chunk]).update(sent_at=Now())
        return chunk

    def _next(self, planned: Any, room: int) -> list[Line]:
        """As many as there is room for, all of one place: what is freed is free before somebody else is given it."""
        first = planned.order_by("place", "id").first()
        if first is None:
            return []
        earlier = self.lines.filter(state__in=UNDER_WAY, place__lt=first.place)
        if earlier.exists():
            return []
        return list(planned.filter(place=first.place).order_by("id")[:room])

    # --- The write ------------------------------------------------------------------------------------------
    def _send(self, chunk: Sequence[Line]) -> None:
        """Raises what is about more than one line, with the lines that were not sent put back."""
        answers: Answers = {}
        family = aspect_of(chunk[0].aspect)
        try:
            for family in dict.fromkeys(aspect_of(line.aspect) for line in chunk):
                intents = [_intent(line) for line in chunk if aspect_of(line.aspect) is family]
                answers |= family.write_all(self.graph, intents)
        except UmpError as error:
            self._keep(chunk, answers)
            self._put_back([line for line in chunk if line.id not in answers], error)
            raise self._said(error, family) from error
        self._keep(chunk, answers)

    def _said(self, error: UmpError, family: Aspect) -> UmpError:
        """A missing permission to write concerns these changes, not the customer's connection."""
        if error.code != "permission_missing":
            return error
        names = ", ".join(permissions.needed(family.feature))
        return UmpError.of(
            "write_not_allowed", app=self.app, thing=family.many, permission=names, detail=dict(error.detail)
        )

    def _keep(self, chunk: Iterable[Line], answers: Answers) -> None:
        """What Microsoft said. A lost reply leaves the line SENT."""
        with self.ctx.transaction():
            for line in chunk:
                answer = answers.get(line.id)
                if isinstance(answer, Sent):
                    self.lines.filter(id=line.id).update(
                        state=LineState.ACCEPTED,
                        request_id=answer.request_id[:80] or line.request_id,
                        operation=answer.operation[:500],
                    )
                elif answer is not None and not isinstance(answer, OutcomeUnknown):
                    self._end(line, LineState.FAILED, answer)

    def _put_back(self, chunk: Sequence[Line], error: UmpError) -> None:
        """What Microsoft refused before it did anything is as if it had not been sent; the rest is read back."""
        if isinstance(error, OutcomeUnknown) or not stops(error):
            return
        ids = [line.id for line in chunk]
        with self.ctx.transaction():
            self.lines.filter(id__in=ids, state=LineState.SENT).update(state=LineState.PLANNED, sent_at=None)

    # --- Reading back ---------------------------------------------------------------------------------------
    def _follow(self) -> int:
        """See what became of the lines that are under way; how many are not any more."""
        under_way = self.lines.filter(state__in=UNDER_WAY).annotate(age=Now() - F("sent_at"))
        rows = list(under_way.order_by("sent_at", "id")[:MOST_UNDER_WAY])
        found = observe(self.graph, [Thing(line.subject_id, line.aspect) for line in rows])
        asked = {line.id: self._ask(line) for line in rows if not _shown(line, found)}
        with self.ctx.transaction():
            for line in rows:
                self._judge(line, found, asked.get(line.id, Progress()))
            telling.numbers(self.plan, [line for line in rows if _shown(line, found)])
        return len(rows) - self.lines.filter(state__in=UNDER_WAY).count()

    def _ask(self, line: Line) -> Progress:
        """Of a line that was SENT nobody knows where to ask."""
        if line.state != LineState.ACCEPTED:
            return Progress()
        return aspect_of(line.aspect).progress(self.graph, _intent(line), line.operation)

    def _judge(self, line: Line, found: Found, progress: Progress) -> None:
        """DONE when it shows; FAILED when Microsoft says so; otherwise patience, to an end.

        How old it was before it was read, the database's clock says: a worker's may be wrong.
        """
        thing, family, who = Thing(line.subject_id, line.aspect), aspect_of(line.aspect), line.subject_name
        since: dt.timedelta | None = getattr(line, "age")  # noqa: B009  an annotation
        age = 0.0 if progress.running or since is None else since.total_seconds()
        if _shown(line, found):
            self._end(line, LineState.DONE)
        elif progress.error is not None:
            self._end(line, LineState.FAILED, progress.error)
        elif thing not in found:
            self._end(line, LineState.FAILED, UmpError.of("user_gone", thing=who))
        elif age < settings.WRITE_SETTLE_SECONDS:
            pass
        elif not family.same(found[thing], line.before):
            self._end(line, LineState.FAILED, UmpError.of("changed_meanwhile", thing=who))
        elif line.state == LineState.SENT:
            self._again(line)
        elif age >= settings.WRITE_SHOWN_SECONDS:
            self._end(line, LineState.UNSEEN, UmpError.of("write_unseen", thing=who))

    def _again(self, line: Line) -> None:
        """The old value is still there: nothing arrived."""
        if line.sends >= MOST_SENDS:
            self._end(line, LineState.FAILED, UmpError.of("write_lost", thing=line.subject_name))
            return
        self.lines.filter(id=line.id).update(state=LineState.PLANNED, sent_at=None)

    # --- The end of a line ----------------------------------------------------------------------------------
    def _end(self, line: Line, state: LineState, error: UmpError | None = None) -> None:
        """With its entry in the trail when something was written. Call it under the fence."""
        problem = dict(error.to_dict()) if error else None
        self.lines.filter(id=line.id).update(state=state, problem=problem, done_at=Now())
        Change.objects.filter(id=line.change_id, state=ChangeState.APPLYING).update(
            state=_CHANGE_OF[state], problem=problem, changed_at=Now()
        )
        if state in {LineState.DONE, LineState.UNSEEN}:
            self._note(line)

    def _end_all(self, ids: Sequence[int], state: LineState) -> None:
        self.lines.filter(id__in=ids).update(state=state, done_at=Now())
        Change.objects.filter(
            id__in=self.lines.filter(id__in=ids).values("change_id"), state=ChangeState.APPLYING
        ).update(state=_CHANGE_OF[state], changed_at=Now())

    def _note(self, line: Line) -> None:
        edit = line.change.edit
        family = aspect_of(line.aspect)
        record(
            Actor(kind=edit.actor_kind, id=edit.actor_id, label=edit.actor_label),
            "user.written",
            tenant_id=self.plan.tenant_id,
            object_kind="user",
            object_id=line.subject_id,
            object_label=line.subject_name,
            changes={family.title(line.aspect): (family.words(line.before), family.words(line.after))},
        )

    def _tell(self) -> None:
        total = self.lines.exclude(act="nothing").count()
        done = self.lines.filter(state__in=ENDED).exclude(act="nothing").count()
        self.ctx.report(done=done, total=total, label=f"{done:,} of {total:,} changes written")


def _intent(line: Line) -> Intent:
    thing = Thing(line.subject_id, line.aspect)
    return Intent(line.id, thing, line.subject_name, line.before, line.after, line.request_id)


def _shown(line: Line, found: Found) -> bool:
    thing = Thing(line.subject_id, line.aspect)
    return thing in found and aspect_of(line.aspect).same(found[thing], line.after)


def start(plan: Plan) -> None:
    """The plan's changes are being applied from now on; lines with nothing to write end at once.

    A plan that was begun stays as it is. Call it under the fence.
    """
    begun = Plan.objects.filter(id=plan.id, state=PlanState.READY).update(
        state=PlanState.APPLYING, started_at=Now(), command_id=plan.command_id
    )
    if not begun:
        return
    lines = Line.objects.filter(plan=plan)
    changes = Change.objects.filter(id__in=lines.values("change_id"), state=ChangeState.PENDING)
    changes.update(state=ChangeState.APPLYING, plan=plan, changed_at=Now())
    ends: dict[str, Any] = {"state": ChangeState.APPLIED, "problem": None, "changed_at": Now()}
    nothing = lines.filter(act="nothing", state=LineState.PLANNED)
    Change.objects.filter(id__in=nothing.values("change_id"), plan=plan).update(**ends)
    nothing.update(state=LineState.DONE, done_at=Now())
    blocked = lines.filter(state=LineState.BLOCKED)
    why = Subquery(blocked.filter(change_id=OuterRef("id")).values("problem")[:1])
    ends |= {"state": ChangeState.FAILED, "problem": why}
    Change.objects.filter(id__in=blocked.values("change_id"), plan=plan).update(**ends)


def release(plan: Plan) -> None:
    """What was not sent yet is not: its wishes wait again, unless newer ones do. Call it under the fence."""
    lines = Line.objects.filter(plan=plan, state=LineState.PLANNED)
    rows = Change.objects.filter(id__in=lines.values("change_id"), state=ChangeState.APPLYING)
    newer = Change.objects.filter(
        tenant_id=plan.tenant_id,
        state=ChangeState.PENDING,
        subject_id=OuterRef("subject_id"),
        aspect=OuterRef("aspect"),
    )
    replaced = list(rows.filter(Exists(newer)).values_list("id", flat=True))
    rows.filter(id__in=replaced).update(state=ChangeState.SUPERSEDED, changed_at=Now())
    rows.exclude(id__in=replaced).update(state=ChangeState.PENDING, plan=None, changed_at=Now())
    lines.update(state=LineState.SKIPPED, done_at=Now())


def finish(plan: Plan, *, stopped: bool = False) -> dict[str, int]:
    """How many lines came to which end; the plan is applied, or in part. Call it under the fence."""
    lines = Line.objects.filter(plan=plan).exclude(act="nothing")
    figures = {
        "written": lines.filter(state=LineState.DONE).count(),
        "unseen": lines.filter(state=LineState.UNSEEN).count(),
        "failed": lines.filter(state=LineState.FAILED).count(),
        "blocked": lines.filter(state=LineState.BLOCKED).count(),
        "replaced": lines.filter(state=LineState.SKIPPED).count(),
    }
    whole = not (stopped or figures["unseen"] or figures["failed"] or figures["blocked"])
    Plan.objects.filter(id=plan.id).update(
        state=PlanState.APPLIED if whole else PlanState.PARTIAL,
        finished_at=Now(),
        figures=plan.figures | figures,
    )
    return {name: number for name, number in figures.items() if number}
