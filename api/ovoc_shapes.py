"""What goes in and out of /api/tenantui: the words and shapes of another product (facts/audiocodes.md 3.8, 5.4).

Not our own contract, and not in its document: names in camel case, lists without pages, ids that are numbers. Secrets
go in and never come out, whatever that product does (docs/decisions/0016).
"""

from collections.abc import Mapping, Sequence
from typing import Any

from rest_framework import serializers

from api.serializers import In
from replication.models import Command, Step
from sites.models import Purpose, ScriptTemplate, ScriptVersion, Site, SiteState
from tenants.models import Connection, Plan, Service, Tenant

LICENSES = {
    Service.DIRECT_ROUTING: {Plan.ESSENTIALS: 0, Plan.ESSENTIALS_PLUS: 1, Plan.PRO: 2},
    Service.OPERATOR_CONNECT: {Plan.ESSENTIALS: 3, Plan.ESSENTIALS_PLUS: 4, Plan.PRO: 5},
}
"""LicenseType."""
DEPLOYED = 3
"""The only number of a deployment state that is known."""
SCRIPT_TYPES = {Purpose.ONBOARDING: 1, Purpose.CLEANUP: 2}
ALIASES = {"CarrierMailLine": "CarrierMainLine"}
"""That product misspells it."""


# --- In -----------------------------------------------------------------------------------------------------------
class SiteLocationIn(In):
    sbcId = serializers.IntegerField(min_value=1, max_value=2**31)
    sbcOnboardingScript = serializers.IntegerField(min_value=1, max_value=2**31, required=False)
    sbcCleanupScript = serializers.IntegerField(min_value=1, max_value=2**31, required=False)


class _OvocIn(In):
    """Taken because callers send them; the portal writes nothing to OVOC."""

    ovocCustomerType = serializers.ChoiceField(choices=["IPGROUP_TYPE", "TENANT_TYPE"], required=False)
    channelId = serializers.CharField(max_length=100, required=False, allow_null=True)
    lcCustomerId = serializers.CharField(max_length=100, required=False, allow_null=True)


class CustomerIn(_OvocIn):
    shortName = serializers.CharField(max_length=15)
    fullName = serializers.CharField(max_length=200, required=False)
    msTenantId = serializers.UUIDField(required=False, allow_null=True)
    siteLocation = SiteLocationIn(required=False)
    scriptParameters = serializers.DictField(child=serializers.CharField(allow_blank=True), required=False)


class SiteIn(_OvocIn, SiteLocationIn):
    siteLocationName = serializers.CharField(max_length=15)
    scriptParameters = serializers.DictField(child=serializers.CharField(allow_blank=True), required=False)


class RuleIn(In):
    prefix = serializers.CharField(max_length=50)
    name = serializers.CharField(max_length=15, required=False, allow_blank=True)
    tag = serializers.CharField(max_length=300, required=False, allow_blank=True)


class DialPlanIn(In):
    dialPlanId = serializers.CharField(max_length=200, required=False)
    add = serializers.ListField(child=RuleIn(), required=False, max_length=10_000)
    remove = serializers.ListField(child=RuleIn(), required=False, max_length=10_000)


# --- Out ----------------------------------------------------------------------------------------------------------
def customer(
    tenant: Tenant, connection: Connection | None, sites: Sequence[Site] | None, *, whole: bool
) -> dict[str, Any]:
    """With `sites`, all details; `whole` for the provider."""
    plan = Plan(tenant.plan)
    found: dict[str, Any] = {
        "UmpCustomerGuid": str(tenant.id),
        "CustomerShortName": tenant.name,
        "CustomerFullName": tenant.name,
        "LicenseType": LICENSES[Service(tenant.service)][plan],
        "LicensedUsersCount": None if plan == Plan.ESSENTIALS else tenant.licensed_users,
        "MsTenantId": str(tenant.entra_tenant_id) if tenant.entra_tenant_id else None,
        "ActiveUserCount": tenant.users_count,
    }
    if sites is None:
        return found
    secret = connection.secret if connection else None
    return found | {
        "MsDefaultDomain": tenant.domain or None,
        "ApplicationClientId": str(connection.client_id) if connection else None,
        "ClientSecretExpirationDate": secret.expires_at if secret else None,
        "SiteLocation": [location(site, whole=whole) for site in sites],
    }


def short_customer(tenant: Tenant, sites: Sequence[Site], *, whole: bool) -> dict[str, Any]:
    """As v2 tells it."""
    return {
        "Id": str(tenant.id),
        "ShortName": tenant.name,
        "FullName": tenant.name,
        "LicenseType": LICENSES[Service(tenant.service)][Plan(tenant.plan)],
        "SiteLocation": [location(site, whole=whole) for site in sites],
    }


def location(site: Site, *, whole: bool) -> dict[str, Any]:
    """A site in a customer."""
    return {
        "id": str(site.uid),
        "name": site.name,
        "sbcId": site.sbc_id if whole else None,
        "sbcDeploymentState": SiteState(site.sbc_state).label,
        "sbcConfigurationType": site.configuration,
    }


def site_location(site: Site, tasks: Sequence[int], *, whole: bool) -> dict[str, Any]:
    """A site by itself; `whole` for the provider. Values of secret variables are no part of `values`."""
    return {
        "tenantId": str(site.tenant_id),
        "siteName": site.name,
        "onlinePstnGateway": site.gateway,
        "sbcDeploymentState": DEPLOYED if site.sbc_state == SiteState.DEPLOYED else None,
        "m365DeploymentState": DEPLOYED if site.m365_state == SiteState.DEPLOYED else None,
        "sbcInfo": _sbc_info(site) if whole else {"sbcConfigurationType": site.configuration},
        "pendingTasks": list(tasks) if whole else [],
    }


def _sbc_info(site: Site) -> dict[str, Any]:
    values = site.values
    return {
        "sbcId": site.sbc_id,
        "sbcConfigurationType": site.configuration,
        "cacProfile": values.get("CacProfile"),
        "carrierHostName": values.get("CarrierHostName"),
        "carrierMainLine": values.get("CarrierMainLine"),
        "carrierUserName": values.get("CarrierUserName"),
        "sbcScripts": {
            "onboardingScript": site.template_id,
            "cleanupScript": site.template.cleanup_id if site.template else None,
            "customerVariables": {
                key: value for key, value in values.items() if key.startswith("CustomVar.")
            },
        },
    }


def script(template: ScriptTemplate, version: ScriptVersion | None) -> dict[str, Any]:
    """With a version, its text and variables too."""
    found: dict[str, Any] = {
        "id": template.id,
        "name": template.name,
        "scriptType": SCRIPT_TYPES[Purpose(template.purpose)],
        "description": template.description,
        "relatedScripts": [{"key": "cleanup", "value": template.cleanup_id}] if template.cleanup_id else [],
    }
    if version is not None:
        found["script"] = version.script
        found["customerVariables"] = [str(each.get("name", "")) for each in version.variables]
    return found


def task(command: Command, steps: Sequence[Step]) -> dict[str, Any]:
    total: object = (command.progress or {}).get("total")
    return {
        "id": command.id,
        "status": command.get_state_display(),
        "details": command.message,
        "totalNumbersCount": total if isinstance(total, int) else None,
        "ExecutionMessages": [{"level": step.level, "message": step.text} for step in steps],
        "outputData": command.result,
    }


def values_of(given: Mapping[str, str]) -> tuple[str, dict[str, str]]:
    """(OnlinePstnGateway, the script's variables by their right names)."""
    found = {ALIASES.get(name, name): value for name, value in given.items()}
    return found.pop("OnlinePstnGateway", ""), found
