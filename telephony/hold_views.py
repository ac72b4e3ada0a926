"""Reserve, Block and Release: over ticked numbers, over all that match, and by hand; and the list of what is held."""

import dataclasses
import uuid
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from django import forms
from django.contrib import messages
from django.db.models import Q
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render

from core.errors import UmpError
from directory.browse import as_uuid
from telephony import holds, intervals, numbers, selectors, views
from telephony.forms import BlockForm, BlockRangeForm, ReserveForm, ReserveRangeForm
from telephony.models import HoldKind, NumberHold, PhoneNumber
from tenants import offers, tables
from tenants.abilities import Ability
from tenants.access import Actor
from tenants.answers import leave_dialog
from tenants.forms import add_error
from tenants.models import Tenant
from tenants.web import actor_of, tenant_view

MOST = 500
"""Numbers of one go; whole ranges are held at once, by hand."""
TOLD = 5
WRITES = ("GET", "HEAD", "POST")
ORDERS = {
    "number": ["span", "id"],
    "kind": ["kind", "span", "id"],
    "for": ["holder", "span", "id"],
    "until": ["until", "span", "id"],
    "made": ["created_at", "id"],
}
HEAD = ("From", "To", "Numbers", "State", "For", "Note", "Until", "By", "Since")


@dataclasses.dataclass(frozen=True)
class Act:
    """What is done to numbers, in words."""

    word: str
    done: str
    explains: str
    form: type[forms.Form]
    by_hand: type[forms.Form]


ACTS: Mapping[str, Act] = MappingProxyType(
    {
        "reserve": Act(
            "Reserve",
            "reserved",
            "Nobody is given them until the reservation ends. Whoever has one keeps it.",
            ReserveForm,
            ReserveRangeForm,
        ),
        "block": Act(
            "Block",
            "blocked",
            "Nobody is given them until they are released. Whoever has one keeps it; nothing changes at Microsoft.",
            BlockForm,
            BlockRangeForm,
        ),
        "release": Act(
            "Release",
            "released",
            "Their reservation or block ends. Those that nobody has can be given out again.",
            forms.Form,
            forms.Form,
        ),
    }
)


def base(tenant: Tenant) -> str:
    return f"/tenants/{tenant.id}/numbers/"


# --- Ticked numbers, or all that match ----------------------------------------------------------------------
@tenant_view(needs=Ability.MANAGE_NUMBERS, methods=WRITES)
def reserve(request: HttpRequest, tenant: Tenant) -> HttpResponse:
    return _many(request, tenant, "reserve")


@tenant_view(needs=Ability.MANAGE_NUMBERS, methods=WRITES)
def block(request: HttpRequest, tenant: Tenant) -> HttpResponse:
    return _many(request, tenant, "block")


@tenant_view(needs=Ability.MANAGE_NUMBERS, methods=WRITES)
def release(request: HttpRequest, tenant: Tenant) -> HttpResponse:
    return _many(request, tenant, "release")


def _many(request: HttpRequest, tenant: Tenant, name: str) -> HttpResponse:
    """First how many and which; what is confirmed is what was listed."""
    act, confirmed = ACTS[name], "confirm" in request.POST
    chosen, total = _chosen(request, tenant)
    fitting, skipped = _sorted_out(name, chosen)
    form = act.form(request.POST if confirmed else None)
    if confirmed and fitting and form.is_valid():
        try:
            told = _carry_out(actor_of(request), tenant, name, fitting, form.cleaned_data)
        except UmpError as error:
            add_error(form, error)
        else:
            _tell(request, act, told + [(one.number, why) for one, why in skipped], len(chosen))
            return leave_dialog(request, f"{base(tenant)}?{request.GET.urlencode()}")
    asked = request.GET.urlencode()
    many = f"{len(fitting):,} number{'' if len(fitting) == 1 else 's'}"
    context = {
        "title": f"{act.word} {many}?",
        "act": act,
        "chosen": chosen,
        "fitting": fitting,
        "skipped": [(one.number, why) for one, why in skipped],
        "names": _names(fitting),
        "more": total - len(chosen),
        "part": f"The first {len(chosen):,} of {total:,} that match",
        "form": form if act.form is not forms.Form else None,
        "form_action": f"{base(tenant)}{name}/" + (f"?{asked}" if asked else ""),
        "cancel_url": base(tenant),
        "submit": f"{act.word} {many}",
        "in_place": True,
    }
    return render(request, "telephony/hold_many.html", context, status=422 if form.errors else 200)


def _chosen(request: HttpRequest, tenant: Tenant) -> tuple[list[Any], int]:
    """(the numbers that are ticked, or the first that match the list's filters; how many match)."""
    ids = [each for sent in request.POST.getlist("id") if (each := as_uuid(sent))]
    if ids or request.method == "POST":
        rows = numbers.with_holders(numbers.of(tenant)).filter(object_id__in=ids[:MOST])
        return list(rows.order_by("search", "object_id")), len(ids)
    one = as_uuid(request.GET.get("number", ""))
    if one is not None:
        return list(numbers.with_holders(numbers.of(tenant)).filter(object_id=one)), 1
    rows = numbers.with_holders(views.listed(request, tenant))
    return list(rows.order_by("search", "object_id")[:MOST]), rows.count()


def _sorted_out(name: str, chosen: list[Any]) -> tuple[list[Any], list[tuple[Any, str]]]:
    """(those it makes sense for, the others with why not)."""
    held = holds.of_numbers(chosen)
    fitting, skipped = [], []
    for one in chosen:
        hold = held.get((one.tenant_id, one.object_id))
        if name == "release" and hold is None:
            skipped.append((one, "it is neither reserved nor blocked here"))
        elif name != "release" and hold is not None:
            skipped.append((one, f"it is {hold.get_kind_display().lower()} already"))
        else:
            fitting.append(one)
    return fitting, skipped


