"""What the threads of a full read fetch: lists, members in batches, counts, and the links to go on from.

Nothing here touches the database. Every job hands over pages as they come and ends early when it is told to.
"""

import dataclasses
import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from core.errors import NotFound, Remedy, UmpError
from directory.models import Stream
from directory.sync.fetching import Job
from directory.sync.reading import (
    GROUPS,
    USERS,
    Object,
    Table,
    each_once,
    guid,
    lines,
    listed,
    member_lines,
    member_type,
)
from m365.graph import BatchRequest, BatchResponse, GraphClient, Params, Turn, TurnBody
from m365.replies import Page, read_page

TABLES: dict[str, Table] = {Stream.USERS: USERS, Stream.GROUPS: GROUPS}
PAGE_SIZE = 999
LARGEST_PAGE = PAGE_SIZE * 80
"""Bytes of as many members, two ids and a type each."""
COUNTING = {"ConsistencyLevel": "eventual"}
LINK_REFUSED = frozenset({"graph_refused", "delta_expired", "remote_not_found", "gone"})
"""What Microsoft says to a page link that it has forgotten meanwhile."""
MOST_REPEATS = 5
SHORTEST_WAIT, LONGEST_WAIT = 1.0, 20.0


@dataclasses.dataclass(frozen=True)
class ListPage:
    """A page of users or groups as text for COPY. `at` leads to the next one; empty after the last."""

    stream: str
    text: bytes
    read: int
    at: str


@dataclasses.dataclass(frozen=True)
class DeltaPage:
    """A page of a delta that is read from its beginning; `link` is the delta link after the last."""

    stream: str
    objects: Sequence[Object]
    at: str
    link: str


@dataclasses.dataclass(frozen=True)
class MemberPage:
    """Members of one group. `first` and an empty `at` mean that these are all of them."""

    todo: int
    group: str
    members: bytes
    """As text for COPY (`reading.member_lines`), each member once."""
    at: str = ""
    first: bool = True
    gone: bool = False


@dataclasses.dataclass(frozen=True)
class Restart:
    """The link to go on from is forgotten: that list starts anew."""

    stream: str


@dataclasses.dataclass(frozen=True)
class RestartMembers:
    """The same for the members of one group."""

    todo: int


@dataclasses.dataclass(frozen=True)
class Token:
    """The delta link of this moment; empty where Microsoft has none without a full round."""

    stream: str
    link: str


@dataclasses.dataclass(frozen=True)
class Totals:
    """How many there are, for the progress bar and to notice a list that ends early; None if unknown."""

    counts: dict[str, int | None]


@dataclasses.dataclass(frozen=True)
class ToRead:
    """A group whose members are to be fetched, from `at` on (empty: from the beginning)."""

    todo: int
    group: str
    at: str


@dataclasses.dataclass(frozen=True)
class MemberPages:
    """Pages of several groups that came in one answer."""

    pages: list[MemberPage]


Item = ListPage | DeltaPage | MemberPages | Restart | RestartMembers | Token | Totals
Emit = Callable[[Item], None]


def weight(item: Item) -> int:
    """Bytes of text in it, none in what is small."""
    if isinstance(item, MemberPages):
        return sum(len(page.members) for page in item.pages)
    return len(item.text) if isinstance(item, ListPage) else 0


def delta_select(stream: str) -> str:
    """$select of the delta; the link encodes it, so it is the same wherever a link is taken."""
    select = TABLES[stream].select
    return f"{select},members" if stream == Stream.GROUPS else select


def take_token(stream: str) -> Job[Item]:
    def job(client: GraphClient, emit: Emit) -> None:
        params = {"$select": delta_select(stream), "$deltatoken": "latest"}
        first = next(client.pages(f"/{stream}/delta", params))
        emit(Token(stream, first.delta_link or ""))

    return job


def count_all(client: GraphClient, emit: Emit) -> None:
    """How many users and groups there are, both in one request; a tenant that does not say is no trouble."""
    steps = [BatchRequest(stream, f"/{stream}/$count", headers=COUNTING) for stream in TABLES]
    answers = client.batch(steps)
    emit(Totals({answer.id: _number(answer) for answer in answers}))


def _number(answer: BatchResponse) -> int | None:
    body = answer.body
    if answer.error is not None or not isinstance(body, int | str) or isinstance(body, bool):
        return None
    return int(body) if str(body).strip().isdecimal() else None


