"""A customer with a copy of its directory, a pretend Teams, and what people say of an attendant and a queue."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator
from typing import Any

import pytest

from directory.models import DirectoryUser
from m365.resource_account_plan import Step
from replication.models import Command
from resource_accounts import commands, selectors, services
from resource_accounts.models import Design, Kind
from tenants import lines, scope
from tenants.access import SYSTEM
from tenants.models import Tenant
from tests.directory.pretend import Customer, Worker
from tests.m365.teams_apps_model import TeamsApps

DESK = {
    "greeting": "Welcome to Contoso",
    "menu": "Press 1 for sales, 2 for somebody",
    "key_1": "number",
    "key_1_target": "+49 30 12345",
    "key_2": "person",
    "key_2_target": "",
    "monday": "09:00-12:00, 13:00-17:00",
    "holidays": "2026-12-24 to 2026-12-26 Christmas",
    "closed_greeting": "We are closed",
}
HELP = {"greeting": "Hello", "users": "", "overflow": "disconnect"}


@dataclasses.dataclass
class Stage:
    """`teams` is what the customer has at Microsoft; `person` whose sign-in the portal has."""

    customer: Customer
    worker: Worker
    teams: TeamsApps

    @property
    def tenant(self) -> Tenant:
        return self.customer.tenant

    @property
    def anna(self) -> str:
        """The address of somebody at the customer."""
        with scope.one(self.tenant.id):
            person = DirectoryUser.objects.filter(tenant=self.tenant).order_by("search").first()
        assert person is not None
        return person.user_principal_name

    def add(self, kind: str = Kind.AUTO_ATTENDANT, **given: Any) -> Design:
        spec = (
            {**DESK, "key_2_target": self.anna}
            if kind == Kind.AUTO_ATTENDANT
            else {**HELP, "users": self.anna}
        )
        name = "Reception" if kind == Kind.AUTO_ATTENDANT else "Help desk"
        address = f"{name.split(maxsplit=1)[0].lower()}@contoso.test"
        wish = {"name": name, "upn": address, "number": "+4930111", "spec": spec} | given
        with scope.one(self.tenant.id):
            return services.add(SYSTEM, self.tenant, kind=kind, **wish)

    def looked(self, design: Design, kind: str = selectors.BUILD) -> Command:
        with scope.one(self.tenant.id):
            command = services.look(SYSTEM, design, kind)
        return self.worker.finish(command)

    def build(self, design: Design) -> Command:
        with scope.one(self.tenant.id):
            design.refresh_from_db()
            plan = commands.planning.fingerprint(selectors.to_build(design))
            return services.build(SYSTEM, design, plan)

    def remove(self, design: Design) -> Command:
        with scope.one(self.tenant.id):
            design.refresh_from_db()
            plan = commands.planning.fingerprint(selectors.to_remove(design))
            return services.remove(SYSTEM, design, plan)

    def steps(self, design: Design) -> tuple[Step, ...]:
        with scope.one(self.tenant.id):
            design.refresh_from_db()
            return selectors.to_build(design)

    def carried_out(self, command: Command) -> Command:
        """To its end, whatever it waits for."""
        for _ in range(40):
            self.worker.finish(command)
            if command.state != "queued":
                return command
            self.worker.wait_is_over(command)
        raise AssertionError("it does not come to an end")


def pretend_teams(monkeypatch: pytest.MonkeyPatch, teams: TeamsApps) -> None:
    """Every session is with these Teams; what Graph does to accounts is done to them, too."""

    @contextlib.contextmanager
    def session(self: lines.Line, *, stop: Any = None) -> Iterator[TeamsApps]:
        yield teams

    original = commands.open_line

    def line(tenant_id: Any) -> lines.Line:
        found = original(tenant_id)
        return dataclasses.replace(found, account=object()) if teams.person else found  # type: ignore[arg-type]

    monkeypatch.setattr(lines.Line, "teams", session)
    monkeypatch.setattr(commands, "open_line", line)
    monkeypatch.setattr(commands.activation, "remove", lambda graph, account: teams.accounts.pop(account))
    monkeypatch.setattr(commands._Work, "license", lambda self, account: None)
    monkeypatch.setattr(selectors, "powershell_is_there", lambda: True)
