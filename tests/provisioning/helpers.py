"""What tests of changes share: asking, applying, and what the pretend Microsoft 365 has and was told."""

import dataclasses
import datetime as dt
import uuid
from collections.abc import Sequence
from typing import Any

from django.db.models import F

from m365 import permissions
from provisioning import services
from provisioning.aspects import Thing
from provisioning.judging import Wish
from provisioning.models import Change, Line, Plan, Source
from provisioning.services import Asked
from replication.models import Command
from simulator.graph.teams_state import telephony_of
from telephony import numbers
from telephony.models import TeamsUser
from tenants import scope
from tenants.access import Actor
from tests.directory.pretend import Customer, Worker
from tests.domains import conftest as domains
from tests.telephony import helpers as telephony

ANNA = Actor(kind="user", id="7", label="anna@contoso.example")


@dataclasses.dataclass
class Stage:
    """A customer, and a worker that carries out what is asked for it."""

    customer: Customer
    worker: Worker

    @property
    def tenant(self) -> Any:
        return self.customer.tenant

    # What there is

    def without_number(self, count: int) -> list[uuid.UUID]:
        """Licensed users without a number."""
        with scope.one(self.tenant.id):
            rows = TeamsUser.objects.filter(tenant=self.tenant, number="").order_by("object_id")
            return [row.object_id for row in rows if row.licensed][:count]

    def with_number(self, count: int) -> list[uuid.UUID]:
        with scope.one(self.tenant.id):
            rows = TeamsUser.objects.filter(tenant=self.tenant).exclude(number="").order_by("object_id")
            return [row.object_id for row in rows][:count]

    def free(self, count: int) -> list[str]:
        with scope.one(self.tenant.id):
            rows = numbers.of(self.tenant).filter(state="free").order_by("number")
            return [row.number for row in rows[:count]]

    def held(self) -> dict[str, str]:
        """Who has which number at Microsoft, truly."""
        with self.customer.directory.lock:
            found = telephony_of(self.customer.pretend).numbers.values()
            return {one.number: one.target for one in found if one.target}

    def orders(self) -> list[tuple[str, str | None]]:
        """Every order of a number that Microsoft took, in its order."""
        with self.customer.directory.lock:
            found = telephony_of(self.customer.pretend).orders.values()
            return [(one.number, one.target) for one in found]

    # What people do

    def ask(self, wishes: Sequence[tuple[uuid.UUID, str, Any]], actor: Actor = ANNA, **more: Any) -> Asked:
        more = {"source": Source.EDIT, **more}
        with scope.one(self.tenant.id):
            return services.ask(actor, self.tenant, [Wish(Thing(s, a), v) for s, a, v in wishes], **more)

    def give(self, users: Sequence[uuid.UUID], given: Sequence[str], **more: Any) -> Asked:
        wishes = [(user, "number", number) for user, number in zip(users, given, strict=True)]
        return self.ask(wishes, **more)

    def process(self) -> Command:
        """The debounce is over: the waiting command is carried out to its end."""
        with scope.one(self.tenant.id):
            command = Command.objects.get(tenant=self.tenant, kind="apply_changes", state="queued")
        return self.finish(command)

    def finish(self, command: Command, most: int = 200) -> Command:
        for _ in range(most):
            self.worker.wait_is_over(command)
            self.worker.step()
            with scope.every("a test looks at its command"):
                command.refresh_from_db()
            if command.state != "queued":
                break
        return command

    def pass_time(self, seconds: float = 60) -> None:
        """At Microsoft and here."""
        self.customer.microsoft.state.offset += seconds
        with scope.one(self.tenant.id):
            Line.objects.filter(sent_at__isnull=False).update(
                sent_at=F("sent_at") - dt.timedelta(seconds=seconds)
            )

    def draw(self) -> tuple[Command, Plan]:
        with scope.one(self.tenant.id):
            command = services.draw(ANNA, self.tenant)
        command = self.finish(command)
        assert command.state == "succeeded", (command.state, command.message)
        with scope.one(self.tenant.id):
            return command, Plan.objects.get(uid=command.result["plan"])

    def plan(self) -> Plan:
        with scope.one(self.tenant.id):
            return Plan.objects.filter(tenant=self.tenant).order_by("-id")[0]

    def lines(self, plan: Plan) -> list[Line]:
        with scope.one(self.tenant.id):
            return list(Line.objects.filter(plan=plan).order_by("place", "id"))

    def changes(self) -> list[Change]:
        with scope.one(self.tenant.id):
            return list(Change.objects.filter(tenant=self.tenant).order_by("id"))

    def replicate(self) -> None:
        self.worker.run(self.customer, "quick_replication")
        telephony.read(self.worker, self.customer)


def allow(customer: Customer) -> None:
    """The customer's app registration may write."""
    domains.allow(customer, permissions.missing_for((), permissions.WRITES))


def codes(asked: Asked) -> list[str]:
    return [each.problem.code if each.problem else "" for each in asked.verdicts]
