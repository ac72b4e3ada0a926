"""The grammar of dial plans, against a matcher that tries every number."""

import itertools
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audiocodes import dialplan
from audiocodes.dialplan import GrammarError, Rule, coverage, covered, overlap, parse, parse_device, without


@pytest.mark.parametrize(
    ("text", "length", "numbers", "written"),
    [
        ("+4455896552", 10, 1, "+4455896552"),
        ("+44587996[01-20]", 10, 20, "+44587996[01-20]"),
        ("+41589061[000-999]", 11, 1000, "+41589061[000-999]"),
        ("+4420366669[700-799]", 13, 100, "+44203666697[00-99]"),
        ("+44587996[05-05]", 10, 1, "+4458799605"),
        ("+44587996[015-019]", 11, 5, "+4458799601[5-9]"),
        ("+5552000", 7, 1, "+5552000"),
        ("\t +972528545755 ", 12, 1, "+972528545755"),
        ("+441[000000-999999]", 9, 1_000_000, "+441[000000-999999]"),
    ],
)
def test_what_may_be_entered(text: str, length: int, numbers: int, written: str) -> None:
    rule = parse(text)
    assert (rule.length, rule.numbers, str(rule)) == (length, numbers, written)
    assert parse(str(rule)) == rule


def test_extensions_need_no_plus_where_the_plan_allows_it() -> None:
    assert str(parse("5755", needs_plus=False)) == "5755"
    assert parse("5755", needs_plus=False) != parse("+5755")


@pytest.mark.parametrize(
    ("text", "position", "why", "hint"),
    [
        ("", 0, "no number", ""),
        ("+", 1, "no number", ""),
        ("5755", 0, "no + before", "+5755"),
        ("00442012", 0, "no + before", "+442012"),
        ("+44587996[1-20]", 10, "same width", "+44587996[01-20]"),
        ("+44587996[20-01]", 10, "ends before it begins", "+44587996[01-20]"),
        ("+4420xx", 5, "x is not allowed", "+4420[00-99]"),
        ("+4420nX", 5, "n is not allowed", "+4420[20-99]"),
        ("+44#", 3, "# is not allowed", "+44"),
        ("+44 20", 3, "a blank inside", "+4420"),
        ("+44-20", 3, "outside of brackets", "+4420"),
        ("44+20", 2, "does not belong", "4420"),
        ("\uff0b4420", 0, "U+FF0B", "+4420"),
        ("+44\u0661", 3, "U+0661", ""),
        ("+44\u00a020", 3, "a blank inside", "+4420"),
        ("4.42E+11", 4, "spreadsheet", ""),
        ("[10-20]", 0, "at least one digit", ""),
        ("+[00-10]", 1, "at least one digit", ""),
        ("+44[0-9][0-9]", 8, "only one range", ""),
        ("+44[01-20]5", 10, "at the end", ""),
        ("+44[01-05,07]", 9, ", is not allowed", ""),
        ("+44[[0-1]-5]", 4, "only one range", ""),
        ("+44[01-20", 9, "not closed", "+44[01-20]"),
        ("+44[01]", 4, "two numbers", ""),
        ("+44[0000001-0000002]", 4, "6 digits", ""),
        ("+1234567890123456", 16, "15 digits", ""),
        ("+12345678901234[00-99]", 16, "more than 15", ""),
        ("(23)", 0, "( is not allowed", ""),
        ("+" + "4" * 60, 50, "50 characters", ""),
        ("+4420\n7", 5, "blank", "+44207"),
        ("+4420;reload", 5, "; does not belong", ""),
    ],
)
def test_what_may_not_and_where_it_says_so(text: str, position: int, why: str, hint: str) -> None:
    with pytest.raises(GrammarError) as refused:
        parse(text)
    error = refused.value
    assert why in error.why
    assert (error.position, error.hint) == (position, hint)
    if hint:
        parse(hint, needs_plus=False)


