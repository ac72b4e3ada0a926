"""Queued Tasks and Queue Changes as a browser sees them."""

import csv
import datetime as dt
import io
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import connection, transaction
from django.test import Client
from django.utils import timezone

from accounts.models import User
from breakers.models import Name
from breakers.services import open_breaker
from core.errors import UmpError
from replication import runner, services, states
from replication.context import Again, Done
from replication.models import Command, Lane, State
from tenants import scope
from tenants.access import SYSTEM
from tenants.models import Tenant
from tests.cast import Cast
from tests.replication.kinds import scripted

pytestmark = pytest.mark.django_db
SignIn = Callable[[User], Client]
COLUMNS = ["Id", "Customer", "Cmd Type", "State", "Retries", "When Executed", "Execution Result",
           "Next Execution Minutes"]  # fmt: skip


@pytest.fixture(autouse=True)
def kinds() -> Iterator[None]:
    with scripted(name="scripted"), scripted(name="other"):
        yield


def submit(tenant: Tenant, kind: str = "scripted", **more: Any) -> Command:
    with scope.one(tenant.id):
        return services.submit(SYSTEM, kind, tenant, **more)


def claim() -> states.Claimed:
    with scope.every("a test claims"):
        return states.claim("worker-7", 1)[0]


def change(command: Command, **fields: Any) -> None:
    with scope.every("a test turns the clock"):
        Command.objects.filter(id=command.id).update(**fields)


def text_of(client: Client, url: str, status: int = 200) -> str:
    answer = client.get(url)
    assert answer.status_code == status, answer.content[:400]
    return str(answer.content, "utf-8")


def status_of(client: Client, url: str, post: dict[str, Any] | None = None) -> int:
    """Of a request that may be refused: a refusal rolls back, and here only to this point."""
    with transaction.atomic():
        return (client.get(url) if post is None else client.post(url, post)).status_code


def test_the_header_counts_what_the_rows_show(cast: Cast, client_of: SignIn) -> None:
    assert "Open Commands: 0, Executing: 0, Queued: 0" in text_of(client_of(cast.olga), "/queue/")
    submit(cast.contoso)
    claim()
    assert "Open Commands: 1, Executing: 1, Queued: 0" in text_of(client_of(cast.olga), "/queue/")
    submit(cast.fabrikam)
    page = text_of(client_of(cast.olga), "/queue/")
    assert "Open Commands: 2, Executing: 1, Queued: 1" in page
    for column in COLUMNS:
        assert column in page


def test_an_operator_sees_his_customers_and_a_customer_only_himself(cast: Cast, client_of: SignIn) -> None:
    submit(cast.contoso)
    submit(cast.fabrikam)
    home = f"/tenants/{cast.contoso.id}/queue/"
    for person, url in (
        (cast.otto, "/queue/"),
        (cast.adam, home),
        (cast.vera, home),
        (cast.vera, "/queue/live/"),
    ):
        page = text_of(client_of(person), url)
        assert "Open Commands: 1, Executing: 0, Queued: 1" in page
        assert "Fabrikam" not in page
    assert client_of(cast.adam).get("/queue/")["Location"] == home
    assert "Open Commands: 2" in text_of(client_of(cast.mona), "/queue/")
    assert status_of(client_of(cast.nora), "/queue/") == 404
    assert status_of(client_of(cast.adam), f"/tenants/{cast.fabrikam.id}/queue/") == 404


def test_a_customers_own_people_call_it_queue_changes(cast: Cast, client_of: SignIn) -> None:
    url = f"/tenants/{cast.contoso.id}/queue/"
    assert "<h1>Queue Changes</h1>" in text_of(client_of(cast.adam), url)
    assert "<h1>Queued Tasks</h1>" in text_of(client_of(cast.olga), url)


def test_filters_search_sort_and_size_stand_in_the_address(cast: Cast, client_of: SignIn) -> None:
    mine, theirs = submit(cast.contoso), submit(cast.fabrikam, "other")
    client = client_of(cast.olga)

    def shown(query: str) -> list[int]:
        return [row.command.id for row in client.get(f"/queue/?{query}").context["rows"]]

    assert shown("") == [theirs.id, mine.id]
    assert shown("q=conto") == [mine.id]
    assert shown(f"q={theirs.id}") == [theirs.id]
    assert shown("kind=other") == [theirs.id]
    assert shown("state=open") == [theirs.id, mine.id]
    assert shown("state=failed") == []
    assert shown("sort=customer") == [mine.id, theirs.id]
    assert shown("sort=-customer") == [theirs.id, mine.id]
    assert shown("sort=nonsense&state=nonsense&kind=nonsense&page=x&size=-1&q=%00") == [theirs.id, mine.id]
    assert "Remove the filter State: Failed" in text_of(client, "/queue/?state=failed")
    assert "No command matches" in text_of(client, "/queue/?state=failed")


