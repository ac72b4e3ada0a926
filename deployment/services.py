"""Deploy and Undo Deploy: what people ask for. Each act in one transaction with its audit entry and its command.

First a look (`look`), which a worker turns into a plan; then a decision bound to that plan (`decide`). Without
PowerShell a person's script does the part in Teams, and gives back what it finds there (`verify`).
"""

from collections.abc import Iterable, Sequence
from typing import Any

from django.db import transaction
from django.db.models.functions import Now
from django.utils import timezone

from accounts.taken import still_there
from audit.services import Changes, record
from core.errors import Conflict, InvalidInput, UmpError
from deployment import ledger, plans
from deployment.models import OPEN, Act, Run, RunState, SiteVoice
from events.models import Type
from events.services import tell
from m365 import voice_plan, voice_scripts
from m365.voice import Rule
from m365.voice_plan import Step
from replication import services as queue
from replication import states
from replication.models import OPEN as OPEN_COMMANDS
from replication.models import Command
from replication.registry import chore
from sites import services as sites
from sites.models import Site, SiteState
from tenants import licences, scope
from tenants.access import SYSTEM, Actor
from tenants.models import Connection, DeployState, Service, Tenant

DEPLOY, UNDO, VOICE = "deploy", "undo_deploy", "voice_routing"
KINDS = {Act.DEPLOY: DEPLOY, Act.UNDO: UNDO}
BATCH = 500
FIELDS = {"Number pattern": "pattern", "SIP signalling port": "port", "Concurrent sessions": "max_sessions"}
"""What m365.voice calls them; whatever else it refuses is a rule of the dial plan."""
BUSY = (RunState.RUNNING, RunState.BY_HAND)


# --- Looking --------------------------------------------------------------------------------------------------
def why_not(tenant: Tenant, act: Act) -> UmpError | None:
    """Why there is nothing to look at; None when there is. In the customer's scope."""
    if busy := Site.objects.filter(tenant=tenant, sbc_state__in=sites.BUSY).order_by("name").first():
        why = f"its site {busy.name} is being worked on; wait until that has ended"
        return UmpError.of("deploy_unfit", tenant=tenant.name, why=why)
    if act == Act.UNDO:
        there = tenant.deploy_state in {DeployState.DEPLOYED, DeployState.FAILED}
        if there or plans.sites_of(tenant, act) or plans.has_voice(tenant, act):
            return None
        return Conflict(thing=tenant.name, why="nothing of it is deployed")
    why = _unfit(tenant)
    return UmpError.of("deploy_unfit", tenant=tenant.name, why=why) if why else None


def _unfit(tenant: Tenant) -> str:
    if licences.pools().tenants.available < 0:
        return "customers hold more Tenants licences than the licence has"
    if tenant.service != Service.DIRECT_ROUTING:
        return ""
    if not tenant.with_sync:
        return "without sync a Teams Administrator of the customer sets up voice routing at Microsoft"
    if not Site.objects.filter(tenant=tenant).exists():
        return "it has no site; press Add SBC Site first"
    connection = Connection.objects.filter(tenant=tenant).first()
    if connection is None or not connection.usable:
        return "access to its Microsoft 365 is not proven"
    return ""


@transaction.atomic
def look(actor: Actor, tenant: Tenant, act: Act, *, take_over: bool = False) -> Run:
    """Have workers find out what would be done; nothing is written. An older plan that waits is set aside.

    `take_over`: what stands in Teams under a name that is needed may be changed, as far as the last look saw it.
    Raises UmpError (deploy_unfit), Conflict while a run is under way.
    """
    _turn(tenant)
    former = open_run(tenant)
    if former is not None and former.state in BUSY:
        raise Conflict(thing=tenant.name, why=f"{former.get_act_display()} is under way")
    if error := why_not(tenant, act):
        raise error
    if former is not None:
        _set_aside(actor, former)
    voice_too = plans.has_voice(tenant, act)
    run = Run(
        tenant=tenant,
        act=act,
        sites=plans.parts(tenant, act),
        voice=voice_too,
        by_hand=voice_too and not portal_can(tenant),
        take_over=_conflicts(former) if take_over else [],
        began_by=actor.label,
    )
    run.save()
    _queue(actor, run, dry_run=True)
    return run


def portal_can(tenant: Tenant) -> bool:
    """Whether a worker with PowerShell is there, and access to do it with."""
    usable = Connection.objects.filter(tenant=tenant).first()
    with scope.every("whether PowerShell is there is the same for everybody"):
        return usable is not None and usable.usable and states.powershell_is_there()


def _conflicts(run: Run | None) -> list[list[str]]:
    every = plans.of_json(run.steps) if run is not None else ()
    return [[step.thing.part.value, step.thing.name] for step in voice_plan.blocked(every)]


