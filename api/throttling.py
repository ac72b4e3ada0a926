"""How many requests a token may make: a steady rate, with room for a burst of one minute's worth."""

from typing import Any

from django.conf import settings
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from accounts import services
from api.authentication import token_of


class TokenRate(BaseThrottle):
    """The generic cell rate algorithm: one moment a token, at which its bucket is empty again."""

    def __init__(self) -> None:
        self.left: float | None = None

    def allow_request(self, request: Request, view: Any) -> bool:
        rate = settings.API_REQUESTS_PER_MINUTE
        if request.auth is None or rate <= 0:
            return True
        self.left = services.take_turn(token_of(request), rate)
        return self.left is None

    def wait(self) -> float | None:
        """Seconds until one more request fits."""
        return self.left
