"""Scenario Scripts by browser: saved as a version, as a draft, checked, compared, kept."""

import time
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from sites import template_selectors, templates
from sites.models import Purpose, ScriptTemplate
from tenants.access import SYSTEM
from tests.cast import Cast, signed_in_at
from tests.pages.helpers import SignIn, post, text_of
from tests.sites.test_templates import GONE, GROUP, WRONG, current, made, site_with

pytestmark = pytest.mark.django_db
VARIABLE = {"name": "CacProfile", "kind": "choice", "required": "on", "options": "10 sessions, 20 sessions"}


def form(*variables: dict[str, str], **changes: Any) -> dict[str, Any]:
    rows = {
        f"variables-{at}-{name}": value
        for at, each in enumerate([*variables, {}])
        for name, value in each.items()
    }
    values = {"name": "One", "purpose": "onboarding", "description": "d", "cleanup": "", "script": GROUP}
    count = {"variables-TOTAL_FORMS": len(variables) + 1, "variables-INITIAL_FORMS": 0}
    return {**values, **count, **rows, **changes}


@pytest.fixture
def olga(cast: Cast, client_of: SignIn) -> Client:
    return client_of(cast.olga)


def test_from_nothing_to_two_versions(olga: Client) -> None:
    assert "No script yet" in text_of(olga, "/scripts/")
    made("Away", Purpose.CLEANUP)
    cleanup = ScriptTemplate.objects.get()
    script = GROUP.replace("activate", "cac-profile {{CacProfile}}\r\nactivate")
    sent = form(VARIABLE, script=script, cleanup=str(cleanup.uid))
    assert "No syntax error" in post(olga, "/scripts/add/", {**sent, "check": "1"}, 200).content.decode()
    assert ScriptTemplate.objects.count() == 1
    url = post(olga, "/scripts/add/", sent)["Location"]
    page = text_of(olga, url)
    for words in (
        "No syntax error",
        "Away",
        "CAC profile",
        "10 sessions, 20 sessions",
        "cac-profile {{CacProfile}}",
    ):
        assert words in page, words
    edit = text_of(olga, f"{url}edit/")
    assert "10 sessions, 20 sessions" in edit
    version = ScriptTemplate.objects.get(name="One").row_version
    post(olga, f"{url}edit/", {**sent, "name": "New name", "version": version, "script": script + "! x"})
    late = post(olga, f"{url}edit/", {**sent, "version": version, "description": "Typed for an hour"}, 422)
    assert "changed" in late.content.decode()
    assert "Typed for an hour" in late.content.decode(), "what was typed is not lost"
    page = text_of(olga, url)
    assert "New name" in page
    assert "Compare with the newest" in page
    assert "This is a former version" in text_of(olga, f"{url}?version=1")
    listed = text_of(olga, "/scripts/?q=new&type=onboarding&sort=-purpose")
    assert "New name" in listed
    assert "No script matches" in text_of(olga, "/scripts/?q=nothing")
    assert "Script changed" in text_of(olga, f"/audit/?q={ScriptTemplate.objects.get(name='New name').uid}")
    answer = olga.get(f"{url}script.txt?version=1")
    assert answer.content.decode() == templates.plain(script)
    assert answer["Content-Disposition"] == 'attachment; filename="new-name-1.txt"'
    text_of(olga, f"{url}?version=9", 404)


def test_a_wrong_script_is_a_draft_or_nothing(olga: Client) -> None:
    page = post(olga, "/scripts/add/", form(script=WRONG), 422).content.decode()
    assert "Line 2, character 13" in " ".join(page.split())
    assert "What stands in this place differs" in page
    assert not ScriptTemplate.objects.exists()
    url = post(olga, "/scripts/add/", form(script=WRONG, draft="1"))["Location"]
    assert "Draft: 1 error" in text_of(olga, url)
    assert 'href="#line-2"' in text_of(olga, url)
    assert "Draft: 1 error" in text_of(olga, "/scripts/")
    again = post(olga, "/scripts/add/", form(name=" ONE "), 422).content.decode()
    assert "Another template has this name." in again


