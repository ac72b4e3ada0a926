"""Client assertions made by hand, so that each claim can be wrong."""

from __future__ import annotations

import time
from typing import Any

import orjson
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from simulator.apps import Certificate
from simulator.keys import b64, certificate_pem
from tests.simulator.client import LOGIN, Visitor


def signed_assertion(
    visitor: Visitor, key: rsa.RSAPrivateKey, certificate: x509.Certificate, **claims: Any
) -> str:
    """An RS256 assertion of the visitor's app; `claims` replace the right ones."""
    client_id, now = visitor.app["client_id"], int(time.time())
    content = {
        "aud": f"https://{LOGIN}/{visitor.tenant['tenant_id']}/oauth2/v2.0/token",
        "iss": client_id,
        "sub": client_id,
        "nbf": now,
        "exp": now + 600,
        "jti": "1",
        **claims,
    }
    prints = Certificate.from_pem(certificate_pem(certificate)).thumbprints()
    header = {"alg": "RS256", "typ": "JWT", "x5t": prints["x5t"]}
    text = f"{b64(orjson.dumps(header))}.{b64(orjson.dumps(content))}"
    signature = key.sign(text.encode(), padding.PKCS1v15(), hashes.SHA256())
    return f"{text}.{b64(signature)}"
