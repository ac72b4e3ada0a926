"""`ump changes`: from a file to a plan at the command line, and back."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from replication.models import Command
from tenants import scope
from tenants.models import Tenant
from tests.provisioning.helpers import Stage
from ump_portal import cli, cli_changes

pytestmark = pytest.mark.django_db
Ump = Callable[..., tuple[int, str]]


@pytest.fixture
def ump(stage: Stage, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Ump:
    """`ump changes ACTION TENANT ...`; while it waits, the worker works."""
    with scope.one(stage.tenant.id):
        Tenant.objects.filter(id=stage.tenant.id).update(licensed_users=200)
    monkeypatch.setattr(cli, "_set_up_django", lambda: None)
    ended = cli_changes.ended

    def end(command: Command) -> Command:
        return ended(stage.finish(command))

    monkeypatch.setattr(cli_changes, "ended", end)

    def run(action: str, *words: str) -> tuple[int, str]:
        code = cli.main(["changes", action, str(stage.tenant.id), *words])
        told = capsys.readouterr()
        return code, told.out + told.err

    return run


def test_a_file_becomes_a_plan_that_is_applied_and_undone(ump: Ump, stage: Stage, tmp_path: Path) -> None:
    before, (user,), (number,) = stage.held(), stage.without_number(1), stage.free(1)
    file = tmp_path / "new.csv"
    file.write_text(f"User,Number\n{user},{number}\nnobody@contoso.example,{number}\n")
    code, told = ump("ask", str(file))
    assert code == 1
    assert "line 3, User (nobody@contoso.example): The copy of the directory has no user" in told
    assert ump("plan")[0] == 1
    code, told = ump("ask", str(file), "--keep-right")
    assert (code, "1 changes wait" in told) == (0, True)
    assert "Waiting: 1" in ump("show")[1]

    code, told = ump("plan", "--json")
    plan = json.loads(told)
    assert (code, plan["figures"], plan["lines"][0]["where"]) == (0, {"give": 1}, "Microsoft Graph")
    assert stage.held() == before
    assert ump("apply", plan["plan"], "0" * 64)[0] == 1
    code, told = ump("apply", plan["plan"], plan["fingerprint"])
    assert (code, "1 written" in told) == (0, True)
    assert stage.held()[number] == str(user)
    assert "Done" in ump("show", "--plan", plan["plan"])[1]

    stage.replicate()
    assert ump("undo", plan["plan"])[0] == 0
    assert stage.process().state == "succeeded"
    assert stage.held() == before
