"""Whose tenant is it: asked by a worker, answered on the page of step 1."""

import datetime as dt
from collections.abc import Callable

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import Session, User
from onboarding import services
from replication.models import State
from simulator.server import Simulator
from tests.cast import Cast
from tests.directory.pretend import Worker
from tests.pages.helpers import text_of

pytestmark = pytest.mark.django_db
SignIn = Callable[[User], Client]


def look_up(client: Client, domain: str) -> str:
    answer = client.post("/onboarding/discover/", {"domain": domain})
    assert answer.status_code == 200
    return answer.content.decode()


def test_a_domain_is_looked_up_and_the_fields_are_filled_in(
    cast: Cast, client_of: SignIn, microsoft: Simulator, worker: Worker
) -> None:
    pretend = microsoft.state.add_tenant({"name": "Tailspin", "users": 1})
    client = client_of(cast.olga)
    page = look_up(client, f" {pretend.domain.upper()}. ")
    address = page[page.index("/onboarding/discover/") :].split('"')[0]
    Session.objects.update(last_used_at=timezone.now() - dt.timedelta(minutes=20))
    assert "Asking Microsoft" in text_of(client, address)
    (last,) = Session.objects.values_list("last_used_at", flat=True)
    assert last < timezone.now() - dt.timedelta(minutes=19), "a page that asks by itself is no deed"
    assert worker.step() == State.SUCCEEDED
    answer = text_of(client, address, 286)
    assert "Microsoft knows this domain." in answer
    assert f'value="{pretend.id}"' in answer
    assert answer.count('hx-swap-oob="true"') == 2
    assert '<option value="global" selected>' in answer


def test_a_tenant_of_another_cloud_is_found_with_its_cloud(
    cast: Cast, client_of: SignIn, microsoft: Simulator, worker: Worker
) -> None:
    pretend = microsoft.state.add_tenant({"name": "Agency", "users": 1, "cloud": "gcc_high"})
    command = services.discover(cast.actor("olga"), pretend.domain)
    assert worker.step() == State.SUCCEEDED
    answer = text_of(client_of(cast.olga), f"/onboarding/discover/{command.id}/live/", 286)
    assert '<option value="gcc_high" selected>' in answer


def test_a_customer_that_is_there_already_is_named(
    cast: Cast, client_of: SignIn, microsoft: Simulator, worker: Worker
) -> None:
    pretend = microsoft.state.add_tenant(
        {"name": "Contoso", "users": 1, "tenant_id": str(cast.contoso.entra_tenant_id)}
    )
    command = services.discover(cast.actor("olga"), pretend.domain)
    worker.step()
    answer = text_of(client_of(cast.olga), f"/onboarding/discover/{command.id}/live/", 286)
    assert "<b>Contoso</b>" in answer
    assert "hx-swap-oob" not in answer


def test_a_domain_that_nobody_has_is_no_failure(
    cast: Cast, client_of: SignIn, microsoft: Simulator, worker: Worker
) -> None:
    command = services.discover(cast.actor("olga"), "nobody.example")
    assert services.discover(cast.actor("olga"), "nobody.example") == command, "asking twice joins"
    assert worker.step() == State.SUCCEEDED
    answer = text_of(client_of(cast.olga), f"/onboarding/discover/{command.id}/live/", 286)
    assert "Microsoft knows no organisation with the domain nobody.example." in answer
    assert "enter the Azure Tenant Id yourself" in answer


def test_nonsense_is_refused_at_once_and_other_commands_are_not_shown(cast: Cast, client_of: SignIn) -> None:
    client = client_of(cast.olga)
    assert "not a domain name" in look_up(client, "not a domain")
    long_one = ".".join(["a" * 60] * 4)
    assert "Asking Microsoft" in look_up(client, f"{long_one}.example")
    assert client.get("/onboarding/discover/999999/live/").status_code == 404
    assert client_of(cast.mona).post("/onboarding/discover/", {"domain": "a.example"}).status_code == 403
