"""OVOC's REST interface, as far as the list of devices goes (facts/audiocodes.md 3)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from audiocodes.line import MOST_FILE, Line
from core.errors import InvalidInput, UmpError

DEVICES = "/ovoc/v1/topology/devices"
MOST_DEVICES = 5_000
LIST_SECONDS = 60.0
_PLAIN = re.compile(r"[A-Za-z0-9._:-]{1,253}")
_FIRST_OF = {
    "name": ("name", "description"),
    "product": ("productType",),
    "version": ("version", "softwareVersion"),
    "serial": ("serialNumber",),
    "admin": ("adminState", "administrationStatus"),
    "management": ("managementStatus",),
    "voice_quality": ("voiceQualityStatus",),
    "license": ("licenseStatus",),
    "connection": ("connectionStatus",),
    "tenant": ("tenantName",),
    "region": ("regionName",),
    "user": ("httpUserName",),
}
"""Names of fields differ between versions and most are not documented (facts 3.3): the first that is there counts."""


@dataclass(frozen=True, slots=True)
class Device:
    """A device as OVOC knows it; `fields` by the keys of _FIRST_OF, empty where it says nothing."""

    id: int
    address: str
    fqdn: str
    nat_addresses: tuple[str, ...] = ()
    https: bool | None = None
    fields: dict[str, str] = field(default_factory=dict)


class Ovoc:
    """OVOC over one line."""

    def __init__(self, over: Line) -> None:
        self._line = over

    def devices(self, *, field_name: str = "", value: str = "") -> list[Device]:
        """All devices, or those whose field has this value. Raises bad_reply, reply_too_large, InvalidInput."""
        path = f"{DEVICES}?detail=1"
        if field_name:
            path += f"&filter={quote(condition(field_name, value))}"
        told = self._line.json(path, seconds=LIST_SECONDS, most=MOST_FILE).get("devices") or []
        if not isinstance(told, list):
            raise UmpError.of("bad_reply", host=self._line.target.name, why="its list of devices is none")
        if len(told) > MOST_DEVICES:
            raise UmpError.of("reply_too_large", host=self._line.target.name, limit=f"{MOST_DEVICES} devices")
        return [_device(each, self._line.target.name) for each in told]

    def device(self, device_id: int) -> Device:
        """One device with its details."""
        return _device(self._line.json(f"{DEVICES}/{int(device_id)}"), self._line.target.name)


def condition(name: str, value: str) -> str:
    """A filter of OVOC. How it escapes a quote is not documented, so a value with one is none (InvalidInput)."""
    if not name.isalpha() or not _PLAIN.fullmatch(value):
        raise InvalidInput(field=name, why="OVOC cannot be asked for this")
    return f"({name}='{value}')"


def _device(told: Any, host: str) -> Device:
    number = told.get("id") if isinstance(told, dict) else None
    if not isinstance(number, int) or isinstance(number, bool) or not 0 <= number < 2**63:
        raise UmpError.of("bad_reply", host=host, why="a device in it has no id")
    nat = told.get("natIpAddresses") or told.get("natIpAddress") or ()
    https = told.get("https", told.get("httpsEnabled"))
    return Device(
        id=number,
        address=_text(told.get("ipAddress")),
        fqdn=_text(told.get("fqdn")),
        nat_addresses=tuple(map(_text, nat)) if isinstance(nat, list) else tuple(filter(None, [_text(nat)])),
        https=https if isinstance(https, bool) else None,
        fields={
            key: next(filter(None, (_text(told.get(name)) for name in names)), "")
            for key, names in _FIRST_OF.items()
        },
    )


def _text(value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int):
        return ""
    return " ".join(str(value).split())[:200]
