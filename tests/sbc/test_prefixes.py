"""Show Prefixes: read from the device, kept with their age, found by number."""

from collections.abc import Callable

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from audiocodes.dialplan import parse_device
from replication.models import State
from sbc import prefixes, selectors, services
from sbc.models import Link, Rule, Sbc
from simulator.sbc.device import Device
from simulator.server import Simulator
from tenants.access import SYSTEM
from tests.breakers.hands import run_due
from tests.cast import Cast
from tests.pages.helpers import SignIn, post, text_of
from tests.sbc.conftest import commands, fresh, wish

pytestmark = pytest.mark.django_db
Known = Callable[..., Sbc]
RULES = [
    ("Contoso", "+41589061[000-999]", "contoso.example"),
    ("Contoso", "+4158906150", "vip.example"),
    ("Fabrikam", "+44587996[01-20]", "fabrikam.example"),
    ("ext", "5755", "972528545755"),
]


@pytest.fixture
def read(device: Device, known: Known) -> Sbc:
    device.plant("CustDialPlan", RULES)
    device.plant("Manual", [("manual", "+44xx[0-4]", "carrier")])
    sbc = known(device)
    services.read_prefixes(SYSTEM, sbc)
    run_due()
    return fresh(sbc)


def found(search: str, sbc: Sbc | None = None) -> set[str]:
    """What is shown for it, without those that are marked as "not this number"."""
    number = prefixes.number_of(search)
    rows = prefixes.of(sbc, search)
    return {rule.prefix for rule in rows if number is None or prefixes.takes(rule, number) is not False}


def test_what_is_on_the_device_is_read_and_its_overlaps_are_told(read: Sbc) -> None:
    assert [(rule.plan, rule.index, rule.prefix) for rule in prefixes.of(read).order_by("id")] == [
        ("CustDialPlan", 0, "+41589061[000-999]"),
        ("CustDialPlan", 1, "+4158906150"),
        ("CustDialPlan", 2, "+44587996[01-20]"),
        ("CustDialPlan", 3, "5755"),
        ("Manual", 0, "+44xx[0-4]"),
    ]
    assert read.rules_told == {
        "rules": 5,
        "groups": 5,
        "plans": ["CustDialPlan", "Manual"],
        "overlapping": 1,
        "overlaps": [["CustDialPlan", "+41589061[000-999]", "+4158906150"]],
    }
    assert "5 rules; 1 pair of them overlap" in commands(selectors.READ)[-1].message


@pytest.mark.parametrize(
    ("search", "expected"),
    [
        ("+41589061500", {"+41589061[000-999]", "+4158906150"}),
        ("+41 58 906 15 00", {"+41589061[000-999]", "+4158906150"}),
        ("+4158906", {"+41589061[000-999]", "+4158906150"}),
        ("+41589062", set()),
        ("+44587996[20-30]", {"+44587996[01-20]"}),
        ("+4458399621", {"+44xx[0-4]"}),
        ("+4458799621", set()),
        ("5755", {"5755"}),
        ("+5755", set()),
        ("41589061500", {"+41589061[000-999]", "+4158906150"}),
        ("fabrikam", {"+44587996[01-20]"}),
        ("97252", set()),
        ("CONTOSO.example", {"+41589061[000-999]"}),
        ("%", set()),
    ],
)
def test_a_number_finds_the_rules_that_take_it(read: Sbc, search: str, expected: set[str]) -> None:
    assert found(search) == expected


def test_the_more_particular_rule_takes_the_number(read: Sbc) -> None:
    rules = {rule.id: rule.prefix for rule in Rule.objects.all()}
    assert [rules[each] for each in prefixes.winners("+41589061500", prefixes.of(None, "+41589061500"))] == [
        "+4158906150"
    ]
    assert prefixes.winners("+41589061[000-100]", prefixes.of()) == set()
    assert prefixes.winners("contoso", prefixes.of()) == set()


def test_reading_the_same_again_writes_no_rule(read: Sbc, device: Device) -> None:
    before = set(Rule.objects.values_list("id", flat=True))
    services.read_prefixes(SYSTEM, read)
    run_due()
    assert set(Rule.objects.values_list("id", flat=True)) == before
    assert fresh(read).rules_read_at > read.rules_read_at
    device.plant("OCDialPlan", [("x", "+97236549877", "tag")])
    services.read_prefixes(SYSTEM, read)
    run_due()
    assert len(set(Rule.objects.values_list("id", flat=True)) - before) == 1
    device.running.remove("dial-plan-rule", (0, 1))
    services.read_prefixes(SYSTEM, read)
    run_due()
    assert not Rule.objects.filter(prefix=RULES[1][1]).exists()
    assert len(set(Rule.objects.values_list("id", flat=True)) & before) == 4


@pytest.mark.parametrize(
    ("trouble", "code"), [("truncated_ini", "sbc_file_unreadable"), ("other_device", "sbc_other_device")]
)
def test_a_file_that_cannot_be_read_leaves_what_was_there(
    read: Sbc, device: Device, trouble: str, code: str
) -> None:
    device.set({"trouble": trouble})
    services.read_prefixes(SYSTEM, read)
    run_due()
    sbc = fresh(read)
    assert sbc.rules_problem["code"] == code
    assert (sbc.link, sbc.rules_read_at) == (Link.CONNECTED, read.rules_read_at)
    assert Rule.objects.count() == 5
    assert commands(selectors.READ)[-1].outcome == "partial"
    device.set({"trouble": ""})
    services.read_prefixes(SYSTEM, read)
    run_due()
    assert fresh(read).rules_problem is None


