"""Scenario scripts over REST: the same services, findings in the answer, versions."""

import json
from typing import Any

import pytest
from django.test import Client

from sites.models import Purpose, ScriptTemplate
from tests.cast import Cast
from tests.sbc.test_api import JSON, of
from tests.sites.test_templates import GONE, GROUP, WRONG, made, site_with

pytestmark = pytest.mark.django_db
URL = "/api/v1/script-templates"
VARIABLE = {"name": "CacProfile", "type": "number", "min": 1, "max": 9, "needed": False}


@pytest.fixture
def olga(cast: Cast) -> Client:
    return of(cast, "olga")


def test_a_template_lives(olga: Client) -> None:
    cleanup = made("Away", Purpose.CLEANUP)
    script = GROUP.replace("activate", "cac-profile {{CacProfile}}\nactivate")
    wish = {
        "name": "One",
        "purpose": "onboarding",
        "script": script,
        "variables": [VARIABLE],
        "cleanup": str(cleanup.uid),
    }
    answer = olga.post(URL, wish, content_type=JSON)
    assert answer.status_code == 201, answer.content
    body, url = answer.json(), answer["Location"]
    assert (body["script_type"], body["version"], body["executable"], body["pair"]) == (
        1,
        1,
        True,
        str(cleanup.uid),
    )
    assert body["variables"][0] == {
        **VARIABLE, "label": "CAC profile", "default": "", "help": "", "options": []
    }  # fmt: skip
    stale = {"If-Match": '"v9"'}
    assert olga.patch(url, {"name": "x"}, content_type=JSON, headers=stale).status_code == 412
    changed = olga.patch(url, {"script": GROUP, "variables": [], "cleanup": None}, content_type=JSON)
    assert (changed.json()["version"], changed.json()["pair"], changed["ETag"]) == (2, None, '"v2"')
    assert [each["version"] for each in olga.get(f"{url}/versions").json()["results"]] == [1, 2]
    listed = olga.get(f"{URL}?purpose=onboarding").json()["results"]
    assert [(each["name"], each["sites"], "script" in each) for each in listed] == [("One", 0, False)]
    assert olga.get(f"{URL}?name=ONE").json()["results"] == listed
    assert olga.delete(url).status_code == 204
    assert olga.get(url).status_code == 404


def test_a_wrong_script_is_refused_or_a_draft(olga: Client) -> None:
    wish = {"name": "One", "purpose": "onboarding", "script": WRONG}
    refused = olga.post(URL, wish, content_type=JSON)
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "script")
    assert "line 2, character 13" in refused.json()["errors"][0]["message"]
    found = olga.post(f"{URL}/lint", {"purpose": "onboarding", "script": WRONG}, content_type=JSON).json()
    assert (found["executable"], found["findings"][0]["line"], found["findings"][0]["column"]) == (
        False,
        2,
        13,
    )
    assert not ScriptTemplate.objects.exists()
    kept = olga.post(URL, {**wish, "draft": True}, content_type=JSON).json()
    assert not kept["executable"]
    assert [each for each in kept["findings"] if each["severity"] == "error"] == found["findings"]


@pytest.mark.parametrize(
    ("wish", "field"),
    [
        ({"script": "a\0b"}, "script"),
        ({"purpose": "x"}, "purpose"),
        ({"variables": [{"name": "x", "type": "y"}]}, "variables"),
        ({"variables": "x"}, "variables"),
        ({"variables": ["x"]}, "variables"),
        ({"variables": [VARIABLE] * 31}, "variables"),
        ({"wrong": 1}, "wrong"),
    ],
)
def test_bodies_that_are_refused_by_name(olga: Client, wish: dict[str, Any], field: str) -> None:
    whole = {"name": "One", "purpose": "onboarding", "script": GROUP, **wish}
    answer = olga.post(URL, json.dumps(whole), content_type=JSON)
    assert answer.status_code == 422, answer.content
    assert answer.json()["errors"][0]["field"].startswith(field)


def test_what_sites_use_is_not_removed(cast: Cast, olga: Client) -> None:
    template = made()
    site_with(cast, template)
    answer = olga.delete(f"{URL}/{template.uid}")
    assert (answer.status_code, "Contoso: Zurich" in answer.json()["detail"]) == (409, True)


@pytest.mark.parametrize(("who", "see", "write"), [("mona", 200, 403), ("adam", 404, 404)])
def test_who_may(cast: Cast, who: str, see: int, write: int) -> None:
    client = of(cast, who)
    wish = {"name": "One", "purpose": "cleanup", "script": GONE}
    assert client.get(URL).status_code == see
    assert client.post(URL, wish, content_type=JSON).status_code == write
    assert not ScriptTemplate.objects.exists()
