"""OData query options as Graph's directory understands them: $select, $top, $filter, $orderby, $search."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from simulator.graph.call import TYPES, Call, UnknownRequestError
from simulator.graph.errors import GraphError, unsupported

Row = dict[str, Any]
Test = Callable[[Row], bool]

# Properties Microsoft serves for one user at a time only: 501 in lists and deltas.
ONE_BY_ONE = frozenset(
    {"aboutMe", "birthday", "hireDate", "interests", "mySite", "pastProjects", "preferredName"}
    | {"responsibilities", "schools", "skills", "mailboxSettings"}
)
_DEFAULTS = {
    kind: tuple(name for name, about in properties.items() if about.get("default"))
    for kind, properties in TYPES.items()
}
_NAMES = {kind: {name.lower(): name for name in properties} for kind, properties in TYPES.items()}

_TOKEN = re.compile(r"\s*('(?:[^']|'')*'|[(),]|[\w./:-]+)")


def default_properties(kind: str) -> tuple[str, ...]:
    """What Graph returns of a type without $select; everything for types that mark no defaults."""
    return _DEFAULTS[kind] if len(_DEFAULTS[kind]) > 1 else tuple(TYPES[kind])


def property_name(kind: str, name: str) -> str:
    """The property's proper spelling; 400 for one the type does not have."""
    proper = _NAMES[kind].get(name.strip().lower())
    if proper is None:
        raise UnknownRequestError(
            f"Could not find a property named '{name.strip()}' on type 'microsoft.graph.{kind}'."
        )
    return proper


def selected(call: Call, kind: str, *, extra: frozenset[str] = frozenset()) -> tuple[str, ...] | None:
    """The properties asked for by $select, or None when there is no $select."""
    text = call.query.get("$select", "").strip()
    if not text:
        return None
    names = [name.strip() for name in text.split(",")]
    return tuple(dict.fromkeys(name if name in extra else property_name(kind, name) for name in names))


def refuse_one_by_one(names: tuple[str, ...] | None) -> None:
    """501 for a property that has no place in a collection (facts 5.1)."""
    if names is not None and not ONE_BY_ONE.isdisjoint(names):
        raise GraphError(501, "NotImplemented", "This operation target is not yet supported.")


def pick(row: Row, names: tuple[str, ...]) -> Row:
    """Those properties of an object, null where it has none."""
    get = row.get
    return {name: get(name) for name in names}


def page_size(call: Call, default: int, highest: int = 999) -> int:
    """$top, checked as the directory checks it."""
    text = call.query.get("$top")
    if text is None:
        return default
    if not text.isdigit() or not 1 <= int(text) <= highest:
        raise unsupported(
            f"Invalid page size specified: '{text}'. Must be between 1 and {highest} inclusive."
        )
    return int(text)


def _literal(token: str) -> Any:
    if token.startswith("'"):
        return token[1:-1].replace("''", "'")
    words: dict[str, Any] = {"true": True, "false": False, "null": None}
    lowered = token.lower()
    if lowered in words:
        return words[lowered]
    return int(token) if token.isdigit() else token


