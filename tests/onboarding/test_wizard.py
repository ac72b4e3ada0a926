"""The wizard as people go through it: three steps, left and resumed, and what each of them waits for."""

import datetime as dt
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import User
from core.errors import Conflict, UmpError
from events.services import ORDER
from invitations.models import Invitation
from onboarding import services, standing
from onboarding.models import Onboarding, Step, Way
from replication.models import Command, State
from tenants import provider_app, scope
from tenants.access import SYSTEM
from tenants.credentials import Given
from tenants.models import Cloud, Connection, DeployState, Plan, SecretKind, Service, Tenant
from tests.cast import Cast
from tests.pages.helpers import change, commands, failed, fresh, post, text_of, url, verified

pytestmark = pytest.mark.django_db
SignIn = Callable[[User], Client]
SECRET = "Tz~8Q~a-very-long-client-secret-of-microsoft"
START = "/onboarding/start/"


def values(**more: Any) -> dict[str, Any]:
    return {
        "name": "Tailspin Toys", "domain": "tailspin.example", "entra_tenant_id": str(uuid.uuid4()), "plan": "pro",
        "service": "direct_routing", "licensed_users": "30", "with_sync": "on", "cloud": "global",
    } | more  # fmt: skip


def begun(cast: Cast, **more: Any) -> Onboarding:
    given: dict[str, Any] = {"name": "Tailspin Toys", "entra_tenant_id": uuid.uuid4(), "licensed_users": 30}
    return services.start(cast.actor("olga"), **given | more)


def again(onboarding: Onboarding) -> Onboarding:
    with scope.one(onboarding.tenant_id):
        found: Onboarding = Onboarding.objects.select_related("tenant").get(id=onboarding.pk)
        return found


def stands(onboarding: Onboarding) -> standing.Standing:
    with scope.one(onboarding.tenant_id):
        return standing.of(again(onboarding))


def at(onboarding: Onboarding, path: str = "") -> str:
    return url(onboarding.tenant, f"onboarding/{path}")


def over(tenant: Tenant) -> None:
    """The commands of the customer have ended."""
    with scope.one(tenant.id):
        Command.objects.filter(tenant=tenant).update(
            state=State.SUCCEEDED, finished_at=timezone.now(), lease_until=None, dedupe_key=None
        )


def letter(onboarding: Onboarding) -> Invitation:
    with scope.one(onboarding.tenant_id):
        found: Invitation = Invitation.objects.filter(tenant=onboarding.tenant).latest("id")
        return found


def change_letter(onboarding: Onboarding, **fields: Any) -> None:
    with scope.one(onboarding.tenant_id):
        Invitation.objects.filter(id=letter(onboarding).pk).update(**fields)


# --- Step 1 -------------------------------------------------------------------------------------------------
def test_step_1_adds_the_customer_and_goes_on(cast: Cast, client_of: SignIn) -> None:
    client = client_of(cast.olga)
    page = text_of(client, START)
    for words in (
        "M365 Tenant",
        "M365",
        "Voice Route",
        "Next",
        "Available Users: 9940, Available Customers: 498",
    ):
        assert words in page
    assert 'aria-label="Close"' in page
    answer = post(client, START, values())
    with scope.every("a test"):
        tenant = Tenant.objects.get(name="Tailspin Toys")
        made = Onboarding.objects.get()
    assert answer.headers["Location"] == url(tenant, "onboarding/m365/")
    assert (made.step, made.started_by, made.is_open) == (Step.CONNECT, "Olga", True)
    assert (tenant.licensed_users, tenant.deploy_state) == (30, DeployState.UNKNOWN)
    page = text_of(client, answer.headers["Location"])
    assert "Send link to IT administrator" in page
    assert "Nothing was sent or entered yet." in page
    assert ">Back<" in page


