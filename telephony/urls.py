"""Routes of telephony, from the root."""

from django.urls import path

from telephony import views

TENANT = "tenants/<uuid:uid>"

urlpatterns = [
    path("numbers/", views.everywhere, name="numbers-everywhere"),
    path("numbers/export.csv", views.everywhere_csv, name="numbers-everywhere-csv"),
    path(f"{TENANT}/numbers/", views.of_tenant, name="tenant-numbers"),
    path(f"{TENANT}/numbers/export.csv", views.of_tenant_csv, name="tenant-numbers-csv"),
    path(f"{TENANT}/numbers/read/", views.read, name="tenant-numbers-read"),
]
