"""Connection to Kafka: options for every client, tokens, and the reason why no connection can be made."""

import asyncio
import json
import logging
import os
import socket
import ssl
import time
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote_plus, urlencode

from aiokafka.abc import AbstractTokenProvider
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.conn import collect_hosts, create_conn
from aiokafka.errors import (
    IllegalSaslStateError,
    KafkaConnectionError,
    KafkaError,
    SaslAuthenticationFailed,
    UnsupportedSaslMechanismError,
)
from aiokafka.protocol.metadata import MetadataRequest

from streamer.delivery.http_client import HttpClient, NoResponse
from streamer.settings import KafkaSettings, SettingsError

TOKEN_TIMEOUT_S: Final = 15.0
TOKEN_LIFE_SHARE: Final = 0.8
"""Share of its life after which a token is replaced."""
_MAX_TOKEN_BYTES: Final = 64 * 1024
_PROBE_TIMEOUT_MS: Final = 5_000
_NO_TOPICS: Final[list[str]] = []
_CONNECTION_OPTIONS: Final = (
    "security_protocol",
    "ssl_context",
    "sasl_mechanism",
    "sasl_plain_username",
    "sasl_plain_password",
    "sasl_oauth_token_provider",
)
# Codes of OpenSSL for what is wrong with a certificate (x509_vfy.h).
_NOT_YET_VALID: Final = 9
_EXPIRED: Final = 10
_WRONG_NAMES: Final = (62, 64)
_UNKNOWN_ISSUER: Final = (18, 19, 20, 21)


class KafkaUnavailable(ConnectionError):  # noqa: N818 - it is a state
    """No connection to Kafka: what failed and what it means, then what to do.

    >>> str(KafkaUnavailable("Kafka at kafka-1:9092: connection refused", "start it"))
    'Kafka at kafka-1:9092: connection refused — start it'
    """

    def __init__(self, problem: str, fix: str) -> None:
        super().__init__(f"{problem} — {fix}")
        self.problem, self.fix = problem, fix


class TokenRefused(ConnectionError):  # noqa: N818 - it is an answer
    """The token endpoint issued no token."""


class ClientCredentials(AbstractTokenProvider):  # type: ignore[misc]
    """Token provider by OAuth's client credentials grant (RFC 6749, 4.4). It keeps a token until most of its
    life is over."""

    def __init__(self, kafka: KafkaSettings) -> None:
        self._kafka = kafka
        self._tls = _trusting("sasl_oauth_ca_file", kafka.sasl_oauth_ca_file)
        self._token = ""
        self._renew_at_s = 0.0

    async def token(self) -> str:
        """Return a valid token. Raises TokenRefused."""
        now_s = time.monotonic()
        if now_s >= self._renew_at_s:
            self._token, life_s = await self._fetch()
            self._renew_at_s = now_s + TOKEN_LIFE_SHARE * life_s
        return self._token

    async def _fetch(self) -> tuple[str, float]:
        """Return a new token and its life in seconds."""
        kafka, http_client = self._kafka, HttpClient(self._tls)
        scope = {"scope": kafka.sasl_oauth_scope} if kafka.sasl_oauth_scope else {}
        try:
            async with asyncio.timeout(TOKEN_TIMEOUT_S):
                response = await http_client.request(
                    "POST",
                    kafka.sasl_oauth_token_endpoint,
                    urlencode({"grant_type": "client_credentials", **scope}).encode(),
                    {
                        "authorization": f"Basic {_basic_credentials(kafka)}",
                        "content-type": "application/x-www-form-urlencoded",
                        "accept": "application/json",
                    },
                    _MAX_TOKEN_BYTES,
                )
        except TimeoutError:
            raise TokenRefused(f"no answer in {TOKEN_TIMEOUT_S:.0f} s") from None
        finally:
            await http_client.close()
        if isinstance(response, NoResponse):
            raise TokenRefused(response.reason)
        if not response.is_success:
            raise TokenRefused(f"answered {response.status}")
        return _parse_token(response.body)


