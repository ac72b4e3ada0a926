"""A customer's page, and editing, pausing, deleting and restoring it."""

import datetime as dt

import pytest
from django.utils import timezone

from replication import services as queue
from replication.models import Command, State
from tenants import scope, services
from tenants.access import SYSTEM
from tenants.models import Tenant
from tests.cast import Cast
from tests.pages.helpers import SignIn, change, connection, failed, fresh, post, text_of, url, verified

pytestmark = pytest.mark.django_db


def values(tenant: Tenant, **more: object) -> dict[str, object]:
    return {
        "name": tenant.name,
        "domain": tenant.domain,
        "entra_tenant_id": str(tenant.entra_tenant_id),
        "plan": tenant.plan,
        "service": tenant.service,
        "licensed_users": tenant.licensed_users,
        "cycle_delay": "",
        "enabled": "on",
        "with_sync": "on",
        "version": tenant.row_version,
    } | more


# --- Overview -----------------------------------------------------------------------------------------------
def test_the_overview_of_a_healthy_customer(cast: Cast, client_of: SignIn) -> None:
    verified(cast.contoso, users=125)
    page = text_of(client_of(cast.olga), url(cast.contoso))
    assert "Successful" in page
    assert "<b>125</b>" in page
    assert "as of" in page
    assert "next cycle" in page
    assert "Read users" in page
    for line in ("Queued commands: 0", "Executing commands: 0", "Replication in progress: no"):
        assert line in page


def test_a_failure_says_what_whose_who_and_a_button(cast: Cast, client_of: SignIn) -> None:
    failed(cast.contoso, "secret_expired", microsoft_code="AADSTS7000222")
    page = text_of(client_of(cast.olga), url(cast.contoso))
    assert "The client secret of Sync app has expired" in page
    assert "Who can fix it:" in page
    assert f'href="{url(cast.contoso, "connection/")}">Enter a new secret' in page
    assert "AADSTS7000222" in page
    customer = text_of(client_of(cast.adam), url(cast.contoso))
    assert "AADSTS7000222" not in customer
    assert "Enter a new secret" in customer


def test_what_waits_for_further_changes_can_be_processed_now(cast: Cast, client_of: SignIn) -> None:
    verified(cast.contoso)
    with scope.one(cast.contoso.id):
        queue.submit(SYSTEM, "quick_replication", cast.contoso, delay=dt.timedelta(minutes=5))
    page = text_of(client_of(cast.adam), url(cast.contoso, "live/"))
    assert "Process All" in page
    assert "in 4 min" in page or "in 5 min" in page
    assert "Process All" not in text_of(client_of(cast.vera), url(cast.contoso, "live/"))


def test_missing_is_a_word(cast: Cast, client_of: SignIn) -> None:
    page = text_of(client_of(cast.olga), url(cast.contoso))
    assert "-N/A-" in page
    assert "not replicated yet" in page
    assert "never checked" in page


def test_a_running_command_shows_its_progress(cast: Cast, client_of: SignIn) -> None:
    verified(cast.contoso)
    with scope.one(cast.contoso.id):
        command = queue.submit(SYSTEM, "sync", cast.contoso)
        Command.objects.filter(id=command.id).update(
            state=State.EXECUTING, lease_until=timezone.now() + dt.timedelta(seconds=20),
            progress={"label": "Reading users", "done": 10, "total": 40},
        )  # fmt: skip
    page = text_of(client_of(cast.olga), url(cast.contoso))
    assert "10 of 40 (25%)" in page
    assert "every 2s" in page


def test_the_live_part_holds_no_form(cast: Cast, client_of: SignIn) -> None:
    failed(cast.contoso, "consent_missing")
    live = text_of(client_of(cast.olga), url(cast.contoso, "live/"))
    assert "<form" not in live
    assert "csrf" not in live


# --- Edit ---------------------------------------------------------------------------------------------------
def test_edit(cast: Cast, client_of: SignIn) -> None:
    client = client_of(cast.olga)
    page = text_of(client, url(cast.contoso, "edit/"))
    assert 'value="Contoso"' in page
    post(
        client,
        url(cast.contoso, "edit/"),
        values(cast.contoso, name="Contoso Ltd", licensed_users=44, cycle_delay=60),
    )
    after = fresh(cast.contoso)
    assert (after.name, after.licensed_users, after.cycle_delay) == ("Contoso Ltd", 44, 60)


def test_unticking_enabled_disables(cast: Cast, client_of: SignIn) -> None:
    data = values(cast.contoso)
    del data["enabled"]
    post(client_of(cast.olga), url(cast.contoso, "edit/"), data)
    assert fresh(cast.contoso).enabled is False
    assert "This customer is disabled." in text_of(client_of(cast.olga), url(cast.contoso))


def test_wrong_values_are_said_beside_their_field(cast: Cast, client_of: SignIn) -> None:
    client = client_of(cast.olga)
    answer = post(client, url(cast.contoso, "edit/"), values(cast.contoso, name="Fabrikam"), 422)
    assert "There is a customer with this name already." in answer.content.decode()
    answer = post(client, url(cast.contoso, "edit/"), values(cast.contoso, cycle_delay=-1), 422)
    assert "id_cycle_delay_error" in answer.content.decode()


