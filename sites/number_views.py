"""Add/Edit SBC Prefix: the numbers of a site, and of a customer, and what becomes of them on the SBC."""

import uuid
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from django.contrib import messages
from django.db.models import Q
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django_htmx.http import HttpResponseClientRefresh

from core.errors import InvalidInput, UmpError
from replication.models import OPEN
from sites import csv_numbers, number_selectors, numbers
from sites.models import Prefix, PrefixState, Site, SiteState
from sites.number_forms import AddForm, ChangeForm, FileForm, MoveForm, PartForm
from sites.number_rules import Verdict, judge, plans_of
from tenants import sheets, tables
from tenants.abilities import Ability
from tenants.access import Actor
from tenants.answers import SeeOther
from tenants.forms import add_error
from tenants.models import Tenant
from tenants.web import actor_of, tenant_view

WRITES = ("GET", "HEAD", "POST")
EVERY = 2
MOST_SHOWN = 100
"""Lines of a file that its preview shows of each kind."""
MOST_NOTES = 10
ORDERS = {
    "prefix": ["plan", "prefix", "id"],
    "plan": ["plan", "prefix", "id"],
    "index": ["index", "id"],
    "name": ["name", "prefix", "id"],
    "tag": ["tag", "prefix", "id"],
    "numbers": ["numbers", "id"],
    "state": ["state", "prefix", "id"],
    "site": ["site__name", "prefix", "id"],
}
CHIPS = {
    PrefixState.ADDING: ("busy", "The portal writes it as soon as the SBC is free"),
    PrefixState.PRESENT: ("ok", "Read back from the SBC"),
    PrefixState.REMOVING: ("busy", "The portal takes it away as soon as the SBC is free"),
    PrefixState.FAILED: ("bad", "It is not on the SBC"),
    PrefixState.MISSING: ("warn", "It was written, and the last reading did not find it so"),
}


def address(site: Site) -> str:
    return f"/tenants/{site.tenant_id}/sites/{site.uid}/prefixes/"


# --- Lists ------------------------------------------------------------------------------------------------------
@tenant_view(needs=Ability.VIEW_TENANT)
def of_tenant(request: HttpRequest, tenant: Tenant) -> HttpResponse:
    """The numbers of all sites of a customer."""
    context = _list(request, tenant, None) | {"url": f"/tenants/{tenant.id}/prefixes/"}
    return render(request, "sites/numbers/list.html", context)


@tenant_view(needs=Ability.VIEW_TENANT)
def of_site(request: HttpRequest, tenant: Tenant, site_id: uuid.UUID) -> HttpResponse:
    """The numbers of one site; it follows the command that writes them."""
    site = number_selectors.site_of(tenant, site_id)
    command = numbers.command_of(site)
    context = _list(request, tenant, site) | {
        "url": address(site),
        "command": command,
        "busy": command is not None and command.state in OPEN,
        "every": EVERY,
        "deployed": site.sbc_state in {SiteState.DEPLOYED, SiteState.UNSAVED},
    }
    return render(request, "sites/numbers/list.html", context)


@tenant_view(needs=Ability.VIEW_TENANT)
def live(request: HttpRequest, tenant: Tenant, site_id: uuid.UUID) -> HttpResponse:
    """While they are written; the whole page comes again when it is over."""
    site = number_selectors.site_of(tenant, site_id)
    if not numbers.is_writing(site):
        return HttpResponseClientRefresh()
    return render(request, "sites/numbers/live.html", _writing(request, site))


def _writing(request: HttpRequest, site: Site) -> dict[str, Any]:
    return {"command": numbers.command_of(site), "sees_queue": actor_of(request).may(Ability.VIEW_PROVIDER)}


