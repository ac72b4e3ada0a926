"""`ump user` and `ump token create`: nobody is left behind half added, and a blank customer is none, not all."""

import io
import json
import sys
import uuid
from pathlib import Path

import pytest

from accounts.models import ApiToken, User
from audit.models import Entry
from tenants import scope
from tenants.abilities import Role
from tenants.models import Membership, Tenant
from tests.cast import Cast
from tests.pages.helpers import SignIn
from ump_portal import cli

pytestmark = pytest.mark.django_db
WHO = "pat@example.test"


@pytest.fixture(autouse=True)
def typed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli, "_set_up_django", lambda: None)
    monkeypatch.setattr(sys, "stdin", io.StringIO("a long and winding password\n"))


def add(*words: str) -> int:
    return cli.main(["user", "add", WHO, "--password-stdin", "--json", *words])


def test_a_person_is_added_with_the_role(cast: Cast, capsys: pytest.CaptureFixture[str]) -> None:
    assert add("--role", "customer_admin", "--tenant", "Contoso") == 0
    assert json.loads(capsys.readouterr().out)["email"] == WHO
    with scope.every("a test looks"):
        given = Membership.objects.get(user__email=WHO)
        assert (given.role, given.tenant_id) == (Role.CUSTOMER_ADMIN, cast.contoso.id)


def test_a_role_that_is_none_is_refused_with_those_there_are(
    cast: Cast, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        add("--role", "admin")
    assert ended.value.code == 2
    assert "provider_admin" in capsys.readouterr().err
    assert not User.objects.filter(email=WHO).exists()


def test_a_customers_role_wants_its_customer(cast: Cast, capsys: pytest.CaptureFixture[str]) -> None:
    assert add("--role", "customer_admin") == 1
    assert "--tenant" in capsys.readouterr().err
    assert not User.objects.filter(email=WHO).exists()
    sys.stdin.seek(0)
    assert add() == 0, "and nothing stands in the way of trying again"


def test_nobody_is_left_without_a_role(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("tenants.services.give_role", refuse)
        assert add() == 1
    assert not User.objects.filter(email=WHO).exists()


@pytest.mark.parametrize("blank", ["", " "])
@pytest.mark.parametrize("unnamed", [True, False], ids=["without a domain", "with one"])
def test_a_blank_customer_is_neither_everybody_nor_the_one_without_a_domain(
    cast: Cast, capsys: pytest.CaptureFixture[str], blank: str, unnamed: bool
) -> None:
    """As a script has it whose variable is not set."""
    if unnamed:
        with scope.one(cast.contoso.id):
            Tenant.objects.filter(id=cast.contoso.id).update(domain="")
    before = ApiToken.objects.count()
    assert cli.main(["token", "create", "x", "--role", "operator", "--tenant", blank]) == 1
    assert cli.main(["tenants", "show", blank]) == 1
    assert add("--role", "operator", "--tenant", blank) == 1
    assert add("--role", "customer_admin", "--tenant", blank) == 1
    assert "no such customer called" in capsys.readouterr().err
    assert ApiToken.objects.count() == before
    assert not User.objects.filter(email=WHO).exists()


def again(cast: Cast, *words: str) -> int:
    return cli.main(["user", "password", cast.pia.email.upper(), "--json", *words])


def test_a_new_password_ends_every_session(cast: Cast, client_of: SignIn) -> None:
    client = client_of(cast.pia)
    assert client.get("/").status_code == 200
    assert again(cast, "--password-stdin") == 0
    cast.pia.refresh_from_db()
    assert cast.pia.check_password("a long and winding password")
    assert client.get("/").status_code == 302
    with scope.every("a test looks"):
        entry = Entry.objects.get(action="user.password_set")
        assert (entry.actor_kind, entry.object_label) == ("cli", cast.pia.email)
        assert "winding" not in str(entry.changes)


def test_it_is_typed_twice_and_checked(
    cast: Cast, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = cast.pia.password
    for typed, told in (
        (["a long and winding password", "a long and winding road"], "the same way twice"),
        (["short", "short"], "too short"),
    ):
        answers = iter(typed)
        monkeypatch.setattr("getpass.getpass", lambda _, answers=answers: next(answers))
        assert again(cast) == 1
        assert told in capsys.readouterr().err
    assert cli.main(["user", "password", "nobody@example.test", "--password-stdin"]) == 1
    assert cli.main(["user", "password", "", "--password-stdin"]) == 1
    cast.pia.refresh_from_db()
    assert cast.pia.password == before


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--client-id", "contoso"], "--client-id: invalid"),
        (["--certificate", "/nowhere/own.pem"], "/nowhere/own.pem cannot be read: No such file or directory"),
        (["--certificate", "{der}"], "is not in PEM form"),
    ],
)
def test_what_a_customer_is_added_with_is_complained_of_by_its_name(
    cast: Cast, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    der = tmp_path / "own.der"
    der.write_bytes(b"\x30\x82\xff")
    given = ["--entra-tenant-id", str(uuid.uuid4()), "--client-id", str(uuid.uuid4()), *words]
    with pytest.raises(SystemExit):
        cli.main(["tenants", "add", "Northwind", *(word.replace("{der}", str(der)) for word in given)])
    assert said in capsys.readouterr().err


def test_a_customer_is_added_with_a_secret_alone(
    cast: Cast, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("abc8Q~a-client-secret-of-microsoft-0123\n"))
    ids = ["--entra-tenant-id", str(uuid.uuid4()), "--client-id", str(uuid.uuid4())]
    assert cli.main(["tenants", "add", "Northwind", "--secret-stdin", *ids]) == 0
    assert "Northwind is added" in capsys.readouterr().out


def test_days_beyond_all_calendars_are_too_many(cast: Cast, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["token", "create", "x", "--days", "9999999999"])
    assert "9999999999 days are too many" in capsys.readouterr().err
