"""The CsOnlineUser Filter as people write it (M36-13), a part of what Get-CsOnlineUser takes.

See facts/microsoft.md 10.3.

    Department -eq 'Sales' -and (AssignedPlan -contains 'MCOEV' -or MemberOf -eq 'Voice pilots')

Reading it touches no database and runs nothing: the result is a tree of terms, which `directory.scoping` turns
into SQL. PowerShell gives -and and -or the same rank, SQL does not, so a mixture without parentheses is refused
rather than guessed at.
"""

import dataclasses
import enum
import re
from collections.abc import Callable, Iterator

LONGEST = 2_000
MOST_TERMS, DEEPEST = 40, 12


class Shape(enum.Enum):
    """What an attribute holds, and so how it may be compared."""

    TEXT = "text"
    FLAG = "flag"
    SET = "set"


@dataclasses.dataclass(frozen=True)
class Attribute:
    """Something of a user; `column` of the mirror, or empty where the answer is worked out."""

    name: str
    shape: Shape
    column: str
    says: str


ATTRIBUTES = (
    Attribute("AccountEnabled", Shape.FLAG, "account_enabled", "whether the account may sign in"),
    Attribute("AssignedPlan", Shape.SET, "", "service plans of the assigned licences, such as MCOEV"),
    Attribute("City", Shape.TEXT, "city", "the city"),
    Attribute("Company", Shape.TEXT, "company_name", "the company"),
    Attribute("Country", Shape.TEXT, "country", "the country or region"),
    Attribute("Department", Shape.TEXT, "department", "the department"),
    Attribute("DisplayName", Shape.TEXT, "display_name", "the name that is shown"),
    Attribute("Domain", Shape.TEXT, "", "what follows the @ of the user principal name"),
    Attribute("FirstName", Shape.TEXT, "given_name", "the given name"),
    Attribute("LastName", Shape.TEXT, "surname", "the surname"),
    Attribute("Licence", Shape.SET, "", "assigned licences by part number, such as SPE_E5"),
    Attribute("Mail", Shape.TEXT, "mail", "the mail address"),
    Attribute("MemberOf", Shape.SET, "", "groups of which the user is a direct member, by name or object id"),
    Attribute("Office", Shape.TEXT, "office_location", "the office"),
    Attribute(
        "OnPremises", Shape.FLAG, "on_premises", "whether the user comes from an on-premises directory"
    ),
    Attribute("Title", Shape.TEXT, "job_title", "the job title"),
    Attribute("UsageLocation", Shape.TEXT, "usage_location", "the two letters of the usage location"),
    Attribute("UserPrincipalName", Shape.TEXT, "user_principal_name", "the name to sign in with"),
    Attribute("UserType", Shape.TEXT, "user_type", "Member or Guest"),
)
NAMED = {one.name.lower(): one for one in ATTRIBUTES}
OPERATORS = {
    Shape.TEXT: ("-eq", "-ne", "-like", "-notlike", "-in", "-notin"),
    Shape.FLAG: ("-eq", "-ne"),
    Shape.SET: ("-contains", "-notcontains", "-eq", "-ne", "-like", "-notlike"),
}
OPPOSITE = {"-ne": "-eq", "-notlike": "-like", "-notin": "-in", "-notcontains": "-contains"}


class FilterError(ValueError):
    """The text is no filter; `position` counts characters from 1."""

    def __init__(self, why: str, position: int) -> None:
        super().__init__(f"{why}, at position {position}")
        self.why, self.position = why, position


@dataclasses.dataclass(frozen=True)
class Term:
    """One comparison. `values` are texts or, of a flag, one bool."""

    attribute: Attribute
    operator: str
    values: tuple[str | bool, ...]

    def __str__(self) -> str:
        return f"{self.attribute.name} {self.operator} {', '.join(_quoted(value) for value in self.values)}"


@dataclasses.dataclass(frozen=True)
class Not:
    part: "Node"

    def __str__(self) -> str:
        return f"-not ({self.part})"


@dataclasses.dataclass(frozen=True)
class Several:
    """`word` is -and or -or."""

    word: str
    parts: "tuple[Node, ...]"

    def __str__(self) -> str:
        return f" {self.word} ".join(str(p) if isinstance(p, Term) else f"({p})" for p in self.parts)


Node = Term | Not | Several


def terms(node: Node) -> Iterator[Term]:
    """Every comparison, in the order of the text."""
    if isinstance(node, Term):
        yield node
    else:
        for part in (node.part,) if isinstance(node, Not) else node.parts:
            yield from terms(part)


def holds(node: Node, truth: Callable[[Term], bool]) -> bool:
    """Whether it is true of something for which each of its terms is as `truth` says."""
    if isinstance(node, Term):
        return truth(node)
    if isinstance(node, Not):
        return not holds(node.part, truth)
    found = (holds(part, truth) for part in node.parts)
    return all(found) if node.word == "-and" else any(found)


def culprits(node: Node, truth: Callable[[Term], bool], wanted: bool = True) -> list[tuple[Term, bool]]:
    """The terms to which it is owed that it is not as wanted, each with what it should have been."""
    if holds(node, truth) == wanted:
        return []
    if isinstance(node, Term):
        return [(node, wanted)]
    if isinstance(node, Not):
        return culprits(node.part, truth, not wanted)
    return [found for part in node.parts for found in culprits(part, truth, wanted)]


