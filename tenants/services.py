"""Writes about customers. Validate everything, then write everything, then record it; one transaction each."""

import datetime as dt
import re
import uuid
from collections.abc import Mapping

from django.db import connection as database
from django.db import models, transaction
from django.db.models.functions import Now
from django.utils import timezone

from accounts import installation
from audit.services import record
from core.errors import Conflict, InvalidInput, UmpError
from tenants import grants, licences, provider_app, scope, secrets, selectors
from tenants.access import Actor
from tenants.credentials import Given
from tenants.deployment import after_check
from tenants.models import (
    AppOwner,
    Cloud,
    Connection,
    DeployState,
    Method,
    Plan,
    SecretKind,
    Service,
    Tenant,
    Verification,
)
from tenants.people import give_role as give_role  # noqa: PLC0414  callers know it from here

RESTORABLE = dt.timedelta(days=30)
FORBIDDEN_IN_NAMES = re.compile(r"[\x00-\x1f\x7f<>\"\\\u202a-\u202e\u2066-\u2069]")
DOMAIN = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)(\.(?!-)[a-z0-9-]{1,63}(?<!-))+")
EDITABLE = (
    "name",
    "domain",
    "plan",
    "service",
    "licensed_users",
    "enabled",
    "with_sync",
    "cycle_delay",
    "entra_tenant_id",
)


@transaction.atomic
def add_tenant(
    actor: Actor,
    *,
    name: str,
    entra_tenant_id: uuid.UUID | None,
    domain: str = "",
    plan: Plan = Plan.PRO,
    service: Service = Service.DIRECT_ROUTING,
    licensed_users: int = 0,
    with_sync: bool = True,
    deployed: bool = False,
) -> Tenant:
    """A new customer with its key pair. Raises InvalidInput naming the field.

    `deployed` is for customers that come from elsewhere with their voice routing in place.
    """
    values = _cleaned({"name": name, "domain": domain, "licensed_users": licensed_users})
    tenant = Tenant(
        id=uuid.uuid4(),
        entra_tenant_id=entra_tenant_id,
        plan=plan,
        service=service,
        with_sync=with_sync,
        **values,
    )
    _check_sync(tenant)
    if deployed:
        tenant.deploy_state = DeployState.DEPLOYED
    licences.take(customers=1, users=licensed_users)
    with scope.every("names are compared over all customers"):
        _check_free(tenant)
    with scope.one(tenant.id):
        tenant.save(force_insert=True)
        tenant.refresh_from_db()
        secrets.create_key(tenant)
        record(
            actor,
            "tenant.added",
            tenant_id=tenant.id,
            object_kind="tenant",
            object_id=tenant.id,
            object_label=tenant.name,
            changes={field: (None, value) for field, value in values.items()},
        )
    return tenant


@transaction.atomic
def edit_tenant(
    actor: Actor, tenant: Tenant, changes: Mapping[str, object], *, version: int | None = None
) -> Tenant:
    """Change what the mapping names. Raises InvalidInput, or Conflict when somebody was faster.

    `version` is the row_version that the person looked at (If-Match); None takes whatever is there.
    """
    locked = Tenant.objects.select_for_update(no_key=True).get(id=tenant.id)
    if version is not None and locked.row_version != version:
        raise Conflict("conflict_version", thing=locked.name)
    unknown = changes.keys() - set(EDITABLE)
    if unknown:
        raise InvalidInput(field=min(unknown), why="it cannot be changed here")
    cleaned = _cleaned(dict(changes))
    before = {field: getattr(locked, field) for field in cleaned}
    if before.get("entra_tenant_id") != cleaned.get("entra_tenant_id"):
        _move(locked)
    for field, value in cleaned.items():
        setattr(locked, field, value)
    if {"service", "with_sync"} & cleaned.keys():
        _check_sync(locked)
    if "licensed_users" in cleaned:
        licences.take(users=locked.licensed_users - before["licensed_users"])
    if {"name", "entra_tenant_id"} & cleaned.keys():
        with scope.every("names are compared over all customers"):
            _check_free(locked)
    locked.row_version += 1
    locked.save()
    record(
        actor,
        "tenant.edited",
        tenant_id=locked.id,
        object_kind="tenant",
        object_id=locked.id,
        object_label=locked.name,
        changes={field: (before[field], value) for field, value in cleaned.items() if before[field] != value},
    )
    return locked


def _move(tenant: Tenant) -> None:
    """Another Azure Tenant Id is another organisation: what was proven and copied was about the old one."""
    if tenant.last_replicated_at is not None:
        raise InvalidInput(
            field="entra_tenant_id",
            why="users of the other tenant were replicated already; add a customer for the new one instead",
        )
    Connection.objects.filter(tenant=tenant).update(
        verification=Verification.NEVER, problem=None, row_version=models.F("row_version") + 1
    )


