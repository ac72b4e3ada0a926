"""Writing telephony at Graph: numbers and policies of users (facts/microsoft.md 9.2 and 9.3).

A number is given by an order: Microsoft accepts it at once (202, with the address of an operation) and says later
what became of it. Nothing here waits for that. Policies are given at once. The worldwide cloud alone has these calls;
elsewhere the same is done by Teams PowerShell only.

What ends in `_write` is such a write as data (m365.writing), to be sent together with others.
"""

from __future__ import annotations

import enum
import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal
from urllib.parse import unquote

from core.errors import NotFound, PermissionMissing, UmpError
from m365.errors import lacking, renamed
from m365.graph import BatchRequest, BatchResponse, GraphClient, Written, segment
from m365.replies import check_link
from m365.teams import NUMBERS, require, told
from m365.writing import Write

OPERATIONS: Final = "/admin/teams/telephoneNumberManagement/operations"
POLICIES: Final = "/admin/teams/policy"
MOST_WISHES = 20
"""Policies in one call. Microsoft names no limit; this many can still be sent one by one when it refuses them."""
LONGEST_REASON = 300
Act = Literal["assign", "unassign"]

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


# --- Numbers ------------------------------------------------------------------------------------------------
def assign_write(
    number: str,
    kind: str,
    target_id: str,
    *,
    category: str = "primary",
    location_id: str = "",
    request_id: str = "",
) -> Write:
    """The order (`ordered`) of a number, E.164 with the plus, for a user or resource account.

    `kind` is Microsoft's: directRouting, callingPlan, operatorConnect; `category` primary, private or alternate. The
    number that the target had in this category goes.
    """
    body = {
        "telephoneNumber": number,
        "assignmentTargetId": target_id,
        "numberType": kind,
        "assignmentCategory": category,
        **({"locationId": location_id} if location_id else {}),
    }
    return Write("numbers_write", "POST", f"{NUMBERS}/assignNumber", body, number, request_id)


def unassign_write(number: str, kind: str, *, request_id: str = "") -> Write:
    """The order (`ordered`) that a number is taken back from whoever has it."""
    body = {"telephoneNumber": number, "numberType": kind}
    return Write("numbers_write", "POST", f"{NUMBERS}/unassignNumber", body, number, request_id)


def operations(graph: GraphClient, orders: Sequence[tuple[str, str, str]]) -> list[Operation | None]:
    """What became of orders (id, number, thing), twenty a request; None for one that Microsoft no longer knows.

    The number and `thing` (the user) name it in its error.
    """
    steps = [BatchRequest(str(at), _operation_path(one[0])) for at, one in enumerate(orders)]
    try:
        answers: list[BatchResponse] = graph.each(steps)
        bodies = [told(answer) for answer in answers]
    except PermissionMissing as error:
        raise lacking(error, "numbers_write") from error
    return [
        None if body is None else _operation(graph, body, number, thing)
        for body, (_, number, thing) in zip(bodies, orders, strict=True)
    ]


def _operation_path(operation_id: str) -> str:
    return f"{OPERATIONS}('{segment(operation_id)}')"


def _operation(graph: GraphClient, body: Mapping[str, Any], number: str, thing: str) -> Operation:
    # The sample in Microsoft's documentation wraps it (facts 9.2).
    body = body["value"] if isinstance(body.get("value"), Mapping) else body
    rows = [row for row in _list(body, "numbers") if isinstance(row, Mapping)]
    states = [_state(row) for row in (body, *rows)]
    says = " ".join(_text(row, "statusDetail") for row in rows).strip()[:LONGEST_REASON]
    if State.FAILED in states:
        return Operation(State.FAILED, _reason(says, number, thing, graph), says)
    return Operation(states[0], None, says)


def ordered(graph: GraphClient, written: Written) -> Ordered:
    """The order that was placed by writing a number."""
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
def policy_ids(graph: GraphClient, wanted: Sequence[tuple[str, str]]) -> list[str | UmpError]:
    """Microsoft's ids of policies by their type and name, twenty a request; `policy_unknown` where there is none."""
    require(graph.cloud, "policies_write")
    steps = [
        BatchRequest(str(at), f"{POLICIES}/getPolicyId(type='{_quoted(kind)}',name='{_quoted(name)}')")
        for at, (kind, name) in enumerate(wanted)
    ]
    answers = zip(graph.each(steps), wanted, strict=True)
    return [_policy_id(graph, answer, name) for answer, (_, name) in answers]


def _policy_id(graph: GraphClient, answer: BatchResponse, name: str) -> str | UmpError:
    try:
        body = told(answer) or {}
    except PermissionMissing as error:
        return lacking(error, "policies_write")
    except UmpError as error:
        return error
    named = [row for row in _list(body, "value") if isinstance(row, Mapping)]
    same = [row for row in named if _text(row, "name").removeprefix("Tag:").lower() == name.lower()]
    found = next((_text(row, "policyId") for row in same), "")
    return found or UmpError.of("policy_unknown", policy=name, **graph.names)


def policies_write(act: Act, wishes: Sequence[Wish], *, request_id: str = "") -> Write:
    """Up to twenty policies to be given or taken away in one write, for all of which Microsoft answers together.

    What a group or the organisation gives takes effect instead of one that was taken away. Where Microsoft refuses
    all of them (`is_refusal`), `alone` is next.
    """
    if not 0 < len(wishes) <= MOST_WISHES:
        raise UmpError.of("internal", detail={"cause": f"1 to {MOST_WISHES} policies fit into one call"})
    value = [
        {
            "userId": wish.user_id,
            "policyType": wish.kind,
            **({"policyId": wish.policy_id} if act == "assign" else {}),
        }
        for wish in wishes
    ]

    def explain(_graph: GraphClient, error: UmpError) -> UmpError:
        if len(wishes) > 1 or not is_refusal(error):
            return error
        code = "remote_not_found" if isinstance(error, NotFound) else "policy_refused"
        return renamed(error, code, thing=wishes[0].thing, policy=wishes[0].kind)

    path, thing = f"{POLICIES}/userAssignments/{act}", wishes[0].thing
    return Write("policies_write", "POST", path, {"value": value}, thing, request_id, explain)


def alone(act: Act, wishes: Sequence[Wish], *, request_id: str) -> list[Write]:
    """Each of these as a write of its own, under an id that follows from that of all of them."""
    ids = [str(uuid.uuid5(uuid.UUID(request_id), str(at))) for at in range(len(wishes))]
    return [policies_write(act, [wish], request_id=key) for wish, key in zip(wishes, ids, strict=True)]


def is_refusal(error: UmpError) -> bool:
    """Of something in what was asked, not of us, and not for now."""
    return isinstance(error, NotFound) or error.code in ("graph_refused", "remote_conflict")


def _quoted(text: str) -> str:
    """A text between single quotes in an address."""
    return segment(text.replace("'", "''"))


def _text(row: Mapping[str, Any], name: str) -> str:
    value = row.get(name)
    return value[:LONGEST_REASON] if isinstance(value, str) else ""


def _list(row: Mapping[str, Any], name: str) -> list[Any]:
    value = row.get(name)
    return value[:100] if isinstance(value, list) else []