def read_list(stream: str, at: str, stop: threading.Event) -> Job[Item]:
    """A list from its beginning or a link on: one chain, since each page's link is in the page before."""
    table = TABLES[stream]

    def turn(objects: Iterable[Object]) -> list[tuple[list[str], bytes]]:
        rows = listed(table, objects)
        return [(list(rows), lines(table, rows))] if rows else []

    def item(page: Page) -> Item:
        ids = [one for part, _ in page.value for one in part]
        text, read = b"".join(part for _, part in page.value), len(set(ids))
        return ListPage(stream, text if read == len(ids) else each_once(text), read, page.next_link or "")

    params: Params = {"$select": table.select, "$top": PAGE_SIZE}
    return _chain(f"/{stream}", params, at, stop, item, Restart(stream), turn)


def read_delta(stream: str, at: str, stop: threading.Event) -> Job[Item]:
    """The same over a delta's first round, for where Microsoft gives no link without one."""

    def item(page: Page) -> Item:
        return DeltaPage(stream, list(page.value), page.next_link or "", page.delta_link or "")

    return _chain(f"/{stream}/delta", {"$select": delta_select(stream)}, at, stop, item, Restart(stream))


def read_more_members(one: ToRead, stop: threading.Event) -> Job[Item]:
    """What a group has beyond its first page."""

    def item(page: Page) -> Item:
        members = members_of(one.group, page.value)
        return MemberPages([MemberPage(one.todo, one.group, members, page.next_link or "", first=False)])

    return _chain("", None, one.at, stop, item, RestartMembers(one.todo))


def _chain(
    path: str,
    params: Params | None,
    at: str,
    stop: threading.Event,
    item: Callable[[Page], Item],
    forgotten: Item,
    turn: Turn = list,
) -> Job[Item]:
    def job(client: GraphClient, emit: Emit) -> None:
        resumed = bool(at)
        try:
            for page in client.pages(at or path, None if at else params, turn=turn):
                resumed = False
                found = item(page)
                del page  # as text it is an eighth as large, and the database may keep us waiting
                emit(found)
                if stop.is_set():
                    return
        except UmpError as error:
            if not resumed or error.code not in LINK_REFUSED:
                raise
            emit(forgotten)

    return job


def read_members(groups: Sequence[ToRead], stop: threading.Event) -> Job[Item]:
    """The first page of up to 20 groups in one request. A group that is gone meanwhile has no members left."""

    def job(client: GraphClient, emit: Emit) -> None:
        steps = [BatchRequest(str(one.todo), _members_url(one.group)) for one in groups]
        by_id = {str(one.todo): one for one in groups}

        def first_page(step: str, body: Any) -> MemberPage:
            page = read_page(body if isinstance(body, dict) else {}, client.cloud.graph_host)
            one = by_id[step]
            return MemberPage(one.todo, one.group, members_of(one.group, page.value), page.next_link or "")

        answers = _answers(client, steps, stop, first_page)
        emit(MemberPages([_gone(by_id[one.id]) if one.error else one.body for one in answers]))

    return job


def _gone(group: ToRead) -> MemberPage:
    return MemberPage(group.todo, group.group, b"", gone=True)


def _members_url(group: str) -> str:
    return f"/groups/{group}/members?$select=id&$top={PAGE_SIZE}"


def members_of(group: str, objects: Iterable[Object]) -> bytes:
    kinds = {guid(one.get("id")): member_type(one) for one in objects}
    return member_lines((group, member, kind) for member, kind in kinds.items())


def _answers(
    client: GraphClient, steps: Sequence[BatchRequest], stop: threading.Event, turn: TurnBody
) -> list[BatchResponse]:
    """All answers, successes or that nothing is there; what Microsoft put off is asked again (facts 5.6).

    A long wait belongs to the queue: then the error is raised, and the groups stay to be read.
    """
    found: list[BatchResponse] = []
    left = list(steps)
    for attempt in range(MOST_REPEATS + 1):
        answers = client.batch(left, turn)
        put_off = {one.id: one.error for one in answers if one.error and one.error.remedy == Remedy.LATER}
        found += [one for one in answers if one.id not in put_off]
        _raise_refused(found)
        left = [step for step in left if step.id in put_off]
        if not left:
            break
        errors = list(put_off.values())
        wait = max(error.retry_after or SHORTEST_WAIT for error in errors)
        if attempt == MOST_REPEATS or wait > LONGEST_WAIT:
            raise errors[0]
        if stop.wait(wait):
            raise UmpError.of("interrupted") from errors[0]
    return found


def _raise_refused(answers: Iterable[BatchResponse]) -> None:
    for answer in answers:
        if answer.error is not None and not isinstance(answer.error, NotFound):
            raise answer.error
