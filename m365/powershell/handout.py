"""Scripts that a person runs, and the line that one of them prints and he gives back."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from core.errors import UmpError
from m365.clouds import Cloud
from m365.powershell import script

ENVIRONMENTS: Mapping[str, str] = {"gcc_high": "TeamsGCCH", "dod": "TeamsDOD", "china": "TeamsChina"}
"""Of Connect-MicrosoftTeams, by cloud; the others need no name (facts/microsoft.md 1.1)."""
MARK = "UMP-VERIFY:"
LONGEST_PASTE = 1_000_000
"""Characters that a person may give back."""


def preamble(organisation: str, cloud: Cloud) -> list[str]:
    """Sign in, and stop where the session is one of another organisation (its Azure Tenant Id)."""
    environment = ENVIRONMENTS.get(cloud.key, "")
    where = f" -TeamsEnvironmentName {script.literal(environment)}" if environment else ""
    named = script.literal(organisation)
    return [
        "#Requires -Modules MicrosoftTeams",
        "",
        "$ErrorActionPreference = 'Stop'",
        f"$session = Connect-MicrosoftTeams -TenantId {named}{where}",
        f"if (\"$($session.TenantId)\" -ne {named}) {{ throw 'This session is one of another organisation.' }}",
    ]


def printed(reads: Iterable[str], organisation: str) -> list[str]:
    """Lines that print what `pasted` reads; each of `reads` is `name = expression`."""
    return [
        "$found = [ordered]@{",
        f"    organisation = {script.literal(organisation)}",
        *(f"    {read}" for read in reads),
        "}",
        f"{script.literal(MARK)} + ($found | ConvertTo-Json -Depth 8 -Compress)",
    ]


def pasted(text: str, organisation: str) -> dict[str, Any]:
    """What was printed, by name. Raises UmpError (invalid_input)."""
    if len(text) > LONGEST_PASTE:
        raise unreadable("it is too long")
    # A console breaks long lines wherever its window ends.
    line = "".join(text.splitlines()).rpartition(MARK)[2].strip()
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        raise unreadable("it is not the last line of the Verify script") from None
    if not isinstance(found, dict):
        raise unreadable("it is not the last line of the Verify script")
    if str(found.get("organisation", "")).lower() != organisation.lower():
        raise unreadable("it is of another organisation")
    return {name: _unwrapped(value) for name, value in found.items()}


def rows(given: object, about: str) -> list[dict[str, Any]]:
    """Raises UmpError (invalid_input) for what are none."""
    if not isinstance(given, list) or not all(isinstance(row, dict) for row in given):
        raise unreadable(f"it does not describe {about}")
    return given


def unreadable(why: str) -> UmpError:
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
