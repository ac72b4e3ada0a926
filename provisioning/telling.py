"""What other systems are told of plans and numbers. Call it under the fence, last in the transaction it tells of.

So an event and what it tells of stand or fall together; what a worker does twice after a crash is told once.
"""

from collections.abc import Iterable

from events.models import Type
from events.services import tell
from provisioning.aspects import Value, aspect_of
from provisioning.models import Act, Line, Plan, PlanState


def ready(plan: Plan, *, awaits_person: bool) -> None:
    """A plan waits to be looked at; `awaits_person`: it takes so much away that a second person has to confirm it."""
    data = _of(plan) | {"lines": plan.figures, "needs_confirmation": awaits_person}
    tell(Type.PLAN_READY, plan.tenant_id, data, once=f"plan-ready-{plan.uid}-{awaits_person}")


def applied(plan: Plan, state: PlanState, figures: dict[str, int]) -> None:
    """A plan came to its end, with how many lines came to which; nothing is told of one that had nothing to write."""
    if figures:
        outcome = "complete" if state == PlanState.APPLIED else "partial"
        data = _of(plan) | {"outcome": outcome, "lines": figures}
        tell(Type.PLAN_APPLIED, plan.tenant_id, data, once=f"plan-applied-{plan.uid}")


def numbers(plan: Plan, lines: Iterable[Line]) -> None:
    """Of these lines, which Microsoft shows as done by now, who lost a number and who has got one.

    At most two events, of as many numbers as are under way at once (provisioning.applying.MOST_UNDER_WAY).
    """
    moved = [line for line in lines if line.act != Act.NOTHING]
    _tell_numbers(Type.NUMBER_UNASSIGNED, plan, [(line, line.before) for line in moved])
    _tell_numbers(Type.NUMBER_ASSIGNED, plan, [(line, line.after) for line in moved])


def _tell_numbers(type_: Type, plan: Plan, held: Iterable[tuple[Line, Value]]) -> None:
    named = ((line, aspect_of(line.aspect).number_in(value)) for line, value in held)
    listed = [{"number": number, "user_id": str(line.subject_id)} for line, number in named if number]
    if listed:
        tell(type_, plan.tenant_id, _of(plan) | {"numbers": listed})


def _of(plan: Plan) -> dict[str, object]:
    return {"plan": str(plan.uid), "command": plan.command_id}
