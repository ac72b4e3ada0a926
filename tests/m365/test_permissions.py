"""Permissions as data: ids that look like ids, features that ask for the least, nothing missing unseen."""

from __future__ import annotations

import itertools

import pytest

from m365.identity import GUID
from m365.permissions import (
    DIRECTORY_READ,
    FEATURES,
    PERMISSIONS,
    PROFILES,
    ROLES,
    TELEPHONY_READ,
    WRITES,
    Held,
    judge_permissions,
    missing,
    missing_for,
    needed,
)


def test_every_id_is_a_guid_and_used_once() -> None:
    ids = [one for p in PERMISSIONS.values() for one in (p.application, p.delegated) if one]
    ids += [role.template_id for role in ROLES.values()]
    assert all(GUID.fullmatch(one) for one in ids)
    assert len(set(ids)) == len(ids)


def test_every_permission_that_is_named_is_known() -> None:
    for profile in PROFILES.values():
        assert all(PERMISSIONS[name].application for name in profile.application)
        assert all(PERMISSIONS[name].delegated for name in profile.delegated)
    for feature in FEATURES.values():
        assert feature.probe.startswith("/") or feature.key in WRITES
        assert all(PERMISSIONS[name].application for need in feature.needs for name in need.any_of)


def test_reading_needs_six_permissions() -> None:
    assert PROFILES["directory_read"].application == (
        "Organization.Read.All",
        "User.Read.All",
        "GroupMember.Read.All",
        "LicenseAssignment.Read.All",
        "TeamsUserConfiguration.Read.All",
        "TeamsTelephoneNumber.Read.All",
    )
    assert missing_for(PROFILES["directory_read"].application) == ()
    assert missing_for((), (*DIRECTORY_READ, *TELEPHONY_READ)) == PROFILES["directory_read"].application


@pytest.mark.parametrize("feature", FEATURES)
def test_broader_permissions_do(feature: str) -> None:
    assert missing((), feature) == needed(feature)
    assert missing({"Directory.Read.All"}, feature) == (() if feature in DIRECTORY_READ else needed(feature))
    for name in itertools.chain.from_iterable(need.any_of for need in FEATURES[feature].needs):
        assert missing({name}, feature) == ()


def test_writing_is_an_extra() -> None:
    """An access without it lacks nothing; one with it has no excess, unless it is more than the least."""
    assert missing_for((), WRITES) == tuple(name for feature in WRITES for name in needed(feature))
    granted = {*PROFILES["directory_read"].application, *missing_for((), WRITES), "Directory.ReadWrite.All"}
    states = judge_permissions(granted, DIRECTORY_READ)
    assert states.pop("Directory.ReadWrite.All") == Held.EXTRA
    assert {name: states[name] for name in missing_for((), WRITES)} == dict.fromkeys(
        missing_for((), WRITES), Held.PRESENT
    )
    assert (
        Held.MISSING not in judge_permissions(PROFILES["directory_read"].application, DIRECTORY_READ).values()
    )


def test_unrelated_permissions_do_not() -> None:
    assert missing({"User.Read.All", "Mail.Send"}, "groups") == ("GroupMember.Read.All",)
    with pytest.raises(KeyError):
        needed("no such feature")
