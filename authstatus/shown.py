"""What people see of a customer's checks: permissions, roles and the history, as rows for templates and the API."""

import dataclasses
import datetime as dt
from collections.abc import Iterable
from typing import Any

from django.db.models import Count
from django.db.models.functions import TruncDate
from django.utils import timezone

from authstatus import selectors
from authstatus.checking import needs_of
from authstatus.models import Check, Finding, FindingKind, FindingState, Result
from m365 import permissions
from m365.permissions import FEATURES, PERMISSIONS, ROLE_TABLE, Stage
from tenants.models import DeployState, Service, Tenant

PLOT_DAYS = 30
WHERE = "Microsoft Entra admin centre, Roles and administrators"
MISSING, EXTRA = FindingState.MISSING, FindingState.EXTRA
Chip = tuple[str, str]
"""Tone and word."""
GRANTED: Chip = ("ok", "Granted")
LACKING: Chip = ("bad", "Missing")
REFUSED: Chip = ("bad", "Refused")
UNUSED: Chip = ("neutral", "Not used yet")
TOO_MUCH: Chip = ("info", "More than needed")


@dataclasses.dataclass(frozen=True)
class Line:
    """One permission or role: what it is for, and how it stands."""

    name: str
    title: str
    tone: str
    word: str
    hint: str = ""
    since: dt.datetime | None = None
    checked_at: dt.datetime | None = None
    stage: str = ""
    condition: str = ""

    @property
    def there(self) -> bool:
        return self.tone != "bad"


# --- Permissions --------------------------------------------------------------------------------------------
def permission_lines(tenant: Tenant, rows: Iterable[Finding]) -> list[Line]:
    """A line for each feature with the permission behind it, then what else is granted; the red ones first."""
    found = {(row.kind, row.name): row for row in rows}
    granted = {
        name: row
        for (kind, name), row in found.items()
        if kind == FindingKind.PERMISSION and row.state != MISSING
    }
    lines, used = [], set[str]()
    for key in needs_of(tenant).features:
        call = found.get((FindingKind.CALL, key))
        if call is None:
            continue
        for name in permissions.serving(granted, key):
            used.add(name)
            lines.append(_feature_line(key, name, call, granted.get(name)))
    rest = [row for name, row in granted.items() if name not in used]
    lines += [_spare_line(row) for row in sorted(rest, key=lambda row: (row.state == EXTRA, row.name))]
    return sorted(lines, key=lambda line: line.there)


def _feature_line(key: str, name: str, call: Finding, row: Finding | None) -> Line:
    title = FEATURES[key].title
    if row is None:
        tone, word = LACKING
        hint = "Microsoft let the portal in without it: nobody has granted it, or it was taken away."
        return Line(name, title, tone, word, hint, call.since, call.checked_at)
    if call.state == MISSING:
        tone, word = REFUSED
        why = (call.problem or {}).get("message", "")
        hint = f"{name} is granted, but Microsoft did not let the portal use it: {why}"
        return Line(name, title, tone, word, hint, call.since, call.checked_at)
    tone, word = GRANTED
    hint = "The portal tried it at the last check, and it works."
    return Line(name, title, tone, word, hint, row.since, row.checked_at)


def _spare_line(row: Finding) -> Line:
    known = PERMISSIONS.get(row.name)
    title = f"May {known.purpose}" if known else "Nothing that the portal does"
    if row.state == EXTRA:
        tone, word = TOO_MUCH
        hint = "Nothing in the portal needs it; the customer may take it away."
    elif row.name in permissions.OF_USE:
        tone, word = GRANTED
        hint = "Not needed, but of use: with it the portal reads when the secret ends, or renews it."
    else:
        tone, word = UNUSED
        hint = "The guide asks for it; nothing in the portal uses it today."
    return Line(row.name, title, tone, word, hint, row.since, row.checked_at)


# --- Roles --------------------------------------------------------------------------------------------------
@dataclasses.dataclass(frozen=True)
class RoleSheet:
    """The role table with how each stands, and what follows from it in names."""

    lines: list[Line]
    missing: list[str]
    removable: list[str]
    for_new_site: tuple[str, ...]
    known: bool

    @property
    def missing_title(self) -> str:
        return f"Missing: {', '.join(self.missing)}."


