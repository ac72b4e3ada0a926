"""`.env.example`, made from the calls in settings.py, so that it cannot fall behind."""

import ast
from pathlib import Path

SETTINGS = Path(__file__).with_name("settings.py")
HEAD = """# Every setting that is read from the environment, with its default. Made by: ump env-example
# `ump up` sets what one machine needs; docker-compose.yml reads those that a file .env beside it sets.
# NAME_FILE=/path says which file holds the value of NAME.
"""


def render() -> str:
    """One commented line a setting, in the order of the settings file, under its section's heading."""
    text = SETTINGS.read_text()
    calls = [node for node in ast.walk(ast.parse(text)) if _is_read(node)]
    lines = [HEAD]
    headings = [
        (n, line.strip("# -")) for n, line in enumerate(text.splitlines(), 1) if line.startswith("# ---")
    ]
    shown: set[str] = set()
    last = ""
    for call in sorted(calls, key=lambda node: node.lineno):  # type: ignore[attr-defined]  # calls have one
        name, default = _name_and_default(call)
        heading = max((h for h in headings if h[0] < call.lineno), default=(0, ""))[1]  # type: ignore[attr-defined]  # as above
        if name in shown:
            continue
        shown.add(name)
        if heading != last:
            lines.append(f"\n# {heading}")
            last = heading
        lines.append(f"# {name}={default}")
    return "\n".join(lines) + "\n"


def _is_read(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id == "env"
        and bool(node.args)
        and isinstance(node.args[0], ast.Constant)
    )


def _name_and_default(node: ast.AST) -> tuple[str, str]:
    assert isinstance(node, ast.Call)  # noqa: S101  _is_read said so
    default = next((key.value for key in node.keywords if key.arg == "default"), None)
    if isinstance(default, ast.IfExp):  # the demo's value comes first, the real one last
        default = default.orelse
    text = "" if default is None else ast.unparse(default)
    if isinstance(default, ast.Constant):
        text = str(default.value)
    elif isinstance(default, ast.List):
        text = ",".join(str(item.value) for item in default.elts if isinstance(item, ast.Constant))
    elif default is not None:
        text = ""
    return str(node.args[0].value), text  # type: ignore[attr-defined]  # a constant, as above
