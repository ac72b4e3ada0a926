"""Routes of `/_sim/`; docs/simulator.md lists them with examples."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import orjson

from simulator import demo, many
from simulator.apps import parse_time
from simulator.control import access, actions
from simulator.graph.teams_state import telephony_of
from simulator.http1 import Request, Response
from simulator.mailbox import MailServer
from simulator.making import describe
from simulator.nameserver import NameServer
from simulator.registrations import add_app, change_app
from simulator.sbc.fleet import CALLS, Fleet
from simulator.sbc.tables import RefusedError
from simulator.tenant import BadRequestError, Tenant
from simulator.world import World

Answer = dict[str, Any]
Action = Callable[[Request, dict[str, str]], Answer]


def _json(request: Request) -> Any:
    try:
        return orjson.loads(request.body or b"{}")
    except orjson.JSONDecodeError as error:
        raise BadRequestError(f"the body is not JSON: {error}") from error


def _object(request: Request) -> dict[str, Any]:
    content = _json(request)
    if not isinstance(content, dict):
        raise BadRequestError("the body has to be a JSON object")
    return content


class Control:
    """The control API of one world. `seed` starts over with a named seed."""

    def __init__(
        self, world: World, seed: Callable[[str], None], dns: NameServer, sbcs: Fleet, mail: MailServer
    ) -> None:
        self._world, self._seed, self._dns, self._sbcs, self._mail = world, seed, dns, sbcs, mail
        tenant, kind, item = r"/tenants/(?P<tenant>[^/]+)", r"(?P<kind>users|groups)", r"(?P<id>[^/]+)"
        table: list[tuple[str, str, Action]] = [
            ("GET", r"", self._index),
            ("GET", r"/tenants", self._tenants),
            ("POST", r"/tenants", self._add_tenants),
            ("GET", tenant, self._tenant),
            ("PATCH", tenant, self._change_tenant),
            ("DELETE", tenant, self._remove_tenant),
            ("POST", rf"{tenant}/apps", self._add_app),
            ("PATCH", rf"{tenant}/app", self._change_app),
            ("PATCH", rf"{tenant}/apps/(?P<app>[^/]+)", self._change_app),
            ("POST", rf"{tenant}/consent", self._consent),
            ("POST", rf"{tenant}/break", self._break),
            ("GET", r"/breaks", self._breaks),
            ("POST", r"/many", self._many),
            ("POST", rf"{tenant}/sign-in", self._sign_in),
            ("POST", rf"{tenant}/heal", self._heal),
            ("POST", rf"{tenant}/touch", self._touch),
            ("POST", rf"{tenant}/expire-delta-tokens", self._expire_delta_tokens),
            ("GET", rf"{tenant}/{kind}", self._objects),
            ("POST", rf"{tenant}/{kind}", self._add_object),
            ("GET", rf"{tenant}/{kind}/{item}", self._object),
            ("PATCH", rf"{tenant}/{kind}/{item}", self._change_object),
            ("DELETE", rf"{tenant}/{kind}/{item}", self._remove_object),
            ("POST", rf"{tenant}/{kind}/{item}/restore", self._restore_object),
            ("POST", rf"{tenant}/users/{item}/directory-roles", self._user_roles),
            ("GET", rf"{tenant}/groups/{item}/members", self._members),
            ("POST", rf"{tenant}/groups/{item}/members", self._change_members),
            ("GET", rf"{tenant}/numbers", self._numbers),
            ("POST", rf"{tenant}/numbers", self._set_number),
            ("GET", r"/trouble", self._troubles),
            ("POST", r"/trouble", self._add_trouble),
            ("DELETE", r"/trouble", self._clear_trouble),
            ("DELETE", r"/trouble/(?P<id>\d+)", self._remove_trouble),
            ("GET", r"/settings", self._settings),
            ("PATCH", r"/settings", self._change_settings),
            ("GET", r"/dns", self._name_server),
            ("PATCH", r"/dns", self._change_name_server),
            ("GET", r"/mail", self._mails),
            ("GET", r"/mail/ledger", self._mail_ledger),
            ("PATCH", r"/mail", self._change_mail_server),
            ("PUT", r"/dns/records/(?P<name>[^/]+)", self._put_record),
            ("DELETE", r"/dns/records/(?P<name>[^/]+)", self._remove_record),
            ("GET", r"/clock", self._clock),
            ("POST", r"/clock", self._set_clock),
            ("GET", r"/history", self._history),
            ("GET", r"/stats", self._stats),
            ("GET", r"/demo", self._demo),
            ("POST", r"/reset", self._reset),
        ]
        self._routes = [(method, re.compile(pattern + r"\Z"), action) for method, pattern, action in table]

    def handle(self, request: Request) -> Response:
        """Answer one control call: 200 with JSON, 400 with a sentence, 404 for what is not there."""
        path = request.path.removeprefix("/_sim").rstrip("/")
        if request.method != "GET" and request.headers.get("sec-fetch-site") == "cross-site":
            return _write({"error": "not from another site"}, 403)
        try:
            answer = self._sbcs.handle(request, path)
        except (AttributeError, KeyError, TypeError, ValueError, RefusedError) as error:
            return _write({"error": str(error)}, 400)
        if answer is not None:
            return _write(answer)
        for method, pattern, action in self._routes:
            found = pattern.match(path)
            if found is None or method != request.method:
                continue
            try:
                return _write(action(request, found.groupdict()))
            except (AttributeError, TypeError, ValueError, re.error) as error:  # a body of the wrong shape
                return _write({"error": str(error)}, 400)
        return _write({"error": f"no such call: {request.method} {request.path}"}, 404)

    def _find(self, args: dict[str, str]) -> Tenant:
        tenant = self._world.find(args["tenant"], unknown=True)
        if tenant is None:
            raise BadRequestError(f"no tenant is called {args['tenant']}")
        return tenant

    def _index(self, _request: Request, _args: dict[str, str]) -> Answer:
        return {
            "calls": [
                f"{method} /_sim{pattern.pattern.removesuffix(chr(92) + 'Z')}"
                for method, pattern, _ in self._routes
            ]
            + list(CALLS)
        }

    # Tenants and apps.

    def _tenants(self, _request: Request, _args: dict[str, str]) -> Answer:
        now = self._world.now()
        return {"tenants": [describe(tenant, now) for tenant in list(self._world.tenants.values())]}

    def _add_tenants(self, request: Request, _args: dict[str, str]) -> Answer:
        content = _json(request)
        if isinstance(content, list):
            return {
                "tenants": [describe(self._world.add_tenant(spec), self._world.now()) for spec in content]
            }
        return describe(self._world.add_tenant(_object(request)), self._world.now())

    def _tenant(self, _request: Request, args: dict[str, str]) -> Answer:
        tenant = self._find(args)
        condition = actions.state_word(self._world, tenant)
        return {**describe(tenant, self._world.now()), "state": condition}

    def _change_tenant(self, request: Request, args: dict[str, str]) -> Answer:
        tenant = self._find(args)
        tenant.set(_object(request))
        return describe(tenant, self._world.now())

    def _remove_tenant(self, _request: Request, args: dict[str, str]) -> Answer:
        tenant = self._find(args)
        self._world.remove_tenant(tenant)
        return {"removed": tenant.id}

    def _add_app(self, request: Request, args: dict[str, str]) -> Answer:
        tenant = self._find(args)
        with tenant.directory.lock:
            add_app(tenant, _object(request), self._world.now())
        return describe(tenant, self._world.now())

    def _change_app(self, request: Request, args: dict[str, str]) -> Answer:
        tenant, changes = self._find(args), _object(request)
        app = tenant.app(args.get("app") or changes.pop("client_id", None))
        with tenant.directory.lock:
            change_app(tenant, app, changes, self._world.now())
        return describe(tenant, self._world.now())

    def _heal(self, _request: Request, args: dict[str, str]) -> Answer:
        tenant = self._find(args)
        with tenant.directory.lock:
            actions.heal(self._world, tenant)
        return self._tenant(_request, args)

    def _consent(self, request: Request, args: dict[str, str]) -> Answer:
        access.consent(self._world, self._find(args), _object(request))
        return self._tenant(request, args)

    def _break(self, request: Request, args: dict[str, str]) -> Answer:
        tenant = self._find(args)
        with tenant.directory.lock:
            access.break_it(self._world, tenant, _object(request))
        return self._tenant(request, args)

    def _breaks(self, _request: Request, _args: dict[str, str]) -> Answer:
        return {"breaks": access.ways()}

    def _many(self, request: Request, _args: dict[str, str]) -> Answer:
        return many.plant_many(self._world, _object(request))

    def _sign_in(self, request: Request, args: dict[str, str]) -> Answer:
        return dict(access.sign_in(self._world, self._find(args), _object(request)))

    # What is inside a tenant.

    def _touch(self, request: Request, args: dict[str, str]) -> Answer:
        tenant = self._find(args)
        with tenant.directory.lock:
            return {"touched": actions.touch(tenant, _object(request), self._world.now())}

    def _expire_delta_tokens(self, _request: Request, args: dict[str, str]) -> Answer:
        tenant = self._find(args)
        tenant.delta_tokens_from = self._world.now()
        return {"expired_before": tenant.delta_tokens_from}

    def _numbers(self, _request: Request, args: dict[str, str]) -> Answer:
        tenant = self._find(args)
        with tenant.directory.lock:
            return {"numbers": [one.row() for one in telephony_of(tenant).numbers.values()]}

    def _set_number(self, request: Request, args: dict[str, str]) -> Answer:
        tenant, given = self._find(args), _object(request)
        with tenant.directory.lock:
            user = given.get("user")
            index = actions.find_object(tenant, "users", str(user)) if user is not None else None
            target = None if index is None else tenant.directory.users.ids[index]
            return telephony_of(tenant).set(str(given["number"]), target, self._world.now()).row()

    def _objects(self, request: Request, args: dict[str, str]) -> Answer:
        tenant, query = self._find(args), request.query()
        start, limit = int(query.get("offset", "0")), int(query.get("limit", "100"))
        with tenant.directory.lock:
            size = tenant.directory.shelf(args["kind"]).size
            shown = [actions.show(tenant, args["kind"], i) for i in range(start, min(size, start + limit))]
        return {"total": size, args["kind"]: shown}

    def _add_object(self, request: Request, args: dict[str, str]) -> Answer:
        tenant = self._find(args)
        with tenant.directory.lock:
            index = actions.add_object(tenant, args["kind"], _object(request), self._world.now())
            return actions.show(tenant, args["kind"], index)

    def _object(self, _request: Request, args: dict[str, str]) -> Answer:
        tenant = self._find(args)
        with tenant.directory.lock:
            return actions.show(tenant, args["kind"], actions.find_object(tenant, args["kind"], args["id"]))

    def _change_object(self, request: Request, args: dict[str, str]) -> Answer:
        tenant = self._find(args)
        with tenant.directory.lock:
            index = actions.find_object(tenant, args["kind"], args["id"])
            actions.change_object(tenant, args["kind"], index, _object(request), self._world.now())
            return actions.show(tenant, args["kind"], index)

    def _remove_object(self, request: Request, args: dict[str, str]) -> Answer:
        tenant, forever = self._find(args), request.query().get("permanent", "0") not in {"0", "false"}
        with tenant.directory.lock:
            index = actions.find_object(tenant, args["kind"], args["id"])
            actions.remove_object(tenant, args["kind"], index, self._world.now(), forever=forever)
            return actions.show(tenant, args["kind"], index)

    def _restore_object(self, _request: Request, args: dict[str, str]) -> Answer:
        tenant = self._find(args)
        with tenant.directory.lock:
            index = actions.find_object(tenant, args["kind"], args["id"])
            actions.restore_object(tenant, args["kind"], index, self._world.now())
            return actions.show(tenant, args["kind"], index)

    def _user_roles(self, request: Request, args: dict[str, str]) -> Answer:
        tenant = self._find(args)
        with tenant.directory.lock:
            return access.user_roles(tenant, args["id"], _object(request))

    def _members(self, _request: Request, args: dict[str, str]) -> Answer:
        tenant = self._find(args)
        with tenant.directory.lock:
            group = actions.find_object(tenant, "groups", args["id"])
            codes = tenant.directory.members_seen(group, float("inf"))
            return {"members": [tenant.directory.member_reference(code)[1] for code in codes]}

    def _change_members(self, request: Request, args: dict[str, str]) -> Answer:
        tenant = self._find(args)
        with tenant.directory.lock:
            group = actions.find_object(tenant, "groups", args["id"])
            return dict(actions.change_members(tenant, group, _object(request), self._world.now()))

    # Trouble, clock, settings of the whole simulator.

    def _troubles(self, _request: Request, _args: dict[str, str]) -> Answer:
        return {"trouble": [trouble.describe() for trouble in self._world.troubles.listing()]}

    def _add_trouble(self, request: Request, _args: dict[str, str]) -> Answer:
        spec = _object(request)
        named = spec.get("tenant")
        tenant = None if named is None else self._find({"tenant": str(named)}).id
        return self._world.troubles.add(spec, tenant=tenant, now=self._world.now()).describe()

    def _clear_trouble(self, request: Request, _args: dict[str, str]) -> Answer:
        named = request.query().get("tenant")
        tenant = None if named is None else self._find({"tenant": named}).id
        return {"removed": self._world.troubles.clear(tenant)}

    def _remove_trouble(self, _request: Request, args: dict[str, str]) -> Answer:
        return {"removed": self._world.troubles.remove([int(args["id"])])}

    def _settings(self, _request: Request, _args: dict[str, str]) -> Answer:
        return {"latency_ms": self._world.latency_ms}

    def _change_settings(self, request: Request, _args: dict[str, str]) -> Answer:
        given = _object(request)
        if unknown := given.keys() - {"latency_ms"}:
            raise BadRequestError(f"no setting is called {', '.join(sorted(unknown))}; there is latency_ms")
        self._world.latency_ms = float(given.get("latency_ms", self._world.latency_ms))
        return {"latency_ms": self._world.latency_ms}

    def _name_server(self, _request: Request, _args: dict[str, str]) -> Answer:
        return self._dns.describe()

    def _change_name_server(self, request: Request, _args: dict[str, str]) -> Answer:
        self._dns.set(_object(request))
        return self._dns.describe()

    def _mails(self, request: Request, _args: dict[str, str]) -> Answer:
        return self._mail.describe(request.query().get("to", ""))

    def _mail_ledger(self, request: Request, _args: dict[str, str]) -> Answer:
        query = request.query()
        return self._mail.ledger(int(query.get("since", "0")), int(query.get("limit", "1000")))

    def _change_mail_server(self, request: Request, _args: dict[str, str]) -> Answer:
        self._mail.set(_object(request))
        return self._mail.describe()

    def _put_record(self, request: Request, args: dict[str, str]) -> Answer:
        self._dns.put(args["name"], str(_object(request)["text"]))
        return self._dns.describe()

    def _remove_record(self, _request: Request, args: dict[str, str]) -> Answer:
        self._dns.remove(args["name"])
        return self._dns.describe()

    def _clock(self, _request: Request, _args: dict[str, str]) -> Answer:
        return {"now": self._world.now(), "offset": self._world.offset}

    def _set_clock(self, request: Request, _args: dict[str, str]) -> Answer:
        given = _object(request)
        if "at" in given:
            self._world.offset += parse_time(str(given["at"])) - self._world.now()
        else:
            offset = float(given.get("offset", self._world.offset))
            self._world.offset = offset + float(given.get("advance", 0))
        return self._clock(request, {})

    # Looking back.

    def _history(self, request: Request, _args: dict[str, str]) -> Answer:
        query = request.query()
        named = query.get("tenant")
        tenant = None if named is None else self._find({"tenant": named}).id
        since, limit = int(query.get("since", "0")), int(query.get("limit", "1000"))
        entries = [
            entry
            for entry in self._world.history[since:]
            if query.get("kind") in {None, entry["kind"]} and tenant in {None, entry.get("tenant")}
        ]
        return {"total": len(self._world.history), "history": entries[:limit]}

    def _stats(self, request: Request, _args: dict[str, str]) -> Answer:
        named = request.query().get("tenant")
        return self._world.stats.describe(None if named is None else self._find({"tenant": named}).id)

    def _demo(self, _request: Request, _args: dict[str, str]) -> Answer:
        return {"tenants": demo.handout(), "dns": self._dns.describe()}

    def _reset(self, request: Request, _args: dict[str, str]) -> Answer:
        name = str(_object(request).get("seed", "empty"))
        if name not in {"empty", "demo"}:
            raise BadRequestError("seed is empty or demo")
        self._seed(name)
        return {"tenants": len(self._world.tenants)}


def _write(content: Answer, status: int = 200) -> Response:
    return Response(
        status, orjson.dumps(content), {"Content-Type": "application/json", "Cache-Control": "no-store"}
    )
