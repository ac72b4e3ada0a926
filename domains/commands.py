"""What a worker does for customers' domains: set one up, remove it, remove its activation user, try the zone.

Each step looks first and keeps what it brought in the domain's row, so that it may be repeated, and a new command
goes on where an older one stopped. Nothing sleeps: where Microsoft or the DNS needs time, a slice answers `Again`.
"""

import contextlib
import datetime as dt
import itertools
import uuid
from collections.abc import Callable
from typing import Any

from django.utils import timezone

from core.errors import Conflict, NotFound, PermissionMissing, Remedy, UmpError
from domains import services
from domains.models import CustomDomain, DnsZone, DomainState
from domains.selectors import steps_for
from domains.services import PROVISION, RELEASE, RELEASE_LOOK, REMOVE, TEST
from domains.steps import Step
from events.models import Type
from events.services import tell
from m365 import activation, permissions
from m365 import domains as far
from m365.graph import GraphClient
from nameservers import zones
from replication.context import Again, Context, Done, Outcome
from replication.models import Command, LaneName
from replication.registry import Kind, register
from tenants import lines, scope, secrets
from tenants.abilities import Ability
from tenants.outbound import guard

MOST_ATTEMPTS = 20
LOOK_AGAIN = dt.timedelta(seconds=20)
LATER = dt.timedelta(minutes=1)
MUCH_LATER = dt.timedelta(minutes=5)
TEST_LOOKS, TEST_PAUSE = 6, dt.timedelta(seconds=10)
MOST_LEFT = 20
"""Tests in a row that may have left their record; the next removes these."""
Brought = dict[str, Any]
"""Fields of the domain's row that a step found out."""


def zone_line(row: DnsZone) -> zones.Zone:
    """The provider's zone with its key opened: in a worker only.

    Raises UmpError: dns_zone_missing, dns_key_refused, key_unavailable.
    """
    if not row.writable or row.secret is None:
        raise UmpError.of("dns_zone_missing")
    try:
        secret = secrets.open_secret(row.secret)
    except UmpError as error:
        if error.code != "secret_unreadable":
            raise
        why = "its stored secret cannot be opened"
        raise UmpError.of("dns_key_refused", host=row.server, key=row.key_name, why=why) from error
    key = zones.Key(row.key_name, row.algorithm, secret)
    return zones.Zone(row.name, zones.parse_server(row.server, field="server"), key, guard())


def lookup_servers(row: DnsZone | None, name: str) -> list[zones.Server]:
    """Who is asked for records: what the zone says for names in it, else whoever serves the name."""
    if row is None or not name.endswith(f".{row.name}"):
        return []
    return [zones.parse_server(one, field="lookup_servers") for one in row.lookup_servers]


class _OvertakenError(Exception):
    """A person decided otherwise meanwhile: nothing more is written."""


