"""Sites: what a person says of one, who may, what is shown to whom."""

import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from audiocodes.script_values import Kind, Variable
from audit.models import Entry
from core.errors import Conflict, InvalidInput, UmpError
from domains.models import CustomDomain, DomainState
from events.models import Event
from replication.models import Command
from sbc.models import Sbc
from simulator.sbc.device import Device
from sites import services, templates
from sites.models import Configuration, Prefix, Purpose, ScriptTemplate, Site, SiteState, Trunk
from tenants import scope, secrets
from tenants.access import SYSTEM
from tenants.models import Secret, SecretKind
from tests.breakers.hands import run_due
from tests.cast import Cast, signed_in_at
from tests.pages.helpers import SignIn, post, text_of
from tests.sites.conftest import PASSWORD, act, again, pair, tables, wish

pytestmark = pytest.mark.django_db
COLUMNS = (
    "Site",
    "Customer Name",
    "Configuration",
    "PSTN Gateway",
    "SbcDeploymentState",
    "M365DeploymentState",
)
AddSite = Callable[..., Site]


def base(site: Site) -> str:
    return f"/tenants/{site.tenant_id}/sites/{site.uid}/"


def form(sbc: Sbc, template: ScriptTemplate, **changes: Any) -> dict[str, Any]:
    given = wish(sbc, template)
    basic = {"name": given["name"], "sbc": str(sbc.uid), "configuration": "Byoc", "trunk": "derived"}
    hidden = {f"secret.{name}": value for name, value in given["secrets_"].items()}
    return {**basic, "gateway": given["gateway"], **given["values"], **hidden, **changes}


def test_secret_values_are_sealed_and_open_for_a_worker_only(site: Site) -> None:
    found = again(site)
    assert PASSWORD not in str(found.__dict__)
    with scope.one(site.tenant_id):
        sealed = Secret.objects.select_related("key").get(id=found.secret_id)
        assert (sealed.kind, sealed.hint) == (SecretKind.SITE, "")
        assert PASSWORD in secrets.open_secret(sealed)
        trail = str(list(Entry.objects.filter(object_id=str(site.uid)).values()))
    assert "site.added" in trail
    assert PASSWORD not in trail


def test_secret_values_stay_until_they_are_entered_anew(site: Site) -> None:
    first = again(site).secret_id
    with scope.one(site.tenant_id):
        services.change(SYSTEM, again(site), name="Zug")
        assert again(site).secret_id == first
        services.change(SYSTEM, again(site), secrets_={"CarrierUserPassword": "another"})
        assert again(site).secret_id != first
        assert not Secret.objects.filter(id=first).exists()
        with pytest.raises(InvalidInput, match="CarrierHostName"):
            services.change(SYSTEM, again(site), values={})
        services.change(SYSTEM, again(site), template=None, values={})
        assert (again(site).secret_id, again(site).values) == (None, {})
        with pytest.raises(Conflict):
            services.change(SYSTEM, again(site), version=1)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"name": "ab"}, "name"),
        ({"name": "Zür\nich"}, "name"),
        ({"name": "sixteen letters!"}, "name"),
        ({"configuration": "Other"}, "configuration"),
        ({"trunk": "other"}, "trunk"),
        ({"gateway": "", "trunk": Trunk.OWN}, "gateway"),
        ({"gateway": "sbc.example\nactivate"}, "gateway"),
        ({"gateway": "gw.voice.fabrikam.example"}, "gateway"),
        ({"values": {"CarrierHostName": 'x"\nno ip-group 0'}}, "CarrierHostName"),
        ({"values": {"Strange": "x"}}, "Strange"),
        ({"secrets_": {}}, "CarrierUserPassword"),
        ({"secrets_": {"CarrierUserPassword": 'a"b'}}, "CarrierUserPassword"),
    ],
)
def test_what_cannot_be_used_is_named(
    cast: Cast, add_site: AddSite, changes: dict[str, Any], field: str
) -> None:
    with scope.one(cast.fabrikam.id):
        name = "voice.fabrikam.example"
        CustomDomain.objects.create(tenant=cast.fabrikam, name=name, state=DomainState.READY, set_by="x")
    with pytest.raises(InvalidInput) as caught:
        add_site(**changes)
    assert caught.value.field == field


def test_a_name_is_there_once_a_customer_and_a_gateway_once_over_all(cast: Cast, add_site: AddSite) -> None:
    add_site()
    with pytest.raises(InvalidInput) as name:
        add_site(gateway="")
    with pytest.raises(InvalidInput) as gateway:
        add_site(cast.fabrikam)
    assert (name.value.field, gateway.value.field) == ("name", "gateway")
    assert add_site(cast.fabrikam, gateway="").name == "Zurich"


