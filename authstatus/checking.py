"""Examine a credential: a fresh token, one harmless call for each feature, then the directory roles. Writes nothing.

"Token obtained" is not "consent given": Microsoft hands out tokens to an app without a single permission
(facts/microsoft.md 2.1), so only what the token carries and the calls that are answered count (complaint B 1).
"""

import dataclasses
import threading
from collections.abc import Callable, Collection, Mapping
from typing import Any

from authstatus.models import FindingKind
from core.errors import Remedy, UmpError
from m365 import permissions
from m365.graph import BatchRequest, BatchResponse
from m365.identity import Token
from m365.permissions import FEATURES, PROFILES, Held
from tenants import lines
from tenants.models import DeployState, Method, Service, Tenant, Verification

ROLES = "roles"
LONGEST_NAME = 120
Told = Callable[[str], None]


@dataclasses.dataclass(frozen=True)
class Needs:
    """What a customer needs at Microsoft."""

    features: tuple[str, ...]
    asked_for: frozenset[str] = frozenset()
    """Permissions that our own guide asks for, so that they are no excess even while nothing uses them."""
    deployed: bool = False
    own_domains: bool = True


@dataclasses.dataclass(frozen=True)
class Found:
    """One thing that was looked at: a permission, a feature's call, or a role."""

    kind: FindingKind
    name: str
    state: Held
    problem: Mapping[str, Any] | None = None


@dataclasses.dataclass(frozen=True)
class Examination:
    """What Microsoft said about a credential; `problem` is why it is not a success."""

    verification: Verification
    found: tuple[Found, ...] = ()
    granted: tuple[str, ...] = ()
    organization: str = ""
    problem: UmpError | None = None

    @property
    def missing(self) -> tuple[str, ...]:
        """Permissions that are needed and not there."""
        return self.names(FindingKind.PERMISSION, Held.MISSING)

    @property
    def waits_for_consent(self) -> bool:
        """Whether Microsoft may only be slow: it gave a token, and right after a consent more will be in it."""
        return self.problem is not None and self.problem.code == "permission_missing"

    def names(self, kind: FindingKind, state: Held) -> tuple[str, ...]:
        return tuple(one.name for one in self.found if (one.kind, one.state) == (kind, state))


def needs_of(tenant: Tenant, method: Method = Method.APP) -> Needs:
    """What this customer's service level, service and stage want of a credential of this kind."""
    profile = PROFILES["custom_app"] if method == Method.APP else PROFILES["sync_delegated"]
    return Needs(
        features=permissions.features_of(tenant.plan, tenant.service),
        asked_for=frozenset(profile.application + profile.delegated),
        deployed=tenant.deploy_state == DeployState.DEPLOYED,
        own_domains=tenant.service == Service.DIRECT_ROUTING,
    )


def refuses(error: UmpError) -> bool:
    """Whether the access failed; anything else is a check that failed, and blames nobody (complaint B 13)."""
    return error.remedy == Remedy.AFTER_FIX and error.scope == "connection"


def examine(
    line: lines.Line, needs: Needs, *, stop: threading.Event | None = None, told: Told = lambda _: None
) -> Examination:
    """Raises UmpError when the check itself failed: throttled, no network, interrupted, our own fault."""
    needs = _in_cloud(needs, line.cloud.key)
    result = Verification.NO_TOKEN
    try:
        told("Signing in to Microsoft")
        token = line.token(fresh=True)
        result = Verification.FAILED
        told("Trying what the portal needs there")
        answers = _ask(line, needs, token, stop)
    except UmpError as error:
        if not refuses(error):
            raise
        return Examination(result, problem=error)
    granted = _sane(token.granted)
    roles = _held_roles(token, answers.pop(ROLES, None))
    refused = {key: answer.error for key, answer in answers.items() if answer.error}
    for key, answer in refused.items():
        if not refuses(answer) and not FEATURES[key].optional:
            raise answer
    try:
        organization = _own_name(answers.get("organisation"), line)
    except UmpError as error:  # of another organisation nothing is taken down
        return Examination(Verification.FAILED, problem=error)
    found = (*_judged(granted, refused, needs), *_judged_roles(roles, needs))
    problem = _problem(line, granted, refused, needs)
    result = Verification.FAILED if problem else Verification.SUCCESSFUL
    return Examination(result, found, tuple(sorted(granted)), organization, problem)


def _in_cloud(needs: Needs, cloud: str) -> Needs:
    """Without what Microsoft does not have in this cloud."""
    return dataclasses.replace(
        needs, features=tuple(key for key in needs.features if cloud in FEATURES[key].clouds)
    )


