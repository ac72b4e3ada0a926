"""Small parts of views that several features share."""

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django_htmx.http import HttpResponseClientRedirect


class SeeOther(HttpResponseRedirect):
    """After a POST: look there, with GET, whatever was sent here."""

    status_code = 303


def leave_dialog(request: HttpRequest, url: str) -> HttpResponse:
    """After a form that answers within its dialog (page_dialog.html, `in_place`): the whole window goes there."""
    return HttpResponseClientRedirect(url) if getattr(request, "htmx", False) else SeeOther(url)
