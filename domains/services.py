"""Domains of customers: what people ask for. Each act in one transaction with its audit entry and its command.

Others begin here: `begin(actor, tenant)` queues the whole set-up; `domains.selectors.steps_of(tenant)` shows it.
"""

import datetime as dt
import re
import uuid
from collections.abc import Sequence
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils import timezone

from accounts.taken import still_there, take_turn
from audit.services import Changes, record
from core.errors import Conflict, InvalidInput, UmpError
from domains.models import CustomDomain, DnsZone, DomainState
from domains.steps import REMOVING
from nameservers import names, zones
from replication import doorbell, states
from replication import services as queue
from replication.models import OPEN, Command, LaneName
from replication.registry import chore
from tenants import scope, secrets
from tenants.access import SYSTEM, Actor
from tenants.models import SecretKind, Service, Tenant

PROVISION = "provision_domain"
RELEASE = "remove_activation_user"
REMOVE = "remove_domain"
TEST = "test_dns_zone"
MOST = 50
"""Domains of one customer at a time."""
RELEASE_LOOK = dt.timedelta(days=1)
_TRIES = 100
BEGUN = "begun"
"""In `done`: something is being taken away, so nobody can cancel any more."""
ZONE = 0x7A_6F_6E_65  # an advisory lock's number: "zone"
_LABEL = re.compile(r"[a-z0-9_-]{1,63}")


def zone() -> DnsZone | None:
    """The provider's zone, None before somebody enters one."""
    found: DnsZone | None = DnsZone.objects.select_related("secret", "secret__key").first()
    return found


# --- A customer's domain ------------------------------------------------------------------------------------
def why_not(tenant: Tenant) -> str:
    """Nothing, or why this customer gets no domain, in words (SYN-09)."""
    if tenant.service != Service.DIRECT_ROUTING:
        return "domains of their own are for Direct Routing; Operator Connect needs none"
    if not tenant.with_sync:
        return "without Aura Sync nothing is set up in the customer's organisation"
    return ""


def planned_name(tenant: Tenant) -> str:
    """A name for the customer below the provider's zone that nobody has, such as contoso.sbc.provider.example.

    Raises UmpError (dns_zone_missing), InvalidInput when nothing of the customer's name can be part of a host name.
    """
    there = zone()
    if there is None:
        raise UmpError.of("dns_zone_missing")
    label = names.label_of(tenant.name) or names.label_of(tenant.domain.partition(".")[0])
    room = names.LONGEST_AT_MICROSOFT - len(there.name) - 1
    if not label or room < 1:
        raise InvalidInput(field="name", why="none can be made of the customer's name: enter one")
    wishes = [f"{names.numbered(label, number, room)}.{there.name}" for number in range(1, _TRIES)]
    taken = _taken(wishes)
    free = next((wish for wish in wishes if wish not in taken), None)
    if free is None:
        raise InvalidInput(field="name", why="every name like it is taken: enter one")
    return free


def _taken(wishes: Sequence[str]) -> set[str]:
    with scope.every("a domain's name belongs to one customer only"):
        found = CustomDomain.objects.filter(name__in=wishes).exclude(state=DomainState.REMOVED)
        return set(found.values_list("name", flat=True))


@transaction.atomic
def begin(
    actor: Actor,
    tenant: Tenant,
    *,
    name: str = "",
    by_hand: bool | None = None,
    with_user: bool = True,
) -> CustomDomain:
    """Set up a domain for the customer, in the customer's scope; the work is a command, and resumable.

    Without a `name` one is planned. `by_hand` says that a person writes the TXT record; None leaves it to whether the
    portal can write into the zone. Asked again for a name that is being set up, it answers that one.
    Raises InvalidInput naming the field, Conflict when another has the name, UmpError (dns_zone_missing).
    """
    if why := why_not(tenant):
        raise InvalidInput(field="tenant", why=why)
    wanted = names.for_microsoft(name) if name.strip() else planned_name(tenant)
    there = CustomDomain.objects.filter(tenant=tenant).exclude(state=DomainState.REMOVED)
    same: CustomDomain | None = there.filter(name=wanted, state=DomainState.SETTING_UP).first()
    if same is not None:
        return same
    if _taken([wanted]):
        raise Conflict("already_exists", thing="a domain")
    if there.count() >= MOST:
        raise InvalidInput(field="name", why=f"the customer has {MOST} domains already")
    writable = _portal_can_write(wanted)
    if by_hand is False and not writable:
        raise UmpError.of("dns_zone_missing")
    row = CustomDomain(
        tenant=tenant,
        name=wanted,
        by_hand=not writable if by_hand is None else by_hand,
        with_user=with_user,
        set_by=actor.label,
    )
    try:
        with transaction.atomic():
            row.save()
    except IntegrityError as error:  # somebody took the name since it was looked up
        raise Conflict("already_exists", thing="a domain") from error
    note(actor, "domain.begun", row, {"name": (None, wanted)})
    queue.submit(actor, PROVISION, tenant, target=str(row.id))
    return row


