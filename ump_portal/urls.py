"""Every route. Each one must be classified in tests/walls/routes.py, or the build fails."""

from django.urls import include, path

from ump_portal.pages import (
    audit,
    bulk,
    clients,
    dashboard,
    health,
    overview,
    people,
    saved_views,
    search,
    sessions,
    settings,
    styleguide,
    tenants,
)

handler400 = "ump_portal.pages.errors.bad_request"
handler403 = "ump_portal.pages.errors.forbidden"
handler404 = "ump_portal.pages.errors.not_found"
handler500 = "ump_portal.pages.errors.server_error"

urlpatterns = [
    path("", dashboard.start, name="start"),
    path("dashboard/figures/", dashboard.figures, name="dashboard-figures"),
    path("tenants/", tenants.index, name="tenants"),
    path("tenants/live/", tenants.live, name="tenants-live"),
    path("tenants/export.csv", tenants.export, name="tenants-export"),
    path("tenants/bulk/result/", bulk.result, name="tenants-bulk-result"),
    path("tenants/bulk/replicate/", bulk.replicate, name="tenants-bulk-replicate"),
    path("tenants/bulk/check/", bulk.check, name="tenants-bulk-check"),
    path("tenants/bulk/pause/", bulk.pause, name="tenants-bulk-pause"),
    path("tenants/<uuid:uid>/", overview.overview, name="tenant"),
    path("tenants/<uuid:uid>/live/", overview.live, name="tenant-live"),
    path("tenants/<uuid:uid>/pause/", overview.pause, name="tenant-pause"),
    path("tenants/<uuid:uid>/history/", audit.history, name="tenant-history"),
    path("tenants/<uuid:uid>/history/export.csv", audit.history_export, name="tenant-history-export"),
    path("search", search.search, name="search"),
    path("audit/", audit.trail, name="audit"),
    path("audit/export.csv", audit.export, name="audit-export"),
    path("settings/", settings.in_force, name="settings"),
    path("settings/change/", settings.change, name="settings-change"),
    path("settings/api-clients/", clients.clients, name="clients"),
    path("settings/api-clients/add/", clients.add, name="client-add"),
    path("settings/api-clients/<uuid:token_id>/revoke/", clients.revoke, name="client-revoke"),
    path("api/", include("api.urls")),
    path("settings/people/", people.index, name="people"),
    path("settings/people/add/", people.add, name="person-add"),
    path("settings/people/<uuid:user_id>/", people.person, name="person"),
    path("settings/people/<uuid:user_id>/edit/", people.edit, name="person-edit"),
    path("settings/people/<uuid:user_id>/role/", people.role, name="person-role"),
    path("settings/people/<uuid:user_id>/take/", people.take, name="person-take"),
    path("settings/people/<uuid:user_id>/link/", people.link, name="person-link"),
    path("settings/people/<uuid:user_id>/factor/", people.factor, name="person-factor"),
    path("settings/people/<uuid:user_id>/deactivate/", people.deactivate, name="person-deactivate"),
    path("settings/people/<uuid:user_id>/reactivate/", people.reactivate, name="person-reactivate"),
    path("tenants/<uuid:uid>/people/", people.of_customer, name="tenant-people"),
    path("tenants/<uuid:uid>/people/add/", people.add_to_customer, name="tenant-person-add"),
    path(
        "tenants/<uuid:uid>/people/<uuid:user_id>/role/", people.role_at_customer, name="tenant-person-role"
    ),
    path(
        "tenants/<uuid:uid>/people/<uuid:user_id>/take/", people.take_at_customer, name="tenant-person-take"
    ),
    path("views/add/", saved_views.add, name="view-add"),
    path("views/<uuid:view_id>/delete/", saved_views.delete, name="view-delete"),
    path("healthz", health.healthz, name="healthz"),
    path("styleguide", styleguide.styleguide, name="styleguide"),
    path("accounts/sessions/", sessions.index, name="sessions"),
    path("accounts/sessions/end/", sessions.end, name="session-end"),
    path("accounts/sessions/end-others/", sessions.end_others, name="sessions-end-others"),
    path("accounts/", include("allauth.urls")),
    path("", include("tenants.urls")),
    path("", include("authstatus.urls")),
    path("", include("invitations.visit_urls")),
    path("", include("replication.urls")),
    path("", include("directory.urls")),
    path("", include("webhooks.urls")),
    path("", include("invitations.urls")),
]
    path("", include("onboarding.urls")),
