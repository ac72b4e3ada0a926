"""Verify credentials: a fresh token, then a harmless probe, then what is missing (complaint B 1).

"Token obtained" is not "consent given": Microsoft hands out tokens to an app without a single permission
(facts/microsoft.md 2.1), so only the permissions in the token and an answered call count.
"""

from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from authstatus import provider_check as provider_check  # noqa: PLC0414  registers its kind
from authstatus.models import Check
from core.errors import Remedy, UmpError
from m365 import permissions
from replication import services as queue
from replication.context import Again, Context, Done, Outcome
from replication.models import LaneName
from replication.registry import Kind, register
from tenants import lines, scope, secrets, services
from tenants.abilities import Ability
from tenants.access import SYSTEM
from tenants.models import Connection, ProviderKey, Tenant, TenantKey, Verification

VERIFY = "verify_credentials"
ROTATE = "rotate_keys"


@register
class VerifyCredentials(Kind):
    name = VERIFY
    title = "Verify credentials"
    ability = Ability.VERIFY_CONNECTION
    lane = LaneName.IDENTITY
    max_attempts = 5
    reconcile = "Reads only; a second check simply looks again."

    def run(self, ctx: Context) -> Outcome:
        with scope.one(ctx.customer):
            line = lines.open_line(ctx.customer)
        ctx.report(label="Asking Microsoft for a token", force=True)
        try:
            granted, organization = self._probe(ctx, line)
        except UmpError as error:
            if error.remedy == Remedy.LATER:
                raise  # the check failed, not the access: nobody is blamed (complaint B 13)
            self._keep(ctx, Verification.FAILED, problem=dict(error.to_dict()))
            raise
        missing = sorted(permissions.missing_for(granted))
        if missing:
            return self._incomplete(ctx, line, granted, missing)
        self._keep(ctx, Verification.SUCCESSFUL, granted=sorted(granted), organization=organization)
        return Done(f"Signed in to {organization}; every permission that is needed is there.")

    def _probe(self, ctx: Context, line: lines.Line) -> tuple[frozenset[str], str]:
        """The permissions in a fresh token, and the tenant's own name; one call for each feature proves it."""
        token = line.token(fresh=True)
        ctx.note("Microsoft issued a token.")
        if permissions.missing_for(token.roles):
            return token.roles, ""
        graph = line.graph(stop=ctx.stop)
        organization = ""
        for key in permissions.DIRECTORY_READ:
            feature = permissions.FEATURES[key]
            ctx.report(label=f"Trying: {feature.title.lower()}", force=True)
            rows: list[dict[str, Any]] = graph.get(feature.probe).get("value") or [{}]
            if key == "organisation":
                organization = self._own_name(rows[0], line)
        return token.roles, organization

    @staticmethod
    def _own_name(row: dict[str, Any], line: lines.Line) -> str:
        """Raises UmpError (wrong_tenant) when the answer is about another tenant than the one we asked."""
        if str(row.get("id", "")).lower() != line.entra_tenant_id.lower():
            raise UmpError.of("wrong_tenant", tenant=line.entra_tenant_id)
        return str(row.get("displayName", ""))[:256]

    def _incomplete(
        self, ctx: Context, line: lines.Line, granted: frozenset[str], missing: list[str]
    ) -> Outcome:
        names = ", ".join(missing)
        error = UmpError.of("permission_missing", permission=names, tenant=line.name, app=line.app)
        with scope.one(ctx.customer):
            connection: Connection = Connection.objects.get(tenant_id=ctx.customer)
        age = timezone.now() - connection.changed_at
        if age.total_seconds() < settings.CONSENT_PROPAGATION_SECONDS:
            raise UmpError.of("consent_propagating", permission=names, tenant=line.name)
        self._keep(
            ctx, Verification.FAILED, problem=dict(error.to_dict()), granted=sorted(granted), missing=missing
        )
        raise error

    def _keep(
        self,
        ctx: Context,
        result: Verification,
        *,
        problem: dict[str, Any] | None = None,
        granted: list[str] | None = None,
        missing: list[str] | None = None,
        organization: str = "",
    ) -> None:
        """The check's row, the connection's state and the lane's suspension change together."""
        with ctx.transaction():
            Check.objects.create(
                tenant_id=ctx.customer,
                result=result,
                problem=problem,
                granted=granted or [],
                missing=missing or [],
                organization=organization,
            )
            services.note_check(ctx.customer, verification=result, problem=problem)
            if result == Verification.SUCCESSFUL:
                freed = queue.resume_for(ctx.customer)
                tenant: Tenant = Tenant.objects.get(id=ctx.customer)
                if tenant.last_replicated_at is None and not freed:
                    queue.submit(SYSTEM, "quick_replication", tenant)
            else:
                queue.suspend_for(ctx.customer, str((problem or {}).get("code", "connection_unverified")))


@register
class RotateKeys(Kind):
    """Put every customer's private key under the current key-encryption key.

    The order of a rotation: a new key on top of the workers' key file, its public half on top of the web's,
    this command, and once its figure is 0 the old line may go.
    """

    name = ROTATE
    title = "Rotate keys"
    ability = Ability.ROTATE_KEYS
    lane = LaneName.PROVIDER
    reconcile = "Looks for keys that are still behind; one that was done is not touched again."

    def run(self, ctx: Context) -> Outcome:
        with transaction.atomic():
            for own in ProviderKey.objects.select_for_update():
                secrets.rewrap(own)
        with scope.every("keys of all customers are put under the new key-encryption key"):
            behind = list(TenantKey.objects.exclude(kek_id=secrets.current_kek_id()).order_by("id"))
        for number, key in enumerate(behind):
            if ctx.should_yield():
                return Again(f"{len(behind) - number} keys are still behind.")
            with scope.one(key.tenant_id), transaction.atomic():
                secrets.rewrap(TenantKey.objects.select_for_update().get(id=key.id))
            ctx.report(label="Re-wrapping keys", done=number + 1, total=len(behind))
        return Done(f"{len(behind)} keys were behind, 0 are now.", result={"rewrapped": len(behind)})
