"""The Tenants page: exact columns and words, filters in the address, live counters, CSV."""

import csv
import datetime as dt
import io
import re

import pytest
from django.conf import settings
from django.db import connection
from django.test import override_settings
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from replication import services as queue
from replication.models import Command, State
from tenants import scope, services
from tenants.access import SYSTEM
from tenants.models import DeployState, Plan
from tests.cast import CANARY_FABRIKAM, Cast
from tests.pages.helpers import SignIn, add, change, failed, text_of, url, verified

pytestmark = pytest.mark.django_db
COLUMNS = ["Customer Name", "State", "SysAdmin Info", "Licensing (licensed users)", "Queued commands status"]


def row(page: str, name: str) -> str:
    start = page.index(f">{name}</a>")
    return page[start : page.index("</tr>", start)]


def names(page: str) -> list[str]:
    return re.findall(r'<th scope="row"><a href="/tenants/[^"]+/">([^<]+)</a>', page)


def test_the_columns_and_the_strip_above_them(cast: Cast, client_of: SignIn) -> None:
    page = text_of(client_of(cast.olga), "/tenants/")
    heads = [
        re.sub(r"<[^>]+>", "", head).strip()
        for head in re.findall(r'<th scope="col"[^>]*>(.*?)</th>', page, re.DOTALL)
    ]
    assert [head for head in heads if head in COLUMNS] == COLUMNS
    assert "Available Users: 9940, Available Customers: 498" in page
    assert f"SysadminKit Version: {settings.VERSION}" in page
    assert "Showing 1 to 2 of 2 entries" in page


@override_settings(LICENSE_USERS=10_000, LICENSE_CUSTOMERS=500)
def test_available_users_and_customers_as_in_the_sample(cast: Cast, client_of: SignIn) -> None:
    _delete(cast)
    assert "Available Users: 9970, Available Customers: 499" in text_of(client_of(cast.olga), "/tenants/")


def _delete(cast: Cast) -> None:
    with scope.one(cast.fabrikam.id):
        services.delete_tenant(SYSTEM, cast.fabrikam, typed_name="Fabrikam")


def test_a_row_in_the_exact_words(cast: Cast, client_of: SignIn) -> None:
    verified(cast.contoso)
    change(
        cast.contoso,
        last_replicated_at=dt.datetime(2022, 10, 14, 12, 59, 41, tzinfo=dt.UTC),
        deploy_state=DeployState.DEPLOYED,
    )
    shown = row(text_of(client_of(cast.pia), "/tenants/"), "Contoso")
    assert "2022.10.14.12:59:41" in shown
    assert f'<a href="{url(cast.contoso)}" class="small">SysAdmin' in shown
    assert "M365 - Pro (30)" in shown
    assert "Deployed" in shown
    assert "Deployed successfully." in shown
    for line in ("Queued commands: 0", "Executing commands: 0", "Replication in progress: no"):
        assert line in shown
    for word, path in (("Edit", "edit/"), ("Delete", "delete/"), ("Queue Replication", "queue-replication/")):
        assert re.search(rf'href="{url(cast.contoso, path)}"[^>]*>{word}', shown)
    assert f"{url(cast.contoso, 'undo-deploy/')}" in shown
    assert "Undo Deploy" in shown
    assert re.search(rf'href="{url(cast.contoso, "sites/add/")}"', shown)
    assert "Add SBC Site" in shown


def test_the_counters_come_from_the_rows(cast: Cast, client_of: SignIn) -> None:
    with scope.one(cast.contoso.id):
        queue.submit(SYSTEM, "verify_credentials", cast.contoso)
        running = queue.submit(SYSTEM, "sync", cast.contoso)
        Command.objects.filter(id=running.id).update(state=State.EXECUTING, lease_until=timezone.now())
    page = text_of(client_of(cast.olga), "/tenants/")
    assert "Queued commands: 1" in row(page, "Contoso")
    assert "Executing commands: 1" in row(page, "Contoso")
    assert "Replication in progress: yes" in row(page, "Contoso")
    assert "Replication in progress: no" in row(page, "Fabrikam")


def test_the_live_part_brings_each_cell_to_its_place(cast: Cast, client_of: SignIn) -> None:
    client = client_of(cast.olga)
    page = text_of(client, "/tenants/")
    address = re.search(r'data-live hx-get="([^"]+)"', page)
    assert address is not None
    shown = text_of(client, address.group(1).replace("&amp;", "&"))
    for part in ("state", "info", "queue"):
        assert f'id="{part}-{cast.contoso.id}" hx-swap-oob="true"' in shown
        assert f'id="{part}-{cast.contoso.id}"' in page
    assert "csrf" not in shown, "it would differ each time and be swapped for nothing"
    assert text_of(client, "/tenants/live/?id=nonsense&id=" + str(cast.contoso.id)).count("oob") == 3


