"""Telephony where Graph has none (GCC High, DoD, China): the records of `m365.teams`, by Teams PowerShell.

What a row of a cmdlet says is put into Graph's words and read by the same functions, so that nobody above sees a
difference. Two things are not said here: of a policy in a list, whether it is the user's own or a group's is
concluded from what groups are given; and numbers besides the first are not told in these clouds.

A session is opened when it is first needed, and anew after one that ended.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack
from typing import Any, Protocol, TypeVar

from core.errors import NotFound, OutcomeUnknown, UmpError, WriteRefused
from m365 import teams
from m365.powershell import telephony as cmdlets
from m365.powershell.calls import Call

NEVER_SINCE = frozenset({"powershell_failed", "powershell_late"})
"""After these, and after a write of which nobody knows the outcome, the session is over."""
IN_THE_WAY = NEVER_SINCE | {
    "role_missing",
    "teams_module_missing",
    "teams_needs_powershell",
    "teams_session_refused",
}
"""What every further call would meet, too."""
_REFUSED = frozenset({"teams_refused", "teams_in_use", "remote_conflict", "remote_not_found"})
# As people reported them; the first that fits.
_NUMBER_REASONS: tuple[tuple[str, str], ...] = (
    (r"already (been )?(assigned|in use)|assigned to another", "number_in_use"),
    (r"not licen[sc]ed|licen[sc]e|phone ?system|MCOEV|not eligible", "teams_phone_missing"),
    (r"usage ?location", "usage_location_missing"),
    (r"emergency|location", "number_location_missing"),
    (r"(user|identity|target|application instance).{0,80}(not found|not exist|cannot be found)", "remote_not_found"),
    (r"inventory|number.{0,60}(not found|not exist|cannot be found)", "number_unknown"),
    (r"is of type|number ?type", "number_kind_differs"),
    (r"cannot be assigned|capabilit", "number_unsuitable"),
)  # fmt: skip
_POLICY_MISSING = re.compile(
    r"polic.{0,120}(not found|not exist|cannot be found|not a user policy)", re.I | re.S
)
_GUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_NOWHERE = "00000000-0000-0000-0000-000000000000"
_LINE = re.compile(r"(?:tel:)?(\+?[0-9]{1,20}(?:;ext=[0-9]{1,10})?)", re.IGNORECASE)
_KINDS = {
    "directRouting": "DirectRouting",
    "callingPlan": "CallingPlan",
    "operatorConnect": "OperatorConnect",
}
Row = Mapping[str, Any]
Made = TypeVar("Made")


class Asked(Protocol):
    """What is used of `m365.teams_powershell.Session`."""

    def run(self, call: Call, thing: str = "") -> list[dict[str, Any]]: ...

    def parts(self, call: Call, thing: str = "") -> Iterator[list[dict[str, Any]]]: ...


class TeamsByPowerShell:
    """One customer's telephony, for one job of one thread. `names` (tenant, app) are for sentences.

    Every method raises only UmpError: what `m365.teams_powershell.Session` raises, `teams_needs_powershell` where
    there is no PowerShell, and `bad_reply`.
    """

    def __init__(
        self,
        opens: Callable[[], AbstractContextManager[Asked]],
        *,
        cloud_name: str,
        before_write: Callable[[], float | None] | None = None,
        names: Mapping[str, str] | None = None,
    ) -> None:
        self._opens, self._cloud_name, self._before_write = opens, cloud_name, before_write
        self._names: dict[str, Any] = dict(names or {})
        self._held = ExitStack()
        self._session: Asked | None = None

    def close(self) -> None:
        """End the session, if there is one."""
        held, self._held, self._session = self._held, ExitStack(), None
        held.close()

    # --- Lists ----------------------------------------------------------------------------------------------
    def users(self) -> Iterator[teams.Read]:
        """Users as Teams knows them (TeamsUser)."""
        for rows in self._parts(cmdlets.users(), "users"):
            yield teams.Read(_read(_user, filter(_is_there, rows)))

    def policies(self) -> Iterator[teams.Read]:
        """The policies in effect for each user (Policies)."""
        given = _of_groups(self._run(cmdlets.policies_of_groups(), "policies of groups"))
        for rows in self._parts(cmdlets.users_with_policies(), "policies of users"):
            yield teams.Read(_read(lambda row: _policies(row, given), filter(_is_there, rows)))

    def numbers(self) -> Iterator[teams.Read]:
        """The organisation's numbers (Number)."""
        for skip in range(0, teams.MOST_NUMBERS, cmdlets.NUMBERS_A_CALL):
            rows = self._run(cmdlets.numbers(skip), "numbers")
            yield teams.Read(_read(_number, rows))
            if len(rows) < cmdlets.NUMBERS_A_CALL:
                return
        raise UmpError.of("endless_pages", thing="the organisation's numbers")

    # --- One by one -----------------------------------------------------------------------------------------
    def primary_numbers(self, user_ids: Iterable[str]) -> dict[str, tuple[str, str] | None]:
        """The number that each of these users has first, with its kind; without those whom Teams does not know."""
        found: dict[str, tuple[str, str] | None] = {}
        for user_id in dict.fromkeys(user_ids):
            rows = self._found(cmdlets.user(user_id), "a user")
            known = _read(_user, (row for row in rows if _id(row) == user_id and _is_there(row)))
            if known:
                held = known[0].numbers[0][0] if known[0].numbers else ""
                found[user_id] = (held, self._kind_of(held)) if held else None
        return found

    def _kind_of(self, telephone: str) -> str:
        known = _read(_number, self._found(cmdlets.number(telephone), telephone))
        return next((one.kind for one in known if one.number == telephone), "directRouting")

    def own_policies(self, user_ids: Iterable[str]) -> dict[str, dict[str, str]]:
        """By user: the names of the policies that are his own, by type; without those who are not there."""
        found: dict[str, dict[str, str]] = {}
        for user_id in dict.fromkeys(user_ids):
            try:
                rows = self._run(cmdlets.policies_of(user_id), "a user's policies")
            except NotFound:
                continue
            found[user_id] = dict(own for own in map(_own, rows) if own is not None)
        return found

    # --- Writing --------------------------------------------------------------------------------------------
    def assign_number(
        self, user_id: str, telephone: str, kind: str, *, location_id: str = "", thing: str = ""
    ) -> None:
        """Give a number (E.164 with the plus) to a user or resource account; `kind` in Graph's words."""
        self._write_number(
            cmdlets.assign_number(user_id, telephone, _KINDS[kind], location_id), telephone, thing
        )

    def unassign_number(self, user_id: str, telephone: str, kind: str, *, thing: str = "") -> None:
        """Take it back from this very user."""
        self._write_number(cmdlets.unassign_number(user_id, telephone, _KINDS[kind]), telephone, thing)

    def give_policy(self, user_id: str, kind: str, name: str, *, thing: str = "") -> None:
        """The policy of a type for a user; without a name, none of his own. Raises UmpError (policy_unknown, ...)."""
        if kind not in cmdlets.POLICY_KINDS:
            raise UmpError.of("policy_refused", thing=thing, policy=kind)
        try:
            self._write(cmdlets.grant(user_id, kind, name), thing)
        except UmpError as error:
            if error.code not in _REFUSED:
                raise
            missing = bool(name) and _POLICY_MISSING.search(_says(error))
            code = "policy_unknown" if missing else "policy_refused"
            if error.code == "remote_not_found" and not missing:
                raise
            raise self._named(error, code, thing=thing, policy=name if missing else kind) from error

    def _write_number(self, call: Call, telephone: str, thing: str) -> None:
        try:
            self._write(call, thing)
        except UmpError as error:
            reasons = _NUMBER_REASONS if error.code in _REFUSED else ()
            said = _says(error)
            code = next((code for words, code in reasons if re.search(words, said, re.I | re.S)), "")
            if not code:
                raise
            raise self._named(error, code, number=telephone, thing=thing, why=said) from error

    def _named(self, error: UmpError, code: str, **names: Any) -> UmpError:
        return UmpError.of(code, detail=dict(error.detail), **{**self._names, **names})

    def _write(self, call: Call, thing: str) -> None:
        if self._before_write is None:
            raise WriteRefused(thing=call.cmdlet)
        self._open()  # which takes seconds
        self._before_write()
        self._run(call, thing)

    # --- The session ----------------------------------------------------------------------------------------
    def _open(self) -> Asked:
        if self._session is None:
            try:
                self._session = self._held.enter_context(self._opens())
            except UmpError as error:
                if error.code != "powershell_missing":
                    raise
                raise UmpError.of(
                    "teams_needs_powershell", thing=self._cloud_name, detail=dict(error.detail)
                ) from error
        return self._session

    def _run(self, call: Call, thing: str) -> list[dict[str, Any]]:
        try:
            return self._open().run(call, thing)
        except UmpError as error:
            self._over(error)
            raise

    def _parts(self, call: Call, thing: str) -> Iterator[list[dict[str, Any]]]:
        try:
            yield from self._open().parts(call, thing)
        except UmpError as error:
            self._over(error)
            raise

    def _over(self, error: UmpError) -> None:
        if isinstance(error, OutcomeUnknown) or error.code in NEVER_SINCE:
            self.close()

    def _found(self, call: Call, thing: str) -> list[dict[str, Any]]:
        """No row for what is not there, in whichever way a cmdlet says so."""
        try:
            return self._run(call, thing)
        except NotFound:
            return []


