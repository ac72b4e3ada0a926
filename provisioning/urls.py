"""Routes of changes, plans and their history, from the root."""

from django.urls import path

from provisioning import bulk_views, csv_views, plan_views, user_views, views

USERS = "tenants/<uuid:uid>/users"
CHANGES = "tenants/<uuid:uid>/changes"
PLAN = f"{CHANGES}/plans/<uuid:plan_id>"

urlpatterns = [
    path("replication/plans/", plan_views.everywhere, name="plans"),
    path("replication/plans/export.csv", plan_views.everywhere_csv, name="plans-csv"),
    path("replication/history/", user_views.everywhere, name="writes"),
    path("replication/history/export.csv", user_views.everywhere_csv, name="writes-csv"),
    path(f"{USERS}/edit-together/", bulk_views.together, name="users-together"),
    path(f"{USERS}/<uuid:object_id>/edit/", user_views.edit, name="user-edit"),
    path(f"{USERS}/<uuid:object_id>/history/", user_views.history, name="user-history"),
    path(f"{CHANGES}/history/", user_views.of_tenant, name="tenant-writes"),
    path(f"{CHANGES}/history/export.csv", user_views.of_tenant_csv, name="tenant-writes-csv"),
    path(f"{CHANGES}/", views.changes, name="changes"),
    path(f"{CHANGES}/live/", views.changes_live, name="changes-live"),
    path(f"{CHANGES}/export.csv", views.changes_csv, name="changes-csv"),
    path(f"{CHANGES}/import/", csv_views.import_file, name="changes-import"),
    path(f"{CHANGES}/import/template.csv", csv_views.template, name="changes-template"),
    path(f"{CHANGES}/import/present.csv", csv_views.present, name="changes-present"),
    path(f"{CHANGES}/withdraw/", views.withdraw, name="changes-withdraw"),
    path(f"{CHANGES}/retry/", views.retry, name="changes-retry"),
    path(f"{CHANGES}/draw/", views.draw, name="changes-draw"),
    path(f"{CHANGES}/drawing/<int:number>/", plan_views.drawing, name="plan-drawing"),
    path(f"{CHANGES}/drawing/<int:number>/live/", plan_views.drawing_live, name="plan-drawing-live"),
    path(f"{CHANGES}/plans/", plan_views.of_tenant, name="tenant-plans"),
    path(f"{CHANGES}/plans/export.csv", plan_views.of_tenant_csv, name="tenant-plans-csv"),
    path(f"{PLAN}/", plan_views.plan, name="tenant-plan"),
    path(f"{PLAN}/live/", plan_views.plan_live, name="tenant-plan-live"),
    path(f"{PLAN}/export.csv", plan_views.plan_csv, name="tenant-plan-csv"),
    path(f"{PLAN}/apply/", plan_views.apply, name="tenant-plan-apply"),
    path(f"{PLAN}/undo/", plan_views.undo, name="tenant-plan-undo"),
]
