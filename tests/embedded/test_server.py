"""The embedded database: starts for anybody, is shared, and never outlives those who hold it."""

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg2
import pytest

from tests.embedded.conftest import Person, gone
from ump_portal import embedded
from ump_portal.embedded import cluster
from ump_portal.embedded.binaries import installed
from ump_portal.embedded.layout import SOCKET_PATH_LIMIT, SYSTEM_HOME, layout_for, own_directory
from ump_portal.embedded.roles import ROLES_SQL

FAST = {"fsync": "off"}


def ask(url: str, query: str) -> object:
    connection = psycopg2.connect(url)
    try:
        with connection.cursor() as cursor:
            cursor.execute(query)
            row = cursor.fetchone()
            return row[0] if row else None
    finally:
        connection.close()


def postmaster(server: embedded.Server) -> int:
    return int((server.home / "data" / "postmaster.pid").read_text().splitlines()[0])


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[embedded.Server]:
    """For tests that only look: making a database takes longer than they do."""
    root = tmp_path_factory.mktemp("running") / "database"
    with embedded.start(root, settings=FAST) as server:
        yield server
    embedded.remove(root)


class TestStart:
    def test_it_answers_both_roles_and_keeps_its_data(self, data_root: Path) -> None:
        with embedded.start(data_root, settings=FAST) as server:
            assert ask(server.url_app, "SELECT current_user") == "ump_app"
            assert ask(server.url_owner, "SELECT current_user") == "ump_owner"
            assert server.alive()
        assert not server.alive()
        with embedded.start(data_root, settings=FAST) as again:
            assert again.url_app == server.url_app

    def test_it_listens_on_no_port(self, running: embedded.Server) -> None:
        assert ask(running.url_app, "SHOW listen_addresses") == ""
        assert ask(running.url_app, "SHOW synchronous_commit") == "on"

    def test_a_wrong_password_is_refused(self, running: embedded.Server) -> None:
        wrong = running.url_app.replace("ump_app:", "ump_app:x")
        with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
            psycopg2.connect(wrong)

    def test_nothing_secret_is_shown_or_readable(self, running: embedded.Server) -> None:
        passwords = running.home / "passwords.json"
        assert passwords.stat().st_mode & 0o777 == 0o600
        assert (running.home / "data").stat().st_mode & 0o777 == 0o700
        assert running.socket_directory.stat().st_mode & 0o777 == 0o700
        assert "ump_app:" not in repr(running)
        assert not (running.socket_directory / "initdb.password").exists()

    def test_two_data_roots_are_two_databases(self, data_root: Path, tmp_path: Path) -> None:
        other = tmp_path / "other"
        try:
            with embedded.start(data_root, settings=FAST) as one, embedded.start(other, settings=FAST) as two:
                assert postmaster(one) != postmaster(two)
        finally:
            embedded.remove(other)

    def test_a_lost_password_file_is_said_and_nothing_is_thrown_away(self, data_root: Path) -> None:
        with embedded.start(data_root, settings=FAST) as server:
            pass
        (server.home / "passwords.json").unlink()
        with pytest.raises(embedded.EmbeddedError, match="cannot be opened"):
            embedded.start(data_root)
        assert (server.home / "data" / "PG_VERSION").exists()

    def test_data_of_another_release_is_refused(self, data_root: Path) -> None:
        with embedded.start(data_root, settings=FAST) as server:
            pass
        (server.home / "data" / "PG_VERSION").write_text("15\n")
        with pytest.raises(embedded.EmbeddedError, match="PostgreSQL 15, the programs are 18"):
            embedded.start(data_root)

    def test_a_half_made_data_directory_is_made_anew(self, data_root: Path) -> None:
        layout = layout_for(data_root)
        layout.create()
        own_directory(layout.home / "data.new", 0o700, layout.account)
        (layout.home / "data.new" / "PG_VERSION").touch()
        with embedded.start(data_root, settings=FAST) as server:
            assert ask(server.url_app, "SELECT 1") == 1

    def test_a_setting_that_postgresql_refuses_is_told_in_its_words(self, data_root: Path) -> None:
        with pytest.raises(embedded.EmbeddedError, match="unrecognized configuration parameter"):
            embedded.start(data_root, settings={"no_such_setting": "1"})
        with embedded.start(data_root, settings=FAST) as server:
            assert server.alive()


