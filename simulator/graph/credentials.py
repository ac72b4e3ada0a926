"""Secrets and certificates of a registration (facts/microsoft.md 7 step 9), and the policies that forbid them."""

from __future__ import annotations

import base64
import binascii
import secrets
import string
import uuid
from typing import Any

from cryptography import x509

from simulator.apps import Certificate, Registration, Secret, parse_time
from simulator.graph.call import Call
from simulator.graph.errors import bad_request
from simulator.graph.lists import answer
from simulator.graph.principals import find_registration
from simulator.graph.rights import require_owner
from simulator.http1 import Response
from simulator.keys import parse_jwt, verifies

DAY = 86_400
_LETTERS = string.ascii_letters + string.digits + "._~-"
_PROOF_AUDIENCE = "00000002-0000-0000-c000-000000000000"
_PASSWORD_FIELDS = {"customKeyIdentifier", "displayName", "endDateTime", "startDateTime"}
_KEY_FIELDS = {
    "customKeyIdentifier", "displayName", "endDateTime", "key", "keyId", "startDateTime", "type", "usage",
}  # fmt: skip


def _part(call: Call, name: str, known: set[str]) -> dict[str, Any]:
    """A credential out of the request's body; 400 for one of the wrong shape."""
    given = call.json().get(name) or {}
    if not isinstance(given, dict):
        raise bad_request(f"Invalid value specified for property '{name}'.")
    named = {key for key in given if not key.startswith("@odata")}
    if unknown := named - known:
        raise bad_request(f"Invalid property '{min(unknown)}' of '{name}'.")
    return given


def _moment(given: dict[str, Any], name: str, default: float) -> float:
    if given.get(name) is None:
        return default
    try:
        return parse_time(str(given[name]))
    except ValueError:
        raise bad_request(f"Invalid value specified for property '{name}' of resource.") from None


def _make_secret() -> str:
    """Forty letters with the mark that secret scanners look for."""
    rest = "".join(secrets.choice(_LETTERS) for _ in range(34))
    return f"{''.join(secrets.choice(string.ascii_letters) for _ in range(3))}8Q~{rest}"


def add_password(call: Call) -> Response:
    """`POST /applications/{id}/addPassword` -> 200 with the secret, for the only time."""
    registration = find_registration(call)
    require_owner(call, registration)
    given = _part(call, "passwordCredential", _PASSWORD_FIELDS)
    starts = _moment(given, "startDateTime", call.now)
    ends = _moment(given, "endDateTime", starts + 730 * DAY)
    if ends <= starts or ends <= call.now:
        raise bad_request("Password credential end date must be later than its start date and in the future.")
    _check_policy(call, ends - starts)
    secret = Secret(
        _make_secret(),
        ends,
        starts,
        str(uuid.uuid4()),
        given.get("displayName"),
        call.now + call.tenant.behaviour.secret_delay,
    )
    registration.secrets = [*registration.secrets, secret]
    shown = {**secret.shown(), "secretText": secret.value}
    return answer({"@odata.context": call.context("microsoft.graph.passwordCredential"), **shown})


def _check_policy(call: Call, life: float) -> None:
    behaviour = call.tenant.behaviour
    if behaviour.secrets_forbidden:
        raise bad_request(
            "Credential type not allowed as per assigned policy 'default app management policy'.",
            "CredentialTypeNotAllowedAsPerAppPolicy",
        )
    _check_life(call, life)


def _check_life(call: Call, life: float) -> None:
    """Policies bound the lives of secrets and of certificates; here both by the same number."""
    longest = call.tenant.behaviour.secret_max_days
    if longest is not None and life > longest * DAY:
        raise bad_request(
            "Credential lifetime exceeds the max value allowed as per assigned policy "
            "'default app management policy'.",
            "CredentialInvalidLifetimeAsPerAppPolicy",
        )


def _key_id(call: Call) -> str:
    key_id = call.json().get("keyId")
    if not isinstance(key_id, str):
        raise bad_request("A value is required for property 'keyId' of resource.")
    return key_id.lower()


def remove_password(call: Call) -> Response:
    """`POST /applications/{id}/removePassword` -> 204."""
    registration = find_registration(call)
    require_owner(call, registration)
    wanted = _key_id(call)
    left = [secret for secret in registration.secrets if secret.key_id != wanted]
    if len(left) == len(registration.secrets):
        raise bad_request("No credentials found to be removed.")
    registration.secrets = left
    return Response(204)


# Certificates.


def _certificate(call: Call, given: dict[str, Any]) -> Certificate:
    if given.get("type") != "AsymmetricX509Cert" or given.get("usage") != "Verify":
        raise bad_request(
            "Invalid value specified for property 'type' or 'usage' of resource 'KeyCredential'."
        )
    try:
        der = base64.b64decode(str(given.get("key") or ""), validate=True)
        certificate = Certificate.of(x509.load_der_x509_certificate(der))
    except (binascii.Error, ValueError):
        raise bad_request("Key credential is not a valid certificate.") from None
    certificate.key_id = str(given.get("keyId") or uuid.uuid4()).lower()
    certificate.name = given.get("displayName")
    certificate.works_from = call.now + call.tenant.behaviour.secret_delay
    return certificate


def replaced_keys(call: Call, registration: Registration | None, listed: Any) -> list[Certificate]:
    """`keyCredentials` of a PATCH is the whole new list: known key ids stay, others need their certificate."""
    if not isinstance(listed, list) or not all(isinstance(one, dict) for one in listed):
        raise bad_request("Invalid value specified for property 'keyCredentials' of resource 'Application'.")
    known = {one.key_id: one for one in (registration.certificates if registration is not None else ())}
    found = []
    for given in listed:
        kept = known.get(str(given.get("keyId")).lower())
        found.append(kept if kept is not None and not given.get("key") else _certificate(call, given))
    return found


def _check_proof(call: Call, registration: Registration) -> None:
    """A JWT signed with a certificate that the app has already: who holds a key may change keys."""
    parsed = parse_jwt(str(call.json().get("proof") or ""))
    if parsed is not None:
        header, claims, signed, signature = parsed
        good = any(
            one.starts <= call.now < one.ends
            and verifies(one.certificate, str(header.get("alg")), signed, signature)
            for one in registration.certificates
        )
        issuer = str(claims.get("iss")).lower() in {registration.object_id, registration.client_id}
        ends = claims.get("exp", 0)
        alive = isinstance(ends, int | float) and ends > call.now
        if good and issuer and alive and claims.get("aud") == _PROOF_AUDIENCE:
            return
    raise bad_request("Key credential proof of possession is missing or invalid.")


def add_key(call: Call) -> Response:
    """`POST /applications/{id}/addKey` -> 200: rolls a certificate by proof of the one before."""
    registration = find_registration(call)
    require_owner(call, registration)
    given = _part(call, "keyCredential", _KEY_FIELDS)
    _check_proof(call, registration)
    added = _certificate(call, given)
    _check_life(call, added.ends - call.now)
    registration.certificates = [*registration.certificates, added]
    return answer({"@odata.context": call.context("microsoft.graph.keyCredential"), **added.shown()})


def remove_key(call: Call) -> Response:
    """`POST /applications/{id}/removeKey` -> 204."""
    registration = find_registration(call)
    require_owner(call, registration)
    _check_proof(call, registration)
    wanted = _key_id(call)
    left = [one for one in registration.certificates if one.key_id != wanted]
    if len(left) == len(registration.certificates):
        raise bad_request("No credentials found to be removed.")
    registration.certificates = left
    return Response(204)
