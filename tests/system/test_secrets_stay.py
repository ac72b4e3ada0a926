"""A customer's secret goes in, and comes out nowhere: not in a page, an answer, a log, a row, a file or a process."""

import base64
import os
import re
import subprocess
import sys
import urllib.parse
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.system.browser import Browser
from tests.system.kept import Kept, add
from tests.system.microsoft import Microsoft
from tests.system.stage import CHECKOUT, Stage, processes
from ump_portal.embedded.layout import layout_for

CANARY = "Zq8Q~CanaryThatMustNeverSing.0123456789x"
WRONG = "Wr8Q~AnotherCanaryWithAWrongTune.98765432"
PASSWORD = "correct horse battery staple of system"
JWT = re.compile(rb"eyJ[A-Za-z0-9_-]{20,}\.[A-Za-z0-9_-]{20,}")
PAGES = 120
OPEN_A_SECRET = """
import sys, django
django.setup()
from core.errors import UmpError
from tenants import scope, secrets
from tenants.models import Secret
import uuid
with scope.one(uuid.UUID(sys.argv[1])):
    row = Secret.objects.first()
    try:
        print("OPENED", secrets.open_secret(row))
    except UmpError as error:
        print("REFUSED", error.code)
"""


def shapes(secret: str) -> list[bytes]:
    """How it could be written down."""
    raw = secret.encode()
    return [
        raw,
        base64.b64encode(raw).rstrip(b"=")[:-1],
        raw.hex().encode(),
        urllib.parse.quote(secret, safe="").encode(),
        raw[:24],
    ]


FORBIDDEN = [shape for secret in (CANARY, WRONG) for shape in shapes(secret)]


def is_clean(content: bytes, where: str) -> None:
    for shape in FORBIDDEN:
        assert shape not in content, f"a secret is in {where}"
    assert not JWT.search(content), f"a token is in {where}"


@pytest.fixture(scope="module")
def canary(running_stage: Stage, microsoft: Microsoft) -> Kept:
    """A customer whose secret is the canary, replicated; and whom everything bad has been sent about."""
    name = f"Canary {uuid.uuid4().hex[:6]}"
    kept = add(running_stage, microsoft.customer(name, users=30, groups=3, app={"secret": CANARY}))
    kept.in_step()
    return kept


@pytest.fixture
def pia(stage: Stage) -> Iterator[Browser]:
    email = f"pia.{uuid.uuid4().hex[:6]}@example.com"
    stage.ump("user", "add", email, "--name", "Pia", "--password-stdin", stdin=PASSWORD + "\n")
    found = Browser(stage.base)
    found.sign_in(email, PASSWORD)
    yield found
    found.close()


def bad_calls(kept: Kept) -> Iterator[requests.Response]:
    """The secret in every wrong place that comes to mind."""
    api, path = kept.stage.admin, f"/tenants/{kept.id}/connection"
    good = kept.customer.connection()
    url = f"{api.base}/api/v1{path}"
    yield api.call("PUT", path, {**good, "client_secret": WRONG})
    yield api.call("PUT", path, {**good, "client_secret": [CANARY]})
    yield api.call("PUT", path, {**good, "client_secret": CANARY * 60})
    yield api.call("PUT", path, {**good, "client_secret": CANARY + " with blanks"})
    yield api.call("PUT", path, {**good, "client_secrets": CANARY})
    yield api.call("PUT", path, {**good, "client_id": CANARY})
    yield api.call("PUT", path, {**good, "certificate": CANARY, "private_key": CANARY})
    yield api.call("POST", f"/tenants?client_secret={CANARY}", {"name": "x"})
    yield api.call("GET", f"/tenants/{CANARY}")
    yield api.call("GET", f"/tenants/{kept.id}/users?search={CANARY}")
    yield api.raw("PUT", url, f'{{"client_secret": "{CANARY}", '.encode())
    yield api.raw("PUT", url, CANARY.encode())


