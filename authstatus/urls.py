"""Routes of connections and their checks, from the root."""

from django.urls import path

from authstatus import views

TENANT = "tenants/<uuid:uid>"

urlpatterns = [
    path("tenants/add/", views.add, name="tenant-add"),
    path(f"{TENANT}/connection/", views.connection, name="tenant-connection"),
    path(f"{TENANT}/connection/set/", views.set_connection, name="tenant-connection-set"),
    path(f"{TENANT}/check/", views.check, name="tenant-check"),
    path(f"{TENANT}/checks/", views.checks, name="tenant-checks"),
]