def test_what_is_on_an_sbc_is_neither_changed_nor_deleted(site: Site) -> None:
    act(services.deploy, site)
    with scope.one(site.tenant_id), pytest.raises(Conflict):
        services.change(SYSTEM, again(site), name="Zug")
    with pytest.raises(Conflict):
        act(services.deploy, site)
    run_due()
    with scope.one(site.tenant_id):
        for attempt in (services.delete, services.deploy):
            with pytest.raises(Conflict):
                attempt(SYSTEM, again(site))
    act(services.remove, site)
    run_due()
    with scope.one(site.tenant_id):
        with pytest.raises(Conflict):
            services.remove(SYSTEM, again(site))
        services.delete(SYSTEM, again(site))
        assert not Site.objects.exists()
        assert not Secret.objects.filter(kind=SecretKind.SITE).exists()


def test_without_a_script_nothing_is_deployed(add_site: AddSite) -> None:
    site = add_site(template=None, values={}, secrets_={})
    with pytest.raises(UmpError) as caught:
        act(services.deploy, site)
    assert caught.value.code == "site_unfit"


# --- Pages ------------------------------------------------------------------------------------------------------
def test_an_operator_adds_a_site_looks_and_deploys(
    cast: Cast, client_of: SignIn, device: Device, sbc: Sbc, byoc: ScriptTemplate
) -> None:
    with scope.one(cast.contoso.id):
        name = "contoso.provider.example"
        CustomDomain.objects.create(tenant=cast.contoso, name=name, state=DomainState.READY, set_by="x")
    olga = client_of(cast.olga)
    start = f"/tenants/{cast.contoso.id}/sites/"
    assert "Add SBC Site" in text_of(olga, "/tenants/")
    assert "No site yet" in text_of(olga, start)
    assert byoc.name in text_of(olga, f"{start}add/")
    address = f"{start}add/?template={byoc.uid}"
    page = text_of(olga, address)
    for words in ("Carrier host name", "Carrier password", f'value="{name}"', sbc.name, "Trunk model"):
        assert words in page
    post(olga, address, form(sbc, byoc, gateway="x y"), 422)
    before = tables(device)
    post(olga, address, form(sbc, byoc))
    with scope.one(cast.contoso.id):
        site = Site.objects.get()
    assert "Nothing of this site is on" in text_of(olga, base(site))
    post(olga, f"{base(site)}deploy/look/", {})
    assert "Reading the device" in text_of(olga, f"{base(site)}deploy/")
    run_due()
    assert tables(device) == before
    page = text_of(olga, f"{base(site)}deploy/")
    assert "IPG_s" in page
    assert "password &quot;••••••••&quot;" in page
    plan = page.split('name="plan" value="')[1].split('"')[0]
    post(olga, f"{base(site)}deploy/", {"plan": plan})
    assert "Being deployed" in text_of(olga, base(site))
    run_due()
    page = text_of(olga, base(site))
    assert "Deployed" in page
    assert "IPGroup 1" in page
    assert PASSWORD not in page + text_of(olga, f"{base(site)}deploy/") + text_of(olga, f"{base(site)}edit/")
    with scope.every("a test looks"):
        command = Command.objects.filter(kind=services.DEPLOY, dry_run=False).get()
    assert PASSWORD not in text_of(olga, f"/queue/{command.id}/")
    assert "Site deployed" in text_of(olga, f"/audit/?q={site.uid}")
    post(olga, f"{base(site)}remove/look/", {})
    run_due()
    page = text_of(olga, f"{base(site)}remove/")
    assert "What the clean-up script says" in page
    plan = page.split('name="plan" value="')[1].split('"')[0]
    post(olga, f"{base(site)}remove/", {"plan": plan})
    run_due()
    assert tables(device) == before
    post(olga, f"{base(site)}edit/", form(sbc, byoc, name="Zug"))
    post(olga, f"{base(site)}delete/", {})
    assert "No site yet" in text_of(olga, start)


def test_secret_values_that_are_typed_too_late_are_not_kept_whatever_their_name(
    cast: Cast, sbc: Sbc, client_of: SignIn
) -> None:
    secret = Variable("CustomVar.Variable7", Kind.SECRET)
    template = templates.add(
        SYSTEM, name="Own", purpose=Purpose.ONBOARDING, script="configure voip\n", variables=[secret]
    )
    olga, url = client_of(cast.olga), f"/tenants/{cast.contoso.id}/sites/add/?template={template.uid}"
    assert f'name="secret.{secret.name}"' in text_of(olga, url)
    signed_in_at(olga, cast.olga, time.time() - 660)
    values = {"name": "Zurich", "sbc": str(sbc.uid), f"secret.{secret.name}": "Xk29-qqpl-7781"}
    assert olga.post(url, values).status_code == 303
    kept = json.dumps(dict(olga.session.items()))
    assert "Zurich" in kept
    assert "Xk29-qqpl-7781" not in kept


def test_values_bear_the_labels_of_the_script(cast: Cast, client_of: SignIn, add_site: AddSite) -> None:
    values = {"CustomVar.Variable1": "pbx.example:5060"}
    site = add_site(template=pair("IP-PBX"), values=values, secrets_={})
    shown = text_of(client_of(cast.olga), base(site))
    assert "Address of the IP-PBX" in shown
    assert "CustomVar" not in shown


