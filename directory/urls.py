"""Routes of the copy of a customer's directory, from the root."""

from django.urls import path

from directory import filter_views, views

TENANT = "tenants/<uuid:uid>"

urlpatterns = [
    path(f"{TENANT}/users/", views.users, name="users"),
    path(f"{TENANT}/users/export.csv", views.users_csv, name="users_csv"),
    path(f"{TENANT}/users/<uuid:object_id>/", views.user, name="user"),
    path(f"{TENANT}/user-filter/", filter_views.user_filter, name="user-filter"),
    path(f"{TENANT}/user-filter/set/", filter_views.set_filter, name="user-filter-set"),
    path(f"{TENANT}/groups/", views.groups, name="groups"),
    path(f"{TENANT}/groups/export.csv", views.groups_csv, name="groups_csv"),
    path(f"{TENANT}/groups/<uuid:object_id>/", views.group, name="group"),
    path(f"{TENANT}/groups/<uuid:object_id>/export.csv", views.members_csv, name="members_csv"),
    path(f"{TENANT}/licences/", views.licences, name="licences"),
    path(f"{TENANT}/licences/export.csv", views.licences_csv, name="licences_csv"),
]
