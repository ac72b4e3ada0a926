"""The Dashboard: what needs somebody first, with what, who and exactly one button."""

import datetime as dt
import re

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from replication import services as queue
from replication.models import Command, State
from tenants import scope
from tenants.access import SYSTEM
from tests.cast import CANARY_FABRIKAM, Cast
from tests.pages.helpers import SignIn, add, change, failed, text_of, url, verified

pytestmark = pytest.mark.django_db


def needs(page: str) -> str:
    return page[page.index('id="needs"') : page.index("Queue activity")]


def test_what_is_broken_stands_first_with_what_who_and_one_button(cast: Cast, client_of: SignIn) -> None:
    verified(cast.contoso, days_left=9)
    failed(cast.fabrikam)
    shown = needs(text_of(client_of(cast.olga), "/"))
    assert shown.index("Fabrikam") < shown.index("Contoso")
    assert "client secret of Sync app has expired" in shown
    assert "The customer&#x27;s administrator" in shown
    assert shown.count("btn small") == 2
    assert f'href="{url(cast.fabrikam, "connection/")}">Enter a new secret' in shown
    assert "expires in 9 days" in shown


def test_trouble_at_microsoft_is_mended_there_and_checked_again(cast: Cast, client_of: SignIn) -> None:
    verified(cast.contoso)
    failed(cast.fabrikam, "consent_missing")
    shown = needs(text_of(client_of(cast.olga), "/"))
    assert re.search(rf'action="{url(cast.fabrikam, "check/")}".*Check again', shown, re.DOTALL)


def test_who_may_only_look_is_offered_a_look(cast: Cast, client_of: SignIn) -> None:
    failed(cast.fabrikam)
    shown = needs(text_of(client_of(cast.mona), "/"))
    assert "Enter a new secret" not in shown
    assert f'href="{url(cast.fabrikam)}">See details' in shown


def test_a_poisoned_command_is_listed(cast: Cast, client_of: SignIn) -> None:
    verified(cast.contoso)
    verified(cast.fabrikam)
    with scope.one(cast.contoso.id):
        command = queue.submit(SYSTEM, "verify_credentials", cast.contoso)
        Command.objects.filter(id=command.id).update(
            state=State.SUSPENDED, reason="poison", message="Set aside."
        )
    shown = needs(text_of(client_of(cast.olga), "/"))
    assert f"Verify credentials #{command.id}: Set aside." in shown
    assert url(cast.contoso, f"commands/{command.id}/") in shown


def test_paused_and_disabled_customers_are_left_alone(cast: Cast, client_of: SignIn) -> None:
    failed(cast.fabrikam)
    change(cast.fabrikam, enabled=False)
    verified(cast.contoso)
    assert "Nothing needs attention" in text_of(client_of(cast.olga), "/")


def test_the_tiles(cast: Cast, client_of: SignIn) -> None:
    verified(cast.contoso, days_left=20)
    page = text_of(client_of(cast.olga), "/dashboard/figures/")
    assert re.search(r"Connected</span><b>1</b><span>of 2 tenants", page)
    assert re.search(r"Need attention</span><b>2</b>", page)
    assert "next: Contoso" in page


def test_the_oldest_waiting_leaves_out_what_is_paused(cast: Cast, client_of: SignIn) -> None:
    with scope.one(cast.contoso.id):
        queue.submit(SYSTEM, "verify_credentials", cast.contoso)
        Command.objects.update(not_before=timezone.now() - dt.timedelta(minutes=5))
    assert "oldest due" in text_of(client_of(cast.olga), "/dashboard/figures/")
    change(cast.contoso, paused_at=timezone.now())
    assert "nothing is late" in text_of(client_of(cast.olga), "/dashboard/figures/")


def test_the_paused_queue_is_said(cast: Cast, client_of: SignIn) -> None:
    queue.pause_all(SYSTEM, paused=True)
    page = text_of(client_of(cast.pia), "/")
    assert "The queue is paused for all customers" in page
    assert "/queue/resume/" in page
    assert "/queue/resume/" not in text_of(client_of(cast.olga), "/")


def test_a_limited_operator_sees_his_customers_only(cast: Cast, client_of: SignIn) -> None:
    failed(cast.fabrikam)
    page = text_of(client_of(cast.otto), "/")
    assert "Fabrikam" not in page
    assert CANARY_FABRIKAM not in page


def test_the_same_number_of_queries_for_one_and_for_many(cast: Cast, client_of: SignIn) -> None:
    client = client_of(cast.olga)
    failed(cast.contoso)
    text_of(client, "/")
    with CaptureQueriesContext(connection) as few:
        text_of(client, "/")
    failed(cast.fabrikam)
    for number in range(3):
        add(f"Customer {number}")
    with CaptureQueriesContext(connection) as many:
        text_of(client, "/")
    assert len(many) == len(few)
