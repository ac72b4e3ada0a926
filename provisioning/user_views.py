"""Edit User, and the history of a user: how each thing came to be, what was asked, and how it was at a time."""

import datetime as dt
import uuid
from typing import Any

from django.contrib import messages
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.utils import timezone

from core.errors import InvalidInput
from directory import browse
from directory.models import DirectoryUser
from provisioning import editing, leading, selectors, services, words
from provisioning.aspects import Thing, aspect_of
from provisioning.forms import TAKE, UserForm
from provisioning.judging import Wish
from provisioning.models import Line, LineState, Source
from provisioning.plan_views import url_of
from provisioning.views import FEATURE, WRITES, base, listing
from telephony import numbers, ranges
from tenants import offers, scope, tables
from tenants.abilities import Ability
from tenants.access import Actor
from tenants.answers import SeeOther
from tenants.forms import add_error
from tenants.models import Tenant
from tenants.web import actor_of, list_view, tenant_view

OFFERED = 100
"""Free numbers and groups that are suggested; others are typed."""
STATES = [(state.value, state.label) for state in selectors.TRIED]
HEAD = (
    "Customer", "User", "Object id", "What", "Before", "After", "State", "Problem", "Asked by", "How", "Written",
    "Ended", "Request id",
)  # fmt: skip


def url(tenant: Tenant, object_id: uuid.UUID) -> str:
    return f"/tenants/{tenant.id}/users/{object_id}/"


# --- Edit User ----------------------------------------------------------------------------------------------
@tenant_view(needs=Ability.EDIT_USERS, methods=WRITES)
def edit(request: HttpRequest, tenant: Tenant, object_id: uuid.UUID) -> HttpResponse:
    """Raises UmpError (not_offered) where the customer is not offered it."""
    user = browse.user(tenant, object_id)
    offers.require(tenant, FEATURE)
    form = _form(request, tenant, user)
    if request.method == "POST" and form.is_valid():
        kept = _save(request, tenant, form)
        if kept is not None:
            return kept
    context = {
        "tenant": tenant,
        "user_shown": user,
        "form": form,
        "fixed": [(one, why) for one in form.profile.groups if (why := editing.why_fixed(one))],
        "cancel_url": url(tenant, object_id),
        "why_no_numbers": offers.offered(tenant, "assign_user_numbers")[1],
    }
    return render(request, "provisioning/edit_user.html", context, status=422 if form.errors else 200)


def _form(request: HttpRequest, tenant: Tenant, user: DirectoryUser) -> UserForm:
    taken, profile = selectors.claimed(tenant), editing.profile(tenant, user)
    free = (
        numbers.of(tenant).filter(state="free").order_by("place").values_list("number", flat=True)[:OFFERED]
    )
    sites = leading.sites_of(tenant)
    number = (profile.wanted("number") or {}).get("number", "") if sites else ""
    return UserForm(
        request.POST or None,
        profile=profile,
        sites=sites,
        led=leading.led(tenant, [number])[number] if number else leading.NOWHERE,
        ranges=list(ranges.of_tenant(tenant)[:OFFERED]),
        free=[number for number in free if number not in taken],
        groups=[one for one in browse.groups(tenant)[:OFFERED] if not editing.why_fixed(one)],
    )


def _save(request: HttpRequest, tenant: Tenant, form: UserForm) -> HttpResponse | None:
    """None where something is wrong; the form says what."""
    if form.cleaned_data["seen"] != form.profile.digest:
        form.add_error(None, "Something has changed since this page was opened: look at it again, then save.")
        return None
    try:
        wishes = _with_more(tenant, form)
    except InvalidInput as error:
        add_error(form, error)
        return None
    asked = services.ask(actor_of(request), tenant, wishes, source=Source.EDIT, all_or_none=True)
    for verdict in asked.refused:
        name, why = verdict.wish.label, verdict.problem
        form.add_error(name if name in form.fields else None, f"{why.message} {why.advice}" if why else "")
    if asked.refused:
        return None
    if asked.kept:
        many = f"{len(asked.kept)} change{'' if len(asked.kept) == 1 else 's'}"
        messages.success(request, f"{many} kept, to be written to Microsoft 365 {words.soon(asked.command)}.")
        for verdict in asked.kept:
            if verdict.hint:
                messages.info(request, verdict.hint)
    else:
        messages.info(request, "It is like that already: nothing has to be written.")
    return SeeOther(url(tenant, form.profile.user.object_id))