def _basic_credentials(kafka: KafkaSettings) -> str:
    assert kafka.sasl_oauth_client_secret is not None
    secret = kafka.sasl_oauth_client_secret.get_secret_value()
    return b64encode(f"{quote_plus(kafka.sasl_oauth_client_id)}:{quote_plus(secret)}".encode()).decode()


def _parse_token(body: bytes) -> tuple[str, float]:
    """Return token and life in seconds of an answer. Without a life the token is used once.

    >>> _parse_token(b'{"access_token": "t", "expires_in": 300}')
    ('t', 300.0)
    """
    try:
        answer = json.loads(body)
        return str(answer["access_token"]), float(answer.get("expires_in", 0))
    except (ValueError, KeyError, TypeError):
        raise TokenRefused("answered without an access_token") from None


def connection_options(kafka: KafkaSettings) -> dict[str, Any]:
    """Return the options that every client of aiokafka connects with. Raises SettingsError for a certificate
    or key that cannot be used."""
    password = kafka.sasl_password
    return {
        "bootstrap_servers": kafka.bootstrap_servers,
        "security_protocol": kafka.security_protocol,
        "ssl_context": tls_context(kafka) if kafka.security_protocol in ("SSL", "SASL_SSL") else None,
        "sasl_mechanism": kafka.sasl_mechanism or "PLAIN",  # not looked at without SASL
        "sasl_plain_username": kafka.sasl_username or None,
        "sasl_plain_password": password.get_secret_value() if password is not None else None,
        "sasl_oauth_token_provider": (
            ClientCredentials(kafka) if kafka.sasl_mechanism == "OAUTHBEARER" else None
        ),
    }


def tls_context(kafka: KafkaSettings) -> ssl.SSLContext:
    """Return the TLS context. Raises SettingsError that names the file."""
    context = _trusting("ssl_ca_file", kafka.ssl_ca_file)
    context.check_hostname = kafka.ssl_check_hostname
    if kafka.ssl_cert_file is not None:
        _load_own_certificate(context, kafka)
    return context


def _trusting(name: str, authorities: Path | None) -> ssl.SSLContext:
    """Return a TLS context that trusts these authorities, or the system's. Raises SettingsError."""
    try:
        return ssl.create_default_context(cafile=authorities)
    except (ssl.SSLError, OSError):
        raise SettingsError(f"kafka.{name} = '{authorities}': expected certificates in PEM") from None


def _load_own_certificate(context: ssl.SSLContext, kafka: KafkaSettings) -> None:
    assert kafka.ssl_cert_file is not None
    key_file = kafka.ssl_key_file or kafka.ssl_cert_file
    password = kafka.ssl_key_password.get_secret_value() if kafka.ssl_key_password is not None else ""
    try:
        # A password in any case: without one OpenSSL asks the terminal.
        context.load_cert_chain(kafka.ssl_cert_file, kafka.ssl_key_file, password)
    except (ssl.SSLError, OSError, ValueError) as error:
        if getattr(error, "reason", None) == "KEY_VALUES_MISMATCH":
            expected = f"the key of the certificate in {kafka.ssl_cert_file}"
        elif "ENCRYPTED" in key_file.read_text(errors="replace"):
            raise SettingsError("kafka.ssl_key_password: expected the password of the key") from None
        else:
            expected = "a certificate and its private key in PEM"
        raise SettingsError(f"kafka.ssl_key_file = '{key_file}': expected {expected}") from None


async def start_client(kafka: KafkaSettings, start: Callable[[], Awaitable[object]]) -> None:
    """Start a client of aiokafka. Raises KafkaUnavailable with the reason if no connection can be made, other
    errors as they are."""
    if kafka.sasl_mechanism == "OAUTHBEARER":  # aiokafka takes a refused token for a log-in
        await require_connection(kafka)
    try:
        with connection_errors_not_logged():
            await start()
    except KafkaConnectionError as error:
        await require_connection(kafka)
        raise KafkaUnavailable(f"Kafka at {kafka.bootstrap_servers}: {error}", "try again") from error


