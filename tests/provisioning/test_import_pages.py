"""Import CSV: template, preview, the wrong lines taken home, the right ones asked for."""

import csv
import io
from collections.abc import Callable

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from accounts.models import User
from provisioning.models import Change, Edit
from tenants import scope
from tests.api.conftest import add_user
from tests.cast import Cast
from tests.pages.helpers import post, text_of

pytestmark = pytest.mark.django_db
FILE = "User;Department\nlee.gu@canary-heron.example;Support\nann@canary-heron.example;Support\n"


def table(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text.removeprefix("\ufeff"))))


def test_a_file_is_looked_at_then_its_right_lines_are_asked_for(
    cast: Cast, client_of: Callable[[User], Client]
) -> None:
    add_user(cast.contoso, "Lee Gu", department="Sales")
    adam, url = client_of(cast.adam), f"/tenants/{cast.contoso.id}/changes/import/"
    assert "template.csv" in text_of(adam, url)
    assert table(text_of(adam, f"{url}template.csv")) == []
    (row,) = [each for each in table(text_of(adam, f"{url}present.csv")) if each["User"].startswith("lee.gu")]
    assert row["Department"] == "Sales"

    upload = {"file": SimpleUploadedFile("new.csv", FILE.encode("utf-16"))}
    page = post(adam, url, upload, 200).content.decode()
    assert "Ask for 1 change without the wrong lines" in page
    assert "The copy of the directory has no user ann@canary-heron.example." in page
    with scope.one(cast.contoso.id):
        assert not Change.objects.exists()
    home = post(adam, url, {"act": "refused", "text": FILE}, 200)
    (wrong,) = table(b"".join(home).decode())
    assert (wrong["Line"], wrong["Column"], wrong["Department"]) == ("3", "User", "Support")
    whole = table(b"".join(post(adam, url, {"act": "result", "text": FILE}, 200)).decode())
    assert [each["Outcome"] for each in whole] == ["To be changed", "Left out"]

    post(adam, url, {"act": "apply", "text": FILE, "name": "new.csv"})
    with scope.one(cast.contoso.id):
        assert [(one.aspect, one.wanted) for one in Change.objects.all()] == [("user:department", "Support")]
        assert (Edit.objects.get().source, Edit.objects.get().title) == ("csv", "new.csv")
        assert Change.objects.get().file_line == 2
    assert "CSV file: new.csv, line 2" in text_of(adam, f"/tenants/{cast.contoso.id}/changes/")


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"User,Shoe size\nlee,42\n", "Shoe size"),
        (b"PK\x03\x04", "It is a workbook"),
        (b"User\n" + b"x" * 2_000_000, "It is larger than 2 MB"),
        (b"User\n" + b"x\n" * 10_001, "It has more than 10,000 lines"),
    ],
)
def test_a_file_that_cannot_be_read_is_said_to_be_so(
    cast: Cast, client_of: Callable[[User], Client], content: bytes, why: str
) -> None:
    url = f"/tenants/{cast.contoso.id}/changes/import/"
    answer = post(client_of(cast.adam), url, {"file": SimpleUploadedFile("a.csv", content)}, 422)
    assert why in answer.content.decode()
