"""`ump powershell` as a person at the machine sees it."""

import json
import shlex
import sys
from pathlib import Path
from typing import Any

import pytest

from ump_portal.cli import main

STAND_IN = Path(__file__).parent.parent / "m365" / "pwsh_stand_in.py"


def test_without_powershell_it_says_what_to_do(settings: Any, capsys: pytest.CaptureFixture[str]) -> None:
    settings.POWERSHELL_PATH = ""
    assert main(["powershell"]) == 1
    assert "This portal has no PowerShell" in capsys.readouterr().err


def test_with_powershell_it_says_which(
    settings: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    program = tmp_path / "pwsh"
    words = shlex.join([sys.executable, str(STAND_IN), str(tmp_path / "notes"), ""])
    program.write_text(f'#!/bin/sh\nexec {words} "$@"\n')
    program.chmod(0o755)
    settings.POWERSHELL_PATH = str(program)
    assert main(["powershell"]) == 0
    assert capsys.readouterr().out == "PowerShell 7.4.6 starts, with MicrosoftTeams 6.9.0.\n"
    assert main(["powershell", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"powershell": "7.4.6", "module": "6.9.0"}
