"""SBCs and OVOC, whatever they answer: REST, ini files, dial plans, lists of devices."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audiocodes import dialplan, objects, rules
from audiocodes.inifile import IniError
from audiocodes.line import Line, Target
from audiocodes.ovoc import Ovoc
from audiocodes.sbc import Sbc
from core.errors import UmpError
from core.guard import Guard
from tests.hostile.judge import judged, keepable
from tests.hostile.mutations import TEXTS, answers, share
from tests.hostile.wire import FarEnd, far_end, reply

ADDRESS = "198.51.100.7"
PASSWORD = "a-devices-password"
TARGET = Target("sbc1", ADDRESS, 80, https=False, user="Admin", password=PASSWORD)
GUARD = Guard(networks=("198.51.100.0/24",))
STATUS = {"productType": "Mediant SW", "versionID": "7.40A", "serialNumber": 123, "operationalState": "UNLOCKED",
          "highAvailability": "Operational"}  # fmt: skip
ALARMS = {"alarms": [{"id": "1", "description": "x", "url": "/api/v1/alarms/active/1"}, {"id": "2"}],
          "cursor": {"before": -1, "after": 5}}  # fmt: skip
ALARM = {
    "id": "1",
    "severity": "Major",
    "source": "Board#1",
    "date": "2026-01-01T00:00:00Z",
    "description": "x",
}
DEVICES = {
    "devices": [
        {
            "id": 7,
            "name": "sbc",
            "ipAddress": "198.51.100.9",
            "fqdn": "sbc.example",
            "https": True,
            "natIpAddresses": ["198.51.100.8"],
            "serialNumber": 5,
            "adminState": "Unlocked",
            "connectionStatus": "Up",
        }
    ]
}
INI = """[ DialPlan ]
FORMAT Index = Name;
DialPlan 0 = "CustDialPlan";
[ \\DialPlan ]
[ DialPlanRule ]
FORMAT Index = DialPlanName, RuleIndex, Name, Prefix, Tag;
DialPlanRule 0 = "CustDialPlan", 0, "Contoso", "+41589061[000-999]", "sbc.contoso.com";
DialPlanRule 1 = 0, 1, "Contoso", "+4158906#", "sbc.contoso.com";
[ \\DialPlanRule ]
[ IPGroup ]
FORMAT Index = Name, ProxySetName, Tags;
IPGroup 3 = "IPG_Contoso", "PS", "x";
[ \\IPGroup ]
[ Account ]
FORMAT Index = Account_Username, Account_Password, ServedIPGroupName;
Account 0 = "u", "$1$secret", "IPG_Contoso";
[ \\Account ]
"""


def read_file(text: str) -> Any:
    """The rows of the file; none where it says itself what is wrong with it."""
    try:
        return rules.read(text).rows
    except IniError:
        return []


READERS: dict[str, tuple[list[Any], Callable[[Line], Any]]] = {
    "status": ([STATUS], lambda line: Sbc(line).status()),
    "own status": ([STATUS], lambda line: Sbc(line).status("123")),
    "alarms": ([ALARMS, ALARM], lambda line: Sbc(line).alarms()),
    "ini": ([{"x": INI}], lambda line: read_file(Sbc(line).ini())),
    "script": (
        [{"status": "ok", "output": "x"}, {"description": "no"}],
        lambda line: Sbc(line).apply("configure"),
    ),
    "save": ([{}], lambda line: Sbc(line).save()),
    "devices": ([DEVICES], lambda line: Ovoc(line).devices()),
    "some devices": ([DEVICES], lambda line: Ovoc(line).devices(field_name="serialNumber", value="5")),
    "one device": ([DEVICES["devices"][0]], lambda line: Ovoc(line).device(7)),
}


@pytest.fixture(scope="module")
def far() -> Iterator[FarEnd]:
    with far_end() as far:
        yield far
        assert far.called <= {ADDRESS}
        assert far.hosts <= {ADDRESS}


@pytest.mark.parametrize("what", sorted(READERS))
@share(12 / len(READERS))
@given(data=st.data())
def test_whatever_a_device_answers(far: FarEnd, what: str, data: st.DataObject) -> None:
    good, read = READERS[what]
    waiting = data.draw(st.lists(answers(good), min_size=1, max_size=3))
    far.requests = 0
    far.answer = lambda _request: [waiting.pop(0) if len(waiting) > 1 else waiting[0]]
    with Line(TARGET, GUARD, before_write=lambda: None) as line:
        judged(lambda: read(line), PASSWORD)
    assert far.requests <= 150


# --- Files --------------------------------------------------------------------------------------------------
PIECES = st.sampled_from(
    (*TEXTS, "\n", '"', ";", ",", "[", "]", "=", "\\", "[ DialPlan ]", "[ \\DialPlan ]", "FORMAT", "٣",
     "FORMAT Index = A;",
     "DialPlanRule 9 = ", "IPGroup ", "Account 0", "[ \\IPGroup ]", "\r\n", "\u2028", "²", "9" * 5000, ", , ,")
)  # fmt: skip


@st.composite
def files(draw: st.DrawFn) -> str:
    """An ini file with up to four places cut out, doubled or written over."""
    text = INI
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(text)))
        end = min(len(text), at + draw(st.sampled_from((0, 0, 1, 1, 3, 40))))
        put = draw(PIECES) if draw(st.integers(0, 3)) else text[at:end] * 2
        text = text[:at] + put + text[end:]
    return text


@share(7)
@given(files())
def test_whatever_an_ini_file_says(text: str) -> None:
    for read in (objects.read, rules.read):
        try:
            found = read(text)
        except IniError as error:
            last = text.count("\n") + 1
            if error.line > last:
                raise
            continue
        _small(found)
        if isinstance(found, rules.Found):
            overlapping([row[4] for row in found.rows])


def _small(found: Any) -> None:
    parts = (
        [found.plans, found.rows] if isinstance(found, rules.Found) else [list(found), list(found.values())]
    )
    try:
        keepable(parts)
    except UnicodeEncodeError:
        return  # the text had them already; what was read from bytes has none


def overlapping(prefixes: list[str]) -> None:
    for one, two in islice(rules.overlaps(prefixes), 100):
        assert one < two < len(prefixes)


PREFIXES = st.text("0123456789+[]-,#*xzn.()\\ a٣\U0001d7d8", max_size=50) | st.sampled_from(
    ("[0-9]" * 12, "x" * 50, "[000000-999999]" * 3, "[" * 50, "1" * 50, "+[1,2,3,4,5,6,7,8,9]" * 2, "(" * 20, "n(x)#",
     "[" + "1" * 5000 + "]", "[1-2]" * 400, "[" + ",".join("0123456789" * 500) + "]" * 1, "x" * 5000)
)  # fmt: skip


@share(6)
@given(st.lists(PREFIXES, min_size=1, max_size=4))
def test_whatever_a_dial_plan_rule_says(texts: list[str]) -> None:
    for text in texts:
        try:
            pattern = dialplan.parse_device(text)
        except dialplan.GrammarError:
            continue
        found = dialplan.coverage(pattern)
        assert len(found.intervals) <= dialplan.MOST_INTERVALS * 10
        assert all(0 <= low < high <= 10**dialplan.LINE for low, high in found.intervals)
        pattern.matches("+41589061000")
        assert len(pattern.weight) <= 20_000
    overlapping(texts)


# --- What was found, and stays ------------------------------------------------------------------------------
LONG = "9" * 5000
"""More digits than Python turns into a number."""


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [("IPGroup 3 =", f"IPGroup {LONG} =", "no row"), ("DialPlanRule 1 = 0", f"DialPlanRule 1 = {LONG}", ""),
     ("DialPlanRule 1 = 0, 1", f"DialPlanRule 1 = 0, {LONG}", ""), ('"+4158906#"', f'"+[{LONG}]"', "")],
    ids=["index", "plan", "place", "prefix"],
)  # fmt: skip
def test_numbers_too_long_to_be_any(old: str, new: str, told: str) -> None:
    text = INI.replace(old, new)
    if told:
        with pytest.raises(IniError, match=told):
            objects.read(text)
        return
    assert ("IPGroup", (3,)) in objects.read(text)
    overlapping([row[4] for row in rules.read(text).rows])


@pytest.mark.parametrize("number", [2**63, 2**64 - 1, -1, True, 1.5, "7"])
def test_a_device_number_that_cannot_be_kept(far: FarEnd, number: object) -> None:
    far.answer = lambda _request: [reply(json.dumps({"devices": [{"id": number}]}).encode())]
    with Line(TARGET, GUARD) as line, pytest.raises(UmpError) as raised:
        Ovoc(line).devices()
    assert raised.value.code == "bad_reply"
