"""Whatever test of a room runs a command: what it writes stands in a transaction that checked its fence.

A worker that was frozen past its lease must write nothing, on no path, also on those that no scenario of
tests/chaos takes. What it sends to others stands right after it asked whether the lease is still its own. A room
takes part by having `fenced` in its conftest.py.

Looked at, too, is the order of locks: whoever has its command's row and only then asks for the command's lane meets a
person's Cancel, which has the lane and waits for the row.
"""

import re
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import orjson
import pytest
from django.db import connection

from core.http import Outbound
from nameservers import records
from replication import runner, states
from replication.registry import kinds

WRITE = re.compile(r"\s*(?:WITH .*)?\b(?:INSERT INTO|(?<!FOR )(?<!KEY )UPDATE|DELETE FROM|COPY) ", re.DOTALL)
FREE = {
    r'\w+: INSERT INTO "?replication_step\b': "the history tells of every worker, also of one that was too late",
    r'(probe|verify_provider_app): ((INSERT INTO|UPDATE) "?replication_(lane|command)\b|UPDATE "tenants_connection" '
    r'SET "held_at"|DELETE FROM "breakers_accessfailure"|INSERT INTO events_event)': "customers' work goes on, "
    "a few at a time, each in a transaction; who proved the provider's line has proved it for everybody",
    r'\w+: UPDATE "tenants_secret" SET "sealed" = %s WHERE .*"sealed" = %s': "tokens are compared (decision 8)",
    r'\w+: UPDATE "tenants_connection" SET ("(refreshed_at|refused_at|claims)" = \S+ )+WHERE .*"granted_id" = %s': (
        "of that sign-in only, as above"
    ),
}
"""What a run may write without holding its lease, and why that does no harm."""


LANE = "FROM replication_lane WHERE id = %(lane)s FOR NO KEY UPDATE"
LANES = re.compile(r'FROM "replication_lane" .* FOR NO KEY UPDATE')
SIGN_IN = re.compile(r"/oauth2/|/common/discovery/")
"""Where a POST changes nothing but what the caller may do."""


class Seen:
    """Which writes of one run stood in no transaction that checked the fence, before them or after, and what was
    sent to others without asking for the lease first."""

    def __init__(self, claimed: states.Claimed) -> None:
        self.kind, self.outside, self.held = claimed.kind, len(connection.atomic_blocks), False
        self.claimed, self.has_lane = claimed, False
        self.asked = False
        """Since something was sent last."""
        self.open: list[str] = []
        self.bare: list[str] = []

    def __call__(self, execute: Callable[..., Any], sql: Any, *rest: Any) -> Any:
        text = sql if isinstance(sql, str) else sql.as_string(connection.connection)
        if len(connection.atomic_blocks) <= self.outside:
            self.ended()
        told = f"{self.kind}: {text.strip()}"
        if WRITE.match(text) and "fence" not in text and not any(re.match(one, told) for one in FREE):
            self.open += [told[:300]] if _by_the_worker() else []
        if self._own_lane(text, *rest) and _by_the_worker():
            self.bare += [f"{self.kind}: its lane after its row"] if self.held and not self.has_lane else []
            self.has_lane = True
        return execute(sql, *rest)

    def sends(self, told: str, *, writes: bool) -> None:
        self.bare += (
            [f"{self.kind}: {told}, without asking for the lease"] if writes and not self.asked else []
        )
        self.asked = False

    def _own_lane(self, text: str, asked: Any, *rest: Any) -> bool:
        """Whether this locks the lane of the command that runs, alone or with the others of its connection."""
        if LANE in text:
            return bool(asked["lane"] == self.claimed.lane_id)
        return bool(LANES.search(text)) and self.claimed.lane in states.OF_CONNECTION

    def ended(self) -> None:
        """So has the transaction of what was written until now."""
        self.has_lane = False
        self.bare += [] if self.held else self.open
        self.open, self.held = [], False


def _writes(method: str, url: str, body: object) -> bool:
    """Whether the far end does something by this request; a batch may be of reads only."""
    if method == "GET" or SIGN_IN.search(url):
        return False
    steps = orjson.loads(body)["requests"] if url.endswith("/$batch") and isinstance(body, bytes) else []
    return not steps or any(step["method"] != "GET" for step in steps)


def _by_the_worker() -> bool:
    """Not by a test that does meanwhile what a person would: no test's code stands between the run and this."""
    frame = sys._getframe(2)
    while frame.f_back and not frame.f_globals["__name__"].startswith("tests."):
        frame = frame.f_back
    return frame.f_globals["__name__"] == __name__


@pytest.fixture(autouse=True)
def fenced(monkeypatch: pytest.MonkeyPatch) -> Iterator[set[str]]:
    """Looks at every run of the product's own kinds, in whichever thread; which kinds ran."""
    ran, bare = set[str](), list[str]()
    here = threading.local()
    run_one, hold = runner.run_one, states.hold
    request, update = Outbound.request, records._send

    def watched(claimed: states.Claimed) -> runner.Verdict:
        kind = kinds().get(claimed.kind)
        if kind is None or type(kind).__module__.startswith("tests."):
            return run_one(claimed)
        ran.add(claimed.kind)
        here.seen = seen = Seen(claimed)
        try:
            with connection.execute_wrapper(seen):
                verdict = run_one(claimed)
            seen.ended()  # whoever was killed in the middle has committed nothing
            return verdict
        finally:
            here.seen = None
            bare.extend(seen.bare)

    def holding(command_id: int, fence: int) -> bool:
        held = hold(command_id, fence)
        if held and (seen := getattr(here, "seen", None)):
            seen.held = seen.asked = True
        return held

    def asking(self: Outbound, method: str, url: str, **how: Any) -> Any:
        if seen := getattr(here, "seen", None):
            seen.sends(f"{method} {url.partition('?')[0]}", writes=_writes(method, url, how.get("data")))
        return request(self, method, url, **how)

    def updating(*what: Any) -> None:
        if seen := getattr(here, "seen", None):
            seen.sends("an update of a zone", writes=True)
        update(*what)

    monkeypatch.setattr(Outbound, "request", asking)
    monkeypatch.setattr(records, "_send", updating)
    monkeypatch.setattr(runner, "run_one", watched)
    monkeypatch.setattr(states, "hold", holding)
    yield ran
    assert not bare, "\n".join(
        [
            "write it inside ctx.transaction(), send it after ctx.still_ours(), lock its lane before its row:",
            *dict.fromkeys(bare),
        ]
    )
