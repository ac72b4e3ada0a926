"""Microsoft's national clouds and the hosts that each answers to (facts/microsoft.md 1.1)."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True, slots=True)
class Cloud:
    """One national cloud as metadata documents describe it."""

    name: str
    authority: str
    graph: str
    instance_name: str
    region: str
    sub_scope: str | None
    device_page: str


CLOUDS: dict[str, Cloud] = {
    cloud.name: cloud
    for cloud in (
        Cloud(
            "global",
            "login.microsoftonline.com",
            "graph.microsoft.com",
            "microsoftonline.com",
            "WW",
            None,
            "https://microsoft.com/devicelogin",
        ),
        Cloud(
            "gcc_high",
            "login.microsoftonline.us",
            "graph.microsoft.us",
            "microsoftonline.us",
            "USGov",
            "DODCON",
            "https://microsoft.com/deviceloginus",
        ),
        Cloud(
            "dod",
            "login.microsoftonline.us",
            "dod-graph.microsoft.us",
            "microsoftonline.us",
            "USGov",
            "DOD",
            "https://microsoft.com/deviceloginus",
        ),
        Cloud(
            "china",
            "login.partner.microsoftonline.cn",
            "microsoftgraph.chinacloudapi.cn",
            "partner.microsoftonline.cn",
            "AS",
            None,
            "https://microsoft.com/deviceloginchina",
        ),
    )
}

# Every name an authority answers to -> the preferred name of its cloud.
AUTHORITY_HOSTS: dict[str, str] = {
    "login.microsoftonline.com": "login.microsoftonline.com",
    "login.microsoft.com": "login.microsoftonline.com",
    "login.windows.net": "login.microsoftonline.com",
    "sts.windows.net": "login.microsoftonline.com",
    "login.microsoftonline.us": "login.microsoftonline.us",
    "login.usgovcloudapi.net": "login.microsoftonline.us",
    "login.partner.microsoftonline.cn": "login.partner.microsoftonline.cn",
    "login.chinacloudapi.cn": "login.partner.microsoftonline.cn",
}

GRAPH_HOSTS: dict[str, str] = {cloud.graph: cloud.name for cloud in CLOUDS.values()}

DEVICE_PAGE_HOSTS = frozenset({"microsoft.com", "www.microsoft.com"})

INSTANCE_METADATA = [
    {
        "preferred_network": "login.microsoftonline.com",
        "preferred_cache": "login.windows.net",
        "aliases": [
            "login.microsoftonline.com",
            "login.windows.net",
            "login.microsoft.com",
            "sts.windows.net",
        ],
    },
    {
        "preferred_network": "login.partner.microsoftonline.cn",
        "preferred_cache": "login.partner.microsoftonline.cn",
        "aliases": ["login.partner.microsoftonline.cn", "login.chinacloudapi.cn"],
    },
    {
        "preferred_network": "login.microsoftonline.us",
        "preferred_cache": "login.microsoftonline.us",
        "aliases": ["login.microsoftonline.us", "login.usgovcloudapi.net"],
    },
]


def all_hosts() -> list[str]:
    """Every host name the simulator plays, for a certificate's subject alternative names."""
    return sorted({*AUTHORITY_HOSTS, *GRAPH_HOSTS, *DEVICE_PAGE_HOSTS})
