"""The way of an invited administrator: a link, a browser, and a pretend Microsoft."""

import dataclasses
import html
import re
import uuid
from typing import Any
from urllib.parse import urlsplit

import requests
from django.db.models import Q
from django.test import Client
from django.utils import timezone

from accounts import installation
from invitations import finishing, services
from invitations.models import Invitation, Type, Visit
from invitations.visit_web import COOKIE
from m365 import identity, pacing
from replication import runner, states
from replication.models import State
from simulator.server import Simulator
from simulator.tenant import Tenant as Pretend
from tenants import provider_app, scope
from tenants.access import SYSTEM
from tenants.credentials import Given
from tenants.models import Connection, SecretKind, Tenant
from tests.cast import Cast

HOME = "http://testserver"
BACK = f"{HOME}/authenticate/OAuth2Callback"
HUB = "/authenticate/visit/"


@dataclasses.dataclass
class Way:
    """Contoso is invited; its organisation and another one are at Microsoft, and so is the provider's app."""

    cast: Cast
    microsoft: Simulator
    tenant: Tenant
    pretend: Pretend
    other: Pretend
    number: int = 0

    # --- The provider's part ---
    def invite(self, tenant: Tenant | None = None, **more: Any) -> str:
        """The path of a link to a fresh invitation."""
        tenant = tenant or self.tenant
        with scope.one(tenant.id):
            made = Invitation.objects.create(
                tenant=tenant,
                type=Type.INVITE,
                email="it@contoso.example",
                full_name="Ida Tall",
                created_by="olga",
                expires_at=more.pop("expires_at", timezone.now() + timezone.timedelta(days=5)),
                **more,
            )
            self.number = made.pk
        return self.link(tenant)

    def link(self, tenant: Tenant | None = None) -> str:
        tenant = tenant or self.tenant
        with scope.one(tenant.id):
            return urlsplit(services.mint(SYSTEM, tenant, self.number, mailed=False)).path

    def again(self) -> Tenant:
        with scope.one(self.tenant.id):
            self.tenant.refresh_from_db()
        return self.tenant

    def row(self) -> Invitation:
        with scope.one(self.tenant.id):
            return Invitation.objects.get(id=self.number)

    def change(self, **values: Any) -> None:
        with scope.one(self.tenant.id):
            Invitation.objects.filter(id=self.number).update(**values)

    def connection(self) -> Connection | None:
        with scope.one(self.tenant.id):
            return Connection.objects.select_related("granted", "secret").filter(tenant=self.tenant).first()

    # --- The visitor's part ---
    def enter(self, path: str = "") -> Client:
        """A browser in which Continue was pressed."""
        browser = Client()
        answer = browser.post(path or self.invite())
        assert (answer.status_code, answer.headers["Location"]) == (303, HUB), answer.content[:500]
        return browser

    def hub(self, browser: Client) -> str:
        answer = browser.get(HUB)
        assert answer.status_code == 200, answer.content[:500]
        return words(answer.content)

    def start(self, browser: Client, way: str = "redirect") -> str:
        """Start authentication; the address that the browser goes to."""
        answer = browser.post(f"{HUB}sign-in/", {"way": way})
        assert answer.status_code == 200, answer.headers
        return str(answer.headers["Refresh"]).removeprefix("0;url=")

    def admin(self, pretend: Pretend | None = None, index: int = 0) -> str:
        return str((pretend or self.pretend).directory.users.view(index)["userPrincipalName"])

    def sign_in(self, address: str, account: str = "", decision: str = "accept") -> str:
        """What a person does at Microsoft; the path to which it sends the browser back."""
        form = {"account": account or self.admin(), "decision": decision}
        answer = requests.post(address, form, allow_redirects=False, timeout=20)
        assert answer.status_code in {302, 303}, answer.text
        assert answer.headers["Location"].startswith(BACK)
        return answer.headers["Location"].removeprefix(HOME)

    def enter_code(self, code: str, account: str = "", decision: str = "accept") -> requests.Response:
        form = {"code": code, "account": account or self.admin(), "decision": decision}
        return requests.post(f"{self.microsoft.url}/microsoft.com/devicelogin", form, timeout=20)

    # --- The portal's part ---
    def work(self, *, sweep: bool = True) -> list[tuple[str, State, str]]:
        """Everything that is due, in this thread, and the sweeper's look: (kind, state, code of the error)."""
        done: list[tuple[str, State, str]] = []
        while True:
            with scope.every("a test's worker"):
                claimed = states.claim("test", 1)
            if not claimed:
                if sweep and finishing.settle():
                    continue
                return done
            verdict = runner.run_one(claimed[0])
            runner._settle(claimed[0], verdict)
            done.append((claimed[0].kind, verdict.to, verdict.error.code if verdict.error else ""))

    def hurry(self) -> None:
        """Whatever waits for its time is due now."""
        with scope.every("a test is impatient"):
            states.make_due(Q())


def words(content: bytes) -> str:
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", content.decode())))


def visits_of(browser: Client) -> Visit:
    with scope.every("whose visit it is"):
        return Visit.objects.get(cookie_hash=services.hash_of(browser.cookies[COOKIE].value))


def build(cast: Cast, microsoft: Simulator, settings: Any) -> Way:
    settings.PORTAL_BASE_URL = HOME
    identity.forget_everything()
    pacing._pacers.clear()
    installation.forget()
    add = microsoft.state.add_tenant
    shared = {"client_id": str(uuid.uuid4()), "secret": "provider~s~secret~of~the~shared~app"}
    app = {**shared, "redirect_uris": [BACK], "multi_tenant": True, "public_client": True}
    add({"name": "Provider", "users": 1, "app": app})
    provider_app.change(
        SYSTEM,
        client_id=uuid.UUID(shared["client_id"]),
        redirect_uri=BACK.replace("http:", "https:"),
        given=Given(SecretKind.CLIENT_SECRET, shared["secret"]),
    )
    provider_app.ProviderApp.objects.update(redirect_uri=BACK)
    with scope.one(cast.contoso.id):
        Connection.objects.filter(tenant=cast.contoso).delete()
    pretend = add(
        {"name": "Contoso", "tenant_id": str(cast.contoso.entra_tenant_id), "users": 4, "app": None}
    )
    other = add(
        {"name": "Fabrikam", "tenant_id": str(cast.fabrikam.entra_tenant_id), "users": 4, "app": None}
    )
    return Way(cast, microsoft, cast.contoso, pretend, other)
