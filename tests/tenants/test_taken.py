"""Two people save the same name at the same moment: the later is told at the field, nobody meets an error page."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from django.db.models import QuerySet
from django.test import Client

from accounts.models import User
from accounts.services import add_user, edit_user
from core.errors import InvalidInput
from directory.models import DirectoryGroup
from sites.models import ScriptTemplate
from tenants import scope
from tests.cast import Cast
from user_templates.models import UserTemplate

pytestmark = pytest.mark.django_db
SignIn = Callable[[User], Client]
SCRIPT = {"name": "One", "purpose": "cleanup", "script": "configure voip\n", "draft": "1"}
FORMS = {"variables-TOTAL_FORMS": "0", "variables-INITIAL_FORMS": "0"}
TAKEN = "another template has this name"


@pytest.fixture
def both_had_looked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither found the other's row when it looked."""
    look = QuerySet.exists

    def exists(rows: Any) -> bool:
        return rows.model not in {User, UserTemplate, ScriptTemplate} and look(rows)

    monkeypatch.setattr(QuerySet, "exists", exists)


@pytest.mark.usefixtures("both_had_looked")
def test_a_template_of_users(cast: Cast, client_of: SignIn) -> None:
    with scope.one(cast.contoso.id):
        group = DirectoryGroup.objects.create(
            tenant=cast.contoso,
            object_id="9" * 8 + "-1111-4111-8111-" + "9" * 12,
            search="",
            display_name="Sales",
        )
    where = f"/tenants/{cast.contoso.id}/templates/add/"
    given = {"name": "Sales", "group": str(group.object_id), "leaving": "keep", "user:city": "Bern"}
    assert client_of(cast.adam).post(where, given).status_code == 303
    late = client_of(cast.adam).post(where, given)
    assert (late.status_code, TAKEN in late.content.decode().lower()) == (422, True)
    with scope.one(cast.contoso.id):
        assert UserTemplate.objects.count() == 1


@pytest.mark.usefixtures("both_had_looked")
def test_a_script(cast: Cast, client_of: SignIn) -> None:
    given = SCRIPT | FORMS
    made = client_of(cast.olga).post("/scripts/add/", given)
    assert made.status_code == 303, made.content.decode()
    late = client_of(cast.olga).post("/scripts/add/", given)
    assert (late.status_code, TAKEN in late.content.decode().lower()) == (422, True)
    assert ScriptTemplate.objects.count() == 1


@pytest.mark.usefixtures("both_had_looked")
def test_a_persons_address(cast: Cast) -> None:
    pia = cast.actor("pia")
    add_user(pia, email="ana@example.test", name="Ana", password=None)
    bert = add_user(pia, email="bert@example.test", name="Bert", password=None)
    for late in (
        partial(add_user, pia, email="Ana@example.test", name="Ana", password=None),
        partial(edit_user, pia, bert, email="ana@example.test", name="Bert"),
    ):
        with pytest.raises(InvalidInput, match="there is a person with this email address already") as raised:
            late()
        assert raised.value.fields["field"] == "email"
    assert User.objects.filter(email="bert@example.test").count() == 1
