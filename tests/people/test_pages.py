"""Users & roles, and a customer's people: what each sees, what sign-in says, what a link does."""

import datetime as dt
import re
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from django.core import mail
from django.test import Client, override_settings

from accounts.models import User
from api.services import issue_token
from core.errors import Forbidden
from tenants import people
from tenants.abilities import Role
from tenants.access import SYSTEM
from tests.cast import Cast
from tests.pages.helpers import SignIn, post, text_of, url

pytestmark = pytest.mark.django_db
BASE = "/settings/people/"
PASSWORD = "correct horse battery"
NEW_PASSWORD = "a wholly new battery staple"


def of(person: User, path: str = "") -> str:
    return f"{BASE}{person.id}/{path}"


def sign_in(email: str, password: str = PASSWORD) -> tuple[Client, Any]:
    client = Client()
    return client, client.post("/accounts/login/", {"login": email, "password": password})


def link_in(text: str) -> str:
    found = re.search(r"https?://[^/\s\"]+(/accounts/password/reset/key/[^\s\"<]+/)", text)
    assert found, text[:2000]
    return found[1]


def set_password(address: str, password: str = NEW_PASSWORD) -> Any:
    client = Client()
    page = client.get(address, follow=True)
    if b"does not work any more" in page.content:
        return None
    return client.post(page.redirect_chain[-1][0], {"password1": password, "password2": password})


# --- Lists --------------------------------------------------------------------------------------------------
def test_everybody_with_roles_factor_and_last_sign_in(cast: Cast, client_of: SignIn) -> None:
    Authenticator.objects.create(user=cast.olga, type="totp", data={})
    Authenticator.objects.create(user=cast.mona, type="recovery_codes", data={})
    page = text_of(client_of(cast.pia), BASE)
    rows = {m[1]: m[0] for m in re.finditer(r'<tr>\s*<th scope="row"><a [^>]+>(\w+)</a>.*?</tr>', page, re.S)}
    assert set(rows) == {"Adam", "Max", "Mona", "Nora", "Olga", "Otto", "Pia", "Vera"}
    assert "of Contoso" in rows["Otto"]
    assert "of the provider" in rows["Mona"]
    assert "no role" in rows["Nora"]
    assert ">Yes<" in rows["Olga"]
    assert ">None<" in rows["Mona"], "recovery codes alone are no second factor"
    assert "never" in rows["Adam"]
    assert "you" in rows["Pia"]
    assert "7 active people have no second factor" in page


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("q=OTTO", {"Otto"}),
        ("q=fabrikam", {"Max"}),
        ("q=vera@", {"Vera"}),
        ("q=zzz", set()),
        ("q=%00", {"Adam", "Max", "Mona", "Nora", "Olga", "Otto", "Pia"}),
        ("state=deactivated", {"Vera"}),
        ("state=active&q=a", {"Adam", "Max", "Mona", "Nora", "Olga", "Otto", "Pia"}),
        ("factor=yes", {"Olga"}),
        ("factor=no&q=olga", set()),
        ("state=odd&factor=odd&sort=password", {"Adam", "Max", "Mona", "Nora", "Olga", "Otto", "Pia"}),
    ],
)
def test_search_and_filters(cast: Cast, client_of: SignIn, query: str, names: set[str]) -> None:
    people.deactivate(SYSTEM, cast.vera)
    Authenticator.objects.create(user=cast.olga, type="webauthn", data={})
    page = text_of(client_of(cast.pia), f"{BASE}?{query}")
    found = set(re.findall(r'<th scope="row"><a [^>]+>(\w+)</a>', page))
    assert found >= names if len(names) > 2 else found == names
    if not names:
        assert "Nobody matches" in page


def test_a_customers_admin_sees_his_own_people_only(cast: Cast, client_of: SignIn) -> None:
    page = text_of(client_of(cast.adam), url(cast.contoso, "people/"))
    main = page[page.index("<main") :]
    assert "vera@example.test" in main
    for other in ("max@", "otto@", "pia@", "/settings/people/"):
        assert other not in main
    assert f"/people/{cast.adam.id}/" not in main, "no button on the own row"
    assert 'href="/tenants/' + str(cast.contoso.id) + '/people/"' in page
    assert "otto@example.test" in text_of(client_of(cast.pia), url(cast.contoso, "people/"))
    assert "Nobody matches" in text_of(client_of(cast.adam), url(cast.contoso, "people/?q=max"))


