"""`ump command`: one command at the command line, a customer's or the provider's."""

import json

import pytest

from core.errors import Conflict, Rendered, UmpError
from replication import services, states
from replication.models import Command
from tenants import scope
from tenants.access import SYSTEM
from tests.cast import Cast
from ump_portal import cli, cli_follow

BEFORE = UmpError.of("throttled").to_dict()
"""What it met some attempts ago."""


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli_follow, "POLL_SECONDS", 0)


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


@pytest.mark.parametrize("error", [None, BEFORE], ids=["told nothing", "failed before"])
@pytest.mark.parametrize(
    ("code", "told"), [("secret_expired", "secret_expired"), ("newer_version", "connection_unverified")]
)
def test_who_waits_is_told_what_holds_the_customers_work(
    cast: Cast, code: str, told: str, error: Rendered | None
) -> None:
    """The fault may have been another command's; what this one met before does not hold it."""
    with scope.one(cast.contoso.id):
        command = services.submit(SYSTEM, "sync", cast.contoso)
        Command.objects.filter(id=command.id).update(error=error)
        states.suspend_lane(cast.contoso.id, code)
        with pytest.raises(UmpError) as raised:
            cli_follow.ended(command)
    assert raised.value.code == told


def test_who_waits_is_told_what_the_command_itself_met(cast: Cast) -> None:
    """In its own words, where that is what holds the lane; and a fault of one thing holds no lane."""
    met = UmpError.of("secret_expired", app="Acme sync")
    with scope.one(cast.contoso.id):
        command = services.submit(SYSTEM, "sync", cast.contoso)
        states.suspend_lane(cast.contoso.id, "secret_expired")
        for reason, error in (("connection", met), ("target", UmpError.of("conflict", thing="It"))):
            Command.objects.filter(id=command.id).update(reason=reason, error=error.to_dict())
            with pytest.raises(UmpError) as raised:
                cli_follow.ended(command)
            assert raised.value.message == error.message


def test_who_waits_is_told_that_it_was_cancelled(cast: Cast) -> None:
    with scope.one(cast.contoso.id):
        command = services.submit(SYSTEM, "sync", cast.contoso)
        Command.objects.filter(id=command.id).update(error=BEFORE)
        states.request_cancel(command)
        with pytest.raises(Conflict, match="it was cancelled"):
            cli_follow.ended(command)
