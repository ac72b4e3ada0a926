"""Resource accounts: what people ask for. Each act in one transaction with its audit entry and its command."""

import contextlib
import datetime as dt
from collections.abc import Mapping
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from accounts.taken import once, still_there
from audit.services import Changes, record
from core.errors import Conflict, InvalidInput, UmpError
from m365 import resource_account_plan as planning
from m365 import resource_account_scripts as scripts
from m365 import resource_accounts as m365
from m365.clouds import CLOUDS, Cloud
from m365.resource_accounts import Found
from replication import services as queue
from replication.models import Command, State
from replication.registry import chore
from resource_accounts import selectors, shapes, telling
from resource_accounts.models import Design, DesignState, DesignTemplate
from resource_accounts.selectors import BUILD, REMOVE
from tenants import offers, scope
from tenants.access import Actor
from tenants.models import Connection, Tenant

BATCH = 500
MOST = 500
"""Designs of one customer."""


# --- A design -------------------------------------------------------------------------------------------------
@transaction.atomic
def add(actor: Actor, tenant: Tenant, *, kind: str, **given: Any) -> Design:
    """A new design, in the customer's scope; nothing at Microsoft changes.

    Raises InvalidInput naming the field, UmpError (not_offered) for a customer without sync.
    """
    offers.require(tenant, selectors.FEATURE)
    if Design.objects.filter(tenant=tenant).count() >= MOST:
        raise InvalidInput(field="name", why=f"the customer has {MOST} designs already")
    row = Design(tenant=tenant, kind=kind, created_by=actor.label)
    _fill(row, given)
    _save(row)
    note(actor, "resource_account.designed", row, {"account": (None, row.upn), "type": (None, row.kind)})
    return row


@transaction.atomic
def change(actor: Actor, row: Design, *, version: int | None = None, **given: Any) -> Design:
    """What is left out keeps its value; what is built is changed by the next plan.

    Raises InvalidInput naming the field; Conflict when somebody was faster, or it is being worked on.
    """
    row = _locked(row)
    if version is not None and row.row_version != version:
        raise Conflict("conflict_version", thing=row.name)
    _refuse_while_busy(row)
    before = {name: getattr(row, name) for name in ("name", "upn", "number", "spec")}
    _fill(row, {"name": row.name, "upn": row.upn, "number": row.number, "spec": row.spec} | given)
    for name in ("name", "upn"):
        if built(row) and getattr(row, name) != before[name]:
            raise InvalidInput(
                field=name, why="something of it is at Microsoft already: remove that first, or copy it"
            )
    row.row_version += 1
    _save(row)
    changes: dict[str, Any] = {
        name: (before[name], getattr(row, name))
        for name in ("name", "upn", "number")
        if before[name] != getattr(row, name)
    }
    other = [name for name, text in row.spec.items() if text != before["spec"].get(name)]
    note(
        actor,
        "resource_account.changed",
        row,
        changes | ({"settings": (None, ", ".join(other))} if other else {}),
    )
    return row


@transaction.atomic
def delete(actor: Actor, row: Design) -> None:
    """The portal forgets the design. Raises Conflict while something that the portal made is at Microsoft."""
    row = _locked(row)
    _refuse_while_busy(row)
    if row.owned:
        raise Conflict(thing=row.name, why="what the portal made for it is at Microsoft: remove that first")
    note(actor, "resource_account.deleted", row, {"account": (row.upn, None)})
    row.delete()


def built(row: Design) -> bool:
    """Whether something of it is at Microsoft, or may be."""
    return bool(row.owned) or row.by_hand


def _fill(row: Design, given: Mapping[str, Any]) -> None:
    """Raises InvalidInput naming the field."""
    row.name = m365.checked_name(str(given.get("name", "")))
    row.upn = m365.checked_upn(str(given.get("upn", "")))
    number = str(given.get("number", "") or "")
    row.number = m365.checked_number(number) if number.strip() else ""
    row.spec = shapes.cleaned(row.kind, given.get("spec") or {})
    shapes.wish_of(row)


def _save(row: Design) -> None:
    same = Design.objects.filter(tenant=row.tenant).exclude(pk=row.pk)
    if same.filter(upn=row.upn).exists():
        raise InvalidInput(field="upn", why="another design has this account")
    if same.filter(kind=row.kind, name__iexact=row.name).exists():
        raise InvalidInput(field="name", why="another design of this type has this name")
    try:
        with transaction.atomic():
            row.save()
    except IntegrityError as error:  # somebody was faster
        raise Conflict("already_exists", thing="a design") from error


# --- At Microsoft ---------------------------------------------------------------------------------------------
@transaction.atomic
def look(actor: Actor, row: Design, kind: str = BUILD) -> Command:
    """Read what Teams has of it, and what would be done; nothing is written. Work that waits for a person ends.

    Raises UmpError: not_offered, and Conflict where no worker has PowerShell.
    """
    _refuse_without_line(row.tenant)
    _end_waiting(actor, row)
    return queue.submit(actor, kind, row.tenant, target=str(row.uid), dry_run=True)


