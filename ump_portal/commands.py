"""What the worker does besides in the demo: samples that need what was read from Microsoft."""

from django.conf import settings

from replication.registry import chore

if settings.DEMO:
    from ump_portal.management import sample_changes

    chore(sample_changes.advance)
