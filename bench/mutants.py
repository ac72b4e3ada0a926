"""Takes each door, scope, row policy, permission and fence away in turn: does a test notice?

    .venv/bin/python bench/mutants.py --sample 100 --seed 1
    .venv/bin/python bench/mutants.py --only policy fence --json mutants.json

What is committed is copied to a folder that is thrown away; the tree itself is never touched. One embedded
PostgreSQL and one migrated database serve all mutants: each gets a copy of it, in a fork of a pytest that has
imported and collected everything (grafting.py puts the mutant in). The tests of a room run once without any mutant,
and tell which of them reach which; a mutant is judged by those alone, the quickest first. In the end each test that
noticed one runs once more with the same functions put in unchanged: what fails then has noticed nothing. The exit
status is 0 only when every one was noticed. With --json what was found out is kept after each mutant, and --resume
goes on from there: it tries what no test has noticed yet. See README.md.
"""

import argparse
import atexit
import contextlib
import dataclasses
import json
import multiprocessing
import os
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

sys.path.pop(0)  # bench/ itself: its queue.py is not Python's
HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import pytest  # noqa: E402  after the path
from _pytest.main import pytest_runtestloop as run_the_tests  # noqa: E402  as above

from bench.grafting import Late, Nursery  # noqa: E402  as above
from bench.mutating import KINDS, Mutant, find  # noqa: E402  as above

TEMPLATE = "ump_mutants_template"
KILLED, SURVIVED, BROKEN, LATE = "killed", "SURVIVED", "broken", "late"
UNUSED = ("randomly", "playwright", "xdist", "xdist.looponfail", "schemathesis", "anyio", "cacheprovider")
ARGUMENTS = ["-q", "-s", "-W", "ignore::pytest.PytestAssertRewriteWarning", "--no-header", "--tb=line"]
ARGUMENTS += [word for one in UNUSED for word in ("-p", f"no:{one}")]
MOST_SECONDS = 20.0
"""A test that takes longer judges nothing."""

SERVER = """
import sys
from pathlib import Path
from ump_portal import embedded
careless = dict.fromkeys(["fsync", "synchronous_commit", "full_page_writes"], "off")
server = embedded.start(Path(sys.argv[1]), settings=careless)
print(server.url_app, server.url_owner, flush=True)
sys.stdin.read()
server.stop()
embedded.remove(Path(sys.argv[1]))
"""
MIGRATED = f"""
import django, os
os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
django.setup()
from django.db import connections
owner = connections["owner"]
owner.settings_dict["TEST"]["NAME"] = "{TEMPLATE}"
owner.creation.create_test_db(verbosity=0, autoclobber=True, serialize=False)
owner.close()
"""


@dataclasses.dataclass
class Verdict:
    """`by` is the first test that noticed; times in seconds; `commit` is what was looked at."""

    mutant: Mutant
    state: str
    by: str = ""
    seconds: float = 0.0
    commit: str = ""

    def as_json(self) -> dict[str, object]:
        fields = {name: getattr(self.mutant, name) for name in ("kind", "place", "what")}
        seconds = round(self.seconds, 1)
        return {**fields, "state": self.state, "by": self.by, "seconds": seconds, "commit": self.commit}


class Notes:
    """What earlier runs found out, in the file of --json: what was noticed, and which tests reach what."""

    def __init__(self, wish: argparse.Namespace, commit: str) -> None:
        self.path, self.commit = wish.json, commit
        self.choice = [sorted(wish.only), wish.path, wish.sample, wish.seed]
        self.tried: dict[tuple[str, ...], list[dict[str, Any]]] = {}
        self.places: dict[str, dict[str, Any]] = {}
        if wish.resume and wish.json and wish.json.exists():
            told = json.loads(wish.json.read_text())
            for one in sorted(told["mutants"], key=lambda one: int(one["place"].rpartition(":")[2])):
                self.tried.setdefault(_words(one), []).append(one)
            same = (told["commit"], told["choice"]) == (commit, self.choice)
            self.places = told["places"] if same else {}

    def known(self, mutant: Mutant) -> Verdict | None:
        """What was noticed. Lines may have moved since; the first of several alike stands for the first again."""
        alike = self.tried.get(_words({"kind": mutant.kind, "place": mutant.place, "what": mutant.what}))
        if not alike:
            return None
        one = alike.pop(0)
        if one["state"] != KILLED:
            return None
        return Verdict(mutant, KILLED, one["by"], one["seconds"], one["commit"])

    def keep(self, verdicts: list[Verdict]) -> None:
        told = {"commit": self.commit, "choice": self.choice, "places": self.places}
        told["mutants"] = [one.as_json() for one in verdicts]
        if self.path:
            new = self.path.with_suffix(".new")
            new.write_text(json.dumps(told, indent=1))
            new.replace(self.path)


