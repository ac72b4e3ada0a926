"""Renewing a credential without a gap: add, seal, wait, prove, use, remove. Whosever it is, secret or certificate.

Nothing here sleeps: where Microsoft needs minutes to spread something, the command goes back to the queue. Where
a run was cut off is read from the rows that wait beside what is in use and from Microsoft, where everything that
the portal made carries its marker; so a new command finishes what an older one began. A candidate it proves and
uses; a former credential of a renewal that had switched it takes away, and then renews what is in use.
"""

import abc
import contextlib
import datetime as dt
import uuid
from collections.abc import Callable, Iterator

from django.conf import settings
from django.utils import timezone

from accounts import installation
from authstatus import keys_on_file
from authstatus.turn import in_turn
from core.errors import PermissionMissing, Remedy, UmpError
from m365 import permissions
from m365 import registrations as far
from m365.graph import GraphClient
from m365.identity import AppCredential, proof_of_possession
from m365.registrations import KeyOnFile, Registration
from replication.context import Again, Context, Done, Outcome
from replication.models import Command, State
from tenants import lines, scope
from tenants.access import Actor
from tenants.credentials import Given, new_certificate
from tenants.models import ProviderStandby, SecretKind, Standby, StandbyRole

SETTLE = dt.timedelta(seconds=30)
"""After a cut-off write: what may still be on its way has arrived by then."""
LOOK_AGAIN = dt.timedelta(seconds=20)
SHORTER_LIVES = (24, 12, 6, 3, 1)
"""Months to ask for where the organisation's rules forbid a longer life (complaint B 8)."""
NOT_IN_FORCE_YET = frozenset({"secret_wrong", "app_not_found", "app_not_installed", "certificate_refused"})
"""What Microsoft answers for minutes about something that it has just made (facts/microsoft.md 7, step 10)."""
LETS_NOBODY_IN = NOT_IN_FORCE_YET | {"secret_expired", "app_disabled", "permission_missing"}
"""What Microsoft answers for good about an app that is not in use any more."""
SECRET, CERTIFICATE = "client secret", "certificate"
NOT_YET = "Microsoft needs a moment until the new {what} works everywhere."
GONE = "The {what} was renewed, and the old one removed."
DISCARDED = "What was sealed for this renewal was discarded meanwhile; the next one removes it at Microsoft."
CHANGED = "The credentials were changed meanwhile, so the new one was taken away again."
LEFT_BEHIND = "Removed what an interrupted attempt had left at Microsoft."

Waiting = Standby | ProviderStandby
"""What lies beside the credential in use: a candidate that is being proven, or the former one."""


class Holder(abc.ABC):
    """Whose credential it is. Call what reads in `scope()`, and what writes in a transaction of the command."""

    tenant_id: uuid.UUID | None
    """None: the provider's own."""
    life_setting: str
    by_hand: str
    """Who removes what the portal could not tell apart, in a sentence."""

    @abc.abstractmethod
    def scope(self) -> contextlib.AbstractContextManager[object]: ...

    @abc.abstractmethod
    def waiting(self, role: StandbyRole) -> Waiting | None: ...

    @abc.abstractmethod
    def busy(self) -> str:
        """Why nothing may be begun now; empty when it may."""

    @abc.abstractmethod
    def line(self) -> lines.Line:
        """By what is in use."""

    @abc.abstractmethod
    def line_of(self, row: Waiting) -> lines.Line: ...

    @abc.abstractmethod
    def uses(self, row: Waiting) -> bool:
        """Whether the app registration in use is still that of the row."""

    @abc.abstractmethod
    def keep(self, actor: Actor, given: Given) -> Waiting:
        """Seal it as the candidate."""

    @abc.abstractmethod
    def replaced(self, candidate: Waiting) -> bool:
        """Lock what is in use, and say whether somebody entered another credential since."""

    @abc.abstractmethod
    def switch(self, actor: Actor, candidate: Waiting) -> None:
        """Use the candidate; what was used until now becomes the former one."""

    @abc.abstractmethod
    def withdraw(self, candidate: Waiting) -> None:
        """Never to be used: it goes as a former one does."""

    @abc.abstractmethod
    def forget(self, row: Waiting) -> None:
        """Delete the row with what is sealed in it."""

    def shared_with(self, former: Waiting, key: KeyOnFile) -> str:
        """Which other service uses this very credential too, so that it has to stay; empty for none."""
        return ""

    @abc.abstractmethod
    def listed(self, found: Registration) -> None:
        """Microsoft has just listed what is on the registration."""

    def refused(self, error: UmpError) -> UmpError:
        """The error in words for whoever can mend it."""
        return error


