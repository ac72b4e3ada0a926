"""Creating, rotating and removing registrations through Graph, and that what comes out of it really works."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable
from typing import Any

import msal
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.hashes import SHA256

from simulator.keys import b64, certificate_for, certificate_pem, private_key_pem, repeatable_key
from simulator.permissions import APP_ROLES, SCOPES
from tests.simulator.client import GRAPH, LOGIN, Visitor
from tests.simulator.test_access import TEAMS, claims

Visit = Callable[..., Visitor]
GRAPH_APP = "00000003-0000-0000-c000-000000000000"
TEAMS_APP = "48ac35b8-9aa8-4d74-927d-1f4a14a0b239"
PRIVILEGED = "e8611ab8-c189-46e8-94e1-60213ab1f814"
CLOUD_APPS = "158c047a-c907-4556-b7ef-446551a6b5f7"
NEEDED = (
    "openid offline_access Application.ReadWrite.All AppRoleAssignment.ReadWrite.All "
    "DelegatedPermissionGrant.ReadWrite.All RoleManagement.ReadWrite.Directory Organization.Read.All"
)


class Installer(Visitor):
    """A customer's administrator at work through a helper app, and the app that comes out of it."""

    def send(self, method: str, path: str, body: Any = None, *, expect: int) -> Any:
        answer = self.call(method, path, json=body)
        assert answer.status_code == expect, answer.text
        return answer.json() if answer.content else None

    def create(self, **more: Any) -> Any:
        asked = {"resourceAppId": GRAPH_APP, "resourceAccess": [_role("User.Read.All")]}
        body = {"displayName": "Acme", "requiredResourceAccess": [asked], **more}
        return self.send("POST", "/applications", body, expect=201)

    def principal(self, application: dict[str, Any]) -> Any:
        return self.send("POST", "/servicePrincipals", {"appId": application["appId"]}, expect=201)

    def password(self, application: dict[str, Any], **credential: Any) -> Any:
        path = f"/applications/{application['id']}/addPassword"
        return self.send("POST", path, {"passwordCredential": credential}, expect=200)

    def assign(self, principal: dict[str, Any], permission: str, *, expect: int = 201) -> Any:
        graph = self.send("GET", f"/servicePrincipals(appId='{GRAPH_APP}')", expect=200)["id"]
        body = {"principalId": principal["id"], "resourceId": graph, "appRoleId": APP_ROLES[permission]}
        return self.send("POST", f"/servicePrincipals/{graph}/appRoleAssignedTo", body, expect=expect)

    def token_of(self, application: dict[str, Any], secret: str) -> dict[str, Any]:
        return dict(self.ask_token(client_id=application["appId"], client_secret=secret).json())

    def code(self, application: dict[str, Any], secret: str) -> int | None:
        return (self.token_of(application, secret).get("error_codes") or [None])[0]


def _role(permission: str) -> dict[str, str]:
    return {"id": APP_ROLES[permission], "type": "Role"}


def _sign_in(customer: Visitor, user: str) -> str:
    kept = customer.inside(
        "POST", "/sign-in", {"scope": NEEDED, "user": user, "client_id": customer.app["client_id"]}
    )
    scope = "https://graph.microsoft.com/.default"
    form = {"grant_type": "refresh_token", "refresh_token": kept["refresh_token"], "scope": scope}
    return str(customer.ask_token(**form).json()["access_token"])


@pytest.fixture
def admin(visit: Visit) -> Installer:
    """The first user, a Global Administrator, with a delegated token of a helper app."""
    customer = visit(users=4)
    installer = Installer(customer.simulator, customer.tenant, customer.gateway)
    installer._token = _sign_in(customer, "#0")
    return installer


