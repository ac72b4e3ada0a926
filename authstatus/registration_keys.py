"""Every secret and certificate on a customer's own registration, and which service uses it (M36-28).

Several services may share one registration, each with a secret of its own: one of them can then be renewed or taken
away, and the others notice nothing. What is on it is kept from the last time Microsoft listed it. The portal never
shows a secret, so another service's is made at Microsoft and entered there; here it is told apart, and removed.
"""

import dataclasses
import datetime as dt
import uuid

from django.db import transaction
from django.utils import timezone

from authstatus import keys_on_file, renewal
from authstatus.models import QoeIntegration, RegistrationKey
from authstatus.trail import record_connection
from core.errors import InvalidInput, NotFound
from m365.registrations import KeyOnFile, Registration
from replication import services as queue
from replication.context import Context, Done, Outcome
from replication.models import Command, LaneName
from replication.registry import Kind, register
from tenants import lines, scope, secrets
from tenants.abilities import Ability
from tenants.access import Actor
from tenants.models import AppOwner, Connection, Secret, SecretKind, Standby, StandbyRole, Tenant

REMOVE = "remove_registration_key"
QOE = "the QOE integration"
MOST = 200
LONGEST_NAME = 60
OURS = {
    "in_use": ("This portal, in use", "ok"),
    StandbyRole.CANDIDATE: ("This portal, being proven", "busy"),
    StandbyRole.FORMER: ("This portal, kept for a while", "neutral"),
    "qoe": ("This portal, QOE integration", "ok"),
    "lost": ("This portal, lost: the next renewal removes it", "warn"),
}
"""Words and tone for those that the portal made or holds."""
MAY_BE = {
    "in_use": "the one that the portal signs in with; renew that first",
    StandbyRole.CANDIDATE: "the one that is being proven; wait until that is over",
    StandbyRole.FORMER: "the one that is kept for a while; wait until that is over",
    "qoe": "the password of the QOE integration; enter another there first",
}
"""What one that cannot be told apart may be, and what to do about it."""


@dataclasses.dataclass(frozen=True)
class Listed:
    """One of them as pages and the API show it."""

    key: RegistrationKey
    ours: str
    """A word of OURS; empty for another service's, or nobody's that is known."""
    removable: bool
    perhaps_ours: bool
    """Not known to be, but one of ours is not known either: the command looks whether this may be it."""

    @property
    def words(self) -> str:
        return OURS[self.ours][0] if self.ours else self.key.service

    @property
    def tone(self) -> str:
        return OURS[self.ours][1] if self.ours else "info"

    @property
    def kind(self) -> str:
        return "Certificate" if self.key.kind == SecretKind.CERTIFICATE_KEY else "Client secret"

    @property
    def ends_tone(self) -> str:
        """Empty while there is plenty of time."""
        ends, now = self.key.expires_at, timezone.now()
        if ends is None or ends > now + dt.timedelta(days=30):
            return ""
        return "bad" if ends <= now else "warn"


def listed(tenant: Tenant) -> list[Listed]:
    """Those of the registration in use, ours first. Empty while Microsoft has not listed any."""
    row: Connection | None = Connection.objects.filter(tenant=tenant).select_related("secret").first()
    if row is None or row.app_owner == AppOwner.PROVIDER:
        return []
    own = _own(row)
    holders = {one.microsoft_id: word for word, one in own.items() if one.microsoft_id is not None}
    unknown = {one.kind for one in own.values() if one.microsoft_id is None}
    mark = f"{keys_on_file.marker(tenant.id)} "
    with_certificate = row.secret is not None and row.secret.kind == SecretKind.CERTIFICATE_KEY
    found = []
    for key in RegistrationKey.objects.filter(tenant=tenant, client_id=row.client_id).order_by(
        "name", "key_id"
    ):
        ours = holders.get(key.key_id, "lost" if key.name.startswith(mark) else "")
        may = (key.kind == SecretKind.CLIENT_SECRET or with_certificate) and ours in {"", "lost"}
        found.append(Listed(key, ours, removable=may, perhaps_ours=may and key.kind in unknown))
    return sorted(found, key=lambda one: not one.ours)


def _own(row: Connection) -> dict[str, Secret]:
    """What lies here for the registration in use, each with a word of OURS; what is in use comes last."""
    found: dict[str, Secret] = {}
    for standby in Standby.objects.filter(tenant_id=row.tenant_id, client_id=row.client_id).select_related(
        "secret__key"
    ):
        if standby.secret is not None:
            found[standby.role] = standby.secret
    qoe = QoeIntegration.objects.filter(tenant_id=row.tenant_id, application_id=row.client_id)
    for integration in qoe.select_related("secret__key"):
        found["qoe"] = integration.secret
    if row.secret is not None:
        found["in_use"] = row.secret
    return found


def shared_with(tenant_id: uuid.UUID, key_id: str, secret: Secret | None) -> str:
    """The other service that uses this very secret too, by what people said or what lies here. In a worker."""
    named = RegistrationKey.objects.filter(tenant_id=tenant_id, key_id=key_id).exclude(service="").first()
    if named is not None:
        return str(named.service)
    qoe = QoeIntegration.objects.filter(tenant_id=tenant_id).select_related("secret__key").first()
    if qoe is None or secret is None or qoe.secret.kind != secret.kind:
        return ""
    return QOE if secrets.open_secret(qoe.secret) == secrets.open_secret(secret) else ""


