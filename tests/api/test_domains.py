"""Domains and the DNS zone over the API: begin, follow, act; a key that only goes in."""

import pytest

from domains.models import CustomDomain
from simulator.nameserver import ZONE, zone_secret
from tenants import scope
from tenants.abilities import Role
from tests.api.conftest import Api, make_token
from tests.cast import Cast

pytestmark = pytest.mark.django_db
KEY = {"server": "ns1.example", "key_name": "portal", "secret": zone_secret()}


@pytest.fixture
def admin(cast: Cast) -> Api:
    return Api(make_token(Role.PROVIDER_ADMIN))


def test_the_zone_goes_in_and_its_secret_never_out(admin: Api) -> None:
    assert admin("GET", "dns-zone").status == 404
    made = admin("PUT", "dns-zone", {"name": ZONE, **KEY})
    assert (made.status, made.json["writable"], made.json["row_version"]) == (200, True, 1)
    assert zone_secret() not in made.text + admin("GET", "dns-zone").text
    kept = admin("PUT", "dns-zone", {"name": "voice.example", "server": "ns1.example", "key_name": "portal"})
    assert kept.json["has_secret"]
    moved = admin("PUT", "dns-zone", {"name": ZONE, "server": "ns2.example", "key_name": "portal"})
    assert (moved.status, moved.json["errors"][0]["field"]) == (422, "secret")
    assert admin("POST", "dns-zone/test").json["kind"] == "test_dns_zone"
    operator = Api(make_token(Role.OPERATOR))
    assert operator("GET", "dns-zone").status == 200
    assert operator("PUT", "dns-zone", {"name": ZONE}).status == 403


def test_a_domain_is_begun_followed_and_stopped(cast: Cast, admin: Api) -> None:
    place = f"tenants/{cast.contoso.id}/domains"
    assert admin("POST", place).code == "dns_zone_missing"
    admin("PUT", "dns-zone", {"name": ZONE, **KEY})
    made = admin("POST", place, {})
    assert (made.status, made.json["name"], made.json["by_hand"]) == (201, f"contoso.{ZONE}", False)
    assert made.json["steps"][0]["title"] == "May the portal do it?"
    one = f"{place}/{made.json['id']}"
    assert admin("GET", one).json == admin("GET", place).json["results"][0]
    assert admin("POST", f"{one}/retry").code == "conflict"
    assert admin("POST", f"{one}/look").status == 204
    assert admin("POST", f"{one}/release-user").code == "conflict"
    assert admin("POST", f"{one}/cancel").status == 204
    assert admin("GET", f"{place}?state=cancelled").json["results"][0]["id"] == made.json["id"]
    assert admin("POST", f"{one}/retry").json["kind"] == "provision_domain"
    assert admin("DELETE", one).json["kind"] == "remove_domain"
    assert admin("GET", one).json["state"] == "removing"


def test_what_was_refused_names_the_field(cast: Cast, admin: Api) -> None:
    answer = admin("POST", f"tenants/{cast.contoso.id}/domains", {"name": "no good.example"})
    assert (answer.status, answer.json["errors"][0]["field"]) == (422, "name")


def test_anothers_domain_is_not_there(cast: Cast, admin: Api) -> None:
    made = admin("POST", f"tenants/{cast.contoso.id}/domains", {"name": "voice.contoso.example"})
    place = f"tenants/{cast.fabrikam.id}/domains/{made.json['id']}"
    assert admin("GET", place).status == 404
    assert admin("DELETE", place).status == 404
    with scope.one(cast.contoso.id):
        assert CustomDomain.objects.get().state == "setting_up"
    monitor = Api(make_token(Role.MONITOR))
    assert monitor("POST", f"tenants/{cast.contoso.id}/domains", {"name": "a.example"}).status == 403
