"""What an answer may end in: one of our errors, whole and without a secret, or a value that can be kept."""

from __future__ import annotations

import dataclasses
import json
import math
import re
from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from typing import Any
from uuid import UUID

from django.db.models import Model

from core.catalogue import CATALOGUE
from core.errors import UmpError

CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
MOST = 64 * 1024 * 1024
"""Bytes of texts in one value."""


def judged(act: Callable[[], Any], *secrets: str) -> Any:
    """What it gave, None where that is an error. Anything but a UmpError comes through, and fails the test."""
    try:
        found = act()
    except UmpError as error:
        _told(error, secrets)
        return None
    assert keepable(found) < MOST
    return found


def _told(error: UmpError, secrets: Iterable[str] = ()) -> None:
    assert error.code in CATALOGUE
    assert error.code != "internal", "nobody here has made a mistake"
    assert error.retry_after is None or (math.isfinite(error.retry_after) and error.retry_after >= 0)
    told = json.dumps(error.to_dict(), ensure_ascii=False)
    told.encode()
    assert len(told) < 64 * 1024
    assert not any(secret in told for secret in secrets)
    assert not CONTROL.search(error.message + "".join(error.detail.values()))


def keepable(value: Any) -> int:
    """How long its texts are; raises AssertionError for one that PostgreSQL could not keep."""
    size, waiting = 0, [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, str):
            assert "\0" not in one, "a NUL"
            size += len(one.encode())
        elif isinstance(one, float):
            assert math.isfinite(one)
        elif isinstance(one, int) and not isinstance(one, bool):
            assert -(2**63) <= one < 2**64
        elif isinstance(one, Mapping):
            waiting += [*one.keys(), *one.values()]
        elif isinstance(one, list | tuple | set | frozenset):
            waiting += one
        elif isinstance(one, UmpError):
            _told(one)
        elif isinstance(one, Model):
            one.clean_fields(exclude=["tenant"])  # its lengths and ranges are the database's
            waiting += [
                getattr(one, each.attname) for each in one._meta.concrete_fields if not each.has_db_default()
            ]
        elif dataclasses.is_dataclass(one) and not isinstance(one, type):
            waiting += [getattr(one, each.name) for each in dataclasses.fields(one)]
        else:
            assert one is None or isinstance(one, bool | bytes | Enum | UUID) or hasattr(one, "isoformat"), (
                type(one)
            )
    return size
