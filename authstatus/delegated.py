"""Signing in at Microsoft on behalf of a customer: begun here, finished there, redeemed by a worker (decision 13).

The web makes the address and the proof, and can open neither the proof nor the code afterwards: both lie
sealed for workers. What comes back is bound to the customer by a state that is good once, for ten minutes, in
the browser and for the person that began it; never by anything the address says (decision 16).
"""

import contextlib
import dataclasses
import datetime as dt
import hashlib
import json
import secrets as chance
import uuid
from collections.abc import Collection, Iterator, Mapping

from django.conf import settings
from django.db import transaction
from django.db.models import Q, QuerySet
from django.db.models.functions import Now

from accounts import installation
from authstatus.commands import VERIFY
from authstatus.models import Check
from authstatus.trail import record_connection
from authstatus.turn import in_turn
from core.errors import InvalidInput, Remedy, UmpError
from m365 import clouds
from m365.errors import from_oauth
from m365.identity import ORGANIZATIONS
from m365.identity_delegated import Grant, Proof, authorize_url, scopes
from replication import services as queue
from replication.context import Context, Done, Outcome
from replication.models import Command, LaneName
from replication.registry import Kind, chore, register
from tenants import grants, lines, provider_app, scope, secrets
from tenants.abilities import Ability
from tenants.access import Actor, tenant_for
from tenants.models import (
    AppOwner,
    Cloud,
    Connection,
    Method,
    ProviderApp,
    Secret,
    SecretKind,
    SignInFlow,
    Tenant,
    Verification,
)

REDEEM = "redeem_code"
LIFE = dt.timedelta(minutes=10)
"""As long as Microsoft's own code lives (facts/microsoft.md 2.2)."""
KEPT = dt.timedelta(hours=1)
BATCH = 500
GRAPH = f"{clouds.CLOUDS[Cloud.GLOBAL].graph_root}/"
MENDED = frozenset(
    {"account_personal", "account_foreign", "consent_missing", "consent_declined", "consent_needs_admin",
     "external_check_required", "permission_missing", "wrong_tenant"}
)  # fmt: skip
LONGEST_CODE = 8_000
LONGEST_PASSWORD = 256


@dataclasses.dataclass(frozen=True)
class Browser:
    """Whoever sits before it, and the session in it."""

    actor: Actor
    session: str = dataclasses.field(repr=False)

    @property
    def hash(self) -> str:
        return _hash(self.session)


@dataclasses.dataclass(frozen=True)
class Back:
    """What became of a person whom Microsoft sent back: a command to follow, or why nothing was taken."""

    tenant: Tenant | None = None
    flow: SignInFlow | None = None
    problem: UmpError | None = None


# --- Out ----------------------------------------------------------------------------------------------------
@transaction.atomic
def begin(
    browser: Browser,
    tenant: Tenant,
    *,
    login_hint: str = "",
    more: Collection[str] = (),
    anywhere: bool = False,
) -> tuple[str, SignInFlow]:
    """Where the browser goes to sign in at Microsoft for this customer, and what remembers it.

    `more` names Graph permissions to ask for beside the usual ones. `anywhere`: people of any organisation may
    sign in for a customer whose Azure Tenant Id is unknown. Raises UmpError: tenant_not_given, provider_app_missing.
    """
    flow, actor = flow_for(tenant, anywhere=anywhere), browser.actor
    proof, state = Proof.new(demanded(tenant)), chance.token_urlsafe(32)
    flow.proof = secrets.store(
        tenant, SecretKind.SIGN_IN, json.dumps(dataclasses.astuple(proof)), set_by=actor.label
    )
    flow.state_hash, flow.browser_hash, flow.actor_id = _hash(state), browser.hash, actor.id
    flow.save(force_insert=True)
    record_connection(actor, "connection.sign_in_begun", tenant)
    address = authorize_url(
        clouds.CLOUDS[flow.cloud],
        str(tenant.entra_tenant_id or ORGANIZATIONS),
        str(flow.client_id),
        redirect_uri=flow.redirect_uri,
        state=state,
        proof=proof,
        login_hint=login_hint,
        more=more,
    )
    return clouds.browser_address(address, settings.M365_GATEWAY_URL), flow


def demanded(tenant: Tenant) -> str:
    """The claims that Microsoft wants of this customer's next sign-in; empty for none."""
    found = Connection.objects.filter(tenant=tenant).values_list("claims", flat=True).first()
    return str(found or "")


def way_back(tenant: Tenant) -> str:
    """Where Microsoft will send the person back to: the browser has to be on that host. Raises as `begin`."""
    return flow_for(tenant).redirect_uri


def mends(row: Connection) -> bool:
    """Whether the trouble that the last check found goes away when the account signs in once more."""
    code = str((row.problem or {}).get("code", ""))
    return row.method != Method.APP and (code.startswith(("signin_", "mfa_", "password_")) or code in MENDED)


