"""The demo's samples of changes come by the same services, once the copy is there, and once only."""

import pytest

from accounts.models import User
from provisioning.models import Edit, Plan
from replication.models import Command
from telephony import ranges
from telephony.models import NumberKind, TeamsStream
from tenants import scope
from tenants.abilities import Role
from tenants.access import SYSTEM
from tenants.models import Tenant
from tenants.services import give_role
from tests.provisioning.helpers import Stage
from ump_portal.management import sample_changes
from user_templates.models import UserTemplate

pytestmark = pytest.mark.django_db
FIRST, LAST = "+41589062000", "+41589062049"


def call(stage: Stage, name: str) -> None:
    with scope.one(stage.tenant.id):
        Tenant.objects.filter(id=stage.tenant.id).update(name=name)
    user = User.objects.create_user(email=sample_changes.ASKER, password="correct horse battery", name="Olga")
    give_role(SYSTEM, user_id=user.id, email=user.email, role=Role.OPERATOR, tenant=None)


def test_a_template_is_in_use_and_a_faulty_one_is_off(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sample_changes, "_left", {sample_changes.WITH_TEMPLATES: sample_changes._templates})
    monkeypatch.setattr(sample_changes, "SMALL", 120)
    call(stage, sample_changes.WITH_TEMPLATES)
    with scope.one(stage.tenant.id):
        kind = NumberKind.DIRECT_ROUTING
        ranges.add(SYSTEM, stage.tenant, name=sample_changes.RANGE, kind=kind, first=FIRST, last=LAST)
        synced = TeamsStream.objects.values_list("stream", "synced_at")[0]
        TeamsStream.objects.filter(stream=synced[0]).update(synced_at=None)
        sample_changes.advance()
        assert not UserTemplate.objects.exists(), "the copy is not there yet"
        TeamsStream.objects.filter(stream=synced[0]).update(synced_at=synced[1])
    for _ in range(2):
        sample_changes.advance()
    with scope.one(stage.tenant.id):
        assert [row.on for row in UserTemplate.objects.all()] == [True, False]
        command = Command.objects.get(kind="apply_templates")
    stage.finish(command)
    sample_changes.advance()
    assert stage.process().outcome in {"complete", "partial"}
    sample_changes.advance()
    assert sample_changes._left == {}
    with scope.one(stage.tenant.id):
        assert (UserTemplate.objects.count(), Plan.objects.get().state) == (2, "applied")
    assert any(FIRST <= number <= LAST for number in stage.held())


def test_a_plan_waits(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sample_changes, "_left", {sample_changes.WAITS: sample_changes._waiting})
    call(stage, sample_changes.WAITS)
    sample_changes.advance()
    assert sample_changes._left == {}
    with scope.one(stage.tenant.id):
        command = Command.objects.get(kind="apply_changes", dry_run=True)
    stage.finish(command)
    with scope.one(stage.tenant.id):
        assert Edit.objects.get().actor_label == "Olga"
        assert (Plan.objects.get().state, Plan.objects.get().figures.get("change", 0) > 0) == ("ready", True)
        waiting = Command.objects.get(kind="apply_changes", dry_run=False)
        assert (waiting.not_before - waiting.queued_at).total_seconds() > sample_changes.A_DAY / 2
