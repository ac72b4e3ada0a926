"""What makes up the voice routing of a customer's Teams, as values (facts/microsoft.md 10.2 and 11).

Teams compares names without their case, answers policies and dial plans as `Tag:name`, and keeps all PSTN usages
in one list. A route's gateways and usages are sets; the usages of a policy are tried in their order. A route's
priority is left to Teams: each site has a usage of its own, so the policy alone says which route comes first.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, TypeAlias

from core.errors import UmpError
from m365.clouds import CLOUDS, Cloud

SIP_PORT = 5061
LONGEST_FQDN = 63
LONGEST_PATTERN = 512
MOST_RULES = 50
ANY_NUMBER = ".*"
_ONLY_SIP_PORT = frozenset({"gcc_high", "dod"})

_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9 ._-]{0,45}[A-Za-z0-9._-])?")
_FQDN = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.){2,}[a-z]{2,}")


class Part(enum.StrEnum):
    """The kinds of things, each after those that it needs."""

    GATEWAY = "PSTN gateway"
    USAGE = "PSTN usage"
    ROUTE = "voice route"
    POLICY = "voice routing policy"
    DIAL_PLAN = "tenant dial plan"


def fold(name: str) -> str:
    """The name as Teams compares it."""
    return name.lower()


@dataclass(frozen=True, slots=True)
class Thing:
    """Which thing; two of names that differ in case only are the same."""

    part: Part
    name: str = field(compare=False)
    key: str = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "key", fold(self.name))

    def __str__(self) -> str:
        return f"{self.part} {self.name}"


@dataclass(frozen=True, slots=True)
class Gateway:
    """A PSTN gateway (SIP trunk) in the customer's own organisation; a derived trunk has none (facts 11)."""

    name: str
    """Its FQDN."""
    port: int = SIP_PORT
    enabled: bool = True
    forward_pai: bool = True
    media_bypass: bool = False
    max_sessions: int | None = None
    """None leaves it to Teams, and is as good as any."""


@dataclass(frozen=True, slots=True)
class Usage:
    name: str


@dataclass(frozen=True, slots=True)
class Route:
    name: str
    pattern: str = ANY_NUMBER
    """A regular expression; numbers that it finds take this route."""
    gateways: tuple[str, ...] = ()
    usages: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Policy:
    name: str
    usages: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Rule:
    """Turns what somebody dials into a number: the first rule of the plan whose pattern fits."""

    name: str
    pattern: str
    translation: str
    internal_extension: bool = False


@dataclass(frozen=True, slots=True)
class DialPlan:
    name: str
    rules: tuple[Rule, ...] = ()


Noun: TypeAlias = Gateway | Usage | Route | Policy | DialPlan

_PARTS: Mapping[type[Noun], Part] = {
    Gateway: Part.GATEWAY,
    Usage: Part.USAGE,
    Route: Part.ROUTE,
    Policy: Part.POLICY,
    DialPlan: Part.DIAL_PLAN,
}
_NOUNS: Mapping[Part, type[Noun]] = {part: noun for noun, part in _PARTS.items()}


def thing_of(noun: Noun) -> Thing:
    return Thing(_PARTS[type(noun)], noun.name)


def same(wanted: Noun, found: Noun) -> bool:
    """Whether what Teams has does what is wanted."""
    return _essence(wanted) == _essence(_as_wanted(wanted, found))


def _as_wanted(wanted: Noun, found: Noun) -> Noun:
    if isinstance(wanted, Gateway) and isinstance(found, Gateway) and wanted.max_sessions is None:
        return Gateway(found.name, found.port, found.enabled, found.forward_pai, found.media_bypass)
    return found


def _essence(noun: Noun) -> tuple[object, ...]:
    key = (type(noun), fold(noun.name))
    if isinstance(noun, Gateway):
        return (*key, noun.port, noun.enabled, noun.forward_pai, noun.media_bypass, noun.max_sessions)
    if isinstance(noun, Route):
        return (*key, noun.pattern, frozenset(map(fold, noun.gateways)), frozenset(map(fold, noun.usages)))
    if isinstance(noun, Policy):
        return (*key, tuple(map(fold, noun.usages)))
    if isinstance(noun, DialPlan):
        return (
            *key,
            tuple((fold(r.name), r.pattern, r.translation, r.internal_extension) for r in noun.rules),
        )
    return key


def described(noun: Noun) -> dict[str, str]:
    """The thing in words for a person, by the label of each."""
    if isinstance(noun, Gateway):
        return {
            "FQDN": noun.name,
            "SIP signalling port": str(noun.port),
            "Enabled": _yes(noun.enabled),
            "Forward P-Asserted-Identity": _yes(noun.forward_pai),
            "Media bypass": _yes(noun.media_bypass),
            "Concurrent sessions": "not limited" if noun.max_sessions is None else str(noun.max_sessions),
        }
    if isinstance(noun, Route):
        return {
            "Name": noun.name,
            "Number pattern": noun.pattern,
            "Trunks": ", ".join(noun.gateways) or "none",
            "PSTN usages": ", ".join(noun.usages) or "none",
        }
    if isinstance(noun, Policy):
        return {"Name": noun.name, "PSTN usages": ", ".join(noun.usages) or "none"}
    if isinstance(noun, DialPlan):
        rules = (f"{rule.name}: {rule.pattern} becomes {rule.translation}" for rule in noun.rules)
        return {"Name": noun.name, "Normalization rules": "; ".join(rules) or "none"}
    return {"Name": noun.name}