def test_open_commands_come_first(cast: Cast, client_of: SignIn) -> None:
    old = submit(cast.contoso, target="old")
    ended = [submit(cast.contoso, target=f"t{number}") for number in range(12)]
    for each in ended:
        change(each, state=State.SUCCEEDED, finished_at=timezone.now(), dedupe_key=None)
    client = client_of(cast.olga)
    pages = [client.get(f"/queue/?page={number}") for number in (1, 2)]
    assert [row.command.id for page in pages for row in page.context["rows"]] == [
        old.id, *(each.id for each in reversed(ended))
    ]  # fmt: skip
    assert "Showing 11 to 13 of 13 commands" in str(pages[1].content, "utf-8")


def test_next_execution_says_now_minutes_or_why_not(cast: Cast, client_of: SignIn) -> None:
    def said() -> str:
        return str(client_of(cast.olga).get("/queue/").context["rows"][0].next)

    command = submit(cast.contoso, delay=dt.timedelta(minutes=5))
    assert said() == "5"
    change(command, not_before=timezone.now())
    assert said() == "Now"
    with scope.one(cast.contoso.id):
        Lane.objects.update(not_before=timezone.now() + dt.timedelta(minutes=3))
    assert said() == "3", "Microsoft asked the whole lane for patience"
    with scope.one(cast.contoso.id):
        Tenant.objects.update(paused_at=timezone.now(), paused_by="Olga")
    assert said() == "paused"
    change(command, state=State.SUSPENDED)
    assert said() == "waiting for you"


def test_a_running_command_shows_how_far_it_is(cast: Cast, client_of: SignIn) -> None:
    command = submit(cast.contoso)
    claimed = claim()
    with scope.every("a test reports"):
        told = {
            "label": "Users read",
            "done": 9000,
            "total": 20000,
            "requests": 19,
            "rows": 9000,
            "waited": 17.2,
        }
        states.save_progress(command.id, claimed.fence, told)
    page = text_of(client_of(cast.olga), "/queue/")
    assert '<progress value="9000" max="20000" aria-label="Users read">' in page
    assert "19 requests, 9,000 rows, waited 17 s for Microsoft" in page


