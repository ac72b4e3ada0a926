"""A command's page, and what people do to one or many commands."""

import html
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.models import User
from core.errors import UmpError
from replication import runner, services
from replication.context import Done
from replication.models import Command, State
from tenants import scope
from tenants.access import SYSTEM
from tenants.models import Tenant
from tests.cast import Cast
from tests.queuepages.test_lists import change, claim, status_of, submit, text_of
from tests.replication.kinds import scripted

pytestmark = pytest.mark.django_db
SignIn = Callable[[User], Client]


@pytest.fixture(autouse=True)
def kinds() -> Iterator[None]:
    with scripted(name="scripted"):
        yield


def page_of(command: Command) -> str:
    return f"/tenants/{command.tenant_id}/commands/{command.id}/"


def state_of(command: Command) -> str:
    with scope.every("a test looks"):
        return str(Command.objects.get(id=command.id).state)


def fail(tenant: Tenant, code: str, **detail: str) -> Command:
    """A command that ended, or was suspended, with this error."""
    command = submit(tenant)
    claimed = claim()
    runner._settle(claimed, runner.verdict_on(claimed, UmpError.of(code, detail=detail)))
    return command


def provider_wide() -> Command:
    with scope.every("a test queues for the provider"):
        return services.submit(SYSTEM, "scripted", None)


def test_the_page_tells_the_whole_story(cast: Cast, client_of: SignIn) -> None:
    command = submit(cast.contoso)
    runner._settle(
        claim(),
        runner._after(Done("All is well.", result={"users": {"added": 3, "removed": 0}, "mode": "full"})),
    )
    page = text_of(client_of(cast.vera), page_of(command))
    for words in (
        "Succeeded",
        "All is well.",
        "Queued by UMP Portal.",
        "Added",
        "Removed",
        ">3<",
        ">0<",
        "Read in",
    ):
        assert words in page
    assert "data-live" not in page, "an ended command is not asked for again"
    assert "Try again" not in page
    assert "Repeat" not in page, "Vera may look only"


def test_a_failure_says_what_who_and_microsofts_own_codes(cast: Cast, client_of: SignIn) -> None:
    command = fail(cast.contoso, "secret_expired", microsoft_code="AADSTS7000222", worker="host-1:77")
    page = text_of(client_of(cast.olga), page_of(command))
    assert "Suspended" in page
    assert "creates a new client secret" in page
    assert "Who can fix it" in page
    assert "AADSTS7000222" in page
    assert "host-1:77" in page
    assert f"/tenants/{cast.contoso.id}/connection/" in page
    assert "Try again" not in page, "the connection must be mended first"
    theirs = text_of(client_of(cast.adam), page_of(command))
    assert "AADSTS7000222" in theirs
    assert "host-1:77" not in theirs


def test_a_customer_is_not_called_the_provider(cast: Cast, client_of: SignIn) -> None:
    command = fail(cast.contoso, "connection_unverified")
    assert "You, the service provider" in text_of(client_of(cast.olga), page_of(command))
    theirs = text_of(client_of(cast.adam), page_of(command))
    assert "the service provider" not in theirs
    assert "Your service provider" in theirs


def test_the_live_inside_ends_politely(cast: Cast, client_of: SignIn) -> None:
    command = submit(cast.contoso)
    client = client_of(cast.vera)
    assert f'hx-get="{page_of(command)}live/"' in text_of(client, page_of(command))
    first = client.get(f"{page_of(command)}live/")
    assert first.status_code == 200
    assert client.get(f"{page_of(command)}live/", headers={"If-None-Match": first["ETag"]}).status_code == 304
    runner._settle(claim(), runner._after(Done("All is well.")))
    last = client.get(f"{page_of(command)}live/", headers={"If-None-Match": first["ETag"]})
    assert last.status_code == 286
    assert "All is well." in str(last.content, "utf-8")


def test_cancel_asks_first_and_leads_back(cast: Cast, client_of: SignIn) -> None:
    command = submit(cast.contoso)
    client = client_of(cast.adam)
    assert f"#{command.id} Scripted, Contoso, Queued" in text_of(client, f"{page_of(command)}cancel/")
    assert state_of(command) == State.QUEUED, "looking cancels nothing"
    answer = client.post(f"{page_of(command)}cancel/")
    assert (answer.status_code, answer["Location"]) == (303, page_of(command))
    assert state_of(command) == State.CANCELLED
    late = client.post(f"{page_of(command)}cancel/", follow=True)
    assert "finished" in str(late.content, "utf-8")


@pytest.mark.parametrize("act", ["cancel", "retry"])
def test_who_may_only_look_changes_nothing(cast: Cast, client_of: SignIn, act: str) -> None:
    command = submit(cast.contoso)
    for person in (cast.vera, cast.mona):
        assert status_of(client_of(person), f"{page_of(command)}{act}/", {}) == 403
    assert status_of(client_of(cast.max), f"{page_of(command)}{act}/", {}) == 404
    foreign = f"/tenants/{cast.fabrikam.id}/commands/{command.id}/{act}/"
    assert status_of(client_of(cast.max), foreign, {}) == 404, "a foreign number under one's own customer"
    assert state_of(command) == State.QUEUED


