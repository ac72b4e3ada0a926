"""Audit, History, Search, Settings and API clients."""

import csv
import datetime as dt
import io
import re
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from django.utils.html import strip_tags

from accounts import installation
from accounts.models import ApiToken, Setting
from accounts.services import token_of
from audit.services import record
from directory.models import DirectoryGroup, DirectoryUser
from replication import services as queue
from replication.models import Command
from tenants import scope, services
from tenants.access import SYSTEM, Actor
from tenants.models import Tenant
from tests.cast import CANARY_CONTOSO, CANARY_FABRIKAM, Cast
from tests.pages.helpers import SignIn, post, text_of, url, verified
from tests.tenants.keys import put_on_top
from ump_portal.pages import search

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _settings_are_read_anew() -> Iterator[None]:
    installation.forget()
    yield
    installation.forget()


# --- Audit --------------------------------------------------------------------------------------------------
def test_who_did_what_with_before_and_after(cast: Cast, client_of: SignIn) -> None:
    client = client_of(cast.olga)
    data = {
        "name": "Contoso", "plan": "pro", "service": "direct_routing", "licensed_users": "77", "enabled": "on",
        "with_sync": "on",
        "entra_tenant_id": str(cast.contoso.entra_tenant_id), "domain": cast.contoso.domain,
        "version": str(cast.contoso.row_version), "cycle_delay": "",
    }  # fmt: skip
    post(client, url(cast.contoso, "edit/"), data)
    page = text_of(client, "/audit/?action=tenant.edited")
    assert "Customer edited" in page
    assert "Olga" in page
    assert "from 127.0.0.1" in page
    assert re.search(r"licensed users:</span> 30 → 77", page)


def test_filters_search_and_csv_of_the_trail(cast: Cast, client_of: SignIn) -> None:
    client = client_of(cast.olga)
    post(client, url(cast.contoso, "check/"), {})
    assert "Command queued" in text_of(client, "/audit/?actor=person")
    assert "Customer added" not in text_of(client, "/audit/?actor=person").split("<tbody>")[1]
    assert "No entry matches" in text_of(client, "/audit/?q=zzzz")
    rows = list(
        csv.DictReader(io.StringIO(text_of(client, "/audit/export.csv?actor=person").lstrip("\ufeff")))
    )
    assert [(row["What"], row["Who"], row["Customer Name"]) for row in rows] == [
        ("Command queued", "Olga", "Contoso")
    ]
    assert "Command queued" in text_of(client, "/audit/?period=hour&q=contoso")
    text_of(client, f"/audit/?q={uuid.uuid4()}")


def test_the_trail_by_whoever_acted(cast: Cast, client_of: SignIn) -> None:
    for kind in ("cli", "invitation"):
        who = Actor(kind=kind, id=kind, label=f"A deed of {kind}")
        record(who, "webhook.held", tenant_id=None, object_kind="webhook", object_id=1)
    page = text_of(client_of(cast.olga), "/audit/?actor=cli&action=webhook.held")
    assert "A deed of cli" in page
    assert "A deed of invitation" not in page
    assert "Webhook held" in page
    page = text_of(client_of(cast.olga), "/audit/?actor=invitation")
    assert "A deed of invitation" in page
    assert "A deed of cli" not in page


def test_a_customers_history_is_its_own(cast: Cast, client_of: SignIn) -> None:
    page = text_of(client_of(cast.vera), url(cast.contoso, "history/"))
    assert "Customer added" in page
    assert "Fabrikam" not in page
    assert CANARY_FABRIKAM not in text_of(client_of(cast.vera), url(cast.contoso, "history/export.csv"))
    assert "Fabrikam" not in text_of(client_of(cast.otto), "/audit/")
    assert "Fabrikam" not in text_of(client_of(cast.otto), "/audit/export.csv")


def test_the_trail_of_the_provider_is_not_for_limited_people(cast: Cast, client_of: SignIn) -> None:
    queue.pause_all(SYSTEM, paused=True)
    assert "Whole queue paused" in text_of(client_of(cast.olga), "/audit/").split("<tbody>")[1]
    assert "Whole queue paused" not in text_of(client_of(cast.otto), "/audit/").split("<tbody>")[1]