def test_an_app_is_created_granted_and_works(admin: Installer) -> None:
    application = admin.create(signInAudience="AzureADMyOrg", tags=["acme"])
    principal = admin.principal(application)
    secret = admin.password(application, displayName="portal", endDateTime="2099-01-01T00:00:00Z")
    bare = claims(admin.token_of(application, secret["secretText"])["access_token"])
    admin.assign(principal, "User.Read.All")
    role = {"roleDefinitionId": TEAMS, "principalId": principal["id"], "directoryScopeId": "/"}
    admin.send("POST", "/roleManagement/directory/roleAssignments", role, expect=201)
    token = admin.token_of(application, secret["secretText"])["access_token"]
    admin._token = token

    assert (secret["hint"], len(secret["secretText"])) == (secret["secretText"][:3], 40)
    assert "roles" not in bare
    assert claims(token)["roles"] == ["User.Read.All"]
    assert TEAMS in claims(token)["wids"]
    assert claims(token)["oid"] == principal["id"]
    assert admin.get("/users").status_code == 200
    assert admin.get("/groups").status_code == 403


def test_the_secret_is_shown_once_and_kept_nowhere(admin: Installer) -> None:
    application = admin.create()
    secret = admin.password(application, displayName="portal")
    read = admin.get(f"/applications/{application['id']}?$select=passwordCredentials")
    history = admin.control("GET", "/history?kind=write")["history"]

    assert secret["secretText"] not in read.text
    assert read.json()["passwordCredentials"][0]["keyId"] == secret["keyId"]
    assert [entry["path"].rsplit("/", 1)[-1] for entry in history] == ["applications", "addPassword"]
    assert secret["secretText"] not in str(history)
    assert admin.control("GET", "/history?kind=unknown_request")["history"] == []


def test_what_is_created_is_found_by_name_id_and_app_id(admin: Installer) -> None:
    application = admin.create()
    found = admin.rows("/applications?$filter=displayName%20eq%20'Acme'")
    changed = {"displayName": "Acme Voice", "web": {"redirectUris": ["https://a.example/cb"]}}
    admin.send("PATCH", f"/applications/{application['id']}", changed, expect=204)
    again = admin.send("GET", f"/applications(appId='{application['appId']}')", expect=200)

    assert [row["id"] for row in found] == [application["id"]]
    assert (again["displayName"], again["web"]) == ("Acme Voice", {"redirectUris": ["https://a.example/cb"]})
    assert again["requiredResourceAccess"][0]["resourceAccess"] == [_role("User.Read.All")]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"displayName": ""},
        {"displayName": "A", "colour": "red"},
        {"displayName": "A", "appId": "00000000-0000-4000-8000-000000000001"},
        {"displayName": "A", "passwordCredentials": [{"secretText": "mine"}]},
        {"displayName": "A", "signInAudience": "Everybody"},
        {"displayName": "A", "web": {"redirectUris": ["http://portal.example/cb"]}},
        {"displayName": "A", "requiredResourceAccess": [{"resourceAppId": GRAPH_APP}]},
        {"displayName": "A", "keyCredentials": [{"type": "Symmetric"}]},
    ],
)
def test_a_bad_application_is_refused(admin: Installer, body: dict[str, Any]) -> None:
    admin.send("POST", "/applications", body, expect=400)

    assert admin.rows("/applications?$filter=displayName%20eq%20'A'") == []


def test_duplicates_are_told_apart_from_failures(admin: Installer) -> None:
    application = admin.create()
    principal = admin.principal(application)
    admin.assign(principal, "User.Read.All")
    role = {"roleDefinitionId": TEAMS, "principalId": principal["id"], "directoryScopeId": "/"}
    admin.send("POST", "/roleManagement/directory/roleAssignments", role, expect=201)
    same = {"appId": application["appId"]}

    twice = admin.send("POST", "/servicePrincipals", same, expect=409)
    assigned = admin.assign(principal, "User.Read.All", expect=400)
    held = admin.send("POST", "/roleManagement/directory/roleAssignments", role, expect=400)

    assert twice["error"]["code"] == "Request_MultipleObjectsWithSameKeyValue"
    assert "servicePrincipalNames already exists" in twice["error"]["message"]
    assert assigned["error"]["message"] == "Permission being assigned already exists on the object"
    assert held["error"]["message"].startswith("A conflicting object with one or more")


