"""Who may decide about whom: the rules themselves, without screens."""

import datetime as dt
import threading
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from django.db import connection, transaction

from accounts.models import ApiToken, User
from accounts.services import add_user
from api.services import issue_token
from audit.models import Entry
from core.errors import Conflict, Forbidden, InvalidInput, NotFound, UmpError
from tenants import people, scope
from tenants.abilities import ABILITIES, CUSTOMER_ROLES, PROVIDER_WIDE, Ability, Role
from tenants.access import SYSTEM, Actor, actor_of_user
from tenants.models import Tenant
from tests.cast import Cast

pytestmark = pytest.mark.django_db


def give(actor: Actor, person: User, role: Role, tenant: Tenant | None = None) -> None:
    with transaction.atomic():
        people.give_role(actor, user_id=person.id, email=person.email, role=role, tenant=tenant)


def roles(person: User) -> dict[str, Role]:
    return {place.tenant_name: place.role for place in people.places_of([person.id])[person.id]}


def trail(action: str) -> list[dict[str, Any]]:
    with scope.every("the test reads the trail"):
        return list(Entry.objects.filter(action=action).order_by("-id").values())


def epoch(person: User) -> int:
    return User.objects.get(pk=person.pk).session_epoch


def limited_admin(cast: Cast) -> Actor:
    """Otto as an Admin of the provider for Contoso only."""
    give(SYSTEM, cast.otto, Role.PROVIDER_ADMIN, cast.contoso)
    return cast.actor("otto")


# --- What one may give --------------------------------------------------------------------------------------
def test_only_admins_manage_people(cast: Cast) -> None:
    who = {name for name in ("pia", "olga", "otto", "mona", "adam", "vera", "max", "nora")
           if cast.actor(name).may(Ability.MANAGE_PEOPLE, cast.contoso.id)}  # fmt: skip
    assert who == {"pia", "adam"}
    assert people.grantable(cast.actor("pia"), None) == [Role.PROVIDER_ADMIN, Role.OPERATOR, Role.MONITOR]
    assert people.grantable(cast.actor("pia"), cast.contoso.id) == list(Role)
    assert set(people.grantable(cast.actor("adam"), cast.contoso.id)) == CUSTOMER_ROLES
    assert people.grantable(cast.actor("adam"), cast.fabrikam.id) == []
    assert people.grantable(cast.actor("adam"), None) == []


@pytest.mark.parametrize("name", ["pia", "olga", "otto", "mona", "adam", "vera", "max", "nora"])
@pytest.mark.parametrize("where", ["contoso", "fabrikam", None])
def test_nobody_gives_what_he_lacks(cast: Cast, name: str, where: str | None) -> None:
    """Every person x role x place: what was given is within the giver's own abilities."""
    actor, tenant = cast.actor(name), getattr(cast, where) if where else None
    tenant_id = tenant.id if tenant else None
    for role in Role:
        if tenant is None and role in CUSTOMER_ROLES:
            continue
        fresh = User.objects.create_user(email=f"{role}@example.test")
        try:
            give(actor, fresh, role, tenant)
        except Forbidden:
            assert roles(fresh) == {}
            continue
        needed = ABILITIES[role] if tenant is None else ABILITIES[role] - PROVIDER_WIDE
        assert needed <= actor.abilities(tenant_id)
        assert Ability.MANAGE_PEOPLE in actor.abilities(tenant_id)
        assert name == "pia" or role in CUSTOMER_ROLES


def test_a_customers_admin_gives_no_role_of_the_provider(cast: Cast) -> None:
    """Monitor of one customer does no act that he may not do, but it shows the provider's side."""
    more = ABILITIES[Role.MONITOR] - PROVIDER_WIDE - cast.actor("adam").abilities(cast.contoso.id)
    assert more == {Ability.VIEW_INVITATIONS}
    with pytest.raises(Forbidden):
        give(cast.actor("adam"), cast.nora, Role.MONITOR, cast.contoso)


def test_an_admin_for_one_customer_decides_there_only(cast: Cast) -> None:
    otto = limited_admin(cast)
    give(otto, cast.nora, Role.OPERATOR, cast.contoso)
    assert roles(cast.nora) == {"Contoso": Role.OPERATOR}
    for role, tenant in ((Role.MONITOR, None), (Role.CUSTOMER_MONITOR, cast.fabrikam)):
        with pytest.raises(Forbidden):
            give(otto, cast.nora, role, tenant)
    for act in (
        lambda: people.deactivate(otto, cast.nora),
        lambda: people.reactivate(otto, cast.nora),
        lambda: people.remove_factors(otto, cast.nora),
        lambda: people.edit_person(otto, cast.nora, email="new@example.test", name=""),
        lambda: people.sign_in_link(otto, cast.nora),
    ):
        with pytest.raises(Forbidden):
            act()


