"""A pretend Microsoft 365, a customer in it, and a worker that carries out commands in the test's own thread."""

import dataclasses
import uuid
from typing import Any

from django.db.models import Q

from directory import models
from replication import runner, states
from replication.models import Command, Lane, State
from replication.services import cancel, submit
from simulator.server import Simulator
from simulator.tenant import Tenant as Pretend
from tenants import scope, services
from tenants.access import SYSTEM
from tenants.models import Cloud, Tenant, Verification

QUICK, FULL = "quick_replication", "sync"


@dataclasses.dataclass
class Customer:
    """One customer: at Microsoft, in the portal, and what a test does to either."""

    microsoft: Simulator
    pretend: Pretend
    tenant: Tenant

    @property
    def directory(self) -> Any:
        return self.pretend.directory

    def now(self) -> float:
        return self.microsoft.state.now()

    def change(self, kind: str, index: int, **properties: Any) -> None:
        with self.directory.lock:
            self.directory.change(kind, index, properties, self.now())

    def remove(self, kind: str, index: int, *, forever: bool = False) -> None:
        with self.directory.lock:
            self.directory.remove(kind, index, self.now(), forever=forever)

    def restore(self, kind: str, index: int) -> None:
        with self.directory.lock:
            self.directory.restore(kind, index, self.now())

    def create(self, kind: str, **properties: Any) -> int:
        with self.directory.lock:
            return int(self.directory.create(kind, properties, self.now()))

    def join(self, group: int, *users: int) -> None:
        with self.directory.lock:
            self.directory.join(group, users, self.now())

    def leave(self, group: int, *users: int) -> None:
        with self.directory.lock:
            self.directory.leave(group, users, self.now())

    def trouble(self, kind: str, **options: Any) -> Any:
        spec = {"kind": kind, "host": "graph", **options}
        return self.microsoft.state.troubles.add(spec, tenant=self.pretend.id, now=self.now())

    def heal(self) -> None:
        self.microsoft.state.troubles.clear(self.pretend.id)

    def requests(self) -> list[tuple[str, str, int]]:
        """(method, route, status) of each kind of call to Graph, with its count left out."""
        rows = self.microsoft.state.stats.describe(self.pretend.id)["by_route"]
        return [
            (str(row["method"]), str(row["route"]), int(str(row["requests"])))
            for row in rows
            if not str(row["route"]).startswith("login:")
        ]

    def ids(self, kind: str) -> set[str]:
        shelf = self.directory.shelf(kind)
        return {shelf.ids[index] for index in shelf.indices(self.now())}

    def expire_links(self) -> None:
        """Microsoft forgets every delta link that it has given out so far."""
        self.pretend.delta_tokens_from = self.now() + 1

    def memberships(self) -> set[tuple[str, str]]:
        directory = self.directory
        return {
            (directory.groups.ids[group], directory.member_reference(code)[1])
            for group in directory.groups.indices(self.now())
            for code in directory.members_seen(group, self.now())
        }


def make_customer(microsoft: Simulator, name: str = "Contoso", **spec: Any) -> Customer:
    """A customer with an app registration that was checked successfully."""
    pretend = microsoft.state.add_tenant({"name": name, "users": 30, "groups": 4, **spec})
    app = next(iter(pretend.apps.values()))
    tenant = services.add_tenant(SYSTEM, name=name, entra_tenant_id=uuid.UUID(pretend.id))
    with scope.one(tenant.id):
        services.set_connection(
            SYSTEM,
            tenant,
            cloud=Cloud(str(spec.get("cloud", Cloud.GLOBAL))),
            client_id=uuid.UUID(app.client_id),
            client_secret=app.secrets[0].value,
        )
        services.note_check(tenant.id, verification=Verification.SUCCESSFUL, problem=None)
    return Customer(microsoft, pretend, tenant)


class Killed(BaseException):
    """Stands for kill -9: no code of ours catches it."""


@dataclasses.dataclass
class Worker:
    """Runs one command at a time in this thread, as the pool's threads do."""

    def queue(self, customer: Customer, kind: str = QUICK, **options: Any) -> Command:
        with scope.one(customer.tenant.id):
            return submit(SYSTEM, kind, customer.tenant, **options)

    def claim(self) -> states.Claimed:
        with scope.every("a test's worker"):
            claimed = states.claim("test", 1)
        assert claimed, "nothing is due"
        return claimed[0]

    def step(self) -> State:
        """One slice; what became of the command."""
        claimed = self.claim()
        verdict = runner.run_one(claimed)
        runner._settle(claimed, verdict)
        return verdict.to

    def finish(self, command: Command, most: int = 500) -> Command:
        for _ in range(most):
            self.step()
            with scope.every("a test looks at its command"):
                command.refresh_from_db()
                if command.state != State.QUEUED or command.reason != "slice":
                    return command
        raise AssertionError("the command does not come to an end")

    def run(self, customer: Customer, kind: str = QUICK, **options: Any) -> Command:
        return self.finish(self.queue(customer, kind, **options))

    def wait_is_over(self, command: Command) -> None:
        with scope.every("a test turns the clock"):
            Lane.objects.filter(id=command.lane_id).update(not_before="2020-01-01T00:00Z")
            states.make_due(Q(id=command.id))

    def cancel(self, command: Command) -> None:
        with scope.one(command.tenant_id):
            command.refresh_from_db()
            cancel(SYSTEM, command)

    def take_back(self) -> None:
        """What the sweeper does when a worker died: the command is queued again, its checkpoint kept."""
        with scope.every("a test's sweeper"):
            for command in Command.objects.filter(state=State.EXECUTING):
                states.move(command.id, from_=State.EXECUTING, to=State.QUEUED)


def rows(model: Any, customer: Customer) -> list[dict[str, Any]]:
    """The rows of a customer without the times at which we wrote them."""
    with scope.one(customer.tenant.id):
        found = list(model.objects.filter(tenant_id=customer.tenant.id).order_by("pk").values())
    return [{key: value for key, value in row.items() if key not in {"changed_at", "pk"}} for row in found]


def mirror(customer: Customer) -> dict[str, Any]:
    """Everything that a customer's mirror holds."""
    names = ("DirectoryUser", "DirectoryGroup", "GroupMember", "SubscribedSku")
    return {name: rows(getattr(models, name), customer) for name in names}


def assert_in_step(customer: Customer) -> None:
    """The mirror has exactly Microsoft's objects and memberships, and no notes are left over."""
    held = mirror(customer)
    assert {str(row["object_id"]) for row in held["DirectoryUser"]} == customer.ids("users")
    assert {str(row["object_id"]) for row in held["DirectoryGroup"]} == customer.ids("groups")
    members = {(str(row["group_id"]), str(row["member_id"])) for row in held["GroupMember"]}
    assert members == customer.memberships()
    assert rows(models.SeenObject, customer) == []
    assert rows(models.GroupToRead, customer) == []


def stream(customer: Customer, name: str) -> models.SyncStream:
    with scope.one(customer.tenant.id):
        found: models.SyncStream = models.SyncStream.objects.get(tenant_id=customer.tenant.id, stream=name)
        return found


def code_of(command: Command) -> str:
    return str((command.error or {}).get("code", ""))