def test_new_things_take_a_while_to_be_found(admin: Installer) -> None:
    admin.tune(create_delay=20, secret_delay=60, consent_delay=120)
    application = admin.create()
    early = admin.send("GET", f"/applications/{application['id']}", expect=404)
    principal_early = admin.send("POST", "/servicePrincipals", {"appId": application["appId"]}, expect=400)
    admin.advance(21)
    principal = admin.principal(application)
    secret = admin.password(application)["secretText"]
    codes = [admin.code(application, secret)]
    admin.send("GET", f"/servicePrincipals/{principal['id']}", expect=404)
    admin.advance(61)
    codes.append(admin.code(application, secret))
    admin.assign(principal, "User.Read.All")
    without = claims(admin.token_of(application, secret)["access_token"])
    admin.advance(121)

    assert early["error"]["code"] == "Request_ResourceNotFound"
    assert principal_early["error"]["code"] == "NoBackingApplicationObject"
    assert codes == [7000215, None]
    assert "roles" not in without
    assert claims(admin.token_of(application, secret)["access_token"])["roles"] == ["User.Read.All"]


def test_an_app_without_its_principal_yet_is_7000229(admin: Installer) -> None:
    application = admin.create()
    secret = admin.password(application)["secretText"]

    assert admin.code(application, secret) == 7000229


def test_a_secret_is_rotated_without_a_gap(admin: Installer) -> None:
    application = admin.create()
    admin.principal(application)
    old, new = admin.password(application), admin.password(application)
    both = [admin.code(application, one["secretText"]) for one in (old, new)]
    remove = f"/applications/{application['id']}/removePassword"
    admin.send("POST", remove, {"keyId": old["keyId"]}, expect=204)
    admin.send("POST", remove, {"keyId": old["keyId"]}, expect=400)

    assert both == [None, None]
    assert [admin.code(application, one["secretText"]) for one in (old, new)] == [7000215, None]


@pytest.mark.parametrize(
    ("settings", "code", "text"),
    [
        (
            {"secrets_forbidden": True},
            "CredentialTypeNotAllowedAsPerAppPolicy",
            "Credential type not allowed as per assigned policy",
        ),
        (
            {"secret_max_days": 180},
            "CredentialInvalidLifetimeAsPerAppPolicy",
            "Credential lifetime exceeds the max value allowed as per assigned policy",
        ),
    ],
)
def test_a_policy_forbids_or_shortens_secrets(
    admin: Installer, settings: dict[str, Any], code: str, text: str
) -> None:
    admin.tune(**settings)
    application = admin.create()
    refused = admin.send("POST", f"/applications/{application['id']}/addPassword", {}, expect=400)
    ends = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 90 * 86_400))
    short = admin.call(
        "POST",
        f"/applications/{application['id']}/addPassword",
        json={"passwordCredential": {"endDateTime": ends}},
    )

    assert refused["error"]["code"] == code
    assert refused["error"]["message"].startswith(text)
    assert short.status_code == (400 if "secrets_forbidden" in settings else 200)


def test_a_policy_forbids_other_tenants(admin: Installer) -> None:
    admin.tune(multi_tenant_forbidden=True)
    body = {"displayName": "A", "signInAudience": "AzureADMultipleOrgs"}

    refused = admin.send("POST", "/applications", body, expect=400)

    assert refused["error"]["message"] == (
        "SignInAudience value 'AzureADMultipleOrgs' not allowed as per assigned policy."
    )


# Certificates.


def _key(name: str, **more: Any) -> tuple[Any, Any, dict[str, Any]]:
    key = repeatable_key(name)
    certificate = certificate_for(key, name)
    der = certificate.public_bytes(serialization.Encoding.DER)
    credential = {"type": "AsymmetricX509Cert", "usage": "Verify", "key": base64.b64encode(der).decode()}
    return key, certificate, {**credential, **more}


def _by_certificate(admin: Installer, application: dict[str, Any], key: Any, certificate: Any) -> Any:
    pem = certificate_pem(certificate)
    client = msal.ConfidentialClientApplication(
        application["appId"],
        client_credential={"private_key": private_key_pem(key), "public_certificate": pem},
        authority=f"https://{LOGIN}/{admin.tenant['tenant_id']}",
        instance_discovery=False,
        http_client=admin.gateway,
    )
    return client.acquire_token_for_client([f"https://{GRAPH}/.default"])


