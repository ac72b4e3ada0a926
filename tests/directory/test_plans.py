"""A full read that would remove much waits for a person, whose word holds for what was seen (complaint B 21)."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.db import transaction
from django.test import Client

from accounts.models import User
from audit.models import Entry
from directory.models import DirectoryUser
from replication import plans
from replication.models import Command, Removal, RemovalPlan, State
from tenants import scope
from tenants.abilities import Ability, Role
from tests.api.conftest import Api, make_token
from tests.cast import Cast
from tests.directory.pretend import FULL, Customer, Worker, assert_in_step, code_of, rows, stream
from ump_portal import cli

AddCustomer = Callable[..., Customer]
SignIn = Callable[[User], Client]


@pytest.fixture
def customer(add_customer: AddCustomer, worker: Worker) -> Customer:
    """120 users that were replicated; then 80 of them went, and every link was forgotten."""
    customer = add_customer("Litware", users=120)
    worker.run(customer)
    remove(customer, range(80))
    customer.expire_links()
    return customer


@pytest.fixture
def held(customer: Customer, worker: Worker) -> Command:
    return worker.run(customer)


def remove(customer: Customer, users: Any, kind: str = "users") -> None:
    for index in users:
        customer.remove(kind, index, forever=True)


def plan_of(command: Command) -> RemovalPlan:
    with scope.one(command.tenant_id):  # type: ignore[arg-type]  # it has one
        return plans.of_command(command.id).get()


def fresh(command: Command) -> Command:
    with scope.one(command.tenant_id):  # type: ignore[arg-type]  # it has one
        return Command.objects.get(id=command.id)


def names_in(plan: RemovalPlan) -> set[str]:
    with scope.one(plan.tenant_id):
        return set(Removal.objects.filter(plan=plan).values_list("key", flat=True))


def page_of(command: Command) -> str:
    return f"/tenants/{command.tenant_id}/commands/{command.id}/"


def text_of(client: Client, url: str, status: int = 200) -> str:
    with transaction.atomic():
        answer = client.get(url)
    assert answer.status_code == status, f"{url}: {answer.status_code}"
    body = b"".join(answer) if answer.streaming else answer.content  # type: ignore[arg-type]  # bytes in tests
    return str(body, "utf-8")


def post(client: Client, command: Command, plan_id: object) -> Any:
    with transaction.atomic():
        return client.post(f"{page_of(command)}approve/", {"plan": plan_id})


def audited(command: Command) -> list[str]:
    with scope.every("a test counts"):
        found = Entry.objects.filter(action="plan.approved", object_id=str(command.id))
        return list(found.values_list("actor_label", flat=True))


def test_nothing_goes_until_a_person_agreed(customer: Customer, held: Command, worker: Worker) -> None:
    link = stream(customer, "users").delta_link
    assert (held.state, code_of(held)) == (State.SUSPENDED, "plan_needs_approval")
    assert "would remove 80 objects" in held.message
    assert len(rows(DirectoryUser, customer)) == 120
    assert stream(customer, "users").delta_link == link
    plan = plan_of(held)
    assert {each["noun"]: (each["remove"], each["have"]) for each in plan.figures} == {
        "User": (80, 120),
        "Group": (0, 4),
    }
    gone = {str(row["object_id"]) for row in rows(DirectoryUser, customer)} - customer.ids("users")
    assert names_in(plan) == gone


def test_the_settings_say_how_much_is_much(customer: Customer, worker: Worker, settings: Any) -> None:
    settings.REMOVAL_SHARE = 0.9
    assert worker.run(customer).result["users"]["removed"] == 80
    settings.REMOVAL_SHARE = 0.2
    settings.REMOVAL_FLOOR = 2
    remove(customer, range(80, 100))
    assert code_of(worker.run(customer, FULL)) == "plan_needs_approval"


def test_the_page_says_which_and_how_many_and_the_confirmation_lets_it_go_on(
    customer: Customer, held: Command, worker: Worker, cast: Cast, client_of: SignIn
) -> None:
    plan, client = plan_of(held), client_of(cast.pia)
    with scope.one(plan.tenant_id):
        first = plans.lines_of(plan)[0]
    page = text_of(client, page_of(held))
    assert "80 of 120 users" in page
    assert first.name in page
    assert "Confirm the removal" in page
    listed = text_of(client, f"{page_of(held)}plan/?size=25&kind=User")
    assert "Showing 1 to 25 of 80 objects" in listed
    assert first.detail in text_of(client, f"{page_of(held)}plan/?q={first.key}")
    assert text_of(client, f"{page_of(held)}plan/export.csv").count("\r\n") == 81
    asked = text_of(client, f"{page_of(held)}approve/")
    assert "Remove 80 objects from the copy of Litware?" in asked
    assert "Nothing is removed at Microsoft" in asked
    assert f'name="plan" value="{plan.id}"' in asked
    assert fresh(held).state == State.SUSPENDED, "looking confirms nothing"
    for _ in range(2):  # a double click
        answer = post(client, held, plan.id)
        assert (answer.status_code, answer["Location"]) == (303, page_of(held))
    assert audited(held) == [str(cast.pia)]
    done = worker.finish(held)
    assert (done.state, done.result["users"]["removed"]) == (State.SUCCEEDED, 80)
    assert_in_step(customer)
    page = text_of(client, page_of(held))
    assert "Confirmed" in page
    assert "Confirm the removal" not in page
    assert "does not wait" in str(client.get(f"{page_of(held)}approve/", follow=True).content, "utf-8")


def test_who_may_not_confirm(customer: Customer, held: Command, cast: Cast, client_of: SignIn) -> None:
    plan = plan_of(held)
    assert "Confirm the removal" not in text_of(client_of(cast.olga), page_of(held))
    for person, status in ((cast.olga, 403), (cast.mona, 403), (cast.max, 404), (cast.adam, 404)):
        assert post(client_of(person), held, plan.id).status_code == status
        text_of(client_of(person), f"{page_of(held)}approve/", status)
    for person in (cast.max, cast.adam):
        text_of(client_of(person), f"{page_of(held)}plan/", 404)
    with transaction.atomic():
        foreign = f"/tenants/{cast.contoso.id}/commands/{held.id}/approve/"
        assert client_of(cast.pia).post(foreign, {"plan": plan.id}).status_code == 404
    assert fresh(held).state == State.SUSPENDED
    assert audited(held) == []


@pytest.mark.parametrize("given", ["", "0", "-1", "x", "9" * 40, "²"])
def test_a_confirmation_of_no_plan_is_none(held: Command, cast: Cast, client_of: SignIn, given: str) -> None:
    assert post(client_of(cast.pia), held, given).status_code == 303
    assert fresh(held).state == State.SUSPENDED


def test_what_went_since_is_asked_about_again(
    customer: Customer, held: Command, worker: Worker, cast: Cast, client_of: SignIn
) -> None:
    old, client = plan_of(held), client_of(cast.pia)
    remove(customer, range(80, 85))
    post(client, held, old.id)
    again = worker.finish(held)
    assert (again.state, code_of(again)) == (State.SUSPENDED, "plan_needs_approval")
    assert len(rows(DirectoryUser, customer)) == 120
    new = plan_of(held)
    assert new.id != old.id
    assert new.approved_at is None
    assert "5 of them are new" in text_of(client, page_of(held))
    late = client.post(f"{page_of(held)}approve/", {"plan": old.id}, follow=True)
    assert "changed since this plan was made" in str(late.content, "utf-8")
    assert fresh(held).state == State.SUSPENDED, "the older plan opens nothing"
    post(client, held, new.id)
    assert worker.finish(held).result["users"]["removed"] == 85
    assert_in_step(customer)


def test_what_came_back_since_stays(
    customer: Customer, worker: Worker, add_customer: AddCustomer, cast: Cast, client_of: SignIn
) -> None:
    customer = add_customer("Proseware", users=120)
    worker.run(customer)
    for index in range(80):
        customer.remove("users", index)
    customer.expire_links()
    held = worker.run(customer)
    for index in range(10):
        customer.restore("users", index)
    post(client_of(cast.pia), held, plan_of(held).id)
    done = worker.finish(held)
    assert (done.state, done.result["users"]["removed"]) == (State.SUCCEEDED, 70)
    assert_in_step(customer)


def test_users_and_groups_are_one_plan(add_customer: AddCustomer, worker: Worker) -> None:
    customer = add_customer("Proseware", users=120, groups=70)
    worker.run(customer)
    remove(customer, range(60))
    remove(customer, range(65), "groups")
    customer.expire_links()
    held = worker.run(customer)
    assert plan_of(held).removals == 125
    assert "would remove 125 objects" in held.message


def test_trying_again_reads_anew_and_asks_again(
    customer: Customer, held: Command, worker: Worker, cast: Cast, client_of: SignIn
) -> None:
    old = plan_of(held).id
    with transaction.atomic():
        client_of(cast.olga).post(f"{page_of(held)}retry/")
    assert code_of(worker.finish(held)) == "plan_needs_approval"
    assert plan_of(held).id != old


def test_cancelling_says_no(held: Command, customer: Customer, worker: Worker, cast: Cast) -> None:
    worker.cancel(held)
    assert fresh(held).state == State.CANCELLED
    assert len(rows(DirectoryUser, customer)) == 120


def test_an_approval_is_not_inherited_by_a_repetition(
    customer: Customer, held: Command, worker: Worker, cast: Cast, client_of: SignIn
) -> None:
    post(client_of(cast.pia), held, plan_of(held).id)
    worker.cancel(held)
    with transaction.atomic():
        made = client_of(cast.pia).post(f"{page_of(held)}retry/")["Location"]
    with scope.one(customer.tenant.id):
        again = Command.objects.get(id=int(made.split("/")[-2]))
    assert code_of(worker.finish(again)) == "plan_needs_approval"


def test_programs_confirm_by_the_plans_number(customer: Customer, held: Command, worker: Worker) -> None:
    api = Api(make_token())
    base = f"tenants/{held.tenant_id}/commands/{held.id}"
    found = api.get(f"{base}/plan").json
    assert (found["removals"], found["approved_at"]) == (80, None)
    lines = api.get(f"{base}/plan/lines?limit=200").json["results"]
    assert len(lines) == 80
    assert {line["object_id"] for line in lines} == names_in(plan_of(held))
    assert api.post(f"{base}/approve").fields == {"plan"}
    assert api.post(f"{base}/approve", {"plan": found["plan"] + 1}).code == "plan_stale"
    operator = Api(make_token(Role.OPERATOR))
    assert operator.post(f"{base}/approve", {"plan": found["plan"]}).status == 403
    narrow = Api(make_token(scopes=[Ability.VIEW_TENANT, Ability.VIEW_QUEUE, Ability.MANAGE_QUEUE]))
    assert narrow.get(f"{base}/plan").json == found
    assert narrow.get(f"{base}/plan/lines").status == 403, "names of users are for who may see users"
    assert narrow.post(f"{base}/approve", {"plan": found["plan"]}).status == 403
    for _ in range(2):
        answer = api.post(f"{base}/approve", {"plan": found["plan"]})
        assert (answer.status, answer.json["state"]) == (202, "queued")
    assert worker.finish(held).state == State.SUCCEEDED
    assert_in_step(customer)


def test_another_customers_plan_is_not_there(held: Command, cast: Cast) -> None:
    theirs = Api(make_token(Role.CUSTOMER_ADMIN, cast.contoso))
    for path in ("plan", "plan/lines"):
        assert theirs.get(f"tenants/{held.tenant_id}/commands/{held.id}/{path}").status == 404
        assert theirs.get(f"tenants/{cast.contoso.id}/commands/{held.id}/{path}").status == 404


def test_without_a_plan_there_is_nothing_to_confirm(customer: Customer, worker: Worker) -> None:
    api, command = Api(make_token()), worker.queue(customer)
    base = f"tenants/{command.tenant_id}/commands/{command.id}"
    assert api.get(f"{base}/plan").status == 404
    assert api.post(f"{base}/approve", {"plan": 1}).code == "illegal_move"


def test_at_the_command_line(
    customer: Customer, held: Command, worker: Worker, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["plan", "show", "Litware", str(held.id)]) == 0
    said = capsys.readouterr().out
    assert "80 of 120 users" in said
    plan = plan_of(held)
    assert f"--plan {plan.id}" in said
    assert cli.main(["plan", "approve", "Litware", str(held.id), "--plan", str(plan.id + 1)]) == 1
    capsys.readouterr()
    assert cli.main(["plan", "approve", "Litware", str(held.id), "--plan", str(plan.id), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["state"] == "Queued"
    assert worker.finish(held).state == State.SUCCEEDED
