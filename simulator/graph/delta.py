"""Delta queries over users and groups (facts/microsoft.md 5.3, 5.4): rounds, slices, tombstones, lost state.

A round is either *full* (walks every object) or *changes* (walks the log between two marks). Both pin
the end of the log when they start, so whatever happens meanwhile comes with the next round, and both carry
everything they need in the sealed token: the server keeps nothing per client.
"""

from __future__ import annotations

import dataclasses
import re
import urllib.parse
from typing import Any

import orjson

from simulator.directory import Change
from simulator.graph.call import Call
from simulator.graph.errors import bad_request, gone
from simulator.graph.lists import TYPE_OF, json_response
from simulator.graph.query import ONE_BY_ONE, refuse_one_by_one, selected
from simulator.http1 import Response

_MEMBERS = frozenset({"members"})
_ID_CLAUSE = re.compile(r"id eq '([^']+)'", re.IGNORECASE)


@dataclasses.dataclass(slots=True)
class Round:
    """The state of one delta round; all of it travels in the link."""

    tenant: str
    kind: str
    names: tuple[str, ...] | None
    ids: list[str] | None
    mode: str  # "full", "changes", or "idle" for a deltaLink that waits for its next use
    since: int
    until: int
    at: int = 0
    slice: int = 0
    issued: float = 0.0

    @property
    def with_members(self) -> bool:
        return self.kind == "groups" and (self.names is None or "members" in self.names)

    def shows(self, name: str) -> bool:
        return self.names is None or name in self.names


def delta(call: Call, kind: str) -> Response:
    """`GET /users/delta` or `/groups/delta`, from whatever the link says."""
    state = _open(call, kind)
    if "empty_page" in call.troubles:
        return _write(call, state, [], final=False)
    if state.mode == "full":
        return _full_page(call, state)
    if state.mode == "changes":
        return _changes_page(call, state)
    return _write(call, state, [], final=True)


# Where a request stands.


def _open(call: Call, kind: str) -> Round:
    token = call.query.get("$skiptoken") or call.query.get("$deltatoken")
    if "gone" in call.troubles and token:
        options = call.troubles["gone"].options
        raise gone(str(options["code"]), int(options["status"]), _restart(call))
    if not token:
        return _begin(call, kind, latest=False)
    if token == "latest" and "$skiptoken" not in call.query:
        return _begin(call, kind, latest=kind == "users" or call.tenant.behaviour.groups_latest)
    content = call.world.seal.open(token)
    if content is None:
        # Another run of the simulator sealed it, or nobody did: its state is not here.
        raise gone("syncStateNotFound", 410, _restart(call))
    if content.get("tenant") != call.tenant.id or content.get("kind") != kind or len(call.query) > 1:
        raise bad_request("Badly formed token.")
    state = Round(**{**content, "names": None if content["names"] is None else tuple(content["names"])})
    _refuse_old(call, state)
    return _resume(call, state) if state.mode == "idle" else state


def _refuse_old(call: Call, state: Round) -> None:
    age = call.now - state.issued
    expired = age > call.tenant.behaviour.delta_token_days * 86_400
    if (
        expired
        or state.issued < call.tenant.delta_tokens_from
        or state.until > len(call.tenant.directory.log)
    ):
        raise gone("resyncRequired", 410, _restart(call))


def _restart(call: Call) -> str:
    return f"{call.base}{call.request.path.removeprefix('/v1.0')}?$deltatoken="


def _begin(call: Call, kind: str, *, latest: bool) -> Round:
    names = selected(call, TYPE_OF[kind], extra=_MEMBERS if kind == "groups" else frozenset())
    refuse_one_by_one(names)
    if call.query.get("$expand") not in {None, "members"} or ("$expand" in call.query and kind == "users"):
        raise bad_request("$expand is not supported for this resource.")
    if "$expand" in call.query and names is not None:
        names = (*names, "members")
    ids = None
    if "$filter" in call.query:
        ids = [key.lower() for key in _ID_CLAUSE.findall(call.query["$filter"])]
        if not 1 <= len(ids) <= 50:
            raise bad_request("$filter takes 1 to 50 clauses of the form id eq '...'.")
    mark = call.tenant.directory.visible(call.now)
    return Round(call.tenant.id, kind, names, ids, "idle" if latest else "full", mark, mark)


