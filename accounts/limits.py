"""Counters of rate limits (failed sign-ins, guessed links): rows of Django's cache, each with its end."""

from django.db import connection

FORGOTTEN_AT_ONCE = 5_000
# In SQL: the table is Django's and has no model.
_FORGET = """
    DELETE FROM ump_cache WHERE cache_key = ANY (ARRAY(
        SELECT cache_key FROM ump_cache WHERE expires < now() ORDER BY expires LIMIT %s
        FOR NO KEY UPDATE SKIP LOCKED))
"""


def forget() -> int:
    """Delete counters whose time is over, a bounded number a round; how many.

    Django removes one only when the same is asked for again, or when there are MAX_ENTRIES of them.
    """
    with connection.cursor() as cursor:
        cursor.execute(_FORGET, [FORGOTTEN_AT_ONCE])
        return int(cursor.rowcount)