@transaction.atomic
def build(actor: Actor, row: Design, plan: str) -> Command:
    """Carry out the plan of this fingerprint, which somebody has seen.

    Raises InvalidInput when somebody whom it names is gone; Conflict when the plan is another one by now, waits for a
    decision, is being carried out, or no worker has PowerShell; UmpError: not_offered.
    """
    _refuse_without_line(row.tenant)
    row = _locked(row)
    steps = selectors.to_build(row)
    if blocked := planning.blocked(steps):
        raise Conflict(thing=row.name, why=f"{blocked[0]}: {blocked[0].why}")
    return _submit(actor, row, BUILD, DesignState.BUILDING, plan, planning.fingerprint(steps))


@transaction.atomic
def remove(actor: Actor, row: Design, plan: str) -> Command:
    """Take away what the portal made, in reverse; the design stays. Raises likewise."""
    _refuse_without_line(row.tenant)
    row = _locked(row)
    if not row.owned:
        raise Conflict(thing=row.name, why="the portal made nothing of it")
    steps = selectors.to_remove(row)
    return _submit(actor, row, REMOVE, DesignState.REMOVING, plan, planning.fingerprint(steps))


def _submit(actor: Actor, row: Design, kind: str, state: DesignState, plan: str, now: str) -> Command:
    open_one = (
        selectors.commands(row).filter(dry_run=False, state__in=(State.QUEUED, State.EXECUTING)).first()
    )
    if open_one is not None:
        raise Conflict(thing=row.name, why="it is being worked on")
    if plan != now:
        raise Conflict(thing=row.name, why="the plan is another one by now")
    _end_waiting(actor, row)
    row.state, row.problem = state, None
    row.save(update_fields=["state", "problem"])
    note(actor, "resource_account.building" if kind == BUILD else "resource_account.removing", row)
    return queue.submit(actor, kind, row.tenant, target=str(row.uid), params={"plan": plan})


def _end_waiting(actor: Actor, row: Design) -> None:
    """What is suspended would hold all later work on this design."""
    for waiting in selectors.commands(row).filter(state=State.SUSPENDED):
        queue.cancel(actor, waiting)


def _refuse_without_line(tenant: Tenant) -> None:
    offers.require(tenant, selectors.FEATURE)
    if not selectors.powershell_is_there():
        raise Conflict(
            thing="this portal", why="no worker of it has PowerShell, so use the ready script and Verify"
        )


@chore
def find_interrupted() -> int:
    """Designs that nobody works on any more although they say so: their command was cancelled, or has stopped its
    workers. How many.
    """
    with scope.every("resource accounts whose work was cut off are found"):
        busy = list(Design.objects.filter(state__in=selectors.BUSY).order_by("id")[:BATCH])
        uids = [str(row.uid) for row in busy]
        worked_on = set(selectors.worked_on(uids).values_list("target", flat=True))
    left = [row for row in busy if str(row.uid) not in worked_on]
    return sum(_interrupted(row) for row in left)


def _interrupted(row: Design) -> bool:
    """What the portal made, or was about to make, is looked at by a person; where there is none, nothing was done."""
    with scope.one(row.tenant_id), transaction.atomic():
        found = (
            Design.objects.select_for_update(no_key=True).filter(pk=row.pk, state__in=selectors.BUSY).first()
        )
        if found is None or selectors.worked_on([str(row.uid)]).exists():
            return False
        error = UmpError.of("resource_account_interrupted", thing=found.name)
        if found.owned:
            found.state, found.problem = DesignState.FAILED, dict(error.to_dict())
        else:
            found.state = DesignState.BUILT if found.by_hand else DesignState.NONE
        found.save(update_fields=["state", "problem"])
        last = selectors.commands(found).filter(dry_run=False).first()
        telling.failed(found, error, last.id if last else None)
        return True


# --- By hand --------------------------------------------------------------------------------------------------
def ready_script(row: Design, kind: str = BUILD) -> str:
    """For a person with the MicrosoftTeams module. Raises InvalidInput, Conflict as `build`, tenant_not_given."""
    organisation, cloud = _organisation(row.tenant)
    removing = kind == REMOVE
    wish = shapes.bare(row) if removing else shapes.wish_of(row, built=True)
    steps = selectors.to_remove(row) if removing else selectors.to_build(row)
    if blocked := planning.blocked(steps):
        raise Conflict(thing=row.name, why=f"{blocked[0]}: {blocked[0].why}")
    return scripts.ready(steps, wish, customer=row.tenant.name, organisation=organisation, cloud=cloud)


