"""What needs a person, and which one: the list of the Dashboard and of a customer's Status (SPEC C, E5).

Each item says what happened, to whom, who can fix it, and offers exactly one button.
"""

import dataclasses
import datetime as dt
import uuid
from collections.abc import Iterable, Mapping
from typing import Any

from django.db.models import QuerySet
from django.utils import timezone

from authstatus import delegated
from authstatus import selectors as checks_read
from authstatus.models import Check, Finding
from core.errors import CATALOGUE, UmpError
from core.kinds import WHO_IN_WORDS, WHO_TO_CUSTOMERS, Who
from deployment import selectors as deployments
from deployment.models import Act, Run, RunState
from domains import selectors as domains
from domains.models import CustomDomain
from onboarding import selectors as onboarding
from onboarding.models import Onboarding
from provisioning import selectors as users
from replication.holds import UNPROVEN
from replication.models import Command, Lane, Reason, State
from replication.registry import title_of
from sites import number_selectors as numbers
from sites import selectors as sites
from sites.models import Site, SiteState
from tenants import health
from tenants.abilities import Ability
from tenants.access import Actor
from tenants.confirming import UNCONFIRMED
from tenants.models import Connection, SecretKind, Tenant, Verification
from tenants.selectors import connections_of
from tenants.written import Written

AT_THE_CONNECTION = frozenset(
    {
        "secret_expired", "secret_wrong", "secret_required", "secret_not_wanted", "secret_unreadable",
        "certificate_refused", "certificate_unreadable", "app_not_found", "tenant_unknown", "tenant_not_given",
        "wrong_cloud", "wrong_tenant", "connection_missing",
    }
)  # fmt: skip
"""Troubles that are mended by what stands on the connection's page; the rest is mended at Microsoft, and then
checked again."""

NOTHING_ASKED = "Nothing is asked of you."
BY_HAND = (
    "A Teams Administrator of the customer runs its scripts; give back the last line of the Verify script."
)


@dataclasses.dataclass(frozen=True)
class Action:
    """The one button: a link, or (post) an act."""

    label: str
    url: str
    post: bool = False


@dataclasses.dataclass(frozen=True)
class Item:
    tone: str
    tenant: Tenant
    what: str
    who: str
    advice: str
    since: dt.datetime | None
    action: Action
    code: str = ""
    status: str = ""
    of_connection: bool = False

    @property
    def word(self) -> str:
        return self.status or {"bad": "Stopped", "warn": "Late", "info": "Waiting"}.get(self.tone, "Notice")

    @property
    def url(self) -> str:
        return f"/tenants/{self.tenant.id}/"


def who_in_words(who: object, actor: Actor) -> str:
    """Who can fix it, from where the reader stands; empty for a word that this version does not know."""
    try:
        kind = Who(str(who))
    except ValueError:
        return ""
    return (WHO_IN_WORDS if actor.is_provider else WHO_TO_CUSTOMERS)[kind]


def items(actor: Actor, limit: int = 10) -> list[Item]:
    """The most urgent of the scope in force; a fixed number of queries."""
    tenants = health.attention(limit)
    ids = [tenant.id for tenant in tenants]
    found, checks = connections_of(ids), checks_read.under_way(ids)
    begun = onboarding.open_of([tenant.id for tenant in tenants])
    listed = [
        of_connection(actor, tenant, found.get(tenant.id), checks.get(tenant.id), begun.get(tenant.id))
        for tenant in tenants
    ]
    listed += [_of_command(actor, command) for command in stuck(limit)]
    listed += [_held(actor, lane) for lane in held(limit)]
    listed += [_domain(actor, row) for row in domains.stopped(limit)]
    failed = sites.failed(limit)
    listed += [_site(actor, row) for row in failed]
    listed += _deployments(actor, limit, failed)
    listed += [_prefixes(actor, row) for row in numbers.lost(limit)]
    listed += [_left_waiting(actor, row) for row in users.left_waiting(limit)]
    told = {item.tenant.id for item in listed if item}
    listed += [item for item in changes(actor, limit) if item.tenant.id not in told]
    listed += [_onboarding(actor, row) for row in onboarding.late(limit) if row.tenant_id not in told]
    order = {"bad": 0, "warn": 1}
    return sorted((item for item in listed if item), key=lambda item: order.get(item.tone, 2))[:limit]


