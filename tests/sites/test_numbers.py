"""Numbers of sites: judged, written, read back, and never another customer's."""

import functools
import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts import installation
from audiocodes.sbc import Sbc as Line
from core.errors import Conflict, InvalidInput, UmpError
from replication.context import Context
from replication.models import State
from sbc import services as sbcs
from sbc.models import Link, Rule, Sbc
from simulator.sbc.device import Device
from simulator.server import Simulator
from sites import number_commands, number_rules, numbers, services
from sites.models import PrefixState, Site, SiteState
from sites.number_rules import Wish, judge
from tenants import scope
from tenants.access import SYSTEM
from tests.breakers.hands import make_due, run_due
from tests.cast import Cast
from tests.sbc.conftest import commands, fresh, wish
from tests.sites.numbers import (
    FOREIGN,
    TAG,
    KilledError,
    act,
    add,
    dies,
    on_device,
    place,
    prefixes,
    rows,
    rules,
    states,
    written,
)  # fmt: skip

pytestmark = pytest.mark.django_db


@pytest.fixture
def box(device: Device) -> Device:
    device.plant("CustDialPlan", FOREIGN)
    device.plant("RegisteredUsers", [])
    return device


@pytest.fixture
def sbc(box: Device, known: Callable[..., Sbc]) -> Sbc:
    sbc = known(box)
    sbcs.read_prefixes(SYSTEM, sbc)
    run_due()
    return fresh(sbc)


@pytest.fixture
def site(cast: Cast, sbc: Sbc) -> Site:
    return place(cast.contoso, sbc)


@pytest.fixture
def theirs(cast: Cast, sbc: Sbc) -> Site:
    return place(cast.fabrikam, sbc, "London", "fabrikam.example")


# --- Writing ----------------------------------------------------------------------------------------------------
def test_numbers_are_written_read_back_and_saved(site: Site, box: Device) -> None:
    found = add(site, "+41589061[000-999]", "+4455896552")
    assert states(site) == dict.fromkeys(["+41589061[000-999]", "+4455896552"], PrefixState.ADDING)
    run_due()
    assert on_device(site, ["+41589061[000-999]", "+4455896552"])
    assert rules(box)[:4] == [(0, at, *rule) for at, rule in enumerate(FOREIGN)], "others' are as they were"
    assert rules(box)[4:] == [
        (0, 4, "Zurich", "+41589061[000-999]", TAG),
        (0, 5, "Zurich", "+4455896552", TAG),
    ]
    assert rules(box, saved=True) == rules(box)
    row = rows(site)["+4455896552"]
    assert (row.index, row.written_tag, row.checked_at is None) == (5, TAG, False)
    assert found.command is not None
    assert "2 on sbc1.example, 0 taken away; saved." in commands(numbers.WRITE)[-1].message
    assert Rule.objects.filter(prefix="+4455896552").exists(), "Show Prefixes knows it, too"
    # The same again changes nothing, and asks nothing of the device.
    again = add(site, "+4455896552")
    assert (again.command, again.verdicts[0].there) == (None, True)


def test_numbers_are_changed_and_taken_away(site: Site, box: Device) -> None:
    written(site, "+41589061[000-999]", "+4455896552", "+337")
    row = rows(site)["+4455896552"]
    act(site, numbers.change, row, tag="vip.example")
    act(site, numbers.remove, site, [rows(site)["+337"]])
    act(site, numbers.remove_part, rows(site)["+41589061[000-999]"], "+41589061[100-199]")
    with pytest.raises(Conflict):
        act(site, numbers.change, row, tag="once.more")
    run_due()
    left = ["+415890610[00-99]", "+41589061[200-999]", "+4455896552"]
    assert on_device(site, left)
    assert sorted(prefixes(box)[len(FOREIGN) :]) == left
    assert (0, row.index, "Zurich", "+4455896552", "vip.example") in rules(box), "in its place"
    act(site, numbers.change, rows(site)["+4455896552"], prefix="+4455896553")
    run_due()
    assert on_device(site, [*left[:2], "+4455896553"])
    with pytest.raises(InvalidInput, match="no part of"):
        act(site, numbers.remove_part, rows(site)["+4455896553"], "+44558965[50-59]")
    act(site, numbers.remove, site, list(rows(site).values()))
    run_due()
    assert (states(site), rules(box)) == ({}, [(0, at, *rule) for at, rule in enumerate(FOREIGN)])


