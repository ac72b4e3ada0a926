"""The visitor's door: a cookie of its own instead of a sign-in, one customer, and nothing else of the portal."""

import functools
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from core.errors import UmpError
from core.kinds import WHO_TO_CUSTOMERS
from invitations import visits
from invitations.models import VISIT, Invitation
from tenants.access import Actor
from tenants.web import Door, View

ENDED = 286
"""htmx's polite end of polling."""
COOKIE = "__Host-ump-visit" if settings.SECURE else "ump-visit"


def visit_view(*, methods: tuple[str, ...] = ("GET", "HEAD"), over: bool = False) -> Callable[[View], View]:
    """`view(request, visit, ...)`; the customer's scope is open inside. `over`: also when all is done."""

    def decorate(view: View) -> View:
        door = Door("visit", None, methods)

        def through(request: HttpRequest, **kwargs: Any) -> HttpResponseBase:
            visit = visits.visit_of(request.COOKIES.get(COOKIE, ""), over=over)
            return view(request, visit, **kwargs)

        return _guarded(view, through, door)

    return decorate


def link_view(view: View) -> View:
    """`view(request, invitation, token)` for a route with `<str:token>`; the link itself is what opens it."""
    door = Door("visit", None, ("GET", "HEAD", "POST"))

    def through(request: HttpRequest, token: str) -> HttpResponseBase:
        return view(request, visits.invitation_of(token, address_of(request)), token)

    return _guarded(view, through, door)


def _guarded(view: View, through: View, door: Door) -> View:
    def safely(request: HttpRequest, **kwargs: Any) -> HttpResponseBase:
        try:
            answer = through(request, **kwargs)
        except UmpError as error:
            answer = refused(request, error)
        # The address may carry the link's token, and no other page may learn it, not even one of ours. With
        # "no-referrer" browsers would hide the origin of our forms, too, and so fail their check.
        answer.headers["Referrer-Policy"] = "strict-origin"
        answer.headers["X-Robots-Tag"] = "noindex"
        return answer

    guarded = never_cache(require_http_methods(list(door.methods))(safely))
    wrapped: View = functools.wraps(view)(guarded)
    wrapped.door = door  # type: ignore[attr-defined]  # read by tests/walls
    return wrapped


def refused(request: HttpRequest, error: UmpError) -> HttpResponse:
    """Why this leads nowhere; of whom it is, it does not say.

    The inside of a page that moves takes no errors: it would show a code, or that it waits, for ever.
    """
    if request.headers.get("HX-Request"):
        return render(request, "invitations/visit_ended.html", {"error": told(error)}, status=ENDED)
    answer = render(request, "invitations/visit_refused.html", {"error": told(error)}, status=error.status)
    if error.retry_after:
        answer.headers["Retry-After"] = str(int(error.retry_after))
    return answer


_BEGIN_AGAIN = "Press Start authentication again, and finish within ten minutes in this browser."
_ACCEPT = (
    "Start authentication again as a Global Administrator, tick Consent on behalf of your organization, and press "
    "Accept. A consent that was just given may need some minutes."
)
_RIGHT_ACCOUNT = "Start authentication again, with an account of the organisation that is invited."
_PROVIDERS = "Your service provider has to mend this. Your invitation stays open; try again later."
ADVICE = {
    "signin_restart": _BEGIN_AGAIN,
    "signin_confirm": _BEGIN_AGAIN,
    "signin_expired": _BEGIN_AGAIN,
    "signin_foreign": "Finish in the browser in which you began; or open the link in the mail here, and begin anew.",
    "consent_missing": _ACCEPT,
    "consent_needs_admin": f"Have a Global Administrator approve the request. Or: {_ACCEPT}",
    "consent_declined": "If that was a mistake, start authentication again and press Accept. If you are unsure what "
    "the permissions are for, read below, or ask your service provider.",
    "permission_missing": _ACCEPT,
    "wrong_tenant": _RIGHT_ACCOUNT,
    "account_foreign": _RIGHT_ACCOUNT,
    "account_personal": "Start authentication again with your work account; a personal one belongs to nobody's "
    "organisation.",
    "mfa_required": "Start authentication again, and answer the second factor that Microsoft asks for.",
    "conditional_access": "A rule of your organisation forbids this. Sign in from a place or device that it allows, "
    "or make an exception in the Microsoft Entra admin centre; or go another of the ways below.",
    "secret_expired": "Create a new client secret and enter its Value under Use App Registration.",
    "app_not_found": "Compare the client ID with the app registration's overview page, and enter it again.",
    "certificate_unreadable": "Enter certificate and private key again, both in PEM form and without a passphrase.",
    "registration_not_ours": _ACCEPT,
    "provider_app_missing": _PROVIDERS,
    "provider_app_refused": _PROVIDERS,
    "redirect_unknown": _PROVIDERS,
    "app_single_tenant": _PROVIDERS,
    "app_disabled": "Switch the app on again in the Microsoft Entra admin centre, under Enterprise applications.",
    "bad_reply": "Try again in a few minutes. If it lasts, tell your service provider.",
}
"""What to do next, where the catalogue speaks to the provider's people or of pages that a visitor has not."""


def told(error: UmpError) -> dict[str, Any]:
    """An error for partials/error_box.html, as the customer's administrator reads it."""
    return {
        "message": error.message,
        "advice": ADVICE.get(error.code, error.advice),
        "who": WHO_TO_CUSTOMERS[error.who],
        "tone": "warn" if error.code == "visit_over" else "bad",
    }


def address_of(request: HttpRequest) -> str | None:
    found: str | None = getattr(request, "client_address", None)
    return found


def actor_of(request: HttpRequest, invitation: Invitation) -> Actor:
    return visits.actor_of(invitation, address_of(request), getattr(request, "request_id", None))


def set_cookie(answer: HttpResponse, value: str) -> None:
    answer.set_cookie(
        COOKIE,
        value,
        max_age=VISIT,
        path="/",
        secure=settings.SECURE,
        httponly=True,
        samesite="Lax",  # it has to come along when Microsoft sends the browser back
    )


def cookie_of(request: HttpRequest) -> str:
    return request.COOKIES.get(COOKIE, "")
