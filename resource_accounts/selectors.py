"""What is known of resource accounts, in the scope of whoever asks."""

import dataclasses
import datetime as dt
import uuid
from collections.abc import Iterable, Mapping
from typing import Any

from django.db.models import Q, QuerySet

from core.errors import InvalidInput, NotFound
from directory.models import LISTED, DirectoryUser
from m365 import resource_account_plan as planning
from m365 import resource_accounts as m365
from m365.resource_account_plan import Step
from m365.resource_accounts import Found, Own, Part, Thing
from replication import states
from replication.models import OPEN, Command, Reason, State
from resource_accounts import shapes
from resource_accounts.models import Design, DesignState, DesignTemplate, Write
from telephony.models import TeamsUser
from tenants import offers, scope
from tenants.models import Tenant

BUILD, REMOVE = "build_resource_account", "remove_resource_account"
TONES = {
    DesignState.NONE: "neutral",
    DesignState.BUILDING: "busy",
    DesignState.BUILT: "ok",
    DesignState.FAILED: "bad",
    DesignState.REMOVING: "busy",
}
BUSY = (DesignState.BUILDING, DesignState.REMOVING)
SHOWN_WRITES = 50
FEATURE = "resource_account_builder"


def why_not(tenant: Tenant) -> str:
    """Why nothing is built for this customer, in a sentence; empty when it is (SYN-07)."""
    return offers.offered(tenant, FEATURE)[1]


def powershell_is_there() -> bool:
    with scope.every("whether a worker has PowerShell"):
        return states.powershell_is_there()


# --- The read list --------------------------------------------------------------------------------------------
def accounts(tenant: Tenant, search: str = "") -> QuerySet[TeamsUser]:
    """The resource accounts that Microsoft lists."""
    rows: QuerySet[TeamsUser] = TeamsUser.objects.filter(
        LISTED, tenant=tenant, account_type="resourceAccount"
    )
    if search:
        people = DirectoryUser.objects.filter(LISTED, tenant=tenant, search__contains=search.lower())
        rows = rows.filter(Q(search__contains=search.lower()) | Q(object_id__in=people.values("object_id")))
    return rows


@dataclasses.dataclass(frozen=True)
class Account:
    row: TeamsUser
    name: str
    design: Design | None


def with_names(tenant: Tenant, rows: list[TeamsUser]) -> list[Account]:
    """With display names and designs; two queries."""
    ids = [row.object_id for row in rows]
    named = DirectoryUser.objects.filter(tenant=tenant, object_id__in=ids).values_list(
        "object_id", "display_name"
    )
    names = dict(named)
    addresses = [row.user_principal_name.lower() for row in rows]
    designed = {each.upn: each for each in Design.objects.filter(tenant=tenant, upn__in=addresses)}
    return [
        Account(row, names.get(row.object_id, ""), designed.get(row.user_principal_name.lower()))
        for row in rows
    ]


# --- Designs --------------------------------------------------------------------------------------------------
def designs(tenant: Tenant) -> QuerySet[Design]:
    found: QuerySet[Design] = Design.objects.filter(tenant=tenant)
    return found


def design(tenant: Tenant, uid: uuid.UUID) -> Design:
    """Raises NotFound."""
    row: Design | None = Design.objects.filter(tenant=tenant, uid=uid).select_related("tenant").first()
    if row is None:
        raise NotFound(thing="design")
    return row


def templates() -> QuerySet[DesignTemplate]:
    return DesignTemplate.objects.all()


def template(uid: uuid.UUID) -> DesignTemplate:
    """Raises NotFound."""
    row: DesignTemplate | None = DesignTemplate.objects.filter(uid=uid).first()
    if row is None:
        raise NotFound(thing="template")
    return row


def writes(row: Design) -> list[Write]:
    return list(Write.objects.filter(design=row)[:SHOWN_WRITES])


def commands(row: Design) -> QuerySet[Command]:
    """Of building and removing it, and of looks; the newest first."""
    found: QuerySet[Command] = Command.objects.filter(
        tenant=row.tenant, kind__in=(BUILD, REMOVE), target=str(row.uid)
    ).select_related("tenant", "lane")
    return found.order_by("-id")


def open_command(row: Design) -> Command | None:
    return commands(row).filter(state__in=OPEN).first()


def worked_on(uids: Iterable[str]) -> QuerySet[Command]:
    """Commands on these designs that a worker will go on with by itself; those held with the connection do."""
    goes_on = Q(state__in=(State.QUEUED, State.EXECUTING)) | Q(
        state=State.SUSPENDED, reason=Reason.CONNECTION
    )
    return Command.objects.filter(goes_on, kind__in=(BUILD, REMOVE), target__in=list(uids), dry_run=False)


# --- Plans ----------------------------------------------------------------------------------------------------
def owned(row: Design) -> dict[Part, Own]:
    return {Part(part): Own(**kept) for part, kept in row.owned.items()}


def seen(row: Design) -> dict[Part, Thing]:
    """What the last reading found, and what the portal made since; nothing before the first of either."""
    found = {Part(part): Thing(**kept) for part, kept in (row.seen or {}).items()}
    return planning.with_young(found, owned(row), row.checked_at.isoformat() if row.checked_at else "")


def to_build(row: Design, found: Found | None = None) -> tuple[Step, ...]:
    """The steps as far as is known. Raises InvalidInput when somebody whom it names is gone."""
    wish = shapes.wish_of(row, built=True)
    there = seen(row) if found is None else found
    ours = owned(row)
    if row.by_hand:
        # Somebody built it by the script: as it is, it is as wished, and stays his.
        ours = {
            part: Own(thing.name, thing.id, m365.digest(wish, part)) for part, thing in there.items()
        } | ours
    return planning.plan(wish, there, ours)


def to_remove(row: Design, found: Found | None = None) -> tuple[Step, ...]:
    return planning.removal(seen(row) if found is None else found, owned(row))


def missing(row: Design) -> Mapping[str, str]:
    """{label: text} of what keeps it from being planned; empty when nothing does."""
    try:
        shapes.wish_of(row, built=True)
    except InvalidInput as error:
        return {error.field: error.message}
    return {}


@dataclasses.dataclass(frozen=True)
class Shown:
    """A design as a page shows it."""

    design: Design

    @property
    def url(self) -> str:
        return f"/tenants/{self.design.tenant_id}/resource-accounts/{self.design.uid}/"

    @property
    def chip(self) -> tuple[str, str, str]:
        """Tone, word and tooltip."""
        state = DesignState(self.design.state)
        told: Any = (self.design.problem or {}).get("message", "")
        return TONES[state], state.label, str(told)

    @property
    def age(self) -> dt.datetime | None:
        return self.design.checked_at
