"""`/admin/teams`: users as Teams knows them, numbers, orders and policies (facts/microsoft.md 9)."""

from __future__ import annotations

import re
from typing import Any

import orjson

from simulator.graph.call import Call
from simulator.graph.errors import GraphError, bad_request, not_found
from simulator.graph.lists import answer, page, start_of
from simulator.graph.query import counted, filter_test, order, page_size, pick, selected
from simulator.graph.reads import entity
from simulator.graph.teams_state import KINDS, POLICIES, Number, Order, Telephony, has_policy, telephony_of
from simulator.http1 import Response
from simulator.objects import stamp

_USER, _NUMBER, _ORDER = "teamsUserConfiguration", "numberAssignment", "telephoneNumberLongRunningOperation"
_USERS = "admin/teams/userConfigurations"
_NUMBERS = "admin/teams/telephoneNumberManagement/numberAssignments"
_ORDERS = "admin/teams/telephoneNumberManagement/operations"
_MOST_NUMBERS, _USUAL_NUMBERS = 1000, 500
_BY_NUMBER = re.compile(r"telephoneNumber eq '([^']*)'")
_CATEGORIES = ("primary", "private", "alternate")


def _telephony(call: Call) -> Telephony:
    """The tenant's; other clouds than the worldwide one have none of it."""
    if call.tenant.cloud.name != "global":
        raise GraphError(400, "BadRequest", "Resource not found for the segment 'teams'.")
    found = telephony_of(call.tenant)
    found.settle(call.now)
    _remember(call, found)
    return found


def _remember(call: Call, telephony: Telephony) -> None:
    """What orders came to goes into the history, once each."""
    while telephony.done:
        call.world.record("number", tenant=call.tenant.id, **telephony.done.pop(0))


# Users.


def users(call: Call) -> Response:
    """`GET /admin/teams/userConfigurations`."""
    telephony, shelf = _telephony(call), call.tenant.directory.users
    names, test, ordering = selected(call, _USER), filter_test(call, _USER), order(call, _USER)
    top, at = page_size(call, call.tenant.behaviour.page_size), start_of(call) or 0
    if "empty_page" in call.troubles:
        return page(call, _USERS, b"[]", at, first=0, count=None)
    rows: list[dict[str, Any]] = []
    following = None
    for index in shelf.indices(call.now, 0 if ordering else at):
        user = shelf.seen(index, call.now)
        if user is None or not telephony.in_teams(user):
            continue
        row = telephony.user_row(user, call.now)
        if test is not None and not test(row):
            continue
        if not ordering and len(rows) == top:
            following = index
            break
        rows.append(row)
    if ordering:
        rows.sort(key=lambda row: str(row.get(ordering[0]) or "").lower(), reverse=ordering[1])
        following = at + top if at + top < len(rows) else None
        rows = rows[at : at + top]
    value = orjson.dumps([row if names is None else pick(row, names) for row in rows])
    return page(call, _USERS, value, following, first=0, count=None)


def user(call: Call) -> Response:
    """`GET /admin/teams/userConfigurations/{id}`, with `$expand=user` too."""
    telephony, shelf = _telephony(call), call.tenant.directory.users
    index = call.tenant.directory.find("users", call.args["id"])
    found = shelf.seen(index, call.now) if index is not None else None
    if found is None or not telephony.in_teams(found):
        raise not_found(call.args["id"])
    row = telephony.user_row(found, call.now)
    if call.query.get("$expand") == "user":
        row["user"] = pick(found, ("id", "displayName", "userPrincipalName"))
    return entity(call, _USER, _USERS, row)


# Numbers.


def numbers(call: Call) -> Response:
    """`GET .../numberAssignments`: 500 a page unless $top says so, 1000 at most; $skip as well as links."""
    test = filter_test(call, _NUMBER)
    rows = [row for row in (one.row() for one in _looked_through(call)) if test is None or test(row)]
    skip = call.query.get("$skip", "0")
    if not skip.isdigit():
        raise bad_request("Invalid value for $skip.", "BadRequest")
    names, at = selected(call, _NUMBER), start_of(call)
    at = int(skip) if at is None else at
    top = page_size(call, _USUAL_NUMBERS, _MOST_NUMBERS)
    if "empty_page" in call.troubles:
        return page(call, _NUMBERS, b"[]", at, first=0, count=None)
    value = orjson.dumps([row if names is None else pick(row, names) for row in rows[at : at + top]])
    following = at + top if at + top < len(rows) else None
    return page(call, _NUMBERS, value, following, first=0, count=len(rows) if counted(call) else None)


def _looked_through(call: Call) -> list[Number]:
    """Those that a $filter may mean; who asks for one by its number gets it at once, of however many there are."""
    telephony, asked = _telephony(call), _BY_NUMBER.fullmatch(call.query.get("$filter", "").strip())
    if asked is None:
        return telephony.all_seen(call.now)
    one = telephony.seen(asked[1], call.now)
    return [] if one is None else [one]


def number(call: Call) -> Response:
    """`GET .../numberAssignments/{id}`."""
    for one in _telephony(call).all_seen(call.now):
        if one.id == call.args["id"]:
            return entity(call, _NUMBER, _NUMBERS, one.row())
    raise not_found(call.args["id"])