def _words(one: dict[str, Any]) -> tuple[str, ...]:
    return one["kind"], one["place"].rpartition(":")[0], one["what"]


class Plugin:
    """Inside of pytest: a database that is copied and not migrated, the tests that matter, and what they say.

    With `serve` it runs nothing itself, but gives the session to that.
    """

    def __init__(
        self, notes: Path, mutant: Mutant | None = None, serve: Callable[..., None] | None = None
    ) -> None:
        self.notes, self.serve = notes, serve
        self.sql, self.view = (mutant.sql, mutant.view) if mutant else ("", "")
        self.reached: set[int] = set()
        self.told: dict[str, Any] = {"failed": [], "passed": 0, "broken": "", "tests": {}}

    @pytest.hookimpl(tryfirst=True)
    def pytest_configure(self) -> None:
        from django.db.backends.postgresql.creation import DatabaseCreation

        def create_test_db(creation: Any, *_args: object, **_options: object) -> str:
            name = creation._get_test_db_name()
            with creation._nodb_cursor() as cursor:
                cursor.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
                cursor.execute(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}")
            creation.connection.close()
            creation.connection.settings_dict["NAME"] = name
            if self.sql:
                with creation.connection.cursor() as cursor:
                    cursor.execute(self.sql)
            return str(name)

        DatabaseCreation.create_test_db = create_test_db

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        """Of the matrix only the routes behind this door, where it is one; of the rest what drives no browser."""
        behind = _routes_to(self.view) if self.view else None
        kept = [item for item in items if _matters(item, behind)]
        config.hook.pytest_deselected(items=[item for item in items if item not in kept])
        # The likeliest first again: pytest-django puts what needs a database before everything else.
        guards = list(config.args)
        items[:] = sorted(kept, key=lambda item: [item.nodeid.startswith(one) for one in guards].index(True))

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.note(broken=str(report.longrepr)[-500:])

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool | None:
        if self.serve is None:
            return None
        self.serve(session)
        return True

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        seconds, reached = self.told["tests"].get(report.nodeid, (0.0, []))
        self.told["tests"][report.nodeid] = (seconds + report.duration, sorted({*reached, *self.reached}))
        self.reached.clear()
        if report.failed:
            print(report.nodeid, report.longreprtext)  # for the log
            self.note(failed=[*self.told["failed"], report.nodeid])
        elif report.when == "call":
            self.told["passed"] += 1

    def pytest_sessionfinish(self, exitstatus: int) -> None:
        self.note(status=int(exitstatus))

    def note(self, **more: Any) -> None:
        self.told |= more
        self.notes.write_text(json.dumps(self.told))


def _routes_to(view: str) -> set[str]:
    """The routes that lead to a view of this name, or to a class that comes of it."""
    from tests.walls.routes import _walk, get_resolver  # type: ignore[attr-defined]  # it is imported there

    found = set()
    for pattern, entry in _walk("", get_resolver()):
        callback: Any = entry.callback
        kind = getattr(callback, "view_class", getattr(callback, "cls", None))
        names = {one.__name__ for one in kind.__mro__} if kind else {getattr(callback, "__name__", "")}
        if view in names:
            found.add(pattern)
    return found


