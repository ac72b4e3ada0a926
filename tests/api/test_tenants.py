"""/tenants: all methods, for those who may and those who may not."""

import uuid

import pytest
from django.utils import timezone

from audit.models import Entry
from replication.models import Command
from tenants import scope
from tenants.abilities import Ability, Role
from tenants.models import Connection, Secret, Tenant
from tests.api.conftest import Api, ApiMaker
from tests.cast import CANARY_FABRIKAM, Cast

SECRET = "canary~value~of~the~client~secret"


def one(cast: Cast) -> str:
    return f"tenants/{cast.contoso.id}"


def new(name: str = "Northwind", **fields: object) -> dict[str, object]:
    return {"name": name, "entra_tenant_id": str(uuid.uuid4()), **fields}


def test_the_list_shows_every_customer_to_the_provider(api: Api, cast: Cast) -> None:
    answer = api.get("tenants")
    assert answer.status == 200
    assert [row["name"] for row in answer.json["results"]] == ["Contoso", "Fabrikam"]
    first = answer.json["results"][0]
    assert first["queue"] == {"queued": 0, "executing": 0, "suspended": 0}
    assert first["verification"] == "never"
    assert first["url"] == f"http://testserver/api/v1/tenants/{cast.contoso.id}"
    assert (answer.json["next"], answer.json["previous"]) == (None, None)


def test_the_list_shows_a_customers_token_its_own_only(api_of: ApiMaker, cast: Cast) -> None:
    answer = api_of(Role.CUSTOMER_MONITOR, cast.contoso).get("tenants")
    assert [row["name"] for row in answer.json["results"]] == ["Contoso"]
    assert CANARY_FABRIKAM not in answer.text


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("search=fabr", ["Fabrikam"]),
        ("search=canary-heron", ["Contoso"]),
        ("plan=pro", ["Contoso", "Fabrikam"]),
        ("plan=essentials", []),
        ("enabled=true", ["Contoso", "Fabrikam"]),
        ("enabled=false", []),
        ("verification=never", ["Contoso", "Fabrikam"]),
        ("health=never&order=-name", ["Fabrikam", "Contoso"]),
        ("paused=true", []),
        ("paused=false", ["Contoso", "Fabrikam"]),
        ("deleted=true", []),
        ("order=created_at", ["Contoso", "Fabrikam"]),
    ],
)
def test_filters_and_order(api: Api, query: str, names: list[str]) -> None:
    answer = api.get(f"tenants?{query}")
    assert answer.status == 200, answer.text
    assert [row["name"] for row in answer.json["results"]] == names


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("plan=gold", "plan"),
        ("sort=name", "sort"),
        ("order=row_version", "order"),
        ("order=--name", "order"),
        ("order=name;drop", "order"),
        ("limit=0", "limit"),
        ("limit=201", "limit"),
        ("limit=%D9%A3", "limit"),
        ("limit=ten", "limit"),
        ("search=%00", "search"),
        ("search=", "search"),
        ("plan=", "plan"),
        ("order=", "order"),
        ("plan=pro&plan=essentials", "plan"),
        ("search=" + "x" * 201, "search"),
        ("cursor=abc", "cursor"),
        ("tenant__connection__secret=x", "tenant__connection__secret"),
    ],
)
def test_what_is_not_declared_is_refused_by_name(api: Api, query: str, field: str) -> None:
    answer = api.get(f"tenants?{query}")
    assert (answer.status, answer.code) == (422, "invalid_input")
    assert answer.fields == {field}


def test_add_without_a_connection(api: Api) -> None:
    answer = api.post("tenants", {"name": "Northwind", "licensed_users": 5})
    assert answer.status == 201, answer.text
    assert answer.json["check"] is None
    assert answer.headers["Location"] == answer.json["url"]
    assert answer.headers["ETag"] == '"v1"'
    assert api.get(answer.json["url"]).json["licensed_users"] == 5


def test_add_with_a_connection_queues_the_check(api: Api) -> None:
    connection = {
        "client_id": str(uuid.uuid4()),
        "client_secret": SECRET,
        "expires_at": "2030-01-01T00:00:00Z",
    }
    answer = api.post("tenants", new(connection=connection))
    assert answer.status == 201, answer.text
    assert SECRET not in answer.text
    check = api.get(answer.json["check"]["url"])
    assert (check.json["kind"], check.json["state"]) == ("verify_credentials", "queued")
    assert api.get(f"tenants/{answer.json['id']}/connection").json["credential"]["expires_at"]


