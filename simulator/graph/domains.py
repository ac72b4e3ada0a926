"""Custom domains: adding, proving by a TXT record that is really looked up, removing (facts/microsoft.md 8)."""

from __future__ import annotations

import re
from typing import Any

import dns.exception

from simulator.graph.call import Call
from simulator.graph.errors import GraphError, bad_request, conflict, not_found
from simulator.graph.lists import answer, list_rows
from simulator.graph.reads import entity
from simulator.graph.rights import require_role
from simulator.http1 import Response
from simulator.nameserver import texts_of
from simulator.objects import digest
from simulator.permissions import GLOBAL_ADMINISTRATOR
from simulator.tenant import Domain, Tenant

_ADMINISTRATORS = frozenset({GLOBAL_ADMINISTRATOR, "8329153b-31d0-4727-b945-745eb3bc5f31"})
_LONGEST = 48
_NAME = re.compile(r"(?=.{4,48}\Z)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,}\Z")


def _row(tenant: Tenant, name: str) -> dict[str, Any]:
    initial, added = tenant.domains[-1], tenant.added.get(name)
    own = ["Email", "OfficeCommunicationsOnline"]
    return {
        "id": name,
        "authenticationType": "Federated" if tenant.behaviour.federated and not added else "Managed",
        "availabilityStatus": None,
        "isAdminManaged": True,
        "isDefault": name == tenant.domains[0],
        "isInitial": name == initial,
        "isRoot": True,
        "isVerified": name in tenant.domains,
        "supportedServices": [] if added else own,
    }


def _known(call: Call) -> list[str]:
    """The verified ones, and those that were added long enough ago to be seen."""
    tenant = call.tenant
    waiting = [one.name for one in tenant.added.values() if one.seen_from <= call.now]
    return list(dict.fromkeys([*tenant.domains, *waiting]))


def _find(call: Call) -> str:
    name = call.args["id"].lower()
    if name not in _known(call):
        raise not_found(call.args["id"])
    return name


def domains(call: Call) -> Response:
    return list_rows(call, "domains", [_row(call.tenant, name) for name in _known(call)], "domain")


def domain(call: Call) -> Response:
    return entity(call, "domain", "domains", _row(call.tenant, _find(call)))


def create(call: Call) -> Response:
    """`POST /domains` -> 201; below a domain of this very tenant it is verified at once."""
    require_role(call, _ADMINISTRATORS)
    body, tenant = call.json(), call.tenant
    name = str(body.get("id", "")).lower()
    if set(body) - {"id"} or not _NAME.match(name):
        raise bad_request("Invalid value specified for property 'id' of resource 'Domain'.")
    if name in tenant.added or name in tenant.domains:
        raise conflict("id", status=409)
    if name in call.world.domains:
        raise GraphError(
            409,
            "Request_MultipleObjectsWithSameKeyValue",
            f"Domain {name} is already verified in another organization.",
        )
    text = f"MS=ms{int.from_bytes(digest(tenant.id, 'domain', name)[:4], 'big') % 100_000_000:08d}"
    tenant.added[name] = Domain(name, text, call.now + tenant.behaviour.create_delay)
    if any(name.endswith(f".{root}") for root in tenant.domains):
        _verified(call, name)
    shown = {"@odata.context": call.context("domains/$entity"), **_row(tenant, name)}
    return answer(shown, 201)


def verification_records(call: Call) -> Response:
    """`GET /domains/{id}/verificationDnsRecords`: the TXT record, and the MX record that does instead."""
    name = _find(call)
    added = call.tenant.added.get(name)
    if added is None:
        return answer({"@odata.context": call.context("verificationDnsRecords"), "value": []})
    common = {"isOptional": False, "label": name, "supportedService": "", "ttl": 3600}
    number = added.text.removeprefix("MS=")
    rows = [
        {
            "@odata.type": "#microsoft.graph.domainDnsTxtRecord",
            "id": f"{digest(name, 'txt').hex()[:32]}",
            **common,
            "recordType": "Txt",
            "text": added.text,
        },
        {
            "@odata.type": "#microsoft.graph.domainDnsMxRecord",
            "id": f"{digest(name, 'mx').hex()[:32]}",
            **common,
            "recordType": "Mx",
            "mailExchange": f"{number}.msv1.invalid",
            "preference": 32767,
        },
    ]
    return answer({"@odata.context": call.context("verificationDnsRecords"), "value": rows})


def verify(call: Call) -> Response:
    """`POST /domains/{id}/verify` -> 200 once a real query finds the record; 400 before, 409 when another has it."""
    require_role(call, _ADMINISTRATORS)
    name = _find(call)
    if name in call.tenant.domains:
        raise bad_request("Domain is already verified.")
    if name in call.world.domains:
        raise GraphError(
            409,
            "Request_MultipleObjectsWithSameKeyValue",
            f"Domain {name} is already verified in another organization.",
        )
    why = _record_missing(call, name)
    if why:
        raise bad_request(f"Domain verification failed with the following error: '{why}'.")
    _verified(call, name)
    return answer({"@odata.context": call.context("domains/$entity"), **_row(call.tenant, name)})


def _record_missing(call: Call, name: str) -> str:
    if call.world.dns_address is None:
        return "Your DNS server returned an internal error"
    try:
        texts = texts_of(name, call.world.dns_address)
    except (OSError, dns.exception.DNSException):
        return "Your DNS server did not answer"
    return "" if call.tenant.added[name].text in texts else "The DNS record was not found"


def _verified(call: Call, name: str) -> None:
    tenant = call.tenant
    tenant.domains.insert(len(tenant.domains) - 1, name)  # the initial one stays last
    call.world.domains[name] = tenant


def _users_of(tenant: Tenant, name: str) -> list[dict[str, Any]]:
    """Users with this domain; only one that was made or changed here can have one that was added."""
    shelf = tenant.directory.users
    made = {*shelf.changed(), *range(shelf.generated, shelf.size)}
    rows = [shelf.view(index) for index in sorted(made) if shelf.is_live(index)]
    return [row for row in rows if str(row.get("userPrincipalName", "")).lower().endswith(f"@{name}")]


def references(call: Call) -> Response:
    """`GET /domains/{id}/domainNameReferences`: who keeps it from being deleted."""
    rows = [
        {
            "@odata.type": "#microsoft.graph.user",
            **{key: row.get(key) for key in ("id", "displayName", "userPrincipalName")},
        }
        for row in _users_of(call.tenant, _find(call))
    ]
    return answer({"@odata.context": call.context("directoryObjects"), "value": rows})


def delete(call: Call) -> Response:
    """`DELETE /domains/{id}` -> 204; 400 for the tenant's first ones, and while anybody has it."""
    require_role(call, _ADMINISTRATORS)
    tenant, name = call.tenant, _find(call)
    if name not in tenant.added:
        raise bad_request("The default or initial domain cannot be deleted.")
    if _users_of(tenant, name):
        raise bad_request("Domain is referenced by other objects. Use the forceDelete action to delete it.")
    del tenant.added[name]
    if name in tenant.domains:
        tenant.domains.remove(name)
        call.world.domains.pop(name, None)
    return Response(204)
