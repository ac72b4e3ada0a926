"""Collections in pages: users, groups, members, deleted objects. Links are opaque and sealed."""

from __future__ import annotations

import bisect
import itertools
import urllib.parse
from collections.abc import Iterable
from typing import Any

import orjson

from simulator.graph.call import Call
from simulator.graph.errors import GraphError, bad_request, not_found, unsupported
from simulator.graph.query import (
    counted,
    default_properties,
    filter_test,
    order,
    page_size,
    pick,
    refuse_one_by_one,
    selected,
)
from simulator.http1 import Response
from simulator.members import GROUP_BIT

TYPE_OF = {"users": "user", "groups": "group"}


def json_response(body: bytes, status: int = 200) -> Response:
    return Response(
        status,
        body,
        {"Content-Type": "application/json;odata.metadata=minimal;odata.streaming=true;charset=utf-8"},
    )


def answer(content: dict[str, Any], status: int = 200) -> Response:
    return json_response(orjson.dumps(content), status)


def text(content: str) -> Response:
    return Response(200, content.encode(), {"Content-Type": "text/plain"})


def start_of(call: Call) -> Any:
    """Where this page begins: what the sealed $skiptoken says, or None for the first page."""
    token = call.query.get("$skiptoken")
    if token is None:
        return None
    content = call.world.seal.open(token)
    if (
        content is None
        or content.get("tenant") != call.tenant.id
        or content.get("path") != call.request.path
        or content.get("query") != _identity(call)
    ):
        raise GraphError(
            400,
            "Directory_ExpiredPageToken",
            "The specified page token value has expired and can no longer be included in your request.",
        )
    return content["at"]


def _identity(call: Call) -> str:
    """The query without its page token: a link's other options may be neither added to nor changed."""
    kept = {name: value for name, value in call.query.items() if name != "$skiptoken"}
    return urllib.parse.urlencode(sorted(kept.items()))


def next_link(call: Call, at: Any) -> str:
    token = call.world.seal.close(
        {"tenant": call.tenant.id, "path": call.request.path, "query": _identity(call), "at": at}
    )
    kept = [(name, value) for name, value in call.query.items() if name != "$skiptoken"]
    query = urllib.parse.urlencode([*kept, ("$skiptoken", token)], safe="$,'()")
    return call.link(call.request.path.removeprefix("/v1.0"), query)


def page(call: Call, what: str, value: bytes, following: Any, *, first: Any, count: int | None) -> Response:
    """Write one page: `following` is the place of the next one or None, `first` where an endless list starts over."""
    if following is None and "endless_pages" in call.troubles:
        following = first
    head: dict[str, Any] = {"@odata.context": call.context(what)}
    if count is not None:
        head["@odata.count"] = count
    if following is not None:
        head["@odata.nextLink"] = next_link(call, following)
    return json_response(orjson.dumps(head)[:-1] + b',"value":' + value + b"}")


def _context_of(kind: str, names: tuple[str, ...] | None) -> str:
    return kind if names is None else f"{kind}({','.join(names)})"


def list_objects(call: Call, kind: str) -> Response:
    """`GET /users` or `/groups`."""
    shelf = call.tenant.directory.shelf(kind)
    names = selected(call, TYPE_OF[kind])
    refuse_one_by_one(names)
    shown = names or default_properties(TYPE_OF[kind])
    top = page_size(call, call.tenant.behaviour.page_size)
    at = start_of(call) or 0
    if "empty_page" in call.troubles:
        return page(call, _context_of(kind, names), b"[]", at, first=0, count=None)
    test, ordering = filter_test(call, TYPE_OF[kind]), order(call, TYPE_OF[kind])
    if test is None and ordering is None:
        value, following = _plain_page(call, kind, shown, top, at)
        total = shelf.live_count()
    else:
        rows = _matching(call, kind)
        value = orjson.dumps([pick(row, shown) for row in rows[at : at + top]])
        following = at + top if at + top < len(rows) else None
        total = len(rows)
    count = total if counted(call) and call.eventual and at == 0 else None
    return page(call, _context_of(kind, names), value, following, first=0, count=count)


def _matching(call: Call, kind: str) -> list[dict[str, Any]]:
    shelf = call.tenant.directory.shelf(kind)
    test, ordering = filter_test(call, TYPE_OF[kind]), order(call, TYPE_OF[kind])
    everything = (shelf.seen(index, call.now) for index in shelf.indices(call.now))
    rows = [row for row in everything if row is not None and (test is None or test(row))]
    if ordering is not None:
        rows.sort(key=lambda row: str(row.get(ordering[0]) or "").lower(), reverse=ordering[1])
    return rows