def test_answers_and_pages(stage: Stage, canary: Kept, pia: Browser) -> None:
    for answer in bad_calls(canary):
        assert answer.status_code != 500
        is_clean(answer.content, f"{answer.request.method} {answer.url}: {answer.status_code}")
    assert canary.ended(("verify_credentials",)).code == "secret_wrong"

    form = f"/tenants/{canary.id}/connection/set/"
    for wrong in ({"client_id": "no guid"}, {"client_id": canary.customer.client_id, "cloud": "mars"}):
        answer = pia.post(form, {"client_secret": CANARY, "private_key": CANARY, **wrong})
        assert answer.status_code in (200, 422), answer.status_code
        is_clean(answer.content, "the form that is shown again")

    def wanted(link: str) -> bool:
        return canary.id in link or link.startswith(("/settings", "/audit", "/queue/?", "/tenants/?"))

    shown = 0
    for page in pia.pages(f"/tenants/{canary.id}/", wanted, PAGES):
        assert page.status_code < 500, page.url
        is_clean(page.content, page.url)
        shown += page.status_code == 200
    assert shown > 10
    for page in (pia.get("/no/such/page"), pia.get("/tenants/00000000-0000-0000-0000-000000000000/")):
        assert page.status_code == 404
        is_clean(page.content, page.url)

    here = f"/tenants/{canary.id}"
    for path in (
        here,
        f"{here}/connection",
        f"{here}/commands",
        f"{here}/users",
        "/audit",
        "/commands",
        "/me",
        "/queue",
    ):
        answer = stage.admin.call("GET", path)
        assert answer.status_code == 200, answer.text
        is_clean(answer.content, path)

    # Mended, so that what comes next has a row of every kind to look at.
    assert stage.admin.call("PUT", f"{here}/connection", canary.customer.connection()).status_code == 200
    assert canary.ended(("verify_credentials",)).state == "succeeded"


def test_rows_logs_and_files(stage: Stage, canary: Kept) -> None:
    tables = stage.sql("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    for (table,) in tables:
        for (row,) in stage.sql(f'SELECT t::text FROM "{table}" t'):
            is_clean(row.encode(), f"a row of {table}")
    assert stage.one("SELECT count(*) FROM tenants_secret WHERE tenant_id = %s", canary.id)
    looked = 0
    for top in (stage.home, layout_for(stage.home / "postgres").home):
        for path in [path for path in top.rglob("*") if path.is_file()]:
            try:
                content = path.read_bytes()
            except FileNotFoundError:  # a message that was read, a temporary file of the database
                continue
            is_clean(content, str(path))
            looked += 1
    assert looked > 100
    token = stage.admin.token.encode()
    assert token not in stage.log.read_bytes()
    for (row,) in stage.sql("SELECT t::text FROM accounts_apitoken t"):
        assert token not in row.encode()


def test_processes(stage: Stage, canary: Kept) -> None:
    groups = {stage.running(name).group for name in ("web", "worker", "clock")}
    of_this = [one for one in processes() if one.group in groups]
    assert len(of_this) >= 5
    for one in of_this:
        is_clean(Path(f"/proc/{one.pid}/environ").read_bytes(), f"the environment of {one.command}")
        is_clean(one.command.encode(), f"the command line of {one.command}")


@pytest.mark.parametrize("name", ["web", "clock"])
def test_only_a_worker_has_the_key(stage: Stage, canary: Kept, name: str) -> None:
    keys = ("UMP_KEK_FILE", "DATABASE_OWNER_URL")
    for one in stage.members(name):
        assert not [key for key in keys if key in one.environment], one.command
    assert "UMP_KEK_FILE" in stage.running("worker").environment
    assert "DATABASE_OWNER_URL" not in stage.running("worker").environment
    assert opened_by(stage, canary, name) == "REFUSED key_unavailable"
    assert opened_by(stage, canary, "worker") == f"OPENED {CANARY}"


def opened_by(stage: Stage, kept: Kept, name: str) -> str:
    """What comes of opening the customer's secret with the environment of that process."""
    done = subprocess.run(
        [sys.executable, "-c", OPEN_A_SECRET, kept.id],
        cwd=CHECKOUT,
        env=stage.running(name).environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stdout.strip()


def test_the_files_of_keys_are_their_owners_alone(stage: Stage) -> None:
    for path in (stage.home / "keys").iterdir():
        assert path.stat().st_mode & 0o077 == 0, path
        assert path.stat().st_uid == os.geteuid()