def of_tenant(
    actor: Actor, tenant: Tenant, connection: Connection | None, check: Command | None
) -> list[Item]:
    """Everything that one customer needs, the connection first."""
    if not tenant.enabled or tenant.deleted_at:
        return []
    own = [_of_command(actor, command) for command in stuck(10, tenant)]
    own += [_held(actor, lane) for lane in held(1, tenant)]
    own += [_domain(actor, row) for row in domains.stopped(5, tenant)]
    failed = sites.failed(5, tenant)
    own += [_site(actor, row) for row in failed]
    own += _deployments(actor, 1, failed, tenant)
    own += [_prefixes(actor, row) for row in numbers.lost(5, tenant)]
    own += [_left_waiting(actor, row) for row in users.left_waiting(1, tenant)]
    begun = onboarding.open_of([tenant.id]).get(tenant.id) if actor.is_provider else None
    first = [
        _paused(actor, tenant) if tenant.paused_at else None,
        of_connection(actor, tenant, connection, check, begun),
    ]
    return [item for item in [*first, *changes(actor, 1, tenant), *own] if item]


def changes(actor: Actor, limit: int, tenant: Tenant | None = None) -> list[Item]:
    """What came or went at Microsoft lately, and roles that deployed customers lack; one item a customer."""
    lacking: dict[Any, list[Finding]] = {}
    for row in checks_read.roles_missing(limit, tenant):
        lacking.setdefault(row.tenant_id, []).append(row)
    drifted = checks_read.drifted(limit, tenant)
    found = [_drifted(actor, check, lacking.pop(check.tenant_id, [])) for check in drifted]
    return found + [_role_missing(actor, rows) for rows in lacking.values()]


def stuck(limit: int, tenant: Tenant | None = None) -> list[Command]:
    """Commands set aside for a reason of their own; those of the connection are told by the connection."""
    return _STUCK.rows(tenant and tenant.id, limit=limit)


def _stuck(tenant_id: uuid.UUID | None, *, limit: int) -> QuerySet[Command]:
    found: QuerySet[Command] = Command.objects.filter(
        state=State.SUSPENDED, reason__in=[Reason.TARGET, Reason.POISON]
    )
    found = found.filter(tenant_id=tenant_id) if tenant_id else found
    found = found.filter(tenant__deleted_at=None, tenant__enabled=True, tenant__isnull=False)
    return found.select_related("tenant").order_by("-id")[:limit]


_STUCK = Written(_stuck)


def held(limit: int, tenant: Tenant | None = None) -> list[Lane]:
    """Data lanes that a refusal holds although the last check had been successful."""
    return _HOLDING.rows(tenant and tenant.id, limit=limit)


def _holding(tenant_id: uuid.UUID | None, *, limit: int) -> QuerySet[Lane]:
    checked = Connection.objects.filter(verification=Verification.SUCCESSFUL, degraded_at=None)
    found: QuerySet[Lane] = Lane.objects.exclude(suspended_code__in=["", UNPROVEN]).filter(
        tenant__deleted_at=None, tenant__enabled=True, tenant__in=checked.values("tenant_id")
    )
    found = found.filter(tenant_id=tenant_id) if tenant_id else found
    return found.select_related("tenant").order_by("id")[:limit]


_HOLDING = Written(_holding)


def problem_of(problem: Mapping[str, Any], actor: Actor) -> dict[str, Any]:
    """A stored error for partials/error_box.html. The raw facts are for the provider's people only."""
    error = UmpError.from_dict(problem)
    return {
        "message": error.message,
        "advice": error.advice,
        "who": who_in_words(problem.get("who"), actor),
        "code": problem.get("code", error.code),
        "detail": error.detail if actor.is_provider else {},
    }


def of_connection(
    actor: Actor,
    tenant: Tenant,
    connection: Connection | None,
    check: Command | None = None,
    begun: Onboarding | None = None,
) -> Item | None:
    """The most urgent thing about a customer's connection, if any.

    `check` is the one that is under way, `begun` an onboarding that nobody has finished.
    """
    if connection is None and begun is not None:
        return _onboarding(actor, begun)
    if connection is None:
        return _connectionless(actor, tenant) if tenant.with_sync else None
    if connection.verification in {Verification.FAILED, Verification.NO_TOKEN}:
        return _failed(actor, tenant, connection)
    if connection.degraded_at is not None:
        return _degraded(actor, tenant, connection)
    if connection.verification == Verification.NEVER:
        return _being_checked(actor, tenant, check) if check else _unchecked(actor, tenant)
    return _ending(actor, tenant, connection) or _stale(actor, tenant)


