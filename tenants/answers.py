"""Small parts of views that several features share."""

from django.http import HttpResponseRedirect


class SeeOther(HttpResponseRedirect):
    """After a POST: look there, with GET, whatever was sent here."""

    status_code = 303
