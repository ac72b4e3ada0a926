"""Deploy and Undo Deploy from the look to the end: on the SBC, in Teams, and back to how it was."""

import datetime as dt
import json
import re
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from core.errors import Conflict, InvalidInput, OutcomeUnknown, UmpError
from deployment import commands, ledger, plans, services
from deployment.models import Act, Run, RunState, SiteVoice, VoiceWrite
from events.models import Event
from m365.powershell import cmdlets
from m365.powershell.calls import Call
from m365.powershell.handout import MARK
from m365.voice import Routing
from replication.models import Command, Lane, LaneName, State
from simulator.sbc.device import Device
from sites.models import Site, SiteState, Trunk
from tenants import deployment, scope
from tenants.access import SYSTEM
from tenants.deployment import Status
from tenants.models import Connection, DeployState, Service, Tenant
from tests.breakers.hands import claim, make_due, run_due, settle
from tests.deployment.conftest import Sites, tenant_now
from tests.deployment.teams import PretendSession, PretendTeams
from tests.sites.conftest import again, tables
from tests.sites.numbers import rows as prefixes
from tests.sites.numbers import written

pytestmark = pytest.mark.django_db
MADE = {
    "OnlinePSTNGateway": ["zurich.contoso.example"],
    "OnlineVoiceRoute": ["ump-zurich"],
    "OnlineVoiceRoutingPolicy": ["global", "ump-zurich"],
    "TenantDialPlan": ["global"],
    "usages": ["UMP-Zurich"],
}


def to_the_end(most: int = 40) -> None:
    """Everything that is queued, whatever it waits for."""
    for _ in range(most):
        run_due()
        with scope.every("a test looks"):
            waiting = Command.objects.filter(state=State.QUEUED).exists()
        if not waiting:
            return
        make_due()
    raise AssertionError("it does not come to an end")


def looked(tenant: Tenant, act: Act = Act.DEPLOY, **more: Any) -> Run:
    with scope.one(tenant.id):
        run = services.look(SYSTEM, tenant_now(tenant), act, **more)
    to_the_end()
    return now(run)


def now(run: Run) -> Run:
    with scope.one(run.tenant_id):
        return Run.objects.select_related("tenant").get(id=run.id)


def begun(run: Run, *, rounds: int) -> Run:
    """Decided, and carried on for so many rounds of the queue."""
    with scope.one(run.tenant_id):
        services.decide(SYSTEM, tenant_now(run.tenant), Act(run.act), run.plan)
    for _ in range(rounds):
        run_due()
        make_due()
    return now(run)


def decided(run: Run) -> Run:
    with scope.one(run.tenant_id):
        services.decide(SYSTEM, tenant_now(run.tenant), Act(run.act), run.plan)
    to_the_end()
    return now(run)


def deployed(tenant: Tenant) -> Run:
    run = decided(looked(tenant))
    assert (run.state, run.problem) == (RunState.DONE, None)
    return run


def standing(tenant: Tenant) -> tuple[str, Status, str]:
    with scope.one(tenant.id):
        fresh = tenant_now(tenant)
        line = Connection.objects.get(tenant=tenant)
        return (
            fresh.deploy_state,
            deployment.status_of(fresh, line),
            deployment.sentence(fresh, line),
        )


def writes(tenant: Tenant, *states: str) -> list[tuple[str, str]]:
    with scope.one(tenant.id):
        rows = (
            VoiceWrite.objects.filter(tenant=tenant, state__in=states) if states else VoiceWrite.objects.all()
        )
        return [(row.part, row.state) for row in rows]


