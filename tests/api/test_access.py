"""Who gets in: tokens, networks, ApiAllowedIps, rates."""

import base64
import datetime as dt
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from django.db.models import F
from django.test import Client
from django.utils import timezone

from accounts import installation
from accounts.models import ApiToken, Setting
from accounts.services import revoke_token
from tenants.abilities import Ability, Role
from tenants.access import SYSTEM
from tests.api.conftest import V1, Api, ApiMaker, make_token
from tests.cast import Cast


def test_me(api_of: ApiMaker, cast: Cast) -> None:
    answer = api_of(Role.CUSTOMER_ADMIN, cast.contoso, networks=["127.0.0.0/8"]).get("me")
    assert answer.status == 200
    assert (answer.json["role"], answer.json["tenant_id"]) == ("customer_admin", str(cast.contoso.id))
    assert "connection:manage" in answer.json["abilities"]
    assert "tokens:manage" not in answer.json["abilities"]
    assert (answer.json["address"], answer.json["networks"]) == ("127.0.0.1", ["127.0.0.0/8"])


def test_scopes_narrow_the_role(api_of: ApiMaker) -> None:
    api = api_of(Role.PROVIDER_ADMIN, scopes=[Ability.VIEW_TENANT])
    assert api.get("me").json["abilities"] == ["tenant:view"]
    assert api.get("tenants").status == 200
    assert api.get("tokens").status == 403


def test_scopes_never_widen_the_role(api_of: ApiMaker) -> None:
    api = api_of(Role.MONITOR, scopes=list(Ability))
    assert "tenant:edit" not in api.get("me").json["abilities"]


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Bearer",
        "Bearer ",
        "Bearer cpk_x_y",
        "Bearer cpk_",
        "Bearer " + "x" * 5000,
        "Basic " + base64.b64encode(b"pia:secret").decode(),
        "Token abc",
        "Bearer cpk_\x00_y",
    ],
)
def test_without_a_living_token(cast: Cast, header: str) -> None:
    answer = Client().get(f"{V1}/me", headers={"Authorization": header} if header else {})
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Bearer ")
    assert answer.json()["code"] == "not_signed_in"


def test_expired_and_revoked_tokens(cast: Cast) -> None:
    expired = Api(make_token(lifetime=dt.timedelta(seconds=-1)))
    assert expired.get("me").status == 401
    living = Api(make_token())
    assert living.get("me").status == 200
    revoke_token(SYSTEM, ApiToken.objects.get(public_id=living.value.split("_")[1]))
    assert living.get("me").status == 401


def test_a_wrong_secret_behind_a_right_id(cast: Cast) -> None:
    value = make_token()
    assert Api(value[:-1] + ("a" if value[-1] != "a" else "b")).get("me").status == 401


def test_use_is_noted(cast: Cast, api: Api) -> None:
    before = timezone.now()
    api.get("me")
    row = ApiToken.objects.get()
    assert row.last_used_at is not None
    assert row.last_used_at >= before
    assert row.last_used_from == "127.0.0.1"


def test_a_session_is_not_accepted(cast: Cast, client_of: Callable[..., Client]) -> None:
    client = client_of(cast.pia)
    assert client.get(f"{V1}/me").status_code == 401
    assert client.post(f"{V1}/tenants", {}, content_type="application/json").status_code == 401


def test_the_tokens_own_networks(cast: Cast) -> None:
    value = make_token(networks=["169.254.0.0/24"])
    assert Api(value, address="169.254.0.1").get("me").status == 200
    refused = Api(value).get("me")
    assert (refused.status, refused.code, refused.json["address"]) == (
        403,
        "address_not_allowed",
        "127.0.0.1",
    )


# --- ApiAllowedIps ------------------------------------------------------------------------------------------
@pytest.mark.parametrize("path", ["me", "tenants", "no-such-thing", "/api/", "/api/docs/", "/api/schema/"])
def test_a_foreign_address_is_refused_before_anything_else(cast: Cast, path: str) -> None:
    for value in ("", make_token()):
        answer = Api(value, address="203.0.113.9").get(path)
        assert (answer.status, answer.code) == (403, "address_not_allowed")
        assert answer.json["address"] == "203.0.113.9"


def test_ipv6_that_carries_ipv4_is_the_same_address(api_of: ApiMaker) -> None:
    assert api_of(address="::ffff:127.0.0.1").get("me").json["address"] == "127.0.0.1"


def test_the_stored_list_wins(api: Api) -> None:
    Setting.objects.create(name="api_allowed_ips", value=["10.0.0.0/8"], set_by="Pia")
    installation.forget()
    assert api.get("me").status == 403


