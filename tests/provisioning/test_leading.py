"""Numbers that an SBC leads to a site: asked for by form, together and by file, and in whose power that is."""

import csv
import io
import re
import uuid
from collections.abc import Callable

import pytest
from django.test import Client

from accounts.models import User
from provisioning import leading, sheet
from provisioning.models import Change, Edit
from sites.models import Site
from telephony.models import NumberRange
from tenants import scope
from tenants.access import SYSTEM
from tests.cast import Cast
from tests.pages.helpers import post, text_of
from tests.provisioning.making import add_rule, add_site
from tests.provisioning.test_editing_pages import fields
from tests.telephony.making import add_number, add_person
from tests.telephony.test_ranges import add_range

SignIn = Callable[[User], Client]
pytestmark = pytest.mark.django_db


@pytest.fixture
def site(cast: Cast) -> Site:
    return add_site(cast.contoso)


@pytest.fixture
def pool(cast: Cast) -> NumberRange:
    return add_range(cast.contoso, "+41589061000", "+41589061009")


@pytest.fixture
def people(cast: Cast, pool: NumberRange) -> dict[str, uuid.UUID]:
    """Ann has the number 000, Bea 001, of the customer's own range; Cid has none."""
    tenant = cast.contoso
    found = {name: add_person(tenant, f"{name.title()} Adler") for name in ("ann", "bea", "cid")}
    for name, number in (("ann", "+41589061000"), ("bea", "+41589061001")):
        add_number(tenant, number, found[name])
    return found


def asked(cast: Cast) -> dict[str, object]:
    with scope.one(cast.contoso.id):
        rows = Change.objects.filter(state="pending")
        return {row.aspect.removeprefix("route:"): row.wanted for row in rows if row.aspect != "number"}


def test_of_several_rules_the_most_particular_one_leads(cast: Cast, site: Site) -> None:
    bern = add_site(cast.contoso, "Bern")
    add_rule(site, "+4158906[1000-1099]")
    add_rule(bern, "+41589061007")
    with scope.one(cast.contoso.id):
        found = leading.led(cast.contoso, ["+41589061006", "+41589061007;ext=2", "+41589061200"])
    assert [(led.site, led.own) for led in found.values()] == [(site, ()), (bern, (bern,)), (None, ())]


def test_edit_user_leads_the_number_that_he_has_or_gets(
    cast: Cast, site: Site, people: dict[str, uuid.UUID], client_of: SignIn
) -> None:
    client, at = client_of(cast.adam), f"/tenants/{cast.contoso.id}/users/{people['ann']}/edit/"
    page = text_of(client, at)
    assert "Now no rule of an SBC leads it to a site." in page
    given = fields(page) | {"kind": "directRouting"}
    post(client, at, given | {"lead": str(site.uid)})
    assert asked(cast) == {f"{site.uid}:+41589061000": True}
    shown = text_of(client, f"/tenants/{cast.contoso.id}/changes/")
    assert "+41589061000 leads to site Zurich on its SBC" in shown
    given = fields(text_of(client, at)) | {"kind": "directRouting"}
    post(client, at, given | {"number": "+41 58 906 10 05", "lead": str(site.uid)})
    assert f"{site.uid}:+41589061005" in asked(cast)
    none = f"/tenants/{cast.contoso.id}/users/{people['cid']}/edit/"
    given = fields(text_of(client, none)) | {"kind": "directRouting", "lead": str(site.uid)}
    assert "There is no number that could be led" in post(client, none, given, 422).content.decode()


def test_a_rule_of_its_own_is_taken_away_and_one_for_a_range_is_not(
    cast: Cast, site: Site, people: dict[str, uuid.UUID], client_of: SignIn
) -> None:
    client, base = client_of(cast.adam), f"/tenants/{cast.contoso.id}/users"
    add_rule(site, "+41589061000")
    given = fields(text_of(client, f"{base}/{people['ann']}/edit/")) | {"kind": "directRouting"}
    post(client, f"{base}/{people['ann']}/edit/", given | {"lead": "take"})
    assert asked(cast) == {f"{site.uid}:+41589061000": None}
    add_rule(site, "+4158906100[1-2]")
    assert "take its rule away" not in text_of(client, f"{base}/{people['bea']}/edit/")
    order = {"id": [str(people["bea"])], "lead": "take", "step": "preview"}
    page = post(client, f"{base}/edit-together/", order, 200).content.decode()
    assert "a rule for a whole range" in page


