"""What a `pwsh` prints: chatter, frames and half frames, and rows that describe no voice routing."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from m365 import voice
from m365.clouds import CLOUDS
from m365.identity import Token
from m365.powershell import cmdlets
from m365.powershell.process import DiedError, Process
from m365.teams_powershell import Config, Session, Tokens
from tests.hostile.judge import judged
from tests.hostile.mutations import bodies, documents, share
from tests.m365.test_teams_by_powershell import ANNA, NUMBER, USER, Said, line

MARK = "0123456789abcdef" * 2
TENANT = "11111111-2222-3333-4444-555555555555"
SECRETS = ("graph-token-of-the-customer", "teams-token-of-the-customer")
TOKENS = Tokens(*(Token(value, datetime.now(UTC), tid=TENANT) for value in SECRETS))
ROWS: dict[str, list[dict[str, Any]]] = {
    "gateways": [{"Identity": "sbc.example.com", "SipSignalingPort": 5061, "Enabled": True,
                  "MaxConcurrentSessions": 9}],
    "usages": [{"Identity": "Global", "Usage": ["A", "B"]}],
    "routes": [{"Identity": "R", "NumberPattern": ".*", "OnlinePstnGatewayList": "sbc.example.com",
                "OnlinePstnUsages": ["A"]}],
    "policies": [{"Identity": "Tag:P", "OnlinePstnUsages": ["A"]}],
    "dial_plans": [{"Identity": "Tag:D", "NormalizationRules": [
        {"Name": "n", "Pattern": "^(\\d)$", "Translation": "$1", "IsInternalExtension": False}]}],
}  # fmt: skip
FAULT = {
    "id": "NotFound,Microsoft.Teams",
    "type": "x",
    "message": "was not found",
    "status": 404,
    "retry_after": "5",
}
FRAMES = [
    {"number": 1, "row": ROWS["gateways"][0]}, {"number": 1, "row": ROWS["usages"][0]}, {"number": 1, "end": 1},
    {"number": 1, "end": 1}, {"number": 1, "fault": FAULT}, {"number": 2, "row": {}}, {"ready": {"module": "6.9.0"}},
]  # fmt: skip


class Printed(Process):
    """The real reader of what was printed, on blocks of bytes instead of pipes."""

    def __init__(self, blocks: list[bytes]) -> None:
        self.mark, self._blocks = MARK, list(blocks)
        self._line, self._dropping, self._errors, self._alive = bytearray(), False, bytearray(b"said"), False

    def send(self, _request: object, _until: float) -> None:
        """It listens to nobody."""

    def receive(self, _until: float, _stop: Callable[[], bool] | None = None) -> dict[str, Any]:
        while (frame := self._next_frame()) is None:
            if not self._blocks:
                raise DiedError("it ended", self.tail)
            self._take(self._blocks.pop(0))
        return frame

    def close(self, *, gently: bool = True) -> None:
        """There is no process."""


@st.composite
def printed(draw: st.DrawFn) -> list[bytes]:
    """Frames among chatter, now and then broken, in blocks as a pipe would give them."""
    parts = []
    for _ in range(draw(st.integers(1, 4))):
        text = draw(bodies(FRAMES))
        length = draw(
            st.sampled_from((len(text), len(text), len(text), len(text), len(text) + 1, -1, 2**70, "x"))
        )
        head = draw(st.sampled_from((MARK, MARK, MARK, MARK, "f" * 32, f" {MARK}", "")))
        tail = draw(st.sampled_from((b"\n", b"\n", b"\r\n", b"", b"\0\n")))
        parts.append(b"\n" + head.encode() + b" " + str(length).encode() + b" " + text + tail)
        parts.append(
            draw(st.sampled_from((b"", b"", b"WARNING: old\r\n", b"\xff\xfe", b"no end", b"x" * 70_000)))
        )
    whole = b"".join(parts)
    size = draw(st.sampled_from((1 << 16, 1 << 16, 7, 100)))
    return [whole[at : at + size] for at in range(0, min(len(whole), 200_000), size)]


@share(3)
@given(printed(), st.booleans())
def test_whatever_it_prints(blocks: list[bytes], writes: bool) -> None:
    session = Session(Config("pwsh"), TOKENS, TENANT, CLOUDS["global"], customer="Acme")
    session._process = Printed(blocks)
    call = cmdlets.READS["gateways"] if not writes else cmdlets.create(voice.Usage("A"))
    judged(lambda: session.run(call), *SECRETS)


@share(1)
@given(printed())
def test_whatever_it_begins_with(blocks: list[bytes]) -> None:
    session = Session(Config("pwsh"), TOKENS, TENANT, CLOUDS["global"], customer="Acme")
    judged(lambda: session._hello(Printed(blocks)), *SECRETS)


@share(3)
@given(documents([ROWS]))
def test_whatever_rows_describe(rows: Any) -> None:
    """After JSON: infinite and endless numbers come through it."""
    try:
        read = json.loads(json.dumps(rows))
    except ValueError:
        return
    if isinstance(read, dict) and all(isinstance(value, list) for value in read.values()):
        judged(lambda: voice.observed(read))


@share(2)
@given(documents([{"users": [USER], "numbers": [NUMBER], "groups": [{"PolicyType": "TeamsMeetingPolicy",
                   "PolicyName": "AllOn", "GroupId": TENANT}]}]))  # fmt: skip
def test_whatever_rows_of_telephony_describe(rows: Any) -> None:
    try:
        read = json.loads(json.dumps(rows))
    except ValueError:
        return
    if not isinstance(read, dict):
        return
    told = {
        key: [row for row in value if isinstance(row, dict)]
        for key, value in read.items()
        if isinstance(value, list)
    }
    users, numbers, groups = (told.get(name, []) for name in ("users", "numbers", "groups"))
    said = Said(
        Get_CsOnlineUser=users,
        Get_CsPhoneNumberAssignment=numbers,
        Get_CsGroupPolicyAssignment=groups,
        Get_CsUserPolicyAssignment=groups,
    )
    far = line(said)
    for look in (far.users, far.policies, far.numbers):
        judged(lambda look=look: [page.rows for page in look()])
    judged(lambda: [far.primary_numbers([ANNA]), far.own_policies([ANNA])])


def test_a_port_without_end() -> None:
    rows = {**ROWS, "gateways": [{**ROWS["gateways"][0], "SipSignalingPort": json.loads("1e999")}]}
    assert judged(lambda: voice.observed(rows)) is None


@pytest.mark.parametrize("said", ['{"number": 1, "row": {"Identity": "\\u0000\\ud800"}}'])
def test_texts_that_nobody_can_keep(said: str) -> None:
    frames = [f"\n{MARK} {len(text)} {text}\n".encode() for text in (said, '{"number": 1, "end": 1}')]
    session = Session(Config("pwsh"), TOKENS, TENANT, CLOUDS["global"])
    session._process = Printed(frames)
    judged(lambda: session.run(cmdlets.READS["gateways"]))
