"""Signing in on behalf of a person: by redirect with PKCE, by the tokens kept from it, or by a password.

The same thin line to MSAL as in `m365.identity`, and the same rule: a failing answer never reaches MSAL, so
nothing is replayed for 60 seconds and no reason is lost (facts/microsoft.md 2.2, 2.5, 2.6 and 3). MSAL keeps
tokens in its own cache, which goes in and comes out here as text: whoever calls seals it and keeps it.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import secrets
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import msal

from core.errors import UmpError
from core.http import Outbound
from m365.clouds import Cloud
from m365.identity import (
    GUID,
    ORGANIZATIONS,
    VISIBLE,
    AppCredential,
    Discovered,
    MsalLine,
    Reply,
    Token,
    clean_tenant,
    discover_in,
    document_of,
    open_place,
    read_token,
    well_formed,
)
from m365.permissions import DIRECTORY_READ, FEATURES, PROFILES, TEAMS_ADMIN_APP_ID

PERSONAL_TENANT = "9188040d-6c67-4c5b-b112-36a304b66dad"
"""The `tid` of personal Microsoft accounts, which are nobody's organisation (facts 2.7)."""
OPENID = ("openid", "profile", "offline_access")
UNUSED_DAYS = 90
"""A refresh token that nobody used for so long is over (facts 2.5)."""


