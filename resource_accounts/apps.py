from django.apps import AppConfig


class ResourceAccountsConfig(AppConfig):
    name = "resource_accounts"
