"""What a worker does about app registrations: renew a secret, renew all, and move a customer to its own app.

Nothing here sleeps: where Microsoft needs minutes to spread something, the command goes back to the queue. Where
a run was cut off is read from the rows of Standby and from Microsoft, where everything that the portal made
carries its marker; so a new command finishes what an older one began.
"""

import contextlib
import datetime as dt
import uuid
from collections.abc import Callable, Iterator

from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from accounts import installation
from authstatus import checking, keys_on_file, registrations
from authstatus.commands import VERIFY
from core.errors import LeaseLost, PermissionMissing, Remedy, UmpError
from m365 import permissions
from m365 import registrations as far
from m365.graph import GraphClient
from m365.registrations import Registration
from replication import services as queue
from replication import states
from replication.context import Again, Context, Done, Outcome
from replication.models import FINAL, OPEN, Command, Lane, LaneName, State
from replication.registry import Kind, register
from tenants import lines, scope, services
from tenants.abilities import Ability
from tenants.access import Actor
from tenants.credentials import Given
from tenants.models import (
    Cloud,
    Connection,
    Method,
    Purpose,
    SecretKind,
    Standby,
    StandbyRole,
    Tenant,
    Verification,
)

SETTLE = dt.timedelta(seconds=30)
"""After a cut-off write: what may still be on its way has arrived by then."""
LOOK_AGAIN = dt.timedelta(seconds=20)
LONGEST_POLL = 300
SHORTER_LIVES = (24, 12, 6, 3, 1)
"""Months to ask for where the organisation's rules forbid a longer life (complaint B 8)."""
NOT_IN_FORCE_YET = frozenset({"secret_wrong", "app_not_found", "app_not_installed", "certificate_refused"})
"""What Microsoft answers for minutes about something that it has just made (facts/microsoft.md 7, step 10)."""


def asker(ctx: Context) -> Actor:
    """Whoever queued the command, for the trail."""
    with scope.every("a worker asks who wanted its command"):
        row = Command.objects.get(id=ctx.command_id)
    return Actor(kind=row.actor_kind, id=row.actor_id, label=row.actor_label)


def is_young(candidate: Standby) -> bool:
    """Made so recently that Microsoft may not know it everywhere."""
    age: dt.timedelta = timezone.now() - candidate.since
    return age < dt.timedelta(seconds=settings.SECRET_PROPAGATION_SECONDS)