@transaction.atomic
def set_connection(
    actor: Actor,
    tenant: Tenant,
    *,
    cloud: Cloud,
    client_id: uuid.UUID,
    client_secret: str = "",
    certificate: str = "",
    private_key: str = "",
    expires_at: dt.datetime | None = None,
) -> Connection:
    """Store how to sign in; the secret is sealed at once and can never be shown again.

    Empty credentials keep the stored ones (write-only fields). The check starts anew: nothing is replicated
    with a credential that was not proven (M36-25). Raises InvalidInput (secret_is_guid for a Secret ID).
    """
    connection = _locked_connection(tenant)
    old = connection.secret
    given = Given.read(client_secret, certificate, private_key, expires_at)
    if given is None and old is None:
        raise InvalidInput(field="client_secret", why="a client secret or a certificate is needed")
    if given is None and old is not None and expires_at and old.kind == SecretKind.CLIENT_SECRET:
        old.expires_at = expires_at  # the same secret, and somebody looked up when it ends
        old.save(update_fields=["expires_at"])
    if given is not None:
        connection.secret = secrets.store(
            tenant, given.kind, given.value, set_by=actor.label, expires_at=given.expires_at
        )
        connection.certificate = given.certificate
    connection.cloud = cloud
    connection.client_id = client_id
    connection.method, connection.app_owner = Method.APP, AppOwner.CUSTOMER
    granted = grants.drop(connection)
    _unproven(connection)
    for gone in (granted, old if given is not None else None):
        if gone is not None:
            gone.delete()
    record(
        actor,
        "connection.set",
        tenant_id=tenant.id,
        object_kind="connection",
        object_id=connection.id,
        object_label=tenant.name,
        changes={
            "client_id": (None, client_id),
            "cloud": (None, cloud),
            "credential replaced": (None, given is not None),
        },
    )
    return connection


@transaction.atomic
def use_provider_app(actor: Actor, tenant: Tenant) -> Connection:
    """Sign in with the provider's app; the customer's own credential, if there was one, is forgotten.

    Raises UmpError: provider_app_missing (MSG-01), or provider_app_elsewhere for a cloud that cannot know the
    provider's app (SYN-19).
    """
    app = provider_app.current()
    connection = _locked_connection(tenant)
    if connection.cloud != Cloud.GLOBAL:
        raise UmpError.of("provider_app_elsewhere", tenant=tenant.name, cloud=connection.get_cloud_display())
    if app.client_id is None or app.secret is None:
        raise UmpError.of("provider_app_missing")
    old, granted = connection.secret, grants.drop(connection)
    connection.method = Method.APP
    connection.app_owner = AppOwner.PROVIDER
    connection.client_id = app.client_id
    connection.secret, connection.certificate = None, ""
    _unproven(connection)
    for gone in (granted, old):
        if gone is not None:
            gone.delete()
    record(
        actor,
        "connection.set",
        tenant_id=tenant.id,
        object_kind="connection",
        object_id=connection.id,
        object_label=tenant.name,
        changes={"client_id": (None, app.client_id), "app": (None, "the provider's")},
    )
    return connection


def _locked_connection(tenant: Tenant) -> Connection:
    if tenant.plan == Plan.ESSENTIALS:
        raise InvalidInput(
            field="plan", why="app registrations exist for Hosted Essentials Plus and Hosted Pro only"
        )
    found = Connection.objects.filter(tenant=tenant).select_for_update(no_key=True).first()
    return found or Connection(tenant=tenant)


def _unproven(connection: Connection) -> None:
    """Whatever changes about a connection has to be proven anew (M36-25)."""
    connection.verification, connection.problem = Verification.NEVER, None
    connection.row_version += 1
    connection.save()


@transaction.atomic(savepoint=False)
def note_check(
    tenant_id: uuid.UUID,
    *,
    verification: Verification,
    problem: Mapping[str, object] | None,
    version: int | None = None,
    began: dt.datetime | None = None,
) -> Tenant | None:
    """Keep what a check of the credentials said, and what it makes of the deploy state.

    `began` is the database's time before anything was asked: what the check was given is no older, however long it
    took. Without it, now.
    None when the connection has another row_version than `version`: then the check was about something else.
    """
    own = Connection.objects.filter(
        tenant_id=tenant_id, **({} if version is None else {"row_version": version})
    )
    kept = own.update(
        verification=verification, problem=problem, verified_at=began or Now(), propagating_until=None
    )
    if version is not None and not kept:
        return None
    tenant: Tenant = Tenant.objects.select_for_update(no_key=True).get(id=tenant_id)
    state = after_check(tenant, succeeded=verification == Verification.SUCCESSFUL)
    if state != tenant.deploy_state:
        tenant.deploy_state = state
        tenant.save(update_fields=["deploy_state"])
    return tenant


def note_ready(tenant: Tenant) -> None:
    """Nothing is asked of a customer that was taken on: from Unknown it becomes Ready (DEP-02)."""
    Tenant.objects.filter(id=tenant.id, deploy_state=DeployState.UNKNOWN).update(
        deploy_state=DeployState.READY
    )


