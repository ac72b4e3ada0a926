"""The settings of a deployment: read by a process of its own, as they are read there."""

import json
import os
import subprocess
import sys
from typing import Any

import pytest
from django.test import Client

READ = """
import django, json
django.setup()
from django.conf import settings
from django.core.checks import run_checks
warned = [one.id for one in run_checks() if one.id.startswith("ump.")]
print(json.dumps({"hosts": settings.ALLOWED_HOSTS, "warned": warned}))
"""


def read(**environment: str) -> dict[str, list[str]]:
    left = {
        name: value for name, value in os.environ.items() if name not in {"ALLOWED_HOSTS", "TRUSTED_PROXIES"}
    }
    own = {"DJANGO_SETTINGS_MODULE": "ump_portal.settings", **environment}
    told = subprocess.run(
        [sys.executable, "-c", READ], env=left | own, check=True, capture_output=True, text=True, timeout=60
    )
    found: dict[str, list[str]] = json.loads(told.stdout.splitlines()[-1])
    return found


def test_the_address_that_people_use_is_always_answered() -> None:
    found = read(PORTAL_BASE_URL="https://portal.example.com:8443", ALLOWED_HOSTS="voice.example.com")
    assert found["hosts"] == ["voice.example.com", "portal.example.com", "localhost", "127.0.0.1"]


@pytest.mark.parametrize(
    ("url", "proxies", "warned"),
    [
        ("http://localhost:8000", {}, []),
        ("https://portal.example.com", {}, ["ump.W001"]),
        ("https://portal.example.com", {"TRUSTED_PROXIES": "10.0.0.1"}, ["ump.W001"]),
        ("https://portal.example.com", {"TRUSTED_PROXIES": "10.0.0.1", "TRUSTED_PROXY_COUNT": "1"}, []),
        ("https://portal.example.com", {"SECURE_SSL_REDIRECT": "false"}, []),
    ],
)
def test_https_without_a_proxy_that_is_trusted_is_warned_of(
    url: str, proxies: dict[str, str], warned: list[str]
) -> None:
    assert read(PORTAL_BASE_URL=url, **proxies)["warned"] == warned


@pytest.mark.django_db
def test_whoever_asks_for_health_past_the_proxy_is_answered(settings: Any) -> None:
    settings.SECURE_SSL_REDIRECT = True
    assert (Client().get("/healthz").status_code, Client().get("/queue/").status_code) == (200, 301)
