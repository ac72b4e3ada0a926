"""App registrations of customers: moving to the customer's own, renewing its credential, having one made.

For a while there are two ways in (tenants.models.Standby): a candidate until it is proven, and the former one
until its successor is. Whoever stops in between leaves rows from which the next run goes on.
"""

import datetime as dt
import uuid
from collections.abc import Mapping
from typing import Any

from django.db import transaction
from django.db.models.functions import Now
from django.utils import timezone

from accounts.taken import still_there
from authstatus.commands import VERIFY
from authstatus.keys_on_file import RENEWED
from authstatus.trail import record_connection
from core.errors import Conflict, InvalidInput, UmpError
from replication import services as queue
from replication.models import Command
from tenants import provider_app, scope, secrets
from tenants.access import Actor
from tenants.credentials import Given
from tenants.models import (
    AppOwner,
    Cloud,
    Connection,
    Method,
    Plan,
    ProviderApp,
    ProviderSecret,
    Purpose,
    Secret,
    SecretKind,
    SignIn,
    Standby,
    StandbyRole,
    Tenant,
    Verification,
)

MIGRATE = "migrate"
RENEW = "renew_secret"
RENEW_APP = "renew_provider_secret"
RENEW_ALL = "renew_all_secrets"
CREATE = "create_registration"

_SIGN_IN = (
    "cloud", "method", "app_owner", "client_id", "secret_id", "certificate", "account",
    "granted_id", "granted_at", "refreshed_at",
)  # fmt: skip
"""What a connection and a standby have in common."""


def standby_of(tenant_id: uuid.UUID, role: StandbyRole, purpose: Purpose | None = None) -> Standby | None:
    found = Standby.objects.filter(tenant_id=tenant_id, role=role).select_related("secret", "secret__key")
    found = found.filter(purpose=purpose) if purpose else found
    one = found.annotate(read_at=Now()).first()
    if one is not None:
        one.age = one.read_at - one.since
    return one


# --- What people ask for ------------------------------------------------------------------------------------
@transaction.atomic
def migrate(
    actor: Actor,
    tenant: Tenant,
    *,
    cloud: Cloud,
    client_id: uuid.UUID,
    client_secret: str = "",
    certificate: str = "",
    private_key: str = "",
    expires_at: dt.datetime | None = None,
) -> Command:
    """Take the customer over to an app registration of its own; the way in that is used now stays until then.

    Without a credential the one that was entered before is tried again. Raises InvalidInput naming the field,
    Conflict while another change of the credentials is under way.
    """
    _check_quiet(tenant)
    candidate = standby_of(tenant.id, StandbyRole.CANDIDATE)
    given = Given.read(client_secret, certificate, private_key, expires_at)
    if given is not None:
        forget_row(candidate)
        candidate = new_candidate(actor, tenant, Purpose.MIGRATION, given, cloud=cloud, client_id=client_id)
    elif candidate is None:
        raise InvalidInput(field="client_secret", why="a client secret or a certificate is needed")
    else:
        candidate.cloud, candidate.client_id, candidate.problem = cloud, client_id, None
        candidate.save()
    record_connection(actor, "connection.migrating", tenant, {"client_id": (None, client_id)})
    return queue.submit(actor, MIGRATE, tenant)


@transaction.atomic
def create(actor: Actor, tenant: Tenant, *, voice: bool = False) -> Command:
    """Have an app registration made in the customer's tenant through the present way in, and migrate to it.

    `voice` also gives it the directory role that voice features need. Raises as `migrate`.
    """
    _check_quiet(tenant)
    if in_the_way(tenant.id):
        raise Conflict(
            thing="the connection",
            why="a credential waits to be proven: migrate with it, or discard it, first",
        )
    record_connection(actor, "registration.creating", tenant)
    return queue.submit(actor, CREATE, tenant, params={"voice": voice})


@transaction.atomic
def forget_waiting(actor: Actor, tenant: Tenant) -> None:
    """Forget what is kept beside the connection, the old way in or a candidate. Raises Conflict when there is none.

    At Microsoft nothing changes; a secret that the portal had added there goes with the next renewal.
    """
    waiting = list(Standby.objects.select_for_update(no_key=True).filter(tenant=tenant))
    if not waiting:
        raise Conflict(thing="the connection", why="nothing is kept beside it")
    for row in waiting:
        forget_row(row)
    record_connection(
        actor, "connection.standby_forgotten", tenant, {"client_id": (waiting[0].client_id, None)}
    )


