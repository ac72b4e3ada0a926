"""Import Customers: what is proposed, what is taken over, and that the device stays as it is."""

import uuid
from collections.abc import Callable
from typing import Any

import pytest

from audit.models import Entry
from core.errors import Conflict, Forbidden
from replication.models import Command, State
from sbc.models import Sbc
from simulator.sbc.device import Device
from sites import import_services, importing
from sites.importing import Choice, Proposal
from sites.models import Prefix, PrefixState, Site, SiteState
from tenants import scope
from tenants import services as customers
from tenants.access import SYSTEM
from tenants.deployment import Status, status_of
from tenants.models import DeployState, Plan, Service, Tenant
from tests.breakers.hands import run_due
from tests.cast import Cast
from tests.pages.helpers import SignIn, text_of
from tests.sbc.conftest import fresh

pytestmark = pytest.mark.django_db
GUID = "0c0a1f2e-3b4d-4c5e-8f60-718293a4b5c6"
AT = "customers.provider.example"
PLANS = {
    "CustDialPlan": [
        ("Contoso", "+41589061[000-999]", f"contoso.{AT}"),
        ("Contoso", "+5552000", f"Contoso.{AT}"),
        ("Tailspin", "+4420794600[00-49]", f"tailspin.{AT}"),
        ("Tailspin", "+44xx[0-4]", f"tailspin.{AT}"),
        ("Thief", "+415890610", f"thief.{AT}"),
        ("manual", "+99123", "carrier"),
    ],
    "RegisteredUsers": [("Contoso", "5755", "972528545755"), ("Contoso", "+972528545755", "5755")],
    "OCDialPlan": [("Northwind", "+97236549877", GUID)],
}


@pytest.fixture
def sbc(cast: Cast, device: Device, known: Callable[..., Sbc]) -> Sbc:
    """A device with PLANS, read."""
    return planted(device, known(device), PLANS)


def planted(device: Device, sbc: Sbc, plans: dict[str, list[tuple[str, str, str]]]) -> Sbc:
    from sbc import services

    for plan, rules in plans.items():
        device.plant(plan, rules)
    services.read_prefixes(SYSTEM, sbc)
    run_due()
    return fresh(sbc)


def proposed(sbc: Sbc) -> dict[str, Proposal]:
    with scope.every("a test looks"):
        return {one.customer: one for one in importing.proposals(sbc)}


def take(sbc: Sbc, *choices: Choice, **more: Any) -> Command:
    command = import_services.request(SYSTEM, sbc, sbc.rules_digest, choices, **more)
    run_due()
    with scope.every("a test looks"):
        return Command.objects.get(id=command.id)


def test_customers_are_proposed_by_tag_and_recognised(cast: Cast, sbc: Sbc) -> None:
    found = proposed(sbc)
    assert list(found) == ["Contoso", "manual", "Northwind", "Tailspin", "Thief"]
    contoso = found["Contoso"]
    assert (contoso.tenant_id, contoso.how, contoso.state) == (cast.contoso.id, "name", "existing")
    assert (contoso.gateway, contoso.rules, contoso.known) == (f"contoso.{AT}", 4, 0)
    assert contoso.plans == ("CustDialPlan", "RegisteredUsers")  # the pairs bear its name
    assert (found["Northwind"].entra_tenant_id, found["Northwind"].state) == (uuid.UUID(GUID), "new")
    assert (found["manual"].state, found["manual"].gateway) == ("unclear", "")


