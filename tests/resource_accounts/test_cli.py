"""`ump resource-accounts`: from a file to an attendant that answers, and back; and by a person's script."""

import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from replication.models import Command
from resource_accounts import selectors
from tenants import scope
from tests.resource_accounts.stage import DESK, Stage
from tests.resource_accounts.test_building import pasted
from ump_portal import cli, cli_resource_accounts
from ump_portal.cli_follow import ended

pytestmark = pytest.mark.django_db
Ump = Callable[..., tuple[int, str]]


@pytest.fixture
def ump(stage: Stage, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Ump:
    """`ump resource-accounts ACTION TENANT ...`; while it waits, the worker works."""
    monkeypatch.setattr(cli, "_set_up_django", lambda: None)

    def end(command: Command) -> Command:
        return ended(stage.carried_out(command))

    monkeypatch.setattr(cli_resource_accounts, "ended", end)

    def run(action: str, *words: str) -> tuple[int, str]:
        code = cli.main(["resource-accounts", action, str(stage.tenant.id), *words])
        told = capsys.readouterr()
        return code, told.out + told.err

    return run


def test_a_file_becomes_an_attendant_and_is_taken_back(ump: Ump, stage: Stage, tmp_path: Path) -> None:
    file, settings = tmp_path / "desk.json", {**DESK, "key_2_target": stage.anna}
    given = {"type": "auto_attendant", "name": "Reception", "account": "reception@contoso.test"}
    file.write_text(json.dumps(given | {"settings": {**settings, "monday": 9}}))
    assert ump("add", str(file))[0] == 1
    file.write_text(json.dumps(given | {"settings": settings, "number": "+4930111"}))
    assert ump("add", str(file))[0] == 0
    assert "Reception: Auto attendant, reception@contoso.test, Not built" in ump("list")[1]

    code, told = ump("look", "Reception", "--json")
    plan = json.loads(told)
    assert (code, plan["steps"][0]["action"], stage.teams.writes) == (0, "create", [])
    assert ump("build", "Reception", "--plan", "0" * 64)[0] == 1
    assert ump("build", "reception@contoso.test", "--plan", plan["plan"])[0] == 0
    assert set(stage.teams.numbers) == {"+4930111"}
    assert ump("delete", "Reception")[0] == 1

    plan = json.loads(ump("remove", "Reception", "--json")[1])
    assert ump("remove", "Reception", "--plan", plan["plan"])[0] == 0
    assert (stage.teams.accounts, stage.teams.bodies) == ({}, {})
    assert ump("delete", "Reception")[0] == 0
    assert "There is no design yet" in ump("list")[1]


def test_without_powershell_a_person_runs_the_script(
    ump: Ump, stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    design = stage.add()
    monkeypatch.setattr(selectors, "powershell_is_there", lambda: False)
    code, told = ump("look", "Reception")
    assert (code, "PowerShell" in told) == (1, True)
    assert "New-CsAutoAttendant" in ump("script", "Reception", "ready")[1]
    with scope.one(stage.tenant.id):
        line = pasted(stage, design)
    monkeypatch.setattr("sys.stdin", io.StringIO(line))
    assert "What is left to do" in ump("verify", "Reception")[1]
    assert "create" in ump("build", str(design.uid))[1]