def _matters(item: pytest.Item, behind: set[str] | None) -> bool:
    file = item.nodeid.partition("::")[0]
    if item.get_closest_marker("browser") or item.get_closest_marker("slow") or "browser" in file:
        return False
    route = getattr(item, "callspec", None) and item.callspec.params.get("route")  # type: ignore[attr-defined]  # a function's
    return behind is None or not hasattr(route, "pattern") or route.pattern in behind


class Field:
    """The copy, the database, and one fork for each mutant: of a process that has imported all, or nothing, of it."""

    def __init__(self, root: Path, place: Path, commit: str) -> None:
        self.place, self.copy = place, place / "tree"
        self.notes = place / "notes.json"
        self.copy.mkdir()
        archive = subprocess.Popen(["git", "archive", commit], cwd=root, stdout=subprocess.PIPE)
        subprocess.run(["tar", "-x"], cwd=self.copy, stdin=archive.stdout, check=True)
        archive.wait()
        listed = ["git", "ls-tree", "-r", "--name-only", commit]
        self.paths = subprocess.check_output(listed, cwd=root, text=True).splitlines()
        environment = {**os.environ, "PYTHONPATH": str(self.copy)}
        self.server = subprocess.Popen(
            [sys.executable, "-c", SERVER, str(place / "data")],
            cwd=self.copy, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self.server.stdout is not None
        app, owner = self.server.stdout.readline().split()
        urls = {"DATABASE_URL": app, "DATABASE_OWNER_URL": owner}
        os.environ.update(urls)
        subprocess.run([sys.executable, "-c", MIGRATED], cwd=self.copy, env=environment | urls, check=True)
        _imported()

    def close(self) -> None:
        if hasattr(self, "line"):
            self.line.close()
            os.waitpid(self.nurse, 0)
        assert self.server.stdin is not None
        self.server.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.server.wait(60)

    def open_nursery(self, mutants: list[Mutant]) -> None:
        """Imports the product, and collects the tests that may judge a mutant in there. See grafting.py."""
        wanted = {place for mutant in mutants for place in mutant.first + mutant.reaching}
        there = {place for place in wanted if (self.copy / place.partition("::")[0]).exists()}
        places = sorted(one for one in there if not any(_below(one, other) for other in there - {one}))
        self.line, theirs = multiprocessing.Pipe()
        self.nurse = os.fork()
        if self.nurse == 0:
            self.line.close()
            work = lambda: _nurse(self, theirs, mutants, places)  # noqa: E731  it is handed on
            _in_fork(self.copy, self.place / "nursery.log", work)
        theirs.close()
        told = self.line.recv()
        if told.get("broken"):
            raise RuntimeError(told["broken"])
        self.tests: list[str] = told["tests"]
        self.early: set[int] = set(told["early"])

    def warm(self, tests: list[str], *numbers: int, **wish: Any) -> dict[str, Any]:
        """What these tests say of a mutant, or of none, in a fork of what was imported."""
        self.line.send({"tests": tests, "numbers": numbers, **wish})
        found: dict[str, Any] = self.line.recv()
        return found

    def cold(self, guards: list[str], mutant: Mutant, deadline: float) -> dict[str, Any]:
        """The same by a pytest that imports everything anew, and so sees what a module does when imported."""
        there = [one for one in guards if (self.copy / one.partition("::")[0]).exists()]
        with self.written(mutant):
            return self.awaited(
                self.place / "cold.log", lambda: _carry_out(self.notes, there, mutant), deadline
            )

    @contextlib.contextmanager
    def written(self, mutant: Mutant) -> Iterator[None]:
        """For tests that read the source, and for what is imported later."""
        path = self.copy / mutant.path
        original, at = path.read_bytes(), path.stat().st_mtime_ns
        path.write_bytes(mutant.applied(original))
        try:
            yield
        finally:
            path.write_bytes(original)
            os.utime(path, ns=(at, at))  # so that what was compiled of it is used again

    def awaited(self, log: Path, work: Callable[[], int], deadline: float) -> dict[str, Any]:
        """What a fork noted that does this work, and whether it was ended, because the time was up."""
        self.notes.unlink(missing_ok=True)
        begun = time.monotonic()
        pid = os.fork()
        if pid == 0:
            _in_fork(self.copy, log, work)
        ended, late = 0, False
        while not ended and not late:
            time.sleep(0.01)
            ended, _ = os.waitpid(pid, os.WNOHANG)
            late = time.monotonic() - begun > deadline
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)
        if not ended:
            os.waitpid(pid, 0)
        told: dict[str, Any] = {"broken": " ".join(log.read_text(errors="replace").split())[-300:]}
        with contextlib.suppress(OSError, ValueError):
            told = json.loads(self.notes.read_text())
        return told | {"late": not ended}


