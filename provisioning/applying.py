"""Carrying out a plan: intent, write, read back, line by line (DESIGN 4 and 5).

What is sent was written down before, so a worker that dies leaves lines that are SENT: nobody knows whether Microsoft
heard of them. They are read back, and sent again only when the old value is still there after everything that was
under way must have arrived (facts/security.md 6.1). A line is DONE when Microsoft shows the new value.

Lines that are independent of each other go together: of another user each, and none that waits for a number which
another one still holds. Those of one user keep their order.
"""

import datetime as dt
import uuid
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from django.conf import settings
from django.db.models import Exists, F, OuterRef, Subquery
from django.db.models.functions import Now

from audit.services import record
from core.errors import OutcomeUnknown, Throttled, UmpError
from m365 import permissions
from m365.graph import GraphClient
from provisioning import sending, telling
from provisioning.aspects import (
    Answers,
    Desk,
    Found,
    Intent,
    Progress,
    Sent,
    Thing,
    Value,
    aspect_of,
    by_family,
    passes,
    stops,
)
from provisioning.models import ENDED, UNDER_WAY, Act, Change, ChangeState, Line, LineState, Plan, PlanState
from replication.context import Again, Context
from tenants.access import Actor

CHUNK = 20
"""Lines that are sent together."""
LOOK_AHEAD = 100
"""Lines among which those are looked for."""
MOST_UNDER_WAY = 100
"""Lines whose end is not known: what a crash leaves to be read back."""
MOST_SENDS = 3
LOOK_ANYWAY = 30.0
"""Seconds after which a line is looked at though Microsoft says that its order runs."""
LOOK_AGAIN = dt.timedelta(seconds=2)
SHOWS_SOON = dt.timedelta(minutes=5)
"""After a write; what does not show by then is looked at less often."""
LOOK_LATER = dt.timedelta(seconds=30)
LONGEST_RUN = 3600.0
"""Seconds after which it does not count any more that Microsoft, or an SBC's command, is said to be at a line yet."""
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
        self.ctx, self.plan, self.app = ctx, plan, app
        self.desk = Desk(graph, ctx.transaction)
        self.lines = Line.objects.filter(plan=plan)

    def slice(self) -> Again | None:
        """None once every line has ended."""
        while True:
            under_way = list(self.lines.filter(state__in=UNDER_WAY))
            chunk = self._intend(under_way)
            if chunk:
                self._send(chunk)
            elif not under_way:
                return None
            elif not self._follow():
                return self._look_again()
            else:
                self._tell()
            if self.ctx.should_yield():
                return Again()

    def settle(self) -> Again | None:
        """Only read back what is under way; None once nothing is. Nothing is sent."""
        while self.lines.filter(state__in=UNDER_WAY).exists():
            if not self._follow():
                return self._look_again()
            if self.ctx.should_yield():
                return Again()
        return None

    def _look_again(self) -> Again:
        late = not self.lines.filter(state__in=UNDER_WAY, sent_at__gt=Now() - SHOWS_SOON).exists()
        wait = LOOK_LATER if late else LOOK_AGAIN
        return Again("Waiting for Microsoft to show what it accepted", wait=wait)

    # --- The intent -----------------------------------------------------------------------------------------
    def _intend(self, under_way: Collection[Line]) -> list[Line]:
        """The next lines, written down as sent; none while there is no room for a whole chunk beside `under_way`.

        What a newer wish has replaced meanwhile is left out. Where all wait for each other (two users swap their
        numbers), the first goes and Microsoft has the word.
        """
        if len(under_way) > MOST_UNDER_WAY - CHUNK:
            return []
        with self.ctx.transaction():
            chunk: list[Line] = []
            most = LOOK_AHEAD
            while ahead := self._ahead(under_way, most):
                newer = self._newer(ahead)
                replaced = [line.id for line in ahead if Thing(line.subject_id, line.aspect) in newer]
                self._end_all(replaced, LineState.SKIPPED)
                chunk = self._independent([line for line in ahead if line.id not in replaced], under_way)
                if chunk or under_way or (not replaced and len(ahead) < most):
                    break
                most *= 10  # all of these wait for numbers that are freed further down
            chunk = chunk or ([] if under_way else ahead[:1])
            for line in chunk:
                line.state, line.sends = LineState.SENT, line.sends + 1
                line.request_id, line.operation = str(uuid.uuid4()), ""
            Line.objects.bulk_update(chunk, ["state", "sends", "request_id", "operation"])
            self.lines.filter(id__in=[line.id for line in chunk]).update(sent_at=Now())
        return chunk

    def _ahead(self, under_way: Collection[Line], most: int) -> list[Line]:
        """The lines to be sent next, all of one place: what is freed is free before somebody else is given it."""
        planned = self.lines.filter(state=LineState.PLANNED).order_by("place", "id")
        ahead = list(planned[:most])
        if not ahead or any(line.place < ahead[0].place for line in under_way):
            return []
        return [line for line in ahead if line.place == ahead[0].place]

    def _newer(self, ahead: Collection[Line]) -> set[Thing]:
        """Of these lines' things, those that somebody wants otherwise by now."""
        rows = Change.objects.filter(
            tenant_id=self.plan.tenant_id,
            state=ChangeState.PENDING,
            subject_id__in=[line.subject_id for line in ahead],
        )
        return {Thing(*row) for row in rows.values_list("subject_id", "aspect")}

    def _independent(self, ahead: Sequence[Line], under_way: Collection[Line]) -> list[Line]:
        """Of these, one a user, none of a user of whom nobody knows what arrived, and no number still held."""
        busy = {line.subject_id for line in under_way if line.state == LineState.SENT}
        held = self._held(ahead)
        chunk: list[Line] = []
        for line in ahead:
            holder = held.get(_number(line.aspect, line.after), line.subject_id)
            if line.subject_id not in busy and holder == line.subject_id:
                chunk.append(line)
            busy.add(line.subject_id)
        return chunk[:CHUNK]

    def _held(self, ahead: Collection[Line]) -> dict[str | None, uuid.UUID]:
        """Of the numbers that these lines give, those that a user has who is to get another one: who that is."""
        wanted = [number for line in ahead if (number := _number(line.aspect, line.after))]
        if not wanted:
            return {}
        rows = self.lines.filter(
            state__in=(LineState.PLANNED, *UNDER_WAY),
            act=Act.CHANGE,
            aspect="number",
            before__number__in=wanted,
        )
        return dict(rows.values_list("before__number", "subject_id"))

    # --- The write ------------------------------------------------------------------------------------------
    def _send(self, chunk: Sequence[Line]) -> None:
        """Raises what more writes would meet as well; what Microsoft did nothing about is put back."""
        answers = sending.send_all(self.desk, [_intent(line) for line in chunk])
        all_pass = bool(answers) and all(
            isinstance(one, UmpError) and passes(one) for one in answers.values()
        )
        self._keep(chunk, answers, all_pass=all_pass)
        for line in chunk:
            answer = answers.get(line.id)
            if isinstance(answer, Throttled) or not isinstance(answer, UmpError):
                continue
            if all_pass or stops(answer):
                raise self._said(answer, line.aspect) from answer
        throttled = [answer for answer in answers.values() if isinstance(answer, Throttled)]
        if len(throttled) == len(chunk):  # else the pace is slower from now on, and that is enough
            raise max(throttled, key=lambda error: error.retry_after or 0.0)

    def _said(self, error: UmpError, aspect: str) -> UmpError:
        """A missing permission to write concerns these changes, not the customer's connection."""
        if error.code != "permission_missing":
            return error
        family = aspect_of(aspect)
        names = ", ".join(permissions.needed(family.feature))
        return UmpError.of(
            "write_not_allowed", app=self.app, thing=family.many, permission=names, detail=dict(error.detail)
        )

    def _keep(self, chunk: Iterable[Line], answers: Answers, *, all_pass: bool) -> None:
        """What Microsoft said. No answer leaves a line SENT; what it did not do is as if it was not sent.

        What only passes is tried again. Unless all of them met such a thing (`all_pass`), it may be this one's alone
        for ever, so its tries are counted: it must not be in everybody's way.
        """
        accepted, back, again = [], [], []
        with self.ctx.transaction():
            for line in chunk:
                answer = answers.get(line.id)
                if isinstance(answer, Sent):
                    line.state, line.operation = LineState.ACCEPTED, answer.operation[:500]
                    line.request_id = answer.request_id[:80] or line.request_id
                    accepted.append(line)
                elif answer is None or isinstance(answer, OutcomeUnknown):
                    continue
                elif all_pass or stops(answer):
                    back.append(line.id)
                elif passes(answer) and line.sends < MOST_SENDS:
                    again.append(line.id)
                else:
                    self._end(line, LineState.FAILED, answer)
            Line.objects.bulk_update(accepted, ["state", "request_id", "operation"])
            self.lines.filter(id__in=back).update(state=LineState.PLANNED, sent_at=None, sends=F("sends") - 1)
            self.lines.filter(id__in=again).update(state=LineState.PLANNED, sent_at=None)

    # --- Reading back ---------------------------------------------------------------------------------------
    def _follow(self) -> int:
        """See what became of the lines that are under way; how many are not any more.

        Orders are asked for first: one that runs does not show yet, and to look would be a request for nothing.
        """
        under_way = self.lines.filter(state__in=UNDER_WAY).select_related("change__edit")
        under_way = under_way.annotate(age=Now() - F("sent_at"))
        rows = list(under_way.order_by("sent_at", "id")[:MOST_UNDER_WAY])
        asked = self._ask([line for line in rows if line.state == LineState.ACCEPTED])
        rows = [line for line in rows if not (_runs(line, asked) and _age(line) < LOOK_ANYWAY)]
        found = self._see(rows)
        shown = [line for line in rows if _shown(line, found)]
        ended = len(shown)
        with self.ctx.transaction():
            self._end_all([line.id for line in shown], LineState.DONE)
            for line in shown:
                self._note(line)
            for line in rows:
                if not _shown(line, found):
                    ended += self._judge(line, found, asked.get(line.id, Progress()))
            telling.numbers(self.plan, shown)
        return ended

    def _ask(self, lines: Sequence[Line]) -> dict[int, Progress]:
        asked: dict[int, Progress] = {}
        for family in dict.fromkeys(aspect_of(line.aspect) for line in lines):
            mine = {
                line.id: (_intent(line), line.operation) for line in lines if aspect_of(line.aspect) is family
            }
            asked |= family.progress(self.desk.graph, mine)
        return asked

    def _see(self, lines: Sequence[Line]) -> Found:
        found: Found = {}
        for family, things in by_family(Thing(line.subject_id, line.aspect) for line in lines).items():
            found |= family.seen(self.desk.graph, things)
        return found

    def _judge(self, line: Line, found: Found, progress: Progress) -> bool:
        """Of a line that does not show: FAILED when Microsoft says so, otherwise patience, to an end.

        Longer where somebody is at it, but not for ever: all other changes of the customer wait for it. Whether it
        is under way no more.
        """
        thing, family, who = Thing(line.subject_id, line.aspect), aspect_of(line.aspect), line.subject_name
        age = _age(line)
        if progress.error is not None:
            self._end(line, LineState.FAILED, progress.error)
        elif thing not in found:
            self._end(line, LineState.FAILED, UmpError.of("user_gone", thing=who))
        elif age < (LONGEST_RUN if progress.running else settings.WRITE_SETTLE_SECONDS):
            return False
        elif not family.same(found[thing], line.before):
            self._end(line, LineState.FAILED, UmpError.of("changed_meanwhile", thing=who))
        elif line.state == LineState.SENT:
            self._again(line)
        elif age >= settings.WRITE_SHOWN_SECONDS:
            self._end(line, LineState.UNSEEN, family.unseen(thing, who))
        else:
            return False
        return True

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
        if state == LineState.UNSEEN:
            self._note(line)

    def _end_all(self, ids: Sequence[int], state: LineState) -> None:
        if not ids:
            return
        mine = self.lines.filter(id__in=ids)
        mine.update(state=state, problem=None, done_at=Now())
        changes = Change.objects.filter(id__in=mine.values("change_id"), state=ChangeState.APPLYING)
        changes.update(state=_CHANGE_OF[state], problem=None, changed_at=Now())

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