def _with_more(tenant: Tenant, form: UserForm) -> list[Wish]:
    """The form's wishes, with a number out of a range and a group by its name. Raises InvalidInput."""
    wishes, given = form.wishes(), form.cleaned_data
    user_id = form.profile.user.object_id
    if given.get("range"):
        wishes = [each for each in wishes if each.label != "number"]
        number = editing.free_number(tenant, given["range"])
        wishes.append(Wish(Thing(user_id, "number"), number, "range"))
    if given["join"]:
        try:
            group = editing.group_named(tenant, given["join"])
        except InvalidInput as error:
            raise InvalidInput(field="join", why=error.fields.get("why", "")) from None
        wishes.append(Wish(Thing(user_id, f"member:{group.object_id}"), True, "join"))
    return wishes + _leading(tenant, form, wishes)


def _leading(tenant: Tenant, form: UserForm, wishes: list[Wish]) -> list[Wish]:
    """The rule on an SBC for the number that the user has or gets. Raises InvalidInput (lead)."""
    chosen, user_id = form.cleaned_data.get("lead"), form.profile.user.object_id
    held = str((form.profile.wanted("number") or {}).get("number", ""))
    if not chosen:
        return []
    if chosen == TAKE:
        return list(leading.unled(user_id, held, leading.led(tenant, [held])[held], label="lead"))
    given = next((each.wanted for each in wishes if each.thing.aspect == "number"), {"number": held})
    if not given or not given["number"]:
        raise InvalidInput(field="lead", why="there is no number that could be led to a site")
    try:
        number = aspect_of("number").clean(Thing(user_id, "number"), given)["number"]
    except InvalidInput:
        return []  # it is told beside the number
    return [leading.wish(user_id, leading.site_of(tenant, chosen), number, label="lead")]


# --- The history of a user ----------------------------------------------------------------------------------
@tenant_view(needs=Ability.VIEW_DIRECTORY)
def history(request: HttpRequest, tenant: Tenant, object_id: uuid.UUID) -> HttpResponse:
    """Explain: asked, planned, written, read back, read since; everything ever asked; and as of a time."""
    user = browse.user(tenant, object_id)
    actor = actor_of(request)
    chain = selectors.chain(tenant, object_id, editing.read_at(tenant))
    page = tables.page_of(request.GET, selectors.changes_of(tenant, object_id))
    moment = moment_of(request)
    groups = selectors.groups_of(tenant, [*(link.line for link in chain), *page])
    context = {
        "tenant": tenant,
        "user_shown": user,
        "links": [
            {
                "link": link,
                "row": row,
                "edit": link.line.change.edit,
                "now": words.value(link.line.aspect, link.now),
                "plan_url": url_of(link.line.plan),
            }
            for link, row in zip(
                chain, words.line_rows([each.line for each in chain], groups, actor), strict=True
            )
        ],
        "page": page,
        "rows": words.change_rows(page, groups),
        "base": request.path,
        "changes_url": base(tenant),
        **_as_of(tenant, moment, object_id),
    }
    return render(request, "provisioning/user_history.html", context)


def moment_of(request: HttpRequest) -> dt.datetime | None:
    """`?at=`, in UTC where it says nothing else; nonsense and what is to come is none."""
    try:
        found = dt.datetime.fromisoformat(request.GET.get("at", ""))
    except ValueError:
        return None
    found = found if found.tzinfo else found.replace(tzinfo=dt.UTC)
    return found if found.year > 1 and found <= timezone.now() else None