@register
class RenewSecret(Kind):
    """Add a secret at Microsoft, seal it, wait until it works, prove it, use it, remove the old one."""

    name = registrations.RENEW
    title = "Renew client secret"
    ability = Ability.MANAGE_CONNECTION
    lane = LaneName.IDENTITY
    reconcile = (
        "The candidate and the former secret lie in rows of their own and say how far it is. A secret at Microsoft "
        "with the portal's marker that no row knows was lost on the way, and is removed before another is added."
    )

    def run(self, ctx: Context) -> Outcome:
        if told := ctx.state.get("told"):
            return Done(told, outcome=ctx.state["outcome"])
        with scope.one(ctx.customer):
            former = registrations.standby_of(ctx.customer, StandbyRole.FORMER, Purpose.ROTATION)
            candidate = registrations.standby_of(ctx.customer, StandbyRole.CANDIDATE, Purpose.ROTATION)
        if former is not None:
            return self._remove(ctx, former)
        if candidate is not None:
            return self._prove(ctx, candidate)
        return self._add(ctx)

    # 1. A new secret, sealed at once
    def _add(self, ctx: Context) -> Outcome:
        if _called_off(ctx):
            return Done(
                "Nothing was changed: the renewal of all secrets was cancelled before it came to this one."
            )
        with scope.one(ctx.customer):
            if registrations.in_the_way(ctx.customer):
                return Done("Nothing was changed: a migration is under way.")
            line = lines.open_line(ctx.customer)
        graph = line.graph(read_only=False, stop=ctx.stop)
        ctx.report(label="Adding a client secret", force=True)
        found = own_registration(graph, line)
        with as_owner(line):
            wait = add_secret(ctx, graph, found, self._seal)
        return wait or Again("Microsoft needs a moment until the new secret works everywhere.", LOOK_AGAIN)

    @staticmethod
    def _seal(ctx: Context, new: far.NewSecret) -> None:
        tenant: Tenant = Tenant.objects.get(id=ctx.customer)
        connection: Connection = Connection.objects.get(tenant=tenant)
        seal_candidate(
            asker(ctx), tenant, Purpose.ROTATION, new, Cloud(connection.cloud), connection.client_id
        )

    # 2. A canary with a fresh token; only then is it used
    def _prove(self, ctx: Context, candidate: Standby) -> Outcome:
        with scope.one(ctx.customer):
            line = lines.line_of(Tenant.objects.get(id=ctx.customer), candidate, candidate.cloud)
        ctx.report(label="Proving the new secret", force=True)
        try:
            canary(ctx, line)
        except UmpError as error:
            if error.remedy == Remedy.LATER:
                raise
            if error.code in NOT_IN_FORCE_YET and is_young(candidate):
                return Again("Microsoft does not accept the new secret everywhere yet.", LOOK_AGAIN)
            return self._give_up(ctx, candidate, line, error)
        actor = asker(ctx)
        with ctx.transaction():
            connection: Connection = Connection.objects.select_for_update().get(tenant_id=ctx.customer)
            changed = connection.client_id != candidate.client_id or (
                connection.secret is None or connection.secret.set_at > candidate.since
            )
            if changed:  # somebody entered another one meanwhile: that one counts, ours goes
                candidate.role = StandbyRole.FORMER
                candidate.save()
                ctx.checkpoint(withdrawn=True)
            else:
                registrations.switch(actor, candidate)
        if changed:
            return Again("The credentials were changed meanwhile; the new secret is taken away again.")
        ctx.note("The new secret was proven by a fresh token and is in use.")
        overlap = dt.timedelta(seconds=settings.SECRET_OVERLAP_SECONDS)
        return Again(
            "The new secret is in use. The old one stays a little for what is still under way.", overlap
        )

    @staticmethod
    def _give_up(ctx: Context, candidate: Standby, line: lines.Line, error: UmpError) -> Outcome:
        """It never came into force: away with it; the old secret was not touched."""
        with scope.one(ctx.customer):
            ours = lines.open_line(ctx.customer)
        graph = ours.graph(read_only=False, stop=ctx.stop)
        found = own_registration(graph, ours)
        if candidate.secret is not None and candidate.secret.microsoft_id is not None:
            far.remove_secret(graph, found.object_id, str(candidate.secret.microsoft_id))
        with ctx.transaction():
            registrations.forget_row(candidate)
        raise UmpError.of("secret_not_in_force", app=line.app, detail=error.detail)

    # 3. The old one goes
    def _remove(self, ctx: Context, former: Standby) -> Outcome:
        left = dt.timedelta(seconds=settings.SECRET_OVERLAP_SECONDS) - (timezone.now() - former.since)
        if left > dt.timedelta():
            return Again("The old secret stays a little for what is still under way.", left)
        with scope.one(ctx.customer):
            tenant: Tenant = Tenant.objects.get(id=ctx.customer)
            same = Connection.objects.filter(tenant=tenant, client_id=former.client_id).exists()
            line = lines.open_line(ctx.customer) if same else lines.line_of(tenant, former, former.cloud)
        graph = line.graph(read_only=False, stop=ctx.stop)
        ctx.report(label="Removing the old secret", force=True)
        found = far.by_client_id(graph, str(former.client_id))
        told, outcome = "The client secret was renewed, and the old one removed.", "complete"
        with scope.one(ctx.customer):
            key = keys_on_file.find(former.secret, found) if found and former.secret else None
        if found is not None and key is not None:
            far.remove_secret(graph, found.object_id, key.key_id)
        elif found is not None and former.secret is not None and former.secret.microsoft_id is None:
            told = (
                "The client secret was renewed. The old one could not be told apart from others at Microsoft: the "
                "customer's administrator removes it under Certificates & secrets."
            )
            outcome = "partial"
        if ctx.state.get("withdrawn"):
            told = "The credentials were changed meanwhile, so the new secret was taken away again."
        with ctx.transaction():
            registrations.forget_row(former)
            ctx.checkpoint(told=told, outcome=outcome)
        return Done(told, outcome=outcome)


