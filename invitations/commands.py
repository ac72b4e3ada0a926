"""What the worker does for invitations."""

from accounts import delivery
from core.errors import UmpError
from invitations import device as device  # noqa: PLC0414  registers its kind
from invitations import finishing as finishing  # noqa: PLC0414  registers its chore
from invitations import mailing, services
from invitations import signing_in as signing_in  # noqa: PLC0414  registers its kind
from invitations.models import Invitation
from invitations.services import SEND, Why
from replication.context import Context, Done, Outcome
from replication.models import LaneName
from replication.registry import Kind, register
from tenants.abilities import Ability
from tenants.models import Tenant


@register
class SendInvitation(Kind):
    """One mail. Its link is made here and is nowhere but in the mail."""

    name = SEND
    title = "Send invitation"
    ability = Ability.INVITE
    lane = LaneName.IDENTITY
    reconcile = (
        "A mail counts once the mail server took it. What was sent and not noted is sent again with the same "
        "Message-ID, by which mail programs know it, and both links lead to the invitation."
    )

    def run(self, ctx: Context) -> Outcome:
        number = int(ctx.target)
        if told := ctx.state.get("told"):
            return Done(told)
        with ctx.transaction():
            tenant: Tenant = Tenant.objects.get(id=ctx.customer)
            try:
                invitation = services.locked(tenant, number)
            except UmpError:
                return Done("The invitation is no longer open, so nothing was sent.", outcome="partial")
            link, token = services.make_link(invitation, f"Command {ctx.command_id}", mailed=True)
            mail = mailing.compose(invitation, tenant.name, token, invitation.sent_count + 1)
        try:
            delivery.deliver(mail)
        except UmpError as error:
            with ctx.transaction():
                Invitation.objects.filter(id=number).update(undelivered=dict(error.to_dict()))
            raise
        told = f"The mail server took the mail to {invitation.email}."
        with ctx.transaction():
            services.note_sent(tenant, number, link, Why(ctx.params.get("why", Why.FIRST)))
            ctx.checkpoint(told=told)  # a run after this one would send the next number
        return Done(told)