@pytest.mark.parametrize(
    ("wrong", "field", "words"),
    [
        ({"name": "contoso"}, "name", "There is a customer with this name already."),
        ({"name": "a<b"}, "name", "control character"),
        ({"domain": "not a domain"}, "domain", "not a domain name"),
        ({"entra_tenant_id": "c0000000-0000-4000-8000-000000000001"}, "entra_tenant_id", "not available"),
        ({"licensed_users": "999999"}, "licensed_users", "left in the pool"),
        ({"with_sync": ""}, "with_sync", "Direct Routing depends on sync"),
    ],
)
def test_what_is_wrong_is_said_beside_its_field(
    cast: Cast, client_of: SignIn, wrong: dict[str, str], field: str, words: str
) -> None:
    page = post(client_of(cast.olga), START, values(**wrong), 422).content.decode()
    assert words in page[page.index(f'id="id_{field}_error"') :][:600]
    with scope.every("a test"):
        assert Tenant.objects.count() == 2
        assert not Onboarding.objects.exists()


def test_the_name_is_judged_while_it_is_typed(cast: Cast, client_of: SignIn) -> None:
    client = client_of(cast.olga)
    assert "This name is free." in text_of(client, "/onboarding/name/?name=Tailspin")
    assert "There is a customer with this name already." in text_of(client, "/onboarding/name/?name=CONTOSO")
    assert "line break" in text_of(client, "/onboarding/name/?name=a%00b")


def test_the_choices_say_what_they_lead_to(cast: Cast, client_of: SignIn) -> None:
    client = client_of(cast.olga)
    page = text_of(client, "/onboarding/offers/?service=operator_connect&licensed_users=5")
    assert "Offered: 9 of 30 features." in page
    assert "Needs sync" in page
    page = text_of(client, "/onboarding/offers/?service=nonsense&with_sync=on&licensed_users=x")
    assert "Needs a Users licence" in page


def test_step_1_can_be_gone_back_to(cast: Cast, client_of: SignIn) -> None:
    made = begun(cast)
    client = client_of(cast.olga)
    page = text_of(client, at(made, "m365-tenant/"))
    assert 'value="Tailspin Toys"' in page
    wanted = values(name="Tailspin Ltd", cloud="gcc_high", version=made.tenant.row_version)
    wanted["entra_tenant_id"] = str(made.tenant.entra_tenant_id)
    post(client, at(made, "m365-tenant/"), wanted)
    assert again(made).tenant.name == "Tailspin Ltd"
    assert again(made).cloud == Cloud.GCC_HIGH
    page = post(client, at(made, "m365-tenant/"), wanted | {"name": "Other"}, 422).content.decode()
    assert "changed" in page, "the version is an old one"


# --- Step 2 -------------------------------------------------------------------------------------------------
def test_an_invitation_is_followed(cast: Cast, client_of: SignIn) -> None:
    made, client = begun(cast), client_of(cast.olga)
    post(client, at(made, "invite/"), {"email": "admin@tailspin.example", "full_name": "Tara"})
    assert again(made).way == Way.INVITE
    live = text_of(client, at(made, "m365/live/"))
    assert "Not sent yet: admin@tailspin.example" in live
    assert "The link works until" in live
    page = post(client, at(made, "invite/"), {"email": "other@tailspin.example"}, 422).content.decode()
    assert "open invitation" in page
    change_letter(made, sent_count=1, sent_at=timezone.now(), opened_at=timezone.now())
    live = text_of(client, at(made, "m365/live/"))
    assert "Opened: admin@tailspin.example" in live
    assert "disabled" in live, "Next waits"


def test_retry_sends_another_mail_and_after_the_end_another_invitation(cast: Cast, client_of: SignIn) -> None:
    made, client = begun(cast), client_of(cast.olga)
    post(client, at(made, "invite/"), {"email": "admin@tailspin.example"})
    first = letter(made)
    assert "Another mail goes to admin@tailspin.example" in text_of(client, at(made, "retry/"))
    over(made.tenant)
    post(client, at(made, "retry/"), {})
    assert [row.target for row in commands(made.tenant) if row.kind == "send_invitation"] == [
        str(first.pk)
    ] * 2
    change_letter(made, expires_at=timezone.now() - dt.timedelta(minutes=1))
    now = stands(made)
    assert now.access == standing.Access.CHOOSE
    assert now.title == "Expired: admin@tailspin.example"
    post(client, at(made, "retry/"), {})
    assert letter(made).pk > first.pk
    assert letter(made).is_open


