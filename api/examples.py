"""Examples for the documentation; a test sends those that can be sent."""

from typing import Any

from drf_spectacular.utils import OpenApiExample

TENANT_ID = "5f0c6d1e-7f2b-4a0f-9a57-0d7c3f4f1a11"
ENTRA_ID = "9d3a51c4-3f6e-4b53-8a39-6c0c3a4f2b10"
CLIENT_ID = "2b8f5a7e-6c1d-4e0a-8f33-91d2c4b5a6e7"
CLIENT = "0b9d4f62-1f0e-4b71-9c3c-5a0e7d1b2c3d"
BASE = "https://portal.example/api/v1"


def _gives(name: str, value: dict[str, Any]) -> OpenApiExample:
    return OpenApiExample(name, value=value, response_only=True)


def _takes(name: str, value: dict[str, Any]) -> OpenApiExample:
    return OpenApiExample(name, value=value, request_only=True)


TENANT = _gives(
    "A customer in good health",
    {
        "id": TENANT_ID,
        "name": "Contoso",
        "domain": "contoso.com",
        "entra_tenant_id": ENTRA_ID,
        "plan": "pro",
        "service": "direct_routing",
        "licensed_users": 250,
        "with_sync": True,
        "enabled": True,
        "deploy_state": "deployed",
        "status": "ok",
        "status_text": "Deployed successfully.",
        "health": "healthy",
        "verification": "successful",
        "verified_at": "2026-11-20T08:14:03Z",
        "version": "0.1.0",
        "users_count": 231,
        "groups_count": 18,
        "last_replicated_at": "2026-11-20T08:20:41Z",
        "cycle_delay": None,
        "effective_cycle_delay": 300,
        "paused_at": None,
        "paused_by": "",
        "queue": {"queued": 1, "executing": 0, "suspended": 0},
        "created_at": "2026-10-02T13:00:00Z",
        "changed_at": "2026-11-20T08:20:41Z",
        "row_version": 3,
        "deleted_at": None,
        "url": f"{BASE}/tenants/{TENANT_ID}",
    },
)
CHECK = {
    "number": 4712,
    "kind": "verify_credentials",
    "state": "queued",
    "url": f"{BASE}/tenants/{TENANT_ID}/commands/4712",
}
TENANT_ADDED = _gives("A new customer whose check is queued", {**TENANT.value, "check": CHECK})
COMMAND_REF = _gives("Queued work", CHECK)
TENANT_ADD = _takes(
    "With an app registration",
    {
        "name": "Contoso",
        "domain": "contoso.com",
        "entra_tenant_id": ENTRA_ID,
        "plan": "pro",
        "licensed_users": 250,
        "connection": {"client_id": CLIENT_ID, "client_secret": "example~value~of~the~client~secret"},
    },
)
TENANT_EDIT = _takes("Fewer licences, own delay", {"licensed_users": 200, "cycle_delay": 120})
TENANT_DELETE = _takes("Confirmed", {"typed_name": "Contoso"})
CONNECTION_SET = _takes(
    "A client secret",
    {
        "cloud": "global",
        "client_id": CLIENT_ID,
        "client_secret": "example~value~of~the~client~secret",
        "expires_at": "2028-11-20T00:00:00Z",
    },
)
CONNECTION = _gives(
    "An expired secret",
    {
        "cloud": "global",
        "method": "app",
        "app_owner": "customer",
        "client_id": CLIENT_ID,
        "account": "",
        "consent_link": f"https://login.microsoftonline.com/{ENTRA_ID}/v2.0/adminconsent?client_id={CLIENT_ID}",
        "credential": {
            "kind": "client_secret",
            "hint": "cret",
            "set_by": "Olga",
            "set_at": "2026-10-02T13:00:00Z",
            "expires_at": None,
        },
        "verification": "failed",
        "verification_text": "Failed",
        "verified_at": "2026-11-20T08:14:03Z",
        "problem": {
            "code": "secret_expired",
            "message": "The client secret of the app registration has expired.",
            "advice": "The customer's administrator creates a new client secret; then enter its Value.",
            "who": "customer_admin",
            "detail": {"microsoft_code": "AADSTS7000222"},
        },
        "degraded_at": None,
        "max_access_failures": 3,
        "access_failure_window": 60,
        "changed_at": "2026-10-02T13:00:00Z",
        "row_version": 2,
    },
)
PERMISSION = _gives(
    "A permission that was taken away",
    {
        "name": "GroupMember.Read.All",
        "state": "missing",
        "state_text": "Missing",
        "since": "2026-11-20T08:14:03Z",
        "checked_at": "2026-11-21T08:14:03Z",
        "kind": "permission",
        "purpose": "read all groups and who is in them",
        "problem": None,
    },
)
ROLE = _gives(
    "A role that may be removed",
    {
        "name": "Application Administrator",
        "state": "extra",
        "state_text": "More than needed",
        "since": "2026-11-20T08:14:03Z",
        "checked_at": "2026-11-21T08:14:03Z",
        "purpose": "Creating the app registration in the customer's tenant",
        "stage": "Onboarding",
        "condition": "Needed for automatic registration only. May be removed after onboarding.",
        "for_new_site": False,
    },
)
CHECK_MADE = _gives(
    "A permission went",
    {
        "id": 812,
        "at": "2026-11-21T08:14:03Z",
        "result": "failed",
        "result_text": "Failed",
        "problem": {
            "code": "permission_missing",
            "message": "Microsoft does not let the app registration of Contoso do its work. Missing: "
            "GroupMember.Read.All.",
            "advice": "The customer's administrator opens the consent link and agrees.",
            "who": "customer_admin",
            "detail": {"http_status": "403"},
        },
        "organization": "Contoso",
        "granted": ["LicenseAssignment.Read.All", "Organization.Read.All", "User.Read.All"],
        "missing": ["GroupMember.Read.All"],
        "drift": [{"kind": "permission", "name": "GroupMember.Read.All", "was": "there", "now": "not there"}],
    },
)
PERMISSION = _gives(
    "A permission that was taken away",
    {
        "name": "GroupMember.Read.All",
        "state": "missing",
        "state_text": "Missing",
        "since": "2026-11-20T08:14:03Z",
        "checked_at": "2026-11-21T08:14:03Z",
        "kind": "permission",
        "purpose": "read all groups and who is in them",
        "problem": None,
    },
)
ROLE = _gives(
    "A role that may be removed",
    {
        "name": "Application Administrator",
        "state": "extra",
        "state_text": "More than needed",
        "since": "2026-11-20T08:14:03Z",
        "checked_at": "2026-11-21T08:14:03Z",
        "purpose": "Creating the app registration in the customer's tenant",
        "stage": "Onboarding",
        "condition": "Needed for automatic registration only. May be removed after onboarding.",
        "for_new_site": False,
    },
)
CHECK_MADE = _gives(
    "A permission went",
    {
        "id": 812,
        "at": "2026-11-21T08:14:03Z",
        "result": "failed",
        "result_text": "Failed",
        "problem": {
            "code": "permission_missing",
            "message": "Microsoft does not let the app registration of Contoso do its work. Missing: "
            "GroupMember.Read.All.",
            "advice": "The customer's administrator opens the consent link and agrees.",
            "who": "customer_admin",
            "detail": {"http_status": "403"},
        },
        "organization": "Contoso",
        "granted": ["LicenseAssignment.Read.All", "Organization.Read.All", "User.Read.All"],
        "missing": ["GroupMember.Read.All"],
        "drift": [{"kind": "permission", "name": "GroupMember.Read.All", "was": "there", "now": "not there"}],
    },
)
CONNECTION_KEPT = _gives("Stored, with its check", {**CONNECTION.value, "check": CHECK})
PROVIDER_APP_SET = _takes(
    "A client secret",
    {
        "client_id": CLIENT_ID,
        "redirect_uri": "https://portal.example/authenticate/OAuth2Callback",
        "home_tenant_id": ENTRA_ID,
        "client_secret": "example~value~of~the~client~secret",
    },
)
PROVIDER_APP = _gives(
    "A working app",
    {
        "client_id": CLIENT_ID,
        "redirect_uri": "https://portal.example/authenticate/OAuth2Callback",
        "home_tenant_id": ENTRA_ID,
        "credential": CONNECTION.value["credential"],
        "verification": "successful",
        "verification_text": "Successful",
        "verified_at": "2026-11-20T08:14:03Z",
        "problem": None,
        "why_not_renewable": "",
        "row_version": 4,
    },
)
PROVIDER_APP_KEPT = _gives(
    "Stored, with its check",
    {
        **PROVIDER_APP.value,
        "verification": "never",
        "verification_text": "Never Performed",
        "verified_at": None,
        "check": {
            "number": 4800,
            "kind": "verify_provider_app",
            "state": "queued",
            "url": f"{BASE}/commands/4800",
        },
    },
)
RUN_ID = "c4a9c1e2-0d53-4f9a-8a36-7d2f5b6e9f10"
VERIFY_RUN = _gives(
    "A run half way",
    {
        "id": RUN_ID,
        "started_at": "2026-11-20T08:00:00Z",
        "started_by": "OVOC",
        "open": True,
        "ended_at": None,
        "cancelled_at": None,
        "cancelled_by": "",
        "total": 1000,
        "done": 517,
        "counts": {
            "waiting": 459,
            "checking": 24,
            "again": 0,
            "ok": 490,
            "access_failed": 26,
            "check_failed": 1,
            "cancelled": 0,
            "left_out": 12,
        },
        "url": f"{BASE}/verify-runs/{RUN_ID}",
        "rows_url": f"{BASE}/verify-runs/{RUN_ID}/rows",
    },
)
VERIFY_ROW = _gives(
    "A customer whose secret has expired",
    {
        "tenant_id": TENANT_ID,
        "tenant_name": "Contoso",
        "account": "",
        "outcome": "access_failed",
        "outcome_text": "Access failed",
        "message": CONNECTION.value["problem"]["message"],
        "problem": CONNECTION.value["problem"],
        "command_url": CHECK["url"],
    },
)
PLAN = _gives(
    "80 users are gone at Microsoft",
    {
        "plan": 17,
        "drawn_at": "2026-11-20T08:20:41Z",
        "why": "A full read came to its end, and Microsoft did not list these objects any more.",
        "removals": 80,
        "figures": [
            {"noun": "User", "label": "Users", "remove": 80, "have": 120},
            {"noun": "Group", "label": "Groups", "remove": 0, "have": 9},
        ],
        "approved_at": None,
        "approved_by": "",
    },
)
COMMAND = _gives(
    "A replication that succeeded",
    {
        "number": 4711,
        "tenant_id": TENANT_ID,
        "tenant_name": "Contoso",
        "kind": "quick_replication",
        "title": "Quick replication",
        "target": "",
        "dry_run": False,
        "state": "succeeded",
        "reason": "",
        "reason_text": "",
        "outcome": "complete",
        "message": "231 users and 18 groups are in step.",
        "error": None,
        "result": {"users": {"added": 1, "changed": 2, "removed": 0}},
        "progress": {},
        "attempts": 0,
        "max_attempts": 10,
        "queued_at": "2026-11-20T08:20:38Z",
        "queued_by": "OVOC",
        "not_before": "2026-11-20T08:20:38Z",
        "started_at": "2026-11-20T08:20:39Z",
        "finished_at": "2026-11-20T08:20:41Z",
        "next_execution": "ended",
        "cancel_requested_at": None,
        "retry_of": None,
        "url": f"{BASE}/tenants/{TENANT_ID}/commands/4711",
    },
)
USER_FILTER = _gives(
    "Sales with a phone licence",
    {
        "text": "Department -eq 'Sales' -and AssignedPlan -contains 'MCOEV'",
        "set_by": "Adam Admin",
        "set_at": "2026-11-20T09:02:11Z",
        "row_version": 3,
    },
)
USER_FILTER_SET = _takes(
    "Sales with a phone licence", {"text": "Department -eq 'Sales' -and AssignedPlan -contains 'MCOEV'"}
)
QOE_SET = _takes(
    "An application with its secret",
    {"application_id": CLIENT_ID, "password": "qOe~A1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6Q7"},
)
USER = _gives(
    "A user with a phone licence",
    {
        "object_id": "b1d0f4a2-52c7-4f0e-9f8b-7f0c2d9a4e31",
        "user_principal_name": "lee.gu@contoso.com",
        "display_name": "Lee Gu",
        "given_name": "Lee",
        "surname": "Gu",
        "mail": "lee.gu@contoso.com",
        "department": "Manufacturing",
        "job_title": "Director",
        "company_name": "Contoso",
        "office_location": "23/3101",
        "city": "Overland Park",
        "country": "US",
        "usage_location": "US",
        "business_phones": "+19135550117",
        "mobile_phone": "",
        "account_enabled": True,
        "user_type": "Member",
        "on_premises": False,
        "licences": [
            {
                "sku_id": "e43b5b99-8dfb-405f-9987-dc307f34bcbd",
                "part_number": "MCOEV",
                "name": "Teams Phone Standard",
            }
        ],
        "created_at": "2024-02-01T09:30:00Z",
        "changed_at": "2026-11-20T08:20:41Z",
        "url": f"{BASE}/tenants/{TENANT_ID}/users/b1d0f4a2-52c7-4f0e-9f8b-7f0c2d9a4e31",
    },
)
GROUP = _gives(
    "A team",
    {
        "object_id": "45b7d2e7-b882-4a80-ba97-10b7a63b8fa4",
        "display_name": "Sales",
        "description": "Everybody who sells",
        "mail": "sales@contoso.com",
        "kind": "Microsoft 365",
        "dynamic": False,
        "membership_rule": "",
        "visibility": "Private",
        "on_premises": False,
        "members": 12,
        "created_at": "2024-02-01T09:30:00Z",
        "changed_at": "2026-11-20T08:20:41Z",
        "url": f"{BASE}/tenants/{TENANT_ID}/groups/45b7d2e7-b882-4a80-ba97-10b7a63b8fa4",
    },
)
PERSON_ID = "7c1e9d34-6a0b-4f58-8d2e-3b9f5a0c1d42"
ACCOUNT = {
    "id": PERSON_ID,
    "email": "adele.vance@contoso.com",
    "name": "Adele Vance",
    "active": True,
    "second_factor": True,
    "last_sign_in_at": "2026-11-20T07:58:12Z",
}
PERSON = _gives(
    "A customer's administrator",
    {
        **ACCOUNT,
        "joined_at": "2026-10-02T13:05:00Z",
        "roles": [{"role": "customer_admin", "tenant_id": TENANT_ID, "tenant_name": "Contoso"}],
        "url": f"{BASE}/people/{PERSON_ID}",
    },
)
TENANT_PERSON = _gives(
    "A customer's administrator",
    {**ACCOUNT, "role": "customer_admin", "url": f"{BASE}/tenants/{TENANT_ID}/people/{PERSON_ID}"},
)
INVITED = {**ACCOUNT, "second_factor": False, "last_sign_in_at": None, "new": True, "mailed": True}
PERSON_INVITED = _gives("A new person", {**PERSON.value, **INVITED})
TENANT_PERSON_INVITED = _gives("A new person", {**TENANT_PERSON.value, **INVITED})
PERSON_ADD = _takes(
    "An operator for all customers",
    {"email": "isaiah.langer@provider.example", "name": "Isaiah Langer", "role": "operator"},
)
TENANT_PERSON_ADD = _takes(
    "A customer's administrator",
    {"email": "adele.vance@contoso.com", "name": "Adele Vance", "role": "customer_admin"},
)
PERSON_EDIT = _takes("Another name", {"name": "Adele Vance-Miller"})
ROLE_SET = _takes("Looks at everything and changes nothing", {"role": "monitor"})
TOKEN_ADD = _takes(
    "For OVOC, reading only",
    {"name": "OVOC", "role": "monitor", "networks": ["10.201.80.4"]},
)
TOKEN_MADE = _gives(
    "A new token",
    {
        "id": CLIENT,
        "name": "OVOC",
        "role": "monitor",
        "tenant_id": None,
        "scopes": ["directory:view", "queue:view", "tenant:view"],
        "networks": ["10.201.80.4/32"],
        "state": "living",
        "created_at": "2026-11-20T08:00:00Z",
        "created_by": "Pia",
        "expires_at": "2027-11-20T08:00:00Z",
        "last_used_at": None,
        "last_used_from": None,
        "revoked_at": None,
        "token": "cpk_<public id>_<secret part>",
    },
)
EVENT = _gives(
    "A customer's access stopped working",
    {
        "id": 4711,
        "type": "connection.degraded",
        "timestamp": "2026-11-20T08:14:03Z",
        "tenant_id": "3f2b8c1e-6a0d-4a53-8f7c-2d1b9e0a4c77",
        "webhook_id": "evt_0d9ac1c1a5d04e55b0f2f5ad3a52b0c7",
        "data": {"code": "secret_expired", "who": "customer_admin", "degraded": True, "commands_waiting": 2},
    },
)
WEBHOOK_ADD = _takes(
    "One type of event, of every customer",
    {"name": "Ticket system", "url": "https://tickets.example/hooks/ump", "types": ["connection.degraded"]},
)
WEBHOOK_MADE = _gives(
    "A new webhook",
    {
        "id": CLIENT,
        "name": "Ticket system",
        "url": "https://tickets.example/hooks/ump",
        "types": ["connection.degraded"],
        "tenants": [],
        "cursor": 4711,
        "failing_since": None,
        "taken_at": None,
        "held_at": None,
        "held_because": "",
        "created_at": "2026-11-20T08:00:00Z",
        "created_by": "Pia",
        "row_version": 1,
        "former_until": None,
        "url_here": f"https://portal.example/api/v1/webhooks/{CLIENT}",
        "secret": "whsec_<base64 of the key>",
    },
)
DOMAIN_ID = "7d1e0a55-2f0b-4a34-9a7e-6b1f0c9d8e21"
DOMAIN_ADD = _takes(
    "A name of its own, its record by hand", {"name": "voice.contoso.example", "by_hand": True}
)
DOMAIN = _gives(
    "A domain whose record is awaited",
    {
        "id": DOMAIN_ID,
        "name": "voice.contoso.example",
        "state": "setting_up",
        "stopped": False,
        "by_hand": True,
        "text": "MS=ms12345678",
        "verified_at": None,
        "activation_user": False,
        "licence": "",
        "problem": None,
        "began_at": "2026-11-20T08:00:00Z",
        "ready_at": None,
        "removed_at": None,
        "set_by": "Pia",
        "steps": [
            {
                "title": "See the TXT record in the DNS",
                "state": "running",
                "text": "0 of 2 name servers (ns1.contoso.example, ns2.contoso.example) have the TXT record. "
                "The portal waits 7 days at most.",
                "at": "2026-11-20T08:00:21Z",
            }
        ],
    },
)
DNS_ZONE_SET = _takes(
    "A zone that the portal may write to",
    {
        "name": "voice.example",
        "server": "ns1.voice.example",
        "key_name": "ump-portal",
        "algorithm": "hmac-sha256",
        "secret": "c2VjcmV0LW9mLXRoaXMtZXhhbXBsZS1vbmx5ISEhISE=",
    },
)
DNS_ZONE = _gives(
    "A zone that was tested",
    {
        "name": "voice.example",
        "server": "ns1.voice.example",
        "key_name": "ump-portal",
        "algorithm": "hmac-sha256",
        "has_secret": True,
        "writable": True,
        "lookup_servers": [],
        "release_user": True,
        "tested_at": "2026-11-20T08:00:00Z",
        "problem": None,
        "row_version": 1,
    },
)
ME = _gives(
    "OVOC",
    {
        "id": CLIENT,
        "name": "OVOC",
        "role": "monitor",
        "tenant_id": None,
        "abilities": ["directory:view", "queue:view", "tenant:view"],
        "networks": ["10.201.80.4/32"],
        "expires_at": "2027-11-20T08:00:00Z",
        "address": "10.201.80.4",
    },
)

