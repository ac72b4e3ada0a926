"""Writing the numbers of a site on its device: read, compare, write what is missing, read back, save.

What goes, goes last, and only if all that is new for the site was read back: it may be what takes its place. What
moves to another SBC goes after it was written there; that command queues this one.
"""

import contextlib
import dataclasses
from collections.abc import Callable, Iterator

from django.db import transaction
from django.db.models import Exists, Q
from django.utils import timezone

from audiocodes.sbc import Sbc as Device
from core.errors import Remedy, UmpError
from replication.context import Again, Context, Done, Outcome
from replication.models import LaneName
from replication.registry import Kind, register
from sbc import lines, prefixes
from sbc.commands import OURS, note_link
from sbc.models import Link, Sbc
from sbc.prefixes import Reading
from sites.models import Prefix, PrefixState, Site
from sites.number_ledger import Numbers
from sites.number_writing import OnDevice, Todo, Wanted, compare, foreign_clashes, unmade
from sites.numbers import BATCH, UNWRITTEN, WRITE, same_numbers, waits_there, write
from tenants import scope
from tenants.abilities import Ability

CHUNK = 500
"""Rules of one script."""
SECONDS = 600.0
"""For all calls of one slice."""
MOST_REFUSALS = 30
"""Scripts that a device may refuse in one run; then it is left alone, and what was not written has failed."""

prefixes.tell(Numbers())


@dataclasses.dataclass
class Job:
    """What one run works on."""

    sbc: Sbc
    site: Site
    wishes: list[Wanted]
    leaving: list[int] = dataclasses.field(default_factory=list)
    """Rows for the same numbers that go from other SBCs: what becomes of them here decides about those."""
    stopped: dict[int, UmpError] = dataclasses.field(default_factory=dict)
    """Of rows that are not tried any more in this run."""
    size: int = CHUNK
    suspected: int = 0
    """The size of the script that was refused, while one rule of it is tried alone."""
    refusals: int = 0
    """Scripts that were refused, or taken without being carried out whole."""
    taken: set[int] = dataclasses.field(default_factory=set)
    """Rows of scripts that the device took."""

    def left(self) -> list[Wanted]:
        return [wanted for wanted in self.wishes if wanted.id not in self.stopped]


@register
class WriteNumbers(Kind):
    """All waiting wishes of one site in as few scripts as possible; target "<sbc>/<site uid>"."""

    name = WRITE
    title = "Write numbers"
    ability = Ability.MANAGE_SBC
    lane = LaneName.DEVICE
    reconcile = (
        "Reads the device's rules before each script and writes only what is missing; what an earlier run wrote is "
        "found there. Saves at the end of every run."
    )

    def run(self, ctx: Context) -> Outcome:
        job = _job(ctx)
        if job is None:
            return Done("Nothing was written: the site is gone.", "partial")
        if job.sbc.link == Link.REFUSED:
            return self._failed(ctx, job, UmpError.of("sbc_sign_in_refused", host=job.sbc.name))
        try:
            with lines.to_sbc(job.sbc, SECONDS, before_write=ctx.still_ours) as line:
                return self._work(ctx, job, Device(line))
        except UmpError as error:
            if error.code in OURS or error.only_stopped:
                raise
            return self._failed(ctx, job, error)

    def _work(self, ctx: Context, job: Job, device: Device) -> Outcome:
        device.status(job.sbc.serial)
        reading, todo = _look(ctx, job, device, first=True)
        sent = 0
        while left := todo.left():
            # Each slice gets further, and what is known of a refused script is not forgotten between two.
            if ctx.stop.is_set() or (sent and not job.refusals and ctx.should_yield()):
                return Again(f"{len(left):,} rules are left.")
            _send(job, device, todo)
            sent += 1
            ctx.report(done=len(job.wishes) - len(left), total=len(job.wishes), label="Rules written")
            reading, todo = _look(ctx, job, device)
        unsaved = _save(device, job)
        return _settle(ctx, job, reading, todo, unsaved)

    def _failed(self, ctx: Context, job: Job, error: UmpError) -> Outcome:
        """What only time mends is tried again, and waits; everything else is told at the numbers, and ends."""
        last = error.remedy != Remedy.LATER or ctx.attempt >= self.max_attempts
        problem = dict(error.to_dict())

        def become(row: Prefix) -> None:
            if last:
                _fail(row, error)
            else:
                row.problem = problem

        with _in_turn(ctx, job.sbc):
            note_link(job.sbc, error)
            with scope.one(job.site.tenant_id):
                rows, leaving = _waiting(job)
                _update(rows, become)
                if last:
                    _decide(ctx, job, rows, leaving)
        if error.remedy == Remedy.LATER:
            raise error
        return Done(f"No number was written: {error.message}", "partial", result={"error": error.code})


