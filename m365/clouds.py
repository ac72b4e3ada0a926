"""The Microsoft clouds and their addresses (facts/microsoft.md 1.1, 1.3).

Every host is configuration: with a gateway, requests for these hosts go to another address (`core.http`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit

from core.http import OutboundConfig


@dataclass(frozen=True, slots=True)
class Cloud:
    """One cloud. Tokens and app registrations are not portable between clouds."""

    key: str
    name: str
    authority_host: str
    graph_host: str
    instance_name: str
    azure_portal: str
    entra_portal: str
    teams_admin: str
    device_page: str
    authority_aliases: tuple[str, ...] = ()
    region_sub_scope: str = ""

    @property
    def graph_root(self) -> str:
        """Without a version: `https://graph.microsoft.com`."""
        return f"https://{self.graph_host}"

    @property
    def graph_scope(self) -> str:
        return f"{self.graph_root}/.default"

    @property
    def authority_hosts(self) -> frozenset[str]:
        return frozenset({self.authority_host, *self.authority_aliases})

    def authority(self, tenant: str) -> str:
        return f"https://{self.authority_host}/{tenant}"


_GLOBAL = Cloud(
    key="global",
    name="Microsoft 365 (worldwide)",
    authority_host="login.microsoftonline.com",
    authority_aliases=("login.windows.net", "login.microsoft.com", "sts.windows.net"),
    graph_host="graph.microsoft.com",
    instance_name="microsoftonline.com",
    azure_portal="https://portal.azure.com",
    entra_portal="https://entra.microsoft.com",
    teams_admin="https://admin.teams.microsoft.com",
    device_page="https://microsoft.com/devicelogin",
)
_GCC_HIGH = Cloud(
    key="gcc_high",
    name="Microsoft 365 US Government GCC High",
    authority_host="login.microsoftonline.us",
    authority_aliases=("login.usgovcloudapi.net",),
    graph_host="graph.microsoft.us",
    instance_name="microsoftonline.us",
    region_sub_scope="DODCON",
    azure_portal="https://portal.azure.us",
    entra_portal="https://entra.microsoft.us",
    teams_admin="https://admin.gov.teams.microsoft.us",
    device_page="https://microsoft.com/deviceloginus",
)
_DOD = Cloud(
    key="dod",
    name="Microsoft 365 US Government DoD",
    authority_host="login.microsoftonline.us",
    authority_aliases=("login.usgovcloudapi.net",),
    graph_host="dod-graph.microsoft.us",
    instance_name="microsoftonline.us",
    region_sub_scope="DOD",
    azure_portal="https://portal.azure.us",
    entra_portal="https://entra.microsoft.us",
    teams_admin="https://admin.dod.teams.microsoft.us",
    device_page="https://microsoft.com/deviceloginus",
)
_CHINA = Cloud(
    key="china",
    name="Microsoft 365 operated by 21Vianet (China)",
    authority_host="login.partner.microsoftonline.cn",
    authority_aliases=("login.chinacloudapi.cn",),
    graph_host="microsoftgraph.chinacloudapi.cn",
    instance_name="partner.microsoftonline.cn",
    azure_portal="https://portal.azure.cn",
    entra_portal="https://entra.microsoftonline.cn",
    teams_admin="https://admin.teams.microsoftonline.cn",
    device_page="https://microsoft.com/deviceloginchina",
)

CLOUDS: Mapping[str, Cloud] = MappingProxyType({c.key: c for c in (_GLOBAL, _GCC_HIGH, _DOD, _CHINA)})

HOSTS: frozenset[str] = frozenset(
    host for cloud in CLOUDS.values() for host in (*cloud.authority_hosts, cloud.graph_host)
)

DEVICE_HOSTS: frozenset[str] = frozenset(urlsplit(cloud.device_page).netloc for cloud in CLOUDS.values())
"""Where people enter device codes; nothing but a browser goes there."""


def cloud_of(metadata: Mapping[str, Any], asked: Cloud) -> Cloud:
    """The cloud that an openid-configuration says the tenant lives in.

    The two US government clouds share their sign-in hosts: only `tenant_region_sub_scope` tells them apart,
    and where it is absent the one that was asked for is believed. A document that names no known cloud counts
    as the one that was asked, since older ones name none.
    """
    instance = metadata.get("cloud_instance_name")
    candidates = [cloud for cloud in CLOUDS.values() if cloud.instance_name == instance]
    sub_scope = metadata.get("tenant_region_sub_scope")
    exact = [cloud for cloud in candidates if cloud.region_sub_scope and cloud.region_sub_scope == sub_scope]
    if exact:
        return exact[0]
    return asked if asked in candidates or not candidates else candidates[0]


def browser_address(url: str, gateway_url: str = "") -> str:
    """Where a browser opens one of Microsoft's pages: there, or at the gateway, with the host as first part.

    A browser cannot send a foreign `Host`, so the gateway is told by the path who is meant.
    """
    parts = urlsplit(url)
    if not gateway_url or parts.netloc not in HOSTS | DEVICE_HOSTS:
        return url
    query = f"?{parts.query}" if parts.query else ""
    return f"{gateway_url.rstrip('/')}/{parts.netloc}{parts.path}{query}"


def outbound_config(gateway_url: str = "", ca_bundle: str | None = None, **limits: Any) -> OutboundConfig:
    """What `core.http` needs to reach Microsoft; `limits` are fields of `OutboundConfig`."""
    return OutboundConfig(gateway_url=gateway_url, gateway_hosts=HOSTS, ca_bundle=ca_bundle, **limits)