def _fold(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value


class _Filter:
    """A recursive-descent reader for the part of $filter that directory clients use."""

    def __init__(self, text: str, kind: str) -> None:
        self._tokens = _TOKEN.findall(text)
        if "".join(self._tokens).replace(" ", "") != text.replace(" ", ""):
            raise unsupported(f"Invalid filter clause: {text}")
        self._kind = kind
        self._at = 0
        self.advanced = False

    def read(self) -> Test:
        test = self._any_of()
        if self._at != len(self._tokens):
            raise unsupported("Invalid filter clause.")
        return test

    def _next(self, expected: str | None = None) -> str:
        if self._at >= len(self._tokens):
            raise unsupported("Invalid filter clause: unexpected end.")
        token = self._tokens[self._at]
        if expected is not None and token.lower() != expected:
            raise unsupported(f"Invalid filter clause: '{token}' where '{expected}' was expected.")
        self._at += 1
        return str(token)

    def _peek(self) -> str:
        return self._tokens[self._at].lower() if self._at < len(self._tokens) else ""

    def _any_of(self) -> Test:
        tests = [self._all_of()]
        while self._peek() == "or":
            self._next()
            tests.append(self._all_of())
        return tests[0] if len(tests) == 1 else lambda row: any(test(row) for test in tests)

    def _all_of(self) -> Test:
        tests = [self._clause()]
        while self._peek() == "and":
            self._next()
            tests.append(self._clause())
        return tests[0] if len(tests) == 1 else lambda row: all(test(row) for test in tests)

    def _clause(self) -> Test:
        word = self._peek()
        if word == "(":
            self._next()
            inner = self._any_of()
            self._next(")")
            return inner
        if word == "not":
            self._next()
            self.advanced = True
            negated = self._clause()
            return lambda row: not negated(row)
        if word in {"startswith", "endswith"}:
            return self._text_function()
        if "/any" in word:
            return self._any_element()
        return self._comparison()

    def _text_function(self) -> Test:
        function = self._next().lower()
        self.advanced = self.advanced or function == "endswith"
        self._next("(")
        name = property_name(self._kind, self._next())
        self._next(",")
        value = str(_literal(self._next())).lower()
        self._next(")")
        if function == "startswith":
            return lambda row: str(row.get(name) or "").lower().startswith(value)
        return lambda row: str(row.get(name) or "").lower().endswith(value)

    def _any_element(self) -> Test:
        name = property_name(self._kind, self._next().split("/")[0])
        self._next("(")
        variable = self._next()  # such as "x:x/skuId" or "c:c"
        field = variable.partition("/")[2]
        self._next("eq")
        value = _fold(_literal(self._next()))
        self._next(")")
        if field:
            return lambda row: any(_fold(item.get(field)) == value for item in row.get(name) or ())
        return lambda row: any(_fold(item) == value for item in row.get(name) or ())

    def _comparison(self) -> Test:
        name = property_name(self._kind, self._next())
        operator = self._next().lower()
        if operator == "in":
            self._next("(")
            values = {_fold(_literal(self._next()))}
            while self._peek() == ",":
                self._next()
                values.add(_fold(_literal(self._next())))
            self._next(")")
            return lambda row: _fold(row.get(name)) in values
        value = _fold(_literal(self._next()))
        if operator == "eq":
            return lambda row: bool(_fold(row.get(name)) == value)
        if operator == "ne":
            self.advanced = True
            return lambda row: bool(_fold(row.get(name)) != value)
        raise UnknownRequestError(f"Unsupported filter operator '{operator}'.", "Request_UnsupportedQuery")


def filter_test(call: Call, kind: str) -> Test | None:
    """$filter and $search as one test, or None; advanced ones need the eventual header and $count."""
    tests: list[Test] = []
    advanced = "$search" in call.query
    if call.query.get("$filter"):
        reader = _Filter(call.query["$filter"], kind)
        tests.append(reader.read())
        advanced = advanced or reader.advanced or "$orderby" in call.query
    if advanced and not (call.eventual and (counted(call) or "$search" in call.query)):
        raise unsupported(
            "Unsupported or invalid query filter clause specified for property of resource. Advanced queries "
            "need the header ConsistencyLevel: eventual and $count=true."
        )
    if "$search" in call.query:
        tests.append(_search(call.query["$search"], kind))
    return (lambda row: all(test(row) for test in tests)) if tests else None


def _search(text: str, kind: str) -> Test:
    name, colon, wanted = text.strip().strip('"').partition(":")
    if not colon:
        raise unsupported('Syntax error: $search takes "property:text" in quotation marks.')
    proper, needle = property_name(kind, name), wanted.lower()
    return lambda row: needle in str(row.get(proper) or "").lower()


def counted(call: Call) -> bool:
    return call.query.get("$count", "").lower() == "true"


def order(call: Call, kind: str) -> tuple[str, bool] | None:
    """$orderby as (property, descending)."""
    text = call.query.get("$orderby", "").strip()
    if not text:
        return None
    name, _, direction = text.partition(" ")
    return property_name(kind, name), direction.strip().lower() == "desc"
