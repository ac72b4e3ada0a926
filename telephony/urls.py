"""Routes of telephony, from the root."""

from django.urls import path

from telephony import hold_views, range_views, usage_views, views

TENANT = "tenants/<uuid:uid>"
NUMBERS = f"{TENANT}/numbers"
RANGE = f"{NUMBERS}/ranges/<uuid:range_id>"

urlpatterns = [
    path("numbers/", views.everywhere, name="numbers-everywhere"),
    path("numbers/export.csv", views.everywhere_csv, name="numbers-everywhere-csv"),
    path("settings/license/usage/", usage_views.index, name="usage"),
    path("settings/license/usage/export.csv", usage_views.index_csv, name="usage-csv"),
    path(f"{NUMBERS}/", views.of_tenant, name="tenant-numbers"),
    path(f"{NUMBERS}/export.csv", views.of_tenant_csv, name="tenant-numbers-csv"),
    path(f"{NUMBERS}/read/", views.read, name="tenant-numbers-read"),
    path(f"{NUMBERS}/reserve/", hold_views.reserve, name="numbers-reserve"),
    path(f"{NUMBERS}/block/", hold_views.block, name="numbers-block"),
    path(f"{NUMBERS}/release/", hold_views.release, name="numbers-release"),
    path(f"{NUMBERS}/holds/", hold_views.index, name="number-holds"),
    path(f"{NUMBERS}/holds/export.csv", hold_views.index_csv, name="number-holds-csv"),
    path(f"{NUMBERS}/holds/reserve/", hold_views.reserve_by_hand, name="number-holds-reserve"),
    path(f"{NUMBERS}/holds/block/", hold_views.block_by_hand, name="number-holds-block"),
    path(f"{NUMBERS}/holds/<uuid:hold_id>/release/", hold_views.release_one, name="number-hold-release"),
    path(f"{NUMBERS}/ranges/", range_views.index, name="number-ranges"),
    path(f"{NUMBERS}/ranges/export.csv", range_views.index_csv, name="number-ranges-csv"),
    path(f"{NUMBERS}/ranges/add/", range_views.add, name="number-range-add"),
    path(f"{RANGE}/change/", range_views.change, name="number-range-change"),
    path(f"{RANGE}/remove/", range_views.remove, name="number-range-remove"),
]
