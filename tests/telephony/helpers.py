"""What tests of telephony share: the mirror as it is, and as it should be."""

from typing import Any

from simulator.graph.teams_state import Number, Telephony, telephony_of
from telephony import models
from telephony.models import Stream, TeamsStream
from tenants import scope
from tests.directory.pretend import Customer, Worker, rows

USERS, POLICIES, NUMBERS = "teams_users", "teams_policies", "number_assignments"
ALL = (USERS, POLICIES, NUMBERS)


def pretend(customer: Customer) -> Telephony:
    with customer.directory.lock:
        return telephony_of(customer.pretend)


def there(customer: Customer, status: str = "") -> list[Number]:
    """The pretend organisation's numbers."""
    return [one for one in pretend(customer).numbers.values() if not status or one.status == status]


def read(worker: Worker, customer: Customer, *kinds: str) -> list[Any]:
    return [worker.run(customer, kind) for kind in kinds or ALL]


def mirror(customer: Customer) -> dict[str, list[dict[str, Any]]]:
    names = ("TeamsUser", "TeamsPolicy", "UserPolicy", "PhoneNumber", "Seen")
    return {name: rows(getattr(models, name), customer) for name in names}


def stamps(customer: Customer) -> dict[str, set[Any]]:
    """When rows were written last: the same after a reading that found nothing new."""
    found = {}
    with scope.one(customer.tenant.id):
        for name in ("TeamsUser", "TeamsPolicy", "UserPolicy", "PhoneNumber"):
            model: Any = getattr(models, name)
            found[name] = set(model.objects.values_list("object_id", "changed_at"))
    return found


def stream(customer: Customer, name: Stream) -> TeamsStream:
    with scope.one(customer.tenant.id):
        found: TeamsStream = TeamsStream.objects.get(tenant_id=customer.tenant.id, stream=name)
        return found


def assert_in_step(customer: Customer) -> None:
    """Numbers, users and the policies of each are those of the pretend organisation."""
    held, state = mirror(customer), pretend(customer)
    assert {(row["number"], str(row["target_id"] or "")) for row in held["PhoneNumber"]} == {
        (one.number, one.target or "") for one in there(customer)
    }
    wanted = {}
    with customer.directory.lock:
        shelf = customer.directory.users
        for index in shelf.indices(customer.now()):
            user = shelf.view(index)
            if state.in_teams(user):
                row = state.user_row(user, customer.now())
                wanted[row["id"]] = row
    assert {str(row["object_id"]) for row in held["TeamsUser"]} == set(wanted)
    assert {(str(row["user_id"]), row["kind"]) for row in held["UserPolicy"]} == {
        (key, one["policyType"]) for key, row in wanted.items() for one in row["effectivePolicyAssignments"]
    }
    assert held["Seen"] == []
