"""Text that becomes PowerShell stays text: read back by a grammar that is not ours."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from m365.powershell import script
from m365.powershell.calls import Call, Table, Value
from tests.m365 import powershell_reader as reader

# Whole strings of .NET are of UTF-16: halves of characters are allowed, and come back as such.
ANY_TEXT = st.text(st.characters(exclude_categories=()))
NASTY = (
    "'; Remove-CsOnlinePSTNGateway -Identity x #",
    "it''s",
    "\u2018\u2019\u201a\u201b",
    '$(Get-Process) `n "x" ${a}',
    "a\r\nb\0",
    "@'\nhere\n'@",
    "\u00d2; x",  # read as Windows-1252, its second byte is a quote mark
    "--% -Confirm:$true",
    "\ud800",
    "\U0001f4de and \u202e hidden",
)


def units(text: str) -> str:
    """The text as PowerShell counts it: in halves."""
    encoded = text.encode("utf-16-be", "surrogatepass")
    return "".join(chr(int.from_bytes(encoded[at : at + 2], "big")) for at in range(0, len(encoded), 2))


@given(ANY_TEXT)
def test_every_text_is_read_back_as_itself(text: str) -> None:
    written = script.literal(text)
    assert written.isascii()
    assert written.isprintable()
    assert reader.assigned(f"$x = {written}\n") == units(text)


@pytest.mark.parametrize("text", NASTY)
def test_text_that_tries_to_get_out(text: str) -> None:
    root = reader.parse(f"New-CsOnlineVoiceRoute -Identity {script.literal(text)} -Priority 1\n")
    assert reader.commands(root) == {"New-CsOnlineVoiceRoute"}
    assert len(reader.named(root, "command_parameter")) == 2
    assert reader.assigned(f"$x = {script.literal(text)}\n") == units(text)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(0, 2**31 - 1) | ANY_TEXT,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["Add", "Remove", "Replace"]), inner, max_size=2).map(
            lambda items: Table(tuple(items.items()))
        )
    ),
    max_leaves=8,
)


def plain(value: Any) -> Any:
    if isinstance(value, Table):
        return {name: plain(inner) for name, inner in value.items}
    if isinstance(value, list):
        return [plain(inner) for inner in value]
    return units(value) if isinstance(value, str) else value


@given(VALUES)
def test_every_value_is_read_back_as_itself(value: Value) -> None:
    assert reader.assigned(f"$x = {script.value(value)}\n") == plain(value)


@given(ANY_TEXT)
@example("SIG # Begin signature block")
@example("Requires -RunAsAdministrator")
@example("#> Get-Process <#\r\nGet-Process")
def test_a_comment_holds_whatever_it_is_given(text: str) -> None:
    for line in script.comment(text):
        assert line.startswith("# ")
        assert "#" not in line[1:]
        assert line.isprintable()
    root = reader.parse("\n".join([*script.comment(text), "$x = 1", ""]))
    assert [node.text for node in root.children if node.type != "comment"] == [b"$x = 1"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"cmdlet": "Remove-Item"},
        {"cmdlet": "Get-CsOnlineUser; Get-Process"},
        {"cmdlet": "Get-CsOnlineUser\n"},
        {"cmdlet": "Get-CsOnlineUser", "parameters": (("A B", 1),)},
        {"cmdlet": "Get-CsOnlineUser", "parameters": (("Filter", 1), ("filter", 2))},
        {"cmdlet": "Get-CsOnlineUser", "fields": ("x;y",)},
    ],
)
def test_names_are_words(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        Call(**wrong)


def test_keys_of_tables_are_words() -> None:
    with pytest.raises(ValueError):
        Table((("Add; x", 1),))


@given(ANY_TEXT)
def test_on_the_wire_a_call_is_json_of_one_line(text: str) -> None:
    inner = Call("New-CsVoiceNormalizationRule", (("Name", text), ("InMemory", True)))
    call = Call(
        "New-CsTenantDialPlan", (("Identity", text), ("NormalizationRules", Table((("Add", (inner,)),))))
    )
    line = json.dumps(call.as_json())
    assert line.isascii()
    assert "\n" not in line
    assert json.loads(line)["parameters"]["Identity"] == text
    assert call.writes
    assert not inner.writes
