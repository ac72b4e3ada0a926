"""Reads about SBC devices."""

import uuid

from django.db.models import Q, QuerySet

from core.errors import NotFound
from replication.models import OPEN, Command
from sbc.models import Ovoc, Sbc
from tenants import scope

CHECK, READ, RELOAD = "check_sbc", "read_prefixes", "reload_from_ovoc"


def sbcs(search: str = "", link: str = "") -> QuerySet[Sbc]:
    """Known SBCs, by words in name, address or FQDN, and by Status."""
    found = Sbc.objects.select_related("secret")
    if link:
        found = found.filter(link=link)
    if search:
        found = found.filter(
            Q(name__icontains=search)
            | Q(address__icontains=search)
            | Q(fqdn__icontains=search)
            | Q(serial__icontains=search)
        )
    return found.order_by("name", "id")


def sbc(uid: uuid.UUID) -> Sbc:
    """Raises NotFound."""
    found = Sbc.objects.select_related("secret").filter(uid=uid).first()
    if found is None:
        raise NotFound(thing="SBC")
    return found


def ovoc() -> Ovoc | None:
    return Ovoc.objects.select_related("secret", "secret__key").filter(id=1).first()


def check_of(sbc: Sbc) -> Command | None:
    """Its newest check."""
    return _newest(kind=CHECK, target=str(sbc.id))


def reading_of(sbc: Sbc) -> Command | None:
    """The newest reading of its rules."""
    return _newest(kind=READ, target=str(sbc.id))


def reload_of() -> Command | None:
    """The newest Reload From Ovoc."""
    return _newest(kind=RELOAD)


def is_open(command: Command | None) -> bool:
    return command is not None and command.state in OPEN


def _newest(**which: str) -> Command | None:
    with scope.every("a command about a device is the provider's own"):
        return Command.objects.filter(tenant=None, **which).order_by("-id").first()
