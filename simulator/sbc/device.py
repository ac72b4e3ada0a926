"""One stand-in for a Mediant SBC: its REST interface over HTTP or HTTPS on a port of its own."""

from __future__ import annotations

import base64
import dataclasses
import datetime
import hashlib
import pathlib
import re
import ssl
import tempfile
from collections.abc import Callable
from typing import Any

import orjson
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa

from simulator.http1 import Request, Response, Server
from simulator.keys import certificate_for, certificate_pem, private_key_pem
from simulator.sbc.cli import ScriptError, Session
from simulator.sbc.tables import Configuration
from simulator.tenant import BadRequestError

TROUBLES = (
    "", "ha_sync", "html", "broken_json", "redirect", "drop", "lost_reply", "truncated_ini", "other_device", "fault",
    "endless_alarms", "save_fails",
)  # fmt: skip
FAILS, BLOCK_SECONDS = 3, 60.0
_PART = re.compile(rb'name="file"[^\r\n]*\r\n(?:[^\r\n]+\r\n)*\r\n(.*?)\r\n--', re.DOTALL)
_LEVELS = {"monitor": 0, "administrator": 1}


@dataclasses.dataclass(slots=True)
class Settings:
    """What can be changed while it runs. `level` is the account's; `latency_ms` comes before each answer."""

    trouble: str = ""
    level: str = "administrator"
    latency_ms: float = 0.0
    state: str = "UNLOCKED"
    ha: str = "Not Operational"
    version: str = "7.40A.600.231"
    old_columns: bool = False