class Renewal:
    """One run of the command."""

    def __init__(self, ctx: Context, holder: Holder) -> None:
        self.ctx, self.holder = ctx, holder

    def run(self) -> Outcome:
        if told := self.ctx.state.get("told"):
            return Done(told, outcome=self.ctx.state["outcome"])
        with self.holder.scope():
            former = self.holder.waiting(StandbyRole.FORMER)
            candidate = self.holder.waiting(StandbyRole.CANDIDATE)
        if not self._begun() and called_off(self.ctx):
            return Done("Nothing was changed: the renewal of all was cancelled before it came to this one.")
        try:
            if former is not None:
                return self._remove(former)
            if candidate is None:
                return Done(DISCARDED) if self.ctx.state.get("sealed") else self._add()
            on_file = candidate.secret is not None and candidate.secret.microsoft_id is not None
            return self._prove(candidate) if on_file else self._place(candidate)
        except UmpError as error:
            raise self.holder.refused(error) from error

    def _begun(self) -> bool:
        """Whether this command sealed a new one or put one to use; if not, what lies there is another's."""
        return bool(self.ctx.state.get("sealed") or self.ctx.state.get("switched"))

    # 1. A new one, sealed at once
    def _add(self) -> Outcome:
        ctx = self.ctx
        with self.holder.scope():
            if why := self.holder.busy():
                return Done(f"Nothing was changed: {why}.")
            line = self.holder.line()
        graph = line.graph(stop=ctx.stop, before_write=ctx.still_ours)
        what = what_of(line.credential)
        ctx.report(label=f"Adding a {what}", force=True)
        found = own_registration(graph, line)
        with as_owner(line):
            if what == CERTIFICATE:
                return self._make_pair(graph, found, line.credential)
            wait = add_secret(ctx, graph, found, self._seal, life_setting=self.holder.life_setting)
        return wait or Again(NOT_YET.format(what=what), LOOK_AGAIN)

    def _seal(self, ctx: Context, new: far.NewSecret) -> None:
        given = Given(SecretKind.CLIENT_SECRET, new.value, expires_at=new.ends)
        keys_on_file.is_key(self.holder.keep(ctx.asker(), given).secret, new.key_id, new.ends)
        ctx.checkpoint(sealed=True)

    def _make_pair(self, graph: GraphClient, found: Registration, proof_by: AppCredential) -> Again:
        """A certificate's key is made and sealed before Microsoft is asked, so that it cannot get lost."""
        ctx, holder = self.ctx, self.holder
        with holder.scope():
            lost = keys_on_file.lost(holder.tenant_id, found)
        for key in lost:
            take_away(graph, found, key, proof_by)
            ctx.note(LEFT_BEHIND)
        lives = lives_of(holder.life_setting)
        months = lives[min(int(ctx.state.get("too_long", 0)), len(lives) - 1)]
        given = new_certificate(new_name(holder.tenant_id), _in_months(months))
        with ctx.transaction():
            holder.keep(ctx.asker(), given)
            ctx.checkpoint(adding="", sealed=True)
        ctx.note("A new key pair was made and sealed here.")
        return Again("The new certificate is added at Microsoft next.")

    def _place(self, sealed: Waiting) -> Outcome:
        """Add the certificate that was sealed, unless an earlier run did and was cut off before it could say so."""
        ctx, holder = self.ctx, self.holder
        if wait := settle(ctx):
            return wait
        with ctx.transaction():
            if holder.replaced(sealed):
                return self._withdraw(sealed, CERTIFICATE)
        with holder.scope():
            line = holder.line()
        graph = line.graph(stop=ctx.stop, before_write=ctx.still_ours)
        found = own_registration(graph, line)
        with holder.scope():
            key = keys_on_file.find(sealed.secret, found, sealed.certificate) if sealed.secret else None
        if key is None:
            with ctx.transaction():
                ctx.checkpoint(adding=CERTIFICATE, settled=False)
            try:
                key = self._add_certificate(graph, found, line, sealed)
            except UmpError as error:
                if error.remedy != Remedy.LATER:  # Microsoft will not have it
                    with ctx.transaction():
                        holder.forget(sealed)
                        ctx.checkpoint(
                            adding="", sealed=False, too_long=int(ctx.state.get("too_long", 0)) + 1
                        )
                lives = lives_of(holder.life_setting)
                if error.code != "secret_life_refused" or ctx.state["too_long"] >= len(lives):
                    raise
                return Again("The organisation's rules do not allow so long a life; a shorter one is tried.")
        with ctx.transaction():
            keys_on_file.is_key(sealed.secret, uuid.UUID(key.key_id), key.ends)
            ctx.checkpoint(adding="")
        ctx.note("The certificate was added at Microsoft.")
        return Again(NOT_YET.format(what=CERTIFICATE), LOOK_AGAIN)

    @staticmethod
    def _add_certificate(
        graph: GraphClient, found: Registration, line: lines.Line, sealed: Waiting
    ) -> KeyOnFile:
        with as_owner(line):
            return far.add_certificate(
                graph,
                found.object_id,
                name=new_name(sealed.tenant_id if isinstance(sealed, Standby) else None),
                certificate_pem=sealed.certificate,
                proof=proof_of_possession(line.credential, found.object_id),
            )

    # 2. A canary with a fresh token; only then is it used
    def _prove(self, candidate: Waiting) -> Outcome:
        ctx, holder = self.ctx, self.holder
        with holder.scope():
            line = holder.line_of(candidate)
        what = what_of(line.credential)
        ctx.report(label=f"Proving the new {what}", force=True)
        try:
            canary(ctx, line)
        except UmpError as error:
            cause = error.detail.get("cause") if error.code == "provider_app_refused" else error.code
            if cause in NOT_IN_FORCE_YET and is_young(candidate):
                return Again(f"Microsoft does not accept the new {what} everywhere yet.", LOOK_AGAIN)
            if error.remedy == Remedy.LATER and cause not in NOT_IN_FORCE_YET:
                raise
            return self._give_up(candidate, line, error)
        with in_turn(ctx):
            if holder.replaced(candidate):
                return self._withdraw(candidate, what)
            holder.switch(ctx.asker(), candidate)
            ctx.checkpoint(switched=True)
        ctx.note(f"The new {what} was proven by a fresh token and is in use.")
        overlap = dt.timedelta(seconds=settings.SECRET_OVERLAP_SECONDS)
        return Again(f"The new {what} is in use. The old one stays a little for what is under way.", overlap)

    def _withdraw(self, candidate: Waiting, what: str) -> Again:
        """Somebody entered another one meanwhile: that one counts, ours goes. In a transaction of the command.

        One that an earlier command had sealed goes as well, but then what was entered is still to be renewed.
        """
        self.holder.withdraw(candidate)
        self.ctx.checkpoint(withdrawn=bool(self.ctx.state.get("sealed")))
        return Again(f"The credentials were changed meanwhile; the new {what} is taken away again.")

    def _give_up(self, candidate: Waiting, line: lines.Line, error: UmpError) -> Outcome:
        """It never came into force: away with it; the old one was not touched."""
        ctx = self.ctx
        with self.holder.scope():
            ours = self.holder.line()
        graph = ours.graph(stop=ctx.stop, before_write=ctx.still_ours)
        found = own_registration(graph, ours)
        with self.holder.scope():
            key = keys_on_file.find(candidate.secret, found) if candidate.secret else None
        if key is not None:
            take_away(graph, found, key, ours.credential)
        with ctx.transaction():
            self.holder.forget(candidate)
        raise UmpError.of(
            "secret_not_in_force", app=line.app, thing=what_of(line.credential), detail=error.detail
        )

    # 3. The old one goes
    def _remove(self, former: Waiting) -> Outcome:
        ctx, holder = self.ctx, self.holder
        left = dt.timedelta(seconds=settings.SECRET_OVERLAP_SECONDS) - former.age
        if left > dt.timedelta():
            return Again("The old one stays a little for what is still under way.", left)
        of_pair = former.secret is not None and former.secret.kind == SecretKind.CERTIFICATE_KEY
        what = CERTIFICATE if of_pair else SECRET
        ctx.report(label=f"Removing the old {what}", force=True)
        stays, outcome = self._take_old(former)
        if not self._begun():  # so nothing is renewed yet
            with ctx.transaction():
                holder.forget(former)
            level = "warning" if outcome == "partial" else "info"
            ctx.note(f"An earlier renewal was cut off. {stays}" if stays else LEFT_BEHIND, level=level)
            return Again("What an earlier renewal had left is dealt with; this one begins now.")
        told = f"The {what} was renewed. {stays}" if stays else GONE.format(what=what)
        if ctx.state.get("withdrawn"):
            told, outcome = CHANGED, "complete"
        with ctx.transaction():
            holder.forget(former)
            ctx.checkpoint(told=told, outcome=outcome)
        return Done(told, outcome=outcome)

    def _take_old(self, former: Waiting) -> tuple[str, str]:
        """Remove it at Microsoft; why it stays there instead, if it does, and the command's outcome."""
        ctx, holder = self.ctx, self.holder
        with holder.scope():
            in_use = holder.uses(former)
        try:
            with holder.scope():
                line = holder.line() if in_use else holder.line_of(former)
                if in_use and line.credential == lines.credential_of(former):
                    return "The old one stays: somebody entered it again, and it is in use.", "complete"
            graph = line.graph(stop=ctx.stop, before_write=ctx.still_ours)
            found = far.by_client_id(graph, str(former.client_id))
            return self._take_from(found, former, graph, line) if found else ("", "complete")
        except UmpError as error:
            if in_use or error.code not in LETS_NOBODY_IN:
                raise
        # Otherwise an app that was deleted long ago would stand in the way of every later renewal.
        told = "The old one is on another app registration, which does not let the portal in any more: "
        return f"{told}{holder.by_hand} removes it there, if there still is one.", "partial"

    def _take_from(
        self, found: Registration, former: Waiting, graph: GraphClient, line: lines.Line
    ) -> tuple[str, str]:
        holder = self.holder
        with holder.scope():
            key = keys_on_file.find(former.secret, found, former.certificate) if former.secret else None
            other = holder.shared_with(former, key) if key else ""
            # A certificate goes by the word of one that the app has: the one in use, or the one that goes.
            proof_by = line.credential if line.credential.certificate_pem else lines.credential_of(former)
        if other:
            return f"The old one stays at Microsoft for {other}, which uses it too.", "complete"
        if key is not None:
            take_away(graph, found, key, proof_by)
            with self.ctx.transaction():
                holder.listed(found.without(key.key_id))
        elif former.secret is not None and former.secret.microsoft_id is None:
            told = "The old one could not be told apart from others at Microsoft: "
            return f"{told}{holder.by_hand} removes it under Certificates & secrets.", "partial"
        return "", "complete"


