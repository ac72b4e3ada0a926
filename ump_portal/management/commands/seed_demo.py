"""Sample customers for the demo, by the same services that the screens use.

What is at "Microsoft" is the simulator's business; it is asked over HTTP which app registrations it has.
"""

import datetime as dt
import json
import urllib.error
import urllib.parse
import urllib.request
import uuid
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from accounts.models import User
from accounts.services import add_user
from authstatus import delegated
from authstatus.services import onboard, set_provider_app
from replication import services as queue
from sbc import services as devices
from sbc.models import Sbc
from tenants import provider_app, scope, services
from tenants.abilities import Role
from tenants.access import SYSTEM
from tenants.models import Cloud, Connection, Method, Plan, Service, Tenant
from tenants.selectors import tenants
from ump_portal.management import (
    sample_domains,
    sample_invitations,
    sample_numbers,
    sample_onboardings,
    sample_resource_accounts,
    sample_sites,
)

PASSWORD = "correct horse battery staple"  # noqa: S105  the demo's, printed at its start
UNTRUSTED = "sbc3.geneva.provider.example"
DEPLOYED = {
    "healthy",
    "certificate",
    "throttled",
    "expired_secret",
    "consent_withdrawn",
    "secret_expires_soon",
}
PEOPLE = (
    ("admin@demo.example", "Pia Provider", Role.PROVIDER_ADMIN, None),
    ("operator@demo.example", "Olga Operator", Role.OPERATOR, None),
    ("monitor@demo.example", "Mona Monitor", Role.MONITOR, None),
    ("customer@demo.example", "Adam Customer", Role.CUSTOMER_ADMIN, 0),
)


