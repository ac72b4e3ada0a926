"""One invitation as a mail: text and HTML, a link of its own, nothing loaded from elsewhere, no tracker."""

from email.mime.image import MIMEImage
from email.utils import formataddr, parseaddr
from pathlib import Path
from urllib.parse import urlsplit

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.template.loader import render_to_string
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe

from accounts import branding
from invitations import services, template
from invitations.models import Invitation, InvitationMail
from invitations.template import Values

LOGO = "logo@ump"
"""The Content-ID of the logo, which lies within the mail: one that is loaded would tell when it is read."""
EXAMPLE = Values("Example Customer", "", "the-secret-of-the-link-stands-here")
ACCENT = "#0b5cad"
"""The product's own, as static/mail.css has it."""


def compose(invitation: Invitation, customer: str, token: str, count: int) -> EmailMultiAlternatives:
    """The mail number `count` of this invitation.

    Its Message-ID is that of invitation and number: should it be sent twice, mail programs show it once.
    """
    stored = services.mail()
    made = message(stored, Values(customer, stored.portal_url, token), invitation.email)
    host = urlsplit(settings.PORTAL_BASE_URL).hostname or "localhost"
    made.extra_headers["Message-ID"] = f"<invitation-{invitation.pk}-{count}@{host}>"
    return made


def message(stored: InvitationMail, values: Values, to: str) -> EmailMultiAlternatives:
    """The mail that these settings make with these values."""
    made = EmailMultiAlternatives(
        subject=template.subject_of(stored.subject, values),
        body=text_of(stored.body, values),
        from_email=_sender(),
        to=[to],
        headers={"Auto-Submitted": "auto-generated"},
    )
    logo = _logo()
    style = format_html("<style>\n{}</style>", _rules())
    picture = f"cid:{LOGO}" if logo else ""
    made.attach_alternative(html_of(stored.body, values, style=style, logo=picture), "text/html")
    if logo:
        made.mixed_subtype = "related"  # type: ignore[attr-defined]  # missing in the stubs
        made.attach(logo)
    return made


def text_of(body: str, values: Values) -> str:
    """The plain part, with the same last line as the other."""
    look = branding.current()
    told = (
        look.name,
        look.support_url,
        look.security_contact and f"Security contact: {look.security_contact}",
    )
    return (
        f"{template.text_of(body, values).strip()}\n\n-- \n" + "\n".join(line for line in told if line) + "\n"
    )


def html_of(body: str, values: Values, *, style: SafeString, logo: str) -> str:
    """`body` in the frame of the provider's mails."""
    inside = mark_safe(template.html_of(body, values))  # noqa: S308  each part was escaped there
    context = {"look": branding.current(), "body": inside, "style": style, "logo": logo}
    return render_to_string("invitations/mail.html", context)


def _sender() -> str:
    """The address of DEFAULT_FROM_EMAIL under the provider's name."""
    return formataddr((branding.current().provider, parseaddr(settings.DEFAULT_FROM_EMAIL)[1]))


def _rules() -> SafeString:
    """static/mail.css with the provider's colour."""
    text = (Path(settings.BASE_DIR) / "static" / "mail.css").read_text()
    return mark_safe(text.replace(ACCENT, branding.current().accent or ACCENT))  # noqa: S308  ours, and a checked colour


def _logo() -> MIMEImage | None:
    brand = branding.stored()
    if not brand.logo:
        return None
    part = MIMEImage(bytes(brand.logo), brand.logo_type.partition("/")[2])
    part.add_header("Content-ID", f"<{LOGO}>")
    part.add_header("Content-Disposition", "inline")
    return part