# --- The steps at Microsoft, for whoever else adds a credential -----------------------------------------------
def is_young(row: Waiting) -> bool:
    """Made so recently that Microsoft may not know it everywhere."""
    return row.age < dt.timedelta(seconds=settings.SECRET_PROPAGATION_SECONDS)


def what_of(credential: AppCredential) -> str:
    """The word for people."""
    return SECRET if credential.secret else CERTIFICATE


def own_registration(graph: GraphClient, line: lines.Line) -> Registration:
    """The registration of the app that the line signs in with, if the portal may change it.

    Raises UmpError: registration_not_ours, app_not_found.
    """
    if line.token(fresh=True).granted.isdisjoint(far.CHANGES_OWN):
        raise UmpError.of(
            "registration_not_ours",
            app=line.app,
            permission="Application.ReadWrite.OwnedBy",
            tenant=line.name,
        )
    with as_owner(line):
        found = far.by_client_id(graph, line.credential.client_id)
    if found is None:
        raise UmpError.of("app_not_found", app=line.app, tenant=line.name)
    return found


@contextlib.contextmanager
def as_owner(line: lines.Line) -> Iterator[None]:
    """Who has the permission, and is refused, is no owner of the registration: said in those words."""
    try:
        yield
    except PermissionMissing as error:
        owner = "being an owner of its own registration"
        raise UmpError.of(
            "registration_not_ours", app=line.app, permission=owner, detail=error.detail
        ) from error


