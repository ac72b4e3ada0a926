"""The plan against a model of the module: done once it is done, and taken back it leaves what was there."""

from __future__ import annotations

import contextlib
import itertools
import json
from collections.abc import Iterable, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import OutcomeUnknown, UmpError
from m365 import voice, voice_plan
from m365.clouds import CLOUDS
from m365.powershell import faults
from m365.powershell.actions import Action
from m365.powershell.calls import Call
from m365.powershell.cmdlets import READS, users_with
from m365.voice import DialPlan, Gateway, Part, Policy, Route, Routing, Rule, Thing, Usage
from m365.voice_plan import Step
from tests.m365.teams_model import FaultError, TeamsModel

SHORT = Rule("Short", r"^(\d{3})$", "+41581234$1")
ZURICH = voice.for_site("Acme Zurich", "zurich.voice.example.com", rules=[SHORT])
GENEVA = voice.for_site("Acme Geneva", "geneva.voice.example.com", own_gateway=True, port=5068)


def seen(teams: TeamsModel) -> Routing:
    return voice.observed({name: teams.run(call.as_json()) for name, call in READS.items()})


def carry_out(teams: TeamsModel, steps: Iterable[Step]) -> None:
    for step in steps:
        if step.call is not None:
            teams.run(step.call.as_json())


def actions(steps: Sequence[Step]) -> list[tuple[Part, Action]]:
    return [(step.thing.part, step.action) for step in steps]


def test_a_derived_trunk_needs_no_gateway() -> None:
    teams = TeamsModel()
    steps = voice_plan.plan(ZURICH, seen(teams))
    assert actions(steps) == [
        (Part.USAGE, Action.CREATE),
        (Part.ROUTE, Action.CREATE),
        (Part.POLICY, Action.CREATE),
        (Part.DIAL_PLAN, Action.CREATE),
    ]
    carry_out(teams, steps)
    assert teams.writes == [
        "Set-CsOnlinePstnUsage Global",
        "New-CsOnlineVoiceRoute Acme Zurich",
        "New-CsOnlineVoiceRoutingPolicy Acme Zurich",
        "New-CsTenantDialPlan Acme Zurich",
    ]
    again = voice_plan.plan(ZURICH, seen(teams), owned=voice_plan.created(steps))
    assert voice_plan.writing(again) == ()
    assert {step.action for step in again} == {Action.NOTHING}


def test_an_own_gateway_is_enabled() -> None:
    teams = TeamsModel()
    carry_out(teams, voice_plan.plan(GENEVA, seen(teams)))
    (gateway,) = seen(teams).gateways
    assert gateway == Gateway("geneva.voice.example.com", 5068)
    assert gateway.enabled  # Teams makes them disabled


def test_what_is_not_the_portals_is_left_to_a_person() -> None:
    teams = TeamsModel()
    foreign = Routing(usages=(Usage("ACME ZURICH"),), routes=(Route("acme zurich", "^1", (), ()),))
    carry_out(teams, voice_plan.plan(foreign, seen(teams)))
    steps = voice_plan.plan(ZURICH, seen(teams))
    usage, route, *_ = steps
    assert (usage.action, usage.thing) == (Action.NOTHING, Thing(Part.USAGE, "acme zurich"))
    assert "did not create it" in usage.why
    assert voice_plan.blocked(steps) == (route,)
    assert route.call is None
    decided = voice_plan.plan(ZURICH, seen(teams), take_over=[route.thing])
    assert decided[1].action is Action.CHANGE
    carry_out(teams, decided)
    assert seen(teams).find(route.thing) == Route(
        "acme zurich", ".*", ("zurich.voice.example.com",), ("Acme Zurich",)
    )


