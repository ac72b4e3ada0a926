"""/queue: the counters and the switch of the whole queue."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from api.idempotency import idempotent
from api.permissions import every, provider
from api.serializers import Nothing, Out
from api.views import ApiView
from breakers.models import Breaker, Name
from breakers.selectors import open_breakers
from replication import selectors, services
from tenants.abilities import Ability


class SwitchOut(Out):
    paused = serializers.BooleanField()
    paused_by = serializers.CharField(allow_blank=True)
    paused_at = serializers.DateTimeField(allow_null=True)


class BrokenOut(Out):
    """The provider's own trouble: no customer is at fault, and the portal asks again by itself."""

    name = serializers.ChoiceField(choices=Name.choices)
    since = serializers.DateTimeField(source="opened_at")
    code = serializers.SerializerMethodField()
    message = serializers.SerializerMethodField()

    def get_code(self, row: Breaker) -> str:
        return str(row.problem.get("code", ""))

    def get_message(self, row: Breaker) -> str:
        return str(row.problem.get("message", ""))


class QueueOut(SwitchOut):
    """Counters over the customers that you may see, and whether anything may start."""

    open = serializers.IntegerField(help_text="Queued, executing and suspended together.")
    executing = serializers.IntegerField()
    queued = serializers.IntegerField()
    suspended = serializers.IntegerField()
    broken = BrokenOut(many=True, help_text="What is broken for many customers at once; their work waits.")


def switch() -> dict[str, Any]:
    on = selectors.is_paused()
    return {
        "paused": on is not None,
        "paused_by": on.set_by if on else "",
        "paused_at": on.set_at if on else None,
    }


class Queue(ApiView):
    doors = {"GET": every(Ability.VIEW_QUEUE)}

    @extend_schema(operation_id="queue_get", responses=QueueOut)
    def get(self, request: Request) -> Response:
        """How much work there is."""
        broken = open_breakers() if self.actor.is_provider else []
        return Response(QueueOut({**selectors.counters(), **switch(), "broken": broken}).data)


class Pause(ApiView):
    doors = {"POST": provider(Ability.PAUSE_ALL)}

    @extend_schema(operation_id="queue_pause", request=Nothing, responses=SwitchOut)
    @idempotent
    def post(self, request: Request) -> Response:
        """Let nothing start, for any customer; what runs ends with its slice."""
        self.body(Nothing)
        services.pause_all(self.actor, paused=True)
        return Response(SwitchOut(switch()).data)


class Resume(ApiView):
    doors = {"POST": provider(Ability.PAUSE_ALL)}

    @extend_schema(operation_id="queue_resume", request=Nothing, responses=SwitchOut)
    @idempotent
    def post(self, request: Request) -> Response:
        """Let the queue go on."""
        self.body(Nothing)
        services.pause_all(self.actor, paused=False)
        return Response(SwitchOut(switch()).data)
