"""Routes of customers' numbers on SBCs, from the root."""

from django.urls import path

from sites import number_views as views

SITE = "tenants/<uuid:uid>/sites/<uuid:site_id>/prefixes"
ONE = f"{SITE}/<uuid:prefix_id>"

urlpatterns = [
    path("tenants/<uuid:uid>/prefixes/", views.of_tenant, name="tenant-prefixes"),
    path(f"{SITE}/", views.of_site, name="site-prefixes"),
    path(f"{SITE}/live/", views.live, name="site-prefixes-live"),
    path(f"{SITE}/add/", views.add, name="site-prefixes-add"),
    path(f"{SITE}/import/", views.import_file, name="site-prefixes-import"),
    path(f"{SITE}/export/", views.export, name="site-prefixes-export"),
    path(f"{SITE}/write/", views.write, name="site-prefixes-write"),
    path(f"{ONE}/change/", views.change, name="site-prefix-change"),
    path(f"{ONE}/remove/", views.remove, name="site-prefix-remove"),
    path(f"{ONE}/move/", views.move, name="site-prefix-move"),
]
