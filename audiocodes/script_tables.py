"""What the portal knows of an SBC's command line (facts/audiocodes.md 5.2, 5.3): its tables and its commands.

Hardly any of it is confirmed by the vendor, so what is not listed here may exist all the same. The columns are those
of public ini files.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Known:
    """A table: its name in the ini file, the words that open a row of it, what may be set there."""

    ini: str
    path: str
    """The words before the row's index; the last of them names the table in a placeholder."""
    parameters: tuple[str, ...] = ()
    name: str = ""
    """The column of the ini file by which a row is found; no row can be found where it is empty."""
    inside: str = ""
    """The path of the table in whose rows its own rows stand."""
    complete: bool = False
    """Whether there are no other parameters."""
    area: str = "voip"

    @property
    def word(self) -> str:
        return self.path.rsplit(" ", 1)[-1]


TABLES = (
    Known("TLSContexts", "tls", area="network"),
    Known(
        "SIPInterface", "sip-interface", ("interface-name", "tls-port", "media-realm-name"), "InterfaceName"
    ),
    Known("CpMediaRealm", "realm", ("name", "port-range-start"), "MediaRealmName"),
    Known("ProxySet", "proxy-set", ("proxy-name", "name"), "ProxyName"),
    Known("ProxyIp", "proxy-ip", ("proxy-address",), inside="proxy-set"),
    Known("IpProfile", "ip-profile", ("profile-name",), "ProfileName"),
    Known(
        "IPGroup",
        "ip-group",
        ("name", "proxy-set-name", "tags", "call-setup-rules-set-id", "cac-profile"),
        "Name",
    ),
    Known(
        "Classification",
        "sbc classification",
        ("classification-name", "src-ip-group-name", "dst-host"),
        "ClassificationName",
    ),
    Known("DialPlan", "sbc dial-plan", ("name",), "Name"),
    Known("DialPlanRule", "dial-plan-rule", ("name", "prefix", "tag"), inside="sbc dial-plan", complete=True),
    Known("CallSetupRules", "message call-setup-rules"),
    Known("MessageManipulations", "message message-manipulations"),
    Known("IP2IPRouting", "sbc routing ip2ip-routing", name="RouteName"),
    Known("IPOutboundManipulation", "sbc manipulation ip-outbound-manipulation"),
    Known(
        "Account",
        "sip-definition account",
        ("user-name", "password", "host-name", "contact-user", "served-ip-group-name"),
        "ServedIPGroupName",  # an account has no name of its own: it is found by the IP group that it serves
    ),
)
BY_PATH = {each.path: each for each in TABLES}
BY_WORD = {each.word: each for each in TABLES}
INI = frozenset(each.ini for each in TABLES if not each.inside)
"""The tables to read from a device (audiocodes.inifile.read) before a script is resolved: all in which rows are
found by name, or free ones counted."""

AREAS = ("voip", "network")
"""What `configure` may open; the others hold the device's own accounts and addresses."""
LOOKS = frozenset({"show", "display"})
EXITS = frozenset({"exit", "quit"})
FORBIDDEN = (
    "clear", "copy", "debug", "delete", "erase", "format", "ha", "nslookup", "ping", "reboot", "reload", "reset",
    "restart", "ssh", "telnet", "upgrade", "usb", "write", "write-and-backup",
)  # fmt: skip
SECRET_PARAMETERS = frozenset({"password"})


def forbidden(word: str) -> str:
    """The forbidden command that this word means, also when it is cut short as command lines allow; or nothing."""
    word = word.lower()
    if word in FORBIDDEN:
        return word
    return next((each for each in FORBIDDEN if len(word) >= 2 and each.startswith(word)), "")
