"""One invitation as a mail: text and HTML, a link of its own, nothing loaded from elsewhere, no tracker."""

from urllib.parse import urlsplit

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.template.loader import render_to_string

from invitations import services, template
from invitations.models import Invitation


def compose(invitation: Invitation, customer: str, token: str, count: int) -> EmailMultiAlternatives:
    """The mail number `count` of this invitation.

    Its Message-ID is that of invitation and number: should it be sent twice, mail programs show it once.
    """
    stored = services.mail()
    values = template.Values(customer, stored.portal_url, token)
    host = urlsplit(settings.PORTAL_BASE_URL).hostname or "localhost"
    made = EmailMultiAlternatives(
        subject=template.subject_of(stored.subject, values),
        body=text_of(stored.body, values),
        to=[invitation.email],
        headers={
            "Message-ID": f"<invitation-{invitation.pk}-{count}@{host}>",
            "Auto-Submitted": "auto-generated",
        },
    )
    made.attach_alternative(html_of(stored.body, values), "text/html")
    return made


def text_of(body: str, values: template.Values) -> str:
    return template.text_of(body, values)


def html_of(body: str, values: template.Values) -> str:
    """`body` in the frame of the provider's mails."""
    return render_to_string(
        "invitations/mail.html",
        {"provider": settings.PROVIDER_NAME, "body": template.html_of(body, values)},
    )
