"""The cmdlets of Teams that the portal uses, and nothing else (facts/microsoft.md 10.2).

All of them work with an app registration's own access; what does not (`New-CsOnlineApplicationInstance`) is not here.
"""

from __future__ import annotations

from collections.abc import Mapping

from m365.powershell.calls import Call, Table, Value
from m365.voice import DialPlan, Gateway, Noun, Policy, Route, Rule, Usage

_GLOBAL = "Global"
"""There is one list of PSTN usages."""

READS: Mapping[str, Call] = {
    "gateways": Call(
        "Get-CsOnlinePSTNGateway",
        fields=(
            "Identity",
            "SipSignalingPort",
            "Enabled",
            "ForwardPai",
            "MediaBypass",
            "MaxConcurrentSessions",
        ),
    ),
    "usages": Call("Get-CsOnlinePstnUsage", (("Identity", _GLOBAL),), ("Identity", "Usage")),
    "routes": Call(
        "Get-CsOnlineVoiceRoute",
        fields=("Identity", "NumberPattern", "OnlinePstnGatewayList", "OnlinePstnUsages"),
    ),
    "policies": Call("Get-CsOnlineVoiceRoutingPolicy", fields=("Identity", "OnlinePstnUsages")),
    "dial_plans": Call("Get-CsTenantDialPlan", fields=("Identity", "NormalizationRules")),
}
"""What reads a customer's voice routing; `m365.voice.observed` understands the rows."""


def create(noun: Noun) -> Call:
    if isinstance(noun, Gateway):
        return Call("New-CsOnlinePSTNGateway", (("Fqdn", noun.name), *_gateway(noun)))
    if isinstance(noun, Usage):
        return _usage("Add", noun)
    if isinstance(noun, Route):
        parameters = (
            ("Identity", noun.name),
            ("NumberPattern", noun.pattern),
            ("OnlinePstnGatewayList", Table((("Add", noun.gateways),))),
            ("OnlinePstnUsages", Table((("Add", noun.usages),))),
        )
        return Call("New-CsOnlineVoiceRoute", parameters)
    if isinstance(noun, Policy):
        return Call(
            "New-CsOnlineVoiceRoutingPolicy", (("Identity", noun.name), ("OnlinePstnUsages", noun.usages))
        )
    return Call(
        "New-CsTenantDialPlan",
        (("Identity", noun.name), ("NormalizationRules", Table((("Add", _rules(noun)),)))),
    )


def change(noun: Noun) -> Call:
    """Makes the thing of this name so. Raises ValueError for a PSTN usage, which is nothing but its name."""
    if isinstance(noun, Gateway):
        return Call("Set-CsOnlinePSTNGateway", (("Identity", noun.name), *_gateway(noun)))
    if isinstance(noun, Route):
        parameters = (
            ("Identity", noun.name),
            ("NumberPattern", noun.pattern),
            ("OnlinePstnGatewayList", Table((("Replace", noun.gateways),))),
            ("OnlinePstnUsages", Table((("Replace", noun.usages),))),
        )
        return Call("Set-CsOnlineVoiceRoute", parameters)
    if isinstance(noun, Policy):
        # Replace puts the usages into this order; Add and Remove would keep the old one.
        usages = Table((("Replace", noun.usages),))
        return Call("Set-CsOnlineVoiceRoutingPolicy", (("Identity", noun.name), ("OnlinePstnUsages", usages)))
    if isinstance(noun, DialPlan):
        # A list takes the place of all rules: Microsoft's own examples of Set-CsTenantDialPlan do it so.
        return Call("Set-CsTenantDialPlan", (("Identity", noun.name), ("NormalizationRules", _rules(noun))))
    raise ValueError("a PSTN usage cannot be changed")


def remove(noun: Noun) -> Call:
    if isinstance(noun, Usage):
        return _usage("Remove", noun)
    cmdlet = {
        Gateway: "Remove-CsOnlinePSTNGateway",
        Route: "Remove-CsOnlineVoiceRoute",
        Policy: "Remove-CsOnlineVoiceRoutingPolicy",
        DialPlan: "Remove-CsTenantDialPlan",
    }[type(noun)]
    return Call(cmdlet, (("Identity", noun.name),))


def users_with(noun: Policy | DialPlan, most: int = 1000) -> Call:
    """Who has this policy or dial plan; a filter is text in a language of its own, with quotes doubled.

    That Teams filters by these two is not confirmed: whoever asks must be ready for a refusal.
    """
    attribute = "OnlineVoiceRoutingPolicy" if isinstance(noun, Policy) else "TenantDialPlan"
    name = noun.name.replace("'", "''")
    parameters: tuple[tuple[str, Value], ...] = (
        ("Filter", f"{attribute} -eq '{name}'"),
        ("ResultSize", most),
    )
    return Call("Get-CsOnlineUser", parameters, ("Identity", "UserPrincipalName"))


def _usage(verb: str, noun: Usage) -> Call:
    return Call("Set-CsOnlinePstnUsage", (("Identity", _GLOBAL), ("Usage", Table(((verb, noun.name),)))))


def _gateway(noun: Gateway) -> tuple[tuple[str, Value], ...]:
    parameters: tuple[tuple[str, Value], ...] = (
        ("SipSignalingPort", noun.port),
        ("Enabled", noun.enabled),
        ("ForwardPai", noun.forward_pai),
        ("MediaBypass", noun.media_bypass),
    )
    return (
        parameters
        if noun.max_sessions is None
        else (*parameters, ("MaxConcurrentSessions", noun.max_sessions))
    )


def _rules(noun: DialPlan) -> tuple[Call, ...]:
    return tuple(_rule(rule) for rule in noun.rules)


def _rule(rule: Rule) -> Call:
    parameters: tuple[tuple[str, Value], ...] = (
        ("Parent", _GLOBAL),  # says where a rule would be kept; in memory it is kept nowhere
        ("Name", rule.name),
        ("Pattern", rule.pattern),
        ("Translation", rule.translation),
        ("IsInternalExtension", rule.internal_extension),
        ("InMemory", True),
    )
    return Call("New-CsVoiceNormalizationRule", parameters)
