"""Check of the provider's own app: does its credential work, and is its registration as it has to be?

What it finds is kept on the provider's app and never on a customer: when our own secret has expired, no customer's
connection is at fault.
"""

import hashlib
import uuid
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from django.utils import timezone

from breakers.models import Name
from core.errors import Remedy, UmpError
from m365 import registrations
from m365.clouds import CLOUDS
from m365.graph import segment
from m365.identity import AppCredential
from replication.commands import close
from replication.context import Context, Done, Outcome
from replication.models import LaneName
from replication.registry import Kind, register
from tenants import lines, provider_app, scope
from tenants.abilities import Ability
from tenants.lines import OF_PROVIDER_APP
from tenants.models import AppOwner, Cloud, Connection, Method, ProviderApp, ProviderSecret, Verification

VERIFY_APP = "verify_provider_app"
MULTI_TENANT = frozenset({"AzureADMultipleOrgs", "AzureADandPersonalMicrosoftAccount"})


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
            line = _line(app)
            ctx.report(label="Asking Microsoft for a token", force=True)
            line.token(fresh=True)
        except UmpError as error:
            raise self._kept(app, error) from error
        found = _registration(line, app) if app.home_tenant_id else {}
        _keep(app, Verification.SUCCESSFUL, None)
        with scope.every("what waited for the provider's app goes on"):
            close(Name.PROVIDER_APP)
        return Done("Microsoft accepted the credential of the provider's app.", result=found)

    @staticmethod
    def _kept(app: ProviderApp, error: UmpError) -> UmpError:
        """The error to raise: the app's own fault is kept, that of the tenant it was tried in proves nothing."""
        if error.code not in OF_PROVIDER_APP:
            if error.remedy == Remedy.LATER:
                return error  # the check failed, not the app
            if app.home_tenant_id is None:
                return UmpError.of("provider_app_untried", detail=dict(error.detail))
        error.remedy = (
            Remedy.AFTER_FIX
        )  # customers' work waits for somebody to mend it; this check has its answer
        _keep(app, Verification.FAILED, dict(error.to_dict()))
        return error


def _line(app: ProviderApp) -> lines.Line:
    """Where its credential is tried. Raises UmpError: provider_app_missing, provider_app_untried, key_unavailable."""
    try:
        credential = lines.credential_of(app)
    except UmpError as error:
        raise lines.of_provider(error) from error
    home = app.home_tenant_id or _known_customer()
    if home is None:
        raise UmpError.of("provider_app_untried")
    name = "your own organisation" if app.home_tenant_id else "a customer's organisation"
    return lines.Line(home, name, str(home), CLOUDS[Cloud.GLOBAL], credential, shared=True)


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


def _keep(app: ProviderApp, result: Verification, problem: dict[str, Any] | None) -> None:
    """Unless somebody has changed the app meanwhile: then this was about another one."""
    if provider_app.current().changed_at == app.changed_at:
        provider_app.note_check(verification=result, problem=problem, at=timezone.now())


def _registration(line: lines.Line, app: ProviderApp) -> dict[str, Any]:
    """What the registration says about itself, where the app may read it; an empty answer where it may not."""
    graph = line.graph()
    try:
        found = registrations.by_client_id(graph, str(app.client_id))
        path = f"/applications(appId='{segment(str(app.client_id))}')?$select=id,signInAudience,web"
        row = graph.get(path) if found else {}
    except UmpError as error:
        if error.remedy == Remedy.LATER:
            raise
        return {}
    if found is None:
        return {}
    if app.secret is not None:
        _note_end(app.secret, _same_key(found, line.credential))
    web = row.get("web")
    uris = web.get("redirectUris") if isinstance(web, dict) else None
    return {
        "redirect_registered": isinstance(uris, list) and app.redirect_uri in uris,
        "multi_tenant": row.get("signInAudience") in MULTI_TENANT,
    }


def _same_key(found: registrations.Registration, used: AppCredential) -> registrations.KeyOnFile | None:
    """The entry of the credential in use: by its first three characters, or by its thumbprint."""
    if used.secret is not None:
        fitting = [key for key in found.secrets if key.hint and used.secret.startswith(key.hint)]
    else:
        der = x509.load_pem_x509_certificate((used.certificate_pem or "").encode()).public_bytes(Encoding.DER)
        thumbprint = hashlib.sha1(der, usedforsecurity=False).hexdigest().upper()
        fitting = [key for key in found.certificates if key.thumbprint == thumbprint]
    return fitting[0] if len(fitting) == 1 else None


def _note_end(secret: ProviderSecret, key: registrations.KeyOnFile | None) -> None:
    if key is not None and key.ends is not None:
        ProviderSecret.objects.filter(id=secret.id).update(
            expires_at=key.ends, ends_read_at=timezone.now(), microsoft_id=uuid.UUID(key.key_id)
        )
