"""Mail over SMTP: what arrives at a server, over which connection, and what its refusals mean."""

import ssl
from collections.abc import Iterator
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
import trustme
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, Envelope, Session
from pydantic import SecretStr

from streamer.delivery.receiver import DeliveryFailed, DeliverySucceeded
from streamer.delivery.smtp import Mail, MailFile, SmtpClient
from streamer.settings import MailSettings
from tests.parts.server import free_port

MAIL = Mail(
    "daily 2026-11-20", ["ann@example.com", "bob@example.com"], "Informe diario – 每日报告", "Text: ñ 好",
    "<p>HTML: ñ 好</p>", [MailFile("report.csv", "text/csv", b"key\r\nbilling\r\n")],
)  # fmt: skip
NOW_S = 1_795_255_203.0


class RecordingHandler:
    """Keeps the mail that a server accepts; refuses some addresses and subjects."""

    def __init__(self) -> None:
        self.envelopes: list[tuple[Envelope, bool]] = []

    async def handle_RCPT(  # noqa: N802 - named by the library
        self, server: Any, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address.startswith("nobody@"):
            return "550 no such user"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Session, envelope: Envelope) -> str:  # noqa: N802
        if b"later" in (envelope.original_content or b""):
            return "451 come again"
        self.envelopes.append((envelope, server.transport.get_extra_info("sslcontext") is not None))
        return "250 OK"


AUTHORITY = trustme.CA()


def server_context() -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    AUTHORITY.issue_cert("127.0.0.1").configure_cert(context)
    return context


def authenticate(server: Any, session: Session, envelope: Envelope, mechanism: str, data: Any) -> AuthResult:
    return AuthResult(handled=False, success=data.login == b"streamer" and data.password == b"secret")


class MailServer:
    """A running server and the settings that reach it."""

    def __init__(self, security: str, authorities: Path) -> None:
        self.handler, context = RecordingHandler(), server_context()
        options: dict[str, Any] = {
            "hostname": "127.0.0.1",
            "port": free_port(),
            "authenticator": authenticate,
        }
        if security == "tls":
            options |= {"ssl_context": context, "auth_require_tls": False}
        elif security == "starttls":
            options |= {"tls_context": context, "require_starttls": True, "auth_required": True}
        else:
            options |= {"auth_require_tls": False}
        self.controller = Controller(self.handler, **options)
        self.settings = MailSettings(
            host="127.0.0.1", port=options["port"], security=security, tls_ca_cert_file=authorities,
            user="streamer", password=SecretStr("secret"), from_="floor@example.com", timeout=5,
        )  # type: ignore[arg-type, call-arg]  # fmt: skip


@pytest.fixture(params=["starttls", "tls", "none"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[MailServer]:
    AUTHORITY.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    found = MailServer(request.param, tmp_path / "ca.pem")
    found.controller.start()
    yield found
    found.controller.stop()


async def send(server: MailServer, mail: Mail = MAIL, **changes: Any) -> DeliverySucceeded | DeliveryFailed:
    return await SmtpClient(server.settings.model_copy(update=changes)).send(mail, NOW_S)


async def test_a_mail_arrives_whole_and_again_with_the_same_id(server: MailServer) -> None:
    assert [await send(server), await send(server)] == [DeliverySucceeded(250)] * 2
    first, second = (read(envelope) for envelope, _ in server.handler.envelopes)
    assert (first["subject"], first["from"]) == (MAIL.subject, "floor@example.com")
    text, html = (first.get_body((kind,)) for kind in ("plain", "html"))
    assert text is not None
    assert html is not None
    assert (text.get_content().strip(), html.get_content().strip()) == (MAIL.text, MAIL.html)
    (file,) = first.iter_attachments()
    assert (file.get_filename(), file.get_content()) == ("report.csv", "key\r\nbilling\r\n")
    assert first["message-id"] == second["message-id"]
    assert server.handler.envelopes[0][0].rcpt_tos == [*MAIL.to]
    is_encrypted = server.handler.envelopes[0][1]
    assert is_encrypted == (server.settings.security != "none")


def read(envelope: Envelope) -> EmailMessage:
    message = message_from_bytes(envelope.original_content or b"", policy=policy.default)
    assert isinstance(message, EmailMessage)
    return message


async def test_what_the_server_does_not_take_is_said_and_whether_for_good(server: MailServer) -> None:
    partly = await send(server, MAIL._replace(to=["nobody@example.com", "ann@example.com"]))
    assert (partly, server.handler.envelopes[0][0].rcpt_tos) == (DeliverySucceeded(250), ["ann@example.com"])
    refused = await send(server, MAIL._replace(to=["nobody@example.com"]))
    assert refused == DeliveryFailed("nobody@example.com: answered 550: no such user", refused=True)
    assert await send(server, MAIL._replace(text="later")) == DeliveryFailed("answered 451: come again")
    wrong = await send(server, password=SecretStr("wrong"))
    assert wrong == DeliveryFailed("the log-in was refused")
    assert "wrong" not in str(wrong)
    if server.settings.security != "none":
        distrusted = await send(server, tls_ca_cert_file=None)
        assert isinstance(distrusted, DeliveryFailed)
        assert "certificate verify failed" in distrusted.reason
    assert await send(server, port=free_port()) == DeliveryFailed(
        "ConnectionRefusedError: Connection refused"
    )


async def test_without_starttls_nothing_is_sent_in_clear(server: MailServer) -> None:
    if server.settings.security == "none":
        failed = await send(server, security="starttls")
        assert isinstance(failed, DeliveryFailed)
        assert server.handler.envelopes == []