def _portal_can_write(name: str) -> bool:
    there = zone()
    return there is not None and there.writable and names.lies_in(name, there.name)


@transaction.atomic
def retry(actor: Actor, row: CustomDomain) -> Command:
    """Go on with the step that stopped, and look at the rights anew. Raises Conflict when there is nothing to do."""
    row = _locked(row)
    if row.state not in {DomainState.SETTING_UP, DomainState.CANCELLED, DomainState.REMOVING}:
        raise Conflict(thing="the domain", why=f"it is {row.get_state_display().lower()}")
    if _open(row).exists():
        raise Conflict(thing="the domain", why="it is being worked on")
    kind = REMOVE if row.state == DomainState.REMOVING else PROVISION
    if kind == PROVISION:
        row.state = DomainState.SETTING_UP
        row.done = {step: when for step, when in row.done.items() if step != "rights"}
    row.step, row.step_since, row.waiting, row.problem = "", None, "", None
    row.save()
    note(actor, "domain.retried", row)
    return queue.submit(actor, kind, row.tenant, target=str(row.id))


@transaction.atomic
def cancel(actor: Actor, row: CustomDomain) -> None:
    """Stop setting it up, or removing it before anything was removed; what was done stays. Raises Conflict.

    A removal that has begun can only be finished.
    """
    row = _stopped(actor, row)
    removing = row.state == DomainState.REMOVING and not begun_removing(row)
    if row.state != DomainState.SETTING_UP and not removing:
        raise Conflict(thing="the domain", why=f"it is {row.get_state_display().lower()}")
    row.state = DomainState.READY if removing and row.ready_at else DomainState.CANCELLED
    row.step, row.step_since, row.waiting = ("", None, "") if removing else (row.step, row.step_since, "")
    row.problem = None
    row.save()
    note(actor, "domain.cancelled", row)


def begun_removing(row: CustomDomain) -> bool:
    """Whether anything was taken away already, or is just being."""
    return BEGUN in row.done or any(step.key in row.done for step in REMOVING)


@transaction.atomic
def look_now(actor: Actor, row: CustomDomain) -> None:
    """Look again now: what waits for its time is due at once."""
    with scope.one(row.tenant_id):
        states.make_due(Q(tenant_id=row.tenant_id, target=str(row.id), kind__in=(PROVISION, REMOVE)))
    note(actor, "domain.looked", row)
    doorbell.ring_after_commit()


@transaction.atomic
def release_user(actor: Actor, row: CustomDomain, *, by_itself: bool = False) -> Command:
    """Remove the activation user, unless the domain still needs it. Raises Conflict when there is none of ours."""
    row = _locked(row)
    if not row.has_user or row.state != DomainState.READY:
        raise Conflict(thing="the domain", why="there is no activation user that the portal made for it")
    if not by_itself:
        note(actor, "domain.user_release_asked", row)
    return queue.submit(actor, RELEASE, row.tenant, target=str(row.id), params={"by_itself": by_itself})


@transaction.atomic
def remove(actor: Actor, row: CustomDomain) -> Command:
    """Take away what the portal made of it: the record, the activation user, the domain. Raises Conflict."""
    row = _stopped(actor, row)
    if row.state in {DomainState.REMOVING, DomainState.REMOVED}:
        raise Conflict(thing="the domain", why=f"it is {row.get_state_display().lower()}")
    row.state, row.step, row.step_since, row.waiting, row.problem = DomainState.REMOVING, "", None, "", None
    row.save()
    note(actor, "domain.removing", row)
    return queue.submit(actor, REMOVE, row.tenant, target=str(row.id))


def _stopped(actor: Actor, row: CustomDomain) -> CustomDomain:
    """The row, locked, once all work on it was told to stop: a worker holds its command's row before the domain's.

    Whoever finds then that it must not be stopped raises, which takes the cancelling back.
    """
    _turn(row)
    for command in _open(row):
        queue.cancel(actor, command)
    return _locked(row)


def _turn(row: CustomDomain) -> None:
    """The lane of all work on domains comes before their rows; until the end nobody queues, begins or ends any."""
    states.lock_lane(states.lane_for(row.tenant_id, LaneName.IDENTITY))


def _locked(row: CustomDomain) -> CustomDomain:
    _turn(row)
    return still_there(CustomDomain.objects.filter(id=row.id).select_related("tenant"), "domain")


def _open(row: CustomDomain) -> Any:
    return Command.objects.filter(tenant_id=row.tenant_id, target=str(row.id), state__in=OPEN)


def note(actor: Actor, action: str, row: CustomDomain, changes: Changes | None = None) -> None:
    """An entry of the trail."""
    record(
        actor,
        action,
        tenant_id=row.tenant_id,
        object_kind="domain",
        object_id=row.id,
        object_label=row.name,
        changes=changes,
    )


