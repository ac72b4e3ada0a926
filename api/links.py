"""Addresses of things, as they stand in answers: with scheme and host, one in each row of a list."""

import functools
import uuid
from typing import Any

from django.urls import reverse
from rest_framework.request import Request

ID, NUMBER = uuid.UUID("5e5e5e5e-5e5e-4e5e-8e5e-5e5e5e5e5e5e"), 5_151_515_151
"""Stand in an address for what it is of, while its pattern is made."""


def link(request: Request | None, name: str, **parts: uuid.UUID | int) -> str:
    """The address of `api:name`, whose parts are ids and numbers.

    Written from a pattern, because looking an address up takes longer than reading the row that it is of.
    """
    found = _pattern(name, tuple((key, isinstance(value, int)) for key, value in parts.items()))
    return _home(request) + found.format(**parts)


@functools.cache
def _pattern(name: str, kinds: tuple[tuple[str, bool], ...]) -> str:
    """Such as `/api/v1/tenants/{uid}`."""
    stand_ins: dict[str, Any] = {
        key: NUMBER + place if number else uuid.UUID(int=ID.int + place)
        for place, (key, number) in enumerate(kinds)
    }
    path = reverse(f"api:{name}", kwargs=stand_ins)
    for key, value in stand_ins.items():
        path = path.replace(str(value), f"{{{key}}}")
    return path


def _home(request: Request | None) -> str:
    """Scheme and host of the request, worked out once for it."""
    if request is None:
        return ""
    plain: Any = request._request
    found: str | None = getattr(plain, "home", None)
    if found is None:
        found = plain.home = plain.build_absolute_uri("/")[:-1]
    return found
