"""Routes of templates, from the root."""

from django.urls import path

from user_templates import copy_views, views

TEMPLATES = "tenants/<uuid:uid>/templates"
ONE = f"{TEMPLATES}/<uuid:user_template_id>"

urlpatterns = [
    path(f"{TEMPLATES}/", views.index, name="user-templates"),
    path(f"{TEMPLATES}/add/", views.add, name="user-template-add"),
    path(f"{ONE}/", views.one, name="user-template"),
    path(f"{ONE}/edit/", views.edit, name="user-template-edit"),
    path(f"{ONE}/start/", views.start, name="user-template-start"),
    path(f"{ONE}/stop/", views.stop, name="user-template-stop"),
    path(f"{ONE}/up/", views.up, name="user-template-up"),
    path(f"{ONE}/copy/", copy_views.copy, name="user-template-copy"),
    path(f"{ONE}/remove/", views.remove, name="user-template-remove"),
]