def asked_for() -> list[str]:
    """Names of the Graph permissions that a sign-in asks for."""
    return [name.rpartition("/")[2] for name in scopes(clouds.CLOUDS[Cloud.GLOBAL]) if GRAPH in name]


def flow_for(tenant: Tenant, *, anywhere: bool = False) -> SignInFlow:
    """By the app registration in use, or the provider's for who has none; not saved. Raises as `begin`."""
    if tenant.entra_tenant_id is None and not anywhere:
        raise UmpError.of("tenant_not_given")
    row: Connection | None = Connection.objects.filter(tenant=tenant).first()
    if row is not None and row.app_owner == AppOwner.CUSTOMER:
        return SignInFlow(
            tenant=tenant,
            cloud=row.cloud,
            app_owner=AppOwner.CUSTOMER,
            client_id=row.client_id,
            redirect_uri=provider_app.default_redirect_uri(),
        )
    app = provider_app.current()
    if app.client_id is None or app.secret is None:
        raise UmpError.of("provider_app_missing")
    return SignInFlow(
        tenant=tenant,
        cloud=row.cloud if row else Cloud.GLOBAL,
        app_owner=AppOwner.PROVIDER,
        client_id=app.client_id,
        redirect_uri=app.redirect_uri or provider_app.default_redirect_uri(),
    )


@chore
def forget_old() -> int:
    """Sign-ins that nobody finished leave nothing behind; how many."""
    with scope.every("the sweeper forgets old sign-ins"):
        old = list(SignInFlow.objects.filter(began_at__lt=Now() - KEPT).order_by("began_at")[:BATCH])
        sealed = [one for flow in old for one in (flow.proof_id, flow.code_id) if one]
        SignInFlow.objects.filter(id__in=[flow.id for flow in old]).delete()
        Secret.objects.filter(id__in=sealed).delete()
    return len(old)


# --- Back ---------------------------------------------------------------------------------------------------
def come_back(browser: Browser, query: Mapping[str, str], *, kind: str = REDEEM) -> Back:
    """Take what Microsoft sent a person back with. An error is looked at before anything else is believed.

    `kind` is the command that redeems the code.
    """
    flow = _take(browser, query.get("state", ""))
    if isinstance(flow, UmpError):
        return Back(problem=flow)
    tenant = tenant_for(browser.actor, flow.tenant_id, needs=Ability.MANAGE_CONNECTION)
    if query.get("error"):
        problem = from_oauth(
            {name: query.get(name, "") for name in ("error", "error_description")}, 400, tenant=tenant.name
        )
    elif not 0 < len(query.get("code", "")) <= LONGEST_CODE:
        problem = UmpError.of("signin_restart")
    else:
        _queue(browser.actor, tenant, flow, query["code"], kind)
        return Back(tenant, flow)
    with transaction.atomic():
        close(flow)
        changes = {"reason": (None, problem.message)}
        record_connection(browser.actor, "connection.sign_in_refused", tenant, changes)
    return Back(tenant, flow, problem)


def flows_of(state: str) -> QuerySet[SignInFlow]:
    """The sign-in of this state, if there is one."""
    return SignInFlow.objects.filter(state_hash=_hash(state))


def _take(browser: Browser, state: str) -> SignInFlow | UmpError:
    """The flow of this state, used up by this very call; or why it may not be used."""
    mine = Q(browser_hash=browser.hash, actor_id=browser.actor.id)
    living = Q(used_at=None, began_at__gt=Now() - LIFE)
    with scope.every("the state of a sign-in says for which customer it is"):
        found = flows_of(state)
        if not found.filter(mine).exists():
            return UmpError.of("signin_foreign" if found.exists() else "signin_restart")
        if not found.filter(mine, living).update(used_at=Now()):
            return UmpError.of("signin_restart")
        flow: SignInFlow = found.get()
        return flow


@transaction.atomic
def _queue(actor: Actor, tenant: Tenant, flow: SignInFlow, code: str, kind: str) -> None:
    flow.code = secrets.store(tenant, SecretKind.SIGN_IN, code, set_by=actor.label)
    flow.save(update_fields=["code"])
    queue.submit(actor, kind, tenant, target=str(flow.id))


def close(flow: SignInFlow) -> None:
    """What was sealed for it is of no use any more."""
    sealed = [one for one in (flow.proof_id, flow.code_id) if one]
    SignInFlow.objects.filter(id=flow.id).update(proof=None, code=None)
    Secret.objects.filter(tenant_id=flow.tenant_id, id__in=sealed).delete()