FORWARDED = [
    "",
    "a",
    "127.0.0.1",
    "fe80::1%eth0",
    ", ".join(["127.0.0.1"] * 100),
    "127.0.0.1, 127.0.0.1",
    "  127.0.0.1  ",
    "for=127.0.0.1",
    "127.0.0.1:80",
    "[::1]",
    "0x7f000001",
    "127.1",
    "localhost",
    "127.0.0.1\t",
    "127.0.0.1,",
]


@pytest.mark.parametrize("text", FORWARDED)
def test_nobody_without_a_trusted_proxy_is_believed(cast: Cast, text: str) -> None:
    api = Api(make_token(), address="203.0.113.9")
    for name in ("X_Forwarded_For", "X_Real_IP", "Forwarded", "True_Client_IP", "X_Client_IP"):
        answer = api.get("me", **{name: text})
        assert (answer.status, answer.json.get("address")) == (403, "203.0.113.9"), name


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("127.0.0.1, 203.0.113.9", "203.0.113.9"),
        ("203.0.113.9, 127.0.0.1", "127.0.0.1"),
        ("  127.0.0.1  ", "127.0.0.1"),
        ("::ffff:127.0.0.1", "127.0.0.1"),
        ("", "unknown"),
        ("a", "unknown"),
        (",", "unknown"),
        ("127.0.0.1,", "unknown"),
        ("127.0.0.1, a", "unknown"),
        ("for=127.0.0.1", "unknown"),
        ("127.0.0.1:80", "unknown"),
        (", ".join(["127.0.0.1"] * 100), "unknown"),
    ],
)
def test_behind_one_trusted_proxy_the_last_address_counts(
    cast: Cast, settings: Any, text: str, seen: str
) -> None:
    settings.TRUSTED_PROXIES, settings.TRUSTED_PROXY_COUNT = ["10.9.0.1"], 1
    answer = Api(make_token(), address="10.9.0.1").get("me", X_Forwarded_For=text)
    assert answer.json["address"] == seen
    assert answer.status == (200 if seen == "127.0.0.1" else 403)


def test_a_proxy_that_says_nothing_is_refused(cast: Cast, settings: Any) -> None:
    settings.TRUSTED_PROXIES, settings.TRUSTED_PROXY_COUNT = ["127.0.0.1"], 1
    answer = Api(make_token()).get("me")
    assert (answer.status, answer.json["address"]) == (403, "unknown")


# --- Rates --------------------------------------------------------------------------------------------------
def test_a_token_that_asks_too_often_is_told_when_to_come_back(api: Api, settings: Any, cast: Cast) -> None:
    settings.API_REQUESTS_PER_MINUTE = 3
    assert [api.get("me").status for _ in range(4)] == [200, 200, 200, 429]
    answer = api.get("no-such-thing")
    assert (answer.status, answer.code) == (429, "rate_limited")
    assert 1 <= int(answer.headers["Retry-After"]) <= 20
    assert Api(make_token()).get("me").status == 200


def test_the_rate_comes_back_with_time(api: Api, settings: Any) -> None:
    settings.API_REQUESTS_PER_MINUTE = 3
    assert [api.get("me").status for _ in range(4)] == [200, 200, 200, 429]
    ApiToken.objects.update(busy_until=F("busy_until") - dt.timedelta(seconds=21))
    assert [api.get("me").status for _ in range(2)] == [200, 429]


# --- Tokens -------------------------------------------------------------------------------------------------
def test_tokens_are_made_shown_once_and_revoked(api_of: ApiMaker) -> None:
    api = api_of(lifetime=dt.timedelta(days=31))
    made = api.post("tokens", {"name": "OVOC", "role": "monitor", "networks": ["127.0.0.1"], "days": 30})
    assert made.status == 201, made.text
    value, url = made.json["token"], made.headers["Location"]
    assert value.startswith("cpk_")
    assert Api(value).get("me").json["name"] == "OVOC"
    shown = api.get(url)
    assert value.split("_", 2)[2] not in shown.text
    assert (shown.json["state"], shown.json["networks"]) == ("living", ["127.0.0.1/32"])
    assert "token" not in shown.json
    assert api.delete(url).status == 204
    assert api.delete(url).status == 204
    assert Api(value).get("me").status == 401
    assert api.get(url).json["state"] == "revoked"
    assert [row["name"] for row in api.get("tokens?state=revoked").json["results"]] == ["OVOC"]
    assert [row["name"] for row in api.get("tokens?state=living&search=ovoc").json["results"]] == []


