"""Acts on many customers: how many and which first, each by itself, and what became of each."""

import html
import re
import time

import pytest
from django.utils import timezone

from core.errors import UmpError
from replication import services as queue
from tests.cast import Cast, signed_in_at
from tests.pages.helpers import SignIn, add, change, commands, fresh, post, text_of, verified

pytestmark = pytest.mark.django_db


def test_the_preview_says_how_many_and_which(cast: Cast, client_of: SignIn) -> None:
    verified(cast.contoso)
    ids = [str(cast.contoso.id), str(cast.fabrikam.id), "nonsense"]
    page = post(client_of(cast.olga), "/tenants/bulk/replicate/", {"id": ids}, 200).content.decode()
    assert "Queue Replication: 1 customer?" in page
    assert "<li>Contoso</li>" in page
    assert "Fabrikam: its credentials are not verified" in page
    assert commands(cast.contoso) == []


def test_each_is_done_by_itself_and_told(cast: Cast, client_of: SignIn) -> None:
    client = client_of(cast.olga)
    verified(cast.contoso)
    ids = [str(cast.contoso.id), str(cast.fabrikam.id)]
    answer = post(client, "/tenants/bulk/replicate/", {"id": ids, "confirm": "1"})
    assert [command.kind for command in commands(cast.contoso)] == ["quick_replication"]
    for _ in range(2):  # reloading does nothing again
        page = text_of(client, answer.headers["Location"])
        assert "Queue Replication: 1 done, 1 not." in page
        assert "Skipped, because its credentials are not verified." in page
        assert f"/tenants/{cast.contoso.id}/commands/{commands(cast.contoso)[0].id}/" in page
    assert len(commands(cast.contoso)) == 1


def test_one_failure_is_nobody_elses(cast: Cast, client_of: SignIn, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = queue.submit

    def breaks(actor: object, kind: str, tenant: object, **more: object) -> object:
        if tenant == cast.contoso:
            raise UmpError.of("maintenance")
        return whole(actor, kind, tenant, **more)  # type: ignore[arg-type]

    monkeypatch.setattr("replication.services.submit", breaks)
    client = client_of(cast.olga)
    ids = [str(cast.contoso.id), str(cast.fabrikam.id)]
    post(client, "/tenants/bulk/check/", {"id": ids, "confirm": "1"})
    page = text_of(client, "/tenants/bulk/result/")
    assert "Check Credentials: 1 done, 1 not." in page
    assert "The portal is being maintained at the moment." in page
    assert len(commands(cast.fabrikam)) == 1


def test_all_that_match_the_filters(cast: Cast, client_of: SignIn) -> None:
    client = client_of(cast.olga)
    add("Contoso Two")
    page = text_of(client, "/tenants/bulk/pause/?q=contoso")
    assert "Pause: 2 customers?" in page
    assert "all customers that match the filters" in page
    one = post(client, "/tenants/bulk/pause/?q=contoso", {"id": [str(cast.contoso.id)]}, 200).content.decode()
    assert "Take all 2 that match the filters instead" in one


def test_a_list_too_long_for_one_go_is_done_to_its_end(
    cast: Cast, client_of: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ump_portal.pages.bulk.MOST", 2)
    client = client_of(cast.olga)
    many = [cast.contoso, *(add(f"Contoso {number}") for number in range(4))]
    address, seen = "/tenants/bulk/pause/?q=contoso", []
    for first, left in ((1, 3), (3, 1), (5, 0)):
        page = text_of(client, address)
        assert f"Number {first} to {min(first + 1, 5)} of 5 that match" in page
        ids = re.findall(r'name="id" value="(.+?)"', page)
        post(client, address, {"id": ids, "all": "1", "confirm": "1"})
        seen += ids
        result = text_of(client, "/tenants/bulk/result/")
        assert (f"Go on with the next of {left} left" in result) == (left > 0)
        address = html.unescape((re.findall(r'href="(/tenants/bulk/pause/.+?)"', result) or [""])[0])
    assert sorted(seen) == sorted(str(tenant.id) for tenant in many)
    assert all(fresh(tenant).paused_by == "Olga" for tenant in many)
    assert fresh(cast.fabrikam).paused_at is None


def test_pause_many(cast: Cast, client_of: SignIn) -> None:
    change(cast.fabrikam, paused_at=timezone.now(), paused_by="Pia")
    ids = [str(cast.contoso.id), str(cast.fabrikam.id)]
    post(client_of(cast.olga), "/tenants/bulk/pause/", {"id": ids, "confirm": "1"})
    assert fresh(cast.contoso).paused_by == "Olga"
    assert fresh(cast.fabrikam).paused_by == "Pia"


def test_nobody_acts_on_what_he_may_not(cast: Cast, client_of: SignIn) -> None:
    ids = [str(cast.contoso.id), str(cast.fabrikam.id)]
    post(client_of(cast.otto), "/tenants/bulk/pause/", {"id": ids, "confirm": "1"})
    assert fresh(cast.contoso).paused_at is not None
    assert fresh(cast.fabrikam).paused_at is None
    assert "Fabrikam" not in text_of(client_of(cast.otto), "/tenants/bulk/result/")
    post(client_of(cast.mona), "/tenants/bulk/pause/", {"id": ids, "confirm": "1"}, 403)
    post(client_of(cast.vera), "/tenants/bulk/check/", {"id": ids, "confirm": "1"}, 404)


def test_nothing_chosen_is_said(cast: Cast, client_of: SignIn) -> None:
    page = post(client_of(cast.olga), "/tenants/bulk/replicate/", {"id": []}, 200).content.decode()
    assert "None of the customers you chose can be taken." in page
    assert "Nothing was done" in text_of(client_of(cast.olga), "/tenants/bulk/result/")


def test_pausing_many_asks_who_it_is_and_then_about_the_same_customers(cast: Cast, client_of: SignIn) -> None:
    client, address = client_of(cast.olga), "/tenants/bulk/pause/"
    signed_in_at(client, cast.olga, time.time() - 660)
    for more in ({}, {"confirm": "1", "all": "1"}):
        asked = client.post(address, {"id": [str(cast.contoso.id)], **more})
        assert asked.headers["Location"].startswith(
            "/accounts/reauthenticate/?next=%2Ftenants%2Fbulk%2Fpause%2F"
        )
        assert fresh(cast.contoso).paused_at is None
        signed_in_at(client, cast.olga, time.time())
        page = text_of(client, address)
        assert "Pause: 1 customer?" in page
        assert "<li>Contoso</li>" in page
        assert 'name="all"' not in page
        signed_in_at(client, cast.olga, time.time() - 660)
    signed_in_at(client, cast.olga, time.time())
    post(client, address, {"id": [str(cast.contoso.id)], "confirm": "1"})
    assert fresh(cast.contoso).paused_at
