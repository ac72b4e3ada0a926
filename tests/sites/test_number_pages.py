"""Add/Edit SBC Prefix by browser, and numbers as files."""

import csv
import io
from collections.abc import Callable
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test.utils import CaptureQueriesContext

from audit.models import Entry
from core.errors import InvalidInput
from sbc import services as sbcs
from sbc.models import Sbc
from simulator.sbc.device import Device
from sites import csv_numbers, numbers
from sites.models import Prefix, PrefixState, Site
from sites.number_rules import Wish
from tenants import scope, sheets
from tenants.access import SYSTEM
from tests.breakers.hands import run_due
from tests.cast import Cast
from tests.pages.helpers import SignIn, post, text_of
from tests.sbc.conftest import fresh
from tests.sites.numbers import FOREIGN, TAG, add, on_device, place, rows, states, written

pytestmark = pytest.mark.django_db


@pytest.fixture
def site(cast: Cast, device: Device, known: Callable[..., Sbc]) -> Site:
    device.plant("CustDialPlan", FOREIGN)
    sbc = known(device)
    sbcs.read_prefixes(SYSTEM, sbc)
    run_due()
    return place(cast.contoso, fresh(sbc))


@pytest.fixture
def url(site: Site) -> str:
    return f"/tenants/{site.tenant_id}/sites/{site.uid}/prefixes/"


def test_an_operator_adds_edits_and_removes(
    cast: Cast, client_of: SignIn, site: Site, url: str, device: Device
) -> None:
    olga = client_of(cast.olga)
    assert "No prefixes yet" in text_of(olga, url)
    form = text_of(olga, f"{url}add/")
    assert f'value="{TAG}"' in form
    given = {"plan": "CustDialPlan", "name": "Zurich", "tag": TAG}
    wrong = post(olga, f"{url}add/", {**given, "prefixes": "+411\n+44587996[1-20]\n+3120[10-19]"}, 422)
    page = wrong.content.decode()
    assert "did you mean +44587996[01-20]?" in page
    assert "+3120[10-19] is not free in CustDialPlan" in page
    assert "+44587996[1-20]" in page, "what was typed is kept"
    assert states(site) == {}
    answer = post(olga, f"{url}add/", {**given, "prefixes": "+411 \r\n\r\n +4155[00-99]"})
    assert answer["Location"] == url
    page = text_of(olga, url)
    assert "2 are being added" in page
    assert "Being written on the SBC" in page
    assert "HX-Refresh" not in olga.get(f"{url}live/").headers
    run_due()
    assert olga.get(f"{url}live/").headers["HX-Refresh"] == "true"
    page = text_of(olga, url)
    for column in ("DialPlan", "Index", "Name", "Prefix", "Tag", "State"):
        assert f">{column}<" in page, column
    assert page.count("On the SBC") > 2
    assert "2 rules, 101 numbers" in page
    base = f"{url}{rows(site)['+4155[00-99]'].uid}/"
    post(olga, f"{base}change/", {"prefix": "+4155[00-9]", "name": "Zurich", "tag": TAG}, 422)
    post(olga, f"{base}change/", {"prefix": "+4155[00-89]", "name": "Zurich", "tag": "other.example"})
    run_due()
    base = f"{url}{rows(site)['+4155[00-89]'].uid}/"
    assert "can be added again" in text_of(olga, f"{base}remove/")
    post(olga, f"{base}remove/", {"part": "+4166"}, 422)
    post(olga, f"{base}remove/", {"part": "+4155[80-89]"})
    run_due()
    assert on_device(site, ["+411", "+4155[00-79]"])
    post(olga, f"{url}{rows(site)['+411'].uid}/remove/", {"part": ""})
    run_due()
    other = place(cast.contoso, site.sbc, "Bern", "bern.example")
    base = f"{url}{rows(site)['+4155[00-79]'].uid}/"
    assert "Bern (sbc1.example)" in text_of(olga, f"{base}move/")
    post(olga, f"{base}move/", {"site": other.uid})
    run_due()
    assert on_device(other, ["+4155[00-79]"])
    assert "This customer has no other site" not in text_of(olga, f"{url}add/")
    assert "Contoso" in text_of(olga, f"/sbcs/{site.sbc.uid}/prefixes/"), "Show Prefixes says whose it is"


