"""What workers do with devices: look at one, and read OVOC's list."""

from typing import Any

from django.db.models.functions import Now

from audiocodes.ovoc import Ovoc as OvocLine
from audiocodes.sbc import Sbc as Device
from audiocodes.sbc import Status
from core.errors import UmpError
from replication.context import Context, Done, Outcome
from replication.models import LaneName
from replication.registry import Kind, register
from sbc import lines, reloading, selectors
from sbc.models import Link, Sbc
from sbc.selectors import CHECK, RELOAD
from tenants.abilities import Ability

LINK_OF = {
    "sbc_sign_in_refused": Link.REFUSED,
    "sbc_not_permitted": Link.REFUSED,
    "sbc_certificate": Link.UNTRUSTED,
}
OURS = frozenset({"key_unavailable", "secret_unreadable", "interrupted"})
"""Faults of this side, which say nothing about the device."""
SECONDS = 60.0


@register
class CheckSbc(Kind):
    """Whether a device answers, what it is, and its alarms. One try: the next look comes by itself."""

    name = CHECK
    title = "Check SBC"
    ability = Ability.MANAGE_SBC
    lane = LaneName.DEVICE
    max_attempts = 1
    reconcile = "Reads only; another check simply asks again."

    def run(self, ctx: Context) -> Outcome:
        sbc = Sbc.objects.select_related("secret", "secret__key").filter(id=int(ctx.target)).first()
        if sbc is None or sbc.link == Link.REFUSED:
            return Done(
                "Nothing was asked: the SBC is gone, or its account must be entered again.", "partial"
            )
        try:
            with lines.to_sbc(sbc) as line:
                device = Device(line)
                status = device.status(sbc.serial)
                alarms = [
                    {name: getattr(alarm, name) for name in alarm.__slots__} for alarm in device.alarms()
                ]
        except UmpError as error:
            if error.code in OURS:
                raise
            return self._failed(ctx, sbc, error)
        self._note(ctx, sbc, **_reached(status, alarms))
        what = f"{status.product} {status.version}, serial number {status.serial or 'not told'}"
        return Done(f"{sbc.name} is connected: {what}; {_count(alarms)}.", result={"product": status.product})

    def _failed(self, ctx: Context, sbc: Sbc, error: UmpError) -> Outcome:
        link = LINK_OF.get(error.code, Link.DISCONNECTED)
        more = {"next_check_at": None} if link == Link.REFUSED else {}
        self._note(ctx, sbc, link=link, problem=dict(error.to_dict()), **more)
        return Done(f"{link.label}: {error.message}", "partial", result={"error": error.code})

    @staticmethod
    def _note(ctx: Context, sbc: Sbc, **values: Any) -> None:
        """Unless somebody has changed the device's address or account meanwhile."""
        with ctx.transaction():
            mine = Sbc.objects.filter(id=sbc.id, row_version=sbc.row_version)
            mine.update(checked_at=Now(), **values)


def _reached(status: Status, alarms: list[dict[str, str]]) -> dict[str, Any]:
    told = {
        "product": status.product,
        "version": status.version,
        "state": status.state,
        "high_availability": status.high_availability,
        "locked": status.locked,
    }
    return {
        "link": Link.CONNECTED,
        "problem": None,
        "reached_at": Now(),
        "told": told,
        "alarms": alarms,
        "serial": status.serial,
    }


def _count(alarms: list[dict[str, str]]) -> str:
    return f"{len(alarms) or 'no'} active alarm{'' if len(alarms) == 1 else 's'}"


@register
class ReloadFromOvoc(Kind):
    """OVOC's devices become, or are joined to, Known SBCs."""

    name = RELOAD
    title = "Reload From Ovoc"
    ability = Ability.MANAGE_SBC
    lane = LaneName.PROVIDER
    max_attempts = 3
    reconcile = "The list is read whole and written in one transaction; another run finds nothing left to do."

    def run(self, ctx: Context) -> Outcome:
        with lines.to_ovoc(selectors.ovoc()) as line:
            devices = OvocLine(line).devices()
        with ctx.transaction():
            told = reloading.apply(devices, "OVOC")
        shown = {key: found[: reloading.MOST_NAMED] for key, found in told.items() if found}
        return Done(
            reloading.words(told), "partial" if told.get("failed") else "complete", result=dict(shown)
        )