# --- One function a kind of trouble -------------------------------------------------------------------------
def _onboarding(actor: Actor, begun: Onboarding) -> Item:
    late = f" It should have been done by {begun.deadline:%d %B %Y}." if begun.late else ""
    return Item(
        "warn" if begun.late else "info",
        begun.tenant,
        f"Its onboarding is at step {begun.number}, {begun.get_step_display()}, and is not finished.{late}",
        who_in_words(Who.PROVIDER, actor),
        "Resume it: the wizard says what it waits for.",
        begun.step_since,
        _way(actor, begun.tenant, Ability.EDIT_TENANT, "Resume", "onboarding/"),
        "onboarding_open",
        "Late" if begun.late else "Onboarding",
    )


def _connectionless(actor: Actor, tenant: Tenant) -> Item:
    error = UmpError.of("connection_missing")
    return Item(
        "bad", tenant, error.message, who_in_words(error.who, actor), error.advice, tenant.created_at,
        _way(actor, tenant, Ability.MANAGE_CONNECTION, "Connect", "connection/"), error.code, of_connection=True,
    )  # fmt: skip


def _failed(actor: Actor, tenant: Tenant, connection: Connection) -> Item:
    problem = connection.problem or dict(UmpError.of("signin_refused").to_dict())
    code = str(problem.get("code", ""))
    error = UmpError.from_dict(problem)
    if delegated.mends(connection):
        action = _way(actor, tenant, Ability.MANAGE_CONNECTION, "Grant Access", "grant-access/")
    elif code in AT_THE_CONNECTION:
        label = "Enter a new secret" if code.startswith("secret_") else "Open the connection"
        action = _way(actor, tenant, Ability.MANAGE_CONNECTION, label, "connection/")
    else:
        action = _check(actor, tenant, "Check again")
    who = who_in_words(problem.get("who"), actor)
    return Item(
        "bad",
        tenant,
        error.message,
        who,
        error.advice,
        connection.verified_at,
        action,
        code,
        of_connection=True,
    )


def _degraded(actor: Actor, tenant: Tenant, connection: Connection) -> Item:
    """Checked successfully once, and refused since as often as Max Access Failures allows."""
    return Item(
        "bad",
        tenant,
        "Microsoft refused the portal as often as Max Access Failures allows, so the work of this customer waits.",
        who_in_words(Who.PROVIDER, actor) if actor.is_provider else WHO_TO_CUSTOMERS[Who.CUSTOMER_ADMIN],
        "Check the credentials: that says what is wrong, or ends it and reads everything anew.",
        connection.degraded_at,
        _check(actor, tenant, "Check Credentials"),
        "degraded",
        "Degraded",
        of_connection=True,
    )


def _held(actor: Actor, lane: Lane) -> Item | None:
    if lane.tenant is None:
        return None
    known = lane.suspended_code if lane.suspended_code in CATALOGUE else UNPROVEN
    error = UmpError.of(known, tenant=lane.tenant.name)
    if known == UNCONFIRMED:
        return _unconfirmed(actor, lane.tenant, error)
    return Item(
        "bad",
        lane.tenant,
        f"{error.message} The work of this customer waits.",
        who_in_words(error.who, actor),
        error.advice,
        None,
        _check(actor, lane.tenant, "Check Credentials"),
        error.code,
        of_connection=True,
    )


def _unconfirmed(actor: Actor, tenant: Tenant, error: UmpError) -> Item:
    return Item(
        "info",
        tenant,
        error.message,
        who_in_words(error.who, actor),
        error.advice,
        None,
        _way(actor, tenant, Ability.MANAGE_CONNECTION, "Compare and confirm", "organization/"),
        error.code,
    )


def _domain(actor: Actor, row: CustomDomain) -> Item:
    """Setting up or removing a domain stopped."""
    error = UmpError.from_dict(row.problem or {})
    return Item(
        "bad",
        row.tenant,
        f"Domain {row.name}: {error.message}",
        who_in_words(error.who, actor),
        error.advice,
        row.changed_at,
        Action("Open", f"/tenants/{row.tenant_id}/domains/{row.id}/"),
        error.code,
    )


def _site(actor: Actor, row: Site) -> Item:
    """Deploying or removing a site stopped, or it is not saved. What concerns the device is the provider's own."""
    error = UmpError.from_dict(row.sbc_problem or {})
    what, advice = f"Site {row.name}: {error.message}", error.advice
    if not actor.is_provider:
        what, advice = f"Site {row.name} is not set up as it should be.", NOTHING_ASKED
    unsaved = row.sbc_state == SiteState.UNSAVED
    return Item(
        "warn" if unsaved else "bad",
        row.tenant,
        what,
        who_in_words(error.who, actor),
        advice,
        row.checked_at,
        Action("Open", f"/tenants/{row.tenant_id}/sites/{row.uid}/"),
        error.code,
        SiteState(row.sbc_state).label,
    )


