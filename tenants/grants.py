"""What an account gave: the tokens of a signed-in administrator, or (legacy) its password.

Both lie sealed beside the connection and are opened by workers only. Tokens change with each use. Microsoft
leaves the token before good for a while, so nothing is locked while it is asked: whoever was slower finds
that the row has changed, drops what he got and takes what the other kept (complaint B 31).
"""

import dataclasses
import datetime as dt
import threading
import uuid
from typing import Any

from django.db import connection as db
from django.db import transaction
from django.db.models.functions import Now
from django.utils import timezone

from audit.services import record
from core.errors import UmpError
from core.http import Outbound
from m365 import identity_delegated as delegated
from m365.clouds import Cloud
from m365.identity import AppCredential, Token, kept_token
from tenants import scope, secrets
from tenants.access import Actor
from tenants.models import AppOwner, Connection, Method, Secret, SecretKind, Tenant, Verification

KINDS = {Method.TOKEN: SecretKind.TOKEN_CACHE, Method.PASSWORD: SecretKind.PASSWORD}
TRIES = 5
LOCKING = frozenset({"password_wrong", "account_locked"})
REST = dt.timedelta(minutes=15)
"""A password that was refused is not sent again before: repeated refusals lock the account at Microsoft."""


@dataclasses.dataclass(frozen=True)
class Account:
    """Whoever a worker speaks as in a customer's tenant."""

    tenant_id: uuid.UUID
    connection_id: uuid.UUID
    granted_id: uuid.UUID
    method: Method
    name: str
    thread: int = dataclasses.field(default_factory=threading.get_ident)
    """Where it was made; any other belongs to a pool, and must not keep a database connection."""

    def token(
        self,
        http: Outbound,
        cloud: Cloud,
        entra_tenant_id: str,
        credential: AppCredential,
        *,
        scope: str = "",
        fresh: bool,
        since: float = 0.0,
    ) -> Token:
        """An access token on the account's behalf, for Graph or as `scope` says; `fresh` asks Microsoft again.

        None that this process asked for before `since` (monotonic seconds) is taken.
        Raises UmpError by facts/microsoft.md 4.3; connection_unverified when another sign-in took its place.
        """
        key = (
            http.config.gateway_url,
            cloud.key,
            entra_tenant_id,
            credential.client_id,
            credential.fingerprint,
            str(self.granted_id),
            scope,
        )
        obtain = self._by_password if self.method == Method.PASSWORD else self._renewed
        try:
            return kept_token(
                key,
                lambda: obtain(http, cloud, entra_tenant_id, credential, scope, fresh),
                fresh=fresh,
                since=since,
            )
        except UmpError as error:
            if error.claims:
                self._note(claims=error.claims)
            raise
        finally:
            if threading.get_ident() != self.thread:
                db.close()

    def _renewed(
        self,
        http: Outbound,
        cloud: Cloud,
        entra_tenant_id: str,
        credential: AppCredential,
        wanted: str,
        fresh: bool,
    ) -> Token:
        for _ in range(TRIES):
            kept = self._kept()
            before = self._opened(kept)
            token, after = delegated.renew(
                http,
                cloud,
                entra_tenant_id,
                credential,
                before,
                account=self.name,
                scope=wanted,
                fresh=fresh,
            )
            if after == before or self._keep(kept, after):
                return token
            fresh = False  # somebody was faster, and what he kept is as fresh as ours
        raise UmpError.of("remote_changed", thing="the stored sign-in")

    def _by_password(
        self,
        http: Outbound,
        cloud: Cloud,
        entra_tenant_id: str,
        credential: AppCredential,
        wanted: str,
        _fresh: bool,
    ) -> Token:
        password = self._opened(self._kept())
        self._check_rested()
        try:
            token = delegated.by_password(
                http,
                cloud,
                entra_tenant_id,
                credential,
                account=self.name,
                password=password,
                scope=wanted,
            )
        except UmpError as error:
            if error.code in LOCKING:
                self._note(refused_at=Now())
            raise
        self._note(refused_at=None, refreshed_at=Now())
        return token

    def _kept(self) -> Secret:
        with scope.one(self.tenant_id):
            found = Secret.objects.filter(id=self.granted_id).select_related("key").first()
        if found is None:
            raise UmpError.of("connection_unverified")
        return found

    def _opened(self, kept: Secret) -> str:
        """What cannot be read any more is given anew by signing in, and is no fault of the app registration."""
        try:
            return secrets.open_secret(kept)
        except UmpError as error:
            if error.code != "secret_unreadable":
                raise
            raise UmpError.of("signin_expired", account=self.name, detail={"cause": error.code}) from error

    def _keep(self, kept: Secret, cache: str) -> bool:
        """Before the access token is used. False when the row is another one by now."""
        with scope.one(self.tenant_id), transaction.atomic():
            if not secrets.swap(kept, cache):
                return False
            self._note(refreshed_at=Now())
            return True

    def _check_rested(self) -> None:
        """Raises the last refusal again while it is too young to try the password once more."""
        with scope.one(self.tenant_id):
            row: Connection = Connection.objects.get(id=self.connection_id)
        if row.refused_at and row.refused_at > timezone.now() - REST:
            code = str((row.problem or {}).get("code", ""))
            raise UmpError.of(code if code in LOCKING else "password_wrong", account=self.name)

    def _note(self, **values: Any) -> None:
        with scope.one(self.tenant_id):
            Connection.objects.filter(id=self.connection_id, granted_id=self.granted_id).update(**values)


