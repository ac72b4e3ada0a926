"""Pages of numbers and users: states, whom they belong to, and where Microsoft and the SBCs disagree."""

import csv
import datetime as dt
import io
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import User
from domains.models import CustomDomain, DomainState
from replication import services as queue
from replication.models import Command
from sbc.models import Sbc
from telephony import holds, ranges
from telephony.commands import KINDS
from telephony.intervals import between
from telephony.landing import place_of
from telephony.models import Stream
from tenants import recent, scope
from tenants.access import SYSTEM
from tenants.models import Cloud, Connection, Tenant
from tests.cast import Cast
from tests.pages.test_at_size import FREE
from tests.telephony.making import (
    add_number,
    add_person,
    add_policy,
    add_rule,
    add_sbc,
    keep_stream,
)

SignIn = Callable[[User], Client]


def text(answer: Any) -> str:
    assert answer.status_code == 200, answer.content[:500]
    return " ".join(answer.content.decode().split())


def table(page: str) -> list[str]:
    """The rows of the list."""
    body = page.partition("<tbody>")[2].partition("</tbody>")[0]
    return body.split("<tr>")[1:]


def lines(answer: Any) -> list[list[str]]:
    content = b"".join(answer.streaming_content).decode("utf-8-sig")
    return list(csv.reader(io.StringIO(content)))


@pytest.fixture
def contoso(cast: Cast) -> Tenant:
    """Ann has a number on the SBC, Bea one that no rule takes; others are free, cooling, reserved and blocked."""
    tenant = cast.contoso
    ann, bea = add_person(tenant, "Ann Adler", "+41589061000"), add_person(tenant, "Bea Bell", "+41445550101")
    add_number(tenant, "+41589061000", ann)
    add_number(tenant, "+41445550101", bea)
    add_number(tenant, "+41589061001")
    add_number(tenant, "+41589061002", freed_at=timezone.now() - dt.timedelta(days=2))
    add_number(tenant, "+41589061003", capabilities="conferenceAssignment")
    add_number(tenant, "+41589061004", activation="assignmentFailed")
    add_number(
        tenant, "+41589061005", kind="callingPlan", status="voiceApplicationAssigned", target=uuid.uuid4()
    )
    sbc = add_sbc()
    low = place_of("+41589061000")
    add_rule(sbc, str(tenant.entra_tenant_id), (low, low + 10**7), prefix="+41589061[000-999]")
    add_rule(sbc, str(tenant.id).upper(), (place_of("+4431"), place_of("+4432")), prefix="+4431")
    other = place_of("+41445550")
    add_rule(sbc, "somebody.else.example", (other, other + 10**6), prefix="+41445550")
    keep_stream(tenant, Stream.NUMBERS, synced_at=timezone.now(), rows=7)
    keep_stream(tenant, Stream.USERS, synced_at=timezone.now(), rows=2)
    return tenant


def test_where_they_disagree_comes_first(contoso: Tenant, cast: Cast, client_of: SignIn) -> None:
    page = text(client_of(cast.vera).get(f"/tenants/{contoso.id}/numbers/"))
    rows = table(page)
    assert "+41445550101" in rows[0]
    assert "No rule" in rows[0]
    assert "Bea Bell" in rows[0]
    assert "No rule" not in "".join(rows[1:])
    assert "1 number is assigned at Microsoft, but no rule" in page
    assert "<code>+4431</code>" in page, "a rule without a number"
    assert "+41589061[000-999]" not in page
    assert "sbc1.provider.example" not in page, "the provider's devices are nobody else's business"
    for words in ("Assigned: 3", "Free: 1", "Cooling: 1", "Reserved: 1", "Blocked: 1"):
        assert words in page
    assert "not in the copy of the directory" in page


