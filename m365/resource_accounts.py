"""What a resource account answers with, as values: an auto attendant or a call queue, and everything underneath.

A `Wish` is one of them as it should be; `Found` is what Teams has of it. Names and limits: facts/microsoft.md 10.2
and Microsoft's pages of New-CsAutoAttendant, New-CsCallQueue, New-CsOnlineSchedule and what these need. An attendant
gives no way to compare it with a wish part by part, so what the portal built is remembered by a digest.
"""

from __future__ import annotations

import datetime as dt
import enum
import hashlib
import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from core.errors import UmpError

LONGEST_NAME = 64
LONGEST_TEXT = 1000
MOST_HOLIDAYS = 10
"""Ranges of one fixed schedule."""
MOST_MEMBERS = 20
STEP = 15
"""Opening hours lie on quarters of an hour."""
KEYS = (*"1234567890", "*", "#")
DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
APPLICATIONS = {
    "auto_attendant": "ce933385-9390-45d1-9512-c8d228074e07",
    "call_queue": "11cd3e2e-fccb-42ad-ad00-878b93575e07",
}
ROUTING = ("Attendant", "Serial", "RoundRobin", "LongestIdle")

_NAME = re.compile(r"[^\x00-\x1f\"'`$<>|;]{1,64}")
_UPN = re.compile(
    r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,62}[A-Za-z0-9])?@(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,}"
)
_NUMBER = re.compile(r"\+[1-9]\d{5,14}(?:;ext=\d{1,8})?")
_TIME = re.compile(r"(\d{1,2}):(\d{2})")


class Act(enum.StrEnum):
    """Where a call may go."""

    PERSON = "person"
    ACCOUNT = "account"
    NUMBER = "number"
    VOICEMAIL = "voicemail"
    DISCONNECT = "disconnect"


ACTS = {
    Act.PERSON: "a person",
    Act.ACCOUNT: "a queue or attendant",
    Act.NUMBER: "an external number",
    Act.VOICEMAIL: "a group's voicemail",
    Act.DISCONNECT: "disconnect",
}


@dataclass(frozen=True, slots=True)
class Target:
    """`id` is a number in E.164 for an external one, otherwise Microsoft's id; `name` is for people."""

    act: Act
    id: str = ""
    name: str = field(default="", compare=False, repr=False)

    def __str__(self) -> str:
        return ACTS[self.act] if self.act is Act.DISCONNECT else f"{ACTS[self.act]}: {self.name or self.id}"


@dataclass(frozen=True, slots=True)
class Option:
    key: str
    target: Target


@dataclass(frozen=True, slots=True)
class Holiday:
    """Whole days, the last one included."""

    name: str
    first: dt.date
    last: dt.date

    def __str__(self) -> str:
        days = f"{self.first}" if self.first == self.last else f"{self.first} to {self.last}"
        return f"{days} {self.name}".strip()


Hours = tuple[tuple[str, str], ...]
"""Of one day: from and to, as HH:MM; none is closed."""


@dataclass(frozen=True, slots=True)
class Attendant:
    """Without keys callers go to `straight`. `hours` has seven days, or none: always open."""

    greeting: str = ""
    menu: str = ""
    options: tuple[Option, ...] = ()
    straight: Target | None = None
    hours: tuple[Hours, ...] = ()
    closed_greeting: str = ""
    closed: Target = Target(Act.DISCONNECT)
    holidays: tuple[Holiday, ...] = ()
    holiday_greeting: str = ""


@dataclass(frozen=True, slots=True)
class Queue:
    """Times are seconds. `voicemail_text` is said before somebody may leave a message."""

    greeting: str = ""
    users: tuple[Target, ...] = ()
    groups: tuple[Target, ...] = ()
    routing: str = "Attendant"
    alert: int = 30
    opt_out: bool = True
    presence: bool = True
    most: int = 50
    overflow: Target = Target(Act.DISCONNECT)
    timeout: int = 1200
    timed_out: Target = Target(Act.DISCONNECT)
    voicemail_text: str = ""


@dataclass(frozen=True, slots=True)
class Wish:
    """`upn` is the account's address. `number` is E.164, or nothing; `number_type` as PowerShell writes it."""

    name: str
    upn: str
    language: str
    time_zone: str
    body: Attendant | Queue
    number: str = ""
    number_type: str = "DirectRouting"

    @property
    def kind(self) -> str:
        return "auto_attendant" if isinstance(self.body, Attendant) else "call_queue"


class Part(enum.StrEnum):
    """The kinds of things, each after those that it needs."""

    ACCOUNT = "resource account"
    HOURS = "opening hours"
    HOLIDAYS = "holidays"
    QUEUE = "call queue"
    ATTENDANT = "auto attendant"
    LINK = "association"
    NUMBER = "phone number"


