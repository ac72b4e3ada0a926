"""Takes each door, scope, row policy, permission and fence away in turn: does a test notice?

    .venv/bin/python bench/mutants.py --sample 100 --seed 1
    .venv/bin/python bench/mutants.py --only policy fence --json mutants.json

What is committed is copied to a folder that is thrown away; the tree itself is never touched. One embedded PostgreSQL
and one migrated database serve all mutants: each gets a copy of it, in a process forked from one that has imported
Django and pytest already. A test that notices is run once more without the mutant, so that a broken test kills
nothing. The exit status is 1 when one survived that has no reason in EQUIVALENT. See README.md.
"""

import argparse
import atexit
import contextlib
import dataclasses
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.pop(0)  # bench/ itself: its queue.py is not Python's
HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import pytest  # noqa: E402  after the path

from bench.mutating import KINDS, Mutant, find  # noqa: E402  after the path

TEMPLATE = "ump_mutants_template"
KILLED, SURVIVED, BROKEN, LATE = "killed", "SURVIVED", "broken", "late"
UNUSED = ("randomly", "playwright", "xdist", "xdist.looponfail", "schemathesis", "anyio", "cacheprovider")
EQUIVALENT: dict[tuple[str, str, str], str] = {}
"""(kind, path, what): why nobody could notice. Everything else that survives needs a test."""

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
    """`by` is the first test that noticed; times in seconds."""

    mutant: Mutant
    state: str
    by: str = ""
    seconds: float = 0.0

    def as_json(self) -> dict[str, object]:
        fields = {name: getattr(self.mutant, name) for name in ("kind", "place", "what")}
        return {**fields, "state": self.state, "by": self.by, "seconds": round(self.seconds, 1)}


@dataclasses.dataclass
class Run:
    """One forked pytest; `notes` is where it writes what failed first."""

    pid: int
    copy: Path
    notes: Path
    begun: float
    mutant: Mutant | None = None
    original: bytes = b""
    written: int = 0

    def words(self) -> str:
        """The end of what it printed."""
        return " ".join(self.notes.with_suffix(".log").read_text(errors="replace").split())[-300:]

    def told(self) -> dict[str, Any]:
        try:
            found: dict[str, Any] = json.loads(self.notes.read_text())
        except (OSError, ValueError):
            return {}
        return found


class Plugin:
    """Inside the fork: a database that is copied and not migrated, the tests that matter, and what failed first."""

    def __init__(self, notes: Path, sql: str, view: str) -> None:
        self.notes, self.sql, self.view = notes, sql, view
        self.told: dict[str, Any] = {"failed": [], "passed": 0, "broken": ""}

    @pytest.hookimpl(tryfirst=True)
    def pytest_configure(self) -> None:
        from django.db.backends.postgresql.creation import DatabaseCreation

        sql = self.sql

        def create_test_db(creation: Any, *_args: object, **_options: object) -> str:
            name = creation._get_test_db_name()
            with creation._nodb_cursor() as cursor:
                cursor.execute(f"DROP DATABASE IF EXISTS {name}")
                cursor.execute(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}")
            creation.connection.close()
            creation.connection.settings_dict["NAME"] = name
            if sql:
                with creation.connection.cursor() as cursor:
                    cursor.execute(sql)
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
            self._note(broken=str(report.longrepr)[-500:])

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self._note(failed=[*self.told["failed"], report.nodeid])
        elif report.when == "call":
            self.told["passed"] += 1

    def pytest_sessionfinish(self, exitstatus: int) -> None:
        self._note(status=int(exitstatus))

    def _note(self, **more: Any) -> None:
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
    if item.get_closest_marker("browser") or item.get_closest_marker("slow") or "browser" in item.nodeid:
        return False
    route = getattr(item, "callspec", None) and item.callspec.params.get("route")  # type: ignore[attr-defined]  # a function's
    return behind is None or not hasattr(route, "pattern") or route.pattern in behind


