"""Which permissions and roles the portal's features need, as data (facts/microsoft.md 5.5 and 7.1).

A permission is granted to an application ("application") or to it together with a signed-in person
("delegated"); each kind has an id of its own. What is least for a call was read from Microsoft's own tables
(facts/graph/permissions.json.gz, August 2026).
"""

from __future__ import annotations

import enum
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from m365.clouds import CLOUDS

GRAPH_APP_ID = "00000003-0000-0000-c000-000000000000"
TEAMS_ADMIN_APP_ID = "48ac35b8-9aa8-4d74-927d-1f4a14a0b239"
TEAMS_ADMIN_USER_IMPERSONATION = "e60370c1-e451-437e-aa6e-d76df38e5f15"


@dataclass(frozen=True, slots=True)
class Permission:
    """One permission of Microsoft Graph; an empty id means that it does not exist in that kind."""

    name: str
    application: str
    delegated: str
    purpose: str
    admin_consent: bool = True


_ALL = (
    Permission(
        "User.Read", "", "e1fe6dd8-ba31-4d61-89e7-88639da4683d", "sign in and read one's own profile", False
    ),
    Permission(
        "User.Read.All",
        "df021288-bdef-4463-88db-98f22de89214",
        "a154be20-db9c-4678-8ab7-66f6cc099a59",
        "read the full profiles of all users",
    ),
    Permission(
        "User.ReadWrite.All",
        "741f803b-c850-494e-b5df-cde7c675a1ca",
        "204e0828-b5ca-4ad8-b9f3-f32a958e7cc4",
        "read and change the profiles of all users",
    ),
    Permission(
        "GroupMember.Read.All",
        "98830695-27a2-44f7-8c18-0c3ebc9698f6",
        "bc024368-1153-4739-b217-4326f2e966d0",
        "read all groups and who is in them",
    ),
    Permission(
        "GroupMember.ReadWrite.All",
        "dbaae8cf-10b5-4b86-a4a1-f871c94c6695",
        "f81125ac-d3b7-4573-a3b2-7099cc39df9e",
        "read all groups and change who is in them",
    ),
    Permission(
        "Group.Read.All",
        "5b567255-7703-4780-807c-7be8301ae99b",
        "5f8c59db-677d-491f-a6b8-5f174b11ec1d",
        "read all groups with their content",
    ),
    Permission(
        "Group.ReadWrite.All",
        "62a82d76-70ea-41e2-9197-370581804d09",
        "4e46008b-f24c-477d-8fff-7bb4ec7aafe0",
        "read and change all groups",
    ),
    Permission(
        "Directory.Read.All",
        "7ab1d382-f21e-4acd-a863-ba3e13f7da61",
        "06da0dbc-49e2-44d2-8312-53f166ab848a",
        "read the whole directory",
    ),
    Permission(
        "Directory.ReadWrite.All",
        "19dbc75e-c2e2-444c-a770-ec69d8559fc7",
        "c5366453-9fb0-48a5-a156-24f0c49a4b84",
        "read and change the whole directory",
    ),
    Permission(
        "Directory.AccessAsUser.All",
        "",
        "0e263e50-5827-48a4-b97c-d940288653c7",
        "access the directory as the signed-in person",
    ),
    Permission(
        "Organization.Read.All",
        "498476ce-e0fe-48b0-b801-37ba7e2685c6",
        "4908d5b9-3fb2-4b1e-9336-1888b7937185",
        "read the organisation's name, domains and subscriptions",
    ),
    Permission(
        "Organization.ReadWrite.All",
        "292d869f-3427-49a8-9dab-8c70152b74e9",
        "46ca0847-7e6b-426e-9775-ea810a948356",
        "read and change the organisation's settings",
    ),
    Permission(
        "LicenseAssignment.Read.All",
        "e2f98668-2877-4f38-a2f4-8202e0717aa1",
        "f395577a-0960-456b-979f-7228de0c5996",
        "read the organisation's licences and who holds them",
        admin_consent=False,
    ),
    Permission(
        "Domain.ReadWrite.All",
        "7e05723c-0bb0-42da-be95-ae9f08a6e53c",
        "0b5d694c-a244-4bde-86e6-eb5cd07730fe",
        "add and verify domains",
    ),
    Permission(
        "RoleManagement.Read.All",
        "c7fbd983-d9aa-4fa7-84b8-17382c103bc4",
        "48fec646-b2ba-4019-8681-8eb31435aded",
        "read who holds which role",
    ),
    Permission(
        "Reports.Read.All",
        "230c1aed-a721-4c5d-9cb4-a90514e508ef",
        "02e97553-ed7b-43d0-ab3c-f8bace0d040c",
        "read usage reports",
    ),
    Permission("CallRecords.Read.All", "45bbb07e-7321-4fd7-a8f6-3ff27e6a81c8", "", "read call records"),
    Permission(
        "CallRecord-PstnCalls.Read.All",
        "a2611786-80b3-417e-adaa-707d4261a5f0",
        "",
        "read records of calls to and from the telephone network",
    ),
    Permission(
        "TeamMember.Read.All",
        "660b7406-55f1-41ca-a0ed-0b035e182f3e",
        "2497278c-d82d-46a2-b1ce-39d4cdde5570",
        "read the members of teams",
    ),
    Permission(
        "AppCatalog.ReadWrite.All",
        "dc149144-f292-421e-b185-5953f2e98d7f",
        "1ca167d5-1655-44a1-8adf-1414072e1ef9",
        "read and change the organisation's app catalogue",
    ),
    Permission(
        "TeamsUserConfiguration.Read.All",
        "a91eadaf-2c3c-4362-908b-fb172d208fc6",
        "5c469ce4-dab5-4afd-b9de-14f1ba4004a7",
        "read the Teams settings of users",
    ),
    Permission(
        "TeamsTelephoneNumber.Read.All",
        "39b17d18-680c-41f4-b9c2-5f30629e7cb6",
        "1bc6eab1-058d-4557-b011-d4c41cec88b7",
        "read the telephone numbers of Teams",
    ),
    Permission(
        "TeamsTelephoneNumber.ReadWrite.All",
        "0a42382f-155c-4eb1-9bdc-21548ccaa387",
        "424b07a8-1209-4d17-9fe4-9018a93a1024",
        "read and assign the telephone numbers of Teams",
    ),
    Permission(
        "TeamsPolicyUserAssign.ReadWrite.All",
        "1801e8f4-cf09-4c4e-a1b5-036dfcca6c90",
        "6997c35c-a586-440c-8a0b-4ffe5d118dc0",
        "give users Teams policies, and take them away",
    ),
    Permission(
        "LicenseAssignment.ReadWrite.All",
        "5facf0c1-8979-4e95-abcf-ff3d079771c0",
        "f55016cc-149c-447e-8f21-7cf3ec1d6350",
        "give users licences, and take them away",
        admin_consent=False,
    ),
    Permission(
        "Application.Read.All",
        "9a5d68dd-52b0-4cc2-bd40-abcf44ac3a30",
        "c79f8feb-a9db-4090-85f9-90d820caa0eb",
        "read app registrations and when their secrets end",
    ),
    Permission(
        "Application.ReadWrite.OwnedBy",
        "18a4783c-866b-4cc7-a460-3d5e5662c884",
        "",
        "renew its own client secret",
    ),
    Permission(
        "Application.ReadWrite.All",
        "1bfefb4e-e0b5-418b-a88f-73c46d2cc8e9",
        "bdfbf15f-ee85-4955-8675-146e8e5296b5",
        "create and change app registrations",
    ),
    Permission(
        "AppRoleAssignment.ReadWrite.All",
        "06b708a9-e830-4db3-a914-8e69da51d44f",
        "84bccea3-f856-4a8a-967b-dbe0a3d53a64",
        "grant application permissions",
    ),
    Permission(
        "DelegatedPermissionGrant.ReadWrite.All",
        "8e8e4742-1d95-4f68-9d56-6ee75648c72a",
        "41ce6ca6-6826-4807-84f1-1c82854f7ee5",
        "grant delegated permissions",
    ),
    Permission(
        "RoleManagement.ReadWrite.Directory",
        "9e3f62cf-ca93-4989-b6ce-bf83c28f9fe8",
        "d01b97e9-cbc0-49fe-810a-750afd5527a3",
        "assign directory roles",
    ),
    Permission(
        "Calendars.Read",
        "798ee544-9d2d-430c-a058-570e29e34338",
        "465a38f9-76ea-45b9-9f34-9e8b0d4b0b42",
        "read one's own calendar",
        False,
    ),
    Permission(
        "Calendars.Read.Shared",
        "",
        "2b9c4092-424d-4249-948d-b43879977640",
        "read calendars that were shared with one",
        False,
    ),
    Permission(
        "Calendars.ReadWrite",
        "ef54d2bf-783f-4e0f-bca1-3210c0444d99",
        "1ec239c2-d7c9-4623-a91a-a9775856bb36",
        "read and change one's own calendar",
        False,
    ),
    Permission(
        "Calendars.ReadWrite.Shared",
        "",
        "12466101-c9b8-439a-8589-dd09ee67e8e9",
        "read and change calendars that were shared with one",
        False,
    ),
    Permission(
        "Contacts.Read",
        "089fe4d0-434a-44c5-8827-41ba8a0b17f5",
        "ff74d97f-43af-4b68-9f2a-b77ee6968c5d",
        "read one's own contacts",
        False,
    ),
    Permission(
        "Contacts.Read.Shared",
        "",
        "242b9d9e-ed24-4d09-9a52-f43769beb9d4",
        "read contacts that were shared with one",
        False,
    ),
    Permission(
        "Contacts.ReadWrite",
        "6918b873-d17a-4dc1-b314-35f528134491",
        "d56682ec-c09e-4743-aaf4-1a3aac4caa21",
        "read and change one's own contacts",
        False,
    ),
    Permission(
        "Contacts.ReadWrite.Shared",
        "",
        "afb6c84b-06be-49af-80bb-8f3f77004eab",
        "read and change contacts that were shared with one",
        False,
    ),
    Permission(
        "OrgContact.Read.All",
        "e1a88a34-94c4-4418-be12-c87b00e26bea",
        "08432d1b-5911-483c-86df-7980af5cdee0",
        "read the organisation's external contacts",
    ),
    Permission(
        "People.Read",
        "",
        "ba47897c-39ec-4d83-8086-ee8256fa737d",
        "read the people that matter to one",
        False,
    ),
    Permission(
        "People.Read.All",
        "b528084d-ad10-4598-8b93-929746b4d7d6",
        "b89f9189-71a5-4e70-b041-9887f0bc7e4a",
        "read the people that matter to everybody",
    ),
    Permission(
        "EWS.AccessAsUser.All",
        "",
        "9769c687-087d-48ac-9cb3-c37dde652038",
        "use the mailbox through Exchange Web Services",
        False,
    ),
    Permission(
        "offline_access",
        "",
        "7427e0e9-2fba-42fe-b0c0-848c9e6a8182",
        "keep access while nobody is signed in",
        False,
    ),
    Permission("openid", "", "37f7f235-527c-4136-accd-4a02d197296e", "sign people in", False),
    Permission("profile", "", "14dad69e-099b-42c9-810b-d002981feec1", "read one's own name", False),
)