def _number(aspect: str, value: Value) -> str | None:
    return aspect_of(aspect).number_in(value)


def _runs(line: Line, asked: Mapping[int, Progress]) -> bool:
    return line.id in asked and asked[line.id].running


def _age(line: Line) -> float:
    """Seconds since it was sent, when it was read; by the database's clock, since a worker's may be wrong."""
    since: dt.timedelta | None = getattr(line, "age")  # noqa: B009  an annotation
    return since.total_seconds() if since is not None else 0.0


def _shown(line: Line, found: Found) -> bool:
    thing = Thing(line.subject_id, line.aspect)
    return thing in found and aspect_of(line.aspect).same(found[thing], line.after)


def start(plan: Plan) -> None:
    """The plan's changes are being applied from now on; lines with nothing to write end at once.

    Left out is what does not wait any more: while the plan's own command lay with a person, another one may have
    written it, and something newer since. A plan that was begun stays as it is. Call it under the fence.
    """
    begun = Plan.objects.filter(id=plan.id, state=PlanState.READY).update(
        state=PlanState.APPLYING, started_at=Now(), command_id=plan.command_id
    )
    if not begun:
        return
    lines = Line.objects.filter(plan=plan)
    changes = Change.objects.filter(id__in=lines.values("change_id"), state=ChangeState.PENDING)
    changes.update(state=ChangeState.APPLYING, plan=plan, changed_at=Now())
    mine = Change.objects.filter(plan=plan, state=ChangeState.APPLYING)
    others = lines.filter(state=LineState.PLANNED).exclude(change_id__in=mine.values("id"))
    others.update(state=LineState.SKIPPED, done_at=Now())
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
