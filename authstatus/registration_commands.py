"""What a worker does about app registrations: renew a credential, renew all, and move a customer to its own app.

How a renewal goes step by step is in `authstatus.renewal`. Nothing here sleeps either.
"""

import contextlib
import datetime as dt
import uuid

from django.conf import settings
from django.db.models import Q, QuerySet

from accounts.taken import still_there
from authstatus import checking, keys_on_file, registration_keys, registrations
from authstatus.commands import VERIFY
from authstatus.provider_check import VERIFY_APP
from authstatus.renewal import LOOK_AGAIN, NOT_IN_FORCE_YET, Holder, Renewal, Waiting, is_young
from authstatus.turn import in_turn
from core.errors import Remedy, UmpError
from m365 import registrations as far
from m365.registrations import KeyOnFile
from replication import holds
from replication import services as queue
from replication.context import Again, Context, Done, Outcome
from replication.models import FINAL, Command, Lane, LaneName, State
from replication.registry import Kind, register
from tenants import lines, provider_app, scope, services
from tenants.abilities import Ability
from tenants.access import Actor
from tenants.credentials import Given
from tenants.models import (
    Cloud,
    Connection,
    Method,
    ProviderStandby,
    Purpose,
    SecretKind,
    Standby,
    StandbyRole,
    Tenant,
    Verification,
)

LONGEST_POLL = 300
QUICK = "quick_replication"
REPLICATIONS = (QUICK, queue.RESYNC)


class _OfCustomer(Holder):
    """A customer's own app registration."""

    life_setting = "own_secret_months"
    by_hand = "the customer's administrator"

    def __init__(self, tenant_id: uuid.UUID) -> None:
        self.tenant_id: uuid.UUID = tenant_id

    def scope(self) -> contextlib.AbstractContextManager[object]:
        return scope.one(self.tenant_id)

    def waiting(self, role: StandbyRole) -> Standby | None:
        return registrations.standby_of(self.tenant_id, role, Purpose.ROTATION)

    def busy(self) -> str:
        return "a migration is under way" if registrations.in_the_way(self.tenant_id) else ""

    def line(self) -> lines.Line:
        return lines.open_line(self.tenant_id)

    def line_of(self, row: Waiting) -> lines.Line:
        row = _standby(row)
        return lines.line_of(self._tenant(), row, row.cloud)

    def uses(self, row: Waiting) -> bool:
        return Connection.objects.filter(tenant_id=self.tenant_id, client_id=row.client_id).exists()

    def keep(self, actor: Actor, given: Given) -> Standby:
        row: Connection = Connection.objects.get(tenant_id=self.tenant_id)
        return registrations.new_candidate(
            actor, self._tenant(), Purpose.ROTATION, given, cloud=Cloud(row.cloud), client_id=row.client_id
        )

    def replaced(self, candidate: Waiting) -> bool:
        row = still_there(Connection.objects.filter(tenant_id=self.tenant_id), "connection")
        if row.client_id != candidate.client_id or row.secret is None:
            return True
        return bool(row.secret.set_at > candidate.since)

    def switch(self, actor: Actor, candidate: Waiting) -> None:
        registrations.switch(actor, _standby(candidate))

    def withdraw(self, candidate: Waiting) -> None:
        Standby.objects.filter(id=_standby(candidate).id).update(role=StandbyRole.FORMER)

    def forget(self, row: Waiting) -> None:
        registrations.forget_row(_standby(row))

    def shared_with(self, former: Waiting, key: KeyOnFile) -> str:
        return registration_keys.shared_with(self.tenant_id, key.key_id, _standby(former).secret)

    def listed(self, found: far.Registration) -> None:
        registration_keys.remember(self.tenant_id, found)

    def _tenant(self) -> Tenant:
        found: Tenant = Tenant.objects.get(id=self.tenant_id)
        return found


def _standby(row: Waiting) -> Standby:
    assert isinstance(row, Standby)  # noqa: S101  a customer's rows are of no other kind
    return row