def test_what_was_planned_is_done_and_undone_as_if_it_had_never_been(
    ready: Tenant, teams: PretendTeams, device: Device, add_site: Sites, site: Site
) -> None:
    with scope.one(ready.id):
        Site.objects.filter(id=site.id).update(trunk=Trunk.OWN)
    on_device, in_teams = tables(device), teams.names()
    run = looked(ready)
    assert run.state == RunState.PLANNED
    assert [step["action"] for step in run.steps] == ["create"] * 4
    assert run.sites[0]["rows"] > 0
    assert (tables(device), teams.names()) == (on_device, in_teams), "a look writes nothing"
    assert standing(ready)[:2] == (DeployState.READY, Status.WARNING)

    with scope.one(ready.id):
        services.decide(SYSTEM, ready, Act.DEPLOY, run.plan)
    state, status, sentence = standing(ready)
    assert (state, status, sentence) == (DeployState.UNKNOWN, Status.WARNING, "Deployment request submitted.")
    to_the_end()
    assert teams.names() == MADE
    assert tables(device) != on_device
    assert standing(ready) == (DeployState.DEPLOYED, Status.OK, "Deployed successfully.")
    assert (again(site).sbc_state, again(site).m365_state) == (SiteState.DEPLOYED, SiteState.DEPLOYED)
    assert writes(ready) == [
        (part, "done") for part in ("PSTN gateway", "PSTN usage", "voice route", "voice routing policy")
    ]
    with scope.one(ready.id):
        assert {row.cmdlet for row in VoiceWrite.objects.all()} == {
            "New-CsOnlinePSTNGateway",
            "Set-CsOnlinePstnUsage",
            "New-CsOnlineVoiceRoute",
            "New-CsOnlineVoiceRoutingPolicy",
        }

    undone = decided(looked(ready, Act.UNDO))
    assert undone.state == RunState.DONE
    assert (tables(device), teams.names()) == (on_device, in_teams)
    assert standing(ready) == (DeployState.READY, Status.WARNING, "Ready for deployment.")
    assert (again(site).sbc_state, again(site).m365_state) == (SiteState.NONE, SiteState.NONE)
    with scope.one(ready.id):
        told = list(
            Event.objects.filter(type__startswith="deploy.").order_by("id").values_list("type", flat=True)
        )
        assert ledger.owned(ready) == {}
    assert told == ["deploy.done", "deploy.undone"]


def test_prefixes_go_before_the_site(ready: Tenant, teams: PretendTeams, device: Device, site: Site) -> None:
    before = tables(device)
    deployed(ready)
    written(again(site), "+4158906", "+4158907[10-19]")
    planted = len(device.running.ini())
    run = looked(ready, Act.UNDO)
    assert run.sites[0]["prefixes"] == 2
    run = decided(run)
    assert (run.state, run.problem) == (RunState.DONE, None)
    assert tables(device) == before
    assert len(device.running.ini()) < planted
    assert prefixes(site) == {}


def test_what_was_there_before_stays(ready: Tenant, teams: PretendTeams) -> None:
    """It does what is wanted, so nothing is written for it; it is adopted, and never removed."""
    teams.model.usages.append("UMP-Zurich")
    run = deployed(ready)
    assert [step["action"] for step in run.steps] == ["nothing", "create", "create"]
    assert ("PSTN usage", "adopted") in writes(ready)
    decided(looked(ready, Act.UNDO))
    assert teams.names()["usages"] == ["UMP-Zurich"]
    assert teams.names()["OnlineVoiceRoute"] == []


def test_what_users_have_stays_and_is_told(ready: Tenant, teams: PretendTeams) -> None:
    deployed(ready)
    teams.users["UMP-Zurich"] = ["ann@contoso.example"]
    run = decided(looked(ready, Act.UNDO))
    assert run.state == RunState.DONE
    assert "1 user has it" in run.told
    assert teams.names()["OnlineVoiceRoutingPolicy"] == ["global", "ump-zurich"]
    assert teams.names()["OnlineVoiceRoute"] == []
    assert standing(ready)[0] == DeployState.READY


def test_what_somebody_else_has_under_the_name_waits_for_a_person(ready: Tenant, teams: PretendTeams) -> None:
    teams.model.usages.append("UMP-Zurich")
    teams.model.kept["OnlineVoiceRoute"]["ump-zurich"] = {
        "Identity": "UMP-Zurich", "NumberPattern": "^9", "OnlinePstnGatewayList": [], "OnlinePstnUsages": []
    }  # fmt: skip
    run = looked(ready)
    with scope.one(ready.id), pytest.raises(UmpError) as refused:
        services.decide(SYSTEM, ready, Act.DEPLOY, run.plan)
    assert refused.value.code == "voice_conflict"
    run = decided(looked(ready, take_over=True))
    assert run.state == RunState.DONE
    assert teams.model.kept["OnlineVoiceRoute"]["ump-zurich"]["NumberPattern"] == ".*"
    decided(looked(ready, Act.UNDO))
    assert teams.names()["OnlineVoiceRoute"] == ["ump-zurich"], "the portal did not create it"


def test_a_plan_that_moved_since_is_refused(ready: Tenant, teams: PretendTeams, add_site: Sites) -> None:
    run = looked(ready)
    teams.model.usages.append("UMP-Zurich")
    with scope.one(ready.id), pytest.raises(UmpError) as refused:
        services.decide(SYSTEM, ready, Act.DEPLOY, "another")
    assert refused.value.code == "deploy_plan_stale"
    run = decided(run)
    assert run.state == RunState.FAILED
    assert teams.model.writes == []
    state, status, sentence = standing(ready)
    assert (state, status) == (DeployState.FAILED, Status.ERROR)
    assert "no longer what was looked at" in sentence


