"""The configuration of a device: its tables, how they are written as an ini file, and what may stand in them."""

from __future__ import annotations

import copy
import dataclasses
import re
from collections.abc import Iterator

Row = dict[str, str]
_PREFIX = re.compile(
    r"(?:\+?(?:[0-9A-Zxzn.]|\[[0-9]+(?:-[0-9]+)?(?:,[0-9]+(?:-[0-9]+)?)*\])*(?:\(.*\))?#?|\*)\Z"
)
_GROUP = re.compile(r"\[([^\]]*)\]")


class RefusedError(Exception):
    """A value or an act that the device does not take; the text is what it says."""


@dataclasses.dataclass(frozen=True)
class Kind:
    """A table: how CLI calls it, its columns by their CLI names, and which of them point to another table's Name."""

    table: str
    command: str
    columns: dict[str, str]
    points: dict[str, str] = dataclasses.field(default_factory=dict)
    inside: str = ""
    """The command of the table whose rows it belongs to."""


_KINDS = (
    Kind("CpMediaRealm", "realm", {"name": "MediaRealmName", "port-range-start": "PortRangeStart"}),
    Kind("ProxySet", "proxy-set", {"proxy-name": "ProxyName", "name": "ProxyName"}),
    Kind("ProxyIp", "proxy-ip", {"proxy-address": "IpAddress"}, inside="proxy-set"),
    Kind("IpProfile", "ip-profile", {"profile-name": "ProfileName"}),
    Kind(
        "IPGroup",
        "ip-group",
        {
            "name": "Name",
            "proxy-set-name": "ProxySetName",
            "tags": "Tags",
            "call-setup-rules-set-id": "CallSetupRulesSetId",
            "cac-profile": "AdmProfile",
            "outbound-mesg-manipulation-set": "OutboundManSet",
        },
        {"ProxySetName": "proxy-set"},
    ),
    Kind(
        "Account",
        "sip-definition account",
        {
            "user-name": "Username",
            "password": "Password",
            "host-name": "HostName",
            "contact-user": "ContactUser",
            "served-ip-group-name": "ServedIPGroupName",
        },
        {"ServedIPGroupName": "ip-group"},
    ),
    Kind(
        "Classification",
        "sbc classification",
        {
            "classification-name": "ClassificationName",
            "src-ip-group-name": "SrcIPGroupName",
            "dst-host": "DestHost",
        },
        {"SrcIPGroupName": "ip-group"},
    ),
    Kind("DialPlan", "sbc dial-plan", {"name": "Name"}),
    Kind(
        "DialPlanRule",
        "dial-plan-rule",
        {"name": "Name", "prefix": "Prefix", "tag": "Tag"},
        inside="sbc dial-plan",
    ),
    Kind(
        "MessageManipulations",
        "message message-manipulations",
        {"manipulation-set-id": "ManSetID", "action-value": "ActionValue"},
    ),
)
KINDS = {kind.command: kind for kind in _KINDS}
_NAMES = {"proxy-set": "ProxyName", "ip-group": "Name", "sbc dial-plan": "Name"}


class Configuration:
    """Rows by command and index. Rows of an inner table have (outer index, inner index)."""

    def __init__(self) -> None:
        self.rows: dict[str, dict[tuple[int, ...], Row]] = {command: {} for command in KINDS}

    def copy(self) -> Configuration:
        return copy.deepcopy(self)

    def put(self, command: str, key: tuple[int, ...], row: Row) -> None:
        """Raises RefusedError, and then nothing has changed."""
        kind = KINDS[command]
        for column, other in kind.points.items():
            if row.get(column) and row[column] not in self._names(other):
                raise RefusedError(f"{column} '{row[column]}' does not exist")
        name = _NAMES.get(command)
        if name:
            if not row.get(name):
                raise RefusedError(f"{name} must not be empty")
            if any(other != key and each[name] == row[name] for other, each in self.rows[command].items()):
                raise RefusedError(f"{name} '{row[name]}' is used already")
        if command == "dial-plan-rule":
            self._check_rule(key, row)
        self.rows[command][key] = row

    def _check_rule(self, key: tuple[int, ...], row: Row) -> None:
        prefix = row.get("Prefix", "")
        if not prefix or len(prefix) > 50 or not _PREFIX.match(prefix):
            raise RefusedError(f"Prefix '{prefix}' is not valid")
        for group in _GROUP.findall(prefix):
            if len({len(number) for number in re.split("[-,]", group)}) != 1:
                raise RefusedError(f"Prefix '{prefix}' has numbers of different widths")
        if len(row.get("Name", "")) > 15 or len(row.get("Tag", "")) > 70:
            raise RefusedError("Name or Tag is too long")
        if self.unique and any(
            other != key and other[0] == key[0] and each["Prefix"] == prefix
            for other, each in self.rows["dial-plan-rule"].items()
        ):
            raise RefusedError(f"Prefix '{prefix}' is in this plan already")

    unique = True
    """Whether equal prefixes of one plan are looked for; off while very many are planted."""

    def remove(self, command: str, key: tuple[int, ...]) -> None:
        """Raises RefusedError for a row that is not there, or that another one points to."""
        row = self.rows[command].get(key)
        if row is None:
            raise RefusedError("there is no such row")
        name = row.get(_NAMES.get(command, ""), "")
        for other in KINDS.values():
            for column, pointed in other.points.items():
                if pointed == command and any(
                    each.get(column) == name for each in self.rows[other.command].values()
                ):
                    raise RefusedError(f"the row is used by {other.table}")
        del self.rows[command][key]
        for inner in KINDS.values():
            if inner.inside == command:
                self.rows[inner.command] = {
                    at: each for at, each in self.rows[inner.command].items() if at[0] != key[0]
                }

    def _names(self, command: str) -> set[str]:
        return {row[_NAMES[command]] for row in self.rows[command].values()}

    def ini(self, *, old: bool = False) -> str:
        """The file; `old` firmware writes the table's name before each column."""
        lines = [
            ";**************",
            ";** Ini File **",
            ";**************",
            "",
            "[SYSTEM Params]",
            "",
            "SyslogServerIP = 0.0.0.0",
            "",
        ]
        for kind in KINDS.values():
            lines += ["", f"[ {kind.table} ]", "", *self._table(kind, old=old), "", f"[ \\{kind.table} ]", ""]
        return "\n".join(lines)

    def _table(self, kind: Kind, *, old: bool) -> Iterator[str]:
        columns = list(dict.fromkeys(kind.columns.values()))
        if kind.command == "dial-plan-rule":
            columns = ["DialPlanName", "RuleIndex", *columns]
        elif kind.inside:
            columns = ["ProxySetId", "ProxyIpIndex", *columns]
        head = [f"{kind.table}_{column}" for column in ["Index", *columns]] if old else ["Index", *columns]
        yield f"FORMAT {head[0]} = {', '.join(head[1:])};"
        for number, (key, row) in enumerate(sorted(self.rows[kind.command].items())):
            values = [self._value(kind, key, row, column) for column in columns]
            yield f"{kind.table} {number if kind.inside else key[0]} = {', '.join(values)};"

    def _value(self, kind: Kind, key: tuple[int, ...], row: Row, column: str) -> str:
        if column == "DialPlanName":
            return f'"{self.rows["sbc dial-plan"][key[:1]]["Name"]}"'
        if column in {"RuleIndex", "ProxyIpIndex", "ProxySetId"}:
            return str(key[0] if column == "ProxySetId" else key[1])
        value = "$1$hidden" if column == "Password" and row.get(column) else row.get(column, "")
        return f'"{value}"'