def test_add_that_fails_keeps_nothing(api: Api) -> None:
    connection = {"client_id": str(uuid.uuid4()), "client_secret": str(uuid.uuid4())}
    answer = api.post("tenants", new(connection=connection))
    assert (answer.status, answer.code) == (422, "secret_is_guid")
    assert answer.fields == {"client_secret"}
    with scope.every("a test counts"):
        assert not Tenant.objects.filter(name="Northwind").exists()


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, {"name"}),
        ({"name": ""}, {"name"}),
        ({"name": "x" * 121}, {"name"}),
        ({"name": "Two\nlines"}, {"name"}),
        ({"name": "\u202eevil"}, {"name"}),
        ({"name": "Nul\x00"}, {"name"}),
        ({"name": "Contoso"}, {"name"}),
        ({"name": "contoso"}, {"name"}),
        ({"name": ["a"]}, {"name"}),
        ({"name": 5}, {"name"}),
        ({"name": None}, {"name"}),
        ({"name": "A", "licensed_users": "5"}, {"licensed_users"}),
        ({"name": "A", "licensed_users": True}, {"licensed_users"}),
        ({"name": "A", "connection": []}, {"connection"}),
        ({"name": "A", "domain": "no domain"}, {"domain"}),
        ({"name": "A", "domain": "a.example\nX: y"}, {"domain"}),
        ({"name": "A", "entra_tenant_id": "c0000000"}, {"entra_tenant_id"}),
        ({"name": "A", "entra_tenant_id": "c0000000-0000-4000-8000-000000000001"}, {"entra_tenant_id"}),
        ({"name": "A", "licensed_users": -1}, {"licensed_users"}),
        ({"name": "A", "licensed_users": 10**30}, {"licensed_users"}),
        ({"name": "A", "licensed_users": 999_999}, {"licensed_users"}),
        ({"name": "A", "plan": "gold"}, {"plan"}),
        ({"name": "A", "nmae": "B", "tenant_id": "x"}, {"nmae", "tenant_id"}),
        ({"name": "A", "connection": {"client_id": "x", "hint": "y"}}, {"connection.hint"}),
        (
            {"name": "A", "connection": {"client_id": "c0000000-0000-4000-8000-000000000001"}},
            {"entra_tenant_id"},
        ),
    ],
)
def test_add_names_what_is_wrong(api: Api, body: dict[str, object], fields: set[str]) -> None:
    answer = api.post("tenants", body)
    assert answer.status == 422, answer.text
    assert answer.fields == fields
    assert answer.json["detail"]
    assert answer.json["advice"]


def test_add_needs_the_ability(api_of: ApiMaker, cast: Cast) -> None:
    assert api_of(Role.MONITOR).post("tenants", new()).status == 403
    assert api_of(Role.OPERATOR, cast.contoso).post("tenants", new()).status == 403
    assert api_of(Role.CUSTOMER_ADMIN, cast.contoso).post("tenants", new()).status == 404


def test_a_token_that_may_only_add_cannot_bring_credentials(api_of: ApiMaker) -> None:
    api = api_of(scopes=[Ability.ADD_TENANT])
    connection = {"client_id": str(uuid.uuid4()), "client_secret": SECRET}
    assert api.post("tenants", new(connection=connection)).status == 403
    assert api.post("tenants", new()).status == 201


def test_get_one(api: Api, api_of: ApiMaker, cast: Cast) -> None:
    answer = api.get(one(cast))
    assert answer.status == 200
    assert answer.headers["ETag"] == f'"v{answer.json["row_version"]}"'
    assert answer.headers["Cache-Control"] == "no-store"
    assert api_of(Role.CUSTOMER_ADMIN, cast.fabrikam).get(one(cast)).status == 404
    assert api.get(f"tenants/{uuid.uuid4()}").code == "not_found"
    assert api.get("tenants/not-a-uuid").code == "not_found"


def test_foreign_and_absent_answer_the_same(api_of: ApiMaker, cast: Cast) -> None:
    api = api_of(Role.CUSTOMER_ADMIN, cast.fabrikam)
    foreign, absent = api.get(one(cast)), api.get(f"tenants/{uuid.uuid4()}")
    assert {**foreign.json, "request_id": ""} == {**absent.json, "request_id": ""}


def test_patch_changes_what_is_named(api: Api, cast: Cast) -> None:
    answer = api.patch(one(cast), {"licensed_users": 12, "cycle_delay": 60, "enabled": False})
    assert answer.status == 200, answer.text
    assert (answer.json["licensed_users"], answer.json["effective_cycle_delay"]) == (12, 60)
    assert (answer.json["status"], answer.json["name"]) == ("unmonitored", "Contoso")
    assert api.patch(one(cast), {"cycle_delay": None}).json["effective_cycle_delay"] == 300


