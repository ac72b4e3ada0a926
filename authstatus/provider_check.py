"""Check of the provider's own app: does its credential work, and is its registration as it has to be?

What it finds is kept on the provider's app and never on a customer: when our own secret has expired, no customer's
connection is at fault.
"""

import datetime as dt
import uuid
from typing import Any

from django.db.models.functions import Now
from django.utils import timezone

from authstatus import keys_on_file
from breakers.models import Name
from core.errors import Remedy, UmpError
from m365 import registrations
from m365.graph import segment
from replication import services as queue
from replication.commands import close
from replication.context import Context, Done, Outcome
from replication.models import Command, LaneName
from replication.registry import Kind, chore, register
from tenants import lines, provider_app, scope
from tenants.abilities import Ability
from tenants.access import SYSTEM
from tenants.lines import OF_PROVIDER_APP
from tenants.models import AppOwner, Connection, Method, ProviderApp, Verification

VERIFY_APP = "verify_provider_app"
MULTI_TENANT = frozenset({"AzureADMultipleOrgs", "AzureADandPersonalMicrosoftAccount"})


@chore
def check_daily() -> int:
    """Once a day without anybody asking, as customers' credentials are: it also reads back when the secret ends."""
    if provider_app.current().secret is None:
        return 0
    with scope.every("the provider's app is checked daily"):
        of_today = Command.objects.filter(
            tenant=None, kind=VERIFY_APP, queued_at__gt=Now() - dt.timedelta(days=1)
        )
        if of_today.exists():
            return 0
        queue.submit(SYSTEM, VERIFY_APP, None)
    return 1


@register
class VerifyProviderApp(Kind):
    """A fresh token in the home tenant or, where that is unknown, in a customer's that uses the app already."""

    name = VERIFY_APP
    title = "Verify the provider's app"
    ability = Ability.VERIFY_CONNECTION
    lane = LaneName.IDENTITY
    max_attempts = 5
    reconcile = "Reads only; a second check simply looks again."

    def run(self, ctx: Context) -> Outcome:
        app = provider_app.current()
        try:
            line = lines.line_home(app, elsewhere=None if app.home_tenant_id else _known_customer())
            ctx.report(label="Signing in to Microsoft", force=True)
            line.token(fresh=True)
        except UmpError as error:
            raise self._kept(ctx, app, error) from error
        found = _registration(ctx, line, app) if app.home_tenant_id else {}
        _keep(ctx, app, Verification.SUCCESSFUL, None)
        close(Name.PROVIDER_APP, ctx.transaction)  # in no transaction of ours: it has one for each customer
        with scope.every("the provider's app may need another credential"):
            if found.get("may_renew") and keys_on_file.ends_soon(None):
                queue.submit(SYSTEM, "renew_provider_secret", None)
        return Done("Microsoft accepted the credential of the provider's app.", result=found)

    @staticmethod
    def _kept(ctx: Context, app: ProviderApp, error: UmpError) -> UmpError:
        """The error to raise: the app's own fault is kept, that of the tenant it was tried in proves nothing."""
        if error.code not in OF_PROVIDER_APP:
            if error.remedy == Remedy.LATER:
                return error  # the check failed, not the app
            if app.home_tenant_id is None:
                return UmpError.of("provider_app_untried", detail=dict(error.detail))
        error.remedy = (
            Remedy.AFTER_FIX
        )  # customers' work waits for somebody to mend it; this check has its answer
        _keep(ctx, app, Verification.FAILED, dict(error.to_dict()))
        return error


def _known_customer() -> uuid.UUID | None:
    """Microsoft's id of the customer that proved the app last."""
    with scope.every("the provider's app is tried where it worked last"):
        proven: uuid.UUID | None = (
            Connection.objects.filter(
                app_owner=AppOwner.PROVIDER,
                method=Method.APP,
                verification=Verification.SUCCESSFUL,
                tenant__entra_tenant_id__isnull=False,
            )
            .order_by("-verified_at")
            .values_list("tenant__entra_tenant_id", flat=True)
            .first()
        )
        return proven


def _keep(ctx: Context, app: ProviderApp, result: Verification, problem: dict[str, Any] | None) -> None:
    """Unless somebody has changed the app meanwhile: then this was about another one."""
    with ctx.transaction():
        if provider_app.current().changed_at == app.changed_at:
            provider_app.note_check(verification=result, problem=problem, at=timezone.now())


def _registration(ctx: Context, line: lines.Line, app: ProviderApp) -> dict[str, Any]:
    """What the registration says about itself, where the app may read it; and whether it may change it."""
    graph, told = line.graph(), {"may_renew": keys_on_file.may_change(line)}
    try:
        found = registrations.by_client_id(graph, str(app.client_id))
        path = f"/applications(appId='{segment(str(app.client_id))}')?$select=id,signInAudience,web"
        row = graph.get(path) if found else {}
    except UmpError as error:
        if error.remedy == Remedy.LATER:
            raise
        return told
    if found is None:
        return told
    with ctx.transaction():
        keys_on_file.note(None, found)
    web = row.get("web")
    uris = web.get("redirectUris") if isinstance(web, dict) else None
    return told | {
        "redirect_registered": isinstance(uris, list) and app.redirect_uri in uris,
        "multi_tenant": row.get("signInAudience") in MULTI_TENANT,
    }
