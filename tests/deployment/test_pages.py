"""The pages of Deploy and Undo Deploy: what is shown, what may be pressed, and a person's script."""

from collections.abc import Callable

import pytest
from django.test import Client

from accounts.models import User
from deployment.models import Run, RunState, SiteVoice
from sites.models import Site
from tenants import scope
from tenants.models import Tenant
from tests.cast import Cast
from tests.deployment.conftest import tenant_now
from tests.deployment.teams import PretendTeams
from tests.deployment.test_deploying import looked, pasted, to_the_end

pytestmark = pytest.mark.django_db


@pytest.fixture
def olga(cast: Cast, client_of: Callable[[User], Client]) -> Client:
    return client_of(cast.olga)


def newest(tenant: Tenant) -> Run:
    with scope.one(tenant.id):
        return Run.objects.select_related("tenant").order_by("-id")[0]


def test_look_see_decide_and_undo(ready: Tenant, teams: PretendTeams, olga: Client) -> None:
    url = f"/tenants/{ready.id}/deploy/"
    assert "Not looked at yet" in olga.get(url).content.decode()
    assert olga.post(f"{url}look/").status_code == 303
    assert "Reading SBCs and Teams" in olga.get(url).content.decode()
    assert olga.get(f"{url}live/").headers.get("HX-Refresh") is None
    to_the_end()
    assert olga.get(f"{url}live/").headers["HX-Refresh"] == "true"
    page = olga.get(url).content.decode()
    for word in ("UMP-Zurich", "voice routing policy", "To create in Teams", "zurich.contoso.example"):
        assert word in page
    assert teams.model.writes == []
    olga.post(url, {"plan": newest(ready).plan})
    assert "Voice routing in Microsoft 365" in olga.get(url).content.decode()
    to_the_end()
    page = olga.get(url).content.decode()
    assert "Contoso is deployed." in page
    assert "New-CsOnlineVoiceRoute" in page
    listed = olga.get("/tenants/").content.decode()
    assert "Undo Deploy" in listed
    assert "Deployed successfully." in listed
    undo = f"/tenants/{ready.id}/undo-deploy/"
    olga.post(f"{undo}look/")
    to_the_end()
    assert "To remove from Teams" in olga.get(undo).content.decode()
    olga.post(undo, {"plan": newest(ready).plan})
    to_the_end()
    assert "Contoso is no longer deployed." in olga.get(undo).content.decode()
    assert "Ready for deployment." in olga.get("/tenants/").content.decode()


def test_a_stopped_run_says_why_on_page_list_and_overview(
    ready: Tenant, teams: PretendTeams, olga: Client
) -> None:
    run = looked(ready)
    teams.model.usages.append("UMP-Zurich")
    olga.post(f"/tenants/{ready.id}/deploy/", {"plan": run.plan})
    to_the_end()
    why = "no longer what was looked at"
    for address in (f"/tenants/{ready.id}/deploy/", "/tenants/", f"/tenants/{ready.id}/"):
        assert why in olga.get(address).content.decode()
    needs = olga.get("/").content.decode()
    assert why in needs
    assert f'href="/tenants/{ready.id}/deploy/">Open Deploy' in needs


def test_without_powershell_both_scripts_and_verify_are_there(
    contoso: Tenant, site: Site, teams: PretendTeams, olga: Client
) -> None:
    url = f"/tenants/{contoso.id}/deploy/"
    olga.post(f"{url}look/")
    to_the_end()
    assert newest(contoso).by_hand, "no worker with PowerShell has shown itself"
    script = olga.get(f"{url}verify.ps1")
    assert script["Content-Disposition"].startswith("attachment")
    assert b"Get-CsOnlineVoiceRoute" in script.content
    refused = olga.post(f"{url}verify/", {"result": "something else"})
    assert refused.status_code == 422
    assert "not the last line of the Verify script" in refused.content.decode()
    olga.post(f"{url}verify/", {"result": pasted(newest(contoso), teams)})
    assert "To create in Teams" in olga.get(url).content.decode()
    olga.post(url, {"plan": newest(contoso).plan})
    to_the_end()
    assert newest(contoso).state == RunState.BY_HAND
    assert "Deploy waits for a person: Teams is done by a script." in olga.get("/").content.decode()
    assert b"New-CsOnlineVoiceRoute" in olga.get(f"{url}ready.ps1").content
    olga.post(f"{url}set-aside/")
    assert newest(contoso).state == RunState.FAILED


def test_whoever_saves_voice_routing_later_is_told_and_undoes_nothing(
    ready: Tenant, site: Site, olga: Client
) -> None:
    url = f"/tenants/{ready.id}/sites/{site.uid}/voice/"

    def wish(pattern: str) -> dict[str, object]:
        """As typed on a page that is opened now."""
        return {"pattern": pattern, "port": 5061, "version": olga.get(url).context["form"]["version"].value()}

    first, also_first = wish("1.*"), wish("2.*")
    assert olga.post(url, first).status_code == 303
    second, also_second = wish("3.*"), wish("4.*")
    assert olga.post(url, second).status_code == 303
    for late in (also_first, also_second):
        answer = olga.post(url, late)
        assert answer.status_code == 422
        assert "Somebody changed the voice routing of" in answer.content.decode()
        assert f'value="{late["pattern"]}"' in answer.content.decode()
    with scope.one(ready.id):
        assert SiteVoice.objects.get(site=site).pattern == "3.*"


def test_what_a_site_wants_in_teams_is_kept_and_planned(ready: Tenant, site: Site, olga: Client) -> None:
    url = f"/tenants/{ready.id}/sites/{site.uid}/voice/"
    given = {"pattern": r"^\+41", "port": 5061, "rules": r"National; ^0(\d{9})$; +41$1"}
    refused = olga.post(url, {**given, "pattern": "("})
    assert refused.status_code == 422
    assert "not a regular expression" in refused.content.decode()
    assert "100000" in olga.post(url, {**given, "max_sessions": 9_999_999_999}).content.decode()
    assert olga.post(url, given).status_code == 303
    assert "National; ^0(\\d{9})$; +41$1" in olga.get(url).content.decode().replace("&#x27;", "'")
    with scope.one(ready.id):
        assert SiteVoice.objects.get(site=site).pattern == r"^\+41"
    run = looked(tenant_now(ready))
    assert [step["part"] for step in run.steps][-1] == "tenant dial plan"
