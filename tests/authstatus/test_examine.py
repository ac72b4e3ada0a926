"""Examining a credential by itself, against answers that the pretend Microsoft 365 does not give."""

import dataclasses
import datetime as dt
from typing import Any

import pytest

from authstatus.checking import Examination, Needs, examine, needs_of
from authstatus.models import FindingKind
from core.errors import UmpError
from m365.clouds import CLOUDS, Cloud
from m365.graph import BatchRequest, BatchResponse
from m365.identity import Token
from m365.permissions import DIRECTORY_READ, NO_ROLES, PROFILES, ROLES, Held
from tenants.models import DeployState, Method, Service, Tenant, Verification

TENANT = "c0000000-0000-4000-8000-000000000001"
LEAST = PROFILES["directory_read"].application
NEEDS = Needs(DIRECTORY_READ)
TEAMS = ROLES["Teams Administrator"].template_id
MARKS = frozenset(NO_ROLES)


@dataclasses.dataclass
class PretendLine:
    """A line whose token and answers the test decides; `asked` are the calls of its one batch."""

    granted: tuple[str, ...] = LEAST
    wids: frozenset[str] = MARKS
    scopes: tuple[str, ...] = ()
    answers: dict[str, Any] = dataclasses.field(default_factory=dict)
    refused: UmpError | None = None
    organization: str = TENANT
    asked: dict[str, str] = dataclasses.field(default_factory=dict)
    name: str = "Contoso"
    app: str = "the app registration of Contoso"
    entra_tenant_id: str = TENANT
    shared: bool = False
    cloud: Cloud = CLOUDS["global"]

    def token(self, *, fresh: bool) -> Token:
        assert fresh
        if self.refused:
            raise self.refused
        ends = dt.datetime(2030, 1, 1, tzinfo=dt.UTC)
        return Token(
            "t", ends, frozenset(self.granted), wids=self.wids, scopes=frozenset(self.scopes), oid="o-1"
        )

    def graph(self, **_: Any) -> "PretendLine":
        return self

    def batch(self, steps: list[BatchRequest]) -> list[BatchResponse]:
        if "batch" in self.answers:
            raise self.answers["batch"]
        assert not self.asked, "one request asks everything"
        self.asked = {step.id: step.url for step in steps}
        usual = {"value": [{"id": self.organization, "displayName": "Contoso Ltd"}]}
        given = {step.id: self.answers.get(step.id, usual) for step in steps}
        return [
            BatchResponse(key, 403, {}, None, found)
            if isinstance(found, UmpError)
            else BatchResponse(key, 200, {}, found)
            for key, found in given.items()
        ]


def look(line: PretendLine, needs: Needs = NEEDS) -> Examination:
    return examine(line, needs)  # type: ignore[arg-type]  # it has all that is used


def roles(said: Examination) -> dict[str, Held]:
    return {one.name: one.state for one in said.found if one.kind == FindingKind.ROLE}


def test_a_success_says_whose_it_is() -> None:
    said = look(PretendLine())
    assert (said.verification, said.organization) == (Verification.SUCCESSFUL, "Contoso Ltd")
    assert said.granted == tuple(sorted(LEAST))
    assert (said.missing, said.problem) == ((), None)


def test_another_organisation_answers() -> None:
    said = look(PretendLine(organization="fab00000-0000-4000-8000-000000000002"))
    assert said.verification == Verification.FAILED
    assert said.problem is not None
    assert (said.problem.code, said.found) == ("wrong_tenant", ())


@pytest.mark.parametrize("code", ["secret_expired", "app_not_found", "conditional_access", "mfa_required"])
def test_no_token_is_the_access(code: str) -> None:
    said = look(PretendLine(refused=UmpError.of(code)))
    assert said.verification == Verification.NO_TOKEN
    assert said.problem is not None
    assert said.problem.code == code


@pytest.mark.parametrize(
    "code",
    ["throttled", "microsoft_busy", "tls_failed", "unreachable", "request_malformed", "provider_app_refused"],
)
def test_what_is_not_the_customers_is_a_failed_check(code: str) -> None:
    with pytest.raises(UmpError) as caught:
        look(PretendLine(refused=UmpError.of(code)))
    assert caught.value.code == code


