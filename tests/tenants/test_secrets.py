"""The web seals and cannot open; a value opens only where it was put; rotation reaches everything."""

import base64
import json
import os
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.db import connection, models

from authstatus.services import rotate_keys
from core import encryption
from core.encryption import CannotOpen, Keyring, Pair
from core.errors import UmpError
from replication import runner, states
from replication.models import Command, State
from tenants import lines, scope, secrets, selectors
from tenants.access import SYSTEM
from tenants.models import Connection, Secret, SecretKind, TenantKey
from tests.cast import CANARY_CONTOSO, Cast
from tests.tenants import keys
from ump_portal import cli

pytestmark = pytest.mark.django_db
VALUE = f"{CANARY_CONTOSO}~secret~of~the~app~registration"


def _secret(cast: Cast) -> Secret:
    return Secret.objects.select_related("key").get(tenant=cast.contoso)


def test_a_worker_opens_what_the_web_sealed(cast: Cast) -> None:
    with scope.one(cast.contoso.id):
        assert secrets.open_secret(_secret(cast)) == VALUE
        assert lines.open_line(cast.contoso.id).credential.secret == VALUE


def test_a_line_opens_by_one_statement(cast: Cast, django_assert_num_queries: Any) -> None:
    with scope.one(cast.contoso.id), django_assert_num_queries(1):
        lines.open_line(cast.contoso.id)
    with scope.one(cast.contoso.id):
        Connection.objects.filter(tenant=cast.contoso).update(secret=None)
        with pytest.raises(UmpError) as caught:
            lines.open_line(cast.contoso.id)
        assert caught.value.code == "connection_missing"
        with pytest.raises(UmpError):  # another customer's lies out of the scope
            lines.open_line(cast.fabrikam.id)
    with pytest.raises(scope.NoScope):
        lines.open_line(cast.contoso.id)


def test_a_process_without_the_key_encryption_key_cannot_open(cast: Cast, settings: Any) -> None:
    settings.KEK_FILE = ""
    with scope.one(cast.contoso.id):
        with pytest.raises(UmpError) as caught:
            secrets.open_secret(_secret(cast))
        assert caught.value.code == "key_unavailable"
        kept = secrets.store(cast.contoso, SecretKind.CLIENT_SECRET, "sealed without it", set_by="web")
    assert b"sealed without it" not in bytes(kept.sealed)


@pytest.mark.parametrize("moved", ["other tenant", "other row", "other kind", "one bit"])
def test_a_value_opens_only_where_it_was_put(cast: Cast, moved: str) -> None:
    with scope.one(cast.contoso.id):
        secret = _secret(cast)
    with scope.one(cast.fabrikam.id):
        foreign = Secret.objects.select_related("key").get()
    if moved == "other tenant":
        foreign.sealed = secret.sealed
        target = foreign
    elif moved == "other row":
        with scope.one(cast.contoso.id):
            target = secrets.store(cast.contoso, SecretKind.CLIENT_SECRET, "another", set_by="x")
        target.sealed = secret.sealed
    elif moved == "other kind":
        secret.kind = SecretKind.CERTIFICATE_KEY
        target = secret
    else:
        flipped = bytearray(secret.sealed)
        flipped[-1] ^= 1
        secret.sealed = bytes(flipped)
        target = secret
    with scope.every("the row may be of either"), pytest.raises(UmpError) as caught:
        secrets.open_secret(target)
    assert caught.value.code == "secret_unreadable"


def test_a_swapped_public_key_is_noticed_before_anything_is_sealed(cast: Cast) -> None:
    with scope.one(cast.contoso.id):
        TenantKey.objects.update(public=Pair.new().public)
        with pytest.raises(UmpError) as caught:
            secrets.store(cast.contoso, SecretKind.CLIENT_SECRET, "for somebody else's key", set_by="web")
    assert caught.value.code == "secret_unreadable"


def test_nothing_in_the_database_or_the_trail_shows_the_value(cast: Cast) -> None:
    with scope.every("a dump, as a thief would have it"), connection.cursor() as cursor:
        for model in apps.get_models():
            cursor.execute(f"SELECT t::text FROM {model._meta.db_table} t")
            assert VALUE not in str(cursor.fetchall()), model
        cursor.execute("SELECT encode(sealed, 'escape') FROM tenants_secret")
        assert "secret~of" not in str(cursor.fetchall())