def test_a_monitor_who_is_a_customers_admin_too_stays_on_that_side(cast: Cast) -> None:
    give(SYSTEM, cast.mona, Role.CUSTOMER_ADMIN, cast.contoso)
    assert set(people.grantable(cast.actor("mona"), cast.contoso.id)) == CUSTOMER_ROLES


def test_operators_may_be_limited_to_some_customers(cast: Cast) -> None:
    give(cast.actor("pia"), cast.otto, Role.OPERATOR, cast.fabrikam)
    otto = cast.actor("otto")
    assert roles(cast.otto) == {"Contoso": Role.OPERATOR, "Fabrikam": Role.OPERATOR}
    assert otto.may(Ability.REPLICATE, cast.fabrikam.id)
    assert not otto.may(Ability.ADD_TENANT)


# --- What one may change and take ---------------------------------------------------------------------------
def test_a_role_with_more_rights_cannot_be_replaced_or_taken(cast: Cast) -> None:
    adam = cast.actor("adam")
    with pytest.raises(Forbidden):
        give(adam, cast.otto, Role.CUSTOMER_MONITOR, cast.contoso)
    with pytest.raises(NotFound):
        people.take_role(adam, user=cast.otto, tenant=cast.contoso)
    with pytest.raises(NotFound):
        people.take_role(adam, user=cast.max, tenant=cast.fabrikam)
    with pytest.raises(NotFound):
        people.take_role(adam, user=cast.pia, tenant=None)
    assert roles(cast.otto) == {"Contoso": Role.OPERATOR}


@pytest.mark.parametrize("name", ["pia", "adam"])
def test_nobody_touches_himself(cast: Cast, name: str) -> None:
    give(SYSTEM, cast.nora, Role.PROVIDER_ADMIN)
    actor, person = cast.actor(name), getattr(cast, name)
    tenant = cast.contoso if name == "adam" else None
    before = roles(person)
    acts = [
        lambda: give(actor, person, Role.CUSTOMER_MONITOR, cast.contoso),
        lambda: people.take_role(actor, user=person, tenant=tenant),
    ]
    if name == "pia":
        acts += [
            lambda: people.deactivate(actor, person),
            lambda: people.reactivate(actor, person),
            lambda: people.remove_factors(actor, person),
            lambda: give(actor, person, Role.OPERATOR),
        ]
    for act in acts:
        with pytest.raises(Conflict, match="his own role"):
            act()
    assert roles(person) == before


def test_the_last_active_admin_stays(cast: Cast) -> None:
    for act in (
        lambda: people.take_role(SYSTEM, user=cast.pia, tenant=None),
        lambda: give(SYSTEM, cast.pia, Role.OPERATOR),
        lambda: people.deactivate(SYSTEM, cast.pia),
    ):
        with pytest.raises(Conflict, match="last active Admin"):
            act()
    give(SYSTEM, cast.nora, Role.PROVIDER_ADMIN)
    people.deactivate(cast.actor("pia"), cast.nora)
    with pytest.raises(Conflict, match="last active Admin"):  # a deactivated one does not count
        people.take_role(SYSTEM, user=cast.pia, tenant=None)
    people.reactivate(cast.actor("pia"), cast.nora)
    people.take_role(cast.actor("nora"), user=cast.pia, tenant=None)
    assert roles(cast.pia) == {}
    give(SYSTEM, cast.olga, Role.PROVIDER_ADMIN, cast.contoso)  # for one customer: does not count either
    with pytest.raises(Conflict, match="last active Admin"):
        people.deactivate(SYSTEM, cast.nora)


