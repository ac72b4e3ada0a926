"""The pages for answers that are none: Django's handlers, in the portal's look.

They are rendered without the request, because nothing of it may work: no session, no person, no database.
"""

import logging
import sys

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string

from tenants.outage import is_away

log = logging.getLogger(__name__)

RETRY_SECONDS = 5


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    return page(request, 400)


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    return page(request, 403)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    return page(request, 404)


def server_error(request: HttpRequest) -> HttpResponse:
    """Django calls it while it handles the exception: a database that is away is no fault of ours."""
    cause = sys.exc_info()[1]
    if not is_away(cause):
        return page(request, 500)
    response = page(request, 503)
    response["Retry-After"] = str(RETRY_SECONDS)
    log.warning("the database did not answer", extra={"path": request.path, "error": str(cause).strip()})
    response._has_been_logged = True  # type: ignore[attr-defined]  # or Django adds a page of traceback for each
    return response


def page(request: HttpRequest, status: int) -> HttpResponse:
    context = {
        "brand": {"name": settings.BRAND_NAME, "copyright": settings.PROVIDER_NAME},
        "request_id": getattr(request, "request_id", ""),
    }
    return HttpResponse(render_to_string(f"errors/{status}.html", context), status=status)
