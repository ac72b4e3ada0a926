"""Resource accounts: wishes into plans, plans into calls, calls into scripts; and back."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import UmpError
from m365 import resource_account_calls as calls
from m365 import resource_account_plan as planning
from m365 import resource_account_scripts as scripts
from m365 import resource_accounts as accounts
from m365.clouds import CLOUDS
from m365.powershell import handout, script
from m365.powershell.actions import Action
from m365.powershell.calls import Call
from m365.resource_accounts import Act, Attendant, Holiday, Option, Own, Part, Queue, Target, Wish
from tests.m365 import powershell_reader as reader
from tests.m365.teams_apps_model import TeamsApps
from tests.m365.test_powershell_script import ANY_TEXT

ORGANISATION = "11111111-2222-3333-4444-555555555555"
WHO = {"customer": "Zürich'); Remove-Item / #", "organisation": ORGANISATION, "cloud": CLOUDS["global"]}
ANNA = Target(Act.PERSON, "aaaaaaaa-0000-4000-8000-000000000001", "Anna")
SALES = Target(Act.VOICEMAIL, "bbbbbbbb-0000-4000-8000-000000000001", "Sales")
OUTSIDE = Target(Act.NUMBER, "+493012345")
DESK = Attendant(
    greeting="Welcome",
    menu="Press 1 for Anna",
    options=(Option("1", ANNA), Option("#", SALES), Option("0", OUTSIDE)),
    hours=((("09:00", "12:00"), ("13:00", "24:00")), *[()] * 6),
    closed_greeting="We are closed",
    closed=SALES,
    holidays=(Holiday("Christmas", dt.date(2026, 12, 24), dt.date(2026, 12, 31)),),
)
RECEPTION = Wish("Reception", "reception@contoso.test", "en-US", "UTC", DESK, "+4930111")
HELP = Wish(
    "Help desk",
    "help@contoso.test",
    "en-US",
    "UTC",
    Queue(greeting="Hello", users=(ANNA,), overflow=SALES, timed_out=OUTSIDE, voicemail_text="Speak"),
)
BOTH = pytest.mark.parametrize("wish", [RECEPTION, HELP], ids=["attendant", "queue"])


def read(teams: TeamsApps, wish: Wish) -> accounts.Found:
    return accounts.observed(wish, {name: teams.run(call) for name, call in calls.reads(wish).items()})


def build(teams: TeamsApps, wish: Wish, owned: dict[Part, Own]) -> list[Action]:
    """Carry the plan out; `owned` learns what was made."""
    found = read(teams, wish)
    ids: dict[Part, str] = {part: thing.id for part, thing in found.items()}
    steps = planning.plan(wish, found, owned)
    for step in planning.writing(steps):
        call = planning.call_of(step, wish, ids)
        assert call is not None
        rows = teams.run(call)
        if step.action is Action.REMOVE:
            owned.pop(step.part)
            continue
        ids[step.part] = calls.made_id(rows) or ids.get(step.part) or ids[Part.ACCOUNT]
        owned[step.part] = Own(step.name, ids[step.part], accounts.digest(wish, step.part))
    return [step.action for step in steps]


@BOTH
def test_twice_is_once_and_back_is_as_before(wish: Wish) -> None:
    teams, owned = TeamsApps(), {}
    assert set(build(teams, wish, owned)) == {Action.CREATE}
    done = list(teams.writes)
    assert set(build(teams, wish, owned)) == {Action.NOTHING}
    assert teams.writes == done
    found = read(teams, wish)
    ids = {part: thing.id for part, thing in found.items()}
    steps = planning.removal(found, owned)
    assert steps[-1].part is Part.ACCOUNT
    for step in steps:
        call = planning.call_of(step, wish, ids)
        if call is None:
            del teams.accounts[ids[Part.ACCOUNT]]  # as Graph does it
        else:
            teams.run(call)
    assert (teams.accounts, teams.bodies, teams.schedules, teams.numbers) == ({}, {}, {}, {})


def test_a_changed_queue_is_changed_and_a_changed_attendant_made_anew() -> None:
    teams, owned = TeamsApps(), {}
    build(teams, HELP, owned)
    assert isinstance(HELP.body, Queue)
    changed = dataclasses.replace(HELP, body=dataclasses.replace(HELP.body, alert=60))
    assert Action.CHANGE in build(teams, changed, owned)
    (queue,) = teams.bodies.values()
    assert queue["AgentAlertTime"] == 60
    assert len(queue["ApplicationInstances"]) == 1

    owned.clear()
    build(teams, RECEPTION, owned)
    open_always = dataclasses.replace(
        RECEPTION, number="+4930222", body=dataclasses.replace(DESK, hours=(), greeting="Hi")
    )
    build(teams, open_always, owned)
    (attendant,) = (row for row in teams.bodies.values() if row["kind"] == "AutoAttendant")
    assert [schedule["Name"] for schedule in teams.schedules.values()] == ["Reception holidays"]
    assert len(attendant["CallHandlingAssociations"]) == 1
    assert set(teams.numbers) == {"+4930222"}
    assert set(build(teams, open_always, owned)) == {Action.NOTHING}


def test_what_others_made_is_used_or_waits_for_a_person_and_never_goes() -> None:
    teams = TeamsApps()
    teams.run(calls.create(RECEPTION, Part.ACCOUNT, {}))
    teams.run(Call("New-CsAutoAttendant", (("Name", "reception"),)))
    teams.numbers["+4930111"] = "somebody"
    steps = {step.part: step for step in planning.plan(RECEPTION, read(teams, RECEPTION), {})}
    assert steps[Part.ACCOUNT].action is Action.NOTHING
    assert {steps[part].action for part in (Part.ATTENDANT, Part.NUMBER)} == {Action.CONFLICT}
    assert planning.removal(read(teams, RECEPTION), {}) == ()
    with pytest.raises(ValueError, match="not decided"):
        scripts.ready(steps.values(), RECEPTION, **WHO)


@pytest.mark.parametrize(
    ("wish", "part"),
    [
        (RECEPTION, Part.HOURS),
        (RECEPTION, Part.HOLIDAYS),
        (RECEPTION, Part.ATTENDANT),
        (HELP, Part.QUEUE),
    ],
)
def test_another_one_of_the_same_name_is_not_ours(wish: Wish, part: Part) -> None:
    """Somebody deleted what the portal made, and made his own: neither removed nor written over."""
    teams, owned = TeamsApps(), {}
    build(teams, wish, owned)
    there = read(teams, wish)
    found = {**there, part: dataclasses.replace(there[part], id="another")}
    changed = dataclasses.replace(wish, body=dataclasses.replace(wish.body, greeting="Changed"))
    for now in (wish, changed):
        steps = planning.plan(now, found, owned)
        assert [step.part for step in planning.blocked(steps)] == [part]
        assert part not in {step.part for step in planning.writing(steps)}
    account = {**there, Part.ACCOUNT: dataclasses.replace(there[Part.ACCOUNT], id="another")}
    assert "the portal did not make it" in planning.plan(wish, account, owned)[0].why


def test_the_address_of_a_person_is_not_taken() -> None:
    teams = TeamsApps()
    teams.run(calls.create(RECEPTION, Part.ACCOUNT, {}))
    next(iter(teams.accounts.values()))["AccountType"] = "User"
    first = planning.plan(RECEPTION, read(teams, RECEPTION), {})[0]
    assert (first.part, first.action) == (Part.ACCOUNT, Action.CONFLICT)


def test_a_lost_answer_and_a_slow_directory() -> None:
    teams = TeamsApps()
    begun = {Part.ACCOUNT: Own("reception@contoso.test", "", "d", "2026-01-02")}
    assert planning.unknown({}, begun, "2026-01-01") == [Part.ACCOUNT]
    assert planning.unknown({}, begun, "2026-01-03") == []
    teams.run(calls.create(RECEPTION, Part.ACCOUNT, {}))
    found = read(teams, RECEPTION)
    (account,) = teams.accounts
    assert planning.adopted(found, begun)[Part.ACCOUNT].id == account
    told = {Part.ACCOUNT: Own("reception@contoso.test", account, "d", "2026-01-02")}
    assert planning.with_young({}, told, "2026-01-01")[Part.ACCOUNT].id == account
    assert planning.with_young({}, told, "2026-01-03") == {}


def test_an_attendant_as_it_crosses() -> None:
    told = calls.create(RECEPTION, Part.ATTENDANT, {Part.HOURS: "h", Part.HOLIDAYS: "d"}).as_json()
    assert [each["name"] for each in told["before"]] == ["openFlow", "closedFlow", "holidayFlow"]
    after_hours = told["parameters"]["CallHandlingAssociations"][0]["call"]["parameters"]
    assert after_hours == {
        "Type": "AfterHours",
        "ScheduleId": "h",
        "CallFlowId": {"made": {"name": "closedFlow", "property": "Id"}},
    }
    hours = calls.create(RECEPTION, Part.HOURS, {}).as_json()["parameters"]
    assert [each["call"]["parameters"]["End"] for each in hours["MondayHours"]] == ["12:00", "1.00:00"]
    assert hours["Complement"] is True
    assert "TuesdayHours" not in hours
    days = calls.create(RECEPTION, Part.HOLIDAYS, {}).as_json()["parameters"]["DateTimeRanges"]
    assert days[0]["call"]["parameters"] == {"Start": "24/12/2026", "End": "1/1/2027"}


# --- Scripts --------------------------------------------------------------------------------------------------
@settings(deadline=None, max_examples=25)
@given(ANY_TEXT, ANY_TEXT, ANY_TEXT)
def test_no_text_gets_out_of_its_place(name: str, greeting: str, customer: str) -> None:
    """Of texts that the portal would not even take: a script has the commands of its plan, and no others."""
    for wish in (RECEPTION, HELP):
        odd = dataclasses.replace(
            wish, name=name, upn=name, body=dataclasses.replace(wish.body, greeting=greeting or "x")
        )
        plain = scripts.ready(planning.plan(wish, {}, {}), wish, **WHO)
        text = scripts.ready(planning.plan(odd, {}, {}), odd, **{**WHO, "customer": customer})
        assert reader.commands(reader.parse(text)) == reader.commands(reader.parse(plain))
        looks = scripts.verify(odd, **{**WHO, "customer": customer})
        assert reader.commands(reader.parse(looks)) == reader.commands(
            reader.parse(scripts.verify(wish, **WHO))
        )


@BOTH
def test_the_scripts_do_what_the_plan_says(wish: Wish) -> None:
    steps = planning.plan(wish, {}, {})
    root = reader.parse(scripts.ready(steps, wish, **WHO))
    ids = dict.fromkeys(Part, "x")
    wanted = {call.cmdlet for step in steps if (call := planning.call_of(step, wish, ids))}
    assert wanted <= reader.commands(root)
    only_reads = reader.commands(reader.parse(scripts.verify(wish, **WHO)))
    assert not {name for name in only_reads if name.startswith(("New-", "Set-", "Remove-"))}
    owned = {step.part: Own(step.name, "x") for step in steps}
    found = {part: accounts.Thing(own.name, own.id, "x") for part, own in owned.items()}
    away = reader.commands(reader.parse(scripts.ready(planning.removal(found, owned), wish, **WHO)))
    assert not {name for name in away if name.startswith(("New-", "Set-"))}


@BOTH
def test_what_a_person_gives_back_is_read(wish: Wish) -> None:
    teams, owned = TeamsApps(), {}
    build(teams, wish, owned)
    rows = {name: teams.run(call) for name, call in calls.reads(wish).items()}
    line = handout.MARK + json.dumps({"organisation": ORGANISATION, **rows})
    found = scripts.verified(f"PS> \n{line[:60]}\n{line[60:]}", wish, organisation=ORGANISATION)
    assert found == read(teams, wish)
    assert not planning.writing(planning.plan(wish, found, owned))
    for wrong in (
        "",
        line.replace("1111", "2222"),
        handout.MARK + json.dumps({"organisation": ORGANISATION}),
    ):
        with pytest.raises(UmpError, match="Verify script"):
            scripts.verified(wrong, wish, organisation=ORGANISATION)


def test_what_is_made_for_a_call_stands_before_it() -> None:
    call = calls.create(RECEPTION, Part.ATTENDANT, {Part.HOURS: "h", Part.HOLIDAYS: "d"})
    lines = script.lines(call)
    assert [line.split(" = ")[0] for line in lines[:4]] == [
        "$openFlow",
        "$closedFlow",
        "$holidayFlow",
        "$parameters",
    ]
    assert any("$closedFlow.Id" in line for line in lines[4:])
    reader.parse("\n".join(lines))


# --- What people enter ----------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("text", "hours"),
    [
        ("", ()),
        ("9:00-12:00,13:00 - 17:30", (("09:00", "12:00"), ("13:00", "17:30"))),
        ("13:00-17:00, 0:00-12:00", (("00:00", "12:00"), ("13:00", "17:00"))),
    ],
)
def test_hours(text: str, hours: accounts.Hours) -> None:
    assert accounts.checked_hours(text, "monday") == hours


@pytest.mark.parametrize(
    "wrong",
    ["9-17", "09:00", "09:00-09:00", "10:00-09:00", "09:10-10:00", "09:00-11:00,10:00-12:00", "25:00-26:00"],
)
def test_hours_that_are_none(wrong: str) -> None:
    with pytest.raises(UmpError, match="monday"):
        accounts.checked_hours(wrong, "monday")


@given(st.text(max_size=40))
def test_no_input_breaks_the_checks(text: str) -> None:
    for checked in (accounts.checked_name, accounts.checked_upn, accounts.checked_number):
        with contextlib.suppress(UmpError):
            kept = checked(text)
            assert kept.isprintable()
            assert checked(kept) == kept
