"""After the end: the invited person becomes the customer's first administrator in the portal, if that was ticked."""

from accounts import delivery
from accounts.mail import sign_in_mail
from accounts.models import User
from accounts.services import sign_in_link
from core.errors import UmpError
from invitations import services
from invitations.models import Invitation
from replication.context import Context, Done, Outcome
from replication.models import LaneName
from replication.registry import Kind, register
from tenants import people
from tenants.abilities import Ability, Role
from tenants.access import SYSTEM
from tenants.models import Tenant

WELCOME = "welcome_invited"


@register
class WelcomeInvited(Kind):
    """An account with the role Customer Admin, and a mail with a link by which to set its password, once."""

    name = WELCOME
    title = "Give portal account"
    ability = Ability.MANAGE_PEOPLE
    lane = LaneName.IDENTITY
    reconcile = (
        "An account that is there already is not made again. A mail that was sent and not noted is sent again; both "
        "links lead to the same page, and all of them die with the first use."
    )

    def run(self, ctx: Context) -> Outcome:
        with ctx.transaction():
            tenant: Tenant = Tenant.objects.get(id=ctx.customer)
            invitation: Invitation = Invitation.objects.get(id=int(ctx.target))
            if not ctx.state.get("added"):
                try:
                    user, new = self._add(tenant, invitation)
                except UmpError as error:
                    why = error.fields.get("why", error.message)
                    return Done(f"{invitation.email} was given no account: {why}.", outcome="partial")
                services.note(SYSTEM, "invitation.account_given", invitation)
                ctx.checkpoint(added=True)
                if not new:
                    return Done(
                        f"{invitation.email} has an account already and may now act for {tenant.name}, too."
                    )
            user = User.objects.get(email__iexact=invitation.email)
            mail = sign_in_mail(user, sign_in_link(SYSTEM, user))
        delivery.deliver(mail)
        return Done(f"The mail server took the mail to {invitation.email}.")

    @staticmethod
    def _add(tenant: Tenant, invitation: Invitation) -> tuple[User, bool]:
        name = invitation.full_name or invitation.email.partition("@")[0]
        return people.add_person(
            SYSTEM, email=invitation.email, name=name, role=Role.CUSTOMER_ADMIN, tenant=tenant
        )