# --- What rows say, in Graph's words --------------------------------------------------------------------------
def _read(one: Callable[[Row], Made], rows: Iterable[Row]) -> list[Made]:
    """Raises UmpError (bad_reply) that names whose answer it was."""
    try:
        return [one(row) for row in rows]
    except UmpError as error:
        raise UmpError.of("bad_reply", host="Microsoft Teams", why=error.fields.get("why", "")) from error


def _user(row: Row) -> teams.TeamsUser:
    line = _LINE.fullmatch(row["LineUri"]) if isinstance(row.get("LineUri"), str) else None
    return teams.user_of(
        {
            "id": row.get("Identity"),
            "userPrincipalName": row.get("UserPrincipalName"),
            "accountType": _camel(row.get("AccountType")),
            "isEnterpriseVoiceEnabled": row.get("EnterpriseVoiceEnabled"),
            "featureTypes": _list(row.get("FeatureTypes")),
            "telephoneNumbers": [{"telephoneNumber": line[1]}] if line else [],
            "createdDateTime": row.get("WhenCreated"),
            "modifiedDateTime": row.get("WhenChanged"),
        }
    )


def _is_there(row: Row) -> bool:
    """Graph lists neither who was deleted nor who lost his licence."""
    return not row.get("SoftDeletionTimestamp") and row.get("AccountType") != "IneligibleUser"


