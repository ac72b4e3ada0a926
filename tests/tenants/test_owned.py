"""Rows of customers are made from what was read by a shorter way than Django's, and are the same."""

import pytest
from django.apps import apps
from django.db import connection, models
from django.test.utils import CaptureQueriesContext

from replication import services as queue
from replication.models import Command
from tenants import scope
from tenants.access import SYSTEM
from tenants.models import Connection, Tenant
from tenants.owned import Owned
from tests.cast import Cast

OURS = [model for model in apps.get_models() if issubclass(model, Owned)]


@pytest.mark.parametrize("model", OURS, ids=lambda model: model._meta.label)
def test_a_row_is_what_django_makes_of_it(model: type[Owned]) -> None:
    names = [field.attname for field in model._meta.concrete_fields]
    for read in (names, names[:2]):
        values = [f"value {number}" for number, _ in enumerate(read)]
        ours = model.from_db("default", read, values)
        theirs = models.Model.from_db.__func__(model, "default", read, values)
        assert {**vars(ours), "_state": 0} == {**vars(theirs), "_state": 0}
        assert (ours._state.adding, ours._state.db) == (theirs._state.adding, theirs._state.db)
        assert ours.get_deferred_fields() == theirs.get_deferred_fields()


@pytest.mark.django_db
def test_what_was_not_read_is_read_when_it_is_used(cast: Cast) -> None:
    with scope.one(cast.contoso.id):
        queue.submit(SYSTEM, "quick_replication", cast.contoso)
        found = Command.objects.only("kind").get()
        with CaptureQueriesContext(connection) as seen:
            assert (found.kind, found.state, found.tenant.name) == ("quick_replication", "queued", "Contoso")
        assert len(seen) == 3, "state, tenant_id and the customer"


@pytest.mark.django_db
def test_a_row_can_be_changed_and_led_elsewhere(cast: Cast) -> None:
    with scope.every("a test"):
        found = Connection.objects.select_related("tenant").get(tenant=cast.contoso)
        assert found.tenant.name == "Contoso"
        found.tenant_id = cast.fabrikam.id
        assert found.tenant.name == "Fabrikam"
        tenant = Tenant.objects.get(id=cast.contoso.id)
        tenant.name = "Contoso Ltd"
        tenant.save(update_fields=["name"])
        assert Tenant.objects.get(id=cast.contoso.id).name == "Contoso Ltd"
