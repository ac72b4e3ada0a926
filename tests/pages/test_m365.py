"""Microsoft 365 Settings: what is said in each state, and which buttons there are (A5)."""

import time
import uuid
from collections.abc import Iterator

import pytest
from django.utils import timezone

from accounts import installation
from authstatus import qoe
from authstatus.models import QoeIntegration
from core.errors import UmpError
from directory import scoping
from invitations import selectors as invited
from invitations import services as invitations
from invitations.models import Invitation, Link
from replication import services as queue
from replication.models import Command, State
from tenants import grants, scope
from tenants.access import SYSTEM
from tenants.models import AppOwner, Cloud, Connection, Method, Tenant, Verification
from tests.cast import Cast, signed_in_at
from tests.directorypages.test_directory_pages import person
from tests.pages.helpers import SignIn, commands, connection, post, text_of, url, verified

pytestmark = pytest.mark.django_db
PAGE = "connection/"
PASSWORD = "Her~own~pass~word~1"
QOE = {"application_id": str(uuid.uuid4()), "password": "qoe~password~of~the~application"}


@pytest.fixture(autouse=True)
def _settings_of_this_test() -> Iterator[None]:
    """What a test allows is rolled back, and nobody remembers it."""
    installation.forget()
    yield
    installation.forget()


def by_account(tenant: Tenant, method: Method, account: str = "admin@contoso.example") -> None:
    """As if this administrator had signed in, or given the password."""
    client_id = connection(tenant).client_id
    with scope.one(tenant.id):
        grants.keep(
            SYSTEM, tenant, method, PASSWORD, account=account, cloud=Cloud.GLOBAL, app_owner=AppOwner.CUSTOMER,
            client_id=client_id,
        )  # fmt: skip


def invite(tenant: Tenant) -> Invitation:
    with scope.one(tenant.id):
        return invitations.invite(SYSTEM, tenant, email="it@contoso.example")


def buttons(page: str) -> list[str]:
    labels = ("Validate Authentication", "Switch to auth token (recommended way)", "Grant Consent",
              "Switch to user/pwd", "Resend invitation")  # fmt: skip
    return [label for label in labels if f"</svg> {label}</a>" in page]


def test_a_customer_finds_everything_in_one_place(cast: Cast, client_of: SignIn) -> None:
    verified(cast.contoso)
    page = text_of(client_of(cast.adam), url(cast.contoso, PAGE))
    for words in (
        "Last Authentication Status: Successful.", "User Name", "(Password not set)", "New passwords cannot be saved",
        "Your service provider can allow them", "QOE Integration with Microsoft Teams", "Azure Application Id",
        "Azure Application Password", "Save QOE Integration settings", "nothing here reads call records yet",
        "CsOnlineUser Filter", "None is set: everybody is in scope.", "Permissions", "Latest checks",
    ):  # fmt: skip
        assert words in page, words
    assert buttons(page) == ["Validate Authentication", "Grant Consent"]
    assert "Save Microsoft365 settings" not in page


def test_a_password_can_be_saved_where_the_settings_allow_it(cast: Cast, client_of: SignIn) -> None:
    installation.change(SYSTEM, "allow_password", True)
    by_account(cast.contoso, Method.PASSWORD)
    page = text_of(client_of(cast.adam), url(cast.contoso, PAGE))
    assert "Save Microsoft365 settings" in page
    assert "Confirm password" in page
    assert 'value="admin@contoso.example"' in page
    assert PASSWORD not in page
    assert buttons(page) == [
        "Validate Authentication", "Switch to auth token (recommended way)", "Grant Consent",
    ]  # fmt: skip


def test_on_token_no_password_is_asked_for_and_the_user_is_shown(cast: Cast, client_of: SignIn) -> None:
    one = person(cast.contoso, "Ada Admin", account_enabled=False)
    by_account(cast.contoso, Method.TOKEN, one.user_principal_name.upper())
    page = text_of(client_of(cast.adam), url(cast.contoso, PAGE))
    assert "The customer is configured to use Authentication Token, password is not needed." in page
    assert "User of the sync app" in page
    assert str(one.object_id) in page
    assert "no, blocked at Microsoft" in page
    assert buttons(page) == ["Validate Authentication", "Grant Consent", "Switch to user/pwd"]
    assert "Save Microsoft365 settings" not in page


