"""What people paste as a credential, checked before it is sealed."""

import dataclasses
import datetime as dt
from typing import Self

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from django.utils import timezone

from core.errors import InvalidInput
from m365.identity import VISIBLE, looks_like_guid
from tenants.models import SecretKind

LONGEST_SECRET = 1000
KEY_BITS = 2048
"""Of the pairs made here: RSA, the kind that Microsoft takes for apps."""
CLOCKS_DIFFER = dt.timedelta(minutes=5)


@dataclasses.dataclass(frozen=True)
class Given:
    """A client secret, or a certificate with its private key (PEM); `expires_at` when that is known."""

    kind: SecretKind
    value: str = dataclasses.field(repr=False)
    certificate: str = ""
    expires_at: dt.datetime | None = None

    @classmethod
    def read(
        cls, client_secret: str, certificate: str, private_key: str, expires_at: dt.datetime | None
    ) -> Self | None:
        """None when every field is empty. Raises InvalidInput naming the field."""
        if client_secret and (certificate or private_key):
            raise InvalidInput(field="client_secret", why="give a client secret or a certificate, not both")
        if client_secret:
            value = check_client_secret(client_secret)
            return cls(SecretKind.CLIENT_SECRET, value, expires_at=expires_at)
        if certificate or private_key:
            ends = check_certificate(certificate, private_key)
            return cls(SecretKind.CERTIFICATE_KEY, private_key, certificate.strip(), ends)
        return None


def check_client_secret(value: str) -> str:
    """The secret without surrounding blanks. Raises InvalidInput; a GUID is the Secret ID (decision 15)."""
    value = value.strip()
    if looks_like_guid(value):
        raise InvalidInput("secret_is_guid", field="client_secret")
    if len(value) > LONGEST_SECRET or not VISIBLE.fullmatch(value):
        raise InvalidInput(
            field="client_secret", why="it has blanks or characters that no client secret of Microsoft has"
        )
    return value


def check_certificate(certificate: str, private_key: str) -> dt.datetime:
    """When the certificate ends. Raises InvalidInput when it is unreadable, over, or has another key."""
    from cryptography import x509  # noqa: PLC0415  a megabyte that only certificates take

    try:
        parsed = x509.load_pem_x509_certificate(certificate.encode())
    except ValueError as error:
        raise InvalidInput(field="certificate", why="it is not a certificate in PEM form") from error
    try:
        key = load_pem_private_key(private_key.encode(), password=None)
    except (ValueError, TypeError) as error:
        raise InvalidInput(
            field="private_key", why="it is not an unencrypted private key in PEM form"
        ) from error
    if key.public_key() != parsed.public_key():
        raise InvalidInput(field="private_key", why="it does not belong to this certificate")
    if parsed.not_valid_after_utc <= timezone.now():
        raise InvalidInput(field="certificate", why="it has expired already")
    return parsed.not_valid_after_utc


def new_certificate(name: str, ends: dt.datetime) -> Given:
    """A key pair made here, with its self-signed certificate; the private half has been nowhere else."""
    from cryptography import x509  # noqa: PLC0415  a megabyte that only certificates take
    from cryptography.x509.oid import NameOID  # noqa: PLC0415  likewise

    key = rsa.generate_private_key(public_exponent=65537, key_size=KEY_BITS)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(timezone.now() - CLOCKS_DIFFER)
        .not_valid_after(ends)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    public = certificate.public_bytes(Encoding.PEM).decode()
    return Given(SecretKind.CERTIFICATE_KEY, private, public, certificate.not_valid_after_utc)
