from django.apps import AppConfig


class UserTemplatesConfig(AppConfig):
    name = "user_templates"