def test_while_an_invitation_is_open(cast: Cast, client_of: SignIn) -> None:
    by_account(cast.contoso, Method.PASSWORD)
    invitation, client = invite(cast.contoso), client_of(cast.adam)
    page = text_of(client, url(cast.contoso, PAGE))
    assert "Tenant has open invitation." in page
    assert (
        "There is at least one Authentication Invitation sent to it@contoso.example, please go to customer portal "
        'as stated in the email or <a href="'
    ) in page
    assert buttons(page) == [
        "Validate Authentication", "Grant Consent", "Switch to user/pwd", "Resend invitation",
    ]  # fmt: skip
    assert "has to be used or taken back" in text_of(client, url(cast.contoso, "switch-to-token/"))
    assert "it@contoso.example" in text_of(client, url(cast.contoso, "resend-invitation/"))
    post(client, url(cast.contoso, "resend-invitation/"), {})
    assert commands(cast.contoso)[-1].target == str(invitation.pk)
    assert "stay in use" in text_of(client, url(cast.contoso, "keep-password/"))
    post(client, url(cast.contoso, "keep-password/"), {})
    with scope.one(cast.contoso.id):
        assert invited.open_of(cast.contoso) is None
    assert connection(cast.contoso).method == Method.PASSWORD
    for path in ("resend-invitation/", "keep-password/", "open-invitation/"):
        answer = client.get(url(cast.contoso, path), follow=True)
        assert "There is no open invitation any more." in answer.content.decode()


def test_click_here_goes_the_way_of_the_mail_by_a_link_of_its_own(cast: Cast, client_of: SignIn) -> None:
    invitation, client = invite(cast.contoso), client_of(cast.adam)
    text_of(client, url(cast.contoso, "open-invitation/"))
    with scope.one(cast.contoso.id):
        assert not Link.objects.filter(invitation=invitation).exists(), "looking makes no link"
    answer = post(client, url(cast.contoso, "open-invitation/"), {}, 200)
    address = answer.headers["Refresh"].removeprefix("0;url=")
    assert "/authenticate/" in address
    assert f'href="{address}"' in answer.content.decode()
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    with scope.one(cast.contoso.id):
        assert Link.objects.get(invitation=invitation).made_by == "Adam"


def test_who_may_only_look_has_no_button_and_no_form(cast: Cast, client_of: SignIn) -> None:
    invite(cast.contoso)
    page = text_of(client_of(cast.vera), url(cast.contoso, PAGE))
    assert buttons(page) == []
    assert "click here" not in page
    assert "Save QOE" not in page
    assert "Tenant has open invitation." in page
    for path in ("switch-to-token/", "resend-invitation/", "keep-password/", "connection/qoe/"):
        post(client_of(cast.vera), url(cast.contoso, path), {}, 403)
        post(client_of(cast.max), url(cast.contoso, path), {}, 404)


def test_the_live_part_follows_a_check_and_holds_no_form(cast: Cast, client_of: SignIn) -> None:
    client = client_of(cast.adam)
    assert "every 10s" in text_of(client, url(cast.contoso, PAGE))
    answer = post(client, url(cast.contoso, "check/?back=connection"), {})
    assert answer.headers["Location"] == url(cast.contoso, PAGE)
    assert "every 2s" in text_of(client, url(cast.contoso, PAGE))
    live = text_of(client, url(cast.contoso, "connection/live/"))
    assert "Validating credentials, please wait!" in live
    assert "<form" not in live


def test_any_other_page_is_not_gone_back_to(cast: Cast, client_of: SignIn) -> None:
    answer = post(client_of(cast.adam), url(cast.contoso, "check/?back=//evil.example"), {})
    assert answer.headers["Location"] == url(cast.contoso)


# --- QOE ----------------------------------------------------------------------------------------------------
def stored(tenant: Tenant) -> QoeIntegration | None:
    with scope.one(tenant.id):
        return qoe.of_tenant(tenant)


def test_a_qoe_application_is_saved_sealed_and_tried(cast: Cast, client_of: SignIn) -> None:
    client = client_of(cast.adam)
    answer = post(client, url(cast.contoso, "connection/qoe/"), QOE)
    assert answer.headers["Location"].endswith("/connection/#qoe")
    assert commands(cast.contoso)[-1].kind == "verify_qoe"
    page = text_of(client, url(cast.contoso, PAGE))
    assert QOE["application_id"] in page
    assert "tion</code>" in page, "the last four characters"
    assert QOE["password"] not in page
    assert "not tried yet" in page
    live = text_of(client, url(cast.contoso, "connection/qoe/live/"))
    assert "Being tried at Microsoft" in live
    assert "<form" not in live
    post(client, url(cast.contoso, "connection/qoe/check/"), {})
    assert "Nothing is changed at Microsoft" in text_of(client, url(cast.contoso, "connection/qoe/remove/"))
    post(client, url(cast.contoso, "connection/qoe/remove/"), {})
    assert stored(cast.contoso) is None


