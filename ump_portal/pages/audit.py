"""The audit trail: who did what, for whom, from where; of everybody, or of one customer (History)."""

import dataclasses
import datetime as dt
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseBase, QueryDict
from django.shortcuts import render
from django.utils import timezone

from audit import selectors
from audit.models import Entry
from tenants import scope, tables
from tenants.abilities import Ability
from tenants.models import Cloud, Plan, Service, Tenant
from tenants.selectors import tenants
from tenants.web import actor_of, list_view, tenant_view

CHOSEN: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "cloud": {one.value: str(one.label) for one in Cloud},
        "plan": {one.value: str(one.label) for one in Plan},
        "service": {one.value: str(one.label) for one in Service},
    }
)
"""Stored codes as the forms call them, by field."""
WORDS: Mapping[str, str] = MappingProxyType(
    {
        "tenant.added": "Customer added",
        "tenant.edited": "Customer edited",
        "tenant.deleted": "Customer deleted",
        "tenant.restored": "Customer restored",
        "tenant.shredded": "Key of a deleted customer destroyed",
        "tenant.paused": "Customer paused",
        "tenant.resumed": "Customer resumed",
        "tenant.deployed": "Customer deployed",
        "tenant.undeployed": "Customer no longer deployed",
        "deploy.decided": "Deploy confirmed",
        "deploy.verified": "Deploy: output of the Verify script taken",
        "deploy.stopped": "Deploy stopped",
        "undo_deploy.decided": "Undo deploy confirmed",
        "undo_deploy.verified": "Undo deploy: output of the Verify script taken",
        "undo_deploy.stopped": "Undo deploy stopped",
        "connection.set": "Connection set",
        "connection.sign_in_begun": "Sign-in at Microsoft begun",
        "connection.sign_in_refused": "Sign-in at Microsoft refused",
        "connection.granted": "Access granted by an account",
        "connection.drifted": "Grants or roles changed at Microsoft",
        "connection.revoked": "Access revoked",
        "connection.degraded": "Connection Degraded",
        "connection.restored": "Connection restored",
        "connection.rule_changed": "Max Access Failures changed",
        "connection.migrating": "Migration to another app registration begun",
        "connection.rolled_back": "Migration taken back",
        "connection.standby_forgotten": "App registration in waiting forgotten",
        "connection.migrated": "Migration to another app registration done",
        "connection.secret_renewed": "Secret of a connection renewed",
        "connection.helper_removing": "Provider's app being removed from a customer",
        "registration.creating": "App registration being created",
        "registration.key_named": "Use of a registration's secret noted",
        "registration.key_removing": "Secret of a registration being removed",
        "organization.confirmed": "Organisation confirmed",
        "invitation.created": "Invitation made",
        "invitation.sent": "Invitation mailed",
        "invitation.changed": "Invitation changed",
        "invitation.reminder": "Reminder of an invitation asked for",
        "invitation.resend": "Invitation sent anew",
        "invitation.link_copied": "Link to an invitation made",
        "invitation.revoked": "Invitation revoked",
        "invitation.opened": "Invitation opened",
        "invitation.completed": "Invitation completed",
        "invitation.organisation_confirmed": "Organisation of an invitation confirmed",
        "invitation.organisation_refused": "Organisation of an invitation refused",
        "invitation.account_given": "Account given by an invitation",
        "invitation.device_code": "Device code made",
        "filter.changed": "CsOnlineUser Filter changed",
        "qoe.set": "QOE application set",
        "qoe.removed": "QOE application removed",
        "breaker.opened": "Provider's own line stopped working",
        "breaker.closed": "Provider's own line works again",
        "onboarding.started": "Onboarding begun",
        "onboarding.way": "Onboarding: way in chosen",
        "onboarding.retried": "Onboarding: step tried again",
        "onboarding.finished": "Onboarding finished",
        "onboarding.cancelled": "Onboarding cancelled",
        "sbc.added": "SBC added",
        "sbc.changed": "SBC changed",
        "sbc.removed": "SBC removed",
        "site.taken_over": "Site taken over from an SBC",
        "prefixes.added": "Prefixes added",
        "prefix.changed": "Prefix changed",
        "prefixes.removed": "Prefixes removed",
        "prefixes.moved": "Prefixes moved to another site",
        "prefixes.written_again": "Prefixes written again",
        "range.added": "Number range added",
        "range.changed": "Number range changed",
        "range.removed": "Number range removed",
        "numbers.reserved": "Numbers reserved",
        "numbers.blocked": "Numbers blocked",
        "numbers.released": "Numbers released",
        "ovoc.changed": "OVOC changed",
        "script.added": "Script added",
        "script.changed": "Script changed",
        "script.removed": "Script removed",
        "site.added": "Site added",
        "site.changed": "Site changed",
        "site.deleted": "Site deleted",
        "site.deploying": "Site being deployed",
        "site.deployed": "Site deployed",
        "site.removing": "Site being removed from its SBC",
        "site.removed": "Site removed from its SBC",
        "site.voice_changed": "Voice routing of a site changed",
        "resource_account.designed": "Resource account designed",
        "resource_account.changed": "Design of a resource account changed",
        "resource_account.deleted": "Design of a resource account deleted",
        "resource_account.building": "Resource account being built",
        "resource_account.built": "Resource account built",
        "resource_account.removing": "Resource account being removed",
        "resource_account.removed": "Resource account removed",
        "resource_account.verified": "Resource account verified by hand",
        "design_template.added": "Resource account template added",
        "design_template.deleted": "Resource account template deleted",
        "domain.begun": "Domain being set up",
        "domain.retried": "Domain: step tried again",
        "domain.cancelled": "Domain: set-up cancelled",
        "domain.looked": "Domain: record looked up",
        "domain.user_release_asked": "Domain: activation user to be released",
        "domain.removing": "Domain being removed",
        "domain.ready": "Domain set up",
        "domain.user_removed": "Activation user removed",
        "domain.removed": "Domain removed",
        "dns_zone.changed": "DNS zone changed",
        "dns_zone.tested": "DNS zone tested",
        "verify_run.started": "Verify All started",
        "verify_run.cancelled": "Verify All cancelled",
        "provider_app.changed": "Provider's app registration changed",
        "provider_app.secret_renewed": "Secret of the provider's app renewed",
        "command.queued": "Command queued",
        "command.cancelled": "Command cancelled",
        "command.resumed": "Command tried again",
        "command.repeated": "Command repeated",
        "plan.approved": "Plan confirmed",
        "changes.asked": "Changes of users asked for",
        "changes.withdrawn": "Changes of users withdrawn",
        "plan.confirmed": "Plan of changes confirmed",
        "user.written": "User changed at Microsoft",
        "template.added": "Template added",
        "template.changed": "Template changed",
        "template.started": "Template started",
        "template.stopped": "Template stopped",
        "template.removed": "Template removed",
        "template.moved": "Template moved in the order",
        "queue.paused": "Whole queue paused",
        "queue.resumed": "Whole queue resumed",
        "queue.processed": "Process All",
        "role.given": "Role given",
        "role.changed": "Role changed",
        "role.taken": "Role taken",
        "user.added": "Person added",
        "user.edited": "Person edited",
        "user.password_set": "Password set at the command line",
        "user.password_changed": "Own password changed",
        "address.added": "Own email address proven",
        "address.removed": "Own email address removed",
        "user.deactivated": "Person deactivated",
        "user.reactivated": "Person reactivated",
        "link.made": "Sign-in link made",
        "factor.added": "Second factor added",
        "factor.removed": "Second factor removed",
        "session.ended": "Session ended",
        "session.timed_out": "Session ended after doing nothing",
        "token.created": "API token created",
        "token.revoked": "API token revoked",
        "view.saved": "View of a list saved",
        "view.deleted": "View of a list deleted",
        "digest.wanted": "Daily mail wanted",
        "digest.unwanted": "Daily mail no longer wanted",
        "setting.changed": "Setting changed",
        "invitation_settings.changed": "Invitation Settings changed",
        "invitation_settings.tested": "Test mail sent",
        "brand.changed": "Branding changed",
        "webhook.added": "Webhook added",
        "webhook.changed": "Webhook changed",
        "webhook.removed": "Webhook removed",
        "webhook.held": "Webhook held",
        "webhook.resumed": "Webhook resumed",
        "webhook.replayed": "Webhook: events sent again",
        "webhook.tested": "Webhook: test event sent",
        "webhook.secret_renewed": "Signing secret of a webhook renewed",
        "webhook.old_secret_ended": "Old signing secret of a webhook ended",
    }
)
ACTORS: Mapping[str, str] = MappingProxyType(
    {
        "person": "People",
        "token": "API clients",
        "invitation": "Invited administrators",
        "cli": "The command line",
        "system": "The portal",
    }
)
PERIODS = {
    "hour": ("Last hour", dt.timedelta(hours=1)),
    "day": ("Last 24 hours", dt.timedelta(days=1)),
    "week": ("Last 7 days", dt.timedelta(days=7)),
    "month": ("Last 30 days", dt.timedelta(days=30)),
}
CHOICES: dict[str, tuple[str, Sequence[tuple[str, str]]]] = {
    "action": ("What", sorted(WORDS.items(), key=lambda pair: pair[1])),
    "actor": ("By", list(ACTORS.items())),
    "period": ("When", [(name, label) for name, (label, _) in PERIODS.items()]),
}
HEAD = ("When", "Who", "Kind", "Address", "What", "Object", "Name", "Customer Name", "Changes", "Request id")


