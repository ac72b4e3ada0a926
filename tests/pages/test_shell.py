"""The shell: the tree shows what there is and what one may use; the first page depends on who it is."""

import re

import pytest
from django.test import Client
from django.urls import resolve

from tenants import recent, services
from tenants.abilities import Role
from tenants.access import SYSTEM
from tests.cast import Cast
from tests.pages.helpers import SignIn, failed, post, text_of, url
from ump_portal.pages import tally

pytestmark = pytest.mark.django_db


def tree(page: str) -> str:
    return page[page.index('aria-label="Main"') : page.index("</nav>", page.index('aria-label="Main"'))]


def links(part: str) -> list[str]:
    return re.findall(r'href="([^"]+)"', part)


def test_signing_in_leads_to_the_dashboard(cast: Cast) -> None:
    client = Client()
    assert client.get("/").headers["Location"].startswith("/accounts/login/")
    answer = client.post(
        "/accounts/login/", {"login": "OLGA@example.test", "password": "correct horse battery"}
    )
    assert answer.headers["Location"] == "/"
    assert "<h1>Dashboard</h1>" in text_of(client, "/")


@pytest.mark.parametrize("who", ["pia", "olga", "otto", "mona", "adam", "vera", "nora"])
def test_no_entry_is_dead(cast: Cast, client_of: SignIn, who: str) -> None:
    client = client_of(getattr(cast, who))
    start = "/" if who not in {"adam", "vera"} else url(cast.contoso)
    for address in links(tree(text_of(client, start))):
        resolve(address)
        answer = client.get(address)
        assert answer.status_code in {200, 302}, f"{who} {address}: {answer.status_code}"


def test_entries_that_one_may_not_use_are_absent(cast: Cast, client_of: SignIn) -> None:
    assert "/settings/api-clients/" in tree(text_of(client_of(cast.pia), "/"))
    assert "/settings/api-clients/" not in tree(text_of(client_of(cast.olga), "/"))
    assert "/settings/" not in tree(text_of(client_of(cast.otto), "/"))


def test_a_customer_gets_the_customers_tree(cast: Cast, client_of: SignIn) -> None:
    client = client_of(cast.adam)
    assert client.get("/").headers["Location"] == url(cast.contoso)
    shown = tree(text_of(client, url(cast.contoso)))
    for word in ("Status", "Microsoft 365 Settings", "Users", "Queue Changes", "History"):
        assert f"<span>{word}</span>" in shown
    assert "Dashboard" not in shown


@pytest.mark.parametrize("path", ["users/", "changes/", "changes/plans/", "templates/"])
def test_changes_of_users_stand_below_users(cast: Cast, client_of: SignIn, path: str) -> None:
    shown = tree(text_of(client_of(cast.adam), f"{url(cast.contoso)}{path}"))
    here = [entry for entry in shown.split("<a ") if 'aria-current="page"' in entry]
    assert len(here) == 1
    assert "<span>Users</span>" in here[0]


def test_a_person_with_several_customers_chooses(cast: Cast, client_of: SignIn) -> None:
    services.give_role(
        SYSTEM, user_id=cast.adam.id, email=cast.adam.email, role=Role.CUSTOMER_ADMIN, tenant=cast.fabrikam
    )
    page = text_of(client_of(cast.adam), "/")
    assert "Your organisations" in page
    assert url(cast.contoso) in page
    assert url(cast.fabrikam) in page


def test_nobody_is_left_without_a_word(cast: Cast, client_of: SignIn) -> None:
    assert "You have no role yet" in text_of(client_of(cast.nora), "/")


def test_tabs_name_only_pages_that_are_there(cast: Cast, client_of: SignIn) -> None:
    page = text_of(client_of(cast.pia), url(cast.contoso))
    tabs = page[
        page.index('aria-label="Sections"') : page.index("</nav>", page.index('aria-label="Sections"'))
    ]
    assert [
        word for word in ("Overview", "History", "Connection", "Edit") if f">{word}<" in tabs or word in tabs
    ]
    for address in links(tabs):
        assert client_of(cast.pia).get(address).status_code == 200
    assert "/edit/" not in text_of(client_of(cast.mona), url(cast.contoso))


def test_the_trees_counts_tell_what_is_wrong(cast: Cast, client_of: SignIn) -> None:
    failed(cast.fabrikam)
    assert re.search(
        r'<span class="count" data-tone="bad" title="Counted just now">1</span>',
        tree(text_of(client_of(cast.olga), "/")),
    )
    assert "data-tone" not in tree(text_of(client_of(cast.otto), "/"))


def test_kept_counts_are_of_the_customers_somebody_sees(
    cast: Cast, client_of: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever looks first fills what is kept; nobody is shown numbers of customers that are not his."""
    monkeypatch.setattr(recent, "FRESH_SECONDS", 3_600.0)
    tally.forget()
    olga, otto = client_of(cast.olga), client_of(cast.otto)

    def shown(client: Client) -> list[str]:
        return re.findall(
            r'<span class="count"[^>]* title="Counted [^"]+">(\d+)</span>', tree(text_of(client, "/audit/"))
        )

    assert (shown(olga), shown(otto)) == (["2"], ["1"])
    failed(cast.fabrikam)
    assert shown(olga) == ["2"], "counted some seconds ago, as its tooltip says"
    tally.forget()
    assert (shown(otto), shown(olga)) == (["1"], ["1", "2"])


@pytest.mark.parametrize(
    "path", ["", "history/", "connection/", "checks/", "edit/", "delete/", "pause/", "check/"]
)
def test_every_page_says_what_it_is(cast: Cast, client_of: SignIn, path: str) -> None:
    page = text_of(client_of(cast.pia), url(cast.contoso, path))
    assert page.count("<h1") == 1
    assert re.search(r"<title>\s*\S+.*·", page)
    if 'id="dialog"' not in page:
        head = page[page.index('class="head"') : page.index("</div>", page.index("<h1>"))]
        assert re.search(r"<p>[^<]{15,}", head), "a line that explains the page"


def test_an_unknown_customer_is_a_friendly_404(cast: Cast, client_of: SignIn) -> None:
    text_of(client_of(cast.pia), "/tenants/11111111-1111-4111-8111-111111111111/", 404)
    post(client_of(cast.adam), url(cast.fabrikam, "check/"), {}, 404)
