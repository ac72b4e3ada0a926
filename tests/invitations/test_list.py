"""Customer Invitations: the columns, the filters, what each person may do, and what each press does."""

import datetime as dt
import re
import uuid
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from audit.models import Entry
from invitations import listing, services
from invitations.models import Invitation, Link, Stage
from replication.models import Command
from tenants import scope
from tenants import services as tenants
from tenants.access import SYSTEM
from tests.cast import CANARY_FABRIKAM, Cast, signed_in_at
from tests.invitations.conftest import again
from tests.pages.helpers import SignIn, post, text_of

pytestmark = pytest.mark.django_db
MOMENTS: dict[Stage, dict[str, Any]] = {
    Stage.UNSENT: {},
    Stage.UNDELIVERED: {"undelivered": {"message": "The mail server refused x.", "code": "mail_address"}},
    Stage.OPEN: {"sent_count": 1, "sent_at": timezone.now()},
    Stage.OPENED: {"sent_count": 1, "opened_at": timezone.now()},
    Stage.STARTED: {"started_at": timezone.now()},
    Stage.UNCONFIRMED: {"signed_in_at": timezone.now(), "found_tenant_id": uuid.UUID(int=7)},
    Stage.PROVING: {"signed_in_at": timezone.now()},
    Stage.DONE: {"done_at": timezone.now()},
    Stage.EXPIRED: {"expires_at": timezone.now() - dt.timedelta(seconds=1)},
    Stage.REVOKED: {"revoked_at": timezone.now()},
}


def moved(invitation: Invitation, **moments: Any) -> Invitation:
    with scope.every("a test moves it on"):
        Invitation.objects.filter(id=invitation.pk).update(**moments)
    return again(invitation)


@pytest.fixture
def base(invitation: Invitation) -> str:
    return f"/tenants/{invitation.tenant_id}/invitations/{invitation.pk}/"


@pytest.mark.parametrize("stage", list(Stage))
def test_the_filter_of_each_stage_finds_what_the_row_says(
    stage: Stage, invitation: Invitation, cast: Cast, client_of: SignIn
) -> None:
    assert moved(invitation, **MOMENTS[stage]).stage == stage
    olga = client_of(cast.olga)
    for other in Stage:
        found = "admin@contoso.example" in text_of(olga, f"/invitations/?stage={other}")
        assert found == (other == stage), other
    is_open = "admin@contoso.example" in text_of(olga, "/invitations/?stage=any_open")
    assert is_open == (stage not in {Stage.DONE, Stage.EXPIRED, Stage.REVOKED})
    page = text_of(olga, "/invitations/")
    assert stage.label in page
    assert listing.NEXT[stage].split(",")[0] in text_of(
        olga, f"/tenants/{invitation.tenant_id}/invitations/"
    ).replace("&#x27;", "'")


def test_the_columns_are_those_of_the_specification(
    invitation: Invitation, cast: Cast, client_of: SignIn
) -> None:
    page = text_of(client_of(cast.olga), "/invitations/")
    heads = [
        re.sub(r"<[^>]+>", "", head).strip()
        for head in re.findall(r"<th scope=\"col\".*?</th>", page, re.DOTALL)
    ]
    for name in (
        "ID", "Full Name", "Invitation Email", "M365 Admin Email", "Email Sent", "Email Invitation Sent Count",
        "Created at", "Expires at", "Device Authenticated", "Invitation Type", "Tenant Installed", "Actions",
    ):  # fmt: skip
        assert name in heads
    for label in ("Send Reminder", "Revoke Request", "Auth URL", "Edit", "Resend", "Reload data"):
        assert label in page
    assert f"{invitation.expires_at:%Y-%m-%d}" in page


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("contoso", True),
        ("ADELE", True),
        ("admin@cont", True),
        ("fabrikam", False),
        ("99999999999999999999", False),
    ],
)
def test_search(typed: str, found: bool, invitation: Invitation, cast: Cast, client_of: SignIn) -> None:
    page = text_of(client_of(cast.olga), f"/invitations/?q={typed}")
    assert ("admin@contoso.example" in page) == found
    assert f"/invitations/{invitation.pk}/" in text_of(
        client_of(cast.olga), f"/invitations/?q={invitation.pk}"
    )


