"""How a command of each kind comes about, with something for it to do at both ends.

Each function prepares a world and queues the command. A kind without one fails tests/chaos/test_killed_anywhere.py:
write it here, as a person or the portal itself would ask for it.
"""

import dataclasses
import os
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from accounts.models import User
from authstatus import helper_app, qoe, registration_keys, registrations
from authstatus import services as checks
from deployment import services as deployment
from deployment.models import Act
from directory.models import DirectoryGroup
from domains import services as domains
from domains.models import CustomDomain
from events.models import Type
from events.services import tell
from invitations import services as invitations
from invitations.models import Invitation
from invitations.welcome import WELCOME
from onboarding import services as onboarding
from provisioning import services as changes
from provisioning.aspects import Thing
from provisioning.judging import Wish
from provisioning.models import Source
from replication import services as queue
from replication import states
from replication.commands import PROBE
from sbc import services as sbcs
from sbc.models import Sbc
from simulator import skus
from simulator.graph.teams_state import telephony_of
from simulator.mailbox import MailServer
from simulator.registrations import add_app, install
from simulator.sbc.cli import Session
from simulator.server import Simulator
from sites import import_services
from sites import services as sites
from sites.models import Site
from tenants import provider_app, scope, secrets, services
from tenants.access import SYSTEM
from tenants.credentials import Given
from tenants.lines import Line
from tenants.models import Cloud, SecretKind, Tenant, Verification
from tests.authstatus.renewing import OLGA, another, app_of, let_it_renew
from tests.authstatus.test_delegated import Stage
from tests.authstatus.test_registration_create import RIGHTS, allow
from tests.cast import Cast
from tests.deployment.teams import PretendTeams
from tests.directory.pretend import FULL, Customer, Worker, make_customer
from tests.domains.conftest import allow as allow_domains
from tests.domains.conftest import enter_zone
from tests.invitations.stage import HUB, Way, build, visits_of
from tests.m365.teams_apps_model import TeamsApps
from tests.provisioning.helpers import allow as allow_changes
from tests.resource_accounts.stage import Stage as AccountStage
from tests.resource_accounts.stage import pretend_teams
from tests.sbc.conftest import fresh, wish
from tests.sites.conftest import OTHERS, act, pair
from tests.sites.conftest import wish as site_wish
from tests.sites.numbers import FOREIGN, place
from tests.sites.numbers import add as add_prefixes
from tests.sites.test_importing import PLANS
from tests.tenants import keys
from tests.webhooks.receiver import Receiver
from user_templates import services as user_templates
from webhooks import digests
from webhooks import services as webhooks

CALLBACK = "https://testserver/authenticate/OAuth2Callback"
_KEKS = os.environ["UMP_KEK_FILE"], os.environ["UMP_KEK_PUBLIC_FILE"]
Prepare = Callable[["World"], None]


@dataclasses.dataclass
class World:
    """What a scenario may use; `settle` carries out what it has queued so far, undisturbed."""

    cast: Cast
    microsoft: Simulator
    mailbox: MailServer
    receiver: Receiver
    settings: Any
    client_of: Callable[[User], Client]
    patch: pytest.MonkeyPatch
    settle: Callable[[], None]
    worker: Worker = dataclasses.field(default_factory=Worker)
    meanwhile: Callable[[], object] = lambda: None
    """What a person does between two slices."""

    def customer(self, name: str = "Tailspin", **spec: Any) -> Customer:
        return make_customer(self.microsoft, name, **{"users": 12, "groups": 2, **spec})


@dataclasses.dataclass(frozen=True)
class Scenario:
    """`loose` names tables, and actions of the trail, that may differ, with the reason beside it.

    `once` is for what Microsoft lets be used one time only: a blow after that may end the command as refused, and the
    person starts again.
    """

    prepare: Prepare
    loose: frozenset[str] = frozenset()
    once: bool = False


SCENARIOS: dict[str, Scenario] = {}


def scenario(kind: str, *, loose: tuple[str, ...] = (), once: bool = False) -> Callable[[Prepare], Prepare]:
    def keep(prepare: Prepare) -> Prepare:
        SCENARIOS[kind] = Scenario(prepare, frozenset(loose), once)
        return prepare

    return keep


