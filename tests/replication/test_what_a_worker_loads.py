"""What every pool process of a worker carries in memory: nothing of pages, of the API, or of what few ever need."""

import subprocess
import sys

LOADED = """
import sys
from ump_portal.celery import app
app.loader.import_default_modules()
print(*sys.modules)
"""
NOT_WANTED = {
    "rest_framework.views",
    "django_filters",
    "cryptography.x509",
    "dns.resolver",
    "ump_portal.urls",
}


def test_a_worker_loads_what_it_works_with() -> None:
    """In a process of its own, since this one has loaded everything."""
    done = subprocess.run([sys.executable, "-c", LOADED], stdout=subprocess.PIPE, text=True, check=True)
    loaded = set(done.stdout.split())
    assert {"replication.tasks", "directory.sync.full"} <= loaded
    assert not NOT_WANTED & loaded
