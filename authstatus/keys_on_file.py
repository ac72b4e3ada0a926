"""Which of the secrets that Microsoft lists is which of ours, and when it really ends (decision 3, complaint B 6)."""

import datetime as dt
import threading
import uuid

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from django.db.models.functions import Now
from django.utils import timezone

from accounts import installation
from core.errors import UmpError
from m365 import registrations as far
from m365.registrations import KeyOnFile, Registration
from tenants import lines, secrets
from tenants.models import Connection, Secret, SecretKind


def marker(tenant_id: uuid.UUID) -> str:
    """How the names of everything that the portal makes at Microsoft for this customer begin."""
    return f"ump {tenant_id.hex[:8]}"


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


def ends_soon(tenant_id: uuid.UUID) -> bool:
    """Whether the client secret in use is to be renewed without anybody asking."""
    ahead = dt.timedelta(days=installation.get("renew_before_days"))
    soon = Connection.objects.filter(
        tenant_id=tenant_id,
        secret__kind=SecretKind.CLIENT_SECRET,
        secret__ends_read_at__isnull=False,
        secret__expires_at__lt=timezone.now() + ahead,
    )
    return bool(ahead) and soon.exists()


def note(tenant_id: uuid.UUID, found: Registration) -> list[KeyOnFile]:
    """Keep the id and the real end of the connection's credential; the answer are secrets that nobody can know.

    Those carry the portal's marker, and no row of ours: an attempt to add them was cut off. In the customer's
    scope and in a worker.
    """
    connection: Connection = Connection.objects.select_related("secret", "secret__key").get(
        tenant_id=tenant_id
    )
    if connection.secret is not None and str(connection.client_id) == found.client_id:
        own = find(connection.secret, found, connection.certificate)
        if own is not None and own.ends is not None:
            is_key(connection.secret, uuid.UUID(own.key_id), own.ends)
    known = _known(tenant_id)
    mark = f"{marker(tenant_id)} "
    return [key for key in found.secrets if key.name.startswith(mark) and key.key_id not in known]


def find(secret: Secret, found: Registration, certificate: str = "") -> KeyOnFile | None:
    """The one that Microsoft lists for this secret or certificate; None when that is not certain.

    By its id where we have it. Otherwise a certificate by its thumbprint, and a secret by its first three
    characters, which Microsoft shows, if only one of those that we do not know otherwise has them.
    """
    listed = found.secrets if secret.kind == SecretKind.CLIENT_SECRET else found.certificates
    if secret.microsoft_id is not None:
        return next((key for key in listed if key.key_id == str(secret.microsoft_id)), None)
    if secret.kind == SecretKind.CLIENT_SECRET:
        hint, known = secrets.open_secret(secret)[:3], _known(secret.tenant_id)
        fitting = [key for key in listed if key.hint == hint and key.key_id not in known]
        return fitting[0] if len(fitting) == 1 else None
    thumbprint = _thumbprint(certificate)
    return next((key for key in listed if thumbprint and key.thumbprint == thumbprint), None)


def is_key(secret: Secret | None, key_id: uuid.UUID, ends: dt.datetime) -> None:
    """Microsoft has just said so."""
    if secret is not None:
        secret.microsoft_id, secret.expires_at = key_id, ends
        Secret.objects.filter(id=secret.id).update(microsoft_id=key_id, expires_at=ends, ends_read_at=Now())


def _known(tenant_id: uuid.UUID) -> set[str]:
    rows = Secret.objects.filter(tenant_id=tenant_id, microsoft_id__isnull=False)
    return {str(key_id) for key_id in rows.values_list("microsoft_id", flat=True)}


def _thumbprint(certificate: str) -> str:
    """SHA-1 in hexadecimal, the name by which Microsoft lists a certificate."""
    try:
        parsed = x509.load_pem_x509_certificate(certificate.encode())
    except ValueError:
        return ""
    return parsed.fingerprint(hashes.SHA1()).hex().upper()  # noqa: S303  a name, not a proof