# --- The directory ------------------------------------------------------------------------------------------------
@scenario("sync")
def _sync(world: World) -> None:
    customer = world.customer()
    world.worker.run(customer)
    customer.change("users", 3, jobTitle="Captain")
    customer.remove("users", 4)
    world.worker.queue(customer, "sync")


@scenario("quick_replication")
def _quick_replication(world: World) -> None:
    customer = world.customer()
    world.worker.run(customer)
    customer.change("users", 3, jobTitle="Captain")
    customer.leave(0, 1)
    world.worker.queue(customer)


# --- Connections and credentials ----------------------------------------------------------------------------------
@scenario("verify_credentials", loose=("authstatus_check",))  # it looked twice, and both looks are told
def _verify_credentials(world: World) -> None:
    world.worker.queue(world.customer(), "verify_credentials")


@scenario("renew_secret", loose=("authstatus_registrationkey",))  # the next check lists what is there
def _renew_secret(world: World) -> None:
    customer = world.customer()
    let_it_renew(customer)
    with scope.one(customer.tenant.id):
        registrations.renew(OLGA, customer.tenant)


@scenario("renew_all_secrets", loose=("authstatus_registrationkey",))  # as above
def _renew_all_secrets(world: World) -> None:
    let_it_renew(world.customer())
    let_it_renew(world.customer("Wingtip"))
    registrations.renew_all(OLGA)


def _provider(world: World) -> Any:
    """The provider's app at a pretend Microsoft: it may change itself, and owns itself."""
    pretend = world.microsoft.state.add_tenant(
        {"name": "Provider", "users": 1, "app": {"multi_tenant": True}}
    )
    app = next(iter(pretend.apps.values()))
    provider_app.change(
        SYSTEM,
        client_id=uuid.UUID(app.client_id),
        redirect_uri=CALLBACK,
        home_tenant_id=uuid.UUID(pretend.id),
        given=Given(SecretKind.CLIENT_SECRET, app.secrets[0].value),
    )
    app.principal.grant([*app.principal.granted(), "Application.ReadWrite.OwnedBy"], 0.0)
    app.registration.owners.add(app.principal.object_id)
    return app


@scenario("renew_provider_secret")
def _renew_provider_secret(world: World) -> None:
    _provider(world)
    world.settle()
    registrations.renew_app(OLGA)


@scenario("verify_provider_app")
def _verify_provider_app(world: World) -> None:
    _provider(world)
    checks.check_provider_app(OLGA)


@scenario("rotate_keys")
def _rotate_keys(world: World) -> None:
    """Its own key and each customer's are behind."""
    world.settings.KEK_FILE, world.settings.KEK_PUBLIC_FILE = _KEKS
    secrets.provider_key()
    world.customer()
    keys.put_on_top(world.settings, Path(_KEKS[0]).parent)
    checks.rotate_keys(OLGA)


@scenario("verify_qoe")
def _verify_qoe(world: World) -> None:
    customer = world.customer(app={"roles": ["CallRecords.Read.All", "User.Read.All"]})
    app = next(iter(customer.pretend.apps.values()))
    with scope.one(customer.tenant.id):
        qoe.save(
            SYSTEM, customer.tenant, application_id=uuid.UUID(app.client_id), password=app.secrets[0].value
        )


@scenario("create_registration")
def _create_registration(world: World) -> None:
    customer = world.customer()
    allow(customer, RIGHTS)
    with scope.one(customer.tenant.id):
        registrations.create(OLGA, customer.tenant)


@scenario("migrate")
def _migrate(world: World) -> None:
    customer = world.customer()
    app = add_app(customer.pretend, {"name": "Own", "client_id": str(uuid.uuid4())}, customer.now())
    provider_app.change(
        SYSTEM,
        client_id=uuid.UUID(app_of(customer).client_id),
        redirect_uri=CALLBACK,
        given=Given(SecretKind.CLIENT_SECRET, app_of(customer).secrets[0].value),
    )
    with scope.one(customer.tenant.id):
        services.use_provider_app(SYSTEM, customer.tenant)
        services.note_check(customer.tenant.id, verification=Verification.SUCCESSFUL, problem=None)
        registrations.migrate(
            OLGA,
            customer.tenant,
            cloud=Cloud.GLOBAL,
            client_id=uuid.UUID(app.client_id),
            client_secret=app.secrets[0].value,
        )


