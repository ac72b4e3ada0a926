"""Which of the secrets that Microsoft lists is which of ours, and when it really ends (decision 3, complaint B 6)."""

import datetime as dt
import threading
import uuid
from typing import Any

from cryptography.hazmat.primitives import hashes
from django.db.models import QuerySet
from django.db.models.functions import Now
from django.utils import timezone

from accounts import installation
from core.errors import UmpError
from m365 import registrations as far
from m365.registrations import KeyOnFile, Registration
from tenants import lines, provider_app, secrets
from tenants.models import Connection, ProviderApp, ProviderSecret, Secret, SecretKind

RENEWED = (SecretKind.CLIENT_SECRET, SecretKind.CERTIFICATE_KEY)
"""What the portal can renew, where it may change the registration."""


def marker(tenant_id: uuid.UUID | None) -> str:
    """How the names of everything that the portal makes at Microsoft for this customer begin; None: for itself."""
    return f"ump {tenant_id.hex[:8]}" if tenant_id else "ump provider"


def look(line: lines.Line, stop: threading.Event | None = None) -> Registration | None:
    """The registration that the line signs in with, where Microsoft lets the portal read it; blames nobody."""
    if line.shared or line.token().granted.isdisjoint(far.READS_ANY | far.CHANGES_OWN):
        return None
    try:
        return far.by_client_id(line.graph(stop=stop), line.credential.client_id)
    except UmpError as error:
        if error.code == "interrupted":
            raise
        return None


def may_change(line: lines.Line) -> bool:
    """Whether the token says so; that the app owns its registration is for the renewal to find out."""
    return not line.token().granted.isdisjoint(far.CHANGES_OWN)


def ends_soon(tenant_id: uuid.UUID | None) -> bool:
    """Whether the credential in use is to be renewed without anybody asking."""
    ahead = dt.timedelta(days=installation.get("renew_before_days"))
    secret = in_use(tenant_id).secret
    if not ahead or secret is None or secret.kind not in RENEWED or secret.ends_read_at is None:
        return False
    return secret.expires_at is not None and secret.expires_at < timezone.now() + ahead


def in_use(tenant_id: uuid.UUID | None) -> Connection | ProviderApp:
    """What the customer's connection signs in with; None: the provider's own app."""
    if tenant_id is None:
        return provider_app.current()
    found: Connection = Connection.objects.select_related("secret", "secret__key").get(tenant_id=tenant_id)
    return found


def note(tenant_id: uuid.UUID | None, found: Registration) -> None:
    """Keep Microsoft's id and the real end of the credential in use. In the customer's scope and in a worker."""
    row = in_use(tenant_id)
    if row.secret is not None and str(row.client_id) == found.client_id:
        own = find(row.secret, found, row.certificate)
        if own is not None and own.ends is not None:
            is_key(row.secret, uuid.UUID(own.key_id), own.ends)


def lost(tenant_id: uuid.UUID | None, found: Registration) -> list[KeyOnFile]:
    """What carries the portal's marker and no row of ours: an attempt to add it was cut off, so nobody knows it."""
    here, mark = known(tenant_id), f"{marker(tenant_id)} "
    return [key for key in found.keys if key.name.startswith(mark) and key.key_id not in here]


def find(secret: Secret | ProviderSecret, found: Registration, certificate: str = "") -> KeyOnFile | None:
    """The one that Microsoft lists for this secret or certificate; None when that is not certain.

    By its id where we have it. Otherwise a certificate by its thumbprint, and a secret by its first three
    characters, which Microsoft shows, if only one of those that we do not know otherwise has them.
    """
    listed = found.secrets if secret.kind == SecretKind.CLIENT_SECRET else found.certificates
    if secret.microsoft_id is not None:
        return next((key for key in listed if key.key_id == str(secret.microsoft_id)), None)
    if secret.kind == SecretKind.CLIENT_SECRET:
        owner = secret.tenant_id if isinstance(secret, Secret) else None
        hint, here = secrets.open_secret(secret)[:3], known(owner)
        fitting = [key for key in listed if key.hint == hint and key.key_id not in here]
        return fitting[0] if len(fitting) == 1 else None
    thumbprint = _thumbprint(certificate)
    return next((key for key in listed if thumbprint and key.thumbprint == thumbprint), None)


def may_be(secret: Secret, key: KeyOnFile) -> bool:
    """Whether this one that Microsoft lists could be ours, for all that it shows.

    Of old secrets it shows no characters at all, and of a certificate perhaps an identifier that its owner chose.
    In a worker. Raises UmpError (secret_unreadable, key_unavailable).
    """
    if secret.kind != (SecretKind.CERTIFICATE_KEY if key.is_certificate else SecretKind.CLIENT_SECRET):
        return False
    if secret.microsoft_id is not None:
        return key.key_id == str(secret.microsoft_id)
    return key.is_certificate or key.hint in {"", secrets.open_secret(secret)[:3]}


def is_key(secret: Secret | ProviderSecret | None, key_id: uuid.UUID, ends: dt.datetime | None) -> None:
    """Microsoft has just said so; an end that it does not name stays as it was."""
    if secret is not None:
        ends = ends or secret.expires_at
        secret.microsoft_id, secret.expires_at = key_id, ends
        rows = type(secret).objects.filter(id=secret.id)
        rows.update(microsoft_id=key_id, expires_at=ends, ends_read_at=Now())


def known(tenant_id: uuid.UUID | None) -> set[str]:
    """Microsoft's ids of everything that lies sealed here."""
    rows: QuerySet[Any] = ProviderSecret.objects.all()
    if tenant_id is not None:
        rows = Secret.objects.filter(tenant_id=tenant_id)
    ids = rows.filter(microsoft_id__isnull=False).values_list("microsoft_id", flat=True)
    return {str(key_id) for key_id in ids}


def _thumbprint(certificate: str) -> str:
    """SHA-1 in hexadecimal, the name by which Microsoft lists a certificate."""
    from cryptography import x509  # noqa: PLC0415  a megabyte that only certificates take

    try:
        parsed = x509.load_pem_x509_certificate(certificate.encode())
    except ValueError:
        return ""
    return parsed.fingerprint(hashes.SHA1()).hex().upper()  # noqa: S303  a name, not a proof
