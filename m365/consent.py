"""The page on which an organisation's administrator consents to all that an app registration lists (facts 2.3)."""

from urllib.parse import quote, urlencode

from m365.clouds import Cloud
from m365.identity import clean_tenant

STATE = "consent"
"""What comes back with the answer. Nothing is believed of an answer, so it need not be a secret."""


def consent_url(cloud: Cloud, entra_tenant_id: str, client_id: str, redirect_uri: str) -> str:
    """Application permissions can be consented to here only. Raises `tenant_unknown` for a malformed id."""
    query = {
        "client_id": client_id,
        "scope": cloud.graph_scope,
        "redirect_uri": redirect_uri,
        "state": STATE,
    }
    place = cloud.authority(clean_tenant(entra_tenant_id))
    return f"{place}/v2.0/adminconsent?{urlencode(query, quote_via=quote)}"