@scenario("remove_helper_app")
def _remove_helper_app(world: World) -> None:
    home = _provider(world)
    customer = world.customer()
    _, principal = install(customer.pretend, home.registration, customer.now())
    principal.grant(["Application.ReadWrite.All"], 0.0)
    world.settle()
    with scope.one(customer.tenant.id):
        helper_app.remove(OLGA, customer.tenant)


@scenario("remove_registration_key")
def _remove_registration_key(world: World) -> None:
    customer = world.customer()
    let_it_renew(customer)
    other = another(app_of(customer).registration, "zzz8Q~somebody~elses")
    world.worker.queue(customer, "verify_credentials")
    world.settle()
    with scope.one(customer.tenant.id):
        registration_keys.remove(OLGA, customer.tenant, uuid.UUID(other.key_id))


# --- Signing in ---------------------------------------------------------------------------------------------------
@scenario("redeem_code", once=True)
def _redeem_code(world: World) -> None:
    way = build(world.cast, world.microsoft, world.settings)
    with scope.one(way.tenant.id):
        services.use_provider_app(SYSTEM, way.tenant)
    stage = Stage(world.cast, world.microsoft, way.pretend, way.other)
    client = world.client_of(world.cast.olga)
    client.get(stage.sign_in(stage.leave(client, way.tenant)))


@scenario("claim_invitation", once=True)
def _claim_invitation(world: World) -> None:
    way = build(world.cast, world.microsoft, world.settings)
    browser = way.enter(way.invite(portal_account=False))
    browser.get(way.sign_in(way.start(browser)))


@scenario("device_code", once=True)
def _device_code(world: World) -> None:
    way: Way = build(world.cast, world.microsoft, world.settings)
    browser = way.enter(way.invite(portal_account=False))
    assert browser.post(f"{HUB}device/").status_code == 303
    entered: set[str] = set()

    def enter() -> None:
        """The person enters whatever code the page shows, once."""
        shown = visits_of(browser).device
        if shown and shown["code"] not in entered:
            entered.add(str(shown["code"]))
            way.enter_code(str(shown["code"]))

    world.meanwhile = enter


@scenario("welcome_invited", loose=("audit_entry", "link.made"))  # another link, to the same page
def _welcome_invited(world: World) -> None:
    with scope.one(world.cast.contoso.id):
        invitation = invitations.invite(
            OLGA, world.cast.contoso, email="new@contoso.example", full_name="Ned New"
        )
        world.settle()
        queue.submit(SYSTEM, WELCOME, world.cast.contoso, target=str(invitation.pk))


@scenario("send_invitation", loose=("invitations_link",))  # both links lead to it, the mail shows once
def _send_invitation(world: World) -> None:
    with scope.one(world.cast.contoso.id):
        invitations.invite(OLGA, world.cast.contoso, email="admin@contoso.example", full_name="Ada Main")
        assert Invitation.objects.count() == 1


# --- The provider -------------------------------------------------------------------------------------------------
@scenario("discover_tenant")
def _discover_tenant(world: World) -> None:
    customer = world.customer()
    onboarding.discover(OLGA, customer.pretend.domain)


@scenario("probe")
def _probe(world: World) -> None:
    world.customer()
    with scope.every("a test probes"):
        queue.submit(SYSTEM, PROBE, None, target="line")


@scenario("deliver_events", loose=("webhooks_delivery",))  # a try that was not noted is made again
def _deliver_events(world: World) -> None:
    webhooks.add(SYSTEM, name="Tickets", url=world.receiver.url)
    customer = world.customer()
    for number in range(3):
        with scope.one(customer.tenant.id):
            tell(Type.DEGRADED, customer.tenant.id, {"number": number})
    webhooks.send_due()


@scenario("send_digest")
def _send_digest(world: World) -> None:
    digests.wish(world.cast.actor("olga"), world.cast.olga, wanted=True)
    with scope.one(world.cast.contoso.id):
        services.note_check(
            world.cast.contoso.id, verification=Verification.FAILED, problem={"code": "secret_expired"}
        )
    with scope.every("a test asks for a mail"):
        queue.submit(SYSTEM, digests.SEND, None, target=str(world.cast.olga.id))


