"""A customer's line to Microsoft 365: its credential, opened by a worker, and clients made from it."""

import contextlib
import dataclasses
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any, TypeVar

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS
from django.db import connection as database
from django.db.models import Model

from core.errors import UmpError
from core.http import Outbound, OutboundConfig, session_of_thread
from m365 import identity, identity_device, teams, teams_powershell
from m365.clouds import CLOUDS, Cloud
from m365.clouds import outbound_config as config_for
from m365.graph import CallRecord, GraphClient
from m365.identity_delegated import Grant, Proof, redeem
from m365.pacing import pacer_for
from m365.teams_by_powershell import TeamsByPowerShell
from tenants import grants, provider_app, scope, secrets
from tenants.models import (
    AppOwner,
    Connection,
    ProviderApp,
    ProviderStandby,
    Secret,
    SecretKind,
    SignIn,
    Tenant,
    TenantKey,
)
from tenants.models import Cloud as CloudName

Given = TypeVar("Given")


def outbound_config() -> OutboundConfig:
    """How every request leaves this process: the gateway and certificate bundle of the settings."""
    return config_for(settings.M365_GATEWAY_URL, settings.M365_CA_BUNDLE or None)


def powershell_config() -> teams_powershell.Config:
    """Where this machine has PowerShell, if anywhere, and how long it may take."""
    return teams_powershell.Config(
        command=settings.POWERSHELL_PATH,
        module=settings.POWERSHELL_TEAMS_MODULE,
        start_seconds=settings.POWERSHELL_START_SECONDS,
        call_seconds=settings.POWERSHELL_CALL_SECONDS,
        heap=settings.POWERSHELL_HEAP_MB,
    )


OF_PROVIDER_APP = frozenset({"provider_app_refused", "provider_app_missing"})
"""Faults of the provider's own registration; they blame no customer."""
_REFUSED_FOR = {
    "secret_expired": "its client secret has expired",
    "secret_wrong": "its client secret is not accepted",
    "secret_required": "Microsoft expects a client secret or a certificate",
    "secret_not_wanted": "Microsoft expects no client secret",
    "certificate_refused": "its certificate is not accepted",
    "certificate_unreadable": "its certificate or private key cannot be read",
    "secret_unreadable": "its stored secret cannot be opened",
    "app_disabled": "it is switched off",
}
_DOUBTFUL = frozenset({"app_disabled"})
"""What a customer can bring about as well, for himself: in the provider's own tenant it is the provider's."""


def of_provider(error: UmpError) -> UmpError:
    """A fault of the provider's app, in words that blame nobody else; any other error as it is."""
    if error.code not in _REFUSED_FOR:
        return error
    why = _REFUSED_FOR[error.code]
    return UmpError.of("provider_app_refused", why=why, detail={"cause": error.code, **error.detail})


