"""Versions of a thing: ETag and If-Match (RFC 9110, 8.8.3 and 13.1.1).

If-Match is optional and honoured: without it, whatever is there is changed.
"""

import re

from rest_framework.request import Request

from core.errors import Conflict

TAG = re.compile(r'(W/)?"([\x21\x23-\x7e]*)"')


def etag(version: int) -> str:
    return f'"v{version}"'


def check(request: Request, version: int, *, thing: str) -> None:
    """Compare If-Match with the version that is there. Raises Conflict (412) when none of its tags is that.

    A weak tag never matches here, as the RFC says; an unreadable header matches nothing.
    """
    wanted = request.META.get("HTTP_IF_MATCH")
    if wanted is None or wanted.strip() == "*":
        return
    strong = {f'"{tag}"' for weak, tag in TAG.findall(wanted) if not weak}
    if etag(version) not in strong:
        raise Conflict("conflict_version", thing=thing)


def given(request: Request) -> bool:
    """Whether the caller said which version the change is based on."""
    wanted = request.META.get("HTTP_IF_MATCH")
    return wanted is not None and wanted.strip() != "*"
