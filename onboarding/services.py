"""Writes about onboardings. Each acts under the lock of the onboarding's row."""

import uuid
from collections.abc import Mapping
from typing import Any

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from audit.services import record
from authstatus import services as access
from authstatus import shared_app
from core.errors import Conflict, Forbidden, InvalidInput, UmpError
from deployment.selectors import done_since as deployed_since
from domains import services as domains
from domains.selectors import current as current_domain
from events.models import Type as Told
from events.services import tell
from invitations import services as invitations
from invitations.models import Invitation, Stage
from nameservers import names
from onboarding import standing
from onboarding.models import Onboarding, Step, Way
from onboarding.standing import Access
from replication import services as queue
from replication.models import OPEN, Command
from replication.registry import chore
from tenants import scope
from tenants import services as customers
from tenants.abilities import Ability
from tenants.access import SYSTEM, Actor
from tenants.models import Cloud, Connection, DeployState, Plan, Tenant, Verification

DISCOVER = "discover_tenant"
FIRST = ("quick_replication", "sync")
FOLLOWED = 200
"""So many onboardings a round of the sweeper looks at."""


def discover(actor: Actor, domain: str) -> Command:
    """Ask Microsoft whose domain this is; asking twice joins the look-up that waits. Raises InvalidInput."""
    domain = customers.clean_domain(domain)
    with scope.every("a command of the provider as a whole"):
        # The command's key has room for a short name; a long one is named by its digest.
        target = domain if len(domain) <= 100 else uuid.uuid5(uuid.NAMESPACE_DNS, domain).hex
        return queue.submit(actor, DISCOVER, None, target=target, params={"domain": domain})


@transaction.atomic
def start(
    actor: Actor,
    *,
    cloud: Cloud = Cloud.GLOBAL,
    automatic_dns: bool = False,
    dns_name: str = "",
    **customer: Any,
) -> Onboarding:
    """Add the customer and open its onboarding at step 2; `customer` is what tenants.services.add_tenant takes.

    Raises InvalidInput naming the field, also when no licence is left.
    """
    tenant = customers.add_tenant(actor, **customer)
    with scope.one(tenant.id):
        if automatic_dns:
            _check_dns(tenant, dns_name)
        return _open(actor, tenant, cloud=cloud, automatic_dns=automatic_dns, dns_name=dns_name)


@transaction.atomic
def onboard(
    actor: Actor,
    *,
    invitation: Mapping[str, Any] | None = None,
    connection: Mapping[str, Any] | None = None,
    provider_app: bool = False,
    **choices: Any,
) -> Onboarding:
    """The whole wizard at once, for programs: what `start` takes, and one way at most.

    With all that was given it goes on by itself; `finish` is left to whoever asked. Raises as the single steps do.
    """
    if sum((invitation is not None, connection is not None, provider_app)) > 1:
        raise InvalidInput(
            field="invitation", why="give one way at most: invitation, connection or provider_app"
        )
    made = start(actor, **choices)
    with scope.one(made.tenant_id):
        if invitation is not None:
            invite(actor, made.tenant, **invitation)
        elif connection is not None:
            enter_app(actor, made.tenant, cloud=Cloud(made.cloud), **connection)
        elif provider_app:
            use_provider_app(actor, made.tenant)
        made.refresh_from_db(fields=["way", "step_since"])
    return made


def _check_dns(tenant: Tenant, name: str) -> None:
    """As far as can be said before there is access. Raises InvalidInput naming the field."""
    if why := domains.why_not(tenant):
        raise InvalidInput(field="automatic_dns", why=why)
    if name:
        names.for_microsoft(name, field="dns_name")


@transaction.atomic
def start_again(actor: Actor, tenant: Tenant) -> Onboarding:
    """Open another attempt for a customer that is there already. Raises Conflict while one is open."""
    Tenant.objects.select_for_update(no_key=True).get(id=tenant.id)
    former = Onboarding.objects.filter(tenant=tenant).first()
    if former is not None and former.is_open:
        raise Conflict(thing=tenant.name, why="its onboarding is open already")
    return _open(actor, tenant, cloud=Cloud(former.cloud) if former else Cloud.GLOBAL)


