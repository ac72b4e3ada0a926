"""The lane of work that needs PowerShell: who serves it, who is told of it, and what holds it."""

from typing import Any

import pytest
from django.conf import LazySettings

from replication import doorbell, services, states, watch
from replication.context import Done
from replication.models import LaneName, State
from tenants import scope
from tests.cast import Cast
from tests.replication.kinds import scripted
from tests.replication.test_queue import claim, row, submit

pytestmark = pytest.mark.django_db
ORDINARY = ["data", "identity", "provider", "device"]


def test_only_a_worker_that_has_powershell_takes_its_work(cast: Cast, settings: LazySettings) -> None:
    with scripted(Done("Done."), lane=LaneName.POWERSHELL), scripted(Done("Done."), name="other"):
        command, other = submit(cast.contoso), submit(cast.contoso, "other")
        settings.WORKER_LANES = ORDINARY
        assert [one.id for one in claim()] == [other.id], "and nothing waits behind what nobody can take"
        settings.WORKER_LANES = ["powershell"]
        assert [one.id for one in claim()] == [command.id]


@pytest.mark.parametrize(
    ("lane", "queue"), [(LaneName.POWERSHELL, "powershell"), (LaneName.DATA, None), (LaneName.DEVICE, None)]
)
def test_the_bell_rings_where_somebody_listens(
    lane: LaneName, queue: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    rung: list[dict[str, Any]] = []
    monkeypatch.setattr(doorbell.current_app, "send_task", lambda _, **how: rung.append(how))
    doorbell.ring(lane)
    assert [how["queue"] for how in rung] == [queue]


def test_who_is_there_is_known_from_a_sign_of_life(cast: Cast, settings: LazySettings) -> None:
    """Whether it serves or idles; an ordinary worker's life says nothing, and neither does the other way round."""
    with scope.every("a test looks"):
        assert not states.powershell_is_there()
        states.note_powershell()
        assert states.powershell_is_there()
    with scripted(lane=LaneName.POWERSHELL):
        command = submit(cast.contoso)
    with scope.every("a test turns the clock"), states.connection.cursor() as cursor:
        cursor.execute(
            "UPDATE replication_lane SET served_at = now() - interval '1 hour', due_at = served_at"
        )
        assert not states.powershell_is_there()
    assert watch.silent_since() is None, "nobody is to look for a worker that lives"
    assert row(command).state == State.QUEUED


def test_it_waits_for_the_connection_as_data_does(cast: Cast) -> None:
    tenant = cast.contoso
    with scripted(lane=LaneName.POWERSHELL):
        first = submit(tenant)
        with scope.one(tenant.id):
            services.suspend_for(tenant.id, "consent_missing")
        assert row(first).state == State.SUSPENDED
        assert claim() == []
        with scope.one(tenant.id):
            services.resume_for(tenant.id)
        assert [one.id for one in claim()] == [first.id]


def test_a_lane_that_comes_into_being_later_is_held_too(cast: Cast) -> None:
    tenant = cast.contoso
    with scope.one(tenant.id):
        services.suspend_for(tenant.id, "consent_missing")
    with scripted(lane=LaneName.POWERSHELL):
        assert row(submit(tenant)).state == State.SUSPENDED
