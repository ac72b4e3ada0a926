"""Finds every door, scope, row policy, permission and fence of the product, and says how to take each away.

By rules over the source and the migrations, never by a list: a new route or a new table is a new mutant. Each mutant
is one edit of one file, or one statement to the owner of the database, and names the tests that should notice.
"""

import ast
import dataclasses
import re
from collections.abc import Callable, Iterator
from pathlib import Path

DOORS = {"tenant_view", "list_view", "provider_view", "person_view", "visit_view", "link_view"}
API_DOORS = {"tenant": "VIEW_TENANT", "every": "VIEW_TENANT", "provider": "VIEW_PROVIDER"}
LEAST = {"tenant_view": "VIEW_TENANT", "list_view": "VIEW_TENANT", "provider_view": "VIEW_PROVIDER"}
"""The ability that most people have; a door that asks for it hardly asks for anything."""
GUARDING = (
    "tenants/access.py", "tenants/web.py", "tenants/people.py", "tenants/owned.py", "tenants/scope.py",
    "api/permissions.py", "api/authentication.py", "api/addresses.py", "api/views.py", "api/docs.py",
    "accounts/again.py", "accounts/addresses.py", "invitations/visit_web.py", "invitations/visits.py",
)  # fmt: skip
"""Files in which each refusal, and each call made for its refusals only, is a mutant."""
ASKING = re.compile(
    r"ask|require|check\w*|_check\w*|tenant_for|tenants_for|provider_for|_open|open_in_session"
    r"|_everybody|_not_self|_keep_an_admin"
)
WRAPPERS = {"require_http_methods", "login_required", "never_cache"}
CLASSES = {"permission_classes", "authentication_classes", "throttle_classes"}
SETTINGS = {
    "DEFAULT_PERMISSION_CLASSES": '["rest_framework.permissions.AllowAny"]',
    "DEFAULT_AUTHENTICATION_CLASSES": "[]",
}
NO_PRODUCT = ("tests/", "bench/", "simulator/", "docs/", "deploy/", "manage.py", "ump_portal/management/")
KINDS = ("door", "needs", "fresh", "permission", "guard", "ability", "scope", "policy", "tie", "fence")

CATALOGUE = {
    "policy": (
        "tests/walls/test_scope.py::test_every_walled_model_has_policies_in_the_database",
        "tests/walls/test_scope.py::test_every_policy_lets_through_the_scope_and_nothing_else",
    ),
    "tie": (
        "tests/walls/test_scope.py::test_every_row_that_points_at_a_customers_row_is_tied_to_the_same_customer",
    ),
}
"""What reads the database's own words."""
DOORS_TEST, EVERY_TEST = "tests/walls/test_doors.py", "tests/walls/test_every.py"
EVERY_KIND = "tests/chaos/test_fenced_anywhere.py"
ASKED_TEST = f"{EVERY_KIND}::test_every_line_that_writes_asks_for_the_lease"
LAWYER, STRANGER, MATRIX, BEHIND = (
    f"tests/walls/test_matrix.py::{test}"
    for test in (
        "test_what_a_lawyer_would_ask",
        "test_nobody_gets_anywhere_without_signing_in",
        "test_the_matrix",
        "test_what_is_behind_a_door_is_for_its_methods_and_stays_in_no_cache",
    )
)
OWNED_TESTS = ("tests/walls/test_scope.py", "tests/tenants/test_shredding.py")
DECLARED = {"door", "needs", "fresh", "permission"}
"""What a module says when it is imported."""
ROOMS = {
    "accounts": ("tests/accounts", "tests/api/test_access.py"),
    "directory": ("tests/directory", "tests/directorypages"),
    "replication": ("tests/replication", "tests/queuepages"),
    "tenants": ("tests/tenants", "tests/people/test_rules.py"),
    "ump_portal": ("tests/pages",),
}
FILES = {
    "accounts/again.py": ("tests/accounts/test_again.py",),
    "api/addresses.py": ("tests/api/test_access.py",),
    "api/authentication.py": ("tests/api/test_access.py",),
    "api/docs.py": ("tests/api/test_schema.py",),
    "api/onboardings.py": ("tests/onboarding/test_api.py",),
    "api/tenants.py": ("tests/api/test_tenants.py",),
    "api/permissions.py": (
        "tests/api/test_access.py",
        "tests/api/test_problems.py",
        "tests/api/test_tenants.py",
    ),
    "api/views.py": ("tests/api/test_access.py",),
    "invitations/visit_web.py": ("tests/invitations/test_visit.py",),
    "invitations/visits.py": ("tests/invitations/test_visit.py",),
    "replication/services.py": ("tests/queuepages/test_commands.py", "tests/replication/test_queue.py"),
    "sites/import_services.py": ("tests/sites/test_importing.py", "tests/sites/test_import_pages.py"),
    "tenants/access.py": (
        LAWYER,
        "tests/api/test_tenants.py",
        "tests/walls/test_scope.py",
        "tests/api/test_access.py",
        "tests/people/test_rules.py",
    ),
    "tenants/owned.py": OWNED_TESTS,
    "tenants/scope.py": OWNED_TESTS,
    "tenants/people.py": ("tests/people",),
    "ump_portal/settings.py": ("tests/api/test_access.py",),
    "tenants/web.py": (BEHIND, LAWYER, "tests/accounts/test_again.py"),
}
"""Where fewer tests than a whole room's are about one file."""


