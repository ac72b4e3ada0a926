"""The truth table of facts 4.1, row by row."""

import itertools

import pytest

from sbc.models import Link, Sbc
from sbc.status import Grade, Inputs, derive, of_sbc

OK, WARN, ERR = Grade.OK, Grade.WARNING, Grade.ERROR
GOOD = {
    "alarms": "Clear",
    "connection": "Connected",
    "administration": "Unlocked",
    "control": "Clear",
    "media": "Clear",
    "quality_connection": "Connected",
    "pool": "Ok",
    "management_license": "Managed",
    "quality_license": "Managed",
}
UNDETERMINED = {
    "alarms": "Indeterminate",
    "control": "Unmonitored",
    "media": "Unmonitored",
    "quality_connection": "Not Defined",
    "pool": "Unmanaged",
    "management_license": "Not Defined",
    "quality_license": "Not Requested",
}


@pytest.mark.parametrize(
    ("changes", "management", "quality", "license_", "device", "locked"),
    [
        ({}, OK, OK, OK, OK, False),
        (UNDETERMINED, OK, OK, OK, OK, False),
        ({"alarms": "Minor"}, WARN, OK, OK, WARN, False),
        ({"administration": "Locked"}, WARN, OK, OK, WARN, True),
        ({"management_license": "Unmanaged"}, OK, OK, WARN, WARN, False),
        ({"pool": "RESET_REQUIRED"}, OK, OK, WARN, WARN, False),
        ({"control": "Major"}, OK, WARN, OK, WARN, False),
        ({"quality_connection": "Not Connected"}, OK, ERR, OK, ERR, False),
        ({"alarms": "Critical"}, ERR, OK, OK, ERR, False),
        ({"connection": "NOT_CONNECTED", "administration": "LOCKED"}, ERR, OK, OK, ERR, True),
        ({"pool": "Expired"}, OK, OK, ERR, ERR, False),
        ({"pool": "a word of a later version"}, OK, OK, OK, OK, False),
    ],
)
def test_the_truth_table(
    changes: dict[str, str], management: Grade, quality: Grade, license_: Grade, device: Grade, locked: bool
) -> None:
    found = derive(Inputs(**{**GOOD, **changes}))
    assert (found.management, found.voice_quality, found.license) == (management, quality, license_)
    assert (found.device, found.locked) == (device, locked)


def test_the_device_is_the_worst_of_the_three() -> None:
    words = {"alarms": ("Clear", "Minor", "Major"), "control": ("Clear", "Major", "Critical")}
    pools = ("Ok", "Apply required", "Failed")
    for at in itertools.product(range(3), repeat=3):
        given = {"alarms": words["alarms"][at[0]], "control": words["control"][at[1]], "pool": pools[at[2]]}
        assert derive(Inputs(**{**GOOD, **given})).device == max(at)


def test_what_the_device_says_itself_counts_before_ovoc() -> None:
    sbc = Sbc(link=Link.CONNECTED, told={"locked": False}, ovoc={"admin": "LOCKED"})
    assert not of_sbc(sbc).locked
    assert of_sbc(Sbc(ovoc={"admin": "LOCKED"})).locked
    sbc.alarms = [{"severity": "minor"}, {"severity": "critical"}, {"severity": "unheard of"}]
    assert of_sbc(sbc).device == ERR
    assert of_sbc(Sbc(link=Link.REFUSED)).management == ERR
    assert of_sbc(Sbc()).device == OK
