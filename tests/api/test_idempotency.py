"""Idempotency-Key: the same request twice is one act with one answer."""

import datetime as dt
import threading
import uuid
from typing import Any

import pytest
from django.core.cache import cache
from django.db import connection, connections
from django.utils import timezone

from accounts.models import ApiToken
from api import idempotency
from api.models import IdempotencyKey
from replication.models import Command
from tenants import scope
from tenants.abilities import Role
from tenants.models import Tenant
from tests.api.conftest import Api, ApiMaker, make_token
from tests.cast import Cast

SECRET = "canary~value~of~the~client~secret"


def kept() -> list[IdempotencyKey]:
    with scope.every("a test looks"):
        return list(IdempotencyKey.objects.order_by("id"))


def customers() -> int:
    with scope.every("a test counts"):
        return int(Tenant.objects.count())


def test_the_second_answer_is_the_first_one(api: Api) -> None:
    body = {"name": "Northwind", "entra_tenant_id": str(uuid.uuid4())}
    first = api.post("tenants", body, Idempotency_Key="k1")
    second = api.post("tenants", body, Idempotency_Key="k1")
    assert (first.status, second.status) == (201, 201)
    assert second.text == first.text
    assert second.headers["Location"] == first.headers["Location"]
    assert second.headers["ETag"] == first.headers["ETag"]
    assert second.headers["Idempotent-Replayed"] == "true"
    assert "Idempotent-Replayed" not in first.headers
    assert customers() == 3


def test_work_is_queued_once(api: Api, cast: Cast) -> None:
    path = f"tenants/{cast.contoso.id}/replications"
    first = api.post(path, {}, Idempotency_Key="k1")
    with scope.one(cast.contoso.id):
        Command.objects.filter(id=first.json["number"]).update(dedupe_key=None)
    assert api.post(path, {}, Idempotency_Key="k1").json == first.json
    assert api.post(path, {}, Idempotency_Key="k2").json != first.json


def test_another_request_under_the_same_key_is_refused(api: Api, cast: Cast) -> None:
    path = f"tenants/{cast.contoso.id}/replications"
    api.post(path, {"full": True}, Idempotency_Key="k1")
    for other, body in ((path, {"full": False}), (f"{path}?", {"full": False}), (path, None)):
        answer = api.post(other, body, Idempotency_Key="k1")
        assert (answer.status, answer.code) == (422, "idempotency_mismatch")
    answer = api.post(f"tenants/{cast.contoso.id}/pause", {"full": True}, Idempotency_Key="k1")
    assert answer.code == "idempotency_mismatch"


def test_a_key_belongs_to_its_caller_and_customer(api: Api, api_of: ApiMaker, cast: Cast) -> None:
    for client in (api, api_of(Role.OPERATOR)):
        for tenant in (cast.contoso, cast.fabrikam):
            answer = client.post(f"tenants/{tenant.id}/pause", Idempotency_Key="k1")
            assert answer.status == 200
            assert "Idempotent-Replayed" not in answer.headers
    assert len(kept()) == 4


def test_a_request_that_failed_may_be_repeated(api: Api) -> None:
    wrong = api.post("tenants", {"name": "Contoso"}, Idempotency_Key="k1")
    assert wrong.status == 422
    assert kept() == []
    right = api.post("tenants", {"name": "Northwind"}, Idempotency_Key="k1")
    assert right.status == 201


