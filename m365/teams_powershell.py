"""The line to what Microsoft Teams has and Graph lacks: a real `pwsh` with the MicrosoftTeams module (decision 28).

One `Session` is one process for one customer and one job:

    with Session(config, tokens, tenant_id, cloud) as teams:
        steps = voice_plan.plan(wanted, teams.voice_routing(), owned=owned)
        voice_plan.carry_out(teams.run, steps, note=..., forget=...)

It belongs to one thread. Tokens live about an hour, and the module cannot renew those it was given: a session is
made for the work at hand and ended with it. Errors are those of `m365.powershell.faults`; a write whose outcome is
not known (no answer in time, the process ended, trouble of the service) is `outcome_unknown`: read, and plan again.

Tried here: the process, its lines and its errors, against a stand-in that speaks the same lines. Against a stand-in
module the real `pwsh` is tried where it is installed. The real module in a live organisation was not tried.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from core.errors import OutcomeUnknown, UmpError
from core.redaction import redact_text
from m365 import voice
from m365.clouds import Cloud
from m365.identity import Token
from m365.permissions import TEAMS_ADMIN_APP_ID
from m365.powershell import cmdlets, faults, handout
from m365.powershell.calls import Call
from m365.powershell.process import DiedError, LateError, MissingError, Process, ProcessError, StoppedError

SCOPE = f"{TEAMS_ADMIN_APP_ID}/.default"
"""Of the second token; the same in every cloud (facts/microsoft.md 2.1)."""
MOST_ROWS = 10_000
"""Rows that one call may answer; a customer has some dozens of routes."""
MOST_BYTES = 32 << 20
MOST_LISTED = 1_000_000
"""Rows of a list that is taken part by part, such as an organisation's users."""
A_PART = 500
PIECE = 16
"""Characters of a token that may not be told; fewer are of no use to anybody."""
_BREAKS = re.compile(r"[\s|]+")


@dataclass(frozen=True, slots=True)
class Config:
    """Where PowerShell is and how long it may take, in seconds; `heap` is in MiB. An empty command: there is none."""

    command: str = ""
    module: str = "MicrosoftTeams"
    start_seconds: float = 120.0
    call_seconds: float = 90.0
    heap: int = 768

    @property
    def there(self) -> bool:
        """Whether this machine has the program; whether it has the module, only `probe` knows."""
        return bool(self.command) and shutil.which(self.command) is not None


@dataclass(frozen=True, slots=True)
class Tokens:
    """The two that `Connect-MicrosoftTeams` wants, both of the app or both of one person (facts 10.1)."""

    graph: Token
    teams: Token


@dataclass(frozen=True, slots=True)
class Versions:
    powershell: str
    module: str


