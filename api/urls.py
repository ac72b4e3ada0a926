"""Every route of the API. Addresses have no slash at the end."""

from django.urls import include, path, re_path

from api import (
    audit,
    checks,
    checks,
    commands,
    connections,
    directory,
    docs,
    me,
    people,
    plans,
    provider_app,
    queue,
    tenants,
    tokens,
    verify_runs,
    views,
)

app_name = "api"

TENANT = "tenants/<uuid:uid>"
COMMAND = f"{TENANT}/commands/<int:number>"

v1 = [
    path("me", me.Me.as_view(), name="me"),
    path("tenants", tenants.Tenants.as_view(), name="tenants"),
    path(TENANT, tenants.OneTenant.as_view(), name="tenant"),
    path(f"{TENANT}/restore", tenants.Restore.as_view(), name="tenant-restore"),
    path(f"{TENANT}/pause", tenants.Pause.as_view(), name="tenant-pause"),
    path(f"{TENANT}/resume", tenants.Resume.as_view(), name="tenant-resume"),
    path(f"{TENANT}/connection", connections.OneConnection.as_view(), name="connection"),
    path(f"{TENANT}/connection/check", connections.Check.as_view(), name="connection-check"),
    path(f"{TENANT}/connection/permissions", checks.Permissions.as_view(), name="connection-permissions"),
    path(f"{TENANT}/connection/roles", checks.Roles.as_view(), name="connection-roles"),
    path(f"{TENANT}/connection/checks", checks.Checks.as_view(), name="connection-checks"),
    path(f"{TENANT}/connection/permissions", checks.Permissions.as_view(), name="connection-permissions"),
    path(f"{TENANT}/connection/roles", checks.Roles.as_view(), name="connection-roles"),
    path(f"{TENANT}/connection/checks", checks.Checks.as_view(), name="connection-checks"),
    path(f"{TENANT}/connection/access-rule", connections.AccessRule.as_view(), name="access-rule"),
    path(f"{TENANT}/replications", commands.Replications.as_view(), name="replications"),
    path(f"{TENANT}/process-all", commands.ProcessAll.as_view(), name="process-all"),
    path(f"{TENANT}/commands", commands.Commands.as_view(), name="commands"),
    path(COMMAND, commands.OneCommand.as_view(), name="command"),
    path(f"{COMMAND}/steps", commands.Steps.as_view(), name="command-steps"),
    path(f"{COMMAND}/cancel", commands.Cancel.as_view(), name="command-cancel"),
    path(f"{COMMAND}/retry", commands.Retry.as_view(), name="command-retry"),
    path(f"{COMMAND}/plan", plans.OnePlan.as_view(), name="command-plan"),
    path(f"{COMMAND}/plan/lines", plans.PlanLines.as_view(), name="command-plan-lines"),
    path(f"{COMMAND}/approve", plans.Approve.as_view(), name="command-approve"),
    path(f"{TENANT}/users", directory.Users.as_view(), name="users"),
    path(f"{TENANT}/users/<uuid:object_id>", directory.OneUser.as_view(), name="user"),
    path(f"{TENANT}/groups", directory.Groups.as_view(), name="groups"),
    path(f"{TENANT}/groups/<uuid:object_id>", directory.OneGroup.as_view(), name="group"),
    path(f"{TENANT}/groups/<uuid:object_id>/members", directory.Members.as_view(), name="group-members"),
    path(f"{TENANT}/licences", directory.Licences.as_view(), name="licences"),
    path(f"{TENANT}/people", people.TenantPeople.as_view(), name="tenant-people"),
    path(f"{TENANT}/people/<uuid:user_id>", people.OneTenantPerson.as_view(), name="tenant-person"),
    path("commands", commands.AllCommands.as_view(), name="commands-all"),
    path("commands/<int:number>", commands.AnyCommand.as_view(), name="command-any"),
    path("queue", queue.Queue.as_view(), name="queue"),
    path("queue/pause", queue.Pause.as_view(), name="queue-pause"),
    path("queue/resume", queue.Resume.as_view(), name="queue-resume"),
    path("provider-app", provider_app.OneProviderApp.as_view(), name="provider-app"),
    path("verify-runs", verify_runs.VerifyRuns.as_view(), name="verify-runs"),
    path("verify-runs/<uuid:run_id>", verify_runs.OneVerifyRun.as_view(), name="verify-run"),
    path("verify-runs/<uuid:run_id>/rows", verify_runs.VerifyRunRows.as_view(), name="verify-run-rows"),
    path("audit", audit.Audit.as_view(), name="audit"),
    path("people", people.People.as_view(), name="people"),
    path("people/<uuid:user_id>", people.OnePerson.as_view(), name="person"),
    path("people/<uuid:user_id>/role", people.ProviderRole.as_view(), name="person-role"),
    path("tokens", tokens.Tokens.as_view(), name="tokens"),
    path("tokens/<uuid:token_id>", tokens.OneToken.as_view(), name="token"),
]

urlpatterns = [
    path("v1/", include(v1)),
    path("schema/", docs.Contract.as_view(), name="schema"),
    path("docs/", docs.Docs.as_view(), name="docs"),
    re_path("", views.Missing.as_view(), name="missing"),
]