@pytest.mark.parametrize("cmdlet", ["Set-CsOnlinePstnUsage", "New-CsOnlineVoiceRoute"])
def test_a_lost_answer_is_found_out_about_by_reading(ready: Tenant, teams: PretendTeams, cmdlet: str) -> None:
    teams.lost = [cmdlet]
    deployed(ready)
    assert len(teams.model.writes) == 3, "each was written once"
    assert {state for _, state in writes(ready)} == {"done"}


def stopped(tenant: Tenant) -> Run:
    """A run that somebody stops after the answer to its first new voice route was lost."""
    run = begun(looked(tenant), rounds=2)
    assert ("voice route", "begun") in writes(tenant)
    with scope.one(tenant.id):
        for one in (run.command, run.voice_command):
            services.queue.cancel(SYSTEM, Command.objects.get(id=one))
    assert services.find_interrupted() == 1
    return now(run)


def test_what_an_earlier_run_began_counts_as_written_by_this_one(ready: Tenant, teams: PretendTeams) -> None:
    """It was there all the time, and is shown late to both."""
    teams.lost, teams.hidden = ["New-CsOnlineVoiceRoute"], {"UMP-Zurich"}
    assert stopped(ready).state == RunState.FAILED
    run = begun(looked(ready), rounds=6)
    assert (run.state, run.problem) == (RunState.RUNNING, None)
    teams.hidden = set()
    to_the_end()
    assert (now(run).state, now(run).problem) == (RunState.DONE, None)


