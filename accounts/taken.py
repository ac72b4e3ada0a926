"""What may be there once only: looked at before it is written, and told in words where somebody was faster."""

import contextlib
from collections.abc import Iterator

from django.db import IntegrityError, transaction

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
