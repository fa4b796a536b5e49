"""Certificates for tests: an authority and what it signs, in PEM."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import trustme
from cryptography.hazmat.primitives import serialization

from streamer.runtime.clock import wall_clock_ms


class CertificateFolder:
    """A certificate authority, and a folder of what it signs; `path` is its own certificate."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder, self._authority = folder, trustme.CA()
        self.path = folder / f"{name}.pem"
        self._authority.cert_pem.write_to_path(str(self.path))

    def issue(self, name: str, host: str = "localhost", expired: bool = False, password: str = "") -> Path:
        """Return the path of a new private key with its certificate: for a host, with a common name."""
        now = datetime.fromtimestamp(wall_clock_ms() / 1000, UTC)
        end = now + timedelta(days=-1 if expired else 1)
        certificate = self._authority.issue_cert(
            host, common_name=name, not_before=end - timedelta(days=2), not_after=end
        )
        path = self._folder / f"{name}.pem"
        chain = b"".join(blob.bytes() for blob in certificate.cert_chain_pems)
        path.write_bytes(_private_pem(certificate, password) + chain)
        return path


def _private_pem(certificate: trustme.LeafCert, password: str) -> bytes:
    """Return the key in PKCS #8, the only form that Kafka reads."""
    key = serialization.load_pem_private_key(certificate.private_key_pem.bytes(), None)
    no_encryption = serialization.NoEncryption()
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(password.encode()) if password else no_encryption,
    )
