"""Addresses of those who come by a link, and the one to which Microsoft sends everybody back."""

from django.urls import path

from invitations import visit_views

urlpatterns = [
    path("authenticate/OAuth2Callback", visit_views.callback, name="oauth2-callback"),
    path("authenticate/visit/", visit_views.visit, name="visit"),
    path("authenticate/visit/live/", visit_views.live, name="visit-live"),
    path("authenticate/visit/sign-in/", visit_views.sign_in, name="visit-sign-in"),
    path("authenticate/visit/device/", visit_views.device, name="visit-device"),
    path("authenticate/visit/app/", visit_views.use_app, name="visit-app"),
    path("authenticate/<str:token>", visit_views.link, name="visit-link"),
]
