"""Pages of changes and plans: what waits, what would be written, who may, and how many queries that takes."""

import csv
import io
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.models import User
from provisioning import planning
from provisioning.models import Change, Plan
from replication.models import Command
from tenants import scope
from tests.cast import Cast
from tests.pages.helpers import post, text_of
from tests.provisioning.making import add_change, add_line, add_plan
from tests.telephony.making import add_person

SignIn = Callable[[User], Client]
pytestmark = pytest.mark.django_db


@pytest.fixture
def base(cast: Cast) -> str:
    return f"/tenants/{cast.contoso.id}/changes/"


def states(cast: Cast) -> list[str]:
    with scope.one(cast.contoso.id):
        return list(Change.objects.order_by("id").values_list("state", flat=True))


def lines(answer: Any) -> list[list[str]]:
    return list(csv.reader(io.StringIO(b"".join(answer.streaming_content).decode("utf-8-sig"))))


def ready(cast: Cast, *names: str) -> Plan:
    """A plan to give each of these a department, as it was drawn."""
    plan = add_plan(cast.contoso, state="drawing", figures={})
    for name in names:
        user = add_person(cast.contoso, name)
        add_line(plan, user, name, state="planned", change_state="pending", done_at=None, sent_at=None)
    with scope.one(cast.contoso.id):
        return planning.conclude(plan)


def test_what_waits_is_withdrawn_and_what_failed_is_asked_for_again(
    cast: Cast, base: str, client_of: SignIn
) -> None:
    client, user = client_of(cast.adam), add_person(cast.contoso, "Ann Adler")
    assert "Nothing waits" in text_of(client, base)
    first = add_change(cast.contoso.id, user, "Ann Adler")
    add_change(cast.contoso.id, user, "Ann Adler", "user:city", wanted="Bern")
    problem = {"message": "The number is somebody's.", "advice": "Choose another."}
    failed = add_change(
        cast.contoso.id, user, "Ann Adler", "user:jobTitle", state="failed", problem=problem, wanted="Clerk"
    )
    page = text_of(client, base)
    for words in ("Waiting: 2, being applied: 0, not applied: 1", "The number is somebody&#x27;s. Choose another.",
                  "Show plan", "Withdraw all"):  # fmt: skip
        assert words in page, words
    assert (
        "Withdraw 1 change?"
        in post(client, f"{base}withdraw/", {"id": [first.id, failed.id]}, 200).content.decode()
    )
    post(client, f"{base}withdraw/", {"id": [first.id, failed.id], "confirm": "1"})
    assert states(cast) == ["withdrawn", "pending", "failed"]
    post(client, f"{base}retry/", {"id": [failed.id], "confirm": "1"})
    assert states(cast) == ["withdrawn", "pending", "failed", "pending"]
    page = text_of(client, base)
    assert "Waiting: 2, being applied: 0, not applied: 0" in page, (
        "what was asked for again is not told twice"
    )
    assert "Written in 4 min" in page or "Written in 5 min" in page
    post(client, f"{base}withdraw/", {"confirm": "1", "all": "1"})
    assert states(cast) == ["withdrawn", "withdrawn", "failed", "withdrawn"]
    head, *rows = lines(client.get(f"{base}export.csv?state=all"))
    assert head[0] == "User"
    assert len(rows) == 4


def test_changes_that_nothing_will_write_wait_for_a_person_and_say_so(
    cast: Cast, base: str, client_of: SignIn
) -> None:
    client, plan = client_of(cast.adam), ready(cast, "Ann Adler", "Bea Bell")
    home = f"/tenants/{cast.contoso.id}/"
    for who, page in ((client_of(cast.olga), "/"), (client, home)):
        assert "2 changes of users wait" in text_of(who, page)
    page = text_of(client, base)
    assert "These changes wait for you" in page
    assert page.count("Waits for you") == 2
    assert f"plans/{plan.uid}/apply/" in page, "the plan that was drawn for them can be applied at once"
    assert "Process All" not in page, "there is no wait that could be ended"
    post(client, f"{base}plans/{plan.uid}/apply/", {"digest": plan.digest})
    assert "These changes wait for you" not in text_of(client, base), "a command is at it"
    assert "changes of users wait" not in text_of(client, home)
    with scope.one(cast.contoso.id):
        Command.objects.filter(kind="apply_changes").delete()
    add_change(cast.contoso.id, add_person(cast.contoso, "Cid Cole"), "Cid Cole")
    page = text_of(client, base)
    assert "These changes wait for you" in page
    assert "/apply/" not in page, "the newest plan has not all of them"
    assert "Waits for you" in text_of(client_of(cast.vera), base)


def test_who_only_looks_can_change_nothing(cast: Cast, base: str, client_of: SignIn) -> None:
    add_change(cast.contoso.id, add_person(cast.contoso, "Ann Adler"), "Ann Adler")
    page = text_of(client_of(cast.vera), base)
    assert "Ann Adler" in page
    for words in ("Show plan", "Withdraw all", "withdraw/", "Process All"):
        assert words not in page


