"""A template at other customers: by names, never with an id, off, and with what is missing there."""

import json
import uuid
from collections.abc import Callable

import pytest
from django.test import Client

from accounts.models import User
from core.errors import InvalidInput, NotFound, UmpError
from directory.models import DirectoryGroup
from telephony import ranges
from telephony.models import NumberKind, TeamsPolicy
from tenants import scope
from tenants.access import SYSTEM
from tenants.models import Tenant
from tests.api.conftest import Api, add_group, make_token
from tests.cast import Cast
from user_templates import copying, services
from user_templates.models import UserTemplate

pytestmark = pytest.mark.django_db
CALLING = {"id": "contoso-own-id", "name": "AllowCalling"}


@pytest.fixture
def row(cast: Cast) -> UserTemplate:
    """Contoso's, with everything that has a name or an id; Fabrikam has the same names but two."""
    for tenant, head in ((cast.contoso, "+415890610"), (cast.fabrikam, "+415890620")):
        for name in ("Sales floor", "Students", "Phones"):
            add_group(tenant, name)
        with scope.one(tenant.id):
            kind = NumberKind.DIRECT_ROUTING
            ranges.add(SYSTEM, tenant, name="Main", kind=kind, first=f"{head}00", last=f"{head}99")
    with scope.one(cast.contoso.id):
        groups = {each.display_name: each.object_id for each in DirectoryGroup.objects.all()}
        return services.add(
            SYSTEM,
            cast.contoso,
            name="Sales",
            group_id=groups["Sales floor"],
            except_groups=[groups["Students"]],
            numbers=str(ranges.of_tenant(cast.contoso).get().uid),
            values=[
                ["policy:TeamsCallingPolicy", CALLING],
                ["user:city", "Bern"],
                [f"member:{groups['Phones']}", True],
            ],
        )


def own_ids(tenant: Tenant) -> set[str]:
    with scope.one(tenant.id):
        groups = {str(each) for each in DirectoryGroup.objects.values_list("object_id", flat=True)}
        return groups | {str(each.uid) for each in ranges.of_tenant(tenant)} | {str(tenant.id)}


def test_only_names_travel(cast: Cast, row: UserTemplate) -> None:
    with scope.one(cast.fabrikam.id):
        TeamsPolicy.objects.create(
            tenant=cast.fabrikam,
            object_id=uuid.UUID(int=4),
            kind="TeamsCallingPolicy",
            policy_id="theirs",
            name="AllowCalling",
        )
    with scope.one(cast.contoso.id):
        (dry,) = copying.copy(cast.actor("pia"), row, [cast.fabrikam.id], dry_run=True)
        (done,) = copying.copy(cast.actor("pia"), row, [cast.fabrikam.id])
    assert (dry.lacks, dry.made, done.lacks, done.refused) == ((), None, (), "")
    with scope.one(cast.fabrikam.id):
        copy = UserTemplate.objects.get()
        mine = {each.display_name: each.object_id for each in DirectoryGroup.objects.all()}
    assert (copy.on, copy.group_id, copy.except_groups) == (False, mine["Sales floor"], [mine["Students"]])
    assert dict(copy.values) == {
        "policy:TeamsCallingPolicy": {"id": "", "name": "AllowCalling"},
        "user:city": "Bern",
        f"member:{mine['Phones']}": True,
    }
    whole = json.dumps(vars(copy), default=str)
    assert not [each for each in (*own_ids(cast.contoso), CALLING["id"], str(row.uid)) if each in whole]


def test_what_is_missing_is_kept_and_mended_before_it_starts(cast: Cast, row: UserTemplate) -> None:
    with scope.one(cast.fabrikam.id):
        DirectoryGroup.objects.filter(display_name="Students").delete()
        ranges.remove(SYSTEM, ranges.of_tenant(cast.fabrikam).get())
    add_group(cast.fabrikam, "sales FLOOR")
    with scope.one(cast.contoso.id):
        row = services.change(SYSTEM, row, except_users=[uuid.UUID(int=5)])
        (done,) = copying.copy(cast.actor("olga"), row, [cast.fabrikam.id])
        (again,) = copying.copy(cast.actor("olga"), row, [cast.fabrikam.id])
    assert again.refused == "It has a template of this name."
    assert [text.partition(",")[0].partition(":")[0] for text in done.lacks] == [
        "Group Sales floor", "Group Students", "Users who are left out", "Number range Main",
        "Calling policy AllowCalling",
    ]  # fmt: skip
    with scope.one(cast.fabrikam.id):
        copy = UserTemplate.objects.get()
        assert (copy.group_id, copy.group_name, copy.numbers) == (services.NOBODY, "Sales floor", "")
        with pytest.raises(UmpError) as refused:
            services.confirm(SYSTEM, copy, copy.row_version)
        assert refused.value.code == "template_incomplete"
        with pytest.raises(InvalidInput):
            services.change(SYSTEM, copy, values=[["user:city", "Basel"]])
        phones = DirectoryGroup.objects.get(display_name="Phones").object_id
        copy = services.change(SYSTEM, copy, group_id=phones)
        assert copy.lacks == []
        services.confirm(SYSTEM, copy, copy.row_version)


def test_nobody_copies_to_a_customer_whom_he_does_not_look_after(cast: Cast, row: UserTemplate) -> None:
    with scope.one(cast.contoso.id):
        for actor, ids in (("otto", [cast.fabrikam.id]), ("pia", [uuid.UUID(int=9)])):
            with pytest.raises(NotFound):
                copying.copy(cast.actor(actor), row, ids)
        with pytest.raises(InvalidInput):
            copying.copy(cast.actor("pia"), row, [cast.contoso.id])
    with scope.one(cast.fabrikam.id):
        assert not UserTemplate.objects.exists()


def test_the_page_shows_first_and_copies_then(
    cast: Cast, client_of: Callable[[User], Client], row: UserTemplate
) -> None:
    url = f"/tenants/{cast.contoso.id}/templates/{row.uid}/copy/"
    client, ticked = client_of(cast.olga), {"id": str(cast.fabrikam.id)}
    assert "Fabrikam" in client.get(url).content.decode()
    assert "Fabrikam" not in client_of(cast.otto).get(url).content.decode()
    asked = client.post(url, ticked).content.decode()
    assert "Lacks something" in asked
    assert "Calling policy AllowCalling: nobody has it yet" in asked
    with scope.one(cast.fabrikam.id):
        assert not UserTemplate.objects.exists()
    assert client.post(url, {**ticked, "confirm": "1"}).status_code == 303
    assert "Incomplete" in client.get(url).content.decode()
    assert client_of(cast.adam).get(url).status_code == 403


def test_the_api_copies_and_says_what_is_missing(cast: Cast, row: UserTemplate) -> None:
    api = Api(make_token())
    path = f"tenants/{cast.contoso.id}/user-templates/{row.uid}/copy"
    answer = api.post(path, {"customers": [str(cast.fabrikam.id)]})
    (told,) = answer.json["copies"]
    assert (answer.status, told["refused"], len(told["lacks"])) == (200, "", 1)
    one = f"tenants/{cast.fabrikam.id}/user-templates/{told['template_id']}"
    copy = api.get(one).json
    assert (copy["state"], copy["lacks"]) == ("off", told["lacks"])
    assert api.post(f"{one}/start", {"row_version": 1}).code == "template_incomplete"
