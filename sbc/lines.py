"""Lines to devices and to OVOC, with the password opened by a worker."""

from collections.abc import Callable

from django.conf import settings

from audiocodes.line import Line, Target
from core.errors import UmpError
from sbc.models import Ovoc, Reached, Sbc
from tenants import outbound, secrets


def to_sbc(sbc: Sbc, seconds: float, *, before_write: Callable[[], float | None] | None = None) -> Line:
    """Within that time in all; it writes only where somebody is asked before each write (`Context.still_ours`).

    Raises UmpError: key_unavailable, secret_unreadable, sbc_sign_in_refused without a password.
    """
    return Line(
        _target(sbc, sbc.name, sbc.fqdn),
        outbound.guard(),
        ca_bundle=settings.M365_CA_BUNDLE or None,
        before_write=before_write,
        seconds=seconds,
    )


def to_ovoc(ovoc: Ovoc | None) -> Line:
    """Raises UmpError: ovoc_missing, and as above."""
    if ovoc is None or ovoc.secret is None:
        raise UmpError.of("ovoc_missing")
    return Line(_target(ovoc, "OVOC", ""), outbound.guard(), ca_bundle=settings.M365_CA_BUNDLE or None)


def _target(there: Reached, name: str, server_name: str) -> Target:
    if there.secret is None:
        raise UmpError.of("sbc_sign_in_refused", host=name, detail={"cause": "no password is stored"})
    return Target(
        name=name,
        host=there.address,
        port=there.effective_port,
        https=there.https,
        user=there.user,
        password=secrets.open_secret(there.secret),
        fingerprint=there.fingerprint,
        server_name=server_name,
    )
