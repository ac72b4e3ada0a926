"""Kills a worker where it hurts: a blow at one point of one kind's run, a new claim, and the same end as without it.

A blow is an exception that no code of the product may catch. For what the database and the outside see, that is
kill -9: a transaction that was not committed is gone, one that was committed stays, and what was sent was sent.
(What the operating system does to a killed process is proven with real ones, in tests/system and bench/chaos.py.)
"""

import contextlib
import dataclasses
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.core.mail import EmailMessage
from django.db import connection
from django.db.models import Q
from django.db.transaction import Atomic

from core.http import Outbound
from m365 import identity, pacing
from nameservers import records
from replication import runner, states, sweeper
from replication.models import Command, Lane, State
from simulator.mailbox import MailServer
from simulator.server import Simulator
from tenants import scope
from tests.deployment.teams import PretendSession
from tests.directory.pretend import Killed
from tests.sites.conftest import saved, tables

POINTS = ("after_intent", "before_send", "after_send", "before_done", "in_commit")
MOST_STEPS = 120
NOTES = {"replication_step", "django_session", "usersessions_usersession", "api_idempotencykey"}
"""Tables that may have more rows after a blow: a command's history tells of it."""


@dataclasses.dataclass
class Blow:
    """Strikes the `number`-th time that the point is reached while a command of the kind runs; 0 only counts.

    In `in_commit` odd numbers strike before the commit, even ones after it.
    """

    kind: str
    point: str = ""
    number: int = 0
    times: Counter[str] = dataclasses.field(default_factory=Counter)
    writes: list[int] = dataclasses.field(default_factory=list)
    """Which of the calls change something outside."""
    on: bool = False
    depth: int = 0
    """Transactions that were open before the run, which are the test's own."""
    struck: bool = False

    def reached(self, point: str) -> None:
        """Raises Killed when it is time."""
        if self.on and not self.struck:
            self.times[point] += 1
            if point == self.point and self.times[point] == self.number:
                self.struck = True
                raise Killed


@contextmanager
def armed(blow: Blow) -> Iterator[None]:
    """The points, where the product meets the outside and the database."""
    with pytest.MonkeyPatch.context() as patch:
        for place, name in ((Outbound, "request"), (EmailMessage, "send"), (records, "add_text"),
                            (records, "remove_text"), (PretendSession, "write")):  # fmt: skip
            patch.setattr(place, name, _call(blow, getattr(place, name)))
        patch.setattr(Atomic, "__enter__", _begin(blow, Atomic.__enter__))
        patch.setattr(Atomic, "__exit__", _commit(blow, Atomic.__exit__))
        yield


def _call(blow: Blow, real: Callable[..., Any]) -> Callable[..., Any]:
    def called(*args: Any, **kwargs: Any) -> Any:
        blow.reached("before_send")
        if blow.on and not (real.__name__ == "request" and _reads(*args[1:3], kwargs.get("data"))):
            blow.writes.append(blow.times["before_send"])
        answer = real(*args, **kwargs)
        blow.reached("after_send")
        return answer

    return called


def _reads(method: str, url: str, data: bytes | None) -> bool:
    if url.endswith("/$batch"):
        return all(step["method"] == "GET" for step in json.loads(data or b"{}")["requests"])
    return method == "GET" or url.endswith(("/token", "/devicecode"))


def _begin(blow: Blow, entering: Callable[..., Any]) -> Callable[..., Any]:
    """The outermost transaction of a run is a savepoint here: it must be able to fail alone, whatever it says."""

    def enter(self: Atomic) -> Any:
        said = self.savepoint
        if blow.on and len(connection.atomic_blocks) == blow.depth:
            self.savepoint = True
        try:
            return entering(self)
        finally:
            self.savepoint = said

    return enter


def _commit(blow: Blow, leaving: Callable[..., Any]) -> Callable[..., Any]:
    """The end of a transaction: it fails for the first of the two blows, and has happened for the second."""

    def leave(self: Atomic, kind: Any, error: Any, trace: Any) -> Any:
        blocks = connection.atomic_blocks
        if not blow.on or kind is not None or len(blocks) != blow.depth + 1 or blocks[-1] is not self:
            return leaving(self, kind, error, trace)
        try:
            blow.reached("in_commit")
        except Killed as killed:
            leaving(self, Killed, killed, None)
            raise
        answer = leaving(self, None, None, None)
        blow.reached("in_commit")
        return answer

    return leave


