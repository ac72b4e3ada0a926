"""The stage of tests/provisioning, for a customer with a Users licence."""

import pytest

from tenants import scope
from tenants.models import Tenant
from tests.directory.conftest import add_customer, microsoft, microsoft_server, worker
from tests.fences import fenced
from tests.provisioning.conftest import stage as plain
from tests.provisioning.helpers import Stage

__all__ = ["add_customer", "fenced", "microsoft", "microsoft_server", "plain", "worker"]


@pytest.fixture
def stage(plain: Stage) -> Stage:
    with scope.one(plain.tenant.id):
        Tenant.objects.filter(id=plain.tenant.id).update(licensed_users=200)
        plain.tenant.refresh_from_db()
    return plain