def test_an_app_registration_is_validated_and_the_wizard_continues(cast: Cast, client_of: SignIn) -> None:
    made, client = begun(cast), client_of(cast.olga)
    credential = {"cloud": "global", "client_id": str(uuid.uuid4()), "client_secret": SECRET}
    answer = post(client, at(made, "app/"), credential)
    assert answer.headers["Location"] == at(made, "m365/")
    live = text_of(client, at(made, "m365/live/"))
    assert (
        "Validating credentials, please wait! On successful authentication the wizard will continue." in live
    )
    assert SECRET not in live
    over(made.tenant)
    failed(made.tenant, "secret_wrong", microsoft_code="AADSTS7000215")
    live = text_of(client, at(made, "m365/live/"))
    assert "Something went wrong while verifying M365 credentials!" in live
    assert "Microsoft did not accept the client secret of Sync app." in live
    assert "AADSTS7000215" in live
    post(client, at(made, "retry/"), {})
    assert stands(made).access == standing.Access.VALIDATING
    over(made.tenant)
    verified(made.tenant)
    answer = client.get(at(made, "m365/live/"))
    assert answer.headers["HX-Redirect"] == at(made)
    assert client.get(at(made)).headers["Location"] == at(made, "voice-route/")
    page = text_of(client, at(made, "m365/"))
    assert "Connected" in page, "Back does not bounce forward"
    assert at(made, "m365/live/") not in page


def test_a_check_that_failed_by_itself_blames_nobody_and_is_asked_for_again(
    cast: Cast, client_of: SignIn
) -> None:
    made, client = begun(cast), client_of(cast.olga)
    post(
        client, at(made, "app/"), {"cloud": "global", "client_id": str(uuid.uuid4()), "client_secret": SECRET}
    )
    error = dict(UmpError.of("graph_unavailable").to_dict())
    with scope.one(made.tenant_id):
        Command.objects.filter(tenant=made.tenant).update(
            state=State.FAILED, finished_at=timezone.now(), lease_until=None, dedupe_key=None, error=error
        )
    live = text_of(client, at(made, "m365/live/"))
    assert "The check did not come to an end" in live
    assert error["message"].replace("'", "&#x27;") in live
    assert "Something went wrong" not in live
    post(client, at(made, "retry/"), {})
    assert stands(made).access == standing.Access.VALIDATING


def test_what_is_wrong_with_an_app_registration_is_said_beside_its_field(
    cast: Cast, client_of: SignIn
) -> None:
    made = begun(cast)
    credential = {"cloud": "global", "client_id": str(uuid.uuid4()), "client_secret": str(uuid.uuid4())}
    page = post(client_of(cast.olga), at(made, "app/"), credential, 422).content.decode()
    assert "Secret ID" in page
    assert credential["client_secret"] not in page
    assert again(made).way == "", "nothing is kept of what was refused"


def test_the_providers_app_is_used_where_it_can_be(cast: Cast, client_of: SignIn) -> None:
    made, client = begun(cast), client_of(cast.olga)
    assert "Not offered: No ClientId was specified" in text_of(client, at(made, "m365/"))
    provider_app.change(
        SYSTEM,
        client_id=uuid.uuid4(),
        redirect_uri="https://ump.example/authenticate/OAuth2Callback",
        given=Given(SecretKind.CLIENT_SECRET, "p~" + "x" * 30),
    )
    assert "consent link" in text_of(client, at(made, "provider-app/"))
    post(client, at(made, "provider-app/"), {})
    assert again(made).way == Way.PROVIDER
    assert stands(made).access == standing.Access.VALIDATING


