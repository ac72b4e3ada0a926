"""App registrations in a customer's tenant: looking them up, making them, and their secrets (facts/microsoft.md 7).

Least permissions by Microsoft's tables (application / delegated):

- read a registration: Application.Read.All, or Application.ReadWrite.OwnedBy for one that the app owns
- make, change or delete one, its secrets, its certificates, its principal: Application.ReadWrite.OwnedBy /
  Application.ReadWrite.All; for certificates also a proof that it holds one already
- give it application permissions: AppRoleAssignment.ReadWrite.All with Application.Read.All
- give it delegated permissions: DelegatedPermissionGrant.ReadWrite.All
- give it a directory role: RoleManagement.ReadWrite.Directory

Every write here may be repeated: what is there already counts as done.
"""

from __future__ import annotations

import base64
import contextlib
import datetime as dt
import uuid
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding

from core.errors import Conflict, NotFound, UmpError
from m365.graph import GraphClient, segment
from m365.permissions import GRAPH_APP_ID, PERMISSIONS, TEAMS_ADMIN_APP_ID, TEAMS_ADMIN_USER_IMPERSONATION

READS_ANY = frozenset({"Application.Read.All", "Application.ReadWrite.All", "Directory.Read.All"})
CHANGES_OWN = frozenset({"Application.ReadWrite.OwnedBy", "Application.ReadWrite.All"})
CREATES = ("Application.ReadWrite.All", "AppRoleAssignment.ReadWrite.All")
"""What whoever creates a registration and grants its permissions must be allowed."""

_FIELDS = "id,appId,displayName,tags,createdDateTime,passwordCredentials,keyCredentials"
_REFUSED_LIFE = ("credentiallifetimeexceeds", "credentialinvalidlifetime", "credential lifetime exceeds")
_REFUSED_TYPE = ("credentialtypenotallowed", "credential type not allowed")


@dataclass(frozen=True, slots=True)
class KeyOnFile:
    """A secret or a certificate (which has a thumbprint) as Microsoft lists it: never its value."""

    key_id: str
    name: str
    ends: dt.datetime | None
    hint: str = ""
    thumbprint: str = ""
    is_certificate: bool = False


@dataclass(frozen=True, slots=True)
class Registration:
    """An app registration; `object_id` stands in addresses, `client_id` is what people know it by."""

    object_id: str
    client_id: str
    name: str
    tags: tuple[str, ...]
    secrets: tuple[KeyOnFile, ...]
    certificates: tuple[KeyOnFile, ...]

    @property
    def keys(self) -> tuple[KeyOnFile, ...]:
        return self.secrets + self.certificates

    def without(self, key_id: str) -> Registration:
        """As it is once this secret or certificate is gone."""
        secrets = tuple(key for key in self.secrets if key.key_id != key_id)
        certificates = tuple(key for key in self.certificates if key.key_id != key_id)
        return replace(self, secrets=secrets, certificates=certificates)


@dataclass(frozen=True, slots=True)
class NewSecret:
    """Shown by Microsoft this one time."""

    key_id: uuid.UUID
    value: str = field(repr=False)
    ends: dt.datetime


# --- Reading ------------------------------------------------------------------------------------------------
def by_client_id(graph: GraphClient, client_id: str) -> Registration | None:
    """The registration, None when this tenant has none of that id."""
    try:
        row = graph.get(f"/applications(appId='{segment(client_id)}')?$select={_FIELDS}")
    except NotFound:
        return None
    return _registration(row, graph)


def by_mark(graph: GraphClient, mark: str) -> Registration | None:
    """The registration that carries this mark among its tags, whatever people call it."""
    params = {"$filter": f"tags/any(t:t eq '{mark}')", "$select": _FIELDS}
    for page in graph.pages("/applications", params):
        for row in page.value:
            found = _registration(row, graph)
            if mark in found.tags:
                return found
    return None


def principal_of(graph: GraphClient, client_id: str) -> str | None:
    """The id of the app's service principal ("enterprise application") in this tenant."""
    try:
        row = graph.get(f"/servicePrincipals(appId='{segment(client_id)}')?$select=id,appId")
    except NotFound:
        return None
    return _text(row, "id", graph)


# --- The registration and its principal ---------------------------------------------------------------------
def create(
    graph: GraphClient, *, name: str, mark: str, redirect_uri: str, application: Collection[str]
) -> Registration:
    """A single-tenant registration that asks for these application permissions. No implicit grant (decision 14)."""
    row = graph.post(
        "/applications",
        {
            "displayName": name,
            "signInAudience": "AzureADMyOrg",
            "web": {
                "redirectUris": [redirect_uri],
                "implicitGrantSettings": {
                    "enableIdTokenIssuance": False,
                    "enableAccessTokenIssuance": False,
                },
            },
            "requiredResourceAccess": [
                {
                    "resourceAppId": GRAPH_APP_ID,
                    "resourceAccess": [
                        {"id": PERMISSIONS[permission].application, "type": "Role"}
                        for permission in application
                    ],
                },
                {
                    "resourceAppId": TEAMS_ADMIN_APP_ID,
                    "resourceAccess": [{"id": TEAMS_ADMIN_USER_IMPERSONATION, "type": "Scope"}],
                },
            ],
            "tags": [mark],
        },
    )
    return _registration(row or {}, graph)


