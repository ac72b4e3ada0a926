"""Sites: what people ask for. Each act in one transaction with its audit entry and its command.

A site is changed only while nothing of it is on an SBC; what is there is removed first. Deploying and removing are
commands on the device's lane, and a preview is the same command that writes nothing.
"""

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from django.db import transaction
from django.db.models import QuerySet

from accounts.taken import once, still_there
from audiocodes import script
from audit.services import Changes, record
from core.errors import Conflict, InvalidInput, UmpError
from domains.models import CustomDomain, DomainState
from nameservers import names
from replication import services as queue
from replication.models import OPEN, Command, State
from replication.registry import chore
from sbc.models import Link
from sites import template_selectors, templates
from sites.models import Configuration, Prefix, Purpose, ScriptTemplate, ScriptVersion, Site, SiteState, Trunk
from tenants import scope, secrets
from tenants.access import Actor
from tenants.models import SecretKind, Tenant

DEPLOY, REMOVE = "deploy_site", "remove_site"
MOST = 500
"""Sites of one customer."""
BATCH = 10_000
BUSY = (SiteState.DEPLOYING, SiteState.REMOVING)
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_. -]{2,14}", re.ASCII)
_FIELDS = ("name", "sbc_id", "configuration", "trunk", "gateway", "template_id", "values")


# --- A site ---------------------------------------------------------------------------------------------------
@transaction.atomic
def add(actor: Actor, tenant: Tenant, *, secrets_: Mapping[str, str] | None = None, **given: Any) -> Site:
    """Add SBC Site, in the customer's scope; nothing on the SBC changes. Raises InvalidInput naming the field."""
    site = Site(tenant=tenant, created_by=actor.label, gateway="", configuration="")
    if Site.objects.filter(tenant=tenant).count() >= MOST:
        raise InvalidInput(field="name", why=f"the customer has {MOST} sites already")
    _fill(actor, site, {"trunk": Trunk.DERIVED, "template": None, "values": {}, **given}, secrets_ or {})
    _save(site)
    note(actor, "site.added", site, {"SBC": (None, site.sbc.uid), "PSTN Gateway": (None, site.gateway)})
    return site


@transaction.atomic
def change(
    actor: Actor,
    site: Site,
    *,
    secrets_: Mapping[str, str] | None = None,
    version: int | None = None,
    **given: Any,
) -> Site:
    """What is left out keeps its value. Without secret values the stored ones stay, while the template does.

    Raises InvalidInput naming the field; Conflict when somebody was faster, or something of it is on an SBC.
    """
    locked = _locked(site)
    if version is not None and locked.row_version != version:
        raise Conflict("conflict_version", thing=locked.name)
    _refuse_unless_free(locked)
    before = {name: getattr(locked, name) for name in _FIELDS}
    known = {
        "name": locked.name,
        "sbc": locked.sbc,
        "configuration": locked.configuration,
        "trunk": locked.trunk,
    }
    known |= {"gateway": locked.gateway, "template": locked.template, "values": locked.values}
    old = locked.secret
    _fill(actor, locked, known | given, secrets_ or {})
    if before["sbc_id"] != locked.sbc_id and (prefixes := in_the_way(locked)):
        raise prefixes
    if locked.sbc_state == SiteState.FAILED:  # what was taken over from a device stays Deployed
        locked.sbc_state, locked.sbc_problem = SiteState.NONE, None
    locked.row_version += 1
    _save(locked)
    if old is not None and old.id != locked.secret_id:
        old.delete()
    changes: dict[str, Any] = {
        name: (before[name], getattr(locked, name))
        for name in _FIELDS
        if name != "values" and before[name] != getattr(locked, name)
    }
    # The customer reads the trail too: which values were changed, and not what they are.
    names_ = sorted({**before["values"], **locked.values})
    if other := [name for name in names_ if before["values"].get(name) != locked.values.get(name)]:
        changes["values"] = (None, ", ".join(other))
    note(actor, "site.changed", locked, changes | ({"secret values": (None, "replaced")} if secrets_ else {}))
    return locked


@transaction.atomic
def delete(actor: Actor, site: Site) -> None:
    """The portal forgets the site. Raises Conflict while something of it is on an SBC, or it has prefixes."""
    locked = _locked(site)
    _refuse_unless_free(locked)
    if prefixes := in_the_way(locked):
        raise prefixes
    note(actor, "site.deleted", locked, {"SBC": (locked.sbc.uid, None)})
    secret = locked.secret
    locked.delete()
    if secret is not None:
        secret.delete()


def on_sbc(site: Site) -> bool:
    """Whether something of it is on its SBC, or may be."""
    return bool(site.footprint or site.intent)