class _OfProvider(Holder):
    """The provider's own app, which opens the doors of all customers who have none of their own."""

    tenant_id = None
    life_setting = "provider_secret_months"
    by_hand = "an administrator of your own organisation"

    def scope(self) -> contextlib.AbstractContextManager[object]:
        return contextlib.nullcontext()

    def waiting(self, role: StandbyRole) -> ProviderStandby | None:
        return provider_app.standby(role)

    def busy(self) -> str:
        return ""

    def line(self) -> lines.Line:
        return lines.line_home(provider_app.current())

    def line_of(self, row: Waiting) -> lines.Line:
        return lines.line_home(_provider_standby(row))

    def uses(self, row: Waiting) -> bool:
        return provider_app.current().client_id == row.client_id

    def keep(self, actor: Actor, given: Given) -> ProviderStandby:
        return provider_app.keep_candidate(actor, given)

    def replaced(self, candidate: Waiting) -> bool:
        return provider_app.was_replaced(_provider_standby(candidate))

    def switch(self, actor: Actor, candidate: Waiting) -> None:
        provider_app.switch(actor, _provider_standby(candidate))
        queue.submit(actor, VERIFY_APP, None)

    def withdraw(self, candidate: Waiting) -> None:
        ProviderStandby.objects.filter(role=StandbyRole.CANDIDATE).update(role=StandbyRole.FORMER)

    def listed(self, found: far.Registration) -> None:
        """Of the provider's app nothing is listed on a page."""

    def forget(self, row: Waiting) -> None:
        provider_app.forget(_provider_standby(row))

    def refused(self, error: UmpError) -> UmpError:
        if error.code != "registration_not_ours":
            return error
        return UmpError.of(
            "provider_app_not_ours", permission=error.fields["permission"], detail=error.detail
        )


def _provider_standby(row: Waiting) -> ProviderStandby:
    assert isinstance(row, ProviderStandby)  # noqa: S101  the provider's rows are of no other kind
    return row


RECONCILE = (
    "The candidate and the former credential lie in rows of their own and say how far it is. What is at Microsoft "
    "with the portal's marker and no row knows was lost on the way, and is removed before another is added."
)


@register
class RenewSecret(Kind):
    """A customer's own credential: a new one is added, sealed, proven and used, and the old one removed."""

    name = registrations.RENEW
    title = "Renew credential"
    ability = Ability.MANAGE_CONNECTION
    lane = LaneName.IDENTITY
    reconcile = RECONCILE

    def run(self, ctx: Context) -> Outcome:
        return Renewal(ctx, _OfCustomer(ctx.customer)).run()


@register
class RenewProviderSecret(Kind):
    """The same for the provider's own app."""

    name = registrations.RENEW_APP
    title = "Renew the provider's credential"
    ability = Ability.CHANGE_SETTINGS
    lane = LaneName.IDENTITY
    reconcile = RECONCILE

    def run(self, ctx: Context) -> Outcome:
        return Renewal(ctx, _OfProvider()).run()


def seal_candidate(
    actor: Actor, tenant: Tenant, new: far.NewSecret, cloud: Cloud, client_id: uuid.UUID
) -> None:
    """Keep a secret that Microsoft has just made for a migration, until it is proven."""
    given = Given(SecretKind.CLIENT_SECRET, new.value, expires_at=new.ends)
    candidate = registrations.new_candidate(
        actor, tenant, Purpose.MIGRATION, given, cloud=cloud, client_id=client_id
    )
    keys_on_file.is_key(candidate.secret, new.key_id, new.ends)