def _resume(call: Call, state: Round) -> Round:
    """A deltaLink is used: a round of changes from its mark to what is visible now."""
    since = state.until
    if "replay" in call.troubles:
        since = max(0, since - int(call.troubles["replay"].options["changes"]))
    # A lagging reader may be behind the mark of an earlier round: never run backwards.
    until = max(state.until, call.tenant.directory.visible(call.now))
    return dataclasses.replace(state, mode="changes", since=since, until=until, at=0, slice=0)


# Pages.


def _full_page(call: Call, state: Round) -> Response:
    plain = state.kind == "users" and state.ids is None and not call.tenant.behaviour.spread_users
    shelf = call.tenant.directory.users
    cacheable = plain and not shelf.lagging() and "repeat_objects" not in call.troubles
    size = call.tenant.behaviour.delta_page_size
    key = (call.tenant.directory.serial, "delta", shelf.version, state.names, state.at, size)
    kept = call.world.pages.get(key) if cacheable else None
    if kept is not None:
        state.at, final = kept[1]
        return _encode(call, state, kept[0], final=final)
    rows, final = _full_rows(call, state)
    if not cacheable:
        return _write(call, state, rows, final=final)
    value = orjson.dumps(rows)
    call.world.pages.put(key, (value, (state.at, final)))
    return _encode(call, state, value, final=final)


def _full_rows(call: Call, state: Round) -> tuple[list[dict[str, Any]], bool]:
    """The next rows of a full round; moves the state on. Tombstones of restorable objects come last."""
    shelf = call.tenant.directory.shelf(state.kind)
    rows: list[dict[str, Any]] = []
    budget = call.tenant.behaviour.delta_member_slice
    wanted = _wanted(call, state)
    total = shelf.size if wanted is None else len(wanted)
    while state.at < total and len(rows) < call.tenant.behaviour.delta_page_size and budget > 0:
        index = state.at if wanted is None else wanted[state.at]
        row = shelf.seen(index, call.now)
        if row is None:
            if shelf.removed.get(index) == "changed":
                rows.append(_tombstone(shelf.ids[index], "changed"))
            state.at += 1
            continue
        shown = _present(row, state.names)
        budget -= _append_object(call, state, rows, index, shown, budget)
    return rows, state.at >= total


def _wanted(call: Call, state: Round) -> list[int] | None:
    if state.ids is None:
        return None
    shelf = call.tenant.directory.shelf(state.kind)
    return [index for key in state.ids if (index := shelf.find(key)) is not None]


def _append_object(
    call: Call, state: Round, rows: list[dict[str, Any]], index: int, row: dict[str, Any], budget: int
) -> int:
    """Add one object of a full round, or a slice of it; returns how much of the member budget that took."""
    if not state.with_members:
        rows.append(row)
        state.at += 1
        return 0
    codes = sorted(call.tenant.directory.members_seen(index, call.now))
    chunk = codes[state.slice : state.slice + budget]
    if chunk:
        row["members@delta"] = [_member(call, code, joined=True) for code in chunk]
    rows.append(row)
    state.slice += len(chunk)
    if state.slice >= len(codes):
        state.at, state.slice = state.at + 1, 0
    return len(chunk)


def _present(row: dict[str, Any], names: tuple[str, ...] | None) -> dict[str, Any]:
    """Selected properties that were ever set, and always the id; null only where something was cleared."""
    if names is None:
        shown = {key: value for key, value in row.items() if key not in ONE_BY_ONE}
    else:
        shown = {name: row[name] for name in names if name in row}
    shown["id"] = row["id"]
    return shown


def _tombstone(object_id: str, reason: str) -> dict[str, Any]:
    return {"id": object_id, "@removed": {"reason": reason}}


def _member(call: Call, code: int, *, joined: bool) -> dict[str, Any]:
    kind, object_id = call.tenant.directory.member_reference(code)
    entry: dict[str, Any] = {"@odata.type": kind, "id": object_id}
    if not joined:
        entry["@removed"] = {"reason": "deleted"}
    return entry


@dataclasses.dataclass(slots=True)
class _Delta:
    """What happened to one object between two marks."""

    whole: bool = False
    properties: set[str] = dataclasses.field(default_factory=set)
    members: dict[int, bool] = dataclasses.field(default_factory=dict)

    def add(self, change: Change) -> None:
        if change.event == "members":
            self.members[change.member] = change.joined
        elif change.event == "changed":
            self.properties |= change.properties
        else:
            self.whole = True


def _gather(call: Call, state: Round) -> dict[int, _Delta]:
    """The objects that changed in this round, in the order of their first change."""
    found: dict[int, _Delta] = {}
    wanted = None if state.ids is None else set(_wanted(call, state) or ())
    for change in call.tenant.directory.log[state.since : state.until]:
        if change.shelf == state.kind and (wanted is None or change.index in wanted):
            found.setdefault(change.index, _Delta()).add(change)
    return {index: what for index, what in found.items() if _concerns(state, what)}