def test_numbers_move_between_sites_of_one_customer(
    cast: Cast, site: Site, boxes: Simulator, known: Callable[..., Sbc], box: Device
) -> None:
    written(site, "+4455896552")
    near = place(cast.contoso, site.sbc, "Bern", "bern.example")
    act(site, numbers.move, [rows(site)["+4455896552"]], near)
    run_due()
    assert (0, 4, "Bern", "+4455896552", "bern.example") in rules(box)
    other = boxes.sbcs.add("sbc2.example")
    other.plant("CustDialPlan", [])
    far = place(cast.contoso, known(other), "Paris", "paris.example")
    act(site, numbers.move, [rows(near)["+4455896552"]], far)
    run_due()
    assert rules(other) == [(0, 0, "Paris", "+4455896552", "paris.example")]
    assert "+4455896552" not in prefixes(box)
    assert (states(near), states(far)) == ({}, {"+4455896552": PrefixState.PRESENT})


def moving(cast: Cast, site: Site, boxes: Simulator, known: Callable[..., Sbc]) -> tuple[Site, Device]:
    """A number on its way to a second SBC."""
    written(site, "+4455896552")
    other = boxes.sbcs.add("sbc2.example")
    other.plant("CustDialPlan", [])
    far = place(cast.contoso, known(other), "Paris", "paris.example")
    act(site, numbers.move, [rows(site)["+4455896552"]], far)
    return far, other


def test_a_number_leaves_its_sbc_only_once_it_is_on_the_other(
    cast: Cast, site: Site, boxes: Simulator, known: Callable[..., Sbc], box: Device
) -> None:
    far, other = moving(cast, site, boxes, known)
    other.set({"trouble": "ha_sync"})
    assert len(commands(numbers.WRITE)) == 2, "that of this SBC is not queued yet"
    run_due()
    add(site, "+411")
    run_due()
    assert "+411" in prefixes(box)
    assert "+4455896552" in prefixes(box), "what else is written here does not take it along"
    row = rows(site)["+4455896552"]
    assert (row.state, states(far)) == (PrefixState.REMOVING, {"+4455896552": PrefixState.ADDING})
    assert not act(site, lambda _: numbers.waits_in_vain(row)), "its command is that of the other SBC"
    other.set({"trouble": ""})
    make_due()
    run_due()
    assert on_device(far, ["+4455896552"])
    assert on_device(site, ["+411"])
    assert "+4455896552" not in prefixes(box)


@pytest.mark.parametrize("how", ["the device refuses", "it is out of reach"])
def test_a_number_that_cannot_move_stays(
    cast: Cast,
    site: Site,
    boxes: Simulator,
    known: Callable[..., Sbc],
    box: Device,
    monkeypatch: pytest.MonkeyPatch,
    how: str,
) -> None:
    far, other = moving(cast, site, boxes, known)
    if how == "the device refuses":
        monkeypatch.setattr("simulator.sbc.tables.Configuration._check_rule", _refuse)
    else:
        monkeypatch.setattr(number_commands.WriteNumbers, "max_attempts", 1)
        other.set({"trouble": "drop"})
    run_due()
    assert states(far) == {"+4455896552": PrefixState.FAILED}
    row = rows(site)["+4455896552"]
    assert (row.state, row.problem["code"]) == (PrefixState.PRESENT, "number_kept")
    assert "sbc2.example" in row.problem["message"]
    assert "+4455896552" in prefixes(box)
    # Who wants it to go all the same is heard.
    act(site, numbers.remove, site, [row])
    run_due()
    assert ("+4455896552" in prefixes(box), states(site)) == (False, {})


def test_a_number_that_is_removed_on_its_way_goes_from_both(
    cast: Cast, site: Site, boxes: Simulator, known: Callable[..., Sbc], box: Device
) -> None:
    far, other = moving(cast, site, boxes, known)
    act(far, numbers.remove, far, list(rows(far).values()))
    run_due()
    assert (states(far), states(site), rules(other)) == ({}, {}, [])
    assert "+4455896552" not in prefixes(box)


