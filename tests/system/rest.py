"""A client of the REST API with nothing but HTTP."""

from __future__ import annotations

from typing import Any

import requests


class Api:
    """Calls with one token; `base` is the portal's address."""

    def __init__(self, base: str, token: str) -> None:
        self.base = base
        self.token = token
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.headers["Authorization"] = f"Bearer {token}"

    def close(self) -> None:
        self._session.close()

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> requests.Response:
        url = path if path.startswith("http") else f"{self.base}/api/v1{path}"
        return self._session.request(method, url, json=body, headers=headers, timeout=60)

    def raw(self, method: str, url: str, body: bytes) -> requests.Response:
        """A body as it is, said to be JSON."""
        headers = {"Content-Type": "application/json"}
        return self._session.request(method, url, data=body, headers=headers, timeout=60)

    def get(self, path: str) -> Any:
        answer = self.call("GET", path)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def rows(self, path: str) -> list[dict[str, Any]]:
        """All rows of a list, page after page."""
        found: list[dict[str, Any]] = []
        link: str | None = path
        while link:
            page = self.get(link)
            found += page["results"]
            link = page["next"]
        return found
