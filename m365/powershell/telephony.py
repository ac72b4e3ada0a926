"""The cmdlets for users' numbers and policies (facts/microsoft.md 10.2, 10.3); all of them take an app's own access.

For clouds whose Graph has no telephony; `m365.teams_by_powershell` understands the rows.
"""

from __future__ import annotations

from typing import Final

from m365.powershell.calls import Call, Value

POLICY_KINDS: Final = (
    "CallingLineIdentity",
    "ExternalAccessPolicy",
    "OnlineVoicemailPolicy",
    "OnlineVoiceRoutingPolicy",
    "TeamsAppPermissionPolicy",
    "TeamsAppSetupPolicy",
    "TeamsAudioConferencingPolicy",
    "TeamsCallHoldPolicy",
    "TeamsCallParkPolicy",
    "TeamsCallingPolicy",
    "TeamsChannelsPolicy",
    "TeamsComplianceRecordingPolicy",
    "TeamsEmergencyCallRoutingPolicy",
    "TeamsEmergencyCallingPolicy",
    "TeamsEnhancedEncryptionPolicy",
    "TeamsEventsPolicy",
    "TeamsFeedbackPolicy",
    "TeamsFilesPolicy",
    "TeamsIPPhonePolicy",
    "TeamsMeetingBroadcastPolicy",
    "TeamsMeetingPolicy",
    "TeamsMessagingPolicy",
    "TeamsMobilityPolicy",
    "TeamsSharedCallingRoutingPolicy",
    "TeamsSurvivableBranchAppliancePolicy",
    "TeamsUpdateManagementPolicy",
    "TeamsVdiPolicy",
    "TeamsVoiceApplicationsPolicy",
    "TenantDialPlan",
)
"""Types that are a property of a user by this name, and have a `Grant-Cs` of this name."""
NUMBERS_A_CALL: Final = 1000

_OF_USERS = (
    "Identity",
    "UserPrincipalName",
    "AccountType",
    "EnterpriseVoiceEnabled",
    "FeatureTypes",
    "LineUri",
    "SoftDeletionTimestamp",
    "WhenCreated",
    "WhenChanged",
)
_OF_NUMBERS = (
    "TelephoneNumber",
    "NumberType",
    "PstnAssignmentStatus",
    "ActivationState",
    "AssignedPstnTargetId",
    "AssignmentCategory",
    "OperatorId",
    "IsoCountryCode",
    "City",
    "PortInOrderStatus",
    "NumberSource",
    "LocationId",
    "Capability",
)
_WITHOUT_POLICIES: tuple[tuple[str, Value], ...] = (("SkipUserPolicies", True),)


def users() -> Call:
    return Call("Get-CsOnlineUser", _WITHOUT_POLICIES, _OF_USERS)


def users_with_policies() -> Call:
    return Call(
        "Get-CsOnlineUser", fields=("Identity", "AccountType", "SoftDeletionTimestamp", *POLICY_KINDS)
    )


def user(user_id: str) -> Call:
    return Call("Get-CsOnlineUser", (("Identity", user_id), *_WITHOUT_POLICIES), _OF_USERS)


def policies_of(user_id: str) -> Call:
    """The policies in effect for a user, and where each comes from; there is no such call for several users."""
    return Call(
        "Get-CsUserPolicyAssignment",
        (("Identity", user_id),),
        ("PolicyType", "PolicyName", "PolicySource"),
    )


def policies_of_groups() -> Call:
    return Call("Get-CsGroupPolicyAssignment", fields=("PolicyType", "PolicyName", "GroupId"))


def numbers(skip: int) -> Call:
    """Sorted by number, as Microsoft says."""
    return Call("Get-CsPhoneNumberAssignment", (("Top", NUMBERS_A_CALL), ("Skip", skip)), _OF_NUMBERS)


def number(telephone: str) -> Call:
    return Call("Get-CsPhoneNumberAssignment", (("TelephoneNumber", telephone),), _OF_NUMBERS)


def assign_number(user_id: str, telephone: str, kind: str, location_id: str = "") -> Call:
    """`kind` is DirectRouting, CallingPlan or OperatorConnect."""
    where = (("LocationId", location_id),) if location_id else ()
    return Call("Set-CsPhoneNumberAssignment", (*_of_number(user_id, telephone, kind), *where))


def unassign_number(user_id: str, telephone: str, kind: str) -> Call:
    return Call("Remove-CsPhoneNumberAssignment", _of_number(user_id, telephone, kind))


def grant(user_id: str, kind: str, name: str) -> Call:
    """The policy of a type for a user; without a name, none. Raises ValueError for a type that is none."""
    if kind not in POLICY_KINDS:
        raise ValueError(f"{kind!r} is no type of policy")
    return Call(f"Grant-Cs{kind}", (("Identity", user_id), ("PolicyName", name or None)))


def _of_number(user_id: str, telephone: str, kind: str) -> tuple[tuple[str, Value], ...]:
    return (("Identity", user_id), ("PhoneNumber", telephone), ("PhoneNumberType", kind))
