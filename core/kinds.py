"""What one row of the error catalogue is made of."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

Scope = Literal["connection", "target", "service", "none"]


class Remedy(enum.StrEnum):
    """What makes it go away: time alone, a person's act, or nothing."""

    LATER = "later"
    AFTER_FIX = "after_fix"
    NEVER = "never"


class Who(enum.StrEnum):
    """Who can fix it."""

    CUSTOMER_ADMIN = "customer_admin"
    PROVIDER = "provider"
    MICROSOFT = "microsoft"
    PORTAL = "portal"


WHO_IN_WORDS: Mapping[Who, str] = MappingProxyType(
    {
        Who.CUSTOMER_ADMIN: "the customer's administrator",
        Who.PROVIDER: "you, the service provider",
        Who.MICROSOFT: "Microsoft",
        Who.PORTAL: "whoever runs this portal",
    }
)
"""As the provider's people read it."""
WHO_TO_CUSTOMERS: Mapping[Who, str] = MappingProxyType(
    {
        Who.CUSTOMER_ADMIN: "you, or another administrator of your organisation",
        Who.PROVIDER: "your service provider",
        Who.MICROSOFT: "Microsoft",
        Who.PORTAL: "your service provider",
    }
)
"""As a customer's own people read it."""


@dataclass(frozen=True, slots=True)
class ErrorKind:
    """One row of the catalogue.

    `scope` is how far the trouble reaches: a "connection" concerns everything of that tenant, a "target" only
    the thing at hand, a "service" every tenant, "none" nobody but the caller.
    """

    code: str
    section: str
    status: int
    remedy: Remedy
    who: Who
    scope: Scope
    message: str
    advice: str


NOUNS: Mapping[str, str] = MappingProxyType(
    {
        "app": "the app registration",
        "tenant": "the customer's Microsoft 365 tenant",
        "thing": "the object",
        "permission": "a permission",
        "role": "a directory role",
        "feature": "this work",
        "account": "the account",
        "host": "the service",
        "field": "a field",
        "why": "it is not in the expected form",
        "limit": "the limit",
        "cloud": "another Microsoft cloud",
        "count": "too many",
        "action": "this",
        "state": "its present state",
        "attempts": "several",
        "date": "the day it named",
        "key": "the key",
        "zone": "the zone",
        "prefix": "the number",
        "plan": "the dial plan",
        "number": "the number",
        "policy": "the policy",
    }
)