@dataclasses.dataclass(frozen=True)
class Line:
    """Everything needed to speak for the portal in one customer's tenant. Never leaves the worker's memory."""

    tenant_id: uuid.UUID
    name: str
    entra_tenant_id: str
    cloud: Cloud
    credential: identity.AppCredential
    shared: bool = False
    """Whether it is the provider's app, whose faults are nobody's but the provider's."""
    account: grants.Account | None = None
    """On whose behalf; None where the app registration speaks for itself."""
    checked: float = 0.0
    """When (monotonic seconds) the last check of the credentials began. No token that this process kept from before
    is used: it may lack what was consented to since, and its refusal would say that the consent is missing still."""

    @property
    def app(self) -> str:
        """How sentences for people call the credential."""
        return "the provider's app registration" if self.shared else f"the app registration of {self.name}"

    def token(self, *, scope: str = "", fresh: bool = False) -> identity.Token:
        """An access token by whatever method, for Graph or as `scope` says; `fresh` asks Microsoft again.

        Raises by facts/microsoft.md 4.
        """
        http = session_of_thread(outbound_config())
        try:
            ask = self.account.token if self.account else identity.app_token
            return ask(
                http,
                self.cloud,
                self.entra_tenant_id,
                self.credential,
                scope=scope,
                fresh=fresh,
                since=self.checked,
            )
        except UmpError as error:
            raise self._in_words(error) from error

    def redeem(self, *, code: str, proof: Proof, redirect_uri: str) -> Grant:
        """What a person's sign-in gave, for the code that Microsoft sent him back with. Raises as m365's redeem."""
        return self._said(
            lambda http: redeem(
                http,
                self.cloud,
                self.entra_tenant_id,
                self.credential,
                code=code,
                proof=proof,
                redirect_uri=redirect_uri,
            )
        )

    def ask_code(self) -> identity_device.Code:
        """A device code, for a person to enter at Microsoft. Raises as m365.identity_device.ask."""
        return self._said(
            lambda http: identity_device.ask(http, self.cloud, self.entra_tenant_id, self.credential)
        )

    def look_for(self, device_code: str) -> Grant:
        """What came of it, in one look. Raises as m365.identity_device.look."""
        return self._said(
            lambda http: identity_device.look(
                http, self.cloud, self.entra_tenant_id, self.credential, device_code
            )
        )

    def _said(self, ask: Callable[[Outbound], Given]) -> Given:
        try:
            return ask(session_of_thread(outbound_config()))
        except UmpError as error:
            raise self._in_words(error) from error

    def _in_words(self, error: UmpError) -> UmpError:
        """The same error with the customer's name where Microsoft's ids stood; the ids stay in the detail."""
        if self.shared and (error.code not in _DOUBTFUL or self._refused_at_home(error.code)):
            error = of_provider(error)
        known = {"tenant": self.name, "app": self.app}
        fields: dict[str, Any] = {key: known.get(key, value) for key, value in error.fields.items()}
        ids = {"tenant_id": self.entra_tenant_id, "client_id": self.credential.client_id}
        said = UmpError.of(
            error.code, detail={**ids, **error.detail}, retry_after=error.retry_after, **fields
        )
        said.claims = error.claims
        return said

    def _refused_at_home(self, code: str) -> bool:
        """Whether Microsoft says the same in the provider's own tenant."""
        home = provider_app.current().home_tenant_id
        if home is None:
            return False
        http = session_of_thread(outbound_config())
        try:
            identity.app_token(http, self.cloud, str(home), self.credential, fresh=True)
        except UmpError as error:
            return error.code == code
        return False

    def graph(
        self,
        *,
        on_call: Callable[[CallRecord], None] | None = None,
        stop: threading.Event | None = None,
        before_write: Callable[[], float | None] | None = None,
    ) -> GraphClient:
        """A client for the calling thread; it writes only where somebody is asked before each write.

        For a command that is `Context.still_ours`: a worker that was frozen past its lease writes nothing.
        """
        return GraphClient(
            session_of_thread(outbound_config()),
            self.cloud,
            lambda fresh: self.token(fresh=fresh).value,
            on_call=on_call,
            pacer=pacer_for(self.credential.client_id, self.entra_tenant_id),
            wait=stop.wait if stop else None,
            before_write=before_write,
            names={"app": self.app, "tenant": self.name},
        )

    @contextlib.contextmanager
    def telephony(
        self, *, stop: threading.Event | None = None, before_write: Callable[[], float | None] | None = None
    ) -> Iterator[GraphClient]:
        """A client for work with Teams users and numbers: where Graph has none, PowerShell is beside it if needed."""
        graph = self.graph(stop=stop, before_write=before_write)
        if teams.in_cloud(self.cloud.key):
            yield graph
            return
        graph.teams = TeamsByPowerShell(
            lambda: self.teams(stop=stop),
            cloud_name=self.cloud.name,
            before_write=before_write,
            names=graph.names,
        )
        try:
            yield graph
        finally:
            graph.teams.close()

    def teams(self, *, stop: threading.Event | None = None) -> teams_powershell.Session:
        """PowerShell in the customer's Teams, for the calling thread: `with line.teams() as teams`.

        Its tokens are new ones, because the session cannot renew them. Raises as `token`.
        """
        tokens = teams_powershell.Tokens(
            graph=self.token(fresh=True), teams=self.token(scope=teams_powershell.SCOPE, fresh=True)
        )
        return teams_powershell.Session(
            powershell_config(),
            tokens,
            self.entra_tenant_id,
            self.cloud,
            customer=self.name,
            stop=stop.is_set if stop else None,
        )


def open_line(tenant_id: uuid.UUID) -> Line:
    """Open the credential, in the tenant's scope and in a worker only.

    Raises UmpError: connection_missing, tenant_not_given, secret_unreadable, key_unavailable.
    """
    connection, checked = _stored(tenant_id)
    return dataclasses.replace(line_through(connection), checked=checked)


def open_proven_line(tenant_id: uuid.UUID) -> Line:
    """The same for whatever reads into a mirror or writes from one, behind the hard gate (M36-25).

    Nothing is read or written with a credential that no check has proven. Raises UmpError: sync_off,
    connection_unverified, or as `open_line`.
    """
    connection, checked = _stored(tenant_id)
    if not connection.tenant.with_sync:
        raise UmpError.of("sync_off", tenant=connection.tenant.name)
    if not connection.usable:
        raise UmpError.of("connection_unverified")
    return dataclasses.replace(line_through(connection), checked=checked)


def _stored(tenant_id: uuid.UUID) -> tuple[Connection, float]:
    """The connection with its tenant, secret and key, as far as a line is made of them, and `Line.checked`.

    How long ago the check was, the database says: its clock is the one for all workers. Raises connection_missing.
    """
    scope.require()
    now = time.monotonic()
    with database.cursor() as cursor:
        cursor.execute(_OF_LINE, [tenant_id])
        row = cursor.fetchone()
    if row is None:
        raise UmpError.of("connection_missing")
    *columns, ago = row
    return _connection(columns), 0.0 if ago is None else now - max(0.0, ago)


