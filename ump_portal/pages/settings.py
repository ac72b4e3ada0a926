"""What is in force in this installation, and where it is set; a few of it people change right here."""

import dataclasses
from collections.abc import Iterable
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from accounts import installation
from accounts.addresses import allowed
from accounts.again import is_fresh, typed
from accounts.models import Setting as Stored
from authstatus import services as authstatus
from core.errors import InvalidInput, UmpError
from replication import selectors as queue
from replication import watch
from tenants import licences, scope, secrets
from tenants.abilities import Ability
from tenants.access import Actor
from tenants.answers import SeeOther
from tenants.forms import add_error
from tenants.selectors import keys_behind
from tenants.web import actor_of, provider_view


@dataclasses.dataclass(frozen=True)
class Setting:
    """One line: its name on screen, its value in words, the variable that sets it, and what it means.

    `fields` are those of the form on the same page; what is stored by them wins over the variable.
    """

    name: str
    value: str
    variable: str
    means: str
    fields: tuple[str, ...] = ()
    changed: Stored | None = None


class SettingsForm(forms.Form):
    """The settings of accounts.installation; a change is in force everywhere within some seconds."""

    api_allowed_ips = forms.CharField(
        label="ApiAllowedIps",
        max_length=10_000,
        widget=forms.Textarea(attrs={"rows": 3, "spellcheck": "false", "class": "mono"}),
        help_text="Addresses or CIDR blocks, one a line. Only from there may the API be called.",
    )
    quick_replication_cycle_delay = forms.IntegerField(
        label="QuickReplicationCycleDelay, in seconds",
        help_text="A change waits this long for further ones; a customer may have its own.",
    )
    replication_cycle = forms.IntegerField(
        label="Automatic replication cycle, in seconds",
        help_text="Each customer is looked at this often by itself.",
    )
    max_access_failures = forms.IntegerField(
        label="Max Access Failures",
        help_text="So many refused accesses mark a customer's connection Degraded, and its work waits. "
        "0 turns the rule off: then the first refusal holds the work.",
    )
    access_failure_window = forms.IntegerField(
        label="Access Failure Window, in minutes",
        help_text="They count when they lie within this time; 0 counts all since the last successful check.",
    )

    allow_password = forms.BooleanField(
        label="Allow user name and password",
        required=False,
        help_text="For old customers only: whether a new password of a Microsoft 365 account may be saved.",
    )

    confirm_first_sync = forms.BooleanField(
        label="Confirm the organisation before the first replication",
        required=False,
        help_text="A new customer's first replication then waits until somebody has compared what the check found.",
    )
    idle_minutes = forms.IntegerField(
        label="Idle time-out of provider people, in minutes",
        help_text="Who does nothing for so long is signed out; a page that renews itself is no deed. 0 = never.",
    )
    own_secret_months = forms.IntegerField(
        label="Life of a client secret or certificate of a customer's own app, in months",
        help_text="What the portal asks Microsoft for when it renews one; the real end date is the one shown.",
    )
    renew_before_days = forms.IntegerField(
        label="Renew credentials by itself, days before they end",
        help_text="Where the portal may change the registration; 0 = only when somebody asks.",
    )
    provider_secret_months = forms.IntegerField(
        label="Life of the provider's client secret or certificate, in months",
        help_text="What the guide for the provider's app registration asks for, and the portal when it renews it.",
    )
    sbc_tag_longest = forms.IntegerField(
        label="Longest tag of a dial plan rule, in characters",
        help_text="What the SBCs take; older firmware takes fewer than 70.",
    )
    sbc_rules_most = forms.IntegerField(
        label="Dial plan rules of an SBC",
        help_text="What the licence of the SBCs allows. Ranges and single numbers may be six times as many.",
    )

    @staticmethod
    def stored() -> dict[str, Any]:
        return {name: installation.get(name) for name in installation.KINDS} | {
            "api_allowed_ips": "\n".join(installation.get("api_allowed_ips"))
        }

    def wishes(self) -> dict[str, Any]:
        """The values that differ from those in force; of a valid form."""
        given = dict(self.cleaned_data)
        given["api_allowed_ips"] = given["api_allowed_ips"].replace(",", " ").split()
        return {name: value for name, value in given.items() if value != installation.get(name)}


@provider_view(needs=Ability.VIEW_PROVIDER)
def in_force(request: HttpRequest) -> HttpResponse:
    """The Settings page."""
    actor = actor_of(request)
    may = actor.may(Ability.CHANGE_SETTINGS) and is_fresh(request)
    form = SettingsForm(initial=SettingsForm.stored()) if may else None
    return render(request, "pages/settings.html", _page(request, actor, form))


