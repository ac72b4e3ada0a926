"""Rows that a script makes: what it means, what came of it, and the way back."""

from collections.abc import Sequence

import pytest

from audiocodes import objects
from audiocodes.objects import HIDDEN, NotMeantError
from audiocodes.script import MASK
from simulator.sbc.cli import ScriptError, Session
from simulator.sbc.tables import Configuration

SCRIPT = f"""configure voip
! a remark
proxy-set 1
  proxy-name "PS_Contoso"
  activate
  proxy-ip 0
    proxy-address "carrier.example:5060"
    activate
  exit
exit
ip-group 4
  name "IPG_Contoso"
  proxy-set-name "PS_Contoso"
  activate
  tags "contoso.example"
  activate
exit
sip-definition account 2
  user-name "contoso"
  password "{MASK}"
  served-ip-group-name "IPG_Contoso"
  activate
exit
sbc dial-plan 0
  dial-plan-rule 7
    name "Contoso"
    prefix "+4158906150"
    tag "contoso.example"
    activate
  exit
exit""".split("\n")
MADE = [
    'ProxySet 1 "PS_Contoso"',
    'ProxyIp 1/0 "carrier.example:5060"',
    'IPGroup 4 "IPG_Contoso"',
    'Account 2 "IPG_Contoso"',
    'DialPlanRule 0/7 "+4158906150"',
]


@pytest.fixture
def device() -> Configuration:
    found = Configuration()
    found.put("sbc dial-plan", (0,), {"Name": "CustDialPlan"})
    found.put(
        "dial-plan-rule", (0, 0), {"Name": "Fabrikam", "Prefix": "+44[20-29]", "Tag": "fabrikam.example"}
    )
    found.put("proxy-set", (0,), {"ProxyName": "PS_Teams"})
    found.put("ip-group", (0,), {"Name": "IPG_Teams", "ProxySetName": "PS_Teams"})
    return found


def run(device: Configuration, lines: Sequence[str]) -> None:
    Session(device).run("\n".join(lines))


def read(device: Configuration) -> objects.Rows:
    return objects.read(device.ini())


def test_a_script_makes_what_it_means_and_is_undone(device: Configuration) -> None:
    before = read(device)
    meant = objects.meant(SCRIPT, before)
    assert [objects.name_of(key, row) for key, row in meant.makes.items()] == MADE
    assert meant.makes["IPGroup", (4,)]["Tags"] == "contoso.example"
    run(device, SCRIPT)
    after = read(device)
    made = {key: after[key] for key in meant.makes}
    assert set(after) - set(before) == set(made)
    assert all(objects.fits(made[key], wanted) for key, wanted in meant.makes.items())
    assert made["Account", (2,)]["Password"] == HIDDEN
    assert objects.from_json(objects.to_json(made)) == made
    assert objects.leaning(made, after) == []
    run(device, objects.undo(made))
    assert read(device) == before


def test_each_part_of_a_script_is_undone(device: Configuration) -> None:
    before = read(device)
    meant = objects.meant(SCRIPT, before)
    for most in range(len(SCRIPT)):
        part = device.copy()
        run(part, SCRIPT[:most])
        now = read(part)
        there = {key: now[key] for key, wanted in meant.makes.items() if key in now}
        assert all(objects.resembles(key, row, meant.makes[key]) for key, row in there.items())
        run(part, objects.undo(there))
        assert read(part) == before


@pytest.mark.parametrize(
    ("lines", "line", "why"),
    [
        (["configure voip", "ip-group 0", "name Other", "activate"], 4, 'would change IPGroup 0 "IPG_Teams"'),
        (["configure voip", "ip-group 5", "name IPG_Teams", "activate"], 4, "has this name already"),
        (["configure voip", "no ip-group 0"], 2, "takes something away"),
        (["configure voip", "ip-group 5", "name X", "exit"], 3, "never activated"),
        (["configure voip", "ip-group 5", "name X"], 3, "never activated"),
        (["configure voip", "sbc nonsense 5"], 2, "does not know"),
        (["ip-group 5"], 1, "belongs behind: configure voip"),
        (["configure voip", "dial-plan-rule 5"], 2, "belongs into a row of sbc dial-plan"),
        (["configure voip", 'ip-group "5'], 2, "quote"),
        (["activate"], 1, "no row"),
    ],
)
def test_what_could_not_be_taken_back_is_not_sent(
    device: Configuration, lines: list[str], line: int, why: str
) -> None:
    with pytest.raises(NotMeantError, match=why) as caught:
        objects.meant(lines, read(device))
    assert caught.value.line == line