def _queue(actor: Actor, run: Run, *, dry_run: bool) -> None:
    command = queue.submit(actor, KINDS[Act(run.act)], run.tenant, target=str(run.uid), dry_run=dry_run)
    run.command = command.id
    run.save(update_fields=["command"])


def open_run(tenant: Tenant) -> Run | None:
    found: Run | None = Run.objects.filter(tenant=tenant, state__in=OPEN).select_related("tenant").first()
    return found


@transaction.atomic
def set_aside(actor: Actor, run: Run) -> None:
    """Nobody decides on this plan, or waits for a script any more. Raises Conflict while workers are at it."""
    _turn(run.tenant)
    run = Run.objects.select_related("tenant").get(id=run.id)
    if run.state == RunState.RUNNING or not run.is_open:
        raise Conflict(thing=str(run.get_act_display()), why=f"it is {run.get_state_display().lower()}")
    if run.state == RunState.BY_HAND:
        error = UmpError.of(
            "deploy_stopped", tenant=run.tenant.name, why="nobody waits for the script any more"
        )
        stopped(actor, run, error)
        return
    _set_aside(actor, run)


def _set_aside(actor: Actor, run: Run) -> None:
    """The command's row comes before the run's, as workers have them."""
    for command in _children(run, [run.command]):
        queue.cancel(actor, command)
    run.state, run.ended_at = RunState.SET_ASIDE, timezone.now()
    run.save(update_fields=["state", "ended_at"])


def _children(run: Run, ids: Iterable[int | None]) -> list[Command]:
    wanted = [each for each in ids if each]
    return list(Command.objects.filter(tenant_id=run.tenant_id, id__in=wanted, state__in=OPEN_COMMANDS))


# --- Deciding -------------------------------------------------------------------------------------------------
@transaction.atomic
def decide(actor: Actor, tenant: Tenant, act: Act, plan: str) -> Run:
    """Carry out the plan that was shown under this fingerprint.

    Raises UmpError: deploy_plan_stale when another one was made since, deploy_unfit while something stands in its
    way, voice_conflict while somebody must decide about what is there.
    """
    _turn(tenant)
    run = open_run(tenant)
    if run is None or run.act != act or run.state != RunState.PLANNED or not plan or run.plan != plan:
        raise UmpError.of("deploy_plan_stale", tenant=tenant.name)
    if error := obstacle(run):
        raise error
    run.state, run.decided_at, run.decided_by = RunState.RUNNING, timezone.now(), actor.label
    run.save(update_fields=["state", "decided_at", "decided_by"])
    state = tenant.deploy_state if tenant.deploy_state == DeployState.DEPLOYED else DeployState.UNKNOWN
    Tenant.objects.filter(id=tenant.id).update(deploy_state=state, deploying_since=Now(), deploy_problem=None)
    note(
        actor,
        f"{KINDS[act]}.decided",
        run,
        {name: (None, each) for name, each in plans.figures(run).items() if each},
    )
    _queue(actor, run, dry_run=False)
    return run


def obstacle(run: Run) -> UmpError | None:
    """What keeps a plan from being decided on."""
    name = run.tenant.name
    broken = [each["name"] for each in run.sites if each.get("problem")]
    if broken or run.problem:
        why = f"look at {', '.join(broken[:3])}" if broken else str((run.problem or {}).get("message", ""))
        return UmpError.of("deploy_unfit", tenant=name, why=why.rstrip("."))
    if run.voice and run.read_at is None:
        return UmpError.of("deploy_unfit", tenant=name, why="what is in its Teams was not read yet")
    if blocked := voice_plan.blocked(plans.of_json(run.steps)):
        return conflict(run, blocked)
    return None


def conflict(run: Run, blocked: Sequence[Step]) -> UmpError:
    names = ", ".join(str(step.thing) for step in blocked[:5])
    return UmpError.of("voice_conflict", tenant=run.tenant.name, why=names)


# --- A person's script ----------------------------------------------------------------------------------------
def script(run: Run, *, verify: bool) -> str:
    """The script that does what the plan says, or the one that only reads.

    Raises Conflict while the plan is not whole, UmpError (tenant_not_given).
    """
    name, cloud = run.tenant.name, plans.cloud_of(run.tenant)
    if run.tenant.entra_tenant_id is None:
        raise UmpError.of("tenant_not_given")
    organisation = str(run.tenant.entra_tenant_id)
    if verify:
        return voice_scripts.verify(customer=name, organisation=organisation, cloud=cloud)
    every = plans.of_json(run.steps)
    if run.read_at is None or voice_plan.blocked(every):
        raise Conflict(thing="the script", why="the plan is not whole yet")
    return voice_scripts.ready(every, customer=name, organisation=organisation, cloud=cloud)


