"""Judges a run under fire: a pure function from the history to what went wrong (facts/security.md 6.5, I1 to I10).

Every finding is a sentence that names the command, tenant or object, so that it can be looked up in the history.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator

from bench.chaos_history import FINAL, WAITING, Change, End, History, Move

Findings = dict[str, list[str]]
HEADS = (
    "lost", "doubled", "stuck", "out_of_order", "stale_overwrites",
    "miscounted", "foreign", "unaudited", "leaked", "server_errors",
)  # fmt: skip
"""I1; I2; I6; I4; I3 and I5; I7; I8; I9; I10; and the API's promise of 503 with Retry-After and never 500."""


def check(history: History) -> Findings:
    """All heads, each with what was found; empty lists are a good run."""
    found: Findings = {head: [] for head in HEADS}
    for head, judge in JUDGES:
        found[head] += judge(history)
    return found


def lost(history: History) -> Iterator[str]:
    """I1: what the API promised has ended; what the portal believes to have done was seen outside."""
    last = _last(history.moves)
    for command in sorted({answer.command for answer in history.answers if answer.command is not None}):
        if command not in last:
            yield f"command {command} was promised and there is no row of it"
    seen = {(effect.what, effect.key) for effect in history.effects}
    for effect in history.wanted:
        if (effect.what, effect.key) not in seen:
            yield f"{effect.what} {effect.key} is said to be done and was never seen outside"
    yield from _changes_lost(history, seen)
    for end in history.ends:
        for thing in sorted(end.far.keys() - end.mirror.keys()):
            yield f"{end.tenant}: {thing} is at Microsoft and not in the mirror"
        yield from _amiss(end, missing=True)
    missed = set(history.events) - {one.event for one in history.received}
    if history.received and missed:
        yield f"events {sorted(missed)[:5]} were told and never received"


def _changes_lost(history: History, seen: set[tuple[str, str]]) -> Iterator[str]:
    for change in history.changes:
        if not change.state:
            yield f"{change.what} {change.key} was promised, and there is no row of it"
        elif change.written and (change.what, change.key) not in seen:
            yield f"{change.what} {change.key} is said to be written and was never seen outside"
        elif change.state == "failed" and (change.what, change.key) in seen:
            yield f"{change.what} {change.key} is said to have failed and was done"
    newest = {(change.tenant, change.user, change.what): change for change in _by_version(history.changes)}
    for change in newest.values():
        if change.state in {"superseded", "withdrawn"}:
            yield f"{change.what} {change.key} is {change.state}, and nothing newer was promised"


def doubled(history: History) -> Iterator[str]:
    """I2: a wish made one thing outside, and never did two workers hold one lane."""
    made: dict[tuple[str, str], set[str]] = defaultdict(set)
    for effect in history.effects:
        made[effect.what, effect.key].add(effect.identity)
    for (what, key), identities in made.items():
        if len(identities) > 1:
            yield f"{what} {key} was done {len(identities)} times: {sorted(identities)}"
    holders: dict[int, int] = {}
    for move in history.moves:
        held = holders.get(move.lane)
        if move.state == "executing":
            if held not in (None, move.command):
                yield f"commands {held} and {move.command} were both executing in lane {move.lane}"
            holders[move.lane] = move.command
        elif held == move.command:
            del holders[move.lane]
    for end in history.ends:
        yield from _amiss(end, missing=False)
        for thing in sorted(end.mirror.keys() - end.far.keys()):
            yield f"{end.tenant}: {thing} is in the mirror and not at Microsoft"


def _amiss(end: End, *, missing: bool) -> Iterator[str]:
    """Where outside and belief differ: things that are missing outside, or that are there too often."""
    for what in sorted(end.outside.keys() | end.believed.keys()):
        outside, believed = Counter(end.outside.get(what, ())), Counter(end.believed.get(what, ()))
        difference = believed - outside if missing else outside - believed
        if difference:
            word = "is missing outside" if missing else "is outside and nobody's"
            yield f"{end.tenant}: {what} {sorted(difference)} {word}"


def stuck(history: History) -> Iterator[str]:
    """I6: at the end nothing waits that nobody will carry out."""
    for move in _last(history.moves).values():
        if move.state in WAITING:
            yield f"command {move.command} ({move.kind}) is still {move.state} {move.reason}".rstrip()
        elif move.state not in FINAL and move.state != "suspended":
            yield f"command {move.command} is in no state of the table: {move.state}"
    for change in history.changes:
        if change.state in {"pending", "applying"}:
            yield f"{change.what} {change.key} is still {change.state}"


