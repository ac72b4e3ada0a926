"""What people enter for an attendant or a queue, as one flat table of texts, and what it means.

Forms, the API and templates share these names. Addresses and names of groups stay as entered; each time a plan is
made they are looked up in the copy of the directory again, because people leave.
"""

import datetime as dt
import re
from collections.abc import Iterable, Mapping
from typing import Any

from django.db.models import Q
from django.db.models.functions import Lower

from core.errors import InvalidInput
from directory.browse import as_uuid
from directory.models import DirectoryGroup, DirectoryUser
from m365 import resource_accounts as m365
from m365.resource_accounts import DAYS, Act, Attendant, Holiday, Option, Queue, Target, Wish, check
from resource_accounts.models import Design, Kind
from telephony.models import NumberKind, PhoneNumber, TeamsUser
from tenants.models import Tenant

LANGUAGES = (
    "ar-EG", "ca-ES", "da-DK", "de-DE", "en-AU", "en-CA", "en-GB", "en-IN", "en-US", "es-ES", "es-MX", "fi-FI",
    "fr-CA", "fr-FR", "it-IT", "ja-JP", "ko-KR", "nb-NO", "nl-NL", "pl-PL", "pt-BR", "pt-PT", "ru-RU", "sv-SE",
    "zh-CN", "zh-HK", "zh-TW",
)  # fmt: skip
TIME_ZONES = (
    "UTC", "GMT Standard Time", "Greenwich Standard Time", "W. Europe Standard Time", "Romance Standard Time",
    "Central Europe Standard Time", "Central European Standard Time", "GTB Standard Time", "FLE Standard Time",
    "E. Europe Standard Time", "Turkey Standard Time", "Israel Standard Time", "Egypt Standard Time",
    "South Africa Standard Time", "Russian Standard Time", "Arab Standard Time", "Arabian Standard Time",
    "India Standard Time", "SE Asia Standard Time", "China Standard Time", "Singapore Standard Time",
    "Taipei Standard Time", "Tokyo Standard Time", "Korea Standard Time", "AUS Eastern Standard Time",
    "E. Australia Standard Time", "W. Australia Standard Time", "New Zealand Standard Time",
    "Atlantic Standard Time", "Eastern Standard Time", "Central Standard Time", "Mountain Standard Time",
    "US Mountain Standard Time", "Pacific Standard Time", "Alaskan Standard Time", "Hawaiian Standard Time",
    "E. South America Standard Time", "Argentina Standard Time", "SA Pacific Standard Time",
)  # fmt: skip
"""As Windows calls them; Teams takes no other names."""
KEYS = {**{digit: digit for digit in "1234567890"}, "star": "*", "pound": "#"}
"""By the name of the field, such as key_1 or key_star."""
YES = "yes"
ACTS = {Act.PERSON.value, Act.ACCOUNT.value, Act.NUMBER.value, Act.VOICEMAIL.value, Act.DISCONNECT.value}

_COMMON = {"language": "en-US", "time_zone": "UTC", "greeting": ""}
_ATTENDANT = {
    **_COMMON,
    "menu": "",
    "straight": "",
    "straight_target": "",
    **{name: "" for key in KEYS for name in (f"key_{key}", f"key_{key}_target")},
    **dict.fromkeys(DAYS, ""),
    "closed_greeting": "",
    "closed": Act.DISCONNECT.value,
    "closed_target": "",
    "holidays": "",
    "holiday_greeting": "",
}
_QUEUE = {
    **_COMMON,
    "users": "",
    "groups": "",
    "routing": "Attendant",
    "alert": "30",
    "opt_out": YES,
    "presence": YES,
    "most": "50",
    "overflow": Act.DISCONNECT.value,
    "overflow_target": "",
    "timeout": "1200",
    "timed_out": Act.DISCONNECT.value,
    "timed_out_target": "",
    "voicemail_text": "",
}
FIELDS: Mapping[str, Mapping[str, str]] = {Kind.AUTO_ATTENDANT: _ATTENDANT, Kind.CALL_QUEUE: _QUEUE}
"""Names and first values, by kind."""
OF_PEOPLE = frozenset({"users", "groups"})
"""Fields that only fit one customer, besides every `..._target`."""
LONGEST = 4000
_HOLIDAY = re.compile(r"(\d{4}-\d{2}-\d{2})(?:\s+to\s+(\d{4}-\d{2}-\d{2}))?(?:\s+(.{1,60}))?")
_TYPES = {
    NumberKind.DIRECT_ROUTING: "DirectRouting",
    NumberKind.OPERATOR_CONNECT: "OperatorConnect",
    NumberKind.CALLING_PLAN: "CallingPlan",
}


def cleaned(kind: str, given: Mapping[str, object]) -> dict[str, str]:
    """All fields of the kind as texts, missing ones with their first value. Raises InvalidInput for unknown ones."""
    known = FIELDS[kind]
    for name, value in given.items():
        check(name in known, name, "there is no such setting for this type")
        check(
            isinstance(value, str) and len(value) <= LONGEST,
            name,
            f"it is a text of at most {LONGEST} characters",
        )
    return {name: str(given.get(name, first)).strip() for name, first in known.items()}


