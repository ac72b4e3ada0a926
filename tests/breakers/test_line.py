"""The provider's own line: when it breaks, work waits, one probe asks, and no customer turns red."""

from contextlib import nullcontext
from typing import Any

import pytest
from django.test import Client

from authstatus import services as authstatus
from breakers import services as breakers
from breakers.models import Breaker, Name
from core.errors import UmpError
from events.models import Event
from m365 import identity
from replication import commands, sweeper
from replication.models import Command, LaneName, State
from tenants import lines, provider_app, scope
from tenants.access import SYSTEM
from tenants.credentials import Given
from tenants.models import SecretKind, Tenant
from tests.breakers.hands import (
    claim,
    connection,
    lane_code,
    make_due,
    on_provider_app,
    proven,
    row,
    run_due,
    settle,
    submit,
    told,
)
from tests.cast import Cast, sign_in
from tests.replication.kinds import scripted
from webhooks import digests

pytestmark = pytest.mark.django_db
BUSY = UmpError.of("graph_unavailable")


@pytest.fixture
def app() -> Any:
    import uuid

    return provider_app.change(
        SYSTEM,
        client_id=uuid.uuid4(),
        redirect_uri=provider_app.default_redirect_uri().replace("http://", "https://"),
        home_tenant_id=uuid.uuid4(),
        given=Given(SecretKind.CLIENT_SECRET, "s~" * 20),
    )


