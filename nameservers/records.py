"""TXT records: written by an update (RFC 2136) signed with a key (TSIG, RFC 8945), looked up by real queries.

Everything here is bounded: one message has `DEADLINE` seconds, a look at a name asks at most `MOST_SERVERS`.
Each address is one that the guard allows, and the one connected to.
"""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator, Sequence

import dns.exception
import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.rdataclass
import dns.rdataset
import dns.rdatatype
import dns.rdtypes.ANY.TXT
import dns.resolver
import dns.tsig
import dns.update

from core.errors import UmpError
from core.guard import Guard
from nameservers.zones import MOST_SERVERS, Look, Server, Zone

DEADLINE = 5.0
TTL = 300
"""Seconds that others may remember a record of ours; a mistake is forgotten as fast."""


# --- Writing ------------------------------------------------------------------------------------------------
def add_text(zone: Zone, name: str, text: str, *, sent_by: float | None = None) -> None:
    """Put a TXT record beside others of that name; one that is there already stays one.

    What has not left by the moment `sent_by` (monotonic seconds) leaves no more. Raises UmpError: dns_refused,
    dns_key_refused, dns_silent, dns_bad_reply, name_not_resolved, address_forbidden, interrupted.
    """
    update = _update(zone)
    update.add(dns.name.from_text(name), dns.rdataset.from_rdata(TTL, _txt(text)))
    _send(zone, update, sent_by)


def remove_text(zone: Zone, name: str, text: str, *, sent_by: float | None = None) -> None:
    """Take this very record away, and no other; one that is gone is as good. The rest is as in `add_text`."""
    update = _update(zone)
    update.delete(dns.name.from_text(name), _txt(text))
    _send(zone, update, sent_by)


def _txt(text: str) -> dns.rdtypes.ANY.TXT.TXT:
    return dns.rdtypes.ANY.TXT.TXT(dns.rdataclass.IN, dns.rdatatype.TXT, [text.encode()])


def _update(zone: Zone) -> dns.update.UpdateMessage:
    key = dns.tsig.Key(zone.key.name, zone.key.secret, zone.key.algorithm)
    return dns.update.UpdateMessage(zone.name, keyring=key)


def _send(zone: Zone, update: dns.update.UpdateMessage, sent_by: float | None) -> None:
    server, port = str(zone.server), zone.server.port
    address = zone.guard.resolve(zone.server.host, port)
    with _in_words(server, zone.key.name):
        ends = time.monotonic() + DEADLINE
        with socket.create_connection((address, port), timeout=DEADLINE) as line:
            line.setblocking(False)
            asked = time.monotonic()
            if sent_by is not None and asked > sent_by:
                raise UmpError.of("interrupted", detail={"cause": "not sent in time"})
            answer = dns.query.tcp(update, address, timeout=max(0.0, ends - asked), sock=line)
    code = answer.rcode()
    if code == dns.rcode.SERVFAIL:
        raise UmpError.of("dns_silent", host=server, detail={"cause": "SERVFAIL"})
    if code != dns.rcode.NOERROR:
        why = _WHY.get(code, f"it answered {dns.rcode.to_text(code)}")
        raise UmpError.of(
            "dns_refused", host=server, zone=zone.name, why=why, detail={"cause": dns.rcode.to_text(code)}
        )
    if not answer.had_tsig:  # anybody on the way could have said yes
        raise UmpError.of("dns_bad_reply", host=server, why="it is not signed with the key")


_WHY = {
    dns.rcode.REFUSED: "this key, or this address, may not change it",
    dns.rcode.NOTAUTH: "it is not the primary server of this zone",
    dns.rcode.NOTZONE: "the name does not lie in this zone",
    dns.rcode.NOTIMP: "it takes no updates at all",
    dns.rcode.FORMERR: "it did not understand the update",
}


@contextlib.contextmanager
def _in_words(server: str, key: str = "") -> Iterator[None]:
    """Raises UmpError for everything that a message to a name server may meet."""
    try:
        yield
    except (dns.tsig.PeerBadTime, dns.tsig.BadTime) as error:
        raise UmpError.of(
            "dns_key_refused", host=server, key=key, why="the clocks differ too much"
        ) from error
    except (dns.tsig.PeerError, dns.tsig.BadSignature, dns.tsig.BadKey, dns.tsig.BadAlgorithm) as error:
        why = "its name, its algorithm or its secret is another there"
        detail = {"cause": type(error).__name__}
        raise UmpError.of("dns_key_refused", host=server, key=key, why=why, detail=detail) from error
    except (dns.exception.Timeout, OSError, EOFError) as error:
        raise UmpError.of("dns_silent", host=server, detail={"cause": type(error).__name__}) from error
    except (dns.exception.DNSException, ValueError) as error:
        detail = {"cause": type(error).__name__}
        raise UmpError.of("dns_bad_reply", host=server, why="it is no DNS answer", detail=detail) from error


# --- Looking up ---------------------------------------------------------------------------------------------
def look(name: str, servers: Sequence[Server], guard: Guard) -> Look:
    """Ask these servers for the TXT records of a name, or those that serve its zone when none are given.

    Raises UmpError: dns_zone_unknown when nobody seems to serve the name, dns_silent when nobody answers.
    """
    asked = list(servers or serving(name))[:MOST_SERVERS]
    answers: dict[str, tuple[str, ...]] = {}
    silent: list[str] = []
    for server in asked:
        try:
            answers[str(server)] = texts_at(server, name, guard)
        except UmpError:
            silent.append(str(server))
    if not answers:
        raise UmpError.of("dns_silent", host=", ".join(silent))
    return Look(answers, tuple(silent))


def texts_at(server: Server, name: str, guard: Guard) -> tuple[str, ...]:
    """The TXT records of a name by one server, none when there is no such name.

    Raises UmpError: dns_silent, dns_bad_reply, dns_refused, name_not_resolved, address_forbidden.
    """
    address = guard.resolve(server.host, server.port)
    wanted = dns.name.from_text(name)
    query = dns.message.make_query(wanted, dns.rdatatype.TXT)
    with _in_words(str(server)):
        answer, _ = dns.query.udp_with_fallback(query, address, timeout=DEADLINE, port=server.port)
    code = answer.rcode()
    if code == dns.rcode.SERVFAIL:
        raise UmpError.of("dns_silent", host=str(server), detail={"cause": "SERVFAIL"})
    if code not in {dns.rcode.NOERROR, dns.rcode.NXDOMAIN}:
        raise UmpError.of(
            "dns_refused", host=str(server), zone=name, why=f"it answered {dns.rcode.to_text(code)}"
        )
    return tuple(
        b"".join(record.strings).decode("ascii", "replace").replace("\0", "\ufffd")
        for rrset in answer.answer
        if rrset.rdtype == dns.rdatatype.TXT and rrset.name == wanted
        for record in rrset
    )


def serving(name: str) -> list[Server]:
    """Who serves the zone that a name lies in, by this machine's own resolver. Raises UmpError (dns_zone_unknown)."""
    try:
        resolver = dns.resolver.Resolver()
        resolver.lifetime = DEADLINE
        zone = dns.resolver.zone_for_name(name, resolver=resolver, lifetime=2 * DEADLINE)
        found = resolver.resolve(zone, dns.rdatatype.NS)
    except (dns.exception.DNSException, OSError) as error:
        raise UmpError.of("dns_zone_unknown", zone=name, detail={"cause": type(error).__name__}) from error
    return sorted((Server(str(row.target).rstrip(".").lower()) for row in found), key=str)
