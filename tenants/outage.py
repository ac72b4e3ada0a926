"""Whether an error of the database means that it is away: nothing is wrong with who asked, and it may ask again."""

from django.db import InterfaceError, OperationalError
from psycopg2.errors import IdleInTransactionSessionTimeout


def is_away(error: BaseException | None) -> bool:
    """Gone, unreachable or starting, or the session was ended because its line was silent for too long.

    The last of these psycopg2 counts as an internal error, beside real faults of ours.
    """
    away = isinstance(error, OperationalError | InterfaceError)
    return away or isinstance(getattr(error, "__cause__", None), IdleInTransactionSessionTimeout)