def test_certificates_are_replaced_by_a_patch_of_the_whole_list(admin: Installer) -> None:
    key, certificate, credential = _key("msal test", displayName="first")
    other, second, added = _key("another")
    application = admin.create(keyCredentials=[credential])
    admin.principal(application)
    path = f"/applications/{application['id']}"
    kept = admin.send("GET", path, expect=200)["keyCredentials"]
    admin.send("PATCH", path, {"keyCredentials": [*kept, added]}, expect=204)
    both = [_by_certificate(admin, application, *pair) for pair in ((key, certificate), (other, second))]
    admin.send("PATCH", path, {"keyCredentials": [added]}, expect=204)

    assert (kept[0]["displayName"], kept[0]["key"]) == ("first", None)
    assert all("access_token" in result for result in both)
    assert _by_certificate(admin, application, key, certificate)["error_codes"] == [700027]
    assert "access_token" in _by_certificate(admin, application, other, second)


def _proof(key: Any, application: dict[str, Any], ends: float) -> str:
    header, body = (
        b'{"alg":"RS256","typ":"JWT"}',
        (f'{{"aud":"00000002-0000-0000-c000-000000000000","iss":"{application["id"]}","exp":{int(ends)}}}'),
    )
    signed = f"{b64(header)}.{b64(body.encode())}"
    return f"{signed}.{b64(key.sign(signed.encode(), padding.PKCS1v15(), SHA256()))}"


def test_a_certificate_rolls_itself_by_proof_of_the_old_key(admin: Installer) -> None:
    key, _, credential = _key("msal test")
    other, _, added = _key("another")
    application = admin.create(keyCredentials=[credential])
    path = f"/applications/{application['id']}"
    given = {"keyCredential": added, "passwordCredential": None}
    ends = time.time() + 600
    admin.send("POST", f"{path}/addKey", {**given, "proof": _proof(other, application, ends)}, expect=400)
    admin.send("POST", f"{path}/addKey", {**given, "proof": _proof(key, application, 1)}, expect=400)
    admin.send("POST", f"{path}/addKey", {**given, "proof": _proof(key, application, ends)}, expect=200)
    first = admin.send("GET", path, expect=200)["keyCredentials"][0]["keyId"]
    gone = {"keyId": first, "proof": _proof(other, application, ends)}
    admin.send("POST", f"{path}/removeKey", gone, expect=204)

    assert len(admin.send("GET", path, expect=200)["keyCredentials"]) == 1


# Permissions and roles.


def test_permissions_are_taken_away_one_by_one(admin: Installer) -> None:
    application = admin.create()
    principal = admin.principal(application)
    secret = admin.password(application)["secretText"]
    first, _ = admin.assign(principal, "User.Read.All"), admin.assign(principal, "Group.Read.All")
    admin.send("DELETE", f"/servicePrincipals/{principal['id']}/appRoleAssignments/{first['id']}", expect=204)
    again = f"/servicePrincipals/{principal['id']}/appRoleAssignments/{first['id']}"
    admin.send("DELETE", again, expect=404)

    assert claims(admin.token_of(application, secret)["access_token"])["roles"] == ["Group.Read.All"]
    rows = admin.rows(f"/servicePrincipals/{principal['id']}/appRoleAssignments")
    assert [row["appRoleId"] for row in rows] == [APP_ROLES["Group.Read.All"]]


def test_a_permission_graph_does_not_have_is_refused(admin: Installer) -> None:
    application = admin.create()
    principal = admin.principal(application)
    graph = admin.send("GET", f"/servicePrincipals(appId='{GRAPH_APP}')", expect=200)["id"]
    body = {"principalId": principal["id"], "resourceId": graph, "appRoleId": SCOPES["User.Read"]}

    refused = admin.send("POST", f"/servicePrincipals/{graph}/appRoleAssignedTo", body, expect=400)

    assert refused["error"]["message"].startswith("Permission being assigned was not found on application")


