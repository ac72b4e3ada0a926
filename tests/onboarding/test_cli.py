"""`ump onboard`: start, look, try again, stop."""

import io
import json
from collections.abc import Callable
from typing import Any

import pytest

from replication.models import Command
from tenants import scope
from tests.cast import Cast
from ump_portal import cli

pytestmark = pytest.mark.django_db
Ump = Callable[..., tuple[int, str]]


@pytest.fixture
def ump(cast: Cast, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Ump:
    monkeypatch.setattr(cli, "_set_up_django", lambda: None)

    def run(*words: str, typed: str = "") -> tuple[int, str]:
        monkeypatch.setattr("sys.stdin", io.StringIO(typed))
        code = cli.main(["onboard", *words])
        told = capsys.readouterr()
        return code, told.out + told.err

    return run


def test_a_customer_is_invited_looked_at_and_cancelled(ump: Ump) -> None:
    code, told = ump(
        "start", "Tailspin Toys", "--domain", "tailspin.example", "--invite", "a@tailspin.example"
    )
    assert code == 0
    assert "step 2, M365." in told
    assert "Not sent yet: a@tailspin.example" in told
    assert "Tailspin Toys" in ump("list")[1]
    assert "Another mail is on its way to a@tailspin.example." in ump("retry", "Tailspin Toys")[1]
    assert ump("finish", "Tailspin Toys")[0] == 1
    code, told = ump("cancel", "tailspin.example", "--json")
    found: dict[str, Any] = json.loads(told)
    assert (code, found["ended"], found["access"]) == (0, "cancelled", "choose")
    assert "No onboarding is open." in ump("list")[1]


def test_with_an_app_registration_whose_secret_is_read_and_not_told(ump: Ump) -> None:
    secret = "Tz~8Q~a-very-long-client-secret-of-microsoft"
    code, told = ump(
        "start", "Tailspin Toys", "--entra-tenant-id", "00000000-0000-0000-0000-000000000009", "--client-id",
        "00000000-0000-0000-0000-000000000005", "--secret-stdin", typed=f"{secret}\n",
    )  # fmt: skip
    assert code == 0
    assert "Validating credentials, please wait!" in told
    assert secret not in told
    with scope.every("a test"):
        assert [row.kind for row in Command.objects.all()] == ["verify_credentials"]


def test_direct_routing_without_sync_is_refused_in_words(ump: Ump) -> None:
    code, told = ump("start", "Tailspin Toys", "--without-sync")
    assert code == 1
    assert "Direct Routing depends on sync" in told
    code, told = ump("start", "Tailspin Toys", "--without-sync", "--service", "operator_connect")
    assert "Nothing is needed here" in told
    assert "The onboarding is finished." in ump("finish", "Tailspin Toys")[1]