@chore
def release_due() -> int:
    """Once a day for each domain with an activation user: is it still needed? How many were asked about."""
    there = DnsZone.objects.filter(release_user=True).exists()
    if not there:
        return 0
    asked = 0
    with scope.every("activation users that are no longer needed are removed"):
        due = CustomDomain.objects.filter(
            state=DomainState.READY, next_look_at__lte=timezone.now(), tenant__deleted_at=None
        )
        ids = list(due.order_by("next_look_at").values_list("id", "tenant_id")[:100])
    for domain_id, tenant_id in ids:
        asked += _release_one(domain_id, tenant_id)
    return asked


def _release_one(domain_id: uuid.UUID, tenant_id: uuid.UUID) -> bool:
    with scope.one(tenant_id), transaction.atomic():
        row = CustomDomain.objects.filter(id=domain_id).first()
        if row is None:
            return False
        if row.has_user:
            release_user(SYSTEM, row, by_itself=True)
        CustomDomain.objects.filter(id=domain_id).update(next_look_at=timezone.now() + RELEASE_LOOK)
        return row.has_user


# --- The provider's zone ------------------------------------------------------------------------------------
@transaction.atomic
def set_zone(
    actor: Actor,
    *,
    name: str,
    server: str = "",
    key_name: str = "",
    algorithm: str = "hmac-sha256",
    secret: str = "",
    lookup_servers: Sequence[str] = (),
    release_user: bool = True,
    version: int | None = None,
) -> DnsZone:
    """Enter or change the zone; an empty `secret` keeps the stored one while server and key keep their names.

    Raises InvalidInput naming the field, Conflict when somebody was faster.
    """
    take_turn(ZONE)  # as long as there is none, nothing can be locked
    row = DnsZone.objects.select_for_update(no_key=True, of=("self",)).select_related(
        "secret"
    ).first() or DnsZone(row_version=0)
    if version is not None and row.row_version != version:
        raise Conflict("conflict_version", thing="the DNS zone")
    values = _cleaned(name, server, key_name, algorithm, lookup_servers, release_user)
    before = {field: getattr(row, field) for field in values} if row.row_version else {}
    # A key that another server could ask us to use would be as good as given away.
    moved = any(before.get(field) != values[field] for field in ("server", "key_name"))
    for field, value in values.items():
        setattr(row, field, value)
    old = row.secret
    if secret:
        row.secret = secrets.store_for_provider(
            SecretKind.DNS_KEY, zones.check_secret(secret, field="secret"), set_by=actor.label
        )
    elif moved:
        row.secret = None
    if values["server"] and row.secret is None:
        raise InvalidInput(field="secret", why="it is needed for this server and key")
    row.tested_at, row.test_problem = None, None
    row.row_version += 1
    row.save()
    if old is not None and old.id != row.secret_id:
        old.delete()
    changes = {key: (before.get(key), value) for key, value in values.items() if before.get(key) != value}
    if secret:
        changes["secret"] = ("(set)" if old else "(not set)", "(set anew)")
    _record_zone(actor, "dns_zone.changed", row, changes)
    return row


def _cleaned(
    name: str, server: str, key_name: str, algorithm: str, lookup_servers: Sequence[str], release_user: bool
) -> dict[str, Any]:
    zone_name = names.checked(name, field="name", longest=names.LONGEST_AT_MICROSOFT - 2)
    server = str(zones.parse_server(server, field="server")) if server.strip() else ""
    key_name = key_name.strip().lower().removesuffix(".")
    if server and not (len(key_name) <= 253 and all(map(_LABEL.fullmatch, key_name.split(".")))):
        raise InvalidInput(
            field="key_name", why="it is the name of the key in the name server's own settings"
        )
    if algorithm not in zones.ALGORITHMS:
        raise InvalidInput(field="algorithm", why=f"it is one of {', '.join(zones.ALGORITHMS)}")
    asked = [str(zones.parse_server(one, field="lookup_servers")) for one in lookup_servers if one.strip()]
    if len(asked) > zones.MOST_SERVERS:
        raise InvalidInput(field="lookup_servers", why=f"{zones.MOST_SERVERS} are enough")
    return {
        "name": zone_name,
        "server": server,
        "key_name": key_name if server else "",
        "algorithm": algorithm,
        "lookup_servers": list(dict.fromkeys(asked)),
        "release_user": release_user,
    }


@transaction.atomic
def try_zone(actor: Actor) -> Command:
    """Have a worker write a record, look it up and remove it. Raises UmpError (dns_zone_missing)."""
    row = zone()
    if row is None or not row.writable:
        raise UmpError.of("dns_zone_missing")
    _record_zone(actor, "dns_zone.tested", row, {})
    with scope.every("a command of the provider as a whole"):
        return queue.submit(actor, TEST, None)


def _record_zone(actor: Actor, action: str, row: DnsZone, changes: Changes) -> None:
    record(
        actor,
        action,
        tenant_id=None,
        object_kind="dns_zone",
        object_id=row.id,
        object_label=row.name,
        changes=changes,
    )
