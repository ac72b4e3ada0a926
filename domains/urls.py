"""Routes of domains and of the provider's zone, from the root."""

from django.urls import path

from domains import views, zone_views

DOMAINS = "tenants/<uuid:uid>/domains"
ONE = f"{DOMAINS}/<uuid:domain_id>"

urlpatterns = [
    path(f"{DOMAINS}/", views.index, name="domains"),
    path(f"{DOMAINS}/add/", views.add, name="domain-add"),
    path(f"{ONE}/", views.one, name="domain"),
    path(f"{ONE}/live/", views.live, name="domain-live"),
    path(f"{ONE}/look/", views.look, name="domain-look"),
    path(f"{ONE}/retry/", views.retry, name="domain-retry"),
    path(f"{ONE}/cancel/", views.cancel, name="domain-cancel"),
    path(f"{ONE}/remove/", views.remove, name="domain-remove"),
    path(f"{ONE}/release/", views.release, name="domain-release"),
    path("settings/dns-zone/", zone_views.zone, name="dns-zone"),
    path("settings/dns-zone/live/", zone_views.live, name="dns-zone-live"),
    path("settings/dns-zone/change/", zone_views.change, name="dns-zone-change"),
    path("settings/dns-zone/test/", zone_views.test, name="dns-zone-test"),
]
