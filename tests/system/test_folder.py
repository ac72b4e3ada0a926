"""The broker of one machine is a folder; emptied or deleted, it costs seconds, never work."""

import shutil

from tests.system.kept import all_in_step, some
from tests.system.microsoft import Microsoft
from tests.system.stage import Stage, Timer, until
from ump_portal.celery import OWN_SWEEP_SECONDS

SOON = OWN_SWEEP_SECONDS + 30  # nobody rings, so without the own look it would be never


def test_a_folder_emptied_in_the_middle(stage: Stage, microsoft: Microsoft) -> None:
    customers = some(stage, microsoft, "Swept", 2)
    until("work is under way", lambda: customers[0].count("user"))
    for message in (stage.home / "broker" / "messages").glob("*.msg"):
        message.unlink(missing_ok=True)
    all_in_step(customers)


def test_a_folder_deleted_in_the_middle(stage: Stage, microsoft: Microsoft) -> None:
    customers = some(stage, microsoft, "Deleted", 2)
    until("work is under way", lambda: customers[0].count("user"))
    shutil.rmtree(stage.home / "broker")
    timer = Timer()
    customers += some(stage, microsoft, "Later", 1)
    assert customers[-1].ended(("verify_credentials",), SOON).state == "succeeded"
    print(f"the next customer was checked {timer():.1f} s after the broker's folder was deleted")
    all_in_step(customers)
