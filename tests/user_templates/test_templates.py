"""Templates: first seen, then by themselves; once; never against a person; and stopped when they would take much."""

import dataclasses
import uuid
from typing import Any

import pytest

from core.errors import Conflict, UmpError
from directory.models import DirectoryUser, GroupMember
from provisioning import services as provisioning
from provisioning.models import Change, ChangeState, Source
from replication import plans
from replication import services as queue
from replication.models import Command
from telephony import intervals, ranges
from telephony.models import NumberKind, TeamsUser
from tenants import scope
from tenants.abilities import Role
from tenants.access import SYSTEM, Actor
from tests.provisioning.helpers import ANNA, Stage
from user_templates import services, work
from user_templates.models import Given, UserTemplate

pytestmark = pytest.mark.django_db


def group_of(stage: Stage, *users: uuid.UUID) -> uuid.UUID:
    """A group at Microsoft and in the copy, with these direct members."""
    directory = stage.customer.directory
    index = stage.customer.create(
        "groups", displayName="Sales floor", securityEnabled=True, mailEnabled=False
    )
    stage.customer.join(index, *(directory.users.find(str(user)) for user in users))
    stage.worker.run(stage.customer, "quick_replication")
    return uuid.UUID(directory.groups.ids[index])


def template(stage: Stage, group: uuid.UUID, name: str = "Sales", **given: Any) -> UserTemplate:
    with scope.one(stage.tenant.id):
        return services.add(SYSTEM, stage.tenant, name=name, group_id=group, **given)


def start(stage: Stage, row: UserTemplate, actor: Actor = SYSTEM) -> Command:
    with scope.one(stage.tenant.id):
        command = services.confirm(actor, row, row.row_version)
    return stage.finish(command)


def pool(stage: Stage, first: str = "+41589062000", last: str = "+41589062049") -> str:
    with scope.one(stage.tenant.id):
        rule = intervals.between(first, last)
        made = ranges.add(
            SYSTEM, stage.tenant, name="Pool", kind=NumberKind.DIRECT_ROUTING, first=first, last=last
        )
        assert rule.numbers == made.numbers
        return str(made.uid)


def asked(stage: Stage) -> list[Change]:
    with scope.one(stage.tenant.id):
        return list(Change.objects.filter(edit__source=Source.TEMPLATE).select_related("edit").order_by("id"))


def test_members_get_numbers_and_details_once(stage: Stage) -> None:
    users = stage.without_number(3)
    group, numbers = group_of(stage, *users), pool(stage)
    row = template(stage, group, numbers=numbers, values=[["user:city", "Bern"]])
    with scope.one(stage.tenant.id):
        assert (row.on, len(work.of_template(stage.tenant, row).wishes)) == (False, 6)
    start(stage, row)
    assert stage.process().outcome == "complete"
    held = stage.held()
    assert {number for number, who in held.items() if who in {str(user) for user in users}} == {
        "+41589062000", "+41589062001", "+41589062002",
    }  # fmt: skip
    stage.replicate()
    with scope.one(stage.tenant.id):
        assert services.schedule() == 1
        command = Command.objects.get(kind="apply_templates", state="queued")
    assert stage.finish(command).message == "Everybody has what the templates give."
    assert len(asked(stage)) == 6


def asks_again(stage: Stage) -> int:
    """Another round after another replication; how many changes it asked for."""
    before = len(asked(stage))
    stage.replicate()
    with scope.one(stage.tenant.id):
        assert services.schedule() == 1
        command = Command.objects.get(kind="apply_templates", state="queued")
    stage.finish(command)
    return len(asked(stage)) - before


def test_a_template_that_would_take_numbers_from_everybody_is_stopped(stage: Stage, settings: Any) -> None:
    settings.REMOVAL_FLOOR, settings.REMOVAL_SHARE = 3, 0.05
    before, orders = stage.held(), len(stage.orders())
    users = stage.with_number(8)
    row = template(stage, group_of(stage, *users), numbers="take")
    start(stage, row, ANNA)
    command = stage.process()
    assert (command.state, command.error["code"]) == ("suspended", "plan_needs_approval")
    assert (stage.held(), len(stage.orders())) == (before, orders)

    with scope.one(stage.tenant.id):
        removals = plans.of_command(command.id).get()
        with pytest.raises(UmpError) as refused:  # whoever started the template is not the second person
            queue.approve(dataclasses.replace(ANNA, provider_role=Role.PROVIDER_ADMIN), command, removals.id)
        assert refused.value.code == "second_person_needed"
        queue.cancel(SYSTEM, command)
    assert asks_again(stage) == 0, "it waits already"
    with scope.one(stage.tenant.id):
        assert provisioning.withdraw(SYSTEM, stage.tenant) == 8
    assert asks_again(stage) == 0, "a person has said no"
    assert (stage.held(), len(stage.orders())) == (before, orders)

    with scope.one(stage.tenant.id):
        row = services.change(SYSTEM, row, except_users=users[1:])
    start(stage, row, ANNA)
    assert len(asked(stage)) == 9, "another rule is another question"
    assert stage.process().outcome == "complete"
    assert before.keys() - stage.held().keys() == {n for n, who in before.items() if who == str(users[0])}


