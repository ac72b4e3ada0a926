"""Idempotency-Key: a POST that is sent again does nothing again, and gets the same answer.

The act and its stored answer are one transaction, held under an advisory lock of that key. So nothing is ever
left "in progress": a request that failed or was cut off did nothing, and may be repeated with the same key.
"""

import contextlib
import datetime as dt
import functools
import hashlib
import json
import re
import uuid
from collections.abc import Callable, Iterator
from typing import Any

from django.db import connection, transaction
from django.db.models.functions import Now
from django.utils.crypto import salted_hmac
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from api.authentication import actor_of
from api.models import IdempotencyKey
from core.errors import Conflict, InvalidInput
from tenants import scope

KEPT = dt.timedelta(hours=24)
KEY = re.compile(r"[\x21-\x7e]{1,255}")
REPLAYED = "Idempotent-Replayed"
KEPT_HEADERS = ("Location", "ETag")
FORGOTTEN_AT_ONCE = 100
SOON = 1.0
"""Seconds after which a second sender may look again."""

Handler = Callable[..., Response]


def idempotent(method: Handler | None = None, *, once: str = "") -> Any:
    """Decorator of a view's `post`. `once` says in words why the answer cannot be given a second time.

    Raises InvalidInput for a key that is none, Conflict (idempotency_mismatch, idempotency_in_progress, or
    conflict for an answer that was shown once).
    """
    if method is None:
        return functools.partial(idempotent, once=once)

    @functools.wraps(method)
    def through(view: Any, request: Request, *args: Any, **kwargs: Any) -> Response:
        key = request.META.get("HTTP_IDEMPOTENCY_KEY")
        if key is None:
            return method(view, request, *args, **kwargs)
        if not KEY.fullmatch(key):
            raise InvalidInput(field="Idempotency-Key", why="it needs 1 to 255 printable ASCII characters")
        tenant = getattr(view, "tenant", None)
        slot = Slot(request, tenant.id if tenant else None, key)
        with transaction.atomic():
            slot.lock()
            stored = slot.stored()
            if stored is not None:
                return slot.replay(stored)
            answer = method(view, request, *args, **kwargs)
            slot.keep(answer, once)
            return answer

    return through


class Slot:
    """The place of one key of one caller, for one customer or for the provider."""

    def __init__(self, request: Request, tenant_id: uuid.UUID | None, key: str) -> None:
        self.actor_id = actor_of(request).id
        self.tenant_id = tenant_id
        self.key = key
        self.fingerprint = fingerprint(request)

    def lock(self) -> None:
        """Until the transaction ends. Raises Conflict when another request with this key holds it."""
        name = f"api|{self.actor_id}|{self.tenant_id}|{self.key}"
        number = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big", signed=True)
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [number])
            if not cursor.fetchone()[0]:
                raise Conflict("idempotency_in_progress", retry_after=SOON)

    def stored(self) -> IdempotencyKey | None:
        """What is kept under the key, unless it is older than a day."""
        with self._scope():
            rows = IdempotencyKey.objects.filter(actor_id=self.actor_id, tenant=self.tenant_id, key=self.key)
            rows.filter(created_at__lt=Now() - KEPT).delete()
            found: IdempotencyKey | None = rows.first()
            return found

    def replay(self, stored: IdempotencyKey) -> Response:
        if stored.fingerprint != self.fingerprint:
            raise Conflict("idempotency_mismatch")
        if not stored.replayable:
            raise Conflict(thing="this request", why=str(stored.headers.get("once", "")))
        return Response(
            json.loads(stored.body), status=stored.status, headers={**stored.headers, REPLAYED: "true"}
        )

    def keep(self, answer: Response, once: str) -> None:
        kept = {name: answer[name] for name in KEPT_HEADERS if answer.has_header(name)}
        with self._scope():
            forget_old()
            IdempotencyKey.objects.create(
                actor_id=self.actor_id,
                tenant_id=self.tenant_id,
                key=self.key,
                fingerprint=self.fingerprint,
                status=answer.status_code,
                headers={"once": once} if once else kept,
                body="" if once else JSONRenderer().render(answer.data).decode(),
                replayable=not once,
            )

    @contextlib.contextmanager
    def _scope(self) -> Iterator[None]:
        wide = scope.every("an API client's keys for acts on the provider as a whole")
        with wide if self.tenant_id is None else scope.one(self.tenant_id):
            yield


def forget_old() -> None:
    """Delete some rows of the scope that are older than a day, whosever: callers that come no more leave theirs."""
    old = IdempotencyKey.objects.filter(created_at__lt=Now() - KEPT).select_for_update(
        no_key=True, skip_locked=True
    )
    IdempotencyKey.objects.filter(id__in=list(old.values_list("id", flat=True)[:FORGOTTEN_AT_ONCE])).delete()


def fingerprint(request: Request) -> str:
    """Of method, path, query and body, keyed with the portal's own key."""
    raw = request._request
    what = "\n".join((str(raw.method), raw.get_full_path(), hashlib.sha256(raw.body).hexdigest()))
    return salted_hmac("api.idempotency", what, algorithm="sha256").hexdigest()
