"""The line to Teams through a process: what it takes, what it survives, and that nothing of it stays."""

from __future__ import annotations

import contextlib
import json
import os
import select
import shlex
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hatchling.builders.wheel import WheelBuilder

from core.errors import UmpError
from m365 import voice, voice_plan
from m365.clouds import CLOUDS
from m365.identity import Token
from m365.powershell import faults, process
from m365.powershell.calls import Call
from m365.powershell.cmdlets import READS
from m365.teams_powershell import Config, Session, Tokens, probe
from tests.m365 import powershell_reader as reader

TENANT = "11111111-2222-3333-4444-555555555555"
SECRETS = ("graph-token-of-the-customer", "teams-token-of-a-customer-longer-than-a-line")
TOKENS = Tokens(*(Token(value, datetime.now(UTC), tid=TENANT) for value in SECRETS))
READ = READS["routes"]
WRITE = Call("Remove-CsOnlineVoiceRoute", (("Identity", "Acme"),))
SITE = voice.for_site(
    "Acme", "acme.voice.example.com", rules=[voice.Rule("Short", r"^(\d{3})$", "+41581234$1")]
)

Open = Callable[..., Session]


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    return tmp_path / "notes.json"


@pytest.fixture
def session(tmp_path: Path, notes: Path, monkeypatch: pytest.MonkeyPatch) -> Open:
    """A session of the stand-in with this trouble."""
    monkeypatch.setattr(process, "GRACE", 0.3)
    monkeypatch.setenv("DATABASE_URL", "postgres://ump:worker-secret@db/ump")

    def session(
        trouble: str = "", tokens: Tokens | None = TOKENS, cloud: str = "global", **limits: Any
    ) -> Session:
        command = tmp_path / "pwsh"
        words = [sys.executable, str(Path(__file__).parent / "pwsh_stand_in.py"), str(notes), trouble]
        command.write_text(f'#!/bin/sh\nexec {shlex.join(words)} "$@"\n')
        command.chmod(0o755)
        stop = limits.pop("stop", None)
        config = Config(str(command), **{"start_seconds": 30.0, "call_seconds": 30.0} | limits)
        return Session(config, tokens, TENANT, CLOUDS[cloud], customer="Acme", stop=stop)

    return session


def told(raised: pytest.ExceptionInfo[UmpError]) -> str:
    """All that an error tells anybody."""
    return json.dumps(raised.value.to_dict()) + str(raised.value) + repr(raised.value)


def test_a_plan_is_carried_out_and_found_again(session: Open, notes: Path) -> None:
    with session(cloud="dod") as teams:
        assert (teams.versions.powershell, teams.versions.module) == ("7.4.6", "6.9.0")
        steps = voice_plan.plan(SITE, teams.voice_routing())
        for step in voice_plan.writing(steps):
            assert step.call is not None
            assert teams.run(step.call, thing=str(step.thing)) == []
        again = voice_plan.plan(SITE, teams.voice_routing(), owned=voice_plan.created(steps))
    assert voice_plan.writing(again) == ()
    seen = json.loads(notes.read_text())
    assert seen["ended"] == "by itself"
    assert (seen["tenant"], seen["environment_name"]) == (TENANT, "TeamsDOD")


def test_secrets_come_by_standard_input_alone(session: Open, notes: Path) -> None:
    with session():
        pass
    seen = json.loads(notes.read_text())
    assert seen["arguments"][:4] == ["-NoLogo", "-NoProfile", "-NonInteractive", "-File"]
    assert seen["arguments"][4].endswith("session.ps1")
    assert seen["files"] == []
    assert not Path(seen["cwd"]).exists()
    everything = notes.read_text()
    for secret in (*SECRETS, "worker-secret"):
        assert secret not in everything
    assert int(seen["environment"]["DOTNET_GCHeapHardLimit"], 16) == 768 << 20
    assert SECRETS[0] not in repr(TOKENS)


def test_what_teams_refuses_leaves_the_session_whole(session: Open) -> None:
    with session() as teams:
        with pytest.raises(UmpError) as raised:
            teams.run(WRITE, thing="voice route Acme")
        assert raised.value.code == "remote_not_found"
        assert "voice route Acme" in raised.value.message
        assert teams.run(READ) == []


