"""A customer's Status: what is asked of whom, the service card, and revoking (SYN-13..16, SYN-21, M36-31)."""

import pytest
from django.utils import timezone

from breakers import services as breakers
from core.errors import UmpError
from invitations import services as invitations
from replication import services as queue
from replication.models import Command, Lane, LaneName, Reason, State
from tenants import scope, services
from tenants.access import SYSTEM
from tenants.models import Connection, Secret, Standby, Tenant
from tests.cast import Cast
from tests.pages.helpers import SignIn, change, commands, failed, post, text_of, url, verified

pytestmark = pytest.mark.django_db


def set_connection(tenant: Tenant, **fields: object) -> None:
    with scope.one(tenant.id):
        Connection.objects.filter(tenant=tenant).update(**fields)


def card(page: str) -> str:
    return page.split('aria-labelledby="c-service"')[1].split("</section>", maxsplit=1)[0]


# --- What is asked ------------------------------------------------------------------------------------------
def test_nothing_is_asked_of_a_healthy_customer(cast: Cast, client_of: SignIn) -> None:
    verified(cast.contoso)
    change(cast.contoso, created_at="2026-01-01T00:00:00Z")
    assert "Nothing is asked of you" in text_of(client_of(cast.adam), url(cast.contoso))
    assert "Nothing is asked of you" not in text_of(client_of(cast.olga), url(cast.contoso))


def test_what_is_asked_stands_apart_from_what_others_look_after(cast: Cast, client_of: SignIn) -> None:
    verified(cast.contoso, days_left=10)
    change(cast.contoso, paused_at=timezone.now(), paused_by="Olga")
    page = text_of(client_of(cast.adam), url(cast.contoso))
    mine, others = page.split("What is asked of you</h2>")[1].split("What others look after</h2>")
    assert "The client secret expires in 10 days." in mine
    assert "Enter a new secret" in mine
    assert "Paused by Olga" in others
    assert "Your service provider" in others
    provider = text_of(client_of(cast.olga), url(cast.contoso))
    assert "What others look after" not in provider


def test_the_most_urgent_comes_first(cast: Cast, client_of: SignIn) -> None:
    verified(cast.contoso, days_left=10)
    with scope.one(cast.contoso.id):
        invitations.invite(SYSTEM, cast.contoso, email="it@contoso.example")
        command = queue.submit(SYSTEM, "sync", cast.contoso)
        Command.objects.filter(id=command.id).update(
            state=State.SUSPENDED, reason=Reason.POISON, message="It failed three times.",
            error=dict(UmpError.of("role_missing", role="Teams Administrator", tenant="Contoso").to_dict()),
        )  # fmt: skip
    page = text_of(client_of(cast.adam), url(cast.contoso)).split("What is asked of you</h2>")[1]
    assert page.index("It failed three times.") < page.index("expires in 10 days") < page.index("Go on</a>")
    assert "Tenant has open invitation. It was sent to it@contoso.example." in page
    assert "Go on</a>" not in text_of(client_of(cast.vera), url(cast.contoso))


def test_a_customer_is_not_told_about_the_customer(cast: Cast, client_of: SignIn) -> None:
    failed(cast.contoso, "secret_expired")
    for path in ("", "connection/"):
        page = text_of(client_of(cast.adam), url(cast.contoso, path))
        assert "administrator of your organisation" in page
        assert "The customer&#x27;s administrator" not in page
        assert "The customer's administrator" not in page
        assert "The customer&#x27;s administrator" in text_of(client_of(cast.olga), url(cast.contoso, path))
    change(cast.contoso, enabled=False)
    assert "Your organisation is disabled here" in text_of(client_of(cast.adam), url(cast.contoso))
    assert "Your organisation is disabled here" in text_of(client_of(cast.adam), url(cast.contoso, "queue/"))


def test_a_customers_queue_names_no_customer(cast: Cast, client_of: SignIn) -> None:
    with scope.one(cast.contoso.id):
        queue.submit(SYSTEM, "sync", cast.contoso)
    assert 'data-label="Customer"' not in text_of(client_of(cast.adam), url(cast.contoso, "queue/"))
    assert 'data-label="Customer"' in text_of(client_of(cast.olga), url(cast.contoso, "queue/"))
    assert "Search users and groups" in text_of(client_of(cast.adam), url(cast.contoso, "queue/"))


# --- The service card ---------------------------------------------------------------------------------------
def test_a_connected_service(cast: Cast, client_of: SignIn) -> None:
    verified(cast.contoso)
    found = card(text_of(client_of(cast.adam), url(cast.contoso)))
    for words in ("Direct Routing", "Connected", "Grant Access", "With sync", "Max Access Failures",
                  "off: the first refusal", "Access Failure Window", "as the installation says"):  # fmt: skip
        assert words in found, words
    assert "Migrate" not in found, "it has an app registration of its own"
    assert "usually clears" not in found


