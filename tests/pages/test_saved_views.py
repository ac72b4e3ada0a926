"""Saved views: a list as a person likes it, under a name; everybody has his own."""

import html
import re

import pytest

from accounts import services
from accounts.models import SavedView, User
from audit.models import Entry
from tenants import scope
from tests.cast import Cast
from tests.pages.helpers import SignIn, post, text_of, url

pytestmark = pytest.mark.django_db
LISTS = {"tenants": "/tenants/", "queue": "/queue/", "audit": "/audit/"}


def keep(person: User, cast: Cast, name: str, query: str = "size=25", page: str = "tenants") -> SavedView:
    return services.save_view(cast.actor("pia"), person, page=page, name=name, query=query)


def add_link(page: str) -> str:
    found = re.findall(r'href="(/views/add/.+?)"', page)
    return html.unescape(found[0]) if found else ""


def hidden(page: str) -> dict[str, str]:
    return {
        name: html.unescape(value)
        for name, value in re.findall(r'type="hidden" name="(page|query|back)" value="(.*?)"', page)
    }


def test_a_view_is_saved_found_and_deleted(cast: Cast, client_of: SignIn) -> None:
    client = client_of(cast.olga)
    for page, address in {**LISTS, "users": url(cast.contoso, "users/")}.items():
        assert add_link(text_of(client, address)) == "", "an untouched list is nothing to keep"
        shown = text_of(client, f"{address}?sort=-name&q=con%26so&size=25&page=2&state=")
        asked = text_of(client, add_link(shown))
        values = hidden(asked)
        assert values == {"page": page, "query": "q=con%26so&size=25&sort=-name", "back": address}
        answer = post(client, "/views/add/", values | {"name": "  My  own "})
        assert answer["Location"] == f"{address}?q=con%26so&size=25&sort=-name"
        again = text_of(client, address)
        assert f'href="{address}?q=con%26so&amp;size=25&amp;sort=-name">My own</a>' in again
        there = text_of(client, answer["Location"])
        assert 'aria-current="true">My own</a>' in there
        assert add_link(there) == "", "this one is kept already"
        gone = html.unescape(re.findall(r'href="(/views/.+?/delete/.+?)"', again)[0])
        assert "Delete the view My own?" in text_of(client, gone)
        assert post(client, gone, {})["Location"] == address
        assert ">My own</a>" not in text_of(client, address)
    with scope.every("a test counts"):
        saved = Entry.objects.filter(action="view.saved").values_list("object_label", flat=True)
        assert sorted(saved) == ["Audit: My own", "Queued Tasks: My own", "Tenants: My own", "Users: My own"]
        assert Entry.objects.filter(action="view.deleted").count() == 4


def test_a_view_of_users_serves_every_customer(cast: Cast, client_of: SignIn) -> None:
    keep(cast.olga, cast, "Blocked", "enabled=no", "users")
    for tenant in (cast.contoso, cast.fabrikam):
        address = url(tenant, "users/")
        assert f'href="{address}?enabled=no">Blocked</a>' in text_of(client_of(cast.olga), address)


def test_everybody_has_only_his_own(cast: Cast, client_of: SignIn) -> None:
    view = keep(cast.olga, cast, "Secret habit")
    for person in (cast.pia, cast.adam, cast.nora):
        client = client_of(person)
        text_of(client, f"/views/{view.id}/delete/", 404)
        post(client, f"/views/{view.id}/delete/", {}, 404)
    assert "Secret habit" not in text_of(client_of(cast.pia), "/tenants/")
    assert SavedView.objects.get().user == cast.olga


def test_the_same_name_replaces(cast: Cast, client_of: SignIn) -> None:
    first = keep(cast.olga, cast, "Mine")
    assert keep(cast.olga, cast, "MINE", "size=50").id == first.id
    keep(cast.olga, cast, "Mine", page="queue")
    keep(cast.pia, cast, "Mine")
    assert SavedView.objects.filter(user=cast.olga).count() == 2


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"name": ""}, "This field is required"),
        ({"name": "x" * 41}, "at most 40"),
        ({"name": "a\tb\x07"}, "printable"),
        ({"page": "secrets"}, "not one of the available choices"),
        ({"query": "page=2"}, "nothing to keep"),
        ({"query": f"q={'x' * 1001}"}, "too much"),
    ],
)
def test_what_cannot_be_kept_is_said(
    cast: Cast, client_of: SignIn, changes: dict[str, str], says: str
) -> None:
    values = {"name": "Mine", "page": "tenants", "query": "size=25", "back": "/tenants/"} | changes
    page = post(client_of(cast.olga), "/views/add/", values, 422).content.decode()
    assert says in page
    assert not SavedView.objects.exists()


def test_there_is_an_end_to_it(cast: Cast, client_of: SignIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("accounts.services.MOST_VIEWS", 1)
    keep(cast.olga, cast, "One")
    values = {"name": "Two", "page": "tenants", "query": "size=50", "back": "/tenants/"}
    assert "delete one first" in post(client_of(cast.olga), "/views/add/", values, 422).content.decode()
    post(client_of(cast.olga), "/views/add/", values | {"name": "one"})
    assert SavedView.objects.get().query == "size=50"


@pytest.mark.parametrize(
    "back", ["https://evil.example/", "//evil.example/", "/\\evil.example", "javascript:x"]
)
def test_it_leads_nowhere_else(cast: Cast, client_of: SignIn, back: str) -> None:
    values = {"name": "Mine", "page": "tenants", "query": "size=25", "back": back}
    assert post(client_of(cast.olga), "/views/add/", values)["Location"] == "/?size=25"
    view = SavedView.objects.get()
    assert post(client_of(cast.olga), f"/views/{view.id}/delete/?back={back}", {})["Location"] == "/"