PERMISSIONS: Mapping[str, Permission] = MappingProxyType({p.name: p for p in _ALL})


@dataclass(frozen=True, slots=True)
class Need:
    """One thing to be allowed: any of these does; the first is the least, and the one to ask for."""

    any_of: tuple[str, ...]

    @property
    def least(self) -> str:
        return self.any_of[0]


@dataclass(frozen=True, slots=True)
class Feature:
    """What a part of the product does at Microsoft: its calls, their needs, and a harmless one as proof, if any."""

    key: str
    title: str
    needs: tuple[Need, ...]
    probe: str
    calls: tuple[str, ...]
    optional: bool = False
    """Whether everything else works without it: what it lacks is told, and makes no access fail."""
    clouds: frozenset[str] = frozenset(CLOUDS)
    """Microsoft's clouds that have its calls."""


# The "ReadBasic" ones, least by Microsoft's table, answer without most of the fields that are mirrored.
_USERS = Need(("User.Read.All", "User.ReadWrite.All", "Directory.Read.All", "Directory.ReadWrite.All"))
_GROUPS = Need(
    (
        "GroupMember.Read.All",
        "Group.Read.All",
        "Group.ReadWrite.All",
        "Directory.Read.All",
        "Directory.ReadWrite.All",
    )
)
_ORGANISATION = Need(
    ("Organization.Read.All", "Organization.ReadWrite.All", "Directory.Read.All", "Directory.ReadWrite.All")
)
_LICENCES = Need(("LicenseAssignment.Read.All", *_ORGANISATION.any_of))