def test_a_token_that_is_not_accepted_is_the_access() -> None:
    said = look(PretendLine(answers={"batch": UmpError.of("graph_unauthorized")}))
    assert said.verification == Verification.FAILED
    assert said.problem is not None
    assert (said.problem.code, said.found) == ("graph_unauthorized", ())


def test_what_cannot_be_a_name_is_none() -> None:
    said = look(PretendLine((*LEAST, "a\0b", "x" * 121, ""), wids=MARKS | {"\n"}))
    assert said.verification == Verification.SUCCESSFUL
    assert said.granted == tuple(sorted(LEAST))


def test_a_call_that_nobody_answered_leaves_everything_open() -> None:
    line = PretendLine(
        answers={"users": UmpError.of("permission_missing"), "groups": UmpError.of("throttled")}
    )
    with pytest.raises(UmpError) as caught:
        look(line)
    assert caught.value.code == "throttled"


# --- Roles --------------------------------------------------------------------------------------------------
def test_roles_come_from_the_token() -> None:
    line = PretendLine(wids=MARKS | {TEAMS, "11111111-2222-4333-8444-555555555555"})
    said = look(line)
    assert roles(said) == {
        "Teams Administrator": Held.PRESENT,
        "11111111-2222-4333-8444-555555555555": Held.EXTRA,
    }
    assert "roles" not in line.asked


def test_where_the_token_is_silent_the_directory_is_asked() -> None:
    line = PretendLine(wids=frozenset(), answers={"roles": {"value": [{"roleDefinitionId": TEAMS}]}})
    assert roles(look(line)) == {"Teams Administrator": Held.PRESENT}
    assert "principalId%20eq%20'o-1'" in line.asked["roles"]
    person = PretendLine((), frozenset(), LEAST, {"roles": {"value": [{"roleTemplateId": TEAMS}]}})
    assert roles(look(person)) == {"Teams Administrator": Held.PRESENT}
    assert person.asked["roles"].startswith("/me/")


def test_roles_that_nobody_may_see_are_unknown_and_no_fault() -> None:
    said = look(PretendLine(wids=frozenset(), answers={"roles": UmpError.of("permission_missing")}))
    assert roles(said) == {"Teams Administrator": Held.UNKNOWN}
    assert said.verification == Verification.SUCCESSFUL


# --- On behalf of a person ----------------------------------------------------------------------------------
def test_whoever_may_what_the_person_may_is_judged_by_the_calls() -> None:
    scopes = ("Directory.AccessAsUser.All", "openid", "AppCatalog.ReadWrite.All", "Mail.Send")
    needs = needs_of(Tenant(plan="pro", service=Service.OPERATOR_CONNECT), Method.TOKEN)
    line = PretendLine((), scopes=scopes)
    said = look(line, needs)
    states = {one.name: one.state for one in said.found if one.kind == FindingKind.PERMISSION}
    assert states == {
        "AppCatalog.ReadWrite.All": Held.PRESENT,
        "Directory.AccessAsUser.All": Held.PRESENT,
        "Mail.Send": Held.EXTRA,
    }
    assert set(line.asked) >= {"teams_users", "numbers"}
    assert said.verification == Verification.SUCCESSFUL


def test_a_cloud_is_not_asked_for_what_it_does_not_have() -> None:
    line = PretendLine(cloud=CLOUDS["gcc_high"])
    said = look(line, needs_of(Tenant(plan="pro", service=Service.DIRECT_ROUTING)))
    assert {"teams_users", "numbers"}.isdisjoint(line.asked)
    assert said.verification == Verification.SUCCESSFUL


def test_operator_connect_needs_no_domains() -> None:
    tenant = Tenant(plan="pro", service=Service.OPERATOR_CONNECT, deploy_state=DeployState.READY)
    line = PretendLine(wids=MARKS | {TEAMS, ROLES["Domain Name Administrator"].template_id})
    assert roles(look(line, needs_of(tenant)))["Domain Name Administrator"] == Held.EXTRA
