"""Every route x method x person x own, foreign, absent and malformed id.

What is expected follows from the route's door and the table of abilities, so a new route is in here by being
a route; one that nobody classified fails the first test.
"""

import datetime as dt
import uuid
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

import pytest
from django.db import transaction
from django.test import Client
from django.urls import Resolver404, resolve
from django.utils import timezone

from accounts.models import SavedView, User
from accounts.services import create_token
from audit.services import record
from authstatus.models import RegistrationKey, VerifyRow, VerifyRun
from directory.models import DirectoryGroup, DirectoryUser
from domains.models import CustomDomain
from invitations.models import Invitation
from onboarding.models import Onboarding
from replication import services as queue
from replication.models import Command, Removal, RemovalPlan, State
from resource_accounts.models import Design
from sbc.models import Sbc
from sites.models import Prefix, Site
from telephony import holds, ranges
from telephony.models import NumberHold
from tenants import scope
from tenants.abilities import ABILITIES, Ability, Role
from tenants.access import SYSTEM, Actor
from tenants.models import Connection, SignInFlow, Tenant
from tests.cast import CANARY_CONTOSO, CANARY_FABRIKAM, Cast, assemble, sign_in
from tests.photograph import Photograph
from tests.provisioning.making import add_line, add_plan
from tests.walls.routes import Route, routes
from user_templates.models import UserTemplate

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
PEOPLE = ("pia", "olga", "otto", "mona", "adam", "vera", "max", "nora")
ROUTES = routes()
TOKEN_ROLES = {
    "pia": (Role.PROVIDER_ADMIN, None),
    "olga": (Role.OPERATOR, None),
    "otto": (Role.OPERATOR, "contoso"),
    "mona": (Role.MONITOR, None),
    "adam": (Role.CUSTOMER_ADMIN, "contoso"),
    "vera": (Role.CUSTOMER_MONITOR, "contoso"),
    "max": (Role.CUSTOMER_ADMIN, "fabrikam"),
}