def test_one_more_variable_keeps_what_was_typed(olga: Client) -> None:
    page = post(olga, "/scripts/add/", form(VARIABLE, more="1"), 200).content.decode()
    assert 'name="variables-2-name"' in page
    assert "10 sessions, 20 sessions" in page
    assert not ScriptTemplate.objects.exists()
    bad = form({**VARIABLE, "low": "x", "kind": "nothing"})
    assert "variables-0-low" in post(olga, "/scripts/add/", bad, 422).content.decode()


def test_two_versions_side_by_side(olga: Client) -> None:
    cleanup = made("Away", Purpose.CLEANUP)
    lines = "".join(f"! remark {number}\n" for number in range(20))
    template = made(script=lines + GROUP, cleanup=cleanup)
    templates.change(SYSTEM, template, script=lines + GROUP.replace("IPG", "IPX"))
    url = f"/scripts/compare/?left={template.uid}.1&right={template.uid}.2"
    page = text_of(olga, url)
    assert "1 difference" in page
    assert "remark 5" not in page
    assert "remark 5" in text_of(olga, f"{url}&all=1")
    assert page.count("No syntax error") == 2
    assert "Only left" not in text_of(olga, f"/scripts/compare/?left={template.uid}&right={template.uid}.2")
    assert "differences" in text_of(olga, f"/scripts/compare/?left={template.uid}&right={cleanup.uid}")
    assert "Choose a script" in text_of(olga, "/scripts/compare/")
    for nonsense in ("x", f"{template.uid}.7", "00000000-0000-0000-0000-000000000000"):
        text_of(olga, f"/scripts/compare/?left={nonsense}", 404)


def test_what_sites_use_stays_and_the_rest_can_go(cast: Cast, olga: Client) -> None:
    template = made()
    site = site_with(cast, template)
    url = f"/scripts/{template.uid}/"
    assert f"Contoso: {site.name}" in text_of(olga, url)
    assert "cannot be undone" in text_of(olga, f"{url}remove/")
    assert "it is used by Contoso: Zurich" in post(olga, f"{url}remove/", {}, 409).content.decode()
    other = made("Away", Purpose.CLEANUP, script=GONE)
    post(olga, f"/scripts/{other.uid}/remove/", {})
    text_of(olga, f"/scripts/{other.uid}/", 404)


def test_templates_to_begin_with(olga: Client) -> None:
    post(olga, "/scripts/defaults/", {})
    page = text_of(olga, "/scripts/")
    assert "BYOC with registration" in page
    assert "Draft" not in page
    post(olga, "/scripts/defaults/", {})
    assert ScriptTemplate.objects.count() == 8


def test_what_was_typed_before_a_late_sign_in_comes_back(cast: Cast, olga: Client) -> None:
    signed_in_at(olga, cast.olga, 0)
    script = GROUP.replace("\n", "\r\n") + "! typed for a long time\r\n" * 200
    assert olga.post("/scripts/add/", form(VARIABLE, script=script)).status_code == 303
    assert not ScriptTemplate.objects.exists()
    signed_in_at(olga, cast.olga, time.time())
    page = text_of(olga, "/scripts/add/")
    assert page.count("typed for a long time") == 200
    assert "10 sessions, 20 sessions" in page


@pytest.mark.parametrize(
    ("who", "see", "write"), [("mona", 200, 403), ("otto", 403, 403), ("adam", 404, 404)]
)
def test_who_may(cast: Cast, client_of: SignIn, who: str, see: int, write: int) -> None:
    client = client_of(getattr(cast, who))
    assert "Add a script" not in text_of(client, "/scripts/", see)
    text_of(client, "/scripts/add/", write)
    post(client, "/scripts/defaults/", {}, write)


def test_the_list_costs_as_many_queries_for_three_as_for_one(cast: Cast, client_of: SignIn) -> None:
    mona = client_of(cast.mona)
    counts = []
    for number in (1, 2):
        for at in range(number):
            cleanup = made(f"Away {number}{at}", Purpose.CLEANUP)
            made(f"One {number}{at}", script=GROUP.replace("IPG", f"I{number}{at}"), cleanup=cleanup)
        text_of(mona, "/scripts/")
        with CaptureQueriesContext(connection) as seen:
            text_of(mona, "/scripts/")
        counts.append(len(seen))
    assert counts[0] == counts[1]
    assert len(template_selectors.templates()) == 6
    assert current(ScriptTemplate.objects.get(name="One 10")).number == 1