class Session:
    """Teams of one organisation. A context manager: it starts nothing before, and leaves nothing behind.

    `tenant_id` is the Azure Tenant Id. `stop` is asked while a start or a reading is waited for; a write is waited
    for to its end, or its outcome would not be known.
    """

    def __init__(
        self,
        config: Config,
        tokens: Tokens | None,
        tenant_id: str,
        cloud: Cloud,
        *,
        customer: str = "",
        stop: Callable[[], bool] | None = None,
    ) -> None:
        self._config = config
        self._tokens = tokens
        self._tenant_id = tenant_id.lower()
        self._cloud = cloud
        self._customer = customer
        self._stop = stop
        self._process: Process | None = None
        self._number = 0
        self.versions = Versions("", "")

    def __enter__(self) -> Self:
        """Raises UmpError: powershell_missing, teams_module_missing, teams_session_refused, cross_tenant, ..."""
        self._check_tokens()
        if not self._config.there:
            raise UmpError.of("powershell_missing")
        try:
            self._process = Process(self._config.command, heap=self._config.heap << 20)
        except MissingError as error:
            raise UmpError.of("powershell_missing", detail={"cause": str(error)}) from error
        try:
            self.versions = self._hello(self._process)
        except BaseException:
            self._end(gently=False)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end(gently=kind is None)

    def _end(self, *, gently: bool) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.close(gently=gently)

    def _check_tokens(self) -> None:
        """Nothing of one customer goes into the session of another, whatever the caller mixed up."""
        if self._tokens is not None:
            for token in (self._tokens.graph, self._tokens.teams):
                if token.tid and token.tid != self._tenant_id:
                    raise UmpError.of("cross_tenant", detail={"answered_for": token.tid})

    def _hello(self, process: Process) -> Versions:
        tokens = [] if self._tokens is None else [self._tokens.graph.value, self._tokens.teams.value]
        until = time.monotonic() + self._config.start_seconds
        try:
            process.send(
                {
                    "mark": process.mark,
                    "module": self._config.module,
                    "tokens": tokens,
                    "tenant": self._tenant_id,
                    "environment": handout.ENVIRONMENTS.get(self._cloud.key, ""),
                    "most": MOST_ROWS,
                },
                until,
            )
            answer = process.receive(until, self._stop)
        except ProcessError as error:
            raise self._failed(error, "the session") from error
        if isinstance(answer.get("fault"), dict):
            raise self._named(
                faults.of_start(str(answer.get("stage")), answer["fault"], tenant=self._customer)
            )
        ready = answer.get("ready")
        if not isinstance(ready, dict):
            raise UmpError.of("powershell_failed", thing="the session")
        return Versions(str(ready.get("powershell", ""))[:40], str(ready.get("module", ""))[:40])

    def run(self, call: Call, thing: str = "") -> list[dict[str, Any]]:
        """Make the call; the rows that it answered, each with the call's fields.

        `thing` is what sentences call it. After a deadline, a stop or a process that ended, the session is over, and
        every further call raises powershell_failed.
        """
        thing = thing or call.about
        with self._talk(call, thing) as process:
            rows, count = self._take(process, call, thing, MOST_ROWS + 1)
            if count is None:
                self._end(gently=False)
                raise UmpError.of("reply_too_large", host="Teams", limit=f"{MOST_ROWS} rows of {thing}")
        self._check_whole(len(rows), count, thing, MOST_ROWS)
        return rows

    def parts(self, call: Call, thing: str = "") -> Iterator[list[dict[str, Any]]]:
        """The same for a reading that may be long: its rows as they come, `A_PART` at a time.

        Each part has the time of a whole call. The session is over if whoever asked stops before the end.
        """
        thing = thing or call.about
        told, count = 0, None
        try:
            with self._talk(call, thing, most=MOST_LISTED) as process:
                while count is None:
                    rows, count = self._take(process, call, thing, A_PART)
                    told += len(rows)
                    if told > MOST_LISTED:
                        count = None
                        raise UmpError.of("reply_too_large", host="Teams", limit=f"{MOST_LISTED} rows")
                    if count is not None:
                        self._check_whole(told, count, thing, MOST_LISTED)
                    yield rows
        finally:
            if count is None:
                self._end(gently=False)

    @contextlib.contextmanager
    def _talk(self, call: Call, thing: str, **more: int) -> Iterator[Process]:
        """The question is asked; what ends the process meanwhile becomes an error with its reason."""
        process = self._process
        if process is None:
            raise UmpError.of("powershell_failed", thing=thing, detail={"cause": "the session is over"})
        self._number += 1
        try:
            until = time.monotonic() + self._config.call_seconds
            process.send({"number": self._number, "call": call.as_json(), **more}, until)
            yield process
        except ProcessError as error:
            self._end(gently=False)
            if call.writes:
                raise OutcomeUnknown(thing=thing, detail=self._detail(error)) from error
            raise self._failed(error, thing) from error

    def _take(
        self, process: Process, call: Call, thing: str, most: int
    ) -> tuple[list[dict[str, Any]], int | None]:
        """The next rows; with the last of them how many there were (or -1), None while there may be more."""
        until = time.monotonic() + self._config.call_seconds
        stop = None if call.writes else self._stop
        rows: list[dict[str, Any]] = []
        size = 0
        while len(rows) < most:
            answer = process.receive(until, stop)
            if answer.get("number") != self._number:
                raise DiedError("it answered another question")
            if isinstance(answer.get("fault"), dict):
                raise self._named(
                    faults.of_call(answer["fault"], writes=call.writes, thing=thing, tenant=self._customer)
                )
            if "end" in answer:
                return rows, answer["end"] if isinstance(answer["end"], int) else -1
            rows.append(self._row(answer))
            size += len(repr(rows[-1]))
            if size > MOST_BYTES:
                self._end(gently=False)
                raise UmpError.of("reply_too_large", host="Teams", limit=f"{MOST_BYTES >> 20} MiB")
        return rows, None

    @staticmethod
    def _row(answer: dict[str, Any]) -> dict[str, Any]:
        row = answer.get("row")
        if not isinstance(row, dict):
            raise DiedError("its answer has no row")
        return row

    @staticmethod
    def _check_whole(told: int, count: int, thing: str, most: int) -> None:
        """A reading that was cut short is none: a plan made from it would create anew what is there."""
        if count > told:
            raise UmpError.of("reply_too_large", host="Teams", limit=f"{most} rows of {thing}")

    def voice_routing(self) -> voice.Routing:
        """What Teams has."""
        return voice.observed({name: self.run(call, thing=name) for name, call in cmdlets.READS.items()})

    def users_with(self, noun: voice.Policy | voice.DialPlan) -> list[str]:
        """Names of users who have the policy or dial plan, for `voice_plan.removal(in_use=...)`."""
        rows = self.run(cmdlets.users_with(noun), thing=str(voice.thing_of(noun)))
        return [str(row.get("UserPrincipalName") or row.get("Identity") or "") for row in rows]

    def _failed(self, error: ProcessError, thing: str) -> UmpError:
        if isinstance(error, StoppedError):
            return UmpError.of("interrupted")
        code = "powershell_late" if isinstance(error, LateError) else "powershell_failed"
        return UmpError.of(code, thing=thing, detail=self._detail(error))

    def _detail(self, error: ProcessError) -> dict[str, object]:
        # The reason stands at the end; what is cut off has been looked through before.
        return {"cause": str(error), "powershell_says": self._masked(error.tail)[-300:]}

    def _named(self, error: UmpError) -> UmpError:
        error.detail = {name: self._masked(text) for name, text in error.detail.items()}
        return error

    def _masked(self, text: str) -> str:
        """Without the tokens, whatever a module printed; PowerShell breaks long lines, so pieces count as well."""
        for token in self._secrets:
            text = text.replace(token, "[hidden]")
        squeezed = _BREAKS.sub("", text)
        for token in self._secrets:
            if any(token[at : at + PIECE] in squeezed for at in range(0, len(token) - PIECE + 1, PIECE // 2)):
                return "[hidden]"
        return redact_text(text)

    @property
    def _secrets(self) -> tuple[str, ...]:
        if self._tokens is None:
            return ()
        return tuple(token for token in (self._tokens.graph.value, self._tokens.teams.value) if token)


def probe(config: Config, cloud: Cloud) -> Versions:
    """Whether PowerShell and the module start here; nobody is asked for anything. Raises as `Session`."""
    with Session(config, None, "", cloud) as session:
        return session.versions
