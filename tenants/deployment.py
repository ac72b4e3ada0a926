"""Deploy state x status of a customer: the matrix DEP-01..07, as one rule."""

import dataclasses
import datetime as dt
import enum

from tenants.models import Connection, DeployState, Plan, Tenant, Verification


class Status(enum.StrEnum):
    OK = "ok"
    WARNING = "warning"
    ERROR = "error"
    UNMONITORED = "unmonitored"


SENTENCES: dict[tuple[DeployState, Status], str] = {
    (DeployState.DEPLOYED, Status.OK): "Deployed successfully.",
    (DeployState.READY, Status.WARNING): "Ready for deployment.",
    (DeployState.DEPLOYED, Status.WARNING): "Deployed, with a warning.",
    (DeployState.DEPLOYED, Status.ERROR): "Deployed, with an error.",
    (DeployState.DEPLOYED, Status.UNMONITORED): "Deployed and disabled.",
    (DeployState.READY, Status.ERROR): "Ready for deployment, with an error.",
    (DeployState.READY, Status.UNMONITORED): "Disabled before it was deployed.",
    (DeployState.FAILED, Status.ERROR): (
        "Deployment failed because of an error, a customer tenant that does not exist, or a connection error."
    ),
    (DeployState.FAILED, Status.UNMONITORED): "Deployment failed, then disabled.",
    (DeployState.UNKNOWN, Status.WARNING): "Deployment request submitted.",
    (DeployState.UNKNOWN, Status.UNMONITORED): "Deployment request submitted, then disabled.",
}


_BROKEN = frozenset({Verification.FAILED, Verification.NO_TOKEN})


@dataclasses.dataclass(frozen=True)
class Access:
    """As much of a Connection as decides here, for those who have no more of it at hand."""

    verification: str
    held_at: dt.datetime | None

    @property
    def usable(self) -> bool:
        return self.verification == Verification.SUCCESSFUL


def status_of(tenant: Tenant, connection: Connection | Access | None) -> Status:
    """Error before Warning before OK (DEV-09); a disabled customer is not monitored."""
    state = DeployState(tenant.deploy_state)
    if not tenant.enabled:
        return Status.UNMONITORED
    if state == DeployState.FAILED:
        return Status.ERROR
    if state == DeployState.UNKNOWN:
        return Status.WARNING
    if tenant.deploy_problem and not tenant.deploying_since:
        return Status.ERROR
    if connection is None:
        if tenant.with_sync and tenant.plan != Plan.ESSENTIALS:  # which has no connection to Microsoft 365
            return Status.ERROR
    elif connection.held_at or connection.verification in _BROKEN:
        return Status.ERROR
    unproven = connection is not None and not connection.usable
    if state == DeployState.READY or unproven or tenant.paused_at or tenant.deploying_since:
        return Status.WARNING
    return Status.OK


def sentence(tenant: Tenant, connection: Connection | Access | None) -> str:
    """What state and status mean, and what caused them where that is known (DEP-01..07)."""
    return meaning(tenant, status_of(tenant, connection))


def meaning(tenant: Tenant, status: Status) -> str:
    """The same sentence, for whoever knows the status already."""
    told = SENTENCES[DeployState(tenant.deploy_state), status]
    return f"{told} {cause}" if (cause := _cause(tenant)) else told


def _cause(tenant: Tenant) -> str:
    """What the connection has to say is said beside it, wherever this stands."""
    if not tenant.enabled:
        return ""
    if tenant.deploying_since:
        return "" if tenant.deploy_state == DeployState.UNKNOWN else "Work on the deployment is under way."
    return str((tenant.deploy_problem or {}).get("message", ""))


def after_check(tenant: Tenant, *, succeeded: bool) -> DeployState:
    """What a check makes of a customer that is being onboarded; a deployed one stays deployed."""
    state = DeployState(tenant.deploy_state)
    if state == DeployState.DEPLOYED or tenant.deploying_since or tenant.deploy_problem:
        return state
    if succeeded:
        return DeployState.READY
    return state if state == DeployState.READY else DeployState.FAILED
