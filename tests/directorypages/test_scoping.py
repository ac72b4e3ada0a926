"""Whom a CsOnlineUser Filter takes, in the database, and why somebody is left out."""

import uuid

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from audit.models import Entry
from core.errors import Conflict, InvalidInput
from directory import scoping
from directory.filter_language import parse
from directory.models import DirectoryUser
from tenants import scope
from tenants.access import SYSTEM
from tenants.models import Tenant
from tests.cast import Cast
from tests.directorypages.test_directory_pages import PHONE, SignIn, licence, names, person, team, url
from tests.pages.helpers import post, text_of
from tests.queuepages.test_lists import status_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def staff(cast: Cast) -> dict[str, DirectoryUser]:
    """Three people of Contoso, and a namesake at Fabrikam whom nothing may find."""
    licence(cast.contoso, plans=[{"id": "x", "name": "MCOEV", "status": "Success"}])
    ann = person(cast.contoso, "Ann Archer", department="Sales", usage_location="DE", sku_ids=[PHONE])
    bob = person(cast.contoso, "Bob 100%_Baker", department="Support", account_enabled=False)
    cem = person(cast.contoso, "Cem Çelik", usage_location="TR", on_premises=True, city="St. John's")
    team(cast.contoso, "Voice pilots", [(ann.object_id, "user"), (cem.object_id, "user")])
    other = person(cast.fabrikam, "Ann Archer", department="Sales")
    team(cast.fabrikam, "Theirs", [(other.object_id, "user"), (ann.object_id, "user")])
    return {"ann": ann, "bob": bob, "cem": cem}


def taken(tenant: Tenant, text: str) -> set[str]:
    """The first names; and each way of asking says the same."""
    with scope.one(tenant.id):
        sieve = scoping.Sieve(tenant, parse(text))
        inside, outside = list(sieve.users(taken=True)), list(sieve.users(taken=False))
        counts, why = sieve.counts(), sieve.why_left_out([*inside, *outside])
    assert (counts.taken, counts.left_out) == (len(inside), len(outside))
    assert set(why) == {one.object_id for one in outside}
    assert len(inside) + len(outside) == 3
    return {one.display_name.split()[0].lower() for one in inside}


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("Department -eq 'sales'", "ann"),
        ("Department -ne 'Sales'", "bob cem"),
        ("Department -eq $null", "cem"),
        ("Department -in 'Sales', 'Support'", "ann bob"),
        ("Department -notin 'Sales', 'Support'", "cem"),
        ("Department -like 's*'", "ann bob"),
        ("Department -like 's?les'", "ann"),
        ("Department -notlike 's*'", "cem"),
        ("DisplayName -like '*100%_*'", "bob"),
        ("DisplayName -like '*0_0*'", ""),
        (r"DisplayName -like '*\*'", ""),
        ("City -eq 'St. John''s'", "cem"),
        ("AccountEnabled -eq $true", "ann cem"),
        ("AccountEnabled -ne $true", "bob"),
        ("OnPremises -eq $true", "cem"),
        ("Licence -contains 'mcoev'", "ann"),
        ("Licence -eq 'Teams Phone Standard'", "ann"),
        (f"Licence -contains '{PHONE}'", "ann"),
        ("Licence -like 'MCO*'", "ann"),
        ("Licence -notcontains 'MCOEV'", "bob cem"),
        ("AssignedPlan -eq 'MCOEV'", "ann"),
        ("AssignedPlan -like 'MCOPSTN*'", ""),
        ("AssignedPlan -ne 'MCOEV'", "bob cem"),
        ("Domain -eq 'CANARY-HERON.example'", "ann bob cem"),
        ("Domain -like '*.test'", ""),
        ("Domain -ne 'example'", "ann bob cem"),
        ("MemberOf -eq 'voice PILOTS'", "ann cem"),
        ("MemberOf -like 'Voice*'", "ann cem"),
        ("MemberOf -ne 'Voice pilots'", "bob"),
        ("MemberOf -eq 'Theirs'", ""),
        ("-not (Department -eq 'Sales' -or AccountEnabled -eq $false)", "cem"),
        ("UsageLocation -eq 'DE' -and (AssignedPlan -eq 'MCOEV' -or MemberOf -eq 'Voice pilots')", "ann"),
        ("! AccountEnabled -eq $true", "bob"),
    ],
)
def test_who_is_taken(cast: Cast, staff: dict[str, DirectoryUser], text: str, names: str) -> None:
    assert taken(cast.contoso, text) == set(names.split())


