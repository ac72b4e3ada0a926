"""Names, who may have which, and the provider's zone with its key."""

import datetime as dt
import re
import time
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from audit.models import Entry
from core.errors import Conflict, InvalidInput, UmpError
from domains import selectors, services
from domains.models import CustomDomain, DnsZone, DomainState
from domains.steps import BY_HAND, REMOVING, SETTING_UP
from nameservers import records
from replication import services as queue
from replication.models import Command
from replication.registry import kind_of
from simulator.nameserver import KEY_NAME, ZONE, zone_secret
from simulator.server import Simulator
from tenants import scope, secrets
from tenants.models import ProviderSecret, Service, Tenant
from tests.cast import Cast
from tests.directory.pretend import Worker
from tests.domains.conftest import OLGA

pytestmark = pytest.mark.django_db


def begin(tenant: Tenant, **options: object) -> CustomDomain:
    with scope.one(tenant.id):
        return services.begin(OLGA, tenant, **options)  # type: ignore[arg-type]


def test_names_are_planned_once_for_all_customers(cast: Cast, zone: DnsZone) -> None:
    assert begin(cast.contoso).name == f"contoso.{ZONE}"
    with scope.one(cast.contoso.id):
        assert services.planned_name(cast.contoso) == f"contoso-2.{ZONE}"
    with scope.one(cast.fabrikam.id):
        cast.fabrikam.name = "CONTOSO!"
        assert services.planned_name(cast.fabrikam) == f"contoso-2.{ZONE}"
        cast.fabrikam.name = "x" * 100
        assert len(services.planned_name(cast.fabrikam)) == 48
        cast.fabrikam.name = "日本"
        assert services.planned_name(cast.fabrikam) == f"canary-osprey.{ZONE}"
        cast.fabrikam.domain = ""
        with pytest.raises(InvalidInput):
            services.planned_name(cast.fabrikam)


def test_a_name_belongs_to_one_customer(cast: Cast, zone: DnsZone) -> None:
    row = begin(cast.contoso, name="Voice.Contoso.example.")
    assert (row.name, row.by_hand) == ("voice.contoso.example", True), "it is not in the zone"
    assert begin(cast.contoso, name="voice.contoso.example").id == row.id, "a second click"
    with pytest.raises(Conflict) as raised:
        begin(cast.fabrikam, name="voice.contoso.example")
    assert "Contoso" not in raised.value.message
    with scope.one(cast.contoso.id):
        assert Command.objects.filter(kind=services.PROVISION).count() == 1
    with pytest.raises(UmpError, match="no DNS zone"):
        begin(cast.contoso, name="other.example", by_hand=False)


def test_two_at_the_same_moment(cast: Cast, zone: DnsZone, monkeypatch: pytest.MonkeyPatch) -> None:
    begin(cast.contoso, name="voice.contoso.example")
    monkeypatch.setattr(services, "_taken", lambda wishes: set())
    with pytest.raises(Conflict):
        begin(cast.fabrikam, name="voice.contoso.example")


def test_who_gets_none(cast: Cast, zone: DnsZone) -> None:
    for values in ({"service": Service.OPERATOR_CONNECT}, {"with_sync": False}):
        for name, value in values.items():
            setattr(cast.contoso, name, value)
        with pytest.raises(InvalidInput):
            begin(cast.contoso)
        cast.contoso.service, cast.contoso.with_sync = Service.DIRECT_ROUTING, True


def test_without_a_zone_a_name_is_needed(cast: Cast) -> None:
    with pytest.raises(UmpError) as raised:
        begin(cast.contoso)
    assert raised.value.code == "dns_zone_missing"
    assert begin(cast.contoso, name="voice.contoso.example").by_hand


def test_the_state_decides_what_can_be_asked(cast: Cast, zone: DnsZone) -> None:
    row = begin(cast.contoso)
    with scope.one(cast.contoso.id):
        with pytest.raises(Conflict):
            services.retry(OLGA, row)
        with pytest.raises(Conflict):
            services.release_user(OLGA, row)
        services.cancel(OLGA, row)
        with pytest.raises(Conflict):
            services.cancel(OLGA, row)
        services.retry(OLGA, row)
        services.remove(OLGA, row)
        with pytest.raises(Conflict):
            services.remove(OLGA, row)
        assert selectors.current(cast.contoso) == row
        CustomDomain.objects.update(state=DomainState.REMOVED)
        assert selectors.current(cast.contoso) is None
        assert selectors.steps_of(cast.contoso) == []


