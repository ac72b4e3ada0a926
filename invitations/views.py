"""Customer Invitations: the list, a customer's own, and what a provider does with each (NAV-04, INV-11..21)."""

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.db.models import Q
from django.http import HttpRequest, HttpResponse, HttpResponseBase, QueryDict
from django.shortcuts import render
from django.urls import NoReverseMatch, reverse
from django.views.decorators.http import conditional_page

from core.errors import Conflict, InvalidInput, UmpError
from invitations import confirming, listing, selectors, services
from invitations.forms import EditForm, InviteForm, OrganisationForm
from invitations.models import Invitation
from tenants import selectors as customers
from tenants import tables
from tenants.abilities import Ability
from tenants.access import Actor
from tenants.answers import SeeOther, leave_dialog
from tenants.forms import add_error
from tenants.models import Connection, Tenant
from tenants.web import actor_of, list_view, tenant_view

WRITES = ("GET", "HEAD", "POST")
PAGE = "/invitations/"


# --- All of them --------------------------------------------------------------------------------------------
@list_view(needs=Ability.VIEW_INVITATIONS)
def index(request: HttpRequest) -> HttpResponse:
    actor = actor_of(request)
    sort, order = tables.order_of(request.GET, listing.COLUMNS, "-id")
    page = tables.page_of(request.GET, listing.matching(request.GET).order_by(*order))
    page.object_list = listing.rows(actor, page.object_list)
    shown = tables.filters(request.GET, listing.CHOICES)
    context = {
        "page": page,
        "noun": tables.noun(page),
        "sort": sort,
        "filters": shown,
        "chips": tables.chips(request.GET, shown),
        "filtered": any(request.GET.get(name) for name in (*listing.CHOICES, "q")),
        "live_url": f"{PAGE}live/?{'&'.join(f'id={row.invitation.pk}' for row in page.object_list)}",
        "may_invite": _may_invite(actor),
        "page_url": PAGE,
    }
    return render(request, "invitations/list.html", context)


@list_view(needs=Ability.VIEW_INVITATIONS)
@conditional_page
def live(request: HttpRequest) -> HttpResponse:
    """How the invitations on somebody's screen stand, to be swapped in place."""
    ids = [int(text) for text in request.GET.getlist("id") if text.isdecimal() and len(text) < 18]
    found = listing.matching(QueryDict()).filter(id__in=ids[: tables.SIZES[-1]])
    return render(request, "invitations/list_live.html", {"rows": listing.rows(actor_of(request), found)})


@list_view(needs=Ability.VIEW_INVITATIONS)
def export(request: HttpRequest) -> HttpResponseBase:
    """What the filters let through, as CSV."""
    found = listing.matching(request.GET).order_by("-id")
    batches = tables.in_batches(found, lambda last: Q(id__lt=last.pk))
    return tables.csv_answer(
        "invitations", listing.CSV_HEAD, ([listing.csv_row(each) for each in batch] for batch in batches)
    )


@list_view(needs=Ability.INVITE)
def choose(request: HttpRequest) -> HttpResponse:
    """Invite and Request: whom? Any customer, or a new one by the wizard."""
    search = tables.search_of(request.GET)
    found = customers.tenants().order_by("name", "id")
    if search:
        found = found.filter(Q(name__icontains=search) | Q(domain__icontains=search))
    page = tables.page_of(request.GET, found)
    ids = [tenant.id for tenant in page]
    open_ones = {each.tenant_id: each for each in Invitation.objects.filter(listing.OPEN, tenant_id__in=ids)}
    known = set(Connection.objects.filter(tenant_id__in=ids).values_list("tenant_id", flat=True))
    rows = [(tenant, open_ones.get(tenant.id), tenant.id in known) for tenant in page]
    may_add = actor_of(request).may(Ability.ADD_TENANT)
    context = {"page": page, "rows": rows, "search": search, "add_url": _wizard() if may_add else ""}
    return render(request, "invitations/choose.html", context)


def _may_invite(actor: Actor) -> bool:
    """Anybody at all."""
    return any(actor.may(Ability.INVITE, each) for each in (None, *actor.tenant_roles))


