"""Reads of templates: in their order, one by its id, what they give, and what one would ask for, row by row."""

import dataclasses
import uuid
from collections.abc import Iterable

from django.db.models import QuerySet, TextChoices

from core.errors import NotFound
from provisioning import words
from provisioning.aspects import groups_named
from provisioning.judging import Verdict, Wish
from telephony import ranges
from tenants.models import Tenant
from user_templates.models import TAKE, UserTemplate
from user_templates.work import Work


class State(TextChoices):
    ON = "on", "On"
    OFF = "off", "Off"
    STOPPED = "stopped", "Stopped"


class Outcome(TextChoices):
    REFUSED = "refused", "Not possible"
    ASKED = "asked", "Asked for"
    TAKEN_BACK = "taken_back", "Taken back"
    LEFT_OUT = "left_out", "Left out"


def of_tenant(tenant: Tenant) -> QuerySet[UserTemplate]:
    """In their order."""
    rows: QuerySet[UserTemplate] = UserTemplate.objects.filter(tenant=tenant).select_related("tenant")
    return rows.order_by("rank", "id")


def get(tenant: Tenant, uid: uuid.UUID) -> UserTemplate:
    """Raises NotFound."""
    row = of_tenant(tenant).filter(uid=uid).first()
    if row is None:
        raise NotFound(thing="template")
    return row


def state(row: UserTemplate) -> State:
    """Stopped is one that was on and could not go on; its `told` says why."""
    if row.on:
        return State.ON
    return State.STOPPED if "error" in row.told else State.OFF


def names(tenant: Tenant, rows: Iterable[UserTemplate]) -> dict[str, str]:
    """How the customer's ranges are called, by their uid, and the groups that these templates put people into."""
    groups = groups_named(tenant.id, {aspect for row in rows for aspect, _ in row.values})
    return {str(each.uid): each.name for each in ranges.of_tenant(tenant)} | groups


def gives(row: UserTemplate, names: dict[str, str]) -> list[str]:
    """What it gives, in words."""
    found = []
    if row.numbers == TAKE:
        found.append("Phone number: taken away")
    elif row.numbers:
        found.append(f"Phone number: next free of {names.get(row.numbers, 'a range that is gone')}")
    return found + [
        f"{words.title(aspect, names)}: {words.value(aspect, value)}" for aspect, value in row.values
    ]


@dataclasses.dataclass(frozen=True)
class Row:
    """One thing of one user, and what becomes of it. Whoever is left out is told by name only."""

    outcome: Outcome
    user: str
    user_id: uuid.UUID | None = None
    aspect: str = ""
    what: str = ""
    before: str = ""
    wanted: str = ""
    why: str = ""
    advice: str = ""


def rows(tenant: Tenant, found: Work) -> list[Row]:
    """What is not possible first, then what would be asked for or taken back, and at last who is left out."""
    verdicts = sorted((each for each in found.verdicts if not each.same), key=lambda each: not each.problem)
    wishes: Iterable[Wish] = [*(each.wish for each in verdicts), *found.leavers]
    groups = groups_named(tenant.id, {each.thing.aspect for each in wishes})
    told = [_verdict(each, groups) for each in verdicts]
    told += [_leaver(each, groups) for each in found.leavers]
    return told + [Row(Outcome.LEFT_OUT, name, why=why) for name, why in found.left_out]


def _verdict(each: Verdict, groups: dict[str, str]) -> Row:
    thing, problem = each.wish.thing, each.problem
    return Row(
        Outcome.REFUSED if problem else Outcome.ASKED,
        each.name or each.wish.label,
        thing.subject_id,
        thing.aspect,
        words.title(thing.aspect, groups),
        words.value(thing.aspect, each.before),
        "" if problem else words.value(thing.aspect, each.wish.wanted),
        problem.message if problem else each.hint,
        problem.advice if problem else "",
    )


def _leaver(wish: Wish, groups: dict[str, str]) -> Row:
    thing = wish.thing
    return Row(
        Outcome.TAKEN_BACK, wish.label, thing.subject_id, thing.aspect, words.title(thing.aspect, groups)
    )
