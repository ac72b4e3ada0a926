"""A browser without a screen: cookies, forms and links."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterator

import requests

LINK = re.compile(r'(?:href|hx-get|action)="(/[^"#]*)"')
TOKEN = re.compile(r'name="csrfmiddlewaretoken" value="([^"]+)"')


class Browser:
    """One person's; `base` is the portal's address."""

    def __init__(self, base: str) -> None:
        self.base = base
        self._session = requests.Session()
        self._session.trust_env = False

    def close(self) -> None:
        self._session.close()

    def get(self, path: str) -> requests.Response:
        return self._session.get(f"{self.base}{path}", timeout=60)

    def post(self, path: str, form: dict[str, str], *, page: str = "") -> requests.Response:
        """Send a form; `page` is the one that it stands on, if not its own address."""
        found = TOKEN.search(self.get(page or path).text)
        assert found, f"there is no form at {page or path}"
        sent = {"csrfmiddlewaretoken": found[1], **form}
        return self._session.post(f"{self.base}{path}", data=sent, timeout=60)

    def sign_in(self, email: str, password: str) -> None:
        answer = self.post("/accounts/login/", {"login": email, "password": password})
        assert answer.status_code == 200, answer.text
        assert "/accounts/login/" not in answer.url, answer.text

    def pages(self, start: str, wanted: Callable[[str], bool], most: int) -> Iterator[requests.Response]:
        """Everything that links lead to, from `start` on."""
        waiting, seen = [start], {start}
        while waiting and len(seen) <= most:
            answer = self.get(waiting.pop(0))
            yield answer
            for found in LINK.findall(answer.text):
                link = html.unescape(found)
                if link not in seen and wanted(link):
                    seen.add(link)
                    waiting.append(link)
