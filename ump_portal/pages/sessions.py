"""A person's own sessions: where somebody is signed in under this name, and how to end that. Nobody else's."""

import dataclasses
from typing import cast

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from accounts import services
from accounts.models import Session, User
from accounts.selectors import sessions_of
from accounts.sessions import own_key
from core.errors import NotFound
from tenants import tables
from tenants.answers import SeeOther
from tenants.web import actor_of, person_view

BASE = "/accounts/sessions/"


@dataclasses.dataclass(frozen=True)
class Row:
    session: Session
    itself: bool


@person_view()
def index(request: HttpRequest) -> HttpResponse:
    """Browser, address, since when and when last, of each."""
    page = tables.page_of(request.GET, sessions_of(_person(request)))
    page.object_list = [Row(session, session.pk == own_key(request)) for session in page.object_list]
    context = {"page": page, "others": page.paginator.count > 1, "base": BASE}
    return render(request, "accounts/sessions.html", context)


@person_view(methods=("POST",))
def end(request: HttpRequest) -> HttpResponse:
    """End one of the others; the own one ends by signing out."""
    key = request.POST.get("session", "")
    try:
        if key == own_key(request):
            raise NotFound(thing="session")
        was = services.end_own_session(actor_of(request), _person(request), key)
    except NotFound:
        messages.info(request, "That session had ended already.")
    else:
        messages.success(request, f"Signed out: {was}.")
    return SeeOther(BASE)


@person_view(methods=("GET", "HEAD", "POST"))
def end_others(request: HttpRequest) -> HttpResponse:
    """Asks first, and says how many."""
    person, own = _person(request), own_key(request)
    if request.method == "POST":
        number = services.end_other_sessions(actor_of(request), person, but=own)
        messages.success(request, f"{number} other session{'' if number == 1 else 's'} ended.")
        return SeeOther(BASE)
    context = {
        "number": sessions_of(person).exclude(session_key=own).count(),
        "title": "Sign out everywhere else?",
        "submit": "Sign out everywhere else",
        "danger": True,
        "form_action": f"{BASE}end-others/",
        "cancel_url": BASE,
    }
    return render(request, "accounts/sessions_end.html", context)


def _person(request: HttpRequest) -> User:
    return cast("User", request.user)
