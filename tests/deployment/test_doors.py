"""Deploy over the API, at the command line, and from the wizard's third step."""

import io
from collections.abc import Callable

import pytest
from django.test import Client

from accounts.models import User
from deployment import services
from deployment.models import Act, Run, RunState
from onboarding import services as onboarding
from onboarding.models import Onboarding, Step
from sites.models import Site
from tenants import scope
from tenants.abilities import Role
from tenants.access import SYSTEM
from tenants.models import Tenant
from tests.api.conftest import Api, make_token
from tests.cast import Cast
from tests.deployment.teams import PretendTeams
from tests.deployment.test_deploying import deployed, pasted, to_the_end
from ump_portal import cli, cli_deploy

pytestmark = pytest.mark.django_db


def test_it_is_looked_at_decided_on_and_undone_over_the_api(ready: Tenant, teams: PretendTeams) -> None:
    operator, place = Api(make_token(Role.OPERATOR)), f"tenants/{ready.id}/deployment"
    assert operator("GET", place).status == 404
    assert Api(make_token(Role.CUSTOMER_ADMIN, ready))("GET", place).status == 403
    assert operator("POST", f"{place}/look", {"act": "deploy"}).status == 202
    to_the_end()
    plan = operator("GET", place).json
    assert [(step["action"], step["name"]) for step in plan["steps"]] == [("create", "UMP-Zurich")] * 3
    assert plan["sites"][0]["rows"] > 0
    assert operator("POST", place, {"plan": "another"}).code == "deploy_plan_stale"
    assert operator("POST", place, {"plan": plan["plan"]}).status == 202
    to_the_end()
    assert operator("GET", place).json["state"] == "done"
    operator("POST", f"{place}/look", {"act": "undo"})
    to_the_end()
    assert operator("POST", place, {"act": "undo", "plan": operator("GET", place).json["plan"]}).status == 202
    to_the_end()
    assert (operator("GET", place).json["told"], teams.model.usages) == ("Contoso is no longer deployed.", [])


def test_a_script_goes_out_and_its_word_comes_in_over_the_api(
    contoso: Tenant, site: Site, teams: PretendTeams
) -> None:
    operator, place = Api(make_token(Role.OPERATOR)), f"tenants/{contoso.id}/deployment"
    operator("POST", f"{place}/look", {})
    to_the_end()
    found = operator("GET", place).json
    assert found["obstacle"]["code"] == "deploy_unfit"
    assert (bool(found["verify_script"]), found["ready_script"]) == (True, "")
    with scope.one(contoso.id):
        run = Run.objects.select_related("tenant").get()
    found = operator("POST", f"{place}/verify", {"result": pasted(run, teams)}).json
    assert found["obstacle"] is None
    assert "New-CsOnlineVoiceRoute" in found["ready_script"]
    assert operator("POST", f"{place}/verify", {"result": "x"}).status == 422
    assert operator("DELETE", place).status == 204
    assert (operator("GET", place).json["state"], operator("DELETE", place).status) == ("set_aside", 404)


def test_it_is_done_at_the_command_line(
    ready: Tenant, teams: PretendTeams, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cli, "_set_up_django", lambda: None)
    monkeypatch.setattr(cli_deploy.time, "sleep", lambda _: to_the_end())
    monkeypatch.setattr("sys.stdin", io.StringIO("nothing"))

    def ump(*words: str) -> tuple[int, str]:
        code = cli.main(list(words))
        told = capsys.readouterr()
        return code, told.out + told.err

    code, told = ump("deploy", "Contoso")
    assert (code, "create   voice route UMP-Zurich" in told) == (0, True)
    plan = told.split("--plan ")[1].split()[0]
    assert "Contoso is deployed." in ump("deploy", "Contoso", "--plan", plan)[1]
    assert ump("deploy", "Contoso", "--verify")[0] == 1, "nothing waits for a script"
    assert "remove   voice route UMP-Zurich" in ump("undo-deploy", "Contoso")[1]
    assert ump("undo-deploy", "Contoso", "--set-aside")[1].startswith("Undo Deploy: Set aside")


def test_the_wizard_is_finished_by_deploy(
    ready: Tenant, teams: PretendTeams, cast: Cast, client_of: Callable[[User], Client]
) -> None:
    olga, url = client_of(cast.olga), f"/tenants/{ready.id}/onboarding/voice-route/"
    with scope.one(ready.id):
        onboarding.start_again(SYSTEM, ready)
        Onboarding.objects.update(step=Step.ROUTE)
    assert f'href="/tenants/{ready.id}/deploy/"' in olga.get(url).content.decode()
    assert onboarding.finish_deployed() == 0
    with scope.one(ready.id):
        services.look(SYSTEM, ready, Act.DEPLOY)
    to_the_end()
    assert "Waits for a decision" in olga.get(url).content.decode()
    with scope.one(ready.id):
        services.decide(SYSTEM, ready, Act.DEPLOY, Run.objects.get().plan)
    assert "Voice routing in Microsoft 365" in olga.get(f"{url}live/").content.decode()
    to_the_end()
    with scope.one(ready.id):
        assert Run.objects.get().state == RunState.DONE
    assert onboarding.finish_deployed() == 1
    assert olga.get(f"{url}live/")["HX-Redirect"] == f"/tenants/{ready.id}/"


def test_an_onboarding_after_the_deployment_is_left_to_a_person(ready: Tenant, teams: PretendTeams) -> None:
    deployed(ready)
    with scope.one(ready.id):
        onboarding.start_again(SYSTEM, ready)
        Onboarding.objects.update(step=Step.ROUTE)
    assert onboarding.finish_deployed() == 0


def test_what_a_site_wants_in_teams_is_said_over_the_api(contoso: Tenant, site: Site) -> None:
    api, url = Api(make_token(Role.OPERATOR)), f"tenants/{contoso.id}/sites/{site.uid}/voice"
    before = api.get(url).json
    assert (before["name"], before["pattern"], before["changed_at"]) == ("UMP-Zurich", ".*", None)
    rule = {"name": "National", "pattern": r"^0(\d{9})$", "translation": "+41$1"}
    refused = api.put(url, {"pattern": "("})
    assert (refused.status, refused.fields) == (422, {"pattern"})
    assert api.put(url, {"rules": [{**rule, "pattern": "("}]}).fields == {"rules"}
    assert api.put(url, {"pattern": r"^\+41", "rules": [rule]}).status == 200
    kept = api.get(url).json
    assert (kept["pattern"], kept["rules"], kept["gateway"]) == (r"^\+41", [rule], "zurich.contoso.example")
    assert api.put(url, {}).json["rules"] == []
