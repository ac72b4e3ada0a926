"""Writing to the directory at Graph: a user's details, members of groups (facts 5 and facts/graph).

Microsoft refuses with one code for many reasons. Where it did, what is there is read once: if all is as it was wanted
already, the write counts as done; otherwise the reason is told from what was found. That reading is best effort, and
its own failure leaves the refusal as it was.

What ends in `_write` is such a write as data (m365.writing), to be sent together with others.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from core.errors import InvalidInput, NotFound, UmpError
from m365.errors import renamed
from m365.graph import BatchRequest, BatchResponse, GraphClient, Written, segment
from m365.teams import told
from m365.writing import Write, done

Object = Mapping[str, Any]

_COUNTRY = re.compile(r"[A-Z]{2}")
_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,2}")


@dataclass(frozen=True, slots=True)
class Attribute:
    """What Microsoft takes as the value of a user's attribute. Lengths in characters."""

    longest: int
    form: re.Pattern[str] | None = None
    needed: bool = False
    """Whether it cannot be cleared."""
    many: bool = False
    """Whether it is a list, in which Microsoft takes one value."""
    premises: bool = True
    """Whether only the customer's own directory can change it of a user who comes from there."""


ATTRIBUTES: Mapping[str, Attribute] = MappingProxyType(
    {
        "displayName": Attribute(256, needed=True),
        "givenName": Attribute(64),
        "surname": Attribute(64),
        "department": Attribute(64),
        "jobTitle": Attribute(128),
        "companyName": Attribute(64),
        "employeeId": Attribute(16),
        "officeLocation": Attribute(128),
        "streetAddress": Attribute(1024),
        "city": Attribute(128),
        "state": Attribute(128),
        "postalCode": Attribute(40),
        "country": Attribute(128),
        "mobilePhone": Attribute(64),
        "businessPhones": Attribute(64, many=True),
        "preferredLanguage": Attribute(32, _LANGUAGE),
        "usageLocation": Attribute(2, _COUNTRY, needed=True, premises=False),
    }
)
Value = str | Sequence[str] | None


# --- A user's details ---------------------------------------------------------------------------------------
def checked(changes: Mapping[str, Value]) -> dict[str, str | list[str] | None]:
    """Changes in the form that Graph takes: an empty text clears, as null. Raises InvalidInput, naming the field."""
    if not changes:
        raise InvalidInput(field="the change", why="nothing is to be changed")
    return {name: _checked(name, value) for name, value in changes.items()}


def _checked(name: str, value: Value) -> str | list[str] | None:
    about = ATTRIBUTES.get(name)
    if about is None:
        raise InvalidInput(field=name, why="it is none of the details that the portal writes")
    listed = [value] if isinstance(value, str) else list(value or ())
    texts = [text.strip() for text in listed if text.strip()]
    if not texts and about.needed:
        raise InvalidInput(field=name, why="Microsoft does not let it be empty")
    if len(texts) > 1:
        raise InvalidInput(field=name, why="Microsoft takes one value only")
    for text in texts:
        if len(text) > about.longest:
            raise InvalidInput(field=name, why=f"it is longer than {about.longest} characters")
        if not text.isprintable() or (about.form is not None and not about.form.fullmatch(text)):
            raise InvalidInput(field=name)
    if about.many:
        return texts
    return texts[0] if texts else None


def user_write(user_id: str, changes: Mapping[str, Value], *, thing: str = "", request_id: str = "") -> Write:
    """Details of a user (ATTRIBUTES) to be written. `thing` names the user in errors. Raises InvalidInput.

    Refused as `synced_from_premises` and `user_deleted`, besides what `GraphClient.write_all` says.
    """
    body = checked(changes)
    path = f"/users/{segment(user_id)}"

    def explain(graph: GraphClient, error: UmpError) -> UmpError:
        if isinstance(error, NotFound):
            return _missing(graph, user_id, error)
        return _refused_change(graph, path, body, error) if error.code == "graph_refused" else error

    return Write("users_write", "PATCH", path, body, thing, request_id, explain)


def _refused_change(graph: GraphClient, path: str, body: Mapping[str, object], error: UmpError) -> UmpError:
    mastered = [name for name in body if ATTRIBUTES[name].premises]
    (found,) = _look(graph, f"{path}?$select=id,onPremisesSyncEnabled")
    if mastered and found.get("onPremisesSyncEnabled") is True:
        return renamed(error, "synced_from_premises", field=", ".join(mastered))
    return error


def _missing(graph: GraphClient, user_id: str, error: UmpError) -> UmpError:
    """What is behind a user who is not there: deleted, and when, or never seen."""
    path = f"/directory/deletedItems/{segment(user_id)}?$select=id,deletedDateTime"
    (found,) = _look(graph, path)
    since = found.get("deletedDateTime")
    if not isinstance(since, str) or not since:
        return error
    return renamed(error, "user_deleted", date=since[:10])