def canary(ctx: Context, line: lines.Line) -> None:
    """A fresh token, and a call with it where the app may make any. Raises whatever Microsoft answers."""
    token = line.token(fresh=True)
    feature = permissions.FEATURES["organisation"]
    if not permissions.missing(token.granted, feature.key):
        line.graph(stop=ctx.stop).get(feature.probe)


def new_name(tenant_id: uuid.UUID | None) -> str:
    """How what is made at Microsoft is called: the marker, and something that nothing else has."""
    return f"{keys_on_file.marker(tenant_id)} {uuid.uuid4()}"


def settle(ctx: Context) -> Again | None:
    """Before anything is added after a run that was cut off while it added something."""
    if not ctx.state.get("adding") or ctx.state.get("settled"):
        return None
    with ctx.transaction():
        ctx.checkpoint(settled=True)
    return Again("Looking what an interrupted attempt left behind.", SETTLE)


def add_secret(
    ctx: Context,
    graph: GraphClient,
    found: Registration,
    keep: Callable[[Context, far.NewSecret], None],
    *,
    life_setting: str = "own_secret_months",
) -> Again | None:
    """Add a client secret and have it sealed; an answer is to be returned, for the look comes later.

    What is about to be added is written down first, with the marker in its name. Killed before it was sealed,
    the next run waits until it must have arrived, finds it by that name, and removes it: its value is lost.
    """
    if wait := settle(ctx):
        return wait
    name = new_name(ctx.tenant_id)
    with ctx.transaction():
        keys_on_file.note(ctx.tenant_id, found)
        lost = [key for key in keys_on_file.lost(ctx.tenant_id, found) if not key.is_certificate]
        ctx.checkpoint(adding=name, settled=False)
    for key in lost:
        far.remove_secret(graph, found.object_id, key.key_id)
        ctx.note(LEFT_BEHIND)
    new = _longest_lived(
        ctx, lambda ends: far.add_secret(graph, found.object_id, name=name, ends=ends), life_setting
    )
    try:
        with in_turn(ctx):
            keep(ctx, new)
            ctx.checkpoint(adding="")
    except UmpError:
        far.remove_secret(graph, found.object_id, str(new.key_id))  # nobody could ever use it
        raise
    ctx.note(f"A new secret was added at Microsoft and sealed; it ends on {new.ends:%d %b %Y}.")
    return None