@dataclasses.dataclass(frozen=True)
class Mutant:
    """`edits` are (begin, end, text) in bytes; a mutant without any is `sql`. `view` is what the door guards."""

    kind: str
    path: str
    line: int
    what: str
    edits: tuple[tuple[int, int, bytes], ...] = ()
    sql: str = ""
    view: str = ""

    @property
    def place(self) -> str:
        return f"{self.path}:{self.line}"

    @property
    def room(self) -> str:
        return self.path.partition("/")[0]

    @property
    def first(self) -> tuple[str, ...]:
        """Asked whatever they reach: they read what is written down, or the database's own words."""
        if self.kind == "fence":
            return (ASKED_TEST,)
        if self.kind == "scope":
            return () if self.path in {"tenants/owned.py", "tenants/scope.py"} else (EVERY_TEST,)
        return () if self.kind == "guard" else CATALOGUE.get(self.kind, (DOORS_TEST,))

    @property
    def reaching(self) -> tuple[str, ...]:
        """Where tests are of which those that reach the mutant judge it, the quickest first."""
        if self.kind in CATALOGUE or self.kind in DECLARED or EVERY_TEST in self.first:
            return ()
        found = FILES.get(self.path) or ROOMS.get(self.room, (f"tests/{self.room}",))
        return (*found, EVERY_KIND) if self.kind == "fence" else found

    @property
    def others(self) -> tuple[str, ...]:
        """What is asked, from end to end, about a mutant that cannot be put into a running process."""
        paper = ("tests/api/test_schema.py",) if self.room == "api" else ()
        found = FILES.get(self.path) or ROOMS.get(self.room, (f"tests/{self.room}",))
        return (*found, *paper, *({LAWYER, STRANGER, MATRIX} - set(found)))

    def applied(self, source: bytes) -> bytes:
        for begin, end, text in sorted(self.edits, reverse=True):
            source = source[:begin] + text + source[end:]
        return source


class File:
    """One file of the tree, parsed, with places in bytes."""

    def __init__(self, root: Path, path: str) -> None:
        self.path = path
        self.source = (root / path).read_bytes()
        self.tree = ast.parse(self.source)
        self._starts = [0]
        for row in self.source.splitlines(keepends=True):
            self._starts.append(self._starts[-1] + len(row))

    def span(self, node: ast.AST) -> tuple[int, int]:
        begin = self._starts[node.lineno - 1] + node.col_offset  # type: ignore[attr-defined]  # every node asked for has one
        end = self._starts[node.end_lineno - 1] + node.end_col_offset  # type: ignore[attr-defined]  # as above
        return begin, end

    def text(self, node: ast.AST) -> str:
        begin, end = self.span(node)
        return " ".join(self.source[begin:end].decode().split())

    def mutant(self, kind: str, node: ast.AST, what: str, text: str, *, view: str = "") -> Mutant:
        """`node` becomes this text."""
        line = node.lineno  # type: ignore[attr-defined]  # as above
        return Mutant(kind, self.path, line, what[:110], ((*self.span(node), text.encode()),), view=view)