@provider_view(needs=Ability.CHANGE_SETTINGS, methods=("GET", "HEAD", "POST"), fresh=True)
def change(request: HttpRequest) -> HttpResponse:
    """Apply Changes: all of them or none."""
    if request.method != "POST":
        if not typed(request):
            return SeeOther("/settings/")
        form = SettingsForm(initial=SettingsForm.stored() | typed(request))
        return render(request, "pages/settings.html", _page(request, actor_of(request), form))
    actor, form = actor_of(request), SettingsForm(request.POST)
    if form.is_valid():
        try:
            with transaction.atomic():
                for name, value in form.wishes().items():
                    installation.change(actor, name, value)
        except InvalidInput as error:
            installation.forget()
            add_error(form, error)
        else:
            messages.success(request, "Saved. It is in force everywhere within a few seconds.")
            return SeeOther("/settings/")
    return render(request, "pages/settings.html", _page(request, actor, form), status=422)


def _page(request: HttpRequest, actor: Actor, form: SettingsForm | None) -> dict[str, Any]:
    address: str | None = getattr(request, "client_address", None)
    blocks = installation.get("api_allowed_ips")
    with scope.every("keys are counted over all customers"):
        behind, workers = _keys_behind(), queue.workers()
    changed = installation.stored()
    return {
        "groups": _groups(changed),
        "form": form,
        "may_change": actor.may(Ability.CHANGE_SETTINGS),
        "changed": changed,
        "last_change": _last(SettingsForm.base_fields, changed),
        "address": address,
        "address_allowed": allowed(address, blocks),
        "allowed_ips": blocks,
        "switch": queue.is_paused(),
        "may_pause_all": actor.may(Ability.PAUSE_ALL),
        "silent_since": watch.silent_since(),
        "workers": workers,
        "pools": licences.pools(),
        "behind": behind,
        "may_rotate": actor.may(Ability.ROTATE_KEYS),
        "version": settings.VERSION,
    }


@provider_view(needs=Ability.ROTATE_KEYS, methods=("GET", "HEAD", "POST"), fresh=True)
def rotate_keys(request: HttpRequest) -> HttpResponse:
    """Rotate keys: what it means, and the command that does it."""
    if request.method == "POST":
        return SeeOther(f"/queue/{authstatus.rotate_keys(actor_of(request)).id}/")
    with scope.every("keys are counted over all customers"):
        behind = keys_behind(secrets.current_kek_id())
    context = {
        "title": "Rotate keys?",
        "submit": "Rotate keys",
        "behind": behind,
        "form_action": request.path,
        "cancel_url": "/settings/",
    }
    return render(request, "pages/settings_rotate.html", context)


def _keys_behind() -> int | None:
    """How many keys are not yet under the current key-encryption key; None when that is not readable here."""
    try:
        return keys_behind(secrets.current_kek_id())
    except UmpError:
        return None


def _groups(changed: dict[str, Stored]) -> list[dict[str, Any]]:
    groups = {
        "Replication": _replication(),
        "Microsoft 365": _microsoft(),
        "SBC": _sbc(),
        "People and sessions": _people(),
        "Portal": _portal(),
    }
    return [
        {
            "title": title,
            "rows": [dataclasses.replace(row, changed=_last(row.fields, changed)) for row in rows],
        }
        for title, rows in groups.items()
    ]


def _last(fields: Iterable[str], changed: dict[str, Stored]) -> Stored | None:
    """Which of these was changed last, where somebody changed any."""
    found = [changed[name] for name in fields if name in changed]
    return max(found, key=lambda each: each.set_at, default=None)


def _replication() -> list[Setting]:
    return [
        Setting(
            "QuickReplicationCycleDelay",
            _span(installation.get("quick_replication_cycle_delay")),
            "QUICK_REPLICATION_CYCLE_DELAY",
            "A change waits this long for further ones; a customer may have its own.",
            ("quick_replication_cycle_delay",),
        ),
        Setting(
            "Longest wait",
            _span(settings.QUICK_REPLICATION_LONGEST_WAIT),
            "QUICK_REPLICATION_LONGEST_WAIT",
            "Constant editing cannot hold a change back for longer than this, or than twice a longer delay.",
        ),
        Setting(
            "Automatic cycle",
            f"every {_span(installation.get('replication_cycle'))}",
            "REPLICATION_CYCLE_SECONDS",
            "How often each customer is brought in step.",
            ("replication_cycle",),
        ),
        *_access_failures(),
        Setting(
            "Proof read",
            f"every {settings.PROOF_READ_HOURS} hours",
            "PROOF_READ_HOURS",
            "Everything is read and compared again, to prove the deltas.",
        ),
        Setting(
            "Removals that wait for a person",
            f"more than {settings.REMOVAL_FLOOR} and {settings.REMOVAL_SHARE:.0%} of a copy",
            "REMOVAL_FLOOR, REMOVAL_SHARE",
            "A full read that would remove more shows its plan first and asks.",
        ),
        Setting(
            "Ended commands are kept",
            f"{settings.COMMAND_RETENTION_DAYS} days; {settings.QUIET_RETENTION_DAYS} when nothing had changed",
            "COMMAND_RETENTION_DAYS, QUIET_RETENTION_DAYS",
            "Then their rows are forgotten, sooner those that nobody asked for and that found nothing changed; "
            "the audit trail stays.",
        ),
        Setting(
            "Threads of a worker process",
            str(settings.WORKER_THREADS),
            "WORKER_THREADS",
            "Lanes run side by side.",
        ),
    ]


