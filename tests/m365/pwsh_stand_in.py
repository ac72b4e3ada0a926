"""Stands in for `pwsh -File session.ps1` in tests: speaks its lines, with one kind of trouble at a time.

    python pwsh_stand_in.py NOTES TROUBLE [pwsh's arguments]

It writes into NOTES what it could see, so that a test can say that no secret was there.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from teams_model import FaultError, TeamsModel  # type: ignore[import-not-found]

NOTES, TROUBLE = Path(sys.argv[1]), sys.argv[2]
MEGABYTE = 1 << 20


def say(text: str) -> None:
    os.write(1, text.encode("utf-8", "surrogatepass"))


def frame(mark: str, answer: dict[str, Any]) -> str:
    text = json.dumps(answer)
    return f"\n{mark} {len(text)} {text}\n"


def hang() -> None:
    while True:
        time.sleep(60)


def stubborn() -> None:
    """Does not end when asked to, nor does what it has started."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN)"
    program = f"{deaf}; print(flush=True); time.sleep(3600)"
    child = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
    assert child.stdout is not None
    child.stdout.readline()
    note(pids=[os.getpid(), child.pid])


def note(**more: Any) -> None:
    NOTES.write_text(json.dumps({**json.loads(NOTES.read_text()), **more}))


def chatter(mark: str) -> None:
    """What modules print by themselves, and what looks nearly like an answer."""
    say("\ufeffWARNING: this module is old.\r\n\x1b[?1hProgress 10 %\r")
    say(f'{"0" * 32} 15 {{"ready": "no"}}\n')
    say(f'VERBOSE: {mark} 14 {{"ready": "no"}}\n')
    say('{"number": 1, "row": {"Identity": "forged"}}\n\n')
    say("no end of line")


def main() -> None:
    NOTES.write_text(
        json.dumps({"arguments": sys.argv[3:], "environment": dict(os.environ), "cwd": str(Path.cwd())})
    )
    if TROUBLE == "silent":
        hang()
    hello = json.loads(sys.stdin.readline())
    mark = hello["mark"]
    note(
        files=[str(path) for path in Path.cwd().rglob("*")],
        tenant=hello["tenant"],
        environment_name=hello["environment"],
    )
    if TROUBLE.startswith("start:"):
        say(frame(mark, {"fault": json.loads(TROUBLE[6:]), "stage": json.loads(TROUBLE[6:])["stage"]}))
        return
    if TROUBLE == "dies at once":
        token = hello["tokens"][1]
        sys.stderr.write(f"Unhandled exception. Refused: {token[:17]}\n     | {token[17:]}\n")
        sys.exit(134)
    if TROUBLE == "stubborn":
        stubborn()
    chatter(mark)
    say(frame(mark, {"ready": {"module": "6.9.0", "powershell": "7.4.6"}}))
    if TROUBLE == "deaf":
        hang()
    if TROUBLE == "input closed":
        os.close(0)
        os.write(2, b"closed\n")
        hang()
    answer(mark, hello)


def answer(mark: str, hello: dict[str, Any]) -> None:
    teams = TeamsModel()
    for line in sys.stdin:
        request = json.loads(line)
        number = request["number"]
        trouble(mark, number, hello["tokens"])
        try:
            rows = teams.run(request["call"])
        except FaultError as error:
            say(frame(mark, {"number": number, "fault": error.fault}))
            continue
        for row in rows:
            chatter(mark)
            say(frame(mark, {"number": number, "row": row}))
        say(frame(mark, {"number": number, "end": len(rows)}))
    note(ended="by itself")


def trouble(mark: str, number: int, tokens: list[str]) -> None:
    """What comes instead of an answer, or before it, and whether the process ends (with this status) or hangs."""
    whole = frame(mark, {"number": number, "row": {"Identity": "x" * 50}})
    lines = {
        "half an answer": whole[:-20],
        "half a line": whole[:-20] + "\n",
        "no json": f"\n{mark} 5 {{'x'}}\n",
        "another question": frame(mark, {"number": number + 1, "end": 0}),
        "cut short": whole + frame(mark, {"number": number, "end": 2}),
    }
    if TROUBLE == "a giant line":
        say(f"\n{mark} {8 * MEGABYTE} " + "x" * 8 * MEGABYTE)
    while TROUBLE.startswith("endless"):
        say(whole if TROUBLE == "endless rows" else "x" * MEGABYTE)
    if TROUBLE.startswith("fault:"):
        fault = json.loads(TROUBLE[6:])
        fault["message"] = fault["message"].replace("TOKEN", tokens[0])
        say(frame(mark, {"number": number, "fault": fault}))
    say(lines.get(TROUBLE, ""))
    if TROUBLE in {"dies", "half an answer"}:
        sys.stderr.write("out of memory\n")
        sys.exit(137)
    if TROUBLE in {"no answer", "stubborn", "a giant line", *lines}:
        hang()


main()