def create_principal(graph: GraphClient, client_id: str) -> str:
    """The app's service principal; one that exists already is taken."""
    try:
        row = graph.post("/servicePrincipals", {"appId": client_id})
    except Conflict:
        found = principal_of(graph, client_id)
        if found is None:
            raise
        return found
    return _text(row or {}, "id", graph)


def delete_principal(graph: GraphClient, principal_id: str) -> None:
    """Take an app out of the organisation, with all that it was granted; one that is gone already is as good.

    Soft: an administrator can restore it for 30 days.
    """
    with contextlib.suppress(NotFound):
        graph.delete(f"/servicePrincipals/{segment(principal_id)}")


def delete(graph: GraphClient, object_id: str) -> None:
    """Soft: the customer's administrator can restore it for 30 days. Its principal goes with it."""
    graph.delete(f"/applications/{segment(object_id)}")


def add_owner(graph: GraphClient, object_id: str, principal_id: str) -> None:
    """Make the app an owner of its own registration, so that it may renew its secret itself."""
    reference = {"@odata.id": f"{graph.cloud.graph_root}/v1.0/directoryObjects/{principal_id}"}
    _done_already(graph, f"/applications/{segment(object_id)}/owners/$ref", reference)


# --- What it may do -----------------------------------------------------------------------------------------
def granted_roles(graph: GraphClient, principal_id: str) -> frozenset[str]:
    """Ids of the application permissions that the principal holds."""
    path = f"/servicePrincipals/{segment(principal_id)}/appRoleAssignments"
    return frozenset(
        str(row.get("appRoleId", "")).lower() for page in graph.pages(path) for row in page.value
    )


def grant_role(graph: GraphClient, principal_id: str, resource_id: str, role_id: str) -> None:
    """Give an application permission, as admin consent does."""
    body = {"principalId": principal_id, "resourceId": resource_id, "appRoleId": role_id}
    _done_already(graph, f"/servicePrincipals/{segment(principal_id)}/appRoleAssignments", body)


def grant_scopes(graph: GraphClient, principal_id: str, resource_id: str, scopes: Collection[str]) -> None:
    """Give delegated permissions for everybody in the organisation."""
    params = {"$filter": f"clientId eq '{principal_id}' and resourceId eq '{resource_id}'"}
    for page in graph.pages("/oauth2PermissionGrants", params):
        for row in page.value:
            if row.get("consentType") == "AllPrincipals":
                have = str(row.get("scope", "")).split()
                if not set(scopes) <= set(have):
                    wanted = " ".join(dict.fromkeys([*have, *scopes]))
                    graph.patch(f"/oauth2PermissionGrants/{segment(str(row['id']))}", {"scope": wanted})
                return
    body = {"clientId": principal_id, "consentType": "AllPrincipals", "resourceId": resource_id}
    _done_already(graph, "/oauth2PermissionGrants", {**body, "scope": " ".join(scopes)})


def directory_roles(graph: GraphClient, principal_id: str) -> frozenset[str]:
    """Template ids of the directory roles that the principal holds for the whole organisation."""
    path = "/roleManagement/directory/roleAssignments"
    params = {"$filter": f"principalId eq '{principal_id}'"}
    return frozenset(
        str(row.get("roleDefinitionId", "")).lower()
        for page in graph.pages(path, params)
        for row in page.value
        if row.get("directoryScopeId", "/") == "/"
    )


def give_directory_role(graph: GraphClient, principal_id: str, template_id: str) -> None:
    body = {
        "@odata.type": "#microsoft.graph.unifiedRoleAssignment",
        "roleDefinitionId": template_id,
        "principalId": principal_id,
        "directoryScopeId": "/",
    }
    _done_already(graph, "/roleManagement/directory/roleAssignments", body)


def _done_already(graph: GraphClient, path: str, body: Mapping[str, object]) -> None:
    """A POST for something that may be there: Microsoft answers 400 or 409 with "already exists", by place."""
    try:
        graph.post(path, body)
    except Conflict:
        return
    except UmpError as error:
        said = str(error.detail.get("microsoft_says", "")).lower()
        if error.code != "graph_refused" or not ("already exist" in said or "conflicting object" in said):
            raise


# --- Secrets ------------------------------------------------------------------------------------------------
def add_secret(graph: GraphClient, object_id: str, *, name: str, ends: dt.datetime) -> NewSecret:
    """Add a client secret; others stay. Raises UmpError, among them `secret_life_refused` and
    `secret_type_refused`: the organisation's own rules for app registrations."""
    wanted = {"displayName": name, "endDateTime": f"{ends.astimezone(dt.UTC):%Y-%m-%dT%H:%M:%SZ}"}
    try:
        row = graph.post(f"/applications/{segment(object_id)}/addPassword", {"passwordCredential": wanted})
    except UmpError as error:
        raise _by_policy(error) from error
    row = row or {}
    value, key_id, real_end = row.get("secretText"), _guid(row.get("keyId")), _moment(row.get("endDateTime"))
    if not isinstance(value, str) or not value or key_id is None:
        raise UmpError.of("bad_reply", host=graph.cloud.graph_host, why="it carries no new secret")
    return NewSecret(key_id, value, real_end or ends)


