"""Every act that the code records has words on Audit and History: the code is read, so that none is missed."""

import ast
import dataclasses
import itertools
from collections.abc import Iterable, Iterator

from deployment.services import KINDS
from invitations.services import Why
from telephony.models import HoldKind
from tests.walls.test_every import HERE, NO_PRODUCT
from ump_portal.pages.audit import WORDS

FILLED: dict[str, Iterable[str]] = {
    "*.decided": KINDS.values(),
    "*.verified": KINDS.values(),
    "*.stopped": KINDS.values(),
    "invitation.*": (Why.REMINDER, Why.RESEND),
    "numbers.*": HoldKind.values,
}
"""Acts that are put together while the portal runs: what stands for the asterisk."""
Name = tuple[str, str]
"""A function's module and name, of a method with its class: `Class.method`, or `*.method` where that is not known."""
RECORD: Name = ("audit.services", "record")


@dataclasses.dataclass(frozen=True)
class Call:
    """A call of `name`, and the function and the class that it stands in."""

    name: Name
    node: ast.Call
    inside: ast.FunctionDef | None
    of: str

    def given(self, place: int, word: str) -> ast.expr | None:
        """What is passed for the parameter of this place (without `self`) and word."""
        by_word = [each.value for each in self.node.keywords if each.arg == word]
        return next(iter([*by_word, *self.node.args[place : place + 1]]), None)


@dataclasses.dataclass(frozen=True)
class File:
    module: str
    known: dict[str, str]
    """What each imported name stands for."""
    methods: set[str]
    """`Class.method` of each that is defined here; others are inherited."""

    def calls(self, node: ast.AST, inside: ast.FunctionDef | None = None, of: str = "") -> Iterator[Call]:
        for child in ast.iter_child_nodes(node):
            match child:
                case ast.Call():
                    yield Call(self._called(child.func, of), child, inside, of)
                    yield from self.calls(child, inside, of)
                case ast.ClassDef():
                    yield from self.calls(child, None, f"{child.name}.")
                case ast.FunctionDef():
                    yield from self.calls(child, child, of)
                case _:
                    yield from self.calls(child, inside, of)

    def _called(self, function: ast.expr, of: str) -> Name:
        match function:
            case ast.Name(id=word):
                where, _, name = self.known.get(word, f"{self.module}.{word}").rpartition(".")
                return where, name
            case ast.Attribute(value=ast.Name(id="self"), attr=name):
                return self.module, f"{of}{name}" if f"{of}{name}" in self.methods else f"*.{name}"
            case ast.Attribute(value=ast.Name(id=word), attr=name) if word in self.known:
                return self.known[word], name
            case ast.Attribute(value=ast.Name(), attr=name):
                return self.module, f"*.{name}"
        return self.module, ""


def calls() -> list[tuple[str, Call]]:
    """Of the whole product, with the module that each stands in."""
    found = []
    for room in sorted(HERE.iterdir()):
        if room.name not in NO_PRODUCT and (room / "__init__.py").exists():
            for path in sorted(room.rglob("*.py")):
                module = ".".join(path.relative_to(HERE).with_suffix("").parts)
                tree = ast.parse(path.read_text(encoding="utf-8"), str(path))
                known = {
                    each.asname or each.name: f"{node.module}.{each.name}"
                    for node in ast.walk(tree)
                    if isinstance(node, ast.ImportFrom)
                    for each in node.names
                }
                methods = {
                    f"{node.name}.{each.name}"
                    for node in ast.walk(tree)
                    if isinstance(node, ast.ClassDef)
                    for each in node.body
                    if isinstance(each, ast.FunctionDef)
                }
                found += [(module, each) for each in File(module, known, methods).calls(tree)]
    return found


def acts() -> set[str]:
    """What is passed to `record` as the action, straight or by functions that pass theirs on."""
    every, said = calls(), set[str]()
    writers: dict[Name, tuple[int, str]] = {RECORD: (1, "action")}
    looked_at: set[Name] = set()
    while new := writers.keys() - looked_at:
        looked_at |= new
        for module, call in every:
            if call.name not in new:
                continue
            given = call.given(*writers[call.name])
            names = [each.arg for each in call.inside.args.args] if call.inside else []
            if isinstance(given, ast.Name) and call.inside and given.id in names:
                place = names.index(given.id) - (names[0] == "self")
                writers[module, f"{call.of}{call.inside.name}"] = (place, given.id)
                if call.of:  # of an object whose class the code does not say
                    writers[module, f"*.{call.inside.name}"] = (place, given.id)
            elif given is not None:
                said |= _said(given, f"{module}, line {call.node.lineno}")
    return said


def _said(given: ast.expr, where: str) -> set[str]:
    match given:
        case ast.Constant(value=str(text)):
            return {text}
        case ast.IfExp(body=one, orelse=other):
            return _said(one, where) | _said(other, where)
        case ast.JoinedStr(values=parts):
            return {"".join(each) for each in itertools.product(*(_said(part, where) for part in parts))}
        case ast.FormattedValue(value=ast.IfExp() as one):
            return _said(one, where)
        case ast.FormattedValue():
            return {"*"}
    raise AssertionError(f"{where}: which act this is cannot be read from {ast.unparse(given)}")


def test_every_act_that_is_recorded_has_words() -> None:
    found = {
        act.replace("*", word) for act in acts() for word in (FILLED.get(act, [act]) if "*" in act else [""])
    }
    assert len(found) > 150, "the code is not read as it should be"
    assert sorted(found - WORDS.keys()) == [], "WORDS of ump_portal/pages/audit.py lacks these"
    assert sorted(WORDS.keys() - found) == [], "nobody records these"
