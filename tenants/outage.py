"""Whether an error of the database means that it is away: nothing is wrong with who asked, and it may ask again."""

import psycopg2
from django.db import InterfaceError, OperationalError
from psycopg2.errors import IdleInTransactionSessionTimeout

AWAY = (
    OperationalError,
    InterfaceError,
    psycopg2.OperationalError,
    psycopg2.InterfaceError,
    IdleInTransactionSessionTimeout,
)
"""Django passes psycopg2's own on as they are where a cursor on the server is closed. The last of them psycopg2
counts as an internal error, beside real faults of ours."""


def is_away(error: BaseException | None) -> bool:
    """Gone, unreachable or starting, or the session was ended because its line was silent for too long."""
    cause = getattr(error, "__cause__", None)
    return (
        isinstance(error, AWAY)
        or isinstance(cause, IdleInTransactionSessionTimeout)
        or any(map(_is_no_answer, (error, cause)))
    )


def _is_no_answer(error: object) -> bool:
    """A line that broke while PostgreSQL said why: psycopg2 then knows no code, and takes the class of all errors."""
    return type(error) is psycopg2.DatabaseError and error.pgcode is None