def test_the_live_rows_are_asked_for_and_not_sent_twice(cast: Cast, client_of: SignIn) -> None:
    submit(cast.contoso)
    client = client_of(cast.olga)
    assert 'hx-get="/queue/live/?state=open"' in text_of(client, "/queue/?state=open")
    first = client.get("/queue/live/?state=open")
    body = str(first.content, "utf-8")
    assert "Open Commands: 1, Executing: 0, Queued: 1" in body
    assert "csrfmiddlewaretoken" not in body, "a token would make every answer another one"
    assert "<html" not in body
    again = client.get("/queue/live/?state=open", headers={"If-None-Match": first["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    claim()
    moved = client.get("/queue/live/?state=open", headers={"If-None-Match": first["ETag"]})
    assert "Executing: 1" in str(moved.content, "utf-8")


def test_as_many_queries_for_three_rows_as_for_one(
    cast: Cast, client_of: SignIn, django_assert_num_queries: Any
) -> None:
    client = client_of(cast.olga)
    submit(cast.contoso)
    client.get("/queue/")
    with connection.execute_wrapper(counting := Counting()):
        client.get("/queue/live/")
    submit(cast.fabrikam)
    submit(cast.fabrikam, "other")
    with connection.execute_wrapper(counting_more := Counting()):
        client.get("/queue/live/")
    assert counting_more.count == counting.count


class Counting:
    def __init__(self) -> None:
        self.count = 0

    def __call__(self, execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        self.count += 1
        return execute(sql, params, many, context)


def test_the_csv_holds_every_match_and_no_formula(cast: Cast, client_of: SignIn) -> None:
    command = submit(cast.contoso)
    submit(cast.fabrikam, "other")
    change(command, message="=1+1")
    answer = client_of(cast.olga).get("/queue/export.csv?kind=scripted")
    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    text = str(b"".join(answer), "utf-8-sig")  # type: ignore[arg-type]  # it streams
    head, *rows = csv.reader(io.StringIO(text))
    assert head[:8] == COLUMNS
    assert [row[:7] for row in rows] == [
        [str(command.id), "Contoso", "Scripted", "Queued", "0 of 10", "", "'=1+1"]
    ]
    assert "Fabrikam" not in str(
        b"".join(client_of(cast.otto).get("/queue/export.csv")),
        "utf-8",  # type: ignore[arg-type]  # as above
    )


def test_how_soon_work_begins_is_said_above_the_rows(cast: Cast, client_of: SignIn) -> None:
    def told(who: User) -> list[str]:
        page = text_of(client_of(who), "/queue/").partition('aria-label="How work goes"')[2]
        return re.findall("<b>(.*?)</b>", page.partition("</section>")[0])

    assert told(cast.olga) == ["-N/A-", "-N/A-", "0", "Closed"]
    submit(cast.fabrikam)
    claim()
    now = timezone.now()
    due = now - dt.timedelta(seconds=60)
    for wait in range(1, 21):
        times = {"not_before": due, "started_at": due + dt.timedelta(seconds=wait), "finished_at": now}
        command = submit(cast.contoso, target=f"t{wait}")
        change(command, queued_at=due, state=State.SUCCEEDED, dedupe_key=None, **times)
    for number, times in enumerate(({"not_before": now}, {"finished_at": now - dt.timedelta(minutes=11)})):
        left_out = {"not_before": due, "started_at": due, "finished_at": now} | times
        change(
            submit(cast.contoso, target=f"no{number}"),
            queued_at=due,
            state=State.FAILED,
            dedupe_key=None,
            **left_out,
        )
    assert told(cast.olga) == ["10.0 s", "19.0 s", "1", "Closed"]
    assert told(cast.otto) == ["10.0 s", "19.0 s", "0", "Closed"], "of his customers"
    with scope.every("a test turns the clock"):
        Lane.objects.filter(tenant=cast.contoso).update(suspended_code="connection_unverified")
        Lane.objects.filter(tenant=cast.fabrikam).update(due_at=now, not_before=now + dt.timedelta(minutes=1))
    page = text_of(client_of(cast.olga), "/queue/live/")
    assert "1 of your customers held, 1 asked by Microsoft to wait" in page
    open_breaker(Name.LINE, UmpError.of("graph_unavailable"))
    assert told(cast.olga)[3] == "Open"
    assert "How work goes" not in text_of(client_of(cast.vera), "/queue/live/")


def test_no_worker_for_a_minute_is_said_and_what_to_do(cast: Cast, client_of: SignIn) -> None:
    def silent(client: Client) -> bool:
        return "no worker has taken any" in text_of(client, "/queue/")

    olga = client_of(cast.olga)
    submit(cast.contoso)
    assert not silent(olga)
    past = timezone.now() - dt.timedelta(minutes=3)
    with scope.every("a test turns the clock"):
        Lane.objects.update(due_at=past, not_before=past, served_at=past)
    assert silent(olga)
    assert "celery -A ump_portal worker" in text_of(olga, "/queue/")
    theirs = text_of(client_of(cast.adam), f"/tenants/{cast.contoso.id}/queue/")
    assert "no worker has taken any" in theirs
    assert "celery" not in theirs
    with scope.every("a test turns the clock"):
        Lane.objects.filter(tenant=cast.fabrikam).update(served_at=timezone.now())
    submit(cast.fabrikam)
    assert not silent(olga), "a worker that serves anybody lives"


def test_a_dead_workers_command_is_said_to_be_taken_back(cast: Cast, client_of: SignIn) -> None:
    command = submit(cast.contoso)
    claim()
    past = timezone.now() - dt.timedelta(minutes=3)
    change(command, lease_until=past)
    with scope.every("a test turns the clock"):
        Lane.objects.update(served_at=past)
    page = text_of(client_of(cast.olga), "/queue/")
    assert "Its worker has not been heard of" in page
    assert "no worker has taken any" in page


def test_a_slice_between_two_turns_still_shows_its_progress(cast: Cast, client_of: SignIn) -> None:
    command = submit(cast.contoso)
    claimed = claim()
    with scope.every("a test reports"):
        states.save_progress(command.id, claimed.fence, {"label": "Users read", "done": 5, "total": 10})
    runner._settle(claimed, runner._after(Again()))
    assert "5 of 10 (50%)" in text_of(client_of(cast.olga), "/queue/")


def test_partly_done_is_not_called_done(cast: Cast, client_of: SignIn) -> None:
    submit(cast.contoso)
    runner._settle(claim(), runner._after(Done("Users yes, licences no.", outcome="partial")))
    page = text_of(client_of(cast.olga), "/queue/")
    assert "Succeeded in part" in page


def test_the_pause_is_seen_with_who_and_when_and_only_an_admin_may_set_it(
    cast: Cast, client_of: SignIn
) -> None:
    pia = client_of(cast.pia)
    assert status_of(client_of(cast.olga), "/queue/pause/", {}) == 403
    assert status_of(client_of(cast.adam), "/queue/pause/", {}) == 404
    assert "/queue/pause/" not in text_of(client_of(cast.olga), "/queue/")
    assert "Pause the whole queue?" in text_of(pia, "/queue/pause/")
    answer = pia.post("/queue/pause/")
    assert (answer.status_code, answer["Location"]) == (303, "/queue/")
    page = text_of(pia, "/queue/")
    assert "The whole queue is paused by Pia" in page
    assert "/queue/resume/" in page
    customers = text_of(client_of(cast.adam), f"/tenants/{cast.contoso.id}/queue/")
    assert "The whole queue is paused" in customers
    assert "Pia" not in customers
    assert pia.post("/queue/resume/").status_code == 303
    assert "The whole queue is paused" not in text_of(pia, "/queue/")
