"""Every part of the screens in every state, with made-up customers: where the look is tested and looked at."""

from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

from django import forms
from django.conf import settings
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone

from ump_portal.pages.navigation import Entry

TONES = (
    ("ok", "Successful", "Checked 2 minutes ago"),
    ("warn", "Secret expires in 9 days", "Rotate it before 29 November"),
    ("bad", "Consent withdrawn", 'An administrator removed "UMP Portal"'),
    ("info", "Invited", "The invitation expires in 4 days"),
    ("busy", "Executing", "Reading users, page 7"),
    ("neutral", "Never Performed", "Nobody has checked this connection yet"),
)
ROWS = (
    (
        "Fabrikam Health",
        "fabrikam.onmicrosoft.com",
        "ok",
        "Successful",
        412,
        2,
        "User.Read.All, Group.Read.All",
    ),
    (
        "Northwind Traders",
        "northwind.onmicrosoft.com",
        "warn",
        "Secret expires in 9 days",
        88,
        4,
        "User.Read.All",
    ),
    ("Adventure Works", "adventure-works.onmicrosoft.com", "bad", "Consent withdrawn", None, 11, ""),
    (
        "Tailspin Toys",
        "tailspin.onmicrosoft.com",
        "ok",
        "Successful",
        1290,
        1,
        "User.Read.All, Group.Read.All",
    ),
    ("Wingtip Hotels", "wingtip.onmicrosoft.com", "neutral", "Never Performed", None, None, ""),
    ("Contoso Pharma", "contosopharma.onmicrosoft.com", "ok", "Successful", 2044, 190, "User.Read.All"),
    (
        "Litware Legal",
        "litware.onmicrosoft.com",
        "bad",
        "Blocked by Conditional Access",
        0,
        6,
        "User.Read.All",
    ),
    ("Proseware", "proseware.onmicrosoft.com", "busy", "Executing", 151, 0, "User.Read.All"),
)


class SampleForm(forms.Form):
    """Each kind of field, with help, required marks and errors."""

    name = forms.CharField(label="Customer Name", help_text="As it stands on invoices.")
    domain = forms.CharField(label="Tenant domain or id", initial="fabrikam.onmicrosoft.com")
    level = forms.ChoiceField(
        label="Service level", choices=[("plus", "Hosted Essentials Plus"), ("pro", "Hosted Pro")]
    )
    trunk = forms.ChoiceField(
        label="Trunk model",
        choices=[("derived", "Derived trunk (carrier model)"), ("own", "Own PSTN gateway")],
        widget=forms.RadioSelect,
    )
    notes = forms.CharField(label="Notes", required=False, widget=forms.Textarea(attrs={"rows": 3}))
    enabled = forms.BooleanField(
        label="Enabled", required=False, help_text="Commands run only for enabled customers."
    )
    secret = forms.CharField(label="Client Secret", required=False, widget=forms.PasswordInput)


def sample_rows(now: datetime) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for name, domain, tone, word, users, age, permissions in ROWS * 3:
        checked = None if age is None else now - timedelta(minutes=age)
        rows.append(
            {
                "id": len(rows), "name": name, "domain": domain, "tone": tone, "word": word, "users": users,
                "checked": checked, "permissions": permissions,
                "actions": [
                    {"label": "Check Credentials", "url": "#check", "icon": "refresh-cw"},
                    {"label": "Edit", "url": "#edit", "icon": "pencil"},
                    {"label": "Delete", "url": "?dialog=delete", "icon": "trash-2", "danger": True, "modal": True},
                ],
            }
        )  # fmt: skip
    return rows


def sample_navigation() -> list[Entry]:
    def entry(label: str, icon: str = "", **more: Any) -> Entry:
        return Entry(label, "#" + label.lower().replace(" ", "-"), icon, **more)

    return [
        entry("Dashboard", "layout-dashboard"),
        entry("Tenants", "building-2", count=24, active=True),
        entry("Invitations", "mail-plus", count=12),
        entry("Authentication Status", "shield-check", count=3, tone="bad"),
        entry("Replication", "refresh-cw", open=True,
              children=(entry("Queue", count=7), entry("Plans"), entry("History"))),
        entry("SBC", "cable", children=(entry("Known SBCs"), entry("Site Locations"), entry("Prefixes"))),
        entry("Numbers", "hash"),
        entry("Audit", "scroll-text"),
        entry("System", "settings", children=(entry("Settings"), entry("License"), entry("API clients"))),
    ]  # fmt: skip