@pytest.mark.parametrize(
    ("trouble", "call", "code"),
    [
        ("dies", READ, "powershell_failed"),
        ("dies", WRITE, "outcome_unknown"),
        ("no answer", READ, "powershell_late"),
        ("no answer", WRITE, "outcome_unknown"),
        ("half an answer", READ, "powershell_failed"),
        ("half a line", READ, "powershell_failed"),
        ("no json", READ, "powershell_failed"),
        ("another question", READ, "powershell_failed"),
        ("a giant line", READ, "powershell_failed"),
        ("endless chatter", READ, "powershell_late"),
    ],
)
def test_each_trouble_costs_one_session(session: Open, trouble: str, call: Call, code: str) -> None:
    late = {"call_seconds": 0.3} if trouble in {"no answer", "endless chatter"} else {}
    with session(trouble, **late) as teams:
        with pytest.raises(UmpError) as raised:
            teams.run(call)
        assert raised.value.code == code
        with pytest.raises(UmpError) as again:
            teams.run(call)
        assert (again.value.code, again.value.detail) == (
            "powershell_failed",
            {"cause": "the session is over"},
        )
    assert not any(secret in told(raised) for secret in SECRETS)


def test_endless_rows_are_cut_off(session: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("m365.teams_powershell.MOST_ROWS", 100)
    with session("endless rows") as teams, pytest.raises(UmpError) as raised:
        teams.run(READ)
    assert raised.value.code == "reply_too_large"


def test_a_reading_that_was_cut_short_is_none(session: Open) -> None:
    with session("cut short") as teams, pytest.raises(UmpError) as raised:
        teams.run(READ)
    assert raised.value.code == "reply_too_large"


def test_a_long_list_comes_in_parts(session: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("m365.teams_powershell.A_PART", 2)
    rules = [voice.Rule(f"Rule {number}", r"^(\d{3})$", "+4930$1") for number in range(3)]
    with session() as teams:
        for name in ("A", "B", "C"):
            teams.run(voice_plan.cmdlets.create(voice.Usage(name)))
            teams.run(voice_plan.cmdlets.create(voice.DialPlan(name, tuple(rules))))
        names = [[row["Identity"] for row in part] for part in teams.parts(READS["dial_plans"])]
        assert names == [["Global", "Tag:A"], ["Tag:B", "Tag:C"], []]
        for _ in teams.parts(READS["dial_plans"]):
            break
        with pytest.raises(UmpError) as raised:  # what was left lies in the way of every other answer
            teams.run(READ)
    assert raised.value.code == "powershell_failed"


@pytest.mark.parametrize(
    ("trouble", "code"),
    [
        ("dies", "powershell_failed"),
        ("endless rows", "reply_too_large"),
        ("cut short", "reply_too_large"),
        ("another question", "powershell_failed"),
    ],
)
def test_a_long_list_has_an_end(
    session: Open, monkeypatch: pytest.MonkeyPatch, trouble: str, code: str
) -> None:
    monkeypatch.setattr("m365.teams_powershell.MOST_LISTED", 2_000)
    with session(trouble) as teams, pytest.raises(UmpError) as raised:
        for _ in teams.parts(READ):
            pass
    assert raised.value.code == code


@pytest.mark.parametrize(
    ("trouble", "limits", "code"),
    [
        ("silent", {"start_seconds": 0.5}, "powershell_late"),
        ("dies at once", {}, "powershell_failed"),
        ('start:{"stage": "module", "message": "not found"}', {}, "teams_module_missing"),
        ('start:{"stage": "tenant", "message": "another"}', {}, "cross_tenant"),
        ('start:{"stage": "connect", "message": "The access token expired."}', {}, "teams_session_refused"),
        ('start:{"stage": "connect", "message": "", "status": 429, "retry_after": "17"}', {}, "throttled"),
    ],
)
def test_a_session_that_does_not_come_to_be(
    session: Open, trouble: str, limits: dict[str, Any], code: str
) -> None:
    with pytest.raises(UmpError) as raised, session(trouble, **limits):
        pass
    assert raised.value.code == code
    assert raised.value.retry_after == (17 if code == "throttled" else None)
    assert not any(
        piece in told(raised) for secret in SECRETS for piece in (secret, secret[:17], secret[17:])
    )


@pytest.mark.parametrize("trouble", ["deaf", "input closed"])
def test_who_does_not_read_is_left(session: Open, trouble: str) -> None:
    long = Call("Get-CsOnlineUser", (("Filter", "x" * 500_000),), ("Identity",))
    with session(trouble, call_seconds=0.5) as teams, pytest.raises(UmpError) as raised:
        teams.run(long)
    assert raised.value.code == ("powershell_late" if trouble == "deaf" else "powershell_failed")


def test_nothing_that_it_started_lives_on(session: Open, notes: Path) -> None:
    with session("stubborn", call_seconds=0.2) as teams, pytest.raises(UmpError):
        teams.run(READ)
    for pid in json.loads(notes.read_text())["pids"]:
        with contextlib.suppress(ProcessLookupError), os.fdopen(os.pidfd_open(pid), "rb") as alive:
            assert select.select([alive], [], [], 20)[0]


def test_a_stop_ends_a_reading_but_waits_for_a_write(session: Open) -> None:
    wanted = []
    with session("no answer", stop=lambda: bool(wanted)) as teams:
        wanted.append("stop")
        with pytest.raises(UmpError) as raised:
            teams.run(READ)
    assert raised.value.code == "interrupted"
    wanted.clear()
    with session("", stop=lambda: bool(wanted)) as teams:
        wanted.append("stop")
        assert teams.run(voice_plan.plan(SITE, voice.Routing())[0].call) == []


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ({"id": "Forbidden,Microsoft.Teams.ConfigApi", "message": "x"}, "role_missing"),
        ({"id": "x", "message": "Access Denied."}, "role_missing"),
        ({"id": "Unauthorized,Microsoft", "message": "x"}, "teams_session_refused"),
        ({"id": "TooManyRequests,Microsoft", "message": "x", "retry_after": 30}, "throttled"),
        ({"id": "x", "message": "This request is throttled."}, "throttled"),
        ({"id": "NotFound,Microsoft.Teams", "message": "userId was not found"}, "remote_not_found"),
        ({"id": "x", "message": "The policy 'x' does not exist."}, "remote_not_found"),
        ({"id": "Conflict,Microsoft", "message": "x"}, "remote_conflict"),
        ({"id": "x", "message": "\"Acme\" already exists."}, "remote_conflict"),
        ({"id": "BadRequest,M", "message": "The policy is currently assigned to users."}, "teams_in_use"),
        ({"id": "BadRequest,M", "message": 'Can not use the "a.b" domain as it was not configured for this tenant.'},
         "teams_domain_unknown"),
        ({"id": "BadRequest,M", "message": "Something nobody has seen. TOKEN"}, "teams_refused"),
        ({"id": "CommandNotFoundException", "message": "The module has no x."}, "teams_module_missing"),
        ({"id": "x", "status": 503, "message": "x"}, "graph_unavailable"),
        ({"id": "GatewayTimeout,M", "message": "x"}, "graph_unavailable"),
    ],
)  # fmt: skip
def test_each_refusal_has_its_sentence(fault: dict[str, Any], code: str) -> None:
    for writes in (False, True):
        error = faults.of_call(fault, writes=writes, thing="voice route Acme", tenant="Acme")
        # What the service itself broke off while writing may have been done.
        unknown = writes and code == "graph_unavailable"
        assert error.code == ("outcome_unknown" if unknown else code)
        assert error.retry_after == {"throttled": fault.get("retry_after"), "teams_domain_unknown": 1800}.get(
            error.code
        )


