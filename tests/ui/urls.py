"""The pages of the look alone: the guide, sign-in, and every error page."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import include, path

from ump_portal.pages.styleguide import sample_error, styleguide


def error(request: HttpRequest, code: int) -> HttpResponse:
    return render(request, f"errors/{code}.html", {"request_id": "0f1c9f3e", "error": sample_error()})


urlpatterns = [
    path("styleguide", styleguide),
    path("errors/<int:code>", error),
    path("accounts/", include("allauth.urls")),
]
