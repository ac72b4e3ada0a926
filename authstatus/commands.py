"""Verify credentials: examine what is stored, keep what was found, and let held work go on or hold it."""

import datetime as dt

from django.conf import settings
from django.db.models.functions import Now
from django.utils import timezone

from authstatus import checking, findings, keys_on_file, organization, registration_keys
from authstatus import expiry as expiry  # noqa: PLC0414  registers its chore
from authstatus import provider_check as provider_check  # noqa: PLC0414  registers its kind
from authstatus.models import FindingKind, Result
from authstatus.turn import in_turn
from core.errors import UmpError
from events.models import Type as Told
from events.services import tell
from m365.permissions import Held
from replication import services as queue
from replication import states
from replication.context import Again, Context, Done, Outcome
from replication.models import LaneName
from replication.registry import Kind, register
from tenants import confirming, lines, scope, secrets, services
from tenants.abilities import Ability
from tenants.access import SYSTEM
from tenants.models import Connection, DeployState, Method, ProviderKey, Tenant, TenantKey

VERIFY = "verify_credentials"
ROTATE = "rotate_keys"
PROPAGATION_STEP = dt.timedelta(minutes=1)


@register
class VerifyCredentials(Kind):
    name = VERIFY
    title = "Verify credentials"
    ability = Ability.VERIFY_CONNECTION
    lane = LaneName.IDENTITY
    max_attempts = 5
    reconcile = "Reads only; a second check simply looks again."

    def run(self, ctx: Context) -> Outcome:
        stored, began, line = self._opened(ctx)
        tenant = stored.tenant
        try:
            said = self._examine(ctx, line, checking.needs_of(tenant, Method(stored.method)))
        except UmpError as error:
            self._check_failed(ctx, error)
            raise
        ends = _propagates_until(stored)
        if said.waits_for_consent and timezone.now() < ends:
            return self._propagating(ctx, said, ends)
        if not self._keep(ctx, said, stored, self._organization(ctx, said, line), began):
            return Again("The credentials were changed meanwhile; the new ones are checked.")
        if said.problem:
            raise said.problem
        self._read_ends(ctx, line)
        return Done(_success(said, tenant))

    def _opened(self, ctx: Context) -> tuple[Connection, dt.datetime, lines.Line]:
        """What is stored, when it was read by the database's clock, and the line made from it."""
        with scope.one(ctx.customer):
            found = Connection.objects.select_related("tenant", "secret__key").filter(tenant_id=ctx.customer)
            stored = found.annotate(read_at=Now()).first()
            if stored is None:
                raise UmpError.of("connection_missing")
            try:
                return stored, stored.read_at, lines.line_through(stored)
            except UmpError as error:
                self._check_failed(ctx, error)
                raise

    @staticmethod
    def _examine(ctx: Context, line: lines.Line, needs: checking.Needs) -> checking.Examination:
        return checking.examine(line, needs, stop=ctx.stop, told=lambda label: ctx.report(label=label))

    @staticmethod
    def _organization(ctx: Context, said: checking.Examination, line: lines.Line) -> dict[str, object] | None:
        """For a person to compare, where one is asked before the first replication."""
        if said.problem is not None or not confirming.is_asked():
            return None
        with scope.one(ctx.customer):
            awaited = confirming.awaited(ctx.customer)
        return organization.look(line, ctx.stop) if awaited else None

    @staticmethod
    def _read_ends(ctx: Context, line: lines.Line) -> None:
        """When the app's secret really ends, where Microsoft lets us read it (decision 3); renewed in time."""
        found = keys_on_file.look(line, ctx.stop)
        if found is not None:
            with in_turn(ctx):
                keys_on_file.note(ctx.customer, found)
                registration_keys.remember(ctx.customer, found)
                if keys_on_file.ends_soon(ctx.customer) and keys_on_file.may_change(line):
                    queue.submit(SYSTEM, "renew_secret", Tenant.objects.get(id=ctx.customer))

    @staticmethod
    def _check_failed(ctx: Context, error: UmpError) -> None:
        """Nobody is blamed: verification and findings stay as they are (complaint B 13)."""
        with ctx.transaction():
            if error.code != "interrupted" or states.cancel_wanted(ctx.command_id):
                findings.note(ctx.customer, Result.CHECK_FAILED, dict(error.to_dict()))

    @staticmethod
    def _propagating(ctx: Context, said: checking.Examination, ends: dt.datetime) -> Outcome:
        """Right after a change Microsoft may only be slow (complaint B 2): look again, without an attempt."""
        names = said.problem.fields.get("permission", "") if said.problem else ""
        error = UmpError.of("consent_propagating", permission=names)
        with ctx.transaction():
            findings.note(ctx.customer, Result.PROPAGATING, dict(error.to_dict()))
            Connection.objects.filter(tenant_id=ctx.customer).update(propagating_until=ends)
        wait = min(PROPAGATION_STEP, ends - timezone.now() + dt.timedelta(seconds=1))
        return Again(error.message, wait=max(wait, dt.timedelta(seconds=1)))

    @staticmethod
    def _keep(
        ctx: Context,
        said: checking.Examination,
        stored: Connection,
        found: dict[str, object] | None,
        began: dt.datetime,
    ) -> bool:
        """History, findings, the connection's state and the lane's suspension change together.

        False when somebody changed the connection meanwhile: then this was about another credential.
        """
        with in_turn(ctx):
            problem = dict(said.problem.to_dict()) if said.problem else None
            tenant = services.note_check(
                ctx.customer,
                verification=said.verification,
                problem=problem,
                version=stored.row_version,
                began=began,
            )
            if tenant is None:
                return False
            findings.keep(ctx.customer, said)
            organization.note(ctx.customer, found)
            if said.problem:
                queue.suspend_for(ctx.customer, said.problem.code)
            else:
                freed = queue.resume_for(ctx.customer)
                if tenant.with_sync and tenant.last_replicated_at is None and not freed:
                    queue.submit(SYSTEM, "quick_replication", tenant)
                if tenant.last_replicated_at is None:
                    told = {"method": stored.method}
                    tell(Told.CONNECTED, ctx.customer, told, once=f"tenant-connected-{ctx.customer}")
        return True