def test_a_failed_command_is_repeated_as_a_new_one(cast: Cast, client_of: SignIn) -> None:
    command = fail(cast.contoso, "graph_refused")
    client = client_of(cast.adam)
    assert "Try again" in text_of(client, page_of(command))
    answer = client.post(f"{page_of(command)}retry/")
    assert answer.status_code == 303
    assert answer["Location"] != page_of(command)
    assert f"#{command.id}" in text_of(client, answer["Location"]), "it says what it repeats"


def test_trying_again_before_the_connection_is_mended_says_so(cast: Cast, client_of: SignIn) -> None:
    command = fail(cast.contoso, "secret_expired")
    with transaction.atomic():
        answer = client_of(cast.adam).post(f"{page_of(command)}retry/")
    assert answer.status_code == UmpError.of("secret_expired").status
    assert "has expired" in str(answer.content, "utf-8")
    assert "creates a new client secret" in str(answer.content, "utf-8")
    assert state_of(command) == State.SUSPENDED


def test_cancelling_what_runs_is_said_until_it_stops(cast: Cast, client_of: SignIn) -> None:
    command = submit(cast.contoso)
    claim()
    client = client_of(cast.adam)
    client.post(f"{page_of(command)}cancel/")
    page = text_of(client, page_of(command))
    assert "it stops at its next safe point" in page
    assert f"{page_of(command)}cancel/" not in page, "once is enough"
    assert "it stops at its next safe point" in text_of(client, f"/tenants/{cast.contoso.id}/queue/")


def test_a_provider_wide_command_is_the_providers_own(cast: Cast, client_of: SignIn) -> None:
    command = provider_wide()
    url = f"/queue/{command.id}/"
    assert "the provider" in text_of(client_of(cast.olga), url)
    for person in (cast.adam, cast.otto):
        assert status_of(client_of(person), url) == 404
        assert status_of(client_of(person), f"{url}cancel/", {}) == 404
    assert client_of(cast.olga).get(f"{url}live/").status_code == 200
    assert status_of(client_of(cast.mona), f"{url}cancel/", {}) in {403, 404}
    assert client_of(cast.olga).post(f"{url}cancel/").status_code == 303
    assert state_of(command) == State.CANCELLED


def test_a_short_address_leads_to_the_customers_page(cast: Cast, client_of: SignIn) -> None:
    command = submit(cast.contoso)
    assert client_of(cast.olga).get(f"/queue/{command.id}/")["Location"] == page_of(command)
    assert status_of(client_of(cast.max), f"/queue/{command.id}/") == 404
    assert status_of(client_of(cast.olga), "/queue/99999999999999999999999999/") == 404


def test_many_are_cancelled_after_saying_which_with_a_result_for_each(cast: Cast, client_of: SignIn) -> None:
    mine, theirs = submit(cast.contoso), submit(cast.fabrikam)
    ended = submit(cast.contoso, target="ended")
    change(ended, state=State.CANCELLED, finished_at=ended.queued_at, dedupe_key=None)
    client = client_of(cast.olga)
    chosen: dict[str, Any] = {"id": [mine.id, theirs.id, ended.id, "nonsense", 10**30]}
    asked = str(client.post("/queue/bulk/cancel/", chosen).content, "utf-8")
    assert "Cancel: 2 commands?" in asked
    assert f"#{mine.id} Scripted, Contoso, Queued" in asked
    assert "1 of those you chose will be skipped" in asked
    assert state_of(mine) == State.QUEUED
    done = client.post("/queue/bulk/cancel/", chosen | {"confirm": "1"})
    assert (done.status_code, done["Location"]) == (303, "/queue/bulk/result/")
    result = text_of(client, "/queue/bulk/result/")
    assert "2 done, 1 not" in result
    assert state_of(mine) == state_of(theirs) == State.CANCELLED


def test_many_at_once_take_the_lanes_first_and_in_the_order_of_everybody(
    cast: Cast, client_of: SignIn
) -> None:
    """Whoever queues for many customers meanwhile holds none that this wants next, or both would wait for ever."""
    chosen = [submit(tenant).id for tenant in (cast.contoso, cast.fabrikam)]
    client = client_of(cast.olga)
    with CaptureQueriesContext(connection) as asked:
        client.post("/queue/bulk/cancel/", {"id": chosen, "confirm": "1"})
    locks = [
        one["sql"] for one in asked if re.search("FROM replication_lane .*FOR NO KEY UPDATE", one["sql"])
    ]
    assert "ORDER BY name = 'identity', id FOR NO KEY UPDATE" in locks[0]
    assert all(str(number) in locks[0] for number in chosen)
    assert len(locks) > 1, "each cancel locks its own again"