def test_patch_with_if_match(api: Api, cast: Cast) -> None:
    tag = api.get(one(cast)).headers["ETag"]
    first = api.patch(one(cast), {"domain": "contoso.com"}, If_Match=tag)
    assert first.status == 200
    assert first.headers["ETag"] != tag
    late = api.patch(one(cast), {"domain": "late.example"}, If_Match=tag)
    assert (late.status, late.code) == (412, "conflict_version")
    assert api.get(one(cast)).json["domain"] == "contoso.com"


@pytest.mark.parametrize("tag", ['"v9"', "v1", 'W/"v1"', "rubbish", "", '"v1'])
def test_if_match_that_does_not_match(api: Api, cast: Cast, tag: str) -> None:
    assert api.patch(one(cast), {"domain": "a.example"}, If_Match=tag).status == 412


@pytest.mark.parametrize("tag", ["*", '"v1"', '"v7", "v1"'])
def test_if_match_that_matches(api: Api, cast: Cast, tag: str) -> None:
    assert api.patch(one(cast), {"domain": "a.example"}, If_Match=tag).status == 200


@pytest.mark.parametrize(
    "field", ["id", "deploy_state", "row_version", "deleted_at", "paused_at", "tenant_id"]
)
def test_patch_refuses_hidden_fields(api: Api, cast: Cast, field: str) -> None:
    answer = api.patch(one(cast), {field: "x", "domain": "a.example"})
    assert (answer.status, answer.fields) == (422, {field})
    assert api.get(one(cast)).json["domain"] != "a.example"


def test_patch_needs_the_ability(api_of: ApiMaker, cast: Cast) -> None:
    assert api_of(Role.MONITOR).patch(one(cast), {}).status == 403
    assert api_of(Role.CUSTOMER_ADMIN, cast.contoso).patch(one(cast), {}).status == 403
    assert api_of(Role.CUSTOMER_ADMIN, cast.fabrikam).patch(one(cast), {}).status == 404
    assert api_of(scopes=[Ability.VIEW_TENANT]).patch(one(cast), {}).status == 403


def test_delete_wants_the_name_typed(api: Api, cast: Cast) -> None:
    assert api.delete(one(cast)).fields == {"typed_name"}
    assert api.delete(one(cast), {"typed_name": "contoso"}).fields == {"typed_name"}
    assert api.delete(one(cast), {"typed_name": "Contoso"}, If_Match='"v9"').status == 412
    assert api.delete(one(cast), {"typed_name": "Contoso"}).status == 204


def test_a_removed_customer_can_be_seen_and_restored_and_nothing_else(api: Api, cast: Cast) -> None:
    api.delete(one(cast), {"typed_name": "Contoso"})
    assert [row["name"] for row in api.get("tenants").json["results"]] == ["Fabrikam"]
    assert [row["name"] for row in api.get("tenants?deleted=true").json["results"]] == ["Contoso"]
    assert api.get(one(cast)).json["deleted_at"]
    assert api.patch(one(cast), {"domain": "a.example"}).code == "tenant_deleted"
    assert api.get(f"{one(cast)}/users").status == 410
    assert api.post(f"{one(cast)}/restore").json["deleted_at"] is None
    assert api.patch(one(cast), {"domain": "a.example"}).status == 200
    assert api.post(f"{one(cast)}/restore").status == 200


def test_after_its_days_a_removed_customer_cannot_be_restored(api: Api, cast: Cast) -> None:
    api.delete(one(cast), {"typed_name": "Contoso"})
    with scope.one(cast.contoso.id):
        Tenant.objects.update(shred_at=timezone.now())
    refused = api.post(f"{one(cast)}/restore")
    assert (refused.status, refused.code) == (410, "tenant_shredded")
    assert api.get(one(cast)).json["deleted_at"]


def test_delete_and_restore_need_the_ability(api_of: ApiMaker, cast: Cast) -> None:
    operator = api_of(Role.OPERATOR)
    assert operator.delete(one(cast), {"typed_name": "Contoso"}).status == 403
    assert operator.post(f"{one(cast)}/restore").status == 403
    assert (
        api_of(Role.CUSTOMER_ADMIN, cast.fabrikam).delete(one(cast), {"typed_name": "Contoso"}).status == 404
    )


def test_pause_and_resume(api: Api, api_of: ApiMaker, cast: Cast) -> None:
    paused = api.post(f"{one(cast)}/pause")
    assert paused.status == 200
    assert paused.json["paused_by"] == "Client provider_admin"
    assert api.get("tenants?paused=true").json["results"][0]["name"] == "Contoso"
    assert api.post(f"{one(cast)}/resume").json["paused_at"] is None
    assert api_of(Role.CUSTOMER_ADMIN, cast.contoso).post(f"{one(cast)}/pause").status == 403