@dataclass(frozen=True, slots=True)
class Proof:
    """What only the one who began a sign-in knows; nothing of it travels before the code is redeemed."""

    verifier: str = field(repr=False)
    nonce: str = field(repr=False)
    claims: str = ""
    """What Microsoft demanded when it refused last (Conditional Access); it goes along in both requests."""

    @classmethod
    def new(cls, claims: str = "") -> Proof:
        return cls(secrets.token_urlsafe(64), secrets.token_urlsafe(32), claims)

    @property
    def challenge(self) -> str:
        digest = hashlib.sha256(self.verifier.encode()).digest()
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()

    @property
    def nonce_hash(self) -> str:
        """In the form that MSAL compares the id token's with."""
        return hashlib.sha256(self.nonce.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Grant:
    """What a person's sign-in gave: MSAL's cache (secret), who it was, and the first access token."""

    cache: str = field(repr=False)
    account: str
    token: Token
    tid: str
    """Azure Tenant Id of whoever signed in."""


def scopes(cloud: Cloud, more: Collection[str] = ()) -> list[str]:
    """What a sign-in asks for: the provider's list (PER-01, PER-02), what it lacks for our own reading, and `more`.

    Microsoft's tables do not accept Directory.AccessAsUser.All for all of that.
    """
    listed = [name for name in PROFILES["sync_delegated"].delegated if name not in OPENID]
    needs = [need for feature in DIRECTORY_READ for need in FEATURES[feature].needs]
    lacking = [need.least for need in needs if not set(need.any_of) & set(listed)]
    graph = [f"{cloud.graph_root}/{name}" for name in dict.fromkeys([*listed, *lacking, *more])]
    return [*graph, f"{TEAMS_ADMIN_APP_ID}/user_impersonation", *OPENID]


def authorize_url(
    cloud: Cloud,
    entra_tenant_id: str,
    client_id: str,
    *,
    redirect_uri: str,
    state: str,
    proof: Proof,
    login_hint: str = "",
    more: Collection[str] = (),
) -> str:
    """Microsoft's sign-in page for people of this very tenant, or (ORGANIZATIONS) of any organisation.

    `more` names Graph permissions to ask for beside the usual ones. Raises `tenant_unknown` for a malformed id.
    """
    query = {
        "client_id": client_id,
        "response_type": "code",
        "redirect_uri": redirect_uri,
        "response_mode": "query",
        "scope": " ".join(scopes(cloud, more)),
        "state": state,
        "nonce": proof.nonce_hash,
        "code_challenge": proof.challenge,
        "code_challenge_method": "S256",
        "client_info": "1",
        "prompt": "select_account",
    }
    query |= {name: value for name, value in (("login_hint", login_hint), ("claims", proof.claims)) if value}
    place = entra_tenant_id if entra_tenant_id == ORGANIZATIONS else clean_tenant(entra_tenant_id)
    return f"{cloud.authority(place)}/oauth2/v2.0/authorize?{urlencode(query, quote_via=quote)}"


def redeem(
    http: Outbound,
    cloud: Cloud,
    entra_tenant_id: str,
    credential: AppCredential,
    *,
    code: str,
    proof: Proof,
    redirect_uri: str,
) -> Grant:
    """Turn the code that Microsoft sent a person back with into tokens; it works once.

    Raises `wrong_tenant`, `account_personal`, `signin_restart`, `bad_reply` when no lasting access came, or an
    error of the sign-in table or of the line. Nothing is worth keeping then.
    """
    cache = msal.SerializableTokenCache()
    flow = {
        "state": "checked by the caller",
        "redirect_uri": redirect_uri,
        "scope": [cloud.graph_scope, *OPENID],
        "code_verifier": proof.verifier,
        "nonce": proof.nonce,
        "claims_challenge": proof.claims or None,
    }
    with http.within(http.config.total):
        application = _application(http, cloud, entra_tenant_id, credential, cache=cache)
        with understood(cloud):
            result = application.acquire_token_by_auth_code_flow(flow, {"state": flow["state"], "code": code})
    return granted(application, result, cache, cloud, entra_tenant_id)


def granted(
    application: Any, result: dict[str, Any], cache: msal.SerializableTokenCache, cloud: Cloud, tenant: str
) -> Grant:
    """What a successful answer to a person's sign-in gave. Raises `wrong_tenant`, `account_personal`, `bad_reply`."""
    token = _of_tenant(result, tenant)
    claims = result.get("id_token_claims") or {}
    tid = str(claims.get("tid") or token.tid).lower()
    _check_tid(tid, tenant)
    if not application.get_accounts() or not result.get("refresh_token"):
        raise UmpError.of("bad_reply", host=cloud.authority_host, why="it grants no lasting access")
    account = str(claims.get("preferred_username") or token.upn)[:254]
    return Grant(cache.serialize(), account, token, tid)


def renew(
    http: Outbound,
    cloud: Cloud,
    entra_tenant_id: str,
    credential: AppCredential,
    cache: str,
    *,
    account: str = "",
    scope: str = "",
    fresh: bool = False,
) -> tuple[Token, str]:
    """(an access token, MSAL's cache as it is now) from the kept cache; `fresh` asks Microsoft in any case.

    The token is for Graph, or as `scope` says.

    A changed cache holds a newer refresh token: save it before the access token is used. Raises what the
    sign-in table says about a refused refresh (`signin_revoked`, `signin_unused`, `mfa_required` ...),
    `signin_expired` for a cache without a sign-in, `wrong_tenant`, or an error of the line.
    """
    kept = msal.SerializableTokenCache()
    try:
        kept.deserialize(cache)
    except ValueError as error:
        raise UmpError.of("signin_expired", account=account, detail={"cause": "unreadable"}) from error
    with http.within(http.config.total):
        application = _application(http, cloud, entra_tenant_id, credential, cache=kept, account=account)
        try:
            result = _silent(application, cloud, scope, fresh)
        except UmpError as error:
            if error.code != "secret_not_wanted":
                raise
            # It was given by a device code, that is to a public client (facts 2.4).
            application = _application(
                http, cloud, entra_tenant_id, credential, cache=kept, account=account, public=True
            )
            result = _silent(application, cloud, scope, fresh)
    if not result:
        raise UmpError.of("signin_expired", account=account)
    return _of_tenant(result, entra_tenant_id), kept.serialize() if kept.has_state_changed else cache


def _silent(application: Any, cloud: Cloud, scope: str, fresh: bool) -> dict[str, Any] | None:
    with understood(cloud):
        return next(
            (
                application.acquire_token_silent([scope or cloud.graph_scope], known, force_refresh=fresh)
                for known in application.get_accounts()
            ),
            None,
        )


def by_password(
    http: Outbound,
    cloud: Cloud,
    entra_tenant_id: str,
    credential: AppCredential,
    *,
    account: str,
    password: str,
    scope: str = "",
) -> Token:
    """An access token for a user name and password (legacy, facts 2.6). One try: repeating locks the account.

    For Graph, or as `scope` says.

    Raises `password_wrong`, `mfa_required`, `password_missing` for accounts whose sign-in is elsewhere, and the
    other errors of the sign-in table or of the line.
    """
    with http.within(http.config.total):
        application = _application(
            http, cloud, entra_tenant_id, credential, cache=msal.TokenCache(), account=account
        )
        with understood(cloud):
            result = application.acquire_token_by_username_password(
                account, password, [scope or cloud.graph_scope]
            )
    return _of_tenant(result, entra_tenant_id)


def _application(
    http: Outbound,
    cloud: Cloud,
    entra_tenant_id: str,
    credential: AppCredential,
    *,
    cache: msal.TokenCache,
    account: str = "",
    public: bool = False,
) -> Any:
    """A fresh one for each use: MSAL's keep refusals for a minute (facts 3.4)."""
    found = place_of(http, cloud, entra_tenant_id)
    names = {"app": credential.app, "tenant": found.tenant_id, "account": account}
    more: dict[str, Any] = {
        "authority": cloud.authority(found.tenant_id),
        "http_client": PersonsLine(http, found, names),
        "token_cache": cache,
        "instance_discovery": False,
    }
    if public:
        return msal.PublicClientApplication(credential.client_id, **more)
    return msal.ConfidentialClientApplication(
        credential.client_id, client_credential=credential.for_msal(), **more
    )


def place_of(http: Outbound, cloud: Cloud, entra_tenant_id: str) -> Discovered:
    """The tenant in this cloud, or the place that is open to all. Raises as `discover_in`."""
    if entra_tenant_id == ORGANIZATIONS:
        return open_place(cloud)
    return discover_in(http, cloud, clean_tenant(entra_tenant_id))


class PersonsLine(MsalLine):
    """As for an application, and what a person's answer has more: id token, refresh token, who it was."""

    def get(self, url: str, **kwargs: Any) -> Reply:
        parts = urlsplit(url)
        if not (parts.netloc == self._found.cloud.authority_host and "/userrealm/" in parts.path):
            return super().get(url, **kwargs)
        response = self._http.request("GET", url, headers={"Accept": "application/json"})
        realm = document_of(response, parts.netloc, **self._names)
        if str(realm.get("account_type")) == "Federated":
            # MSAL would send the password on, to whatever address the realm names.
            raise UmpError.of("password_missing", account=self._names.get("account"))
        return Reply(json.dumps({"account_type": "Managed"}))

    def post(self, url: str, **kwargs: Any) -> Reply:
        response = self._http.request("POST", url, **kwargs)
        host = self._found.cloud.authority_host
        document = document_of(response, host, **self._names)
        more = {name: document[name] for name in _MORE if _is_text(document.get(name))}
        return Reply(json.dumps(more | well_formed(document, host)))


_MORE = ("refresh_token", "id_token", "client_info")


def _is_text(value: object) -> bool:
    return isinstance(value, str) and VISIBLE.fullmatch(value) is not None


@contextlib.contextmanager
def understood(cloud: Cloud) -> Iterator[None]:
    """What MSAL cannot make sense of in a successful answer: an id token of another sign-in, or broken parts."""
    try:
        yield
    except RuntimeError as error:
        raise UmpError.of("signin_restart", detail={"cause": "nonce"}) from error
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise UmpError.of("bad_reply", host=cloud.authority_host, why="its tokens cannot be read") from error


def _of_tenant(result: dict[str, Any], entra_tenant_id: str) -> Token:
    token = read_token(result["access_token"], int(result["expires_in"]))
    if token.tid:
        _check_tid(token.tid, entra_tenant_id)
    return token


def _check_tid(tid: str, entra_tenant_id: str) -> None:
    """Whoever signed in belongs to the customer's organisation, by the token's own word."""
    if tid.lower() == PERSONAL_TENANT:
        raise UmpError.of("account_personal", tenant=entra_tenant_id)
    anybody = entra_tenant_id == ORGANIZATIONS and GUID.fullmatch(tid)
    if not anybody and tid.lower() != entra_tenant_id.lower():
        raise UmpError.of("wrong_tenant", tenant=entra_tenant_id, detail={"answered_for": tid})
