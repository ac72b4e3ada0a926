"""Middleware, one job each."""

import datetime as dt
import ipaddress
import uuid
from collections.abc import Callable
from functools import partial
from typing import Any

from allauth.account.adapter import get_adapter
from allauth.core.exceptions import ReauthenticationRequired
from django.conf import settings
from django.contrib import messages
from django.db import connection, transaction
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import urlencode
from django_htmx.http import HttpResponseClientRedirect

from accounts import again, installation, sessions
from accounts import services as accounts
from core.errors import Forbidden, UmpError
from tenants import scope
from tenants.access import Actor
from tenants.answers import SeeOther
from tenants.web import actor_of
from ump_portal import addresses
from ump_portal.pages.attention import problem_of

Next = Callable[[HttpRequest], HttpResponseBase]


class LetGoMiddleware:
    """Once an answer was sent, part the request from what hangs on it and points back at it.

    Messages, htmx, person and session each know their request, so without this a request and all the rows that it met
    stay until Python's collector comes by, which it does for some milliseconds in the middle of somebody's page.
    """

    def __init__(self, get_response: Next) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        # Django's list of what its own `close` calls; it offers no other way to a request's very end.
        response._resource_closers.append(partial(_let_go, request))  # type: ignore[attr-defined]  # Django's own
        return response


def _let_go(request: HttpRequest) -> None:
    request.close()  # which closes what was uploaded, and would not find it any more
    vars(request).clear()


class RequestIdMiddleware:
    """Give each request an id of ours; it goes into the audit trail and the answer, so support can find it."""

    def __init__(self, get_response: Next) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        request.request_id = uuid.uuid4()  # type: ignore[attr-defined]  # ours
        response = self.get_response(request)
        response["X-Request-Id"] = str(request.request_id)  # type: ignore[attr-defined]  # ours
        return response


class ClientAddressMiddleware:
    """Find the true peer once. What cannot be told for sure is None, and None is allowed nothing."""

    def __init__(self, get_response: Next) -> None:
        self.get_response = get_response
        self.proxies = [ipaddress.ip_network(block, strict=False) for block in settings.TRUSTED_PROXIES]

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        request.client_address = addresses.client_address(  # type: ignore[attr-defined]  # ours
            request.META.get("REMOTE_ADDR", ""),
            request.META.get("HTTP_X_FORWARDED_FOR"),
            self.proxies,
            settings.TRUSTED_PROXY_COUNT,
        )
        return self.get_response(request)


class SessionUseMiddleware:
    """Note when a session was used and from where; people see it, and can end what is not theirs."""

    def __init__(self, get_response: Next) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        with sessions.request_of_its_own():
            sessions.note_use(request)
            return self.get_response(request)


class IdleMiddleware:
    """Sign out provider people who left their browser; and lead a page that asks by itself to the sign-in, too."""

    def __init__(self, get_response: Next) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        away = sessions.idle(request)
        if away > sessions.NOTED_EVERY and self._too_long(request, away):
            accounts.time_out(actor_of(request), request)
            messages.info(request, "You were signed out, because nothing was done for a while.")
        response = self.get_response(request)
        asks_to_sign_in = response.headers.get("Location", "").startswith(reverse(settings.LOGIN_URL))
        if asks_to_sign_in and request.htmx and not request.user.is_authenticated:  # type: ignore[attr-defined]
            back = request.htmx.current_url_abs_path or "/"  # type: ignore[attr-defined]  # django_htmx
            return HttpResponseClientRedirect(f"{reverse(settings.LOGIN_URL)}?{urlencode({'next': back})}")
        return response

    @staticmethod
    def _too_long(request: HttpRequest, away: dt.timedelta) -> bool:
        """Asked in this order, so that a request of somebody who is at work costs nothing."""
        minutes = installation.get("idle_minutes")
        return bool(minutes) and away > dt.timedelta(minutes=minutes) and actor_of(request).is_provider


class MfaRequiredMiddleware:
    """Where the provider requires a second factor, a person without one can only set one up."""

    OPEN = ("/accounts/", "/static/", "/healthz", "/api/", "/authenticate/")

    def __init__(self, get_response: Next) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if settings.MFA_REQUIRED and not request.path.startswith(self.OPEN) and self._without(request):
            return redirect(reverse("mfa_index"))
        return self.get_response(request)

    @staticmethod
    def _without(request: HttpRequest) -> bool:
        from allauth.mfa.utils import is_mfa_enabled  # noqa: PLC0415  apps must be loaded first

        return request.user.is_authenticated and not is_mfa_enabled(request.user)


class ScopeMiddleware:
    """Scopes that doors open for a request end with it; a view that raised keeps nothing (DESIGN 6)."""

    def __init__(self, get_response: Next) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        with scope.session():
            response = self.get_response(request)
            if hasattr(response, "render") and not getattr(response, "is_rendered", True):
                response = response.render()
            return response

    def process_exception(self, request: HttpRequest, exception: Exception) -> None:
        # Django turns the exception into an answer before it could reach the scope's transaction.
        if connection.in_atomic_block:
            transaction.set_rollback(True)


class ErrorsMiddleware:
    """The browser's translator: an error of the family becomes a page that says what, whose, who (DESIGN 9)."""

    def __init__(self, get_response: Next) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        if isinstance(exception, ReauthenticationRequired) and request.user.is_authenticated:
            if get_adapter().get_reauthentication_methods(request.user):
                return _confirm(request)
            exception = Forbidden(action="do this so long after you signed in; sign out, and in again")
        if not isinstance(exception, UmpError) or request.path.startswith("/api/"):
            return None
        if connection.in_atomic_block:
            transaction.set_rollback(True)
        status = exception.status
        template = f"errors/{status}.html" if status in {403, 404} else "errors/problem.html"
        return render(request, template, {"error": _told(request, exception)}, status=status)


def _confirm(request: HttpRequest) -> HttpResponse:
    """To the page that asks for the password, app or key once more, and from there back to this address.

    Unlike allauth's own answer it keeps no whole request in the session, which may bring a secret.
    """
    if request.method == "POST":
        again.keep(request)
    query = urlencode({"next": request.get_full_path()})
    address = f"{reverse('account_reauthenticate')}?{query}"
    if request.htmx:  # type: ignore[attr-defined]  # django_htmx
        return HttpResponseClientRedirect(address)
    return SeeOther(address)


def _told(request: HttpRequest, error: UmpError) -> dict[str, Any]:
    """The error as this reader should see it: whose it is from where he stands, raw facts for the provider only.

    The person's roles are taken only where the door has read them: by now the database may refuse to be asked.
    """
    actor: Actor | None = getattr(request, "actor", None)
    plain: dict[str, Any] = {"message": error.message, "advice": error.advice, "code": error.code}
    return (problem_of(error.to_dict(), actor) if actor else plain) | {"status": error.status}
