"""A number that is given at Microsoft and led to a site on the SBC, in one plan."""

import pytest

from provisioning import services
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
