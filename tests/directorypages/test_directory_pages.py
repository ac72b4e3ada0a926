"""The copy of a customer's directory as a browser sees it."""

import csv
import io
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection, transaction
from django.test import Client
from django.utils import timezone

from accounts.models import User
from directory.models import (
    DirectoryGroup,
    DirectoryUser,
    GroupMember,
    Mode,
    Stream,
    SubscribedSku,
    SyncStream,
)
from directory.sync.reading import fold
from replication import services as queue
from tenants import scope
from tenants.access import SYSTEM
from tenants.models import Connection, Tenant, Verification
from tests.cast import Cast
from tests.pages.helpers import verified
from tests.queuepages.test_lists import Counting, status_of, text_of

pytestmark = pytest.mark.django_db
SignIn = Callable[[User], Client]
PHONE = uuid.UUID("e43b5b99-8dfb-405f-9987-dc307f34bcbd")
UNLISTED = uuid.UUID(int=99)


def person(tenant: Tenant, name: str, **fields: Any) -> DirectoryUser:
    upn = fold(name).replace(" ", ".") + f"@{tenant.domain}"
    with scope.one(tenant.id):
        made: DirectoryUser = DirectoryUser.objects.create(
            tenant=tenant,
            object_id=fields.pop("object_id", uuid.uuid4()),
            display_name=name,
            user_principal_name=upn,
            search=fold(f"{name} {upn}"),
            **({"user_type": "Member"} | fields),
        )
    return made


def team(tenant: Tenant, name: str, members: list[tuple[uuid.UUID, str]], **fields: Any) -> DirectoryGroup:
    with scope.one(tenant.id):
        made: DirectoryGroup = DirectoryGroup.objects.create(
            tenant=tenant, object_id=uuid.uuid4(), display_name=name, search=fold(name),
            **({"security_enabled": True} | fields),
        )  # fmt: skip
        GroupMember.objects.bulk_create(
            GroupMember(tenant=tenant, group_id=made.object_id, member_id=member, member_type=kind)
            for member, kind in members
        )
    return made


def licence(tenant: Tenant, sku_id: uuid.UUID = PHONE, part: str = "MCOEV", **fields: Any) -> None:
    with scope.one(tenant.id):
        SubscribedSku.objects.create(
            tenant=tenant, sku_id=sku_id, part_number=part, capability_status="Enabled",
            **({"enabled": 25, "consumed": 20} | fields),
        )  # fmt: skip


def read(tenant: Tenant, **fields: Any) -> None:
    """The copy was read just now."""
    with scope.one(tenant.id):
        for stream in Stream:
            SyncStream.objects.create(
                tenant=tenant, stream=stream, mode=Mode.DELTA, synced_at=timezone.now(), **fields
            )
        Connection.objects.filter(tenant=tenant).update(verification=Verification.SUCCESSFUL)


def url(tenant: Tenant, rest: str = "users/") -> str:
    return f"/tenants/{tenant.id}/{rest}"


def names(client: Client, address: str) -> list[str]:
    return [str(row["user"]) for row in client.get(address).context["rows"]]


def test_the_list_shows_name_department_and_licences_in_words(cast: Cast, client_of: SignIn) -> None:
    read(cast.contoso)
    licence(cast.contoso)
    person(cast.contoso, "Émile Zola", department="Sales", sku_ids=[PHONE, UNLISTED], account_enabled=False)
    page = text_of(client_of(cast.vera), url(cast.contoso))
    for words in ("Émile Zola", f"emile.zola@{cast.contoso.domain}", "Sales", "Teams Phone Standard", "MCOEV",
                  "No, blocked", "Member", "by delta", "Showing 1 to 1 of 1 users"):  # fmt: skip
        assert words in page
    assert "not in the customer's list" in page


