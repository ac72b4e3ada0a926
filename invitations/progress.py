"""What a visitor's page shows: where he stands, worked out from what is so, and never stored."""

import dataclasses
import datetime as dt
from typing import Any

from authstatus import delegated, registrations, shown
from authstatus.registration_creation import STEPS
from core.errors import UmpError
from invitations.device import DEVICE, seen_from
from invitations.models import Invitation, Visit, Way
from invitations.signing_in import CLAIM
from m365 import permissions
from replication.models import FINAL, Command, State
from tenants.models import AppOwner, Connection, Service, Tenant, Verification

VALIDATING = "Validating credentials, please wait!"
TEAMS = "Voice services in Microsoft Teams"
WHY = {
    "Group.ReadWrite.All": "To know who is in which group, and to keep the groups of the voice service",
    "GroupMember.Read.All": "To know who is in which group",
    "Directory.AccessAsUser.All": "So that the portal may do what your account may, and nothing more",
    "User.Read.All": "To know whom to give the voice service to",
    "AppCatalog.ReadWrite.All": "To offer the apps of the voice service in Teams",
    "Organization.Read.All": "To know your organisation's name, domains and subscriptions",
    "LicenseAssignment.Read.All": "To know who has a licence for telephony",
}
"""What each permission is for, in words for those who are asked for it."""


@dataclasses.dataclass(frozen=True)
class Standing:
    """`state` is choose, device, following, unconfirmed or done; `error` what was met last (Rendered).

    Where somebody has let the portal in, it is what this very visitor met, who may be another.
    """

    state: str
    steps: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    error: dict[str, Any] | None = None

    @property
    def moves(self) -> bool:
        """Whether the page goes on by itself."""
        return self.state in {"device", "following", "unconfirmed"}


def standing(visit: Visit) -> Standing:
    """Of this browser's visit, and of what happened to the invitation elsewhere."""
    invitation: Invitation = visit.invitation
    if invitation.done_at:
        return Standing("done")
    command = _command(visit)
    if invitation.found_tenant_id:
        return Standing("unconfirmed", _steps(invitation, command), visit.problem)
    if invitation.signed_in_at:
        return Standing("following", _steps(invitation, command), visit.problem)
    if command is not None and command.state not in FINAL:
        state = "device" if command.kind == DEVICE else "following"
        return Standing(state, _steps(invitation, command))
    error = invitation.problem or visit.problem or _ended_badly(invitation, command)
    return Standing("choose", error=error)


def _command(visit: Visit) -> Command | None:
    """What turns this browser's sign-in into tokens."""
    if visit.flow_id is None:
        return None
    found: Command | None = (
        Command.objects.filter(tenant_id=visit.tenant_id, kind__in=(CLAIM, DEVICE), target=str(visit.flow_id))
        .order_by("-id")
        .first()
    )
    return found


def _ended_badly(invitation: Invitation, command: Command | None) -> dict[str, Any] | None:
    """A command that was given up without a word for the invitation: cancelled, or tried too often."""
    if command is None or command.state == State.SUCCEEDED:
        return None
    return command.error or dict(UmpError.of("signin_restart").to_dict())


# --- Steps --------------------------------------------------------------------------------------------------
def _steps(invitation: Invitation, command: Command | None) -> list[dict[str, Any]]:
    """For {% steps %}: signed in, token claimed, (confirmed,) checked, and what making a registration takes."""
    tenant: Tenant = invitation.tenant
    stored: Connection | None = Connection.objects.filter(tenant=tenant).first()
    inside = invitation.signed_in_at is not None
    first = _first(invitation, command, inside)
    if invitation.way == Way.USE:
        return [first, _checked(invitation, stored)]
    claimed = {
        "title": "Token claimed",
        "state": "done" if inside else "running",
        "text": "Sealed; only workers can open it." if inside else (command.message if command else ""),
        "at": invitation.signed_in_at,
    }
    if command is not None and command.kind == DEVICE and not inside:
        claimed |= {"state": "waiting", "text": "Follows by itself."}
    steps = [first, claimed]
    if invitation.found_tenant_id:
        text = f"{invitation.found_name or 'Your organisation'} was not known here. Your service provider was asked."
        steps.append({"title": "Confirmed by your service provider", "state": "running", "text": text})
        return [
            *steps,
            {"title": "Validate Authentication", "state": "waiting", "text": "Follows by itself."},
        ]
    steps.append(_checked(invitation, stored))
    return steps + _made(invitation, stored) if invitation.way == Way.CREATE else steps