# --- Domains ------------------------------------------------------------------------------------------------------
def _begun(world: World) -> tuple[Customer, CustomDomain]:
    customer = world.customer()
    allow_domains(customer)
    enter_zone(world.microsoft)
    with scope.one(customer.tenant.id):
        return customer, domains.begin(OLGA, customer.tenant)


def _ready(world: World) -> tuple[Customer, CustomDomain]:
    customer, row = _begun(world)
    world.settle()
    with scope.one(customer.tenant.id):
        row.refresh_from_db()
    return customer, row


@scenario("provision_domain")
def _provision_domain(world: World) -> None:
    _begun(world)


@scenario("remove_domain")
def _remove_domain(world: World) -> None:
    customer, row = _ready(world)
    with scope.one(customer.tenant.id):
        domains.remove(OLGA, row)


@scenario("remove_activation_user")
def _remove_activation_user(world: World) -> None:
    customer, row = _ready(world)
    held = [skus.SPE_E5]
    customer.create(
        "users",
        userPrincipalName=f"lee@{row.name}",
        displayName="Lee",
        usageLocation="DE",
        assignedLicenses=skus.licences(*held),
        assignedPlans=skus.plans([sku.id for sku in held], "global", "2026-01-01T00:00:00Z"),
    )
    with scope.one(customer.tenant.id):
        domains.release_user(OLGA, row)


@scenario("test_dns_zone")
def _test_dns_zone(world: World) -> None:
    enter_zone(world.microsoft)
    domains.try_zone(OLGA)


# --- SBCs ---------------------------------------------------------------------------------------------------------
def _known(world: World) -> Sbc:
    device = world.microsoft.sbcs.add("sbc1.example")
    return sbcs.add(SYSTEM, **wish(device))[0]


@scenario("check_sbc")
def _check_sbc(world: World) -> None:
    _known(world)


@scenario("read_prefixes")
def _read_prefixes(world: World) -> None:
    sbc = _known(world)
    world.settle()
    sbcs.read_prefixes(OLGA, sbc)


# --- Sites --------------------------------------------------------------------------------------------------------
def _taken(world: World) -> tuple[Any, Sbc]:
    """A device with something of others on it, which was looked at."""
    device = world.microsoft.sbcs.add("sbc1.example")
    Session(device.running).run(OTHERS)
    device.plant("CustDialPlan", FOREIGN)
    sbc = sbcs.add(SYSTEM, **wish(device))[0]
    world.settle()
    sbcs.read_prefixes(SYSTEM, sbc)
    world.settle()
    return device, fresh(sbc)


def _site(world: World) -> Site:
    _, sbc = _taken(world)
    with scope.one(world.cast.contoso.id):
        return sites.add(SYSTEM, world.cast.contoso, **site_wish(sbc, pair("BYOC with registration")))


@scenario("deploy_site")
def _deploy_site(world: World) -> None:
    act(sites.deploy, _site(world))


@scenario("remove_site")
def _remove_site(world: World) -> None:
    site = _site(world)
    act(sites.deploy, site)
    world.settle()
    act(sites.remove, site)


def _deployed(world: World, *acts: Act) -> None:
    """Contoso with a site and a pretend Teams; these are looked at and decided on, the last is yet to be done."""
    pretend, tenant = PretendTeams(), world.cast.contoso
    world.patch.setattr(Line, "teams", lambda self, *, stop=None: pretend.session())
    _site(world)
    with scope.every("a worker with PowerShell looks for work"):
        states.note_powershell()
    for act_ in acts:
        world.settle()
        with scope.one(tenant.id):
            services.note_check(tenant.id, verification=Verification.SUCCESSFUL, problem=None)
            run = deployment.look(SYSTEM, tenant, act_)
        world.settle()
        with scope.one(tenant.id):
            run.refresh_from_db()
            tenant.refresh_from_db()
            deployment.decide(SYSTEM, tenant, act_, run.plan)


@scenario("deploy")
def _deploy(world: World) -> None:
    _deployed(world, Act.DEPLOY)


@scenario("voice_routing")
def _voice_routing(world: World) -> None:
    _deployed(world, Act.DEPLOY)


@scenario("undo_deploy")
def _undo_deploy(world: World) -> None:
    _deployed(world, Act.DEPLOY, Act.UNDO)


