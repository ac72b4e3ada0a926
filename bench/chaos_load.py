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
from bench.chaos_history import FINAL, Answer, Change
from tests.system.rest import Api

WHAT = {"replicate": 48, "sync": 4, "check": 11, "renew": 9, "mail": 8, "domain": 4, "change": 12, "plan": 4}
"""Of a hundred wishes."""
THREADS = 6
PATIENCE = 90.0
"""Seconds for which a client says the same again, with the same Idempotency-Key."""
USERS = 5
RIGHTS = (
    "User.Read.All", "Group.Read.All", "GroupMember.Read.All", "Organization.Read.All", "LicenseAssignment.Read.All",
    "Application.ReadWrite.All", "Domain.ReadWrite.All", "User.ReadWrite.All", "TeamsTelephoneNumber.ReadWrite.All",
    "TeamsUserConfiguration.Read.All", "TeamsPolicyUserAssign.ReadWrite.All",
)  # fmt: skip
NUMBERS = "+4989"
POLICY = "policy:TeamsCallingPolicy"
ORDER_SECONDS = 3
"""Until Microsoft has carried out an order of a number by itself."""
A_LOOK = 10.0
"""Seconds that a client waits for its plan to be drawn."""


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
    people: list[str] = dataclasses.field(default_factory=list)
    """Object ids, in the order of the simulator's `#0`, `#1`..."""
    lock: threading.Lock = dataclasses.field(default_factory=threading.Lock)


class Load:
    """Says the wishes, writes down every answer, and does not take no answer for an answer."""

    def __init__(self, ground: Ground, seed: int, tenants: int, lag: int) -> None:
        self.ground = ground
        self._said = [0] * THREADS
        self.answers: list[Answer] = []
        self.kept: list[Change] = []
        """Changes that the portal said it will carry out."""
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
             "settings": {"lag": self._dice.choice([0, 0, self._dice.uniform(0, self._lag)]),
                          "order_seconds": ORDER_SECONDS}}
            for name in self._names
        ]  # fmt: skip
        for far in sim("POST", "/tenants", specs)["tenants"]:
            app = far["apps"][0]
            body = {
                "name": far["name"],
                "entra_tenant_id": far["tenant_id"],
                "licensed_users": USERS,
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
                    self._said[number] += 1

        threads = [threading.Thread(target=mine, args=(number,)) for number in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    @property
    def said(self) -> int:
        """Wishes so far."""
        return sum(self._said)

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

    def _change(self, tenant: Tenant, wish: Wish) -> bool:
        """A department, and now and then a number or a policy: values nobody else asks for. Whether any was kept."""
        user = self._people(tenant)[wish.user]
        wanted = [{"user": user, "what": "user:department", "value": f"d{wish.number}"}]
        if wish.number % 3 == 0:
            number = f"{NUMBERS}{wish.number:07}"
            wanted.append({"user": user, "what": "number", "value": number, "number_type": "directRouting"})
        if wish.number % 3 == 1:
            wanted.append({"user": user, "what": POLICY, "value": f"v{wish.number}"})
        answer = self.say("POST", f"/tenants/{tenant.uid}/changes", {"changes": wanted})
        if answer is None or answer.status_code != 202:
            return False
        self.kept += [
            Change(tenant.uid, item["user_id"], item["what"], wish.number)
            for item in answer.json()["items"]
            if item["outcome"] == "kept"
        ]
        return True

    def _plan(self, tenant: Tenant, wish: Wish) -> None:
        """The same, but somebody looks at the plan first; one that is void by then is left to the wait."""
        if not self._change(tenant, wish):
            return
        here = f"/tenants/{tenant.uid}"
        drawn = self.say("POST", f"{here}/plans", {})
        plan = self._drawn(tenant, drawn.json()["number"]) if drawn is not None and drawn.ok else None
        found = self.say("GET", f"{here}/plans/{plan}") if plan else None
        if found is not None and found.ok and found.json()["fingerprint"]:
            told = {"fingerprint": found.json()["fingerprint"]}
            self.say("POST", f"{here}/plans/{plan}/apply", told)

    def _drawn(self, tenant: Tenant, number: int) -> str | None:
        """The plan that this command has drawn; None when it takes too long, or came to nothing."""
        deadline = time.monotonic() + A_LOOK
        while time.monotonic() < deadline:
            answer = self.say("GET", f"/tenants/{tenant.uid}/commands/{number}")
            row = answer.json() if answer is not None and answer.ok else {}
            if row.get("state") in FINAL:
                return str(row["result"].get("plan") or "") or None
            time.sleep(0.5)
        return None

    def _people(self, tenant: Tenant) -> list[str]:
        if not tenant.people:
            rows = self.ground.microsoft.control("GET", f"/tenants/{tenant.far['tenant_id']}/users")["users"]
            tenant.people = [row["id"] for row in rows]
        return tenant.people

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
                told_of = answer.json()
                number = int(told_of.get("command", told_of)["number"])
            elif answer is not None and status == 201 and path == "/tenants":
                number = int(answer.json()["check"]["number"])
            told = answer.headers.get("Retry-After", "") if answer is not None else ""
            self.answers.append(Answer(time.time(), f"{method} {path}", status, told, number))
            if 200 <= status < 500 and status != 429:
                return answer
            if time.monotonic() > deadline:
                return None
            time.sleep(min(1.0, float(told or 0.3)))
