"""Routes of SBC devices, from the root."""

from django.urls import path

from sbc import prefix_views, views

ONE = "sbcs/<uuid:sbc_id>"

urlpatterns = [
    path("sbcs/add/", views.add, name="sbc-add"),
    path("sbcs/reload/", views.reload, name="sbcs-reload"),
    path("sbcs/ovoc/", views.ovoc, name="ovoc"),
    path(f"{ONE}/edit/", views.edit, name="sbc-edit"),
    path(f"{ONE}/check/", views.check, name="sbc-check"),
    path(f"{ONE}/prefixes/", prefix_views.of_sbc, name="sbc-prefixes"),
    path(f"{ONE}/prefixes/refresh/", prefix_views.refresh, name="sbc-prefixes-refresh"),
    path(f"{ONE}/prefixes/live/", prefix_views.live, name="sbc-prefixes-live"),
    path("prefixes/", prefix_views.everywhere, name="prefixes"),
    path(f"{ONE}/remove/", views.remove, name="sbc-remove"),
]