def test_a_foreign_customers_people_are_not_there(cast: Cast, client_of: SignIn) -> None:
    theirs = person(cast.fabrikam, "Frida Foreign")
    person(cast.contoso, "Carla Contoso")
    assert names(client_of(cast.adam), url(cast.contoso)) == ["Carla Contoso"]
    for rest in ("users/", "groups/", "licences/", f"users/{theirs.object_id}/", "users/export.csv"):
        assert status_of(client_of(cast.adam), url(cast.fabrikam, rest)) == 404
    assert status_of(client_of(cast.adam), url(cast.contoso, f"users/{theirs.object_id}/")) == 404
    csv_text = b"".join(client_of(cast.adam).get(url(cast.contoso, "users/export.csv")))  # type: ignore[arg-type]
    assert b"Frida" not in csv_text


def test_search_ignores_accents_capitals_and_order(cast: Cast, client_of: SignIn) -> None:
    zola = person(cast.contoso, "Émile Zola")
    person(cast.contoso, "Honoré de Balzac")
    client = client_of(cast.vera)
    for words in ("emile", "ÉMILE", "zola emile", f"emile.zola@{cast.contoso.domain}", str(zola.object_id)):
        assert names(client, f"{url(cast.contoso)}?q={words}") == ["Émile Zola"]
    assert names(client, f"{url(cast.contoso)}?q=%25") == [], "a sign of LIKE is a letter like any other"


def test_filters_and_sort(cast: Cast, client_of: SignIn) -> None:
    licence(cast.contoso)
    person(cast.contoso, "Anna", department="Sales", sku_ids=[PHONE])
    person(cast.contoso, "Bert", department="IT", account_enabled=False)
    person(cast.contoso, "Cleo", department="IT", user_type="Guest")
    client, address = client_of(cast.vera), url(cast.contoso)
    assert names(client, f"{address}?licence={PHONE}") == ["Anna"]
    assert names(client, f"{address}?licence=none") == ["Bert", "Cleo"]
    assert names(client, f"{address}?enabled=no") == ["Bert"]
    assert names(client, f"{address}?department=IT&type=Guest") == ["Cleo"]
    assert names(client, f"{address}?sort=-name") == ["Cleo", "Bert", "Anna"]
    assert names(client, f"{address}?sort=department") == ["Bert", "Cleo", "Anna"]
    assert names(client, f"{address}?licence=x&enabled=x&type=x&sort=x&page=x") == ["Anna", "Bert", "Cleo"]
    assert "Remove the filter Department: IT" in text_of(client, f"{address}?department=IT")


def test_as_many_queries_for_three_people_as_for_one(cast: Cast, client_of: SignIn) -> None:
    read(cast.contoso)
    licence(cast.contoso)
    client = client_of(cast.vera)
    counted = []
    for number in range(3):
        one = person(cast.contoso, f"Person {number}", sku_ids=[PHONE])
        team(cast.contoso, f"Team {number}", [(one.object_id, "user"), (uuid.uuid4(), "group")])
        group_url = url(
            cast.contoso, f"groups/{team(cast.contoso, 'All', [(one.object_id, 'user')]).object_id}/"
        )
        for address in (
            url(cast.contoso),
            url(cast.contoso, "groups/"),
            url(cast.contoso, "licences/"),
            group_url,
        ):
            with connection.execute_wrapper(counting := Counting()):
                client.get(address)
            counted.append(counting.count)
    assert counted[4:8] == counted[8:]


def test_the_csv_holds_everybody_who_matches(cast: Cast, client_of: SignIn) -> None:
    licence(cast.contoso)
    for number in range(5):
        person(cast.contoso, f"Person {number}", sku_ids=[PHONE] if number else [], job_title="=HYPERLINK()")
    answer = client_of(cast.vera).get(url(cast.contoso, f"users/export.csv?licence={PHONE}"))
    head, *rows = csv.reader(io.StringIO(str(b"".join(answer), "utf-8-sig")))  # type: ignore[arg-type]
    assert head[0] == "Name"
    assert [row[0] for row in rows] == ["Person 1", "Person 2", "Person 3", "Person 4"]
    assert {row[5] for row in rows} == {"Teams Phone Standard"}
    assert {row[4] for row in rows} == {"'=HYPERLINK()"}


