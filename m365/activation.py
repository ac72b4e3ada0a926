"""The activation user: Teams knows a domain while a user with a Teams Phone licence has it (facts/microsoft.md 8).

Least permissions (application / delegated): User.ReadWrite.All for the user and its licence, which a person needs the
role User Administrator for; LicenseAssignment.Read.All to see which licences are free; Organization.Read.All for the
country, without which Microsoft gives no licence. Every write may be repeated.
"""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from core.errors import NotFound, UmpError
from m365 import permissions
from m365.graph import GraphClient, segment
from m365.identity import Token

ALIAS = "ump-activation-user"
TEAMS_PLANS = frozenset(
    {
        "57ff2da0-773e-42df-b2af-ffb7a2317929",  # TEAMS1
        "304767db-7d23-49e8-a945-4a7eb65f9f28",  # TEAMS_GOV
        "9953b155-8aef-4c56-92f3-72b0487fce41",  # TEAMS_AR_GCCHIGH
        "fd500458-c24c-478e-856c-a6067a8376cd",  # TEAMS_AR_DOD
    }
)
PHONE_PLANS = frozenset(
    {
        "4828c8ec-dc2e-4779-b502-87ac9ce28ab7",  # MCOEV
        "db23fce2-a974-42ef-9002-d78dd42a0f22",  # MCOEV_GOV
    }
)
RESOURCE_PLANS = frozenset(
    {
        "f47330e9-c134-43b3-9993-e7f004506889",  # MCOEV_VIRTUALUSER
        "0628a73f-3b4a-4989-bd7b-0f8823144313",  # MCOEV_VIRTUALUSER_GOV
    }
)
_FIELDS = "id,userPrincipalName,usageLocation,assignedLicenses,assignedPlans"
_MOST_PAGES = 5


@dataclass(frozen=True, slots=True)
class User:
    """A user as far as domains are concerned; `phone` says that a plan with Teams Phone is in force."""

    id: str
    name: str
    skus: frozenset[str]
    phone: bool


@dataclass(frozen=True, slots=True)
class Licence:
    """A product that the organisation bought; `rank` 0 is the one that Microsoft's documentation asks for."""

    sku_id: str
    name: str
    free: int
    rank: int


def principal_name(domain: str) -> str:
    return f"{ALIAS}@{domain}"


# --- Licences -----------------------------------------------------------------------------------------------
def phone_licences(graph: GraphClient) -> list[Licence]:
    """Products with Teams Phone, best first: Teams and Phone System together, Phone System, a resource account's.

    The last of these costs nothing; that it serves for a domain is partners' experience, not Microsoft's word.
    """
    rows = [row for page in graph.pages("/subscribedSkus") for row in page.value]
    found = [licence for row in rows if (licence := _licence(row)) is not None]
    return sorted(found, key=lambda one: (one.rank, -one.free, one.name))


def free_licence(graph: GraphClient, tenant: str) -> Licence:
    """The best product of which one is free. Raises UmpError: phone_licence_missing, saying what there is."""
    there = phone_licences(graph)
    free = next((one for one in there if one.free > 0), None)
    if free is not None:
        return free
    names = ", ".join(one.name for one in there)
    why = f"all are taken ({names})" if names else "the organisation has none at all"
    raise UmpError.of("phone_licence_missing", tenant=tenant, why=why)


def _licence(row: Mapping[str, Any]) -> Licence | None:
    plans = {str(plan.get("servicePlanId", "")).lower() for plan in _rows(row.get("servicePlans"))}
    if plans & PHONE_PLANS:
        rank = 0 if plans & TEAMS_PLANS else 1
    elif plans & RESOURCE_PLANS:
        rank = 2
    else:
        return None
    units = row.get("prepaidUnits")
    units = units if isinstance(units, Mapping) else {}
    usable = row.get("capabilityStatus") in {"Enabled", "Warning"}
    bought = sum(_whole(units.get(name)) for name in ("enabled", "warning")) if usable else 0
    name, sku_id = str(row.get("skuPartNumber") or ""), str(row.get("skuId") or "").lower()
    return Licence(sku_id, name, bought - _whole(row.get("consumedUnits")), rank) if sku_id else None