@settings(deadline=None)
@given(st.text(alphabet="+0123456789[]-,xzn#(). \uff10\u0660\n", max_size=24))
def test_every_text_is_a_rule_or_an_error_with_a_place(text: str) -> None:
    rule, error = None, None
    try:
        rule = parse(text, needs_plus=False)
    except GrammarError as refused:
        error = refused
    if rule is not None:
        low, high = rule.span
        assert 0 <= low < high <= 10**dialplan.LINE
    else:
        assert error is not None
        assert 0 <= error.position <= len(text.strip(" \t"))
        assert error.why


# --- Against a matcher that tries every number -----------------------------------------------------------------
SMALL = 4
NUMBERS = [
    f"{sign}{number:0{digits}}"
    for sign in ("", "+")
    for digits in range(1, SMALL + 1)
    for number in range(10**digits)
]


def brute(pattern: str) -> re.Pattern[str]:
    """The device's rule as a regular expression, written down by another hand than the reader's."""
    head, ends = (pattern[:-1], "") if pattern.endswith("#") else (pattern, "[0-9]*")
    suffix = ""
    if (found := re.fullmatch(r"(.*)\((.*)\)", head)) is not None:
        head, suffix = found.groups()
    if suffix:  # the prefix may reach into the suffix: both hold, each from its end
        return re.compile(f"(?={_body(head)}{ends}$)\\+?[0-9]*?(?<![+]){_body(suffix)}$")
    return re.compile(f"{_body(head)}{ends}")


def _body(text: str) -> str:
    classes = {"x": "[0-9]", "z": "[1-9]", "n": "[2-9]", ".": "[0-9]", "+": r"\+"}

    def group(match: re.Match[str]) -> str:
        values = []
        for member in match[1].split(","):
            low, _, high = member.partition("-")
            values += [f"{value:0{len(low)}}" for value in range(int(low), int(high or low) + 1)]
        return f"(?:{'|'.join(values)})"

    out = re.sub(r"\[([^\]]*)\]|[xzn.+]", lambda m: group(m) if m[1] is not None else classes[m[0]], text)
    return f"(?:{out})"


@st.composite
def device_rules(draw: st.DrawFn) -> str:
    def member(width: int) -> str:
        low, high = sorted(draw(st.tuples(*[st.integers(0, 10**width - 1)] * 2)))
        return f"{low:0{width}}-{high:0{width}}" if draw(st.booleans()) else f"{low:0{width}}"

    parts, left = [], draw(st.integers(1, 3))
    while left > 0:
        kind = draw(st.sampled_from(["digit", "digit", "class", "range"]))
        width = draw(st.integers(1, min(2, left))) if kind == "range" else 1
        if kind == "digit":
            parts.append(str(draw(st.integers(0, 9))))
        elif kind == "class":
            parts.append(draw(st.sampled_from("xzn.")))
        else:
            parts.append(f"[{','.join(member(width) for _ in range(draw(st.integers(1, 2))))}]")
        left -= width
    sign, end = draw(st.sampled_from(["", "+"])), draw(st.sampled_from(["", "", "#"]))
    return sign + "".join(parts) + end


@settings(max_examples=60, deadline=None)
@given(device_rules())
def test_the_reader_matches_what_the_device_matches(text: str) -> None:
    pattern, other = parse_device(text), brute(text)
    assert [number for number in NUMBERS if pattern.matches(number)] == [
        number for number in NUMBERS if other.fullmatch(number)
    ]


@settings(max_examples=60, deadline=None)
@given(device_rules())
def test_coverage_holds_exactly_the_numbers_of_a_rule(text: str) -> None:
    found, pattern = coverage(parse_device(text)), parse_device(text)
    assert found.exact
    for number in NUMBERS:
        digits = number.removeprefix("+")
        at = int(digits) * dialplan.SCALE[len(digits)]
        inside = (
            number.startswith("+") == found.plus
            and found.shortest <= len(digits) <= found.longest
            and any(low <= at < high for low, high in found.intervals)
        )
        assert inside == pattern.matches(number), number