@register
class RedeemCode(Kind):
    """The person is back from Microsoft: turn the code into tokens, keep them, and have them checked."""

    name = REDEEM
    title = "Claim token"
    ability = Ability.MANAGE_CONNECTION
    lane = LaneName.IDENTITY
    max_attempts = 4
    reconcile = (
        "A code works once. If an earlier run kept the tokens, the sign-in says so and nothing is left to do; "
        "if it was cut off before that, Microsoft refuses the code, and the person signs in again."
    )

    def run(self, ctx: Context) -> Outcome:
        with scope.one(ctx.customer):
            flow = _flow(ctx.target)
            if flow.granted_at:
                return Done("The tokens were kept already.")
            line, code, proof = self._opened(flow)
        ctx.report(label="Claiming the tokens at Microsoft", force=True)
        try:
            grant = line.redeem(code=code, proof=proof, redirect_uri=flow.redirect_uri)
        except UmpError as error:
            if error.remedy != Remedy.LATER:
                with ctx.transaction():
                    close(flow)
                    if error.claims:
                        Connection.objects.filter(tenant_id=ctx.customer).update(claims=error.claims)
            raise
        return self.take(ctx, flow, line, grant)

    def take(self, ctx: Context, flow: SignInFlow, line: lines.Line, grant: Grant) -> Outcome:
        """Keep what the sign-in gave, and have it checked."""
        with keeping(ctx):
            keep(ctx, flow, grant)
        return Done(f"{grant.account} signed in. The access is being checked.")

    @staticmethod
    def _opened(flow: SignInFlow) -> tuple[lines.Line, str, Proof]:
        """Raises UmpError (signin_restart) when the app registration was changed meanwhile."""
        row: Connection | ProviderApp | None = (
            provider_app.current()
            if flow.app_owner == AppOwner.PROVIDER
            else Connection.objects.filter(tenant_id=flow.tenant_id).first()
        )
        if row is None or row.client_id != flow.client_id or flow.code is None or flow.proof is None:
            raise UmpError.of("signin_restart")
        proof = Proof(*json.loads(secrets.open_secret(flow.proof)))
        line = lines.line_of(flow.tenant, row, flow.cloud, anywhere=True)
        return line, secrets.open_secret(flow.code), proof


@contextlib.contextmanager
def keeping(ctx: Context) -> Iterator[None]:
    """A transaction of the command's in which its customer's connection changes, so that the data work waits."""
    with in_turn(ctx):
        queue.suspend_for(ctx.customer, "connection_unverified")
        yield


def keep(ctx: Context, flow: SignInFlow, grant: Grant) -> None:
    """Sign in with it from now on; inside `keeping`."""
    command = Command.objects.get(id=ctx.command_id)
    actor = Actor(command.actor_kind, command.actor_id, command.actor_label)
    grants.keep(
        actor,
        flow.tenant,
        Method.TOKEN,
        grant.cache,
        account=grant.account,
        cloud=flow.cloud,
        app_owner=AppOwner(flow.app_owner),
        client_id=flow.client_id,
    )
    SignInFlow.objects.filter(id=flow.id).update(granted_at=Now())
    close(flow)
    have_checked(actor, flow.tenant)


def _flow(flow_id: str) -> SignInFlow:
    found: SignInFlow | None = (
        SignInFlow.objects.filter(id=uuid.UUID(flow_id))
        .select_related("tenant", "proof__key", "code__key")
        .first()
    )
    if found is None:
        raise UmpError.of("signin_restart")
    return found


# --- Passwords (legacy, decision 12) ------------------------------------------------------------------------
def may_switch_to_token(tenant: Tenant) -> bool:
    """M36-21: Validate Authentication has returned Successful, for as long as anybody remembers."""
    return Check.objects.filter(tenant=tenant, result=Verification.SUCCESSFUL).exists()


@transaction.atomic
def keep_password(
    actor: Actor, tenant: Tenant, *, account: str, password: str, imported: bool = False
) -> Connection:
    """Sign in with a user name and password from now on; data work waits until a token was obtained with it.

    `imported` is for customers who come from an older portal; any other password needs the setting to allow it.
    Raises InvalidInput naming the field.
    """
    if not imported and not installation.get("allow_password"):
        raise InvalidInput(
            field="password", why="the settings of this portal do not allow new passwords; use Grant Access"
        )
    if not 1 <= len(password) <= LONGEST_PASSWORD or password != password.strip():
        raise InvalidInput(
            field="password", why="Microsoft accepts none that is empty, or has blanks at its ends"
        )
    way = flow_for(tenant)
    connection = grants.keep(
        actor,
        tenant,
        Method.PASSWORD,
        password,
        account=account.strip(),
        cloud=way.cloud,
        app_owner=AppOwner(way.app_owner),
        client_id=way.client_id,
    )
    have_checked(actor, tenant)
    return connection


def have_checked(actor: Actor, tenant: Tenant) -> None:
    """The data work waits for what the check says of the new sign-in (M36-25, decision 22)."""
    queue.suspend_for(tenant.id, "connection_unverified")
    queue.submit(actor, VERIFY, tenant)


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