def test_a_token_for_one_customer(api: Api, cast: Cast) -> None:
    made = api.post(
        "tokens", {"name": "Their own", "role": "customer_admin", "tenant_id": str(cast.contoso.id)}
    )
    assert made.status == 201, made.text
    names = [row["name"] for row in Api(made.json["token"]).get("tenants").json["results"]]
    assert names == ["Contoso"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "a\x07b"}, "name"),
        ({"role": "king"}, "role"),
        ({"role": "customer_admin"}, "tenant_id"),
        ({"tenant_id": str(uuid.uuid4())}, "tenant_id"),
        ({"scopes": []}, "scopes"),
        ({"scopes": [1]}, "scopes"),
        ({"days": 1.5}, "days"),
        ({"scopes": ["everything"]}, "scopes.0"),
        ({"scopes": ["tenant:edit"]}, "scopes"),
        ({"networks": ["10.0.0.0/33"]}, "networks"),
        ({"networks": ["localhost"]}, "networks"),
        ({"days": 0}, "days"),
        ({"days": 731}, "days"),
        ({"digest": "x"}, "digest"),
    ],
)
def test_token_names_what_is_wrong(api: Api, body: dict[str, Any], field: str) -> None:
    answer = api.post("tokens", {"name": "A", "role": "monitor", **body})
    assert answer.status == 422, answer.text
    assert answer.fields == {field}


def test_no_token_makes_one_with_more_rights_than_its_own(api_of: ApiMaker) -> None:
    api = api_of(scopes=[Ability.MANAGE_TOKENS, Ability.VIEW_TENANT])
    assert api.post("tokens", {"name": "A", "role": "provider_admin"}).code == "not_allowed"
    assert api.post("tokens", {"name": "A", "role": "monitor", "scopes": ["queue:view"]}).status == 403
    assert api.post("tokens", {"name": "A", "role": "monitor", "scopes": ["tenant:view"]}).status == 201


@pytest.mark.parametrize(
    ("wanted", "got"),
    [
        ([], ["127.0.0.0/8", "2001:db8::/32"]),
        (["127.0.0.1", "2001:db8:1::/48"], ["127.0.0.1/32", "2001:db8:1::/48"]),
        (["127.0.0.1", "10.1.0.1"], None),
        (["126.0.0.0/7"], None),
        (["0.0.0.0/0"], None),
        (["2001:db9::1"], None),
    ],
)
def test_no_token_makes_one_for_other_addresses_than_its_own(
    api_of: ApiMaker, wanted: list[str], got: list[str] | None
) -> None:
    api = api_of(networks=["127.0.0.0/8", "2001:db8::/32"])
    made = api.post("tokens", {"name": "A", "role": "monitor", "networks": wanted})
    if got is None:
        assert (made.status, made.fields) == (422, {"networks"})
        assert "127.0.0.0/8, 2001:db8::/32" in made.text
    else:
        assert (made.status, made.json["networks"]) == (201, got)


def test_no_token_makes_one_that_outlives_it(api_of: ApiMaker) -> None:
    api = api_of(lifetime=dt.timedelta(days=10, hours=1))
    ends = ApiToken.objects.get().expires_at
    body = {"name": "A", "role": "monitor"}
    late = api.post("tokens", {**body, "days": 11})
    assert (late.status, late.fields) == (422, {"days"})
    assert f"{ends:%Y-%m-%d %H:%M} UTC" in late.text
    made = api.post("tokens", {**body, "days": 10})
    assert made.status == 201, made.text
    made = api.post("tokens", body)
    last = dt.datetime.fromisoformat(made.json["expires_at"])
    assert ends - dt.timedelta(minutes=2) < last <= ends, "without a wish, as long as its maker"
    made = api_of(lifetime=dt.timedelta(days=700)).post("tokens", body)
    last = dt.datetime.fromisoformat(made.json["expires_at"])
    assert (last - timezone.now()).days == 364, "or a year"


def test_tokens_are_the_provider_administrators_business(api_of: ApiMaker, cast: Cast) -> None:
    for role, tenant, status in (
        (Role.OPERATOR, None, 403),
        (Role.MONITOR, None, 403),
        (Role.PROVIDER_ADMIN, cast.contoso, 403),
        (Role.CUSTOMER_ADMIN, cast.contoso, 404),
    ):
        api = api_of(role, tenant)
        assert api.get("tokens").status == status
        assert api.post("tokens", {"name": "A", "role": "monitor"}).status == status
        assert api.delete(f"tokens/{ApiToken.objects.all()[0].id}").status == status


def test_a_token_that_is_not_there(api: Api) -> None:
    assert api.get(f"tokens/{uuid.uuid4()}").code == "not_found"
    assert api.delete(f"tokens/{uuid.uuid4()}").code == "not_found"
    assert api.get("tokens/1").code == "not_found"
