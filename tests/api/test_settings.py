"""What a customer sets up beside its connection: the filter of users, the QOE application; and taking access back."""

import uuid

import pytest

from directory import scoping
from tenants import scope
from tenants.abilities import Role
from tests.api.conftest import Api, add_user, make_token
from tests.cast import Cast

pytestmark = pytest.mark.django_db
SALES = {"text": "Department -eq 'Sales'"}
QOE = {"application_id": str(uuid.uuid4()), "password": "qoe~password~of~the~application"}


def test_a_filter_is_tried_set_and_versioned(api: Api, cast: Cast) -> None:
    for name, department in (("Ann Archer", "Sales"), ("Bob Baker", "")):
        add_user(cast.contoso, name, department=department)
    base = f"tenants/{cast.contoso.id}/user-filter"
    assert api.get(base).json == {"text": "", "set_by": "", "set_at": None, "row_version": 0}
    tried = api.post(f"{base}/preview", SALES).json
    assert (tried["users"], tried["taken"], tried["left_out"]) == (2, 1, 1)
    assert [one["display_name"] for one in tried["first_taken"]] == ["Ann Archer"]
    assert tried["first_left_out"][0]["why"].startswith("Excluded because Department is empty")
    assert api.post(f"{base}/preview", {"text": ""}).json["taken"] == 2
    assert api.get(base).json["row_version"] == 0, "a preview saves nothing"
    answer = api.put(base, SALES, If_Match='"v0"')
    assert (answer.status, answer.json["row_version"], answer.headers["ETag"]) == (200, 1, '"v1"')
    assert api.put(base, {"text": ""}, If_Match='"v0"').code == "conflict_version"
    assert api.put(base, SALES).json["row_version"] == 1


def test_a_text_that_is_no_filter_says_where(api: Api, cast: Cast) -> None:
    base = f"tenants/{cast.contoso.id}/user-filter"
    for answer in (
        api.put(base, {"text": "City is 'Ulm'"}),
        api.post(f"{base}/preview", {"text": "City is 'Ulm'"}),
    ):
        assert answer.status == 422
        assert "at position 6" in answer.text
    with scope.one(cast.contoso.id):
        assert scoping.in_force(cast.contoso) is None


def test_a_monitor_previews_and_does_not_set(cast: Cast) -> None:
    monitor = Api(make_token(Role.MONITOR))
    base = f"tenants/{cast.contoso.id}"
    assert monitor.post(f"{base}/user-filter/preview", SALES).status == 200
    assert monitor.put(f"{base}/user-filter", SALES).status == 403
    assert monitor.put(f"{base}/qoe", QOE).status == 403
    assert monitor.delete(f"{base}/connection").status == 403


def test_the_qoe_application_goes_in_and_its_password_never_comes_out(api: Api, cast: Cast) -> None:
    base = f"tenants/{cast.contoso.id}/qoe"
    assert api.get(base).code == "not_found"
    answer = api.put(base, QOE)
    assert (answer.status, answer.json["kind"]) == (202, "verify_qoe")
    found = api.get(base)
    assert found.json["application_id"] == QOE["application_id"]
    assert found.json["credential"]["hint"] == "tion"
    assert (found.json["verification"], found.json["problem"]) == ("never", None)
    assert QOE["password"] not in found.text
    assert api.post(f"{base}/check", {}).status == 202
    assert api.put(base, QOE | {"password": str(uuid.uuid4())}).code == "secret_is_guid"
    assert api.delete(base).status == 204
    assert api.delete(base).status == 204
    assert api.post(f"{base}/check", {}).code == "not_found"


def test_access_is_taken_back(api: Api, cast: Cast) -> None:
    base = f"tenants/{cast.contoso.id}/connection"
    assert api.get(base).status == 200
    assert api.delete(base).status == 204
    assert api.get(base).code == "not_found"
    assert api.delete(base).status == 204
