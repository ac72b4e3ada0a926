"""A customer as the portal keeps it: what its queue and its mirror say."""

from __future__ import annotations

import dataclasses
import uuid
from typing import Any

from tests.system.microsoft import Customer, Microsoft
from tests.system.stage import Stage, until

FINAL = ("succeeded", "failed", "cancelled")
DIRECTORY = ("sync", "quick_replication")
CHECK = ("verify_credentials",)


@dataclasses.dataclass(frozen=True)
class Row:
    """A command as its row says."""

    id: int
    kind: str
    state: str
    reason: str
    message: str
    error: dict[str, Any] | None
    attempts: int
    deaths: int
    fence: int
    slices: int
    lease_owner: str
    result: dict[str, Any]

    @property
    def code(self) -> str:
        return str((self.error or {}).get("code", ""))

    @property
    def over(self) -> bool:
        return self.state in (*FINAL, "suspended")


COLUMNS = ", ".join(field.name for field in dataclasses.fields(Row))


class Kept:
    """One customer; `id` is the portal's."""

    def __init__(self, stage: Stage, customer: Customer, uid: str) -> None:
        self.stage = stage
        self.customer = customer
        self.id = uid

    # Its queue

    def commands(self, kinds: tuple[str, ...] = DIRECTORY) -> list[Row]:
        """Newest first."""
        found = self.stage.sql(
            f"SELECT {COLUMNS} FROM replication_command WHERE tenant_id = %s AND kind IN %s ORDER BY id DESC",
            self.id,
            kinds,
        )
        return [Row(*row) for row in found]

    def last(self, kinds: tuple[str, ...] = DIRECTORY) -> Row | None:
        return next(iter(self.commands(kinds)), None)

    def ended(self, kinds: tuple[str, ...] = DIRECTORY, seconds: float = 60.0) -> Row:
        """The newest command, once it is final or waits for a person."""

        def look() -> Row | None:
            found = self.last(kinds)
            return found if found and found.over else None

        return until(f"the last of {kinds} of {self.customer.name} is over", look, seconds)

    def in_step(self, seconds: float = 60.0) -> Row:
        """The newest replication, once it has succeeded."""
        found = self.ended(seconds=seconds)
        assert found.state == "succeeded", (found, self.steps(found.id))
        return found

    def executing(self) -> Row | None:
        return next((row for row in self.commands() if row.state == "executing"), None)

    def steps(self, command: int) -> list[str]:
        rows = self.stage.sql("SELECT text FROM replication_step WHERE command_id = %s ORDER BY id", command)
        return [row[0] for row in rows]

    def replicate(self, *, full: bool = False) -> None:
        """Ask by the command line."""
        self.stage.ump("replicate", self.id, *(["--full"] if full else []))

    def due_now(self) -> None:
        """Whoever would wait minutes for the next attempt need not in a test."""
        self.stage.sql(
            "UPDATE replication_command SET not_before = now() WHERE tenant_id = %s AND state = 'queued'",
            self.id,
        )
        self.stage.sql(
            "UPDATE replication_lane SET due_at = now(), not_before = now()"
            " WHERE tenant_id = %s AND due_at IS NOT NULL",
            self.id,
        )

    # Its mirror

    def count(self, table: str) -> int:
        return int(self.stage.one(f"SELECT count(*) FROM directory_{table} WHERE tenant_id = %s", self.id))

    def ids(self, table: str) -> set[str]:
        rows = self.stage.sql(f"SELECT object_id::text FROM directory_{table} WHERE tenant_id = %s", self.id)
        return {row[0] for row in rows}

    def memberships(self) -> set[tuple[str, str]]:
        rows = self.stage.sql(
            "SELECT group_id::text, member_id::text FROM directory_member WHERE tenant_id = %s", self.id
        )
        return set(rows)  # type: ignore[arg-type]  # rows of two columns

    def is_the_same(self) -> None:
        """The mirror holds exactly what is at Microsoft: nothing lost, nothing twice, nothing left over."""
        for kind, table in (("users", "user"), ("groups", "group")):
            theirs = [row["id"] for row in self.customer.living(kind)]
            assert self.ids(table) == set(theirs)
            assert self.count(table) == len(theirs)
        assert self.memberships() == self.customer.memberships()
        names = self.stage.sql(
            "SELECT user_principal_name FROM directory_user WHERE tenant_id = %s"
            " GROUP BY user_principal_name HAVING count(*) > 1",
            self.id,
        )
        assert names == []
        counted = self.stage.sql(
            "SELECT users_count, groups_count FROM tenants_tenant WHERE id = %s", self.id
        )
        assert counted == [(self.count("user"), self.count("group"))]
        for notes in ("seen", "todo"):
            assert self.count(notes) == 0, "a full read's notes are left over"


def add(stage: Stage, customer: Customer, **changes: Any) -> Kept:
    """Add it as an administrator would by the API, with its app registration."""
    body = {
        "name": customer.name,
        "entra_tenant_id": customer.tenant_id,
        "connection": customer.connection(**changes),
    }
    answer = stage.admin.call("POST", "/tenants", body, **{"Idempotency-Key": str(uuid.uuid4())})
    assert answer.status_code == 201, answer.text
    return Kept(stage, customer, answer.json()["id"])


def some(stage: Stage, microsoft: Microsoft, name: str, number: int) -> list[Kept]:
    """Customers, each a few seconds' work."""
    return [
        add(stage, microsoft.customer(f"{name} {n}", users=3000, groups=20, settings={"latency_ms": 400}))
        for n in range(number)
    ]


def all_in_step(customers: list[Kept]) -> None:
    for kept in customers:
        ended = kept.in_step()
        assert ended.deaths == 0
        assert len(kept.commands()) == 1, "it was done twice"
        kept.is_the_same()
