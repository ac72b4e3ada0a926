"""`ump powershell`: whether this machine can do in Microsoft Teams what Microsoft Graph cannot."""

import argparse
import dataclasses
from collections.abc import Callable
from typing import Any


def arguments(add: Callable[..., argparse.ArgumentParser], commands: Any) -> None:
    add(
        commands,
        "powershell",
        _look,
        "start PowerShell with the module for Microsoft Teams, and end it again",
    )


def _look(_: argparse.Namespace) -> tuple[Any, str]:
    """Asks nobody outside. Raises UmpError: powershell_missing, teams_module_missing, powershell_late, ..."""
    from m365.clouds import CLOUDS  # noqa: PLC0415  Django first
    from m365.teams_powershell import probe  # noqa: PLC0415  as above
    from tenants.lines import powershell_config  # noqa: PLC0415  as above

    versions = probe(powershell_config(), CLOUDS["global"])
    text = f"PowerShell {versions.powershell} starts, with MicrosoftTeams {versions.module}."
    return dataclasses.asdict(versions), text
