"""What gunicorn serves."""

import gc
import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "ump_portal.settings")
application = get_wsgi_application()
# What is loaded now stays: the collector need not walk through all of it while somebody waits for a page.
gc.collect()
gc.freeze()