def test_the_trail_needs_the_same_queries_for_few_and_many(cast: Cast, client_of: SignIn) -> None:
    client = client_of(cast.olga)
    with CaptureQueriesContext(connection) as few:
        text_of(client, "/audit/?q=contoso")
    for _ in range(3):
        with scope.one(cast.contoso.id):
            services.edit_tenant(SYSTEM, cast.contoso, {"licensed_users": 31})
    with CaptureQueriesContext(connection) as many:
        text_of(client, "/audit/?q=contoso")
    assert len(few) == len(many)


# --- Search -------------------------------------------------------------------------------------------------
def person(tenant: Tenant, name: str) -> None:
    with scope.one(tenant.id):
        DirectoryUser.objects.create(
            tenant=tenant, object_id=uuid.uuid4(), display_name=name, search=name.lower(),
            user_principal_name=f"{name.split(maxsplit=1)[0].lower()}@{tenant.domain}",
        )  # fmt: skip
        DirectoryGroup.objects.create(
            tenant=tenant, object_id=uuid.uuid4(), display_name=f"Team {name}", search=f"team {name.lower()}"
        )


def test_search_finds_customers_users_groups_and_commands(cast: Cast, client_of: SignIn) -> None:
    person(cast.contoso, "Émile Zola".replace("É", "E"))
    with scope.one(cast.contoso.id):
        command = queue.submit(SYSTEM, "verify_credentials", cast.contoso)
    client = client_of(cast.olga)
    page = text_of(client, "/search?q=zola")
    assert "Emile Zola" in page
    assert "Team Emile Zola" in page
    assert ">Contoso</a>" in page
    assert "Customers that match" not in page
    assert "Customers that match" in text_of(client, "/search?q=conto")
    assert url(cast.contoso, f"commands/{command.id}/") in text_of(client, f"/search?q=%23{command.id}")
    assert 'value="zola"' in page


def test_search_stays_inside_what_one_may_see(cast: Cast, client_of: SignIn) -> None:
    person(cast.fabrikam, "Secret Person")
    for who in (cast.adam, cast.otto):
        page = text_of(client_of(who), "/search?q=secret")
        assert "Secret Person" not in page
        assert "Nothing matches" in page
    assert "Secret Person" in text_of(client_of(cast.max), "/search?q=secret")
    assert CANARY_CONTOSO not in text_of(client_of(cast.max), "/search?q=canary")
    assert "at least two characters" in text_of(client_of(cast.nora), "/search?q=contoso")


def test_a_search_without_a_hit_says_why(cast: Cast, client_of: SignIn) -> None:
    page = text_of(client_of(cast.olga), "/search?q=nobody")
    assert "Why is it not here?" in page
    assert "Users of Contoso, Fabrikam are not known yet" in page