def test_who_sees_and_who_writes(cast: Cast, client_of: SignIn, site: Site, url: str, device: Device) -> None:
    written(site, "+411")
    device.running.rows["dial-plan-rule"][0, 4]["Tag"] = "somebody.fabrikam.example"
    sbcs.read_prefixes(SYSTEM, site.sbc)
    run_due()
    vera = client_of(cast.vera)
    for page in (text_of(vera, url), text_of(vera, f"/tenants/{site.tenant_id}/prefixes/")):
        assert "+411" in page
        assert "Missing on the SBC" in page
        assert "fabrikam" not in page, "what is on the device is for the provider's eyes"
        assert "Add SBC Prefix" not in page
    otto = text_of(client_of(cast.otto), url)
    assert "Add SBC Prefix" in otto
    assert "fabrikam" not in otto
    assert "with the tag somebody.fabrikam.example" in text_of(client_of(cast.olga), url)
    post(client_of(cast.adam), f"{url}add/", {}, 403)
    text_of(client_of(cast.max), url, 404)
    post(client_of(cast.olga), f"{url}write/", {})
    run_due()
    assert on_device(site, ["+411"])


def test_a_customers_own_numbers_are_found(cast: Cast, client_of: SignIn, site: Site, url: str) -> None:
    add(site, "+4155[00-99]", "+411")
    mona = client_of(cast.mona)
    page = text_of(mona, f"/tenants/{site.tenant_id}/prefixes/?q=%2B41+55+42&sort=-numbers&size=25")
    assert "+4155[00-99]" in page
    assert "<code>+411</code>" not in page
    assert "No prefix matches" in text_of(mona, f"{url}?state=failed")
    assert "<code>+411</code>" in text_of(mona, f"{url}?q=zurich&state=adding")


def test_a_page_costs_the_same_for_one_and_for_three(
    cast: Cast, client_of: SignIn, site: Site, url: str
) -> None:
    olga, counts = client_of(cast.olga), []
    for prefixes in (["+411"], ["+412", "+413"]):
        written(site, *prefixes)
        text_of(olga, url)
        with CaptureQueriesContext(connection) as seen:
            text_of(olga, url)
            text_of(olga, f"/tenants/{site.tenant_id}/prefixes/")
            text_of(olga, f"/sbcs/{site.sbc.uid}/prefixes/")
        counts.append(len(seen))
    assert counts[0] == counts[1]


# --- Files ------------------------------------------------------------------------------------------------------
FILE = """DialPlanName;Name;Prefix;Tag
CustDialPlan;Zurich;+411;contoso.example
;;+4155[00-99];
CustDialPlan;Zurich;4.42E+11;contoso.example
CustDialPlan;Zurich;4455896552;contoso.example
CustDialPlan;Zürich;+412;contoso.example

CustDialPlan;Zurich;+413;9.72529E+11
Typo;Zurich;+414;contoso.example
;;+411;
;;+3120[10-19];
;;'+415;
a;b;c;d;e
"""


def upload(content: bytes) -> dict[str, Any]:
    return {"file": SimpleUploadedFile("numbers.csv", content, content_type="text/csv")}


def entries() -> int:
    with scope.every("a test counts"):
        return Entry.objects.count()