def _plain_page(call: Call, kind: str, shown: tuple[str, ...], top: int, at: int) -> tuple[bytes, int | None]:
    """The bytes of one unfiltered page and the place of the next; kept, since many readers ask for the same."""
    directory = call.tenant.directory
    shelf = directory.shelf(kind)
    key = (directory.serial, kind, shelf.version, shown, top, at)
    lagging = shelf.lagging()
    kept = None if lagging else call.world.pages.get(key)
    if kept is not None:
        return kept
    chosen = list(itertools.islice(shelf.indices(call.now, at), top + 1))
    seen = (shelf.seen(index, call.now) for index in chosen[:top])
    value = orjson.dumps([pick(row, shown) for row in seen if row is not None])
    made = (value, chosen[top] if len(chosen) > top else None)
    if not lagging:
        call.world.pages.put(key, made)
    return made


def count_objects(call: Call, kind: str) -> Response:
    """`GET /users/$count`: plain text, and only with the eventual header."""
    if not call.eventual:
        raise bad_request("$count is not currently supported.", "Request_BadRequest")
    if "$filter" in call.query:
        return text(str(len(_matching(call, kind))))
    return text(str(call.tenant.directory.shelf(kind).live_count()))


def group_index(call: Call) -> int:
    """The group named in the path, as a reader sees it; 404 otherwise."""
    directory = call.tenant.directory
    index = directory.find("groups", call.args["id"])
    if index is None or not directory.groups.sees(index, call.now):
        raise not_found(call.args["id"])
    return index


def list_members(call: Call, *, users_only: bool = False) -> Response:
    """`GET /groups/{id}/members`, in an order that a removal in between cannot make skip anybody."""
    directory = call.tenant.directory
    names = selected(call, "user")
    top = page_size(call, call.tenant.behaviour.page_size)
    codes = sorted(directory.members_seen(group_index(call), call.now))
    if users_only:
        codes = [code for code in codes if not code & GROUP_BIT]
    test = filter_test(call, "user")
    if test is not None:
        if not (call.eventual and counted(call)):
            raise unsupported("Filtering members needs ConsistencyLevel: eventual and $count=true.")
        codes = [
            code for code in codes if test(_member_row(call, code, ("id",) if code & GROUP_BIT else None))
        ]
    at = start_of(call)
    start = 0 if at is None else bisect.bisect_right(codes, at)
    if "empty_page" in call.troubles:
        return page(call, "directoryObjects", b"[]", -1 if at is None else at, first=-1, count=None)
    chosen = codes[start : start + top]
    value = orjson.dumps([_member_row(call, code, names) for code in chosen])
    following = chosen[-1] if start + top < len(codes) else None
    count = len(codes) if counted(call) and call.eventual and at is None else None
    return page(call, "directoryObjects", value, following, first=-1, count=count)


def _member_row(call: Call, code: int, names: tuple[str, ...] | None) -> dict[str, Any]:
    directory = call.tenant.directory
    kind, object_id = directory.member_reference(code)
    if names == ("id",):
        return {"@odata.type": kind, "id": object_id}
    shelf = directory.groups if code & GROUP_BIT else directory.users
    row = shelf.view(code & ~GROUP_BIT)
    shown = names or default_properties("group" if code & GROUP_BIT else "user")
    return {"@odata.type": kind, **pick(row, shown)}


def count_members(call: Call) -> Response:
    if not call.eventual:
        raise bad_request("$count is not currently supported.", "Request_BadRequest")
    return text(str(len(call.tenant.directory.members_seen(group_index(call), call.now))))


def list_rows(call: Call, what: str, rows: Iterable[dict[str, Any]], kind: str) -> Response:
    """A collection short enough to build whole; still in pages when $top says so."""
    names = selected(call, kind)
    everything = [row if names is None else pick(row, names) for row in rows]
    at = start_of(call) or 0
    top = page_size(call, max(len(everything), 1))
    following = at + top if at + top < len(everything) else None
    value = orjson.dumps(everything[at : at + top])
    count = len(everything) if counted(call) and at == 0 else None
    return page(call, _context_of(what, names), value, following, first=0, count=count)