# --- Members of groups --------------------------------------------------------------------------------------
def member_write(
    root: str, group_id: str, user_id: str, *, wanted: bool, thing: str = "", request_id: str = ""
) -> Write:
    """A user to be made a member of a group, or taken out of it; `thing` names the group in errors.

    One who is a member already counts as added, and one who is not in it, or not there at all, as taken out. `root`
    is the cloud's `graph_root`, which names the user to be added. Refused as `group_by_rule` and
    `synced_from_premises`, besides what `GraphClient.write_all` says.
    """
    path = f"/groups/{segment(group_id)}"
    member = segment(user_id)

    def explain(graph: GraphClient, error: UmpError) -> Written | UmpError:
        if isinstance(error, NotFound) and not wanted:
            return done(error)
        if error.code not in ("graph_refused", *(("remote_conflict",) if wanted else ())):
            return error
        members, group = _look(graph, _member_path(group_id, user_id), _group_path(path))
        if wanted and _is_there(members, user_id):
            return done(error)
        return _refused_member(group, error)

    if not wanted:
        ref = f"{path}/members/{member}/$ref"
        return Write("members_write", "DELETE", ref, None, thing, request_id, explain)
    body = {"@odata.id": f"{root}/v1.0/directoryObjects/{member}"}
    return Write("members_write", "POST", f"{path}/members/$ref", body, thing, request_id, explain)


def _refused_member(group: Object, error: UmpError) -> UmpError:
    kinds = group.get("groupTypes")
    if isinstance(kinds, list) and "DynamicMembership" in kinds:
        return renamed(error, "group_by_rule")
    if group.get("onPremisesSyncEnabled") is True:
        return renamed(error, "synced_from_premises", field="its members")
    return error


def _group_path(path: str) -> str:
    return f"{path}?$select=id,groupTypes,onPremisesSyncEnabled"


# --- Reading back -------------------------------------------------------------------------------------------
def read_users(
    graph: GraphClient, user_ids: Iterable[str], attributes: Iterable[str]
) -> dict[str, Object | None]:
    """Users' attributes (Graph's names) as they are now, twenty users a request.

    None where there is no such user, or a deleted one.
    """
    wanted, names = list(dict.fromkeys(user_ids)), list(dict.fromkeys(["id", *attributes]))
    query = f"$select={','.join(segment(name) for name in names)}"
    answers = graph.each(
        [BatchRequest(str(at), f"/users/{segment(each)}?{query}") for at, each in enumerate(wanted)]
    )
    found = {each: told(answer) for each, answer in zip(wanted, answers, strict=True)}
    return {
        each: None if row is None else {name: row.get(name) for name in names} for each, row in found.items()
    }


def members_among(graph: GraphClient, pairs: Iterable[tuple[str, str]]) -> dict[tuple[str, str], bool]:
    """Whether, of each pair, the user is a member of the group itself; twenty pairs a request.

    False where either is not there. Microsoft answers from an index, which can be some seconds behind a write.
    """
    wanted = list(dict.fromkeys(pairs))
    answers = graph.each([_step(str(at), _member_path(*pair)) for at, pair in enumerate(wanted)])
    return {
        pair: _is_there(told(answer) or {}, pair[1]) for pair, answer in zip(wanted, answers, strict=True)
    }


def _member_path(group_id: str, user_id: str) -> str:
    only = f"$filter=id%20eq%20'{segment(user_id)}'"
    return f"/groups/{segment(group_id)}/members?$select=id&$count=true&{only}"


def _is_there(members: Object, user_id: str) -> bool:
    """Whether this very user is listed: a filter that was ignored must not answer for somebody else."""
    return any(str(row.get("id", "")).lower() == user_id.lower() for row in _rows(members, "value"))


# --- All of them --------------------------------------------------------------------------------------------
def _look(graph: GraphClient, *paths: str) -> list[Object]:
    """What is at some places, for a better reason; nothing where that cannot be read."""
    try:
        answers: Sequence[BatchResponse] = graph.batch(
            [_step(str(at), path) for at, path in enumerate(paths)]
        )
    except UmpError:
        return [{} for _ in paths]
    bodies = [answer.body if answer.error is None else None for answer in answers]
    return [body if isinstance(body, Mapping) else {} for body in bodies]


def _step(name: str, path: str) -> BatchRequest:
    """A read; one that counts members needs Microsoft's index."""
    headers = {"ConsistencyLevel": "eventual"} if "$count=true" in path else {}
    return BatchRequest(name, path, headers=headers)


def _rows(row: Object, name: str) -> list[Object]:
    value = row.get(name)
    return [each for each in value if isinstance(each, Mapping)] if isinstance(value, list) else []