def test_a_group_is_found_by_its_object_id(cast: Cast, staff: dict[str, DirectoryUser]) -> None:
    group = team(cast.contoso, "Just Bob", [(staff["bob"].object_id, "user")])
    assert taken(cast.contoso, f"MemberOf -eq '{group.object_id}'") == {"bob"}
    assert taken(cast.contoso, f"MemberOf -eq '{uuid.uuid4()}'") == set()


def test_each_sentence_says_what_is_and_what_is_wanted(cast: Cast, staff: dict[str, DirectoryUser]) -> None:
    text = "Department -eq 'Sales' -and AssignedPlan -eq 'MCOEV' -and -not (MemberOf -eq 'Voice pilots')"
    with scope.one(cast.contoso.id):
        why = scoping.Sieve(cast.contoso, parse(text)).why_left_out(staff.values())
    assert why[staff["ann"].object_id] == (
        "Excluded because it is in such a group, and the filter leaves out MemberOf -eq 'Voice pilots'."
    )
    assert why[staff["bob"].object_id] == (
        "Excluded because Department is 'Support', and the filter wants Department -eq 'Sales'; "
        "none of its licences has such a plan, and the filter wants AssignedPlan -eq 'MCOEV'."
    )
    assert why[staff["cem"].object_id].startswith(
        "Excluded because Department is empty, and the filter wants"
    )


def test_terms_that_nobody_fits_are_named(cast: Cast, staff: dict[str, DirectoryUser]) -> None:
    with scope.one(cast.contoso.id):
        counts = scoping.Sieve(cast.contoso, parse("Department -eq 'Sles' -or City -like '*'")).counts()
    assert [str(term) for term in counts.idle] == ["Department -eq 'Sles'"]


def test_any_number_of_users_costs_the_same_queries(cast: Cast, staff: dict[str, DirectoryUser]) -> None:
    text = "Licence -eq 'MCOEV' -and MemberOf -eq 'Voice pilots' -and City -eq ''"
    spent = []
    for people in ([staff["bob"]], list(staff.values())):
        with scope.one(cast.contoso.id), CaptureQueriesContext(connection) as asked:
            scoping.Sieve(cast.contoso, parse(text)).why_left_out(people)
        spent.append(len(asked))
    assert spent[0] == spent[1]


def test_versions_are_kept_and_recorded(cast: Cast) -> None:
    with scope.one(cast.contoso.id):
        assert scoping.in_force(cast.contoso) is None
        first = scoping.set_filter(SYSTEM, cast.contoso, " Department -eq 'Sales' ", version=0)
        assert scoping.set_filter(SYSTEM, cast.contoso, "Department -eq 'Sales'") == first
        second = scoping.set_filter(SYSTEM, cast.contoso, "", version=1)
        with pytest.raises(Conflict):
            scoping.set_filter(SYSTEM, cast.contoso, "City -eq 'Ulm'", version=1)
        with pytest.raises(InvalidInput, match="at position 6"):
            scoping.set_filter(SYSTEM, cast.contoso, "City is 'Ulm'")
        assert [one.number for one in scoping.versions(cast.contoso)] == [2, 1]
        assert (first.text, second.text) == ("Department -eq 'Sales'", "")
        assert scoping.sieve_of(cast.contoso) is None
        entry = Entry.objects.filter(action="filter.changed").latest("id")
    assert entry.changes == {"CsOnlineUser Filter": ["Department -eq 'Sales'", ""]}


