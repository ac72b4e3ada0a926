"""Ranges, reservations and blocks: no number twice, and nobody is given one that is spoken for."""

import datetime as dt
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import IntegrityError, connection, connections, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from audiocodes.dialplan import Rule
from audit.models import Entry
from core.errors import InvalidInput, UmpError
from telephony import holds, numbers, ranges
from telephony.intervals import between, without
from telephony.models import NumberHold, NumberKind, NumberRange
from telephony.numbers import State
from tenants import scope
from tenants.access import SYSTEM
from tenants.models import Tenant
from tests.cast import Cast
from tests.telephony.making import add_number, add_person

DIRECT, CONNECT = NumberKind.DIRECT_ROUTING, NumberKind.OPERATOR_CONNECT


def add_range(tenant: Tenant, first: str, last: str = "", name: str = "Main", **about: Any) -> NumberRange:
    with scope.one(tenant.id):
        given = {"name": name, "kind": DIRECT, "first": first, "last": last, **about}
        return ranges.add(SYSTEM, tenant, **given)


def free(tenant: Tenant, row: NumberRange, count: int = 3, **more: Any) -> list[str]:
    with scope.one(tenant.id):
        return ranges.free(tenant, row.uid, count, **more)


def figures(tenant: Tenant, row: NumberRange) -> ranges.Figures:
    with scope.one(tenant.id):
        return ranges.figures(tenant, [row])[row.id]


def reserve(tenant: Tenant, first: str, last: str = "", **about: Any) -> list[holds.Outcome]:
    with scope.one(tenant.id):
        return holds.reserve(SYSTEM, tenant, [between(first, last)], **{"holder": "Ada", **about})


def block(tenant: Tenant, first: str, last: str = "") -> list[holds.Outcome]:
    with scope.one(tenant.id):
        return holds.block(SYSTEM, tenant, [between(first, last)], reason="wrong routing")