@asynccontextmanager
async def open_admin(kafka: KafkaSettings) -> AsyncIterator[AIOKafkaAdminClient]:
    """Open a client for questions about the cluster. Raises KafkaUnavailable."""
    admin = AIOKafkaAdminClient(**connection_options(kafka))
    try:
        await start_client(kafka, admin.start)
        yield admin
    finally:
        await admin.close()


async def require_connection(kafka: KafkaSettings) -> None:
    """Connect and log in to the first broker that answers, then to each broker of the cluster, as clients do.
    Raises KafkaUnavailable, and SettingsError."""
    options = connection_options(kafka)
    first_error: KafkaUnavailable | None = None
    for host, port, _ in collect_hosts(kafka.bootstrap_servers, randomize=False):
        try:
            brokers = await _list_brokers(host, port, kafka, options)
        except KafkaUnavailable as error:
            first_error = first_error or error
            continue
        for broker_host, broker_port in sorted(brokers - {(host, port)}):
            await _list_brokers(broker_host, broker_port, kafka, options)
        return
    if first_error is not None:
        raise first_error


async def _list_brokers(
    host: str, port: int, kafka: KafkaSettings, options: Mapping[str, Any]
) -> set[tuple[str, int]]:
    """Return the addresses under which the cluster's brokers want to be reached."""
    connection = None
    try:
        with connection_errors_not_logged():
            connection = await create_conn(
                host,
                port,
                client_id="streamer",
                request_timeout_ms=_PROBE_TIMEOUT_MS,
                **{name: options[name] for name in _CONNECTION_OPTIONS},
            )
            metadata = await connection.send(MetadataRequest(_NO_TOPICS))
    except (KafkaError, OSError, TimeoutError) as error:
        problem, fix = explain_connection_error(_root_cause(error), kafka)
        raise KafkaUnavailable(f"Kafka at {host}:{port}: {problem}", fix) from error
    finally:
        if connection is not None:
            connection.close()
    if not metadata.brokers:  # not an answer, but the refusal of a token, which aiokafka does not notice
        problem, fix = _explain_login(SaslAuthenticationFailed(), kafka)
        raise KafkaUnavailable(f"Kafka at {host}:{port}: {problem}", fix)
    return {(broker[1], broker[2]) for broker in metadata.brokers}


def _root_cause(error: BaseException) -> BaseException:
    """Return the error below those that aiokafka wraps around it."""
    while isinstance(error, KafkaConnectionError) and error.__cause__ is not None:
        error = error.__cause__
    return error


def explain_connection_error(error: BaseException, kafka: KafkaSettings) -> tuple[str, str]:
    """Return what failed and what it means, and what to do.

    >>> explain_connection_error(ConnectionRefusedError(111, "Connection refused"), KafkaSettings())
    ('connection refused', 'start it, or set STREAMER_KAFKA')
    """
    explanations: list[tuple[type[BaseException], Callable[[Any, KafkaSettings], tuple[str, str]]]] = [
        (TokenRefused, _explain_token),
        (ssl.SSLCertVerificationError, _explain_certificate),
        (ssl.SSLError, _explain_tls),
        (SaslAuthenticationFailed, _explain_login),
        (UnsupportedSaslMechanismError, _explain_mechanism),
        (IllegalSaslStateError, _explain_no_login),
        (socket.gaierror, _explain_name),
        (TimeoutError, _explain_silence),
    ]
    for error_class, explain in explanations:
        if isinstance(error, error_class):
            return explain(error, kafka)
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno).lower(), "start it, or set STREAMER_KAFKA"
    return (
        f"the broker ended the connection, as it does where {kafka.security_protocol} is not what it expects",
        "set kafka.security_protocol to that of this listener; the broker's log has the reason",
    )


def _explain_token(error: TokenRefused, kafka: KafkaSettings) -> tuple[str, str]:
    return (
        f"no token from {kafka.sasl_oauth_token_endpoint}: {error}",
        "correct kafka.sasl_oauth_token_endpoint, kafka.sasl_oauth_client_id and "
        "kafka.sasl_oauth_client_secret, or set kafka.sasl_oauth_ca_file",
    )