@dataclasses.dataclass(frozen=True)
class Row:
    """One entry as it is shown."""

    entry: Entry
    what: str
    tenant_name: str
    changes: list[tuple[str, str, str]]
    url: str


@list_view(needs=Ability.VIEW_AUDIT)
def trail(request: HttpRequest) -> HttpResponse:
    """Of every customer the actor may look into and, for the provider's people, of the provider itself."""
    return render(request, "pages/audit.html", _list(request, None))


@tenant_view(needs=Ability.VIEW_AUDIT, deleted=True)
def history(request: HttpRequest, tenant: Tenant) -> HttpResponse:
    return render(request, "pages/audit.html", _list(request, tenant))


@list_view(needs=Ability.VIEW_AUDIT)
def export(request: HttpRequest) -> HttpResponseBase:
    return tables.csv_answer("audit", HEAD, _csv(request, None))


@tenant_view(needs=Ability.VIEW_AUDIT, deleted=True)
def history_export(request: HttpRequest, tenant: Tenant) -> HttpResponseBase:
    return tables.csv_answer("history", HEAD, _csv(request, tenant))


# --- What the list is made of -------------------------------------------------------------------------------
def wanted(params: QueryDict, tenant: Tenant | None) -> QuerySet[Entry]:
    """The entries of the scope that the address asks for, newest first."""
    found = selectors.entries(tenant.id if tenant else None)
    now = scope.require()
    if tenant is None and now.tenants is not None:
        found = found.filter(tenant_id__in=list(now.tenants))
    if action := tables.choice_of(params, "action", WORDS):
        found = found.filter(action=action)
    if actor := tables.choice_of(params, "actor", ACTORS):
        found = found.filter(actor_kind=actor)
    if period := tables.choice_of(params, "period", PERIODS):
        found = found.filter(at__gte=timezone.now() - PERIODS[period][1])
    if search := tables.search_of(params):
        found = found.filter(_matches(search))
    return found


