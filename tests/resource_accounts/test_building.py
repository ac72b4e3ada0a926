"""Building a resource account and taking it away: seen first, done once, settled after every accident."""

from __future__ import annotations

import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from core.errors import Conflict, OutcomeUnknown, UmpError
from events.models import Event
from m365 import activation
from m365.powershell import handout
from m365.powershell.actions import Action
from m365.resource_accounts import Part
from replication import services as queue
from replication import states
from replication.models import Command, Lane, LaneName, Reason, State
from resource_accounts import commands, selectors, services
from resource_accounts.models import Design, DesignState, Kind, Write
from resource_accounts.models import Outcome as Ended
from tenants import scope
from tenants.access import SYSTEM
from tenants.models import Connection
from tests.directory.pretend import Killed, code_of
from tests.m365.desk import at_will
from tests.resource_accounts.stage import Stage

pytestmark = pytest.mark.django_db
BOTH = pytest.mark.parametrize("kind", Kind.values)


def state_of(stage: Stage, design: Design) -> Design:
    with scope.one(stage.tenant.id):
        design.refresh_from_db()
    return design


def ledger(stage: Stage, design: Design) -> list[tuple[str, str, str]]:
    with scope.one(stage.tenant.id):
        return [
            (row.action, row.part, row.outcome) for row in Write.objects.filter(design=design).order_by("id")
        ]


@BOTH
def test_built_once_and_taken_away_again(stage: Stage, kind: str) -> None:
    design = stage.add(kind)
    looked = stage.looked(design)
    assert stage.teams.writes == []
    assert looked.result["plan"]
    done = stage.carried_out(stage.build(design))
    assert (done.state, done.outcome) == ("succeeded", "complete")
    assert state_of(stage, design).state == DesignState.BUILT
    assert {outcome for _, _, outcome in ledger(stage, design)} == {Ended.DONE}
    assert {step.action for step in stage.steps(design)} == {Action.NOTHING}
    written = list(stage.teams.writes)
    stage.carried_out(stage.build(design))
    assert stage.teams.writes == written, "twice is once"

    stage.carried_out(stage.remove(design))
    teams = stage.teams
    assert (teams.accounts, teams.bodies, teams.schedules, teams.numbers) == ({}, {}, {}, {})
    assert state_of(stage, design).state == DesignState.NONE
    assert design.owned == {}


@BOTH
@pytest.mark.parametrize("when", ["before", "after"])
def test_killed_at_each_write_and_claimed_anew(stage: Stage, kind: str, when: str) -> None:
    """The worker dies before or after every single write of building and removing; each thing is made once."""
    design = stage.add(kind)
    struck: set[tuple[str, str]] = set()

    def die(cmdlet: str) -> None:
        key = (act, cmdlet + str(len(stage.teams.schedules)))
        if key not in struck:
            struck.add(key)
            raise Killed

    setattr(stage.teams, f"{when}_write", die)
    for act, submit in (("build", stage.build), ("remove", stage.remove)):
        command = submit(design)
        for _ in range(200):
            try:
                stage.worker.wait_is_over(command)
                stage.worker.finish(command)
            except Killed:
                stage.worker.take_back()
            if command.state == "succeeded":
                break
        assert command.state == "succeeded"
        if act == "build":
            assert len(stage.teams.accounts) == len(stage.teams.bodies) == len(stage.teams.numbers) == 1
            assert len(stage.teams.schedules) == (2 if kind == Kind.AUTO_ATTENDANT else 0)
    assert struck
    assert (stage.teams.accounts, stage.teams.bodies, stage.teams.schedules) == ({}, {}, {})


def test_a_lost_answer_is_settled_by_reading(stage: Stage) -> None:
    design = stage.add(Kind.CALL_QUEUE)
    lost = iter([True])

    def lose(cmdlet: str) -> None:
        if cmdlet == "New-CsCallQueue" and next(lost, False):
            raise OutcomeUnknown(thing="it")

    stage.teams.after_write = lose
    done = stage.carried_out(stage.build(design))
    assert done.state == "succeeded"
    assert len(stage.teams.bodies) == 1
    with scope.one(stage.tenant.id):
        assert set(selectors.owned(state_of(stage, design))) == {
            Part.ACCOUNT,
            Part.QUEUE,
            Part.LINK,
            Part.NUMBER,
        }


