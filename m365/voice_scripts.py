"""A plan as scripts for a person who has the MicrosoftTeams module: one that does it, one that only looks.

For a portal without PowerShell of its own (docs/decisions/0015). The script that does it may be run again: it
creates only what is not there. The one that looks ends with one line of JSON, `voice.observed`'s rows, which the
person gives back to the portal; it then plans again and sees for itself whether anything is left to do.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from core.errors import UmpError
from m365 import voice, voice_plan
from m365.clouds import Cloud
from m365.powershell import cmdlets, script
from m365.powershell.calls import Call
from m365.voice import Part, Routing, Thing
from m365.voice_plan import Action, Step

TEAMS_ENVIRONMENTS: Mapping[str, str] = {"gcc_high": "TeamsGCCH", "dod": "TeamsDOD", "china": "TeamsChina"}
"""By cloud; the others need no name (facts/microsoft.md 1.1)."""
MARK = "UMP-VERIFY:"
LONGEST_PASTE = 1_000_000
"""Characters that a person may give back; a customer's whole voice routing is a few thousand."""

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
            *_preamble(organisation, cloud),
            *(line for number, step in enumerate(every, 1) for line in _written(number, step)),
            "",
            *script.comment("Done. Now run the Verify script and give its last line back to the portal."),
        ]
    )


def verify(*, customer: str, organisation: str, cloud: Cloud) -> str:
    """The script that only reads, and prints what it found for the portal."""
    reads = [f"    {name} = @({_read(call)})" for name, call in cmdlets.READS.items()]
    return script.document(
        [
            *script.comment(f"Reads the voice routing of {customer} in Microsoft Teams. It changes nothing."),
            *script.comment("Copy its last line, as a whole, into the portal."),
            *_preamble(organisation, cloud),
            "",
            "$found = [ordered]@{",
            f"    organisation = {script.literal(organisation)}",
            *reads,
            "}",
            f"{script.literal(MARK)} + ($found | ConvertTo-Json -Depth 8 -Compress)",
        ]
    )


def verified(pasted: str, *, organisation: str) -> Routing:
    """What Teams has, by the line that the Verify script printed. Raises UmpError (invalid_input)."""
    if len(pasted) > LONGEST_PASTE:
        raise _unreadable("it is too long")
    # A console breaks long lines wherever its window ends.
    text = "".join(pasted.splitlines()).rpartition(MARK)[2].strip()
    try:
        rows = json.loads(text)
    except (ValueError, RecursionError):
        raise _unreadable("it is not the last line of the Verify script") from None
    if not isinstance(rows, dict):
        raise _unreadable("it is not the last line of the Verify script")
    if str(rows.get("organisation", "")).lower() != organisation.lower():
        raise _unreadable("it is of another organisation")
    try:
        return voice.observed({name: _rows(_unwrapped(rows.get(name))) for name in cmdlets.READS})
    except UmpError:
        raise _unreadable("it does not describe voice routing") from None


def _unreadable(why: str) -> UmpError:
    return UmpError.of("invalid_input", field="Result of the Verify script", why=why)


def _unwrapped(given: Any) -> Any:
    """Windows PowerShell writes some lists as an object with their length."""
    if isinstance(given, dict):
        return (
            _unwrapped(given["value"])
            if set(given) == {"value", "Count"}
            else {name: _unwrapped(inner) for name, inner in given.items()}
        )
    return [_unwrapped(inner) for inner in given] if isinstance(given, list) else given


def _rows(given: object) -> list[dict[str, Any]]:
    if not isinstance(given, list) or not all(isinstance(row, dict) for row in given):
        raise _unreadable("it does not describe voice routing")
    return given


def _preamble(organisation: str, cloud: Cloud) -> list[str]:
    """Sign in, and stop where the session is one of another organisation."""
    environment = TEAMS_ENVIRONMENTS.get(cloud.key, "")
    where = f" -TeamsEnvironmentName {script.literal(environment)}" if environment else ""
    named = script.literal(organisation)
    return [
        "#Requires -Modules MicrosoftTeams",
        "",
        "$ErrorActionPreference = 'Stop'",
        f"$session = Connect-MicrosoftTeams -TenantId {named}{where}",
        f"if (\"$($session.TenantId)\" -ne {named}) {{ throw 'This session is one of another organisation.' }}",
    ]


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