@pytest.mark.django_db(transaction=True)
def test_two_admins_who_remove_each_other_at_once(committed_cast: Cast) -> None:
    cast = committed_cast
    give(SYSTEM, cast.nora, Role.PROVIDER_ADMIN)
    pairs = [(cast.actor("pia"), cast.nora), (cast.actor("nora"), cast.pia)]
    start, ended = threading.Barrier(2), []

    def act(actor: Actor, other: User, take: bool) -> None:
        try:
            start.wait(30)
            if take:
                people.take_role(actor, user=other, tenant=None)
            else:
                people.deactivate(actor, other)
            ended.append("done")
        except UmpError as error:
            ended.append(error.code)
        finally:
            connection.close()

    threads = [threading.Thread(target=act, args=(*pair, take)) for take, pair in enumerate(pairs)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(ended) == ["conflict", "done"]


# --- Sessions and the trail ---------------------------------------------------------------------------------
def test_a_change_ends_sessions_and_is_in_the_trail(cast: Cast) -> None:
    adam, before = cast.actor("adam"), epoch(cast.vera)
    give(adam, cast.vera, Role.CUSTOMER_ADMIN, cast.contoso)
    assert epoch(cast.vera) == before + 1
    entry = trail("role.changed")[0]
    assert (entry["tenant_id"], entry["actor_id"], entry["object_id"]) == (
        cast.contoso.id, str(cast.adam.id), str(cast.vera.id),
    )  # fmt: skip
    assert entry["changes"] == {"role": ["Customer Monitor", "Customer Admin"]}
    give(adam, cast.vera, Role.CUSTOMER_ADMIN, cast.contoso)
    assert epoch(cast.vera) == before + 1, "nothing changed"
    assert len(trail("role.changed")) == 1
    people.take_role(adam, user=cast.vera, tenant=cast.contoso)
    assert epoch(cast.vera) == before + 2
    assert trail("role.taken")[0]["changes"] == {"role": ["Customer Admin", None]}


def test_deactivation_ends_sessions_and_is_in_the_trail(cast: Cast) -> None:
    before, pia = epoch(cast.vera), cast.actor("pia")
    people.deactivate(pia, cast.vera)
    people.deactivate(pia, cast.vera)
    assert epoch(cast.vera) == before + 1
    assert len(trail("user.deactivated")) == 1
    people.reactivate(pia, cast.vera)
    assert [entry["object_label"] for entry in trail("user.reactivated")] == ["vera@example.test"]
    assert roles(cast.vera) == {"Contoso": Role.CUSTOMER_MONITOR}


# --- Adding -------------------------------------------------------------------------------------------------
def test_a_new_person_has_no_password_yet(cast: Cast) -> None:
    user, new = people.add_person(
        cast.actor("adam"),
        email=" Ana@Example.test ",
        name="Ana  Ash",
        role=Role.CUSTOMER_MONITOR,
        tenant=cast.contoso,
    )
    assert new
    assert (user.email, user.name, user.has_usable_password()) == ("ana@example.test", "Ana Ash", False)
    assert actor_of_user(user.id, "").tenant_roles == {cast.contoso.id: Role.CUSTOMER_MONITOR}
    assert trail("user.added")[0]["actor_id"] == str(cast.adam.id)


def test_nothing_is_added_by_somebody_who_may_not(cast: Cast) -> None:
    for name, role, tenant in (
        ("adam", Role.OPERATOR, cast.contoso),
        ("adam", Role.CUSTOMER_MONITOR, cast.fabrikam),
        ("olga", Role.CUSTOMER_MONITOR, cast.contoso),
        ("vera", Role.CUSTOMER_MONITOR, cast.contoso),
    ):
        with pytest.raises(Forbidden), transaction.atomic():
            people.add_person(cast.actor(name), email="ana@example.test", name="", role=role, tenant=tenant)
    assert not User.objects.filter(email="ana@example.test").exists()


@pytest.mark.parametrize("name", ["max", "pia", "olga", "otto"])
def test_a_customers_admin_adds_no_account_of_somebody_else(cast: Cast, name: str) -> None:
    before = epoch(getattr(cast, name))
    with pytest.raises(InvalidInput) as refused:
        people.add_person(
            cast.actor("adam"),
            email=f"{name}@example.test",
            name="",
            role=Role.CUSTOMER_MONITOR,
            tenant=cast.contoso,
        )
    assert refused.value.fields["why"] == people.NOT_HERE
    assert epoch(getattr(cast, name)) == before


def test_an_account_without_any_role_can_be_added_again(cast: Cast) -> None:
    user, new = people.add_person(
        cast.actor("adam"), email="NORA@example.test", name="x", role=Role.CUSTOMER_ADMIN, tenant=cast.contoso
    )
    assert (user.id, new, user.name) == (cast.nora.id, False, "Nora")


def test_the_provider_adds_a_known_person_to_another_customer(cast: Cast) -> None:
    pia = cast.actor("pia")
    add = {"email": "max@example.test", "name": "", "role": Role.CUSTOMER_MONITOR, "tenant": cast.contoso}
    assert people.add_person(pia, **add)[1] is False  # type: ignore[arg-type]  # a mapping of mixed values
    assert roles(cast.max) == {"Contoso": Role.CUSTOMER_MONITOR, "Fabrikam": Role.CUSTOMER_ADMIN}
    with pytest.raises(InvalidInput, match="has a role here already"):
        people.add_person(pia, **add)  # type: ignore[arg-type]  # as above
    people.deactivate(pia, cast.max)
    with pytest.raises(InvalidInput, match="deactivated"):
        people.add_person(pia, **add)  # type: ignore[arg-type]  # as above


@pytest.mark.parametrize(
    "email", ["", "nobody", "a@b", "a b@example.test", "a@example.test\nBcc: x@y.test", "é" * 300]
)
def test_what_is_no_address_is_refused(cast: Cast, email: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        people.add_person(SYSTEM, email=email, name="", role=Role.MONITOR, tenant=None)
    assert refused.value.field == "email"


def test_one_address_is_one_person(cast: Cast) -> None:
    with pytest.raises(InvalidInput):
        add_user(SYSTEM, email="VERA@example.test", name="", password=None)
    with pytest.raises(InvalidInput) as refused:
        people.edit_person(SYSTEM, cast.adam, email="Vera@example.test", name="")
    assert refused.value.field == "email"


def test_a_second_address_that_somebody_has_proven_is_nobody_elses(cast: Cast) -> None:
    mine = {"user": cast.max, "primary": False}
    EmailAddress.objects.create(email="alias@example.test", verified=True, **mine)
    EmailAddress.objects.create(email="claimed@example.test", verified=False, **mine)
    with pytest.raises(InvalidInput) as refused:
        add_user(SYSTEM, email="Alias@example.test", name="", password=None)
    assert refused.value.field == "email"
    with pytest.raises(InvalidInput) as refused:
        people.edit_person(SYSTEM, cast.adam, email="alias@example.test", name="")
    assert refused.value.field == "email"
    assert people.edit_person(SYSTEM, cast.adam, email="claimed@example.test", name="").email.startswith(
        "claimed"
    )
    assert people.edit_person(SYSTEM, cast.max, email="alias@example.test", name="").email.startswith("alias")


def test_nobody_proves_the_address_of_somebody_else_as_his_second_one(cast: Cast) -> None:
    add_user(SYSTEM, email="ana@example.test", name="", password=None)
    claim = EmailAddress.objects.create(user=cast.max, email="ana@example.test")
    assert not claim.set_verified()


def test_another_address_ends_sessions(cast: Cast) -> None:
    before = epoch(cast.vera)
    people.edit_person(cast.actor("pia"), cast.vera, email="vera@example.test", name="Vera Vale")
    assert epoch(cast.vera) == before
    people.edit_person(cast.actor("pia"), cast.vera, email="Vale@example.test", name="Vera Vale")
    assert epoch(cast.vera) == before + 1
    assert trail("user.edited")[0]["changes"] == {"email": ["vera@example.test", "vale@example.test"]}
    assert list(cast.vera.emailaddress_set.values_list("email", "verified")) == [("vale@example.test", True)]  # type: ignore[attr-defined]  # allauth's


# --- Tokens -------------------------------------------------------------------------------------------------
def test_tokens_are_known_by_who_made_them(cast: Cast) -> None:
    give(SYSTEM, cast.nora, Role.PROVIDER_ADMIN)
    User.objects.filter(pk=cast.nora.pk).update(name="Pia")  # names may repeat
    for name, label in (("pia", "OVOC"), ("nora", "Other")):
        actor = actor_of_user(getattr(cast, name).id, "Pia")
        issue_token(actor, name=label, role=Role.MONITOR, lifetime=dt.timedelta(days=1))
    assert [token.name for token in people.tokens_made_by(cast.pia)] == ["OVOC"]
    people.deactivate(cast.actor("nora"), cast.pia)
    assert [token.name for token in people.tokens_made_by(cast.pia)] == ["OVOC"]
    people.reactivate(cast.actor("nora"), cast.pia)
    people.deactivate(cast.actor("nora"), cast.pia, revoke_tokens=True)
    assert people.tokens_made_by(cast.pia) == []
    assert ApiToken.objects.filter(revoked_at=None).get().name == "Other"


def test_a_link_begins_an_account_and_takes_over_none(cast: Cast) -> None:
    with pytest.raises(Forbidden):
        people.mail_first_link(cast.actor("adam"), cast.vera)
    people.deactivate(SYSTEM, cast.vera)
    with pytest.raises(Conflict):
        people.sign_in_link(cast.actor("pia"), User.objects.get(pk=cast.vera.pk))