def test_no_app_makes_an_account_but_the_rest_goes_on_with_a_persons(stage: Stage) -> None:
    """Decision 30, and SYN-17: neither the connection nor the data lane is concerned."""
    stage.teams.person = False
    design = stage.add()
    command = stage.carried_out(stage.build(design))
    assert (command.state, code_of(command)) == ("suspended", "resource_account_needs_person")
    assert stage.teams.writes == []
    with scope.one(stage.tenant.id):
        assert (
            not Lane.objects.filter(tenant=stage.tenant, name=LaneName.DATA)
            .exclude(suspended_code="")
            .exists()
        )
        assert Connection.objects.get(tenant=stage.tenant).problem is None
    stage.teams.person = True
    stage.teams.run(commands.calls.create(wish(stage, design), Part.ACCOUNT, {}))
    stage.teams.person = False
    stage.looked(design)
    assert stage.carried_out(stage.build(design)).state == "succeeded"
    stage.carried_out(stage.remove(design))
    assert len(stage.teams.accounts) == 1, "what a person made stays"


def test_what_its_sign_in_meets_concerns_nothing_else(stage: Stage) -> None:
    """SYN-17: a fault that would count against the connection does not, and is told as what it is."""
    design = stage.add()

    def refused(cmdlet: str) -> None:
        raise UmpError.of("secret_expired", app="the app", tenant="Contoso")

    stage.teams.before_write = refused
    command = stage.carried_out(stage.build(design))
    assert (command.state, code_of(command)) == ("suspended", "service_account_failed")
    assert (state_of(stage, design).problem or {})["code"] == "service_account_failed"
    with scope.one(stage.tenant.id):
        assert not Lane.objects.filter(tenant=stage.tenant).exclude(suspended_code="").exists()
        assert Connection.objects.get(tenant=stage.tenant).problem is None