class Stage:
    """The cast, with data of both customers that carries their canaries, and a client for each person."""

    def __init__(self, cast: Cast, nested: dict[uuid.UUID, Any] | None = None) -> None:
        self.cast = cast
        self.nested = nested or {
            tenant.id: self._data(tenant, canary) | {"user_id": person.id, "view_id": view_of(person, canary)}
            for tenant, canary, person in (
                (cast.contoso, CANARY_CONTOSO, cast.vera),
                (cast.fabrikam, CANARY_FABRIKAM, cast.max),
            )
        }

    @staticmethod
    def _data(tenant: Tenant, canary: str) -> dict[str, Any]:
        with scope.one(tenant.id):
            command = queue.submit(SYSTEM, "quick_replication", tenant)
            Command.objects.filter(id=command.id).update(message=f"A message of {canary}")
            user = DirectoryUser.objects.create(
                tenant_id=tenant.id,
                object_id=uuid.uuid5(tenant.id, "user"),
                display_name=f"Person {canary}",
                user_principal_name=f"person@{canary}.example",
                company_name=canary,
            )
            DirectoryGroup.objects.create(
                tenant_id=tenant.id, object_id=uuid.uuid5(tenant.id, "group"), display_name=f"Group {canary}"
            )
            plan = RemovalPlan.objects.create(tenant_id=tenant.id, command=command, why=f"Why {canary}")
            Removal.objects.create(
                tenant_id=tenant.id, plan=plan, noun="User", key=str(user.object_id), name=canary
            )
            record(
                SYSTEM,
                "tenant.edited",
                tenant_id=tenant.id,
                object_kind="tenant",
                object_id=tenant.id,
                object_label=canary,
            )
            flow = SignInFlow.objects.create(
                tenant=tenant, state_hash=canary, browser_hash=canary, actor_id=canary, client_id=uuid.uuid4()
            )
            key = RegistrationKey.objects.create(
                tenant=tenant,
                client_id=Connection.objects.get(tenant=tenant).client_id,
                key_id=uuid.uuid5(tenant.id, "key"),
                kind="client_secret",
                name=canary,
                seen_at=timezone.now(),
            )
            invitation = Invitation.objects.create(
                tenant=tenant,
                type="invite",
                email=f"invited@{canary}.example",
                created_by="somebody",
                expires_at=timezone.now() + dt.timedelta(days=5),
                found_tenant_id=uuid.uuid5(tenant.id, "found"),
            )
            domain = CustomDomain.objects.create(tenant=tenant, name=f"voice.{canary}.example", set_by=canary)
            Onboarding.objects.create(tenant=tenant, dns_name=f"voice.{canary}.example", started_by=canary)
            sbc, _ = Sbc.objects.get_or_create(name="sbc", address="169.254.4.1", created_by="somebody")
            site = Site.objects.create(tenant=tenant, sbc=sbc, name=canary[:15], gateway=f"{canary}.example")
            prefix = Prefix.objects.create(
                tenant=tenant, site=site, sbc=sbc, plan="CustDialPlan", name=canary[:15], tag=f"{canary}.example",
                prefix=f"+{tenant.id.int % 10**9}", plus=True, numbers=1,
                span=(tenant.id.int % 10**9, tenant.id.int % 10**9 + 1),
            )  # fmt: skip
            number = f"+4158906{tenant.id.int % 10_000:04}"
            pool = ranges.add(SYSTEM, tenant, name=canary, kind="directRouting", first=number, note=canary)
            holds.reserve(SYSTEM, tenant, [pool.rule], holder=canary)
            hold_id = NumberHold.objects.get(tenant=tenant).uid
            design = Design.objects.create(
                tenant=tenant, kind="call_queue", name=f"Desk {canary}", upn=f"desk@{canary}.example",
                spec={"greeting": canary}, created_by=canary,
            )  # fmt: skip
            run = VerifyRun.objects.create(started_by="somebody")
            VerifyRow.objects.create(run=run, tenant=tenant, left_out="paused")
            written = add_plan(tenant, actor_label=canary)
            of_group = UserTemplate.objects.create(
                tenant=tenant, name=canary, rank=1, group_id=user.object_id, group_name=canary,
                values=[["user:city", canary]], created_by=canary,
            )  # fmt: skip
            add_line(written, user.object_id, f"Person {canary}", after=canary)
        return {
            "run_id": run.id,
            "domain_id": domain.id,
            "site_id": site.uid,
            "prefix_id": prefix.uid,
            "design_id": design.uid,
            "template_id": uuid.uuid4(),
            "user_template_id": of_group.uid,
            "which": "verify",
            "range_id": pool.uid,
            "hold_id": hold_id,
            "plan": "CustDialPlan",
            "plan_id": written.uid,
            "flow_id": flow.id,
            "key_id": key.key_id,
            "number": command.id,
            "object_id": user.object_id,
            "token_id": uuid.uuid4(),
            "token": "a-link-that-nobody-was-sent-and-so-leads-away",
            "endpoint_id": uuid.uuid4(),
            "sbc_id": uuid.uuid4(),
            "script_id": uuid.uuid4(),
            "invitation_id": invitation.pk,
        }

    def client(self, name: str, *, api: bool) -> Client:
        client = Client(raise_request_exception=False)
        if api:
            client.defaults["HTTP_AUTHORIZATION"] = f"Bearer {self.token(name)}"
        elif name != "nobody":
            person = getattr(self.cast, name)
            sign_in(client, person)
        return client

    def token(self, name: str) -> str:
        role, of = TOKEN_ROLES[name]
        tenant_id = getattr(self.cast, of).id if of else None
        scopes = sorted(ABILITIES[role])
        _, value = create_token(
            SYSTEM,
            name=name,
            role=role,
            scopes=list(scopes),
            tenant_id=tenant_id,
            networks=[],
            lifetime=dt.timedelta(hours=1),
        )
        return value

    def actor(self, name: str) -> Actor:
        return self.cast.actor(name)


def view_of(person: User, canary: str) -> uuid.UUID:
    view = SavedView.objects.create(user=person, page="tenants", name=f"View {canary}", query="size=25")
    return view.id


@pytest.fixture(scope="session")
def stage_photograph(django_db_setup: None, django_db_blocker: Any) -> Photograph[dict[uuid.UUID, Any]]:
    def make() -> tuple[Cast, dict[uuid.UUID, Any]]:
        stage = Stage(assemble())
        return stage.cast, stage.nested

    with django_db_blocker.unblock():
        return Photograph(make)


@pytest.fixture
def stage(stage_photograph: Photograph[dict[uuid.UUID, Any]], db: None) -> Stage:
    return Stage(*stage_photograph.restore())


def test_every_route_is_classified() -> None:
    unknown = [route.pattern for route in ROUTES if not route.doors and not route.why_open]
    assert unknown == [], "give them a door, or say in tests/walls/routes.py why they need none"


def test_there_is_something_to_test() -> None:
    assert len([route for route in ROUTES if route.doors]) > 40


SCRAWLERS = ("pia", "adam", "nora")
"""Whoever may do everything, something, and nothing: what no converter or route takes, and a page without its body,
is the same to others."""


def methods(route: Route, name: str) -> list[str]:
    """Those that the route takes; for some people also HEAD and those that it does not."""
    return [method for method in METHODS if name in SCRAWLERS or method in route.doors]