def test_a_site_that_is_gone_takes_only_its_own() -> None:
    teams = TeamsModel()
    both = voice.combined([ZURICH, GENEVA])
    first = voice_plan.plan(both, seen(teams))
    carry_out(teams, first)
    second = voice_plan.plan(ZURICH, seen(teams), owned=voice_plan.created(first))
    assert [(str(step.thing), step.action) for step in voice_plan.writing(second)] == [
        ("voice routing policy Acme Geneva", Action.REMOVE),
        ("voice route Acme Geneva", Action.REMOVE),
        ("PSTN usage Acme Geneva", Action.REMOVE),
        ("PSTN gateway geneva.voice.example.com", Action.REMOVE),
    ]
    carry_out(teams, second)
    assert voice_plan.writing(voice_plan.plan(ZURICH, seen(teams), owned=voice_plan.created(first))) == ()


def test_undo_deploy_leaves_what_others_use() -> None:
    teams = TeamsModel()
    before = seen(teams)
    owned = voice_plan.created(steps := voice_plan.plan(GENEVA, before))
    carry_out(teams, steps)
    theirs = Route("Theirs", "^1", ("geneva.voice.example.com",))
    carry_out(teams, voice_plan.plan(voice.of([theirs]), seen(teams)))
    policy = Thing(Part.POLICY, "Acme Geneva")
    undone = voice_plan.removal(owned, seen(teams), in_use={policy: "3 users have it"})
    assert {str(step.thing): (step.action, step.why) for step in undone if step.action is Action.KEEP} == {
        "voice routing policy Acme Geneva": (Action.KEEP, "it stays: 3 users have it"),
        "PSTN usage Acme Geneva": (Action.KEEP, "it stays: the voice routing policy Acme Geneva uses it"),
        "PSTN gateway geneva.voice.example.com": (Action.KEEP, "it stays: the voice route Theirs uses it"),
    }
    carry_out(teams, undone)
    assert [route.name for route in seen(teams).routes] == ["Theirs"]


def test_a_gateway_stays_while_a_route_names_its_trunk() -> None:
    """Whoever goes over to a derived trunk of the same name takes the gateway away by hand."""
    teams = TeamsModel()
    steps = voice_plan.plan(GENEVA, seen(teams))
    carry_out(teams, steps)
    derived = voice.for_site("Acme Geneva", "geneva.voice.example.com")
    then = voice_plan.plan(derived, seen(teams), owned=voice_plan.created(steps))
    assert voice_plan.writing(then) == ()
    assert (then[-1].action, then[-1].why) == (Action.KEEP, "it stays: the voice route Acme Geneva uses it")


def test_undo_leaves_alone_what_others_changed_since() -> None:
    teams = TeamsModel()
    steps = voice_plan.plan(ZURICH, seen(teams))
    carry_out(teams, steps)
    teams.run(
        {"cmdlet": "Set-CsOnlineVoiceRoute", "parameters": {"Identity": "Acme Zurich", "NumberPattern": "^9"}}
    )
    teams.run({"cmdlet": "Remove-CsTenantDialPlan", "parameters": {"Identity": "Acme Zurich"}})
    undone = voice_plan.undo(steps, seen(teams))
    assert [(step.thing.part, step.action, step.why) for step in undone] == [
        (Part.DIAL_PLAN, Action.NOTHING, "it is gone already"),
        (Part.POLICY, Action.REMOVE, "takes back: a site needs it and Teams does not have it"),
        (Part.ROUTE, Action.KEEP, "it stays: somebody changed it since"),
        (Part.USAGE, Action.KEEP, "it stays: the voice route Acme Zurich uses it"),
    ]
    carry_out(teams, undone)


# --- Any wish, any state ----------------------------------------------------------------------------------

NAMES = st.sampled_from(["A", "a", "B", "C d"])
HOSTS = st.sampled_from(["one.voice.example.com", "two.voice.example.com"])
PATTERNS = st.sampled_from([".*", r"^\+41", "^(112|911)$"])
RULES = st.lists(
    st.builds(Rule, NAMES, PATTERNS, st.just("+1$1"), st.booleans()),
    max_size=2,
    unique_by=lambda r: r.name.lower(),
)


