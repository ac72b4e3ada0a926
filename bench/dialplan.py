"""How long the dial plans of a full device take to read and to check: `python bench/dialplan.py [--rules N]`.

The measure is the same file read by regular expressions alone, in the same run, in turn with the product's reader.
"""

import argparse
import json
import random
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.pop(0)  # bench/ itself: its queue.py is not Python's
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from audiocodes import rules

PLANS = ("CustDialPlan", "TeamsTenants", "RegisteredUsers", "OCDialPlan")
ROW = re.compile(r'^DialPlanRule (\d+) = "([^"]*)", (\d+), "([^"]*)", "([^"]*)", "([^"]*)";$', re.MULTILINE)
PARTS = re.compile(
    r'^DialPlanRule (\d+) = "([^"]*)", (\d+), "([^"]*)", "(\+?)(\d+)(?:\[(\d+)-(\d+)\])?", "([^"]*)";$',
    re.MULTILINE,
)
HALVES = ("[000-499]", "[500-999]")
TURNS = 7


def device(size: int) -> bytes:
    """An ini file of that many rules in no order: mostly ranges, a tenth halves of one range, a few overlapping."""
    chance = random.Random(size)  # the same file each time
    heads = [f"+4{number:07d}" for number in range(size)]
    chance.shuffle(heads)
    lines = ["[SYSTEM Params]", "", "[ DialPlanRule ]", ""]
    lines.append("FORMAT Index = DialPlanName, RuleIndex, Name, Prefix, Tag;")
    for at, head in enumerate(heads):
        prefix = f"{head}{'[000-999]' if at % 3 else '000'}" if at % 1000 > 4 else head[:7]
        if at % 10 in {0, 1}:
            prefix = f"{heads[at - at % 10]}{HALVES[at % 10]}"
        plan, customer = PLANS[at * len(PLANS) // size], at // 50
        lines.append(
            f'DialPlanRule {at} = "{plan}", {at}, "c{customer}", "{prefix}", "c{customer}.carrier.example";'
        )
    return "\n".join([*lines, "", "[ \\DialPlanRule ]", ""]).encode()


def by_expression(content: bytes) -> int:
    """One regular expression over the whole file, which takes rows and their prefixes apart, and nothing else."""
    return len(PARTS.findall(content.decode()))


def rows_only(content: bytes) -> int:
    """The same, with prefixes left whole."""
    return len(ROW.findall(content.decode()))


def by_lines(content: bytes) -> int:
    """Rows with prefixes left whole, a line at a time."""
    found = (ROW.match(line) for line in content.decode().splitlines())
    return len([match.groups() for match in found if match])


def ours(content: bytes) -> int:
    """Read, and each plan checked for overlaps."""
    found = rules.of_device(content.decode())
    plans: dict[str, list[str]] = {}
    for _, plan, _, _, prefix, _ in found:
        plans.setdefault(plan, []).append(prefix)
    return sum(1 for prefixes in plans.values() for _ in rules.overlaps(prefixes))


def seconds(work: Callable[[bytes], int], content: bytes) -> float:
    begun = time.process_time()
    work(content)
    return time.process_time() - begun


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rules", type=int, default=100_000)
    content = device(parser.parse_args().rules)
    ways = (by_expression, rows_only, by_lines, ours)
    best = {way.__name__: min(seconds(way, content) for _ in range(TURNS)) for way in ways}
    told = {
        "bytes": len(content),
        "overlaps": ours(content),
        "CPU seconds, best of 7": {name: round(value, 3) for name, value in best.items()},
        "ours against": {
            name: round(best["ours"] / value, 2) for name, value in best.items() if name != "ours"
        },
    }
    print(json.dumps(told, indent=1))


if __name__ == "__main__":
    main()
