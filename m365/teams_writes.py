"""Writing telephony at Graph: numbers and policies of users (facts/microsoft.md 9.2 and 9.3).

A number is given by an order: Microsoft accepts it at once (202, with the address of an operation) and says later
what became of it. Nothing here waits for that. Policies are given at once. The worldwide cloud alone has these calls;
elsewhere the same is done by Teams PowerShell only.

Each write takes the id that was noted before it and returns it beside Microsoft's own (`m365.graph.Written`); the
error of one has both in its detail. OutcomeUnknown means that the write may have arrived: read it back.
"""

from __future__ import annotations

import enum
import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal
from urllib.parse import unquote

from core.errors import NotFound, OutcomeUnknown, PermissionMissing, UmpError
from core.kinds import Remedy
from m365.errors import lacking, renamed
from m365.graph import GraphClient, Written, segment
from m365.replies import check_link
from m365.teams import NUMBERS, require

OPERATIONS: Final = "/admin/teams/telephoneNumberManagement/operations"
POLICIES: Final = "/admin/teams/policy"
MOST_WISHES = 20
"""Policies in one call. Microsoft names no limit; this many can still be sent one by one when it refuses them."""
LONGEST_REASON = 300

_OPERATION = re.compile(
    rf"https://[^/]+/v1\.0{OPERATIONS}(?:\('([^'/]{{1,200}})'\)|/([^'/]{{1,200}}))", re.IGNORECASE
)
# What orders fail with is said in words only, which Microsoft may change: the first that fits, or just those words.
_REASONS: tuple[tuple[str, str], ...] = (
    (r"already (assigned|in use)|assigned to another", "number_in_use"),
    (r"number is not assigned|not currently assigned", "number_not_assigned"),
    (r"not licen[sc]ed|licen[sc]e|phone ?system|MCOEV", "teams_phone_missing"),
    (r"usage ?location", "usage_location_missing"),
    (r"emergency|location", "number_location_missing"),
    (r"target (was |is )?not found|user (was |is |does )?not (found|exist)", "remote_not_found"),
    (r"inventory|number (was |is |does )?not (found|exist)", "number_unknown"),
    (r"is of type|number ?type", "number_kind_differs"),
    (r"cannot be assigned|capabilit", "number_unsuitable"),
)


class State(enum.StrEnum):
    """How far an order has come."""

    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


_STATES: Mapping[str, State] = {
    "notstarted": State.RUNNING,
    "running": State.RUNNING,
    "succeeded": State.SUCCEEDED,
    "failed": State.FAILED,
    "skipped": State.FAILED,
}


@dataclass(frozen=True, slots=True)
class Ordered:
    """An order that Microsoft accepted. Where it did not say how to follow it, `operation_id` is empty: read back."""

    written: Written
    operation_id: str


@dataclass(frozen=True, slots=True)
class Operation:
    """What became of an order so far. `says` are Microsoft's words, for operators; `error` is set when it failed."""

    state: State
    error: UmpError | None = None
    says: str = ""