def take_away(graph: GraphClient, found: Registration, key: KeyOnFile, proof_by: AppCredential) -> None:
    """Remove a secret or a certificate; a certificate goes by the word of one that the app has."""
    if key.is_certificate:
        proof = proof_of_possession(proof_by, found.object_id)
        far.remove_certificate(graph, found.object_id, key.key_id, proof=proof)
    else:
        far.remove_secret(graph, found.object_id, key.key_id)


def lives_of(life_setting: str) -> tuple[int, ...]:
    """Months to ask for, the longest first: what the setting says, and what the organisation's rules may allow."""
    wanted: int = installation.get(life_setting)
    return (wanted, *(months for months in SHORTER_LIVES if months < wanted))


def _longest_lived(
    ctx: Context, add: Callable[[dt.datetime], far.NewSecret], life_setting: str
) -> far.NewSecret:
    """The longest life that the organisation's rules allow, up to the setting (decision 3)."""
    *longer, shortest = lives_of(life_setting)
    for months in longer:
        try:
            return add(_in_months(months))
        except UmpError as error:
            if error.code != "secret_life_refused":
                raise
            ctx.note(
                f"The organisation's rules do not allow a secret to live {months} months.", level="warning"
            )
    return add(_in_months(shortest))


def _in_months(months: int) -> dt.datetime:
    return timezone.now() + dt.timedelta(days=months * 365 // 12)


def called_off(ctx: Context) -> bool:
    """Whether the run for everybody that this one belongs to was cancelled."""
    run = ctx.params.get("run")
    if not run:
        return False
    with scope.every("a renewal asks whether the run for everybody goes on"):
        return Command.objects.filter(id=run, state=State.CANCELLED).exists()