def _propagates_until(stored: Connection) -> dt.datetime:
    after = stored.changed_at + dt.timedelta(seconds=settings.CONSENT_PROPAGATION_SECONDS)
    return max(after, stored.propagating_until or after)


def _success(said: checking.Examination, tenant: Tenant) -> str:
    text = f"Signed in to {said.organization}; every permission that is needed is there."
    lacking = said.names(FindingKind.ROLE, Held.MISSING)
    if lacking and tenant.deploy_state == DeployState.DEPLOYED:
        text += f" Voice work lacks a directory role: {', '.join(lacking)}."
    return text


@register
class RotateKeys(Kind):
    """Put every customer's private key, and the provider's own, under the current key-encryption key.

    The order of a rotation: a new key on top of the workers' key file, its public half on top of the web's,
    this command, and once its figure is 0 the old line may go.
    """

    name = ROTATE
    title = "Rotate keys"
    ability = Ability.ROTATE_KEYS
    lane = LaneName.PROVIDER
    reconcile = "Looks for keys that are still behind; one that was done is not touched again."

    def run(self, ctx: Context) -> Outcome:
        with ctx.transaction():
            for own in ProviderKey.objects.select_for_update(no_key=True):
                secrets.rewrap(own)
        with scope.every("keys of all customers are put under the new key-encryption key"):
            behind = list(TenantKey.objects.exclude(kek_id=secrets.current_kek_id()).order_by("id"))
        for number, key in enumerate(behind):
            if ctx.should_yield():
                return Again(f"{len(behind) - number} keys are still behind.")
            with ctx.transaction(), scope.one(key.tenant_id):
                secrets.rewrap(TenantKey.objects.select_for_update(no_key=True).get(id=key.id))
            ctx.report(label="Re-wrapping keys", done=number + 1, total=len(behind))
        return Done(f"{len(behind)} keys were behind, 0 are now.", result={"rewrapped": len(behind)})
