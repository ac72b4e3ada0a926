"""Routes of sites, from the root."""

from django.urls import path

from sites import views

TENANT = "tenants/<uuid:uid>/sites"
ONE = f"{TENANT}/<uuid:site_id>"

urlpatterns = [
    path("sites/", views.everywhere, name="sites"),
    path("sbcs/<uuid:sbc_id>/sites/", views.of_sbc, name="sbc-sites"),
    path(f"{TENANT}/", views.of_tenant, name="tenant-sites"),
    path(f"{TENANT}/add/", views.add, name="site-add"),
    path(f"{ONE}/", views.one, name="site"),
    path(f"{ONE}/live/", views.live, name="site-live"),
    path(f"{ONE}/edit/", views.edit, name="site-edit"),
    path(f"{ONE}/delete/", views.delete, name="site-delete"),
    path(f"{ONE}/deploy/", views.deploy, name="site-deploy"),
    path(f"{ONE}/deploy/look/", views.look_deploy, name="site-deploy-look"),
    path(f"{ONE}/deploy/live/", views.live_deploy, name="site-deploy-live"),
    path(f"{ONE}/remove/", views.remove, name="site-remove"),
    path(f"{ONE}/remove/look/", views.look_remove, name="site-remove-look"),
    path(f"{ONE}/remove/live/", views.live_remove, name="site-remove-live"),
]
