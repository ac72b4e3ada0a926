"""Who is signed in, asked on every page."""

import uuid
from typing import Any

from allauth.account.auth_backends import AuthenticationBackend

from accounts import sessions


class Backend(AuthenticationBackend):  # type: ignore[misc]  # allauth ships no types
    """allauth's, which takes the person who was read together with his session instead of asking once more."""

    def get_user(self, user_id: uuid.UUID) -> Any:
        found = sessions.person_at_hand(user_id)
        if found is None:
            return super().get_user(user_id)
        return found if self.user_can_authenticate(found) else None
