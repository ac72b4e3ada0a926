"""Addresses of invitations on the provider's side."""

from django.urls import path

from invitations import settings_views, views

OF_CUSTOMER = "tenants/<uuid:uid>/invitations/"
ONE = f"{OF_CUSTOMER}<int:invitation_id>/"

urlpatterns = [
    path("settings/invitations/", settings_views.show, name="invitation-settings"),
    path("settings/invitations/change/", settings_views.change, name="invitation-settings-change"),
    path("settings/invitations/preview/", settings_views.preview, name="invitation-settings-preview"),
    path("settings/invitations/test/", settings_views.test_mail, name="invitation-settings-test"),
    path("invitations/", views.index, name="invitations"),
    path("invitations/live/", views.live, name="invitations-live"),
    path("invitations/export.csv", views.export, name="invitations-export"),
    path("invitations/new/", views.choose, name="invitation-new"),
    path("tenants/<uuid:uid>/invite/", views.invite, name="invitation-add"),
    path(OF_CUSTOMER, views.of_customer, name="tenant-invitations"),
    path(ONE, views.one, name="invitation"),
    path(f"{ONE}edit/", views.edit, name="invitation-edit"),
    path(f"{ONE}remind/", views.remind, name="invitation-remind"),
    path(f"{ONE}resend/", views.resend, name="invitation-resend"),
    path(f"{ONE}revoke/", views.revoke, name="invitation-revoke"),
    path(f"{ONE}auth-url/", views.auth_url, name="invitation-auth-url"),
    path(f"{ONE}organisation/", views.organisation, name="invitation-organisation"),
]