def test_a_users_page_tells_everything(cast: Cast, client_of: SignIn) -> None:
    read(cast.contoso)
    licence(cast.contoso)
    one = person(cast.contoso, "Anna", job_title="Buyer", city="Utrecht", sku_ids=[PHONE])
    team(cast.contoso, "Buyers", [(one.object_id, "user")])
    page = text_of(client_of(cast.vera), url(cast.contoso, f"users/{one.object_id}/"))
    for words in (
        "Anna",
        "Buyer",
        "Utrecht",
        "Teams Phone Standard",
        "Buyers",
        str(one.object_id),
        "not set",
    ):
        assert words in page
    assert status_of(client_of(cast.vera), url(cast.contoso, f"users/{uuid.uuid4()}/")) == 404


def test_groups_are_found_by_kind(cast: Cast, client_of: SignIn) -> None:
    unified = {"group_types": "Unified DynamicMembership", "mail_enabled": True, "security_enabled": False}
    team(cast.contoso, "Everybody", [(uuid.uuid4(), "user"), (uuid.uuid4(), "user")], **unified)
    team(cast.contoso, "Doors", [])
    team(cast.contoso, "News", [], mail_enabled=True, security_enabled=False)
    client, address = client_of(cast.vera), url(cast.contoso, "groups/")

    def found(query: str = "") -> list[tuple[str, str, int]]:
        rows = client.get(f"{address}?{query}").context["rows"]
        return [(str(row["group"]), row["group"].kind, row["members"]) for row in rows]

    assert found() == [
        ("Doors", "Security", 0),
        ("Everybody", "Microsoft 365", 2),
        ("News", "Distribution", 0),
    ]
    for kind in ("Security", "Microsoft 365", "Distribution"):
        assert [row[1] for row in found(f"kind={kind}")] == [kind]
    assert [row[0] for row in found("dynamic=yes")] == ["Everybody"]
    assert [row[0] for row in found("q=door")] == ["Doors"]


def test_members_unknown_so_far_are_said_to_be_so(cast: Cast, client_of: SignIn) -> None:
    anna = person(cast.contoso, "Anna")
    nested = team(cast.contoso, "Nested", [])
    unknown, device = uuid.uuid4(), uuid.uuid4()
    everyone = team(
        cast.contoso,
        "Everyone",
        [(anna.object_id, "user"), (nested.object_id, "group"), (unknown, "user"), (device, "device")],
    )
    page = text_of(client_of(cast.vera), url(cast.contoso, f"groups/{everyone.object_id}/"))
    for words in ("Anna", "Nested", str(unknown), str(device), "Device", "Showing 1 to 4 of 4 members"):
        assert words in page
    assert page.count("Not in the copy yet") == 2
    found = client_of(cast.vera).get(url(cast.contoso, f"groups/{everyone.object_id}/?q=anna"))
    assert [row["name"] for row in found.context["rows"]] == ["Anna"]
    text = b"".join(client_of(cast.vera).get(url(cast.contoso, f"groups/{everyone.object_id}/export.csv")))  # type: ignore[arg-type]
    assert str(unknown).encode() in text
    assert b"Anna" in text


def test_members_run_over_pages(cast: Cast, client_of: SignIn) -> None:
    people = [person(cast.contoso, f"Person {number:02}") for number in range(12)]
    strangers = [uuid.UUID(int=number) for number in range(1, 12)]
    one = team(
        cast.contoso,
        "All",
        [(each.object_id, "user") for each in people] + [(each, "user") for each in strangers],
    )
    seen: list[Any] = []
    for number in (1, 2, 3):
        page = client_of(cast.vera).get(url(cast.contoso, f"groups/{one.object_id}/?page={number}"))
        seen += [row["id"] for row in page.context["rows"]]
    assert seen == [each.object_id for each in people] + strangers