WRONG: list[tuple[str, dict[str, str], str, str]] = [
    ("+44587996[1-20]", {}, "prefix", r"same width \(character 11\): did you mean \+44587996\[01-20\]"),
    ("+44587996[20-01]", {}, "prefix", "ends before it begins"),
    ("4455896552", {}, "prefix", "did you mean .4455896552"),
    ("4.42E+11", {}, "prefix", "spreadsheet has rounded"),
    ("+44\u0662", {}, "prefix", "U\\+0662"),
    ("\uff0b44", {}, "prefix", "U\\+FF0B"),
    ("+44[01-05,07]", {}, "prefix", "write each range"),
    ("+4420xx", {}, "prefix", "did you mean"),
    ("+44'; no sbc dial-plan 0", {}, "prefix", "does not belong"),
    ("", {}, "prefix", "no number"),
    ("+44", {"name": "sixteen letters!"}, "name", "15 characters"),
    ("+44", {"name": "Zürich"}, "name", "plain letters"),
    ("+44", {"tag": "a" * 71}, "tag", "70 characters"),
    ("+44", {"tag": 'a"\nno sbc dial-plan 0'}, "tag", "double quote"),
    ("+44", {"tag": "a;b"}, "tag", "not sent"),
    ("+44", {"plan": "Typo"}, "plan", "it has: CustDialPlan, RegisteredUsers"),
]


def test_what_is_wrong_is_said_with_its_place(site: Site) -> None:
    for prefix, more, field, why in WRONG:
        with pytest.raises(InvalidInput, match=why) as caught:
            add(site, prefix, **more)
        assert caught.value.field == field, prefix
    assert states(site) == {}


def test_extensions_and_millions(site: Site, box: Device) -> None:
    found = add(site, "5755", plan="RegisteredUsers", tag="972528545755")
    assert found.verdicts[0].notes == ()
    million = add(site, "+491[000000-999999]")
    assert million.verdicts[0].notes == ("These are 1,000,000 numbers.",)
    run_due()
    assert (1, 0, "Zurich", "5755", "972528545755") in rules(box)
    assert on_device(site, ["5755", "+491[000000-999999]"])


# --- Overlaps ---------------------------------------------------------------------------------------------------
def test_no_number_goes_to_another_customer(site: Site, theirs: Site) -> None:
    add(site, "+41589061[000-999]")
    for prefix, why in [
        ("+41589061[500-600]", "Contoso (site Zurich) has +41589061[000-999]"),
        ("+41589061[000-999]", "Contoso (site Zurich) has +41589061[000-999]"),
        ("+415890615", "that takes numbers from it"),
        ("+4158906", "that takes numbers from it"),
        ("+415890619991", "it would take numbers from that"),
    ]:
        with pytest.raises(UmpError, match="is not free in CustDialPlan on sbc1") as caught:
            add(theirs, prefix)
        assert caught.value.code == "number_taken"
        assert why in caught.value.message, prefix
    assert states(theirs) == {}


def test_whose_it_is_is_said_only_to_who_may_see_him(cast: Cast, site: Site, theirs: Site) -> None:
    add(theirs, "+41589061[000-999]")
    with pytest.raises(UmpError) as caught:
        add(site, "+41589061500", actor=cast.actor("otto"))
    assert "another customer" in caught.value.message
    assert not {"Fabrikam", "London", "[000-999]"} & set(caught.value.message.replace(",", " ").split())


def test_neighbours_do_not_overlap(site: Site, theirs: Site) -> None:
    add(site, "+41589061[000-499]", "+445755")
    add(theirs, "+41589061[500-999]")
    add(theirs, "445755", "+41589061[000-499]", plan="RegisteredUsers", tag="1")
    assert len(states(theirs)) == 3


