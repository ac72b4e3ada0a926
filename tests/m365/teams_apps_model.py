"""What the MicrosoftTeams module does with resource accounts, in memory: calls in, rows or an error out.

It wants what Microsoft's pages want: a queue or attendant goes only when no account belongs to it, a schedule only
when no attendant uses it, a number is one account's, and accounts are made in the session of a person.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

from core.errors import UmpError
from m365.powershell.calls import Call

CALL_QUEUE, ATTENDANT = "CallQueue", "AutoAttendant"


class TeamsApps:
    """`run` is that of `m365.teams_powershell.Session`. `person`: whose session it is."""

    def __init__(self, *, person: bool = True) -> None:
        self.person = person
        self.accounts: dict[str, dict[str, Any]] = {}
        self.schedules: dict[str, dict[str, Any]] = {}
        self.bodies: dict[str, dict[str, Any]] = {}
        self.numbers: dict[str, str] = {}
        self.writes: list[str] = []
        self.before_write: Callable[[str], object] = lambda cmdlet: None
        self.after_write: Callable[[str], object] = lambda cmdlet: None
        self._ids = (f"00000000-0000-4000-9000-{number:012}" for number in itertools.count(1))
        self._made: dict[str, Any] = {}

    def run(self, call: Call, thing: str = "") -> list[dict[str, Any]]:
        told = call.as_json()
        if call.cmdlet == "New-CsOnlineApplicationInstance" and not self.person:
            raise UmpError.of("role_missing", role="Teams Administrator", tenant="Contoso", thing=thing)
        if call.writes:
            self.before_write(call.cmdlet)
        rows = self._call(told)
        if call.writes:
            self.writes.append(call.cmdlet)
            self.after_write(call.cmdlet)
        return [{field: row.get(field) for field in told["fields"]} for row in rows] if told["fields"] else []

    def _call(self, told: dict[str, Any]) -> list[dict[str, Any]]:
        for earlier in told.get("before", []):
            self._made[earlier["name"]] = self._call(earlier["call"])[0]
        given = {name: self._value(value) for name, value in told["parameters"].items()}
        name = told["cmdlet"].replace("-Cs", "_")
        known = getattr(self, f"do_{name}", None)
        if known is not None:
            return list(known(given) or [])
        assert name.startswith(("New_AutoAttendant", "New_OnlineTimeRange", "New_OnlineDateTimeRange")), name
        return [{**given, "Id": next(self._ids)}]

    def _value(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self._value(inner) for inner in value]
        if isinstance(value, dict) and "call" in value:
            return self._call(value["call"])[0]
        if isinstance(value, dict):
            made = self._made[value["made"]["name"]]
            return made[value["made"]["property"]] if value["made"]["property"] else made
        return value

    def do_Get_OnlineUser(self, given: dict[str, Any]) -> list[dict[str, Any]]:
        address = given["Filter"].split("'")[1]
        return [row for row in self.accounts.values() if row["UserPrincipalName"] == address]

    def do_Get_CallQueue(self, given: dict[str, Any]) -> list[dict[str, Any]]:
        return self._bodies(CALL_QUEUE, given)

    def do_Get_AutoAttendant(self, given: dict[str, Any]) -> list[dict[str, Any]]:
        return self._bodies(ATTENDANT, given)

    def _bodies(self, kind: str, given: dict[str, Any]) -> list[dict[str, Any]]:
        name = given["NameFilter"].lower()
        return [row for row in self.bodies.values() if row["kind"] == kind and name in row["Name"].lower()]

    def do_Get_OnlineSchedule(self, given: dict[str, Any]) -> list[dict[str, Any]]:
        return list(self.schedules.values())

    def do_Get_PhoneNumberAssignment(self, given: dict[str, Any]) -> list[dict[str, Any]]:
        number = given["TelephoneNumber"]
        if number not in self.numbers:
            return []
        holder = self.numbers[number]
        return [{"TelephoneNumber": number, "NumberType": "DirectRouting", "AssignedPstnTargetId": holder}]

    def do_New_OnlineApplicationInstance(self, given: dict[str, Any]) -> list[dict[str, Any]]:
        self._unless(
            any(row["UserPrincipalName"] == given["UserPrincipalName"] for row in self.accounts.values())
        )
        row = {**given, "Identity": next(self._ids), "AccountType": "ResourceAccount"}
        self.accounts[row["Identity"]] = row
        return [{**row, "ObjectId": row["Identity"]}]

    def do_New_OnlineSchedule(self, given: dict[str, Any]) -> list[dict[str, Any]]:
        row = {**given, "Id": next(self._ids)}
        self.schedules[row["Id"]] = row
        return [row]

    def do_New_CallQueue(self, given: dict[str, Any]) -> list[dict[str, Any]]:
        return self._body(CALL_QUEUE, given)

    def do_New_AutoAttendant(self, given: dict[str, Any]) -> list[dict[str, Any]]:
        flows = {flow["Id"] for flow in given.get("CallFlows", [])}
        for rule in given.get("CallHandlingAssociations", []):
            assert rule["CallFlowId"] in flows
            assert rule["ScheduleId"] in self.schedules
        return self._body(ATTENDANT, given)

    def _body(self, kind: str, given: dict[str, Any]) -> list[dict[str, Any]]:
        row = {**given, "Identity": next(self._ids), "kind": kind, "ApplicationInstances": []}
        self.bodies[row["Identity"]] = row
        return [row]

    def do_Set_CallQueue(self, given: dict[str, Any]) -> None:
        self.bodies[given["Identity"]].update(given)

    def do_New_OnlineApplicationInstanceAssociation(self, given: dict[str, Any]) -> None:
        (account,) = given["Identities"]
        assert account in self.accounts
        body = self.bodies[given["ConfigurationId"]]
        assert body["kind"] == given["ConfigurationType"]
        self._unless(any(account in row["ApplicationInstances"] for row in self.bodies.values()))
        body["ApplicationInstances"].append(account)

    def do_Set_PhoneNumberAssignment(self, given: dict[str, Any]) -> None:
        number, account = given["PhoneNumber"], given["Identity"]
        self._unless(self.numbers.get(number, account) != account)
        assert account in self.accounts
        self.numbers[number] = account

    def do_Remove_PhoneNumberAssignment(self, given: dict[str, Any]) -> None:
        self._found(self.numbers.get(given["PhoneNumber"]) == given["Identity"])
        del self.numbers[given["PhoneNumber"]]

    def do_Remove_OnlineApplicationInstanceAssociation(self, given: dict[str, Any]) -> None:
        (account,) = given["Identities"]
        held = [row for row in self.bodies.values() if account in row["ApplicationInstances"]]
        self._found(bool(held))
        held[0]["ApplicationInstances"].remove(account)

    def do_Remove_CallQueue(self, given: dict[str, Any]) -> None:
        self._found(given["Identity"] in self.bodies)
        self._unless(bool(self.bodies[given["Identity"]]["ApplicationInstances"]))
        del self.bodies[given["Identity"]]

    def do_Remove_AutoAttendant(self, given: dict[str, Any]) -> None:
        self.do_Remove_CallQueue(given)

    def do_Remove_OnlineSchedule(self, given: dict[str, Any]) -> None:
        self._found(given["Id"] in self.schedules)
        used = {
            rule["ScheduleId"]
            for row in self.bodies.values()
            for rule in row.get("CallHandlingAssociations", [])
        }
        self._unless(given["Id"] in used)
        del self.schedules[given["Id"]]

    @staticmethod
    def _unless(taken: bool) -> None:
        if taken:
            raise UmpError.of("teams_in_use", thing="it")

    @staticmethod
    def _found(there: bool) -> None:
        if not there:
            raise UmpError.of("remote_not_found", thing="it", role="", tenant="")
