"""How far a run is, in a form that survives a crash, and how much it asked of Microsoft."""

import dataclasses
import threading
import uuid
from typing import Any, Self

from directory.models import Mode, Stream
from directory.sync.staging import Count
from m365.graph import CallRecord

LIST, DELTA = "list", "delta"


@dataclasses.dataclass
class Part:
    """One stream's way through a run. `at` is the link to go on from; empty is the beginning."""

    mode: str
    why: str = ""
    source: str = LIST
    """A full read goes over the list; over the delta where Microsoft gives no link to start from."""
    at: str = ""
    link: str = ""
    """The delta link to keep at the end of a full read, taken before its first page."""
    link_at: str = ""
    fresh: bool = False
    """The mirror held nothing when the full read began: nothing can be left over at its end."""
    repeated: bool = False
    """An object came twice in a fresh mirror, so its memberships may come twice as well."""
    begun: bool = False
    done: bool = False
    pages: int = 0
    idle: int = 0
    """Pages in a row that brought nothing new: a list without end is told by it."""
    restarts: int = 0
    total: int | None = None
    count: Count = dataclasses.field(default_factory=Count)

    @classmethod
    def load(cls, stored: dict[str, Any]) -> Self:
        return cls(**{**stored, "count": Count(**stored["count"])})

    @property
    def full(self) -> bool:
        return self.mode == Mode.FULL


@dataclasses.dataclass
class Run:
    """A whole run: the streams' parts, the memberships, and what was asked of Microsoft so far."""

    parts: dict[str, Part]
    members: Count = dataclasses.field(default_factory=Count)
    groups_read: int = 0
    """Groups whose members this full read has fetched."""
    concluded: bool = False
    """The end of the full read is done: what was not seen is out, the links are kept."""
    licences: Count = dataclasses.field(default_factory=Count)
    licences_error: dict[str, Any] | None = None
    proof: bool = False
    by_delta: dict[str, Count] = dataclasses.field(default_factory=dict)
    """What the deltas before a proof had brought."""
    requests: int = 0
    waited: float = 0.0
    id: str = dataclasses.field(default_factory=lambda: str(uuid.uuid4()))
    """Whose the notes of a full read are: another run of the same customer begins with notes of its own."""

    @classmethod
    def load(cls, stored: dict[str, Any]) -> Self:
        return cls(
            **{
                **{name: value for name, value in stored.items() if name in cls.__dataclass_fields__},
                "parts": {name: Part.load(part) for name, part in stored["parts"].items()},
                "members": Count(**stored["members"]),
                "licences": Count(**stored["licences"]),
                "by_delta": {name: Count(**count) for name, count in stored["by_delta"].items()},
            }
        )

    def dump(self) -> dict[str, Any]:
        return dataclasses.asdict(self)

    @property
    def reading(self) -> bool:
        """A full read is under way, with notes in the database."""
        return not self.concluded and any(part.full and part.begun for part in self.parts.values())

    @property
    def users(self) -> Part:
        return self.parts[Stream.USERS]

    @property
    def groups(self) -> Part:
        return self.parts[Stream.GROUPS]


class Tally:
    """Counts the calls of all threads. `requests` includes repeats; `waited` is in seconds."""

    def __init__(self, requests: int, waited: float) -> None:
        self._lock = threading.Lock()
        self.requests = requests
        self.waited = waited

    def note(self, call: CallRecord) -> None:
        with self._lock:
            self.requests += 1
            self.waited += 0.0 if call.error else call.waited  # a repeated call tells the sum at its end
