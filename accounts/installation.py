"""Settings of the installation that people change on a screen (REP-08, NET-04).

Each has a default from the environment; a stored value wins. A process reads the table at most every few
seconds, so a change is in force everywhere within that time without a restart.
"""

import dataclasses
import time
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models.functions import Now

from accounts.addresses import allowed, network_of
from accounts.models import Setting
from audit.services import Who, record
from core.errors import InvalidInput

FRESH_SECONDS = 5.0
MOST_BLOCKS = 200


@dataclasses.dataclass(frozen=True)
class Kind:
    """One setting: its name on screen, what it means, its default and how a value is checked."""

    name: str
    title: str
    means: str
    default: Callable[[], Any]
    clean: Callable[[Any, Who], Any]


def _blocks(value: Any, who: Who) -> list[str]:
    """A list of addresses or blocks; refuses one that would lock its own user out (decision 25)."""
    blocks = [str(block).strip() for block in value if str(block).strip()]
    if not 1 <= len(blocks) <= MOST_BLOCKS:
        raise InvalidInput(
            field="api_allowed_ips", why=f"it needs 1 to {MOST_BLOCKS} addresses or CIDR blocks"
        )
    for block in blocks:
        if network_of(block) is None:
            raise InvalidInput(field="api_allowed_ips", why=f"{block} is not an address or CIDR block")
    if who.address is not None and not allowed(who.address, blocks):
        raise InvalidInput(
            field="api_allowed_ips",
            why=f"your own address {who.address} is not in it, so you would lock yourself out of the API",
        )
    return blocks


def _seconds(name: str, least: int, most: int) -> Callable[[Any, Who], int]:
    def clean(value: Any, who: Who) -> int:
        try:
            seconds = int(value)
        except (TypeError, ValueError):
            raise InvalidInput(field=name, why="it must be a whole number of seconds") from None
        if not least <= seconds <= most:
            raise InvalidInput(field=name, why=f"it must be between {least} and {most:,} seconds")
        return seconds

    return clean


def _number(name: str, most: int, least: int = 0) -> Callable[[Any, Who], int]:
    def clean(value: Any, who: Who) -> int:
        try:
            number = int(value)
        except (TypeError, ValueError):
            raise InvalidInput(field=name, why="it must be a whole number") from None
        if not least <= number <= most:
            raise InvalidInput(field=name, why=f"it must be between {least} and {most:,}")
        return number

    return clean


MOST_FAILURES, LONGEST_WINDOW = 100, 10_080
"""Max Access Failures, and Access Failure Window in minutes (a week)."""
MOST_MONTHS = 36


def _flag(value: Any, who: Who) -> bool:
    return bool(value)


KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind(
            "api_allowed_ips",
            "ApiAllowedIps",
            "From where the API may be called at all; a token's own networks narrow it further.",
            lambda: list(settings.API_ALLOWED_IPS),
            _blocks,
        ),
        Kind(
            "quick_replication_cycle_delay",
            "QuickReplicationCycleDelay",
            "A change waits this long for further ones before it is replicated; a customer may have its own.",
            lambda: settings.QUICK_REPLICATION_CYCLE_DELAY,
            _seconds("quick_replication_cycle_delay", 0, 86_400),
        ),
        Kind(
            "replication_cycle",
            "Automatic replication cycle",
            "Each customer is looked at this often without anybody asking.",
            lambda: settings.REPLICATION_CYCLE_SECONDS,
            _seconds("replication_cycle", 30, 86_400),
        ),
        Kind(
            "allow_password",
            "Passwords of Microsoft 365 accounts",
            "Whether a new user name and password may be saved for a customer; those that are there stay in use.",
            lambda: False,
            _flag,
        ),
        Kind(
            "confirm_first_sync",
            "Confirm the organisation before the first replication",
            "Whether a person compares name, domains and numbers before a new customer's directory is copied.",
            lambda: False,
            _flag,
        ),
        Kind(
            "idle_minutes",
            "Idle time-out of provider people",
            "Who works for the provider and does nothing for so many minutes is signed out; 0 = never.",
            lambda: 30,
            _number("idle_minutes", 720),
        ),
        Kind(
            "max_access_failures",
            "Max Access Failures",
            "So many failures mark a customer's connection Degraded; 0 turns the rule off.",
            lambda: 0,
            _number("max_access_failures", MOST_FAILURES),
        ),
        Kind(
            "access_failure_window",
            "Access Failure Window",
            "Within so many minutes; 0 counts since the last successful check.",
            lambda: 0,
            _number("access_failure_window", LONGEST_WINDOW),
        ),
        Kind(
            "own_secret_months",
            "Life of a client secret or certificate, customer's own app",
            "So many months the portal asks for; Microsoft's real end date is the one shown.",
            lambda: 36,
            _number("own_secret_months", MOST_MONTHS, 1),
        ),
        Kind(
            "renew_before_days",
            "Renew credentials by itself",
            "So many days before they end, where the portal may change the registration; 0 = only when asked.",
            lambda: 30,
            _number("renew_before_days", 365),
        ),
        Kind(
            "sbc_tag_longest",
            "Longest tag of a dial plan rule",
            "So many characters the provider's SBCs take; older firmware takes fewer.",
            lambda: 70,
            _number("sbc_tag_longest", 300, 1),
        ),
        Kind(
            "sbc_rules_most",
            "Dial plan rules of an SBC",
            "So many its licence allows; ranges and single numbers in them may be six times as many.",
            lambda: 100_000,
            _number("sbc_rules_most", 1_000_000, 1),
        ),
        Kind(
            "invitation_days",
            "Life of an invitation",
            "So many days its links lead anywhere; then another one has to be sent.",
            lambda: 5,
            _number("invitation_days", 60, 1),
        ),
        Kind(
            "invitation_reminder_days",
            "Automatic reminder of an invitation",
            "So many days after its last mail, once, while nobody has acted upon it; 0 = never.",
            lambda: 2,
            _number("invitation_reminder_days", 30),
        ),
        Kind(
            "provider_secret_months",
            "Life of a client secret or certificate, provider's app",
            "So many months the set-up guide asks for, and the portal when it renews.",
            lambda: 24,
            _number("provider_secret_months", MOST_MONTHS, 1),
        ),
    )
}


class _Cache:
    """What the table said, and when; a process-wide copy of a handful of values."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}
        self.read_at = float("-inf")


_cache = _Cache()


def get(name: str) -> Any:
    """The value in force. Raises KeyError for a setting that does not exist."""
    kind = KINDS[name]
    if time.monotonic() - _cache.read_at > FRESH_SECONDS:
        _cache.values = dict(Setting.objects.values_list("name", "value"))
        _cache.read_at = time.monotonic()
    return _cache.values.get(name, kind.default())


@transaction.atomic
def change(who: Who, name: str, value: Any) -> None:
    """Store a value. Raises InvalidInput naming the setting."""
    kind = KINDS.get(name)
    if kind is None:
        raise InvalidInput(field=name, why="there is no such setting")
    cleaned = kind.clean(value, who)
    before = get(name)
    Setting.objects.update_or_create(
        name=name, defaults={"value": cleaned, "set_by": who.label, "set_at": Now()}
    )
    record(
        who,
        "setting.changed",
        tenant_id=None,
        object_kind="setting",
        object_id=name,
        object_label=kind.title,
        changes={kind.title: (before, cleaned)},
    )
    transaction.on_commit(forget)
    forget()


def stored() -> dict[str, Setting]:
    """What was changed, by whom and when, by name."""
    return {row.name: row for row in Setting.objects.all()}


def forget() -> None:
    """Read the table anew at the next question."""
    _cache.read_at = float("-inf")
