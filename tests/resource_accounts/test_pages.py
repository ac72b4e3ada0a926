"""Designs on screen and in the API: entered, looked at, built, copied, kept as a template."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.models import User
from directory.models import DirectoryUser
from resource_accounts import selectors, services, shapes
from resource_accounts.models import Design, DesignTemplate, Kind
from telephony.models import TeamsUser
from tenants import scope
from tenants.access import SYSTEM
from tenants.models import Tenant
from tests.cast import Cast
from tests.telephony.making import add_person
from ump_portal.management import sample_resource_accounts

pytestmark = pytest.mark.django_db
SignIn = Callable[[User], Client]
DESK = {
    "name": "Reception", "upn": "reception@contoso.test", "number": "+49 30 111", "language": "en-US",
    "time_zone": "UTC", "greeting": "Welcome to Contoso", "menu": "Press 1", "key_1": "person",
    "key_1_target": "Ann@contoso.test", "closed": "disconnect", "monday": "09:00-12:00",
}  # fmt: skip


@pytest.fixture
def ann(cast: Cast) -> DirectoryUser:
    uid = add_person(cast.contoso, "Ann Adler")
    with scope.one(cast.contoso.id):
        DirectoryUser.objects.filter(object_id=uid).update(user_principal_name="ann@contoso.test")
        return DirectoryUser.objects.get(object_id=uid)


def base(tenant: Tenant) -> str:
    return f"/tenants/{tenant.id}/resource-accounts/"


def only(tenant: Tenant) -> Design:
    with scope.one(tenant.id):
        return Design.objects.get(tenant=tenant)


def test_a_customer_administrator_designs_an_attendant(
    cast: Cast, ann: DirectoryUser, client_of: SignIn
) -> None:
    adam = client_of(cast.adam)
    page = adam.get(f"{base(cast.contoso)}add/?kind=auto_attendant")
    assert b"Opening hours" in page.content
    wrong = adam.post(
        f"{base(cast.contoso)}add/?kind=auto_attendant",
        DESK | {"monday": "9 to 5", "key_1_target": "nobody@contoso.test"},
    )
    assert wrong.status_code == 422
    assert "no user with the address nobody@contoso.test" in wrong.content.decode()
    made = adam.post(f"{base(cast.contoso)}add/?kind=auto_attendant", DESK)
    assert made.status_code == 303
    design = only(cast.contoso)
    assert (design.upn, design.number, design.spec["monday"]) == (
        "reception@contoso.test", "+4930111", "09:00-12:00",
    )  # fmt: skip
    shown = adam.get(made["Location"]).content.decode()
    for text in (
        "Create: resource account",
        "Key 1: a person: Ann Adler",
        "Ready script",
        "no PowerShell at work",
    ):
        assert text in shown
    script = adam.get(f"{made['Location']}scripts/ready/")
    assert b"New-CsAutoAttendant" in script.content
    assert script["Content-Disposition"] == 'attachment; filename="reception-build.ps1"'
    assert b"It is not the last line" in adam.post(
        f"{made['Location']}verify/", {"result": "x"}
    ).content.replace(b"it is not", b"It is not")
    assert adam.post(f"{made['Location']}edit/", DESK | {"greeting": "Hi"}).status_code == 303
    assert only(cast.contoso).spec["greeting"] == "Hi"
    copy = adam.get(f"{base(cast.contoso)}add/?copy={design.uid}").content.decode()
    assert "Reception copy" in copy
    assert adam.post(f"{made['Location']}delete/").status_code == 303
    with scope.one(cast.contoso.id):
        assert not Design.objects.exists()


def test_whoever_saves_later_is_told_and_undoes_nothing(
    cast: Cast, ann: DirectoryUser, client_of: SignIn
) -> None:
    adam = client_of(cast.adam)
    edit = adam.post(f"{base(cast.contoso)}add/?kind=auto_attendant", DESK)["Location"] + "edit/"
    seen = {"version": str(only(cast.contoso).row_version)}
    assert f'name="version" value="{seen["version"]}"' in adam.get(edit).content.decode()
    assert adam.post(edit, DESK | seen | {"holidays": "2027-01-01 New Year"}).status_code == 303
    late = adam.post(edit, DESK | seen | {"greeting": "Typed meanwhile"})
    assert late.status_code == 422
    assert "changed" in late.content.decode()
    assert "Typed meanwhile" in late.content.decode()
    assert only(cast.contoso).spec["holidays"] == "2027-01-01 New Year"
    assert "version" not in only(cast.contoso).spec


def test_a_queue_by_the_form(cast: Cast, ann: DirectoryUser, client_of: SignIn) -> None:
    given = {
        "name": "Help", "upn": "help@contoso.test", "number": "", "language": "de-DE", "time_zone": "UTC",
        "users": "ann@contoso.test", "groups": "", "routing": "RoundRobin", "alert": "20", "opt_out": "on",
        "most": "0", "overflow": "number", "overflow_target": "+4930999", "timeout": "60", "timed_out": "disconnect",
    }  # fmt: skip
    made = client_of(cast.adam).post(f"{base(cast.contoso)}add/?kind=call_queue", given)
    assert made.status_code == 303, made.content.decode()
    with scope.one(cast.contoso.id):
        body = shapes.wish_of(only(cast.contoso)).body
    assert (body.most, body.alert, body.opt_out, body.presence) == (0, 20, True, False)
    assert body.overflow.id == "+4930999"


def test_a_template_carries_no_person_and_no_name_to_another_customer(
    cast: Cast, ann: DirectoryUser, client_of: SignIn
) -> None:
    with scope.one(cast.contoso.id):
        wish = {"name": "Contoso desk", "upn": "desk@contoso.test"}
        spec = {name: text for name, text in DESK.items() if name in shapes.FIELDS[Kind.AUTO_ATTENDANT]}
        design = services.add(SYSTEM, cast.contoso, kind=Kind.AUTO_ATTENDANT, spec=spec, **wish)
    olga = client_of(cast.olga)
    where = f"{cast.contoso.id}/{design.uid}/"
    assert olga.post(f"/resource-account-templates/add/{where}", {"name": "Small office"}).status_code == 303
    kept = DesignTemplate.objects.get()
    assert "ontoso" not in str(kept.spec) + kept.design_name
    page = olga.get(f"{base(cast.fabrikam)}add/?template={kept.uid}").content.decode()
    assert "Welcome to Fabrikam" in page
    assert "Fabrikam desk" in page
    assert "Small office" in olga.get("/resource-account-templates/").content.decode()
    assert "Small office" not in client_of(cast.max).get(f"{base(cast.fabrikam)}add/").content.decode()
    assert olga.post(f"/resource-account-templates/{kept.uid}/delete/").status_code == 303
    assert not DesignTemplate.objects.exists()


def test_the_read_list_and_its_queries(cast: Cast, client_of: SignIn) -> None:
    counts = []
    adam = client_of(cast.adam)
    for number in (1, 3):
        while _listed(cast.contoso) < number:
            _account(cast.contoso, _listed(cast.contoso))
        adam.get(base(cast.contoso))
        with CaptureQueriesContext(connection) as queries:
            page = adam.get(base(cast.contoso)).content.decode()
        counts.append(len(queries))
    assert counts[0] == counts[1]
    assert "+49301112" in page
    lines = b"".join(adam.get(f"{base(cast.contoso)}export.csv")).decode().splitlines()  # type: ignore[arg-type]
    assert len(lines) == 4
    assert "Attendant 0" in client_of(cast.vera).get(base(cast.contoso)).content.decode()


def _listed(tenant: Tenant) -> int:
    with scope.one(tenant.id):
        return selectors.accounts(tenant).count()


def _account(tenant: Tenant, number: int) -> None:
    uid = add_person(tenant, f"Attendant {number}", f"+4930111{number}")
    with scope.one(tenant.id):
        TeamsUser.objects.filter(object_id=uid).update(account_type="resourceAccount")


def test_the_demo_has_one_to_look_at(cast: Cast) -> None:
    cast.contoso.name = "Contoso Manufacturing"
    for _ in range(2):
        sample_resource_accounts.plant([cast.contoso])
    assert only(cast.contoso).name == "Contoso Manufacturing reception"
    assert DesignTemplate.objects.get().design_name == "{customer} reception"


def test_without_sync_it_is_not_offered_and_says_why(cast: Cast, client_of: SignIn) -> None:
    with scope.one(cast.contoso.id):
        Tenant.objects.filter(id=cast.contoso.id).update(with_sync=False)
    page = client_of(cast.adam).get(base(cast.contoso)).content.decode()
    assert "Needs sync" in page
    assert "Design one" not in page
    answer: Any = client_of(cast.adam).post(f"{base(cast.contoso)}add/?kind=auto_attendant", DESK)
    assert answer.status_code == 422


@pytest.mark.parametrize(
    ("kind", "change", "field"),
    [
        (Kind.AUTO_ATTENDANT, {"language": "xx"}, "language"),
        (Kind.AUTO_ATTENDANT, {"menu": ""}, "menu"),
        (Kind.AUTO_ATTENDANT, {"key_1": ""}, "straight"),
        (Kind.AUTO_ATTENDANT, {"holidays": "Christmas"}, "holidays"),
        (Kind.AUTO_ATTENDANT, {"holidays": "2026-12-26 to 2026-12-24"}, "holidays"),
        (Kind.AUTO_ATTENDANT, {"key_1": "voicemail"}, "key_1_target"),
        (Kind.AUTO_ATTENDANT, {"key_1": "account"}, "key_1_target"),
        (Kind.AUTO_ATTENDANT, {"nothing": "x"}, "nothing"),
        (Kind.CALL_QUEUE, {"users": ""}, "users"),
        (Kind.CALL_QUEUE, {"alert": "10"}, "alert"),
        (Kind.CALL_QUEUE, {"timeout": "9999"}, "timeout"),
        (Kind.CALL_QUEUE, {"overflow": "number", "overflow_target": "12"}, "overflow_target"),
    ],
)
def test_what_cannot_be_is_said_beside_its_field(
    cast: Cast, ann: DirectoryUser, kind: str, change: dict[str, str], field: str
) -> None:
    names = shapes.FIELDS[kind]
    spec = {
        name: text for name, text in (DESK | {"users": "ann@contoso.test"}).items() if name in names
    } | change
    with scope.one(cast.contoso.id), pytest.raises(services.InvalidInput) as error:
        services.add(SYSTEM, cast.contoso, kind=kind, name="A", upn="a@contoso.test", spec=spec)
    assert error.value.field == field