def _wizard() -> str:
    """Where a new customer begins."""
    for name in ("onboarding", "tenant-add"):
        try:
            return reverse(name)
        except NoReverseMatch:
            continue
    return ""


# --- One customer's -----------------------------------------------------------------------------------------
@tenant_view(needs=Ability.VIEW_INVITATIONS)
def of_customer(request: HttpRequest, tenant: Tenant) -> HttpResponse:
    """The newest one in full, and the earlier ones."""
    return _show(request, tenant, selectors.newest_of(tenant), "Invitations")


@tenant_view(needs=Ability.VIEW_INVITATIONS)
def one(request: HttpRequest, tenant: Tenant, invitation_id: int) -> HttpResponse:
    invitation = selectors.one_of(tenant, invitation_id)
    return _show(request, tenant, invitation, str(invitation))


def _show(request: HttpRequest, tenant: Tenant, invitation: Invitation | None, title: str) -> HttpResponse:
    actor = actor_of(request)
    shown = invitation.pk if invitation else 0
    others = Invitation.objects.select_related("tenant").filter(tenant=tenant).exclude(id=shown)
    page = tables.page_of(request.GET, others)
    page.object_list = listing.rows(actor, page.object_list)
    context = {
        "tenant": tenant,
        "title": title,
        "row": listing.rows(actor, [invitation])[0] if invitation else None,
        "steps": listing.steps(invitation) if invitation else [],
        "page": page,
        "may_invite": actor.may(Ability.INVITE, tenant.id) and selectors.open_of(tenant) is None,
    }
    return render(request, "invitations/one.html", context)


@tenant_view(needs=Ability.INVITE, methods=WRITES)
def invite(request: HttpRequest, tenant: Tenant) -> HttpResponse:
    """Invite (a customer that was never connected), or Request (one that is): whom, and off it goes."""
    stored = Connection.objects.filter(tenant=tenant).first()
    is_open = selectors.open_of(tenant)
    form = InviteForm(
        request.POST or None,
        initial={"admin_email": stored.account if stored else "", "portal_account": True},
    )
    if request.method == "POST" and form.is_valid():
        made = services.invite(actor_of(request), tenant, **form.cleaned_data)
        messages.success(request, f"The invitation goes to {made.email}. The mail is on its way.")
        return SeeOther(f"/tenants/{tenant.id}/invitations/{made.pk}/")
    context = {"tenant": tenant, "form": form, "is_open": is_open, "word": "Request" if stored else "Invite"}
    return render(request, "invitations/invite.html", context, status=422 if form.errors else 200)


@tenant_view(needs=Ability.INVITE, methods=WRITES)
def edit(request: HttpRequest, tenant: Tenant, invitation_id: int) -> HttpResponse:
    """Whom it is for. A mistake is answered in the dialog."""
    invitation = selectors.one_of(tenant, invitation_id)
    services.check_open(invitation)
    form = EditForm(request.POST or None, initial=EditForm.values_of(invitation))
    back = _back(tenant, invitation_id)
    if request.method == "POST" and form.is_valid():
        try:
            services.edit(actor_of(request), tenant, invitation_id, **form.cleaned_data)
        except Conflict as error:
            add_error(form, error)
        else:
            anew = form.cleaned_data["email"] != invitation.email
            messages.success(request, "Saved. A new mail is on its way." if anew else "Saved.")
            return leave_dialog(request, back)
    context = {
        "title": f"Edit the invitation of {tenant.name}",
        "form": form,
        "in_place": True,
        "form_action": f"{back}edit/",
        "cancel_url": back,
        "submit": "Save",
    }
    return render(request, "invitations/edit.html", context, status=422 if form.errors else 200)


@tenant_view(needs=Ability.INVITE, methods=WRITES)
def remind(request: HttpRequest, tenant: Tenant, invitation_id: int) -> HttpResponse:
    """Send Reminder."""
    invitation = selectors.one_of(tenant, invitation_id)
    if request.method == "POST":
        services.remind(actor_of(request), tenant, invitation.pk)
        messages.success(request, "A reminder is on its way.")
    return SeeOther(_back(tenant, invitation_id))


