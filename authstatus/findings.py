"""Keeping what a check said: the history, what was found by permission and role, and what came or went since."""

import uuid
from collections.abc import Mapping
from typing import Any

from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone

from audit.services import record
from authstatus.checking import Examination, Found
from authstatus.models import Check, Finding, FindingKind, Result
from m365.permissions import Held
from tenants.access import SYSTEM
from tenants.models import Connection

KEPT = 500
"""Checks kept for each customer: more than a year of daily ones."""
FORGOTTEN_EVERY = 10
"""Conclusive checks, of whomever, between two looks for old ones."""
HELD = frozenset({Held.PRESENT, Held.EXTRA})
Key = tuple[str, str]


def keep(tenant_id: uuid.UUID, said: Examination) -> Check:
    """Write down a conclusive check. In the customer's scope, in the transaction of everything it leads to."""
    drift = _replace(tenant_id, said.found) if said.found else []
    if drift:
        record(
            SYSTEM,
            "connection.drifted",
            tenant_id=tenant_id,
            object_kind="connection",
            object_id=tenant_id,
            changes={f"{each['kind']} {each['name']}": (each["was"], each["now"]) for each in drift},
        )
    check: Check = Check.objects.create(
        tenant_id=tenant_id,
        result=Result(said.verification.value),
        problem=dict(said.problem.to_dict()) if said.problem else None,
        granted=list(said.granted),
        missing=list(said.missing),
        organization=said.organization,
        drift=drift,
    )
    if check.id % FORGOTTEN_EVERY == 0:
        _forget_old(tenant_id)
    return check


def note(tenant_id: uuid.UUID, result: Result, problem: Mapping[str, Any]) -> None:
    """Write down a check that did not get so far. Repetitions are one entry, with its last time."""
    latest: Check | None = Check.objects.filter(tenant_id=tenant_id).order_by("-id").first()
    same = latest and latest.result == result and (latest.problem or {}).get("code") == problem["code"]
    if latest and same:
        Check.objects.filter(id=latest.id, tenant_id=tenant_id).update(at=Now(), problem=dict(problem))
    else:
        Check.objects.create(tenant_id=tenant_id, result=result, problem=dict(problem))
        _forget_old(tenant_id)


def _replace(tenant_id: uuid.UUID, found: tuple[Found, ...]) -> list[dict[str, str]]:
    """Set-based: one read, one write for what changed, one for the age of the rest, one removal.

    What could not be told this time stays as it was.
    """
    rows = Finding.objects.filter(tenant_id=tenant_id)
    old: dict[Key, Finding] = {(row.kind, row.name): row for row in rows}
    unknown = {one.kind for one in found if one.state == Held.UNKNOWN}
    kept = {key for key in old if key[0] in unknown}
    new = {(str(one.kind), one.name): one for one in found if one.kind not in {kind for kind, _ in kept}}
    now = timezone.now()
    same = {key for key, one in new.items() if key in old and _equal(old[key], one)}
    changed = [
        Finding(
            tenant_id=tenant_id,
            kind=one.kind,
            name=one.name,
            state=one.state.value,
            problem=dict(one.problem) if one.problem else None,
            since=old[key].since if key in old and old[key].state == one.state else now,
            checked_at=now,
        )
        for key, one in new.items()
        if key not in same
    ]
    if changed:
        Finding.objects.bulk_create(
            changed,
            update_conflicts=True,
            unique_fields=["tenant", "kind", "name"],
            update_fields=["state", "problem", "since", "checked_at"],
        )
    rows.filter(pk__in=[old[key].pk for key in same]).update(checked_at=now)
    gone = [old[key].pk for key in old.keys() - new.keys() - kept]
    if gone:
        rows.filter(pk__in=gone).delete()
    return _drift(tenant_id, {key: row for key, row in old.items() if key not in kept}, new)


def _equal(row: Finding, one: Found) -> bool:
    return row.state == one.state.value and row.problem == (dict(one.problem) if one.problem else None)


def _drift(
    tenant_id: uuid.UUID, old: Mapping[Key, Finding], new: Mapping[Key, Found]
) -> list[dict[str, str]]:
    """Grants and roles that came or went; nothing for another credential than the one looked at before."""
    known = {kind for kind, _ in old}
    was = {key for key, row in old.items() if row.state in HELD}
    now = {key for key, one in new.items() if one.state in HELD and key[0] in known}
    newest = max((row.checked_at for row in old.values()), default=None)
    if was == now or not Connection.objects.filter(tenant_id=tenant_id, changed_at__lte=newest).exists():
        return []
    return [
        {
            "kind": FindingKind(kind).label.lower(),
            "name": name,
            "was": "there" if (kind, name) in was else "not there",
            "now": "there" if (kind, name) in now else "not there",
        }
        for kind, name in sorted(was ^ now)
        if kind != FindingKind.CALL
    ]


def _forget_old(tenant_id: uuid.UUID) -> None:
    checks = Check.objects.filter(tenant_id=tenant_id).order_by("-id")
    last = checks.values_list("id", flat=True)[KEPT - 1 : KEPT].first()
    if last is not None:
        checks.filter(Q(id__lt=last)).delete()
