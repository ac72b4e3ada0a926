"""Mail to people about their own account. A sign-in link is the only secret that ever goes by mail."""

import smtplib

from django.conf import settings
from django.core.mail import EmailMessage, get_connection
from django.template.loader import render_to_string

from accounts import branding
from accounts.models import User

TIMEOUT_SECONDS = 10


def send_sign_in_link(user: User, address: str) -> bool:
    """Whether the link went out; False where no mail is set up, or the mail server refused."""
    if not settings.EMAIL_URL:
        return False
    message = sign_in_mail(user, address)
    message.connection = get_connection(timeout=TIMEOUT_SECONDS)
    try:
        return bool(message.send())
    except (smtplib.SMTPException, OSError):
        return False


def sign_in_mail(user: User, address: str) -> EmailMessage:
    """The mail with a sign-in link."""
    text = render_to_string(
        "accounts/sign_in_link.txt",
        {
            "person": user,
            "address": address,
            "portal": branding.current().name,
            "provider": branding.current().provider,
            "days": settings.PASSWORD_RESET_TIMEOUT // 86_400,
        },
    )
    return EmailMessage(subject=f"Your access to {branding.current().name}", body=text, to=[user.email])