def _concerns(state: Round, what: _Delta) -> bool:
    """Only selected properties trigger changes (facts 5.3)."""
    return (
        what.whole
        or (state.with_members and bool(what.members))
        or any(state.shows(name) for name in what.properties)
    )


def _changes_page(call: Call, state: Round) -> Response:
    found = list(_gather(call, state).items())
    rows: list[dict[str, Any]] = []
    budget = call.tenant.behaviour.delta_member_slice
    while state.at < len(found) and len(rows) < call.tenant.behaviour.delta_page_size and budget > 0:
        index, what = found[state.at]
        row = _changed_row(call, state, index, what)
        entries = [] if "@removed" in row else _member_entries(call, state, index, what)
        chunk = entries[state.slice : state.slice + budget]
        if chunk:
            row["members@delta"] = chunk
        rows.append(row)
        budget -= len(chunk)
        state.slice += len(chunk)
        if state.slice >= len(entries):
            state.at, state.slice = state.at + 1, 0
    return _write(call, state, rows, final=state.at >= len(found))


def _changed_row(call: Call, state: Round, index: int, what: _Delta) -> dict[str, Any]:
    shelf = call.tenant.directory.shelf(state.kind)
    row = shelf.seen(index, call.now)
    if row is None:
        return _tombstone(shelf.ids[index], shelf.removed.get(index, "deleted"))
    minimal = "return=minimal" in call.request.headers.get("prefer", "").lower()
    if minimal and not what.whole:
        changed = tuple(name for name in sorted(what.properties) if state.shows(name))
        return {**{name: row.get(name) for name in changed}, "id": row["id"]}
    return _present(row, state.names)


def _member_entries(call: Call, state: Round, index: int, what: _Delta) -> list[dict[str, Any]]:
    if not state.with_members:
        return []
    if what.whole:  # created or restored: comes as a new object, with everybody in it
        codes = sorted(call.tenant.directory.members_seen(index, call.now))
        left = [code for code, joined in what.members.items() if not joined and code not in codes]
        return [_member(call, code, joined=True) for code in codes] + [
            _member(call, code, joined=False) for code in left
        ]
    return [_member(call, code, joined=joined) for code, joined in what.members.items()]


# Writing a page.


def _write(call: Call, state: Round, rows: list[dict[str, Any]], *, final: bool) -> Response:
    if "repeat_objects" in call.troubles:
        rows = rows + rows[: int(call.troubles["repeat_objects"].options["objects"])]
    every = call.tenant.behaviour.spread_users
    if every and state.kind == "users":
        rows = _spread(rows, every)
    return _encode(call, state, orjson.dumps(rows), final=final)


def _spread(rows: list[dict[str, Any]], every: int) -> list[dict[str, Any]]:
    """Every n-th user comes in two parts, the second at the end of the page: readers have to merge by id."""
    first: list[dict[str, Any]] = []
    second: list[dict[str, Any]] = []
    for place, row in enumerate(rows):
        names = [name for name in row if name not in {"id", "@removed"}]
        if "@removed" in row or place % every or len(names) < 2:
            first.append(row)
            continue
        half = len(names) // 2
        first.append({"id": row["id"], **{name: row[name] for name in names[:half]}})
        second.append({"id": row["id"], **{name: row[name] for name in names[half:]}})
    return first + second


def _encode(call: Call, state: Round, value: bytes, *, final: bool) -> Response:
    shown = "" if state.names is None else f"({','.join(state.names)})"
    head: dict[str, Any] = {"@odata.context": call.context(state.kind + shown)}
    if final and "endless_pages" in call.troubles and state.mode != "idle":
        final, state.at, state.slice = False, 0, 0
    state.issued = call.now
    if final:
        state.mode, state.since, state.at, state.slice = "idle", state.until, 0, 0
    token = call.world.seal.close(dataclasses.asdict(state))
    name, option = ("@odata.deltaLink", "$deltatoken") if final else ("@odata.nextLink", "$skiptoken")
    head[name] = call.link(f"/{state.kind}/delta", f"{option}={urllib.parse.quote(token)}")
    response = json_response(orjson.dumps(head)[:-1] + b',"value":' + value + b"}")
    if "return=minimal" in call.request.headers.get("prefer", "").lower():
        response.headers["Preference-Applied"] = "return=minimal"
    return response
