"""Hiding secrets in anything that is written down: log lines, stored errors, recorded calls.

Two nets, because each has holes (facts/security.md 5.12): by key name, for structured values, and by the
shape of the value, for free text that somebody else composed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

MASK = "[hidden]"
LONGEST_TEXT = 20_000
DEEPEST = 8

SECRET_KEY = re.compile(
    r"secret|passw|passphrase|authorization|cookie|private[_-]?key|client_?assertion|api[_-]?key|credential_?value"
    r"|(?:access|refresh|id|bearer|session|csrf)[_-]?token|^token$|device_?code|code_?verifier|^code$|^pin$"
    r"|otp|totp|^kek$|signature",
    re.IGNORECASE,
)
_OUR_CODE = re.compile(r"[a-z_]{1,40}|\d{1,5}")
# Names that match the pattern above by accident and are safe and useful to read.
HARMLESS_KEYS = frozenset(
    {"secret_hint", "secret_expires_at", "secret_kind", "password_credentials", "token_endpoint"}
)

_TEXT_SHAPES: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"-----BEGIN [A-Z0-9 ]{1,40}-----.*?(?:-----END [A-Z0-9 ]{1,40}-----|\Z)", re.DOTALL), MASK),
    (re.compile(r"\b(Bearer|Basic)\s+[A-Za-z0-9._~+/=-]{6,}", re.IGNORECASE), r"\1 " + MASK),
    (
        re.compile(
            r"(?i)([\"']?\b(?:client_secret|client_assertion|refresh_token|access_token|id_token|password"
            r"|code_verifier|device_code|secretText|passphrase)\b[\"']?\s*[=:]\s*)([\"']?)[^\s&\"',;}]+"
        ),
        r"\1\2" + MASK,
    ),
    (re.compile(r"(?i)([?&]code=)[^\s&\"']+"), r"\1" + MASK),
    # Links of mails: what refuses a request logs its path, and the link may still be good.
    (re.compile(r"(/authenticate/)[A-Za-z0-9_-]{20,}"), r"\1" + MASK),
    (re.compile(r"(/reset/key/)[A-Za-z0-9]+-[^\s/?\"']+"), r"\1" + MASK),
    (re.compile(r"\beyJ[A-Za-z0-9_-]{6,}(?:\.[A-Za-z0-9_-]*){0,4}"), MASK),
    (re.compile(r"\b[01]\.A[A-Za-z0-9_.-]{16,}"), MASK),
    (re.compile(r"\bcpk_[A-Za-z0-9_-]{6,}"), MASK),
    (re.compile(r"(?i)\b([a-z][a-z0-9+.-]{1,20}://)[^\s/:@]+:[^\s/@]+@"), r"\1" + MASK + "@"),
)
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\x80-\x9f\u2028\u2029]")


def is_secret_key(name: str) -> bool:
    """Whether a value stored under this name must never be shown."""
    return name.lower() not in HARMLESS_KEYS and SECRET_KEY.search(name) is not None


def redact_text(text: str) -> str:
    """The text with every known secret shape masked, control characters escaped and its length bounded."""
    if len(text) > LONGEST_TEXT:
        text = text[:LONGEST_TEXT] + " [cut]"
    for pattern, replacement in _TEXT_SHAPES:
        text = pattern.sub(replacement, text)
    return _CONTROL.sub(lambda found: f"\\x{ord(found.group()):02x}", text)


def redact(mapping: Mapping[str, object]) -> dict[str, object]:
    """A copy of the mapping, nested ones included, with secrets masked by key name and by shape."""
    return {str(key): _redact_value(str(key), value, 0) for key, value in mapping.items()}


def _is_harmless(key: str, value: object) -> bool:
    """Absent, a flag, or under "code" one of our own error codes rather than an authorization code."""
    if key.lower() == "code" and _OUR_CODE.fullmatch(str(value)):
        return True
    return value in (None, "", False, True)


def _redact_value(key: str, value: object, depth: int) -> object:
    if isinstance(value, bytes) or (is_secret_key(key) and not _is_harmless(key, value)):
        return MASK
    if isinstance(value, str):
        return redact_text(value)
    if not isinstance(value, (Mapping, list, tuple, set, frozenset)):
        return value
    if depth >= DEEPEST:
        return "[nested]"
    if isinstance(value, Mapping):
        return {str(name): _redact_value(str(name), inner, depth + 1) for name, inner in value.items()}
    return [_redact_value("", inner, depth + 1) for inner in value]
