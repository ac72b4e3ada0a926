"""The supervisor: children are shown, started again, ended in order, and never left behind."""

import io
import os
import select
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from ump_portal import guard
from ump_portal.supervisor import Child, Console, Ended, Process, Supervisor

CHECKOUT = Path(__file__).parent.parent.parent
SECONDS = 30.0


def python(name: str, script: str, *, patience: float = 10.0) -> Process:
    command = [sys.executable, "-c", textwrap.dedent(script)]
    return Process(name, command, {"PATH": "/usr/bin:/bin", "PYTHONUNBUFFERED": "1"}, patience=patience)


def forever(name: str, *, on_term: str = "sys.exit(0)", patience: float = 10.0) -> Process:
    script = f"""
        import signal, sys
        def end(*_):
            print("bye")
            {on_term}
        signal.signal(signal.SIGTERM, end)
        print("ready")
        while True:
            signal.pause()
    """
    return python(name, script, patience=patience)


@pytest.fixture
def shown() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def supervisor(shown: io.StringIO, tmp_path: Path) -> Supervisor:
    return Supervisor(Console(shown, colour=False), directory=tmp_path)


def count(shown: io.StringIO, text: str) -> int:
    return shown.getvalue().count(text)


def gone(pid: int, seconds: float = SECONDS) -> bool:
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([handle], [], [], seconds)[0])
    finally:
        os.close(handle)


class TestRun:
    def test_its_lines_are_shown_with_its_name(self, supervisor: Supervisor, shown: io.StringIO) -> None:
        with supervisor:
            supervisor.run(python("job", "print('one'); print('two', end='')"))
        assert shown.getvalue() == "      job | one\n      job | two\n"

    def test_its_output_can_be_kept_instead(self, supervisor: Supervisor, shown: io.StringIO) -> None:
        script = "import sys; print('kept'); print('a warning', file=sys.stderr)"
        with supervisor:
            assert supervisor.run(python("job", script), keep_output=True) == "kept"
        assert shown.getvalue() == "      job | a warning\n"

    def test_a_failure_is_raised_and_what_it_said_is_shown(
        self, supervisor: Supervisor, shown: io.StringIO
    ) -> None:
        with supervisor, pytest.raises(subprocess.CalledProcessError) as failure:
            supervisor.run(python("job", "print('why'); raise SystemExit(3)"), keep_output=True)
        assert failure.value.returncode == 3
        assert "job | why" in shown.getvalue()

    def test_the_end_can_be_asked_for_meanwhile(self, supervisor: Supervisor) -> None:
        script = "import os, signal; os.kill(os.getppid(), signal.SIGINT); signal.pause()"
        with supervisor, pytest.raises(Ended):
            supervisor.run(python("job", script))

    def test_much_output_and_a_line_without_end_arrive_whole(
        self, supervisor: Supervisor, shown: io.StringIO
    ) -> None:
        with supervisor:
            supervisor.run(python("job", "print('x' * 200_000); print('y\\n' * 5_000)"))
        assert count(shown, "x") == 200_000
        assert count(shown, "y\n") == 5_000

    def test_bytes_that_are_no_text_do_no_harm(self, supervisor: Supervisor, shown: io.StringIO) -> None:
        with supervisor:
            supervisor.run(python("job", "import os; os.write(1, bytes([0xff, 0x0a]))"))
        assert "job | \ufffd" in shown.getvalue()