def role_sheet(tenant: Tenant, rows: Iterable[Finding]) -> RoleSheet:
    """Decision 5 for one customer (ROL-01..06, TEN-17)."""
    found = {row.name: row for row in rows if row.kind == FindingKind.ROLE}
    known = bool(found) and all(row.state != FindingState.UNKNOWN for row in found.values())
    deployed = tenant.deploy_state == DeployState.DEPLOYED
    lines = []
    for row in ROLE_TABLE:
        finding = found.pop(row.role, None)
        tone, word, hint = _role_word(row.stage, finding, known=known, deployed=deployed)
        since, at = (finding.since, finding.checked_at) if finding and known else (None, None)
        words = (row.stage.value, row.condition)
        lines.append(Line(row.role, row.purpose, tone, word, hint, since, at, *words))
    for name, finding in sorted(found.items()):
        tone, word, hint = _role_word(Stage.ALWAYS, finding, known=known, deployed=deployed)
        title = "Nothing that the portal does" if finding.state == EXTRA else "Everything, voice included"
        lines.append(Line(name, title, tone, word, hint, finding.since, finding.checked_at, "", hint))
    return RoleSheet(
        lines,
        missing=[line.name for line in lines if line.word == LACKING[1]],
        removable=[line.name for line in lines if line.word == "May be removed"],
        for_new_site=permissions.FOR_NEW_SITE if tenant.service == Service.DIRECT_ROUTING else (),
        known=known,
    )


def _role_word(stage: Stage, finding: Finding | None, *, known: bool, deployed: bool) -> tuple[str, str, str]:
    if not known:
        return "neutral", "Not known", "Microsoft has not told the portal yet which roles there are."
    if finding is None:
        if stage == Stage.ONBOARDING and not deployed:
            return "neutral", "Only if used", "Needed only where the portal does this step by itself."
        return "neutral", "Not needed", "Nothing needs it now."
    if finding.state == MISSING:
        return ("bad" if deployed else "warn"), LACKING[1], f"An administrator adds it: {WHERE}."
    if finding.state == EXTRA:
        return (
            "info",
            "May be removed",
            f"Nothing needs it now. An administrator removes it: {WHERE}.",
        )
    return "ok", "Present", "It is needed, and there."


# --- History ------------------------------------------------------------------------------------------------
BUCKETS = {
    Result.SUCCESSFUL: "succeeded",
    Result.FAILED: "failed",
    Result.NO_TOKEN: "failed",
    Result.CHECK_FAILED: "unsure",
    Result.PROPAGATING: "unsure",
}


def plot(tenant: Tenant) -> list[dict[str, Any]]:
    """Checks a day of the last month, the oldest first, for pictures.checks_plot; empty when there were none."""
    today = timezone.now().date()
    first = today - dt.timedelta(days=PLOT_DAYS - 1)
    start = dt.datetime.combine(first, dt.time(), dt.UTC)
    rows = Check.objects.filter(tenant=tenant, at__gte=start).order_by()
    days: dict[dt.date, dict[str, Any]] = {}
    for day, result, number in rows.values_list(TruncDate("at"), "result").annotate(number=Count("id")):
        bucket = days.setdefault(day, {})
        word = BUCKETS[Result(result)]
        bucket[word] = bucket.get(word, 0) + number
    if not days:
        return []
    empty = dict.fromkeys(BUCKETS.values(), 0)
    each = [first + dt.timedelta(days=number) for number in range(PLOT_DAYS)]
    return [{"label": f"{day:%d %b}", **empty, **days.get(day, {})} for day in each]


def about(tenant: Tenant) -> dict[str, Any]:
    """For the pages: permissions, roles and when somebody looked last; one query."""
    rows = list(selectors.findings(tenant))
    checked = max((row.checked_at for row in rows if row.kind == FindingKind.CALL), default=None)
    return {
        "permissions": permission_lines(tenant, rows),
        "roles": role_sheet(tenant, rows),
        "checked_at": checked,
    }
