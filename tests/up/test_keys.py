"""The key files: made once, readable by their owner only, never changed."""

from pathlib import Path

import pytest

from core.encryption import KeyMissing, Keyring, Pair
from ump_portal.keys import key_files


def test_they_are_made_once(tmp_path: Path) -> None:
    first = key_files(tmp_path / "keys")
    contents = {path: path.read_text() for path in (first.kek, first.kek_public, first.web, first.secret)}
    again = key_files(tmp_path / "keys")
    assert again == first
    assert {path: path.read_text() for path in contents} == contents


def test_only_their_owner_reads_them_and_nobody_writes(tmp_path: Path) -> None:
    files = key_files(tmp_path / "keys")
    assert (tmp_path / "keys").stat().st_mode & 0o777 == 0o700
    for path in (files.kek, files.kek_public, files.web, files.secret):
        assert path.stat().st_mode & 0o777 == 0o400
    assert sorted(path.name for path in (tmp_path / "keys").iterdir()) == [
        "kek",
        "kek.pub",
        "secret_key",
        "web.key",
    ]


def test_the_public_half_belongs_to_the_private_one_and_is_made_again(tmp_path: Path) -> None:
    files = key_files(tmp_path / "keys")
    private, public = Keyring.read(files.kek), Keyring.read(files.kek_public)
    assert private.current == public.current
    assert Pair.of(private[private.current]).public == public[public.current]
    before = files.kek_public.read_text()
    files.kek_public.unlink()
    assert key_files(tmp_path / "keys").kek_public.read_text() == before


def test_the_kek_is_given_to_workers_only(tmp_path: Path) -> None:
    files = key_files(tmp_path / "keys")
    assert "UMP_KEK_FILE" not in files.shared()
    assert str(files.kek) not in files.shared().values()
    assert files.workers() == {"UMP_KEK_FILE": str(files.kek)}
    assert len(files.shared()["SECRET_KEY"]) >= 50


def test_two_installations_share_no_key(tmp_path: Path) -> None:
    one, two = key_files(tmp_path / "one"), key_files(tmp_path / "two")
    assert one.kek.read_text() != two.kek.read_text()
    assert one.shared()["SECRET_KEY"] != two.shared()["SECRET_KEY"]


def test_a_damaged_key_file_is_said_and_left_alone(tmp_path: Path) -> None:
    files = key_files(tmp_path / "keys")
    files.kek.unlink()
    files.kek.write_text("not a key\n")
    files.kek_public.unlink()
    with pytest.raises(KeyMissing, match="kek"):
        key_files(tmp_path / "keys")
    assert files.kek.read_text() == "not a key\n"