def _open(actor: Actor, tenant: Tenant, **values: Any) -> Onboarding:
    made = Onboarding(tenant=tenant, started_by=actor.label, **values)
    made.save()
    made.refresh_from_db()
    made.tenant = tenant
    _record(actor, "onboarding.started", made)
    return made


@transaction.atomic
def change_customer(
    actor: Actor, tenant: Tenant, changes: Mapping[str, object], *, cloud: Cloud, version: int | None = None
) -> Tenant:
    """Step 1, gone back to. Raises InvalidInput, or Conflict when somebody was faster."""
    onboarding = _locked(tenant)
    differing = {name: value for name, value in changes.items() if getattr(tenant, name) != value}
    if differing:
        tenant = customers.edit_tenant(actor, tenant, differing, version=version)
    if onboarding.cloud != cloud:
        onboarding.cloud = cloud
        onboarding.save(update_fields=["cloud"])
    return tenant


# --- Step 2 -------------------------------------------------------------------------------------------------
def why_not(onboarding: Onboarding, way: Way) -> UmpError | None:
    """Why this way is closed to this customer; None when it is open."""
    tenant = onboarding.tenant
    if way == Way.INVITE:
        return None
    if tenant.plan == Plan.ESSENTIALS:
        return UmpError.of("plan_without_app", tenant=tenant.name)
    if way == Way.PROVIDER and onboarding.cloud != Cloud.GLOBAL:
        cloud = onboarding.get_cloud_display()
        return UmpError.of("provider_app_elsewhere", tenant=tenant.name, cloud=cloud)
    if tenant.entra_tenant_id is None:
        return UmpError.of("tenant_not_given")
    return shared_app.obstacle(tenant, None) if way == Way.PROVIDER else None


@transaction.atomic
def invite(actor: Actor, tenant: Tenant, **whom: Any) -> Invitation:
    """Send link to IT administrator. Raises Conflict while an invitation is open."""
    onboarding = _choose(tenant, Way.INVITE)
    made = invitations.invite(actor, tenant, cloud=Cloud(onboarding.cloud), **whom)
    _record(actor, "onboarding.way", onboarding, way=Way.INVITE)
    return made


@transaction.atomic
def enter_app(actor: Actor, tenant: Tenant, **credential: Any) -> Command:
    """Enter an app registration; its check is queued. Raises InvalidInput, or the UmpError of `why_not`."""
    onboarding = _choose(tenant, Way.APP)
    _, command = access.connect(actor, tenant, **credential)
    _record(actor, "onboarding.way", onboarding, way=Way.APP)
    return command


@transaction.atomic
def use_provider_app(actor: Actor, tenant: Tenant) -> Command:
    """Use the provider's app; its check is queued. Raises the UmpError of `why_not` or of authstatus.shared_app."""
    onboarding = _choose(tenant, Way.PROVIDER)
    command = shared_app.use(actor, tenant)
    _record(actor, "onboarding.way", onboarding, way=Way.PROVIDER)
    return command


def _choose(tenant: Tenant, way: Way) -> Onboarding:
    onboarding = _locked(tenant)
    error = why_not(onboarding, way)
    if error is not None:
        raise error
    onboarding.way = way
    onboarding.step_since = timezone.now()
    onboarding.save(update_fields=["way", "step_since"])
    return onboarding


@transaction.atomic
def retry(actor: Actor, tenant: Tenant) -> str:
    """Try the step again, whatever it waits for; what was done, in words.

    Raises Conflict when nothing can be, and Forbidden where what would be done needs an ability that is not there.
    """
    onboarding = _locked(tenant)
    now = standing.of(onboarding)
    if not now.may_retry:
        raise Conflict(thing=f"the onboarding of {tenant.name}", why="nothing in it waits to be tried again")
    said = _again(actor, tenant, now)
    onboarding.step_since = timezone.now()
    onboarding.save(update_fields=["step_since"])
    _record(actor, "onboarding.retried", onboarding)
    return said


