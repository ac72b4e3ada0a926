"""What is done on an SBC for a site: worked out from the template, the site and what was read from the device.

Nothing here writes. A plan says every line as it will be sent (secrets masked) and every row that will come into
being, or go. Its digest binds the decision of a person to what that person saw.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from audiocodes import inifile, objects, script
from audiocodes.objects import Key, NotMeantError, Rows
from core.errors import UmpError
from core.words import first_of
from sbc.prefixes import readable
from sites.models import ScriptVersion, Site
from tenants import secrets

SHOWN_ROWS = 200


@dataclass(frozen=True)
class Device:
    """A device's configuration as it was read: whole, and the tables that scripts write to."""

    ini: str
    rows: Rows

    @classmethod
    def of(cls, ini: str, host: str) -> "Device":
        """Raises UmpError (sbc_file_unreadable)."""
        with readable(host):
            return cls(ini, objects.read(ini))


@dataclass(frozen=True)
class Plan:
    """What is about to be done. `lines` may hold secrets: they are sent, and go nowhere else."""

    lines: tuple[str, ...] = field(repr=False)
    shown: tuple[str, ...]
    rows: Rows
    """Those that will come into being, or will go."""
    notes: tuple[str, ...]
    """What a person should know before he decides."""
    bound: str
    """What else the decision depends on."""
    hidden: tuple[str, ...] = field(default=(), repr=False)
    """Secrets in the lines, which the device might repeat where it complains."""

    @property
    def text(self) -> str:
        return "\n".join(self.lines) + "\n"

    def masked(self, text: str) -> str:
        for secret in sorted(self.hidden, key=len, reverse=True):
            text = text.replace(secret, script.MASK)
        return text

    @property
    def digest(self) -> str:
        told = [self.shown, objects.to_json(self.rows), self.notes, self.bound]
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:32]

    def told(self) -> dict[str, Any]:
        """For pages, the API and the command's row: without secrets."""
        return {
            "plan": self.digest,
            "lines": list(self.shown),
            "rows": [objects.name_of(key, values) for key, values in self.rows.items()][:SHOWN_ROWS],
            "notes": list(self.notes),
        }


# --- Deploying --------------------------------------------------------------------------------------------------
def to_deploy(site: Site, version: ScriptVersion, device: Device) -> Plan:
    """What the site's template would do on this device, in a worker.

    Raises UmpError: site_unfit where nothing may be sent, key_unavailable, secret_unreadable.
    """
    try:
        values, hidden = _values(site, version)
        lines = _rendered(version, device, values, hidden)
        masked = [line.shown if line.text else "" for line in lines]
        meant = objects.meant(masked, device.rows)
    except (script.ScriptError, script.RefusedValueError, NotMeantError, inifile.IniError) as error:
        raise unfit(site, str(error)) from error
    if not meant.makes:
        raise unfit(site, "it makes nothing: every row of it is on the device already")
    uses = [f"It uses {objects.name_of(key, device.rows[key])}, which stays." for key in meant.uses]
    return Plan(
        lines=tuple(line.text for line in lines),
        shown=tuple(line.shown for line in lines),
        rows=meant.makes,
        notes=tuple(uses),
        bound=f"{version.id}|{site.secret_id}|{site.row_version}",
        hidden=tuple(filter(None, hidden.values())),
    )


def unfit(site: Site, why: str) -> UmpError:
    return UmpError.of("site_unfit", thing=site.name, host=site.sbc.name, why=why)


def _rendered(
    version: ScriptVersion, device: Device, values: Mapping[str, str], hidden: Mapping[str, str]
) -> list[script.Line]:
    tables = inifile.read(device.ini, script.INI)
    rows = script.resolve(version.script, tables, values)
    return script.render(version.script, {**values, **rows}, hidden)


def _values(site: Site, version: ScriptVersion) -> tuple[dict[str, str], dict[str, str]]:
    """Plain and secret ones, in the form in which they are put in; also those that each script gets."""
    stored: Mapping[str, str] = json.loads(secrets.open_secret(site.secret)) if site.secret else {}
    values, hidden = automatic(site), {}
    for variable in map(script.Variable.from_json, version.variables):
        if variable.is_secret:
            hidden[variable.name] = script.check_value(variable, stored.get(variable.name, ""))
        else:
            values[variable.name] = script.check_value(variable, site.values.get(variable.name, ""))
    return values, hidden