@st.composite
def routings(draw: st.DrawFn) -> Routing:
    """Any voice routing that Teams would take, not only what the portal makes."""
    usages = draw(st.lists(NAMES, max_size=3, unique_by=str.lower))
    some = st.lists(st.sampled_from(usages), max_size=2, unique=True) if usages else st.just([])
    named = {"unique_by": lambda noun: noun.name.lower(), "max_size": 2}
    gateway = st.builds(Gateway, HOSTS, st.sampled_from([5061, 5068]), media_bypass=st.booleans())
    gateways = draw(st.lists(gateway, **named))
    # A trunk is derived or a gateway of one's own; the same name for both is a test of its own.
    trunks = st.sampled_from(["derived.voice.example.com", *(each.name for each in gateways)])
    route = st.builds(
        Route, NAMES, PATTERNS, st.lists(trunks, max_size=2, unique=True).map(tuple), some.map(tuple)
    )
    routes = draw(st.lists(route, **named))
    policies = draw(st.lists(st.builds(Policy, NAMES, some.map(tuple)), **named))
    dial_plans = draw(st.lists(st.builds(DialPlan, NAMES, RULES.map(tuple)), **named))
    return voice.of([*gateways, *map(Usage, usages), *routes, *policies, *dial_plans])


def filled(routing: Routing) -> TeamsModel:
    teams = TeamsModel()
    carry_out(teams, voice_plan.plan(routing, seen(teams)))
    return teams


def alike(one: Routing, other: Routing) -> bool:
    left, right = one.by_thing(), other.by_thing()
    return left.keys() == right.keys() and all(voice.same(left[thing], right[thing]) for thing in left)


@settings(deadline=None, max_examples=40)
@given(routings(), routings(), st.booleans(), st.data())
def test_a_plan_that_was_carried_out_leaves_nothing_to_do(
    there: Routing, wanted: Routing, everything_ours: bool, data: st.DataObject
) -> None:
    teams = filled(there)
    before = seen(teams)
    things = sorted(before.by_thing().keys(), key=str)
    owned = set(things) if everything_ours else set(data.draw(st.lists(st.sampled_from(things), max_size=4)))
    owned -= {Thing(Part.POLICY, "Global"), Thing(Part.DIAL_PLAN, "Global")}
    steps = voice_plan.plan(wanted, before, owned=owned)
    carry_out(teams, steps)
    now = seen(teams)
    assert alike(now, voice_plan.after(before, steps))
    again = voice_plan.plan(wanted, now, owned=owned | voice_plan.created(steps))
    assert voice_plan.writing(again) == ()
    # What is not the portal's is as it was.
    for thing, noun in before.by_thing().items():
        if thing not in owned:
            assert now.find(thing) == noun
    # Undone, everything is as before.
    carry_out(teams, voice_plan.undo(steps, now))
    assert alike(seen(teams), before)


@settings(deadline=None, max_examples=40)
@given(routings(), routings(), st.integers(0, 12))
def test_a_run_that_was_cut_off_goes_on_or_back(there: Routing, wanted: Routing, done: int) -> None:
    before = seen(filled(there))
    owned = set(before.by_thing()) - {Thing(Part.POLICY, "Global"), Thing(Part.DIAL_PLAN, "Global")}
    steps = voice_plan.plan(wanted, before, owned=owned)
    for resumed in (True, False):
        teams = filled(there)
        carry_out(teams, steps[:done])
        if resumed:
            carry_out(teams, voice_plan.plan(wanted, seen(teams), owned=owned | voice_plan.created(steps)))
            assert alike(seen(teams), voice_plan.after(before, steps))
        else:
            # The step that was cut off may have been done or not: it was begun either way.
            carry_out(teams, voice_plan.undo(steps[: done + 1], seen(teams)))
            assert alike(seen(teams), before)


@settings(deadline=None, max_examples=40)
@given(routings(), routings())
def test_steps_are_kept_and_read_back(there: Routing, wanted: Routing) -> None:
    steps = voice_plan.plan(wanted, there, owned=there.by_thing())
    kept = json.loads(json.dumps([voice_plan.to_json(step) for step in steps]))
    assert tuple(voice_plan.from_json(each) for each in kept) == steps
    assert voice_plan.digest(steps) == voice_plan.digest(tuple(map(voice_plan.from_json, kept)))


