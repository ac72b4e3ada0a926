"""The fixed cast. Every customer's data carries a canary that no answer for another may contain."""

import dataclasses
import time
import uuid

from django.test import Client

from accounts.models import Session, User
from tenants import scope, services
from tenants.abilities import Role
from tenants.access import SYSTEM, Actor, actor_of_user
from tenants.models import Cloud, Tenant

CANARY_CONTOSO = "canary-heron"
CANARY_FABRIKAM = "canary-osprey"
CONTOSO_ID = uuid.UUID("c0000000-0000-4000-8000-000000000001")
FABRIKAM_ID = uuid.UUID("fab00000-0000-4000-8000-000000000002")


@dataclasses.dataclass(frozen=True)
class Cast:
    pia: User
    """Provider admin."""
    olga: User
    """Provider operator, for all customers."""
    otto: User
    """Provider operator, for Contoso only."""
    mona: User
    """Provider monitor."""
    adam: User
    """Customer admin of Contoso."""
    vera: User
    """Customer monitor of Contoso."""
    max: User
    """Customer admin of Fabrikam."""
    nora: User
    """Signed in, with no role at all."""
    contoso: Tenant
    fabrikam: Tenant

    def actor(self, name: str) -> Actor:
        user: User = getattr(self, name)
        return actor_of_user(user.id, str(user))


def assemble() -> Cast:
    people = {
        name: User.objects.create_user(
            email=f"{name}@example.test", password="correct horse battery", name=name.title()
        )
        for name in ("pia", "olga", "otto", "mona", "adam", "vera", "max", "nora")
    }
    contoso = _customer("Contoso", CANARY_CONTOSO, CONTOSO_ID)
    fabrikam = _customer("Fabrikam", CANARY_FABRIKAM, FABRIKAM_ID)
    roles = (
        ("pia", Role.PROVIDER_ADMIN, None),
        ("olga", Role.OPERATOR, None),
        ("otto", Role.OPERATOR, contoso),
        ("mona", Role.MONITOR, None),
        ("adam", Role.CUSTOMER_ADMIN, contoso),
        ("vera", Role.CUSTOMER_MONITOR, contoso),
        ("max", Role.CUSTOMER_ADMIN, fabrikam),
    )
    for name, role, tenant in roles:
        person = people[name]
        services.give_role(SYSTEM, user_id=person.id, email=person.email, role=role, tenant=tenant)
        person.refresh_from_db()  # a role ends the sessions opened before it
    return Cast(**people, contoso=contoso, fabrikam=fabrikam)


def sign_in(client: Client, person: User) -> None:
    """As if this person had just given the password, from where test clients are."""
    client.force_login(person, backend="accounts.backends.Backend")
    signed_in_at(client, person, time.time())
    Session.objects.filter(user=person, address=None).update(address="127.0.0.1")


def signed_in_at(client: Client, person: User, moment: float) -> None:
    """The session's sign-in was at that time, in seconds since 1970."""
    session = client.session
    session["account_authentication_methods"] = [{"method": "password", "at": moment}]
    session["account_authentication_methods_user"] = str(person.pk)
    session.save()


def _customer(name: str, canary: str, entra_tenant_id: uuid.UUID) -> Tenant:
    tenant = services.add_tenant(
        SYSTEM, name=name, entra_tenant_id=entra_tenant_id, domain=f"{canary}.example", licensed_users=30
    )
    with scope.one(tenant.id):
        services.set_connection(
            SYSTEM,
            tenant,
            cloud=Cloud.GLOBAL,
            client_id=uuid.uuid5(uuid.NAMESPACE_DNS, canary),
            client_secret=f"{canary}~secret~of~the~app~registration",
        )
    return tenant
