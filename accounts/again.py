"""A fresh sign-in before the acts that could hand the house over: credentials, roles, tokens, security.

A session that somebody left open, or took over, is not enough for these. Doors say which they are
(`fresh=True` in tenants.web) and raise allauth's ReauthenticationRequired, as allauth's own pages do;
ump_portal.middleware answers it.
"""

import time

from allauth.account.internal.flows.login import get_authentication_records
from allauth.core.exceptions import ReauthenticationRequired
from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, QueryDict

from core.redaction import is_secret_key, redact_text

KEPT = "typed_before_sign_in"
MOST_FIELDS, LONGEST, MOST_CHARACTERS = 400, 20_000, 40_000
"""A script with its variables is typed for longer than a sign-in is fresh."""
MOST_IDS, LONGEST_ID = 500, 36
EXPLAINED = (
    "Nothing was done yet: we had to ask first whether it is you. Enter secrets again, and send the form."
)


def is_fresh(request: HttpRequest) -> bool:
    """Whether the person signed in, or confirmed it, within ACCOUNT_REAUTHENTICATION_TIMEOUT."""
    records = get_authentication_records(request, request.user)
    newest: float = max((record["at"] for record in records), default=0.0)
    return time.time() - newest < settings.ACCOUNT_REAUTHENTICATION_TIMEOUT


def require(request: HttpRequest) -> None:
    """Raises ReauthenticationRequired for a sign-in that is too old; else gives back what was typed before."""
    if not is_fresh(request):
        raise ReauthenticationRequired
    kept = request.session.get(KEPT)
    if kept and request.method == "GET" and kept["path"] == request.path:
        del request.session[KEPT]
        if time.time() - kept["at"] > settings.ACCOUNT_REAUTHENTICATION_TIMEOUT:
            return  # another visit, and nobody remembers
        request.typed, request.ticked = kept["values"], kept.get("ids", [])  # type: ignore[attr-defined]  # ours
        messages.warning(request, EXPLAINED)


def typed(request: HttpRequest) -> dict[str, str]:
    """What was typed into the form of this page when the sign-in turned out to be too old; for `initial`."""
    found: dict[str, str] = getattr(request, "typed", {})
    return found


def ticked(request: HttpRequest) -> list[str]:
    """The ids of the rows that were ticked then."""
    found: list[str] = getattr(request, "ticked", [])
    return found


def keep(request: HttpRequest) -> None:
    """Hold what a late POST brought until its form is shown again. Nothing that looks like a secret is held."""
    request.session[KEPT] = {
        "path": request.path,
        "at": time.time(),
        "values": _harmless(request.POST),
        "ids": [one for one in request.POST.getlist("id")[:MOST_IDS] if len(one) <= LONGEST_ID],
    }


def _harmless(data: QueryDict) -> dict[str, str]:
    kept: dict[str, str] = {}
    left = MOST_CHARACTERS
    for name, sent in list(data.items())[:MOST_FIELDS]:
        value = str(sent).replace("\r\n", "\n")
        if name == "csrfmiddlewaretoken" or is_secret_key(name) or len(value) > min(left, LONGEST):
            continue
        if redact_text(value) == value:
            kept[name] = value
            left -= len(value)
    return kept
