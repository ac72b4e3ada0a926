"""The cmdlets behind resource accounts, queues and attendants, as data (facts/microsoft.md 10.2 and 11).

`New-CsOnlineApplicationInstance` works in the session of a person only (facts 10.1, decision 30); everything else
works with an app registration's own access too. Microsoft has no cmdlet that takes an account away or licenses one.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping

from m365.powershell.calls import Call, Made, Value
from m365.resource_accounts import APPLICATIONS, DAYS, Act, Attendant, Option, Part, Queue, Target, Wish

CREATE_ACCOUNT = "New-CsOnlineApplicationInstance"
MOST_ROWS = 1000
Ids = Mapping[Part, Value]
"""Microsoft's ids of what is there; in a script for people the variables that hold them."""
_TYPES = {
    Act.PERSON: "User",
    Act.ACCOUNT: "ApplicationEndpoint",
    Act.NUMBER: "ExternalPstn",
    Act.VOICEMAIL: "SharedVoicemail",
}
_TONES = {"*": "ToneStar", "#": "TonePound", "": "Automatic"}
_MADE = ("Identity", "Id", "ObjectId")
"""What a call that makes something calls its id; modules differ."""


# --- Reading --------------------------------------------------------------------------------------------------
def reads(wish: Wish) -> dict[str, Call]:
    """What reads it; `resource_accounts.observed` understands the rows."""
    address = wish.upn.replace("'", "''")
    named: tuple[tuple[str, Value], ...] = (("NameFilter", wish.name), ("First", 100))
    found = {
        "account": Call(
            "Get-CsOnlineUser",
            (("Filter", f"UserPrincipalName -eq '{address}'"), ("ResultSize", 2)),
            ("Identity", "UserPrincipalName", "AccountType"),
        )
    }
    fields = ("Identity", "Id", "Name", "ApplicationInstances")
    if isinstance(wish.body, Queue):
        found["queues"] = Call("Get-CsCallQueue", named, fields)
    else:
        found["attendants"] = Call("Get-CsAutoAttendant", named, fields)
        found["schedules"] = Call("Get-CsOnlineSchedule", fields=("Id", "Name"))
    if wish.number:
        found["numbers"] = Call(
            "Get-CsPhoneNumberAssignment",
            (("TelephoneNumber", wish.number),),
            ("TelephoneNumber", "NumberType", "AssignedPstnTargetId"),
        )
    return found


def made_id(rows: list[dict[str, object]]) -> str:
    """The id in what a call that makes something answered; empty where it says none."""
    for row in rows:
        for name in _MADE:
            if isinstance(row.get(name), str) and row[name]:
                return str(row[name]).lower()
    return ""


# --- Making ---------------------------------------------------------------------------------------------------
def create(wish: Wish, part: Part, ids: Ids) -> Call:
    """Makes the part. `ids` has those that it needs."""
    body = wish.body
    if part is Part.ACCOUNT:
        parameters: tuple[tuple[str, Value], ...] = (
            ("UserPrincipalName", wish.upn),
            ("ApplicationId", APPLICATIONS[wish.kind]),
            ("DisplayName", wish.name),
        )
        return Call(CREATE_ACCOUNT, parameters, _MADE)
    if part is Part.LINK:
        kind = "CallQueue" if isinstance(body, Queue) else "AutoAttendant"
        to = ids[Part.QUEUE] if isinstance(body, Queue) else ids[Part.ATTENDANT]
        parameters = (
            ("Identities", (ids[Part.ACCOUNT],)),
            ("ConfigurationId", to),
            ("ConfigurationType", kind),
        )
        return Call("New-CsOnlineApplicationInstanceAssociation", parameters)
    if part is Part.NUMBER:
        parameters = (
            ("Identity", ids[Part.ACCOUNT]),
            ("PhoneNumber", wish.number),
            ("PhoneNumberType", wish.number_type),
        )
        return Call("Set-CsPhoneNumberAssignment", parameters)
    if isinstance(body, Queue):
        return Call("New-CsCallQueue", _queue(wish, body), _MADE)
    if part is Part.HOURS:
        return _opening(f"{wish.name} {part}", body)
    return _holidays(f"{wish.name} {part}", body) if part is Part.HOLIDAYS else _attendant(wish, body, ids)