def test_customers_see_their_sites_and_nothing_of_the_device(
    cast: Cast, client_of: SignIn, sbc: Sbc, site: Site, add_site: AddSite
) -> None:
    add_site(cast.fabrikam, name="Foreign", gateway="")
    act(services.deploy, site)
    run_due()
    adam = client_of(cast.adam)
    start = f"/tenants/{cast.contoso.id}/sites/"
    assert f'href="{start}"' in text_of(adam, f"/tenants/{cast.contoso.id}/")
    pages = text_of(adam, start) + text_of(adam, base(site))
    pages += text_of(adam, f"/tenants/{cast.contoso.id}/history/")
    with scope.one(cast.contoso.id):
        pages += str(list(Event.objects.values()))
    assert "Zurich" in pages
    assert "Deployed" in pages
    for secret in (sbc.name, sbc.host, "Foreign", "IPGroup", "carrier.example", "BYOC with", "Add SBC Site"):
        assert secret not in pages
    for url in (f"{start}add/", f"{base(site)}deploy/", f"{base(site)}edit/"):
        text_of(adam, url, 403)
    for url in ("/sites/", f"/sbcs/{sbc.uid}/sites/"):
        text_of(adam, url, 404)
    for person in (cast.otto, cast.mona):
        text_of(client_of(person), f"{base(site)}deploy/", 403)


def test_show_sites_lists_the_sites_of_all_customers(
    cast: Cast, client_of: SignIn, sbc: Sbc, add_site: AddSite
) -> None:
    mona = client_of(cast.mona)
    page = f"/sbcs/{sbc.uid}/sites/"
    assert "Show Sites" in text_of(mona, "/sbcs/")
    assert "No site yet" in text_of(mona, page)
    counts = []
    for number, tenant in enumerate((cast.contoso, cast.fabrikam, cast.contoso)):
        add_site(tenant, name=f"Site {number}", gateway="", configuration=Configuration.SIP_TRUNK)
        if number != 1:
            with CaptureQueriesContext(
                connection,
            ) as queries:
                shown = text_of(mona, page)
            counts.append(len(queries))
    assert counts[0] == counts[1]
    for column in COLUMNS:
        assert f">{column}<" in shown, column
    assert "SIP Trunk" in shown
    assert "Fabrikam" in shown
    assert "Site 1" in text_of(mona, f"{page}?q=fabrikam&sort=-customer&sbc_state=none&size=25")
    assert "Site 0" not in text_of(mona, "/sites/?q=fabrikam")
    assert "No site matches" in text_of(mona, "/sites/?sbc_state=failed")


def test_a_failed_site_is_on_the_list_of_what_needs_somebody(
    cast: Cast, client_of: SignIn, device: Device, site: Site
) -> None:
    device.set({"trouble": "other_device"})
    act(services.deploy, site)
    run_due()
    assert again(site).sbc_state == SiteState.FAILED
    for page in ("/", f"/tenants/{cast.contoso.id}/"):
        assert "Site Zurich" in text_of(client_of(cast.olga), page)
    shown = text_of(client_of(cast.adam), f"/tenants/{cast.contoso.id}/") + text_of(
        client_of(cast.adam), base(site)
    )
    assert device.name not in shown
    assert "Another device answers" in text_of(client_of(cast.olga), base(site))


def test_the_preview_of_removing_says_what_must_go_first(
    cast: Cast, client_of: SignIn, site: Site, device: Device
) -> None:
    olga = client_of(cast.olga)
    act(services.deploy, site)
    device.plant("CustDialPlan", [("default", "*", "carrier")])
    with scope.one(site.tenant_id):
        Prefix.objects.create(
            tenant_id=site.tenant_id, site=site, sbc=site.sbc, plan="CustDialPlan", name="x", prefix="+411",
            tag="contoso.example", plus=True, span=(0, 1), numbers=1, created_by="x",
        )  # fmt: skip
    assert ">Look again<" not in text_of(olga, f"{base(site)}remove/")
    post(olga, f"{base(site)}remove/look/", {})
    run_due()
    page = text_of(olga, f"{base(site)}remove/")
    assert "still has prefixes: 1 of them" in page
    assert 'name="plan"' not in page


def test_whoever_saves_a_site_later_is_told_and_undoes_nothing(
    cast: Cast, site: Site, sbc: Sbc, byoc: ScriptTemplate, client_of: SignIn
) -> None:
    olga, edit = client_of(cast.olga), f"{base(site)}edit/"
    seen = {"version": str(again(site).row_version)}
    assert f'name="version" value="{seen["version"]}"' in text_of(olga, edit)
    post(olga, edit, form(sbc, byoc, name="First", **seen))
    late = post(olga, edit, form(sbc, byoc, name="Second", **seen), 422).content.decode()
    assert "changed" in late
    assert "Second" in late
    assert again(site).name == "First"
