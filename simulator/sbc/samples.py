"""The demo's devices: one in order behind a certificate of its own, one with alarms, one that is locked; and OVOC."""

from __future__ import annotations

from simulator.sbc.device import Device
from simulator.sbc.fleet import Fleet

DOMAIN = "customers.provider.example"
_RULES = {
    "TeamsTenants": [
        ("Contoso", "+41589061[000-999]", "zurich.contoso.example"),
        ("Fabrikam", "+4420366669[700-799]", f"fabrikam.{DOMAIN}"),
    ],
    "CustDialPlan": [
        ("Contoso", "+5552000", "zurich.contoso.example"),
        ("Fabrikam", "+44587996[01-20]", f"fabrikam.{DOMAIN}"),
        ("manual", "+44xx[0-4]", "carrier"),
    ],
    "RegisteredUsers": [("Contoso", "5755", "972528545755"), ("Contoso", "+972528545755", "5755")],
    "OCDialPlan": [("Northwind", "+97236549877", "0c0a1f2e-3b4d-4c5e-8f60-718293a4b5c6")],
}


def plant(fleet: Fleet) -> None:
    """Three devices, and an OVOC that knows them and one more that nobody has set up."""
    zurich = fleet.add("sbc1.zurich.provider.example", https=True)
    london = fleet.add("sbc2.london.provider.example")
    geneva = fleet.add("sbc3.geneva.provider.example", https=True, product="Mediant 4000B SBC")
    for plan, rules in _RULES.items():
        zurich.plant(plan, rules)
    london.plant("CustDialPlan", [("Tailspin", "+4420794600[00-49]", f"tailspin.{DOMAIN}")])
    london.alarms = [
        _alarm("1", "Proxy Set Alarm PS_Carrier: connection lost", "Critical", "Board#1/ProxyConnection#2"),
        _alarm("2", "TLS certificate will expire in 20 days", "Minor", "Board#1/CertificateExpiry#0"),
    ]
    geneva.set({"state": "LOCKED", "version": "7.20A.260.012", "old_columns": True})
    geneva.plant("CustDialPlan", [("Litware", "+41225010[000-499]", f"litware.{DOMAIN}")])
    for device in (zurich, london, geneva):
        fleet.ovoc.put(_known_to_ovoc(device))
    fleet.ovoc.put(
        {"name": "sbc4.milan.provider.example", "fqdn": "sbc4.milan.provider.example", "ipAddress": "169.254.4.17",
         "productType": "Mediant VE SBC", "adminState": "UNLOCKED"}
    )  # fmt: skip


def _alarm(number: str, description: str, severity: str, source: str) -> dict[str, str]:
    return {
        "id": number,
        "description": description,
        "severity": severity,
        "source": source,
        "date": "2026-11-20 08:15:00",
    }


def _known_to_ovoc(device: Device) -> dict[str, object]:
    return {
        "name": device.name,
        "fqdn": device.name,
        "ipAddress": f"{device.host}:{device.port}",
        "natIpAddress": "169.254.4.10",
        "productType": device.product,
        "version": device.settings.version,
        "serialNumber": device.serial,
        "httpsEnabled": device.https,
        "adminState": device.settings.state,
        "voiceQualityStatus": "CLEAR",
        "connectionStatus": "CONNECTED",
    }