def _again(actor: Actor, tenant: Tenant, now: standing.Standing) -> str:
    letter = now.invitation
    checks = now.access in {Access.FAILED, Access.UNCHECKED}
    needs = Ability.VERIFY_CONNECTION if checks else Ability.INVITE
    if not actor.may(needs, tenant.id):
        raise Forbidden(action=needs.words)
    if checks:
        access.check(actor, tenant)
        return "The credentials are being checked."
    assert letter is not None  # noqa: S101  may_retry says so
    if now.access == Access.INVITED:
        send = invitations.resend if letter.stage == Stage.UNDELIVERED else invitations.remind
        send(actor, tenant, letter.pk)
        return f"Another mail is on its way to {letter.email}."
    invitations.invite(
        actor,
        tenant,
        email=letter.email,
        full_name=letter.full_name,
        admin_email=letter.admin_email,
        portal_account=letter.portal_account,
        cloud=Cloud(letter.cloud),
    )
    return f"A new invitation is on its way to {letter.email}."


# --- Step 3 -------------------------------------------------------------------------------------------------
@transaction.atomic
def begin_dns(actor: Actor, tenant: Tenant, **wish: Any) -> None:
    """Begin the customer's domain; takes and raises what domains.services.begin does."""
    onboarding = _locked(tenant)
    row = domains.begin(actor, tenant, **wish)
    onboarding.automatic_dns, onboarding.dns_name, onboarding.problem = True, row.name, None
    onboarding.save(update_fields=["automatic_dns", "dns_name", "problem"])


@transaction.atomic
def finish(actor: Actor, tenant: Tenant) -> Onboarding:
    """The customer is taken on, and replicated if it never was; an open invitation is withdrawn.

    Raises Conflict before access was proven.
    """
    onboarding = _locked(tenant)
    # Customer, invitation, lane, turn of events, as everybody who writes of a customer: so what tells comes last.
    Tenant.objects.select_for_update(no_key=True).get(id=tenant.id)
    needless = _needless(onboarding)
    if not standing.of(onboarding).continues:
        raise Conflict(thing=f"the onboarding of {tenant.name}", why="access was not proven yet")
    onboarding.finished_at, onboarding.ended_by = timezone.now(), actor.label
    onboarding.save(update_fields=["finished_at", "ended_by"])
    customers.note_ready(tenant)
    open_ones = Command.objects.filter(tenant=tenant, kind__in=FIRST, state__in=OPEN)
    if tenant.with_sync and tenant.last_replicated_at is None and not open_ones.exists():
        queue.submit(actor, FIRST[0], tenant)
    _record(actor, "onboarding.finished", onboarding)
    if needless is not None:
        invitations.revoke(actor, tenant, needless.pk)
    tell(Told.ONBOARDED, tenant.id, {"customer": tenant.name}, once=f"onboarding-{onboarding.pk}")
    return onboarding


@transaction.atomic
def cancel(actor: Actor, tenant: Tenant) -> Onboarding:
    """Stop here: an open invitation is withdrawn, the customer stays. Raises Conflict when it has ended."""
    onboarding = _locked(tenant)
    needless = _needless(onboarding)
    onboarding.cancelled_at, onboarding.ended_by = timezone.now(), actor.label
    onboarding.save(update_fields=["cancelled_at", "ended_by"])
    _record(actor, "onboarding.cancelled", onboarding)
    if needless is not None:
        invitations.revoke(actor, tenant, needless.pk)
    return onboarding


def _needless(onboarding: Onboarding) -> Invitation | None:
    """The invitation that is to be withdrawn, locked: nobody needs its links any more.

    One whose sign-in is being proven ends by itself.
    """
    letter = standing.letter_of(onboarding)
    if letter is None:
        return None
    held: Invitation = Invitation.objects.select_for_update(no_key=True).get(id=letter.pk)
    return held if held.is_open and held.stage != Stage.PROVING else None