def _part(alias: str, model: type[Model], *names: str) -> tuple[str, type[Model], tuple[str, ...]]:
    """Columns in the model's own order, in which `from_db` takes them."""
    return (
        alias,
        model,
        tuple(field.attname for field in model._meta.concrete_fields if field.attname in names),
    )


_PARTS = (
    _part("c", Connection, "id", "tenant_id", "cloud", "method", "app_owner", "client_id", "secret_id",
          "certificate", "account", "granted_id", "verification"),
    _part("t", Tenant, "id", "name", "entra_tenant_id", "with_sync"),
    _part("s", Secret, "id", "tenant_id", "key_id", "kind", "sealed"),
    _part("k", TenantKey, "id", "tenant_id", "kek_id", "wrapped_private"),
)  # fmt: skip
_OF_LINE = f"""
    SELECT {", ".join(f"{alias}.{name}" for alias, _, names in _PARTS for name in names)},
           extract(epoch FROM statement_timestamp() - c.verified_at)::float8
      FROM tenants_connection c JOIN tenants_tenant t ON t.id = c.tenant_id
      LEFT JOIN tenants_secret s ON s.id = c.secret_id LEFT JOIN tenants_tenantkey k ON k.id = s.key_id
     WHERE c.tenant_id = %s
"""  # noqa: S608  names of our own
"""What a line is made of. As text, because nearly every command begins with it, and the same queryset takes a
quarter of a command's time to build."""


def _connection(row: Sequence[Any]) -> Connection:
    """As `select_related` would have it; every other field is read when somebody asks for it."""
    values = iter(row)
    made: list[Any] = [
        model.from_db(DEFAULT_DB_ALIAS, names, list(islice(values, len(names)))) for _, model, names in _PARTS
    ]
    connection: Connection
    connection, connection.tenant, secret, key = made
    if connection.secret_id is not None:
        secret.key = key
        connection.secret = secret
    return connection


def line_through(connection: Connection) -> Line:
    """The same for a connection that was read with its tenant, secret and key. Raises likewise."""
    line = line_of(connection.tenant, connection, connection.cloud)
    return dataclasses.replace(line, account=grants.account_of(connection))


def line_of(tenant: Tenant, row: SignIn | ProviderApp, cloud: str, *, anywhere: bool = False) -> Line:
    """The same for an app registration that need not be the one in use; on nobody's behalf. Raises likewise.

    `anywhere`: a customer whose Azure Tenant Id is unknown signs in where any organisation may.
    """
    if tenant.entra_tenant_id is None and not anywhere:
        raise UmpError.of("tenant_not_given")
    shared = isinstance(row, ProviderApp) or row.app_owner == AppOwner.PROVIDER
    try:
        credential = credential_of(row)
    except UmpError as error:
        raise (of_provider(error) if shared else error) from error
    return Line(
        tenant_id=tenant.id,
        name=tenant.name,
        entra_tenant_id=str(tenant.entra_tenant_id or identity.ORGANIZATIONS),
        cloud=CLOUDS[cloud],
        credential=credential,
        shared=shared,
    )


def line_home(row: ProviderApp | ProviderStandby, *, elsewhere: uuid.UUID | None = None) -> Line:
    """The provider's app in the provider's own tenant, where it is registered; `elsewhere` where that is unknown.

    Raises UmpError: provider_app_missing, provider_app_untried, provider_app_refused, key_unavailable.
    """
    try:
        credential = credential_of(row)
    except UmpError as error:
        raise of_provider(error) from error
    home = provider_app.current().home_tenant_id
    place = home or elsewhere
    if place is None:
        raise UmpError.of("provider_app_untried")
    name = "your own organisation" if home else "a customer's organisation"
    return Line(place, name, str(place), CLOUDS[CloudName.GLOBAL], credential, shared=True)


def credential_of(row: SignIn | ProviderApp | ProviderStandby) -> identity.AppCredential:
    """The opened credential of an app registration: the customer's own, or the provider's.

    Raises UmpError: connection_missing, provider_app_missing, secret_unreadable, key_unavailable.
    """
    if isinstance(row, SignIn) and row.app_owner == AppOwner.PROVIDER:
        row = provider_app.current()
    secret = row.secret
    if secret is None:
        raise UmpError.of("connection_missing" if isinstance(row, SignIn) else "provider_app_missing")
    value = secrets.open_secret(secret)
    is_secret = secret.kind == SecretKind.CLIENT_SECRET
    return identity.AppCredential(
        client_id=str(row.client_id),
        secret=value if is_secret else None,
        certificate_pem=None if is_secret else row.certificate,
        private_key_pem=None if is_secret else value,
    )
