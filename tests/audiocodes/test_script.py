"""Scenario scripts: what is put in stays a value, rows are found by name, and secrets are not shown."""

import shlex
import string

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from audiocodes import inifile, script
from audiocodes.script import MASK, Kind, RefusedValueError, ScriptError, Variable
from audiocodes.script_tables import TABLES
from simulator.sbc.cli import Session
from simulator.sbc.tables import Configuration

ONBOARDING = """! makes {{SiteName}}
configure voip
  proxy-set {{new:proxy-set}}
    proxy-name "PS_{{SiteKey}}"
    activate
    proxy-ip 0
      proxy-address {{CarrierHostName}}
      activate
    exit
  exit
  ip-group {{new:ip-group}}
    name IPG_{{SiteKey}}
    proxy-set-name "PS_{{SiteKey}}"
    tags "{{CustomVar.Variable1}}"
    cac-profile {{CacProfile}}
    activate
  exit
  sip-definition account {{new:account}}
    served-ip-group-name IPG_{{SiteKey}}
    user-name {{CarrierUserName}}
    password {{CarrierUserPassword}}
    activate
  exit
exit
"""
CLEANUP = """configure voip
  no sip-definition account {{row:account:IPG_<SiteKey>}}
  no ip-group {{ row:ip-group:IPG_<SiteKey> }}
  no proxy-set {{row:proxy-set:PS_<SiteKey>}}
exit
"""
VALUES = {
    "SiteName": "Zürich",
    "SiteKey": "S7",
    "CarrierHostName": "sip.carrier.example:5060",
    "CustomVar.Variable1": "a tag",
    "CarrierUserName": "user",
}
SECRETS = {"CarrierUserPassword": "p; a!s's word"}


def tables(device: Configuration) -> dict[str, inifile.Table]:
    return dict(inifile.read(device.ini(), script.INI))


def done(device: Configuration, text: str, **values: str) -> str:
    """Resolve, render and carry out; what was sent."""
    given = {**VALUES, **values}
    lines = script.render(text, given | script.resolve(text, tables(device), given), SECRETS)
    Session(device).run(script.as_script(lines))
    return script.as_script(lines)


def test_a_site_is_made_beside_others_and_taken_away_again() -> None:
    device = Configuration()
    device.put("proxy-set", (1,), {"ProxyName": "PS_other"})
    device.put("ip-group", (1,), {"Name": "IPG_other", "ProxySetName": "PS_other"})
    before = device.ini()
    sent = done(device, ONBOARDING)
    assert sent.count("\n") == ONBOARDING.count("\n") + 1
    assert device.rows["ip-group"][2,]["Tags"] == "a tag"
    assert device.rows["sip-definition account"][1,]["Password"] == SECRETS["CarrierUserPassword"]
    assert "AdmProfile" not in device.rows["ip-group"][2,]  # CacProfile was left empty
    done(device, CLEANUP)
    assert device.ini() == before
    assert "no " not in done(device, CLEANUP)  # once more: nothing is left to be removed


def test_what_is_shown_has_no_secret_and_says_what_is_not_sent() -> None:
    given = VALUES | script.resolve(ONBOARDING, {}, VALUES)
    lines = script.render(ONBOARDING, given, SECRETS)
    assert [line.number for line in lines] == list(range(1, len(lines) + 1))
    shown = "\n".join(line.shown for line in lines)
    assert SECRETS["CarrierUserPassword"] not in shown
    assert f'password "{MASK}"' in shown
    assert lines[0].text == ""
    assert (lines[14].text, "no value" in lines[14].shown) == ("", True)
    gone = script.render(CLEANUP, VALUES | script.resolve(CLEANUP, {}, VALUES))
    assert "nothing to remove" in gone[1].shown


def test_a_value_that_is_not_put_in_harms_nothing() -> None:
    lines = script.render("tags {{SiteKey}}", {"SiteKey": "S7", "SiteName": "O'Hare"})
    assert lines == [script.Line(1, "tags S7", "tags S7")]


def test_several_free_rows() -> None:
    device = Configuration()
    device.put("proxy-set", (2,), {"ProxyName": "a"})
    text = "{{new:proxy-set:2}} {{new:proxy-set}} {{new:proxy-set:3}}"
    assert script.resolve(text, tables(device), {}) == {
        "new:proxy-set:1": "1",
        "new:proxy-set:2": "3",
        "new:proxy-set:3": "4",
    }