def _job(ctx: Context) -> Job | None:
    """The site and what waits for it, in its customer's scope."""
    sbc_id, _, site_uid = ctx.target.partition("/")
    with scope.every("a worker asks which customer a site is of"):
        site = Site.objects.filter(uid=site_uid, sbc_id=int(sbc_id)).first()
    if site is None:
        return None
    sbc = Sbc.objects.select_related("secret", "secret__key").get(id=site.sbc_id)
    with scope.one(site.tenant_id):
        rows = Prefix.objects.filter(site=site, sbc=sbc, state__in=UNWRITTEN).order_by("plan", "prefix", "id")
        here = rows.exclude(waits_there(), state=PrefixState.REMOVING)
        mine = same_numbers().filter(site=site, state__in=UNWRITTEN)
        leaving = Prefix.objects.filter(Exists(mine), state=PrefixState.REMOVING).exclude(sbc=sbc)
        wishes = [Wanted.of(row) for row in here]
        return Job(sbc, site, wishes, list(leaving.values_list("id", flat=True)))


def _look(ctx: Context, job: Job, device: Device, *, first: bool = False) -> tuple[Reading, Todo]:
    """What is on the device now, and what is left to do."""
    with prefixes.readable(job.sbc.name):
        reading = prefixes.read(device.ini())
    found = OnDevice(reading)
    if first:
        new = [one for one in job.wishes if not one.removing and not one.written.tag and not found.find(one)]
        with scope.every("whose the rules of one device are"):
            ours = list(Prefix.objects.filter(sbc=job.sbc).values_list("plan", "prefix")) if new else []
        job.stopped |= foreign_clashes(job.sbc, new, reading, ours)
    todo = compare(job.sbc, job.left(), found)
    _stop_unmade(job, todo)
    job.stopped |= todo.stopped
    _keep_old(job, todo)
    return reading, todo


def _stop_unmade(job: Job, todo: Todo) -> None:
    """What the device took and does not show is not sent again: it would be the same, or be there once more."""
    lost = {wanted.id: unmade(job.sbc, wanted) for wanted, _ in todo.left() if wanted.id in job.taken}
    if lost:
        job.refusals += 1
        todo.stop(lost)


def _keep_old(job: Job, todo: Todo) -> None:
    """While something new of the site cannot be written, nothing goes: numbers would be in no rule any more.

    Who only wants it to go asks again: what has failed is no wish of that run.
    """
    lacking = next((one for one in job.wishes if not one.removing and one.id in job.stopped), None)
    if lacking is None:
        return
    why = f"{lacking.values.prefix}, which was to be written before, could not be"
    kept = {
        wanted.id: UmpError.of("number_kept", prefix=wanted.values.prefix, host=job.sbc.name, why=why)
        for wanted, _ in todo.going
    }
    todo.stop(kept)
    job.stopped |= kept