@dataclass(frozen=True, slots=True)
class Wish:
    """A policy of a type (`TeamsCallingPolicy`) for a user; without an id, none. `thing` names the user in errors."""

    user_id: str
    kind: str
    policy_id: str = ""
    thing: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one wish: either of the two is set."""

    wish: Wish
    written: Written | None = None
    error: UmpError | None = None


# --- Numbers ------------------------------------------------------------------------------------------------
def assign_number(
    graph: GraphClient,
    number: str,
    kind: str,
    target_id: str,
    *,
    category: str = "primary",
    location_id: str = "",
    request_id: str = "",
) -> Ordered:
    """Order a number (E.164 with the plus) for a user or resource account.

    `kind` is Microsoft's: directRouting, callingPlan, operatorConnect; `category` primary, private or alternate. The
    number that the target had in this category goes. Raises what `GraphClient.write` does, and `teams_not_in_cloud`.
    """
    body = {
        "telephoneNumber": number,
        "assignmentTargetId": target_id,
        "numberType": kind,
        "assignmentCategory": category,
        **({"locationId": location_id} if location_id else {}),
    }
    return _ordered(graph, "assignNumber", body, request_id)


def unassign_number(graph: GraphClient, number: str, kind: str, *, request_id: str = "") -> Ordered:
    """Order that a number is taken back from whoever has it."""
    return _ordered(graph, "unassignNumber", {"telephoneNumber": number, "numberType": kind}, request_id)


def update_number(
    graph: GraphClient,
    number: str,
    *,
    location_id: str | None = None,
    site_id: str | None = None,
    lookup: Sequence[str] | None = None,
    request_id: str = "",
) -> Written:
    """Change what is known of a number, at once: an empty text clears, None keeps.

    `lookup` are the options of reverse number lookup (`skipInternalVoip`).
    """
    given = {
        "locationId": location_id,
        "networkSiteId": site_id,
        "reverseNumberLookupOptions": None if lookup is None else list(lookup),
    }
    body = {"telephoneNumber": number, **{name: value for name, value in given.items() if value is not None}}
    try:
        return _write(graph, "numbers_write", f"{NUMBERS}/updateNumber", body, request_id, number)
    except NotFound as error:
        raise renamed(error, "number_unknown", number=number) from error


def operation(graph: GraphClient, operation_id: str, number: str = "", *, thing: str = "") -> Operation:
    """What became of an order; `number` and `thing` (the user) name it in its error.

    An operation that Microsoft no longer knows raises NotFound: read the number.
    """
    try:
        path = f"{OPERATIONS}('{segment(operation_id)}')"
        told = graph.get(path)
    except PermissionMissing as error:
        raise lacking(error, "numbers_write") from error
    # The sample in Microsoft's documentation wraps it (facts 9.2).
    told = told["value"] if isinstance(told.get("value"), Mapping) else told
    rows = [row for row in _list(told, "numbers") if isinstance(row, Mapping)]
    states = [_state(row) for row in (told, *rows)]
    says = " ".join(_text(row, "statusDetail") for row in rows).strip()[:LONGEST_REASON]
    if State.FAILED in states:
        return Operation(State.FAILED, _reason(says, number, thing, graph), says)
    return Operation(states[0], None, says)


def _ordered(graph: GraphClient, act: str, body: Mapping[str, object], request_id: str) -> Ordered:
    thing = str(body["telephoneNumber"])
    written = _write(graph, "numbers_write", f"{NUMBERS}/{act}", body, request_id, thing)
    return Ordered(written, _operation_id(graph, written.location))


def _operation_id(graph: GraphClient, location: str) -> str:
    """The id in an operation's address, which is never gone to: only our own address of the same id is."""
    try:
        found = _OPERATION.fullmatch(unquote(check_link(location, graph.cloud)))
    except UmpError:
        return ""
    return (found[1] or found[2]) if found else ""


def _state(row: Mapping[str, Any]) -> State:
    """One that is not in Microsoft's table is not at its end, as far as we can tell."""
    return _STATES.get(_text(row, "status").lower(), State.RUNNING)


def _reason(says: str, number: str, thing: str, graph: GraphClient) -> UmpError:
    code = next(
        (code for words, code in _REASONS if re.search(words, says, re.IGNORECASE)), "number_order_failed"
    )
    names: dict[str, Any] = {**graph.names, "number": number, "thing": thing, "why": says}
    return UmpError.of(code, detail={"microsoft_says": says}, **names)


# --- Policies -----------------------------------------------------------------------------------------------
def policy_id(graph: GraphClient, kind: str, name: str) -> str:
    """Microsoft's id of a policy by its type and name. Raises UmpError `policy_unknown`."""
    require(graph.cloud, "policies_write")
    try:
        asked = f"{POLICIES}/getPolicyId(type='{_quoted(kind)}',name='{_quoted(name)}')"
        rows = _list(graph.get(asked), "value")
    except PermissionMissing as error:
        raise lacking(error, "policies_write") from error
    named = [row for row in rows if isinstance(row, Mapping)]
    same = [row for row in named if _text(row, "name").removeprefix("Tag:").lower() == name.lower()]
    found = next((_text(row, "policyId") for row in same), "")
    if not found:
        raise UmpError.of("policy_unknown", policy=name, **graph.names)
    return found