@dataclass(frozen=True, slots=True)
class Thing:
    """Something that Teams has. `holder` is who has a number, or what an account belongs to."""

    name: str
    id: str
    holder: str = ""
    note: str = ""


Found = Mapping[Part, Thing]
"""What Teams has of one wish, by its names."""


@dataclass(frozen=True, slots=True)
class Own:
    """Something that the portal made, or began to make (`id` empty): `digest` says from what."""

    name: str
    id: str = ""
    digest: str = ""
    at: str = field(default="", compare=False)
    """ISO time."""


# --- Checks ---------------------------------------------------------------------------------------------------
def wanted(wish: Wish) -> dict[Part, str]:
    """The parts of it, and how each is called."""
    body = wish.body
    parts = {Part.ACCOUNT: wish.upn}
    if isinstance(body, Attendant):
        if body.hours:
            parts[Part.HOURS] = f"{wish.name} {Part.HOURS}"
        if body.holidays:
            parts[Part.HOLIDAYS] = f"{wish.name} {Part.HOLIDAYS}"
        parts[Part.ATTENDANT] = wish.name
    else:
        parts[Part.QUEUE] = wish.name
    parts[Part.LINK] = f"{wish.upn} with {wish.name}"
    if wish.number:
        parts[Part.NUMBER] = wish.number
    return parts


def digest(wish: Wish, part: Part) -> str:
    """Of what this part is made of: the same for the same wish, whatever people are called."""
    made_of: object = described(wish, part)
    if part in {Part.QUEUE, Part.ATTENDANT}:
        made_of = (wish.name, wish.language, wish.time_zone, wish.body)
    return hashlib.sha256(repr(made_of).encode()).hexdigest()


def checked_name(text: str, what: str = "name") -> str:
    """Raises UmpError (invalid_input)."""
    name = " ".join(text.split())
    check(
        bool(_NAME.fullmatch(name)) and name.isprintable(),
        what,
        "use 1 to 64 characters, and none of \" ' ` $ < > | ;",
    )
    return name


def checked_upn(text: str, what: str = "upn") -> str:
    """An address in a domain of the customer. Raises UmpError (invalid_input)."""
    upn = text.strip().lower()
    check(
        len(upn) <= 113 and bool(_UPN.fullmatch(upn)),
        what,
        "it is an address such as reception@contoso.com: letters, digits, dots, hyphens and underscores before the @",
    )
    return upn


def checked_number(text: str, what: str = "number") -> str:
    """Raises UmpError (invalid_input)."""
    number = re.sub(r"[\s()./-]", "", text.strip().removeprefix("tel:"))
    check(bool(_NUMBER.fullmatch(number)), what, "it is a number such as +4930123456, with country code")
    return number


def checked_text(text: str, what: str) -> str:
    """What is read aloud. Raises UmpError (invalid_input)."""
    plain = " ".join(text.split())
    check(len(plain) <= LONGEST_TEXT, what, f"it is longer than {LONGEST_TEXT} characters")
    check(plain.isprintable(), what, "it has characters that cannot be read aloud")
    return plain


def checked_hours(text: str, what: str) -> Hours:
    """`09:00-12:00, 13:00-17:00`; nothing is closed. Raises UmpError (invalid_input)."""
    spans = sorted(_span(each, what) for each in text.split(",") if each.strip())
    for (_, end), (start, _) in itertools.pairwise(spans):
        check(end <= start, what, "two times overlap")
    return tuple((_clock(start), _clock(end)) for start, end in spans)


def _span(text: str, what: str) -> tuple[int, int]:
    start, dash, end = text.partition("-")
    minutes = (_minutes(start, what), _minutes(end, what)) if dash else (0, 0)
    check(
        minutes[0] < minutes[1],
        what,
        "write times such as 09:00-12:00, 13:00-17:00, each from earlier to later",
    )
    return minutes


def _minutes(text: str, what: str) -> int:
    match = _TIME.fullmatch(text.strip())
    minutes = int(match[1]) * 60 + int(match[2]) if match and int(match[2]) < 60 else -1
    check(0 <= minutes <= 24 * 60, what, f"{text.strip()!r} is not a time such as 09:00")
    check(minutes % STEP == 0, what, "times are full quarters of an hour, such as 08:15")
    return minutes


def _clock(minutes: int) -> str:
    return f"{minutes // 60:02}:{minutes % 60:02}"


def check(good: bool, what: str, why: str) -> None:
    """Raises UmpError (invalid_input) for the field `what`."""
    if not good:
        raise UmpError.of("invalid_input", field=what, why=why)