@pytest.mark.parametrize(
    ("more", "way", "words"),
    [
        ({"cloud": Cloud.GCC_HIGH}, Way.PROVIDER, "GCC High"),
        ({"plan": Plan.ESSENTIALS}, Way.APP, "Hosted Essentials"),
        ({"plan": Plan.ESSENTIALS}, Way.PROVIDER, "Hosted Essentials"),
        ({"entra_tenant_id": None}, Way.APP, "which organisation is meant"),
    ],
)
def test_a_closed_way_says_why(
    cast: Cast, client_of: SignIn, more: dict[str, Any], way: Way, words: str
) -> None:
    made, client = begun(cast, **more), client_of(cast.olga)
    with scope.one(made.tenant_id):
        error = services.why_not(again(made), way)
    assert error is not None
    assert words in error.message + error.advice
    assert error.message.replace("'", "&#x27;") in text_of(client, at(made, "m365/"))
    path = "app/" if way == Way.APP else "provider-app/"
    text_of(client, at(made, path), 409)
    with scope.one(made.tenant_id):
        assert services.why_not(again(made), Way.INVITE) is None


def test_operator_connect_without_sync_needs_nothing(cast: Cast, client_of: SignIn) -> None:
    made = begun(cast, service=Service.OPERATOR_CONNECT, with_sync=False, entra_tenant_id=None)
    client = client_of(cast.olga)
    assert "Nothing is needed here" in text_of(client, at(made, "m365/"))
    assert client.get(at(made)).headers["Location"] == at(made, "voice-route/")
    page = text_of(client, at(made, "voice-route/"))
    assert "Operator Connect needs none" in page
    assert "Without sync nothing is read" in page
    answer = post(client, at(made, "finish/"), {})
    assert answer.headers["Location"] == url(made.tenant)
    assert fresh(made.tenant).deploy_state == DeployState.READY
    assert commands(made.tenant) == []


# --- Step 3 and the end -------------------------------------------------------------------------------------
def connected(cast: Cast, **more: Any) -> Onboarding:
    made = begun(cast, **more)
    with scope.one(made.tenant_id):
        services.enter_app(
            cast.actor("olga"), made.tenant, cloud=Cloud.GLOBAL, client_id=uuid.uuid4(), client_secret=SECRET
        )
    over(made.tenant)
    verified(made.tenant)
    change(made.tenant, last_replicated_at=None)
    return made


def test_step_3_ends_with_the_customer_ready(cast: Cast, client_of: SignIn) -> None:
    made, client = connected(cast), client_of(cast.olga)
    page = text_of(client, at(made, "voice-route/"))
    for words in (
        "Fully Automatic DNS",
        "First replication",
        "Directory roles",
        "Finish",
        "Offered: 28 of 30",
    ):
        assert words in page
    post(client, at(made, "finish/"), {})
    ended = again(made)
    assert (ended.is_open, ended.ended_by) == (False, "Olga")
    assert fresh(made.tenant).deploy_state == DeployState.READY
    assert [row.kind for row in commands(made.tenant) if row.state == State.QUEUED] == ["quick_replication"]
    assert "Finished" in text_of(client, at(made))
    text_of(client, at(made, "m365/"), 409)


def test_a_link_that_nobody_needs_is_withdrawn_at_the_end(cast: Cast) -> None:
    made, olga = begun(cast), cast.actor("olga")
    with scope.one(made.tenant_id):
        services.invite(olga, made.tenant, email="admin@tailspin.example")
        services.enter_app(
            olga, made.tenant, cloud=Cloud.GLOBAL, client_id=uuid.uuid4(), client_secret=SECRET
        )
    over(made.tenant)
    verified(made.tenant)
    with scope.one(made.tenant_id):
        services.finish(olga, made.tenant)
    assert letter(made).revoked_by == "Olga"


def test_nobody_finishes_before_access_was_proven(cast: Cast, client_of: SignIn) -> None:
    made, client = begun(cast), client_of(cast.olga)
    page = text_of(client, at(made, "voice-route/"))
    assert "Access is not proven." in page
    assert post(client, at(made, "finish/"), {}, 409)
    assert again(made).is_open