def change(wish: Wish, ids: Ids) -> Call:
    """Makes the queue so; attendants are made anew. Raises ValueError for those."""
    if not isinstance(wish.body, Queue):
        raise ValueError("an attendant is made anew")
    return Call("Set-CsCallQueue", (("Identity", ids[Part.QUEUE]), *_queue(wish, wish.body)))


def remove(part: Part, ids: Ids, *, number: str = "", number_type: str = "") -> Call | None:
    """Takes it away; None for an account, which has no cmdlet for that."""
    if part is Part.NUMBER:
        parameters = (
            ("Identity", ids[Part.ACCOUNT]),
            ("PhoneNumber", number),
            ("PhoneNumberType", number_type),
        )
        return Call("Remove-CsPhoneNumberAssignment", parameters)
    if part is Part.LINK:
        return Call("Remove-CsOnlineApplicationInstanceAssociation", (("Identities", (ids[Part.ACCOUNT],)),))
    if part is Part.QUEUE:
        return Call("Remove-CsCallQueue", (("Identity", ids[part]),))
    if part is Part.ATTENDANT:
        return Call("Remove-CsAutoAttendant", (("Identity", ids[part]),))
    return None if part is Part.ACCOUNT else Call("Remove-CsOnlineSchedule", (("Id", ids[part]),))


def _opening(name: str, body: Attendant) -> Call:
    days: list[tuple[str, Value]] = []
    for day, hours in zip(DAYS, body.hours, strict=True):
        spans = tuple(
            Call("New-CsOnlineTimeRange", (("Start", start), ("End", "1.00:00" if end == "24:00" else end)))
            for start, end in hours
        )
        if spans:
            days.append((f"{day.capitalize()}Hours", spans))
    # With its complement in force, it is the time when nobody is there.
    parameters: tuple[tuple[str, Value], ...] = (
        ("Name", name),
        ("WeeklyRecurrentSchedule", True),
        *days,
        ("Complement", True),
    )
    return Call("New-CsOnlineSchedule", parameters, _MADE)


def _holidays(name: str, body: Attendant) -> Call:
    ranges = tuple(
        Call(
            "New-CsOnlineDateTimeRange",
            (("Start", _day(each.first)), ("End", _day(each.last + dt.timedelta(days=1)))),
        )
        for each in body.holidays
    )
    parameters: tuple[tuple[str, Value], ...] = (
        ("Name", name),
        ("FixedSchedule", True),
        ("DateTimeRanges", ranges),
    )
    return Call("New-CsOnlineSchedule", parameters, _MADE)


def _day(day: dt.date) -> str:
    """As Microsoft's own examples write it; the end of a range is not part of it."""
    return f"{day.day}/{day.month}/{day.year}"


def _attendant(wish: Wish, body: Attendant, ids: Ids) -> Call:
    options = tuple(map(_option, body.options)) or (
        _option(Option("", body.straight or Target(Act.DISCONNECT))),
    )
    before = [("openFlow", _flow("Open", body.greeting, _menu("Menu", body.menu, options)))]
    flows: list[Value] = []
    rules: list[Value] = []
    for part, variable, kind, greeting in (
        (Part.HOURS, "closedFlow", "AfterHours", body.closed_greeting),
        (Part.HOLIDAYS, "holidayFlow", "Holiday", body.holiday_greeting),
    ):
        if (body.hours if part is Part.HOURS else body.holidays) and part in ids:
            menu = _menu(f"{kind} menu", "", (_option(Option("", body.closed)),))
            before.append((variable, _flow(kind, greeting, menu)))
            flows.append(Made(variable))
            rules.append(
                Call(
                    "New-CsAutoAttendantCallHandlingAssociation",
                    (("Type", kind), ("ScheduleId", ids[part]), ("CallFlowId", Made(variable, "Id"))),
                )
            )
    parameters: list[tuple[str, Value]] = [
        ("Name", wish.name),
        ("LanguageId", wish.language),
        ("TimeZoneId", wish.time_zone),
        ("DefaultCallFlow", Made("openFlow")),
    ]
    if flows:
        parameters += [("CallFlows", tuple(flows)), ("CallHandlingAssociations", tuple(rules))]
    return Call("New-CsAutoAttendant", tuple(parameters), _MADE, tuple(before))