def _id(row: Row) -> str:
    return str(row.get("Identity") or "").lower()


def _policies(row: Row, given: Mapping[tuple[str, str], str]) -> teams.Policies:
    held = []
    for kind in cmdlets.POLICY_KINDS:
        name = _name(row.get(kind))
        if name:
            group = given.get((kind, name.lower()), "")
            held.append(_held(kind, name, group))
    return teams.policies_of({"id": row.get("Identity"), "effectivePolicyAssignments": held})


def _held(kind: str, name: str, group: str) -> dict[str, Any]:
    source = "group" if group else "direct"
    given = {"displayName": name, "policyId": name, "assignmentType": source, "groupId": group or None}
    return {"policyType": kind, "policyAssignment": given}


def _of_groups(rows: Iterable[Row]) -> dict[tuple[str, str], str]:
    """By type and name: the first group that gives the policy."""
    found: dict[tuple[str, str], str] = {}
    for row in rows:
        kind, name, group = row.get("PolicyType"), _name(row.get("PolicyName")), row.get("GroupId")
        if isinstance(kind, str) and name and isinstance(group, str):
            found.setdefault((kind, name.lower()), group)
    return found


def _own(row: Row) -> tuple[str, str] | None:
    """(type, name) of a policy that is the user's own."""
    kind, name = row.get("PolicyType"), _name(row.get("PolicyName"))
    sources = [one for one in _list(row.get("PolicySource")) if isinstance(one, Mapping)]
    direct = (one for one in sources if str(one.get("AssignmentType", "")).lower() == "direct")
    names = [_name(one.get("PolicyName")).lower() for one in direct]
    return (kind, name) if isinstance(kind, str) and name and name.lower() in names else None


def _name(value: object) -> str:
    """A policy's name: a text, or an object that has it; the organisation's default is none."""
    if isinstance(value, Mapping):
        value = value.get("Name") or value.get("Identity")
    name = value.removeprefix("Tag:") if isinstance(value, str) else ""
    return "" if name.lower() == "global" else name[: teams.LONGEST]


def _number(row: Row) -> teams.Number:
    target, place = row.get("AssignedPstnTargetId"), row.get("LocationId")
    # A number may also belong to a policy of shared calling, by its name.
    target = target if isinstance(target, str) and _GUID.fullmatch(target) else None
    return teams.number_of(
        {
            "id": row.get("TelephoneNumber"),
            "telephoneNumber": row.get("TelephoneNumber"),
            "numberType": _camel(row.get("NumberType")),
            "assignmentStatus": _camel(row.get("PstnAssignmentStatus")),
            "activationState": _camel(row.get("ActivationState")),
            "assignmentTargetId": target,
            "assignmentCategory": _camel(row.get("AssignmentCategory")) if target else None,
            "operatorId": row.get("OperatorId"),
            "isoCountryCode": row.get("IsoCountryCode"),
            "city": row.get("City"),
            "portInStatus": _camel(row.get("PortInOrderStatus")),
            "numberSource": _camel(row.get("NumberSource")),
            "locationId": None if place == _NOWHERE else place,
            "capabilities": [_camel(one) for one in _list(row.get("Capability"))],
        }
    )


def _camel(value: object) -> object:
    """PowerShell writes `DirectRouting` what Graph writes `directRouting`."""
    return value[:1].lower() + value[1:] if isinstance(value, str) else value


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _says(error: UmpError) -> str:
    return str(error.detail.get("microsoft_says", ""))[:300]
