"""People and roles over REST: the rules of the pages, and each token's own people only."""

import json
import re
from typing import Any

import pytest
from django.core import mail
from django.db import connection
from django.test import Client

from accounts.models import User
from api.idempotency import Slot
from audit.models import Entry
from tenants import people, scope
from tenants.abilities import Ability, Role
from tests.api.conftest import Api, ApiMaker, make_token
from tests.cast import Cast, sign_in

pytestmark = pytest.mark.django_db


def roles(person: User) -> dict[str, str]:
    return {place.tenant_name: place.role.value for place in people.places_of([person.id])[person.id]}


def emails(api: Api, path: str) -> list[str]:
    """Of a whole list, page by page."""
    found: list[str] = []
    page = api.get(path)
    while True:
        assert page.status == 200, page.text
        found += [row["email"].partition("@")[0] for row in page.json["results"]]
        if page.json["next"] is None:
            return found
        page = api.get(page.json["next"])


# --- Lists --------------------------------------------------------------------------------------------------
def test_everybody_with_roles_page_by_page(api: Api, cast: Cast) -> None:
    everybody = ["adam", "max", "mona", "nora", "olga", "otto", "pia", "vera"]
    assert emails(api, "people?limit=3") == everybody
    assert emails(api, "people?limit=3&order=-email") == everybody[::-1]
    assert emails(api, "people?search=fabrikam") == ["max"]
    people.deactivate(cast.actor("pia"), cast.vera)
    assert emails(api, "people?active=false") == ["vera"]
    assert emails(api, "people?second_factor=true") == []
    otto = api.get(f"people/{cast.otto.id}").json
    assert otto["roles"] == [
        {"role": "operator", "tenant_id": str(cast.contoso.id), "tenant_name": "Contoso"}
    ]
    assert (otto["active"], otto["second_factor"], otto["last_sign_in_at"]) == (True, False, None)


def test_a_customers_token_sees_its_own_people_and_no_roles_elsewhere(api_of: ApiMaker, cast: Cast) -> None:
    api, base = api_of(Role.CUSTOMER_ADMIN, cast.contoso), f"tenants/{cast.contoso.id}/people"
    assert emails(api, f"{base}?limit=1") == ["adam", "vera"], "the provider's Otto is not among them"
    assert emails(api, f"{base}?search=VERA") == ["vera"]
    assert api.get(f"{base}/{cast.vera.id}").json["role"] == "customer_monitor"
    assert "roles" not in api.get(f"{base}/{cast.vera.id}").json
    for foreign in (cast.otto, cast.max, cast.pia):
        for method in ("GET", "PUT", "DELETE"):
            assert api(method, f"{base}/{foreign.id}", {"role": "customer_monitor"}).code == "not_found"
    assert api.get(f"tenants/{cast.fabrikam.id}/people").code == "not_found"
    assert api.get("people").code == "not_found"
    assert api.get(f"people/{cast.vera.id}").code == "not_found"
    assert emails(api_of(), base) == ["adam", "otto", "vera"]


@pytest.mark.parametrize("role", [Role.OPERATOR, Role.MONITOR])
def test_people_are_the_administrators_business(api_of: ApiMaker, cast: Cast, role: Role) -> None:
    api = api_of(role)
    for path in ("people", f"people/{cast.vera.id}", f"tenants/{cast.contoso.id}/people"):
        assert api.get(path).code == "not_allowed"
    assert api.delete(f"tenants/{cast.contoso.id}/people/{cast.vera.id}").code == "not_allowed"
    assert roles(cast.vera) == {"Contoso": "customer_monitor"}


