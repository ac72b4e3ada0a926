"""Ten users are given numbers that an SBC leads to their site, in one edit: seen, written, taken back."""

import uuid
from collections.abc import Callable, Iterator

import pytest
from django.db import transaction
from django.db.models import Q
from playwright.sync_api import expect

from directory.models import DirectoryUser
from m365 import identity, permissions
from replication import services as queue
from replication import states
from replication.models import Command, Lane
from sbc import services as sbcs
from simulator.graph.teams_state import telephony_of
from simulator.sbc.cli import Session
from simulator.sbc.device import Device
from simulator.server import Simulator
from simulator.tenant import Tenant as Pretend
from telephony.models import TeamsUser
from tenants import scope, services
from tenants.access import SYSTEM
from tenants.models import Cloud, Tenant, Verification
from tests.browser.conftest import Worker
from tests.browser.eyes import Eyes, faults
from tests.cast import Cast
from tests.sbc.conftest import wish
from tests.sites.conftest import OTHERS
from tests.sites.numbers import place, prefixes
from tests.telephony.test_ranges import add_range

pytestmark = pytest.mark.django_db(transaction=True)
Look = Callable[..., Eyes]


@pytest.fixture
def pretend(committed_cast: Cast, microsoft: Simulator, worker: Worker) -> Pretend:
    """Contoso with users who have no number yet, a range of free ones, and the right to write them."""
    tenant = committed_cast.contoso
    made = microsoft.state.add_tenant(
        {
            "name": "Contoso",
            "tenant_id": str(tenant.entra_tenant_id),
            "users": 120,
            "groups": 2,
            "telephony": {"head": "+41589061", "digits": 3, "free": 30},
        }
    )
    app = made.app()
    app.principal.grant([*app.principal.granted(), *permissions.missing_for((), permissions.WRITES)], 0.0)
    identity.forget_everything()
    with scope.one(tenant.id):
        services.set_connection(
            SYSTEM, tenant, cloud=Cloud.GLOBAL, client_id=app.client_id, client_secret=app.secrets[0].value
        )
        services.note_check(tenant.id, verification=Verification.SUCCESSFUL, problem=None)
    telephony_of(made)
    for kind in ("sync", "teams_users", "number_assignments"):
        with scope.one(tenant.id):
            queue.submit(SYSTEM, kind, tenant)
        worker.work()
    add_range(tenant, "+41589061000", "+41589061999", name="Head office")
    return made


@pytest.fixture
def box(microsoft: Simulator, committed_cast: Cast, worker: Worker) -> Iterator[Device]:
    """An SBC with a site of Contoso, and no rule for any number of it."""
    made = microsoft.sbcs.add("sbc1.example")
    Session(made.running).run(OTHERS)
    sbc, _ = sbcs.add(SYSTEM, **wish(made))
    worker.work()
    place(committed_cast.contoso, sbc)
    yield made
    microsoft.sbcs.reset()


def led(box: Device) -> set[str]:
    return {prefix for prefix in prefixes(box) if prefix.startswith("+41589061")}


def held(pretend: Pretend) -> dict[str, str]:
    return {one.number: one.target for one in telephony_of(pretend).numbers.values() if one.target}


def without_number(tenant: Tenant) -> list[uuid.UUID]:
    """Of the first hundred of the list, those who have Teams Phone and no number."""
    with scope.one(tenant.id):
        listed = DirectoryUser.objects.filter(tenant=tenant).order_by("search", "object_id")[:100]
        rows = TeamsUser.objects.filter(
            tenant=tenant, number="", object_id__in=[one.object_id for one in listed]
        )
        return [row.object_id for row in rows if row.licensed]


def finish(worker: Worker, microsoft: Simulator, tenant: Tenant) -> None:
    """The command that writes is carried out to its end; time passes at Microsoft meanwhile."""
    mine = Q(tenant=tenant, kind="apply_changes") & ~Q(reason="debounce")
    for _ in range(20):
        worker.work()
        microsoft.state.offset += 5
        with scope.one(tenant.id), transaction.atomic():
            Lane.objects.filter(tenant=tenant).update(not_before="2020-01-01T00:00Z")
            if not states.make_due(mine):
                return
    raise AssertionError("it does not end")


def test_ten_users_get_numbers_in_one_edit_and_lose_them_again(
    look: Look, microsoft: Simulator, pretend: Pretend, box: Device, committed_cast: Cast, worker: Worker
) -> None:
    before, tenant = held(pretend), committed_cast.contoso
    page = (eyes := look("adam")).page
    main, dialog = page.get_by_role("main"), page.get_by_role("dialog")
    page.goto(f"/tenants/{tenant.id}/users/?size=100")
    for one in without_number(tenant)[:10]:
        page.locator(f'input[name=id][value="{one}"]').check()
    page.get_by_role("button", name="Edit together").click()
    dialog.get_by_label("Phone numbers").select_option(
        label="Next free of Head office (+41589061000 to +41589061999)"
    )
    dialog.get_by_label("Lead their numbers to").select_option(label="Site Zurich")
    dialog.get_by_role("button", name="Preview").click()
    expect(main).to_contain_text("20 changes for 10 users.")
    assert faults(page, "preview") == []
    page.get_by_role("button", name="Keep 20 changes").click()
    expect(main).to_contain_text("Waiting: 20, being applied: 0")
    page.get_by_role("button", name="Show plan").click()
    worker.work()
    expect(main).to_contain_text("20 to add")
    assert (held(pretend), led(box)) == (before, set())
    page.get_by_role("link", name="Apply", exact=True).click()
    dialog.get_by_role("button", name="Apply 20 writes").click()
    expect(main).to_contain_text("Queued")
    finish(worker, microsoft, tenant)
    expect(main).to_contain_text("20 written")
    assert len(given := set(held(pretend)) - set(before)) == 10
    assert led(box) == given
    page.get_by_role("link", name="Undo", exact=True).click()
    page.get_by_role("button", name="Undo 20 changes").click()
    expect(main).to_contain_text("Waiting: 20")
    page.get_by_role("link", name="Process All").click()
    dialog.get_by_role("button", name="Process").click()
    expect(main).to_contain_text("Apply changes")
    finish(worker, microsoft, tenant)
    expect(main).to_contain_text("written and seen at Microsoft")
    assert (held(pretend), led(box)) == (before, set())
    assert eyes.complaints == []
    with scope.one(tenant.id):
        assert Command.objects.filter(kind="apply_changes", state="succeeded").count() == 3