class _Work:
    """One slice of work on one domain."""

    def __init__(self, ctx: Context, row: CustomDomain) -> None:
        self.ctx, self.row = ctx, row
        with scope.one(ctx.customer):
            self.line = lines.open_line(ctx.customer)
        self.graph: GraphClient = self.line.graph(stop=ctx.stop, before_write=ctx.still_ours)

    def note(self, **fields: Any) -> None:
        """What must be known before something is written outside; of a domain that is still worked on."""
        with self.ctx.transaction():
            self.ctx.checkpoint(step=self.row.step)
            _update(self.row, **fields)

    # --- Setting up: each answers what it found out, or when to look again ------------------------------------
    def rights(self) -> Brought | Again:
        """Raises UmpError: domain_rights_missing, wrong_tenant, phone_licence_missing."""
        token = self.line.token(fresh=True)
        lacking = permissions.lacking(token.granted, permissions.DOMAIN_NEEDS)
        if lacking:
            raise self._may_not(f"{self.line.app} lacks the permission {' and '.join(lacking)}")
        rows = self.graph.get(permissions.FEATURES["organisation"].probe).get("value") or [{}]
        if str(rows[0].get("id", "")).lower() != self.line.entra_tenant_id.lower():
            raise UmpError.of("wrong_tenant", tenant=self.line.name)
        if token.scopes:
            missing = permissions.roles_for_domains(activation.roles_of(self.graph, token))
            if missing:
                raise self._may_not(f"the signed-in administrator lacks the role {' and '.join(missing)}")
        if self.row.with_user and not self._user_has_licence():
            activation.free_licence(self.graph, self.line.name)
        return {}

    def _may_not(self, why: str) -> UmpError:
        return UmpError.of("domain_rights_missing", tenant=self.line.name, why=why)

    def _user_has_licence(self) -> bool:
        user = activation.find(self.graph, self.row.user_id) if self.row.user_id else None
        return user is not None and user.phone

    def add(self) -> Brought | Again:
        name = self.row.name
        if far.find(self.graph, name) is not None:
            return {}
        young = self.row.domain_made
        if not young:
            self.note(domain_made=True)
        try:
            far.add(self.graph, name)
        except UmpError as error:
            if (
                error.code == "domain_taken" and young
            ):  # made by a run that was cut off, and not everywhere yet
                return Again("Microsoft does not know the new domain everywhere yet.", LOOK_AGAIN)
            if not young and error.remedy != Remedy.LATER:
                self.note(domain_made=False)
            raise
        return {}

    def proof(self) -> Brought | Again:
        found = far.find(self.graph, self.row.name)
        if found is None:
            return Again("Microsoft does not know the new domain everywhere yet.", LOOK_AGAIN)
        return {} if found.verified else {"text": far.proof(self.graph, self.row.name)}

    def write(self) -> Brought | Again:
        from nameservers import records  # noqa: PLC0415  three megabytes, and few workers ever need them

        if not self.row.text:
            return {}
        row = _zone()
        line = zone_line(row)
        self.note(text_written=True)
        records.add_text(line, self.row.name, self.row.text, sent_by=self.ctx.still_ours())
        return {}

    def see(self) -> Brought | Again:
        from nameservers import records  # noqa: PLC0415  as above

        if not self.row.text:
            return {}
        there = services.zone()
        try:
            look = records.look(self.row.name, lookup_servers(there, self.row.name), guard())
        except UmpError as error:
            return Again(error.message, self._pause())
        having, asked = look.having(self.row.text), len(look.answers)
        if having == asked:
            return {}
        return Again(
            f"{having} of {asked} name servers ({', '.join(look.answers)}) have the TXT record.",
            self._pause(),
        )

    def verify(self) -> Brought | Again:
        found = far.find(self.graph, self.row.name)
        if found is None:
            return Again("Microsoft does not know the new domain everywhere yet.", LOOK_AGAIN)
        said = "" if found.verified else far.verify(self.graph, self.row.name)
        if said:
            return Again(f"Microsoft does not see the record yet: {said.rstrip('.')}.", self._pause())
        return {"verified_at": self.row.verified_at or timezone.now()}

    def tidy(self) -> Brought | Again:
        from nameservers import records  # noqa: PLC0415  as above

        if self.row.text_written:
            sent_by = self.ctx.still_ours()
            try:
                records.remove_text(zone_line(_zone()), self.row.name, self.row.text, sent_by=sent_by)
            except UmpError as error:
                if error.remedy == Remedy.LATER:
                    raise
                self.ctx.note(f"The TXT record was left in the zone: {error.message}", level="warning")
                return {}
        return {"text_written": False}

    def user(self) -> Brought | Again:
        row = self.row
        name = activation.principal_name(row.name)
        found = activation.find(self.graph, name)
        if found is not None:
            return {"user_id": found.id}
        young = row.user_made
        where = activation.country(self.graph, self.line.name)
        if not young:
            self.note(user_made=True)
        try:
            return {"user_id": activation.create(self.graph, row.name, where)}
        except UmpError as error:
            if not isinstance(error, Conflict) and error.code != "graph_refused":
                raise
            if (
                young or error.code == "graph_refused"
            ):  # made by a run that was cut off, or the domain is too young
                said = error.detail.get("microsoft_says") or error.message
                return Again(f"Microsoft does not take the user yet: {said.rstrip('.')}.", LOOK_AGAIN)
            raise

    def licence(self) -> Brought | Again:
        user = activation.find(self.graph, self.row.user_id)
        if user is None:
            return Again("Microsoft does not know the new user everywhere yet.", LOOK_AGAIN)
        if user.phone:
            return {}
        mine = [one for one in activation.phone_licences(self.graph) if one.sku_id in user.skus]
        licence = mine[0] if mine else activation.free_licence(self.graph, self.line.name)
        activation.assign(self.graph, user, licence, self.line.name)
        return {"licence": licence.name}

    def force(self) -> Brought | Again:
        user = activation.find(self.graph, self.row.user_id)
        if user is None or not user.phone:
            return Again("Microsoft sets up Teams Phone for the activation user.", self._pause())
        return {}

    # --- Removing ---------------------------------------------------------------------------------------------
    def drop_user(self) -> Brought | Again:
        """Raises UmpError (domain_in_use) while anybody else has the domain: then nothing at all is removed."""
        mine = activation.principal_name(self.row.name)
        others = [one for one in far.users_of(self.graph, self.row.name) if one.lower() != mine]
        if others and self.row.domain_made:
            raise UmpError.of("domain_in_use", thing=self.row.name, why=", ".join(others))
        if self.row.user_made and self.row.user_removed_at is None:
            found = activation.find(self.graph, self.row.user_id or mine)
            if found is not None:
                self.note(done={**self.row.done, services.BEGUN: timezone.now().isoformat()})
                activation.remove(self.graph, found.id)
        return {"user_removed_at": timezone.now() if self.row.user_made else None}

    def drop_text(self) -> Brought | Again:
        return self.tidy()

    def drop_domain(self) -> Brought | Again:
        if not self.row.domain_made:
            return {}
        try:
            far.remove(self.graph, self.row.name)
        except UmpError as error:
            if error.code == "domain_in_use" and self.row.user_made and self._spent() < 10 * LATER:
                self._drop_hidden_user()
                return Again("Microsoft does not know everywhere yet that the user is gone.", LOOK_AGAIN)
            raise
        return {}

    def _drop_hidden_user(self) -> None:
        """One that was asked for just before the removal, and that Microsoft did not show yet."""
        found = activation.find(self.graph, activation.principal_name(self.row.name))
        if found is not None:
            with contextlib.suppress(NotFound):  # it is gone, and shown all the same
                activation.remove(self.graph, found.id)

    # --- Time -------------------------------------------------------------------------------------------------
    def _spent(self) -> dt.timedelta:
        """How long the step has been under way."""
        return timezone.now() - (self.row.step_since or timezone.now())

    def _pause(self) -> dt.timedelta:
        """Often while it may be soon, then seldom: there is a button for now."""
        spent = self._spent()
        return LOOK_AGAIN if spent < 10 * LATER else LATER if spent < 120 * LATER else MUCH_LATER