def test_inside_one_customer_it_is_explained(cast: Cast, site: Site) -> None:
    add(site, "+41589061[000-999]")
    inner = add(site, "+41589061500", tag="vip.example")
    assert inner.verdicts[0].notes == (
        "Overlaps with +41589061[000-999]; of two rules that take a number the SBC uses the more particular one.",
    )
    with pytest.raises(UmpError, match="change that one instead"):
        add(site, "+41589061[000-999]", tag="vip.example")
    other = place(cast.contoso, site.sbc, "Bern")
    with pytest.raises(UmpError, match="site Zurich of this customer has it"):
        add(other, "+41589061[000-999]")


GRADES = [
    ("+3120[10-19]", TAG, "manual, tag carrier", ""),
    ("+312015", TAG, "which the portal did not write", ""),
    ("+44123", TAG, "which the portal did not write", ""),
    ("+44129", TAG, "", ""),
    ("+3160[10-19]", TAG, "", "leads to the same"),
    ("+3160", TAG, "that the portal did not write", ""),
    ("+3199", TAG, "", ""),
]


def test_rules_of_others_on_the_device_are_respected(site: Site) -> None:
    with scope.one(site.tenant_id):
        verdicts = [judge(SYSTEM, site, [Wish(prefix, tag=tag)])[0] for prefix, tag, _, _ in GRADES]
    for found, (prefix, _, refused, note) in zip(verdicts, GRADES, strict=True):
        assert bool(found.error) == bool(refused), prefix
        assert refused in (found.error.message if found.error else ""), prefix
        assert note in " ".join(found.notes), prefix
        assert bool(found.notes) == bool(note), prefix


def test_a_rule_that_only_the_device_understands_is_perhaps_an_overlap(
    site: Site, box: Device, sbc: Sbc
) -> None:
    box.plant("CustDialPlan", [("odd", "+49(23)", "carrier")])
    sbcs.read_prefixes(SYSTEM, sbc)
    run_due()
    assert "Perhaps overlaps with +49(23)" in add(site, "+4930").verdicts[0].notes[0]


def test_a_rule_that_is_there_word_for_word_becomes_the_sites(site: Site, box: Device) -> None:
    box.plant("CustDialPlan", [("Old", "+3170[10-19]", TAG)])
    sbcs.read_prefixes(SYSTEM, fresh(site.sbc))
    run_due()
    before = rules(box)
    for prefix in ("+3160", "+31701[0-9]"):
        found = add(site, prefix, name="Old")
        assert "is on the SBC already" in found.verdicts[0].notes[0]
    run_due()
    assert on_device(site, ["+3160", "+3170[10-19]"]), "as the device writes it"
    assert rules(box) == before
    assert add(site, "+31701[0-9]").verdicts[0].there


def test_the_same_number_on_another_sbc_is_told(
    cast: Cast, site: Site, boxes: Simulator, known: Callable[..., Sbc]
) -> None:
    other = place(cast.fabrikam, known(boxes.sbcs.add("sbc2.example")), "London", "f.example")
    add(other, "+41589061[000-999]")
    assert add(site, "+41589061500").verdicts[0].notes == (
        "Fabrikam has +41589061[000-999] on sbc2.example.",
    )
    otto = add(site, "+41589061501", actor=cast.actor("otto")).verdicts[0].notes
    assert otto == ("Another customer has numbers of it on another SBC.",)


def test_a_full_device_takes_no_more(site: Site) -> None:
    installation.change(SYSTEM, "sbc_rules_most", len(FOREIGN) + 2)
    add(site, "+411")
    with pytest.raises(UmpError, match="no room"):
        add(site, "+412", "+413")
    add(site, "+412")
    installation.change(SYSTEM, "sbc_rules_most", 100)
    add(site, "+414")
    Sbc.objects.update(rules_told={**site.sbc.rules_told, "groups": 597})
    with pytest.raises(UmpError, match="no room"):
        add(site, "+415")


def test_many_are_judged_by_as_many_queries_as_one(site: Site, django_assert_num_queries: Any) -> None:
    from django.test.utils import CaptureQueriesContext

    counts = []
    for many in (1, 50):
        with scope.one(site.tenant_id), CaptureQueriesContext(connection) as seen:
            judge(SYSTEM, site, [Wish(f"+41{number:06d}") for number in range(many)])
        counts.append(len(seen))
    assert counts[0] == counts[1]


