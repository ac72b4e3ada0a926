"""The full read: lists and members side by side, page by page into the mirror, resumable anywhere (DESIGN 5).

First the links of this moment are taken, then everything is listed: what changes meanwhile arrives with the
first delta. Only at the end of a read that was complete is anything removed.
"""

import collections
from collections.abc import Callable, Sequence

from django.utils import timezone

from core.errors import UmpError
from directory.models import Stream
from directory.sync import delta, jobs, notes, staging
from directory.sync.fetching import Clients, Job, Pump
from directory.sync.jobs import (
    DeltaPage,
    Item,
    ListPage,
    MemberPage,
    MemberPages,
    Restart,
    RestartMembers,
    Token,
    ToRead,
    Totals,
)
from directory.sync.progress import DELTA, LIST, Part, Run
from directory.sync.reading import each_once
from directory.sync.staging import Count
from replication.context import Context

WIDTH = 7
"""Requests for members under way at once, beside the two lists; each thread costs a third of a megabyte."""
BATCH = 20
"""Groups in a request at most. With as many large ones it would bring megabytes, of which all under way may wait."""
BROUGHT = 96 * 1024
"""Bytes of members that a request should bring at most."""
READY = 2 * BATCH * WIDTH
MOST_IDLE = 50
MOST_RESTARTS = 3


