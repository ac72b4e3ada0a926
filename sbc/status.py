"""The derived status of a device: Management, Voice quality and License, and the worst of them (facts 4.1, DEV-04).

Words of OVOC differ between versions; one that is not known is Undetermined, which counts as OK.
"""

import enum
from collections.abc import Mapping
from dataclasses import dataclass

from sbc.models import Link, Sbc


class Grade(enum.IntEnum):
    """The worse, the higher."""

    OK = 0
    WARNING = 1
    ERROR = 2

    @property
    def word(self) -> str:
        return {0: "OK", 1: "Warning", 2: "Error"}[self]

    @property
    def tone(self) -> str:
        return {0: "ok", 1: "warn", 2: "bad"}[self]


_SEVERITY = {
    "critical": Grade.ERROR,
    "major": Grade.ERROR,
    "minor": Grade.WARNING,
    "warning": Grade.WARNING,
}
_CONNECTION = {"not connected": Grade.ERROR, "disconnected": Grade.ERROR}
_ADMINISTRATION = {"locked": Grade.WARNING}
_QUALITY = {"critical": Grade.ERROR, "error": Grade.ERROR, "major": Grade.WARNING, "warning": Grade.WARNING}
_POOL = {
    "failed": Grade.ERROR,
    "expired": Grade.ERROR,
    "reset required": Grade.WARNING,
    "apply required": Grade.WARNING,
}
_LICENSE = {"unmanaged": Grade.WARNING}


@dataclass(frozen=True)
class Inputs:
    """What is known, as words; empty where nothing is."""

    alarms: str = ""
    """The worst severity of the active alarms."""
    connection: str = ""
    administration: str = ""
    control: str = ""
    media: str = ""
    quality_connection: str = ""
    pool: str = ""
    management_license: str = ""
    quality_license: str = ""


@dataclass(frozen=True)
class Derived:
    management: Grade
    voice_quality: Grade
    license: Grade
    locked: bool

    @property
    def device(self) -> Grade:
        return max(self.management, self.voice_quality, self.license)


def derive(given: Inputs) -> Derived:
    """By the truth table of facts 4.1."""
    return Derived(
        management=max(
            _grade(_SEVERITY, given.alarms),
            _grade(_CONNECTION, given.connection),
            _grade(_ADMINISTRATION, given.administration),
        ),
        voice_quality=max(
            _grade(_QUALITY, given.control),
            _grade(_QUALITY, given.media),
            _grade(_CONNECTION, given.quality_connection),
        ),
        license=max(
            _grade(_POOL, given.pool),
            _grade(_LICENSE, given.management_license),
            _grade(_LICENSE, given.quality_license),
        ),
        locked=_plain(given.administration) == "locked",
    )


def severity(word: str) -> Grade:
    """What an alarm of this severity means for the device."""
    return _grade(_SEVERITY, word)


def of_sbc(sbc: Sbc) -> Derived:
    """From what the device said, and OVOC of it."""
    worst = max((alarm.get("severity", "") for alarm in sbc.alarms), key=severity, default="")
    away = sbc.link in {Link.DISCONNECTED, Link.REFUSED, Link.UNTRUSTED}
    ovoc: Mapping[str, str] = sbc.ovoc
    locked = sbc.told.get("locked") if sbc.told else _plain(ovoc.get("admin", "")) == "locked"
    return derive(
        Inputs(
            alarms=worst,
            connection="not connected" if away else ovoc.get("connection", ""),
            administration="locked" if locked else "unlocked",
            control=ovoc.get("voice_quality", ""),
            pool=ovoc.get("license", ""),
            management_license=ovoc.get("license", ""),
        )
    )


def _grade(table: Mapping[str, Grade], word: str) -> Grade:
    return table.get(_plain(word), Grade.OK)


def _plain(word: str) -> str:
    return " ".join(word.lower().replace("_", " ").replace("-", " ").split())