class TestRoles:
    def test_the_app_role_passes_no_policy_and_owns_nothing(self, running: embedded.Server) -> None:
        facts = (
            "SELECT rolsuper OR rolbypassrls OR rolcreatedb OR rolcreaterole FROM pg_roles WHERE rolname = "
        )
        assert ask(running.url_app, facts + "'ump_app'") is False
        assert ask(running.url_app, facts + "'ump_every'") is False
        owner = "SELECT rolbypassrls AND rolcreatedb AND NOT rolsuper FROM pg_roles WHERE rolname = "
        assert ask(running.url_app, owner + "'ump_owner'") is True
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            ask(running.url_app, "CREATE TABLE public.mine (id int)")

    def test_every_tenant_must_be_asked_for_by_name(self, running: embedded.Server) -> None:
        member = "SELECT pg_has_role('ump_app', 'ump_every', '{}')"
        assert ask(running.url_app, member.format("USAGE")) is False
        assert ask(running.url_app, member.format("SET")) is True
        assert ask(running.url_app, "SET LOCAL ROLE ump_every; SELECT current_user") == "ump_every"

    def test_the_owner_can_make_a_test_database(self, running: embedded.Server) -> None:
        connection = psycopg2.connect(running.url_owner)
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute("CREATE DATABASE test_ump")
            cursor.execute("DROP DATABASE test_ump")
        connection.close()

    def test_psql_runs_the_same_file_as_often_as_it_likes(self, running: embedded.Server) -> None:
        """As docker-compose's PostgreSQL does."""
        psql = [str(installed() / "bin" / "psql"), "--set=ON_ERROR_STOP=1", "--quiet"]
        for _ in range(2):
            done = subprocess.run(
                [*psql, f"--file={ROLES_SQL}", running.url_admin],
                capture_output=True,
                text=True,
                check=False,
            )
            assert (done.returncode, "ERROR" in done.stderr) == (0, False)


class TestHolding:
    def test_a_second_start_joins_and_the_last_to_let_go_ends_it(self, data_root: Path) -> None:
        first = embedded.start(data_root, settings=FAST)
        pid = postmaster(first)
        second = embedded.start(data_root)
        assert postmaster(second) == pid
        assert first.stop() is False
        assert ask(second.url_app, "SELECT 1") == 1
        assert second.stop() is True
        assert gone(pid, 0)
        assert second.stop() is False

    def test_ten_processes_start_the_same_database_at_once(self, ourselves: Person, data_root: Path) -> None:
        holders = [ourselves.hold(data_root) for _ in range(10)]
        assert len({holder.answer()["pid"] for holder in holders}) == 1
        assert [holder.stop() for holder in holders].count(True) == 1

    def test_a_forked_child_does_not_hold(self, data_root: Path) -> None:
        server = embedded.start(data_root, settings=FAST)
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:  # waits for the end of the pipe, then goes without any clean-up
            os.close(writer)
            os.read(reader, 1)
            os._exit(0)
        try:
            assert server.stop() is True
        finally:
            os.close(writer)
            os.close(reader)
            os.waitpid(child, 0)

    def test_a_running_database_is_not_removed(self, data_root: Path) -> None:
        with (
            embedded.start(data_root, settings=FAST) as server,
            pytest.raises(embedded.EmbeddedError, match="is running"),
        ):
            embedded.remove(data_root)
        assert (server.home / "data").exists()


