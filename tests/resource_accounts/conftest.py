import pytest

from tests.directory.conftest import (  # noqa: F401  fixtures
    add_customer,
    customer,
    microsoft,
    microsoft_server,
    worker,
)
from tests.directory.pretend import FULL, Customer, Worker
from tests.fences import fenced  # noqa: F401  the fixture
from tests.m365.teams_apps_model import TeamsApps
from tests.resource_accounts.stage import Stage, pretend_teams


@pytest.fixture
def stage(customer: Customer, worker: Worker, monkeypatch: pytest.MonkeyPatch) -> Stage:  # noqa: F811  fixtures
    worker.run(customer, FULL)
    teams = TeamsApps()
    pretend_teams(monkeypatch, teams)
    return Stage(customer, worker, teams)
