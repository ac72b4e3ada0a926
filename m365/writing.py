"""Writes as data: what is sent to Graph, and what a refusal of it means; sent alone, or up to twenty in one request.

In a batch Microsoft judges each write by itself, and counts each against its limits (facts/microsoft.md 5.6): what is
saved is waiting. Every write takes the id that was noted before it; its answer or its error has that id and
Microsoft's own (`m365.graph.Written`). OutcomeUnknown means that it may have arrived: read it back.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from core.errors import NotFound, OutcomeUnknown, PermissionMissing, UmpError
from m365.errors import lacking, renamed
from m365.graph import BATCH_LIMIT, BatchRequest, GraphClient, Written
from m365.teams import require


def _as_it_is(graph: GraphClient, error: UmpError) -> UmpError:
    return error


@dataclass(frozen=True, slots=True)
class Write:
    """One write. `feature` is that of m365.permissions; `thing` names what it is about in errors."""

    feature: str
    method: Literal["POST", "PATCH", "DELETE"]
    path: str
    body: object = None
    thing: str = ""
    request_id: str = ""
    explain: Callable[[GraphClient, UmpError], Written | UmpError] = _as_it_is
    """What is behind a refusal: a better error, or Written where all is as it was wanted already. It never raises."""


def send(graph: GraphClient, one: Write) -> Written:
    """Raises `teams_needs_powershell`, what `explain` tells, and what `GraphClient.write` does."""
    require(graph.cloud, one.feature)
    try:
        return graph.write(one.method, one.path, one.body, request_id=one.request_id)
    except UmpError as error:
        told = _told(graph, one, error)
        if isinstance(told, Written):
            return told
        raise told from error


def send_all(graph: GraphClient, writes: Sequence[Write]) -> list[Written | UmpError]:
    """Any number of writes that do not depend on each other, twenty a request; an answer for each, in their order.

    What happens to a request as a whole is said of each write in it. Unless nobody knows whether it arrived, more
    requests would meet it too: the rest is not sent, and says the same.
    """
    found: dict[int, Written | UmpError] = {}
    there = []
    for at, one in enumerate(writes):
        try:
            require(graph.cloud, one.feature)
            there.append(at)
        except UmpError as error:
            found[at] = error
    for begin in range(0, len(there), BATCH_LIMIT):
        part = there[begin : begin + BATCH_LIMIT]
        try:
            found |= zip(part, _batch(graph, [writes[at] for at in part]), strict=True)
        except UmpError as error:
            over = part if isinstance(error, OutcomeUnknown) else there[begin:]
            found |= {at: _named(writes[at], error) for at in over}
            if over is not part:
                break
    return [found[at] for at in range(len(writes))]


def _batch(graph: GraphClient, writes: Sequence[Write]) -> list[Written | UmpError]:
    steps = [
        BatchRequest(one.request_id or str(uuid.uuid4()), one.path, one.method, body=one.body)
        for one in writes
    ]
    return [
        _told(graph, one, answer) if isinstance(answer, UmpError) else answer
        for one, answer in zip(writes, graph.write_all(steps), strict=True)
    ]


def _told(graph: GraphClient, one: Write, error: UmpError) -> Written | UmpError:
    return one.explain(graph, _named(one, error))


def _named(one: Write, error: UmpError) -> UmpError:
    """The same error about this very write, by the name that people know."""
    if isinstance(error, PermissionMissing):
        return lacking(error, one.feature)
    if isinstance(error, OutcomeUnknown | NotFound) or error.code in ("graph_refused", "remote_conflict"):
        named = renamed(error, thing=one.thing)
        return named.with_detail(client_request_id=one.request_id) if one.request_id else named
    return error


def done(error: UmpError) -> Written:
    """A write that was not needed, with the ids of the request that said so."""
    ids = (error.detail.get("request_id", ""), error.detail.get("client_request_id", ""))
    return Written(int(error.detail.get("http_status", "0")), *ids)