def name_of(node: ast.AST) -> str:
    """The last name of a call, an attribute or a name: `access.tenant_for(...)` is tenant_for."""
    if isinstance(node, ast.Call):
        return name_of(node.func)
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def refuses(body: list[ast.stmt]) -> bool:
    return len(body) == 1 and isinstance(body[0], ast.Raise)


# --- Doors --------------------------------------------------------------------------------------------------
def doors(file: File) -> Iterator[Mutant]:
    for node in ast.walk(file.tree):
        if isinstance(node, ast.FunctionDef):
            for decorator in node.decorator_list:
                if name_of(decorator) in DOORS:
                    yield from _door(file, node, decorator)
        elif isinstance(node, ast.ClassDef):
            yield from _api_doors(file, node)


def _door(file: File, view: ast.FunctionDef, decorator: ast.expr) -> Iterator[Mutant]:
    begin, end = file.span(decorator)
    what = f"{view.name}: no {name_of(decorator)}"
    yield Mutant("door", file.path, decorator.lineno, what, ((begin - 1, end, b""),), view=view.name)
    for word in decorator.keywords if isinstance(decorator, ast.Call) else ():
        least = LEAST.get(name_of(decorator), "")
        if word.arg == "needs" and name_of(word.value) not in {"", least}:
            what = f"{view.name}: {name_of(word.value)} becomes {least}"
            yield file.mutant("needs", word.value, what, f"Ability.{least}", view=view.name)
        elif word.arg == "fresh" and file.text(word.value) == "True":
            yield file.mutant("fresh", word.value, f"{view.name}: no fresh sign-in", "False", view=view.name)


def _api_doors(file: File, view: ast.ClassDef) -> Iterator[Mutant]:
    for statement in view.body:
        if not isinstance(statement, ast.Assign) or name_of(statement.targets[0]) != "doors":
            continue
        for guard in statement.value.values if isinstance(statement.value, ast.Dict) else ():
            least = API_DOORS.get(name_of(guard))
            if least is None or not isinstance(guard, ast.Call):
                continue
            anybody = '__import__("api.permissions").permissions.caller()'
            what = f"{view.name}: {file.text(guard)} becomes anybody's"
            yield file.mutant("door", guard, what, anybody, view=view.name)
            if name_of(guard.args[0]) != least:
                what = f"{view.name}: {name_of(guard.args[0])} becomes {least}"
                yield file.mutant("needs", guard.args[0], what, f"Ability.{least}", view=view.name)


# --- Permissions, refusals and abilities --------------------------------------------------------------------
def permissions(file: File) -> Iterator[Mutant]:
    for node in ast.walk(file.tree):
        if isinstance(node, ast.ClassDef):
            for statement in node.body:
                if isinstance(statement, ast.Assign) and name_of(statement.targets[0]) in CLASSES:
                    what = f"{node.name}: {file.text(statement)} becomes ()"
                    yield file.mutant("permission", statement.value, what, "()", view=node.name)
        elif isinstance(node, ast.Dict):
            for key, value in zip(node.keys, node.values, strict=True):
                if isinstance(key, ast.Constant) and key.value in SETTINGS:
                    yield file.mutant("permission", value, f"{key.value}: nothing", SETTINGS[str(key.value)])


def refusals(file: File) -> Iterator[Mutant]:
    """Where a door's file refuses, and everywhere else where what somebody may do decides about a refusal."""
    guarding = file.path in GUARDING
    kind = "scope" if file.path in {"tenants/owned.py", "tenants/scope.py"} else "guard"
    for node in ast.walk(file.tree):
        if isinstance(node, ast.If) and refuses(node.body):
            if guarding or ".may(" in file.text(node.test):
                yield file.mutant(kind, node.test, f"if {file.text(node.test)}: never refuses", "False")
        elif guarding and isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            if ASKING.fullmatch(name_of(node.value)):
                yield file.mutant(kind, node, f"no {file.text(node)}", "pass")
        elif guarding and isinstance(node, ast.Call) and name_of(node) in WRAPPERS and node.args:
            yield from _unwrapped(file, node)