_FEATURES = (
    Feature(
        "organisation",
        "Know the organisation and its domains",
        (_ORGANISATION,),
        "/organization?$select=id,displayName",
        ("/organization",),
    ),
    Feature("users", "Read users", (_USERS,), "/users?$select=id&$top=1", ("/users", "/users/delta")),
    Feature(
        "groups",
        "Read groups and their members",
        (_GROUPS,),
        "/groups?$select=id&$top=1",
        ("/groups", "/groups/delta", "/groups/{}/members"),
    ),
    Feature("licences", "Read licences", (_LICENCES,), "/subscribedSkus", ("/subscribedskus",)),
    Feature(
        "teams_users",
        "Read Teams users and their policies",
        (Need(("TeamsUserConfiguration.Read.All",)),),
        "/admin/teams/userConfigurations?$select=id&$top=1",
        ("/admin/teams/userconfigurations",),
        optional=True,
        clouds=frozenset({"global"}),
    ),
    Feature(
        "numbers",
        "Read phone numbers and who has them",
        (Need(("TeamsTelephoneNumber.Read.All", "TeamsTelephoneNumber.ReadWrite.All")),),
        "/admin/teams/telephoneNumberManagement/numberAssignments?$top=1",
        ("/admin/teams/telephonenumbermanagement/numberassignments",),
        optional=True,
        clouds=frozenset({"global"}),
    ),
)
_NUMBERS_AT, _POLICIES_AT = (
    f"/admin/teams/{place}"
    for place in ("telephonenumbermanagement/numberassignments", "policy/userassignments")
)
# Writing. No harmless call proves it, so there is no probe: a token's permissions tell, and the write itself.
_WRITES = (
    Feature(
        "numbers_write",
        "Give users numbers, and take them away",
        (Need(("TeamsTelephoneNumber.ReadWrite.All",)),),
        "",
        tuple(f"{_NUMBERS_AT}/{act}" for act in ("assignnumber", "unassignnumber")),
        optional=True,
        clouds=frozenset({"global"}),
    ),
    Feature(
        "policies_write",
        "Give users Teams policies, and take them away",
        (Need(("TeamsPolicyUserAssign.ReadWrite.All",)),),
        "",
        (f"{_POLICIES_AT}/assign", f"{_POLICIES_AT}/unassign"),
        optional=True,
        clouds=frozenset({"global"}),
    ),
    Feature(
        "users_write",
        "Change users' details",
        (Need(("User.ReadWrite.All", "Directory.ReadWrite.All")),),
        "",
        ("/users/{}",),
        optional=True,
    ),
    Feature(
        "members_write",
        "Change the members of groups",
        (Need(("GroupMember.ReadWrite.All", "Group.ReadWrite.All", "Directory.ReadWrite.All")),),
        "",
        ("/groups/{}/members/$ref", "/groups/{}/members/{}/$ref"),
        optional=True,
    ),
    Feature(
        "licences_write",
        "Give users licences, and take them away",
        (Need(("LicenseAssignment.ReadWrite.All", "User.ReadWrite.All", "Directory.ReadWrite.All")),),
        "",
        ("/users/{}/assignlicense",),
        optional=True,
    ),
)
# What setting up a domain with its activation user takes; asked for at that time only (decision 5).
DOMAIN_NEEDS = (
    Need(("Domain.ReadWrite.All",)),
    Need(("User.ReadWrite.All", "Directory.ReadWrite.All")),
    _ORGANISATION,
    _LICENCES,
)
FEATURES: Mapping[str, Feature] = MappingProxyType({each.key: each for each in (*_FEATURES, *_WRITES)})
DIRECTORY_READ = ("organisation", "users", "groups", "licences")
TELEPHONY_READ = ("teams_users", "numbers")
WRITES = tuple(feature.key for feature in _WRITES)
"""Extras: an access works without them, and a check neither asks for them nor misses them. What is least for one of
them is no excess."""

