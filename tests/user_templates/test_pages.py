"""The pages of templates: made, seen, started, stopped; and only by who may."""

from collections.abc import Callable

import pytest
from django.test import Client

from accounts.models import User
from directory.models import DirectoryGroup
from tenants import scope
from tenants.models import Tenant
from tests.cast import Cast
from user_templates.models import UserTemplate

pytestmark = pytest.mark.django_db


@pytest.fixture
def group(cast: Cast) -> DirectoryGroup:
    with scope.one(cast.contoso.id):
        Tenant.objects.filter(id=cast.contoso.id).update(licensed_users=200)
        return DirectoryGroup.objects.create(
            tenant=cast.contoso,
            object_id="aaaaaaaa-0000-4000-8000-000000000001",
            display_name="Sales floor",
            security_enabled=True,
            search="sales floor",
        )


def test_a_template_is_made_seen_started_and_stopped(
    cast: Cast, client_of: Callable[[User], Client], group: DirectoryGroup
) -> None:
    client, base = client_of(cast.adam), f"/tenants/{cast.contoso.id}/templates/"
    assert "No templates yet" in client.get(base).content.decode()
    wrong = client.post(f"{base}add/", {"name": "Sales", "group": "Nobody knows", "leaving": "keep"})
    assert (wrong.status_code, "No group of the copy is called" in wrong.content.decode()) == (422, True)
    made = client.post(
        f"{base}add/",
        {
            "name": "Sales",
            "group": "sales floor",
            "leaving": "keep",
            "user:city": "Bern",
            "policy:TeamsCallingPolicy": "AllowCalling",
        },
    )
    assert made.status_code == 303, made.content.decode()
    page = client.get(made["location"]).content.decode()
    assert "City: Bern" in page
    assert "Start" in page
    with scope.one(cast.contoso.id):
        row = UserTemplate.objects.get()
        assert row.on is False
    client.post(f"{made['location']}start/", {"version": str(row.row_version + 5)})
    with scope.one(cast.contoso.id):
        assert UserTemplate.objects.get().on is False
    client.post(f"{made['location']}start/", {"version": str(row.row_version)})
    with scope.one(cast.contoso.id):
        assert UserTemplate.objects.get().on is True
    assert "Stop" in client.get(made["location"]).content.decode()
    client.post(f"{made['location']}stop/")
    client.post(
        f"{made['location']}edit/",
        {
            "name": "Sales",
            "group": str(group.object_id),
            "leaving": "take",
            "numbers": "take",
            "version": "9",
        },
    )
    with scope.one(cast.contoso.id):
        row = UserTemplate.objects.get()
        assert (row.on, row.numbers) == (False, "")
    client.post(f"{made['location']}remove/")
    with scope.one(cast.contoso.id):
        assert not UserTemplate.objects.exists()


def test_who_only_looks_finds_no_buttons(
    cast: Cast, client_of: Callable[[User], Client], group: DirectoryGroup
) -> None:
    with scope.one(cast.contoso.id):
        row = UserTemplate.objects.create(
            tenant=cast.contoso, name="Sales", rank=1, group_id=group.object_id, group_name="Sales floor",
            values=[["user:city", "Bern"]], created_by="x",
        )  # fmt: skip
    client, base = client_of(cast.vera), f"/tenants/{cast.contoso.id}/templates/"
    assert "Add template" not in client.get(base).content.decode()
    assert f"{row.uid}/start/" not in client.get(f"{base}{row.uid}/").content.decode()
    assert client.post(f"{base}{row.uid}/start/").status_code == 403
