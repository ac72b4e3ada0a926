"""Fixtures for everybody: the database as the product uses it (owner migrates, app works), and the cast."""

import gc
import time
from collections.abc import Callable, Iterator
from typing import Any

import psycopg2
import pytest
from django.conf import settings
from django.db import connections
from django.test import Client, TransactionTestCase
from hypothesis import HealthCheck
from hypothesis import settings as of_hypothesis

from accounts import branding, installation
from accounts.models import User
from tenants import recent
from tests.cast import Cast, assemble, sign_in
from tests.photograph import Photograph

# A busy machine is no fault of what is tested.
of_hypothesis.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
of_hypothesis.load_profile("unhurried")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """See tests.groups."""
    from tests.groups import ByPlace  # only a parallel run needs it

    return ByPlace(config, log) if config.getvalue("dist") == "loadgroup" else None


def pytest_collection_finish() -> None:
    """Thousands of tests and all that they import stay: Python's collector need not walk through them each time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(5_000, 20, 100)


@pytest.fixture(scope="session")
def django_db_setup(django_test_environment: None, django_db_blocker: Any) -> Iterator[None]:
    """Create the test database as its owner; the tests themselves run as the application's role."""
    with django_db_blocker.unblock():
        owner, app = connections["owner"], connections["default"]
        owner.creation.create_test_db(verbosity=0, autoclobber=True, serialize=False)
        app.close()
        app.settings_dict["NAME"] = owner.settings_dict["NAME"]
        owner.close()
    yield
    with django_db_blocker.unblock():
        # What a thread of a test still holds open ends with it.
        with connections["default"].cursor() as cursor:
            cursor.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
                " AND usename = current_user AND pid <> pg_backend_pid()"
            )
        connections["default"].close()
        owner.creation.destroy_test_db(settings.DATABASES["owner"]["TEST"]["NAME"], verbosity=0)


def _flush_as_owner(self: TransactionTestCase) -> None:
    """Empty what a test has filled; the owner does it, because the application's role does not see every row.

    DELETE, and only where there is something: TRUNCATE makes new files for each of a hundred tables and their
    indexes. All foreign keys are checked at the commit, so the order does not matter.
    """
    owner = connections["owner"].get_connection_params()
    connections["default"].close()
    owner.pop("cursor_factory", None)
    with psycopg2.connect(**owner) as raw, raw.cursor() as cursor:
        cursor.execute(
            "SELECT format('%I', tablename) FROM pg_tables"
            " WHERE schemaname = 'public' AND tablename NOT IN ('django_migrations', 'django_content_type')"
        )
        tables = [name for (name,) in cursor.fetchall()]
        cursor.execute(" UNION ALL ".join(f"SELECT '{name}' WHERE EXISTS (TABLE {name})" for name in tables))
        cursor.execute("".join(f"DELETE FROM {name};" for (name,) in cursor.fetchall()) or "SELECT")
    raw.close()


TransactionTestCase._fixture_teardown = _flush_as_owner  # type: ignore[method-assign]


@pytest.fixture(autouse=True)
def read_when_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process reads settings and branding anew every few seconds; here after a change only, and counts each time.

    Otherwise the number of queries of a page would depend on how quick the machine is.
    """
    monkeypatch.setattr(recent, "FRESH_SECONDS", -1.0)
    for kept in (installation, branding):
        monkeypatch.setattr(kept, "FRESH_SECONDS", 3_600.0)
        monkeypatch.setattr(kept._cache, "read_at", time.monotonic())
    monkeypatch.setattr(installation._cache, "values", {})
    monkeypatch.setattr(branding._cache, "look", branding._look(None))


@pytest.fixture(scope="session")
def cast_photograph(django_db_setup: None, django_db_blocker: Any) -> Photograph[None]:
    with django_db_blocker.unblock():
        return Photograph(lambda: (assemble(), None))


@pytest.fixture
def cast(cast_photograph: Photograph[None], db: None) -> Cast:
    """Olga, Pia, Mona, Otto, Adam, Vera, Max, and the customers Contoso and Fabrikam."""
    return cast_photograph.restore()[0]


@pytest.fixture
def committed_cast(transactional_db: None) -> Cast:
    """The same, committed: for tests with more than one connection."""
    return assemble()


@pytest.fixture
def client_of() -> Callable[[User], Client]:
    """A browser in which this person has just signed in."""

    def open_browser(person: User) -> Client:
        client = Client()
        person.refresh_from_db()  # roles given meanwhile have ended the sessions of an earlier epoch
        sign_in(client, person)
        return client

    return open_browser
