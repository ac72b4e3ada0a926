"""Handing a mail to the mail server: protected on its way, within a time, and with an answer people understand.

The address of an invitation is in these mails, so nothing here writes a mail, or what a server said, into a log.
"""

import contextlib
import ipaddress
import smtplib
import socket
import ssl
import threading
from collections.abc import Iterator, Sequence

from django.conf import settings
from django.core.mail import EmailMessage, get_connection
from django.core.mail.backends.smtp import EmailBackend

from core.errors import UmpError

STEP_SECONDS = 10
WHOLE_SECONDS = 45.0
"""A server that answers a byte now and then would hold a worker for ever: each step and the whole have an end."""
CUT_AGAIN = 0.05


class Smtp(EmailBackend):
    """Django's, but for TLS: a connection that is not protected carries nothing (facts/security.md 19).

    Excepted are this machine itself (the demo's mailbox), and EMAIL_ALLOW_PLAIN. Raises what smtplib raises.
    """

    def open(self) -> bool | None:
        if not (self.use_tls or self.use_ssl or may_be_plain(self.host)):
            raise smtplib.SMTPNotSupportedError("TLS is required")
        made: bool | None = super().open()
        connected, protected = self.connection, self.use_tls or self.use_ssl
        if connected is not None and protected and not isinstance(connected.sock, ssl.SSLSocket):
            self.connection = None
            connected.close()
            raise smtplib.SMTPNotSupportedError("TLS is required")
        return made

    def send_messages(self, email_messages: Sequence[EmailMessage]) -> int:
        try:
            with self._ends():
                return super().send_messages(email_messages)
        finally:  # Django leaves a connection half open that was refused while it began
            with contextlib.suppress(smtplib.SMTPException, OSError):
                self.close()

    @contextlib.contextmanager
    def _ends(self) -> Iterator[None]:
        over = threading.Event()
        threading.Thread(target=self._cut, args=(over,), daemon=True).start()
        try:
            yield
        finally:
            over.set()

    def _cut(self, over: threading.Event) -> None:
        """Once the time is up, and until it is over: there may be no connection yet that could be cut."""
        rest = WHOLE_SECONDS
        while not over.wait(rest):
            rest = CUT_AGAIN
            half = self.connection or getattr(self, "_partial_connection", None)  # Django names no other way
            if half is not None and half.sock is not None:
                with contextlib.suppress(OSError):
                    half.sock.shutdown(socket.SHUT_RDWR)


def may_be_plain(host: str) -> bool:
    """Whether a mail server may be spoken to without TLS: on this machine, or where somebody said so."""
    if settings.EMAIL_ALLOW_PLAIN or host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def deliver(message: EmailMessage) -> None:
    """Send one mail to one person.

    Raises UmpError: mail_missing, mail_unprotected, mail_sign_in (whoever runs the portal must act),
    mail_address (the address is refused for good), mail_unreachable and mail_refused (worth another try).
    """
    if not settings.EMAIL_URL:
        raise UmpError.of("mail_missing")
    message.connection = get_connection(timeout=STEP_SECONDS)
    try:
        message.send()
    except (smtplib.SMTPException, OSError) as error:
        # `from None`: smtplib's errors carry what the server said, which may repeat lines of the mail.
        raise _translated(error, message.to[0]) from None


def _translated(error: Exception, address: str) -> UmpError:
    detail = {"cause": type(error).__name__, "smtp_code": _code(error)}
    if isinstance(error, smtplib.SMTPNotSupportedError | ssl.SSLError):
        return UmpError.of("mail_unprotected", host=settings.EMAIL_HOST, detail=detail)
    if isinstance(error, smtplib.SMTPAuthenticationError):
        temporary = _code(error) < 500
        return UmpError.of("mail_refused" if temporary else "mail_sign_in", detail=detail)
    if isinstance(error, smtplib.SMTPRecipientsRefused) and _code(error) >= 500:
        return UmpError.of("mail_address", thing=address, detail=detail)
    if isinstance(error, smtplib.SMTPResponseException | smtplib.SMTPRecipientsRefused):
        return UmpError.of("mail_refused", detail=detail)
    return UmpError.of("mail_unreachable", host=settings.EMAIL_HOST, detail=detail)


def _code(error: Exception) -> int:
    """The SMTP reply code, 0 where there was no reply."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return next((int(code) for code, _ in error.recipients.values()), 0)
    return int(error.smtp_code) if isinstance(error, smtplib.SMTPResponseException) else 0
