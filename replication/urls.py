"""Routes of the queue, from the root."""

from django.urls import path

from replication import command_views, plan_views, views

TENANT = "tenants/<uuid:uid>"
COMMAND = f"{TENANT}/commands/<int:number>"

urlpatterns = [
    path("queue/", views.queue, name="queue"),
    path("queue/live/", views.queue_live, name="queue_live"),
    path("queue/export.csv", views.queue_csv, name="queue_csv"),
    path("queue/pause/", command_views.pause, name="queue_pause"),
    path("queue/resume/", command_views.resume, name="queue_resume"),
    path("queue/bulk/result/", command_views.bulk_result, name="queue_bulk_result"),
    path("queue/bulk/cancel/", command_views.bulk, {"action": "cancel"}, name="queue_bulk_cancel"),
    path("queue/bulk/retry/", command_views.bulk, {"action": "retry"}, name="queue_bulk_retry"),
    path("queue/<int:number>/", command_views.provider_command, name="provider_command"),
    path("queue/<int:number>/live/", command_views.provider_command_live, name="provider_command_live"),
    path("queue/<int:number>/cancel/", command_views.provider_cancel, name="provider_command_cancel"),
    path("queue/<int:number>/retry/", command_views.provider_retry, name="provider_command_retry"),
    path(f"{TENANT}/queue/", views.tenant_queue, name="tenant_queue"),
    path(f"{TENANT}/queue/live/", views.tenant_queue_live, name="tenant_queue_live"),
    path(f"{TENANT}/queue/export.csv", views.tenant_queue_csv, name="tenant_queue_csv"),
    path(f"{TENANT}/queue/bulk/result/", command_views.tenant_bulk_result, name="tenant_queue_bulk_result"),
    path(
        f"{TENANT}/queue/bulk/cancel/",
        command_views.tenant_bulk,
        {"action": "cancel"},
        name="tenant_bulk_cancel",
    ),
    path(
        f"{TENANT}/queue/bulk/retry/",
        command_views.tenant_bulk,
        {"action": "retry"},
        name="tenant_bulk_retry",
    ),
    path(f"{TENANT}/queue-replication/", command_views.queue_replication, name="queue_replication"),
    path(f"{TENANT}/process-all/", command_views.process_all, name="process_all"),
    path(f"{COMMAND}/", command_views.command, name="command"),
    path(f"{COMMAND}/live/", command_views.command_live, name="command_live"),
    path(f"{COMMAND}/cancel/", command_views.cancel, name="command_cancel"),
    path(f"{COMMAND}/retry/", command_views.retry, name="command_retry"),
    path(f"{COMMAND}/plan/", plan_views.plan, name="command_plan"),
    path(f"{COMMAND}/plan/export.csv", plan_views.plan_csv, name="command_plan_csv"),
    path(f"{COMMAND}/approve/", plan_views.approve, name="command_approve"),
]