def places(
    stage: Stage, route: Route, name: str = "pia"
) -> Iterator[tuple[str, dict[str, Any], uuid.UUID | None]]:
    """(kind of place, values for the address, the customer it belongs to or None when there is none)."""
    contoso, fabrikam = stage.cast.contoso.id, stage.cast.fabrikam.id
    for tenant_id in (contoso, fabrikam):
        yield "there", {"uid": tenant_id, **stage.nested[tenant_id]}, tenant_id
    yield "absent", {"uid": uuid.uuid4(), **stage.nested[contoso]}, None
    if "uid" in route.takes and route.takes - {"uid", "token_id"}:
        yield "crossed", {"uid": contoso, **stage.nested[fabrikam]}, contoso
        yield "crossed", {"uid": fabrikam, **stage.nested[contoso]}, fabrikam
    if name not in SCRAWLERS:
        return
    for bad in ("not-a-uuid", "%00", "..%2f..", "c0000000-0000-4000-8000-00000000000g", "0", "-1", "9" * 40):
        yield "malformed", dict.fromkeys(route.takes, bad), None


def calls(stage: Stage, route: Route, name: str) -> Iterator[tuple[str, str, str, uuid.UUID | None]]:
    """(kind of place, method, address, customer) for each call, and none twice.

    An address without ids is the same whoever's place it stands for. One that leads to no view at all is the same
    to everybody: one person asks.
    """
    asked = set()
    for kind, values, tenant_id in places(stage, route, name):
        address = route.address(**values)
        if kind == "malformed" and name != SCRAWLERS[0] and not leads_to_a_view(address):
            continue
        for method in methods(route, name) if kind == "there" else ("GET", "POST"):
            if (method, address) not in asked:
                asked.add((method, address))
                yield kind, method, address, tenant_id


def leads_to_a_view(address: str) -> bool:
    try:
        resolve(unquote(address))
    except Resolver404:
        return False
    return True


def expected(actor: Actor, route: Route, method: str, tenant_id: uuid.UUID | None) -> set[int] | None:
    """The statuses that are right; None when the door is open and the view decides."""
    door = route.doors.get("GET" if method == "HEAD" and "HEAD" not in route.doors else method)
    if door is None:
        return {405}
    if door.kind == "person" or door.needs is None:
        return None
    if door.kind == "provider":
        return None if actor.may(door.needs) else {403} if actor.is_provider else {404}
    if door.kind == "list":
        everywhere = actor.may(door.needs) or any(actor.may(door.needs, one) for one in actor.tenant_roles)
        return None if everywhere else {403} if actor.is_provider else {404}
    if tenant_id is None:
        return {404}
    if actor.may(door.needs, tenant_id):
        return None
    return {403} if actor.may(Ability.VIEW_TENANT, tenant_id) else {404}


def call(client: Client, method: str, address: str, **more: Any) -> tuple[int, str]:
    """Status and whole text; whatever it changed is rolled back."""
    with transaction.atomic():
        answer = client.generic(method, address, **more)
        body = b"".join(answer) if answer.streaming else answer.content  # type: ignore[arg-type]  # bytes in tests
        transaction.set_rollback(True)
    return answer.status_code, body.decode(errors="replace") + str(dict(answer.items()))


@pytest.mark.parametrize("route", [r for r in ROUTES if r.doors], ids=lambda r: r.pattern)
def test_the_matrix(stage: Stage, route: Route) -> None:
    for name in TOKEN_ROLES if route.api else PEOPLE:
        actor, client = stage.actor(name), stage.client(name, api=route.api)
        foreign = {
            "otto": CANARY_FABRIKAM,
            "adam": CANARY_FABRIKAM,
            "vera": CANARY_FABRIKAM,
            "max": CANARY_CONTOSO,
        }
        for kind, method, address, tenant_id in calls(stage, route, name):
            status, text = call(client, method, address, **_body(route, method))
            where = f"{name} {method} {address} ({kind}): {status}"
            right = expected(actor, route, method, tenant_id)
            if kind == "malformed":
                assert status in {404, 405, 400, 403}, where
            elif right is not None:
                assert status in right, f"{where}, expected {right}"
            elif kind == "crossed":
                assert status == 404 or method not in route.doors, where
            else:
                assert status not in {403, *range(500, 600)}, where
            assert status < 500, f"{where}\n{text[:2000]}"
            if name in foreign:
                assert foreign[name] not in text, f"{where} shows another customer's data"
            if name == "nora":
                assert CANARY_CONTOSO not in text, where
                assert CANARY_FABRIKAM not in text, where


def _body(route: Route, method: str) -> dict[str, Any]:
    if route.api and method in {"POST", "PUT", "PATCH", "DELETE"}:
        return {"data": b"{}", "content_type": "application/json"}
    return {}


