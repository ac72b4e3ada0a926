"""Signing in to Microsoft as an application, with MSAL underneath (facts/microsoft.md 1, 2.1 and 3).

MSAL builds the requests (above all the signed assertion of a certificate); it never gets to interpret a
failing answer: it would lose the reason (an unknown tenant becomes a ValueError), replay a 400 for 60 seconds
and log whatever it cannot parse. So each token gets a fresh application object over a thin line that passes
only well-formed successes on and raises everything else as our own errors. Tokens are kept here, in memory.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import os
import re
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any, Generic, TypeVar
from urllib.parse import urlsplit
from weakref import WeakValueDictionary

import msal
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from core.errors import UmpError
from core.http import Outbound
from m365.clouds import Cloud, cloud_of
from m365.errors import from_oauth
from m365.replies import json_object

GUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}", re.IGNORECASE)
DOMAIN = re.compile(
    r"(?=.{4,253}\Z)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9-]{2,63}", re.IGNORECASE
)
VISIBLE = re.compile(r"[\x21-\x7e]{1,65536}")
ORGANIZATIONS = "organizations"
"""In place of a tenant: whichever organisation the person who signs in belongs to (facts/microsoft.md 1.2)."""

# What is kept of a tenant's metadata: what MSAL and the portal read.
_METADATA = ("token_endpoint", "authorization_endpoint", "issuer", "cloud_instance_name", "msgraph_host",
             "tenant_region_scope", "tenant_region_sub_scope")  # fmt: skip
PROOF_LIFE = 600
_PROOF_AUDIENCE = "00000002-0000-0000-c000-000000000000"
MARGIN = 300.0
METADATA_LIFE = 24 * 3600.0
MOST_TOKENS = 16_384
# Makes a credential's fingerprint useless outside this process, should one ever be written down.
_FINGERPRINT_KEY = secrets.token_bytes(32)


def looks_like_guid(text: str) -> bool:
    return GUID.fullmatch(text.strip()) is not None


def clean_tenant(text: str) -> str:
    """A tenant id or domain, trimmed and in lower case. Raises `tenant_unknown` for anything else."""
    tenant = text.strip().lower()
    if GUID.fullmatch(tenant) or DOMAIN.fullmatch(tenant):
        return tenant
    raise UmpError.of("tenant_unknown", tenant=tenant[:80])


@dataclass(frozen=True, slots=True)
class AppCredential:
    """A client id with its secret, or with its certificate and private key (PEM, no passphrase)."""

    client_id: str
    secret: str | None = field(default=None, repr=False)
    certificate_pem: str | None = field(default=None, repr=False)
    private_key_pem: str | None = field(default=None, repr=False)

    @property
    def app(self) -> str:
        """How messages name the registration."""
        return f"the app registration {self.client_id}"

    @property
    def fingerprint(self) -> str:
        """Differs when any part differs; says nothing about them outside this process."""
        parts = json.dumps([self.client_id, self.secret, self.certificate_pem, self.private_key_pem])
        return hmac.new(_FINGERPRINT_KEY, parts.encode(), hashlib.sha256).hexdigest()

    def for_msal(self) -> str | dict[str, str]:
        """In MSAL's form. Raises `secret_required` or `certificate_unreadable`."""
        if self.secret:
            return self.secret
        if not (self.certificate_pem and self.private_key_pem):
            raise UmpError.of("secret_required", app=self.app)
        _check_pair(self.certificate_pem, self.private_key_pem, self.app)
        return {"private_key": self.private_key_pem, "public_certificate": self.certificate_pem}


