"""A session of Teams that needs no PowerShell: the calls of `m365.teams_powershell.Session`, answered from memory."""

import contextlib
import json
from typing import Any, Self

from core.errors import OutcomeUnknown
from m365 import voice
from m365.powershell import cmdlets, faults
from m365.powershell.calls import Call
from tests.m365.teams_model import FaultError, TeamsModel


class PretendTeams:
    """One organisation's Teams. `lost` names cmdlets whose answer does not arrive, each once."""

    def __init__(self) -> None:
        self.model = TeamsModel()
        self.lost: list[str] = []
        self.users: dict[str, list[str]] = {}
        self.hidden: set[str] = set()
        """Names that are there and not shown yet."""
        self.sessions = 0

    def names(self) -> dict[str, list[str]]:
        """What is there, for comparing."""
        kept = {noun: sorted(rows) for noun, rows in self.model.kept.items()}
        return kept | {"usages": sorted(self.model.usages)}

    def session(self) -> "PretendSession":
        self.sessions += 1
        return PretendSession(self)


class PretendSession:
    def __init__(self, teams: PretendTeams) -> None:
        self.teams = teams

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def run(self, call: Call, thing: str = "") -> list[dict[str, Any]]:
        try:
            rows = self.write(call) if call.writes else self._asked(call)
        except FaultError as error:
            raise faults.of_call(error.fault, writes=call.writes, thing=thing, tenant="Contoso") from error
        with contextlib.suppress(ValueError):
            self.teams.lost.remove(call.cmdlet)
            raise OutcomeUnknown(thing=thing)
        return [
            row for row in rows if str(row.get("Identity", "")).removeprefix("Tag:") not in self.teams.hidden
        ]

    def write(self, call: Call) -> list[dict[str, Any]]:
        """Where a worker may be killed, before it and after."""
        return self._asked(call)

    def _asked(self, call: Call) -> list[dict[str, Any]]:
        return self.teams.model.run(json.loads(json.dumps(call.as_json())))

    def voice_routing(self) -> voice.Routing:
        return voice.observed({name: self.run(call) for name, call in cmdlets.READS.items()})

    def users_with(self, noun: voice.Policy | voice.DialPlan) -> list[str]:
        return self.teams.users.get(noun.name, [])