def test_one_table_holds_secrets(cast: Cast) -> None:
    """A column that sounds like a secret outside the one table is either a hash, a hint, or a mistake."""
    known = {
        ("tenants.Secret", "sealed"),
        ("tenants.Secret", "hint"),
        ("tenants.TenantKey", "wrapped_private"),
        ("tenants.ProviderSecret", "sealed"),
        ("tenants.ProviderSecret", "hint"),
        ("tenants.ProviderKey", "wrapped_private"),
        ("accounts.ApiToken", "digest"),
        ("invitations.Link", "token_hash"),
        ("accounts.Brand", "logo"),  # a picture
        ("sbc.Sbc", "rules_digest"),  # of the rules that were read
        ("provisioning.Plan", "digest"),  # of what a person decided on
        ("accounts.User", "password"),  # a hash
        ("mfa.Authenticator", "data"),  # under the web key, see accounts.adapters
    }
    suspicious = ("secret", "password", "token", "private", "credential", "sealed", "digest")
    for model in apps.get_models():
        for field in model._meta.get_fields():
            if not isinstance(field, models.Field) or field.is_relation:
                continue
            if isinstance(field, models.BinaryField) or any(word in field.name for word in suspicious):
                place = (model._meta.label, field.name)
                assert place in known or field.name in {"public", "public_mac", "fingerprint"}, place


def test_the_hint_shows_the_end_of_long_secrets_only(cast: Cast) -> None:
    with scope.one(cast.contoso.id):
        assert _secret(cast).hint == VALUE[-4:]
        assert secrets.store(cast.contoso, SecretKind.CLIENT_SECRET, "short one", set_by="x").hint == ""


def test_rotation_is_a_command_with_a_figure(cast: Cast, settings: Any, tmp_path: Path) -> None:
    new = keys.put_on_top(settings, tmp_path)
    with scope.every("the figure"):
        assert selectors.keys_behind(secrets.current_kek_id()) == 2
    command = rotate_keys(SYSTEM)
    settings.COMMAND_SLICE_SECONDS = 0  # one slice sees no time at all and must go on in the next
    with scope.every("a worker"):
        (held,) = states.claim("test", 1)
    runner._settle(held, runner.run_one(held))
    settings.COMMAND_SLICE_SECONDS = 5
    with scope.every("a worker"):
        (held,) = states.claim("test", 1)
    runner._settle(held, runner.run_one(held))
    with scope.every("the figure"):
        assert Command.objects.get(id=command.id).state == State.SUCCEEDED
        assert selectors.keys_behind(secrets.current_kek_id()) == 0
    Path(settings.KEK_FILE).write_text(f"k2 {base64.b64encode(new.private).decode()}\n")
    with scope.one(cast.contoso.id):
        assert secrets.open_secret(_secret(cast)) == VALUE, "the old key may go now"


def test_rotation_at_the_command_line(
    cast: Cast,
    settings: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(cli, "_set_up_django", lambda: None)
    keys.put_on_top(settings, tmp_path)
    assert cli.main(["keys", "rotate", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["kind"], told["state"], told["behind"]) == ("Rotate keys", "Queued", 2)
    with scope.every("a worker"):
        (held,) = states.claim("test", 1)
    runner._settle(held, runner.run_one(held))
    assert cli.main(["keys", "show", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"behind": 0}


def test_rotation_says_what_is_left_behind_where_a_worker_lacks_the_new_key(
    cast: Cast, settings: Any, tmp_path: Path
) -> None:
    former = settings.KEK_FILE
    keys.put_on_top(settings, tmp_path)
    settings.KEK_FILE = former  # not restarted, or its file was forgotten
    command = rotate_keys(SYSTEM)
    with scope.every("a worker"):
        (held,) = states.claim("test", 1)
    runner._settle(held, runner.run_one(held))
    with scope.every("the figure"):
        ended = Command.objects.get(id=command.id)
        assert selectors.keys_behind(secrets.current_kek_id()) == 2
    assert ended.error["code"] == "key_unavailable"
    assert ended.state == State.SUSPENDED, "somebody mends the file, and lets it go on"


def test_a_key_file_is_read_or_refused() -> None:
    for text in ("", "k1 not-base64!\n", "k1 c2hvcnQ=\n", "one two three\n"):
        path = Path(os.environ["UMP_KEK_FILE"]).with_name("broken")
        path.write_text(text)
        with pytest.raises(encryption.KeyMissing):
            Keyring.read(path)


def test_sealing_twice_never_gives_the_same_bytes() -> None:
    pair = Pair.new()
    first, second = (encryption.seal(pair.public, b"x", aad=b"a") for _ in range(2))
    assert first != second
    assert encryption.open_sealed(pair.private, first, aad=b"a") == b"x"
    with pytest.raises(CannotOpen):
        encryption.open_sealed(pair.private, first, aad=b"b")
    with pytest.raises(CannotOpen):
        encryption.open_sealed(pair.private, b"", aad=b"a")
