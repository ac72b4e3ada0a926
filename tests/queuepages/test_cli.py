"""`ump command`: one command at the command line, a customer's or the provider's."""

import json

import pytest

from replication import services
from tenants import scope
from tenants.access import SYSTEM
from tests.cast import Cast
from ump_portal import cli


@pytest.mark.parametrize("whose", ["a customer's", "the provider's"])
def test_a_command_is_cancelled_repeated_and_told(
    cast: Cast, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], whose: str
) -> None:
    monkeypatch.setattr(cli, "_set_up_django", lambda: None)

    def ump(action: str, number: int) -> dict[str, object]:
        assert cli.main(["command", action, str(number), "--json"]) == 0
        told: dict[str, object] = json.loads(capsys.readouterr().out)
        return told

    wish = ("quick_replication", cast.contoso) if whose == "a customer's" else ("renew_all_secrets", None)
    with scope.every("somebody's wish"):
        first = services.submit(SYSTEM, *wish)
    assert ump("cancel", first.id)["state"] == "Cancelled"
    again = ump("retry", first.id)
    assert (again["state"], again["id"]) == ("Queued", first.id + 1)
    assert "Cancelling was asked for" in str(ump("show", first.id)["history"])
    assert cli.main(["command", "retry", "999999999"]) == 1
    assert "command 999999999" in capsys.readouterr().err
