"""The provider's brand: names, logo, accent colour, and where people find help (SHP-14, SHP-15)."""

import dataclasses
import hashlib
import time
import unicodedata
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import DatabaseError, InterfaceError, transaction

from accounts import colours, pictures
from accounts.models import Brand
from audit.services import Who, record
from core.errors import Conflict, InvalidInput

FRESH_SECONDS = 15.0
NAMES, LINKS = ("portal_name", "provider_name"), ("support_url", "feedback_url")
LONGEST_NAME, LONGEST_LINK = 60, 300


@dataclasses.dataclass(frozen=True)
class Look:
    """What pages and mails show. `logo` and `css` are addresses, empty where there is none."""

    name: str
    provider: str
    logo: str = ""
    css: str = ""
    accent: str = ""
    support_url: str = ""
    security_contact: str = ""
    feedback_url: str = ""

    @property
    def copyright(self) -> str:
        """For partials/footer.html."""
        return self.provider

    @property
    def security_url(self) -> str:
        """What the security contact links to."""
        is_mail = "@" in self.security_contact
        return f"mailto:{self.security_contact}" if is_mail else self.security_contact


class _Cache:
    def __init__(self) -> None:
        self.look: Look | None = None
        self.read_at = float("-inf")


_cache = _Cache()


def current() -> Look:
    """What is in force; a change is in force everywhere within some seconds.

    The environment's names where the database does not answer: pages that say so need them.
    """
    if _cache.look is None or time.monotonic() - _cache.read_at > FRESH_SECONDS:
        try:
            _cache.look = _look(Brand.objects.defer("logo").first())
            _cache.read_at = time.monotonic()
        except (DatabaseError, InterfaceError):
            return _cache.look or _look(None)
    return _cache.look


def forget() -> None:
    """Read it anew at the next question."""
    _cache.read_at, _cache.look = float("-inf"), None


def stored() -> Brand:
    """The row, or an empty one."""
    return Brand.objects.first() or Brand()


@transaction.atomic
def change(who: Who, wanted: dict[str, Any], *, version: int | None = None) -> Brand:
    """Store these fields; `logo` is the file's bytes, or None for no logo. Raises InvalidInput, Conflict."""
    cleaned = _clean(wanted)
    Brand.objects.get_or_create(id=1)
    brand = Brand.objects.select_for_update(no_key=True).get(id=1)
    if version is not None and brand.row_version != version:
        raise Conflict("conflict_version", thing="the brand")
    changes = {
        name: (_shown(getattr(brand, name)), _shown(value))
        for name, value in cleaned.items()
        if _shown(getattr(brand, name)) != _shown(value)
    }
    for name, value in cleaned.items():
        setattr(brand, name, value)
    brand.changed_by, brand.row_version = who.label, brand.row_version + 1
    brand.save()
    record(
        who,
        "brand.changed",
        tenant_id=None,
        object_kind="brand",
        object_id="1",
        object_label="Branding",
        changes=changes,
    )
    transaction.on_commit(forget)
    forget()
    return brand


def _clean(wanted: dict[str, Any]) -> dict[str, Any]:
    cleaned = dict(wanted)
    for name in NAMES:
        if name in cleaned:
            cleaned[name] = _name(name, cleaned[name])
    for name in LINKS:
        if cleaned.get(name):
            cleaned[name] = _link(name, cleaned[name])
    if cleaned.get("security_contact"):
        cleaned["security_contact"] = _contact(cleaned["security_contact"])
    if cleaned.get("accent"):
        cleaned["accent"] = colours.check(cleaned["accent"])
    if "logo" in cleaned:
        cleaned["logo_type"] = pictures.check(cleaned["logo"]) if cleaned["logo"] else ""
        cleaned["logo"] = cleaned["logo"] or None
    return cleaned


def _name(field: str, value: str) -> str:
    value = " ".join(value.split())
    if len(value) > LONGEST_NAME or any(unicodedata.category(letter)[0] == "C" for letter in value):
        raise InvalidInput(
            field=field, why=f"it needs at most {LONGEST_NAME} letters, without control characters"
        )
    return value


def _link(field: str, value: str) -> str:
    value = value.strip()
    try:
        parts = urlsplit(value)
        fine = parts.scheme == "https" and bool(parts.hostname) and parts.username is None
    except ValueError:
        fine = False
    if (
        not fine
        or len(value) > LONGEST_LINK
        or any(letter.isspace() or letter in "\"'<>" for letter in value)
    ):
        raise InvalidInput(field=field, why="it must be an address that begins with https://")
    return value


def _contact(value: str) -> str:
    value = value.strip()
    if "@" not in value or "://" in value:
        return _link("security_contact", value)
    try:
        validate_email(value)
    except ValidationError:
        raise InvalidInput(
            field="security_contact", why="it is neither an email address nor https://"
        ) from None
    return value


def _shown(value: object) -> object:
    """A logo as its digest: the trail holds no pictures."""
    return digest(bytes(value)) if isinstance(value, bytes | memoryview) else value


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


def _look(brand: Brand | None) -> Look:
    brand = brand or Brand()
    return Look(
        name=brand.portal_name or settings.BRAND_NAME,
        provider=brand.provider_name or settings.PROVIDER_NAME,
        logo=f"/brand/logo-{brand.row_version}" if brand.logo_type else "",
        css=f"/brand/{brand.accent[1:]}.css" if brand.accent else "",
        accent=brand.accent,
        support_url=brand.support_url,
        security_contact=brand.security_contact,
        feedback_url=brand.feedback_url,
    )