# --- For people -----------------------------------------------------------------------------------------------
def described(wish: Wish, part: Part) -> dict[str, str]:
    """The part in words, by the label of each."""
    body = wish.body
    if part is Part.ACCOUNT:
        return {"Address": wish.upn, "Display name": wish.name}
    if part is Part.LINK:
        return {"Account": wish.upn, "Answers with": wish.name}
    if part is Part.NUMBER:
        return {"Number": wish.number, "Type": wish.number_type, "Account": wish.upn}
    if isinstance(body, Queue):
        return _queue(wish, body)
    if part is Part.HOURS:
        return {day.capitalize(): _day(hours) for day, hours in zip(DAYS, body.hours, strict=True)}
    if part is Part.HOLIDAYS:
        return {"Days": "; ".join(map(str, body.holidays))}
    return _attendant(wish, body)


def _day(hours: Hours) -> str:
    return ", ".join(f"{start} to {end}" for start, end in hours) or "closed"


def _attendant(wish: Wish, body: Attendant) -> dict[str, str]:
    told = {"Name": wish.name, "Language": wish.language, "Time zone": wish.time_zone}
    told |= {"Greeting": body.greeting, "Menu": body.menu}
    told |= {f"Key {option.key}": str(option.target) for option in body.options}
    if body.straight:
        told["Callers go to"] = str(body.straight)
    if body.hours:
        told |= {"Greeting when closed": body.closed_greeting}
    if body.holidays:
        told |= {"Greeting on holidays": body.holiday_greeting}
    if body.hours or body.holidays:
        told |= {"When closed": str(body.closed)}
    return {label: text for label, text in told.items() if text}


def _queue(wish: Wish, body: Queue) -> dict[str, str]:
    told = {
        "Name": wish.name,
        "Language": wish.language,
        "Greeting": body.greeting,
        "People": ", ".join(each.name for each in body.users),
        "Groups": ", ".join(each.name for each in body.groups),
        "Routing method": body.routing,
        "Agent alert time": f"{body.alert} seconds",
        "Agents may opt out": "yes" if body.opt_out else "no",
        "Presence-based routing": "yes" if body.presence else "no",
        "Most calls in the queue": str(body.most),
        "When it is full": str(body.overflow),
        "Longest wait": f"{body.timeout} seconds",
        "After that": str(body.timed_out),
        "Before voicemail": body.voicemail_text,
    }
    return {label: text for label, text in told.items() if text}


# --- Reading --------------------------------------------------------------------------------------------------
Rows = Sequence[Mapping[str, Any]]


def observed(wish: Wish, rows: Mapping[str, Rows]) -> dict[Part, Thing]:
    """What Teams has of the wish, from the rows of `resource_account_calls.reads`, whoever ran them.

    Raises UmpError (bad_reply) for rows that are none, since a plan made from half a reading would make twice what
    is there.
    """
    try:
        return dict(_observed(wish, rows))
    except (KeyError, TypeError, AttributeError):
        raise UmpError.of("bad_reply", host="Teams", why="it does not describe resource accounts") from None


def _observed(wish: Wish, rows: Mapping[str, Rows]) -> list[tuple[Part, Thing]]:
    found: list[tuple[Part, Thing]] = []
    account = _named(rows["account"], "UserPrincipalName", wish.upn)
    if account is not None:
        thing = Thing(wish.upn, _id(account), note=str(account.get("AccountType") or ""))
        found.append((Part.ACCOUNT, thing))
    names = wanted(wish)
    for part in (Part.HOURS, Part.HOLIDAYS):
        name = names.get(part, f"{wish.name} {part}")
        row = _named(rows.get("schedules", ()), "Name", name)
        if row is not None:
            found.append((part, Thing(name, _id(row))))
    part, key = (Part.QUEUE, "queues") if isinstance(wish.body, Queue) else (Part.ATTENDANT, "attendants")
    body = _named(rows[key], "Name", wish.name)
    if body is not None:
        found.append((part, Thing(wish.name, _id(body))))
        if account is not None and _id(account) in map(str.lower, _texts(body.get("ApplicationInstances"))):
            found.append((Part.LINK, Thing(names[Part.LINK], _id(account), holder=_id(body))))
    for row in rows.get("numbers", ()):
        number, holder = str(row["TelephoneNumber"]), str(row.get("AssignedPstnTargetId") or "").lower()
        if number.lstrip("+") == wish.number.lstrip("+") and wish.number and holder:
            found.append(
                (Part.NUMBER, Thing(wish.number, wish.number, holder, str(row.get("NumberType") or "")))
            )
    return found


def _named(rows: Rows, field_: str, name: str) -> Mapping[str, Any] | None:
    return next((row for row in rows if str(row[field_]).lower() == name.lower()), None)


def _id(row: Mapping[str, Any]) -> str:
    """Modules call it one or the other, by their age. Raises TypeError."""
    found = row.get("Identity") or row.get("Id")
    if not isinstance(found, str) or not found:
        raise TypeError
    return found.lower()


def _texts(given: object) -> list[str]:
    """Of one element PowerShell makes that element itself, of none nothing."""
    if given is None:
        return []
    return [str(each) for each in given] if isinstance(given, list) else [str(given)]
