"""The pools of the licence: exact, explained, and never given out twice."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection, connections, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.models import User
from core.errors import InvalidInput
from tenants import licences, scope, services
from tenants.access import SYSTEM
from tenants.models import Tenant
from tests.api.conftest import Api, make_token
from tests.cast import Cast
from tests.overlap import somebody_waits
from tests.pages.helpers import add, post, text_of, url

SignIn = Callable[[User], Client]
PAGE = "/settings/license/"


def edit(tenant: Tenant, **changes: Any) -> Tenant:
    with scope.one(tenant.id):
        return services.edit_tenant(SYSTEM, tenant, changes)


def pools() -> licences.Pools:
    with scope.every("a test"):
        return licences.pools()


@pytest.fixture
def last_one(settings: Any, cast: Cast) -> None:
    """Contoso and Fabrikam hold 30 users each; one customer and ten users are left."""
    settings.LICENSE_CUSTOMERS, settings.LICENSE_USERS = 3, 70


@pytest.mark.django_db
def test_the_last_licence_is_given_and_the_next_refused(last_one: None) -> None:
    add("Tailspin", licensed_users=10)
    assert (pools().available_customers, pools().available_users) == (0, 0)
    with pytest.raises(InvalidInput) as refused:
        add("Wingtip")
    assert (refused.value.code, refused.value.field) == ("licence_customers_used", "name")
    assert "All Tenants licences are in use (3)" in refused.value.message
    assert "whoever runs the portal" in refused.value.advice


@pytest.mark.django_db
def test_users_are_taken_and_given_back_by_editing(cast: Cast, last_one: None) -> None:
    with pytest.raises(InvalidInput) as refused:
        edit(cast.contoso, licensed_users=41)
    assert (refused.value.code, refused.value.field) == ("licence_users_short", "licensed_users")
    assert "11 more are asked for, and 10 are left in the pool" in refused.value.message
    edit(cast.contoso, licensed_users=40)
    assert pools().available_users == 0
    edit(cast.contoso, licensed_users=5)
    assert pools().available_users == 35


@pytest.mark.django_db
def test_what_was_stored_counts_and_not_what_the_caller_read_earlier(cast: Cast, last_one: None) -> None:
    with scope.one(cast.contoso.id):
        read_before = Tenant.objects.get(id=cast.contoso.id)
    edit(cast.contoso, licensed_users=0)
    edit(read_before, licensed_users=40)
    assert pools().available_users == 0


@pytest.mark.django_db
def test_a_licence_that_became_smaller_stops_nothing_but_new_ones(
    cast: Cast, settings: Any, client_of: SignIn
) -> None:
    settings.LICENSE_CUSTOMERS, settings.LICENSE_USERS = 1, 50
    assert (pools().available_customers, pools().available_users) == (-1, -10)
    edit(cast.contoso, name="Contoso Ltd", licensed_users=30)
    edit(cast.contoso, licensed_users=29)
    with pytest.raises(InvalidInput):
        edit(cast.contoso, licensed_users=30)
    page = text_of(client_of(cast.olga), PAGE)
    assert "Customers hold 1 more Tenants licences than the licence has." in page
    assert "Customers hold 9 more Users licences than the licence has." in page


@pytest.mark.django_db
def test_a_deleted_customer_holds_none_and_needs_them_to_come_back(
    cast: Cast, settings: Any, client_of: SignIn
) -> None:
    settings.LICENSE_CUSTOMERS, settings.LICENSE_USERS = 2, 60
    with scope.one(cast.contoso.id):
        services.delete_tenant(SYSTEM, cast.contoso, typed_name="Contoso")
    assert (pools().available_customers, pools().available_users) == (1, 30)
    other = add("Tailspin")
    answer = post(client_of(cast.pia), url(cast.contoso, "restore/"), {}, 409).content.decode()
    assert "All Tenants licences are in use (2)" in answer
    assert "larger licence" in answer
    with scope.one(other.id):
        services.delete_tenant(SYSTEM, other, typed_name="Tailspin")
    post(client_of(cast.pia), url(cast.contoso, "restore/"), {})
    assert pools().available_users == 0


@pytest.mark.django_db
def test_the_page_says_who_holds_what(cast: Cast, last_one: None, client_of: SignIn) -> None:
    edit(cast.fabrikam, licensed_users=0)
    page = text_of(client_of(cast.mona), PAGE)
    assert "MultiTenant Version: " in page
    assert "UpToDate" in page
    assert "Available Users: 40, Available Customers: 1" in page
    assert "2 of 3" in page
    for unlocked in ("Quick Connect", "DID management", "User view only"):
        assert unlocked in page
    rows = page[page.index("<tbody>") :]
    assert rows.index("Contoso") < rows.index("Fabrikam")
    assert ">none<" in rows
    assert "Edit" not in rows, "Mona only looks"
    assert f'href="{PAGE}"' in text_of(client_of(cast.mona), "/")
    assert PAGE not in text_of(client_of(cast.otto), "/")
    text_of(client_of(cast.otto), PAGE, 403)
    text_of(client_of(cast.adam), PAGE, 404)


@pytest.mark.django_db
def test_the_page_asks_as_often_for_three_customers_as_for_one(cast: Cast, client_of: SignIn) -> None:
    client = client_of(cast.olga)

    def queries(search: str) -> int:
        with CaptureQueriesContext(connection) as asked:
            text_of(client, f"{PAGE}?q={search}")
        return len(asked)

    add("Tailspin")
    queries("")
    assert queries("Fabrikam") == queries("a")


@pytest.mark.django_db
def test_the_api_says_which_licence_is_short(cast: Cast, last_one: None) -> None:
    api = Api(make_token())
    answer = api.patch(f"tenants/{cast.contoso.id}", {"licensed_users": 50})
    assert (answer.status, answer.code, answer.fields) == (422, "licence_users_short", {"licensed_users"})
    assert api.post("tenants", {"name": "Tailspin"}).status == 201
    answer = api.post("tenants", {"name": "Wingtip"})
    assert (answer.status, answer.code) == (422, "licence_customers_used")


@pytest.mark.django_db(transaction=True)
def test_of_two_who_want_the_last_licence_one_gets_it(committed_cast: Cast, settings: Any) -> None:
    settings.LICENSE_CUSTOMERS = 3
    first_has_it, second_ended = threading.Event(), threading.Event()

    def first() -> str:
        try:
            with transaction.atomic():
                add("First")
                first_has_it.set()
                while not somebody_waits("advisory") and not second_ended.is_set():
                    pass
            return "added"
        finally:
            connections.close_all()

    def second() -> str:
        try:
            assert first_has_it.wait(30)
            add("Second")
            return "added"
        except InvalidInput as error:
            return error.code
        finally:
            second_ended.set()
            connections.close_all()

    with ThreadPoolExecutor(2) as pool:
        outcomes = [pool.submit(first), pool.submit(second)]
        assert [each.result(60) for each in outcomes] == ["added", "licence_customers_used"]
    assert pools().available_customers == 0