def test_all_that_are_ready_are_taken_over_and_nothing_twice(cast: Cast, sbc: Sbc, device: Device) -> None:
    before = device.running.ini()
    command = take(sbc)
    assert command.state == State.SUCCEEDED
    assert command.message == (
        "2 customers made, 1 joined, 1 skipped; 6 prefixes taken over, 2 rules left out."
    )
    lines = command.result["why"]
    assert any("Tailspin: CustDialPlan +44xx[0-4] is left out" in line for line in lines)
    assert any("shares numbers with +41589061[000-999] of Contoso" in line for line in lines)
    with scope.every("a test looks"):
        site = Site.objects.get(tenant=cast.contoso)
        assert (site.name, site.gateway, site.sbc_state) == ("Contoso", f"contoso.{AT}", SiteState.DEPLOYED)
        assert (site.footprint, site.applied) == ([], None)
        rows = {row.prefix: row for row in Prefix.objects.filter(site=site)}
        assert set(rows) == {"+41589061[000-999]", "+5552000", "5755", "+972528545755"}
        assert {row.state for row in rows.values()} == {PrefixState.PRESENT}
        assert rows["+41589061[000-999]"].numbers == 1000
        assert rows["+5552000"].written_tag == f"Contoso.{AT}"
        northwind = Tenant.objects.get(name="Northwind")
        assert (northwind.entra_tenant_id, northwind.service) == (uuid.UUID(GUID), Service.OPERATOR_CONNECT)
        assert (northwind.plan, northwind.deploy_state) == (Plan.ESSENTIALS, DeployState.DEPLOYED)
        assert status_of(northwind, None) == Status.OK  # this plan has no connection to Microsoft 365
        assert Entry.objects.filter(action="site.taken_over").count() == 3
    assert device.running.ini() == before
    assert {one.state for one in proposed(sbc).values()} == {"imported", "existing", "new", "unclear"}
    again = take(sbc)
    assert again.message.startswith("no customers made, none joined, 2 skipped; no prefixes")


def test_the_page_of_a_site_that_was_taken_over_says_so(cast: Cast, sbc: Sbc, client_of: SignIn) -> None:
    take(sbc)
    with scope.every("a test looks"):
        site = Site.objects.get(tenant=cast.contoso)
    page = text_of(client_of(cast.olga), f"/tenants/{site.tenant_id}/sites/{site.uid}/")
    assert "taken over as it is" in page
    assert "needs a script" not in page
    question = text_of(client_of(cast.olga), f"/tenants/{site.tenant_id}/sites/{site.uid}/delete/")
    assert "was not made by the portal, and stays there" in question


X, Y = "0c0a1f2e-3b4d-4c5e-8f60-718293a4b500", "1c0a1f2e-3b4d-4c5e-8f60-718293a4b511"


def test_two_organisations_of_one_name_are_never_one_customer(
    cast: Cast, device: Device, known: Callable[..., Sbc]
) -> None:
    plans = {"OCDialPlan": [("Main", "+97231110", X), ("Main", "+97232220", Y)]}
    sbc = planted(device, known(device), plans)
    with scope.every("a test looks"):
        first, second = found = importing.proposals(sbc)
    assert {one.state for one in found} == {"unclear"}
    assert {one.problem for one in found} == {"rules of the same name have another Azure Tenant Id"}
    assert take(sbc).message.startswith("no customers made, none joined, none skipped")
    command = take(sbc, Choice(first, "Main", "Main"), Choice(second, "Main", "Main"))
    assert command.message.startswith("1 customer made, none joined, 1 skipped; 1 prefix")
    with scope.every("a test looks"):
        main = Tenant.objects.get(name="Main")
        assert [row.tag for row in Prefix.objects.filter(tenant=main)] == [str(main.entra_tenant_id)]
    take(sbc, Choice(second, "Elsewhere", "Main"))
    with scope.every("a test looks"):
        assert {
            str(one.entra_tenant_id) for one in Tenant.objects.filter(name__in=["Main", "Elsewhere"])
        } == {X, Y}


def test_nor_where_the_customer_has_no_id_yet(cast: Cast, device: Device, known: Callable[..., Sbc]) -> None:
    with scope.every("a test writes"):
        Tenant.objects.filter(id=cast.contoso.id).update(entra_tenant_id=None)
    plans = {"OCDialPlan": [("Contoso", "+97231110", X), ("Contoso", "+97232220", Y)]}
    sbc = planted(device, known(device), plans)
    with scope.every("a test looks"):
        first, second = importing.proposals(sbc)
    assert take(sbc, Choice(first, "Contoso", "One")).message.startswith("no customers made, 1 joined")
    late = take(sbc, Choice(second, "Contoso", "Two"))
    assert "has numbers of another Azure Tenant Id here" in str(late.result["why"])
    with scope.every("a test looks"):
        assert {row.tag for row in Prefix.objects.filter(tenant=cast.contoso)} == {X}