def test_the_entries_of_the_tree(cast: Cast, client_of: SignIn) -> None:
    assert 'href="/settings/people/"' in text_of(client_of(cast.pia), "/")
    assert 'href="/settings/people/"' not in text_of(client_of(cast.olga), "/")
    assert "/people/" not in text_of(client_of(cast.vera), url(cast.contoso))
    assert url(cast.contoso, "people/") in text_of(client_of(cast.pia), url(cast.contoso))
    assert url(cast.contoso, "people/") not in text_of(client_of(cast.olga), url(cast.contoso))


# --- Sessions and sign-in -----------------------------------------------------------------------------------
def test_a_new_role_ends_the_session_at_once(cast: Cast, client_of: SignIn) -> None:
    pia, (vera, _) = client_of(cast.pia), sign_in("vera@example.test")
    address = url(cast.contoso)
    assert vera.get(address).status_code == 200
    post(pia, url(cast.contoso, f"people/{cast.vera.id}/role/?from=person"), {"role": "customer_admin"})
    answer = vera.get(address)
    assert answer.status_code == 302
    assert answer.headers["Location"].startswith("/accounts/login/")
    again, _ = sign_in("vera@example.test")
    assert again.get(url(cast.contoso, "people/")).status_code == 200
    post(pia, url(cast.contoso, f"people/{cast.vera.id}/take/"), {})
    assert again.get(address).status_code == 302


def test_a_deactivated_person_is_out_and_stays_out(cast: Cast, client_of: SignIn) -> None:
    vera, _ = sign_in("vera@example.test")
    post(client_of(cast.pia), of(cast.vera, "deactivate/"), {})
    assert vera.get(url(cast.contoso)).status_code == 302
    client, answer = sign_in("vera@example.test")
    said = client.get(answer.headers["Location"])
    assert "An administrator has switched it off" in said.content.decode()
    assert client.get("/").status_code == 302
    assert "switched it off" not in sign_in("vera@example.test", "wrong")[1].content.decode()
    post(client_of(cast.pia), of(cast.vera, "reactivate/"), {})
    assert sign_in("vera@example.test")[0].get(url(cast.contoso)).status_code == 200


def test_others_stay_signed_in(cast: Cast, client_of: SignIn) -> None:
    adam, _ = sign_in("adam@example.test")
    post(client_of(cast.pia), of(cast.vera, "deactivate/"), {})
    assert adam.get(url(cast.contoso)).status_code == 200


# --- Adding -------------------------------------------------------------------------------------------------
def test_a_person_is_added_sets_a_password_and_signs_in(cast: Cast, client_of: SignIn) -> None:
    values = {"email": "Ana@example.test", "name": "Ana", "role": "operator", "tenant": "contoso"}
    page = post(client_of(cast.pia), f"{BASE}add/", values, 201).content.decode()
    assert "Ana was added" in page
    assert mail.outbox == [], "no mail is set up"
    assert "It was not mailed" in page
    address = link_in(page)
    assert set_password(address).status_code == 302
    assert set_password(address, "yet another battery staple") is None, "it works once"
    client, _ = sign_in("ana@example.test", NEW_PASSWORD)
    assert client.get(url(cast.contoso)).status_code == 200
    assert client.get(url(cast.fabrikam)).status_code == 404


def test_the_form_says_what_is_wrong(cast: Cast, client_of: SignIn) -> None:
    pia = client_of(cast.pia)
    right = {"email": "ana@example.test", "name": "", "role": "monitor", "tenant": ""}
    for wrong, words in (
        ({"email": "nonsense"}, "valid email address"),
        ({"role": "emperor"}, "Select a valid choice"),
        ({"tenant": "Nowhere"}, "There is no customer with this name"),
        ({"role": "customer_admin"}, "needs a customer"),
        ({"email": "olga@example.test"}, "has a role here already"),
    ):
        assert words in post(pia, f"{BASE}add/", right | wrong, 422).content.decode()
    assert not User.objects.filter(email="ana@example.test").exists()


@override_settings(EMAIL_URL="smtp://mail.test", PORTAL_BASE_URL="https://portal.test")
def test_a_customers_admin_never_sees_the_link(cast: Cast, client_of: SignIn) -> None:
    values = {"email": "ana@example.test", "name": "Ana", "role": "customer_monitor"}
    adam = client_of(cast.adam)
    answer = post(adam, url(cast.contoso, "people/add/"), values)
    assert answer.headers["Location"] == url(cast.contoso, "people/")
    page = text_of(adam, url(cast.contoso, "people/"))
    assert "in the mail to ana@example.test" in page
    assert "reset/key" not in page
    assert [message.to for message in mail.outbox] == [["ana@example.test"]]
    assert "https://portal.test/accounts/" in mail.outbox[0].body
    assert set_password(link_in(mail.outbox[0].body)).status_code == 302


