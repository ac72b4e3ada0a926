"""Where step 2 stands: worked out from the connection, its check and the invitation, never stored."""

import dataclasses
import datetime as dt
import enum
from collections.abc import Mapping
from typing import Any

from django.utils import timezone

from authstatus.commands import VERIFY
from core.errors import UmpError
from invitations import listing
from invitations.models import Invitation, Stage
from invitations.selectors import newest_of as newest_invitation
from onboarding.models import Onboarding
from replication.models import Command, State
from tenants.models import Connection, Tenant, Verification
from tenants.selectors import connection_of

VALIDATING = "Validating credentials, please wait! On successful authentication the wizard will continue."
WRONG = "Something went wrong while verifying M365 credentials!"
CHECK_LIMIT = dt.timedelta(minutes=15)
"""A check that takes longer has a reason that somebody should look at."""


class Access(enum.StrEnum):
    """Whether there is access to the customer's Microsoft 365; the last two let the wizard continue."""

    CHOOSE = "choose"
    INVITED = "invited"
    UNCHECKED = "unchecked"
    VALIDATING = "validating"
    FAILED = "failed"
    PROVEN = "proven"
    NEEDLESS = "needless"


OPEN_DOORS = frozenset({Access.PROVEN, Access.NEEDLESS})
_ENDED = frozenset({Stage.DONE, Stage.REVOKED, Stage.EXPIRED})


@dataclasses.dataclass(frozen=True)
class Standing:
    """What step 2 shows: a title and a text, the error in full where there is one, and until when."""

    access: Access
    title: str
    text: str
    until: dt.datetime
    since: dt.datetime | None = None
    error: Mapping[str, Any] | None = None
    invitation: Invitation | None = None
    command: Command | None = None

    @property
    def late(self) -> bool:
        return self.until < timezone.now()

    @property
    def deadline(self) -> str:
        """Until when, in words."""
        if self.access == Access.VALIDATING:
            when = f"{timezone.localtime(self.until):%H:%M}"
            return f"Seconds, as a rule; some minutes right after a change. Not done by {when}? Open its command."
        when = f"{timezone.localtime(self.until):%d %B %Y}"
        if self.access == Access.INVITED:
            return f"The link works until {when}."
        return f"This step should be done by {when}. Nothing ends by itself then; the Dashboard tells of it."

    @property
    def continues(self) -> bool:
        return self.access in OPEN_DOORS

    @property
    def may_retry(self) -> bool:
        """Whether pressing Retry does anything: check again, mail again, invite again."""
        return self.access in {Access.FAILED, Access.UNCHECKED, Access.INVITED} or (
            self.access == Access.CHOOSE and self.invitation is not None
        )


def of(onboarding: Onboarding) -> Standing:
    """In the customer's scope; three queries."""
    tenant = onboarding.tenant
    connection = connection_of(tenant)
    if connection is not None and connection.usable:
        text = "Microsoft accepted the credentials, and every permission that is needed is there."
        return Standing(Access.PROVEN, "Connected", text, onboarding.deadline, since=connection.verified_at)
    if connection is None and not tenant.with_sync:
        text = (
            "Operator Connect without sync needs no access to the customer's Microsoft 365. A Teams Administrator of "
            "the customer assigns numbers there."
        )
        return Standing(Access.NEEDLESS, "Nothing is needed here", text, onboarding.deadline)
    check = _newest_check(tenant)
    if connection is not None and check is not None and check.state in {State.QUEUED, State.EXECUTING}:
        return _validating(check)
    invitation = letter_of(onboarding)
    if invitation is not None and invitation.stage not in _ENDED:
        return _invited(invitation)
    if connection is not None:
        return _unproven(onboarding, connection, check, invitation)
    return _choose(onboarding, invitation)


def _validating(check: Command) -> Standing:
    return Standing(
        Access.VALIDATING,
        VALIDATING,
        check.message,
        check.queued_at + CHECK_LIMIT,
        since=check.queued_at,
        command=check,
    )


def _invited(invitation: Invitation) -> Standing:
    stage = invitation.stage
    return Standing(
        Access.INVITED,
        f"{stage.label}: {invitation.email}",
        listing.NEXT[stage],
        invitation.expires_at,
        since=invitation.sent_at or invitation.created_at,
        error=invitation.undelivered if stage == Stage.UNDELIVERED else invitation.problem,
        invitation=invitation,
    )


def _unproven(
    onboarding: Onboarding, connection: Connection, check: Command | None, invitation: Invitation | None
) -> Standing:
    """Refused by Microsoft, or never judged: a check that failed by itself blames nobody (complaint B 13)."""
    if connection.verification == Verification.NEVER:
        ended = check if check is not None and check.queued_at >= connection.changed_at else None
        return Standing(
            Access.UNCHECKED,
            "The check did not come to an end" if ended else "Not checked",
            "The credentials are stored and nobody is checking them. Press Retry to have them checked.",
            onboarding.deadline,
            since=connection.changed_at,
            error=ended.error if ended else None,
            invitation=invitation,
            command=ended,
        )
    problem = connection.problem or dict(UmpError.of("signin_refused").to_dict())
    return Standing(
        Access.FAILED, WRONG, "", onboarding.deadline, connection.verified_at, problem, invitation
    )


def _choose(onboarding: Onboarding, invitation: Invitation | None) -> Standing:
    title, text = "Choose a way", "Nothing was sent or entered yet."
    if invitation is not None:
        title = f"{invitation.stage.label}: {invitation.email}"
        text = listing.NEXT[invitation.stage]
    return Standing(Access.CHOOSE, title, text, onboarding.deadline, invitation=invitation)


def _newest_check(tenant: Tenant) -> Command | None:
    found: Command | None = Command.objects.filter(tenant=tenant, kind=VERIFY).order_by("-id").first()
    return found


def letter_of(onboarding: Onboarding) -> Invitation | None:
    """The newest invitation of this attempt."""
    found = newest_invitation(onboarding.tenant)
    return found if found is not None and found.created_at >= onboarding.started_at else None