def remember(tenant_id: uuid.UUID, found: Registration) -> None:
    """Keep what Microsoft lists on the registration now, and what people said of it. In a worker's transaction."""
    row: Connection = Connection.objects.get(tenant_id=tenant_id)
    if row.app_owner == AppOwner.PROVIDER or str(row.client_id) != found.client_id:
        return
    qoe = QoeIntegration.objects.filter(tenant_id=tenant_id).select_related("secret", "secret__key").first()
    if qoe is not None and qoe.application_id == row.client_id:
        key = keys_on_file.find(qoe.secret, found)
        if key is not None:
            keys_on_file.is_key(qoe.secret, uuid.UUID(key.key_id), key.ends)
    rows = [_row(tenant_id, row.client_id, key) for key in found.keys[:MOST]]
    RegistrationKey.objects.filter(tenant_id=tenant_id).exclude(
        key_id__in=[one.key_id for one in rows]
    ).delete()
    RegistrationKey.objects.bulk_create(
        rows,
        update_conflicts=True,
        unique_fields=["tenant", "key_id"],
        update_fields=["client_id", "kind", "name", "expires_at", "seen_at"],
    )


def _row(tenant_id: uuid.UUID, client_id: uuid.UUID, key: KeyOnFile) -> RegistrationKey:
    return RegistrationKey(
        tenant_id=tenant_id,
        client_id=client_id,
        key_id=uuid.UUID(key.key_id),
        kind=SecretKind.CERTIFICATE_KEY if key.is_certificate else SecretKind.CLIENT_SECRET,
        name=key.name.replace("\0", "")[:256],
        expires_at=key.ends,
        seen_at=timezone.now(),
    )


# --- What people ask for ------------------------------------------------------------------------------------
def one(tenant: Tenant, key_id: uuid.UUID) -> Listed:
    """Raises NotFound."""
    for found in listed(tenant):
        if found.key.key_id == key_id:
            return found
    raise NotFound(thing="secret")


@transaction.atomic
def say_service(actor: Actor, tenant: Tenant, key_id: uuid.UUID, service: str) -> Listed:
    """Say which other service uses it; empty: none. A renewal leaves one that another service uses too alone.

    Raises NotFound; InvalidInput for a name that is too long.
    """
    found, service = one(tenant, key_id), " ".join(service.split())
    if len(service) > LONGEST_NAME or not service.isprintable():
        raise InvalidInput(
            field="service", why=f"it has more than {LONGEST_NAME} characters, or unusual ones"
        )
    before, found.key.service, found.key.said_by = found.key.service, service, actor.label
    found.key.save(update_fields=["service", "said_by"])
    record_connection(actor, "registration.key_named", tenant, {"used by": (before, service)})
    return found


@transaction.atomic
def remove(actor: Actor, tenant: Tenant, key_id: uuid.UUID) -> Command:
    """Have it removed at Microsoft. Raises NotFound; InvalidInput for one that the portal uses or cannot remove."""
    found = one(tenant, key_id)
    if found.ours not in {"", "lost"}:
        raise InvalidInput(field="key_id", why="the portal itself uses it; renew it instead")
    if not found.removable:
        why = "the portal can remove a certificate only where it signs in with one itself"
        raise InvalidInput(field="key_id", why=why)
    record_connection(actor, "registration.key_removing", tenant, {"secret": (found.key.name, None)})
    return queue.submit(actor, REMOVE, tenant, target=str(key_id))


@register
class RemoveKey(Kind):
    name = REMOVE
    title = "Remove a secret from the registration"
    ability = Ability.MANAGE_CONNECTION
    lane = LaneName.IDENTITY
    reconcile = "Looks first; one that is gone already counts as removed."

    def run(self, ctx: Context) -> Outcome:
        with scope.one(ctx.customer):
            line = lines.open_line(ctx.customer)
        graph = line.graph(stop=ctx.stop, before_write=ctx.still_ours)
        found = renewal.own_registration(graph, line)
        key = next((each for each in found.keys if each.key_id == ctx.target), None)
        if key is not None:
            with scope.one(ctx.customer):
                _check_not_ours(ctx.customer, key)
            with renewal.as_owner(line):
                renewal.take_away(graph, found, key, line.credential)
        with ctx.transaction():
            remember(ctx.customer, found.without(ctx.target))
        return Done("It was removed at Microsoft." if key else "It was gone at Microsoft already.")


def _check_not_ours(tenant_id: uuid.UUID, key: KeyOnFile) -> None:
    """Raises InvalidInput for one that the portal uses, or that could be it for all that Microsoft shows."""
    if key.key_id in keys_on_file.known(tenant_id):
        raise InvalidInput(field="key_id", why="the portal itself uses it by now; renew it instead")
    row: Connection = Connection.objects.select_related("secret__key").get(tenant_id=tenant_id)
    for word, secret in _own(row).items():
        if keys_on_file.may_be(secret, key):
            raise InvalidInput(field="key_id", why=f"by what Microsoft shows it may be {MAY_BE[word]}")
