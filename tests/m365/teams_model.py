"""What the MicrosoftTeams module does with voice routing, in memory: the calls' JSON in, rows or a fault out.

Stricter than the real one in places, so that a plan in a wrong order is found: nothing may name what is not there,
nothing that is named may go.
"""

from __future__ import annotations

from typing import Any


class FaultError(Exception):
    def __init__(self, name: str, message: str) -> None:
        self.fault = {"id": f"{name},Teams.Model", "category": "InvalidOperation", "message": message}
        super().__init__(message)


class TeamsModel:
    """`domains` are those below which the organisation may name trunks."""

    def __init__(self) -> None:
        self.usages: list[str] = []
        self.kept: dict[str, dict[str, dict[str, Any]]] = {
            "OnlinePSTNGateway": {},
            "OnlineVoiceRoute": {},
            "OnlineVoiceRoutingPolicy": {"global": {"Identity": "Global", "OnlinePstnUsages": []}},
            "TenantDialPlan": {"global": {"Identity": "Global", "NormalizationRules": []}},
        }
        self.writes: list[str] = []

    def run(self, call: dict[str, Any]) -> list[dict[str, Any]]:
        verb, _, noun = call["cmdlet"].partition("-Cs")
        given = {name: self._value(value) for name, value in call["parameters"].items()}
        if noun == "VoiceNormalizationRule":
            assert verb == "New"
            assert given.pop("InMemory") is True
            del given["Parent"]
            return [given]
        if verb == "Get":
            rows = (
                [{"Identity": "Global", "Usage": list(self.usages)}]
                if noun == "OnlinePstnUsage"
                else list(self.kept[noun].values())
            )
            return [{field: row.get(field) for field in call["fields"]} for row in rows]
        self.writes.append(f"{call['cmdlet']} {given.get('Identity') or given.get('Fqdn')}")
        if noun == "OnlinePstnUsage":
            self._usages(given["Usage"])
            return []
        getattr(self, f"_{verb.lower()}")(noun, given)
        return []

    def _value(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self._value(inner) for inner in value]
        if isinstance(value, dict) and "call" in value:
            return self.run(value["call"])[0]
        if isinstance(value, dict):
            return {name: self._value(inner) for name, inner in value["table"].items()}
        return value

    def _usages(self, table: dict[str, str]) -> None:
        ((verb, name),) = table.items()
        there = name.lower() in {usage.lower() for usage in self.usages}
        if verb == "Add":
            if there:
                raise FaultError("Conflict", f"The usage {name} already exists.")
            self.usages.append(name)
            return
        assert verb == "Remove"
        rows = [*self.kept["OnlineVoiceRoute"].values(), *self.kept["OnlineVoiceRoutingPolicy"].values()]
        if any(name.lower() in map(str.lower, row["OnlinePstnUsages"]) for row in rows):
            raise FaultError("BadRequest", f"The usage {name} is in use.")
        self.usages = [usage for usage in self.usages if usage.lower() != name.lower()]

    def _new(self, noun: str, given: dict[str, Any]) -> None:
        name = given.pop("Fqdn", None) or given["Identity"]
        if name.lower() in self.kept[noun]:
            raise FaultError("Conflict", f"{name} already exists.")
        tagged = noun in {"OnlineVoiceRoutingPolicy", "TenantDialPlan"}
        defaults = {
            "OnlinePSTNGateway": {"Enabled": False, "ForwardPai": False, "MediaBypass": False},
            "OnlineVoiceRoute": {
                "NumberPattern": "[0-9]{10}",
                "OnlinePstnGatewayList": [],
                "OnlinePstnUsages": [],
            },
            "OnlineVoiceRoutingPolicy": {"OnlinePstnUsages": []},
            "TenantDialPlan": {"NormalizationRules": []},
        }[noun]
        row = {**defaults, "Identity": f"Tag:{name}" if tagged else name}
        self.kept[noun][name.lower()] = self._checked(row, given)

    def _set(self, noun: str, given: dict[str, Any]) -> None:
        row = self._found(noun, given["Identity"])
        row.update(self._checked(dict(row), given))

    def _remove(self, noun: str, given: dict[str, Any]) -> None:
        name = given["Identity"].lower()
        self._found(noun, name)
        routes = self.kept["OnlineVoiceRoute"].values()
        if noun == "OnlinePSTNGateway" and any(name in row["OnlinePstnGatewayList"] for row in routes):
            raise FaultError("BadRequest", f"{name} is used by a voice route.")
        del self.kept[noun][name]

    def _found(self, noun: str, name: str) -> dict[str, Any]:
        try:
            return self.kept[noun][name.lower()]
        except KeyError:
            raise FaultError("NotFound", f"{name} was not found.") from None

    def _checked(self, row: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
        for name, value in given.items():
            if name == "Identity":
                continue
            row[name] = _modified(row.get(name) or [], value) if isinstance(value, dict) else value
        known = {usage.lower() for usage in self.usages}
        for usage in row.get("OnlinePstnUsages", []):
            if usage.lower() not in known:
                raise FaultError("BadRequest", f"The usage {usage} does not exist.")
        return row


def _modified(values: list[Any], table: dict[str, Any]) -> list[Any]:
    ((verb, change),) = table.items()
    changes = change if isinstance(change, list) else [change]
    return list(changes) if verb == "Replace" else [*values, *changes]
