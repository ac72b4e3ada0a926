"""Sealing and opening a customer's secrets. Web processes seal; only workers can open (DESIGN 7)."""

import datetime as dt
import uuid

from django.conf import settings

from core import encryption
from core.encryption import CannotOpen, KeyMissing, Keyring, Pair
from core.errors import UmpError
from tenants.models import Secret, SecretKind, Tenant, TenantKey

HINT_FROM = 20
"""Secrets of at least this many characters show their last four; shorter ones show nothing."""


def create_key(tenant: Tenant) -> TenantKey:
    """A key pair for a new customer. Raises UmpError (key_unavailable) when the key files are missing."""
    key_id = uuid.uuid4()
    pair = Pair.new()
    kek_public, web = _keys(settings.KEK_PUBLIC_FILE), _keys(settings.WEB_KEY_FILE)
    return TenantKey.objects.create(
        id=key_id,
        tenant=tenant,
        public=pair.public,
        public_mac=encryption.mac(web[web.current], _bound(key_id, tenant.id) + pair.public),
        web_key_id=web.current,
        wrapped_private=encryption.seal(
            kek_public[kek_public.current], pair.private, aad=_bound(key_id, tenant.id)
        ),
        kek_id=kek_public.current,
    )


def store(
    tenant: Tenant, kind: SecretKind, value: str, *, set_by: str, expires_at: dt.datetime | None = None
) -> Secret:
    """Seal a value for this customer's key; it cannot be read back here. Raises UmpError (secret_unreadable)
    when the public key in the database is not the one that was put there."""
    key = TenantKey.objects.get(tenant=tenant, current=True)
    secret_id = uuid.uuid4()
    return Secret.objects.create(
        id=secret_id,
        tenant=tenant,
        kind=kind,
        key=key,
        sealed=encryption.seal(
            _checked_public(key), value.encode(), aad=_secret_aad(tenant.id, kind, secret_id)
        ),
        hint=value[-4:] if len(value) >= HINT_FROM else "",
        set_by=set_by,
        expires_at=expires_at,
    )


def open_secret(secret: Secret) -> str:
    """The value, in a worker. Raises UmpError: key_unavailable elsewhere, secret_unreadable if tampered with."""
    keks = _keys(settings.KEK_FILE)
    key = secret.key
    try:
        private = encryption.open_sealed(
            keks[key.kek_id], bytes(key.wrapped_private), aad=_bound(key.id, key.tenant_id)
        )
        aad = _secret_aad(secret.tenant_id, SecretKind(secret.kind), secret.id)
        return encryption.open_sealed(private, bytes(secret.sealed), aad=aad).decode()
    except KeyMissing as error:
        raise UmpError.of("key_unavailable") from error
    except CannotOpen as error:
        raise UmpError.of("secret_unreadable") from error


def rewrap(key: TenantKey) -> bool:
    """Put the private half under the current key-encryption key. True when something had to be done."""
    keks = _keys(settings.KEK_FILE)
    if key.kek_id == keks.current:
        return False
    aad = _bound(key.id, key.tenant_id)
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


def _checked_public(key: TenantKey) -> bytes:
    """The public half, after its MAC: who can write to the database only cannot make us seal for him."""
    web = _keys(settings.WEB_KEY_FILE)
    public = bytes(key.public)
    try:
        fits = encryption.mac_fits(
            web[key.web_key_id], _bound(key.id, key.tenant_id) + public, bytes(key.public_mac)
        )
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


def _bound(key_id: uuid.UUID, tenant_id: uuid.UUID) -> bytes:
    return f"v1|{tenant_id}|key|{key_id}".encode()


def _secret_aad(tenant_id: uuid.UUID, kind: SecretKind, secret_id: uuid.UUID) -> bytes:
    return f"v1|{tenant_id}|{kind}|{secret_id}".encode()
