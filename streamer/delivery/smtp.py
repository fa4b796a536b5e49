"""Send mail by SMTP, over TLS, STARTTLS or plain, with or without a log-in."""

import asyncio
import smtplib
import ssl
from collections.abc import Sequence
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from hashlib import sha256
from typing import Final, NamedTuple

import structlog

from streamer.delivery.receiver import DeliveryFailed, DeliverySucceeded
from streamer.settings import MailSettings

ACCEPTED: Final = 250
_log = structlog.get_logger(__name__)


class MailFile(NamedTuple):
    """A file attached to a mail; `media_type` such as "text/csv"."""

    name: str
    media_type: str
    content: bytes


class Mail(NamedTuple):
    """A mail to some addresses. The same `id` makes the same Message-ID, so that a mail that is sent again is
    recognized. `html`: empty for none."""

    id: str
    to: Sequence[str]
    subject: str
    text: str
    html: str = ""
    files: Sequence[MailFile] = ()

    def message(self, sender: str, now_s: float) -> EmailMessage:
        """Return the message as SMTP takes it; `now_s` since the epoch."""
        message = EmailMessage()
        message["From"], message["To"], message["Subject"] = sender, ", ".join(self.to), self.subject
        message["Date"], message["Message-ID"] = formatdate(now_s), _message_id(self.id, sender)
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(self.text)
        if self.html:
            message.add_alternative(self.html, subtype="html")
        for name, media_type, content in self.files:
            kind, _, subtype = media_type.partition("/")
            message.add_attachment(content, kind, subtype, filename=name)
        return message


def _message_id(mail_id: str, sender: str) -> str:
    domain = sender.rpartition("@")[2].strip(" >") or "localhost"
    return f"<{sha256(mail_id.encode()).hexdigest()[:32]}@{domain}>" if mail_id else make_msgid(domain=domain)


class SmtpClient:
    """A client of the mail server in [mail]. Each mail has a connection of its own."""

    def __init__(self, settings: MailSettings) -> None:
        self._settings = settings

    @property
    def timeout_s(self) -> float:
        return self._settings.timeout.total_seconds()

    async def send(self, mail: Mail, now_s: float) -> DeliverySucceeded | DeliveryFailed:
        """Send a mail. It is sent if it was accepted for any of its addresses; those that were refused are
        logged, and not tried again, as the others would get it twice."""
        try:
            message = mail.message(self._settings.from_, now_s)
            await asyncio.to_thread(self._send, message)
        except (smtplib.SMTPException, OSError) as error:
            return _failure(error)
        return DeliverySucceeded(ACCEPTED)

    def _send(self, message: EmailMessage) -> None:
        settings = self._settings
        with self._connect() as connection:
            if settings.security == "starttls":
                connection.starttls(context=self._tls_context())
            if settings.user:
                password = settings.password.get_secret_value() if settings.password else ""
                connection.login(settings.user, password)
            if refused := connection.send_message(message):  # by all: raised as an error
                answers = {address: status for address, (status, _) in refused.items()}
                _log.warning("a mail was not accepted for some of its addresses", answers=answers)

    def _connect(self) -> smtplib.SMTP:
        settings = self._settings
        if settings.security == "tls":
            return smtplib.SMTP_SSL(
                settings.host, settings.port, timeout=self.timeout_s, context=self._tls_context()
            )
        return smtplib.SMTP(settings.host, settings.port, timeout=self.timeout_s)

    def _tls_context(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self._settings.tls_ca_cert_file)


def _failure(error: Exception) -> DeliveryFailed:
    """Return the failure that an error means. A status of 5xx refuses the mail for good, but a refused
    log-in may be set right.

    >>> _failure(smtplib.SMTPDataError(554, b"no spam"))
    DeliveryFailed(reason='answered 554: no spam', wait_s=None, refused=True)
    >>> _failure(ConnectionRefusedError(111, "Connection refused"))
    DeliveryFailed(reason='ConnectionRefusedError: Connection refused', wait_s=None, refused=False)
    """
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        address, (status, answer) = next(iter(error.recipients.items()))
        return DeliveryFailed(f"{address}: answered {status}: {_text(answer)}", refused=status >= 500)
    if isinstance(error, smtplib.SMTPResponseException):
        is_login = isinstance(error, smtplib.SMTPAuthenticationError)
        reason = f"answered {error.smtp_code}: {_text(error.smtp_error)}"
        return DeliveryFailed(
            "the log-in was refused" if is_login else reason, refused=error.smtp_code >= 500 and not is_login
        )
    return DeliveryFailed(f"{type(error).__name__}: {getattr(error, 'strerror', None) or error}")


def _text(detail: bytes | str) -> str:
    text = detail.decode("utf-8", "replace") if isinstance(detail, bytes) else detail
    return " ".join(text.split())[:200]
