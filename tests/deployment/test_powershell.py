"""Deploy through the process that PowerShell is: by what stands in for it, and by the real one where there is any."""

import shutil
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from deployment.models import RunState
from m365.clouds import CLOUDS
from m365.identity import Token
from m365.teams_powershell import Config, Session, Tokens
from sites.models import Site
from tenants.lines import Line
from tenants.models import Tenant
from tests.deployment.conftest import there
from tests.deployment.test_deploying import decided, looked, writes

pytestmark = pytest.mark.django_db
M365 = Path(__file__).parents[1] / "m365"
MODULE = str(M365 / "MicrosoftTeams" / "MicrosoftTeams.psm1")


@pytest.fixture(
    params=[
        "stand-in",
        pytest.param(
            "pwsh",
            marks=pytest.mark.skipif(
                shutil.which("pwsh") is None,
                reason="pwsh is not installed here: Deploy was not tried with the real PowerShell",
            ),
        ),
    ]
)
def config(request: pytest.FixtureRequest, tmp_path: Path) -> Config:
    if request.param == "pwsh":
        return Config("pwsh", MODULE)
    command = tmp_path / "pwsh"
    stand_in = M365 / "pwsh_stand_in.py"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} {stand_in} {tmp_path}/notes "" "$@"\n')
    command.chmod(0o755)
    return Config(str(command), start_seconds=30.0, call_seconds=30.0)


def test_each_part_is_written_once_in_one_session(
    config: Config, contoso: Tenant, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What Teams has lives as long as the process, so the work is one session or it would find nothing of its own."""
    where = str(contoso.entra_tenant_id)
    graph, teams = (
        Token(f"{name}-token-that-nobody-may-tell", datetime.now(UTC), tid=where) for name in "gt"
    )
    monkeypatch.setattr(
        Line,
        "teams",
        lambda self, *, stop=None: Session(config, Tokens(graph, teams), where, CLOUDS["global"]),
    )
    there()
    run = decided(looked(contoso))
    assert (run.state, run.problem) == (RunState.DONE, None)
    assert writes(contoso) == [
        ("PSTN usage", "done"),
        ("voice route", "done"),
        ("voice routing policy", "done"),
    ]