@transaction.atomic
def verify(actor: Actor, tenant: Tenant, pasted: str) -> Run:
    """What the Verify script printed: before a decision it completes the plan, after it, it may end the run.

    It is a person's word: nothing becomes the portal's own by it but as made by hand. Raises InvalidInput, Conflict.
    """
    _turn(tenant)
    run = open_run(tenant)
    if run is None or not run.by_hand or run.state not in {RunState.PLANNED, RunState.BY_HAND}:
        raise Conflict(thing=tenant.name, why="nothing waits for a script")
    run = _locked(run)
    found = voice_scripts.verified(pasted, organisation=str(tenant.entra_tenant_id))
    steps = plans.steps(run, found)
    run.read_at = timezone.now()
    if run.state == RunState.PLANNED:
        show(run, steps)
        note(actor, f"{KINDS[Act(run.act)]}.verified", run)
        return run
    agreed, left = plans.of_json(run.steps), voice_plan.writing(steps)
    done = {step.thing for step in voice_plan.writing(agreed)} - {step.thing for step in left}
    known = {ledger.thing_of(row) for row in ledger.of_run(run)}
    ledger.by_hand(run, [s for s in voice_plan.writing(agreed) if s.thing in done and s.thing not in known])
    note(actor, f"{KINDS[Act(run.act)]}.verified", run, {"left to do": (None, len(left))})
    if left or voice_plan.blocked(steps):
        names = ", ".join(str(step.thing) for step in (left or voice_plan.blocked(steps))[:5])
        run.told = f"Not done yet in Teams: {names}."[:500]
        run.save(update_fields=["told", "read_at"])
        return run
    ledger.adopt(run, steps)
    finished(actor, run, plans.left_over(steps))
    return run


def show(run: Run, steps: Iterable[Step]) -> None:
    """The plan is whole, unless somebody set the run aside meanwhile; call it in a transaction."""
    looked_at = Run.objects.filter(id=run.id, state__in=(RunState.LOOKING, RunState.PLANNED))
    if not looked_at.select_for_update(no_key=True).exists():
        return
    run.steps = [voice_plan.to_json(step) for step in steps]
    run.plan, run.state, run.planned_at = plans.digest(run), RunState.PLANNED, timezone.now()
    run.save()


# --- The end of a run -----------------------------------------------------------------------------------------
def finished(actor: Actor, run: Run, left: Sequence[str] = ()) -> str:
    """The run is done; what to say. In a transaction."""
    undone = run.act == Act.UNDO
    name = run.tenant.name
    told = f"{name} is no longer deployed." if undone else f"{name} is deployed."
    if left:
        told = f"{told} What stays in Teams: {'; '.join(left)}."
    run.state, run.told, run.problem, run.ended_at = RunState.DONE, told[:500], None, timezone.now()
    run.save(update_fields=["state", "told", "problem", "ended_at", "read_at"])
    if run.voice:
        m365 = SiteState.NONE if undone else SiteState.DEPLOYED
        Site.objects.filter(tenant_id=run.tenant_id).update(m365_state=m365)
    state = DeployState.READY if undone else DeployState.DEPLOYED
    Tenant.objects.filter(id=run.tenant_id).update(
        deploy_state=state, deploying_since=None, deploy_problem=None
    )
    note(actor, "tenant.undeployed" if undone else "tenant.deployed", run)
    tell(Type.UNDEPLOYED if undone else Type.DEPLOYED, run.tenant_id, {"customer": name, "left": len(left)})
    return told


def stopped(actor: Actor, run: Run, error: UmpError) -> None:
    """The run ends before its time; what was done stays, and is not done twice. In a transaction."""
    problem = dict(error.to_dict())
    run.state, run.problem, run.told, run.ended_at = (
        RunState.FAILED,
        problem,
        error.message[:500],
        timezone.now(),
    )
    run.save(update_fields=["state", "problem", "told", "ended_at"])
    busy = (SiteState.DEPLOYING, SiteState.REMOVING)
    Site.objects.filter(tenant_id=run.tenant_id, m365_state__in=busy).update(m365_state=SiteState.FAILED)
    tenant = Tenant.objects.get(id=run.tenant_id)
    state = tenant.deploy_state if tenant.deploy_state == DeployState.DEPLOYED else DeployState.FAILED
    Tenant.objects.filter(id=tenant.id).update(
        deploy_state=state, deploying_since=None, deploy_problem=problem
    )
    note(actor, f"{KINDS[Act(run.act)]}.stopped", run, {"why": (None, error.code)})
    tell(Type.DEPLOY_FAILED, run.tenant_id, {"customer": tenant.name, "act": run.act, "code": error.code})