def test_every_write_is_in_the_trail_with_the_token_and_its_address(api: Api, cast: Cast) -> None:
    api.patch(one(cast), {"domain": "a.example"})
    api.post(f"{one(cast)}/pause")
    with scope.every("a test looks at the trail"):
        rows = list(Entry.objects.filter(actor_kind="token").order_by("id"))
    assert [row.action for row in rows] == ["tenant.edited", "tenant.paused"]
    assert {(row.actor_label, row.address) for row in rows} == {("Client provider_admin", "127.0.0.1")}


def test_connection_shows_everything_but_the_secret(api: Api, cast: Cast) -> None:
    answer = api.get(f"{one(cast)}/connection")
    assert answer.status == 200, answer.text
    assert answer.json["credential"]["kind"] == "client_secret"
    assert answer.json["credential"]["hint"] == "tion"
    assert "canary-heron~secret" not in answer.text
    assert (answer.json["verification"], answer.json["verification_text"]) == ("never", "Never Performed")


def test_connection_is_set_and_checked(api: Api, cast: Cast) -> None:
    client_id = str(uuid.uuid4())
    tag = api.get(f"{one(cast)}/connection").headers["ETag"]
    answer = api.put(
        f"{one(cast)}/connection", {"client_id": client_id, "client_secret": SECRET}, If_Match=tag
    )
    assert answer.status == 200, answer.text
    assert SECRET not in answer.text
    assert (answer.json["client_id"], answer.json["credential"]["hint"]) == (client_id, SECRET[-4:])
    assert answer.json["check"]["kind"] == "verify_credentials"
    late = api.put(f"{one(cast)}/connection", {"client_id": client_id}, If_Match=tag)
    assert late.status == 412


def test_connection_keeps_the_secret_when_none_is_sent(api: Api, cast: Cast) -> None:
    with scope.one(cast.contoso.id):
        before = Secret.objects.get().id
    assert api.put(f"{one(cast)}/connection", {"client_id": str(uuid.uuid4())}).status == 200
    with scope.one(cast.contoso.id):
        assert Connection.objects.get().secret_id == before


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "client_id"),
        ({"client_id": "x"}, "client_id"),
        ({"client_secret": "has blanks in it"}, "client_secret"),
        ({"client_secret": str(uuid.uuid4())}, "client_secret"),
        ({"client_secret": "x" * 2001}, "client_secret"),
        ({"client_secret": "ключ"}, "client_secret"),
        ({"certificate": "x", "private_key": "y"}, "certificate"),
        ({"client_secret": "abc", "certificate": "x"}, "client_secret"),
        ({"cloud": "mars"}, "cloud"),
        ({"hint": "abcd"}, "hint"),
        ({"expires_at": "soon"}, "expires_at"),
    ],
)
def test_connection_names_what_is_wrong(api: Api, cast: Cast, body: dict[str, object], field: str) -> None:
    whole = {"client_id": str(uuid.uuid4()), **body} if body else {}
    answer = api.put(f"{one(cast)}/connection", whole)
    assert answer.status == 422, answer.text
    assert answer.fields == {field}


def test_connection_needs_the_ability(api_of: ApiMaker, cast: Cast) -> None:
    body = {"client_id": str(uuid.uuid4())}
    assert api_of(Role.MONITOR).get(f"{one(cast)}/connection").status == 200
    assert api_of(Role.MONITOR).put(f"{one(cast)}/connection", body).status == 403
    assert api_of(Role.CUSTOMER_ADMIN, cast.contoso).put(f"{one(cast)}/connection", body).status == 200
    assert api_of(Role.CUSTOMER_ADMIN, cast.fabrikam).put(f"{one(cast)}/connection", body).status == 404
    assert api_of(Role.CUSTOMER_MONITOR, cast.contoso).post(f"{one(cast)}/connection/check").status == 403


def test_connection_that_is_not_there(api: Api) -> None:
    added = api.post("tenants", {"name": "Northwind"})
    assert api.get(f"tenants/{added.json['id']}/connection").code == "not_found"


def test_check_answers_with_where_to_look(api: Api, cast: Cast) -> None:
    answer = api.post(f"{one(cast)}/connection/check")
    assert answer.status == 202
    assert answer.headers["Location"] == answer.json["url"]
    assert api.get(answer.headers["Location"]).json["title"] == "Verify credentials"
    with scope.one(cast.contoso.id):
        assert Command.objects.count() == 1
