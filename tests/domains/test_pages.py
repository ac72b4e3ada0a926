"""Domains and the zone through the door: who sees what, which buttons there are, and that no key comes out."""

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from core.errors import UmpError
from domains import services
from domains.models import CustomDomain, DnsZone, DomainState
from replication.models import Command
from simulator.nameserver import ZONE, zone_secret
from tenants import scope
from tenants.models import Tenant
from tests.cast import Cast
from tests.domains.conftest import OLGA
from tests.pages.helpers import SignIn, post, text_of

pytestmark = pytest.mark.django_db


def begun(tenant: Tenant, **values: Any) -> CustomDomain:
    with scope.one(tenant.id):
        row = services.begin(OLGA, tenant, name=values.pop("name", ""))
        CustomDomain.objects.filter(id=row.id).update(**values)
        row.refresh_from_db()
        return row


def test_a_domain_is_begun_on_the_page(cast: Cast, zone: DnsZone, client_of: SignIn) -> None:
    base = f"/tenants/{cast.contoso.id}/domains/"
    olga = client_of(cast.olga)
    assert "No domain yet" in text_of(olga, base)
    form = text_of(olga, f"{base}add/")
    assert f'value="contoso.{ZONE}"' in form
    assert "Domain Name Administrator and User Administrator" in form
    answer = post(olga, f"{base}add/", {"name": f"contoso.{ZONE}", "with_user": "on"})
    page = text_of(olga, answer["Location"])
    assert "May the portal do it?" in page
    assert "data-live" in page
    assert f"contoso.{ZONE}" in text_of(olga, base)
    assert "Domains" in text_of(olga, f"/tenants/{cast.contoso.id}/")
    refused = post(client_of(cast.olga), f"{base}add/", {"name": "no good"}, status=422).content.decode()
    assert "It needs at least two parts" in refused
    with scope.one(cast.fabrikam.id):
        taken = post(
            olga, f"/tenants/{cast.fabrikam.id}/domains/add/", {"name": f"contoso.{ZONE}"}, status=422
        )
    assert "There is already a domain" in taken.content.decode()


def test_by_hand_the_record_is_there_to_copy(cast: Cast, zone: DnsZone, client_of: SignIn) -> None:
    row = begun(
        cast.contoso,
        by_hand=True,
        text="MS=ms12345678",
        step="see",
        done={"rights": "2026-01-01T00:00:00+00:00"},
    )
    url = f"/tenants/{cast.contoso.id}/domains/{row.id}/"
    page = text_of(client_of(cast.olga), url)
    assert 'data-copy="MS=ms12345678"' in page
    assert f'data-copy="{row.name}"' in page
    assert "Look again now" in page
    seen = text_of(client_of(cast.vera), url)
    assert "MS=ms12345678" in seen
    assert "Look again now" not in seen, "she may look, not act"
    answer = post(client_of(cast.olga), f"{url}look/", {})
    assert answer["Location"] == url


def test_live_ends_with_the_work(cast: Cast, zone: DnsZone, client_of: SignIn) -> None:
    row = begun(cast.contoso)
    url = f"/tenants/{cast.contoso.id}/domains/{row.id}/live/"
    olga = client_of(cast.olga)
    answer = olga.get(url)
    assert answer.status_code == 200
    assert olga.get(url, headers={"If-None-Match": answer["ETag"]}).status_code == 304
    with scope.one(cast.contoso.id):
        Command.objects.update(state="cancelled", finished_at="2026-01-01T00:00Z")
        CustomDomain.objects.update(state=DomainState.CANCELLED)
    ended = text_of(olga, url, status=286)
    assert "Cancelled" in ended
    assert "Retry" in ended


@pytest.mark.parametrize("act", ["cancel", "remove"])
def test_what_cannot_be_taken_back_is_asked_first(
    cast: Cast, zone: DnsZone, client_of: SignIn, act: str
) -> None:
    row = begun(cast.contoso)
    url = f"/tenants/{cast.contoso.id}/domains/{row.id}/"
    olga = client_of(cast.olga)
    assert row.name in text_of(olga, f"{url}{act}/")
    post(olga, f"{url}{act}/", {})
    with scope.one(cast.contoso.id):
        row.refresh_from_db()
    assert row.state == {"cancel": DomainState.CANCELLED, "remove": DomainState.REMOVING}[act]
    post(olga, f"{url}{act}/", {})
    assert "does not fit the present state" in text_of(olga, url), "a second click is answered in words"