def test_search_filters_and_order_stand_in_the_address(cast: Cast, client_of: SignIn) -> None:
    client = client_of(cast.olga)
    verified(cast.contoso, days_left=5)
    failed(cast.fabrikam)
    add("Zeta", plan=Plan.ESSENTIALS_PLUS)
    assert names(text_of(client, "/tenants/")) == ["Contoso", "Fabrikam", "Zeta"]
    assert names(text_of(client, "/tenants/?sort=-name")) == ["Zeta", "Fabrikam", "Contoso"]
    assert names(text_of(client, "/tenants/?q=fabr")) == ["Fabrikam"]
    assert names(text_of(client, f"/tenants/?q={cast.contoso.entra_tenant_id}")) == ["Contoso"]
    assert names(text_of(client, "/tenants/?health=failed")) == ["Fabrikam"]
    assert names(text_of(client, "/tenants/?health=attention")) == ["Contoso"]
    assert names(text_of(client, "/tenants/?health=never")) == ["Zeta"]
    assert names(text_of(client, "/tenants/?plan=essentials_plus")) == ["Zeta"]
    assert names(text_of(client, "/tenants/?state=failed")) == ["Fabrikam"]
    assert names(text_of(client, "/tenants/?expires=7")) == ["Contoso"]
    assert names(text_of(client, "/tenants/?expires=30")) == []
    change(cast.contoso, paused_at=timezone.now(), paused_by="Olga")
    assert names(text_of(client, "/tenants/?health=paused")) == ["Contoso"]


@pytest.mark.parametrize(
    "query", ["sort=;drop", "size=9999", "page=-3", "health=x", "expires=x", "q=%00", "q=" + "x" * 900]
)
def test_nonsense_in_the_address_is_ignored(cast: Cast, client_of: SignIn, query: str) -> None:
    text_of(client_of(cast.olga), f"/tenants/?{query}")


def test_why_is_it_not_here(cast: Cast, client_of: SignIn) -> None:
    client = client_of(cast.olga)
    page = text_of(client, "/tenants/?q=contoso&health=paused")
    assert "hidden by the filters: Contoso would be shown" in page
    _delete(cast)
    assert "Fabrikam was deleted on" in text_of(client, "/tenants/?q=fabrikam")
    page = text_of(client_of(cast.otto), "/tenants/?q=fabrikam")
    assert "You look after some customers only" in page
    assert "was deleted" not in page


def test_the_csv_has_the_same_filters_and_no_formulas(cast: Cast, client_of: SignIn) -> None:
    add("=HYPERLINK(1)", domain="evil.example")
    rows = list(
        csv.DictReader(
            io.StringIO(text_of(client_of(cast.olga), "/tenants/export.csv?q=evil").lstrip("\ufeff"))
        )
    )
    assert [found["Customer Name"] for found in rows] == ["'=HYPERLINK(1)"]
    whole = text_of(client_of(cast.otto), "/tenants/export.csv")
    assert "Contoso" in whole
    assert CANARY_FABRIKAM not in whole


def test_the_csv_leaves_nobody_out(cast: Cast, client_of: SignIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tenants.tables.BATCH", 2)
    for number in range(5):
        add(f"Customer {number}")
    rows = list(csv.DictReader(io.StringIO(text_of(client_of(cast.olga), "/tenants/export.csv"))))
    assert len(rows) == 7


def test_the_same_number_of_queries_for_one_row_and_three(cast: Cast, client_of: SignIn) -> None:
    client = client_of(cast.olga)
    verified(cast.contoso)
    with CaptureQueriesContext(connection) as one:
        text_of(client, "/tenants/?q=contoso")
    for number in range(3):
        add(f"Contoso {number}")
    with CaptureQueriesContext(connection) as more:
        assert len(names(text_of(client, "/tenants/?q=contoso"))) == 4
    assert len(more) == len(one)


def test_what_one_may_not_do_is_not_offered(cast: Cast, client_of: SignIn) -> None:
    page = text_of(client_of(cast.mona), "/tenants/")
    for path in ("edit/", "delete/", "queue-replication/", "pause/", "check/"):
        assert url(cast.contoso, path) not in page
    assert "/tenants/bulk/" not in page
    assert "/onboarding/start/" not in page
    assert url(cast.contoso, "delete/") not in text_of(client_of(cast.olga), "/tenants/")


def test_nothing_new_is_told_in_a_word(cast: Cast, client_of: SignIn) -> None:
    client = client_of(cast.olga)
    for address in (
        f"/tenants/live/?id={cast.contoso.id}",
        "/dashboard/figures/",
        url(cast.contoso, "live/"),
    ):
        first = client.get(address)
        again = client.get(address, HTTP_IF_NONE_MATCH=first.headers["ETag"])
        assert again.status_code == 304, address