def _quoted(value: str | bool) -> str:
    if isinstance(value, bool):
        return "$true" if value else "$false"
    return "'" + value.replace("'", "''") + "'"


# --- Reading ------------------------------------------------------------------------------------------------
TOKEN = re.compile(
    r"""(?P<blank>\s+)
      | (?P<text>'(?:[^']|'')*'|"(?:[^"]|"")*")
      | (?P<word>-[A-Za-z]+|!)
      | (?P<value>\$[A-Za-z]+)
      | (?P<name>[A-Za-z][A-Za-z0-9]*)
      | (?P<sign>[(){},])""",
    re.VERBOSE,
)
END = "the end"


@dataclasses.dataclass(frozen=True)
class Token:
    kind: str
    text: str
    position: int


def parse(text: str) -> Node:
    """The tree of a filter. Raises FilterError saying what is wrong, and where."""
    if len(text) > LONGEST:
        raise FilterError(f"it is longer than {LONGEST:,} characters", LONGEST + 1)
    return _Reader(list(_tokens(text))).whole()


def _tokens(text: str) -> Iterator[Token]:
    at = 0
    while at < len(text):
        found = TOKEN.match(text, at)
        if found is None:
            raise FilterError(_odd(text[at]), at + 1)
        kind = str(found.lastgroup)
        if kind != "blank":
            yield Token(kind, found.group(), at + 1)
        at = found.end()
    yield Token("end", END, len(text) + 1)


def _odd(sign: str) -> str:
    if sign in "'\"":
        return "a quote is opened and never closed"
    if sign in "\u2018\u2019\u201c\u201d":
        return "this is a typographic quote; use ' instead"
    return f"{sign!r} means nothing here" if sign.isprintable() else "there is a sign that cannot be printed"


class _Reader:
    """Recursive descent; how deep and how much is bounded."""

    def __init__(self, tokens: list[Token]) -> None:
        self.tokens, self.at, self.depth, self.terms = tokens, 0, 0, 0

    @property
    def here(self) -> Token:
        return self.tokens[self.at]

    def whole(self) -> Node:
        closing = self._open("{", "}")
        node = self._several()
        self._close(closing)
        if self.here.kind != "end":
            raise self._wrong("-and, -or or the end was expected")
        return node

    def _several(self) -> Node:
        parts = [self._one()]
        word = self.here.text.lower()
        if word not in {"-and", "-or"}:
            return parts[0]
        while self.here.text.lower() == word:
            self.at += 1
            parts.append(self._one())
        if self.here.text.lower() in {"-and", "-or"}:
            raise self._wrong("-and and -or are mixed; put parentheses around what belongs together")
        return Several(word, tuple(parts))

    def _one(self) -> Node:
        self.depth += 1
        if self.depth > DEEPEST:
            raise self._wrong(f"it is nested more than {DEEPEST} deep")
        try:
            return self._not_or_group()
        finally:
            self.depth -= 1

    def _not_or_group(self) -> Node:
        if self.here.text.lower() in {"-not", "!"}:
            self.at += 1
            return Not(self._one())
        closing = self._open("(", ")")
        if not closing:
            return self._term()
        node = self._several()
        self._close(closing)
        return node

    def _term(self) -> Term:
        self.terms += 1
        if self.terms > MOST_TERMS:
            raise self._wrong(f"there are more than {MOST_TERMS} comparisons")
        if self.here.kind != "name":
            raise self._wrong("an attribute was expected, such as Department")
        attribute = NAMED.get(self.here.text.lower())
        if attribute is None:
            raise self._wrong(f"there is no attribute {self.here.text}")
        self.at += 1
        operator = self.here.text.lower()
        if operator not in OPERATORS[attribute.shape]:
            usable = ", ".join(OPERATORS[attribute.shape])
            raise self._wrong(f"{attribute.name} can be compared with {usable} only")
        self.at += 1
        values = [self._value(attribute)]
        while operator in {"-in", "-notin"} and self.here.text == ",":
            self.at += 1
            values.append(self._value(attribute))
        return Term(attribute, operator, tuple(values))

    def _value(self, attribute: Attribute) -> str | bool:
        token, word = self.here, self.here.text.lower()
        if attribute.shape == Shape.FLAG:
            if word not in {"$true", "$false"}:
                raise self._wrong("$true or $false was expected")
            self.at += 1
            return word == "$true"
        if token.kind != "text" and word != "$null":
            raise self._wrong("a text in quotes was expected, such as 'Sales'")
        self.at += 1
        quote = token.text[0]
        value = "" if word == "$null" else token.text[1:-1].replace(quote * 2, quote)
        if not value.isprintable():
            raise FilterError("there is a sign in this text that cannot be printed", token.position)
        return value

    def _open(self, sign: str, closing: str) -> str:
        if self.here.text != sign or self.here.kind != "sign":
            return ""
        self.at += 1
        return closing

    def _close(self, sign: str) -> None:
        if not sign:
            return
        if self.here.text != sign:
            raise self._wrong(f"{sign} was expected")
        self.at += 1

    def _wrong(self, why: str) -> FilterError:
        token = self.here
        found = END if token.kind == "end" else token.text
        return FilterError(f"{why}; there is {found}" if "expected" in why else why, token.position)
