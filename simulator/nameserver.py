"""A name server for one zone, over UDP and TCP: real queries, real updates (RFC 2136), signed with a key (TSIG).

It holds TXT records, as the verification of domains needs them. `trouble` makes it fail in the ways name servers
do; `lag` is how long a new record takes until it is answered.
"""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import hashlib
import socket
import socketserver
import struct
import threading
from collections.abc import Callable
from typing import Any

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.query
import dns.rcode
import dns.rdataclass
import dns.rdataset
import dns.rdatatype
import dns.rrset
import dns.tsig
import dns.update

from simulator.tenant import BadRequestError

ZONE = "sbc.provider.example"
KEY_NAME = "ump-portal"
ALGORITHM = "hmac-sha256"
TTL = 300
TROUBLES = ("", "refuse", "key", "servfail", "silent", "unsigned")
"""None; updates are refused; the key is another one; SERVFAIL; no answer at all; the answer is not signed."""
_SETTINGS = frozenset({"trouble", "lag", "slow_ms"})
_TSIG_ERRORS = {
    dns.message.UnknownTSIGKey: dns.rcode.BADKEY,
    dns.tsig.BadAlgorithm: dns.rcode.BADKEY,
    dns.tsig.BadSignature: dns.rcode.BADSIG,
    dns.tsig.BadTime: dns.rcode.BADTIME,
}


def zone_secret() -> str:
    """The key of the zone in base64: the same in every run, so that a restarted portal still knows it."""
    return base64.b64encode(hashlib.sha256(b"the simulator's zone").digest()).decode()


@dataclasses.dataclass(slots=True)
class Behaviour:
    """What can be changed while it runs; times in seconds and milliseconds."""

    trouble: str = ""
    lag: float = 0.0
    slow_ms: float = 0.0


class NameServer:
    """Serves `ZONE` on one port of both kinds. `clock` tells the time, `record` hears of every update."""

    def __init__(
        self,
        host: str,
        port: int,
        *,
        clock: Callable[[], float],
        record: Callable[..., None],
        pause: Callable[[float], None],
    ) -> None:
        self.origin = dns.name.from_text(ZONE)
        self.behaviour = Behaviour()
        self._clock, self._record, self._pause = clock, record, pause
        self._texts: dict[str, dict[str, float]] = {}  # name -> text -> from when it is answered
        self._lock = threading.Lock()
        self._servers = _bound(host, port, self)
        self.host: str = host
        self.port: int = self._servers[0].socket.getsockname()[1]
        for server in self._servers:
            threading.Thread(
                target=server.serve_forever, args=(0.1,), daemon=True, name="simulator dns"
            ).start()

    def close(self) -> None:
        for server in self._servers:
            server.shutdown()
            server.server_close()

    def reset(self) -> None:
        with self._lock:
            self._texts.clear()
            self.behaviour = Behaviour()

    def describe(self) -> dict[str, Any]:
        """Zone, key, settings and records, for the control API; the key is a pretend one."""
        with self._lock:
            records = {name: sorted(texts) for name, texts in sorted(self._texts.items())}
        return {
            "zone": ZONE,
            "host": self.host,
            "port": self.port,
            "key_name": KEY_NAME,
            "algorithm": ALGORITHM,
            "secret": zone_secret(),
            "settings": dataclasses.asdict(self.behaviour),
            "records": records,
        }

    def set(self, changes: dict[str, Any]) -> None:
        """Change settings. Raises BadRequestError."""
        if unknown := changes.keys() - _SETTINGS:
            raise BadRequestError(f"no setting is called {', '.join(sorted(unknown))}")
        if changes.get("trouble", "") not in TROUBLES:
            raise BadRequestError(f"trouble is one of {', '.join(TROUBLES[1:])}, or empty")
        self.behaviour = dataclasses.replace(self.behaviour, **changes)

    def put(self, name: str, text: str) -> None:
        """A TXT record by hand, as a person at the name server would write it."""
        with self._lock:
            self._texts.setdefault(name.lower().rstrip("."), {})[text] = self._clock() + self.behaviour.lag

    def remove(self, name: str) -> None:
        with self._lock:
            self._texts.pop(name.lower().rstrip("."), None)

    # --- One message ----------------------------------------------------------------------------------------
    def answer(self, wire: bytes) -> bytes | None:
        """The answer to one message, None for none."""
        if self.behaviour.slow_ms:
            self._pause(self.behaviour.slow_ms / 1000)
        if self.behaviour.trouble == "silent":
            return None
        secret = zone_secret() if self.behaviour.trouble != "key" else base64.b64encode(b"x" * 32).decode()
        key = dns.tsig.Key(KEY_NAME, secret, ALGORITHM)
        try:
            asked = dns.message.from_wire(wire, keyring={key.name: key})
        except tuple(_TSIG_ERRORS) as error:
            return _tsig_refused(wire, key, _TSIG_ERRORS[type(error)])
        except dns.exception.DNSException:
            return None
        if self.behaviour.trouble == "servfail":
            return _coded(asked, dns.rcode.SERVFAIL)
        if asked.opcode() == dns.opcode.UPDATE:
            return self._updated(asked)
        return self._queried(asked)

    def _queried(self, asked: dns.message.Message) -> bytes:
        if asked.opcode() != dns.opcode.QUERY or len(asked.question) != 1:
            return _coded(asked, dns.rcode.NOTIMP)
        name, kind = asked.question[0].name, asked.question[0].rdtype
        if not name.is_subdomain(self.origin):
            return _coded(asked, dns.rcode.REFUSED)
        reply = dns.message.make_response(asked)
        reply.flags |= dns.flags.AA
        with self._lock:
            texts = self._texts.get(name.to_text(omit_final_dot=True).lower(), {})
            seen = sorted(text for text, since in texts.items() if since <= self._clock())
        if kind == dns.rdatatype.TXT and seen:
            reply.answer.append(
                dns.rrset.from_text_list(name, TTL, "IN", "TXT", [f'"{one}"' for one in seen])
            )
        elif name == self.origin and kind == dns.rdatatype.SOA:
            reply.answer.append(dns.rrset.from_text(name, TTL, "IN", "SOA", self._soa))
        elif name == self.origin and kind == dns.rdatatype.NS:
            reply.answer.append(dns.rrset.from_text(name, TTL, "IN", "NS", f"ns.{ZONE}."))
        else:
            if not seen and name != self.origin:
                reply.set_rcode(dns.rcode.NXDOMAIN)
            reply.authority.append(dns.rrset.from_text(self.origin, TTL, "IN", "SOA", self._soa))
        return reply.to_wire()

    @property
    def _soa(self) -> str:
        return f"ns.{ZONE}. hostmaster.{ZONE}. {int(self._clock())} 3600 600 86400 60"

    def _updated(self, asked: dns.message.Message) -> bytes:
        """RFC 2136, as far as TXT records are concerned; an update without a key is refused."""
        code = self._may(asked)
        if code == dns.rcode.NOERROR:
            for rrset in asked.authority:
                self._apply(rrset)
        changes = [rrset.to_text() for rrset in asked.authority]
        self._record("dns_update", changes=changes, answered=dns.rcode.to_text(code))
        if code == dns.rcode.NOERROR and self.behaviour.trouble == "unsigned":
            reply = dns.message.make_response(asked)
            reply.tsig = None
            reply.want_tsig_sign = False
            return reply.to_wire()
        return _coded(asked, code)

    def _may(self, asked: dns.message.Message) -> dns.rcode.Rcode:
        if not asked.had_tsig or self.behaviour.trouble == "refuse":
            return dns.rcode.REFUSED
        if len(asked.question) != 1 or asked.question[0].name != self.origin:
            return dns.rcode.NOTAUTH
        if not all(rrset.name.is_subdomain(self.origin) for rrset in asked.authority):
            return dns.rcode.NOTZONE
        if any(rrset.rdtype != dns.rdatatype.TXT for rrset in asked.authority):
            return dns.rcode.REFUSED
        return dns.rcode.NOERROR

    def _apply(self, rrset: dns.rrset.RRset) -> None:
        name = rrset.name.to_text(omit_final_dot=True).lower()
        texts = [b"".join(record.strings).decode() for record in rrset]
        with self._lock:
            there = self._texts.setdefault(name, {})
            if rrset.deleting == dns.rdataclass.ANY:
                there.clear()
            elif rrset.deleting == dns.rdataclass.NONE:
                for text in texts:
                    there.pop(text, None)
            else:
                for text in texts:
                    there.setdefault(text, self._clock() + self.behaviour.lag)
            if not there:
                del self._texts[name]