class FullRead:
    """One slice of a full read of those streams of `run` that are to be read in full.

    `save` writes the run into the command's checkpoint, `tell` shows people how far it is.
    """

    def __init__(
        self, ctx: Context, run: Run, clients: Clients, save: Callable[[], None], tell: Callable[[], None]
    ) -> None:
        self.ctx = ctx
        self.run = run
        self._save = save
        self._tell = tell
        self._tenant = ctx.customer
        self._write = not ctx.dry_run
        self._pump: Pump[Item] = Pump(clients, WIDTH + len(jobs.TABLES), jobs.weight)
        self._busy: set[str] = set()
        """Streams whose list is being read by a thread of this slice."""
        self._ready: collections.deque[ToRead] = collections.deque()
        self._handed = 0
        """The last group to read that was taken from the table; ids grow, so none is taken twice."""
        self._may_be_more = True
        self._a_group = jobs.LARGEST_PAGE
        """Bytes of members of a group, in the mean of the latest batch: the next ones may be like that."""
        self._came_on = False

    def slice(self) -> bool:
        """Read on until all is read (True) or the slice is over (False).

        Raises UmpError; nothing of what was written before is lost by that.
        """
        self._begin()
        with self._pump:
            self._take_links()
            if not self._pump.stop.is_set():
                self._follow(self._start_reading)
        if self._pump.broken_off is not None and not self._came_on:
            # Slice after slice would end in the middle of the same wait, and nobody would ever hear of the trouble.
            raise self._pump.broken_off
        return all(part.done for _, part in self._parts()) and not self._groups_left()

    def _parts(self) -> list[tuple[str, Part]]:
        return [(name, part) for name, part in self.run.parts.items() if part.full]

    def _begin(self) -> None:
        """Start with an empty notebook, unless this run has begun already."""
        new = [(name, part) for name, part in self._parts() if not part.begun]
        if not new:
            return
        with self.ctx.transaction():
            notes.begin(self._tenant, self.run.id)
            for name, part in new:
                part.begun = True
                part.fresh = notes.is_empty(self._tenant, jobs.TABLES[name])
            self._save()

    def _take_links(self) -> None:
        missing = [name for name, part in self._parts() if not part.link_at]
        if missing:
            for name in missing:
                self._pump.start(jobs.take_token(name))
            self._pump.start(jobs.count_all)
            self._follow(lambda: None)

    def _follow(self, start: Callable[[], None]) -> None:
        """Write what the threads find, page by page with the place to go on from, and start what is next."""
        start()
        for items in self._pump.batches(lambda: not self.ctx.should_yield()):
            if items:
                with self.ctx.transaction():
                    staging.may_be_lost()
                    self._keep(items)
                    self._save()
            self._tell()
            start()

    # What is fetched next

    def _start_reading(self) -> None:
        for name, part in self._parts():
            if not part.done and name not in self._busy:
                self._busy.add(name)
                read = jobs.read_delta if part.source == DELTA else jobs.read_list
                self._pump.start(read(name, part.at, self._pump.stop))
        if self.run.groups.full and self.run.groups.source == LIST:
            self._start_members()

    def _start_members(self) -> None:
        if self._may_be_more and len(self._ready) < READY // 2:
            found = notes.groups_to_read(self._tenant, after=self._handed, limit=READY)
            self._may_be_more = len(found) == READY
            self._handed = found[-1].todo if found else self._handed
            self._ready.extend(found)
        while self._ready and self._pump.running - len(self._busy) < 2 * WIDTH:
            self._pump.start(self._next_members())

    def _next_members(self) -> Job[Item]:
        if self._ready[0].at:
            return jobs.read_more_members(self._ready.popleft(), self._pump.stop)
        batch: list[ToRead] = []
        most = min(BATCH, max(1, BROUGHT // max(1, self._a_group)))
        while self._ready and len(batch) < most and not self._ready[0].at:
            batch.append(self._ready.popleft())
        return jobs.read_members(batch, self._pump.stop)

    def _groups_left(self) -> bool:
        return self.run.groups.full and bool(notes.groups_to_read(self._tenant, after=0, limit=1))

    # What was found

    def _keep(self, items: Sequence[Item]) -> None:
        pages: list[MemberPage] = []
        self._came_on = self._came_on or not all(isinstance(item, Totals) for item in items)
        for item in items:
            if isinstance(item, ListPage):
                self._keep_list(item)
            elif isinstance(item, DeltaPage):
                self._keep_delta(item)
            elif isinstance(item, MemberPages):
                pages += item.pages
                if item.pages[0].first:
                    self._a_group = jobs.weight(item) // len(item.pages)
            elif isinstance(item, RestartMembers):
                notes.read_anew(self._tenant, item.todo)
            elif isinstance(item, Restart):
                self._restart(item.stream)
            else:
                self._keep_start(item)
        if pages:
            self._keep_members(pages)

    def _keep_start(self, item: Token | Totals) -> None:
        if isinstance(item, Totals):
            for name, total in item.counts.items():
                self.run.parts[name].total = total
            return
        part = self.run.parts[item.stream]
        part.link, part.link_at = item.link, timezone.now().isoformat()
        part.source = LIST if item.link else DELTA

    def _notes(self, stream: str) -> str:
        """The name to keep notes under, empty when nothing can be left over at the end anyway."""
        return "" if self.run.parts[stream].fresh and self._write else stream

    def _keep_list(self, item: ListPage) -> None:
        part = self.run.parts[item.stream]
        count, new = Count(), 0
        if item.text:
            table = jobs.TABLES[item.stream]
            count, new = staging.merge(
                self._tenant,
                table,
                item.text,
                write=self._write,
                seen=self._notes(item.stream),
                first=part.fresh,
            )
            part.repeated |= part.fresh and new < item.read
            if item.stream == Stream.GROUPS:
                notes.add_groups_to_read(self._tenant)
                self._may_be_more = True
        count.read = item.read
        self._advance(item.stream, count, item.at)
        part.idle = 0 if new else part.idle + 1
        if part.idle > MOST_IDLE:
            raise UmpError.of("endless_pages", thing=f"the list of {item.stream}")

    def _keep_delta(self, item: DeltaPage) -> None:
        part = self.run.parts[item.stream]
        table = jobs.TABLES[item.stream]
        count, members = delta.apply(
            self._tenant, table, item.objects, write=self._write, seen=self._notes(item.stream)
        )
        self.run.members.add(members)
        self._advance(item.stream, count, item.at)
        part.link = item.link
        if part.done and not part.link:
            raise UmpError.of("incomplete_read", detail={"stream": item.stream, "missing": "delta link"})

    def _advance(self, stream: str, count: Count, at: str) -> None:
        part = self.run.parts[stream]
        part.count.add(count)
        part.at = at
        part.pages += 1
        part.done = not at

    def _restart(self, stream: str) -> None:
        """The link was forgotten: list again from the beginning, and from now on with notes."""
        part = self.run.parts[stream]
        part.restarts += 1
        if part.restarts > MOST_RESTARTS:
            raise UmpError.of("incomplete_read", detail={"stream": stream, "restarts": part.restarts})
        if stream == Stream.GROUPS and part.fresh:
            # What was read of large groups so far was not noted: their members, too, are read from the beginning.
            notes.forget_groups(self._tenant)
            self._ready.clear()
        part.at, part.fresh = "", False
        self._busy.discard(stream)

    def _keep_members(self, pages: Sequence[MemberPage]) -> None:
        """Put the members of these groups into the mirror, and take out those of them who are no longer."""
        part, count = self.run.groups, self.run.members
        still = notes.still_to_read(self._tenant, [page.todo for page in pages])
        pages = [page for page in pages if page.todo in still]  # a page after a group's last would empty it
        noted = self._notes(Stream.GROUPS)
        whole = [page.group for page in pages if page.first and not page.at and not page.gone]
        sliced = [page for page in pages if not page.gone and (page.at or not page.first)]
        found: dict[str, list[bytes]] = {}
        for page in pages:
            found.setdefault(page.group, []).append(page.members)
        members = b"".join(one[0] if len(one) == 1 else each_once(b"".join(one), 1) for one in found.values())
        count.read += members.count(b"\n")
        staging.stage_members(members, keyed=bool(noted))
        new = part.fresh and not part.repeated and not sliced
        count.added += staging.add_members(self._tenant, write=self._write, new=new)
        if noted:
            count.removed += staging.remove_other_members(self._tenant, whole, write=self._write)
            self._keep_slices(sliced)
        notes.groups_went_on(self._tenant, [(page.todo, page.at) for page in pages])
        self._ready.extendleft(
            ToRead(page.todo, page.group, page.at) for page in pages if page.first and page.at
        )
        self.run.groups_read += sum(not page.at for page in pages)

    def _keep_slices(self, sliced: Sequence[MemberPage]) -> None:
        """Note who was seen in groups of several pages; at their last one, take out who was not."""
        if sliced:
            notes.note_members(self._tenant, [page.group for page in sliced])
            over = [page.group for page in sliced if not page.at]
            self.run.members.removed += notes.remove_unseen_members(self._tenant, over, write=self._write)