def _flow(name: str, greeting: str, menu: Call) -> Call:
    said: tuple[tuple[str, Value], ...] = (("Greetings", (_prompt(greeting),)),) if greeting else ()
    return Call("New-CsAutoAttendantCallFlow", (("Name", name), *said, ("Menu", menu)))


def _menu(name: str, text: str, options: tuple[Call, ...]) -> Call:
    said: tuple[tuple[str, Value], ...] = (("Prompts", (_prompt(text),)),) if text else ()
    parameters = (("Name", name), *said, ("MenuOptions", options), ("DirectorySearchMethod", "None"))
    return Call("New-CsAutoAttendantMenu", parameters)


def _prompt(text: str) -> Call:
    return Call("New-CsAutoAttendantPrompt", (("TextToSpeechPrompt", text),))


def _option(option: Option) -> Call:
    tone = _TONES.get(option.key) or f"Tone{option.key}"
    target = option.target
    if target.act is Act.DISCONNECT:
        return Call("New-CsAutoAttendantMenuOption", (("Action", "DisconnectCall"), ("DtmfResponse", tone)))
    entity = Call(
        "New-CsAutoAttendantCallableEntity", (("Identity", _address(target)), ("Type", _TYPES[target.act]))
    )
    parameters: tuple[tuple[str, Value], ...] = (
        ("Action", "TransferCallToTarget"),
        ("DtmfResponse", tone),
        ("CallTarget", entity),
    )
    return Call("New-CsAutoAttendantMenuOption", parameters)


def _address(target: Target) -> str:
    return f"tel:{target.id}" if target.act is Act.NUMBER else target.id


def _queue(wish: Wish, body: Queue) -> tuple[tuple[str, Value], ...]:
    parameters: list[tuple[str, Value]] = [
        ("Name", wish.name),
        ("LanguageId", wish.language),
        ("RoutingMethod", body.routing),
        ("AgentAlertTime", body.alert),
        ("AllowOptOut", body.opt_out),
        ("PresenceBasedRouting", body.presence),
        ("UseDefaultMusicOnHold", True),
        ("Users", tuple(each.id for each in body.users)),
        ("DistributionLists", tuple(each.id for each in body.groups)),
        ("OverflowThreshold", body.most),
        *_beyond("Overflow", body.overflow, body.voicemail_text),
        ("TimeoutThreshold", body.timeout),
        *_beyond("Timeout", body.timed_out, body.voicemail_text),
    ]
    if body.greeting:
        parameters.append(("WelcomeTextToSpeechPrompt", body.greeting))
    return tuple(parameters)


def _beyond(when: str, target: Target, text: str) -> list[tuple[str, Value]]:
    if target.act is Act.DISCONNECT:
        return [(f"{when}Action", "DisconnectWithBusy" if when == "Overflow" else "Disconnect")]
    if target.act is Act.VOICEMAIL:
        said = (f"{when}SharedVoicemailTextToSpeechPrompt", text)
        return [(f"{when}Action", "SharedVoicemail"), (f"{when}ActionTarget", target.id), said]
    return [(f"{when}Action", "Forward"), (f"{when}ActionTarget", _address(target))]