def assign(graph: GraphClient, user: User, licence: Licence, tenant: str) -> None:
    """Give it; one that is there stays. Raises UmpError: phone_licence_missing when the last one just went."""
    if licence.sku_id in user.skus:
        return
    body = {"addLicenses": [{"skuId": licence.sku_id, "disabledPlans": []}], "removeLicenses": []}
    try:
        graph.post(f"/users/{segment(user.id)}/assignLicense", body)
    except UmpError as error:
        if error.code == "graph_refused":
            free_licence(graph, tenant)
        raise


# --- The user -----------------------------------------------------------------------------------------------
def country(graph: GraphClient, tenant: str) -> str:
    """Two letters. Raises UmpError: country_missing."""
    rows = _rows(graph.get("/organization?$select=id,countryLetterCode,defaultUsageLocation").get("value"))
    row: Mapping[str, Any] = rows[0] if rows else {}
    found = str(row.get("defaultUsageLocation") or row.get("countryLetterCode") or "").upper()
    if len(found) != 2 or not found.isalpha():
        raise UmpError.of("country_missing", tenant=tenant)
    return found


def find(graph: GraphClient, key: str) -> User | None:
    """By id or principal name; None when there is none, or not everywhere yet."""
    try:
        return _user(graph.get(f"/users/{segment(key)}?$select={_FIELDS}"), graph)
    except NotFound:
        return None


def create(graph: GraphClient, domain: str, usage_location: str) -> str:
    """Make it, with sign-in blocked and a password that nobody ever sees; its id."""
    row = graph.post(
        "/users",
        {
            "accountEnabled": False,
            "displayName": "UMP activation user",
            "mailNickname": ALIAS,
            "userPrincipalName": principal_name(domain),
            "usageLocation": usage_location,
            "passwordProfile": {
                "password": f"{secrets.token_urlsafe(40)}aA1!",
                "forceChangePasswordNextSignIn": True,
            },
        },
    )
    made = (row or {}).get("id")
    if not isinstance(made, str) or not made:
        raise UmpError.of("bad_reply", host=graph.cloud.graph_host, why="it has no id of the new user")
    return made


def remove(graph: GraphClient, user_id: str) -> None:
    """Delete it, and so free its licence; Microsoft lets it be restored for 30 days."""
    graph.delete(f"/users/{segment(user_id)}")


def another_with_phone(graph: GraphClient, domain: str, but: Collection[str]) -> bool:
    """Whether some other user with this domain has Teams Phone; looks at the first few hundred."""
    params = {
        "$filter": f"endsWith(userPrincipalName,'@{domain}')",
        "$count": "true",
        "$select": "id,userPrincipalName,assignedLicenses,assignedPlans",
    }
    pages = graph.pages("/users", params, headers={"ConsistencyLevel": "eventual"})
    return any(
        user.phone and user.id not in but
        for page in itertools.islice(pages, _MOST_PAGES)
        for user in (_user(row, graph) for row in page.value)
    )


def roles_of(graph: GraphClient, token: Token) -> frozenset[str]:
    """Names of the directory roles of the person behind a delegated token (decision 23)."""
    ids = token.wids - permissions.NO_ROLES
    if not ids:
        path = "/me/transitiveMemberOf/microsoft.graph.directoryRole?$select=roleTemplateId"
        ids = frozenset(str(row.get("roleTemplateId", "")) for row in _rows(graph.get(path).get("value")))
    return frozenset(map(permissions.role_name, ids))


def _user(row: Mapping[str, Any], graph: GraphClient) -> User:
    key = row.get("id")
    if not isinstance(key, str) or not key:
        raise UmpError.of("bad_reply", host=graph.cloud.graph_host, why="it describes no user")
    skus = frozenset(str(one.get("skuId", "")).lower() for one in _rows(row.get("assignedLicenses")))
    plans = frozenset(
        str(one.get("servicePlanId", "")).lower()
        for one in _rows(row.get("assignedPlans"))
        if one.get("capabilityStatus") == "Enabled"
    )
    phone = not plans.isdisjoint(PHONE_PLANS | RESOURCE_PLANS)
    return User(key, str(row.get("userPrincipalName") or ""), skus, phone)


def _rows(value: object) -> list[Mapping[str, Any]]:
    return [row for row in value if isinstance(row, Mapping)] if isinstance(value, list) else []


def _whole(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 0
