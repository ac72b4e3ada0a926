"""Routes of scenario script templates, from the root."""

from django.urls import path

from sites import template_views as views

ONE = "scripts/<uuid:script_id>"

urlpatterns = [
    path("scripts/", views.index, name="scripts"),
    path("scripts/add/", views.add, name="script-add"),
    path("scripts/defaults/", views.defaults, name="scripts-defaults"),
    path("scripts/compare/", views.compare, name="scripts-compare"),
    path(f"{ONE}/", views.one, name="script"),
    path(f"{ONE}/edit/", views.edit, name="script-edit"),
    path(f"{ONE}/script.txt", views.download, name="script-download"),
    path(f"{ONE}/remove/", views.remove, name="script-remove"),
]
