"""One request to a sign-in host, with what every page and grant needs to know of it."""

from __future__ import annotations

import dataclasses
import uuid

from simulator.clouds import AUTHORITY_HOSTS
from simulator.entra.errors import OAuthError
from simulator.http1 import Request
from simulator.tenant import Tenant
from simulator.world import World


@dataclasses.dataclass(slots=True)
class Exchange:
    """`tenant` is None for open places such as `common`, and for names nobody has."""

    world: World
    request: Request
    host: str
    base: str
    args: dict[str, str]
    tenant: Tenant | None
    now: float
    trace: str = dataclasses.field(default_factory=lambda: str(uuid.uuid4()))

    @property
    def correlation_id(self) -> str:
        """The client's own id of the request where it sent one."""
        return self.request.headers.get("client-request-id", self.trace)

    def required_tenant(self) -> Tenant:
        if self.tenant is None:
            raise OAuthError(
                50059, "invalid_request", "No tenant-identifying information found in the request."
            )
        return self.tenant

    def audiences(self) -> set[str]:
        """What a client assertion may name as its audience: this tenant's token endpoint or issuer."""
        tenant = self.required_tenant()
        hosts = [host for host, cloud in AUTHORITY_HOSTS.items() if cloud == tenant.cloud.authority]
        # Behind a gateway the host may carry a port; the client read it in our own metadata.
        bases = {self.base, *(f"https://{host}" for host in hosts)}
        places = (tenant.id, *tenant.domains)
        paths = ("oauth2/v2.0/token", "oauth2/token", "v2.0")
        return {f"{base}/{place}/{path}" for base in bases for place in places for path in paths}
