"""App registrations, their credentials and service principals, as one tenant sees them."""

from __future__ import annotations

import dataclasses
import datetime
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from simulator.keys import b64
from simulator.objects import guid_of, stamp

TEAMS_ADMINISTRATOR = "69091246-20e8-4a56-aa4d-066075b2a7a8"


def parse_time(text: str) -> float:
    """ISO 8601 text as Unix seconds; without a zone it is UTC. ValueError otherwise."""
    moment = datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=datetime.UTC)
    return moment.timestamp()


@dataclasses.dataclass(slots=True)
class Secret:
    """One password credential."""

    value: str
    ends: float
    starts: float
    key_id: str

    def shown(self) -> dict[str, Any]:
        """As Graph lists it: never the value, only its first three characters."""
        return {
            "customKeyIdentifier": None,
            "displayName": "Voice portal",
            "endDateTime": stamp(self.ends),
            "hint": self.value[:3],
            "keyId": self.key_id,
            "secretText": None,
            "startDateTime": stamp(self.starts),
        }


@dataclasses.dataclass(slots=True)
class Certificate:
    """One key credential."""

    certificate: x509.Certificate
    key_id: str

    @classmethod
    def from_pem(cls, pem: str) -> Certificate:
        certificate = x509.load_pem_x509_certificate(pem.encode())
        return cls(certificate, guid_of("certificate", certificate.fingerprint(hashes.SHA256()).hex()))

    @property
    def ends(self) -> float:
        return self.certificate.not_valid_after_utc.timestamp()

    @property
    def starts(self) -> float:
        return self.certificate.not_valid_before_utc.timestamp()

    def thumbprints(self) -> dict[str, str]:
        """What an assertion's header may name it by: x5t (SHA-1) and x5t#S256."""
        return {
            "x5t": b64(self.certificate.fingerprint(hashes.SHA1())),  # noqa: S303 - the header field's definition
            "x5t#S256": b64(self.certificate.fingerprint(hashes.SHA256())),
        }

    def shown(self) -> dict[str, Any]:
        thumbprint = self.certificate.fingerprint(hashes.SHA1())  # noqa: S303 - as Graph lists it
        return {
            "customKeyIdentifier": thumbprint.hex().upper(),
            "displayName": self.certificate.subject.rfc4514_string(),
            "endDateTime": stamp(self.ends),
            "key": None,
            "keyId": self.key_id,
            "startDateTime": stamp(self.starts),
            "type": "AsymmetricX509Cert",
            "usage": "Verify",
        }


@dataclasses.dataclass(slots=True)
class ServicePrincipal:
    """The app inside the tenant. Granted permissions keep their past, since consent spreads with a delay."""

    object_id: str
    enabled: bool = True
    directory_roles: list[str] = dataclasses.field(default_factory=list)
    delegated: str = ""
    roles_since: list[tuple[float, tuple[str, ...]]] = dataclasses.field(default_factory=list)

    def grant(self, roles: list[str], effective: float) -> None:
        self.roles_since.append((effective, tuple(roles)))

    def roles(self, now: float) -> tuple[str, ...]:
        """Application permissions that a token issued now carries."""
        current: tuple[str, ...] = ()
        for effective, roles in self.roles_since:
            if effective <= now:
                current = roles
        return current

    def granted(self) -> tuple[str, ...]:
        """What the administrator has granted, whether or not it has spread yet."""
        return self.roles_since[-1][1] if self.roles_since else ()


@dataclasses.dataclass(slots=True)
class App:
    """One registration: credentials, switches, and its service principal unless that was deleted."""

    client_id: str
    object_id: str
    name: str
    created: float
    secrets: list[Secret] = dataclasses.field(default_factory=list)
    certificates: list[Certificate] = dataclasses.field(default_factory=list)
    principal: ServicePrincipal | None = None
    disabled: bool = False
    blocked: bool = False
    public_client: bool = False
    redirect_uris: list[str] = dataclasses.field(default_factory=list)
    requested_roles: list[str] = dataclasses.field(default_factory=list)  # what admin consent grants

    def set_secret(self, value: str, *, now: float, ends: float | None = None) -> Secret:
        """Make this the only secret; two years of life unless said."""
        ends = now + 730 * 86400 if ends is None else ends
        secret = Secret(value, ends, min(now, ends) - 86400, guid_of("secret", self.client_id, value))
        self.secrets = [secret]
        return secret

    def shown(self) -> dict[str, Any]:
        """As `GET /applications` lists it."""
        return {
            "id": self.object_id,
            "appId": self.client_id,
            "displayName": self.name,
            "createdDateTime": stamp(self.created),
            "signInAudience": "AzureADMyOrg",
            "isFallbackPublicClient": self.public_client,
            "identifierUris": [],
            "tags": [],
            "keyCredentials": [certificate.shown() for certificate in self.certificates],
            "passwordCredentials": [secret.shown() for secret in self.secrets],
            "requiredResourceAccess": [],
            "web": {"redirectUris": self.redirect_uris},
        }
