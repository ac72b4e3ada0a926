"""Whether the figures of a benchmark are what is wanted: a sentence each, and the exit status of its command.

A verdict is None where the run came to nothing that it could judge, which is no failure.
"""

from collections.abc import Mapping

Verdicts = Mapping[str, bool | None]
WORDS = {True: "yes", False: "NO", None: "-"}


def lines(verdicts: Verdicts) -> list[str]:
    return [f"  {WORDS[good]:<4}{what}" for what, good in verdicts.items()]


def status(verdicts: Verdicts) -> int:
    return int(False in verdicts.values())
