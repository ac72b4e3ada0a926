"""Templates to begin with, in pairs, for the three configurations of a site (facts/audiocodes.md 5.2 to 5.5).

They make the customer's leg only. What Teams is reached by (its IP group, the classification of its calls, dial plans
and call setup rules) is there once for all customers, and numbers are written by their own commands. Names are of the
site's key alone: customers and sites are renamed, and the clean-up must still find exactly what the onboarding made.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from audiocodes.script import KNOWN, Kind, Variable
from sites.models import Purpose

_PROXY_SET = """  proxy-set {{new:proxy-set}}
    proxy-name "PS_{{SiteKey}}"
    activate
    proxy-ip 0
      proxy-address "%s"
      activate
    exit
  exit
"""
_GROUP = """  ip-group {{new:ip-group}}
    name "IPG_{{SiteKey}}"
    proxy-set-name "%s"
    ! Calls to Teams and from it are told apart by the gateway's FQDN: the tag of the site's dial plan rules.
    tags "{{OnlinePstnGateway}}"
    cac-profile "{{CacProfile}}"
    activate
  exit
"""
_CLASSIFICATION = """  sbc classification {{new:classification}}
    classification-name "CL_{{SiteKey}}"
    src-ip-group-name "IPG_{{SiteKey}}"
    activate
  exit
"""
_ACCOUNT = """  sip-definition account {{new:account}}
    served-ip-group-name "IPG_{{SiteKey}}"
    host-name "{{CarrierHostName}}"
    contact-user "{{CarrierMainLine}}"
    user-name "{{CarrierUserName}}"
    password "{{CarrierUserPassword}}"
    activate
  exit
"""
_NO_ACCOUNT = '  no sip-definition account "{{row:account:IPG_<SiteKey>}}"\n'
_NO_CLASSIFICATION = '  no sbc classification "{{row:classification:CL_<SiteKey>}}"\n'
_NO_GROUP = '  no ip-group "{{row:ip-group:IPG_<SiteKey>}}"\n'
_NO_PROXY_SET = '  no proxy-set "{{row:proxy-set:PS_<SiteKey>}}"\n'


@dataclass(frozen=True, slots=True)
class Default:
    """A pair: the clean-up has the same name with "clean-up" behind it, and no variables of its own."""

    name: str
    description: str
    script: str
    cleanup: str
    variables: tuple[Variable, ...]


def _script(*parts: str) -> str:
    return "configure voip\n" + "".join(parts) + "exit\n"


_CAC = dataclasses.replace(KNOWN["CacProfile"], required=False)
_OWN = "PS_{{SiteKey}}"

DEFAULTS = (
    Default(
        "SIP trunk",
        "A carrier's trunk with a proxy set of its own, and an IP group behind the derived trunk.",
        _script(_PROXY_SET % "{{CarrierHostName}}", _GROUP % _OWN, _CLASSIFICATION),
        _script(_NO_CLASSIFICATION, _NO_GROUP, _NO_PROXY_SET),
        (KNOWN["CarrierHostName"], _CAC),
    ),
    Default(
        "SIP trunk, shared proxy set",
        "An IP group on a proxy set that is on the SBC already and that several customers use.",
        _script(_GROUP % "{{ProxySet}}", _CLASSIFICATION),
        _script(_NO_CLASSIFICATION, _NO_GROUP),
        (KNOWN["ProxySet"], _CAC),
    ),
    Default(
        "IP-PBX",
        "The customer's own telephone system, reached directly.",
        _script(_PROXY_SET % "{{CustomVar.Variable1}}", _GROUP % _OWN, _CLASSIFICATION),
        _script(_NO_CLASSIFICATION, _NO_GROUP, _NO_PROXY_SET),
        (
            Variable(
                "CustomVar.Variable1",
                Kind.ADDRESS,
                "Address of the IP-PBX",
                help="As the SBC reaches it, with its SIP port: pbx.contoso.com:5060.",
            ),
            _CAC,
        ),
    ),
    Default(
        "BYOC with registration",
        "A carrier of the customer's choice, at which the SBC registers with an account.",
        _script(_PROXY_SET % "{{CarrierHostName}}", _GROUP % _OWN, _CLASSIFICATION, _ACCOUNT),
        _script(_NO_ACCOUNT, _NO_CLASSIFICATION, _NO_GROUP, _NO_PROXY_SET),
        (
            KNOWN["CarrierHostName"],
            KNOWN["CarrierMainLine"],
            KNOWN["CarrierUserName"],
            KNOWN["CarrierUserPassword"],
            _CAC,
        ),
    ),
)


def cleanup_name(name: str) -> str:
    return f"{name}, clean-up"


def wishes() -> list[tuple[Purpose, str, str, str, tuple[Variable, ...]]]:
    """(purpose, name, description, script, variables) of each, a clean-up before the onboarding it belongs to."""
    return [
        wish
        for each in DEFAULTS
        for wish in (
            (
                Purpose.CLEANUP,
                cleanup_name(each.name),
                f"Takes away what {each.name} made.",
                each.cleanup,
                (),
            ),
            (Purpose.ONBOARDING, each.name, each.description, each.script, each.variables),
        )
    ]
