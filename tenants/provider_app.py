"""The provider's own app registration: one for all customers who have none of their own (APP-01).

It lives in the provider's tenant and is consented to in the customers'. GCC High, DoD and China cannot know
it (SYN-19, facts/microsoft.md 1.1).
"""

import datetime as dt
import uuid
from collections.abc import Mapping
from urllib.parse import urlsplit

from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now

from audit.services import record
from core.errors import InvalidInput, UmpError
from tenants import secrets
from tenants.access import Actor
from tenants.credentials import Given
from tenants.models import ProviderApp, ProviderSecret, ProviderStandby, StandbyRole, Verification
from tenants.written import Written

CALLBACK = "/authenticate/OAuth2Callback"


def current() -> ProviderApp:
    """The registration, unsaved and empty when none was given yet."""
    return _CURRENT.sole() or ProviderApp()


_CURRENT = Written(lambda: ProviderApp.objects.select_related("secret", "secret__key").filter(id=1))


def default_redirect_uri() -> str:
    """The address that Microsoft sends people back to, on the portal's main host name (AUT-29)."""
    return f"{settings.PORTAL_BASE_URL.rstrip('/')}{CALLBACK}"


@transaction.atomic
def change(
    actor: Actor,
    *,
    client_id: uuid.UUID,
    redirect_uri: str,
    home_tenant_id: uuid.UUID | None = None,
    given: Given | None = None,
) -> ProviderApp:
    """Apply Changes. Without `given` the stored credential stays (it is write-only).

    Raises InvalidInput naming the field: client_secret, certificate, private_key, redirect_uri.
    """
    app = ProviderApp.objects.select_for_update(no_key=True).filter(id=1).first() or ProviderApp()
    before = {"client_id": app.client_id, "redirect_uri": app.redirect_uri}
    old = app.secret
    if given is None and old is None:
        raise InvalidInput(field="client_secret", why="a client secret or a certificate is needed")
    if given is not None:
        app.secret = _store(actor, given)
        app.certificate = given.certificate
    if app.client_id != client_id:  # what is kept for a renewal was about another registration
        for row in ProviderStandby.objects.select_related("secret"):
            forget(row)
    app.client_id = client_id
    app.redirect_uri = check_redirect_uri(redirect_uri)
    app.home_tenant_id = home_tenant_id
    app.verification, app.problem = Verification.NEVER, None
    app.row_version += 1
    app.save()
    if given is not None and old is not None:
        old.delete()
    changes = {
        "Client Id": (before["client_id"], client_id),
        "Redirect Uri": (before["redirect_uri"], app.redirect_uri),
        "credential replaced": (None, given is not None),
    }
    _record(actor, "provider_app.changed", changes)
    return app


# --- Its credential is renewed; each in a transaction of the caller ------------------------------------------
def standby(role: StandbyRole) -> ProviderStandby | None:
    """What waits beside the credential in use."""
    rows = ProviderStandby.objects.select_related("secret", "secret__key").filter(role=role)
    found = rows.annotate(read_at=Now()).first()
    if found is not None:
        found.age = found.read_at - found.since
    return found


def keep_candidate(actor: Actor, given: Given) -> ProviderStandby:
    """Seal a credential that is to be proven. Raises UmpError (provider_app_missing)."""
    client_id = current().client_id
    if client_id is None:
        raise UmpError.of("provider_app_missing")
    candidate = ProviderStandby(
        role=StandbyRole.CANDIDATE,
        client_id=client_id,
        secret=_store(actor, given),
        certificate=given.certificate,
        set_by=actor.label,
    )
    candidate.save(force_insert=True)
    return candidate


def was_replaced(candidate: ProviderStandby) -> bool:
    """Lock the app, and say whether somebody entered another app or credential since."""
    app = ProviderApp.objects.select_for_update(no_key=True, of=("self",)).select_related("secret").get(id=1)
    if app.secret is None or app.client_id != candidate.client_id:
        return True
    return bool(app.secret.set_at > candidate.since)


def switch(actor: Actor, candidate: ProviderStandby) -> None:
    """Use the candidate, which was proven; what was used until now is the former one."""
    app = ProviderApp.objects.select_related("secret").get(id=1)
    former = ProviderStandby(
        role=StandbyRole.FORMER,
        client_id=candidate.client_id,
        secret=app.secret,
        certificate=app.certificate,
        set_by=candidate.set_by,
    )
    app.secret, app.certificate = candidate.secret, candidate.certificate
    app.row_version += 1
    app.save()
    candidate.delete()
    former.save(force_insert=True)
    _record(actor, "provider_app.secret_renewed", {"credential replaced": (None, True)})


def forget(row: ProviderStandby) -> None:
    """Delete it with what is sealed in it."""
    row.delete()
    row.secret.delete()


def note_check(*, verification: Verification, problem: dict[str, object] | None, at: dt.datetime) -> None:
    """Keep what a check of the provider's own credential said."""
    ProviderApp.objects.filter(id=1).update(
        verification=verification, problem=problem, verified_at=at, row_version=F("row_version") + 1
    )


def check_redirect_uri(text: str) -> str:
    """The address as it has to be registered at Microsoft. Raises InvalidInput (APP-19, decision 16)."""
    text = text.strip()
    parts = urlsplit(text)
    loopback = settings.DEMO and parts.hostname in {"localhost", "127.0.0.1"}
    if parts.scheme != "https" and not (parts.scheme == "http" and loopback):
        raise InvalidInput(field="redirect_uri", why="it must begin with https://; Microsoft refuses http")
    if parts.path != CALLBACK or parts.query or parts.fragment or not parts.hostname or "@" in parts.netloc:
        raise InvalidInput(field="redirect_uri", why=f"it must be https://, the host name, and {CALLBACK}")
    return text


def _store(actor: Actor, given: Given) -> ProviderSecret:
    return secrets.store_for_provider(
        given.kind, given.value, set_by=actor.label, expires_at=given.expires_at
    )


def _record(actor: Actor, action: str, changes: Mapping[str, tuple[object, object]]) -> None:
    record(
        actor,
        action,
        tenant_id=None,
        object_kind="provider_app",
        object_id="1",
        object_label="Provider's app registration",
        changes=changes,
    )
