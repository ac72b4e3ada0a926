"""Signatures and seals: JWTs that Graph can check, links that a client cannot invent, repeatable certificates."""

from __future__ import annotations

import base64
import datetime
import functools
import hashlib
import os
import random
from collections.abc import Sequence
from typing import Any, Final

import orjson
from cryptography import x509
from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.x509.oid import NameOID

_SMALL_PRIMES: Final = [n for n in range(3, 2000, 2) if all(n % d for d in range(3, int(n**0.5) + 1, 2))]


def b64(data: bytes) -> str:
    """base64url without padding, as JOSE writes it."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64(text: str) -> bytes:
    """The reverse of `b64`; ValueError for anything else."""
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)


class Seal:
    """Opaque, authenticated tokens for links: nothing a client writes itself will open."""

    def __init__(self) -> None:
        self._box = AESGCM(os.urandom(32))

    def close(self, content: dict[str, Any]) -> str:
        nonce = os.urandom(12)
        return b64(nonce + self._box.encrypt(nonce, orjson.dumps(content), None))

    def open(self, token: str) -> dict[str, Any] | None:
        """What was sealed, or None when this process did not seal it."""
        try:
            raw = unb64(token)
            content: dict[str, Any] = orjson.loads(self._box.decrypt(raw[:12], raw[12:], None))
        except (ValueError, InvalidTag):
            return None
        return content


@functools.cache
def _process_key() -> rsa.RSAPrivateKey:
    """One key for the whole process: making one costs up to a second of two shared cores."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


class Signer:
    """Issues RS256 tokens and knows its own again."""

    def __init__(self) -> None:
        self._key = _process_key()
        numbers = self._key.public_key().public_numbers()
        self._modulus = b64(numbers.n.to_bytes(256, "big"))
        self.kid = b64(hashlib.sha256(self._modulus.encode()).digest()[:20])
        self._known: dict[str, dict[str, Any]] = {}

    def jwks(self, issuer: str) -> dict[str, Any]:
        key = {
            "kty": "RSA",
            "use": "sig",
            "kid": self.kid,
            "x5t": self.kid,
            "n": self._modulus,
            "e": "AQAB",
            "issuer": issuer,
        }
        return {"keys": [key]}

    def sign(self, claims: dict[str, Any]) -> str:
        header = {"typ": "JWT", "alg": "RS256", "kid": self.kid, "x5t": self.kid}
        text = f"{b64(orjson.dumps(header))}.{b64(orjson.dumps(claims))}"
        signature = self._key.sign(text.encode(), padding.PKCS1v15(), hashes.SHA256())
        token = f"{text}.{b64(signature)}"
        if len(self._known) > 50_000:
            self._known.clear()
        self._known[token] = claims
        return token

    def claims(self, token: str) -> dict[str, Any] | None:
        """The claims of a token signed here, whatever its age; None for a forged one."""
        known = self._known.get(token)
        if known is not None:
            return known
        parsed = parse_jwt(token)
        if parsed is None:
            return None
        _, claims, signed, signature = parsed
        try:
            self._key.public_key().verify(signature, signed, padding.PKCS1v15(), hashes.SHA256())
        except InvalidSignature:
            return None
        self._known[token] = claims
        return claims


def parse_jwt(token: str) -> tuple[dict[str, Any], dict[str, Any], bytes, bytes] | None:
    """(header, claims, signed bytes, signature) of a compact JWT, or None if it is not one."""
    parts = token.split(".")
    if len(parts) != 3:
        return None
    try:
        header, claims = orjson.loads(unb64(parts[0])), orjson.loads(unb64(parts[1]))
        signature = unb64(parts[2])
    except ValueError:
        return None
    if not isinstance(header, dict) or not isinstance(claims, dict):
        return None
    return header, claims, f"{parts[0]}.{parts[1]}".encode(), signature


def verifies(certificate: x509.Certificate, algorithm: str, signed: bytes, signature: bytes) -> bool:
    """Whether the certificate's key made this RS256 or PS256 signature."""
    key = certificate.public_key()
    if not isinstance(key, rsa.RSAPublicKey) or algorithm not in {"RS256", "PS256"}:
        return False
    sha256 = hashes.SHA256()
    scheme: padding.AsymmetricPadding = padding.PKCS1v15()
    if algorithm == "PS256":
        scheme = padding.PSS(mgf=padding.MGF1(sha256), salt_length=padding.PSS.AUTO)
    try:
        key.verify(signature, signed, scheme, sha256)
    except InvalidSignature:
        return False
    return True


def _is_prime(candidate: int, source: random.Random) -> bool:
    if any(candidate % small == 0 for small in _SMALL_PRIMES):
        return False
    odd, twos = candidate - 1, 0
    while odd % 2 == 0:
        odd, twos = odd // 2, twos + 1
    for _ in range(8):
        witness = pow(source.randrange(2, candidate - 1), odd, candidate)
        if witness in {1, candidate - 1}:
            continue
        if not any((witness := pow(witness, 2, candidate)) == candidate - 1 for _ in range(twos - 1)):
            return False
    return True


def _prime(bits: int, source: random.Random) -> int:
    while True:
        candidate = source.getrandbits(bits) | (3 << (bits - 2)) | 1
        if candidate % 65537 != 1 and _is_prime(candidate, source):
            return candidate


@functools.cache
def repeatable_key(seed: str) -> rsa.RSAPrivateKey:
    """The same 2048-bit key for the same seed, so that a restarted demo keeps its certificate. Never for real use."""
    source = random.Random(seed)
    p, q = _prime(1024, source), _prime(1024, source)
    d = pow(65537, -1, (p - 1) * (q - 1))
    numbers = rsa.RSAPrivateNumbers(
        p=p,
        q=q,
        d=d,
        dmp1=rsa.rsa_crt_dmp1(d, p),
        dmq1=rsa.rsa_crt_dmq1(d, q),
        iqmp=rsa.rsa_crt_iqmp(p, q),
        public_numbers=rsa.RSAPublicNumbers(65537, p * q),
    )
    return numbers.private_key()


def certificate_for(
    key: rsa.RSAPrivateKey,
    name: str,
    *,
    hosts: Sequence[str] = (),
    starts: datetime.datetime = datetime.datetime(2025, 1, 1, tzinfo=datetime.UTC),
    days: int = 3650,
) -> x509.Certificate:
    """A self-signed certificate, the same bytes for the same arguments."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") + 1)
        .not_valid_before(starts)
        .not_valid_after(starts + datetime.timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=bool(hosts), path_length=None), critical=True)
    )
    if hosts:
        builder = builder.add_extension(
            x509.SubjectAlternativeName([x509.DNSName(host) for host in hosts]), critical=False
        )
    return builder.sign(key, hashes.SHA256())


def certificate_pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def private_key_pem(key: rsa.RSAPrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
