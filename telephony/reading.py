"""Reading one stream of telephony to its end, in slices, and what becomes of what Microsoft no longer lists."""

import dataclasses
import uuid
from collections.abc import Callable, Iterator
from typing import Any

from django.db.models.functions import Now

from core.errors import UmpError
from directory.scoping import sieve_of
from directory.sync.jobs import LINK_REFUSED
from directory.sync.staging import Count, may_be_lost
from m365 import permissions, teams
from m365.graph import GraphClient
from m365.teams_by_powershell import IN_THE_WAY, NEVER_SINCE
from replication import plans
from replication.context import Again, Context, Done, Outcome
from telephony import landing
from telephony.models import Stream, TeamsPolicy, TeamsStream, TeamsUser
from tenants import lines
from tenants.models import Tenant

Look = Callable[[GraphClient, str], Iterator[teams.Read]]
MOST_RESTARTS = 2
START_OVER = frozenset({"endless_pages", "plan_needs_approval"})
LACKING = frozenset({"permission_missing", "graph_unsupported"}) | IN_THE_WAY - NEVER_SINCE
"""Telephony is an extra: what it lacks is told, and the customer's directory is still worth having."""


@dataclasses.dataclass(frozen=True)
class What:
    """A stream: how it is read, which feature of Microsoft's it is, and its words."""

    stream: Stream
    look: Look
    feature: str
    one: str
    many: str


WHAT = {
    what.stream: what
    for what in (
        What(Stream.USERS, teams.users, "teams_users", "Teams user", "Teams users"),
        What(Stream.POLICIES, teams.policies, "teams_users", "user's policies", "users' policies"),
        What(Stream.NUMBERS, teams.numbers, "numbers", "number", "numbers"),
    )
}