_REPLICATED = """
    UPDATE tenants_tenant SET last_replicated_at = statement_timestamp(), users_count = %s, groups_count = %s,
           next_cycle_at = statement_timestamp() + make_interval(secs => %s) WHERE id = %s
"""
"""As text, because every cycle ends with it."""


def note_replication(tenant_id: uuid.UUID, *, users: int, groups: int) -> None:
    """Keep when the customer was replicated last, and how much there is (REP-15, TEN-21).

    The next cycle counts from here: one that was asked for by hand makes the automatic one needless.
    """
    scope.require()
    with database.cursor() as cursor:
        cursor.execute(_REPLICATED, [users, groups, installation.get("replication_cycle"), tenant_id])


@transaction.atomic
def delete_tenant(actor: Actor, tenant: Tenant, *, typed_name: str) -> None:
    """Take a customer out of service, restorable for 30 days (decision 24). Nothing changes at Microsoft.

    Raises InvalidInput when the typed name is not the customer's.
    """
    if typed_name.strip() != tenant.name:
        raise InvalidInput(field="typed_name", why="type the customer's name exactly as it is shown")
    now = timezone.now()
    Tenant.objects.filter(id=tenant.id).update(
        deleted_at=now, shred_at=now + RESTORABLE, row_version=tenant.row_version + 1
    )
    _record(actor, "tenant.deleted", tenant)


@transaction.atomic
def restore_tenant(actor: Actor, tenant: Tenant) -> None:
    """Bring a deleted customer back; one that is back already stays as it is.

    The shredder locks the same row, and whether the time is over is asked after the lock: nobody comes back without
    a key. Raises InvalidInput when its name, id or licences are taken meanwhile, NotFound (tenant_shredded) once its
    days are over.
    """
    locked = Tenant.objects.select_for_update(no_key=True).filter(id=tenant.id).first()
    if locked is None or selectors.is_over(tenant):
        raise UmpError.of("tenant_shredded", tenant=tenant.name)
    if not locked.deleted_at:
        return
    licences.take(customers=1, users=locked.licensed_users)
    with scope.every("names are compared over all customers"):
        _check_free(locked)
    Tenant.objects.filter(id=locked.id).update(
        deleted_at=None, shred_at=None, row_version=locked.row_version + 1
    )
    _record(actor, "tenant.restored", locked)


def _record(actor: Actor, action: str, tenant: Tenant) -> None:
    record(
        actor,
        action,
        tenant_id=tenant.id,
        object_kind="tenant",
        object_id=tenant.id,
        object_label=tenant.name,
    )


def _cleaned(values: dict[str, object]) -> dict[str, object]:
    """Raises InvalidInput naming the field."""
    if "name" in values:
        values["name"] = clean_name(str(values["name"]))
    if values.get("domain"):
        values["domain"] = clean_domain(str(values["domain"]))
    users = values.get("licensed_users")
    if isinstance(users, int) and not 0 <= users <= 1_000_000:
        raise InvalidInput(field="licensed_users", why="it must be between 0 and 1,000,000")
    delay = values.get("cycle_delay")
    if isinstance(delay, int) and not 0 <= delay <= 86_400:
        raise InvalidInput(field="cycle_delay", why="it must be between 0 seconds and one day (86,400)")
    return values


def check_name(name: str) -> str:
    """The name as it would be stored. Raises InvalidInput when no customer could be called so."""
    name = clean_name(name)
    with scope.every("names are compared over all customers"):
        _check_free(Tenant(name=name))
    return name


def clean_domain(domain: str) -> str:
    """Raises InvalidInput (domain)."""
    domain = domain.strip().lower().rstrip(".")
    if len(domain) > 253 or not DOMAIN.fullmatch(domain):
        raise InvalidInput(field="domain", why="it is not a domain name such as contoso.com")
    return domain


def clean_name(name: str) -> str:
    """In normal form, whether or not it is free. Raises InvalidInput (name)."""
    name = " ".join(name.split(" ")).strip()
    if not 1 <= len(name) <= 120:
        raise InvalidInput(field="name", why="it needs 1 to 120 characters")
    if FORBIDDEN_IN_NAMES.search(name):
        raise InvalidInput(field="name", why='it has a line break, a control character or one of < > " \\')
    return name


def _check_sync(tenant: Tenant) -> None:
    if tenant.service == Service.DIRECT_ROUTING and not tenant.with_sync:
        raise InvalidInput(
            field="with_sync", why="Direct Routing depends on sync; Operator Connect can do without"
        )


def _check_free(tenant: Tenant) -> None:
    """One name and one Microsoft tenant belong to one customer. Called in the scope of every tenant."""
    others = Tenant.objects.filter(deleted_at=None).exclude(id=tenant.id)
    if others.filter(name__iexact=tenant.name).exists():
        raise InvalidInput(field="name", why="there is a customer with this name already")
    if tenant.entra_tenant_id and others.filter(entra_tenant_id=tenant.entra_tenant_id).exists():
        raise InvalidInput(field="entra_tenant_id", why="this Azure Tenant Id is not available")