def test_delegated_grants_are_created_changed_and_removed(admin: Installer) -> None:
    application = admin.create()
    principal = admin.principal(application)
    graph = admin.send("GET", f"/servicePrincipals(appId='{GRAPH_APP}')", expect=200)["id"]
    pair = {"clientId": principal["id"], "resourceId": graph}
    body = {**pair, "consentType": "AllPrincipals", "scope": "User.Read Group.Read.All"}
    grant = admin.send("POST", "/oauth2PermissionGrants", body, expect=201)
    admin.send("POST", "/oauth2PermissionGrants", body, expect=409)
    path = f"/oauth2PermissionGrants/{grant['id']}"
    admin.send("PATCH", path, {"scope": "User.Read"}, expect=204)
    query = f"$filter=clientId%20eq%20'{pair['clientId']}'%20and%20resourceId%20eq%20'{graph}'"
    found = admin.rows(f"/oauth2PermissionGrants?{query}")
    admin.send("DELETE", path, expect=204)
    admin.send("GET", path, expect=404)

    assert [row["scope"] for row in found] == ["User.Read"]


def test_the_teams_resource_is_created_where_it_is_missing(admin: Installer) -> None:
    admin.tune(teams_principal=False)
    admin.send("GET", f"/servicePrincipals(appId='{TEAMS_APP}')", expect=404)
    created = admin.send("POST", "/servicePrincipals", {"appId": TEAMS_APP}, expect=201)
    admin.send("POST", "/servicePrincipals", {"appId": TEAMS_APP}, expect=409)

    assert created["oauth2PermissionScopes"][0]["value"] == "user_impersonation"


def test_a_role_is_given_to_a_person_and_taken_again(admin: Installer) -> None:
    user = admin.inside("GET", "/users/%232")["id"]
    path = "/roleManagement/directory/roleAssignments"
    body = {"roleDefinitionId": TEAMS, "principalId": user, "directoryScopeId": "/"}
    row = admin.send("POST", path, body, expect=201)
    held = admin.rows(f"{path}?$filter=principalId%20eq%20'{user}'")
    admin.send("DELETE", f"{path}/{row['id']}", expect=204)
    admin.send("DELETE", f"{path}/{row['id']}", expect=404)
    admin.send("POST", path, {**body, "principalId": admin.tenant["tenant_id"]}, expect=404)
    admin.send("POST", path, {**body, "roleDefinitionId": user}, expect=404)

    assert [(one["id"], one["roleDefinitionId"]) for one in held] == [(row["id"], TEAMS)]


# Who may.


def test_a_person_needs_the_directory_role_beside_the_permission(admin: Installer) -> None:
    application = admin.create()
    principal = admin.principal(application)
    granted = admin.inside("GET", "/users/%231")["id"]
    admin.inside("POST", f"/users/{granted}/directory-roles", {"add": [CLOUD_APPS]})
    admin._token = _sign_in(admin, "#1")
    registrar = admin.create(displayName="Second")
    denied = admin.assign(principal, "User.Read.All", expect=403)
    admin._token = _sign_in(admin, "#2")
    admin.send("POST", "/applications", {"displayName": "Third"}, expect=403)
    admin.send("POST", f"/applications/{registrar['id']}/addPassword", {}, expect=403)

    assert denied["error"]["code"] == "Authorization_RequestDenied"


def test_an_app_that_may_change_only_its_own_rotates_its_own_secret(admin: Installer) -> None:
    application, stranger = admin.create(), admin.create(displayName="Stranger")
    principal = admin.principal(application)
    secret = admin.password(application)["secretText"]
    admin.assign(principal, "Application.ReadWrite.OwnedBy")
    owner = {"@odata.id": f"https://{GRAPH}/v1.0/directoryObjects/{principal['id']}"}
    mine = Installer(admin.simulator, admin.tenant, admin.gateway)
    mine._token = admin.token_of(application, secret)["access_token"]
    mine.send("POST", f"/applications/{application['id']}/addPassword", {}, expect=403)
    admin.send("POST", f"/applications/{application['id']}/owners/$ref", owner, expect=204)
    mine.send("POST", f"/applications/{application['id']}/addPassword", {}, expect=200)
    mine.send("POST", f"/applications/{stranger['id']}/addPassword", {}, expect=403)

    owners = admin.rows(f"/applications/{application['id']}/owners")
    kinds = {row["id"]: row["@odata.type"] for row in owners}
    assert kinds[principal["id"]] == "#microsoft.graph.servicePrincipal"
    assert sorted(kinds.values())[1] == "#microsoft.graph.user"


