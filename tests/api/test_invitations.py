"""/invitations: who may, what is told, and that a link is told once."""

import re
import uuid
from collections.abc import Callable, Iterator

import pytest
from django.db.models.functions import Now

from accounts import installation
from audit.models import Entry
from invitations import services
from invitations.models import Invitation, Link
from invitations.template import LINK
from tenants import scope, secrets
from tenants.abilities import Role
from tenants.models import SecretKind
from tests.api.conftest import Api
from tests.cast import CANARY_FABRIKAM, Cast

pytestmark = pytest.mark.django_db
ApiOf = Callable[..., Api]


@pytest.fixture(autouse=True)
def _read_anew() -> Iterator[None]:
    installation.forget()
    yield
    installation.forget()


@pytest.fixture
def place(cast: Cast) -> str:
    return f"tenants/{cast.contoso.id}/invitations"


def test_invite_read_correct_remind_resend_revoke(cast: Cast, api_of: ApiOf, place: str) -> None:
    api = api_of(Role.OPERATOR)
    made = api.post(place, {"email": "it@contoso.example", "full_name": "Ida"})
    assert (made.status, made.json["stage"], made.json["type"]) == (201, "unsent", "request")
    assert made.headers["Location"] == made.json["url"]
    one = f"{place}/{made.json['id']}"
    assert api.post(place, {"email": "b@c.example"}).code == "invitation_open"
    assert api.get(one).headers["ETag"] == made.headers["ETag"]
    changed = api.patch(one, {"email": "new@contoso.example"}, If_Match=made.headers["ETag"])
    assert (changed.status, changed.json["email"], changed.json["full_name"]) == (
        200,
        "new@contoso.example",
        "Ida",
    )
    assert api.patch(one, {"full_name": "Else"}, If_Match=made.headers["ETag"]).status == 412
    for act in ("remind", "resend"):
        assert api.post(f"{one}/{act}").json["kind"] == "send_invitation"
    gone = api.post(f"{one}/revoke")
    assert (gone.status, gone.json["stage"], gone.json["revoked_by"]) == (
        200,
        "revoked",
        gone.json["revoked_by"],
    )
    assert api.post(f"{one}/remind").code == "invitation_revoked"
    assert [row["id"] for row in api.get("invitations?open=false").json["results"]] == [made.json["id"]]
    assert api.get("invitations?open=true").json["results"] == []
    assert len(api.get("invitations?stage=revoked&search=IDA").json["results"]) == 1
    assert api.get(f"{place}?type=invite").json["results"] == []


def test_a_link_is_told_once_even_to_who_repeats(cast: Cast, api_of: ApiOf, place: str) -> None:
    api = api_of(Role.OPERATOR)
    number = api.post(place, {"email": "it@contoso.example"}).json["id"]
    told = api.post(f"{place}/{number}/auth-url", Idempotency_Key="once")
    assert told.status == 201
    token = re.search(r"/authenticate/([\w-]{43})$", told.json["url"])
    assert token is not None
    again = api.post(f"{place}/{number}/auth-url", Idempotency_Key="once")
    assert again.status == 409
    assert token[1] not in again.text + api.get(f"{place}/{number}").text
    with scope.every("a test looks"):
        assert [link.token_hash for link in Link.objects.all()] == [services.hash_of(token[1])]
        assert Entry.objects.filter(action="invitation.link_copied").count() == 1


