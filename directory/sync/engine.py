"""A sync from plan to sentence: deltas where there is a link, a full read where there is none (DESIGN 5)."""

import threading
from collections.abc import Callable

from core.errors import LeaseLost, Remedy, UmpError
from directory.models import Mode, Stream, SubscribedSku
from directory.sync import delta, licences, notes, report, staging, streams
from directory.sync.full import MOST_RESTARTS, FullRead
from directory.sync.jobs import LINK_REFUSED, TABLES
from directory.sync.progress import Part, Run, Tally
from m365.graph import CallRecord, GraphClient
from m365.replies import Page
from replication import plans
from replication.context import Again, Context, Outcome
from tenants import services

MOST_PAGES = 20_000
"""Of one delta; one of a million changes has some five thousand."""
START_OVER = frozenset({"endless_pages", "incomplete_read", "plan_needs_approval"})
"""After these a run does not go on from where it stood: what it read cannot be trusted, or is old by then."""

Clients = Callable[[threading.Event, Callable[[CallRecord], None]], GraphClient]
"""Makes a read-only client for the calling thread: what ends its waits, and what hears of its calls."""


class Sync:
    """One slice of a sync of one customer. `clients` makes a read-only client for the calling thread."""

    def __init__(self, ctx: Context, clients: Clients, *, full: bool) -> None:
        self.ctx = ctx
        self.clients = clients
        self.tenant = ctx.customer
        self.write = not ctx.dry_run
        self.known = streams.known(self.tenant)
        """As of the beginning of the slice; nobody else writes them while it lasts."""
        self.unchanged: dict[str, str] = {}
        """Streams in which nothing has changed, with their next links: kept with what is written next."""
        self.first: dict[str, Page | UmpError] = {}
        """What was said to the first look at each stream, until it is that stream's turn."""
        self.full = full
        stored = ctx.state.get("run")
        self.run = Run.load(stored) if stored else self._plan()
        self.tally = Tally(self.run.requests, self.run.waited)

    def slice(self) -> Outcome:
        """Done when everything is in step, Again at the end of the slice. Raises UmpError."""
        try:
            return self._slice()
        except UmpError as error:
            self._leave(error)
            raise

    def _plan(self) -> Run:
        return streams.plan(self.known, full=self.full)

    def _slice(self) -> Outcome:
        if self.run.reading and not notes.are_of(self.tenant, self.run.id):
            self.ctx.note("Another command read this customer meanwhile, so this one begins anew.")
            self.run = self._plan()
        self._tell(force=any(part.full for part in self.run.parts.values()))
        self._look()
        if not self._deltas():
            return Again()
        self._maybe_proof()
        if any(part.full for part in self.run.parts.values()) and not self.run.concluded:
            if not FullRead(self.ctx, self.run, self._client_of, self._save, self._tell).slice():
                return Again(report.label(self.run))
            self._end_full()
        return self._finish(self._licences())

    def _save(self) -> None:
        self._keep_unchanged()
        self.run.requests, self.run.waited = self.tally.requests, self.tally.waited
        self.ctx.checkpoint(run=self.run.dump())

    def _tell(self, *, force: bool = False) -> None:
        self.ctx.report(force=force, **report.progress(self.run, self.tally))

    def _client_of(self, stop: threading.Event) -> GraphClient:
        return self.clients(stop, self.tally.note)

    # Deltas

    def _look(self) -> None:
        """Ask for the beginning of every delta, and for the licences, by one request: mostly there is no more."""
        parts = self.run.parts
        if any(part.full or part.pages for part in parts.values()):
            return
        links = {stream: self.known[stream].delta_link for stream in parts}
        links[Stream.LICENCES] = licences.PATH
        self.first = self._client_of(self.ctx.stop).first_pages(links)

    def _first(self, stream: str) -> Page | None:
        """Raises UmpError, where the answer was a refusal."""
        first = self.first.pop(stream, None)
        if isinstance(first, UmpError):
            raise first
        return first

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
        link = part.at or self.known[stream].delta_link
        for page in self._client_of(self.ctx.stop).pages(link, first=self._first(stream)):
            if not (page.value or page.next_link or part.pages):
                self.unchanged[stream] = self._next(stream, page)
                part.pages, part.done = 1, True
                return True
            with self.ctx.transaction():
                if page.next_link:
                    staging.may_be_lost()
                if self.write:
                    notes.disown(self.tenant)
                count, members = delta.apply(self.tenant, TABLES[stream], page.value, write=self.write)
                part.count.add(count)
                self.run.members.add(members)
                part.pages += 1
                part.at = page.next_link or ""
                part.done = not part.at
                if part.done:
                    self._keep_delta(stream, part, self._next(stream, page))
                self._save()
            self._tell()
            if part.pages > MOST_PAGES:
                raise UmpError.of("endless_pages", thing=f"the changes of {stream}")
            if self.ctx.should_yield() and not part.done:
                return False
        return True

    def _next(self, stream: str, page: Page) -> str:
        """The delta link of the last page, from which the next run goes on."""
        if not page.delta_link:
            raise UmpError.of("incomplete_read", detail={"stream": stream, "missing": "delta link"})
        return page.delta_link

    def _keep_unchanged(self) -> dict[str, int]:
        """How many rows each of them has."""
        unchanged, self.unchanged = self.unchanged, {}
        return streams.keep_unchanged(self.tenant, unchanged) if unchanged and self.write else {}

    def _keep_delta(self, stream: str, part: Part, link: str) -> None:
        if self.write:
            count, members = part.count, self.run.members
            links = members.added - members.removed if stream == Stream.GROUPS else 0
            streams.keep_delta(self.tenant, stream, link, rows=count.added - count.removed, links=links)

    def _maybe_proof(self) -> None:
        """Now that everything is in step, what a full read finds different was missed by the deltas."""
        parts = self.run.parts
        if self.run.proof or not all(part.mode == Mode.DELTA for part in parts.values()) or self.ctx.dry_run:
            return
        if streams.proof_due(self.known):
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

    def _licences(self) -> list[SubscribedSku]:
        """Licences are an extra: without the permission for them users and groups are still worth having."""
        try:
            return licences.read(self._client_of(self.ctx.stop), self._first(Stream.LICENCES))
        except UmpError as error:
            if error.remedy == Remedy.LATER:
                raise
            self.run.licences_error = dict(error.to_dict())
            return []

    def _finish(self, rows: list[SubscribedSku]) -> Outcome:
        error = self.run.licences_error
        with self.ctx.transaction():
            if error is None:
                self.run.licences = licences.merge(self.tenant, rows, write=self.write)
            if self.write:
                known = self.known.get(Stream.LICENCES)
                if error is None and known and known.synced_at and not self.run.licences.differences:
                    self.unchanged[Stream.LICENCES] = ""
                else:
                    streams.keep_licences(self.tenant, rows=len(rows), error=error)
                users, groups = streams.totals(self.tenant, self._keep_unchanged())
                services.note_replication(self.tenant, users=users, groups=groups)
            else:
                notes.clear(self.tenant)
        self._tell()
        return report.done(self.run, self.tally, dry_run=self.ctx.dry_run)

    def _leave(self, error: UmpError) -> None:
        """Before an error goes to the runner: what can't be trusted is dropped, and people see that it failed."""
        if isinstance(error, LeaseLost):
            return
        if error.only_stopped or error.code == "throttled":
            if self.unchanged:
                with self.ctx.transaction():
                    self._save()
            return
        with self.ctx.transaction():
            if error.code in START_OVER:
                notes.clear(self.tenant)
                self.ctx.checkpoint(run=None)
            if self.write:
                streams.keep_error(self.tenant, dict(error.to_dict()))