def test_degraded_is_explained_and_says_what_mends_it(cast: Cast, client_of: SignIn) -> None:
    verified(cast.contoso)
    set_connection(cast.contoso, degraded_at=timezone.now(), app_owner="provider")
    with scope.one(cast.contoso.id):
        breakers.change_rule(SYSTEM, cast.contoso, max_access_failures=3, access_failure_window=15)
    found = card(text_of(client_of(cast.adam), url(cast.contoso)))
    for words in ("Degraded", "nothing was switched off", "Grant Access usually clears it", "Migrate</a>",
                  "<dd>3 ", "0 count now", "15 minutes"):  # fmt: skip
        assert words in found, words
    assert "as the installation says" not in found


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"verification": "never"}, "Never Performed"),
        ({"verification": "no_token"}, "Access lost"),
        ({"held_at": "2026-01-01T00:00:00Z"}, "Access lost"),
    ],
)
def test_the_word_follows_the_access(
    cast: Cast, client_of: SignIn, fields: dict[str, str], word: str
) -> None:
    verified(cast.contoso)
    set_connection(cast.contoso, **fields)
    assert f"<span>{word}</span>" in card(text_of(client_of(cast.adam), url(cast.contoso)))


def test_a_check_under_way_and_a_pause_are_said(cast: Cast, client_of: SignIn) -> None:
    verified(cast.contoso)
    change(cast.contoso, paused_at=timezone.now(), paused_by="Olga")
    assert "<span>Paused</span>" in card(text_of(client_of(cast.adam), url(cast.contoso)))
    with scope.one(cast.contoso.id):
        queue.submit(SYSTEM, "verify_credentials", cast.contoso)
    assert "<span>Checking</span>" in card(text_of(client_of(cast.adam), url(cast.contoso)))
    change(cast.contoso, enabled=False)
    assert "<span>Disabled</span>" in card(text_of(client_of(cast.adam), url(cast.contoso)))


def test_without_sync_the_card_says_what_runs_here(cast: Cast, client_of: SignIn) -> None:
    change(cast.contoso, with_sync=False, service="operator_connect")
    found = card(text_of(client_of(cast.adam), url(cast.contoso)))
    assert "Operator Connect" in found
    assert "a Teams Administrator assigns numbers" in found


def test_a_monitor_sees_the_state_and_no_button(cast: Cast, client_of: SignIn) -> None:
    failed(cast.contoso, "secret_expired")
    found = card(text_of(client_of(cast.vera), url(cast.contoso)))
    assert "Access lost" in found
    assert "Somebody with the role Customer Admin can do this." in found
    assert "Revoke" not in found
    assert 'class="btn' not in found


# --- Revoking -----------------------------------------------------------------------------------------------
def test_revoking_says_what_it_stops_and_forgets_every_credential(cast: Cast, client_of: SignIn) -> None:
    verified(cast.contoso)
    with scope.one(cast.contoso.id):
        stored = Connection.objects.get(tenant=cast.contoso)
    client = client_of(cast.adam)
    page = text_of(client, url(cast.contoso, "revoke/"))
    for words in (
        "no longer read",
        "wait in the queue",
        "calling can stop",
        "cannot be undone",
        "Enterprise applications",
    ):
        assert words in page, words
    assert str(stored.client_id) in page
    post(client, url(cast.contoso, "revoke/"), {})
    with scope.one(cast.contoso.id):
        assert not Connection.objects.filter(tenant=cast.contoso).exists()
        assert not Secret.objects.filter(tenant=cast.contoso).exists()
        assert not Standby.objects.filter(tenant=cast.contoso).exists()
        assert (
            Lane.objects.get(tenant=cast.contoso, name=LaneName.DATA).suspended_code == "connection_missing"
        )
    page = text_of(client, url(cast.contoso))
    assert "Not connected" in card(page)
    assert "Access was revoked here." in page
    post(client, url(cast.contoso, "revoke/"), {})
    assert "no access that could be revoked" in text_of(client, url(cast.contoso, "revoke/"))


def test_whoever_may_only_look_cannot_revoke(cast: Cast, client_of: SignIn) -> None:
    post(client_of(cast.vera), url(cast.contoso, "revoke/"), {}, 403)
    post(client_of(cast.max), url(cast.contoso, "revoke/"), {}, 404)


def test_the_work_that_waits_goes_on_once_access_is_granted_again(cast: Cast, client_of: SignIn) -> None:
    verified(cast.contoso)
    post(client_of(cast.adam), url(cast.contoso, "revoke/"), {})
    with scope.one(cast.contoso.id):
        waiting = queue.submit(SYSTEM, "quick_replication", cast.contoso)
        services.set_connection(
            SYSTEM, cast.contoso, cloud="global", client_id=cast.contoso.id, client_secret="a~new~one~for~it"
        )
        queue.resume_for(cast.contoso.id)
        assert Lane.objects.get(tenant=cast.contoso, name=LaneName.DATA).suspended_code == ""
    assert [each.id for each in commands(cast.contoso) if each.state == State.QUEUED] == [waiting.id]
