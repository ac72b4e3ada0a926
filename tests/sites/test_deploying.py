"""Deploying a site and removing it: the device is as before, whatever happens on the way."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from audiocodes import objects
from audiocodes.sbc import Sbc as Far
from core.errors import UmpError
from events.models import Event
from replication import runner
from replication import services as queue
from replication.context import Context
from replication.models import Command, State, Step
from sbc.models import Link, Sbc
from simulator.sbc.cli import Session
from simulator.sbc.device import Device
from sites import services, templates
from sites.models import Purpose, Site, SiteState
from tenants import scope
from tenants.access import SYSTEM
from tests.breakers.hands import make_due, row, run_due
from tests.directory.pretend import Killed, Worker
from tests.sbc.conftest import fresh
from tests.sites.conftest import PASSWORD, act, again, pair, saved, tables

pytestmark = pytest.mark.django_db
MADE = ["ProxySet", "ProxyIp", "IPGroup", "Classification", "Account"]


def deployed(site: Site) -> Site:
    act(services.deploy, site)
    run_due()
    found = again(site)
    assert (found.sbc_state, found.sbc_problem) == (SiteState.DEPLOYED, None)
    return found


def events(site: Site) -> list[str]:
    with scope.one(site.tenant_id):
        return list(
            Event.objects.filter(type__startswith="site.").order_by("id").values_list("type", flat=True)
        )


def test_it_is_deployed_and_removed_leaving_the_device_as_before(device: Device, site: Site) -> None:
    before = tables(device)
    found = deployed(site)
    made = objects.from_json(found.footprint)
    assert [key[0] for key in made] == MADE
    assert set(tables(device)) - set(before) == set(made)
    assert device.running.rows["sip-definition account"][1,]["Password"] == PASSWORD
    assert found.applied is not None
    assert found.deployed_at is not None
    assert saved(device)
    act(services.remove, site)
    run_due()
    assert tables(device) == before
    assert saved(device)
    found = again(site)
    assert (found.sbc_state, found.footprint, found.intent, found.applied) == (SiteState.NONE, [], None, None)
    assert events(site) == ["site.deployed", "site.removed"]


def test_a_preview_writes_nothing_and_binds_the_decision(device: Device, site: Site) -> None:
    before, count = tables(device), device.requests
    command = row(act(services.preview, site, services.DEPLOY))
    run_due()
    told = row(command).result
    assert tables(device) == before
    assert '    password "••••••••"' in told["lines"]
    assert 'IPGroup 1 "IPG_s' in " ".join(told["rows"])
    assert device.requests > count
    Session(device.running).run("configure voip\nip-group 1\nname Somebody\nactivate")
    late = act(services.deploy, site, told["plan"])
    run_due()
    assert row(late).error["code"] == "site_plan_stale"
    assert again(site).sbc_state == SiteState.FAILED
    assert ("ProxySet", (1,)) not in tables(device)
    again_told = act(services.preview, site, services.DEPLOY)
    run_due()
    act(services.deploy, site, row(again_told).result["plan"])
    run_due()
    assert again(site).sbc_state == SiteState.DEPLOYED


def test_no_secret_is_anywhere_but_on_the_device(device: Device, boxes: Any, site: Site) -> None:
    act(services.preview, site, services.DEPLOY)
    run_due()
    found = deployed(site)
    act(services.preview, site, services.REMOVE)
    run_due()
    with scope.every("a test looks"):
        rows = [str(each) for each in Command.objects.values()]
    assert PASSWORD not in "".join(rows) + str(found.__dict__) + str(boxes.state.history)


def _always(*_: Any, **__: Any) -> bool:
    return True


KILLS: dict[str, tuple[Any, str, bool, Callable[..., bool]]] = {
    "before_intent": (Context, "checkpoint", True, _always),
    "after_intent": (Far, "apply", True, _always),
    "after_send": (Far, "apply", False, _always),
    "in_commit": (
        Context,
        "checkpoint",
        False,
        lambda _, **changes: bool({"applied", "rows"} & set(changes)),
    ),
    "before_save": (Far, "save", True, _always),
    "after_save": (Far, "save", False, _always),
    "after_done": (runner, "_settle", True, _always),
    "before_done": (
        services,
        "note",
        False,
        lambda _, action, *__: action in {"site.deployed", "site.removed"},
    ),
}
"""Where the worker dies: in which call, before it or after it, and in which of them."""


def kill(monkeypatch: pytest.MonkeyPatch, at: str) -> None:
    """The worker dies there, once."""
    owner, name, before, when = KILLS[at]
    real = getattr(owner, name)

    def deadly(*args: Any, **kwargs: Any) -> Any:
        mine = when(*args, **kwargs)
        if mine:
            monkeypatch.setattr(owner, name, real)
        if mine and before:
            raise Killed
        answer = real(*args, **kwargs)
        if mine:
            raise Killed
        return answer

    monkeypatch.setattr(owner, name, deadly)


def survive(command: Command) -> None:
    """Run until the worker dies, take the command back, and let another one finish."""
    with pytest.raises(Killed):
        run_due()
    Worker().take_back()
    make_due()
    run_due()
    assert row(command).state == State.SUCCEEDED


@pytest.mark.parametrize("at", KILLS)
def test_a_worker_killed_while_deploying_is_repaired_without_help(
    device: Device, site: Site, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    before = tables(device)
    kill(monkeypatch, at)
    survive(act(services.deploy, site))
    found = again(site)
    assert (found.sbc_state, found.intent) == (SiteState.DEPLOYED, None)
    assert set(tables(device)) - set(before) == set(objects.from_json(found.footprint))
    assert [key[0] for key in objects.from_json(found.footprint)] == MADE
    assert saved(device)
    assert events(site) == ["site.deployed"]


@pytest.mark.parametrize("at", KILLS)
def test_a_worker_killed_while_removing_is_repaired_without_help(
    device: Device, site: Site, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    before = tables(device)
    deployed(site)
    kill(monkeypatch, at)
    survive(act(services.remove, site))
    assert tables(device) == before
    assert saved(device)
    assert (again(site).sbc_state, again(site).footprint) == (SiteState.NONE, [])


@pytest.mark.parametrize("most", [1, 2, 4])
def test_what_a_cut_off_script_left_in_part_is_taken_away_first(
    device: Device, site: Site, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    """The device carries out the script as far as the n-th row, and the line is lost."""
    before = tables(device)
    real = Far.apply

    def half(far: Far, script: str) -> str:
        monkeypatch.setattr(Far, "apply", real)
        lines = script.split("activate\n")
        real(far, "activate\n".join([*lines[:most], ""]))
        raise UmpError.of("connection_lost", host="sbc1")

    monkeypatch.setattr(Far, "apply", half)
    command = act(services.deploy, site)
    run_due()
    assert again(site).sbc_state == SiteState.DEPLOYING
    assert row(command).state == State.QUEUED
    make_due()
    run_due()
    assert again(site).sbc_state == SiteState.DEPLOYED
    assert set(tables(device)) - set(before) == set(objects.from_json(again(site).footprint))


def test_an_answer_that_was_lost_is_not_asked_for_twice(device: Device, boxes: Any, site: Site) -> None:
    device.set({"trouble": "lost_reply"})
    command = act(services.deploy, site)
    run_due()
    assert row(command).state == State.QUEUED
    after = tables(device)
    make_due()
    run_due()
    assert again(site).sbc_state == SiteState.DEPLOYED
    assert tables(device) == after


def test_a_script_that_is_refused_in_the_middle_leaves_nothing(
    device: Device, add_site: Callable[..., Site]
) -> None:
    site = add_site(
        template=pair("SIP trunk, shared proxy set"),
        values={"ProxySet": "PS_Nowhere"},
        secrets_={},
        name="Basel",
    )
    before = tables(device)
    command = act(services.deploy, site)
    run_due()
    assert tables(device) == before
    found = again(site)
    assert (found.sbc_state, found.footprint, found.intent) == (SiteState.FAILED, [], None)
    assert found.sbc_problem is not None
    assert found.sbc_problem["code"] == "site_refused"
    assert "PS_Nowhere" in found.sbc_problem["message"]
    assert "line" in found.sbc_problem["message"]
    assert row(command).state == State.FAILED
    assert events(site) == ["site.failed"]


def test_rows_that_were_made_before_the_refused_line_go_again(
    device: Device, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = tables(device)
    deploy_differently(monkeypatch, site, {"user-name": "no-such-thing"})
    assert tables(device) == before
    assert again(site).sbc_problem["code"] == "site_refused"  # type: ignore[index]


def deploy_differently(monkeypatch: pytest.MonkeyPatch, site: Site, instead: dict[str, str]) -> None:
    """The device hears something else than is sent, and makes that, or refuses it."""
    real = Far.apply

    def otherwise(far: Far, text: str) -> str:
        for old, new in instead.items():
            text = text.replace(old, new)
        return real(far, text)

    with monkeypatch.context() as patch:
        patch.setattr(Far, "apply", otherwise)
        act(services.deploy, site)
        run_due()


def test_rows_that_the_device_made_differently_go_again(
    device: Device, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = tables(device)
    deploy_differently(monkeypatch, site, {"zurich.contoso.example": "ZURICH"})
    assert tables(device) == before
    found = again(site)
    assert (found.sbc_problem["code"], found.intent) == ("site_refused", None)  # type: ignore[index]
    deployed(site)


def test_rows_that_the_device_made_differently_and_keeps_are_remembered(
    device: Device, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = tables(device)
    refused = {"zurich.contoso.example": "ZURICH", "no ip-group": "no such-thing"}
    deploy_differently(monkeypatch, site, refused)
    found = again(site)
    assert found.sbc_problem["code"] == "site_left_over"  # type: ignore[index]
    assert "IPG_s" in found.sbc_problem["message"]  # type: ignore[index]
    command = act(services.preview, site, services.REMOVE)
    run_due()
    act(services.remove, site, row(command).result["plan"])
    run_due()
    assert tables(device) == before
    assert again(site).sbc_state == SiteState.NONE


def test_a_row_that_came_to_stand_under_another_name_is_told(
    device: Device, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be of others: it stays, and nobody is told that the device is as before."""
    before = tables(device)
    name = "served-ip-group-name"
    deploy_differently(monkeypatch, site, {f"{name} IPG_s{site.id}": f"{name} IPG_Teams"})
    found = again(site)
    assert set(tables(device)) - set(before) == {("Account", (1,))}
    assert found.sbc_problem["code"] == "site_left_over"  # type: ignore[index]
    assert 'Account 1 "IPG_Teams"' in found.sbc_problem["message"]  # type: ignore[index]


