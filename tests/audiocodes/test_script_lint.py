"""What is found in a scenario script, and where."""

import re
import sys

import pytest

from audiocodes.script import ERROR, KNOWN, WARNING, Kind, Variable, lint
from audiocodes.script_lint import MOST_FINDINGS
from tests.audiocodes.test_script import CLEANUP, ONBOARDING

USED = [KNOWN[name] for name in ("CacProfile", "CarrierHostName", "CarrierUserName", "CarrierUserPassword")]
VARIABLES = [*USED, Variable("CustomVar.Variable1", Kind.TEXT)]
GROUP = "configure voip\nip-group {{new:ip-group}}\n%s\nactivate\nexit\nexit"


def test_nothing_is_found_in_scripts_that_work() -> None:
    assert lint(ONBOARDING, VARIABLES, "onboarding") == []
    assert lint(CLEANUP, [], "cleanup") == []
    assert lint(ONBOARDING.replace("\n", "\r\n"), VARIABLES, "onboarding") == []


@pytest.mark.parametrize(
    ("script", "place", "what", "remedy"),
    [
        (GROUP % "tags {{SiteNam}}", (3, 6), "SiteNam is no variable", "Did you mean SiteName?"),
        (GROUP % "tags {{SiteName}", (3, 6), "braces are not balanced", "two braces"),
        (GROUP % "tags SiteName}}", (3, 14), "braces are not balanced", "two braces"),
        (GROUP % "tags {{new:}}", (3, 6), "is no placeholder", "name of a variable"),
        (GROUP % "tags {{new:ip-grup}}", (3, 6), "No table is called ip-grup", "ip-group"),
        (GROUP % "tags {{row:proxy-ip:x}}", (3, 6), "counted inside their proxy-set", "first one is 0"),
        (GROUP % "tags {{row:tls:x}}", (3, 6), "have no name", "number"),
        (GROUP % 'tags "a b', (3, 6), "quote is not closed", 'Put a "'),
        (GROUP % "tags a\\b", (3, 7), "a backslash", "Take it out"),
        (GROUP % "tags a\0b", (3, 7), r"U\+0000", "Take it out"),
        (GROUP % "tags a b", (3, 1), "more than one value", "where it has blanks"),
        (GROUP % "tags", (3, 1), "tags has no value", "one value"),
        (GROUP % "{{SiteName}} x", (3, 1), "value stands where a command belongs", "Write"),
        (GROUP % "copy {{SiteName}} from x", (3, 6), "value stands where a command belongs", "last word"),
        (GROUP % "password geheim", (3, 10), "password stands in the template", "Secret text"),
        (
            "copy cli-script from http://192.0.2.1/x",
            (1, 1),
            "command copy is not allowed",
            "Take the line out",
        ),
        (GROUP % "rel", (3, 1), "command reload is not allowed", "Take the line out"),
        (GROUP % "do erase flash", (3, 4), "command erase is not allowed", "Take the line out"),
        (GROUP % "do write", (3, 4), "command write is not allowed", "saves the SBC itself"),
        (GROUP % "do nothing", (3, 1), "does not use do", "Take the line out"),
        ("configure system\nexit", (1, 11), "configure voip and configure network only", "voip"),
        ("ip-group 5", (1, 1), "outside configure voip", "before it"),
        ("configure voip\nip-grup 5\nexit", (2, 1), "No table is called ip-grup", "mean ip-group"),
        ("configure voip\nip-group\nexit", (2, 1), "needs the number", "new:ip-group"),
        ("configure voip\nip-group x\nexit", (2, 10), "number of a row belongs here", "last word"),
        ("configure voip\nip-group {{SiteName}}\nexit", (2, 10), "no number of a row", "new:TABLE"),
        ("configure voip\nip-group 1{{new:ip-group}}\nexit", (2, 10), "beside its placeholder", "one"),
        ("configure voip\ntls 1\nexit", (2, 1), "table of configure network", "configure network"),
        ("configure voip\nproxy-ip 0\nexit", (2, 1), "a table inside proxy-set", "Enter a row"),
        ("configure voip\nno ip-group 5\nexit", (2, 13), "differs from SBC to SBC", "row:ip-group:NAME"),
        ("configure voip\nactivate", (2, 1), "no row to activate", "Enter a row"),
        ("configure voip\nexit\nexit", (3, 1), "nothing to leave", "Take this exit out"),
        ("configure voip\nip-group 1\ntags x\nexit", (4, 1), "What line 3 sets is lost", "Put activate"),
        ("configure voip\nip-group 1\ntags x\nactivate\nrealm 1\nexit", (5, 1), "still open", "Put exit"),
        ("configure voip\nip-group 1\ntags x\nactivate\n\n", (4, 1), "still open", "Put exit"),
        (
            "configure voip\nsbc dial-plan 1\nname x\nactivate\ndial-plan-rule 0\nprefx 1\nactivate\nexit\nexit",
            (6, 1),
            "prefx is not known",
            "prefix",
        ),
        (
            "configure voip\nproxy-set 1\nname x\nproxy-ip 0\nproxy-address a.example\nactivate\nexit\nexit",
            (4, 1),
            "What line 3 sets is lost",
            "Put activate",
        ),
        ("! only a remark", (0, 0), "does nothing", "Write"),
        ("x" * 100_001, (0, 0), "longer than", "two templates"),
        (GROUP % f"tags {'x' * 500}", (3, 501), "longer than 500", "Shorten"),
    ],
)
def test_errors(script: str, place: tuple[int, int], what: str, remedy: str) -> None:
    errors = [found for found in lint(script, [], "onboarding") if found.severity == ERROR]
    assert [(found.line, found.column) for found in errors][:1] == [place]
    assert re.search(what, errors[0].what), errors[0].what
    assert remedy in errors[0].remedy