class Reading:
    """One slice. The checkpoint holds where it goes on and what it has done so far."""

    def __init__(self, ctx: Context, line: lines.Line, stream: Stream) -> None:
        self.ctx, self.line, self.what = ctx, line, WHAT[stream]
        self.tenant_id: uuid.UUID = ctx.customer
        state: dict[str, Any] = ctx.state.get("reading") or {}
        self.at: str = state.get("at", "")
        self.owner = uuid.UUID(state["owner"]) if "owner" in state else None
        """Whose the notes of what was seen are: a command that waits may find those of another one."""
        self.whole: bool = state.get("whole", False)
        self.left_out: int = state.get("left_out", 0)
        self.restarts: int = state.get("restarts", 0)
        self.count = Count(**state.get("count", {}))
        self.changed: bool = ctx.state.get("changed", False)
        """By a run of this command that was cut off once it had concluded, too."""

    def slice(self) -> Outcome:
        """Done when everything is in step (or cannot be read at all, and says why), Again at a slice's end."""
        try:
            return self._slice()
        except UmpError as error:
            if error.code in LACKING:
                return self._lacking(error)
            self._leave(error)
            raise

    def _slice(self) -> Outcome:
        if self.owner is None or not landing.seen_by(self.tenant_id, self.what.stream, self.owner):
            with self.ctx.transaction():
                self._begin()
        if not self.whole and not self._pages():
            return Again(f"{self.count.read:,} {self.what.many} so far")
        return self._conclude()

    def _begin(self) -> None:
        """From the first page, with notes of our own; what was already written stays counted."""
        self.owner = uuid.uuid4()
        landing.begin_seen(self.tenant_id, self.what.stream, self.owner)
        self.at, self.whole, self.left_out = "", False, 0
        self.count = Count(changed=self.count.changed, added=self.count.added)
        self._save()

    def _pages(self) -> bool:
        """Land every page; False when the slice is over first."""
        if not self.at:  # from the beginning, perhaps after a run that was cut off
            self.count.read = self.left_out = 0
        try:
            with self.line.telephony(stop=self.ctx.stop) as graph:
                for page in self.what.look(graph, self.at):
                    self._land(page)
                    if page.next and self.ctx.should_yield():
                        return False
        except UmpError as error:
            if error.code not in LINK_REFUSED or not self.at or self.restarts >= MOST_RESTARTS:
                raise
            self._start_over()
            return False
        with self.ctx.transaction():
            self.whole = True
            self._save()
        return True

    def _land(self, page: teams.Read) -> None:
        with self.ctx.transaction():
            if page.next:
                may_be_lost()
            self.count.add(self._rows(page))
            self.at = page.next
            self._save()
        self.ctx.report(done=self.count.read, label=f"{self.count.read:,} {self.what.many}")

    def _rows(self, page: teams.Read) -> Count:
        if self.what.stream == Stream.NUMBERS:
            return landing.land_numbers(self.tenant_id, page.rows)
        if self.what.stream == Stream.POLICIES:
            return landing.land_policies(self.tenant_id, page.rows)
        sieve = sieve_of(Tenant.objects.get(id=self.tenant_id))
        count, left_out = landing.land_users(self.tenant_id, page.rows, sieve)
        self.left_out += left_out
        return count

    def _start_over(self) -> None:
        """Microsoft has forgotten where we were."""
        self.restarts += 1
        with self.ctx.transaction():
            self._begin()

    def _save(self) -> None:
        self.ctx.checkpoint(
            reading={
                "at": self.at,
                "begun": True,  # which is what a worker of the version before asks
                "owner": str(self.owner),
                "whole": self.whole,
                "left_out": self.left_out,
                "restarts": self.restarts,
                "count": vars(self.count).copy(),
            }
        )

    # The end

    def _conclude(self) -> Outcome:
        with self.ctx.transaction():
            unapproved = self._ask()
            if unapproved is None:
                self.count.removed += landing.remove_unseen(self.tenant_id, self.what.stream)
                landing.forget_seen(self.tenant_id, self.what.stream)
                self._keep(error=None, synced_at=Now(), rows=self._rows_now(), left_out=self.left_out)
                self.changed = self.changed or bool(self.count.differences)
                self.ctx.checkpoint(reading=None, changed=self.changed)
        if unapproved is not None:
            self._leave(unapproved)
            raise unapproved
        outcome = "complete" if self.changed else "unchanged"
        return Done(self._sentence(), outcome, result=vars(self.count) | {"left_out": self.left_out})

    def _ask(self) -> UmpError | None:
        """plan_needs_approval with a plan drawn, when more would go than may go unseen; as for the directory."""
        if self.what.stream == Stream.POLICIES:
            return None  # a handful of names, which come back as soon as somebody has them
        gone, have = landing.unseen(self.tenant_id, self.what.stream)
        if plans.may_go_unseen(gone, have):
            return None
        noun = self.what.one[0].upper() + self.what.one[1:]
        wanted = landing.unseen_lines(self.tenant_id, self.what.stream, noun)
        label = self.what.many[0].upper() + self.what.many[1:]
        figures = [{"noun": noun, "label": label, "remove": gone, "have": have}]
        why = (
            f"Microsoft does not list these {self.what.many} any more. They were removed there, or the app "
            "registration may not see them any longer."
        )
        return plans.ask(self.tenant_id, self.ctx.command_id, wanted, why=lambda _: why, figures=figures)

    def _rows_now(self) -> int:
        if self.what.stream == Stream.NUMBERS:
            return landing.unseen(self.tenant_id, self.what.stream)[1]
        model = TeamsUser if self.what.stream == Stream.USERS else TeamsPolicy
        return int(model.objects.filter(tenant_id=self.tenant_id).count())

    def _sentence(self) -> str:
        """For people."""
        done, what = self.count, self.what
        read = f"{done.read:,} {what.one if done.read == 1 else what.many}"
        if not done.differences:
            text = f"{read} read; nothing has changed."
        else:
            text = f"{read} read; {done.added:,} added, {done.changed:,} changed, {done.removed:,} removed."
        if self.left_out:
            text += f" The CsOnlineUser Filter leaves {self.left_out:,} out."
        return text

    # When it does not come to its end

    def _lacking(self, error: UmpError) -> Outcome:
        """It cannot be read, for a reason that only a person can mend; the rest of the customer's work goes on."""
        names = ", ".join(permissions.needed(self.what.feature))
        if error.code == "permission_missing":
            error = UmpError.of(
                error.code,
                permission=names,
                tenant=self.line.name,
                app=self.line.app,
                detail=dict(error.detail),
            )
        with self.ctx.transaction():
            landing.forget_seen(self.tenant_id, self.what.stream)
            self._keep(error=dict(error.to_dict()))
            self.ctx.checkpoint(reading=None)
        return Done(f"{Stream(self.what.stream).label} could not be read. {error.message}", outcome="partial")

    def _leave(self, error: UmpError) -> None:
        """Before an error goes to the runner: people see it, and what can't be trusted is dropped."""
        if error.only_stopped or error.code == "throttled":
            return
        with self.ctx.transaction():
            if error.code in START_OVER:
                landing.forget_seen(self.tenant_id, self.what.stream)
                self.ctx.checkpoint(reading=None)
            self._keep(error=dict(error.to_dict()))

    def _keep(self, **values: Any) -> None:
        TeamsStream.objects.update_or_create(
            tenant_id=self.tenant_id, stream=self.what.stream, defaults=values
        )