def _deployments(
    actor: Actor, limit: int, failed: Iterable[Site], tenant: Tenant | None = None
) -> list[Item]:
    """Deploy and Undo Deploy; of one that stopped at a site, the site tells."""
    at_a_site = {site.tenant_id for site in failed}
    return [
        _deployment(actor, run)
        for run in deployments.waiting(limit, tenant)
        if run.state == RunState.BY_HAND or run.tenant_id not in at_a_site
    ]


def _deployment(actor: Actor, run: Run) -> Item:
    """It stopped, or a person runs its script in Teams."""
    name, by_hand = run.get_act_display(), run.state == RunState.BY_HAND
    error = UmpError.from_dict(run.problem) if run.problem else None
    what, advice = f"{name} waits for a person: Teams is done by a script.", BY_HAND
    if error:
        what, advice = f"{name}: {error.message}", error.advice
    path = "deploy/" if run.act == Act.DEPLOY else "undo-deploy/"
    return Item(
        "warn" if by_hand else "bad",
        run.tenant,
        what,
        who_in_words(Who.PROVIDER, actor),
        advice if actor.is_provider else NOTHING_ASKED,
        run.decided_at if by_hand else run.ended_at,
        _way(actor, run.tenant, Ability.MANAGE_SBC, f"Open {name}", path),
        error.code if error else "deploy_by_hand",
        RunState(run.state).label,
    )


def _prefixes(actor: Actor, row: numbers.Lost) -> Item:
    """Numbers that do not ring: what somebody wished is not on the device."""
    many = f"{row.prefixes:,} prefix{' is' if row.prefixes == 1 else 'es are'}"
    where = f" on {row.site.sbc.name}" if actor.is_provider else ""
    advice = (
        "Open its prefixes: each says why, and Write now tries again." if actor.is_provider else NOTHING_ASKED
    )
    return Item(
        "bad",
        row.site.tenant,
        f"Site {row.site.name}: {many} not{where} as wished; calls to these numbers may fail.",
        who_in_words(Who.PROVIDER, actor),
        advice,
        row.since,
        Action("Open", f"/tenants/{row.site.tenant_id}/sites/{row.site.uid}/prefixes/"),
        status="Missing",
    )


def _left_waiting(actor: Actor, row: users.LeftWaiting) -> Item:
    """Changes of users that a person has to decide on, since no command will take them up."""
    many = "1 change of a user waits" if row.number == 1 else f"{row.number:,} changes of users wait"
    return Item(
        "warn",
        row.tenant,
        f"{many}, and nothing is going to write {'it' if row.number == 1 else 'them'} by itself.",
        who_in_words(Who.PROVIDER, actor) if actor.is_provider else WHO_TO_CUSTOMERS[Who.CUSTOMER_ADMIN],
        "Look at a plan and apply it, or withdraw what is not wanted any more.",
        row.since,
        _way(actor, row.tenant, Ability.EDIT_USERS, "Decide", "changes/"),
        "changes_left_waiting",
        "Waits for you",
    )


def _being_checked(actor: Actor, tenant: Tenant, check: Command) -> Item:
    return Item(
        "busy",
        tenant,
        check.message or "The credentials are being checked.",
        "nobody needs to act: the portal tries by itself",
        "The first replication starts by itself when the check succeeds.",
        check.queued_at,
        _way(actor, tenant, Ability.VIEW_QUEUE, "Open the check", f"commands/{check.id}/"),
        "connection_unverified",
        "Checking",
        of_connection=True,
    )


def _unchecked(actor: Actor, tenant: Tenant) -> Item:
    return Item(
        "info",
        tenant,
        "Nobody has checked this connection yet, so nothing is replicated.",
        who_in_words(Who.PROVIDER, actor) if actor.is_provider else WHO_TO_CUSTOMERS[Who.CUSTOMER_ADMIN],
        "Check the credentials; the first replication starts by itself when they work.",
        tenant.created_at,
        _check(actor, tenant, "Check Credentials"),
        "connection_unverified",
        "Never Performed",
    )


def _ending(actor: Actor, tenant: Tenant, connection: Connection) -> Item | None:
    secret = connection.secret
    if secret is None or secret.expires_at is None or secret.expires_at > timezone.now() + health.SOON:
        return None
    word = "client secret" if secret.kind == SecretKind.CLIENT_SECRET else "certificate"
    days = (secret.expires_at - timezone.now()).days
    over = days < 0
    what = (
        f"The end date noted for the {word} has passed; it still worked at the last check."
        if over
        else f"The {word} expires {_in_days(days)}."
    )
    return Item(
        "warn",
        tenant,
        what,
        who_in_words(Who.CUSTOMER_ADMIN, actor),
        f"Create a new {word} in the Microsoft Entra admin centre and enter it here; the old one works until then.",
        secret.expires_at,
        _way(
            actor,
            tenant,
            Ability.MANAGE_CONNECTION,
            f"Enter a new {'secret' if word == 'client secret' else word}",
            "connection/",
        ),
        "secret_expiring",
        "Expired" if over else "Expires soon",
    )