@scenario("write_numbers")
def _write_numbers(world: World) -> None:
    _, sbc = _taken(world)
    add_prefixes(place(world.cast.contoso, sbc), "+4158906", "+4158907[10-19]")


@scenario("import_customers")
def _import_customers(world: World) -> None:
    device = world.microsoft.sbcs.add("sbc1.example")
    for plan, rules in PLANS.items():
        device.plant(plan, rules)
    sbc = sbcs.add(SYSTEM, **wish(device))[0]
    world.settle()
    sbcs.read_prefixes(SYSTEM, sbc)
    world.settle()
    sbc = fresh(sbc)
    import_services.request(SYSTEM, sbc, sbc.rules_digest)


# --- Telephony ----------------------------------------------------------------------------------------------------
def _phones(world: World) -> Customer:
    return world.customer(telephony={"head": "+41589061", "digits": 2})


@scenario("teams_users")
def _teams_users(world: World) -> None:
    world.worker.queue(_phones(world), "teams_users")


@scenario("teams_policies")
def _teams_policies(world: World) -> None:
    customer = _phones(world)
    world.worker.run(customer, "teams_users")
    world.worker.queue(customer, "teams_policies")


@scenario("number_assignments")
def _number_assignments(world: World) -> None:
    customer = _phones(world)
    world.worker.run(customer, "number_assignments")
    with customer.directory.lock:
        numbers = telephony_of(customer.pretend).numbers
        del numbers[next(number for number, row in numbers.items() if row.status == "unassigned")]
    world.worker.queue(customer, "number_assignments")


# --- Resource accounts --------------------------------------------------------------------------------------------
def _accounts(world: World) -> AccountStage:
    customer, teams = world.customer(), TeamsApps()
    world.worker.run(customer, FULL)
    pretend_teams(world.patch, teams)
    return AccountStage(customer, world.worker, teams)


@scenario("build_resource_account")
def _build_resource_account(world: World) -> None:
    stage = _accounts(world)
    stage.build(stage.add())


@scenario("remove_resource_account")
def _remove_resource_account(world: World) -> None:
    stage = _accounts(world)
    design = stage.add()
    stage.build(design)
    world.settle()
    stage.remove(design)


@scenario("reload_from_ovoc")
def _reload_from_ovoc(world: World) -> None:
    ovoc = world.microsoft.sbcs.ovoc
    sbcs.set_ovoc(
        SYSTEM, address=f"{ovoc.host}:{ovoc.port}", https=False, user=ovoc.user, password=ovoc.password
    )
    ovoc.put({"name": "sbc2.example", "ipAddress": "127.0.0.1:9"})
    world.settle()
    sbcs.reload(SYSTEM)


# --- Changes of users ---------------------------------------------------------------------------------------------
@scenario("apply_changes")
def _apply_changes(world: World) -> None:
    """What Microsoft does at once; orders of numbers take their time, and are killed in tests/provisioning."""
    world.settings.WRITE_SETTLE_SECONDS = 0
    customer = _phones(world)
    allow_changes(customer)
    world.worker.run(customer, "sync")
    people = sorted(customer.ids("users"))[:3]
    wishes = [Wish(Thing(uuid.UUID(one), "user:department"), "Night shift") for one in people]
    with scope.one(customer.tenant.id):
        changes.ask(SYSTEM, customer.tenant, wishes, source=Source.EDIT)


@scenario("apply_templates")
def _apply_templates(world: World) -> None:
    """What the templates ask for waits as changes; Apply changes has a scenario of its own."""
    customer = _phones(world)
    world.worker.run(customer, "sync")
    with scope.one(customer.tenant.id):
        Tenant.objects.filter(id=customer.tenant.id).update(licensed_users=100)
        customer.tenant.refresh_from_db()
        group = DirectoryGroup.objects.filter(tenant=customer.tenant).order_by("object_id")[0]
        for at, name in enumerate(("Night", "Day"), start=1):
            values = [[f"user:{('department', 'city')[at - 1]}", name]]
            made = user_templates.add(
                SYSTEM, customer.tenant, name=name, group_id=group.object_id, values=values
            )
            user_templates.confirm(SYSTEM, made, made.row_version)