# What a customer's service level and service family make use of at Microsoft.
BY_PLAN: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"essentials": DIRECTORY_READ, "essentials_plus": DIRECTORY_READ, "pro": DIRECTORY_READ}
)
BY_SERVICE: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"direct_routing": TELEPHONY_READ, "operator_connect": TELEPHONY_READ}
)


@dataclass(frozen=True, slots=True)
class Profile:
    """What a kind of app registration asks for, and of which kind it is.

    `teams_admin` also asks for user_impersonation of the Skype and Teams Tenant Admin API.
    """

    key: str
    title: str
    application: tuple[str, ...] = ()
    delegated: tuple[str, ...] = ()
    teams_admin: bool = False
    multi_tenant: bool = False
    public_client: bool = False


# What PER-01 lacks for our own reading: Microsoft's tables name nothing of that list for /organization,
# /subscribedSkus and /admin/teams (facts/graph).
BEYOND_THE_LIST = (
    "Organization.Read.All",
    "LicenseAssignment.Read.All",
    "TeamsUserConfiguration.Read.All",
    "TeamsTelephoneNumber.Read.All",
)

_PROFILES = (
    Profile(
        "directory_read",
        "Read the directory and the telephony, nothing more",
        application=tuple(
            dict.fromkeys(
                need.least for key in (*DIRECTORY_READ, *TELEPHONY_READ) for need in FEATURES[key].needs
            )
        ),
    ),
    Profile(
        "changes",
        "Write what people change in the portal: numbers, policies, details, memberships",
        application=tuple(
            dict.fromkeys(
                need.least for key in WRITES if key != "licences_write" for need in FEATURES[key].needs
            )
        ),
    ),
    Profile(
        "sync_delegated",
        "The provider's own app, used on behalf of the customer's administrator",
        delegated=(
            "Group.ReadWrite.All",
            "Directory.AccessAsUser.All",
            "User.Read.All",
            "AppCatalog.ReadWrite.All",
            *BEYOND_THE_LIST,
            "offline_access",
            "profile",
            "openid",
        ),
        teams_admin=True,
        multi_tenant=True,
    ),
    Profile(
        "custom_app",
        "The customer's own app registration",
        application=(
            "TeamMember.Read.All",
            "User.ReadWrite.All",
            "Domain.ReadWrite.All",
            "CallRecords.Read.All",
            "RoleManagement.Read.All",
            "CallRecord-PstnCalls.Read.All",
            "GroupMember.ReadWrite.All",
            "Reports.Read.All",
        ),
    ),
    Profile(
        "pbx",
        "A PBX or other device that signs people in itself",
        delegated=(
            "Calendars.Read",
            "Calendars.Read.Shared",
            "Calendars.ReadWrite",
            "Calendars.ReadWrite.Shared",
            "Contacts.Read",
            "Contacts.Read.Shared",
            "Contacts.ReadWrite",
            "Contacts.ReadWrite.Shared",
            "OrgContact.Read.All",
            "People.Read",
            "People.Read.All",
            "EWS.AccessAsUser.All",
        ),
        public_client=True,
    ),
)
PROFILES: Mapping[str, Profile] = MappingProxyType({profile.key: profile for profile in _PROFILES})