def own_registration(graph: GraphClient, line: lines.Line) -> Registration:
    """The registration of the app that the line signs in with, if the portal may change it.

    Raises UmpError: registration_not_ours, app_not_found.
    """
    if line.token(fresh=True).granted.isdisjoint(far.CHANGES_OWN):
        raise UmpError.of(
            "registration_not_ours",
            app=line.app,
            permission="Application.ReadWrite.OwnedBy",
            tenant=line.name,
        )
    with as_owner(line):
        found = far.by_client_id(graph, line.credential.client_id)
    if found is None:
        raise UmpError.of("app_not_found", app=line.app, tenant=line.name)
    return found


@contextlib.contextmanager
def as_owner(line: lines.Line) -> Iterator[None]:
    """Who has the permission, and is refused, is no owner of the registration: said in those words."""
    try:
        yield
    except PermissionMissing as error:
        owner = "being an owner of its own registration"
        raise UmpError.of(
            "registration_not_ours", app=line.app, permission=owner, detail=error.detail
        ) from error


def canary(ctx: Context, line: lines.Line) -> None:
    """A fresh token, and a call with it where the app may make any. Raises whatever Microsoft answers."""
    token = line.token(fresh=True)
    feature = permissions.FEATURES["organisation"]
    if not permissions.missing(token.granted, feature.key):
        line.graph(stop=ctx.stop).get(feature.probe)


def add_secret(
    ctx: Context, graph: GraphClient, found: Registration, keep: Callable[[Context, far.NewSecret], None]
) -> Again | None:
    """Add a client secret and have it sealed; an answer is to be returned, for the look comes later.

    What is about to be added is written down first, with the marker in its name. Killed before it was sealed,
    the next run waits until it must have arrived, finds it by that name, and removes it: its value is lost.
    """
    if ctx.state.get("adding") and not ctx.state.get("settled"):
        with ctx.transaction():
            ctx.checkpoint(settled=True)
        return Again("Looking what an interrupted attempt left behind.", SETTLE)
    name = f"{keys_on_file.marker(ctx.customer)} {uuid.uuid4()}"
    with ctx.transaction():
        orphans = keys_on_file.note(ctx.customer, found)
        ctx.checkpoint(adding=name, settled=False)
    for key in orphans:
        far.remove_secret(graph, found.object_id, key.key_id)
        ctx.note("Removed a secret that an interrupted attempt had left at Microsoft.")
    new = _longest_lived(ctx, graph, found, name)
    try:
        with ctx.transaction():
            keep(ctx, new)
            ctx.checkpoint(adding="")
    except UmpError:
        far.remove_secret(graph, found.object_id, str(new.key_id))  # nobody could ever use it
        raise
    ctx.note(f"A new secret was added at Microsoft and sealed; it ends on {new.ends:%d %b %Y}.")
    return None


def seal_candidate(
    actor: Actor, tenant: Tenant, purpose: Purpose, new: far.NewSecret, cloud: Cloud, client_id: uuid.UUID
) -> None:
    """Keep a secret that Microsoft has just made, until it is proven."""
    given = Given(SecretKind.CLIENT_SECRET, new.value, expires_at=new.ends)
    candidate = registrations.new_candidate(actor, tenant, purpose, given, cloud=cloud, client_id=client_id)
    keys_on_file.is_key(candidate.secret, new.key_id, new.ends)


def _longest_lived(ctx: Context, graph: GraphClient, found: Registration, name: str) -> far.NewSecret:
    """The longest life that the organisation's rules allow, up to the setting (decision 3)."""
    wanted: int = installation.get("own_secret_months")
    lives = (wanted, *(months for months in SHORTER_LIVES if months < wanted))
    for months in lives[:-1]:
        try:
            return far.add_secret(graph, found.object_id, name=name, ends=_in_months(months))
        except UmpError as error:
            if error.code != "secret_life_refused":
                raise
            ctx.note(
                f"The organisation's rules do not allow a secret to live {months} months.", level="warning"
            )
    return far.add_secret(graph, found.object_id, name=name, ends=_in_months(lives[-1]))