class TestChildren:
    def test_they_end_in_the_opposite_order(self, supervisor: Supervisor, shown: io.StringIO) -> None:
        with supervisor:
            for name in ("first", "second"):
                supervisor.start(forever(name))
            assert supervisor.wait_for(lambda: count(shown, "ready") == 2, SECONDS)
        ends = [line.strip() for line in shown.getvalue().splitlines() if "ready" not in line]
        assert ends == ["up | ending second", "second | bye", "up | ending first", "first | bye"]

    def test_one_that_ends_by_itself_is_started_again(
        self, supervisor: Supervisor, shown: io.StringIO, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("ump_portal.supervisor.FIRST_PAUSE_SECONDS", 0.01)
        with supervisor:
            supervisor.start(python("short", "print('here'); raise SystemExit(1)"))
            assert supervisor.wait_for(lambda: count(shown, "here") >= 3, SECONDS)
        assert "short | ended with code 1; starts again in" in shown.getvalue()

    def test_one_that_is_killed_is_started_again(
        self, supervisor: Supervisor, shown: io.StringIO, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("ump_portal.supervisor.FIRST_PAUSE_SECONDS", 0.01)
        with supervisor:
            child = supervisor.start(forever("victim"))
            assert supervisor.wait_for(lambda: count(shown, "ready") == 1, SECONDS)
            assert child.popen is not None
            child.popen.kill()
            assert supervisor.wait_for(lambda: count(shown, "ready") == 2, SECONDS)
        assert "was killed by SIGKILL" in shown.getvalue()

    def test_the_pauses_grow_and_start_anew_after_a_good_run(self, monkeypatch: pytest.MonkeyPatch) -> None:
        now = [1000.0]
        monkeypatch.setattr("ump_portal.supervisor.time.monotonic", lambda: now[0])
        child = Child(forever("child"))
        child.started_at = now[0]
        assert [child.pause() for _ in range(7)] == [1, 2, 4, 8, 16, 30, 30]
        now[0] += 61
        assert child.pause() == 1

    def test_one_that_does_not_heed_is_killed(self, supervisor: Supervisor, shown: io.StringIO) -> None:
        with supervisor:
            child = supervisor.start(forever("deaf", on_term="pass", patience=0.2))
            assert supervisor.wait_for(lambda: count(shown, "ready") == 1, SECONDS)
            assert child.popen is not None
            pid = child.popen.pid
        assert "killing deaf" in shown.getvalue()
        assert gone(pid, 0)

    def test_being_asked_twice_waits_for_nobody(self, supervisor: Supervisor, shown: io.StringIO) -> None:
        with supervisor:
            supervisor.start(forever("deaf", on_term="pass", patience=600))
            assert supervisor.wait_for(lambda: count(shown, "ready") == 1, SECONDS)
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGTERM)
            supervisor.serve(lambda: None)
        assert "killing deaf" in shown.getvalue()

    def test_what_a_child_left_behind_goes_with_it(self, supervisor: Supervisor, shown: io.StringIO) -> None:
        script = """
            import subprocess, sys
            left = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"])
            print("left", left.pid)
        """
        with supervisor:
            supervisor.run(python("parent", script))
        assert gone(int(shown.getvalue().split()[-1]), 5)

    def test_signals_are_given_back(self, supervisor: Supervisor) -> None:
        before = signal.getsignal(signal.SIGTERM)
        with supervisor:
            assert signal.getsignal(signal.SIGTERM) != before
        assert signal.getsignal(signal.SIGTERM) == before

    def test_waiting_ends_after_its_time(self, supervisor: Supervisor) -> None:
        with supervisor:
            assert supervisor.wait_for(lambda: False, 0.01) is False


class TestDeath:
    SCRIPT = """
        import sys, textwrap
        from pathlib import Path
        from ump_portal.supervisor import Console, Process, Supervisor
        child = '''
            import os, signal, subprocess, sys
            signal.signal(signal.SIGTERM, signal.{heed})
            deeper = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"])
            print("pids", os.getpid(), deeper.pid)
            signal.pause()
        '''
        command = [sys.executable, "-u", "-c", textwrap.dedent(child)]
        with Supervisor(Console(sys.stdout), directory=Path("/")) as supervisor:
            supervisor.start(Process("child", command, {{"PATH": "/usr/bin"}}))
            supervisor.serve(lambda: None)
    """

    def start(self, heed: str) -> tuple[subprocess.Popen[str], list[int]]:
        process = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(self.SCRIPT).format(heed=heed)],
            stdout=subprocess.PIPE,
            text=True,
            env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(CHECKOUT)},
            start_new_session=True,
        )
        assert process.stdout is not None
        assert select.select([process.stdout], [], [], SECONDS)[0]
        return process, [int(word) for word in process.stdout.readline().split()[-2:]]

    def test_kill_9_of_the_supervisor_ends_its_children_and_theirs(self) -> None:
        process, pids = self.start("SIG_DFL")
        with process:
            process.kill()
        assert all(gone(pid, 10) for pid in pids)

    def test_sigterm_ends_it_with_code_0(self) -> None:
        process, pids = self.start("SIG_DFL")
        with process:
            process.terminate()
            assert process.wait(SECONDS) == 0
        assert all(gone(pid, 5) for pid in pids)


class TestGuard:
    def test_it_knows_the_groups_that_are_left(self) -> None:
        assert guard.groups_left(["+10\n", "+11\n", "-10\n", "+12\n", "junk\n", "-99\n"]) == [11, 12]
        assert guard.groups_left([]) == []

    def test_it_kills_those_who_do_not_heed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(guard, "PATIENCE_SECONDS", 0.2)
        script = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True); signal.pause()"
        with subprocess.Popen(
            [sys.executable, "-c", script], stdout=subprocess.PIPE, process_group=0
        ) as deaf:
            assert deaf.stdout is not None
            deaf.stdout.readline()
            guard.end([deaf.pid])
            assert deaf.wait(SECONDS) == -signal.SIGKILL


class TestConsole:
    def test_names_are_coloured_on_a_terminal_only(self) -> None:
        plain, coloured = io.StringIO(), io.StringIO()
        Console(plain).line("web", "hello")
        Console(coloured, colour=True).line("web", "hello")
        assert plain.getvalue() == "      web | hello\n"
        assert coloured.getvalue() == "\x1b[36m      web | \x1b[0mhello\n"

    def test_a_reader_that_went_away_does_not_end_the_work(self) -> None:
        class Closed(io.StringIO):
            def write(self, text: str) -> int:
                raise BrokenPipeError

        Console(Closed()).line("web", "hello")