def test_many_are_led_together_with_the_numbers_that_they_are_dealt(
    cast: Cast, site: Site, people: dict[str, uuid.UUID], pool: NumberRange, client_of: SignIn
) -> None:
    client, at = client_of(cast.adam), f"/tenants/{cast.contoso.id}/users/edit-together/"
    dan = add_person(cast.contoso, "Dan Adler")
    order = {"id": [str(each) for each in (*people.values(), dan)], "lead": str(site.uid)}
    page = post(client, at, order | {"step": "preview"}, 200).content.decode()
    assert "2 changes for 2 users, 2 left out" in page
    assert "has no number that could be led to a site" in page
    order |= {"numbers": str(pool.uid), "only_without": "on"}
    page = post(client, at, order | {"step": "preview"}, 200).content.decode()
    digest = re.search(r'name="digest" value="(\w+)"', page)
    assert digest is not None
    post(client, at, order | {"step": "keep", "digest": digest[1]})
    assert len(asked(cast)) == 4
    with scope.one(cast.contoso.id):
        assert Edit.objects.get().title == "Dial plan rule, Phone number of 4 users"


def test_a_file_leads_numbers_and_is_exported_as_it_is_read(
    cast: Cast, site: Site, people: dict[str, uuid.UUID], client_of: SignIn
) -> None:
    add_rule(site, "+41589061001")
    client, base = client_of(cast.adam), f"/tenants/{cast.contoso.id}/changes/import/"
    assert "SBC site" in text_of(client, f"{base}template.csv")
    text = text_of(client, f"{base}present.csv").removeprefix("\ufeff")
    told = {row["User"].partition(".")[0]: row["SBC site"] for row in csv.DictReader(io.StringIO(text))}
    assert (told["ann"], told["bea"], told["cid"]) == ("", "Zurich", "")
    lines = (
        f"User,Number,SBC site\n{people['ann']},,zurich\n{people['bea']},,-\n{people['cid']},+41589061004,Zurich\n"
        f"{people['cid']},,Zurich\n{people['cid']},-,Zurich\n{people['ann']},,Basel\n"
    )
    with scope.one(cast.contoso.id):
        again = sheet.read(cast.contoso, text, by=SYSTEM)
        found = sheet.read(cast.contoso, lines, by=SYSTEM)
    assert (again.changes, again.wrong) == (0, [])
    assert {wish.thing.aspect.removeprefix("route:"): wish.wanted for wish in found.rows[0].asks} == {
        f"{site.uid}:+41589061000": True
    }
    assert [wish.wanted for wish in found.rows[1].asks] == [None]
    assert [(row.line, row.trouble[0][0]) for row in found.wrong] == [
        (4, "Number"), (5, "SBC site"), (6, "SBC site"), (7, "SBC site")
    ]  # fmt: skip


def test_where_no_site_is_on_an_sbc_nothing_is_offered(
    cast: Cast, people: dict[str, uuid.UUID], client_of: SignIn
) -> None:
    client = client_of(cast.adam)
    at = f"/tenants/{cast.contoso.id}/users/"
    assert "Lead this number to" not in text_of(client, f"{at}{people['ann']}/edit/")
    form = post(client, f"{at}edit-together/", {"id": [str(people["ann"])]}, 200).content.decode()
    assert "Lead their numbers to" not in form
    assert "SBC site" not in text_of(client, f"/tenants/{cast.contoso.id}/changes/import/template.csv")


@pytest.mark.parametrize(("who", "status"), [("adam", "refused"), ("olga", "kept")])
def test_only_the_provider_leads_numbers_that_it_did_not_give_to_the_customer(
    cast: Cast, site: Site, people: dict[str, uuid.UUID], client_of: SignIn, who: str, status: str
) -> None:
    client, at = client_of(getattr(cast, who)), f"/tenants/{cast.contoso.id}/users/{people['ann']}/edit/"
    given = fields(text_of(client, at)) | {"kind": "directRouting", "number": "+41800112112"}
    answer = client.post(at, given | {"lead": str(site.uid)})
    assert answer.status_code == (422 if status == "refused" else 303)
    assert ("so only the provider leads it" in answer.content.decode()) == (status == "refused")
    assert bool(asked(cast)) == (status == "kept")
