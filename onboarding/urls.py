"""Routes of the onboarding wizard, from the root."""

from django.urls import path

from onboarding import first_views, views

OF_CUSTOMER = "tenants/<uuid:uid>/onboarding/"

urlpatterns = [
    path("onboarding/", views.index, name="onboardings"),
    path("onboarding/start/", first_views.start, name="onboarding-start"),
    path("onboarding/name/", first_views.name, name="onboarding-name"),
    path("onboarding/offers/", first_views.offered, name="onboarding-offers"),
    path("onboarding/discover/", first_views.discover, name="onboarding-discover"),
    path("onboarding/discover/<int:number>/live/", first_views.discovery, name="onboarding-discovery"),
    path(OF_CUSTOMER, views.resume, name="onboarding"),
    path(f"{OF_CUSTOMER}m365-tenant/", first_views.tenant_step, name="onboarding-tenant"),
    path(f"{OF_CUSTOMER}m365/", views.connect_step, name="onboarding-m365"),
    path(f"{OF_CUSTOMER}m365/live/", views.connect_live, name="onboarding-m365-live"),
    path(f"{OF_CUSTOMER}voice-route/", views.route_step, name="onboarding-voice-route"),
    path(f"{OF_CUSTOMER}voice-route/live/", views.route_live, name="onboarding-voice-route-live"),
    path(f"{OF_CUSTOMER}voice-route/dns/", views.begin_dns, name="onboarding-dns"),
    path(f"{OF_CUSTOMER}invite/", views.invite, name="onboarding-invite"),
    path(f"{OF_CUSTOMER}app/", views.enter_app, name="onboarding-app"),
    path(f"{OF_CUSTOMER}provider-app/", views.use_provider_app, name="onboarding-provider-app"),
    path(f"{OF_CUSTOMER}retry/", views.retry, name="onboarding-retry"),
    path(f"{OF_CUSTOMER}finish/", views.finish, name="onboarding-finish"),
    path(f"{OF_CUSTOMER}cancel/", views.cancel, name="onboarding-cancel"),
    path(f"{OF_CUSTOMER}again/", views.again, name="onboarding-again"),
]
