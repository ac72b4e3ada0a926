"""Finding out whose Microsoft 365 tenant a domain belongs to (facts/microsoft.md 1.3)."""

from core.errors import UmpError
from core.http import session_of_thread
from m365 import identity
from m365.clouds import CLOUDS
from onboarding import services as services  # noqa: PLC0414  registers its chore
from replication.context import Context, Done, Outcome
from replication.models import LaneName
from replication.registry import Kind, register
from tenants.abilities import Ability
from tenants.lines import outbound_config
from tenants.models import Cloud

DISCOVER = services.DISCOVER


@register
class DiscoverTenant(Kind):
    """Asks the worldwide cloud first, which knows tenants of others too, and then those for what it does not."""

    name = DISCOVER
    title = "Look up a tenant"
    ability = Ability.ADD_TENANT
    lane = LaneName.IDENTITY
    max_attempts = 3
    reconcile = "Reads only; a second look-up simply asks again."

    def run(self, ctx: Context) -> Outcome:
        domain = str(ctx.params["domain"])
        http = session_of_thread(outbound_config())
        ctx.report(label=f"Asking Microsoft who {domain} is", force=True)
        for cloud in (Cloud.GLOBAL, Cloud.GCC_HIGH, Cloud.CHINA):
            try:
                found = identity.discover(http, CLOUDS[cloud], domain, fresh=True)
            except UmpError as error:
                if error.code not in {"tenant_unknown", "wrong_cloud"}:
                    raise
                continue
            told = {"domain": domain, "tenant_id": found.tenant_id, "cloud": found.cloud.key}
            return Done(f"{domain} is tenant {found.tenant_id} in {found.cloud.name}.", result=told)
        return Done(f"Microsoft knows no organisation with the domain {domain}.", result={"domain": domain})