ONBOARD = _takes(
    "An administrator gets a link, and a domain is set up afterwards",
    {
        "name": "Tailspin Toys",
        "domain": "tailspintoys.com",
        "plan": "pro",
        "service": "direct_routing",
        "licensed_users": 40,
        "automatic_dns": True,
        "invitation": {"email": "isaiah.langer@tailspintoys.com", "full_name": "Isaiah Langer"},
    },
)
ONBOARDING = _gives(
    "The mail was sent",
    {
        "tenant_id": TENANT_ID,
        "customer": "Tailspin Toys",
        "step": "m365",
        "step_since": "2026-11-20T08:14:03Z",
        "deadline": "2026-11-25T08:14:03Z",
        "late": False,
        "way": "invite",
        "cloud": "global",
        "automatic_dns": True,
        "dns_name": "",
        "dns_problem": None,
        "started_at": "2026-11-20T08:14:03Z",
        "started_by": "Olga",
        "finished_at": None,
        "cancelled_at": None,
        "ended_by": "",
        "url": f"{BASE}/tenants/{TENANT_ID}/onboarding",
        "access": {
            "state": "invited",
            "title": "Sent: isaiah.langer@tailspintoys.com",
            "text": "The mail was sent, and nobody has opened the link yet.",
            "deadline": "The link works until 25 November 2026.",
            "problem": None,
            "invitation": 7,
            "command": None,
        },
    },
)
SBC_ADD = _takes(
    "A device with a certificate of its own",
    {
        "name": "sbc1.zurich",
        "address": "169.254.4.9:8443",
        "https": True,
        "fqdn": "sbc1.provider.example",
        "user": "ump",
        "password": "<the account's password>",
        "fingerprint": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    },
)
SCRIPT_ADD = _takes(
    "An IP group for each site",
    {
        "name": "IP group of a site",
        "purpose": "onboarding",
        "description": "On a proxy set that is on the SBC already.",
        "script": 'configure voip\n  ip-group {{new:ip-group}}\n    name "IPG_{{SiteKey}}"\n'
        '    proxy-set-name "{{ProxySet}}"\n    activate\n  exit\nexit\n',
        "variables": [{"name": "ProxySet", "type": "name", "label": "Proxy set"}],
    },
)
PREFIXES_ADD = _takes(
    "A number and a range",
    {"prefixes": [{"prefix": "+4455896552"}, {"prefix": "+44587996[01-20]", "tag": "vip.contoso.example"}]},
)
PREFIXES_CHANGE = _takes(
    "Ten numbers out of a range",
    {
        "remove": [{"prefix": "+44587996[01-20]"}],
        "add": [{"prefix": "+44587996[01-10]", "tag": "vip.contoso.example"}],
    },
)
USAGE = _gives(
    "A customer's month",
    {
        "tenant": TENANT_ID,
        "customer": "Contoso",
        "entra_tenant_id": ENTRA_ID,
        "plan": "pro",
        "service": "direct_routing",
        "licensed_users": 250,
        "active_users": 231,
        "resource_accounts": 6,
        "days": 22,
        "last_day": "2026-11-22",
        "why": "",
        "deleted_at": None,
    },
)
RANGE_ADD = _takes(
    "A hundred numbers of Direct Routing",
    {"name": "Zurich", "type": "directRouting", "first": "+41589062000", "last": "+41589062099"},
)
HOLDS_ADD = _takes(
    "A number for somebody who starts next year",
    {
        "state": "reserved",
        "numbers": ["+41589061500"],
        "holder": "Adele Vance",
        "note": "starts in January",
        "until": "2099-02-01T00:00:00Z",
    },
)
SITE_ID = "5d0c6c0e-8c1f-4a43-b0a7-2f6f7f0f9b11"
SITE = _gives(
    "A deployed site",
    {
        "id": SITE_ID,
        "name": "Zurich",
        "configuration": "SipTrunk",
        "trunk": "derived",
        "gateway": "zurich.contoso.voice.example",
        "sbc_state": "deployed",
        "m365_state": "none",
        "deployed_at": "2026-11-20T08:00:00Z",
        "checked_at": "2026-11-20T08:00:00Z",
        "created_at": "2026-11-20T07:50:00Z",
        "sbc_id": "2a7f3f0c-95a8-4a53-8ad1-0a4e56e3b2c1",
        "script_id": "6c9d3a70-1f0e-4d6b-9a51-7d9f0b2e4c33",
        "values": {"CarrierHostName": "sip.carrier.example:5060"},
        "has_secrets": False,
        "problem": None,
        "rows": ['ProxySet 1 "PS_s1"', 'ProxyIp 1/0 "sip.carrier.example:5060"', 'IPGroup 1 "IPG_s1"'],
        "row_version": 1,
    },
)
_VOICE = {
    "pattern": "^\\+41",
    "port": 5061,
    "media_bypass": False,
    "max_sessions": None,
    "rules": [{"name": "Swiss national", "pattern": "^0(\\d{9})$", "translation": "+41$1"}],
}
SITE_VOICE_SET = _takes("Swiss numbers leave by this site, and may be dialled with 0", _VOICE)
SITE_VOICE = _gives(
    "A site with a dial plan",
    {
        "name": "UMP-Zurich",
        "gateway": "zurich.contoso.voice.example",
        "own_gateway": False,
        **_VOICE,
        "changed_at": "2026-11-20T08:00:00Z",
        "changed_by": "olga@provider.example",
    },
)
DEPLOYMENT = _gives(
    "A plan that waits for a decision",
    {
        "id": "0d3c1a55-7a4e-4a57-9a0e-5b0f8d1c2b36",
        "act": "deploy",
        "state": "planned",
        "plan": "7e0c2d4b9f1a6c83d5e7f90a1b2c3d4e",
        "obstacle": None,
        "problem": None,
        "told": "",
        "by_hand": False,
        "verify_script": "",
        "ready_script": "",
        "sites": [
            {
                "id": SITE_ID,
                "name": "Zurich",
                "told": "5 rows would come into being on sbc1.provider.example.",
                "rows": 5,
                "prefixes": 0,
                "problem": None,
            }
        ],
        "steps": [
            {
                "part": "PSTN usage",
                "name": "UMP-Zurich",
                "action": "create",
                "before": {},
                "after": {"Name": "UMP-Zurich"},
                "why": "a site needs it and Teams does not have it",
            }
        ],
        "read_at": "2026-11-20T08:00:00Z",
        "began_at": "2026-11-20T07:59:40Z",
        "began_by": "olga@provider.example",
        "decided_at": None,
        "decided_by": "",
        "ended_at": None,
        "command": 5311,
    },
)
_ATTENDANT = {
    "language": "en-GB",
    "time_zone": "GMT Standard Time",
    "greeting": "Welcome to Contoso.",
    "menu": "For sales, press 1.",
    "key_1": "number",
    "key_1_target": "+442071234567",
    "monday": "09:00-12:00, 13:00-17:00",
    "closed_greeting": "We are closed.",
    "holidays": "2026-12-24 to 2026-12-26 Christmas",
}
DESIGN_ADD = _takes(
    "A reception",
    {
        "type": "auto_attendant",
        "name": "Reception",
        "account": "reception@contoso.com",
        "number": "+442079460000",
        "settings": _ATTENDANT,
    },
)
DESIGN = _gives(
    "A reception that answers",
    {
        "id": "b7f6c0de-52b8-4e0f-9f6b-6f0a5c1c7a55",
        "type": "auto_attendant",
        "name": "Reception",
        "account": "reception@contoso.com",
        "number": "+442079460000",
        "settings": _ATTENDANT,
        "state": "built",
        "by_hand": False,
        "problem": None,
        "checked_at": "2026-11-20T08:00:00Z",
        "built_at": "2026-11-20T08:00:00Z",
        "created_at": "2026-11-20T07:50:00Z",
        "row_version": 1,
    },
)
INVITATION = _gives(
    "An invitation that was opened",
    {
        "id": 17,
        "tenant_id": TENANT_ID,
        "customer": "Contoso",
        "type": "invite",
        "stage": "opened",
        "stage_text": "Opened",
        "next": "Somebody opened the link and read what is asked for. Ask whether something is unclear.",
        "full_name": "Adele Vance",
        "email": "adele.vance@contoso.com",
        "admin_email": "",
        "portal_account": True,
        "sent_count": 1,
        "sent_at": "2026-11-20T08:14:03Z",
        "undelivered": None,
        "created_at": "2026-11-20T08:14:01Z",
        "created_by": "Olga Operator",
        "expires_at": "2026-11-25T08:14:01Z",
        "opened_at": "2026-11-20T09:30:12Z",
        "started_at": None,
        "way": "",
        "signed_in_at": None,
        "found_tenant_id": None,
        "found_account": "",
        "found_name": "",
        "found_domains": [],
        "problem": None,
        "done_at": None,
        "revoked_at": None,
        "revoked_by": "",
        "tenant_installed": False,
        "row_version": 1842739562,
        "url": f"{BASE}/tenants/{TENANT_ID}/invitations/17",
    },
)
INVITE = _takes("Invite an administrator", {"email": "adele.vance@contoso.com", "full_name": "Adele Vance"})
ORGANISATION_SHOWN = _takes(
    "The organisation that was looked at", {"found_tenant_id": ENTRA_ID, "found_account": "admin@contoso.com"}
)
AUTH_URL = _gives(
    "A link, shown once",
    {
        "url": "https://portal.example/authenticate/k3Jw0mB7c1Qv9Yp2Zx5Rt8Nd4Hs6Lf0Aq1We3Uy7Io9",
        "expires_at": "2026-11-25T08:14:01Z",
    },
)
INVITATION_SETTINGS = _takes(
    "Let links live longer, and remind later",
    {"invitation_days": 7, "invitation_reminder_days": 3},
)
USER_ID = "1d2c3b4a-5f6e-4a70-8b91-2c3d4e5f6a70"
PLAN_ID = "8e1f0a2b-3c4d-4e5f-9a6b-7c8d9e0f1a2b"
EDIT_ID = "b7a6c5d4-e3f2-4a1b-8c0d-9e8f7a6b5c4d"
NUMBER_CHANGE = {
    "user_id": USER_ID,
    "user_name": "Adele Vance",
    "what": "number",
    "title": "Phone number",
    "before": None,
    "problem": None,
}
CHANGE = _gives(
    "A number that waits to be given",
    {
        **NUMBER_CHANGE,
        "id": 815,
        "wanted": "+41589061500 (Direct Routing)",
        "state": "pending",
        "edit_id": EDIT_ID,
        "source": "api",
        "asked_by": "OVOC",
        "asked_at": "2026-11-20T08:14:03Z",
        "plan_id": None,
        "changed_at": "2026-11-20T08:14:03Z",
    },
)
WISHES = [
    {"user": "adele.vance@contoso.com", "what": "number", "value": "+41589061500"},
    {"user": "adele.vance@contoso.com", "what": "policy:TeamsCallingPolicy", "value": "AllowCalling"},
    {"user": USER_ID, "what": "user:department", "value": None},
]
CHANGES_PREVIEW = _takes("A number, a policy, and no department", {"changes": WISHES})
CHANGES_ASK = _takes("A number, a policy, and no department", {"title": "New colleagues", "changes": WISHES})
APPLY_COMMAND = {**CHECK, "kind": "apply_changes"}
CHANGES_ASKED = _gives(
    "One of two is kept",
    {
        "edit_id": EDIT_ID,
        "command": APPLY_COMMAND,
        "items": [
            {**NUMBER_CHANGE, "user": "adele.vance@contoso.com", "outcome": "kept", "hint": ""},
            {
                **NUMBER_CHANGE,
                "user": "lee.gu@contoso.com",
                "user_name": "Lee Gu",
                "outcome": "refused",
                "hint": "",
                "problem": {
                    "code": "number_asked_twice",
                    "message": "+41589061500 is asked for by two users at once.",
                    "advice": "A number belongs to one user: change one of the two.",
                    "who": "provider",
                    "detail": {},
                },
            },
        ],
    },
)
USER_PLAN = _gives(
    "A plan to look at",
    {
        "id": PLAN_ID,
        "state": "ready",
        "figures": {"give": 10, "take": 1},
        "fingerprint": "9f2b6c1d" * 8,
        "drawn_at": "2026-11-20T08:14:09Z",
        "drawn_by": "OVOC",
        "started_at": None,
        "finished_at": None,
        "command": 4713,
        "url": f"{BASE}/tenants/{TENANT_ID}/plans/{PLAN_ID}",
    },
)
USER_TEMPLATE = _gives(
    "A template in use",
    {
        "id": "c3d4e5f6-0718-4293-8a4b-5c6d7e8f9a0b",
        "name": "Sales",
        "order": 1,
        "state": "on",
        "group_id": "2f1e0d9c-8b7a-4654-9321-0fedcba98765",
        "group_name": "Sales floor",
        "except_users": [USER_ID],
        "except_groups": [],
        "number_range_id": "7a6b5c4d-3e2f-4a1b-9c0d-8e7f6a5b4c3d",
        "takes_numbers": False,
        "replaces_numbers": False,
        "values": [{"what": "policy:TeamsCallingPolicy", "value": "AllowCalling"}],
        "leaving": "take",
        "lacks": [],
        "started_by": "Adele Vance",
        "ran_at": "2026-11-20T08:20:41Z",
        "last_run": {"covered": 24, "changes": 2, "refused": 0, "left_out": 1, "leavers": 0},
        "problem": "",
        "created_at": "2026-11-02T13:00:00Z",
        "created_by": "Adele Vance",
        "row_version": 3,
    },
)
