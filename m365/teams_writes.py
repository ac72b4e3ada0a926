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
from m365.writing import Write, send, send_all

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
    number that the target had in this category goes. Raises what `GraphClient.write` does, and
    `teams_needs_powershell`.
    """
    write = assign_write(
        number, kind, target_id, category=category, location_id=location_id, request_id=request_id
    )
    return ordered(graph, send(graph, write))


def assign_write(
    number: str,
    kind: str,
    target_id: str,
    *,
    category: str = "primary",
    location_id: str = "",
    request_id: str = "",
) -> Write:
    """The same as data; what is written is an order (`ordered`)."""
    body = {
        "telephoneNumber": number,
        "assignmentTargetId": target_id,
        "numberType": kind,
        "assignmentCategory": category,
        **({"locationId": location_id} if location_id else {}),
    }
    return Write("numbers_write", "POST", f"{NUMBERS}/assignNumber", body, number, request_id)


def unassign_number(graph: GraphClient, number: str, kind: str, *, request_id: str = "") -> Ordered:
    """Order that a number is taken back from whoever has it."""
    return ordered(graph, send(graph, unassign_write(number, kind, request_id=request_id)))


def unassign_write(number: str, kind: str, *, request_id: str = "") -> Write:
    """The same as data; what is written is an order (`ordered`)."""
    body = {"telephoneNumber": number, "numberType": kind}
    return Write("numbers_write", "POST", f"{NUMBERS}/unassignNumber", body, number, request_id)


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

    def explain(_graph: GraphClient, error: UmpError) -> UmpError:
        return renamed(error, "number_unknown", number=number) if isinstance(error, NotFound) else error

    path = f"{NUMBERS}/updateNumber"
    return send(graph, Write("numbers_write", "POST", path, body, number, request_id, explain))


def operation(graph: GraphClient, operation_id: str, number: str = "", *, thing: str = "") -> Operation:
    """What became of an order; `number` and `thing` (the user) name it in its error.

    An operation that Microsoft no longer knows raises NotFound: read the number.
    """
    try:
        return _operation(graph, graph.get(_operation_path(operation_id)), number, thing)
    except PermissionMissing as error:
        raise lacking(error, "numbers_write") from error


def operations(graph: GraphClient, orders: Sequence[tuple[str, str, str]]) -> list[Operation | None]:
    """The same for any number of orders (id, number, thing), twenty a request; None for one that is forgotten."""
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
def policy_id(graph: GraphClient, kind: str, name: str) -> str:
    """Microsoft's id of a policy by its type and name. Raises UmpError `policy_unknown`."""
    (found,) = policy_ids(graph, [(kind, name)])
    if isinstance(found, UmpError):
        raise found
    return found


def policy_ids(graph: GraphClient, wanted: Sequence[tuple[str, str]]) -> list[str | UmpError]:
    """The same for any number of types and names, twenty a request."""
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


def assign_policies(graph: GraphClient, wishes: Sequence[Wish], *, request_id: str = "") -> list[Outcome]:
    """Give up to twenty policies in one call; each wish has an outcome of its own.

    Microsoft answers for all of them together. When it refuses, each is sent once more alone, under an id that
    follows from `request_id`. Raises what happened to all: OutcomeUnknown, Throttled, PermissionMissing ...
    """
    return _policies(graph, "assign", wishes, request_id)


def unassign_policies(graph: GraphClient, wishes: Sequence[Wish], *, request_id: str = "") -> list[Outcome]:
    """Take policies away again, likewise; what a group or the organisation gives takes effect instead."""
    return _policies(graph, "unassign", wishes, request_id)


def _policies(graph: GraphClient, act: Act, wishes: Sequence[Wish], request_id: str) -> list[Outcome]:
    first = request_id or str(uuid.uuid4())
    try:
        written = send(graph, policies_write(act, wishes, request_id=first))
    except UmpError as error:
        if not is_refusal(error):
            raise
        if len(wishes) == 1:
            return [Outcome(wishes[0], error=error)]
    else:
        return [Outcome(wish, written) for wish in wishes]
    answers = send_all(graph, alone(act, wishes, request_id=first))
    return [
        Outcome(wish, None, answer) if isinstance(answer, UmpError) else Outcome(wish, answer)
        for wish, answer in zip(wishes, answers, strict=True)
    ]


def policies_write(act: Act, wishes: Sequence[Wish], *, request_id: str = "") -> Write:
    """Up to twenty policies as one write. Where Microsoft refuses all of them (`is_refusal`), `alone` is next."""
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
    return isinstance(error, NotFound) or error.code in ("graph_refused", "remote_conflict", "policy_refused")


def _quoted(text: str) -> str:
    """A text between single quotes in an address."""
    return segment(text.replace("'", "''"))


def _text(row: Mapping[str, Any], name: str) -> str:
    value = row.get(name)
    return value[:LONGEST_REASON] if isinstance(value, str) else ""


def _list(row: Mapping[str, Any], name: str) -> list[Any]:
    value = row.get(name)
    return value[:100] if isinstance(value, list) else []
