"""Events reach other systems: signed, in order, each until it was taken, and only what they may know."""

import base64
import datetime as dt
import hashlib
import hmac
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import settings
from django.utils import timezone

from audit.models import Entry
from core.errors import Conflict, InvalidInput, LeaseLost
from events.models import Event, Type
from events.services import tell
from replication import states
from replication.context import Context
from replication.models import Command, State
from tenants import scope
from tenants.access import SYSTEM
from tenants.models import ProviderSecret, Tenant
from tests.breakers.hands import claim, make_due, proven, settle
from tests.webhooks.receiver import Receiver, listening
from webhooks import rotation, services, signing
from webhooks.models import Delivery, Endpoint

pytestmark = pytest.mark.django_db


@pytest.fixture
def receiver(settings: Any) -> Iterator[Receiver]:
    settings.M365_GATEWAY_URL = (
        "http://127.0.0.1:9"  # a stand-in for Microsoft: only then this machine may be called
    )
    with listening() as found:
        yield found


@pytest.fixture
def endpoint(receiver: Receiver) -> Endpoint:
    made, _ = services.add(SYSTEM, name="Tickets", url=receiver.url)
    return made


def happen(tenant: Tenant | None, type_: Type = Type.DEGRADED, **data: object) -> None:
    if tenant is None:
        with scope.every("about the provider"):
            tell(type_, None, data)
    else:
        with scope.one(tenant.id):
            tell(type_, tenant.id, data)


def deliver() -> list[Command]:
    """What the sweeper queues, carried out; the commands as they are then."""
    services.send_due()
    done = []
    while found := [each for each in claim() if each.kind == services.DELIVER]:
        for each in found:
            settle(each)
            done.append(each.id)
    with scope.every("a test looks"):
        return list(Command.objects.filter(id__in=done).order_by("id"))


def fresh(endpoint: Endpoint) -> Endpoint:
    return Endpoint.objects.get(id=endpoint.id)


def test_the_signature_is_that_of_the_standard() -> None:
    """The vector with which libraries of Standard Webhooks test themselves."""
    signed = signing.signature(
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        1614265330,
        b'{"test": 2432232314}',
    )
    assert signed == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_an_event_arrives_signed_and_in_order(receiver: Receiver) -> None:
    made, secret = services.add(SYSTEM, name="Tickets", url=receiver.url)
    alder = proven("Alder")
    happen(alder, code="secret_expired", client_secret="must not leave")
    happen(alder, Type.RESTORED)
    happen(None, Type.EXPIRING)
    (command,) = deliver()
    assert (command.state, command.result) == (State.SUCCEEDED, {"events": 3})
    assert receiver.types == ["connection.degraded", "connection.restored", "secret.expiring"]
    headers, body = receiver.got[0]
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    mac = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{mac}"
    assert abs(int(headers["webhook-timestamp"]) - timezone.now().timestamp()) < 60
    assert receiver.bodies[0]["data"]["tenant"] == {"id": str(alder.id), "name": "Alder"}
    assert receiver.bodies[2]["data"]["tenant"] is None
    assert b"must not leave" not in body
    assert secret not in str(list(Endpoint.objects.values())), "the secret is sealed"
    assert services.send_due() == 0, "nothing is sent twice"
    assert fresh(made).taken_at


def test_while_secrets_overlap_a_call_carries_both_signatures(receiver: Receiver) -> None:
    made, first = services.add(SYSTEM, name="Tickets", url=receiver.url)
    _, second = rotation.rotate(SYSTEM, made, overlap_hours=1)
    alder = proven("Alder")
    happen(alder)
    deliver()
    rotation.drop_ended()
    assert fresh(made).former_secret_id, "its time is not over"
    Endpoint.objects.update(former_until=timezone.now())
    happen(alder)
    deliver()
    assert rotation.drop_ended() == 1
    assert rotation.drop_ended() == 0
    happen(alder)
    deliver()
    wanted = [[second, first], [second], [second]]
    for (headers, body), secrets in zip(receiver.got, wanted, strict=True):
        signed = [
            signing.signature(each, headers["webhook-id"], int(headers["webhook-timestamp"]), body)
            for each in secrets
        ]
        assert headers["webhook-signature"].split(" ") == signed
    assert ProviderSecret.objects.count() == 1


