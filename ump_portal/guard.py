"""Ends what `ump up` has started when `ump up` itself is killed.

Started as a file of its own with the standard library only. Standard input is a pipe from the supervisor:
`+PID` says that a process group began, `-PID` that it has ended. When the pipe ends and groups are left, the
supervisor has died; then every one of them gets SIGTERM, and after a while SIGKILL.
"""

import contextlib
import os
import signal
import sys
import time

PATIENCE_SECONDS = 15.0
POLL_SECONDS = 0.1


def groups_left(lines: list[str]) -> list[int]:
    """The process groups that began and have not ended, in the order of their beginning."""
    left: dict[int, None] = {}
    for line in lines:
        sign, number = line[:1], line[1:].strip()
        if sign == "+" and number.isdigit():
            left[int(number)] = None
        elif sign == "-" and number.isdigit():
            left.pop(int(number), None)
    return list(left)


def end(groups: list[int]) -> None:
    """Ask every group to end, then make it."""
    for group in groups:
        _send(group, signal.SIGTERM)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline and any(_send(group, 0) for group in groups):
        time.sleep(POLL_SECONDS)
    for group in groups:
        _send(group, signal.SIGKILL)


def _send(group: int, number: int) -> bool:
    """Whether the group is there and took the signal."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)
        return True
    return False


def main() -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    end(groups_left(sys.stdin.readlines()))


if __name__ == "__main__":
    main()
