"""What an account gave, used by workers: saved before use, by several at once, and never a refused password twice."""

import datetime as dt
import json
import threading
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from django.db import connections, transaction
from django.utils import timezone

from core.errors import UmpError
from m365 import identity
from m365.clouds import CLOUDS, browser_address
from m365.identity_delegated import Grant, Proof, authorize_url
from simulator import server
from simulator.server import Simulator
from tenants import grants, lines, scope, secrets, services
from tenants.access import SYSTEM
from tenants.models import AppOwner, Connection, Method, Secret

BACK = "https://portal.example/authenticate/OAuth2Callback"


@pytest.fixture(scope="module")
def microsoft_server() -> Iterator[Simulator]:
    with server.start(seed="empty") as simulator:
        yield simulator


class Customer:
    """One customer whose administrator has signed in."""

    def __init__(self, microsoft: Simulator) -> None:
        spec = {"name": "Contoso", "users": 3, "app": {"redirect_uris": [BACK]}}
        self.microsoft, self.pretend = microsoft, microsoft.state.add_tenant(spec)
        app = self.pretend.app()
        self.admin = str(self.pretend.directory.users.view(0)["userPrincipalName"])
        self.tenant = services.add_tenant(SYSTEM, name="Contoso", entra_tenant_id=uuid.UUID(self.pretend.id))
        with scope.one(self.tenant.id):
            services.set_connection(
                SYSTEM,
                self.tenant,
                cloud=CLOUDS["global"].key,
                client_id=uuid.UUID(app.client_id),
                client_secret=app.secrets[0].value,
            )
            self.give(Method.TOKEN, self.signed_in().cache)

    def signed_in(self) -> Grant:
        """The administrator signs in at Microsoft, and the code is redeemed."""
        proof = Proof.new()
        client = str(Connection.objects.get().client_id)
        url = authorize_url(
            CLOUDS["global"], self.pretend.id, client, redirect_uri=BACK, state="s", proof=proof
        )
        back = requests.post(
            browser_address(url, self.microsoft.url),
            {"account": self.admin, "decision": "accept"},
            allow_redirects=False,
            timeout=20,
        )
        code = parse_qs(urlsplit(back.headers["Location"]).query)["code"][0]
        return lines.open_line(self.tenant.id).redeem(code=code, proof=proof, redirect_uri=BACK)

    def give(self, method: Method, value: str) -> Connection:
        row = self.row()
        with scope.one(self.tenant.id):
            return grants.keep(
                SYSTEM, self.tenant, method, value, account=self.admin, cloud=row.cloud,
                app_owner=AppOwner(row.app_owner), client_id=row.client_id,
            )  # fmt: skip

    def row(self) -> Connection:
        with scope.one(self.tenant.id):
            return Connection.objects.select_related("granted", "granted__key").get()

    def cache(self) -> dict[str, Any]:
        granted = self.row().granted
        assert granted is not None
        return dict(json.loads(secrets.open_secret(granted)))

    def refresh_token(self) -> str:
        (row,) = self.cache()["RefreshToken"].values()
        return str(row["secret"])

    def line(self) -> lines.Line:
        with scope.one(self.tenant.id):
            return lines.open_line(self.tenant.id)

    def asked(self) -> int:
        rows = self.microsoft.state.stats.describe(self.pretend.id)["by_route"]
        return sum(int(str(row["requests"])) for row in rows if row["route"] == "login:token")


@pytest.fixture
def ready(microsoft_server: Simulator, settings: Any) -> Simulator:
    microsoft_server.state.reset()
    identity.forget_everything()
    settings.M365_GATEWAY_URL = microsoft_server.url
    return microsoft_server


@pytest.fixture
def customer(db: None, ready: Simulator) -> Customer:
    return Customer(ready)


@pytest.fixture
def committed(transactional_db: None, ready: Simulator) -> Customer:
    return Customer(ready)


def refusal(act: Callable[[], object]) -> UmpError:
    with pytest.raises(UmpError) as caught:
        act()
    return caught.value


def test_a_token_customer_is_read_as_its_administrator(customer: Customer) -> None:
    token = customer.line().token()
    assert token.upn == customer.admin
    assert "User.Read.All" in token.granted
    rows = customer.line().graph().get("/users?$select=id&$top=1")
    assert len(rows["value"]) == 1
    asked = customer.asked()
    identity.forget_everything()  # as another process
    assert customer.line().token().value == token.value, "the kept access token serves every worker"
    assert customer.asked() == asked


def test_the_rotated_token_is_kept_before_the_access_is_used(customer: Customer) -> None:
    before, refreshed = customer.refresh_token(), customer.row().refreshed_at
    token = customer.line().token(fresh=True)
    assert customer.refresh_token() != before
    assert token.value in str(customer.cache()["AccessToken"])
    assert customer.row().refreshed_at > refreshed
    assert grants.ends_if_unused(customer.row()) > timezone.now() + dt.timedelta(days=89)