def _in_months(months: int) -> dt.datetime:
    return timezone.now() + dt.timedelta(days=months * 365 // 12)


def _called_off(ctx: Context) -> bool:
    """Whether the run for everybody that this one belongs to was cancelled."""
    run = ctx.params.get("run")
    if not run:
        return False
    with scope.every("a renewal asks whether the run for everybody goes on"):
        return Command.objects.filter(id=run, state=State.CANCELLED).exists()


@register
class RenewAll(Kind):
    """The bad day: one renewal a customer, in the customers' own lanes, so that they run side by side and fair."""

    name = registrations.RENEW_ALL
    title = "Renew all client secrets"
    ability = Ability.ROTATE_KEYS
    lane = LaneName.PROVIDER
    reconcile = (
        "The checkpoint says after which customer to go on, and is written with the commands it counts; a customer "
        "who was asked twice joins the command that waits, or renews what is new already."
    )

    def run(self, ctx: Context) -> Outcome:
        if not ctx.state.get("all_asked"):
            self._ask(ctx)
            if not ctx.state.get("all_asked"):
                return Again("Queueing the renewals.")
        return self._count(ctx)

    def _ask(self, ctx: Context) -> None:
        with scope.every("secrets of all customers are renewed"):
            ids = [one for one in registrations.renewable() if str(one) > ctx.state.get("after", "")]
        actor = asker(ctx)
        skipped = ctx.state.get("skipped", 0)
        for number, tenant_id in enumerate(ids):
            if ctx.should_yield() and number:
                return
            with scope.every("a renewal is queued for one customer"), transaction.atomic():
                if not states.hold(ctx.command_id, ctx.fence):
                    raise LeaseLost
                try:
                    registrations.renew(actor, Tenant.objects.get(id=tenant_id), run=ctx.command_id)
                except UmpError:
                    skipped += 1
                ctx.checkpoint(after=str(tenant_id), skipped=skipped, asked=ctx.state.get("asked", 0) + 1)
            ctx.report(label="Queueing renewals", done=number + 1, total=len(ids))
        with scope.every("the last renewal was queued"), transaction.atomic():
            ctx.checkpoint(all_asked=True)

    @staticmethod
    def _count(ctx: Context) -> Outcome:
        with scope.every("the renewals of one run are counted"):
            found = list(
                Command.objects.filter(kind=registrations.RENEW, params__run=ctx.command_id).values_list(
                    "state", flat=True
                )
            )
        skipped = int(ctx.state.get("skipped", 0))
        good = found.count(State.SUCCEEDED)
        over = sum(1 for state in found if state in FINAL)
        ctx.report(label="Renewing client secrets", done=over, total=len(found), force=True)
        if over < len(found):
            return Again(f"{over} of {len(found)} are done.", LOOK_AGAIN)
        bad = len(found) - good + skipped
        return Done(
            f"{good} of {len(found) + skipped} client secrets were renewed; {bad} were not."
            if bad
            else f"All {good} client secrets were renewed.",
            outcome="partial" if bad else "complete",
            result={"renewed": good, "not renewed": bad},
        )


@register
class Migrate(Kind):
    """To the customer's own app: prove it, switch, and keep the old way until a replication has gone well."""

    name = registrations.MIGRATE
    title = "Migrate to own app registration"
    ability = Ability.MANAGE_CONNECTION
    lane = LaneName.IDENTITY
    reconcile = (
        "The candidate becomes the connection, and the connection the former one, in one transaction; which of these "
        "rows exist says how far it is. Nothing is written at Microsoft."
    )

    def run(self, ctx: Context) -> Outcome:
        if stored := ctx.state.get("rolled_back"):
            raise UmpError.of("migration_rolled_back", why=stored)
        with scope.one(ctx.customer):
            tenant: Tenant = Tenant.objects.get(id=ctx.customer)
            former = registrations.standby_of(ctx.customer, StandbyRole.FORMER, Purpose.MIGRATION)
            candidate = registrations.standby_of(ctx.customer, StandbyRole.CANDIDATE, Purpose.MIGRATION)
        if former is not None:
            return self._watch(ctx, tenant, former)
        if ctx.state.get("switched"):
            return Done("The migration was brought to its end by a person.")
        if candidate is None:
            return Done("Nothing was changed: the new credential was discarded.")
        return self._prove(ctx, tenant, candidate)

    def _prove(self, ctx: Context, tenant: Tenant, candidate: Standby) -> Outcome:
        ctx.report(label="Examining the new app registration", force=True)
        try:
            with scope.one(ctx.customer):
                line = lines.line_of(tenant, candidate, candidate.cloud)
            self._examine(ctx, line, tenant, candidate)
        except UmpError as error:
            made_here = candidate.secret is not None and candidate.secret.microsoft_id is not None
            if made_here and is_young(candidate) and error.code in NOT_IN_FORCE_YET:
                return Again("Microsoft does not know the new app registration everywhere yet.", LOOK_AGAIN)
            if error.remedy != Remedy.LATER:
                with ctx.transaction():
                    candidate.problem = dict(error.to_dict())
                    candidate.save(update_fields=["problem"])
            raise
        actor = asker(ctx)
        with ctx.transaction():
            former = registrations.switch(actor, candidate)
            services.note_check(ctx.customer, verification=Verification.SUCCESSFUL, problem=None)
            queue.resume_for(ctx.customer)
            queue.submit(actor, "quick_replication", tenant)
            queue.submit(actor, VERIFY, tenant)
            ctx.checkpoint(switched=str(Connection.objects.get(tenant=tenant).secret_id))
        ctx.note(f"The new app registration works and is in use. {_was(former)} is kept until it is proven.")
        return Again("Waiting for the first replication with the new app registration.", LOOK_AGAIN)

    @staticmethod
    def _examine(ctx: Context, line: lines.Line, tenant: Tenant, candidate: Standby) -> None:
        """Everything that the customer's features need, as a check does it. Raises what is wrong."""
        said = checking.examine(line, checking.needs_of(tenant, Method.APP), stop=ctx.stop)
        if said.problem is None:
            return
        age = (timezone.now() - candidate.since).total_seconds()
        if said.waits_for_consent and age < settings.CONSENT_PROPAGATION_SECONDS:
            raise UmpError.of("consent_propagating", permission=said.problem.fields["permission"])
        raise said.problem

    def _watch(self, ctx: Context, tenant: Tenant, former: Standby) -> Outcome:
        """Proven by a replication that went through; refused by whatever holds the customer's data lane."""
        with scope.one(ctx.customer):
            connection: Connection = Connection.objects.get(tenant=tenant)
            fault = _fault(tenant, former)
        replaced = ctx.state.get("switched", str(connection.secret_id)) != str(connection.secret_id)
        proven = tenant.last_replicated_at is not None and tenant.last_replicated_at > former.since
        if proven or replaced:
            with ctx.transaction():
                registrations.forget_row(former)
            return Done(
                f"{_was(former)} was forgotten: the new app registration is proven by a replication."
                if proven
                else "The connection was changed meanwhile; the old way in was forgotten."
            )
        if fault is not None and former.worked:
            return self._roll_back(ctx, tenant, fault)
        polls = int(ctx.state.get("polls", 0))
        with ctx.transaction():
            ctx.checkpoint(polls=polls + 1)
        wait = min(LONGEST_POLL, LOOK_AGAIN.total_seconds() * 2 ** min(polls, 5))
        return Again(
            "Waiting for the first replication with the new app registration.", dt.timedelta(seconds=wait)
        )

    @staticmethod
    def _roll_back(ctx: Context, tenant: Tenant, fault: UmpError) -> Outcome:
        actor = asker(ctx)
        with ctx.transaction():
            registrations.restore(actor, tenant, problem=dict(fault.to_dict()))
            ctx.checkpoint(rolled_back=fault.message)
        raise UmpError.of("migration_rolled_back", why=fault.message, detail=fault.detail)


def _fault(tenant: Tenant, former: Standby) -> UmpError | None:
    """What the connection was refused since the switch, also where Max Access Failures lets it be tried again."""
    refused = Q(error__scope="connection", error__remedy=Remedy.AFTER_FIX.value)
    since = Q(state__in=OPEN) | Q(finished_at__gt=former.since)
    of_data = Command.objects.filter(refused, since, tenant=tenant, lane__name=LaneName.DATA)
    failed: Command | None = of_data.order_by("-id").first()
    if failed is not None and failed.error:
        return UmpError.from_dict(failed.error)
    lane: Lane | None = Lane.objects.filter(tenant=tenant, name=LaneName.DATA).first()
    return UmpError.of(lane.suspended_code) if lane is not None and lane.suspended_code else None


def _was(former: Standby) -> str:
    return f"The old way in ({former.get_method_display()}, {former.get_app_owner_display()})"