def _yes(flag: bool) -> str:
    return "yes" if flag else "no"


@dataclass(frozen=True, slots=True)
class Routing:
    """A customer's voice routing: what is wanted, or what Teams has."""

    gateways: tuple[Gateway, ...] = ()
    usages: tuple[Usage, ...] = ()
    routes: tuple[Route, ...] = ()
    policies: tuple[Policy, ...] = ()
    dial_plans: tuple[DialPlan, ...] = ()

    def nouns(self) -> tuple[Noun, ...]:
        """All of it, each thing after those that it needs."""
        return (*self.gateways, *self.usages, *self.routes, *self.policies, *self.dial_plans)

    def by_thing(self) -> dict[Thing, Noun]:
        return {thing_of(noun): noun for noun in self.nouns()}

    def find(self, thing: Thing) -> Noun | None:
        return self.by_thing().get(thing)

    def replaced(self, thing: Thing, noun: Noun | None) -> Routing:
        """The same with this thing put in, changed, or (None) taken out."""
        every = self.by_thing()
        if noun is None:
            every.pop(thing, None)
        else:
            every[thing] = noun
        return of(every.values())


def of(nouns: Iterable[Noun]) -> Routing:
    """Raises UmpError (invalid_input) when two things of one kind have the same name and differ."""
    every: dict[Thing, Noun] = {}
    for noun in nouns:
        thing = thing_of(noun)
        if thing in every and not same(noun, every[thing]):
            raise UmpError.of("invalid_input", field=str(thing), why="two sites want it, and differ")
        every[thing] = noun
    return Routing(
        tuple(noun for noun in every.values() if isinstance(noun, Gateway)),
        tuple(noun for noun in every.values() if isinstance(noun, Usage)),
        tuple(noun for noun in every.values() if isinstance(noun, Route)),
        tuple(noun for noun in every.values() if isinstance(noun, Policy)),
        tuple(noun for noun in every.values() if isinstance(noun, DialPlan)),
    )


def combined(sites: Iterable[Routing]) -> Routing:
    """What all sites of a customer want together. Raises as `of`."""
    return of(noun for site in sites for noun in site.nouns())


def for_site(
    name: str,
    fqdn: str,
    *,
    own_gateway: bool = False,
    port: int = SIP_PORT,
    media_bypass: bool = False,
    max_sessions: int | None = None,
    pattern: str = ANY_NUMBER,
    rules: Sequence[Rule] = (),
    cloud: Cloud = CLOUDS["global"],
) -> Routing:
    """The voice routing of one site; its PSTN usage, route, policy and dial plan are all called `name`.

    Without `own_gateway` the trunk is derived from the provider's carrier trunk (decision 27): it is only named in
    the route, takes port and settings from there, and no gateway is made. A dial plan is made where there are
    `rules`. Raises UmpError (invalid_input).
    """
    _check(bool(_NAME.fullmatch(name)), "Name", "use up to 47 letters, digits, blanks, dots and hyphens")
    host = checked_fqdn(fqdn)
    _check_pattern("Number pattern", pattern)
    checked = tuple(_checked_rule(rule) for rule in rules)
    _check(len(checked) <= MOST_RULES, "Normalization rules", f"a dial plan holds at most {MOST_RULES}")
    _check(
        len({fold(rule.name) for rule in checked}) == len(checked),
        "Normalization rules",
        "a name is used twice",
    )
    gateways: tuple[Gateway, ...] = ()
    if own_gateway:
        _check(1 <= port <= 65535, "SIP signalling port", "it is not between 1 and 65535")
        _check(
            port == SIP_PORT or cloud.key not in _ONLY_SIP_PORT,
            "SIP signalling port",
            f"{cloud.name} knows only {SIP_PORT}",
        )
        _check(max_sessions is None or max_sessions > 0, "Concurrent sessions", "it is less than 1")
        gateways = (Gateway(host, port, media_bypass=media_bypass, max_sessions=max_sessions),)
    return Routing(
        gateways,
        (Usage(name),),
        (Route(name, pattern, (host,), (name,)),),
        (Policy(name, (name,)),),
        (DialPlan(name, checked),) if checked else (),
    )


