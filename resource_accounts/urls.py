"""Routes of resource accounts, from the root."""

from django.urls import path

from resource_accounts import views

TENANT = "tenants/<uuid:uid>/resource-accounts"
ONE = f"{TENANT}/<uuid:design_id>"
TEMPLATES = "resource-account-templates"

urlpatterns = [
    path(f"{TENANT}/", views.index, name="resource-accounts"),
    path(f"{TENANT}/export.csv", views.export, name="resource-accounts-csv"),
    path(f"{TENANT}/add/", views.add, name="resource-account-add"),
    path(f"{ONE}/", views.one, name="resource-account"),
    path(f"{ONE}/live/", views.live, name="resource-account-live"),
    path(f"{ONE}/edit/", views.edit, name="resource-account-edit"),
    path(f"{ONE}/delete/", views.delete, name="resource-account-delete"),
    path(f"{ONE}/look/", views.look, name="resource-account-look"),
    path(f"{ONE}/build/", views.build, name="resource-account-build"),
    path(f"{ONE}/remove/", views.remove, name="resource-account-remove"),
    path(f"{ONE}/scripts/<slug:which>/", views.script, name="resource-account-script"),
    path(f"{ONE}/verify/", views.verify, name="resource-account-verify"),
    path(f"{TEMPLATES}/", views.templates, name="resource-account-templates"),
    path(
        f"{TEMPLATES}/add/<uuid:uid>/<uuid:design_id>/",
        views.add_template,
        name="resource-account-template-add",
    ),
    path(
        f"{TEMPLATES}/<uuid:template_id>/delete/",
        views.delete_template,
        name="resource-account-template-delete",
    ),
]
