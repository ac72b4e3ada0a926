"""DEP-01..07: what State and Status of a customer say together, and why."""

import pytest

from core.errors import UmpError
from tenants.deployment import SENTENCES, Status, sentence, status_of
from tenants.models import Connection, DeployState, Tenant, Verification

PROVEN = {"verification": Verification.SUCCESSFUL}
STOPPED = dict(UmpError.of("deploy_stopped", tenant="Contoso", why="the SBC did not answer").to_dict())
DEPLOYED, READY = DeployState.DEPLOYED, DeployState.READY


@pytest.mark.parametrize(
    ("state", "about", "connection", "status", "told"),
    [
        (DEPLOYED, {}, PROVEN, Status.OK, "Deployed successfully."),
        (READY, {}, PROVEN, Status.WARNING, "Ready for deployment."),
        (DEPLOYED, {}, {}, Status.WARNING, "Deployed, with a warning."),
        (DEPLOYED, {}, {"verification": Verification.FAILED}, Status.ERROR, "Deployed, with an error."),
        (
            DEPLOYED,
            {"deploy_problem": STOPPED},
            PROVEN,
            Status.ERROR,
            "Deployed, with an error. The work on the deployment of Contoso stopped: the SBC did not answer.",
        ),
        (DEPLOYED, {"enabled": False}, PROVEN, Status.UNMONITORED, "Deployed and disabled."),
        (
            DeployState.FAILED,
            {"deploy_problem": STOPPED},
            PROVEN,
            Status.ERROR,
            (
                "Deployment failed because of an error, a customer tenant that does not exist, or a connection "
                "error. The work on the deployment of Contoso stopped: the SBC did not answer."
            ),
        ),
        (DeployState.UNKNOWN, {}, PROVEN, Status.WARNING, "Deployment request submitted."),
    ],
)
def test_the_matrix(
    state: DeployState, about: dict[str, object], connection: dict[str, object], status: Status, told: str
) -> None:
    tenant, found = Tenant(deploy_state=state, **about), Connection(**connection)
    assert (status_of(tenant, found), sentence(tenant, found)) == (status, told)


def test_every_state_has_words_for_a_disabled_customer() -> None:
    assert {state for state, status in SENTENCES if status == Status.UNMONITORED} == set(DeployState)