def remove_secret(graph: GraphClient, object_id: str, key_id: str) -> None:
    """Remove a client secret; one that is gone already is as good."""
    try:
        graph.post(f"/applications/{segment(object_id)}/removePassword", {"keyId": key_id})
    except NotFound:
        return
    except UmpError as error:
        if error.code != "graph_refused" or _is_there(graph, object_id, key_id):
            raise


# --- Certificates -------------------------------------------------------------------------------------------
def add_certificate(
    graph: GraphClient, object_id: str, *, name: str, certificate_pem: str, proof: str
) -> KeyOnFile:
    """Add the public half of a certificate; others stay. Raises as `add_secret`.

    By addKey and not by a change of the whole list, which would take away what somebody else adds meanwhile.
    `proof` is `m365.identity.proof_of_possession`, made with a certificate that the registration has already.
    """
    from cryptography import x509  # noqa: PLC0415  a megabyte that only certificates take

    der = x509.load_pem_x509_certificate(certificate_pem.encode()).public_bytes(Encoding.DER)
    key = {
        "type": "AsymmetricX509Cert",
        "usage": "Verify",
        "key": base64.b64encode(der).decode(),
        "displayName": name,
    }
    body = {"keyCredential": key, "passwordCredential": None, "proof": proof}
    try:
        row = graph.post(f"/applications/{segment(object_id)}/addKey", body)
    except UmpError as error:
        raise _by_policy(error) from error
    added = next(_keys([row or {}], is_certificate=True), None)
    if added is None:
        raise UmpError.of(
            "bad_reply", host=graph.cloud.graph_host, why="it does not name the new certificate"
        )
    return added


def remove_certificate(graph: GraphClient, object_id: str, key_id: str, *, proof: str) -> None:
    """Remove a certificate; one that is gone already is as good."""
    try:
        graph.post(f"/applications/{segment(object_id)}/removeKey", {"keyId": key_id, "proof": proof})
    except NotFound:
        return
    except UmpError as error:
        if error.code != "graph_refused" or _is_there(graph, object_id, key_id):
            raise


def _is_there(graph: GraphClient, object_id: str, key_id: str) -> bool:
    row = graph.get(f"/applications/{segment(object_id)}?$select={_FIELDS}")
    return any(key.key_id == key_id.lower() for key in _registration(row, graph).keys)


def _by_policy(error: UmpError) -> UmpError:
    """Says in our words that an app-management policy refused it (complaint B 8); only Microsoft's text tells."""
    said = " ".join(
        str(error.detail.get(name, "")) for name in ("microsoft_code", "inner_code", "microsoft_says")
    )
    said = said.lower()
    for code, signs in (("secret_life_refused", _REFUSED_LIFE), ("secret_type_refused", _REFUSED_TYPE)):
        if any(sign in said for sign in signs):
            return UmpError.of(code, detail=error.detail)
    return error


# --- Reading what Microsoft answers -------------------------------------------------------------------------
def _registration(row: Mapping[str, Any], graph: GraphClient) -> Registration:
    tags = row.get("tags")
    return Registration(
        object_id=_text(row, "id", graph),
        client_id=_text(row, "appId", graph).lower(),
        name=str(row.get("displayName") or ""),
        tags=tuple(tag for tag in tags if isinstance(tag, str)) if isinstance(tags, list) else (),
        secrets=tuple(_keys(row.get("passwordCredentials"))),
        certificates=tuple(_keys(row.get("keyCredentials"), is_certificate=True)),
    )


def _keys(rows: object, *, is_certificate: bool = False) -> Iterator[KeyOnFile]:
    for row in rows if isinstance(rows, list) else ():
        if isinstance(row, Mapping) and (key_id := _guid(row.get("keyId"))):
            yield KeyOnFile(
                key_id=str(key_id),
                name=str(row.get("displayName") or ""),
                ends=_moment(row.get("endDateTime")),
                hint=str(row.get("hint") or ""),
                thumbprint=str(row.get("customKeyIdentifier") or "").upper(),
                is_certificate=is_certificate,
            )


def _text(row: Mapping[str, Any], name: str, graph: GraphClient) -> str:
    value = row.get(name)
    if not isinstance(value, str) or not value:
        raise UmpError.of("bad_reply", host=graph.cloud.graph_host, why=f"it has no {name}")
    return value


def _guid(value: object) -> uuid.UUID | None:
    try:
        return uuid.UUID(str(value))
    except ValueError:
        return None


def _moment(value: object) -> dt.datetime | None:
    """A time as Graph writes it, with up to seven digits of a second."""
    try:
        moment = dt.datetime.fromisoformat(str(value))
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)
