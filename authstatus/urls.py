"""Routes of connections and their checks, from the root."""

from django.urls import path

from authstatus import (
    delegated_views,
    failure_views,
    organization_views,
    registration_views,
    run_views,
    shared_app_views,
    status_views,
    views,
)

TENANT = "tenants/<uuid:uid>"
REGISTRATION = f"{TENANT}/registration"
STATUS = "authentication-status"
RUN = f"{STATUS}/verify-runs/<uuid:run_id>"

urlpatterns = [
    path("tenants/add/", views.add, name="tenant-add"),
    path(f"{TENANT}/check/", views.check, name="tenant-check"),
    path(f"{TENANT}/organization/", organization_views.confirm, name="organization"),
    path(f"{TENANT}/checks/", views.checks, name="tenant-checks"),
    path(f"{TENANT}/provider-app/", shared_app_views.use_provider_app, name="use-provider-app"),
    path(f"{TENANT}/grant-access/", delegated_views.grant_access, name="grant-access"),
    path(f"{TENANT}/switch-to-password/", delegated_views.switch_to_password, name="switch-password"),
    path(f"{TENANT}/sign-in/<uuid:flow_id>/", delegated_views.sign_in, name="sign-in"),
    path(f"{TENANT}/sign-in/<uuid:flow_id>/live/", delegated_views.sign_in_live, name="sign-in-live"),
    path(f"{TENANT}/access-failures/", failure_views.failures, name="access-failures"),
    path(f"{TENANT}/access-failures/rule/", failure_views.change_rule, name="access-failures-rule"),
    path(f"{STATUS}/", status_views.index, name="authentication-status"),
    path(f"{STATUS}/live/", status_views.live, name="authentication-status-live"),
    path(f"{STATUS}/export.csv", status_views.export, name="authentication-status-export"),
    path(f"{STATUS}/update/", status_views.update, name="authentication-status-update"),
    path(f"{STATUS}/<uuid:uid>/check/", status_views.check, name="authentication-status-check"),
    path(f"{STATUS}/app/", status_views.set_app, name="authentication-status-app"),
    path(f"{STATUS}/app/check/", status_views.check_app, name="authentication-status-app-check"),
    path(f"{STATUS}/app/renew/", status_views.renew_app, name="authentication-status-app-renew"),
    path(f"{STATUS}/app/live/", status_views.app_live, name="authentication-status-app-live"),
    path(f"{STATUS}/verify-all/", run_views.verify_all, name="verify-all"),
    path(f"{STATUS}/verify-runs/", run_views.history, name="verify-runs"),
    path(f"{RUN}/", run_views.run, name="verify-run"),
    path(f"{RUN}/live/", run_views.live, name="verify-run-live"),
    path(f"{RUN}/cancel/", run_views.cancel, name="verify-run-cancel"),
    path(f"{REGISTRATION}/", registration_views.registration, name="tenant-registration"),
    path(f"{REGISTRATION}/migrate/", registration_views.migrate, name="tenant-registration-migrate"),
    path(f"{REGISTRATION}/create/", registration_views.create, name="tenant-registration-create"),
    path(f"{REGISTRATION}/renew/", registration_views.renew, name="tenant-registration-renew"),
    path(f"{REGISTRATION}/back/", registration_views.go_back, name="tenant-registration-back"),
    path(f"{REGISTRATION}/keys/<uuid:key_id>/", registration_views.key_service, name="registration-key"),
    path(
        f"{REGISTRATION}/keys/<uuid:key_id>/remove/",
        registration_views.remove_key,
        name="registration-key-remove",
    ),
    path(
        f"{REGISTRATION}/remove-provider-app/",
        registration_views.remove_helper,
        name="registration-remove-helper",
    ),
    path(f"{REGISTRATION}/forget/", registration_views.forget, name="tenant-registration-forget"),
    path("settings/renew-secrets/", registration_views.renew_all, name="renew-secrets"),
]