def offered_scripts(row: Design) -> dict[str, str]:
    """Each script for a person by name: ready, remove, verify; empty where it cannot be made or has nothing to do.

    Raises UmpError (tenant_not_given).
    """
    found = {"ready": "", "remove": "", "verify": verify_script(row)}
    for name, kind in (("ready", BUILD), ("remove", REMOVE)):
        with contextlib.suppress(InvalidInput, Conflict):
            found[name] = ready_script(row, kind) if kind == BUILD or row.owned else ""
    return found


def verify_script(row: Design) -> str:
    """Reads what Teams has, and prints a line for `verify`. Raises UmpError (tenant_not_given)."""
    organisation, cloud = _organisation(row.tenant)
    return scripts.verify(shapes.bare(row), customer=row.tenant.name, organisation=organisation, cloud=cloud)


@transaction.atomic
def verify(actor: Actor, row: Design, pasted: str) -> Design:
    """What a person's run of the Verify script printed. It makes nothing the portal's own.

    Raises InvalidInput for what it did not print; Conflict while the portal works on the design.
    """
    row = _locked(row)
    _refuse_while_busy(row)
    organisation, _ = _organisation(row.tenant)
    found = scripts.verified(pasted, shapes.bare(row), organisation=organisation)
    note_seen(row, found)
    whole, before = set(m365.wanted(shapes.wish_of(row))) <= set(found), row.by_hand
    row.by_hand = bool(found) and not row.owned and whole
    if row.by_hand:
        row.state, row.problem, row.built_at = DesignState.BUILT, None, timezone.now()
    elif not row.owned:
        row.state = DesignState.NONE
    row.save()
    note(actor, "resource_account.verified", row, {"found": (None, ", ".join(found) or "nothing")})
    if row.by_hand and not before:
        telling.built(row, first=True)
    elif before and not found:
        telling.removed(row)
    return row


def note_seen(row: Design, found: Found) -> None:
    """Keep what a reading found; the caller saves."""
    row.seen = {
        part.value: {"name": thing.name, "id": thing.id, "holder": thing.holder, "note": thing.note}
        for part, thing in found.items()
    }
    row.checked_at = timezone.now()


def _organisation(tenant: Tenant) -> tuple[str, Cloud]:
    if tenant.entra_tenant_id is None:
        raise UmpError.of("tenant_not_given")
    cloud = Connection.objects.filter(tenant=tenant).values_list("cloud", flat=True).first()
    return str(tenant.entra_tenant_id), CLOUDS[cloud or "global"]


# --- Templates ------------------------------------------------------------------------------------------------
@transaction.atomic
def save_template(actor: Actor, row: Design, name: str) -> DesignTemplate:
    """The design without its people, for other customers. Raises InvalidInput naming the field."""
    name = m365.checked_name(name, "name")
    taken = "another template has this name"
    if DesignTemplate.objects.filter(name__iexact=name).exists():
        raise InvalidInput(field="name", why=taken)
    customer = row.tenant.name
    made = DesignTemplate(
        name=name,
        kind=row.kind,
        design_name=shapes.without_people({"name": row.name}, customer)["name"][: m365.LONGEST_NAME],
        spec=shapes.without_people(row.spec, customer),
        created_by=actor.label,
    )
    with once("name", taken):
        made.save()
    _note_template(actor, "design_template.added", made)
    return made


@transaction.atomic
def delete_template(actor: Actor, row: DesignTemplate) -> None:
    """What was made from it stays."""
    _note_template(actor, "design_template.deleted", row)
    row.delete()


def from_template(row: DesignTemplate, tenant: Tenant) -> dict[str, Any]:
    """First values of a new design for this customer; whom it leads to is left to a person."""
    filled = shapes.for_customer({"name": row.design_name, **row.spec}, tenant.name)
    name = filled.pop("name")
    return {"kind": row.kind, "name": name, "spec": filled}


def _note_template(actor: Actor, action: str, row: DesignTemplate) -> None:
    record(
        actor,
        action,
        tenant_id=None,
        object_kind="design_template",
        object_id=row.uid,
        object_label=row.name,
    )


# --- Small ----------------------------------------------------------------------------------------------------
def _locked(row: Design) -> Design:
    return still_there(Design.objects.filter(pk=row.pk).select_related("tenant"), "design")


def _refuse_while_busy(row: Design) -> None:
    if selectors.commands(row).filter(dry_run=False, state__in=(State.QUEUED, State.EXECUTING)).exists():
        raise Conflict(thing=row.name, why="it is being worked on")


def note(actor: Actor, action: str, row: Design, changes: Changes | None = None) -> None:
    """An entry of the trail."""
    record(
        actor,
        action,
        tenant_id=row.tenant_id,
        object_kind="resource_account",
        object_id=row.uid,
        object_label=row.name,
        changes=changes,
    )


def young_since() -> str:
    """What was made after this may not be shown by Microsoft yet (ISO time)."""
    return (timezone.now() - dt.timedelta(minutes=30)).isoformat()
