"""The product's settings on a database of the tests' own.

Settings are read before any fixture runs, so the embedded PostgreSQL is started here; every process of a
parallel run joins the same one, and the last to end stops it.
"""

import atexit
import base64
import os
import shutil
import tempfile
from pathlib import Path

from core.encryption import Pair
from ump_portal import embedded

_home = Path(tempfile.mkdtemp(prefix="ump-tests-"))
atexit.register(shutil.rmtree, _home, ignore_errors=True)

if "DATABASE_URL" not in os.environ:
    _server = embedded.start(
        Path(__file__).resolve().parent.parent / "var" / "tests",
        # Nothing in it has to outlive a crash of the machine, so nobody waits for the disk.
        settings={"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"},
    )
    os.environ["DATABASE_URL"] = _server.url_app
    os.environ["DATABASE_OWNER_URL"] = _server.url_owner


def _key(name: str, value: bytes) -> str:
    path = _home / name
    path.write_text(f"k1 {base64.b64encode(value).decode()}\n", encoding="ascii")
    return str(path)


_pair = Pair.new()
os.environ.update(
    SECRET_KEY="for tests only, and long enough to satisfy the deployment checks of Django",
    UMP_KEK_FILE=_key("kek", _pair.private),
    UMP_KEK_PUBLIC_FILE=_key("kek.pub", _pair.public),
    UMP_WEB_KEY_FILE=_key("web.key", os.urandom(32)),
)

from ump_portal.settings import *  # noqa: E402, F403  the environment above must come first

WORKER_LANES = ["data", "identity", "provider", "device", "powershell"]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
CELERY_BROKER_URL = "memory://"
CELERY_TRANSPORT_OPTIONS: dict[str, object] = {}
EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
API_ALLOWED_IPS = ["127.0.0.1", "169.254.0.1"]
ALLOWED_HOSTS = ["testserver", "localhost", "127.0.0.1"]
# A test is one transaction, and may wait in the middle of it for a browser.
DATABASES["default"]["OPTIONS"].pop("options")  # noqa: F405  from the settings above
for _database in DATABASES.values():  # noqa: F405  from the settings above
    _database["TEST"] = {"NAME": f"test_ump_{os.getpid()}"}
STATIC_ROOT = _home / "static"
STATIC_ROOT.mkdir()
# Every client of a test is a server of its own, which otherwise would list all files when it begins.
WHITENOISE_AUTOREFRESH = True
