"""Custom domains: the record is really looked up at the simulator's own name server, changed by real updates."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import dns.query
import dns.rcode
import dns.tsig
import dns.update
import pytest

from simulator.nameserver import ALGORITHM, KEY_NAME, ZONE, zone_secret
from simulator.server import Simulator
from tests.simulator.client import ROLES, Visitor

Visit = Callable[..., Visitor]
NAME = f"contoso.{ZONE}"
ABLE = [*ROLES, "Domain.ReadWrite.All"]


@pytest.fixture
def able(visit: Visit) -> Visitor:
    return visit(users=3, app={"roles": ABLE})


def send(visitor: Visitor, method: str, path: str, body: Any = None, *, expect: int) -> Any:
    answer = visitor.call(method, path, json=body)
    assert answer.status_code == expect, answer.text
    return answer.json() if answer.content else None


def proof(visitor: Visitor, name: str = NAME) -> str:
    rows = send(visitor, "GET", f"/domains/{name}/verificationDnsRecords", expect=200)["value"]
    (text,) = [row["text"] for row in rows if row["recordType"] == "Txt"]
    assert text.startswith("MS=ms")
    return str(text)


def test_added_proven_and_removed(able: Visitor, simulator: Simulator) -> None:
    made = send(able, "POST", "/domains", {"id": NAME}, expect=201)
    assert (made["id"], made["isVerified"]) == (NAME, False)
    refused = send(able, "POST", f"/domains/{NAME}/verify", expect=400)
    assert "verification failed" in refused["error"]["message"]
    simulator.dns.put(NAME, "MS=ms0")
    send(able, "POST", f"/domains/{NAME}/verify", expect=400)
    simulator.dns.put(NAME, proof(able))
    assert send(able, "POST", f"/domains/{NAME}/verify", expect=200)["isVerified"]
    names = [row["id"] for row in send(able, "GET", "/domains", expect=200)["value"]]
    assert NAME in names
    assert "already verified" in send(able, "POST", f"/domains/{NAME}/verify", expect=400)["error"]["message"]
    user = {
        "accountEnabled": False,
        "displayName": "A",
        "mailNickname": "a",
        "passwordProfile": {"password": "x"},
        "userPrincipalName": f"a@{NAME}",
    }
    user_id = send(able, "POST", "/users", user, expect=201)["id"]
    send(able, "DELETE", f"/domains/{NAME}", expect=400)
    (kept,) = send(able, "GET", f"/domains/{NAME}/domainNameReferences", expect=200)["value"]
    assert kept["id"] == user_id
    send(able, "DELETE", f"/users/{user_id}", expect=204)
    send(able, "DELETE", f"/domains/{NAME}", expect=204)
    send(able, "GET", f"/domains/{NAME}", expect=404)


def test_what_cannot_be_added_or_removed(able: Visitor, visit: Visit, simulator: Simulator) -> None:
    for body in ({"id": "x"}, {"id": f"{'a' * 45}.example"}, {"id": NAME, "isVerified": True}, {}):
        send(able, "POST", "/domains", body, expect=400)
    send(able, "POST", "/domains", {"id": NAME}, expect=201)
    send(able, "POST", "/domains", {"id": NAME}, expect=409)
    fabrikam = visit(name="Fabrikam", users=3, app={"roles": ABLE})
    send(fabrikam, "POST", "/domains", {"id": NAME}, expect=201)
    simulator.dns.put(NAME, proof(fabrikam))
    send(fabrikam, "POST", f"/domains/{NAME}/verify", expect=200)
    simulator.dns.put(NAME, proof(able))
    send(able, "POST", f"/domains/{NAME}/verify", expect=409)
    send(able, "POST", "/domains", {"id": fabrikam.tenant["domain"]}, expect=409)
    send(able, "DELETE", f"/domains/{able.tenant['domain']}", expect=400)


def test_below_an_own_domain_no_proof_is_needed(able: Visitor) -> None:
    made = send(able, "POST", "/domains", {"id": f"sbc.{able.tenant['domain']}"}, expect=201)
    assert made["isVerified"]


def test_without_the_permission(contoso: Visitor) -> None:
    send(contoso, "POST", "/domains", {"id": NAME}, expect=403)


def test_a_new_domain_takes_a_while_to_be_seen(able: Visitor) -> None:
    able.control("PATCH", f"/tenants/{able.tenant['tenant_id']}", {"create_delay": 60})
    send(able, "POST", "/domains", {"id": NAME}, expect=201)
    send(able, "GET", f"/domains/{NAME}", expect=404)
    able.control("POST", "/clock", {"advance": 61})
    send(able, "GET", f"/domains/{NAME}", expect=200)


def update(simulator: Simulator, signed: bool = True) -> dns.rcode.Rcode:
    key = dns.tsig.Key(KEY_NAME, zone_secret(), ALGORITHM) if signed else None
    message = dns.update.UpdateMessage(ZONE, keyring=key)
    message.add(f"{NAME}.", 60, "TXT", '"MS=ms1"')
    answer = dns.query.tcp(message, simulator.dns.host, timeout=30, port=simulator.dns.port)
    return answer.rcode()


def test_the_control_api_of_the_name_server(contoso: Visitor, simulator: Simulator) -> None:
    assert update(simulator, signed=False) == dns.rcode.REFUSED
    contoso.control("PATCH", "/dns", {"lag": 30})
    assert update(simulator) == dns.rcode.NOERROR
    told = contoso.control("GET", "/dns")
    assert (told["zone"], told["records"]) == (ZONE, {NAME: ["MS=ms1"]})
    history = contoso.control("GET", "/history")["history"]
    assert [entry["answered"] for entry in history if entry["kind"] == "dns_update"] == ["REFUSED", "NOERROR"]
    assert contoso.control("PUT", "/dns/records/a.example", {"text": "x"})["records"]["a.example"] == ["x"]
    assert "a.example" not in contoso.control("DELETE", "/dns/records/a.example")["records"]