@pytest.mark.parametrize("route", [r for r in ROUTES if r.doors], ids=lambda r: r.pattern)
def test_nobody_gets_anywhere_without_signing_in(stage: Stage, route: Route) -> None:
    client = Client(raise_request_exception=False)
    for address in {route.address(**values) for _, values, _ in list(places(stage, route))[:2]}:
        for method in METHODS:
            status, text = call(client, method, address, **_body(route, method))
            door = next(iter(route.doors.values()))
            away = {401} if route.api else {404, 410} if door.kind == "visit" else {302}
            assert status in {*away, 405}, f"{method} {route.pattern}: {status}"
            assert CANARY_CONTOSO not in text
            assert CANARY_FABRIKAM not in text


QUERIES = (
    "search=osprey",
    "q=osprey",
    "search=%25",
    "customer=Fabrikam",
    "tenant={foreign}",
    "tenant_id={foreign}",
    "tenant__name=Fabrikam",
    "state=failed' OR 1=1--",
    "sort=tenant__domain",
    "sort=-password",
    "ordering=tenant__domain",
    "ordering=secret",
    "page=999999",
    "page=-1",
    "size=100000",
    "cursor=AAAA",
    "id__in={foreign}",
    "actor=max%40example.test",
)


@pytest.mark.parametrize(
    "route", [r for r in ROUTES if "GET" in r.doors and not r.takes - {"uid"}], ids=lambda r: r.pattern
)
def test_no_filter_or_order_reaches_another_customer(stage: Stage, route: Route) -> None:
    client = stage.client("adam", api=route.api)
    foreign = stage.cast.fabrikam.id
    for query in QUERIES:
        address = route.address(uid=stage.cast.contoso.id) + "?" + query.format(foreign=foreign)
        status, text = call(client, "GET", address)
        assert status < 500, f"{address}: {status}"
        assert CANARY_FABRIKAM not in text, address


@pytest.mark.parametrize("route", [r for r in ROUTES if "POST" in r.doors], ids=lambda r: r.pattern)
def test_no_body_reaches_another_customer(stage: Stage, route: Route) -> None:
    """Ids of another customer in a body: refused or not understood, and nothing of his has changed."""
    client = stage.client("adam", api=route.api)
    foreign = stage.cast.fabrikam.id
    nested = stage.nested[foreign]
    names = (
        "uid",
        "id",
        "ids",
        "tenant",
        "tenant_id",
        "selected",
        "commands",
        "command",
        "user",
        "object_id",
    )
    values = {name: str(nested["number"] if "command" in name else foreign) for name in names}
    values["selected"] = str(nested["number"])
    address = route.address(uid=stage.cast.contoso.id, **stage.nested[stage.cast.contoso.id])
    with transaction.atomic():
        with transaction.atomic():  # a view that refused rolls its own part back
            if route.api:
                body = {key: [value] for key, value in values.items()}
                answer = client.post(address, body, "application/json")
            else:
                answer = client.post(address, values)
        with scope.one(foreign):
            assert Command.objects.get().state == State.QUEUED, address
            assert Tenant.objects.get().row_version == 1
            assert Tenant.objects.get().paused_at is None
        transaction.set_rollback(True)
    assert answer.status_code < 500, address
    assert CANARY_FABRIKAM.encode() not in (b"" if answer.streaming else answer.content)


LAWYERS_TABLE = [
    # who, method, address, status
    ("adam", "GET", "/tenants/{contoso}/", 200),
    ("adam", "GET", "/tenants/{fabrikam}/", 404),
    ("adam", "GET", "/tenants/", 200),  # a list of his own one
    ("adam", "GET", "/settings/", 404),
    ("nora", "GET", "/tenants/", 404),
    ("vera", "POST", "/tenants/{contoso}/queue-replication/", 403),
    ("max", "GET", "/tenants/{contoso}/users/", 404),
    ("otto", "GET", "/tenants/{fabrikam}/", 404),
    ("otto", "GET", "/tenants/add/", 403),
    ("mona", "GET", "/tenants/{fabrikam}/", 200),
    ("mona", "POST", "/tenants/{fabrikam}/queue-replication/", 403),
    ("olga", "GET", "/tenants/add/", 200),
    ("olga", "GET", "/tenants/{contoso}/delete/", 403),
    ("pia", "GET", "/tenants/{contoso}/delete/", 200),
]


@pytest.mark.parametrize(("who", "method", "address", "status"), LAWYERS_TABLE)
def test_what_a_lawyer_would_ask(stage: Stage, who: str, method: str, address: str, status: int) -> None:
    path = address.format(contoso=stage.cast.contoso.id, fabrikam=stage.cast.fabrikam.id)
    assert call(stage.client(who, api=False), method, path)[0] == status


def test_what_is_behind_a_door_is_for_its_methods_and_stays_in_no_cache(stage: Stage) -> None:
    pia = stage.client("pia", api=False)
    page = pia.get("/queue/")
    assert (page.status_code, pia.put("/queue/").status_code, Client().get("/queue/").status_code) == (
        200,
        405,
        302,
    )
    assert "no-store" in page.headers["Cache-Control"]