def test_without_mail_a_customers_admin_is_told_whom_to_ask(cast: Cast, client_of: SignIn) -> None:
    values = {"email": "ana@example.test", "name": "Ana", "role": "customer_monitor"}
    adam = client_of(cast.adam)
    post(adam, url(cast.contoso, "people/add/"), values)
    assert "ask your provider for the sign-in link" in text_of(adam, url(cast.contoso, "people/"))


@pytest.mark.parametrize("role", ["operator", "monitor", "provider_admin"])
def test_a_customers_admin_cannot_send_a_role_of_the_provider(
    cast: Cast, client_of: SignIn, role: str
) -> None:
    adam = client_of(cast.adam)
    values = {"email": "ana@example.test", "name": "", "role": role, "tenant": "", "is_active": "1"}
    post(adam, url(cast.contoso, "people/add/"), values, 422)
    post(adam, url(cast.contoso, f"people/{cast.vera.id}/role/"), {"role": role}, 422)
    assert not User.objects.filter(email="ana@example.test").exists()


def test_hidden_fields_change_nothing(cast: Cast, client_of: SignIn) -> None:
    values = {
        "email": "vera@example.test", "name": "V", "is_active": "", "password": "x", "id": str(cast.pia.id),
        "session_epoch": "9", "role": "provider_admin", "tenant": "",
    }  # fmt: skip
    post(client_of(cast.pia), of(cast.vera, "edit/"), values)
    vera = User.objects.get(pk=cast.vera.pk)
    assert (vera.name, vera.is_active, vera.session_epoch) == ("V", True, cast.vera.session_epoch)
    assert vera.check_password(PASSWORD)
    assert [place.words for place in people.places_of([vera.id])[vera.id]] == ["Customer Monitor of Contoso"]


# --- One person ---------------------------------------------------------------------------------------------
def test_a_persons_page_lists_roles_and_tokens(cast: Cast, client_of: SignIn) -> None:
    issue_token(cast.actor("pia"), name="OVOC", role=Role.MONITOR, lifetime=dt.timedelta(days=3))
    people.give_role(SYSTEM, user_id=cast.nora.id, email="", role=Role.PROVIDER_ADMIN, tenant=None)
    nora = client_of(cast.nora)
    page = text_of(nora, of(cast.pia))
    assert "OVOC" in page
    assert "the whole provider" in page
    assert "Contoso" in text_of(nora, of(cast.otto))
    dialog = text_of(nora, of(cast.pia, "deactivate/"))
    assert "OVOC" in dialog
    assert "revoke_tokens" in dialog
    post(nora, of(cast.pia, "deactivate/"), {"revoke_tokens": "on"})
    assert people.tokens_made_by(cast.pia) == []
    assert "This person is deactivated" in text_of(nora, of(cast.pia))


def test_dialogs_name_whom_they_concern(cast: Cast, client_of: SignIn) -> None:
    pia = client_of(cast.pia)
    for path in ("role/", "link/", "factor/", "deactivate/", "reactivate/"):
        page = text_of(pia, of(cast.vera, path))
        assert 'id="dialog"' in page
        assert "Vera" in page[page.index('id="dialog"') :]
    assert "olga@example.test" in text_of(pia, of(cast.olga, "take/"))
    assert "Contoso" in text_of(pia, url(cast.contoso, f"people/{cast.vera.id}/take/"))


def test_the_provider_gives_and_takes(cast: Cast, client_of: SignIn) -> None:
    pia = client_of(cast.pia)
    post(pia, of(cast.nora, "role/"), {"role": "operator", "tenant": ""})
    post(pia, of(cast.nora, "role/"), {"role": "customer_monitor", "tenant": "Fabrikam"})
    words = [place.words for place in people.places_of([cast.nora.id])[cast.nora.id]]
    assert words == ["Operator of the provider", "Customer Monitor of Fabrikam"]
    post(pia, of(cast.nora, "take/"), {})
    back = post(pia, url(cast.fabrikam, f"people/{cast.nora.id}/take/?from=person"), {})
    assert back.headers["Location"] == of(cast.nora)
    assert people.places_of([cast.nora.id])[cast.nora.id] == []
    text_of(pia, of(cast.nora, "take/"), 404)


