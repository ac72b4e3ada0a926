"""What may be put into a scenario script: typed variables, and what each type takes (facts/audiocodes.md 5.3, 5.4).

A value ends up inside double quotes on a command line. So nothing is taken that could end the quotes or the line,
or that a device might read as one of these; what is refused is named.
"""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, Self

from audiocodes.script_text import character

LONGEST = 200
LONGEST_NAME = 40
FORBIDDEN = "\"'\\;!"
FORBIDDEN_IN_SECRETS = '"\\'
"""Between double quotes the others are plain characters, and passwords have them."""
AUTOMATIC = {
    "SiteName": "The name of the site",
    "SiteKey": "A short word that no other site has, to make names on the SBC unique",
    "CustomerShortName": "The customer's name in at most 15 plain letters and digits",
    "MsTenantId": "The customer's Azure Tenant Id",
    "OnlinePstnGateway": "The PSTN gateway's FQDN",
}
"""The values that each script gets, with what they are."""
CUSTOM = re.compile(r"CustomVar\.Variable[1-9][0-9]?")
_NUMBER = re.compile(r"-?[0-9]{1,9}", re.ASCII)
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_. -]*", re.ASCII)
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_FQDN = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(?:\.{_LABEL})+")
_WITH_PORT = re.compile(r"(\[[^\]]*\]|[^:\[\]]+)(?::([0-9]{1,5}))?")


class Kind(StrEnum):
    """The type of a variable."""

    TEXT = "text"
    FQDN = "fqdn"
    ADDRESS = "address"
    NUMBER = "number"
    CHOICE = "choice"
    NAME = "name"
    SECRET = "secret"  # noqa: S105

    @property
    def label(self) -> str:
        return _KIND_LABELS[self]


_KIND_LABELS = {
    Kind.TEXT: "Text",
    Kind.FQDN: "FQDN",
    Kind.ADDRESS: "Address: FQDN or IP, also with a port",
    Kind.NUMBER: "Number",
    Kind.CHOICE: "Choice",
    Kind.NAME: "Name of something on the SBC",
    Kind.SECRET: "Secret text",
}


class RefusedValueError(ValueError):
    """A value that is not put into a script; `variable` is its name, `why` never holds the value itself."""

    def __init__(self, variable: str, why: str) -> None:
        self.variable, self.why = variable, why
        super().__init__(f"{variable}: {why}")


@dataclass(frozen=True, slots=True)
class Variable:
    """What a person says about a site for a script. `low` and `high` bound a number, `options` are of a choice."""

    name: str
    kind: Kind = Kind.TEXT
    label: str = ""
    required: bool = True
    default: str = ""
    help: str = ""
    low: int | None = None
    high: int | None = None
    options: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """How it is called on screen."""
        return self.label or (KNOWN[self.name].label if self.name in KNOWN else self.name)

    @property
    def is_secret(self) -> bool:
        return self.kind is Kind.SECRET

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "kind": self.kind.value, "options": list(self.options)}

    @classmethod
    def from_json(cls, given: Mapping[str, Any]) -> Self:
        """Of `to_json`. Raises ValueError or TypeError for anything else."""
        return cls(**{**given, "kind": Kind(given["kind"]), "options": tuple(given.get("options", ()))})


KNOWN = {
    each.name: each
    for each in (
        Variable("CacProfile", Kind.NAME, "CAC profile", help="How many calls at once: 10 sessions."),
        Variable("ProxySet", Kind.NAME, "Proxy set", help="One that is on the SBC already."),
        Variable("CarrierUserName", Kind.TEXT, "Carrier user name"),
        Variable("CarrierUserPassword", Kind.SECRET, "Carrier password"),
        Variable("CarrierMainLine", Kind.TEXT, "Carrier main line"),
        Variable("CarrierHostName", Kind.ADDRESS, "Carrier host name"),
    )
}
"""The variables that other systems know by these names (facts 5.4); the rest are CustomVar.Variable<N>."""


