"""What workers do with devices: look at one, read its rules, and read OVOC's list."""

from typing import Any

from django.db.models.functions import Now

from audiocodes.ovoc import Ovoc as OvocLine
from audiocodes.sbc import Sbc as Device
from audiocodes.sbc import Status
from core.errors import UmpError
from replication.context import Context, Done, Outcome
from replication.models import LaneName
from replication.registry import Kind, register
from sbc import lines, prefixes, reloading, selectors
from sbc.models import Link, Sbc
from sbc.selectors import CHECK, READ, RELOAD
from tenants.abilities import Ability

LINK_OF = {
    "sbc_sign_in_refused": Link.REFUSED,
    "sbc_not_permitted": Link.REFUSED,
    "sbc_certificate": Link.UNTRUSTED,
}
OURS = frozenset({"key_unavailable", "secret_unreadable"})
"""Faults of this side, which say nothing about the device."""


def link_fault(link: Link, problem: dict[str, Any]) -> dict[str, Any]:
    """What is kept with a device of which a connection failed; a refused password is tried no more by itself."""
    again: dict[str, Any] = {"next_check_at": None} if link == Link.REFUSED else {}
    return {"link": link, "problem": problem, "checked_at": Now(), **again}


def note_link(sbc: Sbc, error: UmpError) -> None:
    """For work on what lies on a device: a fault of its connection is kept with it, any other says nothing of it.

    Unless somebody has changed the device's address or account meanwhile. Call it under the fence.
    """
    if error.code in LINK_OF:
        values = link_fault(LINK_OF[error.code], dict(error.to_dict()))
        Sbc.objects.filter(id=sbc.id, row_version=sbc.row_version).update(**values)


class _OfDevice(Kind):
    """Something done with one device over its line; what went wrong is kept with the device."""

    ability = Ability.MANAGE_SBC
    lane = LaneName.DEVICE
    max_attempts = 1
    seconds = 60.0
    """For all calls to the device."""
    about_rules = False
    """Whether a fault concerns the reading of rules and not the connection."""

    def run(self, ctx: Context) -> Outcome:
        sbc = Sbc.objects.select_related("secret", "secret__key").filter(id=int(ctx.target)).first()
        if sbc is None or sbc.link == Link.REFUSED:
            return Done(
                "Nothing was asked: the SBC is gone, or its account must be entered again.", "partial"
            )
        try:
            with lines.to_sbc(sbc, self.seconds) as line:
                return self.work(ctx, sbc, Device(line))
        except UmpError as error:
            if error.code in OURS or error.only_stopped:
                raise
            return self._failed(ctx, sbc, error)

    def work(self, ctx: Context, sbc: Sbc, device: Device) -> Outcome:
        raise NotImplementedError

    def _failed(self, ctx: Context, sbc: Sbc, error: UmpError) -> Outcome:
        link = LINK_OF.get(error.code, Link.DISCONNECTED)
        problem = dict(error.to_dict())
        if self.about_rules and link == Link.DISCONNECTED:
            self.note(ctx, sbc, rules_problem=problem)
            return Done(f"The rules were not read: {error.message}", "partial", result={"error": error.code})
        more = {"rules_problem": problem} if self.about_rules else {}
        self.note(ctx, sbc, **link_fault(link, problem), **more)
        return Done(f"{link.label}: {error.message}", "partial", result={"error": error.code})

    @staticmethod
    def note(ctx: Context, sbc: Sbc, **values: Any) -> None:
        """Unless somebody has changed the device's address or account meanwhile."""
        with ctx.transaction():
            Sbc.objects.filter(id=sbc.id, row_version=sbc.row_version).update(**values)


@register
class CheckSbc(_OfDevice):
    """Whether a device answers, what it is, and its alarms. One try: the next look comes by itself."""

    name = CHECK
    title = "Check SBC"
    reconcile = "Reads only; another check simply asks again."

    def work(self, ctx: Context, sbc: Sbc, device: Device) -> Outcome:
        status = device.status(sbc.serial)
        alarms = [{name: getattr(alarm, name) for name in alarm.__slots__} for alarm in device.alarms()]
        self.note(ctx, sbc, checked_at=Now(), **_reached(status, alarms))
        what = f"{status.product} {status.version}, serial number {status.serial or 'not told'}"
        return Done(f"{sbc.name} is connected: {what}; {_count(alarms)}.", result={"product": status.product})


@register
class ReadPrefixes(_OfDevice):
    """Refresh From Sbc: all dial plan rules of a device, as they are on it now."""

    name = READ
    title = "Refresh From Sbc"
    seconds = 180.0
    about_rules = True
    reconcile = "Reads the device only; what was read replaces what was read before, in one transaction."

    def work(self, ctx: Context, sbc: Sbc, device: Device) -> Outcome:
        device.status(sbc.serial)
        with prefixes.readable(sbc.name):
            reading = prefixes.read(device.ini())
        with ctx.transaction():
            kept = prefixes.keep(sbc, reading)
        if not kept:
            return Done("Nothing was kept: the SBC was changed meanwhile.", "partial")
        return Done(f"{sbc.name} has {prefixes.words(reading)}.", result={"rules": len(reading.rows)})


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