def assign_policies(graph: GraphClient, wishes: Sequence[Wish], *, request_id: str = "") -> list[Outcome]:
    """Give up to twenty policies in one call; each wish has an outcome of its own.

    Microsoft answers for all of them together. When it refuses, each is sent once more alone, under an id that
    follows from `request_id`. Raises what happened to all: OutcomeUnknown, Throttled, PermissionMissing ...
    """
    return _policies(graph, "assign", wishes, request_id)


def unassign_policies(graph: GraphClient, wishes: Sequence[Wish], *, request_id: str = "") -> list[Outcome]:
    """Take policies away again, likewise; what a group or the organisation gives takes effect instead."""
    return _policies(graph, "unassign", wishes, request_id)


def _policies(
    graph: GraphClient, act: Literal["assign", "unassign"], wishes: Sequence[Wish], request_id: str
) -> list[Outcome]:
    if not 0 < len(wishes) <= MOST_WISHES:
        raise UmpError.of("internal", detail={"cause": f"1 to {MOST_WISHES} policies fit into one call"})
    first = request_id or str(uuid.uuid4())
    try:
        written = _send(graph, act, wishes, first)
    except UmpError as error:
        if not _is_refusal(error):
            raise
        if len(wishes) == 1:
            return [Outcome(wishes[0], error=_refused(error, wishes[0]))]
        return _one_by_one(graph, act, wishes, first)
    return [Outcome(wish, written) for wish in wishes]


def _one_by_one(
    graph: GraphClient, act: Literal["assign", "unassign"], wishes: Sequence[Wish], first: str
) -> list[Outcome]:
    """Until something passes that is nobody's fault: then the rest was not tried, and says the same."""
    outcomes: list[Outcome] = []
    stopped: UmpError | None = None
    for at, wish in enumerate(wishes):
        if stopped is not None:
            outcomes.append(Outcome(wish, error=stopped))
            continue
        try:
            written = _send(graph, act, [wish], str(uuid.uuid5(uuid.UUID(first), str(at))))
            outcomes.append(Outcome(wish, written))
        except UmpError as error:
            told = _refused(error, wish) if _is_refusal(error) else error
            outcomes.append(Outcome(wish, error=told))
            if told.remedy == Remedy.LATER and not isinstance(told, OutcomeUnknown):
                stopped = told
    return outcomes


def _send(graph: GraphClient, act: str, wishes: Sequence[Wish], request_id: str) -> Written:
    value = [
        {
            "userId": wish.user_id,
            "policyType": wish.kind,
            **({"policyId": wish.policy_id} if act == "assign" else {}),
        }
        for wish in wishes
    ]
    path = f"{POLICIES}/userAssignments/{act}"
    return _write(graph, "policies_write", path, {"value": value}, request_id, wishes[0].thing)


def _is_refusal(error: UmpError) -> bool:
    """Of something in what was asked, not of us, and not for now."""
    return isinstance(error, NotFound) or error.code in ("graph_refused", "remote_conflict")


def _refused(error: UmpError, wish: Wish) -> UmpError:
    code = "remote_not_found" if isinstance(error, NotFound) else "policy_refused"
    return renamed(error, code, thing=wish.thing, policy=wish.kind)


# --- Both ---------------------------------------------------------------------------------------------------
def _write(graph: GraphClient, feature: str, path: str, body: object, request_id: str, thing: str) -> Written:
    require(graph.cloud, feature)
    try:
        return graph.write("POST", path, body, request_id=request_id)
    except PermissionMissing as error:
        raise lacking(error, feature) from error
    except OutcomeUnknown as error:
        raise renamed(error, thing=thing) from error


def _quoted(text: str) -> str:
    """A text between single quotes in an address."""
    return segment(text.replace("'", "''"))


def _text(row: Mapping[str, Any], name: str) -> str:
    value = row.get(name)
    return value[:LONGEST_REASON] if isinstance(value, str) else ""


def _list(row: Mapping[str, Any], name: str) -> list[Any]:
    value = row.get(name)
    return value[:100] if isinstance(value, list) else []