# --- A worker that may die ---------------------------------------------------------------------------------------
def carry_out(blow: Blow, meanwhile: Callable[[], object] = lambda: None) -> None:
    """Everything that is queued, whatever it waits for; who was killed is found by the sweeper, and claimed anew."""
    for _ in range(MOST_STEPS):
        blow.on = False
        with scope.every("a test's worker"):
            Lane.objects.update(not_before="2020-01-01T00:00Z")
            states.make_due(Q())
            claimed = states.claim("test", 1)
        if not claimed:
            return
        blow.on, blow.depth = claimed[0].kind == blow.kind, len(connection.atomic_blocks)
        with contextlib.suppress(Killed):
            _slice(blow, claimed[0])
            blow.on = False
            meanwhile()
            continue
        blow.on = False  # of whoever takes it back, nothing dies
        with scope.every("a test's clock"):
            Command.objects.filter(state=State.EXECUTING).update(lease_until="2020-01-01T00:00Z")
        sweeper.take_back()  # nothing, where the last commit was that of the move itself
    raise AssertionError("it does not come to an end")


def _slice(blow: Blow, claimed: states.Claimed) -> None:
    blow.reached("after_intent")
    verdict = runner.run_one(claimed)
    blow.reached("before_done")
    runner._settle(claimed, verdict)


# --- What there is in the end ------------------------------------------------------------------------------------
def everything(microsoft: Simulator, mailbox: MailServer, heard: list[str]) -> dict[str, Any]:
    """Both ends, with everything that is different in each run left out: numbers of rows, states, and far things."""
    with scope.every("a test looks"):
        commands = Counter(Command.objects.values_list("kind", "state", "outcome"))
        rows = _rows()
        with connection.cursor() as cursor:
            cursor.execute("SELECT action, count(*) FROM audit_entry GROUP BY action")
            audited = dict(cursor.fetchall())
            cursor.execute("SELECT type, count(*) FROM events_event GROUP BY type")
            told = dict(cursor.fetchall())
    return {
        "commands": commands,
        "rows": rows,
        "audited": audited,
        "told": told,
        "microsoft": {tenant.name: _far(tenant) for tenant in microsoft.state.tenants.values()},
        "dns": {_plain(name): len(texts) for name, texts in microsoft.dns.describe()["records"].items()},
        "mails": sorted(
            {_plain(str(mail.message["Message-ID"] or mail.message["Subject"])) for mail in mailbox.mails()}
        ),
        "heard": sorted(set(heard)),
        "devices": [(sorted(map(str, tables(one))), saved(one)) for one in microsoft.sbcs.devices.values()],
    }


def _rows() -> dict[str, int]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1")
        names = [row[0] for row in cursor.fetchall() if row[0] not in NOTES]
        cursor.execute(" UNION ALL ".join(f"SELECT '{name}', count(*) FROM {name}" for name in names))
        return {name: count for name, count in cursor.fetchall() if count}


def _far(tenant: Any) -> dict[str, Any]:
    """A tenant at Microsoft, counted: what a doubled or a lost write would change."""
    directory = tenant.directory
    users = directory.users
    return {
        "apps": sorted(_app(tenant, app) for app in tenant.apps.values()),
        "users": sorted(str(users.view(index)["userPrincipalName"]) for index in users.indices(float("inf"))),
        "licences": sum(
            len(users.view(index).get("assignedLicenses") or ()) for index in users.indices(float("inf"))
        ),
        "domains": sorted(tenant.domains),
    }


def _app(tenant: Any, app: Any) -> tuple[Any, ...]:
    registration = app.registration
    granted = sorted(app.principal.granted()) if app.principal else None
    roles = len(tenant.roles_of(app.principal.object_id)) if app.principal else 0
    return (
        registration.name, bool(registration.deleted), len(registration.secrets), len(registration.certificates),
        str(granted), roles, len(registration.owners),
    )  # fmt: skip


def _plain(text: str) -> str:
    """Without ids that differ from run to run: numbers of rows, and of invitations."""
    return re.sub(r"[0-9a-f]{8,}|\d+", "#", text)


def forget() -> None:
    """What processes keep between runs: tokens, paces, certificates of sign-in hosts."""
    identity.forget_everything()
    pacing._pacers.clear()
