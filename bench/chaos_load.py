"""What customers and their people want of the portal during a run: a seeded plan, and who carries it out over REST.

A directory's wish has two halves: somebody changes a user at Microsoft (his job title becomes `v` and a number that
only grows), and somebody asks the portal to replicate. The other kinds write at Microsoft, in the DNS or by mail.
"""

from __future__ import annotations

import contextlib
import dataclasses
import random
import threading
import time
import uuid
from typing import Any

import requests

from bench.chaos_ground import Ground
from bench.chaos_history import Answer
from tests.system.rest import Api

WHAT = {"replicate": 60, "sync": 5, "check": 13, "renew": 9, "mail": 9, "domain": 4}
"""Of a hundred wishes."""
THREADS = 6
PATIENCE = 90.0
"""Seconds for which a client says the same again, with the same Idempotency-Key."""
USERS = 5
RIGHTS = (
    "User.Read.All", "Group.Read.All", "GroupMember.Read.All", "Organization.Read.All", "LicenseAssignment.Read.All",
    "Application.ReadWrite.All", "Domain.ReadWrite.All", "User.ReadWrite.All",
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Wish:
    """`at` is when, as a share of the run; `number` is the version that a replication is to bring."""

    number: int
    at: float
    tenant: int
    what: str
    user: int


def plan(seed: int, commands: int, tenants: int) -> list[Wish]:
    """Depends on nothing but its arguments. Every tenant gets its turn."""
    dice = random.Random(f"load {seed}")
    kinds = dice.choices(list(WHAT), WHAT.values(), k=commands)
    return [
        Wish(number + 1, number / commands, number % tenants if number < tenants else dice.randrange(tenants), kind,
             dice.randrange(USERS))
        for number, kind in enumerate(kinds)
    ]  # fmt: skip


@dataclasses.dataclass
class Tenant:
    """One customer at both ends; `invitation` and `domain` are what the load has made so far."""

    uid: str
    far: dict[str, Any]
    invitation: int = 0
    domain: str = ""
    renewed: bool = False
    lock: threading.Lock = dataclasses.field(default_factory=threading.Lock)


class Load:
    """Says the wishes, writes down every answer, and does not take no answer for an answer."""

    def __init__(self, ground: Ground, seed: int, tenants: int, lag: int) -> None:
        self.ground = ground
        self.answers: list[Answer] = []
        self.tenants: list[Tenant] = []
        self._dice = random.Random(f"tenants {seed}")
        self._lag = lag
        self._token = ground.admin.token
        self._local = threading.local()
        self._names = [f"Chaos {seed} {number}" for number in range(tenants)]

    @property
    def api(self) -> Api:
        if not hasattr(self._local, "api"):
            self._local.api = Api(self.ground.base, self._token)
        return self._local.api  # type: ignore[no-any-return]

    # --- The stage ----------------------------------------------------------------------------------------------
    def prepare(self) -> None:
        """The zone, the webhook, and every customer with its first check asked for. A third of them lags."""
        sim = self.ground.microsoft.control
        zone = sim("GET", "/dns")
        server = f"{zone['host']}:{zone['port']}"
        body = {name: zone[name] for name in ("key_name", "algorithm", "secret")}
        self.say(
            "PUT", "/dns-zone", {"name": zone["zone"], "server": server, "lookup_servers": [server], **body}
        )
        self.say("POST", "/webhooks", {"name": "Tickets", "url": self.ground.webhook.url})
        specs = [
            {"name": name, "users": USERS, "groups": 1, "app": {"roles": list(RIGHTS)},
             "settings": {"lag": self._dice.choice([0, 0, self._dice.uniform(0, self._lag)])}}
            for name in self._names
        ]  # fmt: skip
        for far in sim("POST", "/tenants", specs)["tenants"]:
            app = far["apps"][0]
            body = {
                "name": far["name"],
                "entra_tenant_id": far["tenant_id"],
                "connection": {"client_id": app["client_id"], "client_secret": app["secret"]},
            }
            answer = self.say("POST", "/tenants", body)
            assert answer is not None
            assert answer.status_code == 201, answer.text
            self.tenants.append(Tenant(answer.json()["id"], far))

    # --- The wishes ---------------------------------------------------------------------------------------------
    def carry_out(self, wishes: list[Wish], seconds: float) -> None:
        """Spread over that time; the wishes of one customer one after another."""
        began = time.monotonic()

        def mine(number: int) -> None:
            for wish in wishes:
                if wish.tenant % THREADS == number:
                    time.sleep(max(0.0, began + wish.at * seconds - time.monotonic()))
                    self.wish(wish)

        threads = [threading.Thread(target=mine, args=(number,)) for number in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def wish(self, wish: Wish) -> None:
        tenant = self.tenants[wish.tenant]
        getattr(self, f"_{wish.what}")(tenant, wish)

    def _replicate(self, tenant: Tenant, wish: Wish, **body: Any) -> None:
        self.ground.microsoft.control(
            "PATCH",
            f"/tenants/{tenant.far['tenant_id']}/users/%23{wish.user}",
            {"jobTitle": f"v{wish.number}"},
        )
        self.say("POST", f"/tenants/{tenant.uid}/replications", body)

    def _sync(self, tenant: Tenant, wish: Wish) -> None:
        self._replicate(tenant, wish, full=True)

    def _check(self, tenant: Tenant, wish: Wish) -> None:
        self.say("POST", f"/tenants/{tenant.uid}/connection/check", {})

    def _renew(self, tenant: Tenant, wish: Wish) -> None:
        answer = self.say("POST", f"/tenants/{tenant.uid}/registration/renew", {})
        tenant.renewed |= answer is not None and answer.status_code == 202

    def _mail(self, tenant: Tenant, wish: Wish) -> None:
        here = f"/tenants/{tenant.uid}/invitations"
        if tenant.invitation:
            self.say("POST", f"{here}/{tenant.invitation}/remind", {})
            return
        answer = self.say("POST", here, {"email": f"admin@{tenant.far['domain']}", "full_name": "Ada Main"})
        if answer is not None and answer.status_code == 201:
            tenant.invitation = int(answer.json()["id"])

    def _domain(self, tenant: Tenant, wish: Wish) -> None:
        here = f"/tenants/{tenant.uid}/domains"
        if tenant.domain:
            answer = self.say("DELETE", f"{here}/{tenant.domain}")
            if answer is not None and answer.status_code == 202:
                tenant.domain = ""
            return
        answer = self.say("POST", here, {})
        if answer is not None and answer.status_code == 201:
            tenant.domain = str(answer.json()["id"])

    def say(self, method: str, path: str, body: Any = None, **headers: str) -> requests.Response | None:
        """Until there is an answer that means something; every one is written down."""
        headers = {"Idempotency-Key": str(uuid.uuid4()), **headers} if method == "POST" else headers
        deadline = time.monotonic() + PATIENCE
        while True:
            answer = None
            with contextlib.suppress(requests.RequestException):
                answer = self.api.call(method, path, body, **headers)
            status = answer.status_code if answer is not None else 0
            number = None
            if answer is not None and status == 202:
                number = int(answer.json()["number"])
            elif answer is not None and status == 201 and path == "/tenants":
                number = int(answer.json()["check"]["number"])
            told = answer.headers.get("Retry-After", "") if answer is not None else ""
            self.answers.append(Answer(time.time(), f"{method} {path}", status, told, number))
            if 200 <= status < 500 and status != 429:
                return answer
            if time.monotonic() > deadline:
                return None
            time.sleep(min(1.0, float(told or 0.3)))
