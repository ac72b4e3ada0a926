"""A domain set up on behalf of an administrator: his directory roles decide, and are said by name (TEN-17)."""

import pytest

from domains import services
from domains.models import DnsZone, DomainState
from m365 import identity
from simulator.permissions import GLOBAL_ADMINISTRATOR, GRAPH_APP
from tenants import scope
from tenants.models import ProviderApp
from tests.authstatus.test_delegated import Stage, stage
from tests.directory.pretend import Customer, Worker, code_of
from tests.domains.conftest import OLGA, RIGHTS, finish, reread
from tests.pages.helpers import SignIn

__all__ = ["stage"]  # a fixture
pytestmark = pytest.mark.django_db
DOMAIN_NAME_ADMINISTRATOR = "8329153b-31d0-4727-b945-745eb3bc5f31"
USER_ADMINISTRATOR = "fe930be7-5e62-47db-91af-98c3a49a38b1"


@pytest.fixture
def granted(stage: Stage, zone: DnsZone, client_of: SignIn) -> Customer:
    """Fabrikam's administrator signed in; the provider's app may do on his behalf what domains need."""
    tenant, pretend = stage.cast.fabrikam, stage.fabrikam
    stage.grant(client_of(stage.cast.pia), tenant)
    (shared,) = pretend.apps.values()
    assert shared.principal is not None
    shared.principal.consent(GRAPH_APP, RIGHTS)
    ProviderApp.objects.update(redirect_uri="https://portal.example/authenticate/OAuth2Callback")
    identity.forget_everything()
    return Customer(stage.microsoft, pretend, tenant)


def test_the_roles_are_looked_at_and_named(stage: Stage, granted: Customer, worker: Worker) -> None:
    pretend = granted.pretend
    admin = str(pretend.directory.users.view(0)["id"])
    pretend.unassign_role(admin, GLOBAL_ADMINISTRATOR)
    pretend.assign_role(admin, DOMAIN_NAME_ADMINISTRATOR)
    with scope.one(granted.tenant.id):
        row = services.begin(OLGA, granted.tenant)
    command = finish(worker, granted)[services.PROVISION]
    assert code_of(command) == "domain_rights_missing"
    assert "lacks the role User Administrator" in command.message
    assert pretend.added == {}
    pretend.assign_role(admin, USER_ADMINISTRATOR)
    identity.forget_everything()
    with scope.one(granted.tenant.id):
        services.retry(OLGA, row)
    finish(worker, granted)
    assert reread(row).state == DomainState.READY, reread(row).problem