class KilledError(BaseException):
    """The worker ends in the middle."""


class Line:
    """To a model of Teams, with one trouble a call, as drawn."""

    def __init__(self, teams: TeamsModel, troubles: list[str]) -> None:
        self.teams, self.troubles = teams, troubles
        self.ledger: list[Step] = []

    def run(self, call: Call, thing: str) -> None:
        trouble = self.troubles.pop() if self.troubles else ""
        if trouble == "refused":
            raise UmpError.of("throttled")
        if trouble == "lost on the way":
            raise OutcomeUnknown(thing=thing)
        if trouble == "killed before":
            raise KilledError
        self.teams.run(call.as_json())
        if trouble == "answer lost":
            raise OutcomeUnknown(thing=thing)
        if trouble == "killed after":
            raise KilledError

    def forget(self, step: Step) -> None:
        assert self.ledger.pop() == step


TROUBLES = st.lists(
    st.sampled_from(["", "refused", "lost on the way", "answer lost", "killed before", "killed after"]),
    max_size=12,
)


@settings(deadline=None, max_examples=60)
@given(routings(), routings(), TROUBLES)
def test_whatever_happens_on_the_way_it_is_done_once_and_can_be_taken_back(
    there: Routing, wanted: Routing, troubles: list[str]
) -> None:
    teams = filled(there)
    before = seen(teams)
    first = set(before.by_thing()) - {Thing(Part.POLICY, "Global"), Thing(Part.DIAL_PLAN, "Global")}
    line = Line(teams, list(troubles))
    for _ in range(len(troubles) + 2):
        steps = voice_plan.plan(wanted, seen(teams), owned=first | voice_plan.created(line.ledger))
        if not voice_plan.writing(steps):
            break
        # A second creation of the same thing would be refused by the model, and end the test.
        with contextlib.suppress(UmpError, KilledError):
            voice_plan.carry_out(line.run, steps, note=line.ledger.append, forget=line.forget)
    assert voice_plan.writing(steps) == ()
    assert alike(seen(teams), voice_plan.after(before, voice_plan.plan(wanted, before, owned=first)))
    carry_out(teams, voice_plan.undo(line.ledger, seen(teams)))
    assert alike(seen(teams), before)


def test_what_somebody_else_created_meanwhile_is_not_the_portals() -> None:
    teams = TeamsModel()
    ledger: list[Step] = []
    steps = voice_plan.plan(ZURICH, seen(teams))
    teams.run(steps[0].call.as_json() if steps[0].call else {})

    def run(call: Call, thing: str) -> None:
        try:
            teams.run(call.as_json())
        except FaultError as error:
            raise faults.of_call(error.fault, writes=True, thing=thing, tenant="Acme") from error

    with pytest.raises(UmpError) as raised:
        voice_plan.carry_out(run, steps, note=ledger.append, forget=ledger.remove)
    assert (raised.value.code, ledger) == ("remote_conflict", [])
    voice_plan.carry_out(run, voice_plan.plan(ZURICH, seen(teams)), note=ledger.append, forget=ledger.remove)
    assert Thing(Part.USAGE, "Acme Zurich") not in voice_plan.created(ledger)
    carry_out(teams, voice_plan.undo(ledger, seen(teams)))
    assert seen(teams).usages == (Usage("Acme Zurich"),)


def test_a_plan_that_waits_for_a_decision_is_not_carried_out() -> None:
    steps = voice_plan.plan(ZURICH, Routing(routes=(Route("Acme Zurich"),)))
    with pytest.raises(ValueError):
        voice_plan.carry_out(Line(TeamsModel(), []).run, steps, note=pytest.fail, forget=pytest.fail)


def test_the_digest_changes_with_the_plan() -> None:
    empty = Routing()
    digests = {voice_plan.digest(voice_plan.plan(wanted, empty)) for wanted in (ZURICH, GENEVA, empty)}
    assert len(digests) == 3