# --- Races ------------------------------------------------------------------------------------------------------
def test_the_last_wall_says_the_same(site: Site, theirs: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody added between the look and the write."""
    real, first = numbers.judge, []

    def blind(actor: Any, site: Site, wishes: Any) -> Any:
        found = real(actor, site, wishes)
        if not first:
            first.append(1)
            add(theirs, "+41589061500")
        return found

    monkeypatch.setattr(numbers, "judge", blind)
    with pytest.raises(UmpError, match=r"Fabrikam \(site London\) has \+41589061500"):
        add(site, "+41589061[000-999]")
    assert states(site) == {}


@pytest.mark.django_db(transaction=True)
def test_two_operators_at_the_same_moment(committed_cast: Cast) -> None:
    """Two transactions of two threads; one waits for the other at the device's row, and is told why."""
    cast = committed_cast
    sbc = Sbc.objects.create(name="sbc", address="169.254.4.9", user="ump", created_by="x")
    both = [place(cast.contoso, sbc, "Zurich"), place(cast.fabrikam, sbc, "London", "f.example")]
    ready, told = threading.Barrier(2), []

    def operator(site: Site, prefix: str) -> None:
        try:
            ready.wait(10)
            add(site, prefix, actor=cast.actor("olga"))
            told.append("added")
        except UmpError as error:
            told.append(error.code)
        finally:
            connection.close()

    wanted = ("+41589061[000-999]", "+41589061500")
    threads = [threading.Thread(target=operator, args=each) for each in zip(both, wanted, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert sorted(told) == ["added", "number_taken"]
    assert sum(len(states(site)) for site in both) == 1


@pytest.mark.parametrize("well", [True, False])
def test_a_worker_locks_as_people_do(site: Site, sbc: Sbc, box: Device, well: bool) -> None:
    """The device's row, then its prefixes: who comes from the other end would meet them half-way."""
    add(site, "+412")
    if not well:
        Sbc.objects.filter(id=sbc.id).update(fingerprint="0" * 64)
    with CaptureQueriesContext(connection) as seen:
        run_due()
    asked = [one["sql"] for one in seen if "FOR NO KEY UPDATE" in one["sql"]]
    prefix = next(at for at, sql in enumerate(asked) if 'FROM "sites_prefix"' in sql)
    device = next(at for at, sql in enumerate(asked) if 'FROM "sbc_sbc"' in sql)
    command = next(at for at, sql in enumerate(asked) if at > device and "replication_command" in sql)
    assert device < command < prefix


# --- Trouble ----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("when", ["before the script", "after the script", "after the save", "while keeping"])
def test_killed_anywhere_nothing_is_written_twice(
    site: Site, box: Device, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    written(site, "+411")
    add(site, "+412", "+413")
    act(site, numbers.remove, site, [rows(site)["+411"]])
    scripts: list[str] = []
    apply, save = Line.apply, Line.save

    def applies(self: Line, script: str) -> str:
        if when == "before the script" and not scripts:
            scripts.append("")
            raise KilledError
        scripts.append(script)
        answer = apply(self, script)
        if when == "after the script" and len(scripts) == 1:
            raise KilledError
        return answer

    saves: list[int] = []

    def saving(self: Line) -> None:
        save(self)
        saves.append(1)
        if when == "after the save" and len(saves) == 1:
            raise KilledError

    keeps: list[int] = []
    settle = number_commands._settle

    def keeping(*args: Any) -> Any:
        keeps.append(1)
        if when == "while keeping" and len(keeps) == 1:
            raise KilledError
        return settle(*args)

    monkeypatch.setattr(Line, "apply", applies)
    monkeypatch.setattr(Line, "save", saving)
    monkeypatch.setattr(number_commands, "_settle", keeping)
    dies()
    run_due()
    assert on_device(site, ["+412", "+413"])
    assert prefixes(box)[len(FOREIGN) :] == ["+412", "+413"]
    assert rules(box, saved=True) == rules(box)
    sent = [script for script in scripts if script]
    assert [script.count("activate") for script in sent] == [2, 0], "what is new, and what goes"
    assert commands(numbers.WRITE)[-1].state == State.SUCCEEDED


def test_many_are_written_in_slices(site: Site, box: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(number_commands, "Job", functools.partial(number_commands.Job, size=2))
    monkeypatch.setattr(Context, "should_yield", lambda self: True)
    add(site, *(f"+41{number}" for number in range(5)))
    assert run_due() == 3, "each slice sends one script"
    assert prefixes(box)[len(FOREIGN) :] == [f"+41{number}" for number in range(5)]
    assert on_device(site, [f"+41{number}" for number in range(5)])


def test_an_answer_that_was_lost_is_looked_for(site: Site, box: Device) -> None:
    add(site, "+412", "+413")
    box.set({"trouble": "lost_reply"})
    run_due()
    assert set(states(site).values()) == {PrefixState.ADDING}
    assert rows(site)["+412"].problem["code"] == "connection_lost"
    box.set({"trouble": ""})
    make_due()
    run_due()
    assert on_device(site, ["+412", "+413"])
    assert rows(site)["+412"].problem is None


def test_a_worker_that_was_too_late_to_save_is_no_fault(
    site: Site, box: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    save, frozen, told = Line.save, [True], list[Any]()

    def once(line: Line) -> None:
        if frozen:
            frozen.pop()
            raise UmpError.of("interrupted")
        told.append(rows(site)["+412"].problem)
        save(line)

    monkeypatch.setattr(Line, "save", once)
    add(site, "+412")
    run_due()
    run_due()
    assert told == [None]
    assert on_device(site, ["+412"])
    assert rows(site)["+412"].problem is None


def test_a_save_that_fails_is_told_and_tried_again(site: Site, box: Device) -> None:
    add(site, "+412")
    box.set({"trouble": "save_fails"})
    run_due()
    row = rows(site)["+412"]
    assert (row.state, row.problem["code"]) == (PrefixState.PRESENT, "sbc_not_saved")
    box.set({"trouble": ""})
    make_due()
    run_due()
    assert rows(site)["+412"].problem is None
    assert rules(box, saved=True) == rules(box)


def test_a_busy_device_is_waited_for_to_the_end(
    site: Site, box: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(number_commands.WriteNumbers, "max_attempts", 2)
    add(site, "+412")
    box.set({"trouble": "ha_sync"})
    run_due()
    assert (states(site)["+412"], rows(site)["+412"].problem["code"]) == (PrefixState.ADDING, "sbc_busy")
    make_due()
    run_due()
    assert states(site)["+412"] == PrefixState.FAILED
    box.set({"trouble": ""})
    act(site, numbers.again, site)
    run_due()
    assert on_device(site, ["+412"])


def test_what_the_device_refuses_fails_alone(
    site: Site, box: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(installation, "get", lambda name: {"sbc_tag_longest": 300}.get(name, 100_000))
    with scope.one(site.tenant_id):
        wishes = [Wish(f"+41{number:02d}", tag="t" * (80 if number in {3, 7} else 5)) for number in range(12)]
        numbers.add(SYSTEM, site, wishes)
    run_due()
    assert {prefix for prefix, state in states(site).items() if state == PrefixState.FAILED} == {
        "+4103",
        "+4107",
    }
    assert list(states(site).values()).count(PrefixState.PRESENT) == 10
    assert rows(site)["+4103"].problem["code"] == "sbc_script_refused"
    assert "2 failed" in commands(numbers.WRITE)[-1].message


def test_a_device_that_refuses_everything_is_left_alone(
    site: Site, box: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(number_commands, "MOST_REFUSALS", 4)
    add(site, *(f"+41{number:02d}" for number in range(9)))
    monkeypatch.setattr("simulator.sbc.tables.Configuration._check_rule", _refuse)
    run_due()
    assert set(states(site).values()) == {PrefixState.FAILED}


@pytest.mark.parametrize("yields", [False, True])
def test_a_device_that_says_yes_and_does_something_else_is_not_asked_for_ever(
    site: Site, box: Device, monkeypatch: pytest.MonkeyPatch, yields: bool
) -> None:
    """It writes one prefix in another form, keeps one tag, and one rule does not go."""
    written(site, "+411", "+412")
    act(site, numbers.change, rows(site)["+411"], tag="vip.example")
    act(site, numbers.remove, site, [rows(site)["+412"]])
    add(site, "+4190", "+4191")
    apply, scripts = Line.apply, []

    def otherwise(self: Line, script: str) -> str:
        scripts.append(script)
        assert len(scripts) < 9, "it goes on and on"
        script = script.replace("no dial-plan-rule 5\n", "").replace("vip.example", TAG)
        return apply(self, script.replace('"+4190"', '"0041[90-90]"'))

    monkeypatch.setattr(Line, "apply", otherwise)
    monkeypatch.setattr(number_commands, "Job", functools.partial(number_commands.Job, size=1))
    monkeypatch.setattr(Context, "should_yield", lambda self: yields)
    run_due()
    assert commands(numbers.WRITE)[-1].state == State.SUCCEEDED
    assert states(site) == {"+411": "failed", "+412": "present", "+4190": "failed", "+4191": "present"}
    for prefix in ("+411", "+4190"):
        assert "it said that all is well, but" in rows(site)[prefix].problem["message"]
    assert len([rule for rule in prefixes(box) if rule == "0041[90-90]"]) == 1
    # Alone, the removal is sent, and it is told that it did nothing.
    act(site, numbers.remove, site, [rows(site)["+412"]])
    run_due()
    assert states(site)["+412"] == "present"
    assert "the rule is still there" in rows(site)["+412"].problem["message"]


@pytest.mark.parametrize("why", ["the device refuses", "somebody was faster"])
def test_the_old_rule_stays_while_the_new_one_cannot_be_written(
    site: Site, box: Device, monkeypatch: pytest.MonkeyPatch, why: str
) -> None:
    written(site, "+41589061[000-999]", "+337", "+338")
    if why == "the device refuses":
        monkeypatch.setattr("simulator.sbc.tables.Configuration._check_rule", _refuse)
    act(site, numbers.remove_part, rows(site)["+41589061[000-999]"], "+41589061[500-999]")
    act(site, numbers.change, rows(site)["+337"], prefix="+339")
    if why == "somebody was faster":
        box.plant("CustDialPlan", [("hand", "+4158906[10-19]", "carrier"), ("hand", "+339", "carrier")])
    run_due()
    assert {"+41589061[000-999]", "+337"} <= set(prefixes(box))
    assert states(site) == {
        "+41589061[000-999]": "present",
        "+337": "present",
        "+338": "present",
        "+41589061[000-499]": "failed",
        "+339": "failed",
    }
    problem = rows(site)["+337"].problem
    assert problem["code"] == "number_kept"
    assert "+339" in problem["message"] or "+41589061[000-499]" in problem["message"]
    # Who only wants it to go is heard at once, also while what failed is still wanted.
    act(site, numbers.remove, site, [rows(site)["+337"]])
    run_due()
    assert "+337" not in {**states(site), **dict.fromkeys(prefixes(box))}
    assert states(site)["+339"] == "failed"


def test_what_goes_is_sent_only_after_what_is_new_was_read_back(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    written(site, "+411")
    act(site, numbers.change, rows(site)["+411"], prefix="+412")
    apply, scripts = Line.apply, []

    def noted(self: Line, script: str) -> str:
        scripts.append(script)
        return apply(self, script)

    monkeypatch.setattr(Line, "apply", noted)
    run_due()
    assert [("+412" in script, "no dial-plan-rule" in script) for script in scripts] == [
        (True, False),
        (False, True),
    ]
    assert on_device(site, ["+412"])


def _refuse(*_: Any) -> None:
    from simulator.sbc.tables import RefusedError

    raise RefusedError("the table is full")


def test_a_refused_password_is_not_sent_again(site: Site, box: Device) -> None:
    add(site, "+412")
    box.password = "changed"
    run_due()
    assert (states(site)["+412"], fresh(site.sbc).link) == (PrefixState.FAILED, Link.REFUSED)
    refused = box.logins_refused
    act(site, numbers.again, site)
    run_due()
    assert box.logins_refused == refused
    sbcs.change(SYSTEM, fresh(site.sbc), **wish(box))
    act(site, numbers.again, site)
    run_due()
    assert on_device(site, ["+412"])


def test_a_device_that_is_not_itself_gets_nothing(site: Site, box: Device) -> None:
    for trouble, code in (("other_device", "sbc_other_device"), ("truncated_ini", "sbc_file_unreadable")):
        add(site, "+412")
        box.set({"trouble": trouble})
        run_due()
        assert (states(site)["+412"], rows(site)["+412"].problem["code"]) == (PrefixState.FAILED, code)
    assert prefixes(box) == [rule[1] for rule in FOREIGN]


def test_a_plan_that_is_gone_is_said(site: Site, box: Device) -> None:
    add(site, "+412", plan="RegisteredUsers", tag="1")
    box.running.remove("sbc dial-plan", (1,))
    run_due()
    assert rows(site)["+412"].problem["code"] == "dial_plan_missing"


def test_what_came_onto_the_device_meanwhile_is_respected(site: Site, box: Device) -> None:
    add(site, "+4121", "+4122")
    box.plant("CustDialPlan", [("hand", "+412[10-19]", "carrier"), ("hand", "+4122", "carrier")])
    before = rules(box)
    run_due()
    assert set(states(site).values()) == {PrefixState.FAILED}
    assert {row.problem["code"] for row in rows(site).values()} == {"number_taken"}
    assert rules(box) == before


def test_a_change_by_hand_is_told_and_left_until_somebody_decides(site: Site, box: Device, sbc: Sbc) -> None:
    written(site, "+411", "+412", "+413")
    box.running.remove("dial-plan-rule", (0, 4))
    box.running.rows["dial-plan-rule"][0, 5]["Tag"] = "hand"
    sbcs.read_prefixes(SYSTEM, sbc)
    run_due()
    assert states(site) == {"+411": "missing", "+412": "missing", "+413": "present"}
    assert "no such rule any more" in rows(site)["+411"].problem["message"]
    assert "with the tag hand" in rows(site)["+412"].problem["message"]
    act(site, numbers.remove, site, [rows(site)["+412"]])
    run_due()
    assert (0, 5, "Zurich", "+412", "hand") in rules(box), "what somebody made of it is his"
    act(site, numbers.again, site)
    run_due()
    assert states(site) == {"+411": "present", "+413": "present"}
    box.running.rows["dial-plan-rule"][0, 6]["Tag"] = "hand"
    sbcs.read_prefixes(SYSTEM, sbc)
    run_due()
    act(site, numbers.again, site)
    run_due()
    assert (0, 6, "Zurich", "+413", TAG) in rules(box), "now it was decided"


def test_a_site_that_goes_takes_no_numbers(site: Site, boxes: Simulator, known: Callable[..., Sbc]) -> None:
    add(site, "+411")
    other = known(boxes.sbcs.add("sbc2.example"))
    with scope.one(site.tenant_id), pytest.raises(UmpError, match="still has prefixes"):
        services.change(SYSTEM, site, sbc=other)
    with scope.one(site.tenant_id):
        Site.objects.update(sbc_state=SiteState.REMOVING)
    with pytest.raises(Conflict):
        add(site, "+41")


def test_who_changes_his_mind_is_heard(site: Site, box: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    """Removed while it is being written: the run that writes does not undo the wish."""
    add(site, "+411")
    apply = Line.apply

    def meanwhile(self: Line, script: str) -> str:
        monkeypatch.setattr(Line, "apply", apply)
        act(site, numbers.remove, site, list(rows(site).values()))
        return apply(self, script)

    monkeypatch.setattr(Line, "apply", meanwhile)
    run_due()
    assert states(site) == {}
    assert prefixes(box) == [rule[1] for rule in FOREIGN]


def test_rules_say_whose_they_are(site: Site, theirs: Site) -> None:
    from sbc import prefixes as kept

    written(site, "+411")
    whose = kept.owners(list(Rule.objects.all()))
    assert [(owner.customer, owner.site) for owner in whose.values()] == [("Contoso", "Zurich")]
    assert number_rules.plans_of(fresh(site.sbc)) == ["CustDialPlan", "RegisteredUsers"]
