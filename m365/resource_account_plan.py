"""From a wish and what Teams has to the steps between, and back. All of it is pure: nothing is asked or written.

The portal changes and removes only what it made (`owned`); another thing of the same name is not that. An attendant
is made anew where it changes, with its schedules: Teams gives no way to see what one consists of, and its calls know
only whole ones.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from m365 import resource_account_calls as calls
from m365.powershell.actions import WRITING, Action
from m365.powershell.calls import Call
from m365.resource_accounts import Attendant, Found, Own, Part, Thing, Wish, described, digest, wanted

Owned = Mapping[Part, Own]
_REBUILT = (Part.LINK, Part.ATTENDANT, Part.HOLIDAYS, Part.HOURS)


@dataclass(frozen=True, slots=True)
class Step:
    """What happens to one part; `before` and `after` in words by their labels, empty where there is none."""

    part: Part
    name: str
    action: Action
    why: str
    before: tuple[tuple[str, str], ...] = ()
    after: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        return f"{self.part} {self.name}"


def plan(wish: Wish, found: Found, owned: Owned) -> tuple[Step, ...]:
    """The steps that make Teams as wished, each after those that it needs."""
    owned = {part: own for part, own in owned.items() if not _another(part, own, found)}
    away = _first_away(wish, found, owned)
    gone = {step.part for step in away if step.action in WRITING}
    there = {part: thing for part, thing in found.items() if part not in gone}
    left = {part: own for part, own in owned.items() if part not in gone}
    return (*away, *(_step(wish, part, name, there, left) for part, name in wanted(wish).items()))


def _another(part: Part, own: Own, found: Found) -> bool:
    """Whether what is there only has the name of what the portal made: somebody else's, made since that is gone.

    Numbers and associations have no id of their own.
    """
    if part in {Part.NUMBER, Part.LINK} or not own.id:
        return False
    return part in found and found[part].id != own.id


def _first_away(wish: Wish, found: Found, owned: Owned) -> list[Step]:
    """What must go before the rest comes."""
    steps: list[Step] = []
    number = owned.get(Part.NUMBER)
    if number and number.name != wish.number:
        steps.append(_away(Part.NUMBER, number.name, "the design has another number, or none"))
    if isinstance(wish.body, Attendant) and _made_anew(wish, found, owned):
        why = "the design changed; an attendant is made anew, and nobody answers for some seconds"
        for part in _REBUILT:
            own, thing = owned.get(part), found.get(part)
            if own and thing:
                steps.append(_away(part, own.name, why))
    return steps


def _made_anew(wish: Wish, found: Found, owned: Owned) -> bool:
    names = wanted(wish)
    ours = [part for part in _REBUILT if part in owned and part in found and part is not Part.LINK]
    changed = any(part not in names or owned[part].digest != digest(wish, part) for part in ours)
    missing = any(part in names and part not in found for part in (Part.HOURS, Part.HOLIDAYS))
    return changed or (missing and Part.ATTENDANT in ours)


def _away(part: Part, name: str, why: str) -> Step:
    return Step(part, name, Action.REMOVE, why, before=(("Name", name),))


def _step(wish: Wish, part: Part, name: str, found: Found, owned: Owned) -> Step:
    after = tuple(described(wish, part).items())
    thing, own = found.get(part), owned.get(part)
    account = found.get(Part.ACCOUNT)
    if thing is None:
        why = "the design needs it and Teams does not have it"
        if own and own.id:
            why = "it is gone, and not by the portal"
        return Step(part, name, Action.CREATE, why, after=after)
    if part is Part.ACCOUNT:
        return _account(name, thing, own is not None, after)
    if part is Part.NUMBER and (account is None or thing.holder != account.id):
        why = "somebody else has this number: release it, or choose another"
        return Step(part, name, Action.CONFLICT, why, after, after)
    if part is Part.QUEUE and own and own.digest != digest(wish, part):
        return Step(part, name, Action.CHANGE, "the design changed", (("Name", name),), after)
    if own or part in {Part.LINK, Part.NUMBER}:
        return Step(part, name, Action.NOTHING, "it is as it should be", after, after)
    why = "there is one of this name that the portal did not make: rename it in Teams, or copy this design"
    return Step(part, name, Action.CONFLICT, why, (("Name", name),), after)


def _account(name: str, thing: Thing, own: bool, after: tuple[tuple[str, str], ...]) -> Step:
    kind = thing.note.lower()
    if kind and kind not in {"resourceaccount", "unknown"}:
        why = f"the address belongs to a {thing.note}: choose another"
        return Step(Part.ACCOUNT, name, Action.CONFLICT, why, (("Address", name),), after)
    why = "it is there"
    if not own:
        why += "; the portal did not make it, uses it, and will never remove it"
    return Step(Part.ACCOUNT, name, Action.NOTHING, why, after, after)


def removal(found: Found, owned: Owned) -> tuple[Step, ...]:
    """The steps that take away what the portal made, in reverse, and nothing else."""
    return tuple(_gone(part, owned[part], found) for part in reversed(Part) if part in owned)


def _gone(part: Part, own: Own, found: Found) -> Step:
    thing, account = found.get(part), found.get(Part.ACCOUNT)
    if thing is None:
        return Step(part, own.name, Action.NOTHING, "it is gone already")
    if part is Part.NUMBER and (account is None or thing.holder != account.id):
        return Step(part, own.name, Action.KEEP, "it stays: somebody else has this number by now")
    if part is not Part.NUMBER and own.id and thing.id != own.id:
        return Step(part, own.name, Action.KEEP, "it stays: it is another one of the same name")
    return _away(part, own.name, "the portal made it")


# --- Carrying out ---------------------------------------------------------------------------------------------
def call_of(step: Step, wish: Wish, ids: calls.Ids) -> Call | None:
    """The call that does it. None where nothing is written, or no cmdlet does (removing an account).

    Raises KeyError for an id that is not known: something that the step needs is not there.
    """
    if step.action is Action.CREATE:
        return calls.create(wish, step.part, ids)
    if step.action is Action.CHANGE:
        return calls.change(wish, ids)
    if step.action is Action.REMOVE:
        return calls.remove(step.part, ids, number=step.name, number_type=wish.number_type)
    return None


def with_young(found: Found, owned: Owned, since: str) -> dict[Part, Thing]:
    """What Teams has, and what it said to have made after `since` (ISO) and does not show yet."""
    account = owned[Part.ACCOUNT].id if Part.ACCOUNT in owned else ""
    young = {
        part: Thing(own.name, own.id, account)
        for part, own in owned.items()
        if own.id and own.at > since and part not in found
    }
    return {**young, **found}


def unknown(found: Found, owned: Owned, since: str) -> list[Part]:
    """What was about to be made after `since`, of which nobody knows what came of it: it may yet appear."""
    return [part for part, own in owned.items() if not own.id and own.at > since and part not in found]


def adopted(found: Found, owned: Owned) -> dict[Part, Own]:
    """`owned` with the ids of what was about to be made when the answer was lost, and is there."""
    return {
        part: replace(own, id=found[part].id) if not own.id and part in found else own
        for part, own in owned.items()
    }


def blocked(steps: Iterable[Step]) -> tuple[Step, ...]:
    return tuple(step for step in steps if step.action is Action.CONFLICT)


def writing(steps: Iterable[Step]) -> tuple[Step, ...]:
    return tuple(step for step in steps if step.action in WRITING)


def fingerprint(steps: Iterable[Step]) -> str:
    """The same for the same steps, and for nothing else."""
    text = json.dumps([to_json(step) for step in writing(steps)], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def marks(steps: Iterable[Step]) -> list[str]:
    """One for each step that writes: what it does to what, and what comes of it, whatever the reason."""
    return [fingerprint([replace(step, why="", before=())]) for step in writing(steps)]


def strange(agreed: Collection[str], now: Iterable[Step]) -> tuple[Step, ...]:
    """Of what would be written now, what is not among the marks of what somebody has agreed to."""
    return tuple(step for step in writing(now) if marks([step])[0] not in agreed)


def to_json(step: Step) -> dict[str, Any]:
    return {
        "part": step.part.value,
        "name": step.name,
        "action": step.action.value,
        "why": step.why,
        "before": [list(pair) for pair in step.before],
        "after": [list(pair) for pair in step.after],
    }
