"""Reading the tables of a device's ini file, whole, odd and broken."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audiocodes import inifile
from audiocodes.inifile import IniError

HEAD = ";**************\n;** Ini File **\n;**************\n\n[SYSTEM Params]\n\nSyslogServerIP = 10.1.1.1\n\n"


def table(*rows: str, form: str = "FORMAT Index = DialPlanName, RuleIndex, Name, Prefix, Tag;") -> str:
    return "\n".join([HEAD, "[ DialPlanRule ]", "", form, *rows, "", "[ \\DialPlanRule ]", ""])


def rows(text: str) -> list[tuple[str, ...]]:
    found = inifile.read(text, {"DialPlanRule"})["DialPlanRule"]
    return list(found.pick("DialPlanName", "RuleIndex", "Name", "Prefix", "Tag"))


PLAIN = 'DialPlanRule 0 = "CustDialPlan", 0, "Contoso", "+4158[000-999]", "sbc.contoso.com";'
READ = [("0", "CustDialPlan", "0", "Contoso", "+4158[000-999]", "sbc.contoso.com")]


@pytest.mark.parametrize(
    "text",
    [
        table(PLAIN),
        table(PLAIN).replace("\n", "\r\n"),
        "\ufeff" + table(PLAIN),
        table(PLAIN, "", "", ""),
        table("; a remark", PLAIN),
        table("  " + PLAIN + "  "),
        table('DialPlanRule  0="CustDialPlan" ,0,"Contoso","+4158[000-999]",  "sbc.contoso.com" ;'),
        table("DialPlanRule 0 = CustDialPlan, 0, Contoso, +4158[000-999], sbc.contoso.com;"),
        table(
            PLAIN,
            form="FORMAT DialPlanRule_Index = DialPlanRule_DialPlanName, DialPlanRule_RuleIndex, "
            "DialPlanRule_Name, DialPlanRule_Prefix, DialPlanRule_Tag;",
        ),
        table(
            'DialPlanRule 0 = "sbc.contoso.com", "new", 0, "+4158[000-999]", "Contoso", "CustDialPlan";',
            form="FORMAT Index = Tag, Novelty, RuleIndex, Prefix, Name, DialPlanName;",
        ),
        "[ IPGroup ]\nnot for us\n[ \\IPGroup ]\n" + table(PLAIN),
    ],
)
def test_the_same_table_in_many_forms(text: str) -> None:
    assert rows(text) == READ


def test_commas_stay_inside_quotes_and_brackets() -> None:
    text = table(
        'DialPlanRule 3 = "P", 1, "A, B", "+41[01-05,07]", "";', "DialPlanRule 4 = P, 2, C, +41[1,2], t;"
    )
    assert rows(text) == [
        ("3", "P", "1", "A, B", "+41[01-05,07]", ""),
        ("4", "P", "2", "C", "+41[1,2]", "t"),
    ]


def test_a_missing_column_is_empty_and_a_missing_table_is_not_there() -> None:
    text = table('DialPlanRule 0 = "P", "+1";', form="FORMAT Index = DialPlanName, Prefix;")
    assert rows(text) == [("0", "P", "", "", "+1", "")]
    assert inifile.read(HEAD, {"DialPlanRule"}) == {}
    assert inifile.read("[ DialPlan ]\n\n[ \\DialPlan ]\n", {"DialPlan"})["DialPlan"].rows == []


ODD = 'DialPlanRule 1 = "CustDialPlan", 1, Contoso, "+42", "t";'


@pytest.mark.parametrize(
    ("text", "line", "why"),
    [
        (table(PLAIN, 'DialPlanRule 1 = "P", 1, "open, "+41", "t";'), 14, "cannot be read"),
        (table(PLAIN, 'DialPlanRule 1 = "P", 1, "n", "+41";'), 14, "has 4 values"),
        (table(PLAIN, 'DialPlanRule 1 = "P", 1, "n", "+41", "t"'), 14, "may be missing"),
        (table(PLAIN, ODD + " more"), 14, "follows the end"),
        (table(PLAIN, ODD, "reload now"), 15, "no row of the table"),
        (table(PLAIN, 'DialPlan 1 = "P";'), 14, "no row of the table"),
        (table(PLAIN, form=""), 10, "does not name its columns"),
        (table(PLAIN, form="FORMAT Index = A, A;"), 12, "two of one name"),
        (table(PLAIN)[: table(PLAIN).index("[ \\Dial")], 13, "cut off"),
        (table(PLAIN)[: table(PLAIN).index("Contoso")], 13, "cut off"),
        (table(PLAIN).replace("[ \\DialPlanRule ]", "[ Other ]"), 10, "not closed before line 15"),
        (table(PLAIN) + table(PLAIN), 25, "there twice"),
        (table(PLAIN).replace("Contoso", "Con\0toso"), 13, "no ini file has"),
    ],
)
def test_what_is_broken_is_said_with_its_line(text: str, line: int, why: str) -> None:
    with pytest.raises(IniError, match=why) as refused:
        inifile.read(text, {"DialPlanRule"})
    assert refused.value.line == line


@settings(deadline=None)
@given(st.lists(st.tuples(*[st.text('abc ,[]+\\"#', max_size=5)] * 5), min_size=1, max_size=5))
def test_the_quick_way_reads_what_the_slow_way_reads(values: list[tuple[str, ...]]) -> None:
    values = [tuple(value.replace('"', "") for value in row) for row in values]
    lines = [
        f"DialPlanRule {at} = " + ", ".join(f'"{value}"' for value in row) + ";"
        for at, row in enumerate(values)
    ]
    expected = [(str(at), *row) for at, row in enumerate(values)]
    assert rows(table(*lines)) == expected
    assert rows(table("; a remark", *lines)) == expected


def test_a_value_that_runs_over_its_line_is_no_value() -> None:
    broken = 'DialPlanRule 1 = "CustDialPlan", 1, "Con\ntoso", "+4159", "sbc.contoso.com";'
    with pytest.raises(IniError, match="line"):
        rows(table(PLAIN, broken, PLAIN.replace("DialPlanRule 0", "DialPlanRule 2")))