def _imported() -> None:
    """What all forks need, imported once; nothing of the product, which a mutant may have changed."""
    import celery  # noqa: F401
    import cryptography.x509  # noqa: F401
    import django.db.models  # noqa: F401
    import dns.resolver  # noqa: F401
    import hypothesis  # noqa: F401
    import msal  # noqa: F401
    import psycopg2  # noqa: F401
    import pytest_django.plugin  # noqa: F401
    import requests  # noqa: F401
    import responses  # noqa: F401


def _in_fork(copy: Path, log: Path, work: Callable[[], int]) -> None:
    """A process group of its own, in the copy, that says all it says to this file; never back.

    Nothing registered with atexit runs, unless the work does it: it might be the parent's.
    """
    code = 3
    try:
        os.setpgid(0, 0)
        os.chdir(copy)
        told = os.open(log, os.O_CREAT | os.O_TRUNC | os.O_WRONLY)
        os.dup2(told, 1)
        os.dup2(told, 2)
        code = work()
    except BaseException:  # noqa: BLE001  whatever it was, the fork must not go on as its parent
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(code)


def _as_if_new(copy: Path) -> None:
    """Imports come from the copy."""
    sys.stdin.close()
    for name in [name for name in sys.modules if name == "bench" or name.startswith("bench.")]:
        del sys.modules[name]
    sys.path[:] = [str(copy), *(one for one in sys.path if not (Path(one) / "ump_portal").is_dir())]


def _carry_out(notes: Path, guards: list[str], mutant: Mutant) -> int:
    _as_if_new(Path.cwd())
    sys.dont_write_bytecode = True
    code = int(pytest.main([*ARGUMENTS, "-x", *guards], plugins=[Plugin(notes, mutant)]))
    atexit._run_exitfuncs()
    return code


def _nurse(field: Field, line: Any, mutants: list[Mutant], places: list[str]) -> int:
    _as_if_new(field.copy)
    nursery = Nursery(field.copy, mutants)
    nursery.watch()

    def serve(session: pytest.Session) -> None:
        from django.db import connections

        connections.close_all()
        nursery.settle()
        sys.dont_write_bytecode = True  # from now on a file may be a mutant
        line.send({"tests": [item.nodeid for item in session.items], "early": sorted(nursery.early)})
        items = {item.nodeid: item for item in session.items}
        with contextlib.suppress(EOFError):
            while True:
                wish = line.recv()
                session.items = [items[one] for one in wish["tests"]]
                line.send(_judge(field, session, nursery, plugin, wish))

    plugin = Plugin(field.notes, serve=serve)
    plugin.reached = nursery.reached
    pytest.main([*ARGUMENTS, *places], plugins=[plugin])
    with contextlib.suppress(OSError):
        line.send({"broken": plugin.told["broken"] or "the tests were not collected"})
    atexit._run_exitfuncs()
    return 0


def _judge(
    field: Field, session: pytest.Session, nursery: Nursery, plugin: Plugin, wish: dict[str, Any]
) -> Any:
    """`changed` False: the same functions are put in as they were; `whole`: also after the first that failed."""
    numbers, changed = wish["numbers"], wish.get("changed", True)
    mutant = nursery.mutants[numbers[0]] if numbers and changed else None

    def work() -> int:
        for number in numbers:
            try:
                if nursery.mutants[number].edits:
                    nursery.graft(number, changed=changed)
            except Late:
                if changed:
                    plugin.note(needs="cold")
                    return 0
        plugin.sql = mutant.sql if mutant else ""
        session.config.option.maxfail = 0 if wish.get("whole") else 1
        session.testsfailed = 0
        with contextlib.suppress(session.Failed, session.Interrupted):
            run_the_tests(session)
        plugin.note(status=0)
        return 0

    with field.written(mutant) if mutant and mutant.edits else contextlib.nullcontext():
        return field.awaited(field.place / "warm.log", work, wish["deadline"])