@pytest.mark.parametrize("encoding", ["utf-8-sig", "cp1252"])
def test_a_file_is_looked_at_then_added_and_the_rest_taken_home(
    cast: Cast, client_of: SignIn, site: Site, url: str, encoding: str
) -> None:
    olga = client_of(cast.olga)
    page = post(olga, f"{url}import/", upload(FILE.encode(encoding)), 200).content.decode()
    assert "Add 3 prefixes" in page
    for words in (
        "A spreadsheet has rounded this number",
        "Write +4455896552",
        "Only plain letters",
        "rounded its tag",
        "no dial plan Typo",
        "the portal did not write",
        "5 values",
    ):
        assert words in page, words
    assert states(site) == {}
    text = FILE.encode(encoding).decode(encoding)
    answer = post(olga, f"{url}import/", {"act": "refused", "text": text}, 200)
    home = list(csv.DictReader(io.StringIO(b"".join(answer.streaming_content).decode("utf-8-sig"))))
    assert [row["Line"] for row in home] == ["4", "5", "6", "8", "9", "11", "13"]
    assert {row["Column"] for row in home} == {"Prefix", "Name", "", "DialPlanName"}
    before = entries()
    post(olga, f"{url}import/", {"act": "apply", "text": text})
    assert "3 are being added, 1 was there already, 7 were refused" in text_of(olga, url)
    assert entries() == before + 2, "one for the numbers, one for the command"
    run_due()
    assert on_device(site, ["+411", "+4155[00-99]", "+415"])


def test_what_was_exported_can_be_imported_as_it_is(
    cast: Cast, client_of: SignIn, site: Site, url: str
) -> None:
    written(site, "+411", "+4155[00-99]", "+44558965521")
    add(site, "+416", tag="=HYPERLINK(1)")
    olga = client_of(cast.olga)
    text = text_of(olga, f"{url}export/")
    assert text.splitlines()[0] == "\ufeffDialPlanName,Name,Prefix,Tag"
    assert "CustDialPlan,Zurich,+4155[00-99],contoso.example" in text
    assert ",'=HYPERLINK(1)" in text, "no spreadsheet takes it for a formula"
    assert post(olga, f"{url}import/", {"act": "apply", "text": text})
    assert "4 were there already" in text_of(olga, url)
    assert set(csv.DictReader(io.StringIO(text[1:])).fieldnames or ()) == set(csv_numbers.HEAD)


def test_thousands_of_lines_are_one_act(site: Site, device: Device) -> None:
    lines = "\n".join(f"+4{number:06d}[00-99]" for number in range(2_000))
    with scope.one(site.tenant_id):
        added = numbers.add(SYSTEM, site, csv_numbers.read(f"Prefix\n{lines}"), all_or_none=False)
    assert len(added.refused()) == 0
    assert len(states(site)) == 2_000


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "empty"),
        (b"Name,Tag\na,b", "name the columns"),
        (b"Prefix,Number\n1,2", "twice"),
        (b"PK\x03\x04", "workbook"),
        (b"Prefix\n\x00\x01", "no text"),
        (b"Prefix\n" + b"+1\n" * 10_001, "10,000 lines"),
        (b"x" * 2_000_001, "2 MB"),
        (b'Prefix,Tag\n"+41,a', "line 2 cannot be read"),
    ],
)
def test_a_file_that_is_none_is_refused_whole(content: bytes, why: str) -> None:
    with pytest.raises(InvalidInput, match=why) as caught:
        csv_numbers.read(sheets.text_of(content))
    assert caught.value.field == "file"


def test_what_excel_makes_of_a_file_is_understood() -> None:
    found = csv_numbers.read('sep=;\r\nPrefix;Tag\r\n"\'+411";"a;b"\r\n')
    assert found == [Wish("+411", tag="a;b", line=3)]


def test_numbers_that_do_not_ring_are_told_where_people_look_first(
    cast: Cast, client_of: SignIn, site: Site, url: str
) -> None:
    written(site, "+411", "+412")
    olga, adam = client_of(cast.olga), client_of(cast.adam)
    assert "calls to these numbers may fail" not in text_of(olga, "/")
    with scope.one(site.tenant_id):
        Prefix.objects.filter(site=site).update(state=PrefixState.MISSING)
    text = text_of(olga, "/")
    assert f"Site Zurich: 2 prefixes are not on {site.sbc.name} as wished" in text
    assert f'href="{url}"' in text
    own = text_of(adam, f"/tenants/{site.tenant_id}/")
    assert "Site Zurich: 2 prefixes are not as wished" in own
    assert site.sbc.name not in own