class TestDeath:
    def test_kill_9_of_the_holder_ends_the_server(self, ourselves: Person, data_root: Path) -> None:
        holder = ourselves.hold(data_root)
        pid = holder.answer()["pid"]
        holder.process.send_signal(signal.SIGKILL)
        assert gone(pid)

    def test_kill_9_of_one_of_two_leaves_it_to_the_other(self, ourselves: Person, data_root: Path) -> None:
        first = ourselves.hold(data_root)
        pid = first.answer()["pid"]
        with embedded.start(data_root) as second:
            first.end()
            assert ask(second.url_app, "SELECT 1") == 1
            assert postmaster(second) == pid

    def test_kill_9_of_the_watchdog_ends_the_server(self, data_root: Path) -> None:
        server = embedded.start(data_root, settings=FAST)
        pid = postmaster(server)
        watchdog = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        os.kill(watchdog, signal.SIGKILL)
        assert gone(pid)
        assert not server.alive()
        assert server.stop() is False
        with embedded.start(data_root, settings=FAST) as again:
            assert again.alive()

    def test_a_crashed_server_is_noticed_and_starts_again(self, data_root: Path) -> None:
        server = embedded.start(data_root, settings=FAST)
        pid = postmaster(server)
        os.kill(pid, signal.SIGKILL)
        assert gone(pid)
        with embedded.start(data_root, settings=FAST) as again:
            assert ask(again.url_app, "SELECT 1") == 1
        server.stop()

    def test_what_outlives_a_crashed_server_does_not_stop_the_next(
        self, data_root: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A busy process of it holds on to its shared memory; stopped, it heeds nothing but the last signal."""
        monkeypatch.setattr(cluster, "LEFT_OVER_SECONDS", 0.2)
        server = embedded.start(data_root, settings=FAST)
        connection = psycopg2.connect(server.url_app)
        left = connection.info.backend_pid
        os.kill(left, signal.SIGSTOP)
        os.kill(postmaster(server), signal.SIGKILL)
        server._holder.recv(1)  # its watchdog has noticed
        with embedded.start(data_root, settings=FAST) as again:
            assert ask(again.url_app, "SELECT 1") == 1
        assert gone(left, 0)
        connection.close()

    def test_a_pid_file_with_a_stranger_in_it_does_not_stop_the_start(self, data_root: Path) -> None:
        with embedded.start(data_root, settings=FAST) as server:
            lines = (server.home / "data" / "postmaster.pid").read_text().splitlines()
        stale = server.home / "data" / "postmaster.pid"
        stale.write_text("\n".join([str(os.getppid()), *lines[1:]]) + "\n")
        found = (server.home / "data").stat()
        os.chown(stale, found.st_uid, found.st_gid)
        stale.chmod(0o600)
        with embedded.start(data_root, settings=FAST) as again:
            assert again.alive()


class TestAccounts:
    def test_an_ordinary_account_keeps_everything_in_its_own_directory(self, ordinary: Person) -> None:
        root = ordinary.directory / "var" / "database"
        holder = ordinary.hold(root)
        facts = holder.answer()
        assert facts.get("home") == str(root), facts
        owner = ordinary.directory.stat().st_uid
        assert Path(f"/proc/{facts['pid']}").stat().st_uid == owner
        holder.process.send_signal(signal.SIGKILL)
        assert gone(facts["pid"])
        again = ordinary.hold(root)
        assert again.answer()["url"] == facts["url"]
        assert again.stop() is True

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root can be refused by PostgreSQL")
    def test_root_gives_the_server_to_an_account_without_rights(
        self, data_root: Path, permissions: Callable[[Path], dict[Path, tuple[int, int, int]]]
    ) -> None:
        data_root.parent.chmod(0o700)
        watched = (data_root.parent, SYSTEM_HOME.parent, Path.home())
        before = [permissions(path) for path in watched]
        with embedded.start(data_root, settings=FAST) as server:
            assert server.home.is_relative_to(SYSTEM_HOME)
            owner = Path(f"/proc/{postmaster(server)}").stat().st_uid
            assert owner not in {0, os.geteuid()}
            assert [permissions(path) for path in watched] == before
            assert not data_root.exists()

    @pytest.mark.skipif(os.geteuid() != 0, reason="needs a second account, which only root can take")
    def test_a_directory_that_somebody_else_put_there_is_refused(self, tmp_path: Path) -> None:
        taken = tmp_path / "taken"
        taken.mkdir()
        os.chown(taken, 12345, 12345)
        link = tmp_path / "link"
        link.symlink_to(tmp_path)
        for path in (taken, link):
            with pytest.raises(embedded.EmbeddedError, match="belongs to somebody else"):
                own_directory(path, 0o700)
        assert taken.stat().st_uid == 12345

    def test_a_directory_appears_only_when_it_is_whole(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Between making it and giving it away, another start must not take it for a stranger's."""
        path = tmp_path / "run"
        give_away = os.chown

        def in_between(target: Path, uid: int, gid: int) -> None:
            assert not path.exists()
            monkeypatch.undo()
            own_directory(path, 0o700)  # the other start, faster than we are
            give_away(target, uid, gid)

        monkeypatch.setattr(os, "chown", in_between)
        own_directory(path, 0o711)
        assert [entry.name for entry in tmp_path.iterdir()] == ["run"]

    def test_a_directory_that_cannot_be_made_says_why(self, tmp_path: Path) -> None:
        with pytest.raises(embedded.EmbeddedError, match=r"cannot be made .*No such file"):
            own_directory(tmp_path / "missing" / "run", 0o700)
        assert list(tmp_path.iterdir()) == []

    def test_a_long_path_gets_its_socket_elsewhere(self, ordinary: Person) -> None:
        root = ordinary.directory / ("long-" * 20) / ("name-" * 20)
        holder = ordinary.hold(root, TMPDIR=str(ordinary.directory))
        facts = holder.answer()
        assert facts.get("home") == str(root), facts
        sockets = list(ordinary.directory.glob("ump-*/.s.PGSQL.5432"))
        assert len(sockets) == 1
        assert len(os.fsencode(sockets[0])) <= SOCKET_PATH_LIMIT
        assert holder.stop() is True

    def test_no_short_directory_is_said_and_not_guessed(self, ordinary: Person) -> None:
        long = ordinary.directory / ("x" * 100)
        long.mkdir(mode=0o777)
        long.chmod(0o777)
        holder = ordinary.hold(long / "database", TMPDIR=str(long))
        assert "Set TMPDIR to a short directory" in holder.answer().get("error", "")
