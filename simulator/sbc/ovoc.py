"""A stand-in for OVOC: the list of devices, with a filter, and one device (facts/audiocodes.md 3)."""

from __future__ import annotations

import re
from typing import Any

import orjson

from simulator.http1 import Request, Response
from simulator.sbc.device import Box

DEVICES = "/ovoc/v1/topology/devices"
_FILTER = re.compile(r"\((\w+)='([^']*)'\)\Z")
_SHORT = ("id", "description", "url")


class Ovoc(Box):
    """`devices` by id; `trouble` is "", "down" (503), "html", or "empty" (204)."""

    def __init__(self, **more: Any) -> None:
        self.devices: dict[int, dict[str, Any]] = {}
        self.trouble = ""
        super().__init__("ovoc.provider.example", **more)

    def describe(self) -> dict[str, Any]:
        return super().describe() | {"trouble": self.trouble, "devices": list(self.devices.values())}

    def put(self, content: dict[str, Any]) -> dict[str, Any]:
        """Add a device, or change the one with this id."""
        number = int(content.get("id") or max(self.devices, default=0) + 1)
        known = self.devices.get(number, {"id": number, "url": f"{DEVICES}/{number}", "description": ""})
        self.devices[number] = {**known, **content, "id": number}
        return self.devices[number]

    def answer(self, request: Request) -> Response:
        if self.trouble == "html":
            return Response(200, b"<html></html>", {"Content-Type": "text/html"})
        if self.trouble == "down":
            return _json(503, {"description": "The server is starting"})
        if request.method != "GET":
            return _json(405, {"description": "Method is not supported"})
        if request.path == DEVICES:
            return self._list(request.query())
        number = request.path.removeprefix(f"{DEVICES}/")
        found = self.devices.get(int(number)) if number.isdecimal() else None
        return _json(200, found) if found else _json(404, {"description": "No such device"})

    def _list(self, query: dict[str, str]) -> Response:
        found = list(self.devices.values())
        if query.get("filter"):
            condition = _FILTER.match(query["filter"])
            if condition is None:
                return _json(400, {"description": "The filter cannot be read"})
            found = [each for each in found if str(each.get(condition[1])) == condition[2]]
        if self.trouble == "empty" or not found:
            return Response(204)
        if query.get("detail") != "1":
            found = [{key: each.get(key) for key in _SHORT} for each in found]
        return _json(200, {"devices": found})


def _json(status: int, content: Any) -> Response:
    return Response(status, orjson.dumps(content), {"Content-Type": "application/json"})
