"""Licences a pretend tenant owns, with the real identifiers (facts/microsoft.md 5.5)."""

from __future__ import annotations

import dataclasses
from typing import Any

TEAMS1 = "57ff2da0-773e-42df-b2af-ffb7a2317929"
MCOSTANDARD = "0feaeb32-d00e-4d66-bd5a-43b5b83db82c"
MCOEV = "4828c8ec-dc2e-4779-b502-87ac9ce28ab7"
MCOMEETADV = "3e26ee1f-8a5f-4d52-aee2-b81ce45c8f40"
MCOEV_VIRTUALUSER = "f47330e9-c134-43b3-9993-e7f004506889"

# What a plan is called in the clouds of the US government.
_GCC_HIGH = {
    TEAMS1: ("TEAMS_AR_GCCHIGH", "9953b155-8aef-4c56-92f3-72b0487fce41"),
    MCOEV: ("MCOEV_GOV", "db23fce2-a974-42ef-9002-d78dd42a0f22"),
    MCOEV_VIRTUALUSER: ("MCOEV_VIRTUALUSER_GOV", "0628a73f-3b4a-4989-bd7b-0f8823144313"),
}
_DOD = {**_GCC_HIGH, TEAMS1: ("TEAMS_AR_DOD", "fd500458-c24c-478e-856c-a6067a8376cd")}
_PER_CLOUD: dict[str, dict[str, tuple[str, str]]] = {"gcc_high": _GCC_HIGH, "dod": _DOD}


@dataclasses.dataclass(frozen=True, slots=True)
class Plan:
    """One service plan: its short name, id and the service that provides it."""

    name: str
    id: str
    service: str

    def in_cloud(self, cloud: str) -> Plan:
        name, plan_id = _PER_CLOUD.get(cloud, {}).get(self.id, (self.name, self.id))
        return Plan(name, plan_id, self.service)


@dataclasses.dataclass(frozen=True, slots=True)
class Sku:
    """One licence product and the plans inside."""

    part: str
    id: str
    plans: tuple[Plan, ...]


_TEAMS = Plan("TEAMS1", TEAMS1, "TeamspaceAPI")
_SKYPE = Plan("MCOSTANDARD", MCOSTANDARD, "MicrosoftCommunicationsOnline")
_PHONE = Plan("MCOEV", MCOEV, "MicrosoftCommunicationsOnline")
_AUDIO = Plan("MCOMEETADV", MCOMEETADV, "MicrosoftCommunicationsOnline")
_RESOURCE = Plan("MCOEV_VIRTUALUSER", MCOEV_VIRTUALUSER, "MicrosoftCommunicationsOnline")

SPE_E3 = Sku("SPE_E3", "05e9a617-0261-4cee-bb44-138d3ef5d965", (_TEAMS, _SKYPE))
SPE_E5 = Sku("SPE_E5", "06ebc4ee-1bb5-47dd-8120-11324bc54e06", (_TEAMS, _SKYPE, _PHONE, _AUDIO))
PHONE_STANDARD = Sku("MCOEV", "e43b5b99-8dfb-405f-9987-dc307f34bcbd", (_PHONE,))
PHONE_RESOURCE = Sku("PHONESYSTEM_VIRTUALUSER", "440eaaa8-b3e0-484b-a8be-62870b9ba70a", (_RESOURCE,))

SKUS: dict[str, Sku] = {sku.id: sku for sku in (SPE_E3, SPE_E5, PHONE_STANDARD, PHONE_RESOURCE)}


def licences(*held: Sku) -> list[dict[str, Any]]:
    """`assignedLicenses` of a user who holds these products."""
    return [{"skuId": sku.id, "disabledPlans": []} for sku in held]


def plans(sku_ids: list[str], cloud: str, since: str) -> list[dict[str, Any]]:
    """`assignedPlans` that follow from the products held; each plan once."""
    found = {plan.id: plan.in_cloud(cloud) for key in sku_ids if key in SKUS for plan in SKUS[key].plans}
    return [
        {
            "assignedDateTime": since,
            "capabilityStatus": "Enabled",
            "service": plan.service,
            "servicePlanId": plan.id,
        }
        for plan in found.values()
    ]