def test_what_was_typed_decides(cast: Cast, sbc: Sbc) -> None:
    found = proposed(sbc)
    command = take(
        sbc,
        Choice(found["Tailspin"], "Fabrikam", "Tower"),
        Choice(found["manual"], "Bad<name", "Hall"),
        Choice(found["Northwind"], "Northwind", "N"),
    )
    assert command.message.startswith("no customers made, 1 joined, 2 skipped")
    with scope.every("a test looks"):
        assert Site.objects.get(tenant=cast.fabrikam).name == "Tower"
        assert not Tenant.objects.filter(name="Northwind").exists()  # its site's name is too short


def test_numbers_and_ids_of_another_customer_stay_his(cast: Cast, sbc: Sbc) -> None:
    found = proposed(sbc)
    take(sbc, Choice(found["Contoso"], "Contoso", "Contoso"))
    with scope.every("a test writes"):
        Tenant.objects.filter(id=cast.fabrikam.id).update(entra_tenant_id=GUID)
        choices = [
            Choice(found["Thief"], "Thief", "Thief"),
            Choice(found["Northwind"], "Contoso", "North"),
            Choice(found["Contoso"], "Fabrikam", "Stolen"),
        ]
        thief, northwind, stolen = importing.examine(sbc, choices)
    assert thief.left == [("CustDialPlan +415890610", "it shares numbers with a prefix of Contoso")]
    assert northwind.problem == "its Azure Tenant Id is that of Fabrikam"
    assert stolen.problem == "its gateway is that of Contoso"


def test_without_a_licence_nobody_is_made(cast: Cast, sbc: Sbc, settings: Any) -> None:
    settings.LICENSE_CUSTOMERS = 3
    command = take(sbc)
    assert "1 customer made, 1 joined" in command.message
    assert any("licen" in line for line in command.result["why"])


def test_rules_that_were_read_anew_are_looked_at_again(cast: Cast, sbc: Sbc, device: Device) -> None:
    digest = sbc.rules_digest
    again = planted(device, sbc, {"CustDialPlan": [("More", "+4999", f"more.{AT}")]})
    with pytest.raises(Conflict, match="read anew"):
        import_services.request(SYSTEM, again, digest)
    with pytest.raises(Forbidden):
        import_services.request(cast.actor("mona"), again, again.rules_digest)


def test_a_gateway_and_a_name_of_two_customers_are_for_a_person(cast: Cast, sbc: Sbc, device: Device) -> None:
    with scope.every("a test writes"):
        customers.edit_tenant(SYSTEM, cast.fabrikam, {"domain": f"contoso.{AT}"})
    contoso = proposed(sbc)["Fabrikam"]
    assert contoso.state == "unclear"
    assert "of Fabrikam, by its name of Contoso" in contoso.problem


def test_as_many_queries_for_many_as_for_few(
    cast: Cast, sbc: Sbc, device: Device, django_assert_num_queries: Any
) -> None:
    def looks(many: int) -> None:
        with django_assert_num_queries(many), scope.every("a test looks"):
            importing.examine(sbc, importing.ready(importing.proposals(sbc)))

    looks(15)
    sbc = planted(device, sbc, {"CustDialPlan": [(f"C{n}", f"+49{n:04}", f"c{n}.{AT}") for n in range(40)]})
    looks(15)


def test_a_rule_is_taken_over_as_it_stands(cast: Cast, device: Device, known: Callable[..., Sbc]) -> None:
    """PFX-02's own sample: the portal would write the same hundred numbers with a shorter range."""
    written = "+4420366669[700-799]"
    sbc = planted(device, known(device), {"CustDialPlan": [("Fabrikam", written, f"fabrikam.{AT}")]})
    found = proposed(sbc)["Fabrikam"]
    take(sbc, Choice(found, "Fabrikam", "London"))
    with scope.every("a test looks"):
        row = Prefix.objects.get()
        assert (row.prefix, row.numbers, row.tenant_id) == (written, 100, cast.fabrikam.id)
    run_due()
    from sbc import services

    services.read_prefixes(SYSTEM, sbc)
    run_due()
    with scope.every("a test looks"):
        assert Prefix.objects.get().state == PrefixState.PRESENT