def is_name(name: str) -> bool:
    """Whether a variable may be called so."""
    return name in KNOWN or CUSTOM.fullmatch(name) is not None


def check_value(variable: Variable, value: str) -> str:
    """The value in the form in which it is put in; empty where it may be. Raises RefusedValueError."""
    if not variable.is_secret:
        value = value.strip(" \t") or variable.default
    if not value:
        if variable.required:
            raise RefusedValueError(variable.name, "it is needed")
        return ""
    check_characters(variable.name, value, secret=variable.is_secret)
    try:
        return _CHECKS[variable.kind](variable, value)
    except ValueError as error:
        raise RefusedValueError(variable.name, str(error)) from None


def check_characters(name: str, value: str, *, secret: bool = False) -> None:
    """Raises RefusedValueError for a value that could end its quotes or its line, whatever its type is."""
    if len(value) > LONGEST:
        raise RefusedValueError(name, f"it is longer than {LONGEST} characters")
    never = FORBIDDEN_IN_SECRETS if secret else FORBIDDEN
    for one in value:
        # A device may turn wide or otherwise odd forms of a character into the plain one.
        plain = unicodedata.normalize("NFKC", one)
        if not one.isprintable() or not plain.isprintable() or any(each in never for each in plain):
            why = "cannot be quoted safely on the SBC's command line" if secret else "is not sent to an SBC"
            raise RefusedValueError(name, f"{character(one)} {why}")


def short_name(name: str, longest: int = 15) -> str:
    """A customer's name in plain letters and digits, for names on an SBC; never empty."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    return re.sub(r"[^A-Za-z0-9]", "", plain)[:longest] or "customer"


def _text(_: Variable, value: str) -> str:
    return value


def _fqdn(_: Variable, value: str) -> str:
    name = value.lower().rstrip(".")
    if not _FQDN.fullmatch(name) or name.rsplit(".", 1)[-1].isdecimal():
        raise ValueError("it is no FQDN such as sbc.contoso.com")
    return name


def _address(variable: Variable, value: str) -> str:
    found = _WITH_PORT.fullmatch(value.lower())
    if found is None or not 0 < int(found[2] or 1) < 65536:
        raise ValueError("it is no FQDN or IP address, with a port behind a colon if need be")
    host, port = found[1], f":{int(found[2])}" if found[2] else ""
    try:
        address = ipaddress.ip_address(host.removeprefix("[").removesuffix("]"))
    except ValueError:
        return f"{_fqdn(variable, host)}{port}"
    if address.version == 6 and (not host.startswith("[") or "%" in host):
        raise ValueError("an address of IPv6 stands in square brackets")
    if address.version == 4 and host.startswith("["):
        raise ValueError("only an address of IPv6 stands in square brackets")
    return f"[{address}]{port}" if address.version == 6 else f"{address}{port}"


def _number(variable: Variable, value: str) -> str:
    if not _NUMBER.fullmatch(value):
        raise ValueError("it is no whole number")
    number = int(value)
    if variable.low is not None and number < variable.low:
        raise ValueError(f"it is at least {variable.low}")
    if variable.high is not None and number > variable.high:
        raise ValueError(f"it is at most {variable.high}")
    return str(number)


def _choice(variable: Variable, value: str) -> str:
    if value not in variable.options:
        raise ValueError(f"it is one of: {', '.join(variable.options)}")
    return value


def _name(_: Variable, value: str) -> str:
    if len(value) > LONGEST_NAME or not _NAME.fullmatch(value):
        raise ValueError(f"it has 1 to {LONGEST_NAME} letters, digits, blanks, dots, hyphens and underscores")
    return value


_CHECKS = {
    Kind.TEXT: _text,
    Kind.FQDN: _fqdn,
    Kind.ADDRESS: _address,
    Kind.NUMBER: _number,
    Kind.CHOICE: _choice,
    Kind.NAME: _name,
    Kind.SECRET: _text,
}
