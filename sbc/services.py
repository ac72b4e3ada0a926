"""Managing SBC devices and OVOC: each act in one transaction with its audit entry and its check."""

import datetime as dt
import ipaddress
import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.db import transaction
from django.db.models import Model, RestrictedError
from django.db.models.functions import Now

from accounts.taken import still_there, take_turn
from audit.services import Changes, record
from core.errors import Conflict, InvalidInput, UmpError
from core.words import first_of
from nameservers import names
from replication import services as queue
from replication.models import Command
from replication.registry import chore
from sbc.models import Link, Ovoc, Reached, Sbc, usual_port
from sbc.selectors import CHECK, READ, RELOAD
from tenants import outbound, scope, secrets
from tenants.access import SYSTEM, Actor
from tenants.models import ProviderSecret, SecretKind

MOST = 1_000
MOST_NAMED = 10
BATCH = 50
"""Devices whose check one round of the sweeper begins."""
DEVICES = 0x73_62_63  # an advisory lock's number: "sbc"
"""Taken before looking whether a name or an address is free, or OVOC is known: one device, one row, one lane."""
_FINGERPRINT = re.compile(r"[0-9a-f]{64}")
_WHERE = ("address", "port", "https", "fingerprint", "user")
"""What decides who gets the stored password."""


@transaction.atomic
def add(actor: Actor, *, password: str, **given: Any) -> tuple[Sbc, Command]:
    """Add New SBC, and its first check. Raises InvalidInput naming the field."""
    take_turn(DEVICES)
    if Sbc.objects.count() >= MOST:
        raise InvalidInput(field="name", why=f"there are {MOST} SBCs already")
    values = _cleaned(Sbc(), **given)
    sealed = secrets.store_for_provider(SecretKind.PASSWORD, checked_password(password), set_by=actor.label)
    sbc = Sbc.objects.create(secret=sealed, created_by=actor.label, **values)
    _record(actor, "sbc.added", sbc, {"Ip Address": (None, sbc.host)})
    return sbc, _check(actor, sbc)


@transaction.atomic
def change(
    actor: Actor, sbc: Sbc, *, password: str = "", version: int | None = None, **given: Any
) -> tuple[Sbc, Command | None]:
    """Without a password the stored one stays, as long as it still goes to the same place. Checks anew, but for a
    password that was refused: it is not sent again, since a few wrong tries lock the account.

    Raises InvalidInput naming the field; Conflict (conflict_version) when somebody was faster.
    """
    take_turn(DEVICES)
    locked = still_there(Sbc.objects.filter(id=sbc.id), "SBC")
    if version is not None and locked.row_version != version:
        raise Conflict("conflict_version", thing=locked.name)
    fields = ("name", "fqdn", *_WHERE)
    before = {name: getattr(locked, name) for name in fields}
    values = _cleaned(locked, **{"address": locked.host, **given})
    _keep_password_at_home(locked, values, password)
    for name, value in values.items():
        setattr(locked, name, value)
    old = _replace_password(actor, locked, password)
    if password or any(before[name] != values[name] for name in ("address", "port")):
        locked.serial = ""
    rests = locked.link == Link.REFUSED and not password
    if not rests:
        locked.link, locked.problem = Link.UNKNOWN, None
    locked.row_version += 1
    locked.save()
    if old is not None:
        old.delete()
    changes: dict[str, Any] = {
        name: (before[name], values[name]) for name in fields if before[name] != values[name]
    }
    _record(actor, "sbc.changed", locked, changes | ({"password": (None, "replaced")} if password else {}))
    return locked, _check(actor, locked) if locked.secret_id and not rests else None


@transaction.atomic
def remove(actor: Actor, sbc: Sbc) -> None:
    """The portal forgets the device; nothing on it changes. Nothing where it is gone already.

    Raises Conflict naming the sites that use it.
    """
    locked = Sbc.objects.select_for_update(no_key=True).filter(id=sbc.id).first()
    if locked is None:
        return
    _record(actor, "sbc.removed", locked, {"Ip Address": (locked.host, None)})
    secret = locked.secret
    with scope.every("sites of all customers may lie on the device"):
        try:
            locked.delete()
        except RestrictedError as error:
            raise Conflict(thing=locked.name, why=_still_used(error.restricted_objects)) from error
    if secret is not None:
        secret.delete()