def order(acted: Callable[[], object]) -> list[str]:
    """Which rows an act locks or writes, one after the other."""
    with CaptureQueriesContext(connection) as seen:
        acted()
    touched = []
    for query in (each["sql"] for each in seen.captured_queries):
        if "NO KEY UPDATE" in query or query.lstrip().startswith(("UPDATE", "WITH", "INSERT")):
            names = ("replication_lane", "replication_command", "domains_customdomain")
            touched += [
                name.partition("_")[2] for name in names if re.search(rf'(FROM|UPDATE) "?{name}', query)
            ]
    return list(dict.fromkeys(touched))


@pytest.mark.parametrize("act", [services.cancel, services.remove])
def test_a_running_command_is_stopped_as_its_worker_locks(
    cast: Cast, zone: DnsZone, worker: Worker, act: Callable[..., object]
) -> None:
    """Lane, command, domain: who came from the other end would meet the worker half-way, as it notes a step."""
    row = begin(cast.contoso)
    worker.claim()
    with scope.one(cast.contoso.id):
        assert order(lambda: act(OLGA, row)) == ["lane", "command", "customdomain"]
        found = Command.objects.get(kind=services.PROVISION)
        assert found.cancel_requested_at is not None


def test_what_is_queued_for_a_domain_locks_its_lane_first(cast: Cast, zone: DnsZone) -> None:
    row = begin(cast.contoso)
    with scope.one(cast.contoso.id):
        services.cancel(OLGA, row)
        assert order(lambda: services.retry(OLGA, row))[0] == "lane"
        services.cancel(OLGA, row)
        due = timezone.now() - dt.timedelta(hours=1)
        there = {"state": DomainState.READY, "user_id": "u", "user_made": True, "next_look_at": due}
        CustomDomain.objects.update(**there)
    assert order(services.release_due)[0] == "lane"


def test_what_cannot_be_stopped_goes_on(cast: Cast, zone: DnsZone) -> None:
    row = begin(cast.contoso)
    with scope.one(cast.contoso.id):
        for state, act in ((DomainState.READY, services.cancel), (DomainState.REMOVING, services.remove)):
            CustomDomain.objects.update(state=state, done={services.BEGUN: "x"})
            with pytest.raises(Conflict):
                act(OLGA, row)
            assert Command.objects.get().state == "queued"
            assert not Entry.objects.filter(action="command.cancelled").exists()


def test_every_step_says_why_it_waits_and_how_long() -> None:
    for step in {*SETTING_UP, *BY_HAND, *REMOVING}:
        assert step.why.endswith(".")
        assert step.limit_words.split()[1].rstrip("s") in {"hour", "day"}
    for kind in (services.PROVISION, services.REMOVE, services.RELEASE, services.TEST):
        assert kind_of(kind).title


# --- The zone -----------------------------------------------------------------------------------------------
def test_the_key_is_sealed_and_goes_with_its_server(zone: DnsZone) -> None:
    assert zone.secret is not None
    assert zone.secret.hint == ""
    assert zone_secret().encode() not in bytes(zone.secret.sealed)
    assert secrets.open_secret(zone.secret) == zone_secret()
    same = {"name": zone.name, "server": zone.server, "key_name": zone.key_name}
    kept = services.set_zone(OLGA, **{**same, "name": "voice.example"})  # type: ignore[arg-type]
    assert kept.secret_id == zone.secret_id
    with pytest.raises(InvalidInput) as raised:
        services.set_zone(OLGA, **{**same, "server": "ns.attacker.example"})
    assert raised.value.field == "secret"
    assert zone_secret() not in str(list(Entry.objects.values()))
    services.set_zone(OLGA, name=ZONE)
    assert not ProviderSecret.objects.exists(), "a key that nobody can use any more is forgotten"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", "voice"),
        ("name", "-.example"),
        ("server", "https://ns"),
        ("key_name", ""),
        ("key_name", "a b"),
        ("key_name", "ump..key"),
        ("key_name", ".key"),
        ("key_name", "k" * 64),
        ("algorithm", "hmac-md5"),
        ("secret", "not base64"),
        ("lookup_servers", ["ns1", "bad one"]),
        ("lookup_servers", [f"ns{number}" for number in range(7)]),
    ],
)
def test_what_a_zone_cannot_be(db: None, field: str, value: object) -> None:
    good = {"name": ZONE, "server": "ns.example", "key_name": KEY_NAME, "secret": zone_secret()}
    with pytest.raises(InvalidInput) as raised:
        services.set_zone(OLGA, **{**good, field: value})  # type: ignore[arg-type]
    assert raised.value.field == field