def _zone() -> DnsZone:
    row = services.zone()
    if row is None:
        raise UmpError.of("dns_zone_missing")
    return row


def _update(row: CustomDomain, **fields: Any) -> None:
    """Into the row while it is in the state that this work belongs to, and into the copy at hand."""
    if not CustomDomain.objects.filter(id=row.id, state=row.state).update(**fields):
        raise _OvertakenError
    for name, value in fields.items():
        setattr(row, name, value)


def _row(ctx: Context) -> CustomDomain | None:
    with scope.one(ctx.customer):
        found: CustomDomain | None = (
            CustomDomain.objects.select_related("tenant").filter(id=uuid.UUID(ctx.target)).first()
        )
    return found


class _Stepwise(Kind):
    """A kind that goes through the steps of one domain."""

    ability = Ability.EDIT_TENANT
    lane = LaneName.IDENTITY
    state: DomainState

    def run(self, ctx: Context) -> Outcome:
        row = _row(ctx)
        if row is None or row.state != self.state:
            return Done("Nothing was done: somebody decided otherwise meanwhile.")
        try:
            return self._go_on(ctx, row)
        except _OvertakenError:
            return Again("Somebody decided otherwise meanwhile.")  # cancelled now, or ended by the next look

    def _go_on(self, ctx: Context, row: CustomDomain) -> Outcome:
        steps = steps_for(row)
        left = [step for step in steps if step.key not in row.done]
        if left:
            with _Told(ctx, row, left[0]):
                work = _Work(ctx, row)
            for number, step in enumerate(left, len(steps) - len(left)):
                ctx.report(label=step.title, done=number, total=len(steps), force=True)
                with _Told(ctx, row, step):
                    outcome = self._step(work, step, getattr(work, step.key))
                if outcome is not None:
                    return outcome
                if ctx.should_yield() and step is not left[-1]:
                    return Again()
        return self._finish(ctx, row)

    def _step(self, work: _Work, step: Step, act: Callable[[], Brought | Again]) -> Again | None:
        """Carry it out and keep what it brought; an answer when it must wait."""
        ctx, row = work.ctx, work.row
        if row.step != step.key or row.step_since is None:
            work.note(step=step.key, step_since=timezone.now(), waiting="", problem=None)
        brought = _in_time(work, step, act)
        if isinstance(brought, Again):
            with ctx.transaction():
                ctx.checkpoint(step=step.key)
                _update(row, waiting=brought.message[:500])
            return brought
        with ctx.transaction():
            ctx.checkpoint(step=step.key)
            done = {**row.done, step.key: timezone.now().isoformat()}
            _update(row, done=done, step="", step_since=None, waiting="", problem=None, **brought)
        return None

    def _finish(self, ctx: Context, row: CustomDomain) -> Outcome:
        raise NotImplementedError