def account_of(row: Connection) -> Account | None:
    """None for an app registration that speaks for itself. Raises UmpError (signin_expired) without a grant."""
    if row.method == Method.APP:
        return None
    if row.granted_id is None:
        raise UmpError.of("signin_expired", account=row.account)
    return Account(row.tenant_id, row.id, row.granted_id, Method(row.method), row.account)


def ends_if_unused(row: Connection) -> dt.datetime | None:
    """When Microsoft ends the stored sign-in if nobody uses it any more; None where that is no question."""
    used = row.refreshed_at or row.granted_at
    if row.method != Method.TOKEN or used is None:
        return None
    return used + dt.timedelta(days=delegated.UNUSED_DAYS)


@transaction.atomic
def keep(
    actor: Actor,
    tenant: Tenant,
    method: Method,
    value: str | Secret,
    *,
    account: str,
    cloud: str,
    app_owner: AppOwner,
    client_id: uuid.UUID,
) -> Connection:
    """Sign in from now on with what the account gave, by this app registration; the check starts anew.

    `value` may be sealed already.
    Raises UmpError (signin_restart) when the connection was given another app registration meanwhile.
    """
    found: Connection | None = Connection.objects.select_for_update(no_key=True).filter(tenant=tenant).first()
    connection = found or Connection(tenant=tenant, cloud=cloud, client_id=client_id, app_owner=app_owner)
    if app_owner == AppOwner.PROVIDER:
        connection.client_id = client_id  # it was another one when the customer was connected, perhaps
    if (connection.client_id, connection.app_owner, connection.cloud) != (client_id, app_owner, cloud):
        raise UmpError.of("signin_restart")
    before, old = (Method(connection.method).label if found else "", connection.account), connection.granted
    if isinstance(value, str):
        value = secrets.store(tenant, KINDS[method], value, set_by=actor.label)
    connection.granted = value
    connection.method, connection.account = method, account
    connection.granted_at = connection.refreshed_at = timezone.now()
    connection.refused_at, connection.claims = None, ""
    connection.verification, connection.problem = Verification.NEVER, None
    connection.row_version += 1
    connection.save()
    if old is not None:
        old.delete()
    record(
        actor,
        "connection.granted",
        tenant_id=tenant.id,
        object_kind="connection",
        object_id=connection.id,
        object_label=tenant.name,
        changes={"method": (before[0], method.label), "M365 Email": (before[1], account)},
    )
    return connection


def drop(row: Connection) -> Secret | None:
    """Sign in without an account from now on. The caller saves the row, and deletes what is returned after."""
    gone = row.granted
    row.granted = row.granted_at = row.refreshed_at = row.refused_at = None
    row.account = ""
    return gone
