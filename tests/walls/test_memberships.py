"""A membership has its group, of the same customer: what a foreign key promised, kept by triggers (decision 25)."""

import threading
import uuid
from collections.abc import Sequence

import pytest
from django.db import IntegrityError, connection, connections, transaction

from directory.models import DirectoryGroup, GroupMember
from tenants import scope
from tenants.models import Tenant
from tests.cast import Cast

MEMBER = uuid.uuid4()
INSERT = "INSERT INTO directory_member (tenant_id, group_id, member_id, member_type) VALUES "
refused = pytest.raises(IntegrityError, match="directory_member_group_same_tenant")


def a_group(tenant: Tenant) -> uuid.UUID:
    group = uuid.uuid4()
    with scope.one(tenant.id):
        DirectoryGroup.objects.create(tenant_id=tenant.id, object_id=group, search="")
    return group


def add(*rows: tuple[Tenant, uuid.UUID], member: uuid.UUID = MEMBER) -> None:
    """In one statement, in the scope of all of them."""
    values = [str(one) for tenant, group in rows for one in (tenant.id, group, member)]
    with scope.some([tenant.id for tenant, _ in rows]), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(INSERT + ", ".join(["(%s, %s, %s, 'user')"] * len(rows)), values)


def members(tenant: Tenant) -> Sequence[uuid.UUID]:
    """The groups of each membership."""
    with scope.one(tenant.id):
        return list(GroupMember.objects.order_by("group_id").values_list("group_id", flat=True))


def test_one_row_of_many_without_its_group_refuses_all(cast: Cast) -> None:
    group = a_group(cast.contoso)
    with refused:
        add((cast.contoso, group), (cast.contoso, uuid.uuid4()))
    assert members(cast.contoso) == []
    add((cast.contoso, group), (cast.fabrikam, a_group(cast.fabrikam)))
    assert members(cast.contoso) == [group]


def test_the_group_of_another_customer_is_none(cast: Cast) -> None:
    group = a_group(cast.contoso)
    with refused:
        add((cast.fabrikam, group))
    with refused:  # not even where both are in scope
        add((cast.fabrikam, group), (cast.contoso, group))
    assert members(cast.fabrikam) == members(cast.contoso) == []


def test_a_membership_moves_to_a_group_that_is_there_only(cast: Cast) -> None:
    group, other = a_group(cast.contoso), a_group(cast.contoso)
    add((cast.contoso, group))
    with scope.one(cast.contoso.id):
        assert GroupMember.objects.update(group_id=other) == 1
        with refused, transaction.atomic():
            GroupMember.objects.update(group_id=uuid.uuid4())
    assert members(cast.contoso) == [other]


def test_a_group_takes_its_memberships_with_it_and_no_others(cast: Cast) -> None:
    group, other, same = a_group(cast.contoso), a_group(cast.contoso), a_group(cast.fabrikam)
    with scope.one(cast.fabrikam.id):
        DirectoryGroup.objects.create(tenant_id=cast.fabrikam.id, object_id=group, search="")
    add((cast.contoso, group), (cast.contoso, other), (cast.fabrikam, group), (cast.fabrikam, same))
    with scope.one(cast.contoso.id):
        assert DirectoryGroup.objects.filter(object_id=group)._raw_delete("default") == 1
    assert members(cast.contoso) == [other]
    assert sorted(members(cast.fabrikam)) == sorted([group, same])


@pytest.mark.parametrize("column", ["object_id", "tenant_id"])
def test_a_group_keeps_its_key(cast: Cast, column: str) -> None:
    group = a_group(cast.contoso)
    add((cast.contoso, group))
    new = cast.fabrikam.id if column == "tenant_id" else uuid.uuid4()
    with scope.some([cast.contoso.id, cast.fabrikam.id]), connection.cursor() as cursor:
        cursor.execute(f"UPDATE directory_group SET {column} = {column}, display_name = 'Renamed'")
        with refused, transaction.atomic():
            cursor.execute(f"UPDATE directory_group SET {column} = %s", [str(new)])


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("first", ["member", "delete"])
def test_a_group_that_goes_while_a_member_comes(committed_cast: Cast, first: str) -> None:
    """Whoever is second waits for the first to commit, and finds what he left."""
    contoso = committed_cast.contoso
    group, met = a_group(contoso), []

    def second() -> None:
        try:
            with scope.one(contoso.id):
                if first == "member":
                    DirectoryGroup.objects.filter(object_id=group)._raw_delete("default")
                else:
                    add((contoso, group))
        except IntegrityError as error:
            met.append(error)
        finally:
            connections.close_all()

    thread = threading.Thread(target=second)
    with scope.one(contoso.id), transaction.atomic():
        if first == "member":
            add((contoso, group))
        else:
            DirectoryGroup.objects.filter(object_id=group)._raw_delete("default")
        thread.start()
        thread.join(0.5)
        assert thread.is_alive(), "it waits"
    thread.join(30)
    assert len(met) == (first == "delete")
    assert members(contoso) == []