def without_people(spec: Mapping[str, str], customer: str) -> dict[str, str]:
    """For a template: nothing of one customer stays but its name, as a placeholder."""
    kept = {
        name: "" if name in OF_PEOPLE or name.endswith("_target") else text for name, text in spec.items()
    }
    return {name: _swapped(text, customer, "{customer}") for name, text in kept.items()}


def for_customer(spec: Mapping[str, str], customer: str) -> dict[str, str]:
    return {name: text.replace("{customer}", customer) for name, text in spec.items()}


def _swapped(text: str, customer: str, put: str) -> str:
    return re.sub(re.escape(customer), lambda _: put, text, flags=re.IGNORECASE) if customer else text


# --- From texts to a wish -------------------------------------------------------------------------------------
def bare(design: Design) -> Wish:
    """As much of it as is needed to look for it, or to take it away."""
    body = Queue() if design.kind == Kind.CALL_QUEUE else Attendant()
    return Wish(
        design.name,
        design.upn,
        "en-US",
        "UTC",
        body,
        design.number,
        number_type(design.tenant, design.number),
    )


def wish_of(design: Design, *, built: bool = False) -> Wish:
    """What the design asks for, with everybody looked up. Raises InvalidInput naming the field.

    `built`: queues and attendants that it leads to must be there, not only designed.
    """
    spec = cleaned(design.kind, design.spec)
    book = _Book(design.tenant, spec, built=built)
    check(spec["language"] in LANGUAGES, "language", "choose one of the list")
    check(spec["time_zone"] in TIME_ZONES, "time_zone", "choose one of the list")
    body = _queue(spec, book) if design.kind == Kind.CALL_QUEUE else _attendant(spec, book)
    return Wish(
        design.name,
        design.upn,
        spec["language"],
        spec["time_zone"],
        body,
        design.number,
        number_type(design.tenant, design.number),
    )


def number_type(tenant: Tenant, number: str) -> str:
    """As PowerShell writes it; what Microsoft does not know is of Direct Routing."""
    kind = PhoneNumber.objects.filter(tenant=tenant, number=number).values_list("kind", flat=True).first()
    return _TYPES.get(NumberKind(kind), "DirectRouting") if kind in NumberKind.values else "DirectRouting"


def _attendant(spec: Mapping[str, str], book: "_Book") -> Attendant:
    options = tuple(
        Option(key, book.target(f"key_{name}")) for name, key in KEYS.items() if spec[f"key_{name}"]
    )
    straight = book.target("straight") if spec["straight"] else None
    check(
        bool(options) != bool(straight),
        "straight",
        "choose at least one key, or where all callers go, not both",
    )
    check(not options or bool(spec["menu"]), "menu", "callers must hear which key does what")
    hours = tuple(m365.checked_hours(spec[day], day) for day in DAYS)
    return Attendant(
        greeting=m365.checked_text(spec["greeting"], "greeting"),
        menu=m365.checked_text(spec["menu"], "menu") if options else "",
        options=options,
        straight=straight,
        hours=hours if any(hours) else (),
        closed_greeting=m365.checked_text(spec["closed_greeting"], "closed_greeting"),
        closed=book.target("closed"),
        holidays=_holidays(spec["holidays"]),
        holiday_greeting=m365.checked_text(spec["holiday_greeting"], "holiday_greeting"),
    )


def _holidays(text: str) -> tuple[Holiday, ...]:
    found = [_holiday(line.strip()) for line in text.splitlines() if line.strip()]
    check(len(found) <= m365.MOST_HOLIDAYS, "holidays", f"at most {m365.MOST_HOLIDAYS} lines")
    return tuple(found)


def _holiday(line: str) -> Holiday:
    match = _HOLIDAY.fullmatch(line)
    try:
        first = dt.date.fromisoformat(match[1] if match else "")
        last = dt.date.fromisoformat(match[2]) if match and match[2] else first
    except ValueError:
        raise InvalidInput(
            field="holidays",
            why="write lines such as 2026-12-24 to 2026-12-26 Christmas, or 2027-01-01 New Year",
        ) from None
    check(
        first <= last < dt.date(2200, 1, 1), "holidays", f"{line} ends before it begins, or in no known year"
    )
    return Holiday((match[3] or "") if match else "", first, last)


