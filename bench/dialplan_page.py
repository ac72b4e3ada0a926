"""What people wait for with a full device: `python -m bench.dialplan_page RULES`, in a database of its own.

The whole request through Django's test client, with its session and its roles; the second time, as everywhere.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

from bench import ground
from bench.dialplan import device

PASSWORD = "only-for-a-benchmark-4711"
TURNS = 5


def seconds(work: Callable[[], Any]) -> float:
    begun = time.perf_counter()
    work()
    return round(time.perf_counter() - begun, 3)


def measure(rules: int) -> dict[str, Any]:
    """Wall seconds: keeping a first reading, one that differs by a rule, pages, and a file of 10,000 numbers."""
    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "ump_portal.settings")
    django.setup()

    from django.db import connection

    person, tenant, sbc = _stage()
    found = _readings(sbc, rules)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE sbc_rule")
    found |= _pages(person, sbc) | _numbers(tenant, sbc)
    connection.close()
    return found


def _stage() -> tuple[Any, Any, Any]:
    """A person, a customer and a device that holds a site of his."""
    from accounts import installation
    from accounts.models import User
    from sbc.models import Sbc
    from sites.models import Configuration, Site
    from tenants import scope, services
    from tenants.abilities import Role
    from tenants.access import SYSTEM

    installation.change(SYSTEM, "sbc_rules_most", 1_000_000)
    person = User.objects.create_user(email="olga@bench.example", password=PASSWORD, name="Olga")
    services.give_role(SYSTEM, user_id=person.id, email=person.email, role=Role.PROVIDER_ADMIN, tenant=None)
    person.refresh_from_db()
    tenant = services.add_tenant(SYSTEM, name="Contoso", entra_tenant_id=None)
    sbc = Sbc.objects.create(name="full", address="169.254.4.9", user="ump", created_by="bench")
    with scope.one(tenant.id):
        Site.objects.create(
            tenant=tenant, sbc=sbc, name="Zurich", gateway="zurich.example", created_by="bench",
            configuration=Configuration.SIP_TRUNK,
        )  # fmt: skip
    return person, tenant, sbc


def _readings(sbc: Any, rules: int) -> dict[str, Any]:
    from django.db import transaction

    from sbc import prefixes
    from sbc.models import Rule, Sbc

    def keep(text: str) -> None:
        with transaction.atomic():
            prefixes.keep(Sbc.objects.get(id=sbc.id), prefixes.read(text))

    text = device(rules).decode()
    more = text.replace(
        "\n\n[ \\DialPlanRule ]", f'\nDialPlanRule {rules} = "CustDialPlan", {rules}, "x", "+9", "x";'
    )
    found = {
        "keep": seconds(lambda: keep(text)),
        "keep one more": seconds(lambda: keep(f"{more}\n\n[ \\DialPlanRule ]\n")),
    }
    assert Rule.objects.count() == rules + 1
    return found


def _pages(person: Any, sbc: Any) -> dict[str, Any]:
    from django.test import Client

    browser = Client(SERVER_NAME="localhost")
    browser.force_login(person, backend="accounts.backends.Backend")

    def page(path: str) -> float:
        """The best of some; the first one also imports and compiles what every process has done once."""

        def look() -> None:
            answer = browser.get(path)
            assert answer.status_code == 200, answer.headers

        return min(seconds(look) for _ in range(TURNS))

    base = f"/sbcs/{sbc.uid}/prefixes/"
    return {
        "first page": page(base),
        "first page, 100 entries": page(f"{base}?size=100"),
        "search a number, this SBC": page(f"{base}?q=%2B40000042123"),
        "search a number, all SBCs": page("/prefixes/?q=%2B40000042123"),
        "search words": page(f"{base}?q=c42.carrier"),
    }


def _numbers(tenant: Any, sbc: Any) -> dict[str, Any]:
    from sites import csv_numbers, numbers
    from sites.models import Site
    from tenants import scope
    from tenants.access import SYSTEM

    lines = "\n".join(f"+5{number:06d}[00-99]" for number in range(10_000))
    text = f"DialPlanName,Prefix\n{lines}".replace("\n+", "\nCustDialPlan,+")

    def add() -> None:
        with scope.one(tenant.id):
            numbers.add(SYSTEM, Site.objects.get(sbc=sbc), csv_numbers.read(text))

    return {"10,000 numbers of a file judged and kept": seconds(add)}


def main() -> None:
    rules = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    with ground.database(), ground.keys():
        print(json.dumps({"rules": rules, "wall seconds": measure(rules)}, indent=1))


if __name__ == "__main__":
    main()