def _coded(asked: dns.message.Message, code: dns.rcode.Rcode) -> bytes:
    reply = dns.message.make_response(asked)
    reply.set_rcode(code)
    return reply.to_wire()


def _tsig_refused(wire: bytes, key: dns.tsig.Key, error: dns.rcode.Rcode) -> bytes:
    """NOTAUTH with the reason inside (RFC 8945 5.2); what was asked could not be read past its signature."""
    reply = dns.update.UpdateMessage(id=struct.unpack("!H", wire[:2])[0])
    reply.flags |= dns.flags.QR
    reply.set_rcode(dns.rcode.NOTAUTH)
    reply.use_tsig(key, tsig_error=int(error))
    return reply.to_wire()


# --- Sockets ------------------------------------------------------------------------------------------------
def _bound(host: str, port: int, server: NameServer) -> tuple[_Tcp, _Udp]:
    """A TCP and a UDP server on the same port; `port` 0 takes one that is free for both. Raises OSError."""
    for _ in range(20 if port == 0 else 1):
        tcp = _Tcp((host, port), _over_tcp(server))
        with contextlib.suppress(OSError):
            return tcp, _Udp((host, tcp.socket.getsockname()[1]), _over_udp(server))
        tcp.server_close()
    raise OSError(f"no port of {host} is free for the name server")


class _Tcp(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True


class _Udp(socketserver.ThreadingUDPServer):
    daemon_threads = True


def _over_udp(server: NameServer) -> type[socketserver.BaseRequestHandler]:
    class Handler(socketserver.BaseRequestHandler):
        request: tuple[bytes, socket.socket]

        def handle(self) -> None:
            wire, connection = self.request
            reply = server.answer(wire)
            if reply is not None:
                with contextlib.suppress(OSError):
                    connection.sendto(reply, self.client_address)

    return Handler


def _over_tcp(server: NameServer) -> type[socketserver.BaseRequestHandler]:
    class Handler(socketserver.StreamRequestHandler):
        timeout = 10

        def handle(self) -> None:
            with contextlib.suppress(OSError, struct.error):
                (length,) = struct.unpack("!H", self.rfile.read(2))
                reply = server.answer(self.rfile.read(length))
                if reply is not None:
                    self.wfile.write(struct.pack("!H", len(reply)) + reply)

    return Handler


def texts_of(name: str, address: tuple[str, int]) -> list[str]:
    """What a real query says; Microsoft asks like this before it verifies a domain. Raises OSError, DNSException."""
    query = dns.message.make_query(name, dns.rdatatype.TXT)
    reply, _ = dns.query.udp_with_fallback(query, address[0], timeout=3.0, port=address[1])
    return [
        b"".join(record.strings).decode("ascii", "replace")
        for rrset in reply.answer
        if rrset.rdtype == dns.rdatatype.TXT
        for record in rrset
    ]