def test_a_longer_list_asks_no_more(
    invitation: Invitation, cast: Cast, client_of: SignIn, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    olga = client_of(cast.olga)
    text_of(olga, "/invitations/")
    with CaptureQueriesContext(connection) as one:
        text_of(olga, "/invitations/")
    for name in ("A", "B"):
        tenant = tenants.add_tenant(SYSTEM, name=name, entra_tenant_id=None)
        with scope.one(tenant.id):
            services.invite(SYSTEM, tenant, email=f"{name}@x.example")
    with django_assert_num_queries(len(one)):
        text_of(olga, "/invitations/")


def test_who_sees_what(invitation: Invitation, base: str, cast: Cast, client_of: SignIn) -> None:
    with scope.one(cast.fabrikam.id):
        services.invite(cast.actor("olga"), cast.fabrikam, email=f"a@{CANARY_FABRIKAM}.example")
    otto, mona, adam = (client_of(getattr(cast, name)) for name in ("otto", "mona", "adam"))
    assert CANARY_FABRIKAM not in text_of(otto, "/invitations/") + text_of(otto, "/invitations/new/")
    assert CANARY_FABRIKAM not in b"".join(otto.get("/invitations/export.csv")).decode()
    assert "Send Reminder" in text_of(otto, base)
    assert "Send Reminder" not in text_of(mona, base) + text_of(mona, "/invitations/")
    post(mona, f"{base}remind/", {}, 403)
    for address, status in (("/invitations/", 404), (base, 403), ("/invitations/new/", 404)):
        text_of(adam, address, status)
    assert "/invitations/" not in text_of(adam, f"/tenants/{cast.contoso.id}/")


def test_the_csv_has_the_columns_and_no_formulas(
    invitation: Invitation, cast: Cast, client_of: SignIn
) -> None:
    moved(invitation, full_name='=HYPERLINK("http://x")')
    answer = client_of(cast.olga).get("/invitations/export.csv")
    lines = b"".join(answer).decode().splitlines()
    assert lines[0].startswith("\ufeffID,Customer,Full Name,Invitation Email")
    assert "'=HYPERLINK" in lines[1]


def test_invite_remind_edit_resend_revoke_by_hand(cast: Cast, client_of: SignIn) -> None:
    olga, contoso = client_of(cast.olga), cast.contoso
    post(olga, f"/tenants/{contoso.id}/invite/", {"email": "nonsense"}, 422)
    answer = olga.post(
        f"/tenants/{contoso.id}/invite/",
        {"email": "it@contoso.example", "full_name": "Ida", "portal_account": "on"},
    )
    assert answer.status_code == 303
    base = answer["Location"]
    assert "Tenant has open invitation." in text_of(olga, f"/tenants/{contoso.id}/invite/")
    post(olga, f"/tenants/{contoso.id}/invite/", {"email": "b@c.example"}, 409)
    with scope.every("a test looks"):
        made = Invitation.objects.get()
    assert (made.type, made.full_name, made.portal_account) == ("request", "Ida", True)
    assert olga.post(f"{base}remind/")["Location"] == base
    version = services.version_of(made)
    sent = {"email": "new@contoso.example", "full_name": "Ida", "version": version}
    assert olga.post(f"{base}edit/", sent)["Location"] == base
    assert "changed" in post(olga, f"{base}edit/", sent | {"full_name": "Else"}, 422).content.decode()
    assert again(made).email == "new@contoso.example"
    assert "earlier link is dead" in text_of(olga, f"{base}resend/")
    assert olga.post(f"{base}resend/")["Location"] == base
    assert olga.post(f"{base}revoke/")["Location"] == base
    assert again(made).stage == Stage.REVOKED
    for act in ("remind", "resend", "revoke", "edit"):
        post(olga, f"{base}{act}/", sent, 410)
    with scope.every("a test looks"):
        wishes = Command.objects.filter(kind="send_invitation").order_by("id")
        assert [wish.params for wish in wishes] == [
            {"why": "resend"}
        ]  # all joined the mail that still waited


def test_the_link_is_told_once_to_somebody_who_just_signed_in(
    invitation: Invitation, base: str, cast: Cast, client_of: SignIn
) -> None:
    olga = client_of(cast.olga)
    assert olga.get(f"{base}auth-url/").status_code == 200
    with scope.every("a test looks"):
        assert Link.objects.count() == 0
    page = olga.post(f"{base}auth-url/")
    token = re.search(r"/authenticate/([\w-]{43})", page.content.decode())
    assert token is not None
    with scope.every("a test looks"):
        link = Link.objects.get()
        assert (link.token_hash, link.mailed) == (services.hash_of(token[1]), False)
        assert token[1] not in repr(list(Entry.objects.values()))
        assert Entry.objects.filter(action="invitation.link_copied").count() == 1
    assert token[1] not in text_of(olga, f"{base}auth-url/") + text_of(olga, base)
    assert page["Cache-Control"].startswith("max-age=0, no-cache, no-store")
    signed_in_at(olga, cast.olga, 0)
    assert "/accounts/reauthenticate/" in olga.post(f"{base}auth-url/")["Location"]


def test_the_organisation_page_asks_only_while_something_waits(
    invitation: Invitation, base: str, cast: Cast, client_of: SignIn
) -> None:
    olga = client_of(cast.olga)
    assert olga.get(f"{base}organisation/")["Location"] == base
    moved(
        invitation,
        signed_in_at=timezone.now(),
        found_tenant_id=uuid.UUID(int=7),
        found_name="Contoso <b>Ltd</b>",
        found_domains=["contoso.com"],
        found_account="admin@contoso.com",
    )
    page = text_of(olga, f"{base}organisation/")
    assert "contoso.com" in page
    assert "Contoso &lt;b&gt;Ltd" in page
    assert "Confirm the organisation" in text_of(olga, base)


def test_one_that_expired_gives_way_to_a_new_one(
    invitation: Invitation, cast: Cast, client_of: SignIn
) -> None:
    moved(invitation, **MOMENTS[Stage.EXPIRED])
    olga = client_of(cast.olga)
    assert "Invite again" in text_of(olga, f"/tenants/{cast.contoso.id}/invitations/")
    answer = olga.post(f"/tenants/{cast.contoso.id}/invite/", {"email": "b@c.example"})
    assert answer.status_code == 303
    assert again(invitation).stage == Stage.REVOKED
    page = text_of(olga, f"/tenants/{cast.contoso.id}/invitations/")
    assert f"Invitation {invitation.pk}" in page, "the earlier one stands below"


def test_empty_states_say_what_to_do(cast: Cast, client_of: SignIn) -> None:
    olga, mona = client_of(cast.olga), client_of(cast.mona)
    assert "No invitations yet" in text_of(olga, "/invitations/")
    assert "/invitations/new/" not in text_of(mona, "/invitations/")
    assert "No invitation matches" in text_of(olga, "/invitations/?q=nobody")
    assert "No customer matches" in text_of(olga, "/invitations/new/?q=nobody")
    assert f"/tenants/{cast.contoso.id}/invite/" in text_of(olga, "/invitations/new/")


def test_live_cells_tell_only_of_visible_invitations(
    invitation: Invitation, cast: Cast, client_of: SignIn
) -> None:
    page = text_of(
        client_of(cast.olga), f"/invitations/live/?id={invitation.pk}&id=999999999999999999999&id=x"
    )
    assert f'id="stands-{invitation.pk}"' in page
    with scope.one(cast.fabrikam.id):
        other = services.invite(cast.actor("olga"), cast.fabrikam, email="a@b.example")
    assert f"stands-{other.pk}" not in text_of(client_of(cast.otto), f"/invitations/live/?id={other.pk}")
