"""Name servers, whatever they answer to a question or to a signed update."""

from __future__ import annotations

import base64
import ipaddress
import struct

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset
import dns.tsig
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.guard import Guard
from nameservers import records
from nameservers.zones import Key, Server, Zone
from tests.hostile.judge import judged
from tests.hostile.mutations import share
from tests.hostile.wire import name_server

ADDRESS = "198.51.100.53"
NAME = "contoso.zone.example."
SECRET = base64.b64encode(b"x" * 32).decode()
GUARD = Guard(networks=(str(ipaddress.ip_network(f"{ADDRESS}/32")),))
ZONE = Zone("zone.example", Server(ADDRESS), Key("key", "hmac-sha256", SECRET), GUARD)
TEXT = st.binary(max_size=60) | st.sampled_from(
    (b"MS=ms1", b"\0", b"\x1b[2J", b"<script>", b"\xff\xfe", b"x" * 255)
)


@st.composite
def answers(draw: st.DrawFn) -> tuple[str, int, list[bytes], str, bytes, int]:
    """How to answer, with which code, texts and name; noise, and where it goes."""
    how = (
        "good",
        "good",
        "good",
        "cut",
        "noise",
        "swapped",
        "question",
        "other id",
        "pointers",
        "nothing",
        "longer",
    )
    return (
        draw(st.sampled_from(how)),
        draw(st.sampled_from((0, 0, 0, 0, 1, 2, 3, 5, 9, 15, 16, 23, 4000))),
        draw(st.lists(TEXT, max_size=3)),
        draw(st.sampled_from((NAME, NAME, NAME, "evil.example.", "."))),
        draw(st.binary(min_size=1, max_size=30)),
        draw(st.integers(0, 10**6)),
    )


def made(asked: bytes, plan: tuple[str, int, list[bytes], str, bytes, int]) -> bytes:
    how, code, texts, name, noise, at = plan
    try:
        question = dns.message.from_wire(asked, keyring=False, ignore_trailing=True)  # type: ignore[arg-type]  # no key
        answer = dns.message.make_response(question)
        answer.set_rcode(dns.rcode.Rcode(code) if code < 4096 else 0)
        if texts and question.opcode() == 0:
            quoted = ['"' + "".join(f"\\{byte:03d}" for byte in text) + '"' for text in texts]
            answer.answer.append(dns.rrset.from_text(name, 300, "IN", "TXT", *quoted))
        wire = answer.to_wire()
    except Exception:  # noqa: BLE001  what cannot be built is answered with noise
        wire = noise
    at %= max(len(wire), 1)
    return {
        "cut": wire[:at], "noise": noise, "swapped": wire[:at] + noise + wire[at + len(noise) :], "question": asked,
        "other id": b"\0\0" + wire[2:], "pointers": wire[:12] + b"\xc0\x0c" * 20, "nothing": b"",
        "longer": wire + noise * 20,
    }.get(how, wire)  # fmt: skip


def framed(wire: bytes, plan: tuple[str, int, list[bytes], str, bytes, int]) -> bytes:
    """For TCP: with its length, which lies now and then."""
    return struct.pack("!H", (len(wire) + (plan[5] % 7 == 6) * 9) % 65_536) + wire


@share(2.5)
@given(answers())
def test_whatever_a_look_meets(plan: tuple[str, int, list[bytes], str, bytes, int]) -> None:
    with (
        pytest.MonkeyPatch.context() as patch,
        name_server(
            ADDRESS, lambda asked, tcp: framed(made(asked, plan), plan) if tcp else made(asked, plan)
        ) as far,
    ):
        patch.setattr(records, "DEADLINE", 0.05)
        found = judged(lambda: records.look(NAME, [Server(ADDRESS)], GUARD))
    assert found is None or (list(found.answers) == [ADDRESS] and far.asked >= 1)
    assert far.called <= {ADDRESS}
    assert far.asked <= 3


@share(2.5)
@given(answers())
def test_whatever_an_update_meets(plan: tuple[str, int, list[bytes], str, bytes, int]) -> None:
    with name_server(ADDRESS, lambda asked, _tcp: framed(made(asked, plan), plan)) as far:
        judged(lambda: records.add_text(ZONE, NAME, "MS=ms1") or "unsigned", SECRET)
    assert far.called <= {ADDRESS}
    assert far.asked <= 1
