"""The base of every view: address, token, rate, door, in this order; then the handler."""

import uuid
from collections.abc import Mapping
from typing import Any, ClassVar

from django.db.models import QuerySet
from rest_framework.generics import GenericAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from api import addresses, problems
from api.authentication import actor_of
from api.filters import Filters, Unfiltered
from api.links import link
from api.pagination import CURSOR, LIMIT, ORDER, Cursor, Kept
from api.schema import ApiSchema
from api.serializers import In
from api.throttling import TokenRate
from core.errors import UmpError
from replication.models import Command
from tenants.access import Actor
from tenants.models import Tenant
from tenants.web import Door
from tenants.written import Written


class ApiView(GenericAPIView[Any]):
    """`doors` says for each method what it needs; a method that has none is not supported.

    Behind a tenant's door the view has `self.tenant`, and `self.actor` everywhere.
    """

    doors: ClassVar[Mapping[str, Door]] = {}
    deleted_too: ClassVar[tuple[str, ...]] = ()
    """Methods that also take a customer who was removed and can still be restored."""
    throttle_classes = (TokenRate,)
    metadata_class = None
    schema: Any = ApiSchema()
    tenant: Tenant

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """The order matters: a refused address learns nothing about tokens, a busy one nothing about customers.

        The rate asks whose token it is, as every door does; so nobody is counted or let in without a living one.
        """
        request._request.began_at = problems.depth()  # type: ignore[attr-defined]  # ours
        addresses.check(request)
        self.format_kwarg = None  # no address ends in a format; the negotiation asks all the same
        request.accepted_renderer, request.accepted_media_type = self.perform_content_negotiation(request)
        self.check_throttles(request)
        self.check_permissions(request)
        request._request.body  # noqa: B018  refuses what is too large before anything parses it

    @property
    def actor(self) -> Actor:
        return actor_of(self.request)

    @property
    def allowed_methods(self) -> list[str]:
        return [*self.doors, "HEAD"] if "GET" in self.doors else list(self.doors)

    def body(self, shape: type[In], **kwargs: Any) -> dict[str, Any]:
        """The request's body in this shape. Raises ValidationError naming the fields."""
        read = shape(data=self.request.data, **kwargs)
        read.is_valid(raise_exception=True)
        found: dict[str, Any] = read.validated_data
        return found

    def finalize_response(self, request: Any, response: Any, *args: Any, **kwargs: Any) -> Any:
        response = super().finalize_response(request, response, *args, **kwargs)
        response["Cache-Control"] = "no-store"
        if isinstance(response, Response):
            response.add_post_render_callback(_let_go)
        return response


def _let_go(response: Any) -> None:
    """Answer, view and request hold each other in DRF, and would all stay until Python's collector comes by."""
    context = response.renderer_context
    context["request"].parser_context.clear()
    vars(context["view"]).clear()
    context.clear()


class ListView(ApiView):
    """A list: `rows()` of the scope in force, through `filters`, a page at a time, as `out` says.

    `context(page)` fetches what belongs to the rows of a page, in as many queries for 3 rows as for 1.
    """

    filter_backends = (Filters,)
    pagination_class = Cursor
    filters: ClassVar[type[Any]] = Unfiltered
    orders: ClassVar[Mapping[str, str]] = {}
    tie: ClassVar[str] = "id"
    out: ClassVar[type[Any]]
    kept: ClassVar[Kept | None] = None
    """The same rows, of all customers or of the one in the address: for lists that are asked for most."""
    whole: ClassVar[Written[Any] | None] = None
    """Where the rows of `rows` are keys alone: by their ids, the whole rows of a page."""

    def rows(self) -> QuerySet[Any]:
        raise NotImplementedError

    def context(self, page: list[Any]) -> dict[str, Any]:
        return {}

    def page(self) -> Response:
        narrowed = bool(set(self.request.query_params) - {CURSOR, LIMIT, ORDER})
        rows: Any = self.rows() if self.kept is None or narrowed else self.kept(*self._of())
        found = self.paginate_queryset(self.filter_queryset(rows)) or []
        if self.whole is not None and (self.kept is None or narrowed):
            whole = {row.pk: row for row in self.whole.rows([row.pk for row in found])}
            found = [whole[row.pk] for row in found if row.pk in whole]
        shown = self.out(context={"request": self.request, **self.context(found)})
        return self.get_paginated_response([shown.to_representation(row) for row in found])

    def _of(self) -> tuple[uuid.UUID, ...]:
        return (self.tenant.id,) if "uid" in self.kwargs else ()


class Missing(ApiView):
    """Any other address below /api/: the same answer in the same form, to callers who may know."""

    doors: ClassVar[Mapping[str, Door]] = {}
    schema: Any = None

    def check_permissions(self, request: Request) -> None:
        raise UmpError.of("not_found", thing="address")


def command_url(request: Request, command: Command) -> str:
    """Where a command is followed."""
    if command.tenant_id is None:
        return link(request, "command-any", number=command.id)
    return link(request, "command", uid=command.tenant_id, number=command.id)


def queued(request: Request, command: Command) -> dict[str, Any]:
    """A CommandRef."""
    return {
        "number": command.id,
        "kind": command.kind,
        "state": command.state,
        "url": command_url(request, command),
    }


def accepted(request: Request, command: Command) -> Response:
    """202: the work is queued; Location leads to it."""
    found = queued(request, command)
    return Response(found, status=202, headers={"Location": found["url"]})
