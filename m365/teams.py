"""Telephony at Graph: users as Teams knows them, their policies, and numbers (facts/microsoft.md 9).

Reading only; `m365.teams_writes` writes. Least permission by Microsoft's table: TeamsUserConfiguration.Read.All for
users and policies, TeamsTelephoneNumber.Read.All for numbers; neither is implied by a broader one of the directory.
The worldwide cloud alone has these calls; elsewhere a client that has PowerShell beside it (`GraphClient.teams`)
lists the same by that.

Microsoft has no delta here: who wants to know what changed reads everything. It does not say how large a page may be,
so a smaller one than was asked for is nothing strange.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote

from core.errors import NotFound, UmpError
from m365.clouds import CLOUDS, Cloud
from m365.graph import BatchRequest, BatchResponse, GraphClient, Params, segment
from m365.permissions import FEATURES
from m365.replies import Page, moment

USERS: Final = "/admin/teams/userConfigurations"
NUMBERS: Final = "/admin/teams/telephoneNumberManagement/numberAssignments"
USERS_A_PAGE, NUMBERS_A_PAGE = 999, 1000
MOST_NUMBERS = 1_000_000
"""Of one organisation; a list that is longer has no end."""
MOST_HELD = 100
"""Numbers, features or policies of one user; Microsoft's own limits are far lower."""
LONGEST = 300

_GUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_TELEPHONE = re.compile(r"\+?[0-9]{1,20}(?:;ext=[0-9]{1,10})?")
_OF_USERS = (
    "id,userPrincipalName,accountType,isEnterpriseVoiceEnabled,featureTypes,telephoneNumbers,createdDateTime,"
    "modifiedDateTime"
)
_OF_POLICIES = "id,effectivePolicyAssignments"


@dataclass(frozen=True, slots=True)
class TeamsUser:
    """A user as Teams knows him. `numbers` are (number, category), the primary one first."""

    id: str
    user_principal_name: str
    account_type: str
    voice: bool
    features: tuple[str, ...]
    numbers: tuple[tuple[str, str], ...]
    created_at: str
    modified_at: str


@dataclass(frozen=True, slots=True)
class Held:
    """A policy in effect for a user; types that are not named have the organisation's default."""

    kind: str
    name: str
    policy_id: str
    source: str
    """direct or group."""
    group_id: str


@dataclass(frozen=True, slots=True)
class Policies:
    """The policies in effect for one user."""

    user_id: str
    held: tuple[Held, ...]


@dataclass(frozen=True, slots=True)
class Number:
    """A number of the organisation, in Microsoft's words. `id` is opaque."""

    id: str
    number: str
    kind: str
    status: str
    activation: str
    target_id: str
    category: str
    operator_id: str
    country: str
    city: str
    port_in: str
    source: str
    location_id: str
    capabilities: tuple[str, ...] = ()
    actions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Known:
    """Everything that Teams knows of one user."""

    user: TeamsUser
    policies: Policies


@dataclass(frozen=True, slots=True)
class Read:
    """One page of what was asked for; `next` is where it goes on, empty at the end."""

    rows: Sequence[Any] = field(default_factory=tuple)
    next: str = ""


def require(cloud: Cloud, feature: str) -> None:
    """Raises UmpError (teams_needs_powershell) where Microsoft's cloud does not have a feature's calls."""
    if cloud.key not in FEATURES[feature].clouds:
        raise UmpError.of("teams_needs_powershell", thing=cloud.name)


def in_cloud(key: str) -> bool:
    """Whether the cloud of this name has telephony at Graph."""
    return key in FEATURES["numbers"].clouds and key in CLOUDS


def users(graph: GraphClient, at: str = "") -> Iterator[Read]:
    """Users as Teams knows them (TeamsUser), page by page from the link `at` or the beginning on."""
    if graph.teams is not None:
        yield from graph.teams.users()
        return
    params: Params = {"$select": _OF_USERS, "$top": USERS_A_PAGE}
    for page in _pages(graph, USERS, params, at):
        yield Read([user_of(row) for row in page.value], page.next_link or "")


