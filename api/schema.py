"""OpenAPI 3.1: what drf-spectacular cannot tell by itself."""

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.plumbing import ResolvedComponent

from api.serializers import In, Problem

PROBLEM = "application/problem+json"
ALWAYS = {
    "401": "No living token was sent.",
    "403": "The address or the token may not do this.",
    "429": "More requests than this token may send; `Retry-After` says when to go on.",
    "503": "The portal cannot answer now; `Retry-After` says when to try again.",
    "default": "Any other problem.",
}
WITH_BODY = {
    "400": "The body cannot be read.",
    "415": "The body is not JSON.",
    "413": "The body is too large.",
}
PATHS = {
    "uid": "The customer's `id`.",
    "number": "The command's `number`.",
    "object_id": "Microsoft's id of the object.",
    "token_id": "The token's `id`.",
    "endpoint_id": "The webhook's `id`.",
    "sbc_id": "The SBC's `id`.",
    "script_id": "The script template's `id`.",
    "user_id": "The person's `id`.",
    "design_id": "The design of a resource account.",
    "site_id": "The site's `id`.",
    "prefix_id": "The rule's `id`.",
    "range_id": "The number range's `id`.",
    "hold_id": "The `id` of the reservation or block.",
    "invitation_id": "The invitation's `id`.",
    "run_id": "The run's `id`.",
    "plan_id": "The plan's `id`.",
    "user_template_id": "The template's `id`.",
    "domain_id": "The domain's `id`.",
    "key_id": "Microsoft's id of the secret or certificate.",
}
GOOD = {
    "200": "As it is now.",
    "201": "Made; `Location` leads to it.",
    "202": "Queued; `Location` leads to the command.",
    "204": "Done; there is nothing more to say.",
}
HEADERS: dict[str, dict[str, Any]] = {
    "Location": {"description": "Where to look next.", "schema": {"type": "string", "format": "uri"}},
    "ETag": {"description": "The version, for If-Match.", "schema": {"type": "string"}},
    "Idempotent-Replayed": {
        "description": "There, and `true`, where nothing was done again.",
        "schema": {"type": "string", "enum": ["true"]},
    },
    "Retry-After": {"description": "Seconds.", "schema": {"type": "integer", "minimum": 1}},
    "WWW-Authenticate": {"description": "The scheme.", "schema": {"type": "string"}},
}
IDEMPOTENCY_KEY: dict[str, Any] = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": (
        "Any text of your own, such as a random UUID. The same request with the same key within 24 hours does "
        "nothing again and gets the same answer."
    ),
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
}
IF_MATCH: dict[str, Any] = {
    "name": "If-Match",
    "in": "header",
    "required": False,
    "description": "The ETag that the change is based on; 412 when somebody was faster. Without it, no check.",
    "schema": {"type": "string", "example": '"v3"'},
}


class BearerScheme(OpenApiAuthenticationExtension):
    target_class = "api.authentication.BearerToken"
    name = "token"

    def get_security_definition(self, auto_schema: Any) -> dict[str, Any]:
        return {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "cpk_...",
            "description": "A token made by a provider administrator; its scopes are the words of `me.abilities`.",
        }


class ApiSchema(AutoSchema):
    """Adds the problems, the headers, the two request headers, and which ability a call needs."""

    @property
    def _door(self) -> Any:
        return getattr(self.view, "doors", {}).get(self.method)

    def get_operation(self, *args: Any, **kwargs: Any) -> Any:
        operation = super().get_operation(*args, **kwargs)
        if operation is None:
            return None
        self._add_parameters(operation)
        self._add_problems(operation)
        self._add_headers(operation)
        return operation

    def get_description(self) -> str:  # type: ignore[override]  # drf-spectacular's own, not DRF's old one
        text: str = super().get_description()
        door = self._door
        if door is None or door.needs is None:
            return f"{text}\n\nNeeds: a living token."
        return f"{text}\n\nNeeds: `{door.needs.value}`."

    def get_extensions(self) -> Any:
        needs = getattr(self._door, "needs", None)
        return {**super().get_extensions(), "x-ability": needs.value if needs else None}

    def get_serializer_name(self, serializer: Any, direction: str) -> str:
        """Tenant rather than TenantOut; what comes in gets `Request` behind it anyway."""
        name: str = serializer.__class__.__name__
        return name.removesuffix("Out").removesuffix("In")

    def _map_basic_serializer(self, serializer: Any, direction: str) -> Any:
        found = super()._map_basic_serializer(serializer, direction)
        if isinstance(serializer, In):
            found["additionalProperties"] = False
        return found

    def _get_request_body(self, direction: str = "request") -> Any:
        """A DELETE may need a body here: a customer's name typed as confirmation."""
        if self.method != "DELETE":
            return super()._get_request_body(direction)
        if not getattr(self.view, "delete_body", False):
            return None
        self.method = "POST"
        try:
            return super()._get_request_body(direction)
        finally:
            self.method = "DELETE"

    def _add_parameters(self, operation: dict[str, Any]) -> None:
        found: list[dict[str, Any]] = operation.setdefault("parameters", [])
        for one in found:
            if one["in"] == "path":
                one["description"] = PATHS[one["name"]]
        if self.method == "POST":
            found.append(IDEMPOTENCY_KEY)
        if self.method in getattr(self.view, "versioned", ()):
            found.append(IF_MATCH)
        if not found:
            del operation["parameters"]

    def _add_problems(self, operation: dict[str, Any]) -> None:
        for code, text in self._problems(operation).items():
            operation["responses"].setdefault(code, self._problem(code, text))

    def _problems(self, operation: dict[str, Any]) -> dict[str, str]:
        found = dict(ALWAYS)
        if "{" in self.path or getattr(self._door, "kind", "") != "person":
            found["404"] = "There is no such thing, or it may not be seen."
        if "uid" in self.path:
            found["410"] = "The customer was removed from the portal."
        if "requestBody" in operation:
            found |= WITH_BODY
        if "requestBody" in operation or "parameters" in operation:
            found["422"] = "A value cannot be used; `errors` names each field."
        if self.method != "GET":
            found["409"] = "It does not fit the present state."
        if self.method in getattr(self.view, "versioned", ()):
            found["412"] = "Somebody changed it since you read it."
        return dict(sorted(found.items()))

    def _problem(self, code: str, text: str) -> dict[str, Any]:
        answer: dict[str, Any] = {
            "description": text,
            "content": {PROBLEM: {"schema": self._problem_component().ref}},
        }
        if code in {"429", "503"}:
            answer["headers"] = {"Retry-After": HEADERS["Retry-After"]}
        if code == "401":
            answer["headers"] = {"WWW-Authenticate": HEADERS["WWW-Authenticate"]}
        return answer

    def _problem_component(self) -> ResolvedComponent:
        return self.resolve_serializer(Problem, "response")

    def _add_headers(self, operation: dict[str, Any]) -> None:
        for code, answer in operation["responses"].items():
            answer["description"] = GOOD.get(code) or answer["description"]
            names: list[str] = []
            if code in {"201", "202"}:
                names.append("Location")
            if code in {"200", "201"} and getattr(self.view, "tagged", False):
                names.append("ETag")
            if self.method == "POST" and code.startswith("2"):
                names.append("Idempotent-Replayed")
            if names:
                answer["headers"] = {**answer.get("headers", {}), **{name: HEADERS[name] for name in names}}
