"""Two people at the same moment: what may be there once only, and what somebody has removed meanwhile."""

import contextlib
from collections.abc import Iterator
from typing import TypeVar

from django.db import IntegrityError, connection, transaction
from django.db.models import Model, QuerySet

from core.errors import InvalidInput, NotFound

M = TypeVar("M", bound=Model)


@contextlib.contextmanager
def once(field: str, why: str) -> Iterator[None]:
    """Around the write itself. Two people, or a double click, may both have looked and found nothing.

    Raises InvalidInput naming the field.
    """
    try:
        with transaction.atomic():
            yield
    except IntegrityError as error:
        raise InvalidInput(field=field, why=why) from error


def take_turn(number: int) -> None:
    """Wait for whoever decides about the same, and keep others out until the transaction ends; then look.

    For what no constraint tells of. Whoever gives the number says which locks of rows come before it; without a word,
    none but that of a worker's own command.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [number])


def still_there(rows: QuerySet[M], thing: str) -> M:
    """The one row, and nobody else writes it until the transaction ends.

    Raises NotFound where somebody removed it after it was looked at.
    """
    row = rows.select_for_update(no_key=True, of=("self",)).first()
    if row is None:
        raise NotFound(thing=thing)
    return row