# --- On the SBC -----------------------------------------------------------------------------------------------
@transaction.atomic
def preview(actor: Actor, site: Site, kind: str) -> Command:
    """What deploying (or removing) it would do: the command's result has every line. Nothing is written there."""
    with scope.every("work on a device is the provider's own"):
        return queue.submit(actor, kind, None, target=target_of(site), dry_run=True)


@transaction.atomic
def deploy(actor: Actor, site: Site, plan: str = "") -> Command:
    """Carry the template's script out on the SBC. With the `plan` of a preview only if it is still the same.

    Raises Conflict when it is deployed, or being worked on; UmpError: site_unfit, sbc_sign_in_refused.
    """
    locked = _locked(site)
    if locked.sbc_state == SiteState.DEPLOYED:
        raise Conflict(thing=locked.name, why="it is deployed")
    version_of(locked)
    return _submit(actor, locked, DEPLOY, SiteState.DEPLOYING, plan)


@transaction.atomic
def remove(actor: Actor, site: Site, plan: str = "") -> Command:
    """Take what the portal made for it off the SBC; the site stays here. With the `plan` of a preview, that only.

    Raises Conflict when nothing of it is there, or it is being worked on; UmpError: site_has_prefixes,
    sbc_sign_in_refused.
    """
    locked = _locked(site)
    if not on_sbc(locked) and locked.sbc_state not in BUSY:
        raise Conflict(thing=locked.name, why="nothing of it is on an SBC")
    if prefixes := in_the_way(locked):
        raise prefixes
    return _submit(actor, locked, REMOVE, SiteState.REMOVING, plan)


def in_the_way(site: Site) -> UmpError | None:
    """site_has_prefixes, while there are any: they go first."""
    count = Prefix.objects.filter(site=site).count()
    return UmpError.of("site_has_prefixes", thing=site.name, why=f"{count:,} of them") if count else None


def _submit(actor: Actor, site: Site, kind: str, state: SiteState, plan: str) -> Command:
    _refuse_without_line(site)
    for command in open_commands(site):
        if command.state != State.SUSPENDED:
            raise Conflict(thing=site.name, why="it is being worked on")
        with scope.every("work on a device is the provider's own"):
            queue.cancel(actor, command)
    site.sbc_state, site.sbc_problem = state, None
    site.save(update_fields=["sbc_state", "sbc_problem"])
    note(actor, "site.deploying" if kind == DEPLOY else "site.removing", site)
    with scope.every("work on a device is the provider's own"):
        return queue.submit(actor, kind, None, target=target_of(site), params={"plan": plan} if plan else {})


def target_of(site: Site) -> str:
    """`<device>/<site>`: the part before the slash names the lane (docs/decisions/0014)."""
    return f"{site.sbc_id}/{site.uid}"


def open_commands(site: Site) -> list[Command]:
    """Of deploying and removing it; previews are none of them."""
    with scope.every("work on a device is the provider's own"):
        return list(_open([target_of(site)]))


def _open(targets: list[str]) -> QuerySet[Command]:
    found = Command.objects.filter(tenant=None, target__in=targets, kind__in=(DEPLOY, REMOVE))
    return found.filter(dry_run=False, state__in=OPEN)


def version_of(site: Site) -> ScriptVersion:
    """What would be carried out. Raises UmpError: site_unfit without a template, script_wrong when it is wrong."""
    if site.template is None:
        raise UmpError.of("site_unfit", thing=site.name, host=site.sbc.name, why="it has no script template")
    version = template_selectors.version(site.template)
    templates.check_executable(version)
    return version


def cleanup_of(site: Site) -> ScriptVersion | None:
    """The clean-up script that is paired with the site's template."""
    cleanup = site.template.cleanup if site.template else None
    return template_selectors.version(cleanup) if cleanup else None


@chore
def find_interrupted() -> int:
    """Sites that nobody works on any more although they say so: their command was cancelled. How many."""
    with scope.every("sites whose work was cancelled are found"):
        busy = list(Site.objects.filter(sbc_state__in=BUSY).select_related("sbc").order_by("id")[:BATCH])
        targets = [target_of(site) for site in busy]
        worked_on = set(_open(targets).values_list("target", flat=True))
    left = [site for site, target in zip(busy, targets, strict=True) if target not in worked_on]
    for site in left:
        problem = dict(UmpError.of("site_interrupted", thing=site.name).to_dict())
        free = not on_sbc(site)
        state = SiteState.NONE if free else SiteState.FAILED
        with scope.one(site.tenant_id), transaction.atomic():
            same = Site.objects.filter(id=site.id, sbc_state=site.sbc_state)
            same.update(sbc_state=state, sbc_problem=None if free else problem)
    return len(left)