def test_who_may(cast: Cast, api_of: ApiOf, place: str) -> None:
    with scope.one(cast.fabrikam.id):
        services.invite(cast.actor("olga"), cast.fabrikam, email=f"a@{CANARY_FABRIKAM}.example")
    monitor, customer = api_of(Role.MONITOR), api_of(Role.CUSTOMER_ADMIN, cast.contoso)
    assert CANARY_FABRIKAM in monitor.get("invitations").text
    assert monitor.post(place, {"email": "a@b.example"}).status == 403
    assert customer.get(place).status == 403
    assert customer.get("invitations").status == 404
    assert customer.get("invitation-settings").status == 404
    assert api_of(Role.OPERATOR, cast.contoso).get("invitations").json["results"] == []
    assert api_of(Role.OPERATOR).patch("invitation-settings", {"invitation_days": 3}).status == 403


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "email"),
        ({"email": "nobody"}, "email"),
        ({"email": "a@b.example\nBcc: c@d.example"}, "email"),
        ({"email": "a@b.example", "full_name": "x" * 121}, "full_name"),
        ({"email": "a@b.example", "portal_account": "yes"}, "portal_account"),
        ({"email": "a@b.example", "token": "x"}, "token"),
    ],
)
def test_bodies_that_are_refused(body: dict[str, str], field: str, api_of: ApiOf, place: str) -> None:
    answer = api_of(Role.OPERATOR).post(place, body)
    assert (answer.status, answer.fields) == (422, {field})
    with scope.every("a test looks"):
        assert not Invitation.objects.exists()


def test_settings_are_changed_whole_or_not_at_all(api_of: ApiOf) -> None:
    api = api_of(Role.PROVIDER_ADMIN)
    before = api.get("invitation-settings")
    assert before.json["invitation_days"] == 5
    assert LINK in before.json["body"]
    refused = api.patch("invitation-settings", {"invitation_days": 9, "subject": "Hi {{Name}}"})
    assert refused.status == 422
    assert "{{Name}} is no placeholder" in refused.text
    assert api.get("invitation-settings").json == before.json
    wish = {"subject": "Hi {{CustomerId}}", "invitation_days": 9, "invitation_reminder_days": 0}
    changed = api.patch("invitation-settings", wish, If_Match=before.headers["ETag"])
    assert {name: changed.json[name] for name in wish} == wish
    assert api.patch("invitation-settings", wish, If_Match=before.headers["ETag"]).status == 412


def test_the_question_whose_organisation_it_was_is_asked_once(cast: Cast, api_of: ApiOf, place: str) -> None:
    api = api_of(Role.OPERATOR)
    number = api.post(place, {"email": "it@contoso.example"}).json["id"]
    shown = {"found_tenant_id": str(uuid.UUID(int=7)), "found_account": "admin@contoso.example"}
    for act in ("confirm-organisation", "refuse-organisation"):
        assert api.post(f"{place}/{number}/{act}", shown).code == "conflict"
        assert api.post(f"{place}/{number}/{act}").fields == set(shown), "it has to say which organisation"
    for body in (shown, None):
        assert api.post(f"{place}/999999/confirm-organisation", body).status == 404


@pytest.mark.parametrize("act", ["confirm-organisation", "refuse-organisation"])
def test_what_is_decided_is_what_the_invitation_told(cast: Cast, api_of: ApiOf, place: str, act: str) -> None:
    api = api_of(Role.OPERATOR)
    one = f"{place}/{api.post(place, {'email': 'it@contoso.example'}).json['id']}"
    organisation = cast.contoso.entra_tenant_id
    with scope.one(cast.contoso.id):
        sealed = secrets.store(cast.contoso, SecretKind.TOKEN_CACHE, "what the account gave", set_by="it")
        Invitation.objects.update(
            found_tenant_id=organisation, found_account="it@contoso.example", found=sealed, signed_in_at=Now()
        )
    told = api.get(one).json
    shown = {name: told[name] for name in ("found_tenant_id", "found_account")}
    assert shown == {"found_tenant_id": str(organisation), "found_account": "it@contoso.example"}
    for other in ({"found_tenant_id": str(uuid.UUID(int=7))}, {"found_account": "else@contoso.example"}):
        late = api.post(f"{one}/{act}", {**shown, **other})
        assert (late.status, late.code) == (409, "conflict")
        assert "somebody else signed in meanwhile" in late.text
    assert api.get(one).json["stage"] == "unconfirmed"
    assert api.post(f"{one}/{act}", shown).json["found_tenant_id"] is None
