"""Apache Kafka with a listener for each way to log in, and with access control."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.protocol.admin import CreateAclsRequest

from tests.parts.apache_kafka import ApacheKafka, format_folder
from tests.parts.certificates import CertificateFolder
from tests.parts.server import free_port

PASSWORD: Final = "plain-Secret-1"
SUPER_USERS: Final = ("ann", "mutual", "service")
"""Who may do anything. LIMITED may do what an ACL allows."""
LIMITED: Final = ("eve", "mad", "nyc", "tim")
_TOPIC, _GROUP = 2, 3
_LITERAL, _PREFIXED = 3, 4
_DENY, _ALLOW = 2, 3
OPERATIONS: Final = {"All": 2, "Read": 3, "Write": 4, "Create": 5, "Describe": 8, "DescribeConfigs": 10}
_LOGIN = "org.apache.kafka.common.security"


class SecuredKafka(ApacheKafka):
    """Listeners: BROKER (plain text, all may do all), TLS, MUTUAL (asks for a certificate), LOGIN (SASL_SSL),
    OPEN_LOGIN (SASL_PLAINTEXT, where no password goes in clear: SCRAM-SHA-512 alone), TOKEN (OAUTHBEARER over
    TLS), and EXPIRED, FOREIGN, MISNAMED with such certificates."""

    def __init__(self, jwks_url: str, folder: Path) -> None:
        self.authority, self.stranger = (
            CertificateFolder(folder, name) for name in ("authority", "stranger")
        )
        self.ports = {
            name: free_port()
            for name in (
                "TLS", "MUTUAL", "LOGIN", "OPEN_LOGIN", "TOKEN", "EXPIRED", "FOREIGN", "MISNAMED",
            )
        }  # fmt: skip
        self._jwks_url = jwks_url
        self._certificates = {
            "EXPIRED": self.authority.issue("expired", expired=True),
            "FOREIGN": self.stranger.issue("foreign"),
            "MISNAMED": self.authority.issue("misnamed", host="kafka.example"),
        }
        self._certificate = self.authority.issue("broker")
        super().__init__()

    def command(self) -> list[str]:
        java, *arguments = super().command()
        return [java, f"-Dorg.apache.kafka.sasl.oauthbearer.allowed.urls={self._jwks_url}", *arguments]

    def address_of(self, listener: str) -> str:
        return f"localhost:{self.ports[listener]}"

    def secured(self, listener: str, **settings: Any) -> dict[str, Any]:
        """Return [kafka] for a listener."""
        ca = {} if listener == "OPEN_LOGIN" else {"ssl_ca_file": str(self.authority.path)}
        return {"bootstrap_servers": self.address_of(listener), **ca, **settings}

    def login(self, user: str, mechanism: str = "SCRAM-SHA-256", **settings: Any) -> dict[str, Any]:
        """Return [kafka] for a user with the right password."""
        return self.secured(
            "LOGIN",
            security_protocol="SASL_SSL",
            sasl_mechanism=mechanism,
            sasl_username=user,
            sasl_password=PASSWORD,
            **settings,
        )

    async def grant(self, user: str, operation: str, topic: str = "", group: str = "") -> None:
        """Allow a user an operation on a topic or group, or on those that begin so (`madrid.*`)."""
        await self._add_acl(user, operation, topic, group, _ALLOW)

    async def deny(self, user: str, operation: str, topic: str = "", group: str = "") -> None:
        """Forbid what another ACL allows."""
        await self._add_acl(user, operation, topic, group, _DENY)

    async def _add_acl(self, user: str, operation: str, topic: str, group: str, permission: int) -> None:
        name = topic or group
        pattern = _PREFIXED if name.endswith("*") and len(name) > 1 else _LITERAL
        admin = AIOKafkaAdminClient(bootstrap_servers=self.address)
        await admin.start()
        try:
            response = await admin._send_request(
                CreateAclsRequest(
                    _TOPIC if topic else _GROUP,
                    name.removesuffix("*") or "*",
                    pattern,
                    f"User:{user}",
                    "*",
                    OPERATIONS[operation],
                    permission,
                )
            )
            assert response.creation_responses[0][0] == 0, response
        finally:
            await admin.close()

    def properties(self) -> str:
        tls = {"MUTUAL": "SSL", "LOGIN": "SASL_SSL", "OPEN_LOGIN": "SASL_PLAINTEXT", "TOKEN": "SASL_SSL"}
        protocols = {name: tls.get(name, "SSL") for name in self.ports}
        lines = [line for line in super().properties().splitlines() if line]
        text = "\n".join(
            _with_listeners(line, self.ports, protocols) if line.partition("=")[0] in _LISTED else line
            for line in lines
        )
        return "\n".join([text, *self._security_lines(), *self._listener_lines()])

    def _security_lines(self) -> list[str]:
        super_users = ";".join(f"User:{name}" for name in ("ANONYMOUS", *SUPER_USERS))
        return [
            "authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            f"super.users={super_users}",
            "ssl.keystore.type=PEM",
            f"ssl.keystore.location={self._certificate}",
            "ssl.truststore.type=PEM",
            f"ssl.truststore.location={self.authority.path}",
            "ssl.principal.mapping.rules=RULE:^CN=([^,]+).*$/$1/,DEFAULT",
        ]

    def _listener_lines(self) -> list[str]:
        users = " ".join(f'user_{name}="{PASSWORD}"' for name in (SUPER_USERS[0], *LIMITED))
        lines = [
            "listener.name.mutual.ssl.client.auth=required",
            "listener.name.token.sasl.enabled.mechanisms=OAUTHBEARER",
            "listener.name.token.connections.max.reauth.ms=3600000",  # a connection ends with its token
            "listener.name.token.oauthbearer.sasl.jaas.config="
            f"{_LOGIN}.oauthbearer.OAuthBearerLoginModule required;",
            "listener.name.token.oauthbearer.sasl.server.callback.handler.class="
            f"{_LOGIN}.oauthbearer.OAuthBearerValidatorCallbackHandler",
            f"sasl.oauthbearer.jwks.endpoint.url={self._jwks_url}",
            "sasl.oauthbearer.expected.audience=kafka",
            f"sasl.oauthbearer.jwt.validator.class={_LOGIN}.oauthbearer.BrokerJwtValidator",
        ]
        mechanisms = {"login": "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512", "open_login": "SCRAM-SHA-512"}
        for name, offered in mechanisms.items():
            prefix, jaas = f"listener.name.{name}", "sasl.jaas.config"
            lines += [
                f"{prefix}.sasl.enabled.mechanisms={offered}",
                f"{prefix}.plain.{jaas}={_LOGIN}.plain.PlainLoginModule required {users};",
                f"{prefix}.scram-sha-256.{jaas}={_LOGIN}.scram.ScramLoginModule required;",
                f"{prefix}.scram-sha-512.{jaas}={_LOGIN}.scram.ScramLoginModule required;",
            ]
        for name, certificate in self._certificates.items():
            lines += [
                f"listener.name.{name.lower()}.ssl.keystore.type=PEM",
                f"listener.name.{name.lower()}.ssl.keystore.location={certificate}",
            ]
        return lines

    def _format(self) -> None:
        scram = [
            f"--add-scram={mechanism}=[name={user},password={PASSWORD}]"
            for user in (SUPER_USERS[0], *LIMITED)
            for mechanism in ("SCRAM-SHA-256", "SCRAM-SHA-512")
        ]
        format_folder(self._properties, "c2VjdXJlZC1rYWZrYS0wMA", scram)


_LISTED: Final = ("listeners", "advertised.listeners", "listener.security.protocol.map")


def _with_listeners(line: str, ports: Mapping[str, int], protocols: Mapping[str, str]) -> str:
    if line.startswith("listener.security"):
        return ",".join([line, *(f"{name}:{protocol}" for name, protocol in protocols.items())])
    host = "localhost" if line.startswith("advertised") else "127.0.0.1"
    return ",".join([line, *(f"{name}://{host}:{port}" for name, port in ports.items())])