@pytest.fixture
def microsoft(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """What Microsoft says to a sign-in, by Entra's tenant id; "*" for every other; nothing: a token."""
    says: dict[str, str] = {}

    def app_token(http: object, cloud: object, tenant: str, *_: object, **__: object) -> object:
        code = says.get(tenant, says.get("*"))
        if code:
            raise UmpError.of(code)
        return object()

    monkeypatch.setattr(identity, "app_token", app_token)
    return says


def breaker(name: Name) -> Breaker | None:
    return Breaker.objects.filter(name=name).first()


def sign_in_of(tenant: Tenant) -> Any:
    """A run that does nothing but sign in."""

    def run(_: object) -> Any:
        with scope.one(tenant.id):
            lines.open_line(tenant.id).token(fresh=True)
        from replication.context import Done

        return Done("In step.")

    return run


def probe() -> Command:
    """The sweeper's probe, carried out."""
    assert sweeper.probe() == 1
    assert sweeper.probe() == 0, "one probe an interval"
    (claimed,) = [found for found in claim() if found.kind == "probe"]
    settle(claimed)
    with scope.every("a test looks"):
        return Command.objects.get(id=claimed.id)


def test_the_providers_expired_secret_blames_no_customer(app: Any, microsoft: dict[str, str]) -> None:
    alder, birch, own = on_provider_app("Alder"), on_provider_app("Birch"), proven("Cedar")
    microsoft["*"] = "secret_expired"
    with scripted(sign_in_of(alder)), scripted(name="other"), scripted(name="own"):
        first = submit(alder)
        run_due()
        waiting = row(first)
        assert (waiting.state, waiting.attempts) == (State.QUEUED, 0), "waiting for others costs no attempt"
        assert waiting.message == (
            "Microsoft does not let the provider's own app registration in: its client secret has expired."
        )
        held, passes = submit(birch, "other"), submit(own, "own")
        run_due()
        assert row(held).state == State.QUEUED, "nobody asks Microsoft what is known already"
        assert row(passes).state == State.SUCCEEDED, "whoever has an app of his own is not concerned"

        assert probe().outcome == "partial"
        assert breaker(Name.PROVIDER_APP) is not None
        microsoft.clear()
        Breaker.objects.update(probe_at="2020-01-01T00:00Z")
        assert probe().outcome == "complete"
        assert breaker(Name.PROVIDER_APP) is None
        run_due()
        assert row(held).state == State.SUCCEEDED
        assert row(first).state == State.SUCCEEDED, "what backed off is due again at once"
    for tenant in (alder, birch, own):
        assert connection(tenant).verification == "successful"
        assert connection(tenant).degraded_at is None
        assert lane_code(tenant) == ""
        assert told(tenant) == []


def test_a_check_says_at_once_that_it_is_the_providers_fault(app: Any, microsoft: dict[str, str]) -> None:
    tenant = on_provider_app("Alder")
    microsoft["*"] = "secret_wrong"
    with scope.one(tenant.id):
        command = authstatus.check(SYSTEM, tenant)
    run_due()
    ended = row(command)
    assert ended.state == State.FAILED
    assert "provider's own app registration" in ended.message
    assert connection(tenant).verification == "successful"


def test_a_new_credential_is_probed_without_waiting(app: Any, microsoft: dict[str, str]) -> None:
    tenant = on_provider_app("Alder")
    microsoft["*"] = "secret_expired"
    with scripted(sign_in_of(tenant)):
        submit(tenant)
        run_due()
        probe()
        assert sweeper.probe() == 0
        provider_app.change(
            SYSTEM,
            client_id=app.client_id,
            redirect_uri=app.redirect_uri,
            given=Given(SecretKind.CLIENT_SECRET, "t~" * 20),
        )
        microsoft.clear()
        assert probe().outcome == "complete"


def test_an_app_that_one_customer_switched_off_is_that_customers_matter(
    app: Any, microsoft: dict[str, str]
) -> None:
    alder, birch = on_provider_app("Alder"), on_provider_app("Birch")
    microsoft[str(alder.entra_tenant_id)] = "app_disabled"
    with scripted(sign_in_of(alder)), scripted(name="other"):
        command, other = submit(alder), submit(birch, "other")
        run_due()
    assert row(command).state == State.SUSPENDED
    assert row(other).state == State.SUCCEEDED
    assert breaker(Name.PROVIDER_APP) is None


def test_an_app_that_is_switched_off_at_home_is_the_providers(app: Any, microsoft: dict[str, str]) -> None:
    alder = on_provider_app("Alder")
    microsoft["*"] = "app_disabled"
    with scripted(sign_in_of(alder)):
        command = submit(alder)
        run_due()
    assert row(command).state == State.QUEUED
    assert breaker(Name.PROVIDER_APP) is not None


def test_many_customers_of_the_shared_app_refused_alike_are_not_to_blame(
    app: Any, microsoft: dict[str, str]
) -> None:
    tenants = [on_provider_app(f"Customer {number}") for number in range(6)]
    refused = UmpError.of("app_not_found")
    with scripted(*[refused] * 5):
        commands = [submit(tenant) for tenant in tenants]
        for claimed in claim()[:5]:
            settle(claimed)
        assert breaker(Name.PROVIDER_APP) is not None
        make_due()
        assert probe().outcome == "complete"
        assert [lane_code(tenant) for tenant in tenants] == [""] * 6
        with scope.every("the one that was claimed and never ran"):
            Command.objects.filter(state=State.EXECUTING).update(lease_until="2020-01-01T00:00Z")
        sweeper.take_back()
        run_due()
    assert {row(command).state for command in commands} == {State.SUCCEEDED}


def test_when_many_get_no_answer_everything_waits_and_one_probe_at_a_time_asks(cast: Cast) -> None:
    tenants = [proven(f"Customer {number}") for number in range(8)]
    with scripted(*[BUSY] * 5), scripted(name="check", lane=LaneName.IDENTITY):
        commands = [submit(tenant) for tenant in tenants]
        for number, claimed in enumerate(claim(5)):
            assert (breaker(Name.LINE) is None) == (number < 5)
            settle(claimed)
        assert breaker(Name.LINE) is not None
        check = submit(tenants[0], "check")
        make_due()
        assert claim() == [], "neither work nor checks ask what is known already"
        page = _text(cast, "/queue/")
        assert "Microsoft 365 has trouble answering" in page
        assert "Microsoft 365 has trouble answering" in _text(cast, "/")

        for _ in range(3):
            Breaker.objects.update(probe_at="2020-01-01T00:00Z")
            assert sweeper.probe() == 1
        with scope.every("a test looks"):
            assert Command.objects.filter(kind="probe").count() == 1, "a waiting probe is joined"
    assert {lane_code(tenant) for tenant in tenants} == {""}
    assert {connection(tenant).verification for tenant in tenants} == {"successful"}
    assert {row(command).state for command in [*commands, check]} == {State.QUEUED}


def events() -> list[tuple[str, dict[str, Any]]]:
    with scope.every("a test looks"):
        return [(event.type, event.data) for event in Event.objects.filter(tenant=None).order_by("id")]


def test_opening_and_closing_are_events_once_each() -> None:
    with scope.every("a test"):
        breakers.open_breaker(Name.LINE, BUSY)
    assert events() == [], "not where it opens: lanes are still to be locked there"
    sweeper.probe()
    sweeper.probe()
    ((kind, data),) = events()
    assert (kind, data["breaker"], data["code"]) == ("breaker.opened", "line", "graph_unavailable")
    commands.close(Name.LINE, nullcontext)
    commands.close(Name.LINE, nullcontext)
    assert [kind for kind, _ in events()] == ["breaker.opened", "breaker.closed"]
    assert events()[1][1]["seconds"] >= 0


def test_what_closed_before_anybody_was_told_is_no_news() -> None:
    with scope.every("a test"):
        breakers.open_breaker(Name.LINE, BUSY)
    commands.close(Name.LINE, nullcontext)
    sweeper.probe()
    assert events() == []


def test_the_daily_mail_tells_the_provider_what_came_and_went(cast: Cast) -> None:
    with scope.every("a test"):
        breakers.open_breaker(Name.LINE, BUSY)
    sweeper.probe()
    commands.close(Name.LINE, nullcontext)
    parts = {part.title: part.lines for part in digests.parts_for(cast.actor("pia"))}
    ((title, words, _),) = parts["Trouble of the provider's own"]
    assert title == "The line to Microsoft"
    assert "stood still for 1 minute, and works again" in words
    assert not [part for part in digests.parts_for(cast.actor("adam")) if "own" in part.title]


def test_few_that_get_no_answer_are_only_late() -> None:
    """5 % of many customers in trouble hold up nobody else."""
    tenants = [proven(f"Customer {number}") for number in range(30)]
    with scripted(*[BUSY] * 5):
        commands = [submit(tenant) for tenant in tenants]
        run_due()
    states = [row(command).state for command in commands]
    assert breaker(Name.LINE) is None
    assert (states.count(State.QUEUED), states.count(State.SUCCEEDED)) == (5, 25)


def _text(cast: Cast, url: str) -> str:
    client = Client()
    sign_in(client, cast.pia)
    answer = client.get(url)
    assert answer.status_code == 200
    return answer.content.decode()


def test_the_api_says_what_is_broken_to_the_providers_clients_only(cast: Cast) -> None:
    from tests.walls.test_matrix import Stage

    Breaker.objects.create(name=Name.LINE, problem=dict(BUSY.to_dict()), probe_at="2026-01-01T00:00Z")
    stage = Stage.__new__(Stage)
    stage.cast = cast
    (told,) = stage.client("mona", api=True).get("/api/v1/queue").json()["broken"]
    assert (told["name"], told["code"]) == ("line", "graph_unavailable")
    assert stage.client("adam", api=True).get("/api/v1/queue").json()["broken"] == []
