"""What is kept of each stream between runs, and by which way it is read next."""

import datetime as dt
import uuid
from collections.abc import Mapping

from django.conf import settings
from django.db.models.functions import Now
from django.utils import timezone
from psycopg2.sql import SQL

from directory.models import DirectoryGroup, DirectoryUser, GroupMember, Mode, Stream, SyncStream
from directory.sync.progress import Part, Run
from directory.sync.staging import fetch, run

LINK_LIFE = dt.timedelta(days=7)
"""How long Microsoft promises to remember a delta link (facts/microsoft.md 5.3)."""
LINK_MARGIN = dt.timedelta(hours=2)

FIRST, REQUESTED, NO_LINK, EXPIRED, PROOF = "first", "requested", "no_link", "expired", "proof"
WHY = {
    FIRST: "nothing had been read before",
    REQUESTED: "a person asked for it",
    NO_LINK: "there was no delta link to go on from",
    EXPIRED: "the delta link had expired",
    PROOF: "everything is compared from time to time",
}


Known = dict[str, SyncStream]


def known(tenant_id: uuid.UUID) -> Known:
    """What is kept of each stream that was ever read. Call it in the customer's scope."""
    return {row.stream: row for row in SyncStream.objects.filter(tenant_id=tenant_id)}


def plan(known: Known, *, full: bool) -> Run:
    """How each stream is to be read now."""
    return Run({name: _part(known.get(name), full=full) for name in (Stream.USERS, Stream.GROUPS)})


def _part(stream: SyncStream | None, *, full: bool) -> Part:
    if stream is None or stream.last_full_at is None:
        return Part(Mode.FULL, FIRST)
    if full:
        return Part(Mode.FULL, REQUESTED)
    if not stream.delta_link or stream.delta_at is None:
        return Part(Mode.FULL, NO_LINK)
    if timezone.now() - stream.delta_at > LINK_LIFE - LINK_MARGIN:
        return Part(Mode.FULL, EXPIRED)
    return Part(Mode.DELTA)


def proof_due(known: Known) -> bool:
    """Whether it is time to compare everything: deltas could have missed something (DESIGN 5)."""
    if settings.PROOF_READ_HOURS <= 0:
        return False
    since = timezone.now() - dt.timedelta(hours=settings.PROOF_READ_HOURS)
    fulls = (known[name].last_full_at for name in (Stream.USERS, Stream.GROUPS))
    return any(read is None or read <= since for read in fulls)


_UNCHANGED = SQL("""
    UPDATE directory_stream s SET synced_at = now(), why = '', error = NULL, delta_link = now_.link,
        mode = CASE WHEN now_.link = '' THEN s.mode ELSE 'delta' END,
        delta_at = CASE WHEN now_.link = '' THEN s.delta_at ELSE now() END
    FROM unnest(%s::text[], %s::text[]) AS now_(stream, link)
    WHERE s.tenant_id = %s AND s.stream = now_.stream RETURNING s.stream, s.rows
""")


def keep_unchanged(tenant_id: uuid.UUID, links: Mapping[str, str]) -> dict[str, int]:
    """These streams were read to their end, and nothing had changed; how many rows each has.

    Each with its next link, which is empty where there is none: licences are read whole each time.
    """
    return dict(fetch(_UNCHANGED, [list(links), list(links.values()), tenant_id]))


def keep_delta(tenant_id: uuid.UUID, stream: str, link: str, *, rows: int, links: int) -> None:
    """A delta came to its end; `rows` and `links` are by how much there is more (or less) now."""
    statement = SQL(
        "UPDATE directory_stream SET delta_link = %s, delta_at = now(), synced_at = now(), mode = 'delta',"
        " why = '', error = NULL, rows = greatest(0, rows + %s), links = greatest(0, links + %s)"
        " WHERE tenant_id = %s AND stream = %s"
    )
    run(statement, [link, rows, links, tenant_id, stream])


def keep_full(tenant_id: uuid.UUID, stream: str, part: Part, *, differences: int) -> None:
    """A full read came to its end: its link, taken before its first page, goes with the rows."""
    values: dict[str, object] = {
        "delta_link": part.link,
        "delta_at": dt.datetime.fromisoformat(part.link_at) if part.link_at else None,
        "mode": Mode.FULL,
        "why": part.why,
        "synced_at": Now(),
        "last_full_at": Now(),
        "error": None,
        **_counts(tenant_id, stream),
    }
    if part.why == PROOF:
        values |= {"last_proof_at": Now(), "proof_differences": differences}
    SyncStream.objects.update_or_create(tenant_id=tenant_id, stream=stream, defaults=values)


def keep_licences(tenant_id: uuid.UUID, *, rows: int, error: dict[str, object] | None) -> None:
    values: dict[str, object] = {"error": error}
    if error is None:
        values |= {"mode": Mode.FULL, "synced_at": Now(), "rows": rows}
    if not SyncStream.objects.filter(tenant_id=tenant_id, stream=Stream.LICENCES).update(**values):
        SyncStream.objects.create(tenant_id=tenant_id, stream=Stream.LICENCES, **values)


def keep_error(tenant_id: uuid.UUID, error: dict[str, object]) -> None:
    """The read did not come to its end; the ages on screen stay those of the last one that did."""
    for stream in (Stream.USERS, Stream.GROUPS):
        SyncStream.objects.update_or_create(tenant_id=tenant_id, stream=stream, defaults={"error": error})


def _counts(tenant_id: uuid.UUID, stream: str) -> dict[str, int]:
    if stream == Stream.USERS:
        return {"rows": DirectoryUser.objects.filter(tenant_id=tenant_id).count()}
    return {
        "rows": DirectoryGroup.objects.filter(tenant_id=tenant_id).count(),
        "links": GroupMember.objects.filter(tenant_id=tenant_id).count(),
    }


def totals(tenant_id: uuid.UUID, told: Mapping[str, int]) -> tuple[int, int]:
    """(users, groups) in the mirror, as the streams count them, and as `told` where it says so already."""
    rows: Mapping[str, int] = told
    if not {Stream.USERS, Stream.GROUPS} <= told.keys():
        rows = dict(SyncStream.objects.filter(tenant_id=tenant_id).values_list("stream", "rows"))
    return int(rows.get(Stream.USERS, 0)), int(rows.get(Stream.GROUPS, 0))
