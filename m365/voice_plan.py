"""From what is wanted and what Teams has to the steps between, and back (decision 9).

All of this but `carry_out` is pure: nothing is asked and nothing written. Whoever deploys

1. reads, plans, shows the plan, and keeps its `digest`;
2. reads and plans again, and goes on only if the digest is still the same;
3. lets `carry_out` take the steps, each noted before it is begun (`to_json`): what the notes created is the portal's
   own, and `undo` takes back what they say;
4. reads and plans once more, until no step writes. What was cut off or not answered is settled the same way. Teams
   may show a while later what was written: something of its own that is "already there" is waited for, not mended.

The portal changes and removes only what it created (`owned`), or what a person told it to take over.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from core.errors import OutcomeUnknown, UmpError
from m365 import voice
from m365.powershell import cmdlets
from m365.powershell.actions import WRITING, Action
from m365.powershell.calls import Call
from m365.voice import Noun, Part, Policy, Route, Routing, Thing, thing_of

_ORDER = {part: place for place, part in enumerate(Part)}


@dataclass(frozen=True, slots=True)
class Step:
    """What happens to one thing; `before` and `after` are None where there is no such thing."""

    thing: Thing
    action: Action
    before: Noun | None
    after: Noun | None
    why: str

    @property
    def call(self) -> Call | None:
        """The call that does it; None where nothing is written."""
        if self.action is Action.CREATE and self.after is not None:
            return cmdlets.create(self.after)
        if self.action is Action.CHANGE and self.after is not None:
            return cmdlets.change(self.after)
        if self.action is Action.REMOVE and self.before is not None:
            return cmdlets.remove(self.before)
        return None

    @property
    def inverse(self) -> Step | None:
        """The step that takes it back, to be looked at again by `undo`; None where nothing is written."""
        action = {
            Action.CREATE: Action.REMOVE,
            Action.REMOVE: Action.CREATE,
            Action.CHANGE: Action.CHANGE,
        }.get(self.action)
        if action is None:
            return None
        return Step(self.thing, action, self.after, self.before, f"takes back: {self.why}")


def plan(
    wanted: Routing,
    found: Routing,
    *,
    owned: Iterable[Thing] = (),
    take_over: Iterable[Thing] = (),
    in_use: Mapping[Thing, str] | None = None,
) -> tuple[Step, ...]:
    """The steps that make Teams as wanted: what to create and change, then what is owned and no longer wanted.

    `wanted` is what all sites of the customer want together (`voice.combined`), or a site would take away what
    another needs. `in_use` says of things why they cannot be removed ("3 users have it").
    """
    own = frozenset(owned)
    ours = own | frozenset(take_over)
    steps = [
        _toward(noun, found, ours=thing_of(noun) in ours, own=thing_of(noun) in own)
        for noun in _sorted(wanted)
    ]
    stale = own - wanted.by_thing().keys()
    return (*steps, *removal(stale, after(found, steps), in_use=in_use, why="no site wants it any more"))


def _toward(noun: Noun, found: Routing, *, ours: bool, own: bool) -> Step:
    thing = thing_of(noun)
    there = found.find(thing)
    if there is None:
        return Step(thing, Action.CREATE, None, noun, "a site needs it and Teams does not have it")
    if voice.same(noun, there):
        why = "it is as it should be"
        if not own:
            why += "; the portal did not create it, and will never remove it"
        return Step(thing, Action.NOTHING, there, there, why)
    if ours:
        return Step(thing, Action.CHANGE, there, noun, "it is there but differs from what the site needs")
    return Step(
        thing,
        Action.CONFLICT,
        there,
        there,
        "it is there, differs from what the site needs, and the portal did not create it",
    )


def removal(
    things: Iterable[Thing],
    found: Routing,
    *,
    in_use: Mapping[Thing, str] | None = None,
    why: str = "the portal created it, and Undo Deploy takes it back",
) -> tuple[Step, ...]:
    """The steps that take these things away, each before those that it needs. Give it what the portal created only.

    What somebody else has come to use stays, and the step says who uses it.
    """
    state = found
    steps: list[Step] = []
    for thing in sorted(set(things), key=_place, reverse=True):
        step = _away(thing, state, in_use or {}, why)
        steps.append(step)
        state = after(state, (step,))
    return tuple(steps)


def _away(thing: Thing, found: Routing, in_use: Mapping[Thing, str], why: str) -> Step:
    there = found.find(thing)
    if there is None:
        return Step(thing, Action.NOTHING, None, None, "it is gone already")
    user = in_use.get(thing) or next(_users(thing, found), "")
    if user:
        return Step(thing, Action.KEEP, there, there, f"it stays: {user}")
    return Step(thing, Action.REMOVE, there, None, why)


def undo(
    applied: Sequence[Step], found: Routing, *, in_use: Mapping[Thing, str] | None = None
) -> tuple[Step, ...]:
    """The inverse of a run, also of one that ended half-way or was followed by changes of others.

    `applied` are the steps that were begun, in their order. What is no longer as the run left it is left alone, and
    the step says so.
    """
    state = found
    steps: list[Step] = []
    for step in reversed(applied):
        inverse = step.inverse
        if inverse is not None:
            now = _back(inverse, state, in_use or {})
            steps.append(now)
            state = after(state, (now,))
    return tuple(steps)


def _back(inverse: Step, found: Routing, in_use: Mapping[Thing, str]) -> Step:
    thing, left, goal = inverse.thing, inverse.before, inverse.after
    there = found.find(thing)
    if _alike(goal, there):
        why = "it is gone already" if there is None else "it is as it was before"
        return Step(thing, Action.NOTHING, there, there, why)
    if not _alike(left, there):
        why = (
            "it stays gone: somebody removed it since"
            if there is None
            else "it stays: somebody changed it since"
        )
        return Step(thing, Action.KEEP, there, there, why)
    if goal is None:
        return _away(thing, found, in_use, inverse.why)
    return Step(thing, inverse.action, there, goal, inverse.why)


def _alike(one: Noun | None, other: Noun | None) -> bool:
    if one is None or other is None:
        return one is other
    return voice.same(one, other)


def _users(thing: Thing, found: Routing) -> Iterator[str]:
    """What else needs it; Teams would not stop us everywhere, so we do."""
    if thing.part is Part.GATEWAY:
        yield from (_names(r) for r in found.routes if thing.key in map(voice.fold, r.gateways))
    if thing.part is Part.USAGE:
        every: tuple[Route | Policy, ...] = (*found.policies, *found.routes)
        yield from (_names(each) for each in every if thing.key in map(voice.fold, each.usages))


def _names(user: Route | Policy) -> str:
    return f"the {thing_of(user)} uses it"


def carry_out(
    run: Callable[[Call, str], object],
    steps: Iterable[Step],
    *,
    note: Callable[[Step], None],
    forget: Callable[[Step], None],
) -> None:
    """Take the steps that write. `run` makes a call about a thing named so; `note` is called before each.

    `forget` takes back the last note, of a step that was refused and so did nothing: above all, what somebody else
    created in the meantime is not the portal's own. A step whose outcome is not known stays noted. Raises whatever
    `run` raises, and ValueError for a plan that waits for a decision.
    """
    every = tuple(steps)
    if blocked(every):
        raise ValueError("the plan is not decided yet")
    for step in every:
        call = step.call
        if call is None:
            continue
        note(step)
        try:
            run(call, str(step.thing))
        except OutcomeUnknown:
            raise
        except UmpError:
            forget(step)
            raise


def after(found: Routing, steps: Iterable[Step]) -> Routing:
    """What Teams has once these steps are done."""
    for step in steps:
        if step.action in WRITING:
            found = found.replaced(step.thing, step.after)
    return found


def blocked(steps: Iterable[Step]) -> tuple[Step, ...]:
    """The steps that a person must decide first; a plan that has any is not carried out."""
    return tuple(step for step in steps if step.action is Action.CONFLICT)


def writing(steps: Iterable[Step]) -> tuple[Step, ...]:
    """The steps that write; none of them means that Teams is as wanted."""
    return tuple(step for step in steps if step.action in WRITING)


def created(steps: Iterable[Step]) -> frozenset[Thing]:
    """What these steps make the portal's own."""
    return frozenset(step.thing for step in steps if step.action is Action.CREATE)


def digest(steps: Iterable[Step]) -> str:
    """A fingerprint of the plan: the same for the same steps, and for nothing else."""
    text = json.dumps([to_json(step) for step in steps], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def to_json(step: Step) -> dict[str, Any]:
    """For a database column; `from_json` reads it back."""
    return {
        "part": step.thing.part.value,
        "name": step.thing.name,
        "action": step.action.value,
        "before": None if step.before is None else voice.to_json(step.before),
        "after": None if step.after is None else voice.to_json(step.after),
        "why": step.why,
    }


def from_json(kept: Mapping[str, Any]) -> Step:
    """Raises KeyError, TypeError or ValueError for what `to_json` did not write."""
    before, then = kept["before"], kept["after"]
    return Step(
        Thing(Part(kept["part"]), kept["name"]),
        Action(kept["action"]),
        None if before is None else voice.from_json(before),
        None if then is None else voice.from_json(then),
        kept["why"],
    )


def _sorted(wanted: Routing) -> list[Noun]:
    return sorted(wanted.nouns(), key=lambda noun: _place(thing_of(noun)))


def _place(thing: Thing) -> tuple[int, str]:
    return (_ORDER[thing.part], thing.key)
