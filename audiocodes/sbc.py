"""The REST interface of a Mediant SBC (facts/audiocodes.md 1): what it is, how it fares, its configuration.

Nothing is retried here: whoever asks knows whether a second try is wise.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from audiocodes import line
from audiocodes.line import Line
from core.errors import UmpError

FILE_SECONDS, SCRIPT_SECONDS = 120.0, 120.0
MOST_ALARMS, PAGE = 100, 20
_END = "-1"
_LONGEST = 200


@dataclass(frozen=True, slots=True)
class Status:
    """What the device says of itself; empty where it says nothing."""

    product: str
    version: str
    serial: str
    state: str
    """LOCKED, UNLOCKED, or another word of the device."""
    high_availability: str

    @property
    def locked(self) -> bool:
        return self.state.upper() not in {"UNLOCKED", ""}


@dataclass(frozen=True, slots=True)
class Alarm:
    """An active alarm; `severity` in lower case, `date` as the device wrote it."""

    id: str
    description: str
    severity: str
    source: str
    date: str


class Sbc:
    """One device over one line."""

    def __init__(self, over: Line) -> None:
        self._line = over

    def status(self, serial: str = "") -> Status:
        """Raises sbc_other_device when the device has another serial number than this one; by audiocodes.line."""
        told = self._line.json("/api/v1/status")
        if not _text(told, "productType") or not _text(told, "versionID"):
            why = "it does not say which product it is"
            raise UmpError.of("bad_reply", host=self._line.target.name, why=why)
        found = Status(
            product=_text(told, "productType"),
            version=_text(told, "versionID"),
            serial=_text(told, "serialNumber"),
            state=_text(told, "operationalState"),
            high_availability=_text(told, "highAvailability"),
        )
        if serial and found.serial != serial:
            raise UmpError.of("sbc_other_device", host=self._line.target.name, key=found.serial or "none")
        return found

    def alarms(self) -> list[Alarm]:
        """The active alarms, at most MOST_ALARMS of them; each costs a call, since lists lack the severity.

        One that clears between the list and its own call is left out.
        """
        found: list[Alarm] = []
        after, asked = "", 0
        while asked < MOST_ALARMS:
            query = {"limit": PAGE, **({"after": after} if after else {})}
            page = self._line.json(f"/api/v1/alarms/active?{urlencode(query)}")
            listed = [each for each in page.get("alarms") or [] if isinstance(each, dict)]
            looked_at = listed[: MOST_ALARMS - asked]
            asked += len(looked_at)
            found += [alarm for alarm in map(self._alarm, looked_at) if alarm is not None]
            cursor = page.get("cursor")
            further = str(cursor.get("after", _END)) if isinstance(cursor, dict) else _END
            if further in {_END, after} or not further.isdecimal() or not listed:
                break
            after = further
        return found

    def _alarm(self, listed: dict[str, Any]) -> Alarm | None:
        """None for one that is not active any more."""
        number = _text(listed, "id")
        try:
            whole = self._line.json(f"/api/v1/alarms/active/{number}") if number.isdecimal() else {}
        except UmpError as error:
            if error.code == "sbc_failed" and error.detail.get("status") == "404":
                return None
            raise
        told = listed | whole
        return Alarm(
            id=number,
            description=_text(told, "description"),
            severity=_text(told, "severity").lower(),
            source=_text(told, "source"),
            date=_text(told, "date"),
        )

    def ini(self) -> str:
        """The whole configuration as an ini file. What is no UTF-8 in it becomes a mark that fits nothing."""
        answer = self._line.call("GET", "/api/v1/files/ini", seconds=FILE_SECONDS, most=line.MOST_FILE)
        text = answer.content.decode("utf-8", "replace")
        if text.lstrip().startswith(("<", "{")) or not text.strip():
            raise UmpError.of(
                "sbc_file_unreadable", host=self._line.target.name, why="it is no configuration file"
            )
        return text

    def apply(self, script: str) -> str:
        """Carry out command lines at once, in the running configuration only; what the device said.

        Raises sbc_script_refused: lines before the refused one may have been applied. After deadline or
        connection_lost nobody knows; read back before anything else.
        """
        file = ("ump.cli", script.encode(), "application/octet-stream")
        path = "/api/v1/files/cliScript/incremental"
        try:
            answer = self._line.call("PUT", path, seconds=SCRIPT_SECONDS, files={"file": file})
        except UmpError as error:
            if error.code == "sbc_failed" and error.detail.get("status") == "400":
                raise UmpError.of(
                    "sbc_script_refused", host=self._line.target.name, why=error.fields.get("why", "")
                ) from error
            raise
        told = line.parsed(answer.content)
        return _text(told, "output", 10_000) if isinstance(told, dict) else ""

    def save(self) -> None:
        """Keep the running configuration over a restart."""
        self._line.call("POST", "/api/v1/actions/saveConfiguration", seconds=SCRIPT_SECONDS)


def _text(told: dict[str, Any], name: str, longest: int = _LONGEST) -> str:
    value = told.get(name)
    if isinstance(value, bool) or not isinstance(value, str | int):
        return ""
    return " ".join(str(value).split())[:longest]