@register
class RenewAll(Kind):
    """The bad day: the provider's own, and one renewal a customer, in lanes of their own, side by side and fair."""

    name = registrations.RENEW_ALL
    title = "Renew all credentials"
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
        actor = ctx.asker()
        self._ask_own(ctx, actor)
        skipped = ctx.state.get("skipped", 0)
        for number, tenant_id in enumerate(ids):
            if ctx.should_yield() and number:
                return
            with ctx.transaction():
                try:
                    registrations.renew(actor, Tenant.objects.get(id=tenant_id), run=ctx.command_id)
                except UmpError:
                    skipped += 1
                ctx.checkpoint(after=str(tenant_id), skipped=skipped, asked=ctx.state.get("asked", 0) + 1)
            ctx.report(label="Queueing renewals", done=number + 1, total=len(ids))
        with ctx.transaction():
            ctx.checkpoint(all_asked=True)

    @staticmethod
    def _ask_own(ctx: Context, actor: Actor) -> None:
        """The provider's own app first: it may be the one that leaked, and it opens the most doors."""
        if not ctx.state.get("own_asked"):
            with ctx.transaction():
                if not registrations.why_app_not_renewable(provider_app.current()):
                    registrations.renew_app(actor, run=ctx.command_id)
                ctx.checkpoint(own_asked=True)

    @staticmethod
    def _count(ctx: Context) -> Outcome:
        with scope.every("the renewals of one run are counted"):
            found = list(
                Command.objects.filter(
                    kind__in=[registrations.RENEW, registrations.RENEW_APP], params__run=ctx.command_id
                ).values_list("state", flat=True)
            )
        skipped = int(ctx.state.get("skipped", 0))
        good = found.count(State.SUCCEEDED)
        over = sum(1 for state in found if state in FINAL)
        ctx.report(label="Renewing credentials", done=over, total=len(found), force=True)
        if over < len(found):
            return Again(f"{over} of {len(found)} are done.", LOOK_AGAIN)
        bad = len(found) - good + skipped
        return Done(
            f"{good} of {len(found) + skipped} credentials were renewed; {bad} were not."
            if bad
            else f"All {good} credentials were renewed.",
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
        actor = ctx.asker()
        with in_turn(ctx):
            former = registrations.switch(actor, candidate)
            services.note_check(ctx.customer, verification=Verification.SUCCESSFUL, problem=None)
            queue.resume_for(ctx.customer)
            queue.submit(actor, QUICK, tenant)
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
        spreads = dt.timedelta(seconds=settings.CONSENT_PROPAGATION_SECONDS)
        if said.waits_for_consent and candidate.age < spreads:
            raise UmpError.of("consent_propagating", permission=said.problem.fields["permission"])
        raise said.problem

    def _watch(self, ctx: Context, tenant: Tenant, former: Standby) -> Outcome:
        """Proven by a replication that went through; refused by whatever holds the customer's data lane."""
        with scope.one(ctx.customer):
            connection: Connection = Connection.objects.get(tenant=tenant)
            fault, proven = _fault(tenant, former), _is_proven(tenant, former)
        replaced = ctx.state.get("switched", str(connection.secret_id)) != str(connection.secret_id)
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
        actor = ctx.asker()
        with in_turn(ctx):
            registrations.restore(actor, tenant, problem=dict(fault.to_dict()))
            ctx.checkpoint(rolled_back=fault.message)
        raise UmpError.of("migration_rolled_back", why=fault.message, detail=fault.detail)


def _begun(tenant: Tenant, former: Standby) -> QuerySet[Command]:
    """The data work that began after the switch: what began before may have gone on with the old way in."""
    found: QuerySet[Command] = Command.objects.filter(tenant=tenant, lane__name=LaneName.DATA)
    return found.filter(started_at__gt=former.since)


def _is_proven(tenant: Tenant, former: Standby) -> bool:
    """By when the customer was replicated last it could not be told: that one may have begun with the old way in."""
    replications = _begun(tenant, former).filter(kind__in=REPLICATIONS, dry_run=False)
    return bool(replications.filter(state=State.SUCCEEDED).exists())


def _fault(tenant: Tenant, former: Standby) -> UmpError | None:
    """What the connection was refused since the switch, also where Max Access Failures lets it be tried again.

    What began before it counts only where it holds the lane: if it waits for another attempt, the old way in may
    have been refused, and somebody migrated just because of that.
    """
    refused = Q(error__scope="connection", error__remedy=Remedy.AFTER_FIX.value)
    of_data = _begun(tenant, former).filter(refused)
    failed: Command | None = of_data.order_by("-id").first()
    if failed is not None and failed.error:
        return UmpError.from_dict(failed.error)
    lane: Lane | None = Lane.objects.filter(tenant=tenant, name=LaneName.DATA).first()
    return UmpError.of(holds.known(lane.suspended_code)) if lane is not None and lane.suspended_code else None


def _was(former: Standby) -> str:
    return f"The old way in ({former.get_method_display()}, {former.get_app_owner_display()})"