def _list(request: HttpRequest, tenant: Tenant, site: Site | None) -> dict[str, Any]:
    actor = actor_of(request)
    state = tables.choice_of(request.GET, "state", PrefixState.values)
    search = tables.search_of(request.GET)
    sort, order = tables.order_of(request.GET, ORDERS, "prefix")
    every = number_selectors.prefixes(tenant, site)
    page = tables.page_of(
        request.GET, number_selectors.prefixes(tenant, site, search, state).order_by(*order)
    )
    filters = tables.filters(request.GET, {"state": ("State", list(PrefixState.choices))})
    may = actor.may(Ability.EDIT_TENANT, tenant.id)
    return {
        "tenant": tenant,
        "site": site,
        "page": page,
        "rows": [_row(actor, row, may=may) for row in page],
        "sort": sort,
        "filters": filters,
        "chips": tables.chips(request.GET, filters),
        "figures": number_selectors.figures(every),
        "noun": tables.noun(page),
        "may": may,
        "sees_queue": actor.may(Ability.VIEW_PROVIDER),
    }


def _row(actor: Actor, row: Prefix, *, may: bool) -> dict[str, Any]:
    """What a rule of somebody else on the device says is for those who may see the device."""
    tone, hint = CHIPS[PrefixState(row.state)]
    problem = row.problem
    if problem and not actor.may(Ability.VIEW_PROVIDER):
        problem = {"message": "Your service provider sees why.", "advice": ""}
    base = f"{address(row.site)}{row.uid}/"
    settled = row.state not in numbers.UNWRITTEN
    actions = [
        *(
            [{"label": "Edit SBC Prefix", "url": f"{base}change/", "icon": "pencil", "modal": True}]
            if settled
            else []
        ),
        *(
            [{"label": "Move", "url": f"{base}move/", "icon": "arrow-right-left", "modal": True}]
            if settled
            else []
        ),
        {"label": "Remove", "url": f"{base}remove/", "icon": "trash-2", "danger": True, "modal": True},
    ]
    return {
        "row": row,
        "chip": ("warn" if problem and tone == "ok" else tone, row.get_state_display(), hint),
        "problem": problem,
        "actions": actions if may and row.state != PrefixState.REMOVING else [],
    }


# --- Acts -------------------------------------------------------------------------------------------------------
@tenant_view(needs=Ability.EDIT_TENANT, methods=WRITES)
def add(request: HttpRequest, tenant: Tenant, site_id: uuid.UUID) -> HttpResponse:
    """Add SBC Prefix."""
    site = number_selectors.site_of(tenant, site_id)
    form = AddForm(request.POST or None, site=site, plans=plans_of(site.sbc))
    if request.method == "POST" and form.is_valid():
        wishes = form.wishes()
        try:
            added = numbers.add(actor_of(request), site, wishes)
        except UmpError as error:
            told = [one for one in judge(actor_of(request), site, wishes) if one.error is not None]
            _complain(form, told, error)
        else:
            _tell(request, added)
            return SeeOther(address(site))
    return _page(request, site, form, "Add SBC Prefix", "add/")


@tenant_view(needs=Ability.EDIT_TENANT, methods=WRITES)
def change(request: HttpRequest, tenant: Tenant, site_id: uuid.UUID, prefix_id: uuid.UUID) -> HttpResponse:
    """Edit SBC Prefix."""
    site = number_selectors.site_of(tenant, site_id)
    row = number_selectors.prefix_of(site, prefix_id)
    form = ChangeForm(request.POST or None, row=row)

    def act(given: dict[str, Any]) -> None:
        numbers.change(actor_of(request), row, **given)

    return _acted(request, site, form, act, "The SBC is being changed.") or _page(
        request, site, form, f"Edit SBC Prefix: {row.prefix}", f"{row.uid}/change/"
    )