def test_somebody_changed_it_meanwhile_and_nothing_is_lost(cast: Cast, client_of: SignIn) -> None:
    client = client_of(cast.olga)
    with scope.one(cast.contoso.id):
        services.edit_tenant(SYSTEM, cast.contoso, {"licensed_users": 77})
    answer = post(client, url(cast.contoso, "edit/"), values(cast.contoso, name="My name"), 409)
    page = answer.content.decode()
    assert "Somebody changed Contoso while you were editing" in page
    assert "77" in page, "what is stored now"
    assert 'value="My name"' in page, "what was typed"
    assert fresh(cast.contoso).name == "Contoso"
    version = fresh(cast.contoso).row_version
    assert f'name="version" value="{version}"' in page
    post(client, url(cast.contoso, "edit/"), values(cast.contoso, name="My name", version=version))
    assert fresh(cast.contoso).name == "My name"


def test_another_azure_tenant_id_must_be_proven_anew(cast: Cast, client_of: SignIn) -> None:
    client, other = client_of(cast.olga), "3f2b8c1e-6a0d-4a53-8f7c-2d1b9e0a4c77"
    verified(cast.contoso)
    answer = post(client, url(cast.contoso, "edit/"), values(cast.contoso, entra_tenant_id=other), 422)
    assert "Users of the other tenant were replicated already" in answer.content.decode()
    change(cast.contoso, last_replicated_at=None)
    post(client, url(cast.contoso, "edit/"), values(cast.contoso, entra_tenant_id=other))
    assert str(fresh(cast.contoso).entra_tenant_id) == other
    assert connection(cast.contoso).verification == "never"


# --- Pause --------------------------------------------------------------------------------------------------
def test_pause_and_resume(cast: Cast, client_of: SignIn) -> None:
    client = client_of(cast.olga)
    assert "Nothing is lost" in text_of(client, url(cast.contoso, "pause/"))
    post(client, url(cast.contoso, "pause/"), {"to": "pause"})
    assert fresh(cast.contoso).paused_by == "Olga"
    page = text_of(client, url(cast.contoso))
    assert "Paused by Olga" in page
    assert "goes on" in text_of(client, url(cast.contoso, "pause/"))
    post(client, url(cast.contoso, "pause/"), {"to": "resume"})
    assert fresh(cast.contoso).paused_at is None


def test_two_people_who_pause_at_once_both_pause(cast: Cast, client_of: SignIn) -> None:
    change(cast.contoso, paused_at=timezone.now(), paused_by="Pia")
    post(client_of(cast.olga), url(cast.contoso, "pause/"), {"to": "pause"})
    assert fresh(cast.contoso).paused_at is not None


# --- Delete and restore -------------------------------------------------------------------------------------
def test_delete_asks_for_the_name_and_can_be_undone(cast: Cast, client_of: SignIn) -> None:
    client = client_of(cast.pia)
    page = text_of(client, url(cast.contoso, "delete/"))
    assert "Nothing is removed at Microsoft or on an SBC." in page
    assert "restored for 30 days" in page
    wrong = post(client, url(cast.contoso, "delete/"), {"typed_name": "contoso"}, 422)
    assert "exactly as it is shown" in wrong.content.decode()
    post(client, url(cast.contoso, "delete/"), {"typed_name": "Contoso"})
    assert "Contoso</a>" not in text_of(client, "/tenants/")
    assert "Restore<span" in text_of(client, "/tenants/deleted/")
    assert "was deleted" in text_of(client, url(cast.contoso))
    for path in ("edit/", "connection/", "check/", "pause/", "delete/", "live/"):
        text_of(client, url(cast.contoso, path), 410)
    text_of(client, url(cast.contoso, "restore/"))
    post(client, url(cast.contoso, "restore/"), {})
    assert fresh(cast.contoso).deleted_at is None
    assert "No customer was deleted" in text_of(client, "/tenants/deleted/")


def test_a_name_taken_meanwhile_is_said(cast: Cast, client_of: SignIn) -> None:
    client = client_of(cast.pia)
    post(client, url(cast.contoso, "delete/"), {"typed_name": "Contoso"})
    with scope.one(cast.fabrikam.id):
        services.edit_tenant(SYSTEM, cast.fabrikam, {"name": "Contoso"})
    answer = post(client, url(cast.contoso, "restore/"), {}, 409)
    assert "there is a customer with this name already" in answer.content.decode()


def test_the_customers_own_people_see_that_it_is_gone(cast: Cast, client_of: SignIn) -> None:
    post(client_of(cast.pia), url(cast.contoso, "delete/"), {"typed_name": "Contoso"})
    page = text_of(client_of(cast.adam), url(cast.contoso))
    assert "was deleted" in page
    assert "restore/" not in page


def test_deleted_customers_can_be_searched(cast: Cast, client_of: SignIn) -> None:
    post(client_of(cast.pia), url(cast.contoso, "delete/"), {"typed_name": "Contoso"})
    assert "Contoso" in text_of(client_of(cast.pia), "/tenants/deleted/?q=cont")
    assert "No deleted customer matches" in text_of(client_of(cast.pia), "/tenants/deleted/?q=zzz")
