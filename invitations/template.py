"""What an invitation says: text of the provider with three placeholders, filled once, and no template language.

One expression, one pass: what a placeholder brings in is never read again (facts/security.md 5.11).
"""

import dataclasses
import re
import unicodedata
from collections.abc import Callable

from django.utils.html import escape

from core.errors import InvalidInput

CUSTOMER, PORTAL, INVITATION = "CustomerId", "CustomerAuthenticationPortalUrl", "InvitationId"
LINK = f"{{{{{PORTAL}}}}}/{{{{{INVITATION}}}}}"
_PART = re.compile(
    rf"\{{\{{(?P<name>{CUSTOMER}|{PORTAL}|{INVITATION})\}}\}}(?P<link>(?<={PORTAL}\}}\}})/\{{\{{{INVITATION}\}}\}})?"
    r"|(?P<url>https://[^\s<>{}\"]{1,300}[^\s<>{}\".,;:!?)])"
)
_BRACES = re.compile(r"\{\{[^{}\n]{0,60}(?:\}\})?|\}\}")
SUBJECT_MOST, BODY_MOST = 200, 20_000
"""Characters; the columns are as wide."""


@dataclasses.dataclass(frozen=True)
class Values:
    """What the placeholders stand for in one mail. `invitation` is the secret of the link."""

    customer: str
    portal: str
    invitation: str

    def of(self, name: str) -> str:
        return {CUSTOMER: _plain(self.customer), PORTAL: self.portal, INVITATION: self.invitation}[name]

    @property
    def link(self) -> str:
        return f"{self.portal}/{self.invitation}"


def default_subject(provider: str) -> str:
    """INV-07."""
    return f"Welcome, {{{{{CUSTOMER}}}}}: connect Microsoft Teams with {_quoted(provider)}"[:SUBJECT_MOST]


def default_body(provider: str) -> str:
    """INV-08, with the roles of decision 5 (decision 26)."""
    return _DEFAULT.replace("[provider]", _quoted(provider)).replace("[link]", LINK)


_DEFAULT = """Hello,

welcome to [provider]. We are setting up telephony in Microsoft Teams for {{CustomerId}}, and for that we need \
access to your Microsoft 365 organisation. You get this mail because you administer it.

Please open this link, which is for you alone, and follow the steps. It takes about five minutes.

[link]

The page first tells you what is asked for and why. Nothing happens until you sign in at Microsoft and agree there.

Which account you need

- To agree for the whole organisation, sign in as a Global Administrator.
- For daily work, the account that stays connected needs the role Teams Administrator; or, instead of it, both \
Teams Telephony Administrator and Skype for Business Administrator.
- While the service is being set up it also needs Application Administrator, if we are to create the app \
registration, and Domain Name Administrator and User Administrator, if we are to set up the domain names. You can \
take these roles away again afterwards.

Your password

You enter it at Microsoft only. We do not see it, and we do not save it.

If you change your mind

You can withdraw the access at any time: in the Microsoft Entra admin center open Enterprise applications, choose \
our app and delete it. From that moment we can neither read nor change anything in your organisation. What was set \
up until then stays as it is, but new users and changes no longer reach us.

Kind regards
The support team of [provider]

This mail is confidential and meant for its addressee only. If you received it by mistake, please delete it and \
tell us.
"""


def check(subject: str, body: str) -> None:
    """Raises InvalidInput naming `subject` or `body`: an unknown placeholder, a line break, too long, no link."""
    if not subject.strip():
        raise InvalidInput(field="subject", why="it is empty")
    if any(unicodedata.category(letter) in {"Cc", "Zl", "Zp"} for letter in subject):
        raise InvalidInput(field="subject", why="a subject is one line, without control characters")
    for field, text, most in (("subject", subject, SUBJECT_MOST), ("body", body, BODY_MOST)):
        if len(text) > most:
            raise InvalidInput(field=field, why=f"it is longer than {most:,} characters")
        if "\0" in text:
            raise InvalidInput(field=field, why="it contains a character that no mail may contain")
        strange = _BRACES.search(_PART.sub("", text))
        if strange:
            raise InvalidInput(
                field=field,
                why=f"{strange.group()} is no placeholder; there are {{{{{CUSTOMER}}}}}, {{{{{PORTAL}}}}} and "
                f"{{{{{INVITATION}}}}}",
            )
    if LINK not in body:
        raise InvalidInput(field="body", why=f"it must contain the link {LINK}")


def subject_of(text: str, values: Values) -> str:
    """One line, whatever the values are."""
    return _plain(_fill(text, values, lambda found, _: found))


def text_of(text: str, values: Values) -> str:
    return _fill(text, values, lambda found, _: found)


def html_of(text: str, values: Values) -> str:
    """Paragraphs and lines as typed. Only what the provider wrote becomes a link, not a name that looks like one."""
    filled = _fill(text.strip(), values, _as_html, escape)
    blocks = [block.strip("\n") for block in re.split(r"\n\s*\n", filled.replace("\r\n", "\n"))]
    return "\n".join(_block(block) for block in blocks if block.strip())


def _block(block: str) -> str:
    lines = block.split("\n")
    if all(line.startswith("- ") for line in lines):
        return "<ul>" + "".join(f"<li>{line[2:]}</li>" for line in lines) + "</ul>"
    return "<p>" + "<br>\n".join(lines) + "</p>"


def _as_html(found: str, link: bool) -> str:
    safe = escape(found)
    return f'<a href="{safe}">{safe}</a>' if link else safe


def _fill(
    text: str,
    values: Values,
    show: Callable[[str, bool], str],
    between: Callable[[str], str] = str,
) -> str:
    """The text with each placeholder and address through `show(value, is a link)`, and the rest through `between`."""
    parts, last = [], 0
    for match in _PART.finditer(text):
        parts.append(between(text[last : match.start()]))
        if match["url"]:
            parts.append(show(match["url"], True))
        elif match["link"]:
            parts.append(show(values.link, True))
        else:
            parts.append(show(values.of(match["name"]), match["name"] == PORTAL))
        last = match.end()
    return "".join([*parts, between(text[last:])])


def _quoted(name: str) -> str:
    """A name inside a text with placeholders cannot make one."""
    return _plain(name).replace("{{", "").replace("}}", "")


def _plain(value: str) -> str:
    """One line without control characters and marks that turn the direction of reading."""
    kept = "".join(" " if letter.isspace() else letter for letter in value)
    return "".join(letter for letter in kept if unicodedata.category(letter) not in {"Cc", "Cf", "Zl", "Zp"})