@tenant_view(needs=Ability.EDIT_TENANT, methods=WRITES)
def remove(request: HttpRequest, tenant: Tenant, site_id: uuid.UUID, prefix_id: uuid.UUID) -> HttpResponse:
    """The whole rule, or a part of a range."""
    site = number_selectors.site_of(tenant, site_id)
    row = number_selectors.prefix_of(site, prefix_id)
    form = PartForm(request.POST or None)
    if row.numbers == 1:
        del form.fields["part"]

    def act(given: dict[str, Any]) -> None:
        if given.get("part"):
            numbers.remove_part(actor_of(request), row, given["part"])
        else:
            numbers.remove(actor_of(request), site, [row])

    more = {"danger": True, "submit": "Remove", "ask": row}
    return _acted(request, site, form, act, "It is being taken from the SBC.") or _page(
        request, site, form, f"Remove {row.prefix}?", f"{row.uid}/remove/", **more
    )


@tenant_view(needs=Ability.EDIT_TENANT, methods=WRITES)
def move(request: HttpRequest, tenant: Tenant, site_id: uuid.UUID, prefix_id: uuid.UUID) -> HttpResponse:
    """To another site of the same customer."""
    site = number_selectors.site_of(tenant, site_id)
    row = number_selectors.prefix_of(site, prefix_id)
    others = list(
        Site.objects.filter(tenant=tenant).exclude(id=site.id).select_related("sbc").order_by("name")
    )
    form = MoveForm(request.POST or None, sites=others)

    def act(given: dict[str, Any]) -> None:
        to = next(each for each in others if str(each.uid) == given["site"])
        numbers.move(actor_of(request), [row], to, tag=given["tag"])

    return _acted(request, site, form, act, "It is being moved.") or _page(
        request, site, form, f"Move {row.prefix}", f"{row.uid}/move/", none=not others
    )


@tenant_view(needs=Ability.EDIT_TENANT, methods=("POST",))
def write(request: HttpRequest, tenant: Tenant, site_id: uuid.UUID) -> HttpResponse:
    """Write now: what failed, what is missing, and what waits."""
    site = number_selectors.site_of(tenant, site_id)
    numbers.again(actor_of(request), site)
    return SeeOther(address(site))


def _acted(
    request: HttpRequest, site: Site, form: Any, act: Callable[[dict[str, Any]], None], said: str
) -> HttpResponse | None:
    """The answer when it was done; None when the form has to be shown."""
    if request.method != "POST" or not form.is_valid():
        return None
    try:
        act(form.cleaned_data)
    except UmpError as error:
        add_error(form, error)
        return None
    messages.success(request, said)
    return SeeOther(address(site))


def _page(request: HttpRequest, site: Site, form: Any, title: str, path: str, **more: Any) -> HttpResponse:
    context = {
        "site": site,
        "form": form,
        "title": title,
        "submit": "Save",
        "form_action": f"{address(site)}{path}",
        "cancel_url": address(site),
        **more,
    }
    return render(request, "sites/numbers/ask.html", context, status=422 if form.errors else 200)


def _complain(form: AddForm, told: Sequence[Verdict], error: UmpError) -> None:
    """Beside the field; of several lines each with its number."""
    if not told:
        add_error(form, error)
    for one in told[:MOST_NOTES]:
        if one.error is None:
            continue
        column, why, remedy = csv_numbers.explained(one.error)
        field = {"DialPlanName": "plan", "Name": "name", "Tag": "tag"}.get(column, "prefixes")
        if one.error.code != "invalid_input":
            form.add_error(field, f"{why} {remedy}")
            continue
        ends = "" if why.endswith("?") else "."
        form.add_error(field, f"{one.wish.prefix}: {why}{ends}" if field == "prefixes" else f"{why}{ends}")


