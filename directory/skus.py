"""Product names of licences, for people: Microsoft's part numbers mean little to them.

Microsoft has no call that gives the names, only a published list; these are the ones that voice customers
have. A product that is not here is shown by its part number, so the table need not be complete.
"""

from collections.abc import Mapping
from types import MappingProxyType

NAMES: Mapping[str, str] = MappingProxyType(
    {
        "AAD_PREMIUM": "Microsoft Entra ID P1",
        "AAD_PREMIUM_P2": "Microsoft Entra ID P2",
        "BUSINESS_VOICE_MED2": "Microsoft 365 Business Voice",
        "DESKLESSPACK": "Office 365 F3",
        "DEVELOPERPACK_E5": "Microsoft 365 E5 Developer",
        "EMS": "Enterprise Mobility + Security E3",
        "EMSPREMIUM": "Enterprise Mobility + Security E5",
        "ENTERPRISEPACK": "Office 365 E3",
        "ENTERPRISEPREMIUM": "Office 365 E5",
        "ENTERPRISEPREMIUM_NOPSTNCONF": "Office 365 E5 without Audio Conferencing",
        "EXCHANGEENTERPRISE": "Exchange Online (Plan 2)",
        "EXCHANGESTANDARD": "Exchange Online (Plan 1)",
        "FLOW_FREE": "Power Automate Free",
        "M365_F1": "Microsoft 365 F1",
        "MCOCAP": "Teams Shared Devices",
        "MCOEV": "Teams Phone Standard",
        "MCOEV_VIRTUALUSER": "Teams Phone Resource Account",
        "MCOMEETADV": "Audio Conferencing",
        "MCOPSTN1": "Domestic Calling Plan",
        "MCOPSTN2": "Domestic and International Calling Plan",
        "MCOPSTNC": "Communications Credits",
        "MCOSTANDARD": "Skype for Business Online (Plan 2)",
        "MEETING_ROOM": "Teams Rooms Standard",
        "MICROSOFT_TEAMS_ROOMS_BASIC": "Teams Rooms Basic",
        "MICROSOFT_TEAMS_ROOMS_PRO": "Teams Rooms Pro",
        "MICROSOFT_TEAMS_PREMIUM": "Teams Premium",
        "MICROSOFT_TEAMS_ENTERPRISE_NEW": "Microsoft Teams Enterprise",
        "O365_BUSINESS_ESSENTIALS": "Microsoft 365 Business Basic",
        "O365_BUSINESS_PREMIUM": "Microsoft 365 Business Standard",
        "PHONESYSTEM_VIRTUALUSER": "Teams Phone Resource Account",
        "POWER_BI_PRO": "Power BI Pro",
        "POWER_BI_STANDARD": "Power BI (free)",
        "PROJECTPROFESSIONAL": "Project Plan 3",
        "SPB": "Microsoft 365 Business Premium",
        "SPE_E3": "Microsoft 365 E3",
        "SPE_E5": "Microsoft 365 E5",
        "SPE_F1": "Microsoft 365 F3",
        "STANDARDPACK": "Office 365 E1",
        "TEAMS_EXPLORATORY": "Teams Exploratory",
        "VISIOCLIENT": "Visio Plan 2",
        "WINDOWS_STORE": "Windows Store for Business",
    }
)


def name_of(part_number: str) -> str:
    """The product's name, or its part number when it has none here."""
    return NAMES.get(part_number, part_number)