def automatic(site: Site) -> dict[str, str]:
    """script.AUTOMATIC of this site."""
    return {
        "SiteName": site.name,
        "SiteKey": f"s{site.id}",
        "CustomerShortName": script.short_name(site.tenant.name),
        "MsTenantId": str(site.tenant.entra_tenant_id or ""),
        "OnlinePstnGateway": site.gateway,
    }


def known_rows(site: Site) -> Rows:
    """What may be on the device of this site: what was found there, and what was about to be sent."""
    about = objects.from_json((site.intent or {}).get("rows", ()))
    return about | objects.from_json(site.footprint)


def sort_out(site: Site, device: Device) -> tuple[Rows, Rows]:
    """Of the rows that may be of the site: those that are there as they should be, and those that were changed.

    A row at the same place under another name is somebody else's, and is in neither.
    """
    there: Rows = {}
    changed: Rows = {}
    for key, wanted in known_rows(site).items():
        now = device.rows.get(key)
        if now is None:
            continue
        if objects.fits(now, wanted) or (
            site.intent and not site.footprint and objects.resembles(key, now, wanted)
        ):
            there[key] = objects.without_secrets(now, wanted)
        elif _same_name(key, now, wanted):
            changed[key] = objects.without_secrets(now, wanted)
    return there, changed


def in_order(site: Site, rows: Rows) -> Rows:
    """These rows of the site, in the order in which they were made."""
    return {key: rows[key] for key in known_rows(site) if key in rows}


def _same_name(key: Key, now: Mapping[str, str], wanted: Mapping[str, str]) -> bool:
    column = objects.BY_INI[key[0]].name
    return column not in wanted or objects.fits({column: "", **now}, {column: wanted[column]})


def made(plan: Plan, device: Device) -> tuple[Rows, list[str]]:
    """The plan's rows as they are on the device now, and in words what is not as it was meant."""
    found: Rows = {}
    faults = []
    for key, wanted in plan.rows.items():
        now = device.rows.get(key)
        if now is None or not objects.fits(now, wanted):
            word = "is not there" if now is None else "is not as it was asked for"
            faults.append(f"{objects.name_of(key, wanted)} {word}")
        else:
            found[key] = objects.without_secrets(now, wanted)
    return found, faults


def foreign(before: Device, after: Device, ours: Rows) -> list[str]:
    """Rows of others that changed meanwhile, in words."""
    keys = (set(before.rows) | set(after.rows)) - set(ours)
    moved = sorted(key for key in keys if before.rows.get(key) != after.rows.get(key))
    return [objects.name_of(key, after.rows.get(key) or before.rows[key]) for key in moved]


# --- Removing ---------------------------------------------------------------------------------------------------
def to_remove(site: Site, device: Device) -> Plan:
    """The way back, from what was found on the device when it was deployed and what is there now.

    Raises UmpError (site_held) when rows of others lean on the site's.
    """
    there, changed = sort_out(site, device)
    rows = in_order(site, there | changed)
    held = objects.leaning(rows, device.rows)
    if held:
        raise UmpError.of("site_held", thing=site.name, host=site.sbc.name, why=in_words(held))
    lines = tuple(objects.undo(rows))
    gone = [objects.name_of(key, row) for key, row in known_rows(site).items() if key not in rows]
    notes = [f"{objects.name_of(key, row)} was changed by somebody since." for key, row in changed.items()]
    notes += [f"{one} is not there any more." for one in gone]
    return Plan(lines, lines, rows, tuple(notes), bound="remove")


def paired(site: Site, version: ScriptVersion, device: Device) -> list[str]:
    """What the template's own clean-up script would send, to be shown beside the plan; why not, in one line."""
    try:
        return [line.shown for line in _rendered(version, device, *_values(site, version))]
    except (script.ScriptError, script.RefusedValueError, inifile.IniError) as error:
        return [f"! It cannot be made: {error}"]


def in_words(items: Sequence[str]) -> str:
    return first_of(items, 5, "; ")