def test_a_monitor_account_cannot_read_and_is_not_asked_again(device: Device, known: Known) -> None:
    sbc = known(device)
    device.set({"level": "monitor"})
    services.read_prefixes(SYSTEM, sbc)
    run_due()
    assert (fresh(sbc).link, fresh(sbc).rules_problem["code"]) == (Link.REFUSED, "sbc_not_permitted")


def test_odd_rules_are_kept_as_they_are(device: Device, known: Known) -> None:
    sbc = known(device)
    rich = "[0-4]x[0-4]x[0-4]x[0-4]x[0-4]x[0-4]x[0-4]"
    odd = ["*", "[1-20]", "sales", r"\x1", 'a,b"c', "", "+1(23)", "1#", rich, "\\N"]
    reading = prefixes.Reading([(str(n), "P", str(n), "n", prefix, "t") for n, prefix in enumerate(odd)], [])
    prefixes.keep(sbc, reading)
    assert [rule.prefix for rule in prefixes.of(sbc).order_by("index")] == odd
    for number in ("1", "12", "123", "0000000000000"):
        takes = {
            prefix
            for prefix in odd
            if prefix not in {"[1-20]", 'a,b"c'} and parse_device(prefix).matches(number)
        }
        assert takes <= found(number), number


def test_a_device_full_of_rules(boxes: Simulator, known: Known) -> None:
    device = boxes.sbcs.add("full.example")
    device.plant("CustDialPlan", [(f"c{n}", f"+49{n:05d}[00-99]", f"c{n}.example") for n in range(5_000)])
    sbc = known(device)
    services.read_prefixes(SYSTEM, sbc)
    run_due()
    assert Rule.objects.count() == 5_000
    assert found("+490123450") == {"+4901234[00-99]"}
    services.remove(SYSTEM, fresh(sbc))
    assert not Rule.objects.exists()


# --- Pages ----------------------------------------------------------------------------------------------------
def test_prefixes_are_shown_refreshed_and_searched(
    cast: Cast, client_of: SignIn, device: Device, known: Known
) -> None:
    device.plant("CustDialPlan", [RULES[0], RULES[1]])
    sbc = known(device, fqdn="sbc1.example")
    olga, url = client_of(cast.olga), f"/sbcs/{sbc.uid}/prefixes/"
    page = text_of(olga, url)
    assert f"SBC: sbc1.example [127.0.0.1:{device.port}] - Prefixes" in page
    assert "Nothing read yet" in page
    assert "No rules read yet" in text_of(olga, "/prefixes/")
    post(olga, f"{url}refresh/", {})
    assert "Reading the rules" in text_of(olga, url)
    assert "HX-Refresh" not in olga.get(f"{url}live/").headers
    run_due()
    assert olga.get(f"{url}live/").headers["HX-Refresh"] == "true"
    page = text_of(olga, url)
    for column in ("DialPlan", "Index", "Name", "Prefix", "Tag", "Active"):
        assert f">{column}<" in page, column
    assert "1 pair of rules overlap" in page
    page = text_of(olga, "/prefixes/?q=%2B41+58+906+15+00&sort=-prefix")
    assert "sbc1.example" in page
    assert page.count("Takes it") == 1
    assert "No rule takes it" in text_of(olga, "/prefixes/?q=%2B1")
    assert "No rule matches" in text_of(olga, f"{url}?q=nothing&plan=CustDialPlan&size=25")
    mona = client_of(cast.mona)
    assert "Refresh From Sbc" not in text_of(mona, url)
    post(mona, f"{url}refresh/", {}, 403)
    assert "Show Prefixes" in text_of(mona, "/sbcs/")
    text_of(client_of(cast.adam), "/prefixes/", 404)


def test_a_problem_of_the_reading_is_explained(
    cast: Cast, client_of: SignIn, read: Sbc, device: Device
) -> None:
    device.set({"trouble": "truncated_ini"})
    services.read_prefixes(SYSTEM, read)
    run_due()
    page = text_of(client_of(cast.mona), f"/sbcs/{read.uid}/prefixes/")
    assert "cut off" in page
    assert "+4158906150" in page
    assert commands(selectors.READ)[-1].state == State.SUCCEEDED


def test_a_page_costs_the_same_for_one_rule_and_for_many(
    cast: Cast, client_of: SignIn, device: Device, known: Known
) -> None:
    mona = client_of(cast.mona)
    sbc = known(device)
    counts = []
    for prefix in (["+1"], ["+2", "+3"]):
        device.plant("P", [("n", one, "t") for one in prefix])
        services.read_prefixes(SYSTEM, sbc)
        run_due()
        text_of(mona, "/prefixes/")
        with CaptureQueriesContext(connection) as seen:
            text_of(mona, "/prefixes/?q=%2B")
            text_of(mona, f"/sbcs/{sbc.uid}/prefixes/")
        counts.append(len(seen))
    assert counts[0] == counts[1]


def test_an_account_that_was_changed_meanwhile_keeps_no_rules(read: Sbc, device: Device) -> None:
    reading = prefixes.read(device.running.ini())
    services.change(SYSTEM, read, **wish(device))
    assert not prefixes.keep(read, reading)