def test_an_account_is_licensed_before_it_takes_a_number(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    users = iter([None, activation.User("a", "desk@contoso.test", frozenset(), phone=False)])
    done: list[Any] = []
    free = [activation.Licence("e5", "E5", 9, 0), activation.Licence("r", "Resource", 1, 2)]
    graph = SimpleNamespace(patch=lambda path, body: done.append((path, body)))
    monkeypatch.setattr(activation, "find", lambda graph, account: next(users))
    monkeypatch.setattr(activation, "country", lambda graph, tenant: "DE")
    monkeypatch.setattr(activation, "phone_licences", lambda graph: free)
    monkeypatch.setattr(
        activation, "assign", lambda graph, user, licence, tenant: done.append(licence.sku_id)
    )
    asked: list[Any] = []
    line = SimpleNamespace(graph=lambda **how: asked.append(how["before_write"]) or graph, name="Contoso")
    ctx = SimpleNamespace(stop=None, still_ours=at_will)
    work: Any = SimpleNamespace(line=line, ctx=ctx, design=stage.add())
    with pytest.raises(UmpError, match="does not know the new account"):
        commands._Work.license(work, "a")
    commands._Work.license(work, "a")
    assert done == [("/users/a", {"usageLocation": "DE"}), "r"]
    assert asked == [at_will, at_will], "the licence is given by whoever holds the lease"


def test_an_account_is_removed_by_whoever_holds_the_lease(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[Any] = []
    monkeypatch.setattr(activation, "remove", lambda asked, account: done.append((asked, account)))
    work: Any = SimpleNamespace(
        line=SimpleNamespace(graph=lambda **how: how["before_write"]),
        ctx=SimpleNamespace(stop=None, still_ours=at_will),
    )
    step: Any = None
    commands._Work._done(work, step, None, {Part.ACCOUNT: "a"})
    assert done == [(at_will, "a")]


def wish(stage: Stage, design: Design) -> Any:
    with scope.one(stage.tenant.id):
        return commands.shapes.wish_of(design)


def test_what_changed_since_it_was_seen_is_not_done(stage: Stage) -> None:
    design = stage.add()
    with scope.one(stage.tenant.id), pytest.raises(Conflict, match="another one"):
        services.build(SYSTEM, design, "0" * 64)
    command = stage.build(design)
    stage.teams.run(commands.calls.create(wish(stage, design), Part.ACCOUNT, {}))
    written = list(stage.teams.writes)
    assert code_of(stage.carried_out(command)) == "resource_plan_changed"
    assert stage.teams.writes == written
    assert state_of(stage, design).state == DesignState.FAILED


def test_what_a_suspended_build_goes_on_with_was_seen_too(stage: Stage) -> None:
    """Its design may be edited while it waits for a person."""
    stage.teams.person = False
    design = stage.add()
    command = stage.carried_out(stage.build(design))
    assert code_of(command) == "resource_account_needs_person"
    with scope.one(stage.tenant.id):
        services.change(SYSTEM, design, number="+4930222")
        queue.retry(SYSTEM, command)
    stage.teams.person = True
    assert code_of(stage.carried_out(command)) == "resource_plan_changed"
    assert stage.teams.writes == []


def test_what_changed_in_teams_while_a_build_waited_is_not_done(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Changing a queue was agreed to, making another one was not."""
    monkeypatch.setattr(services, "young_since", lambda: "9999-12-31")
    design = stage.add(Kind.CALL_QUEUE)
    stage.carried_out(stage.build(design))
    with scope.one(stage.tenant.id):
        services.change(SYSTEM, design, number="+4930222", spec={**design.spec, "greeting": "Good day"})
    command = retried_after(stage, design, "Set-CsCallQueue")
    stage.teams.bodies.clear()
    written = list(stage.teams.writes)
    assert code_of(stage.carried_out(command)) == "resource_plan_changed"
    assert stage.teams.writes == written
    stage.looked(design)
    assert stage.carried_out(stage.build(design)).state == "succeeded"
    assert set(stage.teams.numbers) == {"+4930222"}


def test_a_suspended_build_goes_on_where_it_stopped(stage: Stage) -> None:
    design = stage.add()
    command = retried_after(stage, design, "New-CsAutoAttendant")
    assert stage.carried_out(command).state == "succeeded"
    assert state_of(stage, design).state == DesignState.BUILT


def retried_after(stage: Stage, design: Design, refused: str) -> Command:
    """A build that was suspended as this cmdlet was refused, and that somebody retries; it has not gone on yet."""

    def refuse(cmdlet: str) -> None:
        if cmdlet == refused:
            raise UmpError.of("account_disabled")

    stage.teams.before_write = refuse
    command = stage.carried_out(stage.build(design))
    assert command.state == "suspended"
    stage.teams.before_write = lambda cmdlet: None
    with scope.one(stage.tenant.id):
        queue.retry(SYSTEM, command)
    return command


@pytest.mark.parametrize("code", ["resource_account_propagating", "throttled"])
def test_what_goes_by_itself_fails_once_it_is_not_tried_any_more(stage: Stage, code: str) -> None:
    """Patience uses no attempt."""

    def late(cmdlet: str) -> None:
        tries.append(cmdlet)
        raise UmpError.of(code, thing="it")

    tries: list[str] = []
    stage.teams.before_write = late
    design = stage.add(Kind.CALL_QUEUE)
    command = stage.build(design)
    for _ in range(12):
        assert state_of(stage, design).state == DesignState.BUILDING
        stage.worker.finish(command)
        if command.state == "failed":
            break
        stage.worker.wait_is_over(command)
    ended = code != "throttled"
    assert (command.state, len(tries)) == (("failed", commands.MOST_ATTEMPTS) if ended else ("queued", 12))
    assert state_of(stage, design).state == (DesignState.FAILED if ended else DesignState.BUILDING)
    assert (design.problem or {})["code"] == code
    assert services.find_interrupted() == 0


@pytest.mark.parametrize("why", ["cancelled", "poison"])
def test_what_nobody_works_on_any_more_does_not_seem_to_be(stage: Stage, why: str) -> None:
    def left() -> DesignState:
        command = stage.build(design)
        assert services.find_interrupted() == 0
        if why == "cancelled":
            stage.worker.cancel(command)
        else:
            with scope.one(stage.tenant.id):
                states.move(command.id, from_=State.QUEUED, to=State.SUSPENDED, reason=Reason.POISON)
        assert (services.find_interrupted(), services.find_interrupted()) == (1, 0)
        return DesignState(state_of(stage, design).state)

    design = stage.add(Kind.CALL_QUEUE)
    assert (left(), design.problem) == (DesignState.NONE, None)
    with scope.one(stage.tenant.id):
        Design.objects.filter(pk=design.pk).update(by_hand=True)
    assert left() == DesignState.BUILT
    with scope.one(stage.tenant.id):
        Design.objects.filter(pk=design.pk).update(by_hand=False)
    stage.carried_out(stage.build(design))
    assert left() == DesignState.FAILED
    assert (design.problem or {})["code"] == "resource_account_interrupted"
    with scope.one(stage.tenant.id):
        failed = Event.objects.filter(type="resource_account.failed").order_by("-id")
        told = [row.data for row in failed]
        assert [each["code"] for each in told] == ["resource_account_interrupted"] * 3
        assert told[0]["command"] == selectors.commands(design).values_list("id", flat=True)[0]


def test_work_that_is_held_with_its_connection_is_not_given_up(stage: Stage) -> None:
    design = stage.add()
    command = stage.build(design)
    with scope.one(stage.tenant.id):
        states.move(command.id, from_=State.QUEUED, to=State.SUSPENDED, reason=Reason.CONNECTION)
    assert services.find_interrupted() == 0
    assert state_of(stage, design).state == DesignState.BUILDING


def test_a_number_of_somebody_else_waits_for_a_person(stage: Stage) -> None:
    design = stage.add()
    stage.teams.numbers["+4930111"] = "somebody"
    stage.looked(design)
    blocked = [step for step in stage.steps(design) if step.action is Action.CONFLICT]
    assert [step.part for step in blocked] == [Part.NUMBER]
    with scope.one(stage.tenant.id), pytest.raises(Conflict, match="somebody else has this number"):
        services.build(SYSTEM, design, commands.planning.fingerprint(selectors.to_build(design)))


def test_what_microsoft_refuses_is_told_and_is_not_ours(stage: Stage) -> None:
    design = stage.add(Kind.CALL_QUEUE)

    def refuse(cmdlet: str) -> None:
        if cmdlet == "New-CsCallQueue":
            raise UmpError.of("teams_refused", thing="it")

    stage.teams.before_write = refuse
    command = stage.carried_out(stage.build(design))
    assert code_of(command) == "teams_refused"
    assert ledger(stage, design)[-1] == ("create", "call queue", Ended.REFUSED)
    with scope.one(stage.tenant.id):
        assert set(selectors.owned(state_of(stage, design))) == {Part.ACCOUNT}
    stage.teams.before_write = lambda cmdlet: None
    stage.carried_out(stage.remove(design))
    assert stage.teams.accounts == {}


def test_an_edit_of_what_is_built_is_a_plan_again(stage: Stage) -> None:
    design = stage.add()
    stage.carried_out(stage.build(design))
    with scope.one(stage.tenant.id):
        services.change(SYSTEM, design, number="+4930222", spec={**design.spec, "greeting": "Good day"})
        with pytest.raises(UmpError, match="name"):
            services.change(SYSTEM, design, name="Front desk")
        with pytest.raises(Conflict, match="remove that first"):
            services.delete(SYSTEM, design)
    stage.carried_out(stage.build(design))
    assert set(stage.teams.numbers) == {"+4930222"}
    (attendant,) = stage.teams.bodies.values()
    assert attendant["DefaultCallFlow"]["Greetings"][0]["TextToSpeechPrompt"] == "Good day"


def test_without_powershell_nothing_is_queued_and_a_person_does_it(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    design = stage.add(Kind.CALL_QUEUE)
    monkeypatch.setattr(selectors, "powershell_is_there", lambda: False)
    with scope.one(stage.tenant.id):
        with pytest.raises(UmpError, match="PowerShell"):
            services.look(SYSTEM, design)
        assert not Command.objects.filter(kind=selectors.BUILD).exists()
        assert "New-CsCallQueue" in services.ready_script(design)
        services.verify(SYSTEM, design, pasted(stage, design))
    assert (state_of(stage, design).state, design.by_hand) == (DesignState.NONE, False)
    before: Callable[..., Any] = stage.build
    monkeypatch.setattr(selectors, "powershell_is_there", lambda: True)
    other = stage.carried_out(before(design))  # as a person's run of the script would
    assert other.state == "succeeded"
    with scope.one(stage.tenant.id):
        Design.objects.filter(pk=design.pk).update(owned={}, state="")
        row = services.verify(SYSTEM, design, pasted(stage, design))
    assert (row.state, row.by_hand, row.owned) == (DesignState.BUILT, True, {})
    assert {step.action for step in stage.steps(design)} == {Action.NOTHING}


def pasted(stage: Stage, design: Design) -> str:
    reads = commands.calls.reads(commands.shapes.bare(design))
    rows = {name: stage.teams.run(call) for name, call in reads.items()}
    told = {"organisation": str(stage.tenant.entra_tenant_id), **rows}
    return handout.MARK + json.dumps(told)
