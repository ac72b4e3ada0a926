"""App registrations, their credentials, and the service principals that stand for them in tenants."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Iterable
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from simulator.keys import b64
from simulator.objects import guid_of, stamp
from simulator.permissions import GRAPH_APP, role_name, scope_name


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
    name: str | None = "Voice portal"
    works_from: float = 0.0  # a fresh one takes a while to reach every sign-in server
    hinted: bool = True

    def shown(self) -> dict[str, Any]:
        """As Graph lists it: never the value, only its first three characters; of some old ones not even these."""
        return {
            "customKeyIdentifier": None,
            "displayName": self.name,
            "endDateTime": stamp(self.ends),
            "hint": self.value[:3] if self.hinted else None,
            "keyId": self.key_id,
            "secretText": None,
            "startDateTime": stamp(self.starts),
        }


@dataclasses.dataclass(slots=True)
class Certificate:
    """One key credential."""

    certificate: x509.Certificate
    key_id: str
    name: str | None = None
    works_from: float = 0.0

    @classmethod
    def from_pem(cls, pem: str) -> Certificate:
        return cls.of(x509.load_pem_x509_certificate(pem.encode()))

    @classmethod
    def of(cls, certificate: x509.Certificate) -> Certificate:
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
            "displayName": self.name or self.certificate.subject.rfc4514_string(),
            "endDateTime": stamp(self.ends),
            "key": None,
            "keyId": self.key_id,
            "startDateTime": stamp(self.starts),
            "type": "AsymmetricX509Cert",
            "usage": "Verify",
        }


@dataclasses.dataclass(slots=True)
class PermissionGrant:
    """Delegated permissions of one API: for everybody, or for the one person who consented."""

    id: str
    resource: str  # the API's app id
    scopes: list[str]
    principal_id: str | None = None


@dataclasses.dataclass(slots=True)
class ServicePrincipal:
    """The app inside the tenant. Granted permissions keep their past, since consent spreads with a delay."""

    object_id: str
    created: float = 0.0
    enabled: bool = True
    seen_from: float = 0.0  # readers find it from then on
    grants: dict[str, PermissionGrant] = dataclasses.field(default_factory=dict)
    roles_since: list[tuple[float, tuple[str, ...]]] = dataclasses.field(default_factory=list)

    def grant(self, roles: Iterable[str], effective: float) -> None:
        self.roles_since.append((effective, tuple(dict.fromkeys(roles))))

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

    def grant_of(self, resource: str, user_id: str | None) -> PermissionGrant | None:
        """The one grant that this API and person (None: everybody) can have."""
        found = (
            one for one in self.grants.values() if (one.resource, one.principal_id) == (resource, user_id)
        )
        return next(found, None)

    def consent(self, resource: str, scopes: Iterable[str], user_id: str | None = None) -> PermissionGrant:
        """Add delegated permissions for everybody, or for one person."""
        kept = self.grant_of(resource, user_id)
        if kept is None:
            key = guid_of("grant", self.object_id, resource, user_id)
            kept = self.grants[key] = PermissionGrant(key, resource, [], user_id)
        kept.scopes = list(dict.fromkeys([*kept.scopes, *scopes]))
        return kept

    def scopes(self, resource: str, user_id: str) -> list[str]:
        """Delegated permissions of an API that hold for this person."""
        grants = (self.grant_of(resource, None), self.grant_of(resource, user_id))
        return list(dict.fromkeys(scope for one in grants if one is not None for scope in one.scopes))

    @property
    def delegated(self) -> str:
        """Graph's delegated permissions for everybody, as the control API names them."""
        kept = self.grant_of(GRAPH_APP, None)
        return "" if kept is None else " ".join(kept.scopes)


@dataclasses.dataclass(slots=True)
class Registration:
    """An app as its home tenant registered it; other tenants may have a service principal of the same one."""

    client_id: str
    object_id: str
    name: str
    created: float
    home: str  # the tenant's id
    secrets: list[Secret] = dataclasses.field(default_factory=list)
    certificates: list[Certificate] = dataclasses.field(default_factory=list)
    disabled: bool = False
    deleted: bool = False
    public_client: bool = False
    multi_tenant: bool = False
    seen_from: float = 0.0  # readers find it from then on
    owners: set[str] = dataclasses.field(default_factory=set)
    requested_roles: list[str] = dataclasses.field(default_factory=list)  # said by the control API
    requested_scopes: list[str] = dataclasses.field(default_factory=list)  # said by the control API
    properties: dict[str, Any] = dataclasses.field(default_factory=dict)  # said by Graph, and repeated by it

    def set_secret(self, value: str, *, now: float, ends: float | None = None) -> Secret:
        """Make this the only secret; two years of life unless said."""
        ends = now + 730 * 86400 if ends is None else ends
        secret = Secret(value, ends, min(now, ends) - 86400, guid_of("secret", self.client_id, value))
        self.secrets = [secret]
        return secret

    @property
    def redirect_uris(self) -> list[str]:
        """Every address that sign-in may return to, whatever its platform."""
        platforms = (self.properties.get(name) or {} for name in ("web", "publicClient", "spa"))
        return [uri for platform in platforms for uri in platform.get("redirectUris") or ()]

    def asks_for(self, kind: str, resource: str = GRAPH_APP) -> list[str]:
        """What `requiredResourceAccess` lists: `Role` are application permissions, `Scope` delegated ones."""
        name_of = role_name if kind == "Role" else scope_name
        names = (
            name_of(str(access.get("id")))
            for block in self.properties.get("requiredResourceAccess") or ()
            if block.get("resourceAppId") == resource
            for access in block.get("resourceAccess") or ()
            if access.get("type") == kind
        )
        asked = [name for name in names if name is not None]
        told = self.requested_roles if kind == "Role" else self.requested_scopes
        return [*told, *asked] if resource == GRAPH_APP else asked

    def shown(self) -> dict[str, Any]:
        """As `GET /applications` lists it."""
        empty: dict[str, Any] = {"redirectUris": []}
        return {
            "id": self.object_id,
            "appId": self.client_id,
            "createdDateTime": stamp(self.created),
            "identifierUris": [],
            "tags": [],
            "requiredResourceAccess": [],
            "web": empty,
            "publicClient": empty,
            "spa": empty,
            **self.properties,
            "displayName": self.name,
            "signInAudience": "AzureADMultipleOrgs" if self.multi_tenant else "AzureADMyOrg",
            "isFallbackPublicClient": self.public_client,
            "isDisabled": self.disabled,
            "keyCredentials": [certificate.shown() for certificate in self.certificates],
            "passwordCredentials": [secret.shown() for secret in self.secrets],
        }


@dataclasses.dataclass(slots=True)
class App:
    """An app as one tenant has it: its registration, wherever that is at home, and its service principal."""

    registration: Registration
    principal: ServicePrincipal | None = None
    blocked: bool = False  # by Conditional Access

    @property
    def client_id(self) -> str:
        return self.registration.client_id

    @property
    def name(self) -> str:
        return self.registration.name

    @property
    def secrets(self) -> list[Secret]:
        return self.registration.secrets

    @property
    def disabled(self) -> bool:
        """At home for everyone, or in this tenant by switching the service principal off."""
        return self.registration.disabled or (self.principal is not None and not self.principal.enabled)
