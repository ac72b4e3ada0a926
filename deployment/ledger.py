"""The ledger of what was written in a customer's Teams: what is the portal's own follows from it and nothing else."""

from collections.abc import Iterable

from django.db.models import QuerySet
from django.db.models.functions import Now

from deployment.models import Run, VoiceWrite, WriteState
from m365 import voice, voice_plan
from m365.powershell.actions import Action
from m365.voice import Part, Routing, Thing
from m365.voice_plan import Step
from replication.context import Context
from tenants.models import Tenant

OURS = (WriteState.BEGUN, WriteState.DONE)


def owned(tenant: Tenant) -> dict[Thing, bool]:
    """What the portal created and has not removed: by thing, whether a person's script did it for the portal.

    What was begun and never answered counts: whoever reads finds out whether it is there.
    """
    found: dict[Thing, bool] = {}
    for row in VoiceWrite.objects.filter(tenant=tenant, state__in=OURS).order_by("id"):
        thing = thing_of(row)
        action = row.step["action"]
        if action == Action.CREATE:
            found[thing] = row.by_hand
        elif action == Action.REMOVE and row.state == WriteState.DONE:
            found.pop(thing, None)
    return found


def thing_of(row: VoiceWrite) -> Thing:
    return Thing(Part(row.part), row.name)


class Book:
    """The ledger while a worker writes: each line under the command's fence, in a transaction of its own."""

    def __init__(self, ctx: Context, run: Run) -> None:
        self.ctx, self.run = ctx, run
        self.row: VoiceWrite | None = None

    def note(self, step: Step) -> None:
        """What is about to be written. A write that an earlier run began and never heard of is begun again.

        It is this run's from then on. Where it differs, both stay begun: either may be what Teams shows later.
        """
        call = step.call
        with self.ctx.transaction():
            begun = self._begun(step)
            attempts = begun.attempts + 1 if begun is not None else 1
            if begun is not None and voice_plan.from_json(begun.step) == step:
                begun.attempts, begun.run, begun.command = attempts, self.run, self.ctx.command_id
                begun.save(update_fields=["attempts", "run", "command"])
                self.row = begun
                return
            self.row = VoiceWrite.objects.create(
                tenant_id=self.run.tenant_id,
                run=self.run,
                part=step.thing.part,
                name=step.thing.name,
                step=voice_plan.to_json(step),
                cmdlet=call.cmdlet if call else "",
                command=self.ctx.command_id,
                attempts=attempts,
            )

    def _begun(self, step: Step) -> VoiceWrite | None:
        rows = VoiceWrite.objects.filter(
            tenant_id=self.run.tenant_id,
            state=WriteState.BEGUN,
            part=step.thing.part,
            step__action=step.action,
        )
        return next((row for row in rows.order_by("-id") if thing_of(row) == step.thing), None)

    def done(self) -> None:
        self._end(WriteState.DONE)

    def forget(self, step: Step) -> None:
        """It was refused, and so did nothing: above all, what somebody else made meanwhile is not ours."""
        self._end(WriteState.REFUSED)

    @property
    def begun_before(self) -> bool:
        """Whether an earlier run began this write, so that what Teams says is there may be what that run made."""
        return self.row is not None and self.row.attempts > 1

    def _end(self, state: WriteState) -> None:
        if self.row is not None:
            with self.ctx.transaction():
                VoiceWrite.objects.filter(id=self.row.id).update(state=state, ended_at=Now())


def settle(run: Run, found: Routing) -> None:
    """What was begun and never answered, by what Teams shows; in a scope and a transaction.

    What is not to be seen stays begun: Teams may show it later, or the run begins it again. Where something else has
    the name of what was to be created, that is somebody else's.
    """
    for row in VoiceWrite.objects.filter(tenant_id=run.tenant_id, state=WriteState.BEGUN).order_by("id"):
        step = voice_plan.from_json(row.step)
        there, goal = found.find(step.thing), step.after
        same = there is None if goal is None else there is not None and voice.same(goal, there)
        state = WriteState.DONE if same else WriteState.NOT_DONE
        if same or (step.action is Action.CREATE and there is not None):
            VoiceWrite.objects.filter(id=row.id).update(state=state, ended_at=Now())


def adopt(run: Run, steps: Iterable[Step]) -> None:
    """Keep in the ledger what was there already and is used as it is: it is never removed."""
    ours = owned(run.tenant)
    known = {
        thing_of(row) for row in VoiceWrite.objects.filter(tenant_id=run.tenant_id, state=WriteState.ADOPTED)
    }
    VoiceWrite.objects.bulk_create(
        VoiceWrite(
            tenant_id=run.tenant_id,
            run=run,
            state=WriteState.ADOPTED,
            part=step.thing.part,
            name=step.thing.name,
            step=voice_plan.to_json(step),
            ended_at=run.read_at,
        )
        for step in steps
        if step.action is Action.NOTHING
        and step.after is not None
        and step.thing not in ours
        and step.thing not in known
    )


def by_hand(run: Run, steps: Iterable[Step]) -> None:
    """A person's script has done these steps, as a reading shows."""
    VoiceWrite.objects.bulk_create(
        VoiceWrite(
            tenant_id=run.tenant_id,
            run=run,
            state=WriteState.DONE,
            by_hand=True,
            part=step.thing.part,
            name=step.thing.name,
            step=voice_plan.to_json(step),
            cmdlet=step.call.cmdlet if step.call else "",
            ended_at=run.read_at,
        )
        for step in steps
    )


def of_run(run: Run) -> QuerySet[VoiceWrite]:
    """Its lines, in order."""
    found: QuerySet[VoiceWrite] = VoiceWrite.objects.filter(tenant_id=run.tenant_id, run=run)
    return found


def written_in(run: Run) -> set[tuple[Thing, str]]:
    """(thing, action) of what this run has written and Teams has accepted, seen or not."""
    return {(thing_of(row), row.step["action"]) for row in of_run(run).filter(state=WriteState.DONE)}