def test_the_own_account_is_for_others(cast: Cast, client_of: SignIn) -> None:
    pia, adam = client_of(cast.pia), client_of(cast.adam)
    page = text_of(pia, of(cast.pia))
    assert "/deactivate/" not in page
    for path in ("role/", "take/", "deactivate/", "reactivate/"):
        assert "ask another administrator" in text_of(pia, of(cast.pia, path), 409)
        post(pia, of(cast.pia, path), {"role": "monitor", "tenant": ""}, 409)
    for path in ("role/", "take/"):
        post(adam, url(cast.contoso, f"people/{cast.adam.id}/{path}"), {"role": "customer_monitor"}, 409)


def test_the_last_admin_cannot_be_removed_on_screen(cast: Cast, client_of: SignIn) -> None:
    people.give_role(SYSTEM, user_id=cast.nora.id, email="", role=Role.PROVIDER_ADMIN, tenant=None)
    pia, nora = client_of(cast.pia), client_of(cast.nora)
    post(pia, of(cast.nora, "role/"), {"role": "monitor", "tenant": ""})
    post(nora, of(cast.pia, "take/"), {}, 302)  # her session is over
    assert [place.role for place in people.places_of([cast.pia.id])[cast.pia.id]] == [Role.PROVIDER_ADMIN]


# --- Links --------------------------------------------------------------------------------------------------
def test_a_link_dies_with_sign_in_and_deactivation(cast: Cast, client_of: SignIn) -> None:
    pia = client_of(cast.pia)
    first = link_in(post(pia, of(cast.vera, "link/"), {}, 201).content.decode())
    people.deactivate(SYSTEM, cast.vera)
    assert set_password(first) is None
    post(pia, of(cast.vera, "link/"), {}, 409)
    people.reactivate(SYSTEM, cast.vera)
    sign_in("vera@example.test")
    assert set_password(first) is None
    second = link_in(post(pia, of(cast.vera, "link/"), {}, 201).content.decode())
    people.edit_person(SYSTEM, User.objects.get(pk=cast.vera.pk), email="vale@example.test", name="")
    assert set_password(second) is None
    assert "Sign-in link made" in text_of(pia, "/audit/?action=link.made")


def test_a_link_is_not_made_by_looking(cast: Cast, client_of: SignIn) -> None:
    assert "reset/key" not in text_of(client_of(cast.pia), of(cast.vera, "link/"))


def test_a_link_does_not_skip_the_second_factor(cast: Cast, client_of: SignIn) -> None:
    Authenticator.objects.create(user=cast.vera, type="totp", data={"secret": "x"})
    address = link_in(post(client_of(cast.pia), of(cast.vera, "link/"), {}, 201).content.decode())
    assert set_password(address).status_code == 302
    client, answer = sign_in("vera@example.test", NEW_PASSWORD)
    assert answer.headers["Location"] == "/accounts/2fa/authenticate/"
    assert client.get("/").status_code == 302


def test_a_lost_second_factor_is_removed_by_somebody_else(cast: Cast, client_of: SignIn) -> None:
    for kind in ("totp", "recovery_codes"):
        Authenticator.objects.create(user=cast.vera, type=kind, data={"secret": "x"})
    pia, vera = client_of(cast.pia), client_of(cast.vera)
    assert of(cast.vera, "factor/") in text_of(pia, of(cast.vera))
    assert "vera@example.test" in text_of(pia, of(cast.vera, "factor/"))
    post(pia, of(cast.vera, "factor/"), {})
    assert not Authenticator.objects.exists()
    assert vera.get(url(cast.contoso)).status_code == 302
    assert "Second factor removed" in text_of(pia, f"/audit/?q={cast.vera.id}")
    assert of(cast.vera, "factor/") not in text_of(pia, of(cast.vera))
    post(pia, of(cast.pia, "factor/"), {}, 409)
    with pytest.raises(Forbidden):
        people.remove_factors(cast.actor("adam"), cast.vera)


@override_settings(MFA_REQUIRED=True)
def test_where_a_second_factor_is_required_it_comes_first(cast: Cast, client_of: SignIn) -> None:
    assert client_of(cast.pia).get(BASE).headers["Location"] == "/accounts/2fa/"