# --- By itself ----------------------------------------------------------------------------------------------
@chore
def follow() -> int:
    """Onboardings whose access was proven are at step 3, looked at or not, and their DNS begins; how many."""
    with scope.every("onboardings that go on by themselves are looked for"):
        waiting = Onboarding.objects.filter(
            step=Step.CONNECT, finished_at=None, cancelled_at=None, tenant__deleted_at=None
        )
        connected = Connection.objects.filter(verification=Verification.SUCCESSFUL).values("tenant_id")
        proven = waiting.filter(Q(tenant__with_sync=False) | Q(tenant__in=connected))
        ids = list(proven.order_by("step_since").values_list("tenant_id", flat=True)[:FOLLOWED])
    return sum(_follow_one(tenant_id) for tenant_id in ids)


def _follow_one(tenant_id: uuid.UUID) -> bool:
    with scope.one(tenant_id), transaction.atomic():
        onboarding: Onboarding | None = (
            Onboarding.objects.select_for_update(no_key=True, of=("self",), skip_locked=True)
            .select_related("tenant")
            .filter(tenant_id=tenant_id, step=Step.CONNECT, finished_at=None, cancelled_at=None)
            .first()
        )
        if onboarding is None or not standing.of(onboarding).continues:
            return False
        onboarding.step, onboarding.step_since = Step.ROUTE, timezone.now()
        if onboarding.automatic_dns and current_domain(onboarding.tenant) is None:
            onboarding.problem = _begin_dns(onboarding)
        onboarding.save(update_fields=["step", "step_since", "problem"])
        return True


def _begin_dns(onboarding: Onboarding) -> dict[str, Any] | None:
    """The error that kept it from beginning, for people to see; None when it has begun."""
    try:
        with transaction.atomic():
            domains.begin(SYSTEM, onboarding.tenant, name=onboarding.dns_name)
    except UmpError as error:
        return dict(error.to_dict())
    return None


@chore
def finish_deployed() -> int:
    """Step 3 is done when Deploy is: those onboardings are finished, looked at or not; how many (TEN-13)."""
    with scope.every("onboardings whose customer was deployed are looked for"):
        waiting = Onboarding.objects.filter(
            step=Step.ROUTE,
            finished_at=None,
            cancelled_at=None,
            tenant__deleted_at=None,
            tenant__deploy_state=DeployState.DEPLOYED,
        )
        ids = list(waiting.order_by("step_since").values_list("tenant_id", flat=True)[:FOLLOWED])
    return sum(_finish_one(tenant_id) for tenant_id in ids)


def _finish_one(tenant_id: uuid.UUID) -> bool:
    """Unless it was deployed before this attempt began: then a person says when it is finished."""
    with scope.one(tenant_id), transaction.atomic():
        onboarding = Onboarding.objects.select_related("tenant").filter(tenant_id=tenant_id).first()
        if onboarding is None or not deployed_since(onboarding.tenant, onboarding.started_at):
            return False
        try:
            with transaction.atomic():
                finish(SYSTEM, onboarding.tenant)
        except Conflict:  # somebody was faster, or access was lost again
            return False
        return True


def _locked(tenant: Tenant) -> Onboarding:
    """The customer's open onboarding, locked. Raises Conflict when there is none."""
    found: Onboarding | None = (
        Onboarding.objects.select_for_update(no_key=True, of=("self",))
        .select_related("tenant")
        .filter(tenant=tenant, finished_at=None, cancelled_at=None)
        .first()
    )
    if found is None:
        raise Conflict(thing=tenant.name, why="it is not being onboarded")
    return found


def _record(actor: Actor, action: str, onboarding: Onboarding, **changes: object) -> None:
    record(
        actor,
        action,
        tenant_id=onboarding.tenant_id,
        object_kind="onboarding",
        object_id=onboarding.pk,
        object_label=onboarding.tenant.name,
        changes={name: (None, value) for name, value in changes.items()},
    )