# --- Parts ----------------------------------------------------------------------------------------------------
def _fill(actor: Actor, site: Site, given: Mapping[str, Any], hidden: Mapping[str, str]) -> None:
    """Raises InvalidInput naming the field."""
    name = " ".join(str(given["name"]).split())
    if not _NAME.fullmatch(name):
        raise InvalidInput(
            field="name", why="it needs 3 to 15 letters, digits, blanks, dots, hyphens or underscores"
        )
    if given["configuration"] not in Configuration.values:
        raise InvalidInput(field="configuration", why=f"it is one of {', '.join(Configuration.values)}")
    if given["trunk"] not in Trunk.values:
        raise InvalidInput(field="trunk", why=f"it is one of {', '.join(Trunk.values)}")
    same_template = site.template_id == (given["template"].id if given["template"] else None)
    site.name, site.sbc, site.configuration = name, given["sbc"], given["configuration"]
    site.trunk, site.template = given["trunk"], given["template"]
    site.gateway = checked_gateway(site, str(given["gateway"]))
    variables = variables_of(site.template)
    site.values = checked_values([each for each in variables if not each.is_secret], given["values"])
    _fill_secret(actor, site, [each for each in variables if each.is_secret], hidden, keep=same_template)


def variables_of(template: ScriptTemplate | None) -> list[script.Variable]:
    """Those of its newest version. Raises InvalidInput for a template that makes no sites."""
    if template is None:
        return []
    if template.purpose != Purpose.ONBOARDING:
        raise InvalidInput(field="template", why="it is no onboarding script")
    return template_selectors.variables_of(template_selectors.version(template))


def checked_values(variables: Iterable[script.Variable], given: Mapping[str, str]) -> dict[str, str]:
    """By variable, those that are not empty. Raises InvalidInput naming the variable."""
    known = {each.name: each for each in variables}
    strange = sorted(set(given) - set(known))
    if strange:
        raise InvalidInput(field=strange[0], why="the template has no such variable")
    found = {}
    for name, variable in known.items():
        try:
            value = script.check_value(variable, str(given.get(name, "")))
        except script.RefusedValueError as error:
            raise InvalidInput(field=name, why=error.why) from None
        if value:
            found[name] = value
    return found


def _fill_secret(
    actor: Actor, site: Site, variables: list[script.Variable], given: Mapping[str, str], *, keep: bool
) -> None:
    """All secret values lie in one seal, which only a worker opens: so all are entered anew, or none."""
    given = {name: value for name, value in given.items() if value}
    if not given and keep and (site.secret_id is not None or not variables):
        return
    values = checked_values(variables, given)
    site.secret = None
    if values:
        site.secret = secrets.store(site.tenant, SecretKind.SITE, json.dumps(values), set_by=actor.label)


def checked_gateway(site: Site, text: str) -> str:
    """The FQDN in normal form. Raises InvalidInput (gateway): needed, none, or another customer's."""
    if not text.strip():
        if site.trunk == Trunk.OWN:
            raise InvalidInput(field="gateway", why="a PSTN gateway of its own needs its FQDN")
        return ""
    name = names.checked(text, field="gateway")
    with scope.every("a gateway's name belongs to one customer only"):
        others = Site.objects.exclude(tenant_id=site.tenant_id)
        taken = others.filter(gateway=name).exists()
        foreign = CustomDomain.objects.exclude(tenant_id=site.tenant_id).exclude(state=DomainState.REMOVED)
        ends = [".".join(name.split(".")[at:]) for at in range(name.count("."))]
        taken = taken or foreign.filter(name__in=ends).exists()
    if taken:
        raise InvalidInput(field="gateway", why="it belongs to another customer")
    return name


def _save(site: Site) -> None:
    with once("name", "another site of the customer has this name"):
        site.save()


def _locked(site: Site) -> Site:
    rows = Site.objects.filter(id=site.id).select_related("tenant", "sbc", "template", "secret")
    return still_there(rows, "site")


def _refuse_unless_free(site: Site) -> None:
    if site.sbc_state in BUSY:
        raise Conflict(thing=site.name, why="it is being worked on")
    if on_sbc(site):
        raise Conflict(thing=site.name, why="it is on an SBC; remove it from there first")


def _refuse_without_line(site: Site) -> None:
    if site.sbc.link == Link.REFUSED or site.sbc.secret_id is None:
        raise UmpError.of("sbc_sign_in_refused", host=site.sbc.name)


def of_event(site: Site) -> dict[str, Any]:
    """What machines are told of it. A customer's own ones read it too: nothing of the device is in it."""
    return {"site": str(site.uid), "name": site.name}


def note(actor: Actor, action: str, site: Site, changes: Changes | None = None) -> None:
    """An entry of the trail."""
    record(
        actor,
        action,
        tenant_id=site.tenant_id,
        object_kind="site",
        object_id=site.uid,
        object_label=site.name,
        changes=changes,
    )
