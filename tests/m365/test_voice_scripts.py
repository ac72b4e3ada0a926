"""Scripts for people, read by a grammar that is not ours: they do what the plan says, or only look."""

from __future__ import annotations

import json
import textwrap
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import UmpError
from m365 import voice, voice_plan, voice_scripts
from m365.clouds import CLOUDS
from m365.powershell import handout
from m365.powershell.calls import Call
from m365.powershell.cmdlets import READS
from m365.voice import DialPlan, Gateway, Policy, Route, Routing, Rule, Usage
from tests.m365 import powershell_reader as reader
from tests.m365.teams_model import TeamsModel
from tests.m365.test_powershell_script import ANY_TEXT, units

ORGANISATION = "11111111-2222-3333-4444-555555555555"
WHO = {"customer": "Zürich'); Remove-Item / #", "organisation": ORGANISATION, "cloud": CLOUDS["global"]}
SITE = voice.for_site(
    "Acme Zurich",
    "sbc1.voice.example.com",
    own_gateway=True,
    rules=[Rule("Short", r"^(\d{3})$", "+41581234$1")],
)


def plain(value: Any) -> Any:
    """A value as the reader reads it back."""
    if isinstance(value, dict):
        return {name: plain(inner) for name, inner in value.items() if name != "fields"}
    if isinstance(value, list):
        return [plain(inner) for inner in value]
    return units(value) if isinstance(value, str) else value


def untold(value: Any) -> Any:
    """Tables as the reader reads them: without the envelope that JSON needs."""
    if isinstance(value, dict) and set(value) == {"table"}:
        return untold(value["table"])
    if isinstance(value, dict):
        return {name: untold(inner) for name, inner in value.items()}
    return [untold(inner) for inner in value] if isinstance(value, list) else value


def expected(call: Call) -> Any:
    return untold(plain(call.as_json()))


# Nothing that Teams would take: what matters here is that no text gets out of its place.
ANY_NAME = ANY_TEXT.filter(bool)
ANYTHING = st.builds(
    lambda gateways, usages, routes, policies, plans: Routing(
        *(tuple({voice.fold(noun.name): noun for noun in nouns}.values())
          for nouns in (gateways, usages, routes, policies, plans))
    ),
    st.lists(st.builds(Gateway, ANY_NAME, st.integers(1, 65535)), max_size=1),
    st.lists(st.builds(Usage, ANY_NAME), max_size=2),
    st.lists(st.builds(Route, ANY_NAME, ANY_TEXT, st.tuples(ANY_NAME), st.tuples(ANY_NAME)), max_size=2),
    st.lists(st.builds(Policy, ANY_NAME, st.tuples(ANY_NAME, ANY_NAME)), max_size=1),
    st.lists(
        st.builds(DialPlan, ANY_NAME, st.tuples(st.builds(Rule, ANY_NAME, ANY_TEXT, ANY_TEXT, st.booleans()))),
        max_size=1,
    ),
)  # fmt: skip


@settings(deadline=None, max_examples=40)
@given(ANYTHING, ANYTHING, ANY_TEXT)
def test_the_script_makes_the_calls_of_the_plan(there: Routing, wanted: Routing, customer: str) -> None:
    steps = voice_plan.plan(wanted, there, owned=there.by_thing())
    text = voice_scripts.ready(steps, customer=customer, organisation=ORGANISATION, cloud=CLOUDS["global"])
    root = reader.parse(text)
    assert reader.writes(root) == [expected(step.call) for step in steps if step.call is not None]
    allowed = {step.call.cmdlet for step in steps if step.call is not None}
    allowed |= {call.cmdlet for call in READS.values()}
    allowed |= {"Connect-MicrosoftTeams", "Where-Object", "New-CsVoiceNormalizationRule"}
    assert reader.commands(root) <= allowed