def policies(graph: GraphClient, at: str = "") -> Iterator[Read]:
    """The policies in effect for each user (Policies), page by page likewise."""
    if graph.teams is not None:
        yield from graph.teams.policies()
        return
    params: Params = {"$select": _OF_POLICIES, "$top": USERS_A_PAGE}
    for page in _pages(graph, USERS, params, at):
        yield Read([policies_of(row) for row in page.value], page.next_link or "")


def numbers(graph: GraphClient, at: str = "") -> Iterator[Read]:
    """The organisation's numbers (Number), page by page likewise.

    Microsoft documents $skip and may leave the link out: a full page without one is followed by another.
    """
    if graph.teams is not None:
        yield from graph.teams.numbers()
        return
    skip, link, linked = 0, at, bool(at)
    for _ in range(MOST_NUMBERS // NUMBERS_A_PAGE):
        full = False
        params: Params = {"$top": NUMBERS_A_PAGE, **({"$skip": skip} if skip else {})}
        for page in _pages(graph, NUMBERS, params, link):
            yield Read([number_of(row) for row in page.value], page.next_link or "")
            skip += len(page.value)
            linked = linked or page.next_link is not None
            full = len(page.value) >= NUMBERS_A_PAGE
        if linked or not full:
            return
    raise UmpError.of("endless_pages", thing="the organisation's numbers")


def some_numbers(graph: GraphClient, telephones: Iterable[str]) -> dict[str, Number | None]:
    """Numbers as they are now (E.164 with the plus), twenty a request; None for what the organisation does not have.

    Raises InvalidInput for what is no telephone number.
    """
    wanted = list(dict.fromkeys(telephones))
    answers = graph.each([BatchRequest(str(at), _number_url(each)) for at, each in enumerate(wanted)])
    return {each: _only(answer, each) for each, answer in zip(wanted, answers, strict=True)}


def some_users(graph: GraphClient, user_ids: Iterable[str]) -> dict[str, Known | None]:
    """Users as Teams knows them now, by the ids of their objects, twenty a request.

    None for whom it does not know: no licence, or no such user.
    """
    wanted = list(dict.fromkeys(user_ids))
    query = f"$select={_OF_USERS},effectivePolicyAssignments"
    steps = [BatchRequest(str(at), f"{USERS}/{segment(each)}?{query}") for at, each in enumerate(wanted)]
    return {each: _known(answer) for each, answer in zip(wanted, graph.each(steps), strict=True)}


def _number_url(telephone: str) -> str:
    if not _TELEPHONE.fullmatch(telephone):
        raise UmpError.of("invalid_input", field="the number", why="it is no telephone number")
    return f"{NUMBERS}?$filter=telephoneNumber%20eq%20'{quote(telephone, safe='')}'"


def _only(answer: BatchResponse, telephone: str) -> Number | None:
    """The row of this very number: a filter that was ignored must not answer for another one."""
    body = told(answer)
    if body is None:
        return None
    found = [number_of(row) for row in _objects(body, "value")]
    return next((one for one in found if one.number == telephone), None)


def _known(answer: BatchResponse) -> Known | None:
    body = told(answer)
    return None if body is None else Known(user_of(body), policies_of(body))


def told(answer: BatchResponse) -> Mapping[str, Any] | None:
    """The object in one answer of a batch; None where there is no such thing. Raises what else it says."""
    if isinstance(answer.error, NotFound):
        return None
    if answer.error is not None:
        raise answer.error
    if not isinstance(answer.body, Mapping):
        raise _unreadable("it is not a JSON object")
    return answer.body


def _pages(graph: GraphClient, place: str, params: Params, at: str) -> Iterator[Page]:
    return graph.pages(at, place=place) if at else graph.pages(place, params)


# --- Reading what was answered ------------------------------------------------------------------------------
def user_of(row: Mapping[str, Any]) -> TeamsUser:
    """A `teamsUserConfiguration`. Like the other two, raises UmpError (bad_reply) for what is none."""
    listed = _objects(row, "telephoneNumbers")
    held = [(_telephone(one), _text(one, "assignmentCategory") or "primary") for one in listed]
    return TeamsUser(
        id=_guid(row, "id"),
        user_principal_name=_text(row, "userPrincipalName"),
        account_type=_text(row, "accountType"),
        voice=row.get("isEnterpriseVoiceEnabled") is True,
        features=tuple(sorted(_texts(row, "featureTypes"))),
        numbers=tuple(sorted(held, key=lambda one: (one[1] != "primary", one))),
        created_at=_moment(row, "createdDateTime"),
        modified_at=_moment(row, "modifiedDateTime"),
    )


def policies_of(row: Mapping[str, Any]) -> Policies:
    """The same with its policies."""
    found = {}
    for one in _objects(row, "effectivePolicyAssignments"):
        given = one.get("policyAssignment")
        if not isinstance(given, Mapping):
            raise _unreadable("a policy in it is no object")
        kind, policy_id = _text(one, "policyType"), _text(given, "policyId")
        if not kind or not policy_id:
            raise _unreadable("a policy in it has no type or no id")
        group = _guid(given, "groupId") if given.get("groupId") else ""
        name = _text(given, "displayName").removeprefix("Tag:")
        found[kind] = Held(kind, name, policy_id, _text(given, "assignmentType") or "direct", group)
    return Policies(_guid(row, "id"), tuple(found.values()))


def number_of(row: Mapping[str, Any]) -> Number:
    """A `numberAssignment`."""
    return Number(
        id=_text(row, "id"),
        number=_telephone(row),
        kind=_text(row, "numberType"),
        status=_text(row, "assignmentStatus"),
        activation=_text(row, "activationState"),
        target_id=_guid(row, "assignmentTargetId") if row.get("assignmentTargetId") else "",
        category=_text(row, "assignmentCategory"),
        operator_id=_text(row, "operatorId"),
        country=_text(row, "isoCountryCode"),
        city=_text(row, "city"),
        port_in=_text(row, "portInStatus"),
        source=_text(row, "numberSource"),
        location_id=_text(row, "locationId"),
        capabilities=tuple(sorted(_texts(row, "capabilities"))),
        actions=tuple(sorted(_texts(row, "supportedCustomerActions"))),
    )


def _telephone(row: Mapping[str, Any]) -> str:
    """E.164 with its plus; Microsoft also takes and shows numbers without, and with `tel:`."""
    value = _text(row, "telephoneNumber").removeprefix("tel:")
    if not _TELEPHONE.fullmatch(value):
        raise _unreadable("a number in it is no telephone number")
    return value if value.startswith("+") else f"+{value}"


def _guid(row: Mapping[str, Any], name: str) -> str:
    value = _text(row, name)
    if not _GUID.fullmatch(value):
        raise _unreadable(f"{name} is no proper id")
    return value.lower()


def _text(row: Mapping[str, Any], name: str) -> str:
    value = row.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise _unreadable(f"{name} is not a text")
    return value[:LONGEST]


def _texts(row: Mapping[str, Any], name: str) -> list[str]:
    value = row.get(name)
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise _unreadable(f"{name} is not a list of texts")
    return [one[:LONGEST] for one in value[:MOST_HELD]]


def _objects(row: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    value = row.get(name)
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(one, Mapping) for one in value):
        raise _unreadable(f"{name} is not a list of objects")
    return list(value[:MOST_HELD])


def _moment(row: Mapping[str, Any], name: str) -> str:
    """A time in UTC; empty where it says none."""
    value = _text(row, name)
    if not value:
        return ""
    try:
        return moment(value)
    except ValueError:
        raise _unreadable(f"{name} is not a time") from None


def _unreadable(why: str) -> UmpError:
    return UmpError.of("bad_reply", host="Microsoft Graph", why=why)
