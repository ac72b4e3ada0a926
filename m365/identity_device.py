"""Signing in with a code that is entered on another page: asked for once, then looked for, one look a call.

Microsoft takes it without the app's secret, and only from apps that allow public client flows (facts/microsoft.md
2.4). Many organisations block it; what they answer is an error of the sign-in table.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import msal

from core.errors import UmpError
from core.http import Outbound
from m365.clouds import Cloud
from m365.identity import VISIBLE, AppCredential, document_of
from m365.identity_delegated import OPENID, Grant, PersonsLine, granted, place_of, scopes, understood

USER_CODE = re.compile(r"[A-Z0-9-]{4,20}", re.IGNORECASE)
LEAST_INTERVAL, MOST_INTERVAL = 1, 60
SLOWER = 5
"""Seconds that `slow_down` adds to the interval (RFC 8628 3.5)."""


@dataclass(frozen=True, slots=True)
class Code:
    """`user_code` is for the person to enter at `page`; `device_code` is ours, and secret. Times in seconds."""

    user_code: str
    device_code: str = field(repr=False)
    page: str
    interval: int
    life: int


def ask(http: Outbound, cloud: Cloud, entra_tenant_id: str, credential: AppCredential) -> Code:
    """A code for people of this tenant, or (ORGANIZATIONS) of any.

    Raises `device_not_allowed`, `bad_reply`, an error of the sign-in table or of the line.
    """
    with http.within(http.config.total):
        found = place_of(http, cloud, entra_tenant_id)
        address = f"{cloud.authority(found.tenant_id)}/oauth2/v2.0/devicecode"
        # Of one API only: a device code is good for one, and Graph is the one that the portal needs now.
        wanted = [name for name in scopes(cloud) if name.startswith(cloud.graph_root) or name in OPENID]
        form = {"client_id": credential.client_id, "scope": " ".join(wanted)}
        response = http.request("POST", address, data=form)
        said = _allowed(response, cloud, credential, entra_tenant_id)
    return _read(said, cloud)


def look(
    http: Outbound, cloud: Cloud, entra_tenant_id: str, credential: AppCredential, device_code: str
) -> Grant:
    """What the sign-in gave, once somebody has finished it. Asks Microsoft once.

    Raises `device_pending` and `device_too_fast` until then, `device_declined`, `device_code_expired`,
    `device_not_allowed`, or as `identity_delegated.redeem`.
    """
    cache = msal.SerializableTokenCache()
    with http.within(http.config.total):
        found = place_of(http, cloud, entra_tenant_id)
        names = {"app": credential.app, "tenant": found.tenant_id}
        application = msal.PublicClientApplication(
            credential.client_id,
            authority=cloud.authority(found.tenant_id),
            http_client=PersonsLine(http, found, names),
            token_cache=cache,
            instance_discovery=False,
        )
        flow = {"device_code": device_code, "interval": LEAST_INTERVAL, "expires_at": 0}
        try:
            with understood(cloud):
                result = application.acquire_token_by_device_flow(flow)
        except UmpError as error:
            raise _in_words(error) from error
    return granted(application, result, cache, cloud, entra_tenant_id)


def _allowed(response: object, cloud: Cloud, credential: AppCredential, tenant: str) -> dict[str, object]:
    try:
        return document_of(response, cloud.authority_host, app=credential.app, tenant=tenant)
    except UmpError as error:
        raise _in_words(error) from error


def _in_words(error: UmpError) -> UmpError:
    """That a secret is wanted means, here, that the app does not allow public client flows."""
    if error.detail.get("error") == "slow_down":  # its number is that of a code which still waits
        return UmpError.of("device_too_fast", detail=dict(error.detail))
    if error.code != "secret_required":
        return error
    return UmpError.of("device_not_allowed", detail=dict(error.detail))


def _read(said: dict[str, object], cloud: Cloud) -> Code:
    """Raises `bad_reply` for anything that a person should not be shown, or sent to."""
    user_code, device_code = said.get("user_code"), said.get("device_code")
    page = said.get("verification_uri")
    if not (isinstance(user_code, str) and USER_CODE.fullmatch(user_code)):
        raise UmpError.of("bad_reply", host=cloud.authority_host, why="it carries no code to enter")
    if not (isinstance(device_code, str) and VISIBLE.fullmatch(device_code)):
        raise UmpError.of("bad_reply", host=cloud.authority_host, why="it carries no code to ask with")
    if not (isinstance(page, str) and len(page) < 200 and _is_microsofts(page, cloud)):
        raise UmpError.of("bad_reply", host=cloud.authority_host, why="it names a foreign page")
    interval = min(max(_seconds(said.get("interval"), 5), LEAST_INTERVAL), MOST_INTERVAL)
    return Code(user_code, device_code, page, interval, _seconds(said.get("expires_in"), 900))


def _is_microsofts(page: str, cloud: Cloud) -> bool:
    """The page of this cloud, or one on its sign-in hosts or microsoft.com: never just any address."""
    parts = urlsplit(page)
    hosts = {urlsplit(cloud.device_page).netloc, "microsoft.com", "www.microsoft.com", *cloud.authority_hosts}
    return parts.scheme == "https" and parts.netloc in hosts


def _seconds(value: object, default: int) -> int:
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 6:
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else default