def _explain_certificate(error: ssl.SSLCertVerificationError, kafka: KafkaSettings) -> tuple[str, str]:
    if error.verify_code == _EXPIRED:
        return "the broker's certificate has expired", "renew it on the broker"
    if error.verify_code == _NOT_YET_VALID:
        return "the broker's certificate is not valid yet", "correct the clocks, or the certificate"
    if error.verify_code in _WRONG_NAMES:
        return (
            "the broker's certificate is for another host name",
            "use the name in the certificate, also in advertised.listeners, or issue one for this name",
        )
    authority = kafka.ssl_ca_file or "the system's list"
    if error.verify_code in _UNKNOWN_ISSUER:
        return (
            f"the broker's certificate is signed by an authority that is not in {authority}",
            "set kafka.ssl_ca_file to the authority's certificate; if it is there, somebody else answers",
        )
    return f"the broker's certificate is not trusted ({error.verify_message})", "see the certificate"


def _explain_tls(error: ssl.SSLError, kafka: KafkaSettings) -> tuple[str, str]:
    reason = (error.reason or str(error)).replace("_", " ").lower()
    if "alert" in reason:
        if kafka.ssl_cert_file is None:
            return (
                f"the broker wants a certificate of this client ({reason})",
                "set kafka.ssl_cert_file and kafka.ssl_key_file",
            )
        return (
            f"the broker refuses the certificate in {kafka.ssl_cert_file} ({reason})",
            "renew it if it has expired, and have an authority sign it that the broker trusts",
        )
    return (
        f"no TLS on this port ({reason})",
        "use the port of the TLS listener, or set kafka.security_protocol to that of this one",
    )


def _explain_login(error: KafkaError, kafka: KafkaSettings) -> tuple[str, str]:
    if kafka.sasl_mechanism == "OAUTHBEARER":
        return (
            f"the broker refuses the token of client {kafka.sasl_oauth_client_id}",
            "correct kafka.sasl_oauth_scope, or the broker's expected audience and issuer",
        )
    return (
        f"the broker refuses user name or password of {kafka.sasl_username} ({kafka.sasl_mechanism})",
        "correct kafka.sasl_username and kafka.sasl_password, or add the user for this mechanism",
    )


def _explain_mechanism(error: KafkaError, kafka: KafkaSettings) -> tuple[str, str]:
    return (
        f"this listener does not offer {kafka.sasl_mechanism}",
        "set kafka.sasl_mechanism to one of sasl.enabled.mechanisms of the broker",
    )


def _explain_no_login(error: KafkaError, kafka: KafkaSettings) -> tuple[str, str]:
    plain_protocol = kafka.security_protocol.removeprefix("SASL_")
    return (
        "this listener has no log-in",
        f"use the port of a SASL listener, or set kafka.security_protocol to {plain_protocol}",
    )


def _explain_name(error: OSError, kafka: KafkaSettings) -> tuple[str, str]:
    return "DNS lookup failed", "correct the name, or set STREAMER_KAFKA"


def _explain_silence(error: TimeoutError, kafka: KafkaSettings) -> tuple[str, str]:
    return (
        f"no answer in {_PROBE_TIMEOUT_MS // 1000} s",
        f"start it, or set kafka.security_protocol, now {kafka.security_protocol}, to that of this listener",
    )


@contextmanager
def connection_errors_not_logged() -> Iterator[None]:
    """Suppress the log lines of aiokafka for connections that fail while a client starts: the error that is
    raised says more."""
    loggers = [logging.getLogger(name) for name in ("aiokafka", "aiokafka.conn")]
    for log in loggers:
        log.addFilter(_is_below_warning)
    try:
        yield
    finally:
        for log in loggers:
            log.removeFilter(_is_below_warning)


def _is_below_warning(record: logging.LogRecord) -> bool:
    return record.levelno < logging.WARNING