def _tell(request: HttpRequest, added: numbers.Added) -> None:
    good = sum(1 for one in added.verdicts if one.good)
    there = sum(1 for one in added.verdicts if one.there)
    refused = len(added.refused())
    parts = [f"{good:,} {'is' if good == 1 else 'are'} being added"] if good else []
    parts += [f"{there:,} {'was' if there == 1 else 'were'} there already"] if there else []
    parts += [f"{refused:,} {'was' if refused == 1 else 'were'} refused"] if refused else []
    messages.success(request, f"{', '.join(parts) or 'Nothing to do'}.")
    notes = [f"{one.wish.prefix}: {note}" for one in added.verdicts if one.good for note in one.notes]
    for note in notes[:MOST_NOTES]:
        messages.warning(request, note)


# --- Files ------------------------------------------------------------------------------------------------------
@tenant_view(needs=Ability.EDIT_TENANT, methods=WRITES)
def import_file(request: HttpRequest, tenant: Tenant, site_id: uuid.UUID) -> HttpResponseBase:
    """Import CSV: what would become of each line first; then what is right is added, and the rest can be taken home.

    The file goes to the browser and comes back; nothing of it is kept here in between.
    """
    site = number_selectors.site_of(tenant, site_id)
    act = tables.choice_of(request.POST, "act", ("apply", "refused"))
    form = FileForm(request.POST or None, request.FILES or None)
    try:
        if request.method == "POST" and act:
            return _carry_out(request, site, act, request.POST.get("text", ""))
        if request.method == "POST" and form.is_valid():
            file = form.cleaned_data["file"]
            if file.size > sheets.MOST_BYTES:
                raise InvalidInput(field="file", why="it is larger than 2 MB; send it in parts")
            return _preview(request, site, sheets.text_of(file.read()))
    except InvalidInput as error:
        add_error(form, error)
    context = {"site": site, "form": form, "cancel_url": address(site)}
    return render(request, "sites/numbers/import.html", context, status=422 if form.errors else 200)


def _preview(request: HttpRequest, site: Site, text: str) -> HttpResponse:
    verdicts = judge(actor_of(request), site, csv_numbers.read(text))
    refused = [one for one in verdicts if one.error is not None]
    good = [one for one in verdicts if one.good]
    context = {
        "site": site,
        "text": text,
        "good": len(good),
        "numbers_words": f"{sum(one.rule.numbers for one in good if one.rule):,} numbers",
        "there": sum(1 for one in verdicts if one.there),
        "refused": len(refused),
        "lines": [(one, csv_numbers.explained(one.error)) for one in refused[:MOST_SHOWN] if one.error],
        "rows": good[:MOST_SHOWN],
        "most": MOST_SHOWN,
        "cancel_url": address(site),
    }
    return render(request, "sites/numbers/preview.html", context)


def _carry_out(request: HttpRequest, site: Site, act: str, text: str) -> HttpResponseBase:
    wishes = csv_numbers.read(text)
    if act == "refused":
        verdicts = judge(actor_of(request), site, wishes)
        return tables.csv_answer(
            f"refused-{site.name}", csv_numbers.REFUSED_HEAD, csv_numbers.refused(verdicts)
        )
    _tell(request, numbers.add(actor_of(request), site, wishes, all_or_none=False))
    return SeeOther(address(site))


@tenant_view(needs=Ability.VIEW_TENANT)
def export(request: HttpRequest, tenant: Tenant, site_id: uuid.UUID) -> HttpResponseBase:
    """The rules of the list, as the device's own table has them; it can be imported again as it is."""
    site = number_selectors.site_of(tenant, site_id)
    state = tables.choice_of(request.GET, "state", PrefixState.values)
    found = number_selectors.prefixes(tenant, site, tables.search_of(request.GET), state)
    found = found.exclude(state=PrefixState.REMOVING).order_by("id")
    batches = tables.in_batches(found, lambda last: Q(id__gt=last.id))
    return tables.csv_answer(f"prefixes-{site.name}", csv_numbers.HEAD, _lines(batches))


def _lines(batches: Iterator[list[Prefix]]) -> Iterator[list[Sequence[object]]]:
    for batch in batches:
        yield [(row.plan, row.name, row.prefix, row.tag) for row in batch]