# Leaving nothing behind.


def test_a_deleted_app_stops_can_come_back_and_can_go_for_good(admin: Installer) -> None:
    application = admin.create()
    principal = admin.principal(application)
    secret = admin.password(application)["secretText"]
    admin.assign(principal, "User.Read.All")
    path, item = f"/applications/{application['id']}", f"/directory/deletedItems/{application['id']}"
    admin.send("DELETE", path, expect=204)
    codes = [admin.code(application, secret)]
    admin.send("GET", path, expect=404)
    admin.send("GET", f"/servicePrincipals/{principal['id']}", expect=404)
    listed = admin.rows("/directory/deletedItems/microsoft.graph.application")
    admin.send("POST", f"{item}/restore", {}, expect=200)
    codes.append(admin.code(application, secret))
    roles = claims(admin.token_of(application, secret)["access_token"])["roles"]
    admin.send("DELETE", path, expect=204)
    admin.send("DELETE", item, expect=204)
    admin.send("POST", f"{item}/restore", {}, expect=404)

    assert codes == [700016, None]
    assert roles == ["User.Read.All"]
    assert [row["id"] for row in listed] == [application["id"]]
    assert admin.rows("/directory/deletedItems/microsoft.graph.application") == []


def test_a_deleted_app_is_gone_after_thirty_days(admin: Installer) -> None:
    application = admin.create()
    admin.send("DELETE", f"/applications/{application['id']}", expect=204)
    admin.tune(token_seconds=40 * 86_400)
    admin._token = _sign_in(admin, "#0")
    admin.advance(31 * 86_400)

    admin.send("GET", f"/directory/deletedItems/{application['id']}", expect=404)


def test_a_principal_goes_with_its_grants_and_a_new_one_starts_without(admin: Installer) -> None:
    application = admin.create()
    principal = admin.principal(application)
    secret = admin.password(application)["secretText"]
    admin.assign(principal, "User.Read.All")
    admin.send("DELETE", f"/servicePrincipals/{principal['id']}", expect=204)
    without = admin.code(application, secret)
    fresh = admin.principal(application)

    assert without == 7000229
    assert fresh["id"] != principal["id"]
    assert "roles" not in claims(admin.token_of(application, secret)["access_token"])
    admin.send("POST", f"/directory/deletedItems/{principal['id']}/restore", {}, expect=409)


def test_switching_an_enterprise_app_off_is_7000112(admin: Installer) -> None:
    application = admin.create()
    principal = admin.principal(application)
    secret = admin.password(application)["secretText"]
    path = f"/servicePrincipals/{principal['id']}"
    admin.send("PATCH", path, {"accountEnabled": False}, expect=204)
    off = admin.code(application, secret)
    admin.send("PATCH", path, {"accountEnabled": True}, expect=204)

    assert (off, admin.code(application, secret)) == (7000112, None)


def test_a_multi_tenant_app_made_by_graph_can_be_consented_elsewhere(admin: Installer, visit: Visit) -> None:
    application = admin.create(signInAudience="AzureADMultipleOrgs")
    secret = admin.password(application)["secretText"]
    other = visit(name="Fabrikam", users=2)
    other.inside("POST", "/consent", {"client_id": application["appId"]})
    answer = other.ask_token(client_id=application["appId"], client_secret=secret).json()
    admin.send("DELETE", f"/applications/{application['id']}", expect=204)
    after = other.ask_token(client_id=application["appId"], client_secret=secret).json()

    assert claims(answer["access_token"])["roles"] == ["User.Read.All"]
    assert after["error_codes"] == [700016]


def test_revoked_sessions_end_refresh_tokens(admin: Installer) -> None:
    admin.change_app(add_roles=["User.RevokeSessions.All"])
    kept = admin.inside("POST", "/sign-in", {})
    admin._token = admin.ask_token().json()["access_token"]
    admin.send("POST", f"/users/{kept['user_id']}/revokeSignInSessions", {}, expect=200)
    answer = admin.ask_token(
        grant_type="refresh_token", refresh_token=kept["refresh_token"], scope="User.Read"
    )

    assert answer.json()["error_codes"] == [50173]
