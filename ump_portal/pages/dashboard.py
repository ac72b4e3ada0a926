"""Where people begin: the provider's Dashboard, or the Status of a customer."""

import dataclasses
import datetime as dt
from typing import Any

from django.db.models import Min, Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import conditional_page

from accounts import branding
from replication import selectors as queue
from replication import watch
from replication.models import Command, State
from replication.words import broken_lines
from tenants import health, scope
from tenants.abilities import Ability
from tenants.access import Actor, tenants_for
from tenants.health import HORIZON, TITLES, TONES, Health
from tenants.recent import Recent
from tenants.selectors import connections_of, tenants
from tenants.web import actor_of, list_view, person_view
from ump_portal.pages import attention, tally
from ump_portal.pages.tally import Tally

HORIZON_TONES = {"expired": "bad", "7": "bad", "30": "warn", "90": "info", "later": "ok"}
LISTED = 10


@person_view()
def start(request: HttpRequest) -> HttpResponse:
    """The first page after signing in, by who it is."""
    actor = actor_of(request)
    if actor.is_provider:
        tenants_for(actor, needs=Ability.VIEW_TENANT)
        return _dashboard(request, actor)
    if len(actor.tenant_roles) == 1:
        return redirect(f"/tenants/{next(iter(actor.tenant_roles))}/")
    if not actor.tenant_roles:
        return render(request, "pages/no_role.html")
    tenants_for(actor, needs=Ability.VIEW_TENANT)
    return _chooser(request)


@list_view(needs=Ability.VIEW_TENANT)
@conditional_page
def figures(request: HttpRequest) -> HttpResponse:
    """The tiles alone, asked for again while somebody looks."""
    return render(request, "pages/dashboard_figures.html", _figures(tally.count(actor_of(request))))


def _dashboard(request: HttpRequest, actor: Actor) -> HttpResponse:
    counted, lately = tally.count(actor), _ended()
    figures = _figures(counted)
    context = {
        "figures": figures,
        **figures,
        "switch": queue.is_paused(),
        "silent_since": watch.silent_since(),
        "may_pause_all": actor.may(Ability.PAUSE_ALL),
        "may_add": actor.may(Ability.ADD_TENANT),
        "items": attention.items(actor, LISTED),
        "broken": broken_lines(actor, branding.current().provider),
        "activity": activity(lately.rows, figures["open"]["suspended"]),
        "activity_at": lately.at,
        "health": [
            {
                "label": TITLES[name],
                "tone": TONES[name],
                "count": counted.health[name],
                "url": f"/tenants/?health={name}",
            }
            for name in Health
        ],
        "horizon": _horizon(figures["ends"]),
        "now": timezone.now(),
    }
    return render(request, "pages/dashboard.html", context)


def _figures(counted: Tally) -> dict[str, Any]:
    counts, ends = counted.health, health.horizon()
    following = health.next_to_expire()
    return {
        "total": counted.total,
        "connected": counts[Health.HEALTHY] + counts[Health.ATTENTION],
        "needy": counts[Health.FAILED] + counts[Health.ATTENTION] + counts[Health.NEVER],
        "failed": counts[Health.FAILED],
        "open": counted.commands,
        "oldest": oldest_waiting(),
        "ends": ends,
        "soon": ends["7"] + ends["30"],
        "following": following[0] if following else None,
    }


def oldest_waiting() -> dt.datetime | None:
    """Since when the oldest command that could run is waiting; what is paused does not count."""
    free = Q(tenant=None) | Q(tenant__paused_at=None, tenant__enabled=True, tenant__deleted_at=None)
    due = Command.objects.filter(free, state=State.QUEUED, not_before__lte=timezone.now())
    found: dt.datetime | None = due.aggregate(oldest=Min("not_before"))["oldest"]
    return found


@dataclasses.dataclass(frozen=True)
class Ended:
    """What ended in the last day, by hour, and when that was counted."""

    rows: list[dict[str, Any]]
    at: dt.datetime


def _ended() -> Ended:
    """Of the scope in force, some seconds old: at a large provider a day is tens of thousands of commands."""
    return _days.get(scope.require().tenants, lambda: Ended(queue.activity(24), timezone.now()))


_days: Recent[Ended] = Recent()


def activity(rows: list[dict[str, Any]], suspended: int) -> list[dict[str, Any]]:
    """What the queue did in the last day, by hour; what waits for somebody stands in the present hour."""
    bars = [
        {
            "label": f"{row['at']:%H:%M}",
            "succeeded": row["succeeded"],
            "suspended": 0,
            "failed": row["failed"],
        }
        for row in rows
    ]
    if bars:
        bars[-1]["suspended"] = suspended
    return bars


def _horizon(ends: dict[str, int]) -> list[dict[str, Any]]:
    return [
        {"label": label, "tone": HORIZON_TONES[name], "count": ends[name], "url": f"/tenants/?expires={name}"}
        for name, label, *_ in HORIZON
    ]


def _chooser(request: HttpRequest) -> HttpResponse:
    """For a person who looks after several customers, but not as the provider."""
    rows = list(tenants())
    connections = connections_of([row.id for row in rows])
    listed = [{"tenant": row, "connection": connections.get(row.id)} for row in rows]
    return render(request, "pages/chooser.html", {"rows": listed})
