"""Reads PowerShell with a grammar that is not ours, and says what its literals are and which commands it holds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import tree_sitter_powershell
from tree_sitter import Language, Node, Parser

_PARSER = Parser(Language(tree_sitter_powershell.language()))


def parse(text: str) -> Node:
    """The tree of a script; AssertionError where the grammar does not understand it."""
    root = _PARSER.parse(text.removeprefix("\ufeff").encode()).root_node
    wrong = [node for node in walk(root) if node.is_error or node.is_missing]
    assert not root.has_error, [node.text for node in wrong]
    return root


def walk(node: Node) -> Iterator[Node]:
    yield node
    for child in node.children:
        yield from walk(child)


def text_of(node: Node) -> str:
    assert node.text is not None
    return node.text.decode()


def named(root: Node, kind: str) -> list[Node]:
    return [node for node in walk(root) if node.type == kind]


def commands(root: Node) -> set[str]:
    return {text_of(node) for node in named(root, "command_name")}


def assigned(text: str) -> Any:
    """The value of `$x = EXPRESSION`, which has to be the whole script and a literal."""
    root = parse(text)
    node = only(named(root, "assignment_expression"))
    assert text_of(node) == text.rstrip("\n")
    return value(node.children[-1])


def writes(root: Node) -> list[dict[str, Any]]:
    """The calls that change something, in order, as `Call.as_json` writes them (without fields)."""
    found: list[dict[str, Any]] = []
    table: dict[str, Any] = {}
    for node in walk(root):
        if node.type == "assignment_expression" and text_of(node).startswith("$parameters ="):
            table = value(node.children[-1])
        if node.type == "command" and text_of(node).startswith(("New-", "Set-", "Remove-", "Grant-")):
            if node.parent is not None and "@parameters" in text_of(node):
                found.append({"cmdlet": text_of(node.children[0]), "parameters": table})
            elif not _in_parentheses(node):
                found.append(_call(node))
    return found


def _in_parentheses(node: Node) -> bool:
    above = node.parent
    while above is not None and above.type in {"pipeline_chain", "pipeline"}:
        above = above.parent
    return above is not None and above.type == "parenthesized_expression"


def _call(command: Node) -> dict[str, Any]:
    cmdlet, elements = (child for child in command.children if child.is_named)
    parameters: dict[str, Any] = {}
    name = ""
    for element in elements.children:
        if element.type == "command_parameter":
            name = text_of(element).strip("-:")
        elif element.type != "command_argument_sep":
            parameters[name] = value(element)
    return {"cmdlet": text_of(cmdlet), "parameters": parameters}


def value(node: Node) -> Any:
    """What a literal is; AssertionError for anything that does something, save a call in parentheses."""
    if node.type == "command":
        return {"call": _call(node)}
    if node.type in _LEAVES:
        return _LEAVES[node.type](node)
    children = [child for child in node.children if child.is_named and child.type != "comment"]
    if node.type == "additive_expression" and len(children) == 2:
        assert [text_of(child) for child in node.children if not child.is_named] == ["+"]
        left, right = value(children[0]), value(children[1])
        assert isinstance(left, str), "PowerShell would add numbers"
        return left + right
    if node.type == "cast_expression":
        assert text_of(children[0]) == "[char]"
        return chr(value(children[1]))
    if node.type == "array_expression":
        inner = [child for child in children if child.type == "statement_list"]
        return _elements(inner[0]) if inner else []
    if node.type == "hash_literal_expression":
        entries = [entry for body in children for entry in body.children if entry.type == "hash_entry"]
        return {text_of(entry.children[0]): value(_pipeline(entry)) for entry in entries}
    assert len(children) == 1, (node.type, text_of(node))
    return value(children[0])


def _pipeline(entry: Node) -> Node:
    return only([child for child in entry.children if child.type == "pipeline"])


def _elements(node: Node) -> list[Any]:
    while node.type != "array_literal_expression":
        node = only([child for child in node.children if child.is_named])
    return [value(child) for child in node.children if child.is_named]


def only(nodes: list[Node]) -> Node:
    assert len(nodes) == 1, [text_of(node) for node in nodes]
    return nodes[0]


def _verbatim(node: Node) -> str:
    text = text_of(node)
    assert text[0] == text[-1] == "'"
    return text[1:-1].replace("''", "'")


_LEAVES = {
    "verbatim_string_characters": _verbatim,
    "decimal_integer_literal": lambda node: int(text_of(node)),
    "hexadecimal_integer_literal": lambda node: int(text_of(node), 16),
    "variable": lambda node: {"$true": True, "$false": False, "$null": None}[text_of(node)],
}
