"""The roof: wiring, and the pages that show many rooms at once."""

from ump_portal.celery import app as celery_app

__all__ = ["celery_app"]