def out_of_order(history: History) -> Iterator[str]:
    """I4: of one target the earlier wish goes first, fences only rise, events arrive in their order."""
    waiting: dict[tuple[int, str], set[int]] = defaultdict(set)
    before: dict[int, Move] = {}
    for move in history.moves:
        former = before.get(move.command)
        if former is not None and move.fence < former.fence:
            yield f"command {move.command} went back from fence {former.fence} to {move.fence}"
        if former is not None and former.state in FINAL and move.state != former.state:
            yield f"command {move.command} had {former.state} and became {move.state}"
        if move.target:
            open_ones = waiting[move.lane, move.target]
            if move.state == "executing" and (former is None or former.state != "executing"):
                for earlier in sorted(one for one in open_ones if one < move.command):
                    yield f"command {move.command} overtook {earlier} of the same target {move.target}"
            if move.state in {"queued", "suspended"}:
                open_ones.add(move.command)
            else:
                open_ones.discard(move.command)
        before[move.command] = move
    yield from _events_in_order(history)


def _events_in_order(history: History) -> Iterator[str]:
    newest: dict[str, int] = {}
    for one in history.received:
        if one.event > newest.get(one.endpoint, 0):
            newest[one.endpoint] = one.event
            continue
        if one.event != newest[one.endpoint]:  # the newest one may come again, under the same id
            yield f"event {one.event} came to {one.endpoint} after {newest[one.endpoint]}"


def stale(history: History) -> Iterator[str]:
    """I3 and I5: a newer value is never followed by an older one, and a fence that has passed writes nothing."""
    newest: dict[tuple[str, str], int] = {}
    for write in history.writes:
        key = (write.tenant, write.object)
        if write.version < newest.get(key, 0):
            yield f"{write.tenant}: {write.object} went back from {newest[key]} to {write.version}"
        newest[key] = write.version
    told: dict[tuple[str, str], int] = {}
    for effect in (each for each in history.effects if each.version):
        user = effect.key.rpartition(" ")[0]
        if effect.version < told.get((effect.what, user), 0):
            yield f"{effect.what} of {user} went back from {told[effect.what, user]} to {effect.version} outside"
        told[effect.what, user] = effect.version
    for end in history.ends:
        for thing, version in end.far.items():
            if end.mirror.get(thing, version) != version:
                yield f"{end.tenant}: {thing} is {version} at Microsoft and {end.mirror[thing]} in the mirror"
    yield from _late(history)


def _late(history: History) -> Iterator[str]:
    """A transaction is known by what it wrote of its command's row; its fence must be the newest one then."""
    fences: dict[int, tuple[int, int]] = {}
    passed: dict[int, int] = {}
    rows = sorted([*history.moves, *history.writes], key=lambda row: row.n)
    told = {
        move.transaction: (move.command, move.fence) for move in history.moves if move.state == "executing"
    }
    for row in rows:
        if isinstance(row, Move):
            passed[row.command] = max(passed.get(row.command, 0), row.fence)
            continue
        command, fence = fences.setdefault(row.transaction, told.get(row.transaction, (0, 0)))
        if command and passed.get(command, 0) > fence:
            newest = passed[command]
            yield f"{row.tenant}: {row.object} was written under fence {fence} of command {command}, after {newest}"


def miscounted(history: History) -> Iterator[str]:
    """I7: the counters are those of the rows."""
    for sample in history.samples:
        if sample.counters != sample.rows:
            yield f"the header said {sample.counters} of {sample.rows}"


def foreign(history: History) -> Iterator[str]:
    """I8: nothing of one customer came to another."""
    for write in history.writes:
        if write.canary and write.canary != write.tenant:
            yield f"{write.tenant} got {write.object} of {write.canary}"
    for effect in history.effects:
        if effect.what == "foreign":
            yield f"{effect.tenant}: {effect.key}"


def unaudited(history: History) -> Iterator[str]:
    """I9: who asked for a command stands in the trail once."""
    for command, entries in sorted(history.audited.items()):
        if entries != 1:
            yield f"command {command} has {entries} entries in the trail"


def leaked(history: History) -> Iterable[str]:
    """I10."""
    return history.leaks


def server_errors(history: History) -> Iterator[str]:
    """Whatever is away, the API says 503 and when to come again, and never 500."""
    for answer in history.answers:
        if answer.status >= 500 and answer.status != 503:
            yield f"{answer.what} was answered {answer.status}"
        elif answer.status == 503 and not answer.retry_after:
            yield f"{answer.what} was answered 503 without Retry-After"


JUDGES: tuple[tuple[str, Callable[[History], Iterable[str]]], ...] = (
    ("lost", lost),
    ("doubled", doubled),
    ("stuck", stuck),
    ("out_of_order", out_of_order),
    ("stale_overwrites", stale),
    ("miscounted", miscounted),
    ("foreign", foreign),
    ("unaudited", unaudited),
    ("leaked", leaked),
    ("server_errors", server_errors),
)


def _by_version(changes: Iterable[Change]) -> list[Change]:
    return sorted(changes, key=lambda change: change.version)


def _last(moves: Iterable[Move]) -> dict[int, Move]:
    return {move.command: move for move in moves}
