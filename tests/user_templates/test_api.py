"""/tenants/{id}/user-templates, and the same at the command line."""

import json
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tenants import scope
from tests.api.conftest import Api, make_token
from tests.provisioning.helpers import Stage
from tests.user_templates.test_templates import asked, group_of, pool
from ump_portal import cli
from user_templates.models import UserTemplate

pytestmark = pytest.mark.django_db


def test_a_template_is_made_seen_started_and_watched(stage: Stage) -> None:
    users = stage.without_number(3)
    group, numbers, api = group_of(stage, *users), pool(stage), Api(make_token())
    base = f"tenants/{stage.tenant.id}/user-templates"
    body: dict[str, Any] = {
        "name": "Sales",
        "group_id": str(group),
        "number_range_id": numbers,
        "values": [
            {"what": "user:city", "value": "Bern"},
            {"what": "policy:TeamsCallingPolicy", "value": "AllowCalling"},
        ],
    }
    for wrong, field in (
        ({"takes_numbers": True}, "takes_numbers"),
        ({"values": [{"what": "number", "value": "+41589061000"}]}, "values"),
        ({"group_id": str(users[0])}, "group"),
    ):
        assert api.post(base, body | wrong).fields == {field}
    made = api.post(base, body, idempotency_key="once")
    assert (made.status, made.json["state"], made.json["last_run"]) == (201, "off", None)
    assert api.post(base, body, idempotency_key="once").json["id"] == made.json["id"]
    one = f"{base}/{made.json['id']}"

    seen = api.get(f"{one}/preview?limit=2").json
    assert (seen["figures"]["changes"], seen["rows"], len(seen["results"])) == (9, 9, 2)
    assert {each["outcome"] for each in seen["results"]} == {"asked"}
    assert api.get(f"{one}/preview?limit=0").fields == {"limit"}
    changed = api.patch(one, {"values": body["values"][:1]}, if_match=made.headers["ETag"])
    assert changed.json["number_range_id"] == numbers
    assert api.patch(one, {"name": "Other"}, if_match=made.headers["ETag"]).status == 412
    assert api.post(f"{one}/start", {"row_version": seen["row_version"]}).status == 412
    started = api.post(f"{one}/start", {"row_version": changed.json["row_version"]})
    assert (started.status, started.json["kind"]) == (202, "apply_templates")
    stage.worker.step()
    told = api.get(one).json
    assert (told["state"], told["last_run"]["covered"], told["last_run"]["changes"]) == ("on", 3, 6)
    assert len(asked(stage)) == 6

    second = api.post(base, body | {"name": "Second", "number_range_id": None, "takes_numbers": True}).json
    assert (second["order"], second["takes_numbers"], second["number_range_id"]) == (2, True, None)
    assert api.post(f"{base}/{second['id']}/move", {"order": 1}).json["order"] == 1
    assert [each["name"] for each in api.get(base).json["results"]] == ["Second", "Sales"]
    assert api.post(f"{one}/stop").json["state"] == "off"
    assert api.delete(one).status == 204
    assert api.get(one).status == 404


def test_lists_ask_as_often_for_three_as_for_one(stage: Stage) -> None:
    group, api = group_of(stage), Api(make_token())
    base = f"tenants/{stage.tenant.id}/user-templates"
    api.get(base)  # a token's first use is noted
    counted = []
    for count in (1, 3):
        with scope.one(stage.tenant.id):
            while UserTemplate.objects.count() < count:
                number = UserTemplate.objects.count() + 1
                UserTemplate.objects.create(
                    tenant=stage.tenant, name=f"T{number}", rank=number, group_id=group, group_name="x",
                    values=[["user:city", "Bern"]], created_by="x",
                )  # fmt: skip
        with CaptureQueriesContext(connection) as queries:
            assert len(api.get(base).json["results"]) == count
        counted.append(len(queries))
    assert counted[0] == counted[1]


def test_the_command_line_lists_previews_and_switches(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cli, "_set_up_django", lambda: None)
    group = group_of(stage, *stage.without_number(2))
    with scope.one(stage.tenant.id):
        UserTemplate.objects.create(
            tenant=stage.tenant, name="Sales", rank=1, group_id=group, group_name="Sales floor",
            values=[["user:city", "Bern"]], created_by="x",
        )  # fmt: skip

    def ump(action: str, *words: str) -> tuple[int, str]:
        code = cli.main(["templates", action, str(stage.tenant.id), *words])
        told = capsys.readouterr()
        return code, told.out + told.err

    assert "City: Bern" in ump("list")[1]
    assert "State: Off" in ump("show", "sales")[1]
    code, told = ump("preview", "Sales", "--json")
    seen = json.loads(told)
    assert (code, seen["figures"]["changes"], len(seen["rows"])) == (0, 2, 2)
    assert ump("on", "Sales", "7")[0] == 1
    assert "is on" in ump("on", "Sales", str(seen["version"]))[1]
    assert "State: On" in ump("show", "Sales")[1]
    assert "is off" in ump("off", "Sales")[1]
    assert ump("show", "Nobody's")[0] == 1