def _first(invitation: Invitation, command: Command | None, inside: bool) -> dict[str, Any]:
    if invitation.way == Way.USE:
        return {"title": "App registration entered", "state": "done", "at": invitation.signed_in_at}
    if command is not None and command.kind == DEVICE and not inside:
        return {
            "title": "Signed in at Microsoft",
            "state": "running",
            "text": "Waits until the code was used.",
        }
    return {"title": "Signed in at Microsoft", "state": "done"}


def _checked(invitation: Invitation, stored: Connection | None) -> dict[str, Any]:
    title = "Validate Authentication"
    if invitation.signed_in_at is None or stored is None:
        return {"title": title, "state": "waiting", "text": "Follows by itself."}
    if invitation.way == Way.CREATE and stored.app_owner == AppOwner.CUSTOMER:
        return {"title": title, "state": "done"}
    if stored.verification == Verification.SUCCESSFUL:
        text = "Every permission that is needed is there."
        return {"title": title, "state": "done", "text": text, "at": stored.verified_at}
    if stored.verification == Verification.NEVER:
        waits = (
            "Microsoft may need some minutes until new permissions work." if stored.propagating_until else ""
        )
        return {"title": title, "state": "running", "text": waits or VALIDATING}
    return {"title": title, "state": "failed", "text": stored.problem_message}


def _made(invitation: Invitation, stored: Connection | None) -> list[dict[str, Any]]:
    """The steps of registration_creation, live, and the proof of what they brought."""
    command = (
        Command.objects.filter(
            tenant_id=invitation.tenant_id, kind=registrations.CREATE, queued_at__gte=invitation.signed_in_at
        )
        .order_by("-id")
        .first()
        if invitation.signed_in_at
        else None
    )
    done = set(command.checkpoint.get("done", ()) if command else ())
    left = [name for name in STEPS if name not in done]
    running = left[0] if command is not None and left else ""
    rows: list[dict[str, Any]] = [
        {
            "title": title,
            "state": "done" if name in done else "running" if name == running else "waiting",
            "text": command.message if command is not None and name == running else "",
        }
        for name, title in STEPS.items()
    ]
    over = stored is not None and stored.app_owner == AppOwner.CUSTOMER
    proof = {
        "title": "Prove the new app registration, and use it",
        "state": "running" if not left else "waiting",
    }
    return [*rows, proof | ({"state": "running", "text": VALIDATING} if over else {})]


# --- What is asked, and what came of it ---------------------------------------------------------------------
def asked() -> list[dict[str, str]]:
    """What the portal is to be allowed, in words, each with what it is for."""
    return [
        {"name": name, "may": permissions.PERMISSIONS[name].purpose, "why": WHY.get(name, TEAMS)}
        for name in delegated.asked_for()
    ]


def roles(tenant: Tenant) -> list[permissions.RoleRow]:
    """The directory roles that the account, or later the app, needs (decisions 5 and 26)."""
    own_domains = tenant.service == Service.DIRECT_ROUTING
    return [row for row in permissions.ROLE_TABLE if own_domains or not row.for_new_site]


def device_page(visit: Visit) -> dict[str, Any] | None:
    """The code, where to enter it, and what Microsoft will say of whoever asked for it; None until it is there."""
    if not visit.device:
        return None
    return {**visit.device, "until": dt.datetime.fromisoformat(visit.device["until"]), **seen_from()}


def connected(tenant: Tenant) -> dict[str, Any]:
    """The end page: the way in as it is now, and what the check found."""
    stored: Connection | None = Connection.objects.filter(tenant=tenant).select_related("secret").first()
    found = shown.about(tenant)
    facts = [
        ("Organisation", tenant.name),
        ("Azure Tenant Id", tenant.entra_tenant_id),
        ("Signs in by", stored.get_method_display() if stored else None),
        ("App registration", AppOwner(stored.app_owner).label if stored else None),
        ("Client Id", stored.client_id if stored else None),
        ("M365 Email", stored.account if stored and stored.account else None),
    ]
    return {
        "facts": [(label, value, "") for label, value in facts if value],
        "lines": found["permissions"],
        "roles_missing": found["roles"].missing,
        "checked_at": stored.verified_at if stored else None,
    }
