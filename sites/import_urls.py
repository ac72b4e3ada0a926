"""Routes of Import Customers, from the root."""

from django.urls import path

from sites import import_views

ONE = "sbcs/<uuid:sbc_id>/import"

urlpatterns = [
    path(f"{ONE}/", import_views.index, name="sbc-import"),
    path(f"{ONE}/preview/", import_views.preview, name="sbc-import-preview"),
    path(f"{ONE}/apply/", import_views.apply, name="sbc-import-apply"),
]
