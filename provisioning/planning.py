"""Drawing a plan: what Microsoft has now, held against what is wanted, line by line (DESIGN 5).

In slices, a few hundred changes at a time. The lines of a plan that somebody has looked at are read once more before
anything is written: where one differs, the plan is out of date and nothing is.
"""

import dataclasses
import hashlib
import json
import uuid
from collections import Counter
from collections.abc import Iterable, Sequence

from django.db.models import Count
from django.db.models.functions import Now

from core.errors import UmpError
from m365.graph import GraphClient
from provisioning import judging
from provisioning.aspects import Found, Thing, Value, aspect_of, by_family
from provisioning.judging import Wish
from provisioning.models import Act, Change, ChangeState, Line, LineState, Plan, PlanState
from replication.context import Context
from telephony import ways
from tenants.access import Actor
from tenants.models import Tenant

CHUNK = 200
"""Changes that are read together: ten requests of twenty steps."""


def observe(graph: GraphClient, things: Sequence[Thing]) -> Found:
    """What Microsoft says now; things of users who are not there any more are missing from the answer."""
    found: Found = {}
    for family, mine in by_family(things).items():
        found |= family.observed(graph, mine)
    return found


def begin(ctx: Context, actor: Actor) -> Plan:
    """An empty plan of this command. Call it under the fence."""
    return Plan.objects.create(
        tenant_id=ctx.customer,
        command_id=ctx.command_id,
        actor_kind=actor.kind,
        actor_id=actor.id,
        actor_label=actor.label,
    )


def next_changes(plan: Plan, after: int) -> list[Change]:
    """The changes to be planned next; those that came while it was drawn are among them."""
    rows = Change.objects.filter(tenant_id=plan.tenant_id, state=ChangeState.PENDING, id__gt=after)
    return list(rows.select_related("edit").order_by("id")[:CHUNK])


def lines_of(tenant: Tenant, plan: Plan, changes: Sequence[Change], found: Found) -> list[Line]:
    """A line for each change, by what was found."""
    wishes = [Wish(Thing(row.subject_id, row.aspect), row.wanted) for row in changes]
    verdicts = judging.judge(tenant, wishes, seen=found)
    lines = [
        _line(plan, change, verdict.wish.wanted, _observed(verdict, found), verdict.hint)
        for change, verdict in zip(changes, verdicts, strict=True)
    ]
    of_teams = [line for line in lines if aspect_of(line.aspect).of_teams]
    if of_teams and ways.by_powershell(tenant):
        for line in of_teams:
            line.where = "Teams PowerShell"
    return lines


@dataclasses.dataclass(frozen=True)
class _Now:
    """What is there, and what stands against changing it."""

    before: Value
    problem: UmpError | None


def _observed(verdict: judging.Verdict, found: Found) -> _Now:
    """Microsoft's word counts more than the copy's; what the copy says against a wish counts as well."""
    thing = verdict.wish.thing
    if thing not in found:
        gone = UmpError.of("user_gone", thing=verdict.name or str(thing.subject_id))
        return _Now(verdict.before, verdict.problem or gone)
    before = found[thing]
    done = aspect_of(thing.aspect).same(before, verdict.wish.wanted)
    return _Now(before, None if done else verdict.problem)


def _line(plan: Plan, change: Change, wanted: Value, now: _Now, hint: str) -> Line:
    family = aspect_of(change.aspect)
    act = _act(family.same(now.before, wanted), now.before, wanted)
    return Line(
        tenant_id=plan.tenant_id,
        plan=plan,
        change=change,
        place=family.place(now.before, wanted),
        subject_id=change.subject_id,
        subject_name=change.subject_name,
        aspect=change.aspect,
        where=family.where,
        act=act,
        before=now.before,
        after=wanted,
        why=(hint or "Microsoft has it already" if act == Act.NOTHING else hint or change.edit.title)[:300],
        takes=family.takes(now.before, wanted) and act != Act.NOTHING,
        state=LineState.BLOCKED if now.problem else LineState.PLANNED,
        problem=dict(now.problem.to_dict()) if now.problem else None,
    )


def _act(same: bool, before: Value, after: Value) -> Act:
    if same:
        return Act.NOTHING
    if before in (None, False, "", []):
        return Act.GIVE
    return Act.TAKE if after in (None, False, "", []) else Act.CHANGE


def conclude(plan: Plan) -> Plan:
    """The plan is whole: its figures, and the digest that stands for it. It replaces older ones; under the fence."""
    older = Plan.objects.filter(tenant_id=plan.tenant_id, state__in=[PlanState.DRAWING, PlanState.READY])
    older.exclude(id=plan.id).update(state=PlanState.STALE, finished_at=Now())
    plan.state, plan.digest, plan.figures = PlanState.READY, digest_of(plan), figures_of(plan)
    plan.save(update_fields=["state", "digest", "figures"])
    return plan


def digest_of(plan: Plan) -> str:
    """Stands for what the plan would do, whoever drew it and when."""
    rows = Line.objects.filter(plan=plan).order_by("subject_id", "aspect")
    columns = ("subject_id", "aspect", "act", "before", "after", "state")
    whole = hashlib.sha256()
    for row in rows.values_list(*columns).iterator(chunk_size=2_000):
        whole.update(json.dumps([str(row[0]), *row[1:]], sort_keys=True).encode())
    return whole.hexdigest()


def figures_of(plan: Plan) -> dict[str, int]:
    """How many lines of each act can be written, and how many cannot."""
    rows = Line.objects.filter(plan=plan).order_by().values_list("act", "state").annotate(Count("id"))
    figures: Counter[str] = Counter()
    for act, state, number in rows:
        figures["blocked" if state == LineState.BLOCKED else str(act)] += number
    return dict(figures)


def moved(tenant: Tenant, plan: Plan, lines: Iterable[Line], graph: GraphClient) -> list[Line]:
    """Of these lines, those that would not be drawn like this any more."""
    listed = list(lines)
    changes = [line.change for line in listed]
    found = observe(graph, [Thing(line.subject_id, line.aspect) for line in listed])
    fresh = lines_of(tenant, plan, changes, found)
    return [old for old, new in zip(listed, fresh, strict=True) if _differs(old, new)]


def _differs(old: Line, new: Line) -> bool:
    family = aspect_of(old.aspect)
    same = family.same(old.before, new.before) and family.same(old.after, new.after)
    return (
        not same or old.act != new.act or (old.state == LineState.BLOCKED) != (new.state == LineState.BLOCKED)
    )


def give_up(plan_uid: uuid.UUID) -> None:
    """The plan will never be carried out; one that was, as far as it went, stays. Call it under the fence."""
    drawn = Plan.objects.filter(uid=plan_uid, state__in=[PlanState.DRAWING, PlanState.READY])
    drawn.update(state=PlanState.STALE, finished_at=Now())
