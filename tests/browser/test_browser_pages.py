"""Every page, in light, in dark and on a phone: nothing that axe, the console or a careful eye would find.

The pages come from the URL resolver (tests/walls/routes.py), so a new one is in here by being a route.
"""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connections
from django.test import Client, TransactionTestCase
from playwright.sync_api import Browser

from tests.browser.eyes import Eyes, faults, session_of
from tests.browser.stage import Stage, build
from tests.cast import assemble
from tests.ui.conftest import serving
from tests.walls.routes import Route, routes

# What answers with a part of a page or with a file; whoever adds another kind says so here.
PARTS = (
    "/live/",
    ".csv",
    ".txt",
    ".ps1",
    "export/",
    "/figures/",
    "/scripts/<slug:which>/",
    "onboarding/name/",
    "onboarding/offers/",
)
PAGES = [r for r in routes() if "GET" in r.doors and not r.api and not r.pattern.endswith(PARTS)]
PAGES = [r for r in PAGES if r.doors["GET"].kind != "visit"]  # for who has no account: test_browser_invited
# What the plain address of a route does not show: other customers, other states, empty lists.
FURTHER = [
    *(f"/tenants/{{{name}}}/" for name in ("fabrikam", "never", "paused", "long", "bare", "disabled", "ending",
                                           "deleted")),
    *(f"/tenants/{{{name}}}/connection/" for name in ("fabrikam", "bare", "ending")),
    "/tenants/{fabrikam}/access-failures/", "/tenants/{bare}/onboarding/m365/", "/tenants/{never}/onboarding/",
    "/onboarding/?q=nobody+at+all", "/settings/license/?q=nobody+at+all",
    *(f"/tenants/{{{name}}}/{part}/" for name in ("long", "bare") for part in ("users", "groups", "licences")),
    "/tenants/{long}/domains/{ready_domain}/", "/tenants/{never}/domains/{stopped_domain}/",
    "/tenants/{bare}/domains/", "/tenants/{long}/invitations/", "/tenants/{fabrikam}/invitations/",
    "/tenants/{never}/invitations/", "/tenants/{fabrikam}/invite/", "/invitations/?q=nobody+at+all",
    "/invitations/new/?q=nobody+at+all",
    "/tenants/{bare}/queue/", "/tenants/{bare}/checks/", "/tenants/{deleted}/restore/", "/tenants/{paused}/pause/",
    *(f"/tenants/{{contoso}}/commands/{{{state}}}/" for state in ("succeeded", "partial", "failed", "cancelled",
                                                                 "backing_off", "executing", "planned")),
    "/tenants/{fabrikam}/commands/{suspended}/", "/tenants/{fabrikam}/commands/{held}/",
    "/tenants/{ending}/commands/{target}/", "/tenants/{long}/commands/{debounced}/",
    "/tenants/{contoso}/users/{long_user}/", "/tenants/{contoso}/users/{rtl_user}/",
    "/tenants/{contoso}/groups/{dynamic_group}/", "/tenants/{contoso}/groups/{long_group}/",
    "/tenants/{contoso}/users/?q=nobody+at+all", "/tenants/?q=nobody+at+all", "/queue/?q=nobody+at+all",
    "/authentication-status/?q=nobody+at+all", "/authentication-status/?method=app&status=failed",
    "/audit/?q=nobody+at+all", "/search?q=m", "/search?q=son", "/search?q=nobody+at+all", "/search",
    "/sbcs/{locked_sbc}/", "/sbcs/{new_sbc}/", "/sbcs/{new_sbc}/prefixes/", "/sbcs/{locked_sbc}/prefixes/",
    "/sbcs/?q=nobody+at+all", "/prefixes/?q=%2B41589061500", "/prefixes/?q=nobody+at+all",
    "/tenants/{contoso}/sites/{failed_site}/", "/tenants/{contoso}/sites/add/?template=none",
    "/tenants/{contoso}/sites/{failed_site}/edit/?choose=1", "/sites/?q=nobody+at+all", "/tenants/{bare}/sites/",
    *(f"/tenants/{{contoso}}/resource-accounts/add/?kind={kind}" for kind in ("auto_attendant", "call_queue")),
    "/tenants/{contoso}/resource-accounts/?q=nobody+at+all", "/tenants/{bare}/resource-accounts/",
    "/scripts/{draft_script}/", "/scripts/{draft_script}/edit/",
    "/scripts/compare/?left={script_id}.1&right={script_id}.2",
    "/tenants/?size=100", "/accounts/email/", "/accounts/password/change/", "/accounts/2fa/", "/accounts/logout/",
]  # fmt: skip
DEFAULTS = {"uid": "{contoso}", "object_id": "{user}"}