class Judge:
    """Which tests judge which mutant, and what they said."""

    def __init__(self, field: Field, mutants: list[Mutant], deadline: float, notes: Notes) -> None:
        self.field, self.mutants, self.deadline, self.notes = field, mutants, deadline, notes
        self.names = [f"{one.place} {one.what}" for one in mutants]

    def tests_of(self, places: tuple[str, ...]) -> list[str]:
        return [one for place in places for one in self.field.tests if _below(one, place)]

    def reach(self, place: str) -> dict[str, Any]:
        """{test: (seconds, what it reaches)} of this place, found out once by running it without a mutant."""
        places = self.notes.places
        if place not in places:
            begun = time.monotonic()
            told = self.field.warm(self.tests_of((place,)), whole=True, deadline=7_200.0)
            print(
                f"{place}: {len(told['tests'])} tests in {time.monotonic() - begun:.0f} s, failed: {told['failed']}",
                flush=True,
            )
            places[place] = {
                test: (round(seconds, 3), sorted({self.names[one] for one in reached if one >= 0}))
                for test, (seconds, reached) in told["tests"].items()
                if test not in told["failed"]
            }
        return places[place]

    def judge(self, number: int) -> Verdict:
        begun = time.monotonic()
        state, by = self._heard(number)
        return Verdict(self.mutants[number], state, by, time.monotonic() - begun, self.notes.commit)

    def _heard(self, number: int) -> tuple[str, str]:
        mutant = self.mutants[number]
        told: dict[str, Any] = {"needs": "cold"}
        if number not in self.field.early:
            told = self.field.warm(self.warm_tests(number), number, deadline=self.deadline)
        if told.get("needs") == "cold" or (mutant.view and not told.get("failed") and not told.get("broken")):
            told = self.field.cold([*mutant.first, *mutant.others], mutant, self.deadline)
        if told.get("failed"):
            return KILLED, told["failed"][0]
        if told["late"]:
            return LATE, f"{told.get('passed', 0)} tests passed"
        if told.get("broken") or told.get("status") not in {0, 5}:
            return BROKEN, str(told.get("broken"))[-300:]
        return SURVIVED, f"{told.get('passed', 0)} tests passed"

    def warm_tests(self, number: int) -> list[str]:
        """The first guards; of the rooms' tests those that reach it, the quickest first."""
        mutant = self.mutants[number]
        reaching = {
            test: seconds
            for place in mutant.reaching
            for test, (seconds, reached) in self.reach(place).items()
            if self.names[number] in reached and seconds < MOST_SECONDS and test in self.field.tests
        }
        return list(
            dict.fromkeys([*self.tests_of(mutant.first), *sorted(reaching, key=lambda one: reaching[one])])
        )

    def unsound(self, verdicts: list[Verdict]) -> set[str]:
        """Those of the tests that fail with the same functions put in unchanged, too."""
        killers = sorted({one.by for one in verdicts if one.state == KILLED and one.by in self.field.tests})
        numbers = [self.mutants.index(one.mutant) for one in verdicts]
        told = self.field.warm(
            killers, *(one for one in numbers if one not in self.field.early),
            changed=False, whole=True, deadline=3_600.0,
        )  # fmt: skip
        return set(told["failed"]) if "status" in told else set(killers)


def _below(test: str, place: str) -> bool:
    return test == place or test.startswith((f"{place}/", f"{place}::", f"{place}["))