def _as_of(tenant: Tenant, moment: dt.datetime | None, subject_id: uuid.UUID) -> dict[str, Any]:
    if moment is None:
        return {"moment": None}
    found = list(selectors.as_of(tenant, moment, subject_id)[:500])
    return {"moment": moment, "then": _then_rows(tenant, found, moment)}


def _then_rows(tenant: Tenant, lines: list[Line], moment: dt.datetime) -> list[dict[str, Any]]:
    """Each with what it was then and what it is now."""
    groups = selectors.groups_of(tenant, lines)
    found = selectors.then(lines, moment)
    now = selectors.now(tenant, [each.thing for each in found])
    return [
        {
            "then": each,
            "what": words.title(each.thing.aspect, groups),
            "value": words.value(each.thing.aspect, each.value),
            "now": words.value(each.thing.aspect, now.get(each.thing)),
            "plan_url": f"{base(tenant)}plans/",
        }
        for each in found
    ]


# --- What was written ---------------------------------------------------------------------------------------
@list_view(needs=Ability.VIEW_DIRECTORY)
def everywhere(request: HttpRequest) -> HttpResponse:
    return render(request, "provisioning/history.html", _written(request, None))


@tenant_view(needs=Ability.VIEW_DIRECTORY)
def of_tenant(request: HttpRequest, tenant: Tenant) -> HttpResponse:
    moment = moment_of(request)
    if moment is None:
        return render(request, "provisioning/history.html", _written(request, tenant))
    page = tables.page_of(request.GET, selectors.as_of(tenant, moment), bounded=False)
    context = {
        "tenant": tenant,
        "base": request.path,
        "moment": moment,
        "page": page,
        "then": _then_rows(tenant, list(page), moment),
    }
    return render(request, "provisioning/as_of.html", context)


@list_view(needs=Ability.VIEW_DIRECTORY)
def everywhere_csv(request: HttpRequest) -> HttpResponseBase:
    return _csv(request, None)


@tenant_view(needs=Ability.VIEW_DIRECTORY)
def of_tenant_csv(request: HttpRequest, tenant: Tenant) -> HttpResponseBase:
    return _csv(request, tenant)


def _found(request: HttpRequest, tenant: Tenant | None) -> QuerySet[Line]:
    state = tables.choice_of(request.GET, "state", LineState.values)
    return selectors.writes(tenant, state=state, search=tables.search_of(request.GET))


def _written(request: HttpRequest, tenant: Tenant | None) -> dict[str, Any]:
    shown = listing(request, tenant, _found(request, tenant), "writes", {"state": ("State", STATES)})
    rows = words.line_rows(shown["page"], selectors.groups_of(tenant, shown["page"]), actor_of(request))
    return shown | {
        "rows": [
            {"row": row, "edit": row.line.change.edit, "plan_url": url_of(row.line.plan)} for row in rows
        ],
    }


def _csv(request: HttpRequest, tenant: Tenant | None) -> HttpResponseBase:
    batches = tables.in_batches(_found(request, tenant), lambda last: Q(id__lt=last.id))
    actor = actor_of(request)
    return tables.csv_answer("history", HEAD, (_cells(batch, tenant, actor) for batch in batches))


def _cells(batch: list[Line], tenant: Tenant | None, actor: Actor) -> list[list[object]]:
    with scope.some({one.tenant_id for one in batch}):  # the request's own has ended when this is sent
        rows = words.line_rows(batch, selectors.groups_of(tenant, batch), actor)
    return [
        [
            (tenant or row.line.tenant).name, row.line.subject_name, row.line.subject_id, row.what, row.before,
            row.after, row.chip.word, row.why_not, row.line.change.edit.actor_label,
            row.line.change.edit.get_source_display(), row.line.sent_at, row.line.done_at,
            row.line.request_id if actor.is_provider else "",
        ]
        for row in rows
    ]  # fmt: skip
