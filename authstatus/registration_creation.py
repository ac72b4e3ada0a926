"""Have an app registration made in the customer's own tenant, through Graph (facts/microsoft.md 7).

Whoever the portal speaks for now must have the rights: the app in use, or the administrator who signed in. Each
step looks first, so it may be repeated; what it brought is in the checkpoint. The secret becomes the candidate of a
migration, which proves it and switches.
"""

import datetime as dt
import uuid
from collections.abc import Callable, Mapping

from django.conf import settings
from django.utils import timezone

from authstatus import keys_on_file, registrations
from authstatus.registration_commands import seal_candidate
from authstatus.renewal import LOOK_AGAIN, SETTLE, add_secret
from core.errors import Conflict, NotFound, UmpError
from m365 import permissions
from m365 import registrations as far
from m365.graph import GraphClient
from replication import services as queue
from replication.context import Again, Context, Done, Outcome
from replication.models import LaneName
from replication.registry import Kind, register
from tenants import lines, scope
from tenants.abilities import Ability
from tenants.models import Cloud, Connection, Tenant
from tenants.provider_app import current, default_redirect_uri

TEAMS_ADMINISTRATOR = permissions.ROLES["Teams Administrator"].template_id
ASKED_FOR = (
    *permissions.PROFILES["directory_read"].application,
    *permissions.PROFILES["changes"].application,
    "Application.ReadWrite.OwnedBy",
)
"""What the portal uses to read and to write, and what lets it renew the secret."""
NOT_THERE_YET = frozenset({"remote_not_found", "graph_refused", "app_not_found"})

STEPS: Mapping[str, str] = {
    "rights": "May the portal do it?",
    "registration": "Register the app",
    "principal": "Install it in the organisation",
    "permissions": "Give it its permissions",
    "delegated": "Let it speak for an administrator of Teams",
    "owner": "Let it renew its own secret",
    "role": "Give it the directory role",
    "secret": "Create a client secret",
}
"""In this order; the words stand on the registration page."""
LEFT_OUT_IF_REFUSED = frozenset({"delegated", "owner", "role"})
"""The app works without these; what could not be given is told."""


class _Making:
    """One run: the far end, and what earlier runs found out."""

    def __init__(self, ctx: Context, tenant: Tenant, line: lines.Line) -> None:
        self.ctx, self.tenant, self.line = ctx, tenant, line
        self.graph: GraphClient = line.graph(stop=ctx.stop, before_write=ctx.still_ours)

    def fact(self, name: str) -> str:
        return str(self.ctx.state[name])

    # Each step answers what it found out, or when to look again.
    def rights(self) -> dict[str, str] | Again:
        """Raises UmpError: permission_missing, wrong_tenant."""
        granted = self.line.token(fresh=True).granted  # an older one lacks what was consented to since
        lacking = [name for name in far.CREATES if name not in granted]
        if "Application.ReadWrite.OwnedBy" in granted:
            lacking = [name for name in lacking if name != "Application.ReadWrite.All"]
        if lacking:
            raise UmpError.of(
                "permission_missing", permission=", ".join(lacking), app=self.line.app, tenant=self.line.name
            )
        rows = self.graph.get(permissions.FEATURES["organisation"].probe).get("value") or [{}]
        if str(rows[0].get("id", "")).lower() != self.line.entra_tenant_id.lower():
            raise UmpError.of("wrong_tenant", tenant=self.line.name)
        return {}

    def registration(self) -> dict[str, str] | Again:
        ctx, mark = self.ctx, keys_on_file.marker(self.ctx.customer)
        if ctx.state.get("creating") and not ctx.state.get("looked"):
            with ctx.transaction():
                ctx.checkpoint(looked=True)
            return Again("Looking what an interrupted attempt left behind.", SETTLE)
        found = far.by_mark(self.graph, mark)
        if found is None:
            with ctx.transaction():
                ctx.checkpoint(creating=True, looked=False)
            found = far.create(
                self.graph,
                name=f"Voice portal for {self.tenant.name}",
                mark=mark,
                redirect_uri=current().redirect_uri or default_redirect_uri(),
                application=ASKED_FOR,
            )
        now = timezone.now().isoformat()
        return {"object_id": found.object_id, "client_id": found.client_id, "made_at": now}

    def principal(self) -> dict[str, str] | Again:
        found = far.principal_of(self.graph, self.fact("client_id"))
        return {"principal_id": found or far.create_principal(self.graph, self.fact("client_id"))}

    def permissions(self) -> dict[str, str] | Again:
        resource = self._api(permissions.GRAPH_APP_ID)
        have = far.granted_roles(self.graph, self.fact("principal_id"))
        for name in ASKED_FOR:
            role_id = permissions.PERMISSIONS[name].application
            if role_id not in have:
                far.grant_role(self.graph, self.fact("principal_id"), resource, role_id)
        return {}

    def delegated(self) -> dict[str, str] | Again:
        resource = self._api(permissions.TEAMS_ADMIN_APP_ID)
        far.grant_scopes(self.graph, self.fact("principal_id"), resource, ("user_impersonation",))
        return {}

    def owner(self) -> dict[str, str] | Again:
        far.add_owner(self.graph, self.fact("object_id"), self.fact("principal_id"))
        return {}

    def role(self) -> dict[str, str] | Again:
        if self.ctx.params.get("voice"):
            have = far.directory_roles(self.graph, self.fact("principal_id"))
            if TEAMS_ADMINISTRATOR not in have:
                far.give_directory_role(self.graph, self.fact("principal_id"), TEAMS_ADMINISTRATOR)
        return {}

    def secret(self) -> dict[str, str] | Again:
        found = far.by_client_id(self.graph, self.fact("client_id"))
        if found is None:
            raise NotFound("remote_not_found", thing="the new app registration")
        return add_secret(self.ctx, self.graph, found, self._seal) or {}

    def _seal(self, ctx: Context, new: far.NewSecret) -> None:
        """With the migration that proves it, in one transaction."""
        connection: Connection = Connection.objects.get(tenant=self.tenant)
        client_id = uuid.UUID(self.fact("client_id"))
        actor = ctx.asker()
        if registrations.in_the_way(self.tenant.id):
            raise Conflict(thing="the connection", why="its credentials were changed meanwhile")
        seal_candidate(actor, self.tenant, new, Cloud(connection.cloud), client_id)
        migration = queue.submit(actor, registrations.MIGRATE, self.tenant)
        ctx.checkpoint(done=[*STEPS], migration=migration.id)

    def _api(self, app_id: str) -> str:
        """The service's own principal; a tenant that never used it may lack it."""
        return far.principal_of(self.graph, app_id) or far.create_principal(self.graph, app_id)