def options(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=KINDS, default=[], help="kinds of mutants")
    parser.add_argument("--path", default="", help="only files whose path begins so")
    parser.add_argument(
        "--sample", type=int, default=0, metavar="N", help="so many, of all kinds alike; 0: all"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--deadline", type=float, default=120.0, metavar="SECONDS", help="for each mutant")
    parser.add_argument("--commit", default="HEAD", help="what to look at")
    parser.add_argument("--list", action="store_true", help="only say which there are")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument(
        "--resume", action="store_true", help="try only what that file does not call noticed, and add to it"
    )
    return parser.parse_args(arguments)


def chosen(found: list[Mutant], wish: argparse.Namespace) -> list[Mutant]:
    """As many of each kind as of the others, as far as there are so many; the same for the same seed."""
    left = [
        one for one in found if (not wish.only or one.kind in wish.only) and one.path.startswith(wish.path)
    ]
    if not wish.sample or wish.sample >= len(left):
        return left
    dice = random.Random(wish.seed)
    piles = {kind: [one for one in left if one.kind == kind] for kind in KINDS}
    for pile in piles.values():
        dice.shuffle(pile)
    taken: list[Mutant] = []
    while len(taken) < wish.sample:
        for pile in piles.values():
            if pile and len(taken) < wish.sample:
                taken.append(pile.pop())
    return sorted(taken, key=found.index)


def table(verdicts: list[Verdict]) -> None:
    print(f"\n{'kind':12}{'mutants':>8}{'killed':>8}{'survived':>10}{'late':>6}{'broken':>8}{'median s':>10}")
    for kind in [*KINDS, "all"]:
        of = [one for one in verdicts if kind in {one.mutant.kind, "all"}]
        if of:
            states = Counter(one.state for one in of)
            numbers = f"{states[KILLED]:>8}{states[SURVIVED]:>10}{states[LATE]:>6}{states[BROKEN]:>8}"
            print(f"{kind:12}{len(of):>8}{numbers}{statistics.median(one.seconds for one in of):>10.1f}")


def judged(field: Field, mutants: list[Mutant], wish: argparse.Namespace, notes: Notes) -> list[Verdict]:
    """What became of each; those that an earlier run saw noticed come first."""
    known = [notes.known(mutant) for mutant in mutants]
    verdicts = [one for one in known if one is not None]
    field.open_nursery(mutants)
    judge = Judge(field, mutants, wish.deadline, notes)
    for number, mutant in enumerate(mutants):
        if known[number] is not None:
            continue
        verdict = judge.judge(number)
        verdicts.append(verdict)
        notes.keep(verdicts)
        print(
            f"{len(verdicts):>4}/{len(mutants)} {verdict.state:9}{verdict.seconds:6.1f} s {mutant.kind:11}"
            f"{mutant.place:52}{mutant.what}  <- {verdict.by}",
            flush=True,
        )
    broken = judge.unsound(verdicts)
    for verdict in verdicts:
        if verdict.state == KILLED and verdict.by in broken:
            verdict.state = BROKEN
            print(f"fails without a mutant, too: {verdict.by}")
    return verdicts


def main() -> int:
    wish, begun = options(), time.monotonic()
    root = HERE.parent
    place = Path(tempfile.mkdtemp(prefix="ump-mutants-"))
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, place, ignore_errors=True)
        if wish.list:
            paths = subprocess.check_output(["git", "ls-files"], cwd=root, text=True).splitlines()
            for mutant in chosen(find(root, paths), wish):
                print(f"{mutant.kind:12}{mutant.place:60}{mutant.what}")
            return 0
        commit = subprocess.check_output(["git", "rev-parse", "--short", wish.commit], cwd=root, text=True)
        notes = Notes(wish, commit.strip())
        field = Field(root, place, wish.commit)
        stack.callback(field.close)
        verdicts = judged(field, chosen(find(field.copy, field.paths), wish), wish, notes)
    notes.keep(verdicts)
    table(verdicts)
    noticed = sum(one.state == KILLED for one in verdicts)
    minutes, load = (time.monotonic() - begun) / 60, os.getloadavg()[2]
    print(f"\n{noticed} of {len(verdicts)} noticed, in {minutes:.0f} minutes, at a load of {load:.0f}")
    return int(noticed < len(verdicts))


if __name__ == "__main__":
    raise SystemExit(main())