# --- What may be wished, what may be read -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"name": ""}, "Name"),
        ({"name": "x" * 48}, "Name"),
        ({"name": "Tag:x"}, "Name"),
        ({"name": "it's"}, "Name"),
        ({"name": "line\n"}, "Name"),
        ({"fqdn": "example.com"}, "FQDN"),
        ({"fqdn": "sbc.acme.onmicrosoft.com"}, "FQDN"),
        ({"fqdn": f"{'a' * 60}.example.com"}, "FQDN"),
        ({"fqdn": "sbc1.voice.example.com\nX"}, "FQDN"),
        ({"fqdn": "sbc_1.voice.example.com"}, "FQDN"),
        ({"pattern": "("}, "Number pattern"),
        ({"pattern": ""}, "Number pattern"),
        ({"pattern": "a\nb"}, "Number pattern"),
        ({"rules": [SHORT, SHORT]}, "Normalization rules"),
        ({"rules": [Rule(f"r{n}", "1", "2") for n in range(51)]}, "Normalization rules"),
        ({"rules": [Rule("x", "1", "")]}, "Translation"),
        ({"own_gateway": True, "port": 0}, "SIP signalling port"),
        ({"own_gateway": True, "port": 5068, "cloud": CLOUDS["dod"]}, "SIP signalling port"),
        ({"own_gateway": True, "max_sessions": 0}, "Concurrent sessions"),
    ],
)
def test_what_teams_would_not_take_is_refused(changed: dict[str, Any], field: str) -> None:
    with pytest.raises(UmpError) as raised:
        voice.for_site(**{"name": "Zurich", "fqdn": "zurich.voice.example.com"} | changed)
    assert (raised.value.code, raised.value.fields["field"]) == ("invalid_input", field)


def test_sites_that_want_the_same_name_must_agree() -> None:
    other = voice.for_site("acme zurich", "other.voice.example.com")
    assert voice.combined([ZURICH, ZURICH]) == ZURICH
    with pytest.raises(UmpError, match="voice route"):
        voice.combined([ZURICH, other])


def test_rows_of_powershell_are_read_as_it_writes_them() -> None:
    rows = {name: TeamsModel().run(call.as_json()) for name, call in READS.items()}
    rows["usages"] = [{"Identity": "Global", "Usage": "Only one"}]
    rows["routes"] = [
        {
            "Identity": "R",
            "NumberPattern": ".*",
            "OnlinePstnGatewayList": None,
            "OnlinePstnUsages": "Only one",
        }
    ]
    found = voice.observed(rows)
    assert found.usages == (Usage("Only one"),)
    assert found.routes == (Route("R", ".*", (), ("Only one",)),)
    assert found.policies == (Policy("Global"),)


@pytest.mark.parametrize(
    "broken",
    [{"routes": [{}]}, {"routes": ["x"]}, {"usages": [{"Usage": [1]}]}, {"gateways": [{"Identity": "x"}]},
     {"dial_plans": [{"Identity": "x", "NormalizationRules": ["x"]}]},
     {"gateways": [{"Identity": "x", "SipSignalingPort": 5061, "Enabled": "yes"}]}],
)  # fmt: skip
def test_half_a_reading_is_none(broken: dict[str, Any]) -> None:
    rows: dict[str, Any] = {name: [] for name in READS}
    with pytest.raises(UmpError) as raised:
        voice.observed(rows | broken)
    assert raised.value.code == "bad_reply"
    with pytest.raises(UmpError):
        voice.observed({name: [] for name in itertools.islice(READS, 3)})


def test_a_filter_is_quoted_in_its_own_way() -> None:
    assert dict(users_with(Policy("it's")).parameters)["Filter"] == "OnlineVoiceRoutingPolicy -eq 'it''s'"


def test_the_model_refuses_a_wrong_order() -> None:
    steps = voice_plan.plan(ZURICH, seen(TeamsModel()))
    with pytest.raises(FaultError):
        carry_out(TeamsModel(), reversed(steps))
