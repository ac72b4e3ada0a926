"""QOE Integration with Microsoft Teams (M36-12): an app that may read call records, stored, sealed and proven.

Nothing in the portal reads call records yet, and the page says so; what is stored here was tried for real.
"""

import datetime as dt
import uuid

from django.db import transaction
from django.utils import timezone

from audit.services import record
from authstatus.models import QoeIntegration
from core.errors import Conflict, InvalidInput, NotFound, Remedy, UmpError
from m365.clouds import CLOUDS
from m365.identity import AppCredential
from replication import services as queue
from replication.context import Again, Context, Done, Outcome
from replication.models import Command, LaneName
from replication.registry import Kind, register
from tenants import lines, scope, secrets
from tenants.abilities import Ability
from tenants.access import Actor
from tenants.credentials import check_client_secret
from tenants.models import Cloud, SecretKind, Tenant, Verification
from tenants.selectors import connection_of

TITLE = "QOE Integration with Microsoft Teams"
VERIFY_QOE = "verify_qoe"
NEEDED = "CallRecords.Read.All"
PROBE = "/communications/callRecords"
BACK = dt.timedelta(hours=1)
"""Records of so long ago are asked for; how many there are does not matter."""


def of_tenant(tenant: Tenant) -> QoeIntegration | None:
    found: QoeIntegration | None = (
        QoeIntegration.objects.filter(tenant=tenant).select_related("secret").first()
    )
    return found


# --- Writes -------------------------------------------------------------------------------------------------
@transaction.atomic
def save(
    actor: Actor, tenant: Tenant, *, application_id: uuid.UUID, password: str = "", version: int | None = None
) -> Command:
    """Save QOE Integration settings, and have them tried. An empty password keeps that of the same application;
    `version` is that of the row the person looked at, 0 where there was none.

    Raises InvalidInput naming the field, `secret_is_guid` for a Secret ID; Conflict when somebody was faster.
    """
    Tenant.objects.select_for_update(no_key=True).get(id=tenant.id)
    stored = of_tenant(tenant)
    if version is not None and version != (stored.row_version if stored else 0):
        raise Conflict("conflict_version", thing="the QOE application")
    before = stored.application_id if stored else None
    if not password and before != application_id:
        raise InvalidInput(field="password", why="this application needs a password of its own")
    row = stored or QoeIntegration(tenant=tenant)
    former = stored.secret if stored and password else None
    if password:
        row.secret = secrets.store(tenant, SecretKind.CLIENT_SECRET, _clean(password), set_by=actor.label)
    row.application_id, row.verification, row.problem = application_id, Verification.NEVER, None
    row.row_version += 1
    row.save()
    if former:
        former.delete()
    _record(
        actor,
        "qoe.set",
        tenant,
        {"Azure Application Id": (before, application_id), "credential replaced": (None, bool(password))},
    )
    return check(actor, tenant)


def check(actor: Actor, tenant: Tenant) -> Command:
    """Have it tried. Raises NotFound where nothing is stored."""
    if of_tenant(tenant) is None:
        raise NotFound(thing="QOE integration")
    return queue.submit(actor, VERIFY_QOE, tenant)


@transaction.atomic
def remove(actor: Actor, tenant: Tenant) -> None:
    """Forget the application and its password. Nothing is changed at Microsoft."""
    Tenant.objects.select_for_update(no_key=True).get(id=tenant.id)  # the password that is there by now goes
    row = of_tenant(tenant)
    if row is None:
        return
    row.delete()
    row.secret.delete()
    _record(actor, "qoe.removed", tenant, {"Azure Application Id": (row.application_id, None)})


def _clean(password: str) -> str:
    try:
        return check_client_secret(password)
    except InvalidInput as error:
        raise InvalidInput(error.code, field="password", why=error.fields.get("why", "")) from error


def _record(actor: Actor, action: str, tenant: Tenant, changes: dict[str, tuple[object, object]]) -> None:
    record(
        actor,
        action,
        tenant_id=tenant.id,
        object_kind="qoe",
        object_id=tenant.id,
        object_label=TITLE,
        changes=changes,
    )


# --- The check ----------------------------------------------------------------------------------------------
class QoeLine(lines.Line):
    """The line of this application; sentences call it by that name."""

    @property
    def app(self) -> str:
        return f"the QOE application of {self.name}"


@register
class VerifyQoe(Kind):
    """A fresh token, the permission in it, and one harmless call that needs it."""

    name = VERIFY_QOE
    title = "Verify QOE integration"
    ability = Ability.VERIFY_CONNECTION
    lane = LaneName.IDENTITY
    max_attempts = 5
    reconcile = "Reads only; a second check simply looks again."

    def run(self, ctx: Context) -> Outcome:
        with scope.one(ctx.customer):
            row: QoeIntegration | None = (
                QoeIntegration.objects.filter(tenant_id=ctx.customer)
                .select_related("tenant", "secret__key")
                .first()
            )
            if row is None:
                return Done("The settings were removed meanwhile.")
        problem, result = None, Verification.NO_TOKEN
        try:
            with scope.one(ctx.customer):
                line = _line(row)
            ctx.report(label="Asking Microsoft for a token", force=True)
            granted = line.token(fresh=True).granted
            result = Verification.FAILED
            _probe(ctx, line, granted)
            result = Verification.SUCCESSFUL
        except UmpError as error:
            if error.remedy == Remedy.LATER:
                raise  # the check failed, not the application
            error.scope = "target"  # it says nothing about the customer's connection
            problem = error
        with ctx.transaction():
            same = QoeIntegration.objects.filter(tenant_id=ctx.customer, row_version=row.row_version)
            if not same.update(
                verification=result,
                verified_at=timezone.now(),
                problem=dict(problem.to_dict()) if problem else None,
            ):
                return Again("The settings were changed meanwhile; the new ones are tried.")
        if problem:
            raise problem
        return Done("Call records can be read.")


def _line(row: QoeIntegration) -> QoeLine:
    """Raises UmpError: tenant_not_given, secret_unreadable, key_unavailable."""
    tenant, stored = row.tenant, connection_of(row.tenant)
    if tenant.entra_tenant_id is None:
        raise UmpError.of("tenant_not_given")
    return QoeLine(
        tenant_id=tenant.id,
        name=tenant.name,
        entra_tenant_id=str(tenant.entra_tenant_id),
        cloud=CLOUDS[stored.cloud if stored else Cloud.GLOBAL],
        credential=AppCredential(str(row.application_id), secrets.open_secret(row.secret)),
    )


def _probe(ctx: Context, line: QoeLine, granted: frozenset[str]) -> None:
    """Raises UmpError, permission_missing above all."""
    if NEEDED not in granted:
        raise UmpError.of("permission_missing", app=line.app, tenant=line.name, permission=NEEDED)
    ctx.report(label="Asking for call records", force=True)
    since = f"{timezone.now() - BACK:%Y-%m-%dT%H:%M:%SZ}"
    line.graph(stop=ctx.stop).get(PROBE, {"$select": "id", "$filter": f"startDateTime ge {since}"})