def test_finishing_takes_its_turn_of_events_last(cast: Cast) -> None:
    """Who holds the customer or a lane waits for the turn: who has that and wants those waits in a circle."""
    made = connected(cast)
    with scope.one(made.tenant_id):
        services.invite(cast.actor("olga"), made.tenant, email="admin@tailspin.example")
        with CaptureQueriesContext(connection) as asked:
            services.finish(cast.actor("olga"), made.tenant)
        assert not letter(made).is_open
    said = [query["sql"] for query in asked]
    turn = next(at for at, sql in enumerate(said) if f"pg_advisory_xact_lock({ORDER})" in sql)
    locks = [at for at, sql in enumerate(said) if "NO KEY UPDATE" in sql]
    customer, its_letter = (
        next(at for at in locks if f'FROM "{table}"' in said[at])
        for table in ("tenants_tenant", "invitations_invitation")
    )
    lane = next(at for at, sql in enumerate(said) if "INTO replication_command" in sql)
    assert customer < its_letter < lane < turn
    late = [sql for sql in said[turn:] if "replication_" in sql or 'UPDATE "tenants_tenant"' in sql]
    assert late == []


def test_the_automatic_dns_begins_with_a_name(cast: Cast, client_of: SignIn) -> None:
    made, client = connected(cast), client_of(cast.olga)
    page = post(client, at(made, "voice-route/dns/"), {"name": "not a name"}, 422).content.decode()
    assert 'id="id_name_error"' in page
    post(client, at(made, "voice-route/dns/"), {"name": "voice.tailspin.example", "by_hand": "on"})
    live = text_of(client, at(made, "voice-route/live/"))
    assert "voice.tailspin.example" in live
    assert "May the portal do it?" in live
    assert (again(made).automatic_dns, again(made).dns_name) == (True, "voice.tailspin.example")
    assert "its own page" in text_of(client, at(made, "voice-route/"))


def test_cancel_withdraws_the_invitation_and_it_can_be_started_again(cast: Cast, client_of: SignIn) -> None:
    made, client = begun(cast), client_of(cast.olga)
    post(client, at(made, "invite/"), {"email": "admin@tailspin.example"})
    assert "its links lead nowhere then" in text_of(client, at(made, "cancel/"))
    post(client, at(made, "cancel/"), {})
    assert not letter(made).is_open
    assert again(made).cancelled_at
    assert "Start again" in text_of(client, at(made))
    post(client, at(made, "again/"), {})
    with scope.one(made.tenant_id):
        assert Onboarding.objects.filter(tenant=made.tenant).count() == 2
    post(client, at(made, "again/"), {}, 409)


def test_a_customer_without_an_onboarding_has_no_such_page(cast: Cast, client_of: SignIn) -> None:
    client = client_of(cast.olga)
    for path in ("", "m365/", "voice-route/", "m365/live/", "cancel/"):
        text_of(client, url(cast.contoso, f"onboarding/{path}"), 404)
    post(client, url(cast.contoso, "onboarding/again/"), {})
    assert client.get(url(cast.contoso, "onboarding/")).status_code == 303


# --- By itself ----------------------------------------------------------------------------------------------
def test_the_sweeper_moves_on_what_was_proven_and_begins_its_dns(cast: Cast) -> None:
    waiting = begun(cast, name="Waiting", automatic_dns=True)
    made = connected(cast, automatic_dns=True, dns_name="voice.tailspin.example")
    since = again(made).step_since
    assert services.follow() == 1
    moved = again(made)
    assert (moved.step, moved.problem) == (Step.ROUTE, None)
    assert moved.step_since > since
    assert "provision_domain" in [row.kind for row in commands(made.tenant)]
    assert again(waiting).step == Step.CONNECT
    assert services.follow() == 0


def test_what_keeps_the_dns_from_beginning_is_shown(cast: Cast, client_of: SignIn) -> None:
    made = connected(cast, automatic_dns=True)
    services.follow()
    assert "The portal knows no DNS zone" in text_of(client_of(cast.olga), at(made, "voice-route/live/"))


