"""The CsOnlineUser Filter as a language: what is read, what is refused and where, and that nothing runs away."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from directory.filter_language import (
    ATTRIBUTES,
    DEEPEST,
    LONGEST,
    MOST_TERMS,
    OPERATORS,
    FilterError,
    Node,
    Not,
    Several,
    Shape,
    Term,
    culprits,
    holds,
    parse,
    terms,
)

UNHURRIED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
TEXTS = st.text(st.characters(min_codepoint=32, max_codepoint=0x2FF), max_size=12).filter(str.isprintable)


@st.composite
def a_term(draw: st.DrawFn) -> Term:
    attribute = draw(st.sampled_from(ATTRIBUTES))
    operator = draw(st.sampled_from(OPERATORS[attribute.shape]))
    if attribute.shape == Shape.FLAG:
        return Term(attribute, operator, (draw(st.booleans()),))
    most = 3 if operator in {"-in", "-notin"} else 1
    return Term(attribute, operator, tuple(draw(st.lists(TEXTS, min_size=1, max_size=most))))


TREES: st.SearchStrategy[Node] = st.recursive(
    a_term(),
    lambda inner: (
        st.builds(Not, inner)
        | st.builds(
            Several,
            st.sampled_from(["-and", "-or"]),
            st.lists(inner, min_size=2, max_size=3).map(tuple),
        )
    ),
    max_leaves=6,
).filter(lambda tree: _depth(tree) < DEEPEST // 2)


def _depth(node: Node) -> int:
    if isinstance(node, Term):
        return 1
    return 1 + max(_depth(part) for part in ((node.part,) if isinstance(node, Not) else node.parts))


def place(text: str) -> int | None:
    try:
        parse(text)
    except FilterError as error:
        return error.position
    return None


@UNHURRIED
@given(TREES)
def test_what_is_written_out_reads_as_the_same(tree: Node) -> None:
    assert parse(str(tree)) == tree
    assert parse("{ " + str(tree) + " }") == tree


@UNHURRIED
@given(st.text(max_size=60) | st.text("()'\"{},!-$ andortDepartmeq", max_size=60))
def test_any_text_is_read_or_refused_with_a_place_in_it(text: str) -> None:
    position = place(text)
    assert position is None or 1 <= position <= len(text) + 1


@UNHURRIED
@given(TREES, st.data())
def test_whoever_is_left_out_learns_which_terms_are_to_blame(tree: Node, data: st.DataObject) -> None:
    truth = {term: data.draw(st.booleans()) for term in terms(tree)}
    blamed = culprits(tree, truth.__getitem__)
    assert bool(blamed) is not holds(tree, truth.__getitem__)
    for term, wanted in blamed:
        assert truth[term] is not wanted
    if len(truth) == len(list(terms(tree))):  # a term that stands there twice may be wanted both ways
        assert holds(tree, (truth | dict(blamed)).__getitem__)


@pytest.mark.parametrize(
    ("text", "why", "position"),
    [
        ("", "an attribute was expected", 1),
        ("Departmnt -eq 'Sales'", "there is no attribute Departmnt", 1),
        ("Department -gt 'Sales'", "Department can be compared with -eq", 12),
        ("Department = 'Sales'", "'=' means nothing here", 12),
        ("Department -eq Sales", "a text in quotes was expected, such as 'Sales'; there is Sales", 16),
        ("Department -eq 'Sales", "a quote is opened and never closed", 16),
        ("Department -eq \u2018Sales\u2019", "typographic quote", 16),
        ("Department -eq", "there is the end", 15),
        ("AccountEnabled -eq 'yes'", "$true or $false was expected", 20),
        ("AccountEnabled -like $true", "AccountEnabled can be compared with -eq, -ne only", 16),
        ("(City -eq 'Ulm'", ") was expected; there is the end", 16),
        ("City -eq 'Ulm')", "-and, -or or the end was expected; there is )", 15),
        ("City -eq 'A' -and City -eq 'B' -or City -eq 'C'", "-and and -or are mixed", 32),
        ("City -eq 'A' City -eq 'B'", "-and, -or or the end was expected; there is City", 14),
        ("City -eq 'A\nB'", "cannot be printed", 10),
        ("City -eq 'x'; DROP TABLE", "';' means nothing here", 13),
        ("City -eq 'x" + "y" * LONGEST + "'", "it is longer than 2,000 characters", LONGEST + 1),
        ("(" * 30 + "City -eq 'A'" + ")" * 30, "nested more than", DEEPEST + 1),
        ("-not " * 30 + "City -eq 'A'", "nested more than", DEEPEST * 5 + 1),
        (" -or ".join(["City -eq ''"] * (MOST_TERMS + 1)), "more than 40 comparisons", 16 * MOST_TERMS + 1),
    ],
)
def test_what_is_wrong_is_said_with_its_place(text: str, why: str, position: int) -> None:
    with pytest.raises(FilterError) as caught:
        parse(text)
    assert why in caught.value.why
    assert caught.value.position == position


def test_capitals_do_not_matter_and_microsofts_own_example_is_read() -> None:
    tree = parse(
        """{UserPrincipalName -like "test*" -AND (AssignedPlan -eq "MCOEV" -or AssignedPlan -Like "MCOPSTN*")}"""
    )
    assert str(tree) == (
        "UserPrincipalName -like 'test*' -and (AssignedPlan -eq 'MCOEV' -or AssignedPlan -like 'MCOPSTN*')"
    )
    assert parse("department -EQ $null") == parse("Department -eq ''")
    assert parse("City -in \"Ulm\", 'St. John''s'") == parse("City -in 'Ulm','St. John''s'")