def _queue(spec: Mapping[str, str], book: "_Book") -> Queue:
    users, groups = book.listed("users", Act.PERSON), book.listed("groups", Act.VOICEMAIL)
    check(bool(users or groups), "users", "nobody would answer: name people, or groups")
    check(spec["routing"] in m365.ROUTING, "routing", "choose one of the list")
    overflow, timed_out = book.target("overflow"), book.target("timed_out")
    text = m365.checked_text(spec["voicemail_text"], "voicemail_text")
    if Act.VOICEMAIL in {overflow.act, timed_out.act}:
        check(bool(text), "voicemail_text", "callers must hear that they may leave a message")
    return Queue(
        greeting=m365.checked_text(spec["greeting"], "greeting"),
        users=users,
        groups=groups,
        routing=spec["routing"],
        alert=_number(spec, "alert", 15, 180),
        opt_out=spec["opt_out"] == YES,
        presence=spec["presence"] == YES,
        most=_number(spec, "most", 0, 200),
        overflow=overflow,
        timeout=_number(spec, "timeout", 0, 2700) // 15 * 15,
        timed_out=timed_out,
        voicemail_text=text,
    )


def _number(spec: Mapping[str, str], name: str, least: int, most: int) -> int:
    text = spec[name]
    value = int(text) if text.isascii() and text.isdigit() and len(text) < 6 else -1
    check(least <= value <= most, name, f"it is a number from {least} to {most}")
    return value


class _Book:
    """Everybody whom a design names, found with one query a kind of thing."""

    def __init__(self, tenant: Tenant, spec: Mapping[str, str], *, built: bool) -> None:
        self._spec = spec
        self._built = built
        names = {
            text.strip().lower() for name, text in spec.items() if name.endswith("_target") and text.strip()
        }
        people = names | {line.lower() for line in _lines(spec.get("users", ""))}
        groups = names | {line.lower() for line in _lines(spec.get("groups", ""))}
        self._people = _by_address(DirectoryUser.objects.filter(tenant=tenant), people)
        self._accounts = _by_address(
            TeamsUser.objects.filter(tenant=tenant, account_type="resourceAccount"), names
        )
        designs = Design.objects.filter(tenant=tenant, upn__in=names) if names else []
        self._designs = {row.upn: row for row in designs}
        self._groups = _groups(tenant, groups)

    def target(self, name: str) -> Target:
        """What the fields `name` and `<name>_target` say. Raises InvalidInput."""
        act, text = self._spec[name], self._spec[f"{name}_target"]
        check(act in ACTS, name, "choose one of the list")
        if act == Act.DISCONNECT:
            return Target(Act.DISCONNECT)
        check(bool(text), f"{name}_target", "say to whom")
        return self._found(Act(act), text, f"{name}_target")

    def listed(self, name: str, act: Act) -> tuple[Target, ...]:
        lines = list(dict.fromkeys(_lines(self._spec[name])))
        check(len(lines) <= m365.MOST_MEMBERS, name, f"at most {m365.MOST_MEMBERS} lines")
        return tuple(self._found(act, line, name) for line in lines)

    def _found(self, act: Act, text: str, field: str) -> Target:
        key = text.lower()
        if act is Act.NUMBER:
            number = m365.checked_number(text, field)
            return Target(act, number, number)
        if act is Act.PERSON:
            check(key in self._people, field, f"the customer has no user with the address {text}")
            return Target(act, *self._people[key])
        if act is Act.VOICEMAIL:
            check(
                len(self._groups.get(key, ())) < 2,
                field,
                f"several groups are called {text}: use the address of one",
            )
            check(key in self._groups, field, f"the customer has no group {text}")
            return Target(act, *self._groups[key][0])
        return self._account(key, text, field)

    def _account(self, key: str, text: str, field: str) -> Target:
        if key in self._accounts:
            return Target(Act.ACCOUNT, *self._accounts[key])
        design = self._designs.get(key)
        check(design is not None, field, f"the customer has no queue or attendant with the address {text}")
        made = str((design.owned if design else {}).get(m365.Part.ACCOUNT, {}).get("id", ""))
        check(bool(made) or not self._built, field, f"{text} is designed and not built: build it first")
        return Target(Act.ACCOUNT, made, text)


def _lines(text: str) -> list[str]:
    return [line.strip() for line in re.split(r"[\n,;]", text) if line.strip()]


def _by_address(rows: Any, addresses: Iterable[str]) -> dict[str, tuple[str, str]]:
    """(id, name) by address in small letters."""
    found = rows.annotate(address=Lower("user_principal_name")).filter(address__in=list(addresses))
    return {row.address: (str(row.object_id), str(row)) for row in found}


def _groups(tenant: Tenant, names: set[str]) -> dict[str, list[tuple[str, str]]]:
    """(id, name) of those with this id, address or name."""
    if not names:
        return {}
    ids = [uid for uid in map(as_uuid, names) if uid]
    rows = DirectoryGroup.objects.filter(tenant=tenant).annotate(
        called=Lower("display_name"), address=Lower("mail")
    )
    found: dict[str, list[tuple[str, str]]] = {}
    for row in rows.filter(Q(object_id__in=ids) | Q(called__in=names) | Q(address__in=names))[:200]:
        for key in {str(row.object_id), row.called, row.address} & names:
            found.setdefault(key, []).append((str(row.object_id), str(row)))
    return found
