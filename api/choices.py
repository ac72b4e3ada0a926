"""Words of the contract that occur in several places; settings give them one name each in the schema."""

import enum

from tenants.abilities import TITLES, Ability, Role


class TokenState(enum.StrEnum):
    LIVING = "living"
    EXPIRED = "expired"
    REVOKED = "revoked"


ROLES = [(role.value, TITLES[role]) for role in Role]
ABILITIES = [(ability.value, ability.words) for ability in Ability]
TOKEN_STATES = [
    (TokenState.LIVING.value, "Opens what its scopes say"),
    (TokenState.EXPIRED.value, "Its time is over"),
    (TokenState.REVOKED.value, "Cut off by a person"),
]