def test_only_one_onboarding_of_a_customer_is_open(cast: Cast) -> None:
    made = begun(cast)
    with scope.one(made.tenant_id), pytest.raises(Conflict):
        services.start_again(SYSTEM, made.tenant)


# --- Lists --------------------------------------------------------------------------------------------------
def test_unfinished_ones_are_listed_and_resumed(cast: Cast, client_of: SignIn) -> None:
    made = begun(cast)
    with scope.one(made.tenant_id):
        Onboarding.objects.update(step_since=timezone.now() - dt.timedelta(days=6))
    page = text_of(client_of(cast.mona), "/onboarding/", 403)
    page = text_of(client_of(cast.olga), "/onboarding/")
    assert "Tailspin Toys" in page
    assert "2 M365" in page
    assert "Late" in page
    assert f'href="{at(made)}"' in page
    assert "Tailspin" not in text_of(client_of(cast.otto), "/onboarding/")
    assert "No onboarding matches" in text_of(client_of(cast.olga), "/onboarding/?q=nobody")


def test_the_list_asks_as_often_for_three_as_for_one(cast: Cast, client_of: SignIn) -> None:
    client = client_of(cast.olga)

    def queries() -> int:
        with CaptureQueriesContext(connection) as asked:
            text_of(client, "/onboarding/")
        return len(asked)

    begun(cast, name="One")
    queries()
    one = queries()
    begun(cast, name="Two")
    begun(cast, name="Three")
    assert queries() == one
    with scope.every("a test"):
        assert Connection.objects.filter(tenant__name="Three").count() == 0


def test_the_dashboard_and_tenants_lead_back_to_it(cast: Cast, client_of: SignIn) -> None:
    verified(cast.contoso)
    verified(cast.fabrikam)
    made = begun(cast)
    client = client_of(cast.olga)
    shown = text_of(client, "/")
    assert "Its onboarding is at step 2, M365, and is not finished." in shown
    assert f'href="{at(made)}">Resume' in shown
    assert "Resume onboarding" in text_of(client, url(made.tenant))
    assert "Resume onboarding" not in text_of(client_of(cast.mona), url(made.tenant))
    page = text_of(client, "/tenants/")
    assert "1 unfinished onboarding<" in page
    assert 'href="/onboarding/start/"' in page
    with scope.one(made.tenant_id):
        services.enter_app(
            SYSTEM, made.tenant, cloud=Cloud.GLOBAL, client_id=uuid.uuid4(), client_secret=SECRET
        )
    over(made.tenant)
    verified(made.tenant)
    with scope.one(made.tenant_id):
        services.finish(SYSTEM, made.tenant)
    assert "unfinished onboarding" not in text_of(client, "/tenants/")


def test_one_that_is_late_at_step_3_is_told_of_too(cast: Cast, client_of: SignIn) -> None:
    verified(cast.contoso)
    verified(cast.fabrikam)
    made = connected(cast)
    verified(made.tenant)
    services.follow()
    client = client_of(cast.olga)
    assert "Its onboarding" not in text_of(client, "/")
    with scope.one(made.tenant_id):
        Onboarding.objects.update(step_since=timezone.now() - dt.timedelta(days=15))
    shown = text_of(client, "/")
    assert (
        "Its onboarding is at step 3, Voice Route, and is not finished. It should have been done by" in shown
    )


def test_who_looks_after_one_customer_only_goes_back_to_its_step_1(cast: Cast, client_of: SignIn) -> None:
    with scope.one(cast.contoso.id):
        services.start_again(SYSTEM, cast.contoso)
    client = client_of(cast.otto)
    page = text_of(client, url(cast.contoso, "onboarding/m365-tenant/"))
    assert "Available Users" not in page, "the pools are the provider's"
    text_of(client, "/onboarding/name/?name=x")
    text_of(client, "/onboarding/offers/")
    text_of(client, START, 403)
    text_of(client_of(cast.adam), url(cast.contoso, "onboarding/m365/"), 403)