@chore
def find_interrupted() -> int:
    """Runs that nobody works on any more although they say so: their command was cancelled, or has failed. How many.

    What they have asked for is taken back.
    """
    with scope.every("runs whose command has ended are looked for"):
        busy = Run.objects.filter(state__in=(RunState.LOOKING, RunState.RUNNING), command__isnull=False)
        rows = list(busy.order_by("id").values_list("id", "tenant_id", "command")[:BATCH])
        ids = [row[2] for row in rows if row[2]]
        alive = set(Command.objects.filter(id__in=ids, state__in=OPEN_COMMANDS).values_list("id", flat=True))
    left = [row for row in rows if row[2] not in alive]
    return sum(_interrupted(run_id, tenant_id) for run_id, tenant_id, _ in left)


def _interrupted(run_id: int, tenant_id: Any) -> bool:
    with scope.one(tenant_id), transaction.atomic():
        run: Run | None = Run.objects.select_related("tenant").filter(id=run_id).first()
        if run is not None:
            _turn(run.tenant)
            run = Run.objects.select_related("tenant").get(id=run_id)
        if run is None or run.state not in {RunState.LOOKING, RunState.RUNNING}:
            return False
        command = Command.objects.filter(id=run.command or 0).first()
        if command is not None and command.state in OPEN_COMMANDS:
            return False
        why = (command.message if command else "") or "its command is gone"
        error = UmpError.of("deploy_stopped", tenant=run.tenant.name, why=why.rstrip("."))
        if run.state == RunState.LOOKING:
            run.state, run.problem, run.ended_at = RunState.FAILED, dict(error.to_dict()), timezone.now()
            run.save(update_fields=["state", "problem", "ended_at"])
        else:
            _take_back(run)
            stopped(SYSTEM, _locked(run), error)
        return True


def _take_back(run: Run) -> None:
    """What the run has asked for would write on after it was stopped. Their rows come before the run's."""
    ids = [part.get(key) for part in run.sites for key in ("numbers", "work")]
    with scope.every("commands on devices are the provider's own"):
        asked = Command.objects.filter(id__in=[each for each in (*ids, run.voice_command) if each])
        queue.take_turn(asked)
        for command in asked.filter(state__in=OPEN_COMMANDS).order_by("id"):
            queue.cancel(SYSTEM, command)


# --- What a site wants in Teams -------------------------------------------------------------------------------
@transaction.atomic
def set_voice(
    actor: Actor, site: Site, *, rules: Sequence[Rule] = (), version: str | None = None, **given: Any
) -> SiteVoice:
    """Keep how the site's voice routing differs from the usual; Deploy writes it.

    Raises InvalidInput; Conflict where it is not of the `version` any more that somebody looked at.
    """
    still_there(Site.objects.filter(id=site.id), "site")  # two at once: one after the other
    row = SiteVoice.objects.filter(site=site).first() or SiteVoice(tenant_id=site.tenant_id, site=site)
    if version is not None and row.version != version:
        raise Conflict("conflict_version", thing=f"the voice routing of {site.name}")
    for field, value in given.items():
        setattr(row, field, value)
    row.rules = [
        {"name": each.name, "pattern": each.pattern, "translation": each.translation} for each in rules
    ]
    try:
        # The gateway is the site's own, and looked at by Deploy.
        plans.of_site(site, row, plans.cloud_of(site.tenant), gateway="unknown.site.example")
    except InvalidInput as error:
        name = str(error.fields["field"])
        raise InvalidInput(field=FIELDS.get(name, "rules"), why=error.fields["why"]) from error
    row.changed_by = actor.label
    row.save()
    record(
        actor,
        "site.voice_changed",
        tenant_id=site.tenant_id,
        object_kind="site",
        object_id=site.uid,
        object_label=site.name,
        changes={"rules of the dial plan": (None, len(row.rules)), "number pattern": (None, row.pattern)},
    )
    return row


def _turn(tenant: Tenant) -> None:
    """Who decides about a customer's runs waits for others who do, until their commit."""
    Tenant.objects.select_for_update(no_key=True).get(id=tenant.id)


def _locked(run: Run) -> Run:
    found: Run = (
        Run.objects.select_for_update(no_key=True, of=("self",)).select_related("tenant").get(id=run.id)
    )
    return found


def note(actor: Actor, action: str, run: Run, changes: Changes | None = None) -> None:
    """An entry of the trail."""
    record(
        actor,
        action,
        tenant_id=run.tenant_id,
        object_kind="deployment",
        object_id=run.uid,
        object_label=run.tenant.name,
        changes=changes,
    )