def test_a_device_that_repeats_a_secret_in_its_complaint_is_not_quoted(
    device: Device, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Far.apply
    monkeypatch.setattr(
        Far, "apply", lambda far, text: real(far, text.replace("    password ", "    pasword "))
    )
    act(services.deploy, site)
    run_due()
    found = again(site)
    assert "pasword" in str(found.sbc_problem)
    with scope.every("a test looks"):
        told = [*Command.objects.values(), *Step.objects.values(), *Event.objects.values()]
    assert PASSWORD not in str(told) + str(found.__dict__)


def test_a_worker_that_was_too_late_to_save_says_nothing_of_the_device(
    device: Device, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was frozen before the first byte left: the next run saves, and nobody is told of a fault."""
    save, frozen = Far.save, [True]
    told: list[Any] = []

    def once(far: Far) -> None:
        if frozen:
            frozen.pop()
            raise UmpError.of("interrupted")
        told.append(again(site).sbc_problem)
        save(far)

    monkeypatch.setattr(Far, "save", once)
    act(services.deploy, site)
    run_due()
    run_due()
    assert (told, again(site).sbc_state) == ([None], SiteState.DEPLOYED)
    assert saved(device)


def test_saving_that_fails_is_said_and_tried_again(device: Device, site: Site) -> None:
    device.set({"trouble": "save_fails"})
    act(services.deploy, site)
    run_due()
    found = again(site)
    assert (found.sbc_state, found.sbc_problem["code"]) == (SiteState.UNSAVED, "sbc_not_saved")  # type: ignore[index]
    device.set({"trouble": ""})
    make_due()
    run_due()
    assert again(site).sbc_state == SiteState.DEPLOYED
    assert saved(device)


def test_a_restart_before_the_save_is_noticed(device: Device, site: Site) -> None:
    device.set({"trouble": "save_fails"})
    act(services.deploy, site)
    run_due()
    device.restart()
    device.set({"trouble": ""})
    make_due()
    run_due()
    assert again(site).sbc_state == SiteState.DEPLOYED
    assert set(objects.from_json(again(site).footprint)) <= set(tables(device))


def test_a_pair_that_copies_its_configuration_is_waited_for(device: Device, site: Site) -> None:
    device.set({"trouble": "ha_sync"})
    command = act(services.deploy, site)
    run_due()
    assert (row(command).state, again(site).sbc_state) == (State.QUEUED, SiteState.DEPLOYING)
    device.set({"trouble": ""})
    make_due()
    run_due()
    assert again(site).sbc_state == SiteState.DEPLOYED


def with_template(add_site: Callable[..., Site], more: str) -> Site:
    """A site whose template makes a proxy set, and does more."""
    text = f"configure voip\n{more}proxy-set {{{{new:proxy-set}}}}\nname PS_{{{{SiteKey}}}}\nactivate\nexit\nexit\n"
    template = templates.add(SYSTEM, name="More", purpose=Purpose.ONBOARDING, script=text)
    return add_site(template=template, values={}, secrets_={}, name="Bern")


def test_a_row_of_others_that_has_no_name_is_not_taken_for_a_free_one(
    device: Device, add_site: Callable[..., Site]
) -> None:
    Session(device.running).run(
        "configure voip\nmessage message-manipulations 1\nmanipulation-set-id 9\naction-value others\nactivate"
    )
    before = tables(device)
    site = with_template(
        add_site,
        "message message-manipulations {{new:message-manipulations}}\naction-value ours\nactivate\nexit\n",
    )
    found = deployed(site)
    assert tables(device)["MessageManipulations", (1,)] == before["MessageManipulations", (1,)]
    assert tables(device)["MessageManipulations", (2,)]["ActionValue"] == "ours"
    assert ("MessageManipulations", (2,)) in objects.from_json(found.footprint)
    act(services.remove, site)
    run_due()
    assert tables(device) == before


def test_a_script_that_sets_what_nobody_can_read_in_a_row_of_others_is_not_sent(
    device: Device, add_site: Callable[..., Site]
) -> None:
    before = tables(device)
    row_ = "ip-group {{row:ip-group:IPG_Teams}}\noutbound-mesg-manipulation-set 4\nactivate\nexit\n"
    site = with_template(add_site, row_)
    act(services.deploy, site)
    run_due()
    assert tables(device) == before
    problem = again(site).sbc_problem
    assert problem is not None
    assert (problem["code"], "IPG_Teams" in problem["message"]) == ("site_unfit", True)


@pytest.mark.parametrize(
    ("trouble", "code"), [("other_device", "sbc_other_device"), ("truncated_ini", "sbc_file_unreadable")]
)
def test_a_device_that_is_not_trusted_gets_nothing(
    device: Device, site: Site, trouble: str, code: str
) -> None:
    before = tables(device)
    device.set({"trouble": trouble})
    command = act(services.deploy, site)
    run_due()
    assert tables(device) == before
    assert (again(site).sbc_state, row(command).error["code"]) == (SiteState.FAILED, code)


def test_a_refused_password_stops_everything_at_once(device: Device, sbc: Sbc, site: Site) -> None:
    device.password = "another"
    act(services.deploy, site)
    run_due()
    make_due()
    run_due()
    assert (device.logins_refused, fresh(sbc).link) == (1, Link.REFUSED)
    with pytest.raises(UmpError) as caught:
        act(services.deploy, site)
    assert caught.value.code == "sbc_sign_in_refused"


def test_rows_that_somebody_changed_wait_for_a_person(device: Device, site: Site) -> None:
    before = tables(device)
    deployed(site)
    Session(device.running).run("configure voip\nip-group 1\ntags changed\nactivate")
    act(services.remove, site)
    run_due()
    assert again(site).sbc_problem["code"] == "site_changed"  # type: ignore[index]
    assert ("IPGroup", (1,)) in tables(device)
    command = act(services.preview, site, services.REMOVE)
    run_due()
    told = row(command).result
    assert any("was changed by somebody" in note for note in told["notes"])
    assert any("IPG_s" in line or "no ip-group 1" in line for line in told["cleanup"])
    act(services.remove, site, told["plan"])
    run_due()
    assert tables(device) == before


def test_rows_of_others_are_never_touched(device: Device, site: Site) -> None:
    deployed(site)
    Session(device.running).run(
        "configure voip\nno sip-definition account 1\nno sbc classification 1\nno ip-group 1\n"
        "ip-group 1\nname Somebody\nproxy-set-name PS_Teams\nactivate"
    )
    act(services.remove, site)
    run_due()
    assert again(site).sbc_state == SiteState.NONE
    assert tables(device)["IPGroup", (1,)]["Name"] == "Somebody"
    assert ("ProxySet", (1,)) not in tables(device)


def test_a_row_that_others_need_stays_with_everything(device: Device, site: Site) -> None:
    deployed(site)
    Session(device.running).run(
        "configure voip\nsbc classification 7\nclassification-name X\nsrc-ip-group-name IPG_s1\n"
    )
    name = tables(device)["IPGroup", (1,)]["Name"]
    Session(device.running).run(f"configure voip\nsbc classification 7\nsrc-ip-group-name {name}\nactivate")
    before = tables(device)
    act(services.remove, site)
    run_due()
    assert again(site).sbc_problem["code"] == "site_held"  # type: ignore[index]
    assert tables(device) == before


def test_a_cancelled_command_leaves_no_site_that_seems_to_be_worked_on(device: Device, site: Site) -> None:
    command = act(services.deploy, site)
    with scope.every("a test cancels"):
        queue.cancel(SYSTEM, command)
    assert services.find_interrupted() == 1
    assert again(site).sbc_state == SiteState.NONE


@pytest.fixture(autouse=True)
def nothing_left(device: Device) -> Iterator[None]:
    yield
    assert device.running.rows["dial-plan-rule"][0, 0]["Name"] == "Fabrikam"
