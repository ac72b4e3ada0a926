"""Puts a mutant into a process that has imported everything already, so that only its tests cost time.

An edit inside of a function becomes that function's code, in every function object that has it; a decorator's edit
becomes the view that the routes lead to; one of a class's attributes becomes that attribute. Whatever has done its
work when the module was imported cannot be put in afterwards: `Late`, and pytest has to import it anew.

While the product is imported, each function with a mutant is told to say when that place is reached: a call of
`builtins.ump_mutant_reached` before the statement. So it is known which tests reach which mutant, and what ran too
early.
"""

import ast
import builtins
import gc
import importlib
import importlib.machinery
import sys
import types
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from bench.mutating import File, Mutant

REACHED = "ump_mutant_reached"
Function = ast.FunctionDef | ast.AsyncFunctionDef
Chain = list[ast.AST]


class Late(Exception):
    """Its work was done at import."""


def chain(file: File, mutant: Mutant) -> Chain:
    """The definitions and statements around the first edit, the outermost first."""
    begin = min(edit[0] for edit in mutant.edits)
    end = max(edit[1] for edit in mutant.edits)
    found: Chain = []
    inside: list[ast.AST] = [file.tree]
    while inside:
        node = inside.pop()
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.stmt | ast.excepthandler | ast.match_case):
                first, last = _whole(file, child)
                if first <= begin and end <= last:
                    found.append(child)
                    inside = [child]
                    break
    return found


def _whole(file: File, node: ast.AST) -> tuple[int, int]:
    """With its decorators; a case has no place of its own."""
    if isinstance(node, ast.match_case):
        return file.span(node.pattern)[0], file.span(node.body[-1])[1]
    begin, end = file.span(node)
    decorators = getattr(node, "decorator_list", [])
    return min([begin, *(file.span(one)[0] - 1 for one in decorators)]), end


def function_around(file: File, mutant: Mutant) -> Function | None:
    """The outermost function that has the edit in its body."""
    begin = min(edit[0] for edit in mutant.edits)
    for node in chain(file, mutant):
        if isinstance(node, Function):
            return node if begin >= file.span(node.body[0])[0] else None
    return None


class Nursery:
    """All mutants of one tree, and what is needed to put one of them in."""

    def __init__(self, root: Path, mutants: list[Mutant]) -> None:
        self.root, self.mutants = root, mutants
        self.reached: set[int] = set()
        self.early: frozenset[int] = frozenset()
        self.functions: dict[tuple[str, str, int], list[types.FunctionType]] = defaultdict(list)
        self._files: dict[str, File] = {}
        self._around: dict[str, list[int]] = defaultdict(list)
        for number, mutant in enumerate(mutants):
            if mutant.edits and function_around(self._file(mutant.path), mutant):
                self._around[mutant.path].append(number)

    def _file(self, path: str) -> File:
        if path not in self._files:
            self._files[path] = File(self.root, path)
        return self._files[path]

    # --- Before: who is reached -----------------------------------------------------------------------------
    def watch(self) -> None:
        """From now on what is imported says which mutants are reached."""
        setattr(builtins, REACHED, self.reached.add)
        loading = importlib.machinery.SourceFileLoader
        real = loading.get_code

        def get_code(loader: Any, name: str) -> Any:
            there = Path(loader.path)
            path = str(there.relative_to(self.root)) if there.is_relative_to(self.root) else ""
            return self._watched(path) if self._around.get(path) else real(loader, name)

        loading.get_code = get_code  # type: ignore[method-assign]  # what compiles every module

    def _watched(self, path: str) -> types.CodeType:
        file = File(self.root, path)
        places: dict[ast.AST, list[int]] = defaultdict(list)
        for number in self._around[path]:
            places[_statement(file, self.mutants[number])].append(number)
            around = function_around(file, self.mutants[number])
            assert around is not None
            places[_first(around)].append(-number - 1)
        tree = _Calls(places).visit(file.tree)
        return compile(ast.fix_missing_locations(tree), str(self.root / path), "exec", dont_inherit=True)

    def settle(self) -> None:
        """Everything is imported: what was reached until now ran too early; where are the functions of the others?"""
        from tests.walls.routes import routes

        routes()  # the views of all of them
        for path in {mutant.path for mutant in self.mutants if mutant.edits}:
            importlib.import_module(_module(path))
        self.early = frozenset(-number - 1 for number in self.reached if number < 0)
        self.reached.clear()
        wanted = {str(self.root / path) for path in self._around}
        gc.unfreeze()  # tests/conftest.py has frozen them, and what is frozen is not told
        for one in gc.get_objects():
            if type(one) is types.FunctionType and one.__code__.co_filename in wanted:
                self.functions[_key(one.__code__)].append(one)
        gc.freeze()

    # --- Putting one in -------------------------------------------------------------------------------------
    def graft(self, number: int, *, changed: bool = True) -> None:
        """Raises Late. Without the change: the same operation with the same text, which must change nothing."""
        mutant = self.mutants[number]
        file = self._file(mutant.path)
        source = mutant.applied(file.source) if changed else file.source
        if number in self.early:
            raise Late
        if number in self._around[mutant.path]:
            self._function(file, mutant, source)
        else:
            _definition(file, mutant, ast.parse(source))

    def _function(self, file: File, mutant: Mutant, source: bytes) -> None:
        around = function_around(file, mutant)
        assert around is not None
        line = min([around.lineno, *(one.lineno for one in around.decorator_list)])
        name = str(self.root / mutant.path)
        for code in _codes(compile(source, name, "exec", dont_inherit=True)):
            if code.co_firstlineno == line and code.co_name == around.name:
                found = self.functions[_key(code)]
                if not found:
                    raise Late
                for one in found:
                    one.__code__ = code
                return
        raise AssertionError(f"{mutant.place}: its function was not found")