# --- Pages --------------------------------------------------------------------------------------------------
SALES = "Department -eq 'Sales'"


def apply(cast: Cast, text: str) -> None:
    with scope.one(cast.contoso.id):
        scoping.set_filter(SYSTEM, cast.contoso, text)


def test_a_filter_is_tried_saved_and_put_back(
    cast: Cast, client_of: SignIn, staff: dict[str, DirectoryUser]
) -> None:
    client, base = client_of(cast.adam), url(cast.contoso, "user-filter/")
    assert "<b>All 3</b> users are in scope" in text_of(client, base)
    tried = text_of(client, f"{base}?text=Department -eq 'Sales'&show=out")
    assert "<b>1 of 3</b> users is in scope, 2 are left out" in tried
    assert "Excluded because Department is &#x27;Support&#x27;" in tried
    assert "Apply Changes: 1 of 3 users" in tried
    post(client, f"{base}set/", {"text": SALES, "version": 0})
    page = text_of(client, base)
    assert "version 1, set by Adam" in page
    assert "Ann Archer" in page
    assert "Bob" not in page
    post(client, f"{base}set/", {"text": "", "version": 1})
    assert "?text=Department+-eq+%27Sales%27" in text_of(client, base)


def test_a_mistake_is_said_with_its_place(cast: Cast, client_of: SignIn) -> None:
    client, base = client_of(cast.adam), url(cast.contoso, "user-filter/")
    assert "There is no attribute Departmnt, at position 1." in text_of(client, f"{base}?text=Departmnt", 422)
    answer = post(client, f"{base}set/", {"text": "City", "version": 0}, 422)
    assert "at position 5" in answer.content.decode()
    assert "position 2001" not in text_of(client, f"{base}?text={'x' * 2001}", 422)


def test_somebody_was_faster(cast: Cast, client_of: SignIn) -> None:
    client, base = client_of(cast.adam), url(cast.contoso, "user-filter/")
    apply(cast, SALES)
    page = post(client, f"{base}set/", {"text": "City -eq 'Ulm'", "version": 0}, 409).content.decode()
    assert "Somebody saved another filter meanwhile" in page
    assert 'name="version" value="1"' in page
    assert "City -eq &#x27;Ulm&#x27;" in page


def test_a_monitor_tries_and_does_not_save(cast: Cast, client_of: SignIn) -> None:
    page = text_of(client_of(cast.vera), url(cast.contoso, f"user-filter/?text={SALES}"))
    assert "not save one" in page
    assert "Apply Changes" not in page
    assert status_of(client_of(cast.max), url(cast.contoso, "user-filter/")) == 404


def test_a_filter_that_takes_nobody_warns(
    cast: Cast, client_of: SignIn, staff: dict[str, DirectoryUser]
) -> None:
    page = text_of(client_of(cast.adam), url(cast.contoso, "user-filter/?text=City -eq 'Nowhere'"))
    assert "It takes nobody" in page
    assert "No user fits this part; is a name misspelt?" in page


def test_users_show_who_is_left_out_and_why(
    cast: Cast, client_of: SignIn, staff: dict[str, DirectoryUser]
) -> None:
    client = client_of(cast.vera)
    assert "Teams download" not in text_of(client, url(cast.contoso))
    apply(cast, SALES)
    page = text_of(client, url(cast.contoso))
    assert page.count('title="Excluded because') == 2
    assert names(client, url(cast.contoso, "users/?scope=in")) == ["Ann Archer"]
    assert len(names(client, url(cast.contoso, "users/?scope=out"))) == 2
    assert "your filters leave it out" in text_of(client, url(cast.contoso, "users/?scope=out&q=ann"))
    assert "Bob" not in text_of(client, url(cast.contoso, "users/export.csv?scope=in"))
    bob = text_of(client, url(cast.contoso, f"users/{staff['bob'].object_id}/"))
    assert "Excluded because Department is" in bob
    ann = text_of(client, url(cast.contoso, f"users/{staff['ann'].object_id}/"))
    assert "In scope of the Teams download" in ann