@register
class CreateRegistration(Kind):
    name = registrations.CREATE
    title = "Create registration"
    ability = Ability.MANAGE_CONNECTION
    lane = LaneName.IDENTITY
    reconcile = (
        "Each step looks at Microsoft first. The registration carries the portal's mark for this customer among its "
        "tags and is adopted by whichever run finds it; so is its principal. A secret that was lost is removed."
    )

    def run(self, ctx: Context) -> Outcome:
        done = list(ctx.state.get("done", ()))
        if len(done) < len(STEPS):
            with scope.one(ctx.customer):
                tenant: Tenant = Tenant.objects.get(id=ctx.customer)
                making = _Making(ctx, tenant, lines.open_line(ctx.customer))
        for number, (name, title) in enumerate(STEPS.items()):
            if name in done:
                continue
            ctx.report(label=title, done=number, total=len(STEPS), force=True)
            brought = self._do(ctx, name, getattr(making, name))
            if isinstance(brought, Again):
                return brought
            done.append(name)
            with ctx.transaction():
                ctx.checkpoint(done=done, **brought)
        return Done(
            f"The app registration {ctx.state['client_id']} was created. Command {ctx.state['migration']} proves it "
            "and takes the customer over.",
            outcome="partial" if ctx.state.get("left_out") else "complete",
        )

    @staticmethod
    def _do(ctx: Context, name: str, step: Callable[[], dict[str, str] | Again]) -> dict[str, str] | Again:
        """The step; what Microsoft does not know everywhere yet is waited for, what is not vital is left out."""
        try:
            return step()
        except UmpError as error:
            if _is_young(ctx) and error.code in NOT_THERE_YET:
                return Again("Microsoft does not know the new app registration everywhere yet.", LOOK_AGAIN)
            if name in LEFT_OUT_IF_REFUSED and error.code == "permission_missing":
                ctx.note(f"{STEPS[name]}: left out, because {error.message}", level="warning")
                return {"left_out": ", ".join(filter(None, (ctx.state.get("left_out"), name)))}
            raise


def _is_young(ctx: Context) -> bool:
    """Whether the registration was made so recently that Microsoft may not know it everywhere."""
    made = ctx.state.get("made_at")
    age = dt.timedelta(seconds=settings.SECRET_PROPAGATION_SECONDS)
    return made is not None and timezone.now() - dt.datetime.fromisoformat(made) < age
