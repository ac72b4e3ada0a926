"""Microsoft Graph: one call, pages, deltas and batches, every failure named (facts/microsoft.md 5 and 6).

The client belongs to the thread of its session. It waits only through the `wait` it was given, so that
whoever owns the work can stop it, and for no longer than its budget: longer waits are the queue's business.
"""

from __future__ import annotations

import random
import re
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote, urlencode, urlsplit

import orjson
import requests

from core.errors import LeaseLost, NotFound, OutcomeUnknown, Throttled, UmpError, WriteRefused
from core.http import NEVER_SENT, Outbound
from core.kinds import Remedy
from m365.clouds import Cloud
from m365.errors import from_graph, renamed
from m365.pacing import NOTHING, Cost, Pacer, cost_of, number
from m365.replies import Page, check_link, check_path, in_parts, json_object, read_in_parts, read_page

if TYPE_CHECKING:
    from m365.teams_by_powershell import TeamsByPowerShell

BATCH_LIMIT = 20
MOST_ATTEMPTS = 6
MOST_ROUNDS = 4
"""In which the steps of a batch that were put off are asked again."""
MOST_PAGES = 20_000
MOST_EMPTY_PAGES = 200
LONGEST_BACKOFF = 60.0
# Throttled calls cost quota too, so even "Retry-After: 0" is not taken literally (facts 5.7).
SHORTEST_WAIT = 0.5

# Requests that may be sent twice without doing more than once.
REPEATABLE = frozenset({"GET", "PUT", "DELETE"})
WAITED_OUT = frozenset({"throttled", "graph_unavailable"})
BROKEN_OFF = frozenset({"connection_lost", "deadline", "bad_reply", "reply_too_large"})

Priority = Literal["low", "normal", "high"]
Params = Mapping[str, str | int]
Turn = Callable[[list[dict[str, Any]]], Iterable[Any]]
"""Makes something smaller of some objects of a page: a thousand users are megabytes."""
TurnBody = Callable[[str, Any], Any]
"""The same for the body of one step of a batch, by the step's id; it gets none of an error."""


@dataclass(frozen=True, slots=True)
class CallRecord:
    """One request as it went, for logs and measurements: no ids, no query, no bodies. Times in seconds."""

    method: str
    path: str
    status: int
    duration: float
    attempt: int
    waited: float
    request_id: str
    client_request_id: str
    resource_units: int | None
    size: int
    error: str = ""


@dataclass(frozen=True, slots=True)
class BatchRequest:
    """One step of a batch; `url` is relative to the version, such as `/groups/{id}/members?$select=id`."""

    id: str
    url: str
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict)
    body: object = None
    depends_on: tuple[str, ...] = ()

    def as_json(self) -> dict[str, object]:
        step: dict[str, object] = {"id": self.id, "method": self.method, "url": check_path(self.url)}
        headers = dict(self.headers)
        if self.body is not None:
            step["body"] = self.body
            headers.setdefault("Content-Type", "application/json")
        if headers:
            step["headers"] = headers
        if self.depends_on:
            step["dependsOn"] = list(self.depends_on)
        return step


@dataclass(frozen=True, slots=True)
class BatchResponse:
    """The answer to one step; `error` is None when it succeeded. Headers by lower-case name."""

    id: str
    status: int
    headers: Mapping[str, str]
    body: Any = field(repr=False)
    error: UmpError | None = None
    request_id: str = ""
    """Microsoft's, of the step or else of the whole batch."""

    @property
    def retry_after(self) -> float | None:
        return self.error.retry_after if self.error else None


@dataclass(frozen=True, slots=True)
class Written:
    """What Microsoft said to a write that it took: its own id of the request, and ours; for whoever keeps books.

    `location` is the Location header as it came: not a place to go to before it was looked at.
    """

    status: int
    request_id: str
    client_request_id: str
    location: str = ""
    body: Mapping[str, Any] = field(default_factory=dict, repr=False)


@dataclass(slots=True)
class _Try:
    """One call on its way: what it is, and what it has cost so far."""

    method: str
    url: str
    path: str
    headers: dict[str, str]
    data: bytes | None
    cost: Cost
    repeatable: bool
    number: int = 0
    waited: float = 0.0
    spent: float = 0.0
    token: str = ""
    doubtful: bool = False
    request_id: str = ""
    sent_by: float | None = None