def test_licences_say_what_is_free(cast: Cast, client_of: SignIn) -> None:
    read(cast.contoso)
    licence(cast.contoso)
    licence(cast.contoso, UNLISTED, "SPE_E5", enabled=5, consumed=7, warning=1)
    page = text_of(client_of(cast.vera), url(cast.contoso, "licences/"))
    for words in (
        "Teams Phone Standard",
        "MCOEV",
        "Microsoft 365 E5",
        ">25<",
        ">20<",
        ">5<",
        "More are in use",
    ):
        assert words in page
    assert "Showing 1 to 2 of 2 licences" in page
    rows = client_of(cast.vera).get(url(cast.contoso, "licences/?sort=free")).context["rows"]
    assert [row["sku"].part_number for row in rows] == ["SPE_E5", "MCOEV"]


def reasons(client: Client, address: str) -> str:
    return " | ".join(reason.text for reason in client.get(address).context["reasons"])


def test_nothing_says_why(cast: Cast, client_of: SignIn) -> None:
    client, address = client_of(cast.adam), url(cast.contoso)
    assert "has not been checked" in reasons(client, address)
    assert "never been read" in reasons(client, address)
    with scope.one(cast.contoso.id):
        command = queue.submit(SYSTEM, "sync", cast.contoso)
    assert "on its way" in reasons(client, address)
    assert f"commands/{command.id}/" in text_of(client, address)
    read(cast.contoso)
    assert "has not been checked" not in reasons(client, address)
    with scope.one(cast.contoso.id):
        SyncStream.objects.update(error={"message": "Microsoft had trouble."})
        Tenant.objects.update(paused_at=timezone.now(), paused_by="Olga")
    assert "The last read failed: Microsoft had trouble." in reasons(client, address)
    assert "paused or disabled" in reasons(client, address)
    assert "never been read" not in reasons(client, url(cast.contoso, "licences/"))


def test_an_empty_search_says_where_it_may_be(cast: Cast, client_of: SignIn) -> None:
    read(cast.contoso)
    anna = person(cast.contoso, "Anna", department="Sales")
    person(cast.contoso, "Bert", department="IT")
    stranger = uuid.uuid4()
    team(cast.contoso, "Buyers", [(stranger, "device")])
    client, address = client_of(cast.adam), url(cast.contoso)
    assert "1 entry matches the search, but your filters leave it out" in reasons(
        client, f"{address}?q=anna&department=IT"
    )
    assert "There is a group of that name: Buyers" in reasons(client, f"{address}?q=buyers")
    assert "(device) is a member of a group" in reasons(client, f"{address}?q={stranger}")
    assert "in fabrikam.example" in reasons(client, f"{address}?q=anna@fabrikam.example")
    assert "arrives with the next one" in reasons(client, f"{address}?q=nobody")
    assert "There is a user of that name: Anna" in reasons(
        client, url(cast.contoso, f"groups/?q={anna.object_id}")
    )


def test_who_may_not_start_a_replication_sees_no_button(cast: Cast, client_of: SignIn) -> None:
    person(cast.contoso, "Anna")
    unproven = text_of(client_of(cast.adam), url(cast.contoso))
    assert "queue-replication" not in unproven, (
        "nothing would be read with credentials that no check has proven"
    )
    assert "Nothing can be replicated until a check" in unproven
    verified(cast.contoso)
    assert "queue-replication" in text_of(client_of(cast.adam), url(cast.contoso))
    theirs = text_of(client_of(cast.vera), url(cast.contoso))
    assert "queue-replication" not in theirs
    assert "Nothing can be replicated" not in theirs
    with transaction.atomic():
        assert client_of(cast.nora).get(url(cast.contoso)).status_code == 404