def _send(job: Job, device: Device, todo: Todo) -> None:
    """One script. Of a refused one the first rule that is not there is tried alone, then smaller parts."""
    sent, script = todo.script(job.size)
    try:
        device.apply(script)
    except UmpError as error:
        if error.code != "sbc_script_refused":
            raise
        job.refusals += 1
        if job.refusals >= MOST_REFUSALS:
            job.stopped |= {wanted.id: error for wanted, _ in todo.changes or todo.going}
        elif len(sent) == 1:
            job.stopped[sent[0].id] = error
            job.size, job.suspected = CHUNK, 0
        else:
            job.size, job.suspected = 1, len(sent)
    else:
        job.taken |= {wanted.id for wanted in sent}
        job.size, job.suspected = max(1, job.suspected // 2) if job.suspected else job.size, 0


def _save(device: Device, job: Job) -> UmpError | None:
    """Also where nothing was missing: an earlier run may have ended between its script and this."""
    try:
        device.save()
    except UmpError as error:
        if error.only_stopped:
            raise
        return UmpError.of(
            "sbc_not_saved", host=job.sbc.name, why=error.message.rstrip("."), detail=error.detail
        )
    return None


def _settle(ctx: Context, job: Job, reading: Reading, todo: Todo, unsaved: UmpError | None) -> Outcome:
    """Keep what was read, and what became of each wish."""
    removed = {one.id for one in job.wishes if one.removing}
    problem = dict(unsaved.to_dict()) if unsaved else None

    def become(row: Prefix) -> None:
        if row.id in job.stopped:
            _fail(row, job.stopped[row.id])
        elif row.id in todo.done:
            row.problem, row.checked_at = problem, timezone.now()
            if row.state == PrefixState.ADDING:
                row.state, row.index = PrefixState.PRESENT, todo.done[row.id]
                row.written_name, row.written_tag = row.name, row.tag

    with _in_turn(ctx, job.sbc):
        with scope.one(job.site.tenant_id):
            rows, leaving = _waiting(job)
            _update(rows, become)
            _decide(ctx, job, rows, leaving)
            if unsaved is None:
                Prefix.objects.filter(
                    id__in=[row.id for row in rows if row.id in todo.done and row.id in removed]
                ).delete()
                Prefix.objects.filter(site=job.site, problem__code="sbc_not_saved").update(problem=None)
        prefixes.keep(job.sbc, reading)
    if unsaved is not None and ctx.attempt < WriteNumbers.max_attempts:
        raise unsaved
    gone, failed = len(removed & todo.done.keys()), len(job.stopped)
    added = len(todo.done) - gone
    told = f"{added:,} on {job.sbc.name}, {gone:,} taken away" + (f", {failed:,} failed" if failed else "")
    return Done(
        f"{told}; {'not saved' if unsaved else 'saved'}.",
        "partial" if failed or unsaved else "complete",
        result={"added": added, "removed": gone, "failed": failed},
    )


@contextlib.contextmanager
def _in_turn(ctx: Context, sbc: Sbc) -> Iterator[None]:
    """The command's transaction. People who ask for numbers lock the device's row first, then the prefixes."""
    with transaction.atomic():
        list(Sbc.objects.select_for_update(no_key=True).filter(id=sbc.id))
        with ctx.transaction():
            yield


def _waiting(job: Job) -> tuple[list[Prefix], list[Prefix]]:
    """The rows, locked, as far as they still want what this run was about; and those that still go elsewhere.

    All by one statement in one order, since the other SBC's command may lock the same ones.
    """
    wanted = {one.id: one for one in job.wishes}
    here = Q(site=job.site, state__in=UNWRITTEN)
    there = Q(id__in=job.leaving, state=PrefixState.REMOVING)
    locked = Prefix.objects.select_for_update(no_key=True, of=("self",)).select_related("sbc")
    found = list(locked.filter(here | there).order_by("id"))
    rows = [row for row in found if row.site_id == job.site.id]
    leaving = [row for row in found if row.site_id != job.site.id]
    return [row for row in rows if wanted.get(row.id) == Wanted.of(row)], leaving


def _decide(ctx: Context, job: Job, rows: list[Prefix], leaving: list[Prefix]) -> None:
    """Numbers that move to this SBC: where they were written, they may go from the other; where not, they stay."""
    failed = {_numbers(row): row for row in rows if row.state == PrefixState.FAILED}
    kept = [row for row in leaving if _numbers(row) in failed]
    for row in kept:
        why = f"it could not be written on {job.sbc.name}, where it is to be instead"
        _fail(row, UmpError.of("number_kept", prefix=row.prefix, host=row.sbc.name, why=why))
    Prefix.objects.bulk_update(kept, ["state", "problem"], batch_size=BATCH)
    settled = {_numbers(row) for row in rows} - failed.keys()
    for site in Site.objects.filter(id__in={row.site_id for row in leaving if _numbers(row) in settled}):
        write(ctx.asker(), site)


def _numbers(row: Prefix) -> tuple[str, bool, object]:
    """Those of one customer."""
    return row.plan, row.plus, row.span


def _update(rows: list[Prefix], become: Callable[[Prefix], None]) -> None:
    for row in rows:
        become(row)
    fields = ["state", "index", "problem", "written_name", "written_tag", "checked_at"]
    Prefix.objects.bulk_update(rows, fields, batch_size=BATCH)


def _fail(row: Prefix, error: UmpError) -> None:
    """What could not be taken away is taken as there; the next reading knows better."""
    row.state = PrefixState.PRESENT if row.state == PrefixState.REMOVING else PrefixState.FAILED
    row.problem = dict(error.to_dict())