@pytest.mark.parametrize("state", DomainState)
def test_rules_of_a_domain_are_those_of_who_has_it(
    contoso: Tenant, cast: Cast, client_of: SignIn, state: DomainState
) -> None:
    """A name that was removed may be the next customer's, and one that is not verified may be anybody's."""
    with scope.one(contoso.id):
        CustomDomain.objects.create(tenant=contoso, name="voice.example", state=state, set_by="x")
    sbc = Sbc.objects.get()
    add_rule(sbc, "Voice.example", (place_of("+41445550"), place_of("+41445551")), prefix="+41445550")
    add_rule(sbc, "voice.example", (place_of("+4432"), place_of("+4433")), prefix="+4432")
    page = text(client_of(cast.vera).get(f"/tenants/{contoso.id}/numbers/"))
    whose = state == DomainState.READY
    assert ("<code>+4432</code>" in page) is whose
    assert ("No rule" in "".join(table(page))) is not whose, "of +41445550101"


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("state=cooling", {"+41589061002"}),
        ("state=reserved", {"+41589061003"}),
        ("state=blocked", {"+41589061004"}),
        ("kind=callingPlan", {"+41589061005"}),
        ("sbc=mismatch", {"+41445550101"}),
        ("sbc=no", {"+41445550101"}),
        ("q=58+906+10+01", {"+41589061001"}),
        ("q=adler", {"+41589061000"}),
        ("q=nobody", set()),
    ],
)
def test_numbers_are_found(
    contoso: Tenant, cast: Cast, client_of: SignIn, query: str, found: set[str]
) -> None:
    client = client_of(cast.olga)
    rows = table(text(client.get(f"/tenants/{contoso.id}/numbers/?{query}")))
    assert len(rows) == len(found)
    assert all(number in "".join(rows) for number in found)
    head, *listed = lines(client.get(f"/tenants/{contoso.id}/numbers/export.csv?{query}"))
    assert {row[0] for row in listed} == found
    assert head[0] == "Number"


def test_a_provider_sees_which_device(contoso: Tenant, cast: Cast, client_of: SignIn) -> None:
    page = text(client_of(cast.olga).get(f"/tenants/{contoso.id}/numbers/?q=adler"))
    assert "sbc1.provider.example" in page


def queries(client: Client, path: str) -> int:
    client.get(path)
    with CaptureQueriesContext(connection) as seen:
        assert client.get(path).status_code == 200
    return len(seen)


@pytest.mark.parametrize("path", ["/tenants/{}/numbers/", "/numbers/", "/tenants/{}/users/"])
def test_as_many_queries_with_one_row_as_with_three(cast: Cast, client_of: SignIn, path: str) -> None:
    client, at = client_of(cast.olga), path.format(cast.contoso.id)
    low = place_of("+41589061000")
    add_rule(add_sbc(), str(cast.contoso.entra_tenant_id), (low, low + 10**9))
    add_number(cast.contoso, "+41589061000", add_person(cast.contoso, "Ann Adler", "+41589061000"))
    one = queries(client, at)
    for number in ("+41589061001", "+41589061002"):
        add_number(cast.contoso, number, add_person(cast.contoso, f"Bea {number[-1]}", number))
    add_number(cast.fabrikam, "+41589061001", add_person(cast.fabrikam, "Max Other", "+41589061001"))
    assert queries(client, at) == one


@pytest.mark.parametrize("path", ["/tenants/{}/numbers/", "/numbers/"])
def test_everything_there_is_to_say_of_numbers_takes_twelve_queries(
    contoso: Tenant, cast: Cast, client_of: SignIn, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recent, "FRESH_SECONDS", 3_600.0)
    keep_stream(cast.fabrikam, Stream.NUMBERS, synced_at=timezone.now(), rows=1)
    with scope.one(contoso.id):
        rule = between("+41589061000", "+41589061999")
        ranges.add(
            SYSTEM, contoso, name="Main", kind="callingPlan", first="+41589061000", last="+41589061999"
        )
        holds.block(SYSTEM, contoso, [rule], reason="wrong routing")
        queue.submit(SYSTEM, KINDS[Stream.NUMBERS], contoso)
    client, at = client_of(cast.olga), path.format(contoso.id)
    client.get("/audit/")  # counts what stands beside the tree
    with CaptureQueriesContext(connection) as seen:
        page = text(client.get(at))
    assert "Ann Adler" in page
    asked = [each["sql"] for each in seen.captured_queries if not FREE.match(each["sql"])]
    assert len(asked) <= 12, "\n".join(asked)