class GraphClient:
    """Graph for one tenant, over one thread's session.

    `token_source(fresh)` gives the bearer token. `before_write` is called right before each write is sent, and
    ends it by raising, or says by when it must have left (`Outbound.request`); without it the client is read-only
    and refuses every write before anything is sent.
    `deadline` bounds the requests of one call, `budget` its waiting (both seconds). `wait(seconds)` returns
    True when the work should stop: `threading.Event.wait` fits. `on_call` hears of each request.

    Every method raises only UmpError: the rows of `m365.errors.GRAPH`, the line's own, `bad_reply`,
    `foreign_next_link`, `endless_pages`, `interrupted`, and for writes `outcome_unknown`.
    """

    def __init__(
        self,
        session: Outbound,
        cloud: Cloud,
        token_source: Callable[[bool], str],
        *,
        deadline: float = 60.0,
        budget: float = 20.0,
        on_call: Callable[[CallRecord], None] | None = None,
        priority: Priority = "low",
        pacer: Pacer | None = None,
        wait: Callable[[float], bool] | None = None,
        before_write: Callable[[], float | None] | None = None,
        names: Mapping[str, str] | None = None,
        version: str = "v1.0",
    ) -> None:
        self.session = session
        self.cloud = cloud
        self._token_source = token_source
        self._deadline = deadline
        self._budget = budget
        self._on_call = on_call
        self._priority = priority
        self._pacer = pacer or Pacer()
        self._asked = 0.0
        """Units that the pacer had given out when the latest request was sent."""
        self._wait = wait or threading.Event().wait
        self._before_write = before_write
        self.names: dict[str, Any] = dict(names or {})
        self._version = version
        self.teams: TeamsByPowerShell | None = None
        """Telephony by PowerShell, in clouds where Graph has none."""

    def get(
        self, path: str, params: Params | None = None, *, headers: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        """The JSON object at a path below the version, such as `/organization`."""
        return self._object(self._send("GET", self._address(path, params), headers=headers))

    def page(
        self,
        link: str,
        *,
        place: str = "",
        ids: bool = True,
        headers: Mapping[str, str] | None = None,
        turn: Turn = list,
    ) -> Page:
        """One page, by a link that Graph gave; `place` (`/users`) is the collection that it must stay in.

        Its objects go through `turn` part by part. Raises DeltaExpired for a delta link that Graph has forgotten.
        """
        self._check(link, place)
        content = self._send("GET", link, headers=headers).content
        return self._with_own_links(read_in_parts(content, self.cloud.graph_host, turn, ids=ids))

    def pages(
        self,
        path: str,
        params: Params | None = None,
        limit: int = MOST_PAGES,
        *,
        ids: bool = True,
        place: str = "",
        headers: Mapping[str, str] | None = None,
        turn: Turn = list,
        first: Page | None = None,
    ) -> Iterator[Page]:
        """All pages from a path or link on, as they arrive, to the end or the delta link; `turn` as for `page`.

        `first` is what the path or link itself leads to, if somebody has it already (`first_pages`). Raises
        `endless_pages` when a link repeats, after `limit` pages, or after many empty ones in a row.
        """
        link: str | None = path if path.startswith("https://") else self._address(path, params)
        place = place or urlsplit(link or "").path
        seen: set[int] = set()
        empty = 0
        while link is not None:
            if hash(link) in seen or len(seen) >= limit or empty > MOST_EMPTY_PAGES:
                raise UmpError.of("endless_pages", thing=template(place), detail={"pages": len(seen)})
            seen.add(hash(link))
            page = first or self.page(link, place=place, ids=ids, headers=headers, turn=turn)
            first = None
            empty = 0 if page.value else empty + 1
            link = page.next_link
            yield page
            del page  # a thousand users are megabytes: nobody needs them while the next ones come

    def first_pages(self, links: Mapping[str, str]) -> dict[str, Page | UmpError]:
        """What each link that Graph gave, or path, leads to, by its name: at most 20, by one request.

        Whatever should be waited out is missing: `pages` asks for it with patience. Raises what `batch` raises,
        `bad_reply` and `foreign_next_link`.
        """
        steps = []
        for name, link in links.items():
            path = link.removeprefix(f"{self.cloud.graph_root}/{self._version}")
            if path.startswith("/"):  # another version of Graph cannot be asked for in a batch of this one
                steps.append(BatchRequest(name, path))
        found: dict[str, Page | UmpError] = {}
        for answer in self.batch(steps) if steps else ():
            if answer.error is None:
                body = answer.body if isinstance(answer.body, dict) else {}
                page = read_page(body, self.cloud.graph_host, ids=False)
                found[answer.id] = self._with_own_links(page)
            elif answer.error.code not in WAITED_OUT:
                found[answer.id] = answer.error
        return found

    def _with_own_links(self, page: Page) -> Page:
        if page.delta_link:  # it is kept for days, so a foreign one must not even get that far
            self._check(page.delta_link, "")
        return page

    def batch(self, steps: Sequence[BatchRequest], turn: TurnBody | None = None) -> list[BatchResponse]:
        """The answers to at most 20 steps, in the order asked; each has its own status and error.

        A throttled step does not fail the others; repeat it after its `retry_after`. A read-only client
        refuses a batch with a write in it. Steps whose token ended on the way are sent once more with another;
        where that fails after others were written, why it failed is their answer, and those of the others are told.
        """
        answers = self._batch(steps, turn)
        refused = {
            answer.id for answer in answers if answer.error and answer.error.code == "graph_unauthorized"
        }
        if not refused:
            return answers
        left = [step for step in steps if step.id in refused]
        try:
            self._token_source(True)
            again = {answer.id: answer for answer in self._batch(left, turn)}
        except LeaseLost:
            raise
        except UmpError as error:
            if len(left) == len(steps) or all(step.method == "GET" for step in steps):
                raise
            again = {one.id: replace(one, error=renamed(error)) for one in answers if one.id in refused}
        return [again.get(answer.id, answer) for answer in answers]

    def _batch(self, steps: Sequence[BatchRequest], turn: TurnBody | None) -> list[BatchResponse]:
        if not 0 < len(steps) <= BATCH_LIMIT or len({step.id.lower() for step in steps}) != len(steps):
            raise UmpError.of(
                "internal", detail={"cause": "a batch needs 1 to 20 steps with ids of their own"}
            )
        reads = all(step.method == "GET" for step in steps)
        costs = [cost_of(step.url, writes=step.method != "GET") for step in steps]
        whole = sum(costs, NOTHING)
        body = {"requests": [step.as_json() for step in steps]}
        reply = self._send("POST", self._address("/$batch"), body=body, reads=reads, cost=whole)
        try:
            answers = self._answers(reply.content, steps, turn)
        except UmpError as error:
            if reads:
                raise
            raise OutcomeUnknown(thing="/$batch", detail=error.detail) from error
        self._learn_from(answers, whole, costs)
        theirs = reply.headers.get("request-id", "")[:64]
        return [
            replace(answer, request_id=answer.headers.get("request-id", "")[:64] or theirs)
            for answer in answers
        ]

    def post(
        self, path: str, body: object = None, *, reads: bool = False, headers: Mapping[str, str] | None = None
    ) -> dict[str, Any] | None:
        """What a POST answers, None for an empty answer; `reads` marks one that changes nothing."""
        return self._maybe(self._send("POST", self._address(path), body=body, reads=reads, headers=headers))

    def patch(self, path: str, body: object, *, if_match: str = "") -> dict[str, Any] | None:
        """Change an object; with `if_match`, only that version of it (else Conflict `remote_changed`)."""
        headers = {"If-Match": if_match} if if_match else None
        return self._maybe(self._send("PATCH", self._address(path), body=body, headers=headers))

    def delete(self, path: str, *, if_match: str = "") -> bool:
        """Remove an object; False when it was not there, which is as good."""
        headers = {"If-Match": if_match} if if_match else None
        try:
            self._send("DELETE", self._address(path), headers=headers)
        except NotFound:
            return False
        return True

    def write(
        self,
        method: Literal["POST", "PATCH", "DELETE"],
        path: str,
        body: object = None,
        *,
        request_id: str = "",
    ) -> Written:
        """A write that somebody keeps books of: `request_id` is the GUID that was noted before it, made up if empty.

        Every error has both ids of the request in its detail, as far as there are any. 404 is an error here.
        """
        ours = request_id or str(uuid.uuid4())
        try:
            reply = self._send(method, self._address(path), body=body, request_id=ours)
            told = self._maybe(reply)
        except UmpError as error:
            error.with_detail(client_request_id=ours)
            raise
        headers = reply.headers
        theirs, location = headers.get("request-id", "")[:64], headers.get("Location", "")
        return Written(reply.status_code, theirs, ours, location, told or {})

    def write_all(self, steps: Sequence[BatchRequest]) -> list[Written | UmpError]:
        """What `write` does, for at most 20 writes in one batch; a step's id is the GUID that was noted before it.

        In the order asked; an error has both ids of its request in its detail. Raises what happened to all of them.
        """
        marked = [replace(step, headers={"client-request-id": step.id, **step.headers}) for step in steps]
        return [self._written(step, answer) for step, answer in zip(steps, self.batch(marked), strict=True)]

    @staticmethod
    def _written(step: BatchRequest, answer: BatchResponse) -> Written | UmpError:
        if answer.error is None:
            body = answer.body if isinstance(answer.body, Mapping) else {}
            location = answer.headers.get("location", "")
            return Written(answer.status, answer.request_id, step.id, location, body)
        error = answer.error
        if error.code == "graph_unavailable":  # it may have done it all the same
            detail = {**error.detail, "cause": error.code}
            error = OutcomeUnknown(thing=template(step.url), detail=detail, retry_after=error.retry_after)
        return error.with_detail(request_id=answer.request_id, client_request_id=step.id)

    def each(self, steps: Sequence[BatchRequest]) -> list[BatchResponse]:
        """The answers to any number of reads, in the order asked; what was put off is asked again, a few times.

        An answer's `error` is what it was put off with when that did not help. Raises what `batch` raises, and
        `interrupted`.
        """
        found: dict[str, BatchResponse] = {}
        for begin in range(0, len(steps), BATCH_LIMIT):
            left = list(steps[begin : begin + BATCH_LIMIT])
            for attempt in range(MOST_ROUNDS):
                answers = self.batch(left)
                found.update((answer.id, answer) for answer in answers)
                put_off = [one for one in answers if one.error and one.error.remedy == Remedy.LATER]
                wait = max((one.retry_after or SHORTEST_WAIT for one in put_off), default=0.0)
                if not put_off or wait > self._budget or attempt == MOST_ROUNDS - 1:
                    break
                if self._wait(wait):
                    raise UmpError.of("interrupted") from put_off[0].error
                again = {one.id for one in put_off}
                left = [step for step in left if step.id in again]
        return [found[step.id] for step in steps]

    # One request

    def _send(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: object = None,
        reads: bool = False,
        cost: Cost | None = None,
        request_id: str = "",
    ) -> requests.Response:
        path = template(urlsplit(url).path)
        writes = method != "GET" and not reads
        if writes and self._before_write is None:
            raise WriteRefused(thing=path, detail={"method": method, "path": path})
        data = None if body is None else orjson.dumps(body)
        cost = cost or cost_of(url.partition(self._version)[2] or "/", writes=writes)
        repeatable = reads or method in REPEATABLE
        one = _Try(
            method, url, path, self._headers(headers, data), data, cost, repeatable, request_id=request_id
        )
        while True:
            one.number += 1
            self._pace(one)
            one.headers["Authorization"] = f"Bearer {one.token or self._token_source(False)}"
            if writes and self._before_write:  # after what may take seconds
                one.sent_by = self._before_write()
            failure = self._attempt(one)
            if isinstance(failure, requests.Response):
                return failure
            self._before_next(one, failure)

    def _attempt(self, one: _Try) -> requests.Response | UmpError:
        one.headers["client-request-id"] = one.request_id or str(uuid.uuid4())
        left = self._deadline - one.spent
        outcome: requests.Response | UmpError
        begun = time.monotonic()
        try:
            outcome = self.session.request(
                one.method, one.url, headers=one.headers, data=one.data, deadline=left, sent_by=one.sent_by
            )
        except UmpError as error:
            outcome = error
        duration = time.monotonic() - begun
        one.spent += duration
        return self._judge(one, outcome, duration)

    def _judge(
        self, one: _Try, outcome: requests.Response | UmpError, duration: float
    ) -> requests.Response | UmpError:
        """The outcome, or the failure that the response means; heard by the pacer and by `on_call`."""
        if isinstance(outcome, UmpError):
            self._record(one, duration, None, None, outcome)
            return outcome
        batch = one.path.endswith("/$batch")
        units = None if batch else self._pacer.learn(outcome.headers, one.cost.units, self._asked)
        failure = self._failure(outcome, one)
        self._record(one, duration, outcome, units, failure)
        return failure or outcome

    def _failure(self, response: requests.Response, one: _Try) -> UmpError | None:
        if 200 <= response.status_code < 300:
            return None
        body: object = {}
        try:
            body = json_object(response.content, self.cloud.graph_host)
        except UmpError as error:
            # Graph explains its refusals; a web page with a 403 or 404 comes from something in between.
            if response.content and 400 <= response.status_code < 500 and response.status_code != 429:
                return error.with_detail(http_status=response.status_code)
        names = {"thing": one.path, "host": self.cloud.graph_host, **self.names}
        return from_graph(response.status_code, body, response.headers, **names)

    def _before_next(self, one: _Try, failure: UmpError) -> None:
        """Wait, renew the token, or raise the failure for good."""
        if failure.code == "graph_unauthorized" and not one.token:
            one.token = self._token_source(True)
            return
        if isinstance(failure, Throttled):
            self._pacer.hold(failure.retry_after, one.cost)
        else:
            self._must_be_repeatable(one, failure)
        wait = self._pause(one, failure)
        over = one.waited + wait > self._budget or one.spent >= self._deadline
        if one.number >= MOST_ATTEMPTS or over:
            raise self._in_doubt(one, failure)
        self._sleep(one, wait, failure)

    def _must_be_repeatable(self, one: _Try, failure: UmpError) -> None:
        """Raise what must not be tried again here; note what may have arrived."""
        if failure.code in NEVER_SENT and failure.remedy == "later":
            return
        if failure.code not in ("graph_unavailable", "connection_lost", "deadline"):
            raise self._in_doubt(one, failure)
        one.doubtful = one.method != "GET"
        if not one.repeatable:
            raise self._in_doubt(one, failure)

    def _in_doubt(self, one: _Try, failure: UmpError) -> UmpError:
        """The failure itself, or for a write that may have arrived, that nobody knows."""
        reads = one.method == "GET" or (one.method == "POST" and one.repeatable)
        if reads or not (one.doubtful or failure.code in BROKEN_OFF):
            return failure
        if isinstance(failure, NotFound) and one.method == "DELETE":
            return failure
        detail = {**failure.detail, "cause": failure.code}
        return OutcomeUnknown(thing=one.path, detail=detail, retry_after=failure.retry_after)

    def _pause(self, one: _Try, failure: UmpError) -> float:
        if failure.retry_after is not None:
            return max(failure.retry_after, SHORTEST_WAIT)
        backoff = min(2.0 ** (one.number - 1), LONGEST_BACKOFF)
        return backoff * random.uniform(0.75, 1.25)  # noqa: S311  # spreads callers, guards nothing

    def _pace(self, one: _Try) -> None:
        while (pause := self._pacer.ask(one.cost)) > 0:
            if one.waited + pause > self._budget:
                raise self._throttled(one, pause)
            self._sleep(one, pause)
        self._asked = self._pacer.asked

    def _throttled(self, one: _Try, pause: float) -> UmpError:
        names: dict[str, object] = {"thing": one.path, **self.names}
        return UmpError.of("throttled", retry_after=pause, detail={"cause": "own pacing"}, **names)

    def _sleep(self, one: _Try, seconds: float, failure: UmpError | None = None) -> None:
        """Raises `interrupted`, whose cause is the failure that was being waited out, if there was one."""
        one.waited += seconds
        if self._wait(seconds):
            raise UmpError.of("interrupted", detail={"path": one.path}) from failure

    # What is sent and what comes back

    def _headers(self, more: Mapping[str, str] | None, data: bytes | None) -> dict[str, str]:
        headers = {"Accept": "application/json", "x-ms-throttle-priority": self._priority}
        if data is not None:
            headers["Content-Type"] = "application/json"
        return {**headers, **(more or {})}

    def _address(self, path: str, params: Params | None = None) -> str:
        query = urlencode(params or {}, quote_via=quote, safe="$,'()/:")
        address = f"{self.cloud.graph_root}/{self._version}{check_path(path)}"
        return f"{address}{'&' if '?' in path else '?'}{query}" if query else address

    def _check(self, link: str, place: str) -> None:
        if place and not place.startswith(("/v1.0", "/beta")):
            place = f"/{self._version}{place}"
        check_link(link, self.cloud, place)

    def _object(self, response: requests.Response) -> dict[str, Any]:
        return json_object(response.content, self.cloud.graph_host)

    def _maybe(self, response: requests.Response) -> dict[str, Any] | None:
        """A write's answer; one that cannot be read leaves open what happened."""
        if not response.content:
            return None
        try:
            return self._object(response)
        except UmpError as error:
            raise OutcomeUnknown(thing=template(urlsplit(response.url).path), detail=error.detail) from error

    def _answers(
        self, content: bytes, steps: Sequence[BatchRequest], turn: TurnBody | None
    ) -> list[BatchResponse]:
        ids = {step.id.lower(): step.id for step in steps}
        found: dict[str, BatchResponse] = {}
        for part in in_parts(content, self.cloud.graph_host, "responses"):
            listed = part.get("responses")
            for item in listed if isinstance(listed, list) else ():
                answer = self._answer(item, ids, turn)
                if answer.id in found:
                    raise self._bad_batch()
                found[answer.id] = answer
        if len(found) != len(steps):
            raise self._bad_batch()
        return [found[step.id] for step in steps]

    def _answer(self, item: object, ids: Mapping[str, str], turn: TurnBody | None) -> BatchResponse:
        told = item if isinstance(item, dict) else {}
        name, status, raw = told.get("id"), told.get("status"), told.get("headers")
        known = isinstance(name, str) and name.lower() in ids
        if not known or not isinstance(status, int) or not 100 <= status < 600:
            raise self._bad_batch()
        step = ids[str(name).lower()]
        headers = {str(k).lower(): str(v) for k, v in raw.items()} if isinstance(raw, dict) else {}
        body = told.get("body")
        error = None if 200 <= status < 300 else from_graph(status, body, headers, **self.names)
        if turn is not None:
            body = None if error else turn(step, body)
        return BatchResponse(step, status, headers, body, error)

    def _bad_batch(self) -> UmpError:
        why = "it does not answer each step of the batch once"
        return UmpError.of("bad_reply", host=self.cloud.graph_host, why=why)

    def _learn_from(self, answers: Sequence[BatchResponse], expected: Cost, costs: Sequence[Cost]) -> None:
        told = [number(answer.headers, "x-ms-resource-unit") for answer in answers]
        shares = [number(answer.headers, "x-ms-throttle-limit-percentage") or 0.0 for answer in answers]
        headers = {"x-ms-throttle-limit-percentage": str(max(shares))}
        if None not in told:
            headers["x-ms-resource-unit"] = str(sum(units or 0.0 for units in told))
        self._pacer.learn(headers, expected.units, self._asked)
        refused = [
            (answer.retry_after or 0.0, cost)
            for answer, cost in zip(answers, costs, strict=True)
            if isinstance(answer.error, Throttled)
        ]
        if refused:
            waits, theirs = zip(*refused, strict=True)
            self._pacer.hold(max(waits) or None, sum(theirs, NOTHING))

    def _record(
        self,
        one: _Try,
        duration: float,
        response: requests.Response | None,
        units: int | None,
        failure: UmpError | None,
    ) -> None:
        if self._on_call is None:
            return
        self._on_call(
            CallRecord(
                method=one.method,
                path=one.path,
                status=0 if response is None else response.status_code,
                duration=duration,
                attempt=one.number,
                waited=one.waited,
                request_id="" if response is None else response.headers.get("request-id", "")[:64],
                client_request_id=one.headers["client-request-id"],
                resource_units=units,
                size=0 if response is None else len(response.content),
                error=failure.code if failure else "",
            )
        )


_NAME = re.compile(r"\$?[A-Za-z]{1,40}(?:\.[A-Za-z.]{1,60})?(?:\(\))?|v1\.0")


def template(path: str) -> str:
    """A path with everything that could name somebody replaced: `/v1.0/users/{id}/manager`."""
    parts = path.partition("?")[0].split("/")
    return "/".join(_template_part(part) for part in parts)


def _template_part(part: str) -> str:
    if not part or (_NAME.fullmatch(part) and ("." not in part or part.startswith(("microsoft.", "v1.")))):
        return part
    function = re.fullmatch(r"([A-Za-z]{1,40})\(.*\)", part)
    return f"{function[1]}({{id}})" if function else "{id}"


def segment(value: str) -> str:
    """A value as one segment of a path, so that none of its characters can change the path."""
    if value in ("", ".", ".."):
        raise UmpError.of("internal", detail={"cause": "an empty id in a path of Graph"})
    return quote(value, safe="@")
