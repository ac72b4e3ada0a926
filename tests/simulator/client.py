"""How the tests reach a simulator: every Microsoft host at one loopback address, the Host header unchanged."""

from __future__ import annotations

import urllib.parse
from collections.abc import Iterator
from typing import Any

import requests

from simulator.server import Simulator

GRAPH = "graph.microsoft.com"
LOGIN = "login.microsoftonline.com"
ROLES = [
    "User.ReadWrite.All",
    "Group.ReadWrite.All",
    "Organization.Read.All",
    "LicenseAssignment.ReadWrite.All",
]


class Gateway:
    """A requests-like client for MSAL: sends what is meant for a real host to the simulator."""

    def __init__(self, simulator: Simulator) -> None:
        self._url = simulator.url
        self._session = requests.Session()
        self._session.trust_env = False

    def request(self, method: str, url: str, **options: Any) -> requests.Response:
        parts = urllib.parse.urlsplit(url)
        headers = {**(options.pop("headers", None) or {}), "Host": parts.netloc}
        target = f"{self._url}{parts.path}" + (f"?{parts.query}" if parts.query else "")
        options.setdefault("timeout", 20)
        return self._session.request(method, target, headers=headers, allow_redirects=False, **options)

    def get(self, url: str, **options: Any) -> requests.Response:
        return self.request("GET", url, **options)

    def post(self, url: str, **options: Any) -> requests.Response:
        return self.request("POST", url, **options)

    def close(self) -> None:
        self._session.close()


class Visitor:
    """Somebody with a token for one tenant's Graph, and the control API at hand."""

    def __init__(self, simulator: Simulator, tenant: dict[str, Any], gateway: Gateway) -> None:
        self.simulator, self.tenant, self.gateway = simulator, tenant, gateway
        self._token: str | None = None

    @property
    def app(self) -> dict[str, Any]:
        return dict(self.tenant["apps"][0])

    def ask_token(self, host: str = LOGIN, **form: str) -> requests.Response:
        given = {
            "grant_type": "client_credentials",
            "client_id": self.app["client_id"],
            "client_secret": self.app["secret"],
            "scope": f"https://{GRAPH}/.default",
            **form,
        }
        url = f"https://{host}/{self.tenant['tenant_id']}/oauth2/v2.0/token"
        return self.gateway.post(url, data={key: value for key, value in given.items() if value})

    def renew(self) -> None:
        self._token = None

    @property
    def token(self) -> str:
        if self._token is None:
            self._token = str(self.ask_token().json()["access_token"])
        return self._token

    def call(self, method: str, path: str, host: str = GRAPH, **options: Any) -> requests.Response:
        url = path if path.startswith("https://") else f"https://{host}/v1.0{path}"
        headers = {"Authorization": f"Bearer {self.token}", **options.pop("headers", {})}
        return self.gateway.request(method, url, headers=headers, **options)

    def get(self, path: str, **options: Any) -> requests.Response:
        return self.call("GET", path, **options)

    def rows(self, path: str, **options: Any) -> list[dict[str, Any]]:
        return [row for page in self.pages(path, **options) for row in page["value"]]

    def pages(self, path: str, **options: Any) -> Iterator[dict[str, Any]]:
        link: str | None = path
        while link:
            answer = self.get(link, **options)
            assert answer.status_code == 200, answer.text
            page = answer.json()
            yield page
            link = page.get("@odata.nextLink")

    def delta(self, link: str, **options: Any) -> tuple[list[dict[str, Any]], str]:
        """A whole round: its rows, and the link for the next one."""
        rows: list[dict[str, Any]] = []
        for page in self.pages(link, **options):
            rows += page["value"]
        return rows, str(page["@odata.deltaLink"])

    def control(self, method: str, path: str, body: Any = None, *, expect: int = 200) -> Any:
        answer = requests.request(method, f"{self.simulator.url}/_sim{path}", json=body, timeout=20)
        assert answer.status_code == expect, answer.text
        return answer.json()

    def tune(self, **settings: Any) -> None:
        self.control("PATCH", f"/tenants/{self.tenant['tenant_id']}", settings)

    def change_app(self, **changes: Any) -> None:
        self.control("PATCH", f"/tenants/{self.tenant['tenant_id']}/app", changes)

    def trouble(self, kind: str, **options: Any) -> dict[str, Any]:
        _ = self.token  # or the trouble might meet the sign-in instead of the call under test
        spec = {"tenant": self.tenant["tenant_id"], "kind": kind, **options}
        return dict(self.control("POST", "/trouble", spec))

    def inside(self, method: str, path: str, body: Any = None) -> Any:
        return self.control(method, f"/tenants/{self.tenant['tenant_id']}{path}", body)

    def advance(self, seconds: float) -> None:
        self.control("POST", "/clock", {"advance": seconds})
