"""Which rules of a device overlap, against a comparison of each with each."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audiocodes import rules
from audiocodes.dialplan import GrammarError, parse_device
from tests.audiocodes.test_dialplan import NUMBERS, device_rules
from tests.audiocodes.test_inifile import PLAIN, table


@settings(max_examples=25, deadline=None)
@given(st.lists(st.one_of(device_rules(), st.sampled_from(["*", "sales", "1(2)", "[1-20]", ""])), max_size=5))
def test_every_overlap_is_found_and_no_other(prefixes: list[str]) -> None:
    readable = {}
    for at, prefix in enumerate(prefixes):
        try:
            readable[at] = {number for number in NUMBERS if parse_device(prefix).matches(number)}
        except GrammarError:
            continue
    shared = {(one, two) for one, two in itertools.combinations(readable, 2) if readable[one] & readable[two]}
    found = list(rules.overlaps(prefixes))
    assert len(found) == len(set(found))
    missed, wide = shared - set(found), set(found) - shared
    assert not missed
    # A suffix is not looked at, and an empty rule takes everything: there it may warn in vain.
    assert all({"1(2)", ""} & {prefixes[one], prefixes[two]} for one, two in wide)


@pytest.mark.parametrize(
    ("prefixes", "pairs"),
    [
        (["+41589061[000-999]", "+41589061", "+4158906", "+41589062"], [(0, 1), (0, 2), (1, 2), (2, 3)]),
        (["+44[000-499]", "+44[500-999]", "+45"], []),
        (["5755", "+5755", "*"], [(0, 2), (1, 2)]),
        (["+44#", "+44201", "+44#"], [(0, 2)]),
        (["+1[000-999]", "+1[500-600]", "+1[550-999]"], [(0, 1), (0, 2), (1, 2)]),
        ([], []),
        (["+1", "+1"], [(0, 1)]),
        (["123456789012345", "1234567890123456", "[1-20]5"], []),
    ],
)
def test_overlaps_by_example(prefixes: list[str], pairs: list[tuple[int, int]]) -> None:
    assert sorted(rules.overlaps(prefixes)) == pairs


def test_a_few_of_very_many_overlaps_are_found_without_finding_all() -> None:
    many = ["+44"] * 100_000
    assert len(list(itertools.islice(rules.overlaps(many), 10))) == 10


def test_the_rules_of_a_file_in_its_order() -> None:
    second = 'DialPlanRule 1 = "RegisteredUsers", 0, "Contoso", "5755", "972528545755";'
    assert rules.of_device(table(PLAIN, second))[1] == (
        "1", "RegisteredUsers", "0", "Contoso", "5755", "972528545755",
    )  # fmt: skip
    assert rules.of_device("; nothing\n") == []


def test_plans_without_rules_and_the_budget() -> None:
    plans = '\n[ DialPlan ]\nFORMAT Index = Name;\nDialPlan 3 = "Empty";\n[ \\DialPlan ]\n'
    assert rules.read(plans + table(PLAIN)).plans == {"Empty": "3"}
    assert rules.groups(["+44[01-05,07]", "5755", "1[2-3][4-5]", "*"]) == 6
