"""Sample customers for the demo, by the same services that the screens use.

What is at "Microsoft" is the simulator's business; it is asked over HTTP which app registrations it has.
"""

import datetime as dt
import json
import urllib.request
import uuid
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from accounts.models import User
from accounts.services import add_user
from authstatus.services import onboard
from replication import services as queue
from tenants import scope, services
from tenants.abilities import Role
from tenants.access import SYSTEM
from tenants.models import Cloud, Plan, Tenant
from tenants.selectors import tenants

PASSWORD = "correct horse battery staple"  # noqa: S105  the demo's, printed at its start
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
        known = self._known()
        self._people(known)
        for email, name, role, which in PEOPLE:
            of = f" of {known[which].name}" if which is not None else ""
            self.stdout.write(f"{email:<24} {name}, {role.words}{of}")
        self.stdout.write(f"Password of all: {PASSWORD}")
        self.stdout.write(f"Simulator: {settings.M365_GATEWAY_URL}")

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
            licensed_users=min(story["users"] // 2, 600),
            deployed=story["story"] in DEPLOYED,
        )
        if story["story"] == "never_touched":  # somebody called the first check off
            with scope.one(tenant.id):
                queue.cancel(SYSTEM, check)

    @staticmethod
    def _people(known: list[Tenant]) -> None:
        for email, name, role, which in PEOPLE:
            if User.objects.filter(email=email).exists():
                continue
            user = add_user(SYSTEM, email=email, name=name, password=PASSWORD)
            tenant = known[which] if which is not None else None
            services.give_role(SYSTEM, user_id=user.id, email=email, role=role, tenant=tenant)


def _stories() -> list[dict[str, Any]]:
    """What the simulator tells of its customers. Raises CommandError."""
    try:
        with urllib.request.urlopen(f"{settings.M365_GATEWAY_URL}/_sim/demo", timeout=60) as answer:  # noqa: S310  our own
            document = json.load(answer)
    except OSError as error:
        raise CommandError(f"The simulator does not answer at {settings.M365_GATEWAY_URL}.") from error
    stories: list[dict[str, Any]] = document["tenants"] if isinstance(document, dict) else document
    return stories