# --- Adding -------------------------------------------------------------------------------------------------
def test_a_new_person_gets_the_link_by_mail_and_nowhere_else(
    api: Api, cast: Cast, settings: Any, django_capture_on_commit_callbacks: Any
) -> None:
    settings.EMAIL_URL = "smtp://localhost"
    body = {"email": "Ida@Example.test", "name": "Ida", "role": "operator"}
    with django_capture_on_commit_callbacks(execute=True):
        made = api.post("people", body, Idempotency_Key="ida")
    assert made.status == 201, made.text
    assert (
        made.headers["Location"] == made.json["url"] == f"http://testserver/api/v1/people/{made.json['id']}"
    )
    assert (made.json["email"], made.json["new"], made.json["mailed"]) == ("ida@example.test", True, True)
    assert made.json["roles"] == [{"role": "operator", "tenant_id": None, "tenant_name": ""}]
    link = re.findall(r"/accounts/password/reset/key/\S+", mail.outbox[0].body)
    assert mail.outbox[0].to == ["ida@example.test"]
    assert link
    assert "reset/key" not in made.text
    with django_capture_on_commit_callbacks(execute=True):
        again = api.post("people", body, Idempotency_Key="ida")
    assert (again.status, again.json, len(mail.outbox)) == (201, made.json, 1)


