"""Two who enter the zone for the first time, at the same moment."""

import pytest

from core.errors import Conflict
from domains import services
from domains.models import DnsZone
from simulator.nameserver import KEY_NAME, ZONE, zone_secret
from tenants.models import ProviderSecret
from tests import overlap
from tests.cast import Cast
from tests.domains.conftest import OLGA

pytestmark = pytest.mark.django_db(transaction=True)


def test_the_second_is_told(committed_cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    def enter() -> str:
        try:
            services.set_zone(
                OLGA, name=ZONE, server="ns.example", key_name=KEY_NAME, secret=zone_secret(), version=0
            )
        except Conflict as error:
            return error.code
        return "entered"

    assert overlap.both(monkeypatch, enter, enter) == ["entered", "conflict_version"]
    assert DnsZone.objects.get().row_version == 1
    assert ProviderSecret.objects.count() == 1