class Command(BaseCommand):
    help = "Add those of the demo's sample customers and people that are not there yet."

    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.DEMO or not settings.M365_GATEWAY_URL:
            raise CommandError("The samples are for the demo only: run `ump up --demo`.")
        there = {str(tenant.entra_tenant_id) for tenant in self._known()}
        for story in _stories():
            if story["tenant_id"] not in there:
                self._add(story)
        self._provider_app()
        self._accounts(there)
        self._devices()
        known = self._known()
        sample_invitations.plant(known, self._at_simulator)
        sample_onboardings.plant(self._at_simulator)
        self._people(known)
        sample_domains.plant(known, _simulator)
        sample_sites.plant(known, _simulator)
        sample_numbers.plant(known)
        sample_resource_accounts.plant(known)
        for email, name, role, which in PEOPLE:
            of = f" of {known[which].name}" if which is not None else ""
            self.stdout.write(f"{email:<24} {name}, {role.words}{of}")
        self.stdout.write(f"Password of all: {PASSWORD}")
        self.stdout.write(
            f"Simulator: {settings.M365_GATEWAY_URL}  Outbox: {settings.M365_GATEWAY_URL}/outbox"
        )

    @staticmethod
    def _known() -> list[Tenant]:
        with scope.every("the demo's samples are looked up"):
            return list(tenants().order_by("created_at"))

    @staticmethod
    def _add(story: dict[str, Any]) -> None:
        tenant, check = onboard(
            SYSTEM,
            name=story["name"],
            entra_tenant_id=uuid.UUID(story["tenant_id"]),
            client_id=uuid.UUID(story["client_id"]),
            client_secret=story.get("secret") or "",
            certificate=story.get("certificate_pem") or "",
            private_key=story.get("private_key_pem") or "",
            cloud=Cloud(story["cloud"]),
            domain=story["domain"],
            expires_at=dt.datetime.fromisoformat(story["secret_expires"]) if story["secret"] else None,
            plan=Plan.PRO,
            service=Service(story["service"]),
            licensed_users=min(story["users"] // 2, 600),
            deployed=story["story"] in DEPLOYED,
        )
        if story["story"] == "never_touched":  # somebody called the first check off
            with scope.one(tenant.id):
                queue.cancel(SYSTEM, check)

    @staticmethod
    def _provider_app() -> None:
        """The provider's own app, registered at the simulator as the set-up guide asks for."""
        if provider_app.current().client_id is not None:
            return
        home = _simulator("POST", "/many", {"count": 0, "connection": "shared", "seed": "demo"})["provider"]
        redirect_uri = provider_app.default_redirect_uri()
        change = {
            "redirect_uris": [redirect_uri],
            "add_roles": ["Application.Read.All"],
            "public_client": True,
        }
        _simulator("PATCH", f"/tenants/{home['tenant_id']}/app", change)
        set_provider_app(
            SYSTEM,
            client_id=uuid.UUID(home["client_id"]),
            redirect_uri=redirect_uri,
            home_tenant_id=uuid.UUID(home["tenant_id"]),
            client_secret=home["secret"],
        )

    @staticmethod
    def _accounts(there: set[str]) -> None:
        """Where Microsoft may send people back to; and customers who gave access, which a new simulator forgot."""
        back = provider_app.default_redirect_uri()
        at_microsoft = {one["tenant_id"] for one in _simulator("GET", "/tenants")["tenants"]}
        for story in _stories():
            if story["tenant_id"] not in at_microsoft:
                continue
            path = f"/tenants/{story['tenant_id']}"
            _simulator("PATCH", f"{path}/app", {"redirect_uris": [back]})
            method, give = WAYS.get(story["domain"].partition(".")[0], (None, None))
            if give is None:
                continue
            with scope.every("the demo's samples are looked up"):
                row = Connection.objects.select_related("tenant").get(
                    tenant__entra_tenant_id=story["tenant_id"]
                )
            if row.method == method or story["tenant_id"] not in there:
                admin = _simulator("GET", f"{path}/users/%230")["userPrincipalName"]
                with scope.session(), scope.one(row.tenant_id):
                    give(row.tenant, admin)

    @staticmethod
    def _devices() -> None:
        """The simulator's SBCs, where they are in this run, and its OVOC. One certificate is not trusted."""
        known = {sbc.name: sbc for sbc in Sbc.objects.all()}
        for told in _simulator("GET", "/sbcs")["sbcs"]:
            wish = _reached(told) | {
                "name": told["name"],
                "fqdn": told["name"],
                "fingerprint": "" if told["name"] == UNTRUSTED else told["fingerprint"],
            }
            if told["name"] in known:
                devices.change(SYSTEM, known[told["name"]], **wish)
            else:
                made, _ = devices.add(SYSTEM, **wish)
                if made.name == sample_sites.ZURICH:
                    devices.read_prefixes(SYSTEM, made)
        devices.set_ovoc(SYSTEM, **_reached(_simulator("GET", "/ovoc")))

    @staticmethod
    def _at_simulator(spec: dict[str, Any]) -> None:
        """A tenant there, unless it is there already."""
        if spec["domain"] not in {one["domain"] for one in _simulator("GET", "/tenants")["tenants"]}:
            _simulator("POST", "/tenants", spec)

    @staticmethod
    def _people(known: list[Tenant]) -> None:
        for email, name, role, which in PEOPLE:
            if User.objects.filter(email=email).exists():
                continue
            user = add_user(SYSTEM, email=email, name=name, password=PASSWORD)
            tenant = known[which] if which is not None else None
            services.give_role(SYSTEM, user_id=user.id, email=email, role=role, tenant=tenant)


def _at_microsoft(browser: delegated.Browser, tenant: Tenant, account: str) -> dict[str, str]:
    """An administrator signs in and consents; what his browser brings back."""
    form = urllib.parse.urlencode({"account": account, "decision": "accept"}).encode()
    try:
        answer = urllib.request.build_opener(_Stay).open(
            delegated.begin(browser, tenant)[0], form, timeout=60
        )
    except urllib.error.HTTPError as redirect:
        answer = redirect
    with answer:
        back = urllib.parse.urlsplit(answer.headers["Location"] or "")
    return dict(urllib.parse.parse_qsl(back.query))


class _Stay(urllib.request.HTTPRedirectHandler):
    """Follows nothing: the portal itself is not up yet."""

    def redirect_request(self, *_: Any) -> None:
        return None


def _by_token(tenant: Tenant, account: str) -> None:
    """Raises CommandError."""
    browser = delegated.Browser(SYSTEM, "the demo's own")
    came = delegated.come_back(browser, _at_microsoft(browser, tenant, account))
    if came.problem is not None:
        raise CommandError(f"{account} could not sign in: {came.problem}") from came.problem


def _by_password(tenant: Tenant, account: str) -> None:
    """No method works without a consent (M36-17)."""
    _at_microsoft(delegated.Browser(SYSTEM, "the demo's own"), tenant, account)
    delegated.keep_password(SYSTEM, tenant, account=account, password=PASSWORD, imported=True)


WAYS = {"brightwater": (Method.TOKEN, _by_token), "elmstreet": (Method.PASSWORD, _by_password)}
"""By the first word of the domain."""


def _reached(told: dict[str, Any]) -> dict[str, Any]:
    """Address and account of a device, as one enters them."""
    return {
        "address": f"{told['host']}:{told['port']}",
        "https": told["https"],
        "user": told["user"],
        "password": told["password"],
    }


def _stories() -> list[dict[str, Any]]:
    """What the simulator tells of its customers. Raises CommandError."""
    document = _simulator("GET", "/demo")
    stories: list[dict[str, Any]] = document["tenants"] if isinstance(document, dict) else document
    return stories


def _simulator(method: str, path: str, body: Any = None) -> Any:
    """One call of its control API. Raises CommandError."""
    request = urllib.request.Request(  # noqa: S310  our own
        f"{settings.M365_GATEWAY_URL}/_sim{path}",
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310  as above
            return json.load(answer)
    except OSError as error:
        raise CommandError(f"The simulator does not answer at {settings.M365_GATEWAY_URL}.") from error
