"""Sealing and opening secrets: the only file that speaks to `cryptography` for data at rest.

Two kinds of key, held in two files (DESIGN 7):

* the **key-encryption keys** (KEK), X25519 private keys that only workers read. Their public halves lie
  beside them, so a web process can *seal* a tenant's private key and can never open it again;
* the **web keys**, symmetric, for the few things that a web process must open itself (TOTP seeds) and for
  the MAC over a tenant's public key, so that somebody who can write to the database, but not to the
  file system, cannot swap a key under us.

Sealed value = version (1 byte) | ephemeral public key (32) | nonce (12) | AES-256-GCM ciphertext and tag.
The additional data names the tenant, kind and row, so that a value moved to another row does not open
(facts/security.md 1, rows E and F: Fernet would have opened it).
"""

import base64
import binascii
import dataclasses
import hashlib
import hmac
import os
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

VERSION = b"\x01"
KEY_BYTES = 32
NONCE_BYTES = 12


class CannotOpen(Exception):
    """The value was sealed for another key, tenant, kind or row, or was changed."""


class KeyMissing(Exception):
    """The process holds no key (or not this one). Its text names the key's id, never its value."""


@dataclasses.dataclass(frozen=True)
class Pair:
    """An X25519 key pair, both halves as 32 raw bytes."""

    private: bytes = dataclasses.field(repr=False)
    public: bytes

    @classmethod
    def new(cls) -> "Pair":
        return cls.of(os.urandom(KEY_BYTES))

    @classmethod
    def of(cls, private: bytes) -> "Pair":
        return cls(private, X25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw())


class Keyring:
    """Named keys of one file, the current one first.

    The file has a line a key: an id, a space, 32 bytes in base64. Putting a new line on top is how a key is
    rotated; old lines stay until nothing is sealed with them any more.
    """

    def __init__(self, keys: dict[str, bytes]) -> None:
        if not keys:
            raise KeyMissing("The key file holds no key.")
        self._keys = keys
        self.current = next(iter(keys))

    @classmethod
    def read(cls, path: Path | str) -> "Keyring":
        """Raises KeyMissing when the file is absent, unreadable or malformed."""
        try:
            lines = Path(path).read_text(encoding="ascii").splitlines()
            pairs = [line.split() for line in lines if line.strip() and not line.startswith("#")]
            keys = {name: base64.b64decode(value, validate=True) for name, value in pairs}
        except (OSError, ValueError, binascii.Error) as error:
            raise KeyMissing(f"The key file {Path(path).name} cannot be read.") from error
        if any(len(value) != KEY_BYTES for value in keys.values()):
            raise KeyMissing(f"The key file {Path(path).name} holds a key that is not 32 bytes long.")
        return cls(keys)

    def __getitem__(self, key_id: str) -> bytes:
        try:
            return self._keys[key_id]
        except KeyError:
            raise KeyMissing(f"The key {key_id!r} is not in this process's key file.") from None

    def __iter__(self) -> "object":
        return iter(self._keys)


def seal(public: bytes, plaintext: bytes, *, aad: bytes) -> bytes:
    """Seal for the holder of the private half; nobody else, the caller included, can open it again."""
    ephemeral = X25519PrivateKey.generate()
    shared = ephemeral.exchange(X25519PublicKey.from_public_bytes(public))
    ours = ephemeral.public_key().public_bytes_raw()
    nonce = os.urandom(NONCE_BYTES)
    key = _derive(shared, salt=ours + public)
    return VERSION + ours + nonce + AESGCM(key).encrypt(nonce, plaintext, VERSION + aad)


def open_sealed(private: bytes, sealed: bytes, *, aad: bytes) -> bytes:
    """The inverse of `seal`. Raises CannotOpen, with no hint at which part was wrong."""
    pair = Pair.of(private)
    theirs, nonce, body = sealed[1:33], sealed[33:45], sealed[45:]
    try:
        if sealed[:1] != VERSION:
            raise ValueError("version")
        shared = X25519PrivateKey.from_private_bytes(private).exchange(
            X25519PublicKey.from_public_bytes(theirs)
        )
        return AESGCM(_derive(shared, salt=theirs + pair.public)).decrypt(nonce, body, VERSION + aad)
    except (InvalidTag, ValueError) as error:
        raise CannotOpen("This sealed value does not belong to this key, tenant, kind and row.") from error


def encrypt(key: bytes, plaintext: bytes, *, aad: bytes) -> bytes:
    """Symmetric AES-256-GCM for what the same process opens again: nonce (12) | ciphertext and tag."""
    nonce = os.urandom(NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, plaintext, aad)


def decrypt(key: bytes, value: bytes, *, aad: bytes) -> bytes:
    """The inverse of `encrypt`. Raises CannotOpen."""
    try:
        return AESGCM(key).decrypt(value[:NONCE_BYTES], value[NONCE_BYTES:], aad)
    except (InvalidTag, ValueError) as error:
        raise CannotOpen("This encrypted value does not belong to this key and place.") from error


def mac(key: bytes, message: bytes) -> bytes:
    """HMAC-SHA-256 under a key derived for this one purpose."""
    return hmac.new(_derive(key, salt=b"ump mac"), message, hashlib.sha256).digest()


def mac_fits(key: bytes, message: bytes, tag: bytes) -> bool:
    return hmac.compare_digest(mac(key, message), tag)


def _derive(secret: bytes, *, salt: bytes) -> bytes:
    return HKDF(algorithm=hashes.SHA256(), length=KEY_BYTES, salt=salt, info=b"ump seal v1").derive(secret)