class Field:
    """The copies, the database, and one fork for each mutant."""

    def __init__(self, root: Path, place: Path, jobs: int) -> None:
        self.place, self.seconds = place, 0.0
        self.copies = [place / f"tree{number}" for number in range(jobs)]
        for copy in self.copies:
            copy.mkdir()
            archive = subprocess.Popen(["git", "archive", "HEAD"], cwd=root, stdout=subprocess.PIPE)
            subprocess.run(["tar", "-x"], cwd=copy, stdin=archive.stdout, check=True)
            archive.wait()
        listed = subprocess.check_output(["git", "ls-tree", "-r", "--name-only", "HEAD"], cwd=root, text=True)
        self.paths = listed.splitlines()
        environment = self._environment(self.copies[0])
        self.server = subprocess.Popen(
            [sys.executable, "-c", SERVER, str(place / "data")],
            cwd=self.copies[0], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self.server.stdout is not None
        app, owner = self.server.stdout.readline().split()
        os.environ.update(DATABASE_URL=app, DATABASE_OWNER_URL=owner)
        migrate = [sys.executable, "-c", MIGRATED]
        subprocess.run(migrate, cwd=self.copies[0], env=self._environment(self.copies[0]), check=True)
        for copy in self.copies:
            subprocess.run([sys.executable, "-m", "compileall", "-q", "-j", "1", str(copy)], check=False)
        _imported()

    @staticmethod
    def _environment(copy: Path) -> dict[str, str]:
        return {**os.environ, "PYTHONPATH": str(copy)}

    def close(self) -> None:
        assert self.server.stdin is not None
        self.server.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.server.wait(60)

    def begin(
        self, copy: Path, guards: tuple[str, ...], mutant: Mutant | None = None, *, first: bool = True
    ) -> Run:
        notes = self.place / f"{copy.name}.json"
        notes.unlink(missing_ok=True)
        run = Run(0, copy, notes, time.monotonic(), mutant)
        if mutant and mutant.edits:
            path = copy / mutant.path
            run.original, run.written = path.read_bytes(), path.stat().st_mtime_ns
            path.write_bytes(mutant.applied(run.original))
        there = [one for one in guards if (copy / one.partition("::")[0]).exists()]
        run.pid = os.fork()
        if run.pid == 0:
            _carry_out(copy, notes, there, mutant, first=first)
        return run

    def ended(self, run: Run, deadline: float) -> Verdict | None:
        """What came of it, once it has ended or was ended; the copy is as before then."""
        pid, _ = os.waitpid(run.pid, os.WNOHANG)
        seconds = time.monotonic() - run.begun
        late = pid == 0 and seconds > deadline
        if pid == 0 and not late:
            return None
        with contextlib.suppress(ProcessLookupError):
            os.killpg(run.pid, signal.SIGKILL)
        if late:
            os.waitpid(run.pid, 0)
        assert run.mutant is not None
        if run.mutant.edits:
            path = run.copy / run.mutant.path
            path.write_bytes(run.original)
            os.utime(path, ns=(run.written, run.written))  # so that what was compiled of it is used again
        told = run.told()
        if told.get("failed"):
            return Verdict(run.mutant, KILLED, told["failed"][0], seconds)
        if late:
            return Verdict(run.mutant, LATE, seconds=seconds)
        if told.get("broken") or told.get("status") not in {0, 5}:
            return Verdict(run.mutant, BROKEN, (told.get("broken") or run.words())[-300:], seconds)
        return Verdict(run.mutant, SURVIVED, f"{told.get('passed', 0)} tests passed", seconds)


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


def _carry_out(copy: Path, notes: Path, guards: list[str], mutant: Mutant | None, *, first: bool) -> None:
    """In the fork: pytest in this copy, and never back."""
    code = 3
    try:
        os.setpgid(0, 0)
        os.nice(10)
        os.chdir(copy)
        log = os.open(notes.with_suffix(".log"), os.O_CREAT | os.O_TRUNC | os.O_WRONLY)
        os.dup2(log, 1)
        os.dup2(log, 2)
        sys.stdin.close()
        sys.dont_write_bytecode = True
        for name in [name for name in sys.modules if name == "bench" or name.startswith("bench.")]:
            del sys.modules[name]
        sys.path[:] = [str(copy), *(one for one in sys.path if not (Path(one) / "ump_portal").is_dir())]
        arguments = ["-q", "-W", "ignore::pytest.PytestAssertRewriteWarning", "--no-header", "--tb=line"]
        arguments += [word for one in UNUSED for word in ("-p", f"no:{one}")]
        plugin = Plugin(notes, mutant.sql if mutant else "", mutant.view if mutant else "")
        code = int(pytest.main([*arguments, *(["-x"] if first else []), *guards], plugins=[plugin]))
        atexit._run_exitfuncs()
    except BaseException:  # noqa: BLE001  whatever it was, the fork must not go on as its parent
        traceback.print_exc()
    finally:
        os._exit(code)


def play(field: Field, mutants: list[Mutant], deadline: float) -> Iterator[Verdict]:
    """The verdicts as they come, one mutant a copy at a time."""
    waiting, free, running = list(reversed(mutants)), list(field.copies), list[Run]()
    while waiting or running:
        while waiting and free:
            mutant = waiting.pop()
            running.append(field.begin(free.pop(), mutant.guards, mutant))
        for run in list(running):
            verdict = field.ended(run, deadline)
            if verdict is not None:
                running.remove(run)
                free.append(run.copy)
                yield verdict
        time.sleep(0.05)


def unsound(field: Field, tests: list[str]) -> set[str]:
    """Those of the tests that fail without any mutant, too."""
    if not tests:
        return set()
    run = field.begin(field.copies[0], tuple(tests), first=False)
    os.waitpid(run.pid, 0)
    told = run.told()
    return set(told.get("failed", ())) if "status" in told else set(tests)


def reason(verdict: Verdict) -> str:
    mutant = verdict.mutant
    return EQUIVALENT.get((mutant.kind, mutant.path, mutant.what), "")


def options(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=KINDS, default=[], help="kinds of mutants")
    parser.add_argument("--path", default="", help="only files whose path begins so")
    parser.add_argument(
        "--sample", type=int, default=0, metavar="N", help="so many, of all kinds alike; 0: all"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--deadline", type=float, default=300.0, metavar="SECONDS", help="for each mutant")
    parser.add_argument("--list", action="store_true", help="only say which there are")
    parser.add_argument("--json", type=Path, metavar="FILE")
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
    print(
        f"\n{'kind':12}{'mutants':>8}{'killed':>8}{'survived':>10}{'equivalent':>12}{'late':>6}{'broken':>8}"
    )
    for kind in [*KINDS, "all"]:
        of = [one for one in verdicts if kind in {one.mutant.kind, "all"}]
        if of:
            states = Counter(
                "equivalent" if one.state == SURVIVED and reason(one) else one.state for one in of
            )
            print(
                f"{kind:12}{len(of):>8}{states[KILLED]:>8}{states[SURVIVED]:>10}{states['equivalent']:>12}"
                f"{states[LATE]:>6}{states[BROKEN]:>8}"
            )


def main() -> int:
    wish = options()
    root = HERE.parent
    place = Path(tempfile.mkdtemp(prefix="ump-mutants-"))
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, place, ignore_errors=True)
        if wish.list:
            paths = subprocess.check_output(["git", "ls-files"], cwd=root, text=True).splitlines()
            for mutant in chosen(find(root, paths), wish):
                print(f"{mutant.kind:12}{mutant.place:60}{mutant.what}")
            return 0
        field = Field(root, place, wish.jobs)
        stack.callback(field.close)
        mutants = chosen(find(field.copies[0], field.paths), wish)
        verdicts: list[Verdict] = []
        for verdict in play(field, mutants, wish.deadline):
            verdicts.append(verdict)
            mutant = verdict.mutant
            print(
                f"{len(verdicts):>4}/{len(mutants)} {verdict.state:9}{verdict.seconds:6.1f} s {mutant.kind:11}"
                f"{mutant.place:52}{mutant.what}  <- {reason(verdict) or verdict.by}",
                flush=True,
            )
        broken = unsound(field, sorted({one.by for one in verdicts if one.state == KILLED}))
        for verdict in verdicts:
            if verdict.state == KILLED and verdict.by in broken:
                verdict.state = BROKEN
                print(f"fails without a mutant, too: {verdict.by}")
    table(verdicts)
    if wish.json:
        told = {"seed": wish.seed, "found": len(mutants), "mutants": [one.as_json() for one in verdicts]}
        wish.json.write_text(json.dumps(told, indent=1))
    return int(any(one.state != KILLED and not (one.state == SURVIVED and reason(one)) for one in verdicts))


if __name__ == "__main__":
    raise SystemExit(main())
