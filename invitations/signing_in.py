"""The first way: the administrator signs in at Microsoft in this browser, and a worker redeems what came back.

It is the sign-in of authstatus.delegated, bound to the visit instead of a session, and to the invitation at each
step. Where nobody knew the customer's Azure Tenant Id, what the account gave waits for the provider's word.
"""

import datetime as dt
import uuid
from collections.abc import Mapping

from django.db import transaction
from django.db.models.functions import Now
from django.utils import timezone

from authstatus import delegated
from authstatus.delegated import RedeemCode
from core.errors import Remedy, UmpError
from core.http import session_of_thread
from invitations import visits, ways
from invitations.confirming import forget_found
from invitations.models import Visit, Way
from m365 import permissions
from m365.graph import GraphClient
from m365.identity_delegated import Grant
from replication.context import Context, Done, Outcome
from replication.registry import register
from tenants import lines, scope, secrets
from tenants.access import Actor
from tenants.models import SecretKind, SignInFlow, Tenant

CLAIM = "claim_invitation"
MOST_STARTS = 30
"""So many sign-ins an invitation may begin in an hour."""
ADMINISTRATORS = frozenset(
    {row.role for row in permissions.ROLE_TABLE}
    | {role for names in permissions.VOICE_ROLES for role in names}
    | {"Cloud Application Administrator", "Privileged Role Administrator"}
)
"""One of these makes an account worth asking (M36-24, decision 5); the check then says what is missing."""
MOST_DOMAINS = 50


# --- Out and back -------------------------------------------------------------------------------------------
@transaction.atomic
def begin(visit: Visit, way: Way, cookie: str, *, address: str | None = None) -> str:
    """Where this browser goes to sign in; `way` is REDIRECT or CREATE.

    Raises as `visits.locked` and `ways.check`; rate_limited after too many.
    """
    invitation = visits.note_start(visit, way)
    ways.check(invitation, way)
    actor = visits.actor_of(invitation, address)
    check_pace(visit.tenant, actor)
    at_microsoft, flow = delegated.begin(
        delegated.Browser(actor, cookie),
        visit.tenant,
        login_hint=invitation.admin_email,
        more=ways.TO_CREATE if way == Way.CREATE else (),
        anywhere=True,
    )
    visit.flow = flow
    visit.save(update_fields=["way", "device", "flow", "problem"])
    return at_microsoft


def check_pace(tenant: Tenant, actor: Actor) -> None:
    """Raises UmpError (rate_limited)."""
    since = timezone.now() - dt.timedelta(hours=1)
    if SignInFlow.objects.filter(tenant=tenant, actor_id=actor.id, began_at__gt=since).count() >= MOST_STARTS:
        raise UmpError.of("rate_limited", retry_after=3600)


def is_visitors(state: str) -> bool:
    """Whether this state, which Microsoft sent back, is of a sign-in that a visitor began."""
    with scope.every("the state of a sign-in says whose it is"):
        return delegated.flows_of(state).filter(actor_id__startswith=f"{visits.KIND}:").exists()


@transaction.atomic
def come_back(visit: Visit, cookie: str, query: Mapping[str, str], *, address: str | None) -> UmpError | None:
    """Take what Microsoft sent this browser back with; why nothing was taken. Raises as `visits.locked`."""
    invitation = visits.locked(visit.tenant, visit.invitation_id, visit.cookie_hash)
    browser = delegated.Browser(visits.actor_of(invitation, address), cookie)
    back = delegated.come_back(browser, query, kind=CLAIM)
    if back.problem is not None and back.flow is not None:
        visits.note_refusal(visit, back.problem)
    elif back.flow is not None:
        Visit.objects.filter(id=visit.pk).update(flow=back.flow)  # what its page follows
    return back.problem


# --- Redeemed -----------------------------------------------------------------------------------------------
@register
class Claim(RedeemCode):
    """An invited administrator is back from Microsoft."""

    name = CLAIM
    title = "Claim token by invitation"

    def run(self, ctx: Context) -> Outcome:
        try:
            return super().run(ctx)
        except UmpError as error:
            note_failure(ctx, error)
            raise

    def take(self, ctx: Context, flow: SignInFlow, line: lines.Line, grant: Grant) -> Outcome:
        return accept(ctx, flow, line, grant)