def _check_pair(certificate_pem: str, private_key_pem: str, app: str) -> None:
    from cryptography import x509  # noqa: PLC0415  a megabyte that only certificates take

    try:
        certificate = x509.load_pem_x509_certificate(certificate_pem.encode())
        key = load_pem_private_key(private_key_pem.encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        why = "one of them is not in PEM form, or needs a passphrase"
        raise UmpError.of("certificate_unreadable", app=app, why=why) from error
    form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if key.public_key().public_bytes(*form) != certificate.public_key().public_bytes(*form):
        raise UmpError.of("certificate_unreadable", app=app, why="they do not belong together")


def proof_of_possession(credential: AppCredential, object_id: str) -> str:
    """What Graph wants of an app that changes its certificates: signed with one it has, good for ten minutes.

    `object_id` is that of the app registration. Raises `certificate_unreadable`.
    """
    from cryptography import x509  # noqa: PLC0415  a megabyte that only certificates take

    if not (credential.certificate_pem and credential.private_key_pem):
        why = "there is none whose private key the portal holds"
        raise UmpError.of("certificate_unreadable", app=credential.app, why=why)
    _check_pair(credential.certificate_pem, credential.private_key_pem, credential.app)
    certificate = x509.load_pem_x509_certificate(credential.certificate_pem.encode())
    thumbprint = certificate.fingerprint(hashes.SHA1()).hex()  # noqa: S303  the name of the certificate
    signer = msal.oauth2cli.JwtAssertionCreator(credential.private_key_pem, "RS256", thumbprint)
    now = int(time.time())
    proof: bytes = signer.create_normal_assertion(
        _PROOF_AUDIENCE, object_id, issued_at=now, not_before=now, expires_at=now + PROOF_LIFE
    )
    return proof.decode()


@dataclass(frozen=True, slots=True)
class Token:
    """An access token and what it says about itself.

    `roles` are the permissions granted to the application, `scopes` those it has on behalf of a person, whose
    id and name are `oid` and `upn`; `wids` are the directory roles of whoever it stands for.
    """

    value: str = field(repr=False)
    expires_at: datetime
    roles: frozenset[str] = frozenset()
    tid: str = ""
    appid: str = ""
    wids: frozenset[str] = frozenset()
    scopes: frozenset[str] = frozenset()
    oid: str = ""
    upn: str = ""

    @property
    def granted(self) -> frozenset[str]:
        """What it allows, by whichever method it was obtained."""
        return self.roles | self.scopes


@dataclass(frozen=True, slots=True)
class Discovered:
    """A tenant's id and cloud, as its sign-in metadata says."""

    tenant_id: str
    cloud: Cloud
    metadata: Mapping[str, Any] = field(repr=False, default_factory=dict)


_Key = tuple[str, ...]
_Value = TypeVar("_Value")


class _Kept(Generic[_Value]):
    """A bounded, thread-safe memory of values with a life in seconds; the least recently used goes first.

    Measured with the monotonic clock: a wall clock that jumps neither revives nor kills a token.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._makers: WeakValueDictionary[_Key, threading.Lock] = WeakValueDictionary()
        self._values: OrderedDict[_Key, tuple[float, float, _Value]] = OrderedDict()

    def get(self, key: _Key, since: float = 0.0) -> _Value | None:
        """The value, if it is still alive and was put at `since` (monotonic seconds) or later."""
        with self._lock:
            made, ends, value = self._values.get(key, (0.0, 0.0, None))
            if ends <= time.monotonic():
                self._values.pop(key, None)
                return None
            self._values.move_to_end(key)
            return value if made >= since else None

    def put(self, key: _Key, value: _Value, life: float, made: float | None = None) -> None:
        """Keep it for `life` seconds; `made` is when whoever made it began."""
        now = time.monotonic()
        with self._lock:
            self._values.pop(key, None)
            if life > 0:
                self._values[key] = (now if made is None else made, now + life, value)
            while len(self._values) > self._most:
                self._values.popitem(last=False)

    def get_or_make(
        self, key: _Key, make: Callable[[], tuple[_Value, float]], *, fresh: bool, since: float = 0.0
    ) -> _Value:
        """The kept value, or one that is made while others who want the same wait for it.

        Without the waiting, thirty threads of one tenant would each ask for a token, and Microsoft takes that
        for a loop (AADSTS50196). A `fresh` value is one whose making began after the call did, by whomever; any
        other is no older than `since` (monotonic seconds).
        """
        since = time.monotonic() if fresh else since
        with self._maker(key):
            found = self.get(key, since)
            if found is None:
                began = time.monotonic()
                found, life = make()
                self.put(key, found, life, began)
            return found

    def _maker(self, key: _Key) -> threading.Lock:
        """The lock of whoever makes this value; it goes when nobody holds or wants it."""
        with self._lock:
            return self._makers.setdefault(key, threading.Lock())

    def clear(self) -> None:
        with self._lock:
            self._values.clear()


_tokens: _Kept[Token] = _Kept(MOST_TOKENS)
_metadata: _Kept[Discovered] = _Kept(MOST_TOKENS)


def forget_everything() -> None:
    """Empty the memory of tokens and metadata."""
    _tokens.clear()
    _metadata.clear()


def _after_fork() -> None:
    """Locks that another thread held at the fork would stay locked in the child for ever."""
    global _tokens, _metadata
    _tokens, _metadata = _Kept(MOST_TOKENS), _Kept(MOST_TOKENS)


os.register_at_fork(after_in_child=_after_fork)


def discover(http: Outbound, cloud: Cloud, domain_or_id: str, *, fresh: bool = False) -> Discovered:
    """The tenant behind a domain or id, and the cloud it lives in; kept for a day.

    Raises `tenant_unknown`, `wrong_cloud` (Microsoft says so), `bad_reply`, `microsoft_busy` or an error of
    the line. A tenant found in another cloud than asked is returned, with that cloud.
    """
    tenant = clean_tenant(domain_or_id)
    key = (http.config.gateway_url, cloud.key, tenant)
    return _metadata.get_or_make(
        key, lambda: (_fetch_metadata(http, cloud, tenant), METADATA_LIFE), fresh=fresh
    )


def open_place(cloud: Cloud) -> Discovered:
    """Where people of any organisation sign in, as if it were a tenant: an address that never changes (facts 1.2)."""
    place = f"{cloud.authority(ORGANIZATIONS)}/oauth2/v2.0"
    known = {
        "token_endpoint": f"{place}/token",
        "authorization_endpoint": f"{place}/authorize",
        "issuer": f"{cloud.authority('{tenantid}')}/v2.0",
    }
    return Discovered(ORGANIZATIONS, cloud, MappingProxyType(known))


def discover_in(http: Outbound, cloud: Cloud, tenant: str, *, fresh: bool = False) -> Discovered:
    """The tenant, which has to live in this cloud. Raises `wrong_cloud`, `wrong_tenant` or as `discover`."""
    found = discover(http, cloud, tenant, fresh=fresh)
    if found.cloud != cloud:
        raise UmpError.of("wrong_cloud", tenant=tenant, cloud=found.cloud.name)
    if GUID.fullmatch(tenant) and found.tenant_id != tenant:
        raise UmpError.of("wrong_tenant", tenant=tenant, detail={"answered_for": found.tenant_id})
    return found


def _metadata_url(cloud: Cloud, tenant: str) -> str:
    return f"{cloud.authority(tenant)}/v2.0/.well-known/openid-configuration"


def _fetch_metadata(http: Outbound, cloud: Cloud, tenant: str) -> Discovered:
    response = http.request("GET", _metadata_url(cloud, tenant), headers={"Accept": "application/json"})
    document = document_of(response, cloud.authority_host, tenant=tenant)
    found = cloud_of(document, cloud)
    kept = {name: value for name in _METADATA if isinstance(value := document.get(name), str)}
    hosts = {_safe_host(kept.get(name)) for name in ("token_endpoint", "authorization_endpoint")}
    if not hosts <= found.authority_hosts:
        raise UmpError.of("bad_reply", host=cloud.authority_host, why="it names a foreign sign-in address")
    tenant_id = urlsplit(kept["token_endpoint"]).path.split("/")[1].lower()
    if not GUID.fullmatch(tenant_id):
        raise UmpError.of("bad_reply", host=cloud.authority_host, why="it names no organisation")
    return Discovered(tenant_id, found, MappingProxyType(kept))


def _safe_host(url: object) -> str:
    """The host of an https address on the normal port with a path; empty for anything else."""
    if not isinstance(url, str) or len(url) > 2000:
        return ""
    try:
        parts = urlsplit(url)
        plain = parts.scheme == "https" and parts.port in (None, 443) and "@" not in parts.netloc
    except ValueError:
        return ""
    return (parts.hostname or "") if plain and len(parts.path) > 1 else ""


def document_of(response: Any, host: str, **names: object) -> dict[str, Any]:
    """The JSON object of a successful answer; an error for everything else."""
    if response.status_code == 200:
        return json_object(response.content, host)
    if 300 <= response.status_code < 400:
        raise UmpError.of("redirected", host=host)
    if response.status_code < 500 and response.status_code != 429:
        raise from_oauth(json_object(response.content, host), response.status_code, response.headers, **names)
    try:
        told: object = json_object(response.content, host)
    except UmpError:
        told = {}
    raise from_oauth(told, response.status_code, response.headers, **names)


@dataclass(frozen=True, slots=True)
class Reply:
    """As much of a response as MSAL looks at."""

    text: str = field(repr=False)
    status_code: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)

    def raise_for_status(self) -> None:
        """Nothing to raise: only successes become a reply."""


class MsalLine:
    """MSAL's `http_client`: metadata from what is known already, tokens from the cloud's own hosts only."""

    def __init__(self, http: Outbound, found: Discovered, names: Mapping[str, object]) -> None:
        self._http, self._found, self._names = http, found, names

    def get(self, url: str, **_kwargs: Any) -> Reply:
        if url != _metadata_url(self._found.cloud, self._found.tenant_id):
            raise UmpError.of(
                "internal", detail={"cause": "MSAL asked for an address that it should not need"}
            )
        return Reply(json.dumps(dict(self._found.metadata)))

    def post(self, url: str, **kwargs: Any) -> Reply:
        response = self._http.request("POST", url, **kwargs)
        host = self._found.cloud.authority_host
        document = document_of(response, host, **self._names)
        return Reply(json.dumps(well_formed(document, host)))

    def close(self) -> None:
        """The session is the caller's."""


def well_formed(document: Mapping[str, Any], host: str) -> dict[str, Any]:
    """Only what an application's token answer needs, in the types that MSAL expects."""
    value, life = document.get("access_token"), document.get("expires_in")
    if not isinstance(value, str) or not VISIBLE.fullmatch(value):
        raise UmpError.of("bad_reply", host=host, why="it carries no access token")
    if isinstance(life, str) and life.isascii() and life.isdigit() and len(life) < 10:
        life = int(life)
    if not isinstance(life, int) or isinstance(life, bool) or not 0 <= life < 10**9:
        raise UmpError.of("bad_reply", host=host, why="it does not say how long the access lasts")
    return {"token_type": "Bearer", "access_token": value, "expires_in": life, "ext_expires_in": life}


def app_token(
    http: Outbound,
    cloud: Cloud,
    entra_tenant_id: str,
    credential: AppCredential,
    *,
    scope: str = "",
    fresh: bool = False,
    since: float = 0.0,
) -> Token:
    """An application's access token in this tenant (client credentials, facts 2.1): for Graph, or as `scope` says.

    A kept token with more than five minutes left is returned as it is, unless `fresh`, or when it was asked for
    before `since` (monotonic seconds). A token proves the credential, not the consent: compare `roles` with
    `m365.permissions`.

    Raises an error of the sign-in table (`m365.errors`), `wrong_cloud`, `wrong_tenant`, `bad_reply`,
    `certificate_unreadable`, `secret_required`, or an error of the line.
    """
    tenant = clean_tenant(entra_tenant_id)
    scope = scope or cloud.graph_scope
    key = (http.config.gateway_url, cloud.key, tenant, credential.client_id, credential.fingerprint, scope)
    with http.within(http.config.total):
        return _tokens.get_or_make(
            key, lambda: _make_token(http, cloud, tenant, credential, scope, fresh), fresh=fresh, since=since
        )


def kept_token(key: _Key, make: Callable[[], Token], *, fresh: bool, since: float = 0.0) -> Token:
    """This process's token under the key, or a new one; threads that want the same wait for a single maker.

    `fresh` and `since` as in `app_token`.
    """

    def made() -> tuple[Token, float]:
        token = make()
        return token, (token.expires_at - datetime.now(UTC)).total_seconds() - MARGIN

    return _tokens.get_or_make(key, made, fresh=fresh, since=since)


def _make_token(
    http: Outbound, cloud: Cloud, tenant: str, credential: AppCredential, scope: str, fresh: bool
) -> tuple[Token, float]:
    secret = credential.for_msal()
    found = discover_in(http, cloud, tenant, fresh=fresh)
    line = MsalLine(http, found, {"app": credential.app, "tenant": tenant})
    application = msal.ConfidentialClientApplication(
        credential.client_id,
        client_credential=secret,
        authority=cloud.authority(found.tenant_id),
        http_client=line,
        instance_discovery=False,
    )
    result = application.acquire_token_for_client(scopes=[scope])
    token = read_token(result["access_token"], int(result["expires_in"]))
    if token.tid and token.tid != found.tenant_id:
        raise UmpError.of("wrong_tenant", tenant=tenant, detail={"answered_for": token.tid})
    return token, int(result["expires_in"]) - MARGIN


def read_token(value: str, life: int) -> Token:
    claims = _claims(value)
    return Token(
        value,
        datetime.now(UTC) + timedelta(seconds=life),
        roles=_words(claims.get("roles")),
        tid=str(claims.get("tid") or "").lower(),
        appid=str(claims.get("appid") or claims.get("azp") or ""),
        wids=_words(claims.get("wids")),
        scopes=frozenset(str(claims.get("scp") or "").split()),
        oid=str(claims.get("oid") or "").lower(),
        upn=str(claims.get("upn") or ""),
    )


def _claims(value: str) -> dict[str, Any]:
    """What the token says, unverified: it is Graph's to verify, and may one day be opaque to us."""
    parts = value.split(".")
    if len(parts) != 3:
        return {}
    try:
        return json_object(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)), "the token")
    except (ValueError, binascii.Error, UmpError):
        return {}


def _words(value: object) -> frozenset[str]:
    return (
        frozenset(word for word in value if isinstance(word, str)) if isinstance(value, list) else frozenset()
    )