def test_whoever_enters_a_qoe_application_later_is_told(cast: Cast, client_of: SignIn) -> None:
    client, save, other = client_of(cast.adam), url(cast.contoso, "connection/qoe/"), str(uuid.uuid4())
    for version in (0, 2):
        assert f'name="version" value="{version}"' in text_of(client, url(cast.contoso, PAGE))
        post(client, save, {**QOE, "version": version})
        late = post(client, save, {**QOE, "version": version, "application_id": other}, 422).content.decode()
        assert "Somebody changed the QOE application since you last read it." in late
        assert other in late, "what was typed stays"
    kept = stored(cast.contoso)
    assert kept is not None
    assert str(kept.application_id) == QOE["application_id"]


def test_what_the_check_found_is_shown_with_its_age(cast: Cast, client_of: SignIn) -> None:
    with scope.one(cast.contoso.id):
        qoe.save(SYSTEM, cast.contoso, application_id=uuid.uuid4(), password=QOE["password"])
        problem = dict(UmpError.of("permission_missing", app="it", permission=qoe.NEEDED).to_dict())
        QoeIntegration.objects.filter(tenant=cast.contoso).update(
            verification=Verification.FAILED, verified_at=timezone.now(), problem=problem
        )
        Command.objects.filter(kind=qoe.VERIFY_QOE).update(state=State.FAILED, finished_at=timezone.now())
    page = text_of(client_of(cast.vera), url(cast.contoso, PAGE))
    assert "tried" in page
    assert "Missing: CallRecords.Read.All." in page
    assert "Whoever set up this application" in page


def test_a_secret_id_is_not_a_password(cast: Cast, client_of: SignIn) -> None:
    data = QOE | {"password": str(uuid.uuid4())}
    page = post(client_of(cast.adam), url(cast.contoso, "connection/qoe/"), data, 422).content.decode()
    assert "id_qoe_password_error" in page
    assert data["password"] not in page
    assert stored(cast.contoso) is None


def test_an_old_sign_in_shows_no_form_and_asks_first(cast: Cast, client_of: SignIn) -> None:
    client = client_of(cast.adam)
    signed_in_at(client, cast.adam, time.time() - 3600)
    page = text_of(client, url(cast.contoso, PAGE))
    assert "Save QOE" not in page
    assert "Enter the application" in page
    assert "/accounts/reauthenticate/" in post(client, url(cast.contoso, "connection/qoe/"), QOE)["Location"]
    assert stored(cast.contoso) is None


# --- The filter ---------------------------------------------------------------------------------------------
def test_the_filter_in_force_says_how_many_it_takes(cast: Cast, client_of: SignIn) -> None:
    person(cast.contoso, "Ann Archer", department="Sales")
    person(cast.contoso, "Bob Baker")
    with scope.one(cast.contoso.id):
        scoping.set_filter(SYSTEM, cast.contoso, "Department -eq 'Sales'")
    page = text_of(client_of(cast.adam), url(cast.contoso, PAGE))
    assert "<b>1 of 2</b> users are in scope" in page
    assert "Change and preview" in page


def test_the_password_of_an_old_customer_is_said_to_be_stored(cast: Cast, client_of: SignIn) -> None:
    by_account(cast.contoso, Method.PASSWORD)
    page = text_of(client_of(cast.adam), url(cast.contoso, PAGE))
    assert "stored; it can be replaced, never read again" in page
    assert "(Password not set)" not in page.split("QOE Integration")[0]


def test_without_a_connection(cast: Cast, client_of: SignIn) -> None:
    with scope.one(cast.contoso.id):
        queue.suspend_for(cast.contoso.id, "connection_missing")
        Connection.objects.filter(tenant=cast.contoso).delete()
    page = text_of(client_of(cast.adam), url(cast.contoso, PAGE))
    assert "Last Authentication Status: Never Performed." in page
    assert buttons(page) == ["Grant Consent"]