def accept(ctx: Context, flow: SignInFlow, line: lines.Line, grant: Grant) -> Outcome:
    """Keep what the administrator's sign-in gave: for use at once, or until the provider has confirmed.

    Raises as `visits.locked`, and account_not_admin, organisation_unavailable, wrong_tenant.
    """
    with scope.one(ctx.customer):
        tenant: Tenant = Tenant.objects.get(id=ctx.customer)
    number = _number_of(flow)
    _check_administrator(tenant, grant)
    if tenant.entra_tenant_id is None:
        return _find(ctx, flow, line, grant, number)
    if str(tenant.entra_tenant_id) != grant.tid:  # it became known while the person was at Microsoft
        raise UmpError.of("wrong_tenant", tenant=tenant.name)
    with scope.one(ctx.customer), transaction.atomic():
        # The customer, his invitation, the connection: as whoever else writes of an invitation (`finishing`).
        Tenant.objects.select_for_update(no_key=True).get(id=ctx.customer)
        invitation = visits.locked(tenant, number, flow.browser_hash)
        with delegated.keeping(ctx):
            # By the clock that queues the check, and before it: `finishing` asks what came after.
            visits.note_signed_in(invitation, flow.browser_hash)
            invitation.admin_email = grant.account
            forget_found(invitation)
            flow.tenant = tenant
            delegated.keep(ctx, flow, grant)
    return Done(f"{grant.account} signed in. The access is being checked.")


def _check_administrator(tenant: Tenant, grant: Grant) -> None:
    """A token that says which roles there are, and none that helps, is of no use. Raises account_not_admin."""
    names = {permissions.role_name(role) for role in grant.token.wids - permissions.NO_ROLES}
    if grant.token.wids and names.isdisjoint(ADMINISTRATORS):
        raise UmpError.of("account_not_admin", account=grant.account, tenant=tenant.name)


def _find(ctx: Context, flow: SignInFlow, line: lines.Line, grant: Grant, number: int) -> Outcome:
    with scope.every("one organisation at Microsoft belongs to one customer"):
        taken = Tenant.objects.filter(deleted_at=None, entra_tenant_id=grant.tid).exists()
    if taken:
        raise UmpError.of("organisation_unavailable")
    name, domains = _organisation(line, grant)
    with scope.one(ctx.customer), transaction.atomic():
        invitation = visits.locked(flow.tenant, number, flow.browser_hash)
        with ctx.transaction():
            forget_found(invitation)
            invitation.found = secrets.store(
                flow.tenant, SecretKind.TOKEN_CACHE, grant.cache, set_by=visits.actor_of(invitation).label
            )
            invitation.found_tenant_id, invitation.found_account = grant.tid, grant.account
            invitation.found_name, invitation.found_domains = name, domains
            visits.note_signed_in(invitation, flow.browser_hash)
            invitation.save()
            SignInFlow.objects.filter(id=flow.id).update(granted_at=Now())
            delegated.close(flow)
    return Done(
        f"{grant.account} signed in for {name or grant.tid}. The provider has to confirm that it is this customer."
    )


def _organisation(line: lines.Line, grant: Grant) -> tuple[str, list[str]]:
    """What the organisation calls itself, and its verified domains; empty where Microsoft does not tell."""
    session = session_of_thread(lines.outbound_config())
    graph = GraphClient(session, line.cloud, lambda _: grant.token.value)
    try:
        rows = graph.get("/organization?$select=id,displayName,verifiedDomains").get("value") or [{}]
    except UmpError:
        return "", []
    row = rows[0] if isinstance(rows[0], dict) else {}
    domains = [
        str(one.get("name", ""))[:253] for one in row.get("verifiedDomains") or () if isinstance(one, dict)
    ]
    return str(row.get("displayName") or "")[:256], domains[:MOST_DOMAINS]


def note_failure(ctx: Context, error: UmpError) -> None:
    """What a command ended with, told to the visit it was of; what goes away by itself is not worth telling.

    Nor is what became of a visit that was ended: whoever comes by the newer link has nothing to do with it.
    """
    if error.remedy == Remedy.LATER or error.code == "visit_over":
        return
    with ctx.transaction():
        flow = SignInFlow.objects.filter(id=uuid.UUID(ctx.target)).first()
        found = _visit_of(flow) if flow else None
        if found is not None:
            visits.note_refusal(found, error)


def _visit_of(flow: SignInFlow) -> Visit | None:
    """By the browser, as `visits.locked` asks for it: a visit may have begun another sign-in since."""
    found: Visit | None = Visit.objects.filter(
        invitation_id=_number_of(flow), cookie_hash=flow.browser_hash
    ).first()
    return found


def _number_of(flow: SignInFlow) -> int:
    """Whose it is by the actor that began it: a visit may have begun another sign-in since."""
    return int(flow.actor_id.removeprefix(f"{visits.KIND}:"))
