"""What people see of a check: by permission and by role, with its age; what came or went; and nothing of others."""

import datetime as dt
from collections.abc import Callable

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import User
from authstatus import findings
from authstatus.checking import Examination, Found
from authstatus.models import Check, FindingKind, Result
from core.errors import UmpError
from m365.permissions import Held
from tenants import scope, services
from tenants.models import Connection, DeployState, Tenant, Verification
from tests.cast import Cast
from tests.pages.helpers import change, failed, text_of, url, verified, well

pytestmark = pytest.mark.django_db
SignIn = Callable[[User], Client]
PERMISSION, CALL, ROLE = FindingKind.PERMISSION, FindingKind.CALL, FindingKind.ROLE


def keep(tenant: Tenant, *found: Found, but: tuple[str, ...] = ()) -> None:
    """A check that found everything in order `but` these names, and `found` besides."""
    base = well(tenant)
    rows = tuple(one for one in base.found if one.name not in but)
    with scope.one(tenant.id):
        Connection.objects.filter(tenant=tenant).update(changed_at=timezone.now() - dt.timedelta(days=1))
        findings.keep(
            tenant.id, Examination(Verification.SUCCESSFUL, (*rows, *found), base.granted, tenant.name)
        )
        services.note_check(tenant.id, verification=Verification.SUCCESSFUL, problem=None)


def row_of(page: str, name: str) -> str:
    """The table row that begins with this heading."""
    begins = page.index(f'<th scope="row">{name}</th>')
    return page[begins : page.index("</tr>", begins)]


def test_each_permission_has_its_line(cast: Cast, client_of: SignIn) -> None:
    verified(cast.contoso)
    refused = dict(UmpError.of("permission_missing", permission="x").to_dict())
    keep(
        cast.contoso,
        Found(PERMISSION, "GroupMember.Read.All", Held.MISSING),
        Found(CALL, "groups", Held.MISSING, refused),
        Found(CALL, "licences", Held.MISSING, refused),
        Found(PERMISSION, "Mail.Send", Held.EXTRA),
        but=("GroupMember.Read.All", "groups", "licences"),
    )
    page = text_of(client_of(cast.vera), url(cast.contoso, "connection/"))
    assert "Last Authentication Status: Successful." in page
    assert "Missing" in row_of(page, "Read groups and their members")
    assert "Refused" in row_of(page, "Read licences")
    assert "LicenseAssignment.Read.All" in row_of(page, "Read licences")
    assert "Granted" in row_of(page, "Read users")
    assert "More than needed" in row_of(page, "Nothing that the portal does")
    order = [page.index(f'<th scope="row">{name}') for name in ("Read groups", "Read licences", "Read users")]
    assert order == sorted(order), "the red ones come first"


def test_the_words_of_the_last_status(cast: Cast, client_of: SignIn) -> None:
    client = client_of(cast.olga)
    assert "Last Authentication Status: Never Performed." in text_of(client, url(cast.contoso, "connection/"))
    failed(cast.contoso)
    with scope.one(cast.contoso.id):
        services.note_check(cast.contoso.id, verification=Verification.NO_TOKEN, problem=None)
    page = text_of(client, url(cast.contoso, "connection/"))
    assert "Last Authentication Status: Token not generated." in page


def test_a_failed_check_is_told_apart_from_a_failed_access(cast: Cast, client_of: SignIn) -> None:
    verified(cast.contoso)
    with scope.one(cast.contoso.id):
        problem = dict(UmpError.of("microsoft_busy").to_dict())
        findings.note(cast.contoso.id, Result.CHECK_FAILED, problem)
    page = text_of(client_of(cast.olga), url(cast.contoso, "checks/"))
    assert "Check failed" in page
    assert "1 successful, 1 check failed, 0 access failed" in page
    assert "Show as table" in page


def test_propagation_is_told(cast: Cast, client_of: SignIn) -> None:
    with scope.one(cast.contoso.id):
        problem = dict(UmpError.of("consent_propagating", permission="User.Read.All").to_dict())
        findings.note(cast.contoso.id, Result.PROPAGATING, problem)
        Connection.objects.update(propagating_until=timezone.now() + dt.timedelta(minutes=5))
    page = text_of(client_of(cast.olga), url(cast.contoso, "connection/"))
    assert "has not put this in force yet: User.Read.All" in page
    assert "Last Authentication Status: Never Performed." in page, "not Failed"


def test_the_role_table_of_a_deployed_customer(cast: Cast, client_of: SignIn) -> None:
    change(cast.contoso, deploy_state=DeployState.DEPLOYED)
    keep(
        cast.contoso,
        Found(ROLE, "Teams Administrator", Held.MISSING),
        Found(ROLE, "User Administrator", Held.EXTRA),
    )
    page = text_of(client_of(cast.adam), url(cast.contoso, "connection/"))
    for head in ("Role", "Purpose", "Deployment Stage", "Validation Conditions"):
        assert f'<th scope="col">{head}</th>' in page
    assert "Missing" in row_of(page, "Teams Administrator")
    assert "Onboarding and Day Two" in row_of(page, "Teams Administrator")
    assert "May be removed" in row_of(page, "User Administrator")
    assert "May be removed now: <b>User Administrator</b>." in page
    assert "for a while: <b>Domain Name Administrator, User Administrator</b>." in page
    assert "An administrator adds it: Microsoft Entra admin centre" in page


def test_drift_is_told_on_both_pages(cast: Cast, client_of: SignIn) -> None:
    change(cast.contoso, deploy_state=DeployState.DEPLOYED)
    verified(cast.contoso)
    keep(cast.contoso, Found(ROLE, "Teams Administrator", Held.PRESENT))
    keep(
        cast.contoso,
        Found(ROLE, "Teams Administrator", Held.MISSING),
        Found(PERMISSION, "Mail.Send", Held.EXTRA),
    )
    for address in ("/", url(cast.contoso)):
        page = text_of(client_of(cast.olga), address)
        assert "a directory role that voice work needs is not there: Teams Administrator" in page
        assert "permission Mail.Send appeared; directory role Teams Administrator is gone" in page
        assert "The customer&#x27;s administrator" in page
    assert "Grants or roles changed at Microsoft" in text_of(
        client_of(cast.adam), url(cast.contoso, "history/")
    )
    assert "Mail.Send" not in text_of(client_of(cast.max), url(cast.fabrikam))
    text_of(client_of(cast.max), url(cast.contoso, "connection/"), 404)


def test_what_appeared_alone_is_a_note(cast: Cast, client_of: SignIn) -> None:
    verified(cast.contoso)
    keep(cast.contoso)
    keep(cast.contoso, Found(PERMISSION, "Mail.Send", Held.EXTRA))
    page = text_of(client_of(cast.olga), url(cast.contoso))
    assert "Changed at Microsoft: permission Mail.Send appeared." in page
    with scope.one(cast.contoso.id):
        Check.objects.update(at=timezone.now() - dt.timedelta(days=8))
    assert "Changed at Microsoft" not in text_of(client_of(cast.olga), url(cast.contoso))
