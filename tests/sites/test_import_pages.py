"""The page of Import Customers: tick, correct, preview, import."""

import time
from collections.abc import Callable
from typing import Any

import pytest

from sbc.models import Sbc
from simulator.sbc.device import Device
from sites.models import Site
from tenants import scope
from tenants.models import Plan, Tenant
from tests.breakers.hands import run_due
from tests.cast import Cast, signed_in_at
from tests.pages.helpers import SignIn, post, text_of
from tests.sites.test_importing import PLANS, planted, proposed

pytestmark = pytest.mark.django_db


def test_from_ticks_to_customers(
    cast: Cast, client_of: SignIn, device: Device, known: Callable[..., Sbc]
) -> None:
    olga, sbc = client_of(cast.olga), known(device)
    base = f"/sbcs/{sbc.uid}/import/"
    assert f'href="{base}"' in text_of(olga, "/sbcs/")
    assert "Nothing read yet" in text_of(olga, base)
    sbc = planted(device, sbc, PLANS)
    page = text_of(olga, base)
    for words in ("Tailspin", ">Known<", ">New<", "by name", "only the name of its rules"):
        assert words in page
    assert "No customer matches" in text_of(olga, f"{base}?q=nobody&state=new&size=25")

    found = proposed(sbc)
    tailspin, manual = found["Tailspin"].ref, found["manual"].ref
    ticked: dict[str, Any] = {
        "id": [tailspin, manual],
        f"customer-{tailspin}": "Tailspin Toys",
        f"site-{tailspin}": "London",
        f"customer-{manual}": "<script>",
        f"site-{manual}": "manual",
    }
    asked = str(post(olga, f"{base}preview/", ticked, 200).content, "utf-8")
    for words in ("1 new customer, 1 site, 1 prefix; 1 rule left out", "&lt;script&gt;", "control character"):
        assert words in asked
    with scope.every("a test looks"):
        assert not Site.objects.exists()
    answer = post(olga, f"{base}apply/", {**ticked, "digest": sbc.rules_digest, "plan": "pro"})
    assert "Queued" in text_of(olga, answer["Location"])
    run_due()
    assert "1 customer made" in text_of(olga, answer["Location"])
    with scope.every("a test looks"):
        made = Tenant.objects.get(name="Tailspin Toys")
        assert (made.plan, Site.objects.get().name) == (Plan.PRO, "London")
    assert "<li>&lt;script&gt;: the customer" in text_of(olga, base)

    asked = str(post(olga, f"{base}preview/", {"all": "1"}, 200).content, "utf-8")
    assert 'name="all"' in asked
    post(olga, f"{base}apply/", {"all": "1", "digest": "other"}, 409)
    post(olga, f"{base}apply/", {"id": ["nonsense"], "digest": sbc.rules_digest})
    assert olga.get(f"{base}apply/").headers["Location"] == base


def test_what_was_ticked_is_asked_again_after_a_late_sign_in(
    cast: Cast, client_of: SignIn, device: Device, known: Callable[..., Sbc]
) -> None:
    olga, sbc = client_of(cast.olga), planted(device, known(device), PLANS)
    base, ref = f"/sbcs/{sbc.uid}/import/", proposed(sbc)["Tailspin"].ref
    signed_in_at(olga, cast.olga, 0)
    ticked = {
        "id": [ref],
        f"customer-{ref}": "Tailspin Toys",
        f"site-{ref}": "London",
        "digest": sbc.rules_digest,
    }
    assert "/accounts/" in post(olga, f"{base}apply/", ticked)["Location"]
    signed_in_at(olga, cast.olga, time.time())
    asked = text_of(olga, f"{base}apply/")
    assert "Nothing was done yet" in asked
    assert 'value="Tailspin Toys"' in asked


@pytest.mark.parametrize(("who", "status"), [("mona", 403), ("otto", 403), ("adam", 404)])
def test_who_may_import(
    cast: Cast, client_of: SignIn, device: Device, known: Any, who: str, status: int
) -> None:
    text_of(client_of(getattr(cast, who)), f"/sbcs/{known(device).uid}/import/", status)