def _ask(
    path: str, title: str, said: str, explained: str, act: Callable[..., Any], *, danger: bool = False
) -> Callable[..., HttpResponseBase]:
    """A view that asks, and then does one thing to one invitation."""

    @tenant_view(needs=Ability.INVITE, methods=WRITES)
    def view(request: HttpRequest, tenant: Tenant, invitation_id: int) -> HttpResponse:
        invitation = selectors.one_of(tenant, invitation_id)
        services.check_open(invitation)
        back = _back(tenant, invitation_id)
        if request.method == "POST":
            act(actor_of(request), tenant, invitation_id)
            messages.success(request, said)
            return SeeOther(back)
        context = {
            "invitation": invitation,
            "explained": explained,
            "title": f"{title}: {tenant.name}?",
            "submit": title,
            "danger": danger,
            "form_action": f"{back}{path}/",
            "cancel_url": back,
        }
        return render(request, "invitations/ask.html", context)

    return view


resend = _ask(
    "resend",
    "Resend",
    "The invitation is on its way again.",
    "A new mail with a new link goes out. As soon as the mail server has taken it, every earlier link is dead, "
    "also for somebody who is in the middle of it: use this when a mail went to the wrong place or was passed on. "
    "A reminder leaves earlier links alive.",
    services.resend,
)
revoke = _ask(
    "revoke",
    "Revoke Request",
    "The invitation was revoked; its links lead nowhere any more.",
    "Every link of this invitation is dead at once, also for somebody who is in the middle of it. This cannot be "
    "undone, but you can invite again.",
    services.revoke,
    danger=True,
)


@tenant_view(needs=Ability.INVITE, methods=WRITES, fresh=True)
def auth_url(request: HttpRequest, tenant: Tenant, invitation_id: int) -> HttpResponse:
    """Auth URL (INV-15): a fresh link, told this one time and written down in the audit trail."""
    invitation = selectors.one_of(tenant, invitation_id)
    services.check_open(invitation)
    context = {"tenant": tenant, "invitation": invitation, "back": _back(tenant, invitation_id)}
    if request.method == "POST":
        context["address"] = services.mint(actor_of(request), tenant, invitation_id, mailed=False)
    return render(request, "invitations/auth_url.html", context)


@tenant_view(needs=Ability.INVITE, methods=WRITES, fresh=True)
def organisation(request: HttpRequest, tenant: Tenant, invitation_id: int) -> HttpResponse:
    """Somebody of an organisation that nobody knew signed in: is it this customer's?"""
    invitation = selectors.one_of(tenant, invitation_id)
    services.check_open(invitation)
    back = _back(tenant, invitation_id)
    if invitation.found_tenant_id is None:
        return SeeOther(back)
    problem: UmpError | None = None
    if request.method == "POST":
        try:
            said = _decide(request, tenant, invitation_id)
        except (Conflict, InvalidInput) as error:
            problem, invitation = error, selectors.one_of(tenant, invitation_id)
            if invitation.found_tenant_id is None:  # somebody else has decided
                raise
        else:
            messages.success(request, said)
            return SeeOther(back)
    context = {"tenant": tenant, "invitation": invitation, "back": back, "problem": problem}
    return render(
        request, "invitations/organisation.html", context, status=problem.status if problem else 200
    )


def _decide(request: HttpRequest, tenant: Tenant, invitation_id: int) -> str:
    """What was done, in words. Raises as `confirming`, and InvalidInput for an answer that does not say to what."""
    form = OrganisationForm(request.POST)
    if not form.is_valid():
        raise InvalidInput(
            field="organisation",
            why="the answer does not say which organisation was looked at; look and decide again",
        )
    given = form.cleaned_data
    shown = confirming.Shown(given["found_tenant_id"], given["found_account"])
    if given["answer"] == "confirm":
        confirming.confirm_organisation(actor_of(request), tenant, invitation_id, shown)
        return "Confirmed. Validating credentials, please wait!"
    confirming.refuse_organisation(actor_of(request), tenant, invitation_id, shown)
    return "Refused. What the account gave was forgotten."


def _back(tenant: Tenant, invitation_id: int) -> str:
    return f"/tenants/{tenant.id}/invitations/{invitation_id}/"
