"""What was asked, what the queue did, what the outside saw: the record that the checker judges. No behaviour in here.

Times are seconds of the machine's clock; `n` numbers what the database wrote down, in the order in which it happened.
"""

import dataclasses
from typing import Any

FINAL = frozenset({"succeeded", "failed", "cancelled"})
WAITING = frozenset({"queued", "executing"})


@dataclasses.dataclass(frozen=True)
class Fault:
    """One blow of the nemesis; `until` is when what it broke was whole again."""

    at: float
    until: float
    kind: str
    detail: str = ""


@dataclasses.dataclass(frozen=True)
class Answer:
    """One answer of the API; `status` is 0 for a connection that ended without one."""

    at: float
    what: str
    status: int
    retry_after: str = ""
    command: int | None = None
    """The command that the portal promised, for a 2xx that names one."""


@dataclasses.dataclass(frozen=True)
class Move:
    """A command's row as it was written: its birth, each claim, each change of state or of checkpoint."""

    n: int
    at: float
    transaction: int
    command: int
    lane: int
    tenant: str
    kind: str
    target: str
    state: str
    reason: str
    fence: int
    deaths: int
    owner: str
    lease_until: float
    not_before: float


@dataclasses.dataclass(frozen=True)
class LaneRow:
    """A lane's row where it was told to sleep, or held for a person, or neither any more."""

    at: float
    lane: int
    not_before: float
    suspended: str


@dataclasses.dataclass(frozen=True)
class Life:
    """A process of a worker that could carry out commands: it was there, and not stopped."""

    pid: int
    since: float
    until: float


@dataclasses.dataclass(frozen=True)
class Write:
    """One row of the mirror as it was written; `version` is what the load had put at Microsoft, 0 before that."""

    n: int
    transaction: int
    tenant: str
    object: str
    version: int
    canary: str = ""
    """The tenant that the row's contents are of, by its canary."""


@dataclasses.dataclass(frozen=True)
class Effect:
    """Something that must happen once outside: `key` says which wish it fulfils, `identity` which thing it made."""

    tenant: str
    what: str
    key: str
    identity: str
    version: int = 0
    """Where the portal writes a value: which one; a later one must never be followed by an earlier one."""


@dataclasses.dataclass(frozen=True)
class Change:
    """One thing of one user that the portal promised to write; `version` is the number of the wish.

    `state` is what the portal says of it in the end; empty for a promise of which it knows nothing. `written` is
    whether it says that Microsoft was told.
    """

    tenant: str
    user: str
    what: str
    version: int
    state: str = ""
    written: bool = False
    problem: str = ""
    """The code of what it failed with."""

    @property
    def key(self) -> str:
        return f"{self.tenant} {self.user} {self.version}"


@dataclasses.dataclass(frozen=True)
class Received:
    """An event as a webhook got it."""

    endpoint: str
    event: int


@dataclasses.dataclass(frozen=True)
class Sample:
    """The counters of the header and the rows of the list, read in one transaction."""

    at: float
    counters: dict[str, int]
    rows: dict[str, int]


@dataclasses.dataclass(frozen=True)
class End:
    """One tenant when all was quiet: {object: version} at Microsoft and in the mirror, {what: identities} outside and
    what the portal believes that there is."""

    tenant: str
    far: dict[str, int]
    mirror: dict[str, int]
    outside: dict[str, list[str]] = dataclasses.field(default_factory=dict)
    believed: dict[str, list[str]] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass
class History:
    """Everything of one run."""

    seed: int
    lease: float
    sweep: float
    faults: list[Fault] = dataclasses.field(default_factory=list)
    answers: list[Answer] = dataclasses.field(default_factory=list)
    moves: list[Move] = dataclasses.field(default_factory=list)
    lanes: list[LaneRow] = dataclasses.field(default_factory=list)
    lives: list[Life] = dataclasses.field(default_factory=list)
    writes: list[Write] = dataclasses.field(default_factory=list)
    effects: list[Effect] = dataclasses.field(default_factory=list)
    wanted: list[Effect] = dataclasses.field(default_factory=list)
    """What the outside must have seen, by what the portal says that it did; the identity is empty."""
    changes: list[Change] = dataclasses.field(default_factory=list)
    received: list[Received] = dataclasses.field(default_factory=list)
    events: list[int] = dataclasses.field(default_factory=list)
    """Every event that the portal told."""
    samples: list[Sample] = dataclasses.field(default_factory=list)
    ends: list[End] = dataclasses.field(default_factory=list)
    audited: dict[int, int] = dataclasses.field(default_factory=dict)
    """Command -> entries of the trail that say who queued it; of commands that a client asked for."""
    leaks: list[str] = dataclasses.field(default_factory=list)
    """What the broker heard that it must not know."""
    fair: tuple[float, float] = (0.0, 0.0)
    """When the same flood of commands was carried out before any fault."""
    over: float = 0.0
    """When the last command had ended, or patience was over."""

    def as_json(self) -> dict[str, Any]:
        return dataclasses.asdict(self)