@dataclass(frozen=True, slots=True)
class Role:
    """A directory role; its template id is the same in every tenant."""

    name: str
    template_id: str


_ROLES = (
    Role("Global Administrator", "62e90394-69f5-4237-9190-012177145e10"),
    Role("Global Reader", "f2ef992c-3afb-46b9-b7cf-a126ee74c451"),
    Role("Privileged Role Administrator", "e8611ab8-c189-46e8-94e1-60213ab1f814"),
    Role("Application Administrator", "9b895d92-2cd3-44c7-9d02-a6ac2d5ea5c3"),
    Role("Cloud Application Administrator", "158c047a-c907-4556-b7ef-446551a6b5f7"),
    Role("Application Developer", "cf1c38e5-3621-4004-a7cb-879624dced7c"),
    Role("Teams Administrator", "69091246-20e8-4a56-aa4d-066075b2a7a8"),
    Role("Teams Telephony Administrator", "aa38014f-0993-46e9-9b45-30501a20909d"),
    Role("Teams Communications Administrator", "baf37b3a-610e-45da-9e62-d9d1e5e8914b"),
    Role("Teams Communications Support Engineer", "f70938a0-fc10-4177-9e90-2178f8765737"),
    Role("Teams Communications Support Specialist", "fcf91098-03e3-41a9-b5ba-6f0ec8188a12"),
    Role("Teams Devices Administrator", "3d762c5a-1b6c-493f-843e-55a3b42923d4"),
    Role("Teams Reader", "1076ac91-f3d9-41a7-a339-dcdf5f480acc"),
    Role("Skype for Business Administrator", "75941009-915a-4869-abe7-691bff18279e"),
    Role("Domain Name Administrator", "8329153b-31d0-4727-b945-745eb3bc5f31"),
    Role("User Administrator", "fe930be7-5e62-47db-91af-98c3a49a38b1"),
    Role("License Administrator", "4d6ac14f-3453-41d0-bef9-a3e0c569773a"),
    Role("Groups Administrator", "fdd7a751-b60b-444a-984c-02652fe8fa1c"),
    Role("Directory Readers", "88d8e3e3-8f55-4a1e-953a-9b9898b8876b"),
    Role("Reports Reader", "4a5d8f65-41da-4de4-8968-e035b65339cf"),
)
ROLES: Mapping[str, Role] = MappingProxyType({role.name: role for role in _ROLES})
_ROLE_NAMES: Mapping[str, str] = MappingProxyType({role.template_id: role.name for role in _ROLES})
# Marks that every token of an app or of a member carries in `wids`; nobody gave them.
NO_ROLES = frozenset({"0997a1d0-0d1d-4acb-b408-d5ca73121e90", "b79fbf4d-3ef9-4689-8143-76b194e85509"})