@pytest.mark.django_db(transaction=True)
def test_the_mail_waits_for_the_commit(
    committed_cast: Cast, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mail server may take longer than PostgreSQL leaves a transaction open, and a link in a mail must work."""
    settings.EMAIL_URL = "smtp://localhost"
    sent: list[tuple[str, bool]] = []

    def send(user: User, address: str) -> bool:
        sent.append((user.email, connection.in_atomic_block))
        return False

    monkeypatch.setattr(people, "send_sign_in_link", send)
    api, body = Api(make_token()), {"email": "ida@example.test", "role": "operator"}
    with monkeypatch.context() as broken:
        broken.setattr(Slot, "keep", fails)
        assert api.post("people", body, Idempotency_Key="ida").status == 500
    assert sent == []
    made = api.post("people", body, Idempotency_Key="ida")
    assert (made.status, made.json["new"], made.json["mailed"]) == (201, True, True)
    assert sent == [("ida@example.test", False)]
    base = f"tenants/{committed_cast.contoso.id}/people"
    body = {"email": "eva@example.test", "role": "customer_admin"}
    assert api.post(base, body, Idempotency_Key="eva").json["mailed"] is True
    assert api.post(base, body | {"email": "uwe@example.test"}).json["mailed"] is True
    assert sent[1:] == [("eva@example.test", False), ("uwe@example.test", False)]


def fails(*_: Any) -> None:
    raise RuntimeError("it fails after all was done")


def test_without_mail_it_says_so(api: Api, cast: Cast) -> None:
    base = f"tenants/{cast.contoso.id}/people"
    made = api.post(base, {"email": "ida@example.test", "role": "customer_admin"})
    assert (made.status, made.json["new"], made.json["mailed"]) == (201, True, False)
    known = api.post(base, {"email": "olga@example.test", "role": "customer_admin"})
    assert (known.status, known.json["new"], known.json["mailed"]) == (201, False, False)
    assert roles(cast.olga) == {"": "operator", "Contoso": "customer_admin"}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"email": "nobody"}, "email"),
        ({"email": "olga@example.test"}, "email"),
        ({"role": "king"}, "role"),
        ({"role": "customer_admin"}, "role"),
        ({"tenant_id": "7c1e9d34-6a0b-4f58-8d2e-3b9f5a0c1d42"}, "tenant_id"),
        ({"name": "a\u0007b"}, "name"),
        ({"password": "correct horse battery"}, "password"),
    ],
)
def test_it_names_what_is_wrong(api: Api, cast: Cast, body: dict[str, Any], field: str) -> None:
    answer = api.post("people", {"email": "ida@example.test", "role": "monitor", **body})
    assert answer.status == 422, answer.text
    assert answer.fields == {field}
    assert not User.objects.filter(email="ida@example.test").exists()


def test_a_customers_token_learns_nothing_about_accounts_of_others(api_of: ApiMaker, cast: Cast) -> None:
    api, base = api_of(Role.CUSTOMER_ADMIN, cast.contoso), f"tenants/{cast.contoso.id}/people"
    told = []
    for email in ("max@example.test", "pia@example.test", "otto@example.test"):
        answer = api.post(base, {"email": email, "role": "customer_monitor"})
        assert answer.status == 422
        told.append(json.dumps([answer.json["detail"], answer.json["errors"]]))
    assert len(set(told)) == 1


# --- Changing -----------------------------------------------------------------------------------------------
def test_a_role_is_changed_at_once_and_in_the_trail(api_of: ApiMaker, cast: Cast) -> None:
    api, vera = api_of(Role.CUSTOMER_ADMIN, cast.contoso), Client()
    sign_in(vera, cast.vera)
    path = f"tenants/{cast.contoso.id}/people/{cast.vera.id}"
    changed = api.put(path, {"role": "customer_admin"})
    assert (changed.status, changed.json["role"]) == (200, "customer_admin")
    assert vera.get("/").status_code == 302, "the session is over"
    assert api.delete(path).status == 204
    assert api.delete(path).code == "not_found"
    assert roles(cast.vera) == {}
    with scope.one(cast.contoso.id):
        trail = Entry.objects.filter(object_id=str(cast.vera.id), actor_kind="token")
        assert list(trail.order_by("id").values_list("action", flat=True)) == ["role.changed", "role.taken"]


def test_a_role_for_the_whole_provider(api: Api, cast: Cast) -> None:
    path = f"people/{cast.nora.id}/role"
    assert api.put(path, {"role": "monitor"}).json["roles"][0]["role"] == "monitor"
    assert api.put(path, {"role": "customer_admin"}).fields == {"role"}
    assert api.delete(path).status == 204
    assert api.delete(path).code == "not_found"
    assert api.put(f"people/{cast.contoso.id}/role", {"role": "monitor"}).code == "not_found"


def test_the_last_admin_stays(api: Api, cast: Cast) -> None:
    path = f"people/{cast.pia.id}"
    for answer in (
        api.delete(f"{path}/role"),
        api.put(f"{path}/role", {"role": "monitor"}),
        api.patch(path, {"active": False}),
    ):
        assert answer.status == 409, answer.text
        assert "last active Admin" in answer.json["detail"]
    assert roles(cast.pia) == {"": "provider_admin"}


def test_no_token_gives_what_it_lacks(api_of: ApiMaker, cast: Cast) -> None:
    narrow = api_of(scopes=[Ability.MANAGE_PEOPLE, Ability.VIEW_TENANT])
    assert narrow.put(f"people/{cast.nora.id}/role", {"role": "monitor"}).code == "not_allowed"
    body = {"email": "ida@example.test", "role": "operator"}
    assert narrow.post("people", body).code == "not_allowed"
    customers = api_of(Role.CUSTOMER_ADMIN, cast.contoso)
    path = f"tenants/{cast.contoso.id}/people"
    assert customers.post(path, {**body, "role": "provider_admin"}).code == "not_allowed"
    assert customers.put(f"{path}/{cast.vera.id}", {"role": "operator"}).code == "not_allowed"
    assert roles(cast.vera) == {"Contoso": "customer_monitor"}
    assert not User.objects.filter(email="ida@example.test").exists()


def test_name_address_and_whether_one_may_sign_in(api: Api, cast: Cast) -> None:
    path = f"people/{cast.vera.id}"
    assert api.patch(path, {"name": "Vera Vogel"}).json["name"] == "Vera Vogel"
    off = api.patch(path, {"active": False, "email": "vogel@example.test"})
    assert (off.json["active"], off.json["email"], off.json["name"]) == (
        False,
        "vogel@example.test",
        "Vera Vogel",
    )
    assert api.patch(path, {"active": True, "email": "adam@example.test"}).fields == {"email"}
    assert api.get(path).json["active"] is False, "all of it or nothing"
    assert api.patch(path, {"active": True}).json["active"] is True
    assert api.patch(path, {"roles": []}).fields == {"roles"}