def test_a_failure_says_what_whose_and_who(cast: Cast, zone: DnsZone, client_of: SignIn) -> None:
    problem = {
        "code": "domain_taken",
        "message": "It belongs to another.",
        "advice": "Do this.",
        "who": "customer_admin",
    }
    row = begun(cast.contoso, step="add", problem=problem)
    with scope.one(cast.contoso.id):
        Command.objects.update(state="failed", finished_at="2026-01-01T00:00Z")
    page = text_of(client_of(cast.olga), f"/tenants/{cast.contoso.id}/domains/{row.id}/")
    for words in ("It belongs to another.", "Do this.", "Retry", "Stopped"):
        assert words in page


def test_when_it_is_ready_the_page_says_what_may_go(cast: Cast, zone: DnsZone, client_of: SignIn) -> None:
    ready = {"state": DomainState.READY, "user_made": True, "user_id": "u", "ready_at": "2026-01-01T00:00Z"}
    row = begun(cast.contoso, **ready)
    with scope.one(cast.contoso.id):
        Command.objects.update(state="succeeded", finished_at="2026-01-01T00:00Z")
    url = f"/tenants/{cast.contoso.id}/domains/{row.id}/"
    page = text_of(client_of(cast.olga), url)
    assert "may be taken away" in page
    assert "up to 24 hours" in page
    post(client_of(cast.olga), f"{url}release/", {})
    assert "Looking whether the activation user" in text_of(client_of(cast.olga), url)


def test_as_many_queries_for_three_as_for_one(cast: Cast, zone: DnsZone, client_of: SignIn) -> None:
    olga, url = client_of(cast.olga), f"/tenants/{cast.contoso.id}/domains/"
    text_of(olga, url)  # what is remembered for a while is remembered now
    counts = []
    for names in (["a"], ["b", "c"]):
        for name in names:
            begun(cast.contoso, name=f"{name}.contoso.example")
        with CaptureQueriesContext(
            connection,
        ) as queries:
            text_of(olga, url)
        counts.append(len(queries))
    assert counts[0] == counts[1]


# --- The zone -----------------------------------------------------------------------------------------------
def test_the_zone_is_entered_and_its_key_never_told(cast: Cast, client_of: SignIn) -> None:
    pia, url = client_of(cast.pia), "/settings/dns-zone/"
    assert "No DNS zone yet" in text_of(pia, url)
    given = {
        "name": "voice.example",
        "server": "ns1.example",
        "key_name": "portal",
        "algorithm": "hmac-sha256",
        "secret": zone_secret(),
        "lookup_servers": "ns2.example\nns3.example:5353",
        "release_user": "on",
        "version": "0",
    }
    refused = post(pia, f"{url}change/", {**given, "secret": "short"}, status=422).content.decode()
    assert "It is not base64" in refused
    post(pia, f"{url}change/", given)
    for page in (text_of(pia, url), text_of(pia, f"{url}change/")):
        assert zone_secret() not in page
        assert "ns3.example:5353" in page
    stale = post(pia, f"{url}change/", given, status=422).content.decode()
    assert "Somebody changed" in stale
    post(pia, f"{url}test/", {})
    assert "Testing" in text_of(pia, url)
    assert "Testing" in text_of(pia, f"{url}live/")


def test_who_may_see_and_change_the_zone(cast: Cast, zone: DnsZone, client_of: SignIn) -> None:
    mona = client_of(cast.mona)
    page = text_of(mona, "/settings/dns-zone/")
    assert ZONE in page
    assert "/settings/dns-zone/change/" not in page
    text_of(mona, "/settings/dns-zone/change/", status=403)
    post(mona, "/settings/dns-zone/test/", {}, status=403)


def test_a_stopped_domain_is_on_the_dashboard(cast: Cast, zone: DnsZone, client_of: SignIn) -> None:
    problem = dict(UmpError.of("domain_taken", thing=f"contoso.{ZONE}").to_dict())
    row = begun(cast.contoso, step="add", problem=problem)
    for person, path in (("olga", "/"), ("olga", f"/tenants/{cast.contoso.id}/")):
        page = text_of(client_of(getattr(cast, person)), path)
        assert f"Domain contoso.{ZONE}: The domain" in page
        assert f"/tenants/{cast.contoso.id}/domains/{row.id}/" in page
    assert f"contoso.{ZONE}" not in text_of(client_of(cast.max), f"/tenants/{cast.fabrikam.id}/")