def _in_time(work: _Work, step: Step, act: Callable[[], Brought | Again]) -> Brought | Again:
    """The step; past its time, what it waits for is an error that a person must look at.

    Raises UmpError: domain_late, and whatever the step raises. What Microsoft refuses half way (a role that was taken
    away) is said as a right that is missing for the domain, and does not blame the connection.
    """
    try:
        brought = act()
    except PermissionMissing as error:
        raise UmpError.of(
            "domain_rights_missing",
            tenant=work.line.name,
            why=f"Microsoft refused {work.line.app} the step: {step.title}",
            detail=error.detail,
        ) from error
    except NotFound as error:
        brought = Again(error.message, LOOK_AGAIN)
    except UmpError as error:
        if error.remedy != Remedy.LATER or work._spent() <= step.limit:
            raise
        brought = Again(error.message)
    if isinstance(brought, Again) and work._spent() > step.limit:
        why = brought.message.rstrip(".")
        raise UmpError.of("domain_late", thing=f'"{step.title}"', limit=step.limit_words, why=why)
    return brought


class _Told:
    """Writes into the domain's row why its work stopped or waits, so that its page can say it for good."""

    def __init__(self, ctx: Context, row: CustomDomain, step: Step) -> None:
        self.ctx, self.row, self.step = ctx, row, step

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if not isinstance(error, UmpError) or error.only_stopped:
            return
        stops = error.remedy != Remedy.LATER or self.ctx.attempt >= MOST_ATTEMPTS
        with self.ctx.transaction():
            _update(
                self.row,
                step=self.step.key,
                step_since=self.row.step_since or timezone.now(),
                waiting="" if stops else error.message[:500],
                problem=dict(error.to_dict()) if stops else None,
            )
            if stops and self.row.state == DomainState.SETTING_UP:
                data = {
                    "domain": self.row.name,
                    "step": self.step.key,
                    "code": error.code,
                    "message": error.message,
                }
                tell(Type.DOMAIN_STOPPED, self.row.tenant_id, data)