@settings(max_examples=120, deadline=None)
@given(device_rules(), device_rules())
def test_two_rules_overlap_when_a_number_matches_both(one: str, two: str) -> None:
    try:
        rule = parse(one, needs_plus=False)
    except GrammarError:
        return
    shared = any(brute(one).fullmatch(number) and brute(two).fullmatch(number) for number in NUMBERS)
    assert overlap(rule, coverage(parse_device(two))) == shared


@pytest.mark.parametrize(
    ("one", "two", "shared"),
    [
        ("+44[000-499]", "+44[500-999]", False),
        ("+41589061[000-999]", "+41589061", True),
        ("+5755", "5755", False),
        ("+44201", "*", True),
        ("+44201", "+4420(7)", True),
        ("+44201", "+4420#", False),
        ("+44201", "+44201#", True),
        ("+44201", "sales", False),
        ("+44201", r"+442\x1", False),
    ],
)
def test_overlaps_by_example(one: str, two: str, shared: bool) -> None:
    assert overlap(parse(one, needs_plus=False), coverage(parse_device(two))) == shared


def test_a_rule_too_rich_for_intervals_is_covered_by_a_wider_one() -> None:
    rich = coverage(parse_device("[00-99]1[00-99]1[00-99]1"))
    assert not rich.exact
    assert all(low < high for low, high in rich.intervals)
    assert overlap(parse("+00100", needs_plus=False), rich) is False  # another sign
    assert overlap(parse("001001001", needs_plus=False), rich)


@pytest.mark.parametrize(
    "text", ["[1-20]", "12[", "12]", "1)", "(1", "12#3)", "[2-1]", "[a-b]", "[,]", "12\\"]
)
def test_what_a_device_would_refuse_is_refused(text: str) -> None:
    with pytest.raises(GrammarError):
        parse_device(text)


@pytest.mark.parametrize(
    ("number", "rules", "winner"),
    [
        ("53211111", ["5321", "532[1-9]1111"], "5321"),
        ("321555", ["321xxx", "321"], "321xxx"),
        ("32155", ["321xxx", "321"], "321"),
        ("5310004", ["531(4)", "53([2-4])"], "531(4)"),
        ("5310044", ["531(4)", "531(44)"], "531(44)"),
        ("442", ["44x", "44[2-4]", "44[1-9]"], "44[2-4]"),
    ],
)
def test_the_most_particular_rule_wins(number: str, rules: list[str], winner: str) -> None:
    for order in itertools.permutations(rules):
        matching = [text for text in order if parse_device(text).matches(number)]
        assert min(matching, key=lambda text: parse_device(text).weight) == winner


# --- Taking numbers out ----------------------------------------------------------------------------------------
@given(st.data())
def test_what_is_left_and_what_went_are_the_whole(data: st.DataObject) -> None:
    low = data.draw(st.integers(0, 900))
    high = data.draw(st.integers(low, 999))
    first = data.draw(st.integers(low, high))
    last = data.draw(st.integers(first, high))
    rule, gone = Rule(True, 5, 44_000 + low, 44_000 + high), Rule(True, 5, 44_000 + first, 44_000 + last)
    left = without(rule, gone)
    held = [number for part in left for number in range(part.low, part.high + 1)]
    assert sorted([*held, *range(gone.low, gone.high + 1)]) == list(range(rule.low, rule.high + 1))
    assert all(not overlap(part, covered(gone)) for part in left)


def test_numbers_of_another_rule_cannot_be_taken_out() -> None:
    with pytest.raises(ValueError, match="no part of"):
        without(parse("+44[00-20]"), parse("+44[10-30]"))
    with pytest.raises(ValueError, match="no part of"):
        without(parse("+44[00-20]"), parse("+441"))
