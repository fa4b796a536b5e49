"""Redis over TLS alone, with an ACL user of the rights that docs/security.md lists."""

import re
from pathlib import Path
from typing import Final
from urllib.parse import urlencode

import trustme

from tests.parts.redis_server import RedisServer

HOST: Final = "127.0.0.1"
USER: Final = "streamer"
_SECURITY: Final = Path(__file__).parents[2] / "docs" / "security.md"


def documented_rights(center: str) -> list[str]:
    """Return the rights of the ACL user in docs/security.md, for a center."""
    match = re.search(r"\nACL SETUSER streamer on >\S+ (.*?)```", _SECURITY.read_text(), re.DOTALL)
    assert match is not None
    return match[1].replace("{default", f"{{{center}").split()


class TlsRedis(RedisServer):
    """Redis that speaks TLS alone and asks for a client certificate."""

    def __init__(self, center: str) -> None:
        super().__init__()
        self.center = center
        self.authority = trustme.CA()
        self.file("ca.pem").write_bytes(self.authority.cert_pem.bytes())
        self.certify("server", HOST)
        self.certify("client", "streamer.example")

    def file(self, name: str) -> Path:
        return self.folder / name

    def certify(self, name: str, host: str, authority: trustme.CA | None = None) -> None:
        """Write a certificate with its key as NAME.pem."""
        certificate = (authority or self.authority).issue_cert(host)
        self.file(f"{name}.pem").write_bytes(certificate.private_key_and_cert_chain_pem.bytes())

    def stdin(self) -> str:
        rights = " ".join(documented_rights(self.center))
        plain = super().stdin().replace(f"port {self.port}\n", f"port 0\ntls-port {self.port}\n", 1)
        return (
            f"{plain}tls-ca-cert-file {self.file('ca.pem')}\ntls-cert-file {self.file('server.pem')}\n"
            f"tls-key-file {self.file('server.pem')}\ntls-auth-clients yes\n"
            f"user {USER} on >{self.password} {rights}\n"
        )

    @property
    def url(self) -> str:
        """The administrator's."""
        return f"rediss://:{self.password}@{self.address}/0?{self._options}"

    @property
    def user_url(self) -> str:
        return f"rediss://{USER}:{self.password}@{self.address}/0?{self._options}"

    @property
    def _options(self) -> str:
        client = self.file("client.pem")
        return urlencode({"ssl_ca_certs": self.file("ca.pem"), "ssl_certfile": client, "ssl_keyfile": client})