def test_a_row_that_is_there_as_it_is_wanted_is_only_used(device: Configuration) -> None:
    lines = ["configure voip", "ip-group 0", "name IPG_Teams", "activate"]
    meant = objects.meant(lines, read(device))
    assert (meant.makes, meant.uses) == ({}, (("IPGroup", (0,)),))


@pytest.mark.parametrize(
    ("lines", "line", "why"),
    [
        (["ip-group 0", "outbound-mesg-manipulation-set 4", "activate"], 4, "outbound-mesg-manipulation-set"),
        (["ip-group 0", "activate", "made-up 1", "activate"], 5, "made-up"),
        (["ip-group 0", f"tags {MASK}", "activate"], 4, "tags"),
        (["sip-definition account 0", f'password "{MASK}"', "activate"], 4, "password"),
        (["message message-manipulations 1", "action-value b", "activate"], 4, "action-value"),
    ],
)
def test_a_row_that_is_there_gets_nothing_of_which_nobody_can_tell_what_it_was(
    device: Configuration, lines: list[str], line: int, why: str
) -> None:
    device.put("ip-group", (0,), {"Name": "IPG_Teams", "ProxySetName": "PS_Teams", "Tags": "x"})
    device.put("sip-definition account", (0,), {"Username": "teams", "Password": "secret"})
    device.put("message message-manipulations", (1,), {"ManSetID": "4", "ActionValue": "a"})
    with pytest.raises(NotMeantError, match=f"{why} of .*, which is there already") as caught:
        objects.meant(["configure voip", *lines], read(device))
    assert caught.value.line == line


def test_a_column_that_the_device_does_not_tell_is_not_set_in_a_row_that_is_there() -> None:
    lines = ["configure voip", "ip-group 0", "name IPG_Teams", "cac-profile x", "activate"]
    with pytest.raises(NotMeantError, match="AdmProfile of IPGroup 0"):
        objects.meant(lines, {("IPGroup", (0,)): {"Name": "IPG_Teams"}})


def test_a_new_row_takes_what_the_portal_does_not_know(device: Configuration) -> None:
    lines = ["configure voip", "ip-group 3", "name X", "outbound-mesg-manipulation-set 4", "activate"]
    lines += ["message message-manipulations 1", "action-value b", "activate"]
    made = objects.meant(lines, read(device)).makes
    assert made == {("IPGroup", (3,)): {"Name": "X"}, ("MessageManipulations", (1,)): {}}


def test_a_row_that_is_only_entered_is_left_as_it_is(device: Configuration) -> None:
    lines = ["configure voip", "sbc dial-plan 0", "dial-plan-rule 7", "prefix +1", "shade blue", "activate"]
    meant = objects.meant([*lines, "exit", "exit"], read(device))
    assert (list(meant.makes), meant.uses) == ([("DialPlanRule", (0, 7))], ())


def test_rows_of_others_that_need_a_row_are_named(device: Configuration) -> None:
    run(device, SCRIPT)
    now = read(device)
    mine = {("IPGroup", (4,)): now["IPGroup", (4,)]}
    assert objects.leaning(mine, now) == ['Account 2 "IPG_Contoso" needs IPGroup 4 "IPG_Contoso"']
    with pytest.raises(ScriptError, match="used by Account"):
        run(device, objects.undo(mine))


def test_a_row_resembles_one_for_which_no_name_was_asked() -> None:
    key = ("Account", (1,))
    there = {"ServedIPGroupName": "", "Username": "contoso", "HostName": ""}
    assert objects.resembles(key, there, {"Username": "contoso", "HostName": "carrier.example"})
    assert not objects.resembles(key, there, {"Username": "contoso", "ServedIPGroupName": "IPG_Contoso"})


def test_a_secret_is_not_kept_whichever_column_it_went_to(device: Configuration) -> None:
    wanted = objects.meant(["configure voip", "ip-group 5", f"tags {MASK}", "activate"], {}).makes[
        "IPGroup", (5,)
    ]
    kept = objects.without_secrets({"Tags": "secret", "Name": "x"}, wanted)
    assert kept == {"Tags": HIDDEN, "Name": "x"}
    assert objects.fits({"Tags": "another", "Name": "x"}, kept)
    assert not objects.fits({"Tags": "", "Name": "x"}, kept)
