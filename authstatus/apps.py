from django.apps import AppConfig


class AuthstatusConfig(AppConfig):
    name = "authstatus"
    verbose_name = "Authentication Status"
