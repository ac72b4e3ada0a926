"""A server thread that shows the style guide without a database, and Debian's Chromium to look at it."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.core.servers.basehttp import ThreadedWSGIServer, WSGIRequestHandler
from django.core.wsgi import get_wsgi_application
from django.test import override_settings
from playwright.sync_api import expect

from tests.ui import settings as plain

TAKEN = (
    "MIDDLEWARE",
    "TEMPLATES",
    "ROOT_URLCONF",
    "DEMO",
    "SESSION_ENGINE",
    "WHITENOISE_USE_FINDERS",
    "WHITENOISE_AUTOREFRESH",
)
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}


@pytest.fixture
def plain_look() -> Iterator[None]:
    """The real settings, but for what needs a database or the rest of the house."""
    with override_settings(**{name: getattr(plain, name) for name in TAKEN}, STORAGES=STORAGES):
        yield


@pytest.fixture(scope="session", autouse=True)
def synchronous() -> None:
    """Playwright's own event loop makes Django believe that a test is asynchronous, to the end of the session."""
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"


@pytest.fixture(scope="session", autouse=True)
def unhurried() -> None:
    """Expectations wait longer than Playwright's 5 s: other tests use the same two processor cores."""
    expect.set_options(timeout=15_000)


class Quiet(WSGIRequestHandler):
    def log_message(self, *args: Any) -> None:
        pass


@contextmanager
def serving() -> Iterator[str]:
    """A server of a test's own, in a thread; it closes the database connections of each answer (Django's does)."""
    http = ThreadedWSGIServer(("127.0.0.1", 0), Quiet)
    http.daemon_threads = True
    http.set_app(get_wsgi_application())
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"http://localhost:{http.server_port}"
    finally:
        http.shutdown()
        http.server_close()
        thread.join(5)


@pytest.fixture
def server(plain_look: None) -> Iterator[str]:
    """The style guide and the sign-in pages without a database."""
    with serving() as address:
        yield address


@pytest.fixture
def house(transactional_db: None) -> Iterator[str]:
    """The whole product, on the test database."""
    with override_settings(WHITENOISE_AUTOREFRESH=True), serving() as address:
        yield address


@pytest.fixture(scope="session")
def browser_type_launch_args() -> dict[str, Any]:
    """Debian's Chromium, not one that Playwright would have to download."""
    flags = "--headless=new --no-sandbox --disable-gpu --disable-quic --no-first-run"
    flags += " --disable-background-networking --disable-component-update --disable-sync"
    return {
        "executable_path": os.environ.get("CHROMIUM", "/usr/bin/chromium"),
        "args": flags.split(),
        "ignore_default_args": ["--headless"],
    }