def test_what_is_begun_again_otherwise_is_the_portals_own(
    ready: Tenant, teams: PretendTeams, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first never arrived; the answer to the second, with another pattern, is lost."""

    def lose(session: PretendSession, call: Call) -> list[dict[str, Any]]:
        if call.cmdlet == "New-CsOnlineVoiceRoute":
            raise OutcomeUnknown(thing="the route")
        return session._asked(call)

    with monkeypatch.context() as patched:
        patched.setattr(PretendSession, "write", lose)
        stopped(ready)
    with scope.one(ready.id):
        SiteVoice.objects.update_or_create(site=site, defaults={"tenant": ready, "pattern": "^9"})
    teams.lost = ["New-CsOnlineVoiceRoute"]
    deployed(ready)
    assert teams.model.kept["OnlineVoiceRoute"]["ump-zurich"]["NumberPattern"] == "^9"
    assert decided(looked(ready, Act.UNDO)).state == RunState.DONE
    assert teams.names()["OnlineVoiceRoute"] == []


def test_what_teams_shows_late_is_waited_for(ready: Tenant, teams: PretendTeams) -> None:
    run = looked(ready)
    teams.hidden = {"UMP-Zurich"}
    assert begun(run, rounds=6).state == RunState.RUNNING
    assert len(teams.model.writes) == 3
    teams.hidden = set()
    to_the_end()
    assert now(run).state == RunState.DONE
    assert len(teams.model.writes) == 3


def test_a_site_that_cannot_be_deployed_stops_it_before_teams(
    ready: Tenant, teams: PretendTeams, device: Device, site: Site
) -> None:
    run = looked(ready)
    with scope.one(ready.id):
        Site.objects.filter(id=site.id).update(row_version=site.row_version + 1)  # its preview is stale
    run = decided(run)
    assert run.state == RunState.FAILED
    assert run.problem["message"] == (
        "The work on the deployment of Contoso stopped: Zurich could not be deployed on its SBC; its page says why."
    )
    assert teams.model.writes == []
    assert standing(ready)[:2] == (DeployState.FAILED, Status.ERROR)
    assert decided(looked(ready)).state == RunState.DONE, "and the next look has what is left"


def test_without_powershell_a_person_runs_the_script(
    contoso: Tenant, site: Site, teams: PretendTeams
) -> None:
    """Both ways, by what the Verify script prints; what a person made goes by a person's script only."""
    run = looked(contoso)
    assert (run.by_hand, run.read_at, run.state) == (True, None, RunState.PLANNED)
    run = verified(run, teams)
    with scope.one(contoso.id):
        assert "New-CsOnlineVoiceRoute" in services.script(run, verify=False)
    run = decided(run)
    assert run.state == RunState.BY_HAND
    assert again(site).sbc_state == SiteState.DEPLOYED
    assert verified(run, teams).state == RunState.BY_HAND, "nothing was done yet"
    by_person(run, teams)
    assert verified(run, teams).state == RunState.DONE
    assert standing(contoso)[0] == DeployState.DEPLOYED
    assert teams.sessions == 0
    run = verified(looked(contoso, Act.UNDO), teams)
    assert [step["action"] for step in run.steps] == ["remove"] * 3
    run = decided(run)
    by_person(run, teams)
    assert verified(run, teams).state == RunState.DONE
    assert standing(contoso)[0] == DeployState.READY


def verified(run: Run, teams: PretendTeams) -> Run:
    with scope.one(run.tenant_id):
        return services.verify(SYSTEM, tenant_now(run.tenant), pasted(run, teams))


def pasted(run: Run, teams: PretendTeams) -> str:
    """What the Verify script would print."""
    rows = {name: teams.session().run(call) for name, call in cmdlets.READS.items()}
    teams.sessions = 0
    return MARK + json.dumps({"organisation": str(run.tenant.entra_tenant_id), **rows})


def by_person(run: Run, teams: PretendTeams) -> None:
    for step in plans.of_json(now(run).steps):
        if step.call is not None:
            teams.session().run(step.call)
    teams.sessions = 0


def test_more_customers_than_licences_keep_voice_routing_from_being_managed(
    ready: Tenant, settings: Any
) -> None:
    settings.LICENSE_CUSTOMERS = 1
    with scope.one(ready.id), pytest.raises(UmpError, match="more Tenants licences than the licence has"):
        services.look(SYSTEM, ready, Act.DEPLOY)


def test_a_word_of_another_organisation_is_refused(contoso: Tenant, site: Site) -> None:
    run = looked(contoso)
    with scope.one(contoso.id), pytest.raises(InvalidInput):
        services.verify(SYSTEM, contoso, MARK + '{"organisation": "x"}')
    assert now(run).read_at is None


def test_one_at_a_time(ready: Tenant, teams: PretendTeams) -> None:
    first = looked(ready)
    second = looked(ready)
    assert now(first).state == RunState.SET_ASIDE
    with scope.one(ready.id):
        services.decide(SYSTEM, ready, Act.DEPLOY, second.plan)
        with pytest.raises(Conflict):
            services.look(SYSTEM, ready, Act.UNDO)


def test_setting_aside_locks_in_the_order_of_the_worker(ready: Tenant, teams: PretendTeams) -> None:
    """Which has its command's row when it wants that of the run."""
    with scope.one(ready.id):
        run = services.look(SYSTEM, ready, Act.DEPLOY)
        with CaptureQueriesContext(connection) as seen:
            services.set_aside(SYSTEM, run)
    told = [query["sql"] for query in seen]
    command = next(n for n, sql in enumerate(told) if "UPDATE replication_command" in sql)
    locks = re.compile(r'FROM "deployment_run" .*FOR NO KEY UPDATE|UPDATE "deployment_run"')
    assert command < next(n for n, sql in enumerate(told) if locks.search(sql))
    assert now(run).state == RunState.SET_ASIDE
    with scope.one(ready.id):
        assert Command.objects.get(id=run.command).state == State.CANCELLED
        with pytest.raises(Conflict):
            services.set_aside(SYSTEM, run)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"with_sync": False}, "without sync"),
        ({}, "Add SBC Site"),
    ],
)
def test_what_cannot_be_deployed_says_why(contoso: Tenant, changes: dict[str, Any], why: str) -> None:
    with scope.one(contoso.id):
        Tenant.objects.filter(id=contoso.id).update(**changes)
        with pytest.raises(UmpError) as refused:
            services.look(SYSTEM, tenant_now(contoso), Act.DEPLOY)
    assert refused.value.code == "deploy_unfit"
    assert why in refused.value.message


def test_operator_connect_has_nothing_to_write(contoso: Tenant) -> None:
    with scope.one(contoso.id):
        Tenant.objects.filter(id=contoso.id).update(service=Service.OPERATOR_CONNECT, with_sync=False)
    run = looked(contoso)
    assert (run.voice, run.sites) == (False, [])
    assert decided(run).state == RunState.DONE
    assert standing(contoso)[0] == DeployState.DEPLOYED


def given_up(run: Run) -> str:
    """Why it failed; its command in Teams is cancelled with it."""
    assert run.state == RunState.FAILED
    assert run.problem is not None
    with scope.every("a test looks"):
        assert Command.objects.get(id=run.voice_command).state == State.CANCELLED
    return str(run.problem["message"])