def _matches(search: str) -> Q:
    hit = Q(object_label__icontains=search) | Q(actor_label__icontains=search) | Q(object_id=search)
    named = tenants(search=search).order_by().values_list("id", flat=True)[:50]
    hit |= Q(tenant_id__in=list(named))
    try:
        return hit | Q(request_id=uuid.UUID(search))
    except ValueError:
        return hit


def _list(request: HttpRequest, tenant: Tenant | None) -> dict[str, Any]:
    page = tables.page_of(request.GET, wanted(request.GET, tenant))
    page.object_list = rows(page.object_list)
    shown = tables.filters(request.GET, CHOICES)
    base = f"/tenants/{tenant.id}/history/" if tenant else "/audit/"
    return {
        "tenant": tenant,
        "page": page,
        "noun": tables.noun(page),
        "filters": shown,
        "chips": tables.chips(request.GET, shown),
        "filtered": any(request.GET.get(name) for name in (*CHOICES, "q")),
        "base": base,
        "export_url": f"{base}export.csv",
        "for_provider": actor_of(request).is_provider,
    }


def rows(entries: Iterable[Entry]) -> list[Row]:
    """The rows of a page, with the customers' names; one more query."""
    listed = list(entries)
    ids = {entry.tenant_id for entry in listed if entry.tenant_id}
    names = dict(Tenant.objects.filter(id__in=ids).values_list("id", "name")) if ids else {}
    return [_row(entry, names) for entry in listed]


def _row(entry: Entry, names: Mapping[uuid.UUID, str]) -> Row:
    return Row(
        entry=entry,
        what=WORDS.get(entry.action, entry.action),
        tenant_name=names.get(entry.tenant_id, "") if entry.tenant_id else "",
        changes=list(_changes(entry)),
        url=_url(entry) if entry.tenant_id in names or entry.tenant_id is None else "",
    )


def _changes(entry: Entry) -> Iterator[tuple[str, str, str]]:
    """Field, before and after in words; what was nothing and stayed so is no change."""
    for name, pair in entry.changes.items():
        if isinstance(pair, list) and len(pair) == 2:
            before, after = _word(name, pair[0]), _word(name, pair[1])
            if before != after or pair[0] is not None:
                yield name.replace("_", " "), before, after


def _word(name: str, value: object) -> str:
    if value is None or value == "":
        return "nothing"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return CHOSEN.get(name, {}).get(str(value), str(value))


def _url(entry: Entry) -> str:
    """The page of what the entry is about, where there is one."""
    if entry.object_kind == "command" and entry.object_id.isdecimal():
        base = f"/tenants/{entry.tenant_id}/commands/" if entry.tenant_id else "/queue/"
        return f"{base}{entry.object_id}/"
    if entry.tenant_id and entry.object_kind == "connection":
        return f"/tenants/{entry.tenant_id}/connection/"
    return f"/tenants/{entry.tenant_id}/" if entry.tenant_id and entry.object_kind == "tenant" else ""


def _csv(request: HttpRequest, tenant: Tenant | None) -> Iterator[Iterable[list[object]]]:
    names = dict(tenants().order_by().values_list("id", "name"))
    found = wanted(request.GET, tenant)
    batches = tables.in_batches(found, lambda last: Q(id__lt=last.id))
    return ([_cells(_row(entry, names)) for entry in batch] for batch in batches)


def _cells(row: Row) -> list[object]:
    entry = row.entry
    changes = "; ".join(f"{name}: {before} -> {after}" for name, before, after in row.changes)
    thing = f"{entry.object_kind} {entry.object_id}"
    return [
        entry.at, entry.actor_label, entry.actor_kind, entry.address, row.what, thing,
        entry.object_label, row.tenant_name, changes, entry.request_id,
    ]  # fmt: skip