def test_a_new_row_is_free_also_where_rows_have_no_name() -> None:
    device = Configuration()
    device.put("message message-manipulations", (1,), {"ManSetID": "4", "ActionValue": "a"})
    text = "message message-manipulations {{new:message-manipulations}}"
    assert script.resolve(text, tables(device), {}) == {"new:message-manipulations:1": "2"}


def test_every_table_that_new_rows_are_counted_in_is_read() -> None:
    for each in TABLES:
        text = f'[ {each.ini} ]\nFORMAT Index = Some;\n{each.ini} 1 = "x";\n[ \\{each.ini} ]\n'
        if not each.inside:
            found = script.resolve(f"{{{{new:{each.word}}}}}", inifile.read(text, script.INI), {})
            assert found == {f"new:{each.word}:1": "2"}


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("ip-group {{row:ip-group:nobody}}", "is not on the SBC"),
        ("no ip-group {{row:ip-group:IPG_<CacProfile>}}", "needs a value for CacProfile"),
        ("no sip-definition account {{row:account:twice}}", "2 rows"),
        ("no x {{row:nothing:x}}", "no row of nothing can be looked up"),
        ("proxy-ip {{new:proxy-ip}}", "no row of proxy-ip can be looked up"),
    ],
)
def test_rows_that_cannot_be_told(line: str, why: str) -> None:
    device = Configuration()
    device.put("ip-group", (1,), {"Name": "twice"})
    for number in (1, 2):
        device.put("sip-definition account", (number,), {"ServedIPGroupName": "twice"})
    with pytest.raises(ScriptError, match=why):
        script.resolve(line, tables(device), {})


@pytest.mark.parametrize("text", ["x {{a}", 'x "y', "ip-group {{CacProfile}}", "a \\", "x {{new:ip-group}}"])
def test_no_line_is_made_of_what_cannot_be_read_or_lacks_a_word(text: str) -> None:
    with pytest.raises(ScriptError, match="line 1"):
        script.render(text, {})


NASTY = "\r\n\"'\\;!#{}<>[]$&|`~ \t\0\x7f\x85\u2028\u200b\u202e\uff02\uff1b\uff3c"
CHARACTERS = st.one_of(
    st.text(st.sampled_from(string.printable + NASTY + "üé€")), st.text(max_size=30), st.text(NASTY)
)


@given(*[CHARACTERS] * 4)
@example('x"\nreload\n"', "y\r\nexit", "a;b!c", '" activate')
@example("{{CarrierUserPassword}}", "<SiteName>", "a b", "$x;!'")
@example("!", "#", " ", "exit")
def test_no_value_adds_or_changes_a_command(site: str, host: str, tag: str, password: str) -> None:
    values = {**VALUES, "SiteKey": site, "CarrierHostName": host, "CustomVar.Variable1": tag}
    rows = {"new:proxy-set:1": "1", "new:ip-group:1": "2", "new:account:1": "3"}
    filled = {**values, **rows, "CarrierUserPassword": password}
    try:
        lines = script.render(ONBOARDING, {**values, **rows}, {"CarrierUserPassword": password})
    except (RefusedValueError, ScriptError):
        return
    sent = script.as_script(lines).split("\n")
    template = script.parse(ONBOARDING)
    assert len(sent) == len(template) + 1
    for line, text in zip(template, sent, strict=False):
        words = shlex.split(text, comments=False)  # as the simulator reads it
        if not text.strip():
            assert not line.words or not "".join(filled.get(place.key, "") for place in line.places)
            continue
        assert words == [
            "".join(part if isinstance(part, str) else filled.get(part.key, "") for part in word.parts)
            for word in line.words
        ]


@given(st.sampled_from(list(Kind)), CHARACTERS)
def test_what_a_type_takes_is_rendered_and_read_as_it_is(kind: Kind, value: str) -> None:
    variable = Variable("CustomVar.Variable1", kind, options=("a", value))
    try:
        taken = script.check_value(variable, value)
    except RefusedValueError:
        return
    secret = {variable.name: taken}
    line = script.render("x {{CustomVar.Variable1}}", {} if variable.is_secret else secret, secret)[0]
    assert shlex.split(line.text) == ["x", taken]


