"""Settings of [kafka]: the brokers, how to log in there, and the names of topics."""

import os
from functools import cached_property
from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, BaseModel, Field, SecretStr, field_validator, model_validator
from pydantic_core import PydanticCustomError

from streamer.events.adapters import SOURCES
from streamer.events.decoding import DEAD_LETTER_TOPIC, TOPICS
from streamer.events.raw_topics import raw_topic
from streamer.events.topic_names import TopicNames

CONTRACT_TOPICS: Final = (*TOPICS, DEAD_LETTER_TOPIC, *map(raw_topic, SOURCES))
_TOPIC_PATTERN: Final = r"^[A-Za-z0-9._-]*$"
_SASL_PROTOCOLS: Final = ("SASL_PLAINTEXT", "SASL_SSL")
_TLS_PROTOCOLS: Final = ("SSL", "SASL_SSL")
_CLIENT_CREDENTIALS: Final = (
    "sasl_oauth_token_endpoint",
    "sasl_oauth_client_id",
    "sasl_oauth_client_secret",
)


def _check_readable(path: Path) -> Path:
    try:
        os.close(os.open(path, os.O_RDONLY))
    except OSError as error:
        raise ValueError(f"a file that this process may read ({error.strerror})") from None
    return path


ReadableFile = Annotated[Path, AfterValidator(_check_readable)]


class KafkaSettings(BaseModel, extra="forbid"):
    """[kafka]: the brokers, how to log in there, and the names of topics. `kafka = "host:port"` is short for
    `bootstrap_servers` alone."""

    bootstrap_servers: Annotated[str, Field(min_length=1)] = "127.0.0.1:9092"
    """Addresses of brokers, separated by commas. Workers read events there, and write dead letters."""
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    """Protocol of the brokers' listener: with TLS (`SSL`), with a log-in (`SASL`), with both."""
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"] | None = None
    """Mechanism of the log-in. Required with `SASL_PLAINTEXT` and `SASL_SSL`."""
    sasl_username: str = ""
    """User name for PLAIN and SCRAM."""
    sasl_password: SecretStr | None = None
    """Password for PLAIN and SCRAM."""
    sasl_oauth_token_endpoint: str = ""
    """Address that issues tokens for OAUTHBEARER, by the client credentials grant. A new token is fetched
    before one expires."""
    sasl_oauth_client_id: str = ""
    """Client id at the token endpoint."""
    sasl_oauth_client_secret: SecretStr | None = None
    """Client secret at the token endpoint."""
    sasl_oauth_scope: str = ""
    """Scope to ask for, if the token endpoint needs one."""
    sasl_oauth_ca_file: ReadableFile | None = None
    """Certificates of the authorities that sign the token endpoint's certificate, PEM. Not set: those of the
    system."""
    ssl_ca_file: ReadableFile | None = None
    """Certificates of the authorities that sign the brokers' certificates, PEM. Not set: those of the
    system."""
    ssl_cert_file: ReadableFile | None = None
    """Certificate of this client, PEM, with those in between: for brokers that ask for one (mutual TLS)."""
    ssl_key_file: ReadableFile | None = None
    """Private key of this client, PEM. Not set: it is in `ssl_cert_file`."""
    ssl_key_password: SecretStr | None = None
    """Password of an encrypted private key."""
    ssl_check_hostname: bool = True
    """Check that the brokers' certificates are for their host names."""
    topic_prefix: Annotated[str, Field(pattern=_TOPIC_PATTERN, max_length=200)] = ""
    """Prefix of all topics and consumer groups of this center, such as `madrid.`: several centers then share
    a cluster."""
    topics: dict[
        Literal[CONTRACT_TOPICS],  # type: ignore[valid-type]
        Annotated[str, Field(pattern=_TOPIC_PATTERN, min_length=1, max_length=249)],
    ] = {}
    """Names of topics that are called otherwise than the contract has it, without `topic_prefix`:
    `topics.call-completed = "genesys.calls"`."""

    @model_validator(mode="before")
    @classmethod
    def _accept_addresses(cls, values: object) -> object:
        return {"bootstrap_servers": values} if isinstance(values, str) else values

    @field_validator("sasl_oauth_token_endpoint")
    @classmethod
    def _web_address(cls, url: str) -> str:
        if url and not url.startswith(("http://", "https://")):
            raise ValueError("an address that begins with https:// or http://")
        return url

    @model_validator(mode="after")
    def _check_login(self) -> Self:
        """Require what the protocol needs, and refuse what it would ignore: a password that is set and not
        used, or a certificate on an open connection, is a mistake."""
        uses_sasl = self.security_protocol in _SASL_PROTOCOLS
        if uses_sasl and self.sasl_mechanism is None:
            expected = "PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER"
            reason = f"security_protocol is {self.security_protocol}"
            raise _conflict("sasl_mechanism", None, expected, reason)
        if not uses_sasl:
            self._refuse("sasl_", " or ".join(_SASL_PROTOCOLS))
        if self.security_protocol not in _TLS_PROTOCOLS:
            self._refuse("ssl_", " or ".join(_TLS_PROTOCOLS))
        self._require_credentials()
        if self.ssl_key_file is not None and self.ssl_cert_file is None:
            raise _conflict("ssl_cert_file", None, "the certificate of the key", "ssl_key_file is set")
        return self

    def _refuse(self, prefix: str, protocols: str) -> None:
        for name, field in type(self).model_fields.items():
            if name.startswith(prefix) and getattr(self, name) != field.default:
                raise _conflict("security_protocol", self.security_protocol, protocols, f"{name} is set")

    def _require_credentials(self) -> None:
        login = ("sasl_username", "sasl_password")
        uses_oauth = self.sasl_mechanism == "OAUTHBEARER"
        needed, unused = (_CLIENT_CREDENTIALS, login) if uses_oauth else (login, _CLIENT_CREDENTIALS)
        if self.sasl_mechanism is None:
            return
        for name in needed:
            if not getattr(self, name):
                raise _conflict(name, None, "a value", f"sasl_mechanism is {self.sasl_mechanism}")
        for name in unused:
            if getattr(self, name):
                expected = "PLAIN or SCRAM-SHA-256 or SCRAM-SHA-512" if uses_oauth else "OAUTHBEARER"
                raise _conflict("sasl_mechanism", self.sasl_mechanism, expected, f"{name} is set")

    @model_validator(mode="after")
    def _check_distinct_topics(self) -> Self:
        topics_by_name: dict[str, str] = {}
        for topic in CONTRACT_TOPICS:
            name = self.names.on_broker(topic)
            if other := topics_by_name.get(name):
                raise _conflict("topics", name, "a name for each topic", f"{other} and {topic} have this one")
            topics_by_name[name] = topic
        return self

    @cached_property
    def names(self) -> TopicNames:
        """Names of the topics on the brokers."""
        return TopicNames(self.topic_prefix, self.topics)

    def group_id(self, consumer_group: str) -> str:
        """Return the name of a consumer group on the brokers."""
        return f"{self.topic_prefix}{consumer_group}"


def _conflict(name: str, value: str | None, expected: str, reason: str) -> PydanticCustomError:
    """Return the error of a setting that does not fit another one. `value`: None if it is not set."""
    shown = "is not set" if value is None else f"= '{value}'"
    return PydanticCustomError(
        "setting_conflict",
        "{name} {shown}: expected {expected}, since {reason}",
        {"name": name, "shown": shown, "expected": expected, "reason": reason},
    )
