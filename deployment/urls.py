"""Routes of deployments, from the root."""

from django.urls import path

from deployment import views

TENANT = "tenants/<uuid:uid>"

urlpatterns = [
    each
    for act, place in views.PATHS.items()
    for each in (
        path(f"{TENANT}/{place}/", views.page, {"act": act}, name=place),
        path(f"{TENANT}/{place}/live/", views.live, {"act": act}, name=f"{place}-live"),
        path(f"{TENANT}/{place}/look/", views.look, {"act": act}, name=f"{place}-look"),
        path(f"{TENANT}/{place}/set-aside/", views.set_aside, {"act": act}, name=f"{place}-set-aside"),
        path(f"{TENANT}/{place}/verify/", views.verify, {"act": act}, name=f"{place}-verify"),
        path(
            f"{TENANT}/{place}/verify.ps1",
            views.script,
            {"act": act, "verify": True},
            name=f"{place}-verify-script",
        ),
        path(
            f"{TENANT}/{place}/ready.ps1", views.script, {"act": act, "verify": False}, name=f"{place}-script"
        ),
    )
] + [path(f"{TENANT}/sites/<uuid:site_id>/voice/", views.site_voice, name="site-voice")]
