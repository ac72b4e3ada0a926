"""A number that is given at Microsoft and led to a site on the SBC, in one plan."""

import datetime as dt

import pytest
from django.utils import timezone

from provisioning import applying, services
from provisioning.models import LineState
from replication import states
from replication.models import Command, Lane, Reason, State
from sbc.models import Sbc
from simulator.sbc.device import Device
from sites.models import Prefix
from tenants import scope
from tenants.access import SYSTEM
from tests.provisioning.helpers import Stage, codes
from tests.sites.numbers import place

pytestmark = pytest.mark.django_db


def rules(device: Device) -> list[str]:
    return [line for line in device.running.ini().splitlines() if "+41589061" in line]


def test_a_number_is_given_and_led_to_the_site_and_both_are_taken_back(
    sbc: Sbc, device: Device, stage: Stage
) -> None:
    site = place(stage.tenant, sbc)
    (user,), (number,) = stage.without_number(1), stage.free(1)
    before = stage.held()
    wishes = [(user, "number", number), (user, f"route:{site.uid}:{number}", True)]
    assert codes(stage.ask(wishes)) == ["", "route_outside_ranges"], "that is for the provider"
    asked = stage.ask(wishes, actor=SYSTEM)
    assert codes(asked) == ["", ""]
    done = stage.process()
    assert done.outcome == "complete", [(row.aspect, row.problem) for row in stage.changes()]
    assert stage.held()[number] == str(user)
    assert len(rules(device)) == 1
    with scope.one(stage.tenant.id):
        assert [row.prefix for row in Prefix.objects.filter(site=site)] == [number]
        undone, left = services.undo(SYSTEM, stage.tenant, stage.plan())
    stage.replicate()
    assert (len(undone.kept), left) == (2, [])
    assert stage.process().outcome == "complete"
    assert stage.held() == before
    assert rules(device) == []


def test_a_site_that_is_not_on_its_sbc_leads_nowhere(sbc: Sbc, stage: Stage) -> None:
    (user,), (number,) = stage.without_number(1), stage.free(1)
    site = place(stage.tenant, sbc, sbc_state="")
    assert codes(stage.ask([(user, f"route:{site.uid}:{number}", True)])) == ["route_failed"]
    assert stage.changes() == []


def waiting_for_a_rule(sbc: Sbc, stage: Stage) -> Command:
    """Apply changes, with a number led to a site, after what it does at once."""
    site = place(stage.tenant, sbc)
    (user,), (number,) = stage.without_number(1), stage.free(1)
    command = stage.ask([(user, f"route:{site.uid}:{number}", True)], actor=SYSTEM).command
    assert command is not None
    return stage.finish(command, most=1)


@pytest.mark.parametrize("state", [State.CANCELLED, State.SUSPENDED])
def test_a_rule_that_nobody_is_going_to_write_has_failed(
    sbc: Sbc, device: Device, stage: Stage, state: State
) -> None:
    """Its command waits while the device is away, and is cancelled, or suspended."""
    command = waiting_for_a_rule(sbc, stage)
    (line,) = stage.lines(stage.plan())
    assert (command.state, line.state) == ("queued", LineState.ACCEPTED)
    with scope.every("a test stops what writes the rule"):
        writes = Command.objects.get(kind="write_numbers")
        states.move(writes.id, from_=State.QUEUED, to=state, reason=Reason.PERSON)
    done = stage.finish(command, most=1)
    assert (done.state, done.outcome) == ("succeeded", "partial")
    (change,) = stage.changes()
    assert (change.state, change.problem["code"]) == ("failed", "route_failed")
    assert "its command was cancelled or is suspended" in change.problem["message"]
    assert rules(device) == []


def test_an_sbc_that_is_away_for_long_keeps_no_other_change_waiting(
    sbc: Sbc, device: Device, stage: Stage
) -> None:
    command = waiting_for_a_rule(sbc, stage)
    with scope.every("a test lets the rule wait"):
        lanes = Lane.objects.filter(id__in=Command.objects.filter(kind="write_numbers").values("lane_id"))
        assert lanes.update(not_before=timezone.now() + dt.timedelta(days=1)) == 1
    stage.pass_time(applying.LONGEST_RUN - 60)
    assert stage.finish(command, most=1).state == "queued"
    stage.pass_time(60)
    assert stage.finish(command, most=1).outcome == "partial"
    (line,) = stage.lines(stage.plan())
    assert (line.state, line.problem["code"]) == (LineState.UNSEEN, "route_failed")