def _access_failures() -> list[Setting]:
    return [
        Setting(
            "Max Access Failures",
            str(installation.get("max_access_failures") or "0: the rule is off"),
            "",
            "So many within the window mark a customer's connection Degraded; a customer may have its own.",
            ("max_access_failures",),
        ),
        Setting(
            "Access Failure Window",
            _window(installation.get("access_failure_window")),
            "",
            "Failures count within this time.",
            ("access_failure_window",),
        ),
    ]


def _microsoft() -> list[Setting]:
    gateway = settings.M365_GATEWAY_URL
    return [
        Setting(
            "Microsoft's addresses",
            f"a stand-in at {gateway}" if gateway else "Microsoft's own",
            "M365_GATEWAY_URL",
            "A stand-in is for tests and demonstrations only.",
        ),
        Setting(
            "Certificates trusted",
            settings.M365_CA_BUNDLE or "the system's",
            "M365_CA_BUNDLE",
            "For installations behind a proxy that opens TLS.",
        ),
        Setting(
            "Life of a client secret",
            f"{installation.get('own_secret_months')} months, the provider's own "
            f"{installation.get('provider_secret_months')}",
            "",
            "What is asked of Microsoft; the real end date is the one shown.",
            ("own_secret_months", "provider_secret_months"),
        ),
    ]


def _sbc() -> list[Setting]:
    return [
        Setting(
            "Longest tag of a dial plan rule",
            f"{installation.get('sbc_tag_longest')} characters",
            "",
            "Longer ones are refused before anything is written.",
            ("sbc_tag_longest",),
        ),
        Setting(
            "Dial plan rules of an SBC",
            f"{installation.get('sbc_rules_most'):,}",
            "",
            "No more are written; ranges and single numbers in them may be six times as many.",
            ("sbc_rules_most",),
        ),
    ]


def _people() -> list[Setting]:
    return [
        Setting(
            "Second factor",
            "required" if settings.MFA_REQUIRED else "offered",
            "MFA_REQUIRED",
            "Authenticator app or passkey.",
        ),
        Setting(
            "Failed sign-ins",
            settings.ACCOUNT_RATE_LIMITS["login_failed"],
            "LOGIN_FAILED_RATE",
            "Then one has to wait.",
        ),
        Setting(
            "A fresh sign-in",
            f"of the last {_span(settings.ACCOUNT_REAUTHENTICATION_TIMEOUT)}",
            "",
            "Before credentials, people, API clients or settings change, a customer is deleted, or many are paused.",
        ),
        Setting("A session ends", f"after {_span(settings.SESSION_COOKIE_AGE)}", "", "Or with the browser."),
        Setting(
            "Idle time-out",
            _span(60 * idle) if (idle := installation.get("idle_minutes")) else "never",
            "",
            "Of people who work for the provider; customers' own people are signed out with the session's end.",
            ("idle_minutes",),
        ),
    ]


def _portal() -> list[Setting]:
    proxies = ", ".join(settings.TRUSTED_PROXIES) or "none"
    return [
        Setting("Address", settings.PORTAL_BASE_URL, "PORTAL_BASE_URL", "As people and Microsoft see it."),
        Setting(
            "Name", settings.BRAND_NAME, "PORTAL_NAME", "In the corner, in titles and in authenticator apps."
        ),
        Setting(
            "Provider",
            settings.PROVIDER_NAME,
            "PROVIDER_NAME",
            "In the copyright line and in advice to customers.",
        ),
        Setting("Trusted proxies", proxies, "TRUSTED_PROXIES", "Whose word on a caller's address counts."),
    ]


def _window(minutes: int) -> str:
    return _span(minutes * 60) if minutes else "0: since the last successful check"


def _span(seconds: float) -> str:
    """Seconds in the largest unit that divides them: "5 minutes"."""
    for length, unit in ((86_400, "day"), (3_600, "hour"), (60, "minute")):
        if seconds >= length and seconds % length == 0:
            number = int(seconds // length)
            return f"{number} {unit}{'' if number == 1 else 's'}"
    return f"{seconds:g} seconds"
