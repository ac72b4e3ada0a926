"""Entra's error answers (facts/microsoft.md 1.4 and 4)."""

from __future__ import annotations

import datetime
import uuid

import orjson

from simulator.http1 import Response

NO_STORE = {
    "Cache-Control": "no-store, no-cache",
    "Pragma": "no-cache",
    "Expires": "-1",
    "Strict-Transport-Security": "max-age=31536000; includeSubDomains",
    "X-Content-Type-Options": "nosniff",
    "x-ms-ests-server": "2.1.22222.5 - NEULR1 ProdSlices",
}


CHALLENGE = orjson.dumps(
    {"access_token": {"capolids": {"essential": True, "values": ["9f7c0a51-3d0c-4f3a-8f5e-6a1f0c9b2d11"]}}}
).decode()
"""What an interactive request has to pass back."""


class OAuthError(Exception):
    """An OAuth error answer with its AADSTS number."""

    def __init__(
        self,
        code: int,
        error: str,
        text: str,
        *,
        status: int = 400,
        suberror: str | None = None,
        claims: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(text)
        self.code, self.error, self.text, self.status = code, error, text, status
        self.suberror, self.claims, self.headers = suberror, claims, headers or {}

    def response(self, *, host: str, now: float, correlation_id: str) -> Response:
        trace = str(uuid.uuid4())
        stamp = datetime.datetime.fromtimestamp(now, datetime.UTC).strftime("%Y-%m-%d %H:%M:%SZ")
        body: dict[str, object] = {
            "error": self.error,
            "error_description": f"AADSTS{self.code}: {self.text}\r\nTrace ID: {trace}\r\n"
            f"Correlation ID: {correlation_id}\r\nTimestamp: {stamp}",
            "error_codes": [self.code],
            "timestamp": stamp,
            "trace_id": trace,
            "correlation_id": correlation_id,
            "error_uri": f"https://{host}/error?code={self.code}",
        }
        if self.suberror is not None:
            body["suberror"] = self.suberror
        if self.claims is not None:
            body["claims"] = self.claims
        headers = {
            **NO_STORE,
            "Content-Type": "application/json; charset=utf-8",
            "x-ms-request-id": trace,
            "x-ms-clitelem": f"1,{self.code},0,,",
            **self.headers,
        }
        return Response(self.status, orjson.dumps(body), headers)


def missing(name: str) -> OAuthError:
    return OAuthError(
        900144, "invalid_request", f"The request body must contain the following parameter: '{name}'."
    )


def unknown_tenant(key: str, error: str) -> OAuthError:
    return OAuthError(
        90002,
        error,
        f"Tenant '{key}' not found. Check to make sure you have the correct tenant ID and are signing into the "
        "correct cloud. Check with your subscription administrator, this may happen if there are no active "
        "subscriptions for the tenant.",
    )


def blocked() -> OAuthError:
    """Conditional Access says no; `claims` is what an interactive request would have to pass back."""
    return OAuthError(
        53003,
        "invalid_grant",
        "Access has been blocked by Conditional Access policies. The access policy does not allow token issuance.",
        suberror="message_only",
        claims=CHALLENGE,
    )


def challenge() -> OAuthError:
    """Conditional Access wants more of the person: a sign-in in the browser that passes these claims back."""
    return OAuthError(
        50076,
        "interaction_required",
        "Due to a configuration change made by your administrator, or because you moved to a new location, you must "
        "use multi-factor authentication to access the resource.",
        suberror="basic_action",
        claims=CHALLENGE,
    )


def need_admin(name: str) -> OAuthError:
    """What this person may not consent to alone."""
    return OAuthError(
        90094,
        "access_denied",
        f"Admin consent is required for the permissions requested by this application. {name} needs permission "
        "to access resources in your organization that only an admin can grant.",
    )


def no_consent(client_id: str, name: str) -> OAuthError:
    return OAuthError(
        65001,
        "invalid_grant",
        f"The user or administrator has not consented to use the application with ID '{client_id}' named "
        f"'{name}'. Send an interactive authorization request for this user and resource.",
        suberror="consent_required",
    )
