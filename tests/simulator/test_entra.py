"""Metadata and the token endpoint: every refusal with its own number and status."""

from __future__ import annotations

import base64
import datetime
import json
from collections.abc import Callable
from typing import Any

import pytest

from simulator.entra.client import ASSERTION_TYPE
from simulator.keys import certificate_for, certificate_pem, repeatable_key
from tests.simulator.assertion import signed_assertion
from tests.simulator.client import LOGIN, Gateway, Visitor

Visit = Callable[..., Visitor]


def _claims(token: str) -> dict[str, Any]:
    part = token.split(".")[1]
    return dict(json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))))


def _metadata(gateway: Gateway, place: str, host: str = LOGIN) -> Any:
    return gateway.get(f"https://{host}/{place}/v2.0/.well-known/openid-configuration")


def test_metadata_of_a_domain_names_the_tenants_guid(contoso: Visitor) -> None:
    document = _metadata(contoso.gateway, "contoso.example").json()

    tenant = contoso.tenant["tenant_id"]
    assert document["issuer"] == f"https://{LOGIN}/{tenant}/v2.0"
    assert document["token_endpoint"] == f"https://{LOGIN}/{tenant}/oauth2/v2.0/token"
    assert document["tenant_region_scope"] == "WW"


@pytest.mark.parametrize("place", ["common", "organizations"])
def test_open_places_have_a_placeholder_for_the_tenant(contoso: Visitor, place: str) -> None:
    document = _metadata(contoso.gateway, place).json()

    assert document["issuer"] == f"https://{LOGIN}/{{tenantid}}/v2.0"


def test_metadata_may_be_kept_for_a_day(contoso: Visitor) -> None:
    assert _metadata(contoso.gateway, "common").headers["Cache-Control"] == "max-age=86400, private"


def test_an_unknown_tenant_is_90002_in_both_spellings(contoso: Visitor) -> None:
    document = _metadata(contoso.gateway, "nobody.example")
    contoso.tenant["tenant_id"] = "nobody.example"
    token = contoso.ask_token()

    assert (document.status_code, document.json()["error"]) == (400, "invalid_tenant")
    assert (token.status_code, token.json()["error"]) == (400, "invalid_request")
    assert document.json()["error_codes"] == token.json()["error_codes"] == [90002]


def test_the_global_host_answers_with_the_document_of_another_cloud(visit: Visit) -> None:
    visitor = visit(name="Granite", cloud="gcc_high", users=2)

    document = _metadata(visitor.gateway, "granite.example").json()

    assert document["cloud_instance_name"] == "microsoftonline.us"
    assert document["msgraph_host"] == "graph.microsoft.us"
    assert document["tenant_region_sub_scope"] == "DODCON"
    assert document["token_endpoint"].startswith("https://login.microsoftonline.us/")


def test_a_tenant_of_another_cloud_gets_no_token_here(visit: Visit) -> None:
    visitor = visit(name="Granite", cloud="gcc_high", users=2)

    assert visitor.ask_token().json()["error_codes"] == [900382]


def test_a_tenant_of_gcc_high_lives_on_its_own_hosts(visit: Visit) -> None:
    visitor = visit(name="Granite", cloud="gcc_high", users=2)

    answer = visitor.ask_token("login.microsoftonline.us", scope="https://graph.microsoft.us/.default")
    visitor._token = answer.json()["access_token"]
    page = visitor.get("/users?$top=1", host="graph.microsoft.us")

    assert page.json()["@odata.nextLink"].startswith("https://graph.microsoft.us/v1.0/users?")
    assert visitor.get("/users").json()["error"]["message"].endswith("Invalid audience.")


def test_unknown_instances_are_refused(contoso: Visitor) -> None:
    url = f"https://{LOGIN}/common/discovery/instance?api-version=1.1&authorization_endpoint="

    good = contoso.gateway.get(url + f"https://{LOGIN}/common/oauth2/v2.0/authorize")
    bad = contoso.gateway.get(url + "https://login.attacker.example/common/oauth2/v2.0/authorize")

    assert good.json()["metadata"][0]["preferred_network"] == LOGIN
    assert (bad.status_code, bad.json()["error"], bad.json()["error_codes"]) == (
        400,
        "invalid_instance",
        [50049],
    )


def test_user_realms_are_managed_federated_or_unknown(contoso: Visitor) -> None:
    def realm(name: str) -> Any:
        return contoso.gateway.get(f"https://{LOGIN}/common/userrealm/{name}?api-version=1.0")

    managed = realm("a@contoso.example").json()["account_type"]
    contoso.tune(federated=True)

    assert managed == "Managed"
    assert realm("a@contoso.example").json()["account_type"] == "Federated"
    assert realm("a@nobody.example").status_code == 404


def test_an_app_only_token_says_who_and_what(contoso: Visitor) -> None:
    claims = _claims(contoso.token)

    assert claims["tid"] == contoso.tenant["tenant_id"]
    assert claims["appid"] == contoso.app["client_id"]
    assert claims["idtyp"] == "app"
    assert "User.ReadWrite.All" in claims["roles"]
    assert claims["aud"] == "https://graph.microsoft.com"
    assert claims["exp"] - claims["iat"] == 3599 + 300


def test_token_answers_are_never_stored(contoso: Visitor) -> None:
    headers = contoso.ask_token().headers

    assert headers["Cache-Control"] == "no-store, no-cache"
    assert headers["Pragma"] == "no-cache"
    assert {"x-ms-request-id", "x-ms-ests-server", "x-ms-clitelem"} <= set(map(str.lower, headers))