@register
class ProvisionDomain(_Stepwise):
    """TEN-14, TEN-15: the name at Microsoft, its proof in the DNS, the activation user with its licence."""

    name = PROVISION
    title = "Provision domain"
    state = DomainState.SETTING_UP
    max_attempts = MOST_ATTEMPTS
    reconcile = (
        "Each step looks at Microsoft and at the name server first. What is about to be made is noted in the "
        "domain's row before; domain and user are found again by their names, a record written twice is one."
    )

    def _finish(self, ctx: Context, row: CustomDomain) -> Outcome:
        actor, now = ctx.asker(), timezone.now()
        look = now + RELEASE_LOOK if row.user_made and row.with_user else None
        with ctx.transaction():
            _update(row, state=DomainState.READY, ready_at=now, next_look_at=look)
            services.note(actor, "domain.ready", row)
            tell(Type.DOMAIN_READY, row.tenant_id, {"domain": row.name})
        told = f"{row.name} is verified"
        if row.with_user:
            told += (
                " and has an activation user. Microsoft Teams may need up to a day until it knows the domain"
            )
        return Done(f"{told}.", result={"domain": row.name})


@register
class RemoveDomain(_Stepwise):
    """Away with what the portal made of a domain, and nothing else."""

    name = REMOVE
    title = "Remove domain"
    state = DomainState.REMOVING
    max_attempts = MOST_ATTEMPTS
    reconcile = (
        "Each step looks first; what is gone already is as good. Only what the domain's row says the portal made is "
        "touched, each by its own id or name."
    )

    def _finish(self, ctx: Context, row: CustomDomain) -> Outcome:
        actor = ctx.asker()
        with ctx.transaction():
            _update(row, state=DomainState.REMOVED, removed_at=timezone.now(), next_look_at=None)
            services.note(actor, "domain.removed", row)
        if row.domain_made:
            return Done(f"{row.name} was removed.")
        return Done(
            f"{row.name} was at Microsoft before the portal came, and stays there.", outcome="partial"
        )


@register
class RemoveActivationUser(Kind):
    """TEN-15: the activation user goes once another user keeps the domain alive for Teams."""

    name = RELEASE
    title = "Remove activation user"
    ability = Ability.EDIT_TENANT
    lane = LaneName.IDENTITY
    reconcile = (
        "The user is looked up by its id, which the portal noted when it made it; gone already is as good."
    )

    def run(self, ctx: Context) -> Outcome:
        row = _row(ctx)
        if row is None or row.state != DomainState.READY or not row.has_user:
            return Done("Nothing was done: there is no activation user of the portal's own any more.")
        with scope.one(ctx.customer):
            line = lines.open_line(ctx.customer)
        graph = line.graph(stop=ctx.stop, before_write=ctx.still_ours)
        ctx.report(label="Looking for another user with the domain", force=True)
        try:
            if not activation.another_with_phone(graph, row.name, {row.user_id}):
                if ctx.params.get("by_itself"):
                    return Done("It is still needed: no other user of the domain has Teams Phone.")
                raise UmpError.of("domain_needs_user", thing=row.name)
            activation.remove(graph, row.user_id)
        except PermissionMissing as error:
            why = f"Microsoft did not let {line.app} remove the activation user"
            if ctx.params.get("by_itself"):
                return Done(f"{why[0].upper()}{why[1:]}; it stays.", outcome="partial")
            raise UmpError.of(
                "domain_rights_missing", tenant=line.name, why=why, detail=error.detail
            ) from error
        actor = ctx.asker()
        with ctx.transaction():
            ctx.checkpoint(removed=True)
            CustomDomain.objects.filter(id=row.id).update(user_removed_at=timezone.now(), next_look_at=None)
            services.note(actor, "domain.user_removed", row)
        return Done(f"The activation user of {row.name} was removed; its licence is free again.")


def _where(row: DnsZone) -> list[str]:
    return [row.name, row.server]