def test_a_search_that_takes_too_long_is_stopped(
    cast: Cast, client_of: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ump_portal.pages.search.PATIENCE_MS", 5)

    person(cast.contoso, "Contoso Person")
    users = search._users

    def slow(asked: str, ranked: bool) -> search.Found:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_sleep(%s)", [1 if ranked else 0])
        return users(asked, ranked)

    monkeypatch.setattr(search, "_users", slow)
    page = text_of(client_of(cast.olga), "/search?q=contoso")
    assert "Not everything was searched" in page
    assert "Contoso Person" in page, "without an order it is quick enough"
    assert "Customers that match" in page


@pytest.mark.parametrize("counted_here", [1_000, 22], ids=["counted here", "counted by the database"])
def test_the_best_matches_come_first_and_the_rest_is_counted(
    cast: Cast, client_of: SignIn, monkeypatch: pytest.MonkeyPatch, counted_here: int
) -> None:
    """Complaint: twenty of many hundreds, whichever the database happened to meet first."""
    monkeypatch.setattr(search, "ALL", counted_here)
    for number in range(24):
        person(cast.contoso, f"Aaron Zolanski {number:02}")
    person(cast.fabrikam, "Zola")
    person(cast.fabrikam, "Zola Budd")
    person(cast.fabrikam, "Emile Zola")
    person(cast.fabrikam, "Gorgonzola Works")
    page = text_of(client_of(cast.olga), "/search?q=zola")
    users = page.partition('aria-label="Users"')[2].partition("</section>")[0]
    places = [
        users.index(f">{name}</a>") for name in ("Zola", "Zola Budd", "Emile Zola", "Aaron Zolanski 00")
    ]
    assert places == sorted(places)
    assert "Gorgonzola" not in users
    assert "The best 20 of 28" in users
    assert f'href="{url(cast.contoso, "users/?q=zola")}">24 at Contoso' in users
    assert f'href="{url(cast.fabrikam, "users/?q=zola")}">4 at Fabrikam' in users
    theirs = text_of(client_of(cast.adam), "/search?q=zola")
    assert "Fabrikam" not in theirs
    assert "The best 20 of 24" in theirs


def test_another_trouble_of_the_database_is_not_hidden(
    cast: Cast, client_of: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(asked: str, ranked: bool) -> search.Found:
        raise OperationalError("the disk is full")

    monkeypatch.setattr(search, "_users", broken)
    with pytest.raises(OperationalError):
        client_of(cast.olga).get("/search?q=contoso")


# --- Settings -----------------------------------------------------------------------------------------------
def test_settings_show_what_is_in_force(cast: Cast, client_of: SignIn) -> None:
    page = text_of(client_of(cast.mona), "/settings/")
    assert "QuickReplicationCycleDelay" in page
    assert "5 minutes" in page
    assert "Your address now: <code>127.0.0.1</code>" in page
    assert "Apply Changes" not in page
    assert "/queue/pause/" not in page


def test_a_rotation_of_keys_begins_beside_its_figure(
    cast: Cast, client_of: SignIn, settings: Any, tmp_path: Path
) -> None:
    admin, place = client_of(cast.pia), "/settings/rotate-keys/"
    assert place not in text_of(admin, "/settings/"), "every key is under the current one"
    assert "0 keys" in text_of(admin, place)
    put_on_top(settings, tmp_path)
    assert place in text_of(admin, "/settings/")
    assert "2 keys behind" in text_of(admin, "/settings/")
    assert place not in text_of(client_of(cast.mona), "/settings/")
    asked = text_of(admin, place)
    assert "<b>2 keys</b>" in asked
    assert f'action="{place}"' in asked
    answer = post(admin, place, {})
    with scope.every("a test looks"):
        command = Command.objects.get(kind="rotate_keys")
    assert answer.headers["Location"] == f"/queue/{command.id}/"
    post(client_of(cast.olga), place, {}, 403)
    post(client_of(cast.adam), place, {}, 404)


def test_an_admin_changes_settings_and_cannot_lock_himself_out(cast: Cast, client_of: SignIn) -> None:
    client = client_of(cast.pia)
    values = {
        "api_allowed_ips": "10.0.0.0/8",
        "quick_replication_cycle_delay": "60",
        "replication_cycle": "300",
        "max_access_failures": "0",
        "access_failure_window": "0",
        "own_secret_months": "24",
        "provider_secret_months": "24",
        "sbc_tag_longest": "40",
        "sbc_rules_most": "100000",
        "renew_before_days": "30",
        "idle_minutes": "30",
    }
    page = post(client, "/settings/change/", values, 422).content.decode()
    assert "lock yourself out" in page
    assert "10.0.0.0/8" in page, "what was typed is kept"
    assert installation.get("quick_replication_cycle_delay") == 300, "all or nothing"
    post(client, "/settings/change/", values | {"api_allowed_ips": "10.0.0.0/8, 127.0.0.1"})
    assert installation.get("api_allowed_ips") == ["10.0.0.0/8", "127.0.0.1"]
    page = text_of(client, "/settings/")
    assert "1 minute" in page
    assert "Changed by Pia" in page
    assert "Setting changed" in text_of(client, "/audit/")


def test_each_setting_says_where_it_was_set(cast: Cast, client_of: SignIn) -> None:
    """What is a field of the page's form is not fixed, and a stored value wins over a variable."""

    def set_by(name: str) -> str:
        row = page.split(f'<th scope="row">{name}</th>')[1].split("</tr>")[0]
        return " ".join(strip_tags(row.split('data-label="Set by">')[1]).split())

    client = client_of(cast.mona)
    page = text_of(client, "/settings/")
    assert set_by("QuickReplicationCycleDelay") == "QUICK_REPLICATION_CYCLE_DELAY"
    assert set_by("Automatic cycle") == "REPLICATION_CYCLE_SECONDS"
    assert set_by("A fresh sign-in") == "fixed"
    here = (
        "Max Access Failures", "Access Failure Window", "Life of a client secret",
        "Longest tag of a dial plan rule", "Dial plan rules of an SBC", "Idle time-out",
    )  # fmt: skip
    for name in here:
        assert set_by(name) == "on this page"
    for name, value in (
        ("quick_replication_cycle_delay", 60),
        ("replication_cycle", 300),
        ("idle_minutes", 60),
        ("provider_secret_months", 12),
    ):
        installation.change(cast.actor("pia"), name, value)
    page = text_of(client, "/settings/")
    for name in ("QuickReplicationCycleDelay", "Automatic cycle", "Idle time-out", "Life of a client secret"):
        assert set_by(name).startswith("on this page, by Pia")
    assert set_by("Max Access Failures") == "on this page"


def test_who_changed_them_last_is_named(cast: Cast, client_of: SignIn) -> None:
    """Of the settings of this page: those of invitations have a page of their own."""
    now = timezone.now()
    for who, name, days in (
        ("olga", "replication_cycle", 2),
        ("pia", "idle_minutes", 1),
        ("olga", "invitation_days", 0),
    ):
        installation.change(cast.actor(who), name, 31)
        Setting.objects.filter(name=name).update(set_at=now - dt.timedelta(days=days))
    assert "Last changed by Pia" in text_of(client_of(cast.pia), "/settings/")


@pytest.mark.parametrize("who", ["olga", "mona", "otto"])
def test_others_change_nothing(cast: Cast, client_of: SignIn, who: str) -> None:
    post(client_of(getattr(cast, who)), "/settings/change/", {}, 403)


# --- API clients --------------------------------------------------------------------------------------------
def test_a_token_is_shown_once_and_works(cast: Cast, client_of: SignIn) -> None:
    client = client_of(cast.pia)
    values = {
        "name": "OVOC",
        "role": "operator",
        "tenant": "",
        "read_only": "on",
        "networks": "10.0.0.1",
        "days": "30",
    }
    page = post(client, "/settings/api-clients/add/", values, 201).content.decode()
    found = re.search(r"cpk_[a-z0-9]+_[\w-]{43}", page)
    assert found is not None
    token = token_of(found.group())
    assert token is not None
    assert all(word.endswith(":view") for word in token.scopes)
    assert token.networks == ["10.0.0.1/32"]
    shown = text_of(client, "/settings/api-clients/")
    assert "OVOC" in shown
    assert found.group() not in shown
    post(client, f"/settings/api-clients/{token.id}/revoke/", {})
    assert token_of(found.group()) is None
    assert "Revoked" in text_of(client, "/settings/api-clients/?state=revoked")


def test_a_token_for_one_customer(cast: Cast, client_of: SignIn) -> None:
    values = {
        "name": "Their system",
        "role": "customer_admin",
        "tenant": "contoso",
        "networks": "",
        "days": "30",
    }
    post(client_of(cast.pia), "/settings/api-clients/add/", values, 201)
    token = ApiToken.objects.get()
    assert token.tenant_id == cast.contoso.id
    assert "connection:manage" in token.scopes
    assert "Contoso" in text_of(client_of(cast.pia), "/settings/api-clients/")


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"tenant": "Nobody"}, "There is no customer with this name."),
        ({"role": "customer_admin", "tenant": ""}, "customer"),
        ({"networks": "not an address"}, "error"),
        ({"days": "0"}, "greater than or equal to 1"),
        ({"name": ""}, "required"),
    ],
)
def test_wrong_tokens_are_refused_in_words(
    cast: Cast, client_of: SignIn, wrong: dict[str, str], words: str
) -> None:
    values = {"name": "X", "role": "operator", "tenant": "", "networks": "", "days": "30"} | wrong
    page = post(client_of(cast.pia), "/settings/api-clients/add/", values, 422).content.decode()
    assert words in page
    assert ApiToken.objects.count() == 0


def test_api_clients_are_the_admins_business(cast: Cast, client_of: SignIn) -> None:
    verified(cast.contoso)
    text_of(client_of(cast.olga), "/settings/api-clients/", 403)
    text_of(client_of(cast.adam), "/settings/api-clients/", 404)
