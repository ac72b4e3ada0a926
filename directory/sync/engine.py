"""A sync from plan to sentence: deltas where there is a link, a full read where there is none (DESIGN 5)."""

import threading
from collections.abc import Callable

from core.errors import LeaseLost, Remedy, UmpError
from directory.models import Mode, Stream
from directory.sync import delta, licences, notes, report, staging, streams
from directory.sync.full import MOST_RESTARTS, FullRead
from directory.sync.jobs import LINK_REFUSED, TABLES
from directory.sync.progress import Part, Run, Tally
from m365.graph import CallRecord, GraphClient
from replication import plans
from replication.context import Again, Context, Outcome
from tenants import scope, services

MOST_PAGES = 20_000
"""Of one delta; one of a million changes has some five thousand."""
START_OVER = frozenset({"endless_pages", "incomplete_read", "plan_needs_approval"})
"""After these a run does not go on from where it stood: what it read cannot be trusted, or is old by then."""
PASSING = frozenset({"lease_lost", "interrupted", "throttled"})

Clients = Callable[[threading.Event, Callable[[CallRecord], None]], GraphClient]
"""Makes a read-only client for the calling thread: what ends its waits, and what hears of its calls."""


class Sync:
    """One slice of a sync of one customer. `clients` makes a read-only client for the calling thread."""

    def __init__(self, ctx: Context, clients: Clients, *, full: bool) -> None:
        self.ctx = ctx
        self.clients = clients
        self.tenant = ctx.customer
        self.write = not ctx.dry_run
        self.run = Run.load(ctx.state["run"]) if ctx.state.get("run") else self._plan(full=full)
        self.tally = Tally(self.run.requests, self.run.waited)

    def slice(self) -> Outcome:
        """Done when everything is in step, Again at the end of the slice. Raises UmpError."""
        try:
            return self._slice()
        except UmpError as error:
            self._leave(error)
            raise

    def _slice(self) -> Outcome:
        self._tell(force=True)
        if not self._deltas():
            return Again()
        self._maybe_proof()
        if any(part.full for part in self.run.parts.values()) and not self.run.concluded:
            if not FullRead(self.ctx, self.run, self._client_of, self._save, self._tell).slice():
                return Again(report.label(self.run))
            self._end_full()
        self._licences()
        return self._finish()

    def _plan(self, *, full: bool) -> Run:
        with scope.one(self.tenant):
            return streams.plan(self.tenant, full=full)

    def _save(self) -> None:
        self.run.requests, self.run.waited = self.tally.requests, self.tally.waited
        self.ctx.checkpoint(run=self.run.dump())

    def _tell(self, *, force: bool = False) -> None:
        self.ctx.report(force=force, **report.progress(self.run, self.tally))

    def _client_of(self, stop: threading.Event) -> GraphClient:
        return self.clients(stop, self.tally.note)

    # Deltas

    def _deltas(self) -> bool:
        """Follow every delta to its end; False when the slice is over first."""
        for stream in (Stream.USERS, Stream.GROUPS):
            part = self.run.parts[stream]
            while part.mode == Mode.DELTA and not part.done:
                try:
                    if not self._follow_delta(stream, part):
                        return False
                except UmpError as error:
                    if error.code not in LINK_REFUSED:
                        raise
                    part = self._without_link(stream, part, error)
        return True

    def _without_link(self, stream: str, part: Part, error: UmpError) -> Part:
        """A link in the middle is forgotten: again from the delta link. That one too: everything is read."""
        if part.at and part.restarts < MOST_RESTARTS:
            part.at = ""
            part.restarts += 1
            return part
        new = self.run.parts[stream] = Part(Mode.FULL, streams.EXPIRED)
        with self.ctx.transaction():
            self._save()
        self.ctx.note(
            f"{Stream(stream).label} are read in full, because {streams.WHY[new.why]}.",
            level="warning",
            detail=dict(error.detail),
        )
        return new

    def _follow_delta(self, stream: str, part: Part) -> bool:
        with scope.one(self.tenant):
            link = part.at or streams.link_of(self.tenant, stream)
        for page in self._client_of(self.ctx.stop).pages(link):
            with self.ctx.transaction():
                if page.next_link:
                    staging.may_be_lost()
                count, members = delta.apply(self.tenant, TABLES[stream], page.value, write=self.write)
                part.count.add(count)
                self.run.members.add(members)
                part.pages += 1
                part.at = page.next_link or ""
                part.done = not part.at
                if part.done:
                    self._keep_delta(stream, part, page.delta_link or "")
                self._save()
            self._tell()
            if part.pages > MOST_PAGES:
                raise UmpError.of("endless_pages", thing=f"the changes of {stream}")
            if self.ctx.should_yield() and not part.done:
                return False
        return True

    def _keep_delta(self, stream: str, part: Part, link: str) -> None:
        if not link:
            raise UmpError.of("incomplete_read", detail={"stream": stream, "missing": "delta link"})
        if self.write:
            count, members = part.count, self.run.members
            links = members.added - members.removed if stream == Stream.GROUPS else 0
            streams.keep_delta(self.tenant, stream, link, rows=count.added - count.removed, links=links)

    def _maybe_proof(self) -> None:
        """Now that everything is in step, what a full read finds different was missed by the deltas."""
        parts = self.run.parts
        if self.run.proof or not all(part.mode == Mode.DELTA for part in parts.values()) or self.ctx.dry_run:
            return
        with scope.one(self.tenant):
            due = streams.proof_due(self.tenant)
        if due:
            self.run.proof = True
            self.run.by_delta = report.counts(self.run)
            self.run.parts = {stream: Part(Mode.FULL, streams.PROOF) for stream in parts}
            self.run.members = type(self.run.members)()
            self.ctx.note("Everything is read once more and compared, as is done from time to time.")

    # The end of a full read

    def _end_full(self) -> None:
        full = [(stream, part) for stream, part in self.run.parts.items() if part.full]
        with self.ctx.transaction():
            for stream, part in full:
                notes.check_complete(stream, part)
            unapproved = self._ask(full) if self.write else None
            if unapproved is None:
                self._conclude(full)
        if unapproved is not None:
            raise unapproved

    def _conclude(self, full: list[tuple[str, Part]]) -> None:
        for stream, part in full:
            if not (part.fresh and self.write):
                self.run.members.add(notes.remove_unseen(self.tenant, stream, part, write=self.write))
        for stream, part in full:
            if self.write:
                differences = part.count.differences
                differences += self.run.members.differences if stream == Stream.GROUPS else 0
                streams.keep_full(self.tenant, stream, part, differences=differences)
        notes.clear(self.tenant)
        self.run.concluded = True  # without its notes a second end would take everything for unseen
        self._save()

    def _ask(self, full: list[tuple[str, Part]]) -> UmpError | None:
        """plan_needs_approval with a plan drawn, when more would go than may go unseen (complaint B 21)."""
        found = {stream: notes.unseen(self.tenant, stream, part) for stream, part in full if not part.fresh}
        if all(plans.may_go_unseen(gone, have) for gone, have in found.values()):
            return None
        lines = notes.unseen_lines(self.tenant, list(found))
        figures = report.planned(found)
        return plans.ask(self.tenant, self.ctx.command_id, lines, why=report.why_planned, figures=figures)

    def _licences(self) -> None:
        """Licences are an extra: without the permission for them users and groups are still worth having."""
        if self.run.licences_done:
            return
        error = None
        rows = []
        try:
            rows = licences.read(self._client_of(self.ctx.stop))
        except UmpError as caught:
            if caught.remedy == Remedy.LATER:
                raise
            error = dict(caught.to_dict())
        with self.ctx.transaction():
            if error is None:
                self.run.licences = licences.merge(self.tenant, rows, write=self.write)
            if self.write:
                streams.keep_licences(self.tenant, rows=len(rows), error=error)
            self.run.licences_done, self.run.licences_error = True, error
            self._save()

    def _finish(self) -> Outcome:
        with self.ctx.transaction():
            if self.write:
                users, groups = streams.totals(self.tenant)
                services.note_replication(self.tenant, users=users, groups=groups)
            else:
                notes.clear(self.tenant)
        self._tell(force=True)
        return report.done(self.run, self.tally, dry_run=self.ctx.dry_run)

    def _leave(self, error: UmpError) -> None:
        """Before an error goes to the runner: what can't be trusted is dropped, and people see that it failed."""
        if isinstance(error, LeaseLost) or error.code in PASSING:
            return
        with self.ctx.transaction():
            if error.code in START_OVER:
                notes.clear(self.tenant)
                self.ctx.checkpoint(run=None)
            if self.write:
                streams.keep_error(self.tenant, dict(error.to_dict()))