@transaction.atomic
def go_back(actor: Actor, tenant: Tenant) -> Command:
    """Use the old way in again; it is checked first, and the data work waits for that. Raises Conflict."""
    _former(tenant)
    return restore(actor, tenant, problem=None)


@transaction.atomic
def renew(actor: Actor, tenant: Tenant, *, run: int | None = None) -> Command:
    """Renew the credential at Microsoft without a gap. Raises InvalidInput or Conflict when it cannot be.

    `run` is the command that renews everybody's; when that is cancelled, those that wait do nothing.
    """
    connection = Connection.objects.filter(tenant=tenant).select_related("secret").first()
    why = why_not_renewable(connection)
    if why:
        raise InvalidInput(field="client_secret", why=why)
    if Standby.objects.filter(tenant=tenant, purpose=Purpose.MIGRATION).exists():
        raise Conflict(thing="the connection", why="a migration is not finished yet")
    return queue.submit(actor, RENEW, tenant, params={"run": run} if run else {})


def why_not_renewable(connection: Connection | None) -> str:
    """Nothing, or why the portal cannot renew this customer's secret, in words."""
    if connection is None:
        return "the customer is not connected yet"
    if connection.app_owner == AppOwner.PROVIDER:
        return "the customer uses the provider's app registration, whose secret is the provider's"
    if connection.method == Method.PASSWORD or connection.secret is None:
        return "there is no client secret or certificate to renew"
    if connection.secret.kind == SecretKind.CERTIFICATE_KEY and _is_over(connection.secret):
        return "its certificate has ended, and Microsoft takes the next one only from who holds a valid one"
    return ""


def why_app_not_renewable(app: ProviderApp) -> str:
    """The same of the provider's own app."""
    if app.client_id is None or app.secret is None:
        return "no app is entered yet"
    if app.home_tenant_id is None:
        return "the Azure Tenant Id of your own organisation, where it is registered, is not given"
    if app.secret.kind == SecretKind.CERTIFICATE_KEY and _is_over(app.secret):
        return "its certificate has ended, and Microsoft takes the next one only from who holds a valid one"
    return ""


def _is_over(secret: Secret | ProviderSecret) -> bool:
    return secret.expires_at is not None and secret.expires_at <= timezone.now()


def renew_app(actor: Actor, *, run: int | None = None) -> Command:
    """Renew the credential of the provider's own app without a gap. Raises InvalidInput when it cannot be."""
    if why := why_app_not_renewable(provider_app.current()):
        raise InvalidInput(field="client_secret", why=why)
    with scope.every("a command of the provider as a whole"):
        return queue.submit(actor, RENEW_APP, None, params={"run": run} if run else {})


def renew_all(actor: Actor) -> Command:
    """Renew every credential that can be: one command a customer, and one for the provider's own app."""
    with scope.every("a command of the provider as a whole"):
        return queue.submit(actor, RENEW_ALL, None)


def renewable() -> list[uuid.UUID]:
    """Customers whose credential the portal may try to renew, in a fixed order. In the scope of every tenant."""
    found = Connection.objects.filter(
        app_owner=AppOwner.CUSTOMER,
        secret__kind__in=RENEWED,
        tenant__deleted_at=None,
        tenant__enabled=True,
    ).exclude(method=Method.PASSWORD)
    return list(found.order_by("tenant_id").values_list("tenant_id", flat=True))


def count_renewable() -> tuple[int, int]:
    """How many customers' credentials could be renewed, and how many connected customers cannot take part."""
    can = len(renewable())
    connected = Connection.objects.filter(tenant__deleted_at=None, tenant__enabled=True).count()
    return can, connected - can


