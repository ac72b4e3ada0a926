"""The topology: what is drawn, in which order, and that it stays bounded."""

import re
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from sbc.models import Link, Sbc
from sites.models import Site, SiteState
from tenants import scope
from tests.cast import Cast
from tests.pages.helpers import SignIn, text_of
from ump_portal.templatetags.topology import HIGH, ROW, Box, Picture, draw_topology, places

BOX = Box("Site", "<b>Zürich & a very long name of a site</b>", "Deployed", "ok", "/x/")


def test_boxes_stand_beside_what_they_belong_to() -> None:
    picture = Picture("p", [[BOX], [BOX] * 3, [BOX] * 2], [[range(3)], [[0], [1], [1]]])
    assert places(picture) == [[ROW], [0, ROW, 2 * ROW], [0, 1.5 * ROW]]
    drawn = draw_topology(picture)
    assert drawn.count("<path") == len([*range(3), *range(3)]) + BOX_PATHS * 6
    assert drawn.count("<a ") == 6
    assert "&lt;b&gt;Zürich &amp; a very long name of a site&lt;/b&gt;" in drawn
    assert "style=" not in drawn
    assert f'height="{2 * ROW + HIGH + 4}"' in drawn


BOX_PATHS = draw_topology(Picture("p", [[BOX]], [])).count("<path")


def sbc_with(cast: Cast, name: str, count: int, state: str = SiteState.DEPLOYED) -> Sbc:
    made = Sbc.objects.create(
        name=name, address=f"10.0.0.{Sbc.objects.count() + 1}", user="u", created_by="x", link=Link.CONNECTED
    )
    with scope.every("a test writes"):
        for at in range(count):
            tenant = (cast.contoso, cast.fabrikam)[at % 2]
            Site.objects.create(
                tenant=tenant, sbc=made, name=f"{name[:8]}-{at}", configuration="SipTrunk", sbc_state=state
            )
    return made


@pytest.mark.django_db
def test_the_provider_then_one_sbc_in_detail(cast: Cast, client_of: SignIn) -> None:
    mona = client_of(cast.mona)
    assert "No SBC yet" in text_of(mona, "/topology/")
    sbc_with(cast, "sbc1", 0)
    failing = sbc_with(cast, "sbc2", 13, SiteState.FAILED)
    page = text_of(mona, "/topology/")
    assert "13 sites of 2 customers, 13 in trouble" in page
    one = text_of(mona, f"/topology/{failing.uid}/")
    svg = one[one.index('role="group"') : one.index("</svg></div>")]
    kinds = re.findall(r'<a href="[^"]*" aria-label="(\w+) ', svg)
    assert kinds[:3] == ["Provider", "SBC", "Site"]
    assert (kinds.count("Site"), kinds.count("Customer")) == (10, 2)
    assert "Showing 1 to 10 of 13" in one
    assert "SIP Trunk" in one
    assert "SipTrunk" not in one
    assert 'aria-label="Customer Contoso: ' in svg
    assert "No site on this SBC" in text_of(mona, f"/topology/{Sbc.objects.get(name='sbc1').uid}/")
    assert f"/topology/{failing.uid}/" in text_of(mona, f"/sbcs/{failing.uid}/")


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/topology/", "/topology/{uid}/"])
def test_as_many_queries_for_many_as_for_one(cast: Cast, client_of: SignIn, path: str) -> None:
    mona, counts = client_of(cast.mona), []
    for number in (1, 3):
        made = sbc_with(cast, f"many{number}", number)
        text_of(mona, path.format(uid=made.uid))
        with CaptureQueriesContext(connection) as seen:
            text_of(mona, path.format(uid=made.uid))
        counts.append(len(seen))
    assert counts[0] == counts[1]


@pytest.mark.django_db
@pytest.mark.parametrize(("who", "status"), [("otto", 403), ("adam", 404)])
def test_who_sees_it(cast: Cast, client_of: SignIn, who: Any, status: int) -> None:
    text_of(client_of(getattr(cast, who)), "/topology/", status)