@transaction.atomic
def check(actor: Actor, sbc: Sbc) -> Command:
    """Test connection. Raises UmpError (sbc_sign_in_refused) after a refusal, until the account is entered again."""
    if sbc.link == Link.REFUSED or sbc.secret_id is None:
        raise UmpError.of("sbc_sign_in_refused", host=sbc.name)
    return _check(actor, sbc)


@transaction.atomic
def read_prefixes(actor: Actor, sbc: Sbc) -> Command:
    """Refresh From Sbc. Raises UmpError (sbc_sign_in_refused) as `check` does."""
    if sbc.link == Link.REFUSED or sbc.secret_id is None:
        raise UmpError.of("sbc_sign_in_refused", host=sbc.name)
    with scope.every("a device is the provider's own"):
        return queue.submit(actor, READ, None, target=str(sbc.id))


@transaction.atomic
def reload(actor: Actor) -> Command:
    """Reload From Ovoc. Raises UmpError (ovoc_missing)."""
    if not Ovoc.objects.exclude(secret=None).exists():
        raise UmpError.of("ovoc_missing")
    with scope.every("the list of devices is the provider's own"):
        return queue.submit(actor, RELOAD, None)


@transaction.atomic
def set_ovoc(actor: Actor, *, password: str = "", version: int | None = None, **given: Any) -> Ovoc:
    """Where OVOC is; `version` is that of the row the person looked at, 0 where there was none.

    Raises InvalidInput naming the field; Conflict (conflict_version) when somebody was faster.
    """
    take_turn(DEVICES)
    stored = Ovoc.objects.select_for_update(no_key=True).filter(id=1).first()
    if version is not None and version != (stored.row_version if stored else 0):
        raise Conflict("conflict_version", thing="OVOC")
    ovoc = stored or Ovoc()
    values = _reached(ovoc, **given)
    if ovoc.secret_id is None and not password:
        raise InvalidInput(field="password", why="it is needed")
    _keep_password_at_home(ovoc, values, password)
    before = ovoc.host
    for name, value in values.items():
        setattr(ovoc, name, value)
    old = _replace_password(actor, ovoc, password)
    ovoc.row_version += 1
    ovoc.save()
    if old is not None:
        old.delete()
    record(
        actor,
        "ovoc.changed",
        tenant_id=None,
        object_kind="ovoc",
        object_id="1",
        object_label="OVOC",
        changes={"Ip Address": (before, ovoc.host), "password replaced": (None, bool(password))},
    )
    return ovoc


@chore
def check_due() -> int:
    """Begin the check of each device whose time has come; how many.

    A device that refused the password is left alone until somebody enters another: more tries would lock the account.
    """
    wait = dt.timedelta(seconds=settings.SBC_CHECK_SECONDS)
    due = Sbc.objects.filter(next_check_at__lte=Now()).exclude(secret=None).exclude(link=Link.REFUSED)
    begun = 0
    for sbc in due.order_by("next_check_at")[:BATCH]:
        mine = Sbc.objects.filter(id=sbc.id, next_check_at__lte=Now())
        with transaction.atomic(), scope.every("a device is looked at"):
            if mine.update(next_check_at=Now() + wait):
                queue.submit(SYSTEM, CHECK, None, target=str(sbc.id))
                begun += 1
    return begun


def _check(actor: Actor, sbc: Sbc) -> Command:
    wait = dt.timedelta(seconds=settings.SBC_CHECK_SECONDS)
    Sbc.objects.filter(id=sbc.id).update(next_check_at=Now() + wait)
    with scope.every("a device is the provider's own"):
        return queue.submit(actor, CHECK, None, target=str(sbc.id))


def _keep_password_at_home(there: Reached, values: dict[str, Any], password: str) -> None:
    """Whoever may edit cannot read the stored password, so he must not be able to send it elsewhere either."""
    where = list(_WHERE)
    if values["https"] and not values["fingerprint"] and "fqdn" in values:
        where.append("fqdn")  # whose certificate is trusted
    moved = any(getattr(there, name) != values[name] for name in where)
    if there.secret_id is not None and moved and not password:
        raise InvalidInput(
            field="password", why="enter it again, because it would now be sent to another place or otherwise"
        )


