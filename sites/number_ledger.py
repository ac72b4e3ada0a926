"""What a device's rules mean for the numbers of sites: whose each is, and what somebody changed at the device."""

import uuid
from collections.abc import Mapping, Sequence

from django.db.models import Q
from django.utils import timezone

from audiocodes import rules
from audiocodes.planscript import Values
from sbc.models import Rule, Sbc
from sbc.prefixes import Owner, Reading
from sites.models import Prefix, PrefixState
from sites.number_writing import OnDevice, Wanted, changed, same
from tenants import scope

WRITTEN = (PrefixState.PRESENT, PrefixState.MISSING, PrefixState.FAILED)
BATCH = 1_000


class Numbers:
    """The ledger of sbc.prefixes."""

    def read(self, sbc: Sbc, rows: Sequence[rules.Row]) -> None:
        """Tell what is missing or was changed; what was missing and is there again is told, too."""
        with scope.every("whose numbers are on one device"):
            tenants = list(
                Prefix.objects.filter(sbc=sbc)
                .order_by("tenant_id")
                .values_list("tenant_id", flat=True)
                .distinct()
            )
        found = OnDevice(Reading(list(rows), [])) if tenants else None
        for tenant_id in tenants:
            if found is not None:
                _compare(sbc, tenant_id, found)

    def owners(self, found: Sequence[Rule]) -> Mapping[int, Owner]:
        """By plan and prefix, which a device has once."""
        which = Q()
        for rule in found:
            which |= Q(sbc_id=rule.sbc_id, plan=rule.plan, prefix=rule.prefix)
        if not which:
            return {}
        with scope.every("whose rules are shown, to people of the provider"):
            rows = Prefix.objects.filter(which).select_related("tenant", "site")
            by_key = {(row.sbc_id, row.plan, row.prefix): row for row in rows}
        return {
            rule.id: Owner(
                row.tenant.name, row.site.name, f"/tenants/{row.tenant_id}/sites/{row.site.uid}/prefixes/"
            )
            for rule in found
            if (row := by_key.get((rule.sbc_id, rule.plan, rule.prefix))) is not None
        }


def _compare(sbc: Sbc, tenant_id: uuid.UUID, found: OnDevice) -> None:
    """One customer's numbers, in its own scope. What waits to be written is the command's."""
    now, differs = timezone.now(), []
    with scope.one(tenant_id):
        rows = Prefix.objects.filter(sbc=sbc, state__in=WRITTEN)
        for row in rows.select_for_update(no_key=True).order_by("id"):
            before = (row.state, row.index, row.problem)
            _become(sbc, row, found)
            if before != (row.state, row.index, row.problem):
                differs.append(row)
        rows.update(checked_at=now)
        fields = ["state", "index", "problem", "written_name", "written_tag"]
        Prefix.objects.bulk_update(differs, fields, batch_size=BATCH)


def _become(sbc: Sbc, row: Prefix, found: OnDevice) -> None:
    wanted = Wanted.of(row)
    there = found.find(wanted)
    if there is not None and same(there[1], wanted.values):
        if row.state != PrefixState.PRESENT:
            row.state, row.problem = PrefixState.PRESENT, None
        row.index, row.written_name, row.written_tag = there[0], row.name, row.tag
    elif row.state != PrefixState.FAILED:
        now: Values | None = there[1] if there else None
        row.state, row.problem = PrefixState.MISSING, dict(changed(sbc, wanted, now).to_dict())
