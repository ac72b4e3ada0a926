"""A session of Teams PowerShell without it: the cmdlets of telephony, on the pretend organisation's own state."""

import contextlib
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from core.errors import OutcomeUnknown
from m365.powershell import faults
from m365.powershell.calls import Call
from replication import states
from simulator.graph.teams_state import POLICIES, Telephony, telephony_of
from tenants import scope
from tenants.lines import Line
from tests.directory.pretend import Customer
from tests.m365.teams_model import FaultError

GROUP_POLICY = ("TeamsMeetingPolicy", "AllOn")
PART = 7


class PretendCmdlets:
    """Teams of one customer. `writes` is every write that Teams took; `lost` cmdlets do their work and never answer.

    `struck` is called before and after each write: a test dies there.
    """

    def __init__(self, customer: Customer) -> None:
        self.customer = customer
        self.writes: list[tuple[str, str, str]] = []
        self.calls: list[str] = []
        self.lost: list[str] = []
        self.refuses: dict[str, tuple[str, str]] = {}
        self.sessions = 0
        self.struck: Callable[[], None] = lambda: None

    # What is used of a session
    def run(self, call: Call, thing: str = "") -> list[dict[str, Any]]:
        told = json.loads(json.dumps(call.as_json()))
        self.calls.append(call.cmdlet)
        if call.writes:
            self.struck()
        try:
            rows = self._answer(told["cmdlet"], told["parameters"])
        except FaultError as error:
            raise faults.of_call(error.fault, writes=call.writes, thing=thing, tenant="Contoso") from error
        if call.writes:
            self.struck()
            with contextlib.suppress(ValueError):
                self.lost.remove(call.cmdlet)
                raise OutcomeUnknown(thing=thing)
        return [{field: row.get(field) for field in told["fields"]} for row in rows]

    def parts(self, call: Call, thing: str = "") -> Iterator[list[dict[str, Any]]]:
        rows = self.run(call, thing)
        for at in range(0, max(len(rows), 1), PART):
            yield rows[at : at + PART]

    @contextlib.contextmanager
    def session(self) -> Iterator["PretendCmdlets"]:
        self.sessions += 1
        yield self

    # What it does
    def _answer(self, cmdlet: str, given: dict[str, Any]) -> list[dict[str, Any]]:
        if cmdlet in self.refuses:
            raise FaultError(*self.refuses[cmdlet])
        with self.customer.directory.lock:
            state = telephony_of(self.customer.pretend)
            state.settle(self.customer.now())
            verb, _, noun = cmdlet.partition("-Cs")
            if verb == "Get":
                known: dict[str, Callable[..., list[dict[str, Any]]]] = {
                    "OnlineUser": self._users,
                    "PhoneNumberAssignment": self._numbers,
                    "GroupPolicyAssignment": self._groups,
                    "UserPolicyAssignment": self._assigned,
                }
                return known[noun](state, given)
            self._write(state, verb, noun, given)
            return []

    def _people(self) -> Iterator[dict[str, Any]]:
        shelf = self.customer.directory.users
        for index in shelf.indices(self.customer.now()):
            yield shelf.view(index)

    def _users(self, state: Telephony, given: dict[str, Any]) -> list[dict[str, Any]]:
        people = [one for one in self._people() if given.get("Identity") in {None, one["id"]}]
        if "Identity" in given and not people:
            raise FaultError("NotFound", "The user was not found.")
        return [self._user(state, one, "SkipUserPolicies" in given) for one in people]

    def _user(self, state: Telephony, user: dict[str, Any], bare: bool) -> dict[str, Any]:
        row = state.user_row(user, self.customer.now())
        kind = row["accountType"] if state.in_teams(user) else "ineligibleUser"
        numbers = [one["telephoneNumber"] for one in row["telephoneNumbers"]]
        found = {
            "Identity": row["id"],
            "UserPrincipalName": row["userPrincipalName"],
            "AccountType": kind[0].upper() + kind[1:],
            "EnterpriseVoiceEnabled": row["isEnterpriseVoiceEnabled"],
            "FeatureTypes": row["featureTypes"],
            "LineUri": f"tel:{numbers[0]}" if numbers else "",
            "WhenCreated": row["createdDateTime"],
            "WhenChanged": row["modifiedDateTime"],
        }
        if not bare:
            for one in row["effectivePolicyAssignments"]:
                found[one["policyType"]] = {
                    "Name": one["policyAssignment"]["displayName"],
                    "Authority": "Tenant",
                }
        return found

    def _groups(self, state: Telephony, given: dict[str, Any]) -> list[dict[str, Any]]:
        kind, name = GROUP_POLICY
        group = next(iter(self.customer.ids("groups")))
        return [{"PolicyType": kind, "PolicyName": name, "GroupId": group}]

    def _assigned(self, state: Telephony, given: dict[str, Any]) -> list[dict[str, Any]]:
        user = next((one for one in self._people() if one["id"] == given["Identity"]), None)
        if user is None:
            raise FaultError("NotFound", "The user was not found.")
        rows = []
        for one in state.user_row(user, self.customer.now())["effectivePolicyAssignments"]:
            name, how = one["policyAssignment"]["displayName"], one["policyAssignment"]["assignmentType"]
            source = {"AssignmentType": how.capitalize(), "PolicyName": name, "Reference": None}
            rows.append({"PolicyType": one["policyType"], "PolicyName": name, "PolicySource": [source]})
        return rows

    def _numbers(self, state: Telephony, given: dict[str, Any]) -> list[dict[str, Any]]:
        rows = sorted(state.all_seen(self.customer.now()), key=lambda one: one.number)
        if "TelephoneNumber" in given:
            rows = [one for one in rows if one.number == given["TelephoneNumber"]]
        rows = rows[given.get("Skip", 0) :][: given.get("Top", 500)]
        return [
            {
                "TelephoneNumber": one.number,
                "NumberType": one.kind[0].upper() + one.kind[1:],
                "PstnAssignmentStatus": one.status[0].upper() + one.status[1:],
                "ActivationState": one.activation.capitalize(),
                "AssignedPstnTargetId": one.target,
                "AssignmentCategory": (one.category or "").capitalize(),
                "OperatorId": one.operator,
                "IsoCountryCode": one.country,
                "City": one.city,
                "NumberSource": "Online",
                "LocationId": "00000000-0000-0000-0000-000000000000",
                "Capability": [each[0].upper() + each[1:] for each in one.capabilities],
            }
            for one in rows
        ]

    def _write(self, state: Telephony, verb: str, noun: str, given: dict[str, Any]) -> None:
        user, now = given["Identity"], self.customer.now()
        value = given.get("PhoneNumber") or given.get("PolicyName") or ""
        if verb == "Grant":
            if value and value not in POLICIES[noun]:
                raise FaultError("BadRequest", f"Policy {value} is not a user policy.")
            state.grant({(user, noun): value or None}, now)
        elif verb == "Set":
            holder = state.numbers[value].target if value in state.numbers else None
            if holder not in {None, user}:
                raise FaultError(
                    "BadRequest", f"Telephone number {value} has already been assigned to another user."
                )
            state.set(value, user, now)
        else:
            if value not in state.numbers or state.numbers[value].target != user:
                raise FaultError("NotFound", f"Telephone number {value} was not found on the user.")
            state.set(value, None, now)
        self.writes.append((f"{verb}-Cs{noun}", user, value))


def with_powershell(monkeypatch: pytest.MonkeyPatch, customer: Customer) -> PretendCmdlets:
    """A worker with PowerShell is there, and its sessions are with this customer's pretend Teams."""
    pretend = PretendCmdlets(customer)
    monkeypatch.setattr(Line, "teams", lambda self, *, stop=None: pretend.session())
    with scope.every("a worker with PowerShell looks for work"):
        states.note_powershell()
    return pretend
