"""What may be there once only: looked at before it is written, and told in words where somebody was faster."""

import contextlib
from collections.abc import Iterator

from django.db import IntegrityError, connection, transaction

from core.errors import InvalidInput


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
