"""What a plan of changes in Teams does with each thing."""

import enum


class Action(enum.StrEnum):
    CREATE = "create"
    CHANGE = "change"
    NOTHING = "nothing"
    REMOVE = "remove"
    KEEP = "keep"
    """It would be removed or put back, but stays; the step says why."""
    CONFLICT = "conflict"
    """It is there, differs, and is not the portal's: a person must decide."""


WRITING = frozenset({Action.CREATE, Action.CHANGE, Action.REMOVE})
