"""Routes of customers, from the root."""

from django.urls import path

from tenants import licence_views, views

TENANT = "tenants/<uuid:uid>"

urlpatterns = [
    path("settings/license/", licence_views.index, name="license"),
    path("tenants/deleted/", views.deleted, name="tenants-deleted"),
    path(f"{TENANT}/edit/", views.edit, name="tenant-edit"),
    path(f"{TENANT}/delete/", views.delete, name="tenant-delete"),
    path(f"{TENANT}/restore/", views.restore, name="tenant-restore"),
]