def assign_number(call: Call) -> Response:
    """`POST .../assignNumber` -> 202 with the operation's address; what is wrong shows there."""
    given = call.json()
    target = _text(given, "assignmentTargetId")
    category = str(given.get("assignmentCategory") or "primary")
    if category not in _CATEGORIES:
        raise bad_request(f"Invalid value '{category}' for assignmentCategory.", "BadRequest")
    return _accepted(call, given, target.lower(), category)


def unassign_number(call: Call) -> Response:
    """`POST .../unassignNumber` -> 202."""
    return _accepted(call, call.json(), None, "primary")


def _accepted(call: Call, given: dict[str, Any], target: str | None, category: str) -> Response:
    telephone, kind = _text(given, "telephoneNumber"), _text(given, "numberType")
    if kind not in KINDS:
        raise bad_request(f"Invalid value '{kind}' for numberType.", "BadRequest")
    telephone = telephone if telephone.startswith("+") else f"+{telephone}"
    location = str(given.get("locationId") or "") or None
    made = _telephony(call).order(telephone, kind, target, category, call.now, location)
    return Response(202, b"", {"Location": f"{call.base}/{_ORDERS}('{made.id}')"})


def _text(given: dict[str, Any], name: str) -> str:
    value = given.get(name)
    if not isinstance(value, str) or not value:
        raise bad_request(f"The parameter '{name}' is required.", "BadRequest")
    return value


def update_number(call: Call) -> Response:
    """`POST .../updateNumber` -> 200: an empty text clears, what is left out stays."""
    given = call.json()
    telephony, number = _telephony(call), _text(given, "telephoneNumber")
    if number not in telephony.numbers:
        raise not_found(number)
    changes: dict[str, Any] = {
        ours: given[theirs] or None
        for theirs, ours in (("locationId", "location"), ("networkSiteId", "site"))
        if given.get(theirs) is not None
    }
    if given.get("reverseNumberLookupOptions") is not None:
        changes["lookup"] = tuple(given["reverseNumberLookupOptions"])
    telephony.update(number, call.now, **changes)
    return Response(200)


def operation(call: Call) -> Response:
    """`GET .../operations/{id}`: each look brings it on."""
    telephony = _telephony(call)
    found = telephony.orders.get(call.args["id"].lower())
    if found is None:
        raise not_found(call.args["id"])
    telephony.look(found, call.now)
    _remember(call, telephony)
    number = telephony.numbers.get(found.number) or Number(found.number, found.kind, "")
    return entity(call, _ORDER, _ORDERS, _order_row(call, found, number))


def _order_row(call: Call, found: Order, number: Number) -> dict[str, Any]:
    about = {"resourceLocation": f"{call.base}/{_NUMBERS}/{number.id}", "status": found.status}
    return {
        "id": found.id,
        "createdDateTime": stamp(found.created),
        "status": found.status,
        "numbers": [{**about, "statusDetail": found.why} if found.why else about],
    }


# Policies.


def policy_id(call: Call) -> Response:
    """`GET .../policy/getPolicyId(type='..',name='..')`: an empty list for a name that the type does not have."""
    kind, name = call.args["type"], call.args["name"]
    telephony = _telephony(call)
    there = has_policy(kind, name)
    rows = [{"name": f"Tag:{name}", "policyId": telephony.policy_id(kind, name)}] if there else []
    return answer({"@odata.context": call.context("policyIdentifierDetail"), "value": rows})


def assign_policies(call: Call) -> Response:
    """`POST .../policy/userAssignments/assign` -> 204: all of them or, at the first that is wrong, none."""
    telephony = _telephony(call)
    wishes = [(*_of_policy(call, one), _text(one, "policyId")) for one in _wishes(call)]
    named = [(user, kind, telephony.policy_name(kind, key)) for user, kind, key in wishes]
    if any(name is None for _, _, name in named):
        raise bad_request("The policy was not found.", "BadRequest")
    telephony.grant({(user, kind): name for user, kind, name in named}, call.now)
    return Response(204)


def unassign_policies(call: Call) -> Response:
    """`POST .../policy/userAssignments/unassign` -> 204."""
    wishes = [_of_policy(call, one) for one in _wishes(call)]
    _telephony(call).grant(dict.fromkeys(wishes), call.now)
    return Response(204)


def _wishes(call: Call) -> list[dict[str, Any]]:
    value = call.json().get("value")
    if not isinstance(value, list) or not value or not all(isinstance(one, dict) for one in value):
        raise bad_request("The parameter 'value' is required.", "BadRequest")
    return value


def _of_policy(call: Call, given: dict[str, Any]) -> tuple[str, str]:
    user, kind = _text(given, "userId").lower(), _text(given, "policyType")
    index = call.tenant.directory.users.find(user)
    if index is None or not call.tenant.directory.users.is_live(index):
        raise not_found(user)
    if kind not in POLICIES:
        raise bad_request(f"Invalid policy type '{kind}'.", "BadRequest")
    return user, kind