def template(route: Route) -> str:
    """The route's address with names from the stage in place of its values."""
    values = {name: DEFAULTS.get(name, f"{{{name}}}") for name in route.takes}
    if "groups/" in route.pattern:
        values["object_id"] = "{group}"
    if "uid" in route.takes:
        values |= {"user_id": "{adam}"} if "user_id" in route.takes else {}
    if "number" in route.takes:
        values["number"] = "{backing_off}" if "uid" in route.takes else "{provider}"
        values["number"] = (
            "{failed}" if route.pattern.endswith("/retry/") and "uid" in route.takes else values["number"]
        )
        if route.pattern.endswith(("/plan/", "/approve/")):
            values["number"] = "{planned}"
    return route.address(**values)


ADDRESSES = [template(route) for route in PAGES]


@pytest.fixture(scope="module")
def stage(django_db_setup: None, django_db_blocker: Any) -> Iterator[Stage]:
    """The customers, committed once for all tests of this file; the tables are emptied afterwards."""
    with django_db_blocker.unblock():
        try:
            yield build(assemble())
        finally:
            for connection in connections.all():
                connection.close()
            TransactionTestCase._fixture_teardown(TransactionTestCase())


@pytest.fixture(scope="module")
def address(stage: Stage) -> Iterator[str]:
    with serving() as served:
        yield served


@pytest.fixture(scope="module")
def pia(stage: Stage, address: str, browser: Browser) -> Iterator[Eyes]:
    """The provider's administrator, who may open every page."""
    eyes = Eyes(browser, address, stage.cast.pia)
    yield eyes
    eyes.close()


@pytest.fixture(scope="module")
def adam(stage: Stage, address: str, browser: Browser) -> Iterator[Eyes]:
    """The administrator of a customer."""
    eyes = Eyes(browser, address, stage.cast.adam)
    yield eyes
    eyes.close()


def look_at(eyes: Eyes, stage: Stage, path: str, name: str = "") -> None:
    eyes.complaints.clear()
    answer = eyes.page.goto(stage.address(path))
    assert answer is not None
    assert answer.status == 200, answer.url
    assert answer.headers["content-type"].startswith("text/html"), "is it a part or a file? Say so in PARTS"
    found = faults(eyes.page, name or path) + eyes.complaints
    assert found == [], "\n".join(found)


@pytest.mark.parametrize("path", [*ADDRESSES, *FURTHER])
def test_a_page_is_fit_for_everybody(pia: Eyes, stage: Stage, path: str) -> None:
    look_at(pia, stage, path)


@pytest.mark.parametrize("part", ["", "connection/", "users/", "queue/", "history/", "people/"])
def test_a_customers_own_pages_are_fit(adam: Eyes, stage: Stage, part: str) -> None:
    look_at(adam, stage, f"/tenants/{{contoso}}/{part}", f"adam {part}")


def test_every_page_has_a_title_of_its_own(stage: Stage) -> None:
    client = Client()
    client.cookies["ump"] = session_of(stage.cast.pia)
    seen: dict[str, str] = {}
    for path in ADDRESSES:
        answer = client.get(stage.address(path))
        if answer.status_code == 303:
            continue  # to another page of this list
        text = str(answer.content, "utf-8")
        title = re.sub(r"\s+", " ", re.findall(r"<title>(.*?)</title>", text, re.DOTALL)[0]).strip()
        name = title.partition(" · ")[0].strip()
        assert name, f"{path} has no title but the portal's"
        assert seen.setdefault(title, path) == path, f"{path} is called {title} as well"