def _role_missing(actor: Actor, rows: list[Finding], tone: str = "warn", more: str = "") -> Item:
    tenant, names = rows[0].tenant, ", ".join(row.name for row in rows)
    error = UmpError.of("role_missing", role=names, tenant=tenant.name)
    return Item(
        tone,
        tenant,
        f"{error.message}{more}",
        who_in_words(error.who, actor),
        error.advice,
        min(row.since for row in rows),
        _check(actor, tenant, "Check again"),
        error.code,
        "Role missing",
    )


def _drifted(actor: Actor, check: Check, lacking: list[Finding]) -> Item:
    """A role that is needed and went is red; the rest is for the record."""
    told = "; ".join(
        f"{each['kind']} {each['name']} {'appeared' if each['now'] == 'there' else 'is gone'}"
        for each in check.drift
    )
    gone = {each["name"] for each in check.drift if each["now"] != "there"}
    if any(row.name in gone for row in lacking):
        return _role_missing(actor, lacking, "bad", f" Changed at Microsoft: {told}.")
    return Item(
        "info",
        check.tenant,
        f"Changed at Microsoft: {told}.",
        who_in_words(Who.CUSTOMER_ADMIN, actor),
        "Nothing to do if it was meant. This note goes away after a week.",
        check.at,
        Action("See what is granted", f"/tenants/{check.tenant_id}/connection/"),
        "connection.drifted",
        "Changed",
    )


def _stale(actor: Actor, tenant: Tenant) -> Item | None:
    last = tenant.last_replicated_at
    if last is None or last > timezone.now() - health.STALE or tenant.paused_at:
        return None
    return Item(
        "warn",
        tenant,
        "The connection works, but nothing was replicated for more than a day.",
        who_in_words(Who.PROVIDER, actor),
        "Look at the newest commands of this customer; the reason stands there.",
        last,
        _way(actor, tenant, Ability.VIEW_QUEUE, "Open its queue", "queue/"),
        "stale",
    )


def _paused(actor: Actor, tenant: Tenant) -> Item:
    label = "Resume" if actor.may(Ability.PAUSE_TENANT, tenant.id) else "Open"
    return Item(
        "info",
        tenant,
        f"Paused by {tenant.paused_by}: commands wait, none starts.",
        who_in_words(Who.PROVIDER, actor),
        "Resume it when the reason for the pause is gone; what waits goes on in its order.",
        tenant.paused_at,
        Action(
            label, f"/tenants/{tenant.id}/pause/" if label == "Resume" else f"/tenants/{tenant.id}/queue/"
        ),
        "tenant_paused",
        "Paused",
    )


def _of_command(actor: Actor, command: Command) -> Item | None:
    if command.tenant is None:
        return None
    problem: dict[str, Any] = command.error or {}
    title = title_of(command.kind)
    said = f"{title} #{command.id}: {command.message or problem.get('message', 'set aside')}"
    return Item(
        "bad" if command.reason == Reason.POISON else "warn",
        command.tenant,
        said,
        who_in_words(problem.get("who"), actor) or who_in_words(Who.PROVIDER, actor),
        str(problem.get("advice", "")),
        command.started_at or command.queued_at,
        Action("Open the command", f"/tenants/{command.tenant_id}/commands/{command.id}/"),
        str(problem.get("code", command.reason)),
        "Set aside" if command.reason == Reason.POISON else "Waiting for you",
    )


# --- Parts --------------------------------------------------------------------------------------------------
def _way(actor: Actor, tenant: Tenant, needs: Ability, label: str, path: str) -> Action:
    """The button for who may do it, a look at the customer for who may not."""
    base = f"/tenants/{tenant.id}/"
    return Action(label, base + path) if actor.may(needs, tenant.id) else Action("See details", base)


def _check(actor: Actor, tenant: Tenant, label: str) -> Action:
    if not actor.may(Ability.VERIFY_CONNECTION, tenant.id):
        return Action("See details", f"/tenants/{tenant.id}/")
    return Action(label, f"/tenants/{tenant.id}/check/", post=True)


def _in_days(days: int) -> str:
    if days == 0:
        return "within a day"
    return f"in {days} day{'' if days == 1 else 's'}"