def _first(function: Function) -> ast.stmt:
    """What runs first, after the words about it."""
    return function.body[1 if ast.get_docstring(function) is not None else 0]


def _statement(file: File, mutant: Mutant) -> ast.AST:
    return [node for node in chain(file, mutant) if isinstance(node, ast.stmt)][-1]


def _module(path: str) -> str:
    return path.removesuffix(".py").replace("/", ".")


def _key(code: types.CodeType) -> tuple[str, str, int]:
    return code.co_filename, code.co_qualname, code.co_firstlineno


def _codes(code: types.CodeType) -> Iterable[types.CodeType]:
    for one in code.co_consts:
        if isinstance(one, types.CodeType):
            yield one
            yield from _codes(one)


class _Calls(ast.NodeTransformer):
    """A call before each of these statements."""

    def __init__(self, places: dict[ast.AST, list[int]]) -> None:
        self.places = places

    def visit(self, node: ast.AST) -> Any:
        self.generic_visit(node)
        calls = [
            ast.copy_location(ast.parse(f"{REACHED}({number})").body[0], node)
            for number in self.places.get(node, ())
        ]
        return [*calls, node] if calls else node


def _definition(file: File, mutant: Mutant, changed: ast.Module) -> None:
    """A view with other decorators, or a class with another attribute. Raises Late for everything else."""
    module = sys.modules[_module(mutant.path)]
    place = _place(file.tree, chain(file, mutant))
    node: Any = changed
    for step in place:
        holder, node = node, node.body[step]
    if isinstance(node, ast.FunctionDef) and len(place) == 1:
        before = getattr(module, node.name)
        exec(compile(ast.Module([node], []), str(file.path), "exec", dont_inherit=True), vars(module))
        _lead_to(before, getattr(module, node.name))
    elif isinstance(node, ast.Assign) and len(place) == 2:
        value = compile(ast.Expression(node.value), str(file.path), "eval", dont_inherit=True)
        (target,) = node.targets
        assert isinstance(target, ast.Name)
        setattr(getattr(module, holder.name), target.id, eval(value, vars(module)))
    else:
        raise Late


def _place(tree: ast.Module, around: Chain) -> list[int]:
    """The way down to the innermost statement, as numbers."""
    place, node = [], ast.AST()
    node = tree
    for one in around:
        if one not in getattr(node, "body", ()):
            raise Late
        place.append(node.body.index(one))  # type: ignore[attr-defined]  # it is in there
        node = one
    return place


def _lead_to(before: Any, now: Any) -> None:
    """The routes that led to this view lead to that one. Raises Late when there are none."""
    from tests.walls.routes import _walk, get_resolver  # type: ignore[attr-defined]  # it is imported there

    patterns = [entry for _, entry in _walk("", get_resolver()) if entry.callback is before]
    for entry in patterns:
        entry.callback = now
    if not patterns:
        raise Late