class Stage(enum.StrEnum):
    """When a role is needed (ROL-01)."""

    ONBOARDING = "Onboarding"
    ALWAYS = "Onboarding and Day Two"


@dataclass(frozen=True, slots=True)
class RoleRow:
    """A row of the role table: its words, and whether a new site with a sub-domain of its own wants it again."""

    role: str
    purpose: str
    stage: Stage
    condition: str
    for_new_site: bool = False


# Any of these sets does for voice (decision 5); the first is the one to ask for.
VOICE_ROLES = (
    ("Teams Administrator",),
    ("Teams Telephony Administrator", "Skype for Business Administrator"),
    ("Global Administrator",),
)
_REMOVABLE = "May be removed after onboarding."
_DNS = (
    "Needed where the portal sets up the domain by itself (Automatic DNS). May be removed after onboarding; "
    "add it again, for a while, for a new site with a sub-domain of its own."
)
ROLE_TABLE = (
    RoleRow(
        "Teams Administrator",
        "Daily replication, voice routes and users, by Teams PowerShell",
        Stage.ALWAYS,
        "Mandatory, unless both roles of the next two rows are there instead.",
    ),
    RoleRow(
        "Teams Telephony Administrator",
        "The same as Teams Administrator, for telephony alone",
        Stage.ALWAYS,
        "Only together with Skype for Business Administrator, instead of Teams Administrator.",
    ),
    RoleRow(
        "Skype for Business Administrator",
        "Older commands of Teams PowerShell, which still ask for it",
        Stage.ALWAYS,
        "Only together with Teams Telephony Administrator, instead of Teams Administrator.",
    ),
    RoleRow(
        "Application Administrator",
        "Creating the app registration in the customer's tenant",
        Stage.ONBOARDING,
        f"Needed for automatic registration only. {_REMOVABLE}",
    ),
    RoleRow(
        "Domain Name Administrator",
        "Adding and verifying the customer's sub-domain",
        Stage.ONBOARDING,
        _DNS,
        for_new_site=True,
    ),
    RoleRow(
        "User Administrator",
        "The activation user of a new domain",
        Stage.ONBOARDING,
        _DNS,
        for_new_site=True,
    ),
)
FOR_NEW_SITE = tuple(row.role for row in ROLE_TABLE if row.for_new_site)


def needed(feature: str) -> tuple[str, ...]:
    """The permissions to ask for, least first. Raises KeyError for an unknown feature."""
    return tuple(need.least for need in FEATURES[feature].needs)


class Held(enum.StrEnum):
    """What a check found about a permission or role."""

    PRESENT = "present"
    MISSING = "missing"
    EXTRA = "extra"
    UNKNOWN = "unknown"


