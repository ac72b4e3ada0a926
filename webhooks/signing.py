"""The Standard Webhooks scheme: what is sent, and how a receiver knows that it came from us."""

import base64
import hashlib
import hmac
import json
import secrets
from collections.abc import Sequence
from typing import Any

from events.models import Event

PREFIX = "whsec_"
KEY_BYTES = 32


def new_secret() -> str:
    return PREFIX + base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode()


def signature(secret: str, message_id: str, timestamp: int, body: bytes) -> str:
    """`v1,` and the HMAC-SHA256 of id, time and the very bytes that are sent, joined by dots."""
    key = base64.b64decode(secret.removeprefix(PREFIX))
    signed = b".".join((message_id.encode(), str(timestamp).encode(), body))
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


def message_id(event: Event) -> str:
    """The same at each try, so that a receiver can tell a repetition."""
    return f"evt_{event.uid.hex}"


def body_of(event: Event) -> bytes:
    """What is told: type, time, and data with the customer and the cursor; never anything secret."""
    return json.dumps(shown(event), separators=(",", ":"), ensure_ascii=False).encode()


def shown(event: Event) -> dict[str, Any]:
    tenant = event.tenant
    about = {"id": str(tenant.id), "name": tenant.name} if tenant else None
    return {
        "type": event.type,
        "timestamp": event.at.isoformat().replace("+00:00", "Z"),
        "data": {"cursor": event.id, "tenant": about, **event.data},
    }


def headers(secrets_: Sequence[str], event: Event, timestamp: int, body: bytes) -> dict[str, str]:
    """With a signature for each secret: a receiver takes the call when it can check any one of them."""
    signed = (signature(secret, message_id(event), timestamp, body) for secret in secrets_)
    return {
        "Content-Type": "application/json",
        "webhook-id": message_id(event),
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(signed),
    }