def test_killed_between_refresh_and_save_nothing_is_lost(
    customer: Customer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The strictest server: a token is void a minute after its successor was given out."""
    customer.pretend.set({"refresh_overlap": 60})

    def killed(*_: object) -> bool:
        raise SystemExit

    before = customer.refresh_token()
    with monkeypatch.context() as patch:
        patch.setattr(secrets, "swap", killed)
        with pytest.raises(SystemExit):
            customer.line().token(fresh=True)
    assert customer.refresh_token() == before
    identity.forget_everything()
    assert customer.line().token(fresh=True).upn == customer.admin
    after = customer.refresh_token()
    assert after != before
    customer.microsoft.state.offset += 3600
    assert customer.line().token(fresh=True), "and the line of tokens goes on from the one that was kept"
    assert customer.refresh_token() != after


def test_two_workers_that_refresh_at_once_lose_nothing(
    committed: Customer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both ask Microsoft before either has saved; what the slower one got is dropped, and it uses the other's."""
    both, met, real = threading.Barrier(2), threading.local(), grants.delegated.renew

    def slowly(*args: Any, **options: Any) -> Any:
        got = real(*args, **options)
        if not getattr(met, "other", False):
            met.other = True
            both.wait(20)
        return got

    def worker() -> str:
        try:
            return committed.line().token(fresh=True).value
        finally:
            connections.close_all()

    committed.pretend.set({"refresh_overlap": 60})
    with monkeypatch.context() as patch, ThreadPoolExecutor(2) as pool:
        patch.setattr(grants.delegated, "renew", slowly)
        # Two processes: their memories do not know of each other, so that the database has to sort it out.
        patch.setattr(grants, "kept_token", lambda _key, make, **_: make())
        tokens = [job.result(30) for job in [pool.submit(worker), pool.submit(worker)]]
    assert tokens[0] == tokens[1] == next(iter(committed.cache()["AccessToken"].values()))["secret"]
    committed.microsoft.state.offset += 3600
    assert committed.line().token(fresh=True).upn == committed.admin


def test_what_was_granted_anew_meanwhile_is_not_overwritten(customer: Customer) -> None:
    old = customer.line()
    with scope.one(customer.tenant.id):
        customer.give(Method.TOKEN, customer.signed_in().cache)
    assert refusal(lambda: old.token(fresh=True)).code == "connection_unverified"
    assert customer.line().token(fresh=True).upn == customer.admin


def test_another_app_registration_forgets_what_the_account_gave(customer: Customer) -> None:
    granted_id, row = customer.row().granted_id, customer.row()
    with scope.one(customer.tenant.id):
        services.set_connection(
            SYSTEM,
            customer.tenant,
            cloud=CLOUDS["global"].key,
            client_id=row.client_id,
            client_secret="another~one~of~it",
        )
        assert not Secret.objects.filter(id=granted_id).exists()
    after = customer.row()
    assert (after.method, after.granted_id, after.account) == (Method.APP, None, "")
    with pytest.raises(UmpError, match="already used"), transaction.atomic(), scope.one(customer.tenant.id):
        grants.keep(
            SYSTEM, customer.tenant, Method.TOKEN, "{}", account="x", cloud=row.cloud,
            app_owner=AppOwner.CUSTOMER, client_id=uuid.uuid4(),
        )  # fmt: skip


def test_revoked_says_so_with_the_customers_name_and_no_secret(customer: Customer) -> None:
    oid = customer.pretend.directory.users.view(0)["id"]
    customer.pretend.people.revoked[oid] = customer.microsoft.state.now() + 1
    error = refusal(lambda: customer.line().token(fresh=True))
    assert error.code == "signin_revoked"
    assert customer.admin in error.message
    assert error.scope == "connection"
    assert customer.refresh_token() not in repr(error.to_dict())


def test_a_refused_password_is_not_sent_again_for_a_while(customer: Customer) -> None:
    customer.give(Method.PASSWORD, "wrong")
    assert refusal(lambda: customer.line().token()).code == "password_wrong"
    asked = customer.asked()
    for _ in range(12):  # ten would lock the account
        assert refusal(lambda: customer.line().token(fresh=True)).code == "password_wrong"
    assert customer.asked() == asked
    with scope.one(customer.tenant.id):
        Connection.objects.update(refused_at=timezone.now() - dt.timedelta(minutes=16))
    assert refusal(lambda: customer.line().token(fresh=True)).code == "password_wrong"
    assert customer.asked() == asked + 1
    customer.give(Method.PASSWORD, "right")
    assert customer.line().token().upn == customer.admin
    assert customer.row().refused_at is None


def test_what_cannot_be_opened_any_more_is_asked_for_again(customer: Customer) -> None:
    with scope.one(customer.tenant.id):
        Secret.objects.filter(id=customer.row().granted_id).update(sealed=b"\x01" * 80)
    assert refusal(lambda: customer.line().token()).code == "signin_expired"