def _record(number: int, zone_name: str) -> tuple[str, str]:
    """Name and text of what the test of this number writes."""
    return f"ump-test-{number}.{zone_name}", f"ump-test={number}"


def _begun(ctx: Context, row: DnsZone) -> list[tuple[str, str]]:
    """Note, before the record is written, where; what tests since one that removed its own may have left there."""
    if "looks" in ctx.state:
        return []
    with ctx.transaction():
        ctx.checkpoint(where=_where(row))
        tests = Command.objects.filter(tenant=None, kind=TEST, id__lt=ctx.command_id)
        earlier = list(tests.filter(checkpoint__where=_where(row)).order_by("-id")[:MOST_LEFT])
    left = itertools.takewhile(lambda each: not each.checkpoint.get("gone"), earlier)
    return [_record(each.id, row.name) for each in left]


def _gone(ctx: Context) -> None:
    with ctx.transaction():
        ctx.checkpoint(gone=True)


@register
class TryDnsZone(Kind):
    """A record is written, looked up and removed, as for a customer's domain."""

    name = TEST
    title = "Test DNS zone"
    ability = Ability.CHANGE_SETTINGS
    lane = LaneName.PROVIDER
    reconcile = (
        "The record's name carries the command's number: written again it is one. The run removes it; what one that "
        "was cancelled left, the next test removes."
    )

    def run(self, ctx: Context) -> Outcome:
        row = services.zone()
        if row is None:
            return Done("There is no zone any more.")
        was = ctx.state.get("where", _where(row))
        if was != _where(row):
            name, _ = _record(ctx.command_id, was[0])
            told = f"The zone was changed meanwhile; {name} may still be at {was[1]}. Test it again."
            return Done(told, outcome="partial")
        try:
            outcome = self._try(ctx, row)
        except UmpError as error:  # a test that found the fault has done its work
            if error.only_stopped:
                raise
            self._note(ctx, row, dict(error.to_dict()))
            return Done(f"{error.message} {error.advice}", outcome="partial")
        if isinstance(outcome, Done):
            self._note(ctx, row, None)
        return outcome

    @staticmethod
    def _try(ctx: Context, row: DnsZone) -> Outcome:
        from nameservers import records  # noqa: PLC0415  as above

        line = zone_line(row)
        name, text = _record(ctx.command_id, row.name)
        ctx.report(label="Writing a record", force=True)
        for left in _begun(ctx, row):
            records.remove_text(line, *left, sent_by=ctx.still_ours())
        records.add_text(line, name, text, sent_by=ctx.still_ours())
        ctx.report(label="Looking it up", force=True)
        try:
            look = records.look(name, lookup_servers(row, name) or [line.server], guard())
        except UmpError:
            sent_by = ctx.still_ours()
            with contextlib.suppress(UmpError):  # what is told is why nobody could look
                records.remove_text(line, name, text, sent_by=sent_by)
                _gone(ctx)
            raise
        seen = look.having(text) == len(look.answers)
        looks = int(ctx.state.get("looks", 0)) + 1
        if not seen and looks < TEST_LOOKS:
            with ctx.transaction():
                ctx.checkpoint(looks=looks)
            return Again("The record is written; waiting until it can be seen.", TEST_PAUSE)
        ctx.report(label="Removing it", force=True)
        records.remove_text(line, name, text, sent_by=ctx.still_ours())
        _gone(ctx)
        if not seen:
            limit, why = "1 minute", "it is not to be seen at every name server that is asked"
            raise UmpError.of("domain_late", thing="Finding the record", limit=limit, why=why)
        return Done(f"A record was written to {row.name}, seen, and removed.")

    @staticmethod
    def _note(ctx: Context, row: DnsZone, problem: dict[str, Any] | None) -> None:
        """Unless the zone was changed meanwhile: then the test says nothing about it."""
        same = DnsZone.objects.filter(id=row.id, row_version=row.row_version)
        with ctx.transaction():
            same.update(tested_at=timezone.now(), test_problem=problem)