def test_the_script_as_a_person_sees_it() -> None:
    steps = voice_plan.plan(SITE, Routing())
    text = voice_scripts.ready(steps, **WHO)
    assert text.startswith("\ufeff# Voice routing of Zürich'); Remove-Item / - in Microsoft Teams.\r\n")
    assert "#Requires -Modules MicrosoftTeams\r\n" in text
    assert f"Connect-MicrosoftTeams -TenantId '{ORGANISATION}'\r\n" in text
    assert "# 3. Create: voice route Acme Zurich (a site needs it and Teams does not have it).\r\n" in text
    assert (
        "if (-not (Get-CsOnlineVoiceRoute | Where-Object"
        " { $_.Identity -in @('Acme Zurich', 'Tag:Acme Zurich') })) {\r\n"
        "    $parameters = @{\r\n"
        "        Identity = 'Acme Zurich'\r\n"
        "        NumberPattern = '.*'\r\n"
        "        OnlinePstnGatewayList = @{ Add = @('sbc1.voice.example.com') }\r\n"
        "        OnlinePstnUsages = @{ Add = @('Acme Zurich') }\r\n"
        "    }\r\n"
        "    New-CsOnlineVoiceRoute @parameters\r\n"
        "}\r\n"
    ) in text
    code = [line for line in text[1:].splitlines() if not line.startswith("#")]
    assert all(line.isascii() for line in code)


def test_a_plan_that_waits_for_a_decision_has_no_script() -> None:
    steps = voice_plan.plan(SITE, Routing(routes=(Route("Acme Zurich"),)))
    with pytest.raises(ValueError):
        voice_scripts.ready(steps, **WHO)


@pytest.mark.parametrize(
    ("cloud", "environment"), [("global", None), ("dod", "TeamsDOD"), ("china", "TeamsChina")]
)
def test_the_verify_script_only_reads(cloud: str, environment: str | None) -> None:
    root = reader.parse(voice_scripts.verify(**{**WHO, "cloud": CLOUDS[cloud]}))
    assert reader.writes(root) == []
    assert reader.commands(root) == {
        *(call.cmdlet for call in READS.values()),
        "Connect-MicrosoftTeams",
        "Select-Object",
        "ConvertTo-Json",
    }
    connect = reader.named(root, "command")[0]
    assert reader.text_of(connect).partition(" -TeamsEnvironmentName ")[2] == (
        f"'{environment}'" if environment else ""
    )


def printed(teams: TeamsModel, organisation: str = ORGANISATION) -> str:
    rows: dict[str, Any] = {name: teams.run(call.as_json()) for name, call in READS.items()}
    return handout.MARK + json.dumps({"organisation": organisation, **rows}, ensure_ascii=False)


def test_what_the_verify_script_printed_tells_whether_anything_is_left() -> None:
    teams = TeamsModel()
    for step in voice_plan.plan(SITE, voice_scripts.verified(printed(teams), organisation=ORGANISATION)):
        assert step.call is not None
        teams.run(step.call.as_json())
    line = printed(teams)
    wrapped = json.loads(line.removeprefix(handout.MARK))
    wrapped["routes"] = {
        "value": wrapped["routes"],
        "Count": 1,
    }  # what Windows PowerShell makes of some lists
    for text in (
        handout.MARK + json.dumps(wrapped),
        line,
        "\r\n".join(textwrap.wrap(line, 79, drop_whitespace=False)),
        f"chatter\n{line}\n\n",
    ):
        found = voice_scripts.verified(text, organisation=ORGANISATION.upper())
        assert voice_plan.writing(voice_plan.plan(SITE, found)) == ()


@pytest.mark.parametrize(
    ("pasted", "why"),
    [
        ("", "last line"),
        ("UMP-VERIFY:{", "last line"),
        ("UMP-VERIFY:[]", "last line"),
        ("[" * 100_000, "last line"),
        ("x" * 1_000_001, "too long"),
        (printed(TeamsModel(), "99999999-2222-3333-4444-555555555555"), "another organisation"),
        (f'UMP-VERIFY:{{"organisation": "{ORGANISATION}"}}', "does not describe"),
        (f'UMP-VERIFY:{{"organisation": "{ORGANISATION}", "gateways": [{{}}]}}', "does not describe"),
    ],
    ids=["empty", "half", "list", "deep", "long", "foreign", "nothing", "wrong"],
)
def test_what_is_not_the_last_line_is_refused(pasted: str, why: str) -> None:
    with pytest.raises(UmpError, match=why) as raised:
        voice_scripts.verified(pasted, organisation=ORGANISATION)
    assert raised.value.code == "invalid_input"
