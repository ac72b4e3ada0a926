"""Edit User, Edit together, and the history of a user: what is asked, and what is said before and after."""

import datetime as dt
import re
import uuid
from collections.abc import Callable

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import User
from directory.models import DirectoryUser
from provisioning import selectors
from provisioning.models import Change
from telephony.models import Stream
from tenants import scope
from tenants.models import Tenant
from tests.cast import Cast
from tests.pages.helpers import post, text_of
from tests.provisioning.making import add_line, add_plan, add_site
from tests.telephony.making import add_number, add_person, add_policy, keep_stream
from tests.telephony.test_ranges import add_range

SignIn = Callable[[User], Client]
pytestmark = pytest.mark.django_db


@pytest.fixture
def people(cast: Cast) -> dict[str, uuid.UUID]:
    """Ann has a number; Bea, Cid and Dan have none, and Dan no Teams Phone."""
    tenant = cast.contoso
    found = {
        "ann": add_person(tenant, "Ann Adler", "+41589061000"),
        "bea": add_person(tenant, "Bea Bell"),
        "cid": add_person(tenant, "Cid Cole"),
        "dan": add_person(tenant, "Dan Dahl", features="Teams"),
    }
    add_number(tenant, "+41589061000", found["ann"])
    keep_stream(tenant, Stream.USERS, synced_at=timezone.now())
    add_policy(tenant, "TeamsCallingPolicy", "AllowCalling", found["ann"])
    return found


def asked(tenant: Tenant) -> dict[tuple[str, str], object]:
    with scope.one(tenant.id):
        rows = Change.objects.filter(state="pending")
        return {(row.subject_name, row.aspect): row.wanted for row in rows}


def fields(page: str) -> dict[str, str]:
    """What a browser would send of the form as it is."""
    found = dict(re.findall(r'<input type="(?:text|hidden)" name="(\w+)"(?: value="([^"]*)")?', page))
    return {name: text for name, text in found.items() if name != "csrfmiddlewaretoken"}


def test_edit_user_asks_for_what_was_changed_and_shows_it_waiting(
    cast: Cast, people: dict[str, uuid.UUID], client_of: SignIn
) -> None:
    client, tenant = client_of(cast.adam), cast.contoso
    home = f"/tenants/{tenant.id}/users/{people['ann']}/"
    page = text_of(client, f"{home}edit/")
    given = fields(page)
    assert (given["number"], given["policy_TeamsCallingPolicy"]) == ("+41589061000", "AllowCalling")
    given |= {"kind": "directRouting"}
    post(client, f"{home}edit/", given | {"user_department": "Sales", "policy_TeamsCallingPolicy": ""})
    assert asked(tenant) == {
        ("Ann Adler", "user:department"): "Sales",
        ("Ann Adler", "policy:TeamsCallingPolicy"): None,
    }
    shown = text_of(client, home)
    assert "2 changes kept, to be written to Microsoft 365 in 4 min" in shown
    assert "AllowCalling → " in " ".join(shown.split())
    stale = post(client, f"{home}edit/", given | {"user_department": "Support"}, 422).content.decode()
    assert "Something has changed since this page was opened" in stale
    again = fields(text_of(client, f"{home}edit/")) | {"kind": "directRouting"}
    assert again["user_department"] == "Sales", "the form begins with what waits"
    wrong = post(
        client, f"{home}edit/", again | {"number": "call me", "user_city": "Bern"}, 422
    ).content.decode()
    assert 'href="#id_number"' in wrong
    post(client, f"{home}edit/", again | {"user_department": ""})
    assert ("Ann Adler", "user:department") not in asked(tenant), "as it is: the wish is taken back"


def test_what_comes_from_premises_is_read_only_and_says_why(
    cast: Cast, people: dict[str, uuid.UUID], client_of: SignIn
) -> None:
    with scope.one(cast.contoso.id):
        DirectoryUser.objects.filter(object_id=people["ann"]).update(on_premises=True)
    page = text_of(client_of(cast.adam), f"/tenants/{cast.contoso.id}/users/{people['ann']}/edit/")
    assert "own directory on premises" in page
    assert re.search(r'name="user_department"[^>]*disabled', page)
    assert not re.search(r'name="user_usageLocation"[^>]*disabled', page)


def test_a_customer_without_user_licences_is_told_why(
    cast: Cast, people: dict[str, uuid.UUID], client_of: SignIn
) -> None:
    with scope.one(cast.contoso.id):
        Tenant.objects.filter(id=cast.contoso.id).update(licensed_users=0)
    client, home = client_of(cast.adam), f"/tenants/{cast.contoso.id}/users/"
    page = text_of(client, f"{home}{people['ann']}/")
    assert "Needs a Users licence" in page
    assert "Edit User" not in page
    assert "edit-together" not in text_of(client, home)
    text_of(client, f"{home}{people['ann']}/edit/", 422)


