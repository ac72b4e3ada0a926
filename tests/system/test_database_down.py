"""Without its database the portal says so, to programs and to people; with it again, work goes on."""

import contextlib
import os
import signal
import uuid
from collections.abc import Iterator

import pytest

from tests.system.browser import Browser
from tests.system.kept import add
from tests.system.microsoft import Microsoft
from tests.system.stage import Stage, Timer, until

PASSWORD = "correct horse battery staple of system"


@pytest.fixture
def pia(stage: Stage) -> Iterator[Browser]:
    email = f"pia.{uuid.uuid4().hex[:6]}@example.com"
    stage.ump("user", "add", email, "--name", "Pia", "--password-stdin", stdin=PASSWORD + "\n")
    found = Browser(stage.base)
    found.sign_in(email, PASSWORD)
    yield found
    found.close()


@contextlib.contextmanager
def down(stage: Stage) -> Iterator[None]:
    """The database is killed, and who would start it again is held back."""
    postmaster = stage.postmaster()
    assert postmaster
    os.kill(stage.pid, signal.SIGSTOP)
    try:
        os.kill(postmaster, signal.SIGKILL)
        until("the portal is not well", lambda: not stage.healthy())
        yield
    finally:
        os.kill(stage.pid, signal.SIGCONT)


def test_without_a_database(stage: Stage, microsoft: Microsoft, pia: Browser) -> None:
    name = f"Outage {uuid.uuid4().hex[:6]}"
    kept = add(stage, microsoft.customer(name, users=4000, groups=20, settings={"latency_ms": 1200}))
    until("the first sync is in its middle", lambda: kept.count("user"))
    here = f"/tenants/{kept.id}"
    with down(stage):
        calls = [
            ("GET", "/tenants"),
            ("GET", here),
            ("POST", f"{here}/replications"),
            ("GET", "/no/such/thing"),
        ]
        for method, path in 3 * calls:  # each process and thread of the web server finds out for itself
            answer = stage.admin.call(method, path, {} if method == "POST" else None)
            assert answer.status_code == 503, (method, path, answer.text)
            assert int(answer.headers["Retry-After"]) > 0
            assert answer.headers["Content-Type"] == "application/problem+json"
            assert answer.json()["code"] == "database_unavailable"
            assert answer.json()["advice"]
        for path in 3 * ("/", "/tenants/", f"{here}/", "/queue/", "/accounts/login/", "/healthz"):
            page = pia.get(path)
            assert page.status_code == 503, (path, page.status_code, page.text[:500])
            if path != "/healthz":
                assert int(page.headers["Retry-After"]) > 0, path
                assert "Traceback" not in page.text
                assert "<h1" in page.text, path
        told = stage.ump_process("tenants", "list")
        assert told.returncode == 1
        assert "Traceback" not in told.stderr, told.stderr
    timer = Timer()
    until("the portal is well again", stage.healthy)
    well = timer()
    assert stage.admin.get(here)["name"] == name
    assert pia.get("/tenants/").status_code == 200, "who was signed in still is"
    kept.customer.control("PATCH", "", {"latency_ms": 0})
    ended = kept.in_step(120)
    print(f"well again {well:.1f} s after the database could start, in step after {timer():.1f} s")
    assert (ended.attempts, len(kept.commands())) == (0, 1)
    kept.is_the_same()
