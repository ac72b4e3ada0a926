"""What Deploy and Undo Deploy would do: worked out from sites, ledger and what Teams has; nothing is written here."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypedDict

from core.errors import InvalidInput, UmpError
from deployment import ledger
from deployment.models import Act, Run, SiteVoice
from m365 import voice, voice_plan
from m365.clouds import CLOUDS, Cloud
from m365.powershell.actions import Action
from m365.voice import Part, Routing, Rule, Thing
from m365.voice_plan import Step
from sites.models import Prefix, Site, SiteState, Trunk
from sites.services import on_sbc
from tenants.models import Connection, Service, Tenant

PREFIX = "UMP-"
"""Begins the names of what the portal makes in Teams, so that nobody's own things have them by chance."""


class SitePart(TypedDict, total=False):
    """What becomes of one site, in a Run's row. Commands are numbers; `problem` is core.errors.Rendered."""

    uid: str
    name: str
    plan: str
    """The digest of the preview (sites.deploying.Plan); empty where none is needed."""
    told: str
    rows: int
    prefixes: int
    look: int
    work: int
    numbers: int
    """The command that takes its prefixes off the SBC."""
    problem: dict[str, Any] | None


def name_of(site: Site) -> str:
    """Of its PSTN usage, voice route, voice routing policy and dial plan."""
    return f"{PREFIX}{site.name}"


def sites_of(tenant: Tenant, act: Act) -> list[Site]:
    """Those that the run has work with on an SBC, by name."""
    every = Site.objects.filter(tenant=tenant).select_related("tenant", "sbc", "template", "secret")
    if act == Act.UNDO:
        return [site for site in every.order_by("name", "id") if on_sbc(site)]
    return list(every.exclude(sbc_state=SiteState.DEPLOYED).order_by("name", "id"))


def parts(tenant: Tenant, act: Act) -> list[SitePart]:
    found: list[SitePart] = []
    for site in sites_of(tenant, act):
        prefixes = Prefix.objects.filter(site=site).count() if act == Act.UNDO else 0
        found.append(SitePart(uid=str(site.uid), name=site.name, prefixes=prefixes))
    return found


def has_voice(tenant: Tenant, act: Act) -> bool:
    """Whether anything of Teams belongs to it (SYN-09: Direct Routing only)."""
    if act == Act.UNDO:
        return bool(ledger.owned(tenant))
    return tenant.service == Service.DIRECT_ROUTING


def cloud_of(tenant: Tenant) -> Cloud:
    key = Connection.objects.filter(tenant=tenant).values_list("cloud", flat=True).first()
    return CLOUDS[key or "global"]


# --- Teams ----------------------------------------------------------------------------------------------------
def wanted(tenant: Tenant) -> Routing:
    """What all sites of the customer want in Teams together. Raises UmpError (deploy_unfit)."""
    cloud = cloud_of(tenant)
    own = {row.site_id: row for row in SiteVoice.objects.filter(tenant=tenant)}
    sites = Site.objects.filter(tenant=tenant).order_by("name", "id")
    try:
        return voice.combined(of_site(site, own.get(site.id), cloud) for site in sites)
    except UmpError as error:
        if error.code != "invalid_input":
            raise
        why = f"{error.fields.get('field')}: {error.fields.get('why')}"
        raise UmpError.of("deploy_unfit", tenant=tenant.name, why=why) from error


def of_site(site: Site, own: SiteVoice | None, cloud: Cloud, *, gateway: str = "") -> Routing:
    """Through that gateway, or its own. Raises InvalidInput."""
    gateway = gateway or site.gateway
    if not gateway:
        raise InvalidInput(field=f"PSTN Gateway of {site.name}", why="none was entered")
    own = own or SiteVoice()
    return voice.for_site(
        name_of(site),
        gateway,
        own_gateway=site.trunk == Trunk.OWN,
        port=own.port,
        media_bypass=own.media_bypass,
        max_sessions=own.max_sessions,
        pattern=own.pattern,
        rules=[Rule(**rule) for rule in own.rules],
        cloud=cloud,
    )


def steps(run: Run, found: Routing, in_use: Mapping[Thing, str] | None = None) -> tuple[Step, ...]:
    """What is to be done in Teams, in the customer's scope. Raises UmpError (deploy_unfit).

    A run that a person's script carries out also takes back what such a script created; no other does.
    """
    ours = ledger.owned(run.tenant)
    mine = {thing for thing, by_hand in ours.items() if run.by_hand or not by_hand}
    if run.act == Act.UNDO:
        left = [
            Step(thing, Action.KEEP, there, there, "it stays: a person's script created it")
            for thing in ours.keys() - mine
            if (there := found.find(thing)) is not None
        ]
        kept = {step.thing: step.why for step in left}
        return (*voice_plan.removal(mine, found, in_use={**kept, **(in_use or {})}), *left)
    taken = [Thing(Part(part), name) for part, name in run.take_over]
    return voice_plan.plan(wanted(run.tenant), found, owned=mine, take_over=taken, in_use=in_use)


def of_json(kept: Iterable[Mapping[str, Any]]) -> tuple[Step, ...]:
    return tuple(voice_plan.from_json(step) for step in kept)


def strange(agreed: Sequence[Step], now: Sequence[Step]) -> list[Step]:
    """Of what would be written now, what nobody has agreed to."""
    known = {(step.thing, step.action): step.after for step in agreed}
    return [
        step
        for step in voice_plan.writing(now)
        if (step.thing, step.action) not in known or known[step.thing, step.action] != step.after
    ]


def digest(run: Run) -> str:
    """The fingerprint of what is shown, by which a decision is bound to it."""
    told = [run.act, run.voice, run.by_hand, [[each["uid"], each.get("plan", "")] for each in run.sites]]
    steps_ = voice_plan.digest(of_json(run.steps))
    return hashlib.sha256(json.dumps([*told, steps_]).encode()).hexdigest()[:32]


def figures(run: Run) -> dict[str, int]:
    """How many of each: sites, rows on SBCs, prefixes, and steps in Teams by what they do."""
    counts = {"sites": len(run.sites), "rows": sum(int(each.get("rows", 0)) for each in run.sites)}
    counts["prefixes"] = sum(int(each.get("prefixes", 0)) for each in run.sites)
    for action in Action:
        counts[action.value] = sum(step["action"] == action for step in run.steps)
    return counts


def left_over(steps_: Iterable[Step]) -> list[str]:
    """What stays, in sentences."""
    return [f"{step.thing}: {step.why}" for step in steps_ if step.action is Action.KEEP]
