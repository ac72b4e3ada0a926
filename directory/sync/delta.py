"""Pages of a delta into the mirror: changes, tombstones, members that come and go (facts/microsoft.md 5.3, 5.4)."""

import uuid
from collections.abc import Sequence

from directory.sync import notes, staging
from directory.sync.reading import (
    GROUPS,
    Changes,
    Object,
    Row,
    Table,
    changes,
    completed,
    lines,
    member_lines,
)
from directory.sync.staging import Count


def apply(
    tenant_id: uuid.UUID, table: Table, objects: Sequence[Object], *, write: bool, seen: str = ""
) -> tuple[Count, Count]:
    """Bring the mirror to what a page says; what that changed of the objects, and of the memberships.

    Applying a page twice does no more than once. `seen` names the stream for a full read that goes over the
    delta and keeps notes of what it saw.
    """
    found = changes(objects)
    known = staging.known_rows(tenant_id, table, list(found.changed)) if found.changed else {}
    _leave_out_strangers(table, found, known)
    rows = completed(table, found.changed, known)
    count, _ = staging.merge(tenant_id, table, lines(table, rows), write=write, seen=seen)
    count.read = len(found.changed) + len(found.removed)
    members = Count()
    if table is GROUPS:
        members = _members(tenant_id, found, rows, write=write, noted=bool(seen))
        members.removed += staging.remove_members_of(tenant_id, list(found.removed), write=write)
    count.removed = staging.remove(tenant_id, table, list(found.removed), write=write)
    return count, members


def _leave_out_strangers(table: Table, found: Changes, known: dict[str, list[str]]) -> None:
    """A piece of a group that was never introduced, such as a late slice of one that is gone since.

    Its name is missing, and would stay so for ever; if the group exists, the next full read brings it whole.
    """
    if table is GROUPS:
        for group in [
            key for key, one in found.changed.items() if key not in known and not one.get("displayName")
        ]:
            del found.changed[group]


def _members(
    tenant_id: uuid.UUID, found: Changes, rows: dict[str, Row], *, write: bool, noted: bool
) -> Count:
    joined = [(group, member, kind) for (group, member), kind in found.members.items() if kind is not None]
    left = [(group, member, "") for (group, member), kind in found.members.items() if kind is None]
    count = Count(read=len(found.members))
    joined = [one for one in joined if one[0] in rows]
    if joined:
        staging.stage_members(member_lines(joined))
        count.added = staging.add_members(tenant_id, write=write)
        if noted:
            notes.note_members(tenant_id, sorted({group for group, _, _ in joined}))
    if left:
        staging.stage_members(member_lines(left))
        count.removed = staging.remove_staged_members(tenant_id, write=write)
    return count
