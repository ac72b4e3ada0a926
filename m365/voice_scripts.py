"""A plan as scripts for a person who has the MicrosoftTeams module: one that does it, one that only looks.

For a portal without PowerShell of its own (docs/decisions/0015). The script that does it may be run again: it
creates only what is not there. The one that looks ends with one line of JSON, `voice.observed`'s rows, which the
person gives back to the portal; it then plans again and sees for itself whether anything is left to do.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from core.errors import UmpError
from m365 import voice, voice_plan
from m365.clouds import Cloud
from m365.powershell import cmdlets, handout, script
from m365.powershell.actions import Action
from m365.powershell.calls import Call
from m365.voice import Part, Routing, Thing
from m365.voice_plan import Step

_READ = {part: cmdlets.READS[name].cmdlet for part, name in (
    (Part.GATEWAY, "gateways"), (Part.ROUTE, "routes"), (Part.POLICY, "policies"), (Part.DIAL_PLAN, "dial_plans")
)}  # fmt: skip


def ready(steps: Iterable[Step], *, customer: str, organisation: str, cloud: Cloud) -> str:
    """The script that carries the steps out; `organisation` is the customer's Azure Tenant Id.

    Raises ValueError while a person must decide about one of them.
    """
    every = tuple(steps)
    if voice_plan.blocked(every):
        raise ValueError("the plan is not decided yet")
    return script.document(
        [
            *script.comment(f"Voice routing of {customer} in Microsoft Teams."),
            *script.comment(
                "Run it as an administrator with the role Teams Administrator. It may be run again."
            ),
            *handout.preamble(organisation, cloud),
            *(line for number, step in enumerate(every, 1) for line in _written(number, step)),
            "",
            *script.comment("Done. Now run the Verify script and give its last line back to the portal."),
        ]
    )


def verify(*, customer: str, organisation: str, cloud: Cloud) -> str:
    """The script that only reads, and prints what it found for the portal."""
    reads = [f"{name} = @({_read(call)})" for name, call in cmdlets.READS.items()]
    return script.document(
        [
            *script.comment(f"Reads the voice routing of {customer} in Microsoft Teams. It changes nothing."),
            *script.comment("Copy its last line, as a whole, into the portal."),
            *handout.preamble(organisation, cloud),
            "",
            *handout.printed(reads, organisation),
        ]
    )


def verified(pasted: str, *, organisation: str) -> Routing:
    """What Teams has, by the line that the Verify script printed. Raises UmpError (invalid_input)."""
    found = handout.pasted(pasted, organisation)
    try:
        return voice.observed(
            {name: handout.rows(found.get(name), "voice routing") for name in cmdlets.READS}
        )
    except UmpError as error:
        if error.code == "invalid_input":
            raise
        raise handout.unreadable("it does not describe voice routing") from None


def _read(call: Call) -> str:
    fields = [f"'{name}'" for name in call.fields if name != "NormalizationRules"]
    if "NormalizationRules" in call.fields:
        # Of each rule only what is compared: the whole object has hundreds of properties in some versions.
        inner = (
            "@($_.NormalizationRules | Select-Object 'Name', 'Pattern', 'Translation', 'IsInternalExtension')"
        )
        fields.append(f"@{{ Name = 'NormalizationRules'; Expression = {{ {inner} }} }}")
    return f"{script.inline(call)} | Select-Object {', '.join(fields)}"


def _written(number: int, step: Step) -> Iterator[str]:
    yield ""
    yield from script.comment(f"{number}. {step.action.value.capitalize()}: {step.thing} ({step.why}).")
    shown = step.after or step.before
    if step.call is None:
        yield from script.comment("Nothing is done here.")
        return
    if shown is not None:
        yield from (
            line
            for label, text in voice.described(shown).items()
            for line in script.comment(f"{label}: {text}")
        )
    if step.action is Action.CHANGE:
        yield from script.lines(step.call)
        return
    missing = "-not " if step.action is Action.CREATE else ""
    yield f"if ({missing}({_there(step.thing)})) {{"
    yield from script.indented(script.lines(step.call))
    yield "}"


def _there(thing: Thing) -> str:
    """An expression that is true while Teams has it."""
    name = script.literal(thing.name)
    if thing.part is Part.USAGE:
        return f"@((Get-CsOnlinePstnUsage -Identity 'Global').Usage) -contains {name}"
    tagged = script.literal(f"Tag:{thing.name}")
    return f"{_READ[thing.part]} | Where-Object {{ $_.Identity -in @({name}, {tagged}) }}"