@pytest.mark.parametrize(
    ("kind", "value", "taken"),
    [
        (Kind.TEXT, "  +41 44 555 00 00 ", "+41 44 555 00 00"),
        (Kind.FQDN, "SBC.Contoso.Example.", "sbc.contoso.example"),
        (Kind.ADDRESS, "192.0.2.7:05060", "192.0.2.7:5060"),
        (Kind.ADDRESS, "[2001:DB8::1]:5061", "[2001:db8::1]:5061"),
        (Kind.ADDRESS, "sip.Carrier.example", "sip.carrier.example"),
        (Kind.NUMBER, "007", "7"),
        (Kind.CHOICE, "two", "two"),
        (Kind.NAME, "10 sessions", "10 sessions"),
        (Kind.SECRET, " $;!'ü ", " $;!'ü "),
    ],
)
def test_values_that_are_taken(kind: Kind, value: str, taken: str) -> None:
    variable = Variable("CustomVar.Variable1", kind, low=1, high=9, options=("one", "two"))
    assert script.check_value(variable, value) == taken


@pytest.mark.parametrize(
    ("kind", "value", "why"),
    [
        (Kind.TEXT, "a\nreload", "a line break"),
        (Kind.TEXT, "a\rb", "a line break"),
        (Kind.TEXT, 'a"b', "a double quote"),
        (Kind.TEXT, "a'b", "a single quote"),
        (Kind.TEXT, "a;b", r"; \(U\+003B, semicolon\)"),
        (Kind.TEXT, "a!b", r"! \(U\+0021, exclamation mark\)"),
        (Kind.TEXT, "a\\b", "a backslash"),
        (Kind.TEXT, "a\0b", r"U\+0000"),
        (Kind.TEXT, "a\u2028b", "line separator"),
        (Kind.TEXT, "a\u202eb", "right-to-left override"),
        (Kind.TEXT, "a\uff02b", "fullwidth quotation mark"),
        (Kind.TEXT, "x" * 201, "longer than 200"),
        (Kind.TEXT, "  ", "it is needed"),
        (Kind.FQDN, "localhost", "no FQDN"),
        (Kind.FQDN, "192.0.2.1", "no FQDN"),
        (Kind.FQDN, "a..example", "no FQDN"),
        (Kind.ADDRESS, "2001:db8::1", "no FQDN or IP"),
        (Kind.ADDRESS, "[fe80::1%25x]", "square brackets"),
        (Kind.ADDRESS, "sip.example:70000", "no FQDN or IP"),
        (Kind.ADDRESS, "[192.0.2.1]", "square brackets"),
        (Kind.NUMBER, "4.42E+11", "no whole number"),
        (Kind.NUMBER, "٣", "no whole number"),
        (Kind.NUMBER, "10", "at most 9"),
        (Kind.NUMBER, "0", "at least 1"),
        (Kind.CHOICE, "three", "one of: one, two"),
        (Kind.NAME, "Zürich", "letters, digits"),
        (Kind.NAME, "x" * 41, "1 to 40"),
        (Kind.SECRET, 'a"b', "double quote cannot be quoted"),
        (Kind.SECRET, "a\\b", "backslash cannot be quoted"),
        (Kind.SECRET, "a\tb", "tabulator"),
    ],
)
def test_values_that_are_refused(kind: Kind, value: str, why: str) -> None:
    variable = Variable("CustomVar.Variable1", kind, low=1, high=9, options=("one", "two"))
    with pytest.raises(RefusedValueError, match=why):
        script.check_value(variable, value)


def test_an_empty_value_is_the_default_or_empty() -> None:
    assert script.check_value(Variable("CacProfile", Kind.NAME, default="10 sessions"), "") == "10 sessions"
    assert script.check_value(Variable("CacProfile", Kind.NAME, required=False), " ") == ""


def test_a_secret_takes_every_printable_character_but_two() -> None:
    variable = Variable("CarrierUserPassword", Kind.SECRET)
    printable = "".join(map(chr, range(32, 127))).replace('"', "").replace("\\", "")
    line = script.render("password {{CarrierUserPassword}}", {}, {variable.name: printable})[0]
    assert shlex.split(line.text) == ["password", script.check_value(variable, printable)]


@pytest.mark.parametrize(("name", "short"), [("Müller & Söhne AG", "MullerSohneAG"), ("東京", "customer")])
def test_a_customer_in_short(name: str, short: str) -> None:
    assert script.short_name(name) == short


def test_a_variable_survives_json() -> None:
    variable = Variable("CacProfile", Kind.CHOICE, options=("a", "b"), low=1)
    assert Variable.from_json(variable.to_json()) == variable
    assert variable.title == "CAC profile"