def _replace_password(actor: Actor, there: Reached, password: str) -> ProviderSecret | None:
    """The secret that is of no use any more, once the row is saved."""
    if not password:
        return None
    old = there.secret
    there.secret = secrets.store_for_provider(
        SecretKind.PASSWORD, checked_password(password), set_by=actor.label
    )
    return old


def _cleaned(sbc: Sbc, *, name: str, fqdn: str = "", **reached: Any) -> dict[str, Any]:
    name = " ".join(name.split())
    if not 1 <= len(name) <= 120 or not name.isprintable():
        raise InvalidInput(field="name", why="it needs 1 to 120 printable characters")
    others = Sbc.objects.exclude(id=sbc.id)
    if others.filter(name__iexact=name).exists():
        raise InvalidInput(field="name", why="another SBC has this name")
    values = _reached(sbc, **reached)
    port = values["port"] or usual_port(https=values["https"])
    same = next(
        (each for each in others.filter(address=values["address"]) if each.effective_port == port), None
    )
    if same is not None:
        raise InvalidInput(field="address", why=f"{same.name} has this address")
    return {"name": name, "fqdn": names.checked(fqdn, field="fqdn") if fqdn.strip() else "", **values}


def _reached(
    there: Reached, *, address: str, user: str, https: bool = True, fingerprint: str = ""
) -> dict[str, Any]:
    host, port = checked_address(address)
    user = user.strip()
    if not 1 <= len(user) <= 64 or not user.isprintable() or ":" in user:
        raise InvalidInput(field="user", why="it needs 1 to 64 printable characters without a colon")
    digest = re.sub(r"[:\s]", "", fingerprint).lower()
    if digest and (not https or not _FINGERPRINT.fullmatch(digest)):
        why = "it is SHA-256: 64 digits 0-9 and a-f" if https else "without https there is no certificate"
        raise InvalidInput(field="fingerprint", why=why)
    return {"address": host, "port": port, "https": https, "user": user, "fingerprint": digest}


def checked_address(text: str) -> tuple[str, int | None]:
    """(address, port or None) of `1.2.3.4`, `1.2.3.4:8443` or `[2001:db8::1]:8443`. Raises InvalidInput (address)."""
    text = text.strip()
    bare = text.removeprefix("[").removesuffix("]")
    try:
        if any(character.isspace() for character in text):  # urlsplit would leave line breaks out
            raise InvalidInput(field="address", why="there is a blank in it")
        address, port = ipaddress.ip_address(bare), None
    except ValueError:
        try:
            parts = urlsplit(f"//{text}")
            address, port = ipaddress.ip_address(parts.hostname or ""), parts.port
        except ValueError:
            raise InvalidInput(field="address", why="it is no IP address such as 1.2.3.4") from None
        if port == 0 or parts.path or parts.query or parts.fragment or "@" in parts.netloc:
            raise InvalidInput(field="address", why="it is no IP address such as 1.2.3.4") from None
    if not outbound.guard().allows(str(address)):
        raise InvalidInput(
            field="address",
            why="the portal calls no such address; OUTBOUND_ALLOWED_NETWORKS opens a private network",
        )
    own = urlsplit(settings.PORTAL_BASE_URL)
    if str(address) == own.hostname and (port or 443) == (own.port or 443):
        raise InvalidInput(field="address", why="that is this portal itself")
    return str(address), port


def checked_password(text: str) -> str:
    """Every printable character may be in it. Raises InvalidInput (password)."""
    if not 1 <= len(text) <= 256 or any(ord(character) < 32 or ord(character) == 127 for character in text):
        raise InvalidInput(field="password", why="it needs 1 to 256 characters, without control characters")
    return text


def _still_used(by: Iterable[object]) -> str:
    """By their names, as far as they have one of their own: rooms above know what points at a device."""
    names = sorted({str(each) for each in by if type(each).__str__ is not Model.__str__})
    return f"it is still used by {first_of(names, MOST_NAMED)}; remove these first"


def _record(actor: Actor, action: str, sbc: Sbc, changes: Changes) -> None:
    record(
        actor,
        action,
        tenant_id=None,
        object_kind="sbc",
        object_id=sbc.uid,
        object_label=sbc.name,
        changes=changes,
    )