def test_a_refusal_that_names_a_token_is_told_without_it(session: Open) -> None:
    fault = {"id": "BadRequest,M", "message": "The token TOKEN is of no use."}
    with session(f"fault:{json.dumps(fault)}") as teams, pytest.raises(UmpError) as raised:
        teams.run(READ)
    assert raised.value.detail["microsoft_says"] == "The token [hidden] is of no use."
    assert SECRETS[0] not in told(raised)


def test_a_token_of_another_organisation_never_gets_in(session: Open, notes: Path) -> None:
    foreign = Token("foreign", datetime.now(UTC), tid="99999999-2222-3333-4444-555555555555")
    with pytest.raises(UmpError) as raised, session(tokens=Tokens(TOKENS.graph, foreign)):
        pass
    assert raised.value.code == "cross_tenant"
    assert not notes.exists()


@pytest.mark.parametrize("command", ["", "/nowhere/pwsh", "no-such-program"])
def test_without_powershell_the_answer_says_so(command: str) -> None:
    with pytest.raises(UmpError) as raised:
        probe(Config(command), CLOUDS["global"])
    assert raised.value.code == "powershell_missing"


def test_a_file_that_is_no_program_is_none(tmp_path: Path) -> None:
    command = tmp_path / "pwsh"
    command.write_bytes(b"\x7fELF nothing")
    command.chmod(0o755)
    with pytest.raises(UmpError) as raised:
        probe(Config(str(command)), CLOUDS["global"])
    assert raised.value.code == "powershell_missing"


def test_the_script_for_powershell_is_whole_and_part_of_the_product() -> None:
    script = Path(process.__file__).parent / "session.ps1"
    text = script.read_text()
    assert text.isascii()
    reader.parse(text)
    checkout = Path(__file__).parent.parent.parent
    packed = {included.distribution_path for included in WheelBuilder(str(checkout)).recurse_included_files()}
    assert "m365/powershell/session.ps1" in packed