def sample_pictures() -> dict[str, Any]:
    hours = [
        {
            "label": f"{hour:02d}:00",
            "succeeded": 14 + hour * 7 % 23,
            "suspended": hour % 5 // 3 * 3,
            "failed": hour % 7 // 5 * 4,
        }
        for hour in range(24)
    ]
    return {
        "activity": hours,
        "checks_a_day": [
            {"label": f"{day:02d} Nov", "succeeded": 1, "unsure": day % 11 // 10, "failed": day % 13 // 12}
            for day in range(1, 31)
        ],
        "health": [
            {"label": "Healthy", "tone": "ok", "count": 17, "url": "#healthy"},
            {"label": "Needs attention", "tone": "warn", "count": 3, "url": "#attention"},
            {"label": "Failed", "tone": "bad", "count": 2, "url": "#failed"},
            {"label": "Never checked", "tone": "neutral", "count": 2, "url": "#never"},
        ],
        "expiry": [
            {"label": "Expired", "tone": "bad", "count": 1, "url": "#expired"},
            {"label": "0-7 days", "tone": "warn", "count": 2, "url": "#week"},
            {"label": "8-30 days", "tone": "warn", "count": 4, "url": "#month"},
            {"label": "31-90 days", "tone": "info", "count": 0, "url": "#quarter"},
            {"label": "Over 90 days", "tone": "ok", "count": 17, "url": "#later"},
        ],
        "rates": [4, 7, 6, 9, 14, 11, 8, 12, 19, 16, 13, 15],
    }


def sample_error() -> dict[str, Any]:
    return {
        "message": "Fabrikam Health: Microsoft refuses the client secret, because it has expired.",
        "advice": "Create a new secret for the app registration in Microsoft Entra and enter it here. "
        "Commands wait meanwhile; nothing is lost.",
        "who": "customer_admin",
        "code": "secret_expired",
        "action_url": "#connection",
        "action_label": "Enter a new secret",
        "detail": {
            "Microsoft code": "AADSTS7000222",
            "Correlation id": "7b1f5f0e-0f39-4f3e-9a35-5c6ef2f1a0c4",
            "Time": "2026-11-20 19:50:12Z",
        },
    }


def sample_steps(now: datetime) -> list[dict[str, Any]]:
    minute = timedelta(minutes=1)
    return [
        {
            "title": "Sign in at Microsoft",
            "state": "done",
            "text": "App-only token for 60 minutes",
            "at": now - 5 * minute,
        },
        {"title": "Read users", "state": "running", "text": "9,000 of about 20,000", "at": now - minute},
        {
            "title": "Read groups",
            "state": "suspended",
            "text": "Group.Read.All is missing: grant it, then check again.",
        },
        {"title": "Read memberships", "state": "failed", "text": "Microsoft answered 503 four times."},
        {"title": "Write changes", "state": "waiting"},
    ]


SAMPLE_TOOLBAR: dict[str, Any] = {
    "filters": [
        {
            "name": "status",
            "label": "Status",
            "value": "",
            "options": [{"value": "ok", "label": "Successful"}],
        },
    ],
    "chips": [{"label": "Status: Failed", "url": "?"}, {"label": "Level: Pro", "url": "?"}],
    "bulk_actions": [
        {"label": "Check Credentials", "url": "?dialog=check", "icon": "refresh-cw"},
        {"label": "Queue Replication", "url": "?dialog=check", "icon": "play"},
    ],
}


def sample_context(request: HttpRequest) -> dict[str, Any]:
    now = timezone.now()
    paginator = Paginator(sample_rows(now) * 10, 8)
    bound = SampleForm(
        {"name": "", "domain": "not a domain", "level": "pro", "trunk": "derived", "secret": "x"}
    )
    bound.add_error("domain", "This is neither a domain nor a tenant id.")
    return {
        "nav": sample_navigation(),
        "brand": {"name": "UMP Portal"},
        "crumbs": [{"label": "Tenants", "url": "#tenants"}],
        "tabs": [
            {"label": "Overview", "url": "#overview", "active": True},
            {"label": "Users", "url": "#users", "count": 412},
            {"label": "Microsoft 365 Settings", "url": "#m365"},
            {"label": "History", "url": "#history"},
        ],
        "tones": TONES,
        "page": paginator.get_page(request.GET.get("page")),
        "nothing": Paginator([], 10).get_page(1),
        "sort": "name",
        **SAMPLE_TOOLBAR,
        "form": SampleForm(auto_id="sample_%s"),
        "bound": bound,
        "stored": SimpleNamespace(
            last_four="x8~Q",
            set_by="Olga",
            set_at=now - timedelta(days=40),
            expires_at=now + timedelta(days=9),
        ),
        "error": sample_error(),
        "steps": sample_steps(now),
        "wizard": [
            {"title": "M365 Tenant", "state": "done"},
            {"title": "M365", "state": "current"},
            {"title": "Voice Route", "state": "waiting"},
        ],
        "pairs": [
            ("Azure Tenant Id", "3f2b8c1e-6a0d-4a53-8f7c-2d1b9e0a4c77"),
            ("Service level", "Hosted Pro"),
            ("Last replication", None, "the first one is queued"),
        ],
        "words": [
            "Teams Phone Standard",
            "Microsoft 365 E3",
            "Audio Conferencing",
            "Visio Plan 2",
            "Power BI Pro",
        ],
        "names": ["Fabrikam Health", "Northwind Traders", "Adventure Works", "Tailspin Toys"],
        "markup": '<b>O\'Reilly & "Sons"</b>',
        **sample_times(now),
        **sample_pictures(),
    }


def sample_times(now: datetime) -> dict[str, datetime]:
    return {
        "now": now,
        "earlier": now - timedelta(hours=3),
        "long_ago": datetime(2023, 3, 9, 15, 38, tzinfo=now.tzinfo),
        "soon": now + timedelta(days=9, minutes=1),
    }


def styleguide(request: HttpRequest) -> HttpResponse:
    """The guide itself; with `?dialog=` a confirm page, with `?live=` a part that is polled.

    Exists only in development and in the demo.
    """
    if not (settings.DEBUG or getattr(settings, "DEMO", False)):
        raise Http404
    if "live" in request.GET:
        return HttpResponse(
            f"<p>Asked at {timezone.now():%H:%M:%S.%f}</p>",
            status=286 if request.GET["live"] == "end" else 200,
        )
    context = sample_context(request)
    if "dialog" in request.GET:
        context |= {
            "title": "Check 22 tenants now?",
            "submit": "Queue 22 checks",
            "cancel_url": "/styleguide",
            "form": None,
        }
        return render(request, "partials/styleguide_dialog.html", context)
    return render(request, "styleguide.html", context)