def test_bulk_reaches_nobody_elses_commands(cast: Cast, client_of: SignIn) -> None:
    theirs = submit(cast.fabrikam)
    chosen = {"id": [theirs.id], "confirm": "1"}
    for person in (cast.adam, cast.otto):
        client = client_of(person)
        assert client.post("/queue/bulk/cancel/", chosen).status_code == 303
        assert "Nothing was done" in text_of(client, "/queue/bulk/result/")
    assert (
        client_of(cast.adam).post(f"/tenants/{cast.contoso.id}/queue/bulk/cancel/", chosen).status_code == 303
    )
    assert status_of(client_of(cast.vera), "/queue/bulk/cancel/", chosen) == 404
    assert status_of(client_of(cast.mona), "/queue/bulk/cancel/", chosen) in {403, 404}
    assert state_of(theirs) == State.QUEUED


def test_everything_that_matches_can_be_chosen_at_once(cast: Cast, client_of: SignIn) -> None:
    waiting = [submit(cast.contoso, target=f"t{number}") for number in range(12)]
    other = submit(cast.fabrikam, "quick_replication")
    asked = text_of(client_of(cast.olga), "/queue/bulk/cancel/?kind=scripted")
    assert "Cancel: 12 commands?" in asked
    for each in waiting:
        assert f'name="id" value="{each.id}"' in asked
    assert f'name="id" value="{other.id}"' not in asked


def test_a_list_too_long_for_one_go_is_done_to_its_end(
    cast: Cast, client_of: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("replication.command_views.BULK_MOST", 2)
    waiting = [submit(cast.contoso, target=f"t{number}") for number in range(3)]
    client, address = client_of(cast.olga), "/queue/bulk/cancel/?state=open"
    for said in ("Number 1 to 2 of 3 that match", "Cancel: 1 command?"):
        page = text_of(client, address)
        assert said in page
        ids = re.findall(r'name="id" value="(.+?)"', page)
        assert client.post(address, {"id": ids, "all": "1", "confirm": "1"}).status_code == 303
        result = text_of(client, "/queue/bulk/result/")
        address = html.unescape((re.findall(r'href="(/queue/bulk/cancel/.+?)"', result) or [""])[0])
    assert address == "", "nothing is left"
    assert {state_of(each) for each in waiting} == {State.CANCELLED}


def test_many_are_tried_again(cast: Cast, client_of: SignIn) -> None:
    failed = fail(cast.contoso, "graph_refused")
    client = client_of(cast.olga)
    client.post("/queue/bulk/retry/", {"id": [failed.id], "confirm": "1"})
    assert "Queued again as #" in text_of(client, "/queue/bulk/result/")


def test_queue_replication_leads_to_the_commands_page(cast: Cast, client_of: SignIn) -> None:
    url = f"/tenants/{cast.contoso.id}/queue-replication/"
    client = client_of(cast.adam)
    asked = text_of(client, url)
    assert "Queue Replication for Contoso" in asked
    for words in ("Quick", "Full", "Dry run"):
        assert words in asked
    for mode, kind, dry_run in (
        ("quick", "quick_replication", False),
        ("full", "sync", False),
        ("dry", "sync", True),
    ):
        answer = client.post(url, {"mode": mode})
        assert answer.status_code == 303
        number = int(answer["Location"].split("/")[-2])
        with scope.one(cast.contoso.id):
            made = Command.objects.get(id=number)
        assert (made.kind, made.dry_run) == (kind, dry_run)
    assert client.post(url, {"mode": "nonsense"}).status_code == 422
    assert status_of(client_of(cast.vera), url, {"mode": "quick"}) == 403
    assert status_of(client_of(cast.max), url) == 404


def test_process_all_makes_waiting_changes_due(cast: Cast, client_of: SignIn) -> None:
    command = submit(cast.contoso, delay=cast.contoso.delay)
    url = f"/tenants/{cast.contoso.id}/process-all/"
    client = client_of(cast.adam)
    assert f"#{command.id} Scripted, Contoso, Queued" in text_of(client, url)
    answer = client.post(url)
    assert (answer.status_code, answer["Location"]) == (303, page_of(command))
    assert claim().id == command.id
    assert "Nothing waits for further changes" in text_of(client, url)
    assert client.post(url)["Location"] == f"/tenants/{cast.contoso.id}/queue/"


def test_a_dry_run_shows_its_plan(cast: Cast, client_of: SignIn) -> None:
    command = submit(cast.contoso, dry_run=True)
    plan = {"users": {"read": 9, "added": 3, "changed": 2, "removed": 1}}
    runner._settle(claim(), runner._after(Done("Nothing was written.", result=plan)))
    page = text_of(client_of(cast.vera), page_of(command))
    for words in ("What would be done", "Scripted (dry run)", ">Add<", ">Change<", ">Remove<"):
        assert words in page