# --- What a range is ----------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("first", "last", "field", "says"),
    [
        ("0589061000", "", "first", "no + before"),
        ("+41589061000", "+4158906100", "last", "digits"),
        ("+41589061009", "+41589061000", "last", "ends before it begins"),
        ("+4158906[1000-1099]", "+41589061100", "last", "leave it empty"),
        ("+4158", "", "first", "6 digits at least"),
        ("+4158[0000000-9999999]", "", "first", "6 digits"),
        ("+41580000000", "+41589999999", "last", "1,000,000 at most"),
    ],
)
def test_what_is_no_range_says_which_field_and_why(first: str, last: str, field: str, says: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        between(first, last)
    assert (refused.value.field, says in refused.value.fields["why"]) == (field, True), refused.value.fields


def test_what_is_left_of_an_interval() -> None:
    whole = between("+41 58 906 10 00", "+41589061099")
    assert whole == between("+415890610[00-99]") == Rule(True, 11, 41589061000, 41589061099)
    gone = [between("+41589061010", "+41589061019"), between("+41589061000"), between("+415890610995")]
    assert [str(each) for each in without(whole, gone)] == ["+4158906100[1-9]", "+415890610[20-98]"]
    assert without(whole, [whole]) == []
    assert without(whole, [between("+41589062000")]) == [whole]


@pytest.mark.django_db
def test_no_number_is_in_two_ranges_and_nobody_learns_whose_it_is(cast: Cast) -> None:
    add_range(cast.contoso, "+41589061000", "+41589061099", "Zurich")
    secret = add_range(cast.fabrikam, "+41589062000", "+41589062099", "Osprey")

    def refused(who: str, first: str, last: str = "") -> UmpError:
        with scope.one(cast.contoso.id), pytest.raises(UmpError) as error:
            ranges.add(cast.actor(who), cast.contoso, name="More", kind=DIRECT, first=first, last=last)
        assert error.value.code == "number_range_taken"
        return error.value

    assert "the range Zurich has +41589061000 to +41589061099" in refused("olga", "+41589061099").message
    # On the line a number takes every longer one, and is taken by every shorter one.
    assert "Zurich" in refused("olga", "+415890610995").message
    assert "Zurich" in refused("olga", "+4158906109").message
    assert "the range Osprey of Fabrikam" in refused("olga", "+41589061500", "+41589062000").message
    told = refused("otto", "+41589062050")
    assert "another customer has numbers of it" in told.message
    assert "Osprey" not in str(told.to_dict()) + told.message
    assert "Fabrikam" not in str(told.to_dict()) + told.message
    with scope.one(cast.fabrikam.id):
        ranges.remove(SYSTEM, secret)
    assert add_range(cast.contoso, "+41589062050", name="Freed").numbers == 1


@pytest.mark.django_db
def test_the_database_has_the_last_word(cast: Cast) -> None:
    kept = add_range(cast.contoso, "+41589061000", "+41589061099")
    twin = {"first": kept.first, "last": kept.last, "span": kept.rule.span, "numbers": 100, "created_by": "x"}
    with scope.one(cast.fabrikam.id), pytest.raises(IntegrityError), transaction.atomic():
        NumberRange.objects.create(tenant=cast.fabrikam, name="Twin", kind=DIRECT, **twin)
    block(cast.contoso, "+41589061000", "+41589061009")
    with scope.one(cast.contoso.id), pytest.raises(IntegrityError), transaction.atomic():
        NumberHold.objects.create(tenant=cast.contoso, kind="blocked", **twin)


@pytest.mark.django_db(transaction=True)
def test_of_two_who_take_the_same_numbers_at_once_one_gets_them(committed_cast: Cast) -> None:
    wrote, waits = threading.Event(), threading.Event()

    def take(tenant: Tenant, name: str, *, first: bool) -> str:
        try:
            with transaction.atomic():
                if not first:
                    assert wrote.wait(30)
                    waits.set()
                add_range(tenant, "+41589061000", "+41589061099", name)
                if first:
                    wrote.set()
                    assert waits.wait(30)
            return "added"
        except UmpError as error:
            return error.code
        finally:
            connections.close_all()

    with ThreadPoolExecutor(2) as pool:
        one = pool.submit(take, committed_cast.contoso, "First", first=True)
        two = pool.submit(take, committed_cast.fabrikam, "Second", first=False)
        assert [one.result(60), two.result(60)] == ["added", "number_range_taken"]


@pytest.mark.django_db
def test_a_range_is_changed_by_whoever_saw_it_last(cast: Cast) -> None:
    row = add_range(cast.contoso, "+41589061000", "+41589061099")
    add_range(cast.contoso, "+41589061200", "+41589061299", "Other")
    with scope.one(cast.contoso.id):
        changed = ranges.change(SYSTEM, row, version=1, last="+41589061199", note="Second block")
        assert (changed.numbers, changed.row_version) == (200, 2)
        with pytest.raises(UmpError) as refused:
            ranges.change(SYSTEM, row, version=1, name="Late")
        assert refused.value.code == "conflict_version"
        with pytest.raises(InvalidInput, match="range of this name"):
            ranges.change(SYSTEM, changed, name="Other")
        with pytest.raises(UmpError, match="the range Other has"):
            ranges.change(SYSTEM, changed, last="+41589061200")
        told = Entry.objects.filter(action="range.changed").get()
    assert told.changes["numbers"] == ["+41589061000 to +41589061099", "+41589061000 to +41589061199"]


# --- What is free -------------------------------------------------------------------------------------------
@pytest.mark.django_db
def test_the_next_free_numbers_are_those_that_nobody_has_or_waits_for(cast: Cast) -> None:
    tenant = cast.contoso
    row = add_range(tenant, "+41589061000", "+41589061019")
    somebody = add_person(tenant, "Ada Lovelace", "+41589061000")
    add_number(tenant, "+41589061000", somebody)
    add_number(tenant, "+41589061001")
    add_number(tenant, "+41589061002", freed_at=timezone.now())
    add_number(tenant, "+41589061003", freed_at=timezone.now() - dt.timedelta(days=400))
    add_number(tenant, "+41589061004", kind="callingPlan")
    add_number(tenant, "+41589061005;ext=12", somebody)
    add_number(cast.fabrikam, "+41589061006", add_person(cast.fabrikam, "Max"))
    add_person(tenant, "Grace Hopper", "+41589061007")
    reserve(tenant, "+41589061008", until=timezone.now() + dt.timedelta(days=1))
    block(tenant, "+41589061009", "+41589061011")
    assert free(tenant, row, 20, besides=["+41589061012", "+41589061014"]) == [
        "+41589061001", "+41589061003", "+41589061013",
        "+41589061015", "+41589061016", "+41589061017", "+41589061018", "+41589061019",
    ]  # fmt: skip
    assert free(tenant, row, 1) == ["+41589061001"]


@pytest.mark.django_db
def test_numbers_of_an_operator_are_free_only_when_microsoft_has_them(cast: Cast) -> None:
    row = add_range(cast.contoso, "+41589061000", "+41589061019", kind=CONNECT)
    add_number(cast.contoso, "+41589061003", kind=CONNECT)
    add_number(cast.contoso, "+41589061002", kind=CONNECT)
    add_number(cast.contoso, "+41589061001")
    assert free(cast.contoso, row) == ["+41589061002", "+41589061003"]
    told = figures(cast.contoso, row)
    assert (told.free, told.unknown) == (2, 18)


@pytest.mark.django_db
def test_a_long_range_is_walked_in_parts(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranges, "WINDOW", 7)
    row = add_range(cast.contoso, "+41589061000", "+41589061029")
    block(cast.contoso, "+41589061000", "+41589061012")
    block(cast.contoso, "+41589061014", "+41589061028")
    assert free(cast.contoso, row) == ["+41589061013", "+41589061029"]


@pytest.mark.django_db
def test_figures_count_each_number_once_and_warn(cast: Cast) -> None:
    tenant = cast.contoso
    row = add_range(tenant, "+41589061000", "+41589061099")
    somebody = add_person(tenant, "Ada", "+41589061000")
    add_number(tenant, "+41589061000", somebody)
    add_number(tenant, "+41589061001", freed_at=timezone.now())
    add_number(tenant, "+41589061002")
    add_number(tenant, "+41589061010")
    reserve(tenant, "+41589061010", "+41589061019")
    block(tenant, "+41589061000", "+41589061000")
    told = figures(tenant, row)
    assert told == ranges.Figures(100, assigned=1, reserved=10, cooling=1, free=88)
    assert (told.few, told.used_up, told.unknown) == (False, False, 0)
    block(tenant, "+41589061020", "+41589061099")
    told = figures(tenant, row)
    assert (told.blocked, told.free, told.few) == (80, 8, True)
    assert len(free(tenant, row, 100)) == told.free


# --- Holds --------------------------------------------------------------------------------------------------
@pytest.mark.django_db
def test_what_is_held_is_told_and_not_held_twice(cast: Cast) -> None:
    tenant = cast.contoso
    add_number(tenant, "+41589061000")
    reserve(tenant, "+41589061000", note="moves in May")
    with pytest.raises(UmpError) as refused:
        block(tenant, "+41589061000")
    assert "+41589061000 is reserved already" in refused.value.message
    with pytest.raises(UmpError, match="no such number"):
        block(tenant, "+41589069999")
    with pytest.raises(UmpError, match="no such number"):
        block(cast.fabrikam, "+41589061000")
    with pytest.raises(InvalidInput, match="past"):
        reserve(tenant, "+41589061000", until=timezone.now())
    with scope.one(tenant.id):
        one = numbers.of(tenant).get()
        assert (one.state, one.held) == (State.RESERVED, "reserved")
        hold = holds.of_numbers([one])[tenant.id, one.object_id]
        assert holds.words(hold) == "Reserved for Ada by UMP Portal (moves in May)"


@pytest.mark.django_db
def test_of_many_those_that_can_be_held_are(cast: Cast) -> None:
    tenant = cast.contoso
    add_range(tenant, "+41589061000", "+41589061019")
    block(tenant, "+41589061001")
    wanted = [between(f"+4158906{number}") for number in (1000, 1001, 1002, 2000)] + [between("+41589061002")]
    with scope.one(tenant.id):
        done = holds.reserve(SYSTEM, tenant, wanted, holder="Sales", all_or_none=False)
    assert [bool(one.why) for one in done] == [False, True, False, True]
    assert next(one.why for one in done if one.why) == "+41589061001 is blocked already"


@pytest.mark.django_db
def test_releasing_a_part_leaves_the_rest_as_it_was(cast: Cast) -> None:
    tenant = cast.contoso
    add_range(tenant, "+41589061000", "+41589061019")
    until = timezone.now() + dt.timedelta(days=3)
    reserve(tenant, "+41589061000", "+41589061009", until=until)
    with scope.one(tenant.id):
        gone = [between("+41589061003"), between("+41589061009"), between("+41589061015")]
        assert holds.release(SYSTEM, tenant, gone) == 2
        left = [(str(row), row.holder, row.until) for row in holds.of_tenant(tenant)]
        assert holds.release(SYSTEM, tenant, gone) == 0
    assert left == [
        ("+41589061000 to +41589061002", "Ada", until),
        ("+41589061004 to +41589061008", "Ada", until),
    ]


@pytest.mark.django_db
def test_a_reservation_ends_by_itself(cast: Cast) -> None:
    tenant = cast.contoso
    row = add_range(tenant, "+41589061000", "+41589061001")
    reserve(tenant, "+41589061000", until=timezone.now() + dt.timedelta(hours=1))
    reserve(tenant, "+41589061001")
    with scope.one(tenant.id):
        NumberHold.objects.exclude(until=None).update(until=timezone.now() - dt.timedelta(seconds=1))
        assert holds.of_tenant(tenant).count() == 1
    assert free(tenant, row) == ["+41589061000"], "over is over, whether or not anybody has swept"
    assert holds.end_due() == 1
    assert holds.end_due() == 0
    with scope.one(tenant.id):
        assert NumberHold.objects.count() == 1
        assert Entry.objects.get(action="numbers.released").changes["numbers"] == ["+41589061000", None]
    reserve(tenant, "+41589061000")
    assert free(tenant, row) == []


@pytest.mark.django_db
def test_looking_asks_as_often_for_three_as_for_one(cast: Cast) -> None:
    tenant = cast.contoso
    rows = [add_range(tenant, f"+4158906{each}000", f"+4158906{each}099", f"R{each}") for each in (1, 2, 3)]
    for row in rows:
        add_number(tenant, row.first)
        block(tenant, row.first)

    def queries(*chosen: NumberRange) -> int:
        with scope.one(tenant.id), CaptureQueriesContext(connection) as asked:
            ranges.figures(tenant, chosen)
            holds.of_numbers(numbers.of(tenant)[: len(chosen)])
        return len(asked)

    assert queries(*rows) == queries(rows[0])