def test_somebody_was_faster(zone: DnsZone) -> None:
    services.set_zone(OLGA, name=ZONE, version=zone.row_version)
    with pytest.raises(Conflict):
        services.set_zone(OLGA, name=ZONE, version=zone.row_version)


def try_it(worker: Worker) -> DnsZone:
    services.try_zone(OLGA)
    for _ in range(10):
        with scope.every("a test's worker"):
            waiting = Command.objects.filter(kind=services.TEST, state="queued").first()
        if waiting is None:
            break
        worker.wait_is_over(waiting)
        worker.step()
    row = services.zone()
    assert row is not None
    return row


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({}, None),
        ({"trouble": "refuse"}, "dns_refused"),
        ({"trouble": "key"}, "dns_key_refused"),
        ({"trouble": "servfail"}, "dns_silent"),
        ({"lag": 3600}, "domain_late"),
    ],
)
def test_the_zone_is_tried(
    zone: DnsZone, microsoft: Simulator, worker: Worker, changes: dict[str, object], code: str | None
) -> None:
    microsoft.dns.set(changes)
    row = try_it(worker)
    assert row.tested_at is not None
    assert (row.test_problem or {}).get("code") == code
    assert microsoft.dns.describe()["records"] == {}
    with scope.every("a test looks"):
        command = Command.objects.get(kind=services.TEST)
    assert (command.state, command.outcome) == ("succeeded", "partial" if code else "complete")


def test_a_key_that_cannot_be_opened_blames_no_customer(zone: DnsZone, worker: Worker) -> None:
    ProviderSecret.objects.update(sealed=b"x" * 100)
    assert (try_it(worker).test_problem or {})["code"] == "dns_key_refused"


def test_no_zone_no_test(db: None) -> None:
    with pytest.raises(UmpError):
        services.try_zone(OLGA)


def test_a_test_whose_record_nobody_can_look_up_leaves_none(
    zone: DnsZone, microsoft: Simulator, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    def look(*_: object) -> None:
        assert microsoft.dns.describe()["records"], "it is written"
        raise UmpError.of("dns_silent", host="ns.elsewhere.example")

    monkeypatch.setattr(records, "look", look)
    assert (try_it(worker).test_problem or {})["code"] == "dns_silent"
    assert microsoft.dns.describe()["records"] == {}


def begin_test(worker: Worker) -> Command:
    """Its record is written, and cannot be seen yet."""
    command = services.try_zone(OLGA)
    worker.step()
    return command


def test_what_a_cancelled_test_left_is_removed_by_the_next(
    zone: DnsZone, microsoft: Simulator, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    microsoft.dns.set({"lag": 3600})
    with scope.every("a test cancels"):
        for _ in range(2):
            queue.cancel(OLGA, begin_test(worker))
    assert len(microsoft.dns.describe()["records"]) == 1, "the second has removed the first one's"
    microsoft.dns.set({"lag": 0})
    assert try_it(worker).test_problem is None
    assert microsoft.dns.describe()["records"] == {}
    removed, remove = [], records.remove_text
    monkeypatch.setattr(
        records, "remove_text", lambda *what, **how: (removed.append(what), remove(*what, **how))
    )
    try_it(worker)
    assert len(removed) == 1, "its own"


def test_a_worker_that_was_too_late_is_no_finding(
    zone: DnsZone, microsoft: Simulator, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing was sent, and nothing is known to be wrong with the zone: the test goes on in its next run."""
    add, moments = records.add_text, [time.monotonic() - 1]

    def frozen_once(*what: Any, sent_by: float) -> None:
        add(*what, sent_by=moments.pop() if moments else sent_by)

    monkeypatch.setattr(records, "add_text", frozen_once)
    row = try_it(worker)
    assert (moments, row.test_problem, bool(row.tested_at)) == ([], None, True)
    assert microsoft.dns.describe()["records"] == {}


def test_a_test_whose_zone_was_changed_says_what_it_left(
    zone: DnsZone, microsoft: Simulator, worker: Worker
) -> None:
    microsoft.dns.set({"lag": 3600})
    command = begin_test(worker)
    (left,) = microsoft.dns.describe()["records"]
    services.set_zone(OLGA, name="other.example", server=zone.server, key_name=zone.key_name)
    worker.wait_is_over(command)
    worker.step()
    with scope.every("a test looks"):
        command.refresh_from_db()
    assert (command.state, command.outcome) == ("succeeded", "partial")
    assert f"{left} may still be at {zone.server}" in command.message
    assert DnsZone.objects.get().tested_at is None