def test_numbers_are_dealt_to_many_after_a_preview_that_is_binding(
    cast: Cast, people: dict[str, uuid.UUID], client_of: SignIn
) -> None:
    client, tenant = client_of(cast.adam), cast.contoso
    pool = add_range(tenant, "+41589061000", "+41589061009")
    at = f"/tenants/{tenant.id}/users/edit-together/"
    ids = {"id": [str(each) for each in people.values()]}
    form = post(client, at, ids, 200).content.decode()
    assert "Edit 4 users together" in form
    assert "Dan Dahl" in form
    post(client, at, ids | {"step": "preview"}, 422)
    order = ids | {
        "numbers": str(pool.uid),
        "only_without": "on",
        "detail": "department",
        "detail_value": "Sales",
    }
    page = post(client, at, order | {"step": "preview"}, 200).content.decode()
    assert "6 changes for 4 users, 1 not possible, 1 left out" in page
    assert page.index("Dan Dahl") < page.index("Bea Bell"), "what is not possible comes first"
    assert "has a number already" in page
    assert "+41589061001" in page
    assert "+41589061002" in page, "none is lost on who cannot have one"
    assert asked(tenant) == {}
    digest = re.search(r'name="digest" value="(\w+)"', page)
    assert digest is not None
    changed = post(client, at, order | {"step": "keep", "digest": "another"}, 200).content.decode()
    assert "Look once more" in changed
    exported = b"".join(client.post(at, order | {"step": "csv"}).streaming_content).decode()  # type: ignore[arg-type]
    assert "Dan Dahl" in exported
    post(client, at, order | {"step": "keep", "digest": digest[1]})
    kept = asked(tenant)
    assert kept[("Bea Bell", "number")] == {"number": "+41589061001", "kind": "directRouting"}
    assert kept[("Cid Cole", "number")] == {"number": "+41589061002", "kind": "directRouting"}
    assert {user for user, aspect in kept if aspect == "user:department"} == {
        "Ann Adler", "Bea Bell", "Cid Cole", "Dan Dahl"
    }  # fmt: skip


def test_all_that_match_are_edited_together(
    cast: Cast, people: dict[str, uuid.UUID], client_of: SignIn
) -> None:
    client, tenant = client_of(cast.adam), cast.contoso
    at = f"/tenants/{tenant.id}/users/edit-together/?q=bell"
    assert "Edit 1 user together" in text_of(client, at)
    page = post(
        client, at, {"all": "1", "step": "preview", "policy": "TenantDialPlan", "policy_name": "Bern"}, 200
    ).content.decode()
    assert "1 change for 1 user" in page
    assert "Nobody has the policy Bern yet" in page


def test_explain_tells_the_chain_and_a_past_time_what_was(
    cast: Cast, people: dict[str, uuid.UUID], client_of: SignIn
) -> None:
    tenant, ann, now = cast.contoso, people["ann"], timezone.now()
    old, new = now - dt.timedelta(days=3), now - dt.timedelta(days=1)
    add_line(add_plan(tenant), ann, before="Legal", after="Sales", done_at=old)
    add_line(add_plan(tenant), ann, before="Sales", after="Support", done_at=new, request_id="req-2")
    city = add_line(add_plan(tenant), ann, aspect="user:city", before="Rome", after="Bern", done_at=new)
    with scope.one(tenant.id):
        Change.objects.filter(id=city.change_id).update(file_line=17)
    with scope.one(tenant.id):
        for days, expected in ((4, {"Legal", "Rome"}), (2, {"Sales", "Rome"}), (0, {"Support", "Bern"})):
            moment = now - dt.timedelta(days=days)
            found = selectors.then(selectors.as_of(tenant, moment), moment)
            assert {each.value for each in found} == expected
    at = f"/tenants/{tenant.id}/users/{ann}/history/"
    page = text_of(client_of(cast.olga), f"{at}?at={(now - dt.timedelta(days=2)):%Y-%m-%dT%H:%M}")
    for words in (
        "Adam asked for it",
        "line 17 of the file",
        "req-2",
        "The copy has not been read since",
        "found by the portal when it",
    ):
        assert words in page, words
    assert "req-2" not in text_of(client_of(cast.adam), at)
    add_line(
        add_plan(tenant), ann, aspect=f"route:{add_site(tenant).uid}:+41589061000", after=True, where="SBC"
    )
    page = text_of(client_of(cast.adam), at)
    assert "+41589061000 leads to site Zurich on its SBC" in page
    assert "Read back from the SBC" in page
    shown = text_of(
        client_of(cast.adam),
        f"/tenants/{tenant.id}/changes/history/?at={(now - dt.timedelta(days=2)):%Y-%m-%d}",
    )
    assert "Rome" in shown


@pytest.mark.parametrize(
    "path", ["/tenants/{}/users/", "/tenants/{}/changes/history/", "/replication/history/"]
)
def test_as_many_queries_with_one_row_as_with_three(cast: Cast, client_of: SignIn, path: str) -> None:
    client, at = client_of(cast.olga), path.format(cast.contoso.id)

    def more() -> None:
        add_line(add_plan(cast.contoso), add_person(cast.contoso, "Ann Adler"))

    def queries() -> int:
        client.get(at)
        with CaptureQueriesContext(connection) as seen:
            assert client.get(at).status_code == 200
        return sum(each["sql"].startswith("SELECT") for each in seen if "set_config" not in each["sql"])

    more()
    one = queries()
    assert path.endswith("/users/") or one <= 12
    more()
    more()
    assert queries() == one