def test_all_customers_numbers(contoso: Tenant, cast: Cast, client_of: SignIn) -> None:
    add_number(cast.fabrikam, "+41589061001")
    page = text(client_of(cast.olga).get("/numbers/?q=41589061001"))
    assert len(table(page)) == 2
    assert {"Contoso", "Fabrikam"} <= {name for name in ("Contoso", "Fabrikam") if name in page}
    own = client_of(cast.vera)
    assert "Fabrikam" not in text(own.get("/numbers/"))
    listed = lines(own.get("/numbers/export.csv"))
    assert {row[0] for row in listed[1:]} == {contoso.name}
    assert len(listed) == 8


def test_a_number_is_found_by_its_digits(contoso: Tenant, cast: Cast, client_of: SignIn) -> None:
    add_number(cast.fabrikam, "+41589061001")
    page = text(client_of(cast.olga).get("/search?q=58+906+10+01"))
    assert page.count(">+41589061001</a>") == 2
    assert f"/tenants/{contoso.id}/numbers/?q=%2B41589061001" in page
    assert text(client_of(cast.vera).get("/search?q=58+906+10+01")).count(">+41589061001</a>") == 1


def test_a_users_page_tells_number_licence_and_policies(
    contoso: Tenant, cast: Cast, client_of: SignIn
) -> None:
    user = add_person(contoso, "Cora Cole", "+41589061007")
    add_number(contoso, "+41589061007", user)
    add_policy(contoso, "OnlineVoiceRoutingPolicy", "Domestic", user)
    add_policy(contoso, "TeamsCallingPolicy", "No forwarding", user, source="group")
    client = client_of(cast.vera)
    page = text(client.get(f"/tenants/{contoso.id}/users/{user}/"))
    for words in (
        "+41589061007",
        "Direct Routing",
        "Teams Phone",
        "Domestic",
        "by a group",
        "assigned to the user",
    ):
        assert words in page
    plain = add_person(contoso, "Dora Dent", features="Teams")
    page = text(client.get(f"/tenants/{contoso.id}/users/{plain}/"))
    assert "No Teams Phone licence" in page
    assert "Every type has the organisation" in page
    page = text(client.get(f"/tenants/{contoso.id}/users/"))
    assert "+41589061007" in page
    assert "no Teams Phone" in page


def test_nothing_yet_says_what_to_do(cast: Cast, client_of: SignIn) -> None:
    client = client_of(cast.olga)
    page = text(client_of(cast.vera).get(f"/tenants/{cast.contoso.id}/numbers/"))
    assert "No numbers yet" in page
    assert "No numbers yet" in text(client.get("/numbers/"))
    with scope.one(cast.contoso.id):
        Connection.objects.filter(tenant=cast.contoso).update(cloud=Cloud.GCC_HIGH)
        if not Connection.objects.filter(tenant=cast.contoso).exists():
            Connection.objects.create(tenant=cast.contoso, cloud=Cloud.GCC_HIGH, client_id=uuid.uuid4())
    page = text(client.get(f"/tenants/{cast.contoso.id}/numbers/"))
    assert "Microsoft Graph has no telephony" in page
    assert "Read from Microsoft" not in page


def test_what_the_last_reading_lacked(cast: Cast, client_of: SignIn) -> None:
    error = {"message": "TeamsTelephoneNumber.Read.All is missing.", "advice": "Give it."}
    keep_stream(cast.contoso, Stream.NUMBERS, error=error)
    page = text(client_of(cast.vera).get(f"/tenants/{cast.contoso.id}/numbers/"))
    assert "TeamsTelephoneNumber.Read.All is missing. Give it." in page


def test_reading_now_queues_all_three(cast: Cast, client_of: SignIn) -> None:
    answer = client_of(cast.olga).post(f"/tenants/{cast.contoso.id}/numbers/read/")
    assert answer.status_code == 303
    with scope.one(cast.contoso.id):
        kinds = list(Command.objects.order_by("id").values_list("kind", flat=True))
    assert kinds == ["teams_users", "teams_policies", "number_assignments"]
    assert client_of(cast.vera).post(f"/tenants/{cast.contoso.id}/numbers/read/").status_code == 403