def test_an_error_carries_what_support_asks_for(contoso: Visitor) -> None:
    answer = contoso.ask_token(client_secret="wrong")
    body = answer.json()

    assert body["error_description"].startswith("AADSTS7000215: ")
    assert f"Trace ID: {body['trace_id']}" in body["error_description"]
    assert body["timestamp"].endswith("Z")
    assert body["error_uri"] == f"https://{LOGIN}/error?code=7000215"


REFUSALS = [
    ({"client_secret": "wrong"}, {}, 401, "invalid_client", 7000215),
    ({"client_secret": ""}, {}, 401, "invalid_client", 7000216),
    ({}, {"secret_expires": "2020-01-01T00:00:00Z"}, 401, "invalid_client", 7000222),
    ({"client_id": "00000000-0000-4000-8000-000000000001"}, {}, 400, "unauthorized_client", 700016),
    ({"client_id": ""}, {}, 400, "invalid_request", 900144),
    ({}, {"service_principal": False}, 401, "invalid_client", 7000229),
    ({}, {"disabled": True}, 400, "unauthorized_client", 7000112),
    ({}, {"ca_block": True}, 400, "invalid_grant", 53003),
    ({"scope": "User.Read"}, {}, 400, "invalid_scope", 70011),
    ({"scope": ""}, {}, 400, "invalid_request", 900144),
    ({"scope": "https://graph.microsoft.us/.default"}, {}, 400, "invalid_resource", 500011),
    ({"grant_type": ""}, {}, 400, "invalid_request", 900144),
    ({"grant_type": "magic"}, {}, 400, "unsupported_grant_type", 70003),
    ({"client_assertion": "x", "client_secret": ""}, {}, 400, "invalid_request", 900144),
]


@pytest.mark.parametrize(("form", "app", "status", "error", "code"), REFUSALS)
def test_each_mistake_has_its_number(
    contoso: Visitor, form: dict[str, str], app: dict[str, Any], status: int, error: str, code: int
) -> None:
    if app:
        contoso.change_app(**app)

    answer = contoso.ask_token(**form)

    assert (answer.status_code, answer.json()["error"], answer.json()["error_codes"]) == (
        status,
        error,
        [code],
    )


def test_the_secrets_id_is_not_the_secret(visit: Visit) -> None:
    visitor = visit(users=2, app={"roles": ["Application.Read.All"]})
    application = visitor.get(f"/applications(appId='{visitor.app['client_id']}')").json()
    key_id = application["passwordCredentials"][0]["keyId"]

    assert visitor.ask_token(client_secret=key_id).json()["error_codes"] == [7000215]
    assert application["passwordCredentials"][0]["secretText"] is None
    assert application["passwordCredentials"][0]["hint"] == visitor.app["secret"][:3]


def test_conditional_access_says_which_claims_it_wants(contoso: Visitor) -> None:
    contoso.change_app(ca_block=True)

    body = contoso.ask_token().json()

    assert body["suberror"] == "message_only"
    assert "capolids" in json.loads(body["claims"])["access_token"]


def test_http_basic_is_as_good_as_the_form(contoso: Visitor) -> None:
    pair = f"{contoso.app['client_id']}:{contoso.app['secret']}".encode()
    answer = contoso.gateway.post(
        f"https://{LOGIN}/contoso.example/oauth2/v2.0/token",
        data={"grant_type": "client_credentials", "scope": "https://graph.microsoft.com/.default"},
        headers={"Authorization": "Basic " + base64.b64encode(pair).decode()},
    )

    assert answer.status_code == 200


def test_consent_reaches_only_new_tokens_and_only_after_a_while(contoso: Visitor) -> None:
    contoso.tune(consent_delay=120)
    contoso.change_app(roles=[])
    before = _claims(contoso.ask_token().json()["access_token"])
    contoso.advance(121)
    after = _claims(contoso.ask_token().json()["access_token"])

    assert "roles" in before
    assert "roles" not in after


def test_an_expired_certificate_is_1000502(visit: Visit) -> None:
    key = repeatable_key("msal test")
    old = certificate_for(key, "Old", starts=datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC), days=30)
    visitor = visit(users=2, app={"certificate_pem": certificate_pem(old)})
    assertion = signed_assertion(visitor, key, old)

    answer = visitor.ask_token(
        client_secret="", client_assertion_type=ASSERTION_TYPE, client_assertion=assertion
    )

    assert answer.json()["error_codes"] == [1000502]


@pytest.mark.parametrize(
    ("claims", "code"),
    [
        ({"aud": "https://elsewhere.example/token"}, 700023),
        ({"exp": 1}, 700024),
        ({"iss": "somebody"}, 700021),
    ],
)
def test_what_an_assertion_claims_is_checked(visit: Visit, claims: dict[str, Any], code: int) -> None:
    key = repeatable_key("msal test")
    certificate = certificate_for(key, "Voice portal")
    visitor = visit(users=2, app={"certificate_pem": certificate_pem(certificate)})
    assertion = signed_assertion(visitor, key, certificate, **claims)

    answer = visitor.ask_token(
        client_secret="", client_assertion_type=ASSERTION_TYPE, client_assertion=assertion
    )

    assert answer.json()["error_codes"] == [code]


def test_a_cookie_that_comes_back_is_noticed(contoso: Visitor) -> None:
    first = contoso.ask_token()
    before = contoso.control("GET", "/stats")["cookies_received"]
    url = f"https://{LOGIN}/contoso.example/oauth2/v2.0/token"
    contoso.gateway.post(url, data={}, headers={"Cookie": first.headers["Set-Cookie"].split(";")[0]})

    assert before == 0
    assert contoso.control("GET", "/stats")["cookies_received"] == 1
