"""Edit together: what to change for ticked users or all that match, a verdict for each, and only then it is kept."""

import dataclasses
from collections.abc import Iterator
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render

from core.errors import InvalidInput, UmpError
from directory.browse import as_uuid
from directory.models import DirectoryUser
from directory.views import wanted_users
from provisioning import editing, leading, services, words
from provisioning.aspects import groups_named
from provisioning.editing import Batch
from provisioning.forms import TogetherForm
from provisioning.judging import Verdict
from provisioning.models import Source
from provisioning.views import FEATURE, WRITES, base
from telephony import ranges
from tenants import offers, tables
from tenants.abilities import Ability
from tenants.answers import SeeOther
from tenants.forms import add_error
from tenants.models import Tenant
from tenants.web import actor_of, tenant_view

SHOWN = 200
NAMED = 100
HEAD = ("User", "Object id", "What", "Now", "Wanted", "Verdict", "Why")


@tenant_view(needs=Ability.EDIT_USERS, methods=WRITES)
def together(request: HttpRequest, tenant: Tenant) -> HttpResponseBase:
    """Three steps at one address: the form, `preview`, `keep`; and the preview as `csv`. Raises not_offered."""
    offers.require(tenant, FEATURE)
    users, step = _users(request, tenant), request.POST.get("step", "")
    form = TogetherForm(
        request.POST if step else None,
        ranges=list(ranges.of_tenant(tenant)[:NAMED]),
        policies=editing.policies_of(tenant),
        sites=leading.sites_of(tenant),
    )
    if not users:
        messages.info(request, "Nobody was chosen: tick some users, or narrow the list by a filter.")
        return SeeOther(f"/tenants/{tenant.id}/users/")
    if step and form.is_valid():
        try:
            order = form.order(_group(tenant, form))
            made = editing.batch(tenant, users, order, by=actor_of(request))
        except InvalidInput as error:
            add_error(form, error)
        else:
            return _answer(request, tenant, form, users, made)
    return render(
        request, "provisioning/together.html", _ask(request, tenant, form, users), status=422 if step else 200
    )


def _users(request: HttpRequest, tenant: Tenant) -> list[DirectoryUser]:
    """Those that are ticked; otherwise all that the address asks for, in the order of their names."""
    if request.method == "POST" and "all" not in request.POST:
        given = {found for text in request.POST.getlist("id")[:1_000] if (found := as_uuid(text))}
        rows = DirectoryUser.objects.filter(tenant=tenant, object_id__in=given)
    else:
        rows = wanted_users(request, tenant)
    return list(rows.order_by("search", "object_id")[: services.MOST + 1])


def _group(tenant: Tenant, form: TogetherForm) -> Any:
    act, text = form.cleaned_data["group_act"], form.cleaned_data["group"]
    return editing.group_named(tenant, text) if act else None


def _chosen(request: HttpRequest, users: list[DirectoryUser]) -> dict[str, Any]:
    """What the next step needs to find the same users again."""
    everybody = request.method != "POST" or "all" in request.POST
    return {"all": everybody, "ids": [] if everybody else [user.object_id for user in users]}


def _ask(
    request: HttpRequest, tenant: Tenant, form: TogetherForm, users: list[DirectoryUser]
) -> dict[str, Any]:
    return {
        "tenant": tenant,
        "title": f"Edit {_many(len(users), 'user')} together",
        "form": form,
        "names": [str(user) for user in users[:NAMED]],
        "more": max(0, len(users) - NAMED),
        "form_action": request.get_full_path(),
        "cancel_url": f"/tenants/{tenant.id}/users/",
        "submit": "Preview",
        **_chosen(request, users),
    }


# --- The preview --------------------------------------------------------------------------------------------
@dataclasses.dataclass(frozen=True)
class Row:
    """A verdict as people read it."""

    verdict: Verdict
    what: str
    before: str
    wanted: str

    @property
    def name(self) -> str:
        return self.verdict.name or self.verdict.wish.label

    @property
    def word(self) -> str:
        if self.verdict.problem:
            return "Not possible"
        return "So already" if self.verdict.same else "Will change"

    @property
    def why(self) -> str:
        error = self.verdict.problem
        return f"{error.message} {error.advice}" if error else self.verdict.hint


def _rows(tenant: Tenant, verdicts: list[Verdict]) -> list[Row]:
    groups = groups_named(tenant.id, {each.wish.thing.aspect for each in verdicts})
    return [
        Row(
            verdict=each,
            what=words.title(each.wish.thing.aspect, groups),
            before=words.value(each.wish.thing.aspect, each.before),
            wanted=words.value(each.wish.thing.aspect, None if each.problem else each.wish.wanted),
        )
        for each in verdicts
    ]


def _answer(
    request: HttpRequest, tenant: Tenant, form: TogetherForm, users: list[DirectoryUser], made: Batch
) -> HttpResponseBase:
    step = request.POST["step"]
    if step == "csv":
        return tables.csv_answer("preview", HEAD, _lines(tenant, made))
    moved = step == "keep" and request.POST.get("digest") != made.digest
    if step == "keep" and not moved:
        return _keep(request, tenant, made)
    ordered = sorted(made.verdicts, key=lambda each: (each.problem is None, each.same))
    context = {
        "tenant": tenant,
        "batch": made,
        "counts": made.counts,
        "rows": _rows(tenant, ordered[:SHOWN]),
        "more": max(0, len(ordered) - SHOWN),
        "left_out": made.left_out[:NAMED],
        "moved": moved,
        "carried": [(name, request.POST[name]) for name in form.fields if name in request.POST],
        "here": request.get_full_path(),
        "users_url": f"/tenants/{tenant.id}/users/",
        **_chosen(request, users),
    }
    return render(request, "provisioning/preview.html", context)


def _lines(tenant: Tenant, made: Batch) -> Iterator[list[list[object]]]:
    rows = [
        [row.name, row.verdict.wish.thing.subject_id, row.what, row.before, row.wanted, row.word, row.why]
        for row in _rows(tenant, made.verdicts)
    ]
    rows += [[name, "", "Phone number", "", "", "Left out", why] for name, why in made.left_out]
    return iter([rows])


def _keep(request: HttpRequest, tenant: Tenant, made: Batch) -> HttpResponse:
    """What can be kept; what cannot was said before, and is said again."""
    asked = services.ask(actor_of(request), tenant, made.wishes, source=Source.BULK)
    if asked.kept:
        when = words.soon(asked.command)
        messages.success(
            request, f"{_many(len(asked.kept), 'change')} kept, to be written to Microsoft 365 {when}."
        )
    else:
        messages.info(request, "Nothing was left to be changed.")
    if asked.refused:
        first: UmpError | None = asked.refused[0].problem
        told = f" The first: {asked.refused[0].name}: {first.message}" if first else ""
        messages.warning(request, f"{_many(len(asked.refused), 'change')} not possible.{told}")
    return SeeOther(base(tenant))


def _many(number: int, word: str) -> str:
    return f"{number:,} {word}{'' if number == 1 else 's'}"
