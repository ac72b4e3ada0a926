"""How many requests a token may make: a steady rate, with room for a burst of one minute's worth."""

import time
from typing import Any

from django.conf import settings
from django.core.cache import cache
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

MINUTE = 60.0


class TokenRate(BaseThrottle):
    """The generic cell rate algorithm: one number a token, the time at which its bucket is empty again.

    The clock is the web server's: all of them read the same kind of number, and a skew costs a few requests.
    Two requests at the same moment may count as one; the limit guards the database, not a contract.
    """

    def __init__(self) -> None:
        self.left: float | None = None

    def allow_request(self, request: Request, view: Any) -> bool:
        rate = settings.API_REQUESTS_PER_MINUTE
        if request.auth is None or rate <= 0:
            return True
        key = f"api-rate-{request.auth.pk}"
        now = time.time()
        empty_at = max(float(cache.get(key, now)), now) + MINUTE / rate
        if empty_at - now > MINUTE:
            self.left = empty_at - now - MINUTE
            return False
        cache.set(key, empty_at, timeout=2 * MINUTE)
        return True

    def wait(self) -> float | None:
        """Seconds until one more request fits."""
        return self.left