def checked_fqdn(text: str) -> str:
    """The name of a trunk as Teams takes it. Raises UmpError (invalid_input)."""
    host = text.strip().lower().removesuffix(".")
    _check(len(host) <= LONGEST_FQDN, "FQDN", f"it is longer than {LONGEST_FQDN} characters")
    _check(bool(_FQDN.fullmatch(host)), "FQDN", "it is not a full host name, such as sbc1.voice.example.com")
    _check(
        not host.endswith((".onmicrosoft.com", ".onmicrosoft.us", ".onmschina.cn")),
        "FQDN",
        "Teams takes no trunk below onmicrosoft.com",
    )
    return host


def _checked_rule(rule: Rule) -> Rule:
    _check(
        bool(_NAME.fullmatch(rule.name)),
        "Normalization rule",
        "use letters, digits, blanks, dots and hyphens",
    )
    _check_pattern("Pattern", rule.pattern)
    _check(0 < len(rule.translation) <= LONGEST_PATTERN, "Translation", "it is empty or too long")
    _check(rule.translation.isprintable(), "Translation", "it has characters that cannot be seen")
    return rule


def _check_pattern(what: str, pattern: str) -> None:
    """Nearly as Teams would: it reads .NET's regular expressions, which hardly differ for numbers."""
    _check(0 < len(pattern) <= LONGEST_PATTERN and pattern.isprintable(), what, "it is empty or too long")
    try:
        re.compile(pattern)
    except (re.error, RecursionError, OverflowError):
        raise UmpError.of("invalid_input", field=what, why="it is not a regular expression") from None


def _check(good: bool, what: str, why: str) -> None:
    if not good:
        raise UmpError.of("invalid_input", field=what, why=why)


# --- Reading and keeping ----------------------------------------------------------------------------------

Rows: TypeAlias = Sequence[Mapping[str, Any]]


def observed(rows: Mapping[str, Rows]) -> Routing:
    """What Teams has, from the rows of `m365.powershell.cmdlets.READS`, whoever ran them.

    Raises UmpError (bad_reply) for rows that are none, since a plan made from half a reading would create anew what
    is there.
    """
    try:
        return Routing(
            tuple(_gateway(row) for row in rows["gateways"]),
            tuple(Usage(name) for row in rows["usages"] for name in _texts(row.get("Usage"))),
            tuple(_route(row) for row in rows["routes"]),
            tuple(Policy(_name(row), _texts(row.get("OnlinePstnUsages"))) for row in rows["policies"]),
            tuple(
                DialPlan(_name(row), tuple(_rule(rule) for rule in _list(row.get("NormalizationRules"))))
                for row in rows["dial_plans"]
            ),
        )
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
        raise UmpError.of("bad_reply", host="Teams", why="it does not describe voice routing") from None


def _gateway(row: Mapping[str, Any]) -> Gateway:
    sessions = row.get("MaxConcurrentSessions")
    return Gateway(
        fold(_name(row)),
        int(row["SipSignalingPort"]),
        _flag(row["Enabled"]),
        _flag(row.get("ForwardPai")),
        _flag(row.get("MediaBypass")),
        int(sessions) if sessions else None,
    )


def _route(row: Mapping[str, Any]) -> Route:
    gateways = tuple(fold(name) for name in _texts(row.get("OnlinePstnGatewayList")))
    return Route(_name(row), _text(row["NumberPattern"]), gateways, _texts(row.get("OnlinePstnUsages")))


def _rule(row: Mapping[str, Any]) -> Rule:
    return Rule(
        _text(row["Name"]),
        _text(row["Pattern"]),
        _text(row["Translation"]),
        _flag(row.get("IsInternalExtension")),
    )


def _name(row: Mapping[str, Any]) -> str:
    return _text(row["Identity"]).removeprefix("Tag:")


def _text(given: object) -> str:
    if not isinstance(given, str):
        raise TypeError
    return given


def _flag(given: object) -> bool:
    if not isinstance(given, (bool, type(None))):
        raise TypeError
    return bool(given)


def _list(given: object) -> list[Any]:
    """Of one element PowerShell makes that element itself, of none nothing."""
    if given is None:
        return []
    return given if isinstance(given, list) else [given]


def _texts(given: object) -> tuple[str, ...]:
    return tuple(_text(each) for each in _list(given))


def to_json(noun: Noun) -> dict[str, Any]:
    """For a database column; `from_json` reads it back."""
    kept: dict[str, Any] = {"part": thing_of(noun).part.value}
    for each in fields(noun):
        given = getattr(noun, each.name)
        if isinstance(noun, DialPlan) and each.name == "rules":
            given = [{f.name: getattr(rule, f.name) for f in fields(rule)} for rule in noun.rules]
        kept[each.name] = list(given) if isinstance(given, tuple) else given
    return kept


def from_json(kept: Mapping[str, Any]) -> Noun:
    """Raises KeyError, TypeError or ValueError for what `to_json` did not write."""
    values: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in kept.items()
    }
    noun: Any = _NOUNS[Part(values.pop("part"))]
    if noun is DialPlan:
        values["rules"] = tuple(Rule(**rule) for rule in values["rules"])
    made: Noun = noun(**values)
    return made
