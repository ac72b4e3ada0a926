"""One portal and one simulator for most of these tests; each test has customers of its own."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.system.microsoft import Microsoft
from tests.system.stage import Stage, until

HERE = Path(__file__).parent
STAGES: list[Stage] = []
TAIL = 12_000


def pytest_itemcollected(item: pytest.Item) -> None:
    """All of these; in a parallel run see tests.groups for who shares a worker."""
    item.add_marker(pytest.mark.slow)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[Any]) -> Any:
    """A failure shows what the processes said meanwhile."""
    report = yield
    if report.failed and item.path.is_relative_to(HERE):
        for stage in STAGES:
            report.sections.append((f"processes of {stage.home.name}", stage.said()[-TAIL:]))
    return report


@pytest.fixture(scope="session")
def microsoft(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Microsoft]:
    with Microsoft(tmp_path_factory.mktemp("microsoft") / "simulator.log") as found:
        yield found


@pytest.fixture(scope="session")
def make_stage(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Any]:
    """Stages whose state lies where tests of another session find nothing."""

    def make(name: str, environment: dict[str, str], **options: Any) -> Any:
        return _listed(Stage(tmp_path_factory.mktemp("stage") / name, environment, **options))

    return make


class _listed:  # noqa: N801  a context manager, used like a function
    def __init__(self, stage: Stage) -> None:
        self.stage = stage

    def __enter__(self) -> Stage:
        STAGES.append(self.stage)
        return self.stage.__enter__()

    def __exit__(self, *details: object) -> None:
        STAGES.remove(self.stage)
        self.stage.__exit__(*details)


@pytest.fixture(scope="session")
def running_stage(make_stage: Callable[..., Any], microsoft: Microsoft) -> Iterator[Stage]:
    with make_stage("portal", {"M365_GATEWAY_URL": microsoft.url}) as found:
        yield found


@pytest.fixture
def stage(running_stage: Stage) -> Stage:
    """The portal, well: what the test before has killed is back."""
    until("the portal is well", running_stage.healthy)
    running_stage.running("clock")
    until("the worker has its pool", lambda: len(running_stage.members("worker")) >= 3)
    return running_stage