def _names(rows: Sequence[PhoneNumber]) -> list[str]:
    """Each number, and who has it."""
    found = []
    for one in rows:
        holder = selectors.holder_of(one)
        found.append(f"{one.number} ({holder.name})" if holder and holder.name else one.number)
    return found


def _carry_out(
    actor: Actor, tenant: Tenant, name: str, chosen: Sequence[PhoneNumber], given: dict[str, Any]
) -> list[tuple[str, str]]:
    """What was refused meanwhile, with why."""
    rules = [intervals.alone(one.number) for one in chosen]
    if name == "release":
        holds.release(actor, tenant, rules)
        return []
    made = _HOLD[name](actor, tenant, rules, all_or_none=False, **given)
    return [(intervals.words(one.rule), one.why) for one in made if one.why]


_HOLD: Mapping[str, Callable[..., list[holds.Outcome]]] = MappingProxyType(
    {"reserve": holds.reserve, "block": holds.block}
)


def _tell(request: HttpRequest, act: Act, refused: Sequence[tuple[str, str]], chosen: int) -> None:
    done = chosen - len(refused)
    messages.success(request, f"{done:,} number{' is' if done == 1 else 's are'} {act.done}.")
    for number, why in refused[:TOLD]:
        messages.warning(request, f"{number} was left out: {why}.")
    if len(refused) > TOLD:
        messages.warning(request, f"{len(refused) - TOLD:,} more were left out.")


# --- What is held -------------------------------------------------------------------------------------------
@tenant_view(needs=Ability.VIEW_DIRECTORY)
def index(request: HttpRequest, tenant: Tenant) -> HttpResponse:
    """Reservations and blocks in force."""
    shown = tables.filters(request.GET, {"kind": ("State", HoldKind.choices)})
    sort, order = tables.order_of(request.GET, ORDERS, "number")
    page = tables.page_of(request.GET, _found(request, tenant).order_by(*order))
    context = {
        "tenant": tenant,
        "page": page,
        "noun": tables.noun(page, "reservations and blocks"),
        "sort": sort,
        "filters": shown,
        "chips": tables.chips(request.GET, shown),
        "base": request.path,
        "may": bool(views.hold_actions(actor_of(request), tenant)),
        "why_not": offers.offered(tenant, "number_ranges")[1],
    }
    return render(request, "telephony/holds.html", context)


def _found(request: HttpRequest, tenant: Tenant) -> Any:
    kind = tables.choice_of(request.GET, "kind", HoldKind.values)
    return holds.of_tenant(tenant, tables.search_of(request.GET), kind)


@tenant_view(needs=Ability.VIEW_DIRECTORY)
def index_csv(request: HttpRequest, tenant: Tenant) -> HttpResponseBase:
    rows = _found(request, tenant).order_by("span", "id")
    batches = tables.in_batches(rows, lambda last: Q(span__gt=last.span))
    return tables.csv_answer("reservations", HEAD, ([_line(one) for one in batch] for batch in batches))


def _line(one: NumberHold) -> list[object]:
    state = one.get_kind_display()
    told = [one.holder, one.note, one.until, one.created_by, one.created_at]
    return [one.first, one.last, one.numbers, state, *told]


@tenant_view(needs=Ability.MANAGE_NUMBERS, methods=WRITES)
def reserve_by_hand(request: HttpRequest, tenant: Tenant) -> HttpResponse:
    return _by_hand(request, tenant, "reserve")


@tenant_view(needs=Ability.MANAGE_NUMBERS, methods=WRITES)
def block_by_hand(request: HttpRequest, tenant: Tenant) -> HttpResponse:
    return _by_hand(request, tenant, "block")


def _by_hand(request: HttpRequest, tenant: Tenant, name: str) -> HttpResponse:
    """Numbers from and to, whether or not Microsoft knows them."""
    act = ACTS[name]
    form = act.by_hand(request.POST or None)
    if request.method == "POST" and form.is_valid():
        given = dict(form.cleaned_data)
        try:
            rule = intervals.between(given.pop("first"), given.pop("last"))
            _HOLD[name](actor_of(request), tenant, [rule], **given)
        except UmpError as error:
            add_error(form, error)
        else:
            messages.success(request, f"{intervals.words(rule)}: {rule.numbers:,} {act.done}.")
            return leave_dialog(request, f"{base(tenant)}holds/")
    context = {
        "title": f"{act.word} numbers",
        "act": act,
        "form": form,
        "form_action": f"{base(tenant)}holds/{name}/",
        "cancel_url": f"{base(tenant)}holds/",
        "submit": act.word,
        "in_place": True,
    }
    return render(request, "telephony/hold_ask.html", context, status=422 if form.errors else 200)


@tenant_view(needs=Ability.MANAGE_NUMBERS, methods=WRITES)
def release_one(request: HttpRequest, tenant: Tenant, hold_id: uuid.UUID) -> HttpResponse:
    """End one reservation or block, whole."""
    hold = holds.get(tenant, hold_id)
    if request.method == "POST":
        holds.release(actor_of(request), tenant, [hold.rule])
        messages.success(request, f"{hold} released.")
        return leave_dialog(request, f"{base(tenant)}holds/")
    context = {
        "title": f"Release {hold}?",
        "act": ACTS["release"],
        "hold": hold,
        "told": holds.words(hold),
        "form_action": f"{base(tenant)}holds/{hold.uid}/release/",
        "cancel_url": f"{base(tenant)}holds/",
        "submit": "Release",
    }
    return render(request, "telephony/hold_ask.html", context)