# With this one an app may do what the signed-in person may: whether that is enough, a call tells.
AS_PERSON = "Directory.AccessAsUser.All"
# No feature needs them, yet they are made use of: to renew the app's own secret, and to read when it ends.
OF_USE = frozenset({"Application.ReadWrite.OwnedBy", "Application.Read.All"})
# What signing in itself asks for.
SIGN_IN = frozenset({"openid", "profile", "email", "offline_access", "User.Read"})


def missing(granted: Collection[str], feature: str) -> tuple[str, ...]:
    """What has to be granted beyond `granted` (a token's roles or scopes); empty when the feature may work.

    Broader permissions count: who may write may read. Raises KeyError for an unknown feature.
    """
    return lacking(granted, FEATURES[feature].needs)


def lacking(granted: Collection[str], needs: Collection[Need]) -> tuple[str, ...]:
    """The same for any needs."""
    return tuple(need.least for need in needs if _serving(need, granted) is None)


def missing_for(granted: Collection[str], features: Collection[str] = DIRECTORY_READ) -> tuple[str, ...]:
    """What several features lack together, each permission once."""
    return tuple(dict.fromkeys(name for feature in features for name in missing(granted, feature)))


def _serving(need: Need, granted: Collection[str]) -> str | None:
    """The least of the granted permissions that meets the need."""
    return next((name for name in (*need.any_of, AS_PERSON) if name in granted), None)


def serving(granted: Collection[str], feature: str) -> tuple[str, ...]:
    """The permission behind each need of a feature: the least that was granted, or the one to ask for."""
    return tuple(_serving(need, granted) or need.least for need in FEATURES[feature].needs)


def features_of(plan: str, service: str) -> tuple[str, ...]:
    """What the portal does at Microsoft for a customer of this service level and family."""
    return tuple(dict.fromkeys([*BY_PLAN.get(plan, DIRECTORY_READ), *BY_SERVICE.get(service, ())]))


def judge_permissions(
    granted: Collection[str], features: Collection[str], asked_for: Collection[str] = ()
) -> dict[str, Held]:
    """Each permission that is needed or granted, by name; one that was `asked_for` is no excess."""
    found = dict.fromkeys(missing_for(granted, features), Held.MISSING)
    used = {name for feature in features for name in serving(granted, feature)}
    used |= OF_USE | set(asked_for) | {name for feature in WRITES for name in needed(feature)}
    for name in sorted(set(granted) - SIGN_IN):
        found[name] = Held.PRESENT if name in used else Held.EXTRA
    return found


def role_name(template_id: str) -> str:
    """A directory role's name; its id for one that is not in our list."""
    return _ROLE_NAMES.get(template_id.lower(), template_id.lower())


def judge_roles(held: Collection[str], *, deployed: bool, own_domains: bool = True) -> dict[str, Held]:
    """Each role that is needed or held, by name (decision 5). A deployed customer is past onboarding.

    `own_domains`: whether the service uses domains in the customer's tenant at all.
    """
    enough = next((names for names in VOICE_ROLES if set(names) <= set(held)), None)
    lacking = () if enough else _lacking(held)
    found = dict.fromkeys(lacking, Held.MISSING)
    wanted = set(enough or VOICE_ROLES[1])
    if not deployed:
        wanted |= {
            row.role for row in ROLE_TABLE
            if row.stage == Stage.ONBOARDING and (own_domains or not row.for_new_site)
        }  # fmt: skip
    for name in sorted(held):
        found[name] = Held.PRESENT if name in wanted else Held.EXTRA
    return found


def roles_for_domains(held: Collection[str]) -> tuple[str, ...]:
    """The directory roles that a person lacks to set up a domain and its activation user (ROL-05, ROL-06)."""
    if "Global Administrator" in held:
        return ()
    return tuple(role for role in FOR_NEW_SITE if role not in held)


def _lacking(held: Collection[str]) -> tuple[str, ...]:
    """What to ask for: the other half of the pair where one half is there, else the one role for all."""
    rest = tuple(name for name in VOICE_ROLES[1] if name not in held)
    return rest if len(rest) < len(VOICE_ROLES[1]) else VOICE_ROLES[0]
