"""Sealing and opening a customer's secrets. Web processes seal; only workers can open (DESIGN 7)."""

import datetime as dt
import uuid

from django.conf import settings

from core import encryption
from core.encryption import CannotOpen, KeyMissing, Keyring, Pair
from core.errors import UmpError
from tenants.models import ProviderKey, ProviderSecret, Secret, SecretKind, Tenant, TenantKey

HINT_FROM = 20
"""Secrets of at least this many characters show their last four; shorter ones show nothing."""


def create_key(tenant: Tenant) -> TenantKey:
    """A key pair for a new customer. Raises UmpError (key_unavailable) when the key files are missing."""
    key = TenantKey(tenant=tenant)
    _fill(key)
    key.save()
    return key


def provider_key() -> ProviderKey:
    """The provider's key pair, made at the first need. Raises UmpError (key_unavailable)."""
    found = ProviderKey.objects.filter(current=True).first()
    if found is None:
        found = ProviderKey()
        _fill(found)
        found.save()
    return found


def store(
    tenant: Tenant, kind: SecretKind, value: str, *, set_by: str, expires_at: dt.datetime | None = None
) -> Secret:
    """Seal a value for this customer's key; it cannot be read back here. Raises UmpError (secret_unreadable)
    when the public key in the database is not the one that was put there."""
    key = TenantKey.objects.get(tenant=tenant, current=True)
    secret = Secret(tenant=tenant, key=key, kind=kind, set_by=set_by, expires_at=expires_at)
    reseal(secret, value)
    return secret


def store_for_provider(
    kind: SecretKind, value: str, *, set_by: str, expires_at: dt.datetime | None = None
) -> ProviderSecret:
    """The same for the provider's own registration."""
    secret = ProviderSecret(key=provider_key(), kind=kind, set_by=set_by, expires_at=expires_at)
    reseal(secret, value)
    return secret


def reseal(secret: Secret | ProviderSecret, value: str) -> None:
    """Put another value into the row, for what changes with each use (a refresh token), and save it."""
    _put(secret, value)
    secret.save()


def swap(secret: Secret, value: str) -> bool:
    """The same, unless the row has changed or gone since it was read; then nothing is written."""
    before = bytes(secret.sealed)
    _put(secret, value)
    return Secret.objects.filter(id=secret.id, sealed=before).update(sealed=secret.sealed) == 1


def _put(secret: Secret | ProviderSecret, value: str) -> None:
    aad = _secret_aad(secret.key.owner, SecretKind(secret.kind), secret.id)
    secret.sealed = encryption.seal(_checked_public(secret.key), value.encode(), aad=aad)
    shown = secret.kind == SecretKind.CLIENT_SECRET and len(value) >= HINT_FROM
    secret.hint = value[-4:] if shown else ""


def open_secret(secret: Secret | ProviderSecret) -> str:
    """The value, in a worker. Raises UmpError: key_unavailable elsewhere, secret_unreadable if tampered with."""
    keks = _keys(settings.KEK_FILE)
    key = secret.key
    # The row's own owner, not only its key's: a row that was moved to another customer must not open.
    owner = str(secret.tenant_id) if isinstance(secret, Secret) else key.owner
    try:
        private = encryption.open_sealed(keks[key.kek_id], bytes(key.wrapped_private), aad=_bound(key))
        aad = _secret_aad(owner, SecretKind(secret.kind), secret.id)
        return encryption.open_sealed(private, bytes(secret.sealed), aad=aad).decode()
    except KeyMissing as error:
        raise UmpError.of("key_unavailable") from error
    except CannotOpen as error:
        raise UmpError.of("secret_unreadable") from error


def rewrap(key: TenantKey | ProviderKey) -> bool:
    """Put the private half under the current key-encryption key. True when something had to be done.

    Raises UmpError: key_unavailable, also where this worker's current key is not the one that new keys are wrapped
    with; secret_unreadable.
    """
    keks = _keys(settings.KEK_FILE)
    if keks.current != current_kek_id():
        raise UmpError.of("key_unavailable")
    if key.kek_id == keks.current:
        return False
    aad = _bound(key)
    try:
        private = encryption.open_sealed(keks[key.kek_id], bytes(key.wrapped_private), aad=aad)
    except KeyMissing as error:
        raise UmpError.of("key_unavailable") from error
    except CannotOpen as error:
        raise UmpError.of("secret_unreadable") from error
    key.wrapped_private = encryption.seal(Pair.of(keks[keks.current]).public, private, aad=aad)
    key.kek_id = keks.current
    key.save(update_fields=["wrapped_private", "kek_id"])
    return True


def current_kek_id() -> str:
    """The id under which new keys are wrapped; readable by the web, which knows the public half."""
    return _keys(settings.KEK_PUBLIC_FILE).current


def _fill(key: TenantKey | ProviderKey) -> None:
    pair = Pair.new()
    kek_public, web = _keys(settings.KEK_PUBLIC_FILE), _keys(settings.WEB_KEY_FILE)
    key.public = pair.public
    key.public_mac = encryption.mac(web[web.current], _bound(key) + pair.public)
    key.web_key_id = web.current
    key.wrapped_private = encryption.seal(kek_public[kek_public.current], pair.private, aad=_bound(key))
    key.kek_id = kek_public.current


def _checked_public(key: TenantKey | ProviderKey) -> bytes:
    """The public half, after its MAC: who can write to the database only cannot make us seal for him."""
    web = _keys(settings.WEB_KEY_FILE)
    public = bytes(key.public)
    try:
        fits = encryption.mac_fits(web[key.web_key_id], _bound(key) + public, bytes(key.public_mac))
    except KeyMissing as error:
        raise UmpError.of("key_unavailable") from error
    if not fits:
        raise UmpError.of("secret_unreadable")
    return public


def _keys(path: str) -> Keyring:
    try:
        return Keyring.read(path)
    except KeyMissing as error:
        raise UmpError.of("key_unavailable") from error


def _bound(key: TenantKey | ProviderKey) -> bytes:
    return f"v1|{key.owner}|key|{key.id}".encode()


def _secret_aad(owner: str, kind: SecretKind, secret_id: uuid.UUID) -> bytes:
    return f"v1|{owner}|{kind}|{secret_id}".encode()
