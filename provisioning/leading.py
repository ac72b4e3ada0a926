"""Which site's SBC leads which number of a customer, as Edit User, Edit together and files show it and ask for it.

What the line of a plan is called and how it is written stands in provisioning.aspects (Route), whether it can be in
provisioning.judging. A user's number is led by one rule for it alone, or by a rule for a range; only the first is
taken away here.
"""

import dataclasses
import uuid
from collections.abc import Collection, Iterable

from core.errors import InvalidInput
from provisioning.aspects import Route, Thing
from provisioning.judging import Wish
from sites.models import Prefix, PrefixState, Site, SiteState
from telephony.landing import place_of
from tenants.models import Tenant

MOST_SITES = 500


@dataclasses.dataclass(frozen=True)
class Led:
    """Where the SBCs lead a number: the site of the most particular rule, and the sites with a rule for it alone."""

    site: Site | None = None
    own: tuple[Site, ...] = ()


NOWHERE = Led()


def sites_of(tenant: Tenant) -> list[Site]:
    """Those on an SBC: numbers can be led to them."""
    rows = Site.objects.filter(tenant=tenant, sbc_state=SiteState.DEPLOYED)
    return list(rows.order_by("name", "id")[:MOST_SITES])


def site_of(tenant: Tenant, uid: str) -> Site:
    """Raises InvalidInput (lead) where it is on no SBC any more."""
    found = next((site for site in sites_of(tenant) if str(site.uid) == uid), None)
    if found is None:
        raise InvalidInput(field="lead", why="this site is on no SBC any more")
    return found


def bare(number: str) -> str:
    """A number without its extension: that is what rules know."""
    return number.partition(";")[0]


def led(tenant: Tenant, numbers: Collection[str]) -> dict[str, Led]:
    """For each of these numbers, by the rules that were read back from the devices; one query."""
    places = sorted({(place_of(bare(number)), bare(number)) for number in numbers})
    if not places:
        return {}
    rows = Prefix.objects.filter(
        tenant=tenant, state=PrefixState.PRESENT, span__overlap=(places[0][0], places[-1][0] + 1)
    )
    rules = sorted(rows.select_related("site"), key=lambda row: (row.span.lower or 0, row.id))
    found: dict[str, Led] = {}
    over: list[Prefix] = []
    at = 0
    for place, number in places:
        while at < len(rules) and (rules[at].span.lower or 0) <= place:
            over.append(rules[at])
            at += 1
        over = [row for row in over if (row.span.upper or 0) > place]
        if over:
            nearest = min(over, key=lambda row: row.numbers)
            found[number] = Led(nearest.site, tuple(row.site for row in over if row.prefix == number))
    return {number: found.get(bare(number), NOWHERE) for number in numbers}


def wish(subject: uuid.UUID, site: Site, number: str, *, wanted: bool = True, label: str = "") -> Wish:
    """That a rule of this site's SBC leads the number to it, or does so no more."""
    return Wish(Thing(subject, f"{Route.family}:{site.uid}:{bare(number)}"), wanted or None, label)


def unled(subject: uuid.UUID, number: str, now: Led, *, label: str = "") -> Iterable[Wish]:
    """That no rule leads the number. Where only a rule for a range does, that is asked for too, and refused."""
    sites = now.own or ([now.site] if now.site else [])
    return [wish(subject, site, number, wanted=False, label=label) for site in sites]