def test_an_accident_keeps_neither_act_nor_answer(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    def break_down(*args: Any, **kwargs: Any) -> None:
        raise RuntimeError("power cut")

    with monkeypatch.context() as patch:
        patch.setattr(idempotency.Slot, "keep", break_down)
        broken = api.post("tenants", {"name": "Northwind"}, Idempotency_Key="k1")
    assert (broken.status, broken.code) == (500, "internal")
    assert "power cut" not in broken.text
    assert customers() == 2
    assert api.post("tenants", {"name": "Northwind"}, Idempotency_Key="k1").status == 201


@pytest.mark.parametrize("key", ["", "x" * 256, "two words", "schlüssel", "tab\t", "\x7f"])
def test_keys_that_are_none(api: Api, key: str) -> None:
    answer = api.post("tenants", {"name": "Northwind"}, Idempotency_Key=key)
    assert (answer.status, answer.fields) == (422, {"Idempotency-Key"})


def test_a_token_is_shown_once_even_so(api: Api) -> None:
    body = {"name": "OVOC", "role": "monitor"}
    first = api.post("tokens", body, Idempotency_Key="k1")
    assert first.status == 201
    second = api.post("tokens", body, Idempotency_Key="k1")
    assert (second.status, second.code) == (409, "conflict")
    assert "shown only once" in second.json["detail"]
    assert ApiToken.objects.filter(name="OVOC").count() == 1
    assert first.json["token"].split("_", 2)[2] not in str([vars(row) for row in kept()])


def test_nothing_secret_is_kept(api: Api) -> None:
    connection_in = {"client_id": str(uuid.uuid4()), "client_secret": SECRET}
    body = {"name": "Northwind", "entra_tenant_id": str(uuid.uuid4()), "connection": connection_in}
    assert api.post("tenants", body, Idempotency_Key="k1").status == 201
    assert SECRET not in str([vars(row) for row in kept()])


def test_a_key_is_free_again_after_a_day(api: Api) -> None:
    assert api.post("tenants", {"name": "Northwind"}, Idempotency_Key="k1").status == 201
    with scope.every("a test lets a day pass"):
        IdempotencyKey.objects.update(created_at=timezone.now() - dt.timedelta(hours=25))
    assert api.post("tenants", {"name": "Southwind"}, Idempotency_Key="k1").status == 201
    assert [row.key for row in kept()] == ["k1"]


def test_what_others_left_is_forgotten_too(api: Api, api_of: ApiMaker, cast: Cast) -> None:
    api_of().post(f"tenants/{cast.contoso.id}/pause", Idempotency_Key="k1")
    with scope.every("a test lets a day pass"):
        IdempotencyKey.objects.update(created_at=timezone.now() - dt.timedelta(hours=25))
    api.post("tenants", {"name": "Northwind"}, Idempotency_Key="k2")
    assert [row.key for row in kept()] == ["k2"]


def test_the_database_walls_keys_off(api: Api, cast: Cast) -> None:
    api.post(f"tenants/{cast.contoso.id}/pause", Idempotency_Key="k1")
    api.post("queue/pause", Idempotency_Key="k2")
    with scope.one(cast.fabrikam.id), connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM api_idempotencykey")
        assert cursor.fetchone()[0] == 0


# --- Two at the same moment ---------------------------------------------------------------------------------
def both(api: Api, path: str, body: object, key: str) -> list[Any]:
    """Send the same request from two threads that start together."""
    gate, answers = threading.Barrier(2), []

    def send() -> None:
        gate.wait(30)
        try:
            answers.append(Api(api.value).post(path, body, Idempotency_Key=key))
        finally:
            connections.close_all()

    threads = [threading.Thread(target=send) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    return answers


def test_two_at_once_are_one_act(committed_cast: Cast) -> None:
    cache.clear()
    api = Api(make_token())
    for turn in range(5):
        name = f"Northwind {turn}"
        answers = both(api, "tenants", {"name": name}, f"k{turn}")
        assert sorted(answer.status for answer in answers) in ([201, 201], [201, 409])
        for answer in answers:
            if answer.status == 409:
                assert answer.code == "idempotency_in_progress"
                assert answer.headers["Retry-After"] == "1"
        with scope.every("a test counts"):
            assert Tenant.objects.filter(name=name).count() == 1
        again = api.post("tenants", {"name": name}, Idempotency_Key=f"k{turn}")
        assert (again.status, again.headers["Idempotent-Replayed"]) == (201, "true")


def test_while_the_first_is_at_work_the_second_is_told_so(
    committed_cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache.clear()
    api = Api(make_token())
    inside, go_on = threading.Event(), threading.Event()
    keep = idempotency.Slot.keep

    def slow(self: Any, *args: Any) -> None:
        inside.set()
        go_on.wait(30)
        keep(self, *args)

    monkeypatch.setattr(idempotency.Slot, "keep", slow)
    answers: list[Any] = []

    def send() -> None:
        try:
            answers.append(Api(api.value).post("tenants", {"name": "Northwind"}, Idempotency_Key="k1"))
        finally:
            connections.close_all()

    first = threading.Thread(target=send)
    first.start()
    assert inside.wait(30)
    second = api.post("tenants", {"name": "Northwind"}, Idempotency_Key="k1")
    go_on.set()
    first.join(30)
    assert (second.status, second.code) == (409, "idempotency_in_progress")
    assert answers[0].status == 201