# --- What the commands do, each in a transaction of the caller -----------------------------------------------
def new_candidate(
    actor: Actor, tenant: Tenant, purpose: Purpose, given: Given, *, cloud: Cloud, client_id: uuid.UUID
) -> Standby:
    """Seal a credential that is to be proven."""
    secret = secrets.store(tenant, given.kind, given.value, set_by=actor.label, expires_at=given.expires_at)
    candidate = Standby(
        tenant=tenant,
        role=StandbyRole.CANDIDATE,
        purpose=purpose,
        cloud=cloud,
        method=Method.APP,
        app_owner=AppOwner.CUSTOMER,
        client_id=client_id,
        secret=secret,
        certificate=given.certificate,
        set_by=actor.label,
    )
    candidate.save()
    return candidate


def switch(actor: Actor, candidate: Standby) -> Standby:
    """The candidate becomes the connection; what was used until now is kept as the former one."""
    connection = still_there(Connection.objects.filter(tenant_id=candidate.tenant_id), "connection")
    former = Standby(
        tenant_id=candidate.tenant_id,
        role=StandbyRole.FORMER,
        purpose=candidate.purpose,
        worked=connection.usable,
        set_by=candidate.set_by,
        **_values(connection),
    )
    candidate.delete()
    if former.purpose == Purpose.ROTATION:  # the same way in, with another secret
        former.granted_id = None
        _put(connection, {"secret_id": candidate.secret_id, "certificate": candidate.certificate})
    else:
        _put(connection, _values(candidate))
    former.save()
    record_connection(
        actor,
        f"connection.{'migrated' if former.purpose == Purpose.MIGRATION else 'secret_renewed'}",
        connection.tenant,
        {
            "client_id": (former.client_id, connection.client_id),
            "app": (former.app_owner, connection.app_owner),
        },
    )
    return former


def restore(actor: Actor, tenant: Tenant, *, problem: Mapping[str, object] | None) -> Command:
    """Back to the former way in; the one that failed waits as a candidate, with its fault, for another try."""
    former = _former(tenant)
    connection = still_there(Connection.objects.filter(tenant=tenant), "connection")
    failed = Standby(
        tenant=tenant,
        role=StandbyRole.CANDIDATE,
        purpose=Purpose.MIGRATION,
        problem=problem,
        set_by=former.set_by,
        **_values(connection),
    )
    former.delete()
    failed.save()
    connection.verification, connection.problem = Verification.NEVER, None
    _put(connection, _values(former))
    queue.suspend_for(tenant.id, "connection_unverified")
    record_connection(
        actor, "connection.rolled_back", tenant, {"client_id": (failed.client_id, connection.client_id)}
    )
    return queue.submit(actor, VERIFY, tenant)


def forget_row(standby: Standby | None) -> None:
    """Delete a standby with its secrets."""
    if standby is None:
        return
    old = [one for one in (standby.secret_id, standby.granted_id) if one]
    standby.delete()
    Secret.objects.filter(id__in=old).delete()


def _values(row: SignIn) -> dict[str, Any]:
    return {name: getattr(row, name) for name in _SIGN_IN}


def _put(connection: Connection, values: Mapping[str, Any]) -> None:
    for name, value in values.items():
        setattr(connection, name, value)
    connection.row_version += 1
    connection.save()


def _former(tenant: Tenant) -> Standby:
    found = standby_of(tenant.id, StandbyRole.FORMER, Purpose.MIGRATION)
    if found is None:
        raise Conflict(thing="the migration", why="there is no old way in that is kept")
    return found


def in_the_way(tenant_id: uuid.UUID) -> bool:
    """Whether a migration or a renewal is under way."""
    return Standby.objects.filter(tenant_id=tenant_id).exists()


def _check_quiet(tenant: Tenant) -> None:
    """Raises Conflict when the credentials are being changed already, InvalidInput when they cannot be."""
    if tenant.plan == Plan.ESSENTIALS:
        raise InvalidInput(
            field="plan", why="app registrations exist for Hosted Essentials Plus and Hosted Pro only"
        )
    if not Connection.objects.select_for_update(no_key=True).filter(tenant=tenant).exists():
        raise UmpError.of("connection_missing")
    if Standby.objects.filter(tenant=tenant, purpose=Purpose.ROTATION).exists():
        raise Conflict(thing="the connection", why="the renewal of its credential is not finished yet")
    if Standby.objects.filter(tenant=tenant, role=StandbyRole.FORMER).exists():
        raise Conflict(
            thing="the connection",
            why="the last migration is not proven yet: wait, go back, or forget the old way in first",
        )
