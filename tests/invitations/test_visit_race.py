"""Two at once, with real locks: whoever takes a link back wins against whoever just opens it."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connections, transaction

from core.errors import UmpError
from invitations import services, visits
from invitations.models import Invitation, Visit
from tenants import scope
from tests.cast import Cast
from tests.overlap import somebody_waits

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def invitation(committed_cast: Cast) -> Invitation:
    with scope.one(committed_cast.contoso.id):
        return services.invite(
            committed_cast.actor("olga"), committed_cast.contoso, email="it@contoso.example"
        )


@pytest.mark.parametrize(
    ("act", "refusal"), [("revoke", "invitation_revoked"), ("send anew", "invitation_unknown")]
)
def test_who_opens_what_is_being_withdrawn_gets_nowhere(
    committed_cast: Cast, invitation: Invitation, act: str, refusal: str
) -> None:
    tenant, olga = committed_cast.contoso, committed_cast.actor("olga")
    with scope.one(tenant.id):
        _, token = services.make_link(invitation, "test", mailed=True)
    withdrawn, ended = threading.Event(), threading.Event()

    def apart(act: Callable[[], str]) -> str:
        try:
            with scope.one(tenant.id):
                return act()
        finally:
            connections.close_all()

    def withdraw() -> str:
        with transaction.atomic():
            if act == "revoke":
                services.revoke(olga, tenant, invitation.pk)
            else:
                link, _ = services.make_link(invitation, "test", mailed=True)
                services.note_sent(tenant, invitation.pk, link, services.Why.RESEND)
            withdrawn.set()
            while not somebody_waits("transactionid") and not ended.is_set():
                pass
        return "withdrawn"

    def enter() -> str:
        seen = Invitation.objects.select_related("tenant").get(id=invitation.pk)  # it was open a moment ago
        assert seen.is_open
        assert withdrawn.wait(30)
        try:
            visits.begin(seen, token, address=None)
        except UmpError as error:
            return error.code
        finally:
            ended.set()
        return "entered"

    with ThreadPoolExecutor(2) as pool:
        outcomes = [pool.submit(apart, act) for act in (withdraw, enter)]
        assert [each.result(60) for each in outcomes] == ["withdrawn", refusal]
    with scope.one(tenant.id):
        assert not Visit.objects.exists()
