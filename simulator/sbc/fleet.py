"""All SBCs of one simulator, and its OVOC: made, changed and looked at by the control API."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import orjson

from simulator.http1 import Request
from simulator.sbc.device import Device
from simulator.sbc.ovoc import Ovoc
from simulator.tenant import BadRequestError

USER, PASSWORD = "ump", "gateway-secret"
CALLS = (
    "GET /_sim/sbcs", "POST /_sim/sbcs", "GET /_sim/sbcs/{name}", "PATCH /_sim/sbcs/{name}",
    "DELETE /_sim/sbcs/{name}", "GET /_sim/sbcs/{name}/ini", "POST /_sim/sbcs/{name}/rules",
    "POST /_sim/sbcs/{name}/alarms", "POST /_sim/sbcs/{name}/account", "POST /_sim/sbcs/{name}/restart",
    "GET /_sim/ovoc", "PATCH /_sim/ovoc", "POST /_sim/ovoc/devices", "DELETE /_sim/ovoc/devices/{id}",
)  # fmt: skip
_MADE_WITH = frozenset({"name", "port", "https", "user", "password", "serial", "product"})
_ONE = re.compile(r"/sbcs/(?P<name>[^/]+)(?P<act>/[a-z-]+)?\Z")
_OVOC = re.compile(r"/ovoc(?:/devices(?:/(?P<id>\d+))?)?\Z")


class Fleet:
    """Devices by name. `handle` answers the part of the control API that is about them."""

    def __init__(self, host: str, *, clock: Callable[[], float], record: Callable[..., None]) -> None:
        self._common: dict[str, Any] = {"host": host, "clock": clock, "record": record}
        self.devices: dict[str, Device] = {}
        self._ovoc: Ovoc | None = None

    @property
    def ovoc(self) -> Ovoc:
        """Started at its first use."""
        if self._ovoc is None:
            self._ovoc = Ovoc(port=0, https=False, user=USER, password=PASSWORD, **self._common)
        return self._ovoc

    def add(self, name: str, **spec: Any) -> Device:
        """A device on a port of its own. Raises BadRequestError."""
        if name in self.devices or spec.keys() - _MADE_WITH:
            raise BadRequestError(f"{name} is there already, or it cannot be made with {sorted(spec)}")
        given: dict[str, Any] = {"port": 0, "https": False, "user": USER, "password": PASSWORD, **spec}
        self.devices[name] = Device(name, **given, **self._common)
        return self.devices[name]

    def reset(self) -> None:
        for each in [*self.devices.values(), *filter(None, [self._ovoc])]:
            each.close()
        self.devices, self._ovoc = {}, None

    def handle(self, request: Request, path: str) -> dict[str, Any] | None:
        """What a control call answers; None when it is about something else. Raises BadRequestError."""
        if path == "/sbcs":
            if request.method == "POST":
                spec = _content(request)
                return self.add(str(spec.pop("name")), **spec).describe()
            return {"sbcs": [each.describe() for each in self.devices.values()]}
        if (one := _ONE.match(path)) is not None:
            return self._one(request, self._find(one["name"]), one["act"] or "")
        if (ovoc := _OVOC.match(path)) is not None:
            return self._of_ovoc(request, ovoc["id"], listed="/devices" in path)
        return None

    def _find(self, name: str) -> Device:
        if name not in self.devices:
            raise BadRequestError(f"no SBC is called {name}")
        return self.devices[name]

    def _one(self, request: Request, device: Device, act: str) -> dict[str, Any]:
        content = _content(request) if request.method in {"POST", "PATCH", "PUT"} else {}
        if act == "/ini":
            return {"running": device.running.ini(), "saved": device.saved.ini()}
        if act == "/restart":
            device.restart()
        elif act == "/alarms":
            device.alarms = [_alarm(at, each) for at, each in enumerate(content["alarms"], 1)]
        elif act == "/rules":
            device.plant(str(content["plan"]), list(_rules(content)))
        elif act == "/account":
            device.user, device.password = str(content["user"]), str(content["password"])
        elif act:
            raise BadRequestError(f"there is no {act}")
        elif request.method == "DELETE":
            self.devices.pop(device.name).close()
        elif request.method == "PATCH":
            device.set(content)
        return device.describe()

    def _of_ovoc(self, request: Request, number: str | None, *, listed: bool) -> dict[str, Any]:
        if request.method == "DELETE" and number:
            self.ovoc.devices.pop(int(number), None)
        elif request.method in {"POST", "PATCH"}:
            content = _content(request)
            if listed:
                return self.ovoc.put(content | ({"id": int(number)} if number else {}))
            self.ovoc.trouble = str(content.get("trouble", ""))
        return self.ovoc.describe()


def _rules(content: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Those given, or `count` of them made up."""
    for each in content.get("rules", ()):
        yield str(each["name"]), str(each["prefix"]), str(each["tag"])
    for number in range(int(content.get("count", 0))):
        tail = "[000-999]" if number % 3 else "000"
        yield f"cust{number // 50}", f"+49{number:06d}{tail}", f"cust{number // 50}.customers.example.com"


def _alarm(number: int, given: dict[str, Any]) -> dict[str, str]:
    told = {
        "description": "An alarm",
        "severity": "Major",
        "source": "Board#1",
        "date": "2026-01-01 12:00:00",
    }
    return {**told, **{key: str(value) for key, value in given.items()}, "id": str(number)}


def _content(request: Request) -> dict[str, Any]:
    content = orjson.loads(request.body or b"{}")
    if not isinstance(content, dict):
        raise BadRequestError("the body has to be a JSON object")
    return content
