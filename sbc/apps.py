from django.apps import AppConfig


class SbcConfig(AppConfig):
    name = "sbc"