def test_members_of_groups_inside_the_group_count_also_in_a_circle(stage: Stage) -> None:
    users = stage.without_number(3)
    outer, inner = group_of(stage, users[0]), group_of(stage, users[1])
    row = template(stage, outer, values=[["user:city", "Bern"]])
    with scope.one(stage.tenant.id):
        for group, member in ((outer, inner), (inner, outer)):
            GroupMember.objects.create(
                tenant=stage.tenant, group_id=group, member_id=member, member_type="group"
            )
        assert work.members(stage.tenant, [outer]) == set(users[:2])
        assert len(work.of_template(stage.tenant, row).wishes) == 2
        row = services.change(SYSTEM, row, except_groups=[inner])
        assert work.of_template(stage.tenant, row).covered == 0


def test_what_a_person_asks_for_afterwards_wins(stage: Stage) -> None:
    users = stage.without_number(2)
    row = template(stage, group_of(stage, *users), values=[["user:city", "Bern"]])
    start(stage, row)
    stage.process()
    stage.ask([(users[0], "user:city", "Basel")])
    stage.process()
    stage.replicate()
    with scope.one(stage.tenant.id):
        found = work.of_template(stage.tenant, row)
    assert found.wishes == []
    assert [why for _, why in found.left_out] == ["City: anna@contoso.example changed it by hand"]


def test_a_change_of_the_rule_waits_for_a_person_again(stage: Stage) -> None:
    row = template(stage, group_of(stage, *stage.without_number(1)), values=[["user:city", "Bern"]])
    start(stage, row)
    with scope.one(stage.tenant.id):
        row = services.change(SYSTEM, row, values=[["user:city", "Basel"]])
        assert (row.on, row.confirmed_by) == (False, "")
        assert services.schedule() == 0
        with pytest.raises(Conflict):
            services.confirm(SYSTEM, row, row.row_version - 1)


def test_the_first_template_that_fits_has_the_user(stage: Stage) -> None:
    users = stage.without_number(3)
    group = group_of(stage, *users)
    first = template(stage, group, "First", values=[["user:city", "Bern"]], except_users=[users[0]])
    second = template(stage, group, "Second", values=[["user:city", "Basel"]])
    start(stage, first)
    with scope.one(stage.tenant.id):
        found = work.of_template(stage.tenant, second)
        assert [wish.thing.subject_id for wish in found.wishes] == [users[0]]
        services.move(SYSTEM, second, to=1)
        second.refresh_from_db()
        assert len(work.of_template(stage.tenant, second).wishes) == 3


def test_who_leaves_gives_back_what_the_template_gave_and_nothing_else(stage: Stage) -> None:
    users = stage.without_number(2)
    group = group_of(stage, *users)
    row = template(stage, group, numbers=pool(stage), leaving="take")
    start(stage, row)
    stage.process()
    stage.replicate()
    directory = stage.customer.directory
    stage.customer.leave(directory.groups.find(str(group)), directory.users.find(str(users[0])))
    stage.replicate()
    with scope.one(stage.tenant.id):
        assert GroupMember.objects.filter(group_id=group).count() == 1
        assert Given.objects.count() == 2
        services.schedule()
        command = Command.objects.get(kind="apply_templates", state="queued")
    stage.finish(command)
    assert stage.process().outcome == "complete"
    assert str(users[0]) not in stage.held().values()
    assert str(users[1]) in stage.held().values()


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """A round is full with three users, or three wishes, and looks at two users at a time."""
    monkeypatch.setattr(work, "MOST_USERS", 3)
    monkeypatch.setattr(work, "MOST_WISHES", 3)
    monkeypatch.setattr(work, "BATCH", 2)


