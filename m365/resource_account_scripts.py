"""A plan for a resource account as scripts for a person: one that does it, one that only looks (see voice_scripts).

The script that does it may be run again: it makes only what is not there. It runs in a person's session, where
accounts may be made; taking one away and licensing it are left to the Microsoft 365 admin center.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from core.errors import UmpError
from m365 import resource_account_calls as calls
from m365 import resource_account_plan as planning
from m365.clouds import Cloud
from m365.powershell import handout, script
from m365.powershell.actions import WRITING, Action
from m365.powershell.calls import Made
from m365.resource_account_plan import Step
from m365.resource_accounts import Part, Thing, Wish, observed, wanted

_VARIABLES = {
    Part.ACCOUNT: "account",
    Part.HOURS: "hours",
    Part.HOLIDAYS: "holidays",
    Part.QUEUE: "queue",
    Part.ATTENDANT: "attendant",
}
_IDS = {part: Made(name) for part, name in _VARIABLES.items()}
_LOOKS = {
    Part.ACCOUNT: ("account", "UserPrincipalName", "Identity"),
    Part.HOURS: ("schedules", "Name", "Id"),
    Part.HOLIDAYS: ("schedules", "Name", "Id"),
    Part.QUEUE: ("queues", "Name", "Identity"),
    Part.ATTENDANT: ("attendants", "Name", "Identity"),
}


def ready(steps: Iterable[Step], wish: Wish, *, customer: str, organisation: str, cloud: Cloud) -> str:
    """The script that carries the steps out. Raises ValueError while a person must decide about one of them."""
    every = tuple(steps)
    if planning.blocked(every):
        raise ValueError("the plan is not decided yet")
    return script.document(
        [
            *script.comment(f"{wish.name} of {customer} in Microsoft Teams."),
            *script.comment(
                "Run it as an administrator with the roles Teams Administrator and User Administrator. It may be run "
                "again."
            ),
            *handout.preamble(organisation, cloud),
            "",
            *script.comment("What is there."),
            *(_look(part, name, wish) for part, name in _named(every, wish).items()),
            *(line for number, step in enumerate(every, 1) for line in _written(number, step, wish)),
            "",
            *script.comment("Done. Now run the Verify script and give its last line back to the portal."),
        ]
    )


def verify(wish: Wish, *, customer: str, organisation: str, cloud: Cloud) -> str:
    """The script that only reads, and prints what it found for the portal."""
    reads = [
        f"{name} = @({script.inline(call)} | Select-Object {', '.join(map(script.literal, call.fields))})"
        for name, call in calls.reads(wish).items()
    ]
    return script.document(
        [
            *script.comment(
                f"Reads what Microsoft Teams has of {wish.name} of {customer}. It changes nothing."
            ),
            *script.comment("Copy its last line, as a whole, into the portal."),
            *handout.preamble(organisation, cloud),
            "",
            *handout.printed(reads, organisation),
        ]
    )


def verified(text: str, wish: Wish, *, organisation: str) -> dict[Part, Thing]:
    """What Teams has, by the line that the Verify script printed. Raises UmpError (invalid_input)."""
    found = handout.pasted(text, organisation)
    about = "this resource account"
    rows = {name: handout.rows(found.get(name), about) for name in calls.reads(wish)}
    try:
        return observed(wish, rows)
    except UmpError:
        raise handout.unreadable(f"it does not describe {about}") from None


def _named(steps: tuple[Step, ...], wish: Wish) -> dict[Part, str]:
    """What has an id that the steps may need, and how it is called."""
    names = {Part.ACCOUNT: wish.upn} | {step.part: step.name for step in reversed(steps)}
    return {part: names[part] for part in _LOOKS if part in names}


def _look(part: Part, name: str, wish: Wish) -> str:
    key, named, identity = _LOOKS[part]
    call = script.inline(calls.reads(wish)[key])
    same = f"Where-Object {{ $_.{named} -eq {script.literal(name)} }}"
    return f"${_VARIABLES[part]} = ({call} | {same} | Select-Object -First 1).{identity}"


def _written(number: int, step: Step, wish: Wish) -> Iterator[str]:
    yield ""
    yield from script.comment(f"{number}. {step.action.value.capitalize()}: {step} ({step.why}).")
    if step.action not in WRITING:
        yield from script.comment("Nothing is done here.")
        return
    for label, text in step.after:
        yield from script.comment(f"{label}: {text}")
    call = planning.call_of(step, wish, _IDS)
    if call is None:
        yield from script.comment("Delete this account in the Microsoft 365 admin center, under Users.")
        return
    variable = _VARIABLES.get(step.part, "")
    lines = script.lines(call)
    if step.action is Action.CREATE and variable:
        found = f"${variable} = @($made.Identity, $made.Id, $made.ObjectId) | Where-Object {{ $_ }}"
        lines = [*lines[:-1], f"$made = {lines[-1]}", f"{found} | Select-Object -First 1"]
        yield from _if(f"-not ${variable}", lines)
    elif step.action is Action.CREATE and step.part is Part.LINK:
        body = Part.QUEUE if Part.QUEUE in wanted(wish) else Part.ATTENDANT
        there = script.inline(calls.reads(wish)[_LOOKS[body][0]])
        yield from _if(f"@(({there}).ApplicationInstances) -notcontains $account", lines)
    elif step.action is Action.REMOVE and variable:
        yield from _if(f"${variable}", [*lines, f"${variable} = $null"])
    else:
        yield from lines
    if step.part is Part.ACCOUNT and wish.number:
        yield from script.comment(
            "It takes a number once it has the licence Microsoft Teams Phone Resource Account and a usage location: "
            "give it both in the Microsoft 365 admin center before the step with the number, and run this again."
        )


def _if(condition: str, lines: list[str]) -> Iterator[str]:
    yield f"if ({condition}) {{"
    yield from script.indented(lines)
    yield "}"