def test_a_command_that_somebody_cancels_ends_the_run(ready: Tenant, teams: PretendTeams) -> None:
    run = looked(ready)
    with scope.one(ready.id):
        run = services.decide(SYSTEM, ready, Act.DEPLOY, run.plan)
        services.queue.cancel(SYSTEM, Command.objects.get(id=run.command))
    assert services.find_interrupted() == 1
    assert now(run).state == RunState.FAILED
    assert standing(ready)[:2] == (DeployState.FAILED, Status.ERROR)


def test_what_a_cancelled_run_has_asked_for_is_taken_back(
    ready: Tenant, teams: PretendTeams, device: Device, site: Site
) -> None:
    """Its numbers stay on the SBC, and nothing goes on an hour later."""
    deployed(ready)
    written(again(site), "+4158906")
    before, in_teams = tables(device), teams.names()
    run = looked(ready, Act.UNDO)
    with scope.one(ready.id):
        services.decide(SYSTEM, ready, Act.UNDO, run.plan)
    settle(*claim(1))
    run = now(run)
    asked = run.sites[0]["numbers"]
    with scope.one(ready.id):
        services.queue.cancel(SYSTEM, Command.objects.get(id=run.command))
    assert services.find_interrupted() == 1
    with scope.every("a test looks"):
        assert Command.objects.get(id=asked).state == State.CANCELLED
    to_the_end()
    assert (tables(device), teams.names()) == (before, in_teams)
    assert now(run).state == RunState.FAILED


@pytest.mark.parametrize("when", ["read", "first write"])
def test_a_cancelled_run_writes_no_more_in_teams(
    ready: Tenant, teams: PretendTeams, site: Site, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    def cancel() -> None:
        if now(run).state != RunState.RUNNING:
            return
        with scope.one(ready.id):
            services.queue.cancel(SYSTEM, Command.objects.get(id=now(run).command))
        assert services.find_interrupted() == 1

    def read(session: PretendSession) -> Routing:
        if when == "read":
            cancel()
        return routing(session)

    def write(session: PretendSession, call: Call) -> list[dict[str, Any]]:
        cancel()
        return session._asked(call)

    run = looked(ready)
    routing = PretendSession.voice_routing
    monkeypatch.setattr(PretendSession, "voice_routing", read)
    monkeypatch.setattr(PretendSession, "write", write)
    run = decided(run)
    assert len(teams.model.writes) == (0 if when == "read" else 1)
    assert run.state == RunState.FAILED
    assert again(site).m365_state == (SiteState.NONE if when == "read" else SiteState.FAILED)
    with scope.one(ready.id):
        assert Command.objects.get(id=run.voice_command).state == State.CANCELLED


def test_what_a_person_has_to_settle_in_teams_ends_the_run_and_its_command(
    ready: Tenant, teams: PretendTeams, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise it would go on weeks later, by itself, with a plan that nobody remembers."""

    def refuse(session: PretendSession, call: Call) -> list[dict[str, Any]]:
        raise UmpError.of("role_missing", tenant="Contoso", role="Teams Administrator")

    run = looked(ready)
    monkeypatch.setattr(PretendSession, "write", refuse)
    assert "Teams Administrator" in given_up(decided(run))


def test_when_no_worker_with_powershell_is_left_its_command_is_taken_back(
    ready: Tenant, teams: PretendTeams, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commands, "NOBODY", dt.timedelta())
    run = looked(ready)
    settings.WORKER_LANES = [lane for lane in settings.WORKER_LANES if lane != LaneName.POWERSHELL]
    with scope.one(ready.id):
        services.decide(SYSTEM, ready, Act.DEPLOY, run.plan)
    with scope.every("the worker was seen last a while ago"):
        Lane.objects.filter(tenant=None, name=LaneName.POWERSHELL).update(served_at="2020-01-01T00:00Z")
    to_the_end()
    assert "no worker with PowerShell" in given_up(now(run))


@pytest.mark.parametrize("act", Act)
def test_a_site_that_is_being_worked_on_is_waited_for(contoso: Tenant, site: Site, act: Act) -> None:
    """Its device's lane would let the look wait behind that work."""
    with scope.one(contoso.id):
        Site.objects.filter(id=site.id).update(sbc_state=SiteState.DEPLOYING)
        with pytest.raises(UmpError) as refused:
            services.look(SYSTEM, contoso, act)
    assert "its site Zurich is being worked on" in refused.value.message