def certificate(name: str) -> tuple[ssl.SSLContext, str, str]:
    """A self-signed certificate for a device: how to serve it, its fingerprint, and the PEM to trust it by."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    starts = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1)
    made: x509.Certificate = certificate_for(key, name, hosts=[name, "localhost"], starts=starts, days=365)
    pem = certificate_pem(made)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.TemporaryDirectory() as directory:
        public, private = pathlib.Path(directory, "crt"), pathlib.Path(directory, "key")
        public.write_text(pem)
        private.write_text(private_key_pem(key))
        context.load_cert_chain(public, private)
    return context, made.fingerprint(hashes.SHA256()).hex(), pem


class Box:
    """What SBC and OVOC share: a server, one account with its lock-out, Basic on each request, a history."""

    def __init__(
        self,
        name: str,
        *,
        host: str,
        port: int,
        https: bool,
        user: str,
        password: str,
        clock: Callable[[], float],
        record: Callable[..., None],
    ) -> None:
        self.name, self.https, self.user, self.password = name, https, user, password
        self.clock, self.record = clock, record
        self.fails, self.blocked_until = 0, 0.0
        self.logins_refused, self.requests = 0, 0
        tls, self.fingerprint, self.certificate = certificate(name) if https else (None, "", "")
        self.host = host
        self.server = Server(host, port, self._handle, clock, tls)
        self.port = self.server.port

    def close(self) -> None:
        self.server.close()

    def describe(self) -> dict[str, Any]:
        """For the control API; each box adds what it has of its own."""
        return {
            "name": self.name,
            "host": self.host,
            "port": self.port,
            "https": self.https,
            "user": self.user,
            "password": self.password,
            "fingerprint": self.fingerprint,
            "requests": self.requests,
        }

    def _handle(self, request: Request) -> Response:
        self.requests += 1
        if not self._may_in(request):
            return _json(401, {"description": "Unauthorized"}, {"WWW-Authenticate": 'Basic realm="Mediant"'})
        return self.answer(request)

    def _may_in(self, request: Request) -> bool:
        """Three wrong tries block the account for a minute, also for the right password."""
        kind, _, sent = request.headers.get("authorization", "").partition(" ")
        expected = base64.b64encode(f"{self.user}:{self.password}".encode()).decode()
        right = kind == "Basic" and sent == expected
        if self.clock() < self.blocked_until:
            right = False
        elif right:
            self.fails = 0
        else:
            self.fails += 1
            if self.fails >= FAILS:
                self.fails, self.blocked_until = 0, self.clock() + BLOCK_SECONDS
        self.logins_refused += not right
        return right

    def answer(self, request: Request) -> Response:
        raise NotImplementedError


class Device(Box):
    """A Mediant. `running` is lost at a restart unless it was saved."""

    def __init__(self, name: str, *, serial: str = "", product: str = "Mediant VE SBC", **more: Any) -> None:
        self.settings = Settings()
        self.serial = serial or str(int(hashlib.sha256(name.encode()).hexdigest()[:10], 16))
        self.product = product
        self.running, self.saved = Configuration(), Configuration()
        self.alarms: list[dict[str, str]] = []
        super().__init__(name, **more)

    def describe(self) -> dict[str, Any]:
        return super().describe() | {
            "certificate": self.certificate,
            "serial": self.serial,
            "product": self.product,
            "settings": dataclasses.asdict(self.settings),
            "alarms": self.alarms,
            "rules": len(self.running.rows["dial-plan-rule"]),
            "saved": self.running.ini() == self.saved.ini(),
            "blocked": self.clock() < self.blocked_until,
            "logins_refused": self.logins_refused,
        }

    def set(self, changes: dict[str, Any]) -> None:
        """Raises BadRequestError."""
        known = {field.name for field in dataclasses.fields(Settings)}
        if unknown := changes.keys() - known:
            raise BadRequestError(f"no setting is called {', '.join(sorted(unknown))}")
        if changes.get("trouble", "") not in TROUBLES:
            raise BadRequestError(f"trouble is one of {', '.join(TROUBLES[1:])}, or empty")
        self.settings = dataclasses.replace(self.settings, **changes)

    def plant(self, plan: str, rules: list[tuple[str, str, str]]) -> None:
        """Rules (name, prefix, tag) behind those of a plan, as an administrator of the device would; saved."""
        plans = self.running.rows["sbc dial-plan"]
        key = next((key for key, row in plans.items() if row["Name"] == plan), (len(plans),))
        self.running.put("sbc dial-plan", key, {"Name": plan})
        first = sum(1 for other in self.running.rows["dial-plan-rule"] if other[0] == key[0])
        self.running.unique = len(rules) < 1000
        for at, (name, prefix, tag) in enumerate(rules, first):
            self.running.put("dial-plan-rule", (key[0], at), {"Name": name, "Prefix": prefix, "Tag": tag})
        self.running.unique = True
        self.saved = self.running.copy()

    def restart(self) -> None:
        self.running = self.saved.copy()

    def answer(self, request: Request) -> Response:
        self.server.pause(self.settings.latency_ms / 1000)
        broken = self._broken(request)
        if broken is not None:
            return broken
        path, method = request.path.rstrip("/"), request.method
        if path == "/api/v1/status" and method == "GET":
            return _json(200, self._status())
        if path.startswith("/api/v1/alarms/active") and method == "GET":
            return self._alarms(path.removeprefix("/api/v1/alarms/active").strip("/"), request.query())
        if path.startswith(("/api/v1/files", "/api/v1/actions")):
            if _LEVELS[self.settings.level] < 1:
                return _json(403, {"description": "Insufficient privilege level"})
            return self._administrators(path, request)
        return _json(404, {"description": "No such resource"})

    def _broken(self, request: Request) -> Response | None:
        trouble = self.settings.trouble
        if trouble == "html":
            return Response(200, b"<html><body>Sign in</body></html>", {"Content-Type": "text/html"})
        if trouble == "broken_json":
            return Response(200, b'{"productType": "Mediant', {"Content-Type": "application/json"})
        if trouble == "redirect":
            return Response(302, b"", {"Location": "http://169.254.169.254/latest/meta-data/"})
        if trouble == "drop":
            return Response(200, drop="before")
        if trouble == "fault":
            return _json(500, {"description": "Internal error"})
        if trouble == "ha_sync" and request.method != "GET":
            return _json(409, {"description": "HA synchronization is in progress"})
        return None

    def _status(self) -> dict[str, Any]:
        now = datetime.datetime.fromtimestamp(self.clock(), datetime.UTC)
        return {
            "localTimeStamp": now.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "ipAddress": self.host,
            "productType": self.product,
            "versionID": self.settings.version,
            "protocolType": "SIP",
            "operationalState": self.settings.state,
            "highAvailability": self.settings.ha,
            "serialNumber": "999999" if self.settings.trouble == "other_device" else self.serial,
            "macAddress": "00908f123456",
            "systemUpTime": 4711,
        }

    def _alarms(self, number: str, query: dict[str, str]) -> Response:
        if number:
            found = next((each for each in self.alarms if each["id"] == number), None)
            return _json(200, found) if found else _json(404, {"description": "No such alarm"})
        limit = min(int(query.get("limit") or 20), 20)
        after = int(query.get("after") or 0)
        rest = [each for each in self.alarms if int(each["id"]) > after]
        if self.settings.trouble == "endless_alarms":
            rest = [{**self.alarms[0], "id": "1"}] * 1000
        page = rest[:limit]
        if not page:
            return Response(204)
        last = str(after + limit) if len(rest) > limit else "-1"
        listed = [
            {
                "id": each["id"],
                "description": each["description"],
                "url": f"/api/v1/alarms/active/{each['id']}",
            }
            for each in page
        ]
        return _json(200, {"alarms": listed, "cursor": {"after": last, "before": "-1"}})

    def _administrators(self, path: str, request: Request) -> Response:
        if path == "/api/v1/files/ini" and request.method == "GET":
            text = self.running.ini(old=self.settings.old_columns).encode()
            if self.settings.trouble == "truncated_ini":
                text = text[: text.index(b"[ \\DialPlanRule ]") - 20]
            return Response(200, text, {"Content-Type": "application/octet-stream"})
        if path == "/api/v1/files/cliScript/incremental" and request.method == "PUT":
            return self._script(request)
        if path == "/api/v1/actions/saveConfiguration" and request.method == "POST":
            if self.settings.trouble == "save_fails":
                return _json(500, {"description": "Saving failed"})
            self.saved = self.running.copy()
            self.record("sbc.saved", device=self.name)
            return _json(200, {"description": "Configuration was saved"})
        return _json(405, {"description": "Method is not supported"})

    def _script(self, request: Request) -> Response:
        found = _PART.search(request.body)
        if found is None:
            return _json(400, {"description": "No file in the request"})
        script = found[1].decode("utf-8", "replace")
        session = Session(self.running)
        try:
            done = session.run(script)
        except ScriptError as error:
            where = str(error).partition(" '")[0]  # the line itself may hold a password
            self.record("sbc.script", device=self.name, lines=script.count("\n") + 1, refused=where)
            return _json(400, {"description": str(error), "output": ""})
        self.record("sbc.script", device=self.name, lines=done, refused="")
        if session.saved:
            self.saved = self.running.copy()
        if self.settings.trouble == "lost_reply":
            return Response(200, drop="before")
        return _json(200, {"description": "File was loaded", "output": "OK. "})


def _json(status: int, content: dict[str, Any], headers: dict[str, str] | None = None) -> Response:
    return Response(status, orjson.dumps(content), {"Content-Type": "application/json", **(headers or {})})