def in_order(stage: Stage, users: list[uuid.UUID]) -> list[uuid.UUID]:
    """Those whose details are changed here, as they have their turns."""
    with scope.one(stage.tenant.id):
        rows = DirectoryUser.objects.filter(object_id__in=users, on_premises=False)
        return list(rows.values_list("object_id", flat=True))


def told(row: UserTemplate) -> dict[str, int]:
    row.refresh_from_db()
    return dict(row.told)


@pytest.mark.usefixtures("few")
def test_whoever_is_behind_those_who_have_it_already_has_his_turn(stage: Stage) -> None:
    users = in_order(stage, stage.without_number(40))[:11]
    stage.ask([(user, "user:city", "Olten") for user in users[:7]])
    stage.process()
    row = template(stage, group_of(stage, *users), values=[["user:city", "Olten"]])
    with scope.one(stage.tenant.id):
        first = work.of_template(stage.tenant, row)
        assert ([wish.thing.subject_id for wish in first.wishes], first.more) == (users[7:10], True)
        assert first.figures["covered"] == 11
    start(stage, row)
    assert [each.subject_id for each in asked(stage)] == users[7:]
    with scope.one(stage.tenant.id):
        assert told(row) == {"covered": 11, "changes": 4, "refused": 0, "left_out": 0, "leavers": 0}


@pytest.mark.usefixtures("few")
def test_whoever_is_behind_those_with_numbers_gets_one(stage: Stage) -> None:
    have, lack = stage.with_number(7), stage.without_number(5)
    numbers = pool(stage)
    row = template(stage, group_of(stage, *have, *lack), numbers=numbers)
    start(stage, row)
    assert {each.subject_id for each in asked(stage)} == set(lack)
    assert len({each.number for each in asked(stage)}) == 5
    assert stage.process().outcome == "complete"
    assert asks_again(stage) == 0
    with scope.one(stage.tenant.id):
        row.refresh_from_db()
        row = services.change(SYSTEM, row, replace=True)
        found = work.of_template(stage.tenant, row)
        assert (found.figures["changes"], found.more) == (3, True)
        assert {wish.thing.subject_id for wish in found.wishes} <= set(have), (
            "the others have one of the range"
        )
        row = services.change(SYSTEM, row, numbers="take", replace=False)
    start(stage, row)
    assert sum(each.wanted is None for each in asked(stage)) == 12


@pytest.mark.usefixtures("few")
def test_those_who_are_refused_keep_nobody_waiting(stage: Stage) -> None:
    users = in_order(stage, stage.without_number(40))[:9]
    with scope.one(stage.tenant.id):
        TeamsUser.objects.filter(object_id__in=users[:5]).update(features="Teams")
    row = template(stage, group_of(stage, *users), numbers=pool(stage))
    start(stage, row)
    assert [each.subject_id for each in asked(stage)] == users[5:]
    with scope.one(stage.tenant.id):
        assert told(row) == {"covered": 9, "changes": 4, "refused": 5, "left_out": 0, "leavers": 0}


def test_a_range_that_runs_out_says_who_got_none(stage: Stage) -> None:
    users = stage.without_number(3)
    row = template(stage, group_of(stage, *users), numbers=pool(stage, last="+41589062001"))
    with scope.one(stage.tenant.id):
        found = work.of_template(stage.tenant, row)
    assert (len(found.wishes), len(found.left_out)) == (2, 1)
    assert "has no more free numbers" in found.left_out[0][1]


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"values": [["number", "+41589061000"]]}, "values"),
        ({"values": [["user:usageLocation", "Bern"]]}, "Usage location"),
        ({}, "numbers"),
        ({"group_id": uuid.UUID(int=7), "values": [["user:city", "Bern"]]}, "group"),
    ],
)
def test_a_template_that_makes_no_sense_names_the_field(
    stage: Stage, given: dict[str, Any], field: str
) -> None:
    group = given.pop("group_id", None) or group_of(stage)
    with pytest.raises(UmpError) as refused:
        template(stage, group, **given)
    assert refused.value.fields["field"] == field


def test_what_failed_is_not_asked_for_for_ever(stage: Stage) -> None:
    (user,) = stage.without_number(1)
    row = template(
        stage, group_of(stage, user), values=[["policy:TeamsCallingPolicy", {"name": "There is none"}]]
    )
    start(stage, row)
    assert stage.process().outcome == "partial"
    assert [each.state for each in asked(stage)] == [ChangeState.FAILED]
    with scope.one(stage.tenant.id):
        found = work.of_template(stage.tenant, row)
    assert found.wishes == []
    assert "it failed" in found.left_out[0][1]
