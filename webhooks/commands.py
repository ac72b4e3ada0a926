"""Telling others: events to systems, in order and each until it was taken; a mail a day to people who want it."""

import datetime as dt
import random
import time
import uuid

from django.conf import settings
from django.db.models import F
from django.db.models.functions import Now
from django.utils import timezone

from core.errors import UmpError
from core.http import OutboundConfig, session_of_thread
from events.models import Event
from replication.context import Again, Context, Done, Outcome
from replication.models import LaneName
from replication.registry import Kind, register
from tenants import scope, secrets
from tenants.abilities import Ability
from tenants.access import SYSTEM
from tenants.outbound import guard
from webhooks import digests, selectors, services, signing
from webhooks.digests import SEND
from webhooks.models import Delivery, Digest, Endpoint
from webhooks.services import DELIVER

BACK_OFF_MINUTES = (1, 2, 5, 10, 15, 30, 60, 120)
HOLD_AFTER = dt.timedelta(days=3)
DEADLINE = 8.0
KEPT = 200
MOST_ANSWER = 64 * 1024
GONE = 410


@register
class DeliverEvents(Kind):
    """The next events of one endpoint."""

    name = DELIVER
    title = "Deliver events"
    ability = Ability.MANAGE_WEBHOOKS
    lane = LaneName.PROVIDER
    reconcile = (
        "The cursor moves in one transaction with the note of the delivery; what was sent and not noted is sent "
        "again under the same webhook-id, by which the receiver knows it."
    )

    def run(self, ctx: Context) -> Outcome:
        sent = int(ctx.progress.get("done", 0))
        while True:
            with scope.every("the next event of a webhook"):
                endpoint = (
                    Endpoint.objects.select_related("secret__key", "former_secret__key")
                    .filter(id=ctx.target)
                    .first()
                )
                if endpoint is None or endpoint.held_at:
                    return _ended(sent)
                newest = Event.objects.order_by("-id").values_list("id", flat=True).first() or 0
                event = selectors.waiting(endpoint).first()
            if event is None:
                # What failed last may have been skipped: it is no reason to hold the next one (HOLD_AFTER).
                self._note(ctx, endpoint, cursor=max(newest, endpoint.cursor), failures=0, failing_since=None)
                return Done(f"{endpoint.name} has every event; {sent} were taken.", result={"events": sent})
            failed = self._hand_over(ctx, endpoint, event, sent)
            if failed is not None:
                return failed
            sent += 1
            ctx.report(label="Handing events over", done=sent)
            if ctx.should_yield():
                return Again()

    def _hand_over(self, ctx: Context, endpoint: Endpoint, event: Event, sent: int) -> Outcome | None:
        """None when it was taken."""
        began = time.monotonic()
        status, problem = _post(ctx, endpoint, event)
        delivery = Delivery(
            endpoint=endpoint,
            event=event.id,
            type=event.type,
            status=status,
            milliseconds=round((time.monotonic() - began) * 1000),
            problem=problem[:500],
        )
        if not problem:
            self._note(
                ctx, endpoint, delivery, cursor=event.id, failures=0, failing_since=None, taken_at=Now()
            )
            return None
        since = endpoint.failing_since or timezone.now()
        if not self._note(ctx, endpoint, delivery, failures=F("failures") + 1, failing_since=since):
            return _ended(sent)
        if status == GONE or timezone.now() - since >= HOLD_AFTER:
            why = (
                "It answered that it is gone"
                if status == GONE
                else f"It took nothing for {HOLD_AFTER.days} days"
            )
            with ctx.transaction():
                services.hold(SYSTEM, endpoint, f"{why}. {problem}")
            return Done(f"{problem} The webhook is held until somebody resumes it.", outcome="partial")
        minutes = BACK_OFF_MINUTES[min(endpoint.failures, len(BACK_OFF_MINUTES) - 1)]
        return Again(problem, wait=dt.timedelta(minutes=minutes * random.uniform(0.8, 1.2)))  # noqa: S311  jitter

    @staticmethod
    def _note(ctx: Context, endpoint: Endpoint, delivery: Delivery | None = None, **fields: object) -> bool:
        """Where it stands now, while this worker still holds the command and nobody asked for a replay.

        False, and nothing is noted, when somebody removed it while it was called.
        """
        with ctx.transaction():
            if not Endpoint.objects.select_for_update(no_key=True).filter(id=endpoint.id).exists():
                return False
            Endpoint.objects.filter(id=endpoint.id, cursor=endpoint.cursor).update(**fields)
            if delivery is not None:
                delivery.save()
                old = Delivery.objects.filter(endpoint=endpoint).order_by("-id").values_list("id", flat=True)
                Delivery.objects.filter(
                    endpoint=endpoint, id__lte=next(iter(old[KEPT : KEPT + 1]), 0)
                ).delete()
        return True


def _ended(sent: int) -> Done:
    return Done(f"{sent} events were taken; the webhook is held or gone.", outcome="partial")


@register
class SendDigest(Kind):
    """One person's mail of today."""

    name = SEND
    title = "Send daily mail"
    ability = Ability.CHANGE_SETTINGS
    lane = LaneName.PROVIDER
    max_attempts = 5
    reconcile = (
        "A mail that went out and was not noted goes out again under the same Message-ID, and is shown once."
    )

    def run(self, ctx: Context) -> Outcome:
        day = timezone.now().date()
        sent = digests.send(uuid.UUID(ctx.target), day)
        with ctx.transaction():
            Digest.objects.filter(user_id=ctx.target).update(done_on=day)
        return Done("Sent." if sent else "There was nothing to say.")


def _post(ctx: Context, endpoint: Endpoint, event: Event) -> tuple[int | None, str]:
    """The answer's status, and why the event was not taken (nothing when it was).

    Raises LeaseLost and `interrupted`: whoever was frozen meanwhile would send it after later ones that another
    worker sent.
    """
    config = OutboundConfig(
        ca_bundle=settings.M365_CA_BUNDLE or None, read=DEADLINE, total=DEADLINE, max_body=MOST_ANSWER,
        guard=guard(),
    )  # fmt: skip
    body = signing.body_of(event)
    try:
        values = [secrets.open_secret(each) for each in selectors.signing_secrets(endpoint)]
        url = services.check_url(endpoint.url)
        headers = signing.headers(values, event, int(time.time()), body)
        sent_by = ctx.still_ours()
        answer = session_of_thread(config).request("POST", url, data=body, headers=headers, sent_by=sent_by)
    except UmpError as error:
        if error.only_stopped:
            raise
        return None, error.message
    if 200 <= answer.status_code < 300:
        return answer.status_code, ""
    host = endpoint.url.split("/")[2]
    return answer.status_code, UmpError.of(
        "webhook_refused", host=host, why=f"HTTP {answer.status_code}"
    ).message