def _unwrapped(file: File, node: ast.Call) -> Iterator[Mutant]:
    """`login_required(view)` becomes `view`; so does what `require_http_methods([...])` is given."""
    if name_of(node) == "require_http_methods" and not isinstance(node.func, ast.Call):
        yield file.mutant("guard", node, "no require_http_methods", "(lambda view: view)")
    elif isinstance(node.func, ast.Name):
        inner = file.source[slice(*file.span(node.args[0]))].decode()
        yield file.mutant("guard", node, f"no {node.func.id}", inner)


def abilities(file: File) -> Iterator[Mutant]:
    for node in ast.walk(file.tree) if file.path in {"tenants/access.py", "tenants/abilities.py"} else ():
        if isinstance(node, ast.BinOp) and file.text(node.right) in {"PROVIDER_WIDE", "self.only"}:
            left = file.source[slice(*file.span(node.left))].decode()
            yield file.mutant("ability", node, f"{file.text(node)} becomes {' '.join(left.split())}", left)
        elif isinstance(node, ast.AnnAssign) and name_of(node.target) == "ABILITIES":
            yield from _roles(file, node.value)
        elif isinstance(node, ast.Assign) and name_of(node.targets[0]) == "PROVIDER_WIDE":
            for member in node.value.args[0].elts:  # type: ignore[attr-defined]  # a frozenset of a set
                yield file.mutant("ability", member, f"{name_of(member)} is not provider-wide", "*()")


def _roles(file: File, table: ast.expr | None) -> Iterator[Mutant]:
    assert isinstance(table, ast.Dict)
    for role, may in zip(table.keys, table.values, strict=True):
        if role is not None and name_of(may) != "frozenset":
            yield file.mutant("ability", may, f"{file.text(role)} may do everything", "frozenset(Ability)")


# --- Scopes and fences --------------------------------------------------------------------------------------
def scopes(file: File) -> Iterator[Mutant]:
    if file.path == "tenants/scope.py":
        return
    for node in ast.walk(file.tree):
        if isinstance(node, ast.Call) and file.text(node.func) in {"scope.one", "scope.some"}:
            yield file.mutant(
                "scope", node, f"{file.text(node)} becomes every customer's", 'scope.every("a mutant")'
            )


_SQL_FENCE = re.compile(rb"\bfence = %s")


def fences(file: File) -> Iterator[Mutant]:
    saves = _saves(file.tree)
    spared = {
        id(item.context_expr)
        for node in ast.walk(file.tree)
        if isinstance(node, ast.With) and _only_saves(node.body, saves)
        for item in node.items
    }
    for node in ast.walk(file.tree):
        if id(node) in spared:
            continue
        if isinstance(node, ast.If) and any(_loses_lease(one) for one in node.body):
            test = file.text(node.test)
            yield file.mutant("fence", node.test, f"if {test}: goes on", f"({test}) and False")
        elif isinstance(node, ast.Call) and name_of(node) in {"filter", "move", "transaction"}:
            yield from _fenced(file, node)
        elif isinstance(node, ast.Expr | ast.Assign) and name_of(node.value) == "still_ours":
            yield file.mutant("fence", node.value, f"{file.text(node)} is not asked", "None")
        elif isinstance(node, ast.keyword):
            yield from _asked(file, node)
    if file.path.startswith("replication/"):
        for found in _SQL_FENCE.finditer(file.source):
            line = file.source.count(b"\n", 0, found.start()) + 1
            edit = (*found.span(), b"fence <= %s + 1000")
            yield Mutant("fence", file.path, line, "SQL: any earlier fence", (edit,))


def _asked(file: File, word: ast.keyword) -> Iterator[Mutant]:
    """Of `before_write=ctx.still_ours`, also where it is one of two; and of `sent_by`."""
    if word.arg == "sent_by":
        yield file.mutant("fence", word.value, f"{file.text(word.value)}: late ones leave too", "None")
    for node in ast.walk(word.value) if word.arg == "before_write" else ():
        if isinstance(node, ast.Attribute) and node.attr == "still_ours":
            yield file.mutant("fence", node, f"before_write={file.text(node)} asks nobody", "(lambda: None)")


def _only_saves(body: list[ast.stmt], saves: set[str]) -> bool:
    """A checkpoint asks for the fence in its own statement (a mutant); a transaction around that alone adds none.

    Nor does one in which attributes of the worker's own objects are set as well, without a call.
    """
    calls = [one for one in body if not isinstance(one, ast.Assign | ast.AugAssign) or _calls(one)]
    return bool(calls) and all(isinstance(one, ast.Expr) and name_of(one.value) in saves for one in calls)


