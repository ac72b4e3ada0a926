"""Routes of webhooks, from the root."""

from django.urls import path

from webhooks import views

ALL = "settings/webhooks"
ONE = f"{ALL}/<uuid:endpoint_id>"

urlpatterns = [
    path(f"{ALL}/", views.index, name="webhooks"),
    path(f"{ALL}/add/", views.add, name="webhook-add"),
    path("settings/digest/", views.digest, name="digest"),
    path(f"{ONE}/", views.one, name="webhook"),
    path(f"{ONE}/edit/", views.edit, name="webhook-edit"),
    path(f"{ONE}/test/", views.send_test, name="webhook-test"),
    path(f"{ONE}/hold/", views.hold, name="webhook-hold"),
    path(f"{ONE}/resume/", views.resume, name="webhook-resume"),
    path(f"{ONE}/replay/", views.replay, name="webhook-replay"),
    path(f"{ONE}/rotate/", views.rotate, name="webhook-rotate"),
    path(f"{ONE}/drop-old-secret/", views.drop_former, name="webhook-drop-old-secret"),
    path(f"{ONE}/remove/", views.remove, name="webhook-remove"),
]