def test_apply_is_bound_to_the_plan_that_was_read(cast: Cast, base: str, client_of: SignIn) -> None:
    client, plan = client_of(cast.adam), ready(cast, "Ann Adler", "Bea Bell")
    at = f"{base}plans/{plan.uid}/"
    page = text_of(client, at)
    assert "2</b>" not in page
    assert "Ready to look at" in page
    asked = text_of(client, f"{at}apply/")
    assert "Apply 2 writes to Contoso?" in asked
    assert "Bea Bell: Department, Sales" in asked
    post(client, f"{at}apply/", {"digest": "of another plan"})
    with scope.one(cast.contoso.id):
        assert not Command.objects.filter(kind="apply_changes").exists()
    post(client, f"{at}apply/", {"digest": plan.digest})
    with scope.one(cast.contoso.id):
        command = Command.objects.get(kind="apply_changes")
        assert command.target == str(plan.uid)
    page = text_of(client, at)
    assert f"Apply changes #{command.id}" in page
    assert f"{at}live/" in page, "the page follows it"
    assert f'href="{at}apply/"' not in page, "it is applied once"


def test_a_plan_that_other_changes_overtook_is_out_of_date(cast: Cast, base: str, client_of: SignIn) -> None:
    plan = ready(cast, "Ann Adler")
    add_change(cast.contoso.id, add_person(cast.contoso, "Bea Bell"), "Bea Bell")
    page = text_of(client_of(cast.adam), f"{base}plans/{plan.uid}/")
    assert "Out of date" in page
    assert "Draw a new plan" in page
    assert f"{plan.uid}/apply/" not in page


def test_request_ids_are_for_the_provider(cast: Cast, base: str, client_of: SignIn) -> None:
    plan = add_plan(cast.contoso)
    add_line(plan, add_person(cast.contoso, "Ann Adler"), request_id="req-of-microsoft")
    at = f"{base}plans/{plan.uid}/"
    assert "req-of-microsoft" in text_of(client_of(cast.olga), at)
    assert "req-of-microsoft" not in text_of(client_of(cast.adam), at)
    assert "req-of-microsoft" not in text_of(client_of(cast.adam), f"{at}export.csv")


def test_undo_says_what_it_takes_back_and_what_it_leaves(cast: Cast, base: str, client_of: SignIn) -> None:
    client, plan = client_of(cast.adam), add_plan(cast.contoso)
    ann, bea = add_person(cast.contoso, "Ann Adler"), add_person(cast.contoso, "Bea Bell")
    add_line(plan, ann, "Ann Adler", "user:city", before="Rome", after=None)
    add_line(plan, bea, "Bea Bell", "user:city", before="Rome", after=None)
    add_line(add_plan(cast.contoso), bea, "Bea Bell", "user:city", before=None, after=None, act="change")
    page = text_of(client, f"{base}plans/{plan.uid}/undo/")
    assert "1 change would be asked for, 1 stays as it is" in page
    assert "A later plan of the portal has changed it again." in page
    assert page.index("Stays as it is") < page.index("Taken back"), "what needs a look comes first"
    only = text_of(client, f"{base}plans/{plan.uid}/undo/?outcome=back&q=ann")
    assert ("Ann Adler" in only, "Bea Bell" in only) == (True, False)
    post(client, f"{base}plans/{plan.uid}/undo/", {})
    with scope.one(cast.contoso.id):
        (asked,) = Change.objects.filter(state="pending")
        assert (asked.subject_id, asked.wanted, asked.edit.undo_of_id) == (ann, "Rome", plan.id)


def test_a_long_undo_comes_in_pages_and_costs_no_more_queries_than_a_short_one(
    cast: Cast, base: str, client_of: SignIn
) -> None:
    client, plan, user = client_of(cast.adam), add_plan(cast.contoso), add_person(cast.contoso, "Ann Adler")

    def queries() -> int:
        with CaptureQueriesContext(connection) as seen:
            page = text_of(client, f"{base}plans/{plan.uid}/undo/")
        assert page.count('data-label="Outcome"') <= 10
        return sum(each["sql"].startswith(("SELECT", "WITH")) for each in seen)

    def more(numbers: range) -> None:
        for number in numbers:
            add_line(plan, user, aspect=f"policy:Kind{number}", after={"id": "1", "name": "One"})

    more(range(2))
    queries()
    one = queries()
    more(range(2, 30))
    assert queries() == one


LISTS = [
    "/tenants/{}/changes/",
    "/tenants/{}/changes/plans/",
    "/tenants/{}/changes/plans/{plan}/",
    "/replication/plans/",
]


@pytest.mark.parametrize("path", LISTS)
def test_as_many_queries_with_one_row_as_with_three(cast: Cast, client_of: SignIn, path: str) -> None:
    client = client_of(cast.olga)
    plan, user = add_plan(cast.contoso), uuid.uuid4()
    at = path.format(cast.contoso.id, plan=plan.uid)

    def more(number: int) -> None:
        add_line(
            plan,
            user,
            aspect=f"policy:Kind{number}",
            after={"id": "1", "name": "One"},
            change_state="applying",
        )
        add_line(add_plan(cast.contoso, state="stale"), user, aspect=f"user:x{number}")

    def queries() -> int:
        client.get(at)
        with CaptureQueriesContext(connection) as seen:
            assert client.get(at).status_code == 200
        return sum(
            each["sql"].startswith(("SELECT", "WITH")) for each in seen if "set_config" not in each["sql"]
        )

    more(1)
    one = queries()
    assert one <= 12
    more(2)
    more(3)
    assert queries() == one