@pytest.mark.parametrize(
    ("script", "what"),
    [
        (GROUP % "sip-group-name x", "not known as a parameter of ip-group"),
        ("configure voip\nwibble 3\nfoo x\nactivate\nexit\nexit", "The table wibble is not known"),
        (GROUP % "no tags", "is not confirmed"),
    ],
)
def test_what_the_portal_does_not_know_is_no_error(script: str, what: str) -> None:
    found = lint(script, [], "onboarding")
    assert [(each.severity, what in each.what) for each in found] == [(WARNING, True)]


@pytest.mark.parametrize(
    ("variable", "what"),
    [
        (Variable("SiteName"), "each script gets it"),
        (Variable("Whatever"), "cannot be called"),
        (Variable("CarrierUserPassword"), "is not secret"),
        (Variable("CacProfile", Kind.CHOICE), "nothing to choose from"),
        (Variable("CacProfile", Kind.CHOICE, options=("a;b",)), "does not take itself"),
        (Variable("CacProfile", Kind.NUMBER, low=3, high=2), "above its highest"),
        (Variable("CacProfile", Kind.NUMBER, default="x"), "does not take itself"),
        (Variable("CarrierUserPassword", Kind.SECRET, default="x"), "has a default"),
    ],
)
def test_variables_that_are_wrong(variable: Variable, what: str) -> None:
    found = lint(GROUP % f"tags {{{{{variable.name}}}}}", [variable], "onboarding")
    assert any(what in each.what for each in found if each.is_error)


def test_a_variable_that_is_twice_or_not_used() -> None:
    found = lint(GROUP % "tags x", [KNOWN["CacProfile"]] * 2, "onboarding")
    assert [(each.severity, each.what.split(" is ")[1][:8]) for each in found] == [
        (ERROR, "there 2 "),
        (WARNING, "not used"),
    ]


def test_a_secret_is_part_of_no_name() -> None:
    script = "configure voip\nno ip-group {{row:ip-group:<CarrierUserPassword>}}\nexit"
    assert "is secret" in lint(script, [KNOWN["CarrierUserPassword"]], "cleanup")[0].what


def test_onboarding_wants_a_clean_up_and_that_makes_nothing() -> None:
    assert "no clean-up script" in lint(GROUP % "tags x", [], "onboarding", paired=False)[0].what
    assert "makes no rows" in lint(GROUP % "tags x", [], "cleanup")[0].what


@pytest.mark.parametrize(
    "script",
    [
        "configure voip\n" + "a " * 49_900,
        "configure voip\n" + "{{x}} " * 16_000,
        "configure voip\n" + "ip-grup {{Sitename}}\n" * 4_000,
    ],
    ids=["words", "placeholders", "lines"],
)
def test_what_is_read_of_a_hopeless_script_is_bounded(script: str) -> None:
    """Reading goes on no further than people would: the lengths that were tried are counted, not the seconds."""
    asked = 0

    def count(frame: object, event: str, _: object) -> None:
        nonlocal asked
        asked += event == "call"

    sys.setprofile(count)
    try:
        found = lint(script, VARIABLES, "onboarding")
    finally:
        sys.setprofile(None)
    assert 0 < len(found) <= MOST_FINDINGS
    assert asked < 5_000_000