def test_what_is_not_taken_is_tried_again_before_anything_newer(
    receiver: Receiver, endpoint: Endpoint
) -> None:
    alder = proven("Alder")
    receiver.answers = [500, 302, 204]
    happen(alder, number=1)
    happen(alder, number=2)
    (command,) = deliver()
    assert command.state == State.QUEUED
    assert command.attempts == 0
    assert "HTTP 500" in command.message
    assert fresh(endpoint).failing_since
    assert services.send_due() == 0, "the one that waits is enough"
    make_due()
    deliver()
    assert receiver.paths == ["/hook", "/hook"], "a redirect is not followed"
    make_due()
    deliver()
    assert [body["data"]["number"] for body in receiver.bodies] == [1, 1, 1, 2]
    assert len({headers["webhook-id"] for headers, _ in receiver.got}) == 2, "a repetition keeps its id"
    assert fresh(endpoint).failures == 0
    assert list(Delivery.objects.order_by("id").values_list("status", flat=True)) == [500, 302, 204, 204]


def about_to_send() -> states.Claimed:
    """A delivery in the hands of a worker, with one event."""
    happen(proven("Alder"), number=1)
    services.send_due()
    (claimed,) = [each for each in claim() if each.kind == services.DELIVER]
    return claimed


def test_a_worker_that_was_frozen_sends_nothing_any_more(
    receiver: Receiver, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    frozen = about_to_send()
    signed = signing.headers

    def taken_over(*given: Any) -> dict[str, str]:
        with scope.every("a test lets a lease run out"):
            states.move(frozen.id, from_=State.EXECUTING, to=State.QUEUED, fence=frozen.fence)
        return signed(*given)

    monkeypatch.setattr(signing, "headers", taken_over)
    with pytest.raises(LeaseLost):
        settle(frozen)
    assert receiver.got == [], "it is the next worker's to send"
    monkeypatch.setattr(signing, "headers", signed)
    deliver()
    assert len(receiver.got) == 1


def test_a_worker_that_was_frozen_after_it_had_asked_sends_nothing_either(
    receiver: Receiver, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    frozen = about_to_send()
    asks = Context.still_ours
    with monkeypatch.context() as once:
        once.setattr(Context, "still_ours", lambda self: asks(self) - settings.COMMAND_LEASE_SECONDS)
        settle(frozen)
    assert receiver.got == [], "its lease may be over, and another worker may have sent it"
    assert fresh(endpoint).failures == 0, "that is not the receiver's fault"
    deliver()
    assert len(receiver.got) == 1


def test_after_days_of_failure_it_is_held_and_goes_on_where_it_stood(
    receiver: Receiver, endpoint: Endpoint
) -> None:
    happen(proven("Alder"))
    Endpoint.objects.update(failing_since=timezone.now() - dt.timedelta(days=4), failures=40)
    receiver.answers = [503]
    deliver()
    held = fresh(endpoint)
    assert held.held_at
    assert "HTTP 503" in held.held_because
    assert services.send_due() == 0
    services.resume(SYSTEM, endpoint)
    deliver()
    assert receiver.types == ["connection.degraded"] * 2
    assert fresh(endpoint).cursor == newest()


def test_what_is_skipped_takes_its_failures_with_it(receiver: Receiver, endpoint: Endpoint) -> None:
    """By a replay from behind it, by narrower types, or as it was forgotten: the next one begins anew."""
    alder, long_ago = proven("Alder"), timezone.now() - dt.timedelta(days=4)
    happen(alder)
    Endpoint.objects.update(failing_since=long_ago, failures=40)
    services.replay(SYSTEM, endpoint, newest())
    now = fresh(endpoint)
    assert (now.failures, now.failing_since) == (0, None)
    deliver()
    happen(alder)
    Endpoint.objects.update(failing_since=long_ago, failures=40)
    services.change(SYSTEM, endpoint, types=["connection.restored"])
    deliver()
    assert receiver.got == []
    now = fresh(endpoint)
    assert (now.failures, now.failing_since) == (0, None)
    receiver.answers = [502]
    happen(alder, Type.RESTORED)
    deliver()
    now = fresh(endpoint)
    assert (now.failures, now.held_at) == (1, None)


def test_gone_means_gone(receiver: Receiver, endpoint: Endpoint) -> None:
    happen(proven("Alder"))
    receiver.answers = [410]
    deliver()
    assert fresh(endpoint).held_at


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("status", [204, 500, 410])
def test_one_that_is_removed_while_it_is_called_leaves_no_trouble(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    """Committed, because whether a delivery has its webhook is asked at the commit."""
    endpoint, _ = services.add(SYSTEM, name="Tickets", url=receiver.url)
    happen(proven("Alder"))
    receiver.answers = [status]
    signed = signing.headers

    def meanwhile(*given: Any) -> dict[str, str]:
        services.remove(SYSTEM, fresh(endpoint))
        return signed(*given)

    monkeypatch.setattr(signing, "headers", meanwhile)
    (command,) = deliver()
    assert len(receiver.got) == 1
    assert (command.state, command.error) == (State.SUCCEEDED, None)
    assert not Delivery.objects.exists()
    with scope.every("the trail"):
        assert not Entry.objects.filter(action="webhook.held").exists()


def test_it_gets_its_customers_and_its_types_only(receiver: Receiver) -> None:
    alder, birch = proven("Alder"), proven("Birch")
    services.add(SYSTEM, name="Alder's", url=receiver.url, types=["connection.degraded"], tenants=[alder.id])
    happen(birch, note="of Birch")
    happen(alder, Type.RESTORED)
    happen(None)
    happen(alder)
    deliver()
    assert [(body["type"], body["data"]["tenant"]["name"]) for body in receiver.bodies] == [
        ("connection.degraded", "Alder")
    ]


def test_a_replay_sends_from_a_cursor_and_a_test_goes_to_one_only(
    receiver: Receiver, endpoint: Endpoint
) -> None:
    services.add(SYSTEM, name="Another", url=receiver.url + "/other")
    alder = proven("Alder")
    for number in (1, 2, 3):
        happen(alder, number=number)
    deliver()
    receiver.got.clear()
    with scope.every("a test looks"):
        second = Event.objects.order_by("id")[1].id
    services.replay(SYSTEM, endpoint, second)
    deliver()
    assert [body["data"]["number"] for body in receiver.bodies] == [3]
    receiver.paths.clear()
    services.send_test(SYSTEM, endpoint)
    deliver()
    assert receiver.paths == ["/hook"]
    assert receiver.types[-1] == "webhook.test"


def test_a_new_webhook_is_not_told_the_past(receiver: Receiver) -> None:
    happen(proven("Alder"))
    services.add(SYSTEM, name="Late", url=receiver.url)
    deliver()
    assert receiver.got == []


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://example.com/", "https"),
        ("ftp://example.com/", "https"),
        ("https://user:pass@example.com/", "without user"),
        ("https://example.com/#part", "fragment"),
        ("https:///path", "host name"),
        ("https://10.0.0.1/", "sends nothing"),
        ("https://127.0.0.1/", "sends nothing"),
        ("https://169.254.169.254/latest/meta-data", "sends nothing"),
        ("https://[::1]/", "sends nothing"),
        ("https://[::ffff:10.0.0.1]/", "sends nothing"),
        ("https://exa mple.com/", "without user|blanks"),
        ("https://example.com:0/", "host name"),
        ("https://example.com:99999/", "web address"),
        ("https://" + "a" * 500 + ".com/", "host name"),
        ("javascript:alert(1)", "https"),
        ("", "https"),
    ],
)
def test_an_address_that_cannot_be_meant_is_refused(url: str, why: str) -> None:
    with pytest.raises(InvalidInput, match=why):
        services.check_url(url)


def test_a_name_that_leads_inside_is_not_called(
    receiver: Receiver, endpoint: Endpoint, settings: Any
) -> None:
    """Found out when something is sent, by the very address that would be connected to."""
    settings.M365_GATEWAY_URL = ""
    Endpoint.objects.update(url=receiver.url.replace("http://127.0.0.1", "https://localhost"))
    happen(proven("Alder"))
    (command,) = deliver()
    assert receiver.got == []
    assert "sends nothing" in command.message


def test_bad_wishes_are_refused_and_versions_compared(receiver: Receiver, endpoint: Endpoint) -> None:
    with pytest.raises(InvalidInput, match="no event"):
        services.add(SYSTEM, name="X", url=receiver.url, types=["tenant.gone"])
    with pytest.raises(InvalidInput, match="no customer"):
        services.add(SYSTEM, name="X", url=receiver.url, tenants=[uuid.uuid4()])
    with pytest.raises(InvalidInput, match="characters"):
        services.add(SYSTEM, name=" \n", url=receiver.url)
    services.change(SYSTEM, endpoint, name="Renamed", version=1)
    with pytest.raises(Conflict):
        services.change(SYSTEM, endpoint, name="Late", version=1)
    services.remove(SYSTEM, fresh(endpoint))
    assert not Endpoint.objects.exists()


def newest() -> int:
    with scope.every("a test looks"):
        return int(Event.objects.order_by("-id").values_list("id", flat=True)[0])