def _saves(tree: ast.Module) -> set[str]:
    """`checkpoint`, and the functions of a file that do nothing else."""
    found = {"checkpoint"}
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            body = node.body[1 if ast.get_docstring(node) is not None else 0 :]
            if _only_saves(body, {"checkpoint"}):
                found.add(node.name)
    return found


def _calls(node: ast.AST) -> bool:
    return any(isinstance(one, ast.Call) for one in ast.walk(node))


def _loses_lease(statement: ast.stmt) -> bool:
    return (
        isinstance(statement, ast.Raise)
        and statement.exc is not None
        and name_of(statement.exc) == "LeaseLost"
    )


def _fenced(file: File, node: ast.Call) -> Iterator[Mutant]:
    if file.text(node.func).endswith("ctx.transaction"):
        holder = file.text(node.func).removesuffix(".transaction")
        yield file.mutant(
            "fence", node, f"{file.text(node)} without its fence", f'{holder}._scope("a mutant")'
        )
    for word in node.keywords:
        if word.arg == "fence":
            begin, end = file.span(word)
            begin = len(file.source[:begin].rstrip(b" \n").removesuffix(b","))
            what = f"{name_of(node)}(...) without {file.text(word)}"
            yield Mutant("fence", file.path, word.lineno, what, ((begin, end, b""),))


# --- Row policies -------------------------------------------------------------------------------------------
def policies(file: File) -> Iterator[Mutant]:
    if "/migrations/" not in file.path:
        return
    constants = {
        name_of(node.targets[0]): node.value for node in file.tree.body if isinstance(node, ast.Assign)
    }
    for node in ast.walk(file.tree):
        if isinstance(node, ast.Call) and name_of(node) in {"wall", "same_tenant"}:
            for values in _arguments(node, file.tree, constants):
                yield from _wall(file, node, values) if name_of(node) == "wall" else _tie(file, node, values)


def _arguments(call: ast.Call, tree: ast.Module, constants: dict[str, ast.expr]) -> list[tuple[str, ...]]:
    """What the operation is called with; over what it loops, where it stands in a loop."""
    if all(isinstance(one, ast.Constant) for one in call.args):
        return [tuple(str(ast.literal_eval(one)) for one in call.args)]
    for loop in ast.walk(tree):
        if isinstance(loop, ast.GeneratorExp) and loop.elt is call:
            found = ast.literal_eval(constants[name_of(loop.generators[0].iter)])
            return [(one,) if isinstance(one, str) else tuple(one) for one in found]
    raise ValueError(f"line {call.lineno}: which table this walls off cannot be read")


def _wall(file: File, node: ast.Call, values: tuple[str, ...]) -> Iterator[Mutant]:
    table = values[0]
    off = f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY"
    yield Mutant("policy", file.path, node.lineno, f"{table}: no row-level security", sql=off)
    for part, sql in (("USING", "USING (true)"), ("WITH CHECK", "WITH CHECK (true)")):
        what = f"{table}: {part} is always true"
        yield Mutant(
            "policy", file.path, node.lineno, what, sql=f"ALTER POLICY {table}_scoped ON {table} {sql}"
        )


def _tie(file: File, node: ast.Call, values: tuple[str, ...]) -> Iterator[Mutant]:
    table, column = values[:2]
    sql = f"ALTER TABLE {table} DROP CONSTRAINT {table}_{column}_same_tenant"
    yield Mutant(
        "tie", file.path, node.lineno, f"{table}.{column}: may point at another customer's row", sql=sql
    )


RULES: tuple[Callable[[File], Iterator[Mutant]], ...] = (
    doors, permissions, refusals, abilities, scopes, fences, policies,
)  # fmt: skip


def find(root: Path, paths: list[str]) -> list[Mutant]:
    """All mutants of these files of a tree, in the order of the kinds and places."""
    found: list[Mutant] = []
    for path in paths:
        if path.endswith(".py") and not path.startswith(NO_PRODUCT):
            file = File(root, path)
            found += [mutant for rule in RULES for mutant in rule(file)]
    return sorted(set(found), key=lambda one: (KINDS.index(one.kind), one.path, one.line, one.what))
