"""Changes of users over the API: a verdict for each, asked once however often it is sent, taken back."""

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from core.errors import UmpError
from provisioning.models import Change
from tenants import scope
from tenants.abilities import Ability, Role
from tenants.models import Tenant
from tests.api.conftest import Api, add_group, add_user, make_token
from tests.cast import Cast

pytestmark = pytest.mark.django_db
UPN = "lee.gu@canary-heron.example"


@pytest.fixture
def changes(cast: Cast) -> str:
    """The address; Lee Gu and the group Sales are in the copy."""
    add_user(cast.contoso, "Lee Gu", department="Sales")
    add_group(cast.contoso, "Sales")
    return f"tenants/{cast.contoso.id}/changes"


def wish(what: str, value: str | None, user: str = UPN, **more: Any) -> dict[str, Any]:
    return {"user": user, "what": what, "value": value, **more}


def test_each_item_has_its_verdict_and_is_asked_once(api: Api, cast: Cast, changes: str) -> None:
    group = add_group(cast.contoso, "Support")
    wishes = [
        wish("number", "+41 58 906 15 00", number_type="directRouting"),
        wish("user:department", "Sales"),
        wish("user:nickname", "Lee"),
        wish("policy:TeamsCallingPolicy", "AllowCalling", user=UPN.upper()),
        wish(f"member:{group.object_id}", "true"),
        wish("number", "+41589061501", user="nobody@contoso.com"),
        wish("member:Sales", "true"),
    ]
    body = {"title": "New colleagues", "changes": wishes}
    preview = api.post(f"{changes}/preview", {"changes": wishes})
    assert (preview.status, preview.json["edit_id"]) == (200, None)
    answers = [api.post(changes, body, idempotency_key="once") for _ in range(2)]
    assert [one.status for one in answers] == [202, 202]
    assert answers[0].json == answers[1].json
    assert answers[0].headers["Location"] == answers[0].json["command"]["url"]
    found = [(one["outcome"], one["problem"] and one["problem"]["code"]) for one in answers[0].json["items"]]
    assert found == [
        ("kept", None),
        ("same", None),
        ("refused", "invalid_input"),
        ("kept", None),
        ("kept", None),
        ("refused", "user_not_in_copy"),
        ("refused", "invalid_input"),
    ]
    listed = api.get(f"{changes}?state=open&edit={answers[0].json['edit_id']}").json["results"]
    assert [(one["title"], one["wanted"], one["source"]) for one in listed] == [
        ("Member of Support", "Member", "api"),
        ("Calling policy", "AllowCalling", "api"),
        ("Phone number", "+41589061500 (Direct Routing)", "api"),
    ]
    assert api.post(f"{changes}/withdraw", {"ids": [listed[0]["id"]]}).json == {"withdrawn": 1}
    assert api.post(f"{changes}/withdraw", {"ids": None}).json == {"withdrawn": 2}
    assert api.get(f"{changes}?state=open").json["results"] == []


def test_all_or_none_keeps_nothing_when_one_is_wrong(api: Api, cast: Cast, changes: str) -> None:
    for bad in (wish("user:nickname", "Lee"), wish("user:city", "Zug", user="nobody@contoso.com")):
        answer = api.post(changes, {"all_or_none": True, "changes": [wish("user:city", "Bern"), bad]})
        assert (answer.status, answer.json["command"]) == (200, None)
        assert [one["outcome"] for one in answer.json["items"]] == ["left", "refused"]
    with scope.one(cast.contoso.id):
        assert not Change.objects.exists()


def test_what_failed_is_asked_for_again(api: Api, cast: Cast, changes: str) -> None:
    api.post(changes, {"changes": [wish("user:city", "Bern")]})
    with scope.one(cast.contoso.id):
        problem = dict(UmpError.of("write_lost", thing="Lee Gu").to_dict())
        Change.objects.update(state="failed", problem=problem)
    (failed,) = api.get(f"{changes}?state=failed").json["results"]
    assert failed["problem"]["code"] == "write_lost"
    again = api.post(f"{changes}/retry", {"ids": [failed["id"], 4711]})
    assert (again.status, [one["outcome"] for one in again.json["items"]]) == (202, ["kept"])


def test_who_may_only_look_may_not_ask_and_nobody_asks_for_others(cast: Cast, changes: str) -> None:
    body = {"changes": [wish("user:city", "Bern")]}
    narrow = Api(make_token(scopes=[Ability.VIEW_TENANT, Ability.VIEW_DIRECTORY]))
    assert narrow.get(changes).status == 200
    assert narrow.post(changes, body).code == "not_allowed"
    other = Api(make_token(Role.CUSTOMER_ADMIN, cast.fabrikam))
    assert other.post(changes, body).code == "not_found"
    elsewhere = other.post(changes.replace(str(cast.contoso.id), str(cast.fabrikam.id)), body)
    assert elsewhere.json["items"][0]["problem"]["code"] == "user_not_in_copy"


def test_a_customer_without_the_licence_is_told_so(api: Api, cast: Cast, changes: str) -> None:
    with scope.one(cast.contoso.id):
        Tenant.objects.filter(id=cast.contoso.id).update(licensed_users=0)
    for path, body in (("", {"changes": [wish("user:city", "Bern")]}), ("/retry", {"ids": [1]})):
        assert api.post(f"{changes}{path}", body).code == "not_offered"


def test_lists_cost_the_same_for_one_and_for_three(api: Api, changes: str) -> None:
    def cost(count: int) -> int:
        cities = [wish(f"user:{what}", "Bern") for what in ("city", "jobTitle", "companyName")]
        api.post(changes, {"changes": cities[:count]})
        with CaptureQueriesContext(connection) as caught:
            assert len(api.get(f"{changes}?state=open").json["results"]) == count
        return len(caught)

    assert cost(1) == cost(3)
