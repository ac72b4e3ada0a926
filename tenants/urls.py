"""Routes of customers, from the root."""

from django.urls import path

from tenants import views

TENANT = "tenants/<uuid:uid>"

urlpatterns = [
    path("tenants/deleted/", views.deleted, name="tenants-deleted"),
    path(f"{TENANT}/edit/", views.edit, name="tenant-edit"),
    path(f"{TENANT}/delete/", views.delete, name="tenant-delete"),
    path(f"{TENANT}/restore/", views.restore, name="tenant-restore"),
]
