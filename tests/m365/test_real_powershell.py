"""The real `pwsh` with a stand-in for Microsoft's module. Where there is no `pwsh`, this says that it did not run."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

from core.errors import UmpError
from m365 import voice, voice_plan
from m365.clouds import CLOUDS
from m365.identity import Token
from m365.powershell.calls import Call
from m365.powershell.cmdlets import READS
from m365.teams_powershell import Config, Session, Tokens, probe
from tests.m365 import powershell_reader as reader

MODULE = Path(__file__).parent / "MicrosoftTeams" / "MicrosoftTeams.psm1"
TENANT = "11111111-2222-3333-4444-555555555555"
CONFIG = Config("pwsh", str(MODULE))
NASTY = 'it\'s $(Get-Process) \u2018\u2019 `n "x" é 2026-01-09T02:02:12Z'

SITE = voice.for_site(
    "Acme",
    "acme.voice.example.com",
    own_gateway=True,
    rules=[voice.Rule("Short", r"^(\d{3})$", "+41581234$1")],
)

real = pytest.mark.skipif(
    shutil.which("pwsh") is None, reason="pwsh is not installed here: the real PowerShell was not tried"
)


def session(first: str = "graph") -> Session:
    tokens = Tokens(*(Token(value, datetime.now(UTC), tid=TENANT) for value in (first, "teams")))
    return Session(CONFIG, tokens, TENANT, CLOUDS["global"], customer="Acme")


def test_the_stand_in_is_powershell() -> None:
    made = reader.parse(MODULE.read_text())
    offered = {reader.text_of(node) for node in reader.named(made, "function_name")}
    steps = voice_plan.plan(SITE, voice.Routing())
    assert {call.cmdlet for call in READS.values()} <= offered
    assert {step.call.cmdlet for step in steps if step.call is not None} <= offered


@real
def test_a_plan_is_carried_out_and_taken_back() -> None:
    with session() as teams:
        before = teams.voice_routing()
        steps = voice_plan.plan(SITE, before)
        for step in steps:
            assert step.call is not None
            teams.run(step.call)
        found = teams.voice_routing()
        again = voice_plan.plan(SITE, found, owned=voice_plan.created(steps))
        assert voice_plan.writing(again) == ()
        for step in voice_plan.undo(steps, found):
            assert step.call is not None
            teams.run(step.call)
        assert teams.voice_routing() == before


@real
def test_text_arrives_and_comes_back_as_it_is() -> None:
    with session() as teams:
        teams.run(Call("New-CsOnlineVoiceRoute", (("Identity", NASTY), ("NumberPattern", NASTY))))
        (row,) = teams.run(READS["routes"])
        assert (row["Identity"], row["NumberPattern"]) == (NASTY, NASTY)


@real
@pytest.mark.parametrize(
    ("cmdlet", "code"),
    [("Remove-CsOnlineVoiceRoute", "remote_not_found"), ("Get-CsNothing", "teams_module_missing")],
)
def test_errors_have_their_sentence_and_the_session_goes_on(cmdlet: str, code: str) -> None:
    with session() as teams:
        with pytest.raises(UmpError) as raised:
            teams.run(Call(cmdlet, (("Identity", "x"),)))
        assert raised.value.code == code
        assert teams.run(READS["routes"]) == []


@real
@pytest.mark.parametrize(
    ("first", "code"), [("expired", "teams_session_refused"), ("foreign", "cross_tenant")]
)
def test_a_session_that_is_refused(first: str, code: str) -> None:
    with pytest.raises(UmpError) as raised, session(first):
        pass
    assert raised.value.code == code


@real
def test_the_versions_are_told_and_a_missing_module_too() -> None:
    assert probe(CONFIG, CLOUDS["global"]).powershell
    with pytest.raises(UmpError) as raised:
        probe(Config("pwsh", "NoSuchModuleAnywhere"), CLOUDS["global"])
    assert raised.value.code == "teams_module_missing"