def _sane(names: Collection[str]) -> frozenset[str]:
    """What can be the name of a permission or role, and be stored as one."""
    return frozenset(name for name in names if name.isprintable() and 0 < len(name) <= LONGEST_NAME)


# --- Asking -------------------------------------------------------------------------------------------------
def _ask(
    line: lines.Line, needs: Needs, token: Token, stop: threading.Event | None
) -> dict[str, BatchResponse]:
    """Every call with its own answer, in one request; that of the roles only where the token does not say them."""
    steps = [BatchRequest(key, FEATURES[key].probe) for key in needs.features]
    if not token.wids:
        steps.append(BatchRequest(ROLES, _roles_path(token)))
    return {answer.id: answer for answer in line.graph(stop=stop).batch(steps)}


def _roles_path(token: Token) -> str:
    """Decision 23: of the account that consented, or of the service principal."""
    if token.scopes:
        return "/me/transitiveMemberOf/microsoft.graph.directoryRole?$select=roleTemplateId"
    return f"/roleManagement/directory/roleAssignments?$filter=principalId%20eq%20'{token.oid}'"


def _held_roles(token: Token, answer: BatchResponse | None) -> frozenset[str] | None:
    """Names of the roles held; None where Microsoft did not let us know.

    Raises UmpError for trouble that passes: the next check may know.
    """
    if token.wids:
        return frozenset(map(permissions.role_name, _sane(token.wids - permissions.NO_ROLES)))
    if answer is None or answer.error:
        if answer and answer.error and answer.error.remedy == Remedy.LATER:
            raise answer.error
        return None
    rows = answer.body.get("value") if isinstance(answer.body, dict) else None
    ids = [
        row.get("roleTemplateId") or row.get("roleDefinitionId")
        for row in (rows if isinstance(rows, list) else ())
        if isinstance(row, dict)
    ]
    return frozenset(map(permissions.role_name, _sane([each for each in ids if isinstance(each, str)])))


def _own_name(answer: BatchResponse | None, line: lines.Line) -> str:
    """Raises UmpError (wrong_tenant) when the answer is about another tenant than the one we asked."""
    if answer is None or answer.error:
        return ""
    rows = answer.body.get("value") if isinstance(answer.body, dict) else None
    row = rows[0] if isinstance(rows, list) and rows and isinstance(rows[0], dict) else {}
    if str(row.get("id", "")).lower() != line.entra_tenant_id.lower():
        raise UmpError.of("wrong_tenant", tenant=line.entra_tenant_id)
    return str(row.get("displayName") or "").replace("\0", "")[:256]


# --- Judging ------------------------------------------------------------------------------------------------
def _judged(granted: Collection[str], refused: Mapping[str, UmpError], needs: Needs) -> list[Found]:
    states = permissions.judge_permissions(granted, needs.features, needs.asked_for)
    of_token = [Found(FindingKind.PERMISSION, name, state) for name, state in states.items()]
    of_calls = [
        Found(FindingKind.CALL, key, Held.MISSING, dict(refused[key].to_dict()))
        if key in refused
        else Found(FindingKind.CALL, key, Held.PRESENT)
        for key in needs.features
    ]
    return of_token + of_calls


def _judged_roles(held: frozenset[str] | None, needs: Needs) -> list[Found]:
    if held is None:
        return [Found(FindingKind.ROLE, name, Held.UNKNOWN) for name in permissions.VOICE_ROLES[0]]
    states = permissions.judge_roles(held, deployed=needs.deployed, own_domains=needs.own_domains)
    return [Found(FindingKind.ROLE, name, state) for name, state in states.items()]


def _problem(
    line: lines.Line, granted: Collection[str], refused: Mapping[str, UmpError], needs: Needs
) -> UmpError | None:
    """What is missing, by the names under which it is granted; a refused call although all is granted counts too.

    What an optional feature lacks is among the findings, and no problem.
    """
    required = [key for key in needs.features if not FEATURES[key].optional]
    lacking = dict.fromkeys(permissions.missing_for(granted, required))
    behind = [name for key in required if key in refused for name in permissions.serving(granted, key)]
    names = ", ".join(sorted({*lacking, *behind}))
    if not names:
        return None
    detail = next((error.detail for error in refused.values()), {})
    return UmpError.of(
        "permission_missing", permission=names, tenant=line.name, app=line.app, detail=dict(detail)
    )
