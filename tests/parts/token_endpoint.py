"""Token endpoint of an identity provider: OAuth's client credentials grant, and JSON web tokens."""

import json
import ssl
import threading
from base64 import b64decode, urlsafe_b64encode
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from streamer.runtime.clock import wall_clock_ms

CLIENT_ID: Final = "service"
CLIENT_SECRET: Final = "oauth-Secret-2/="
KAFKA_SCOPE: Final = "kafka"
"""The scope that the audience of the tokens follows from."""


class TokenEndpoint:
    """Issues tokens to CLIENT_ID, of `life_s` seconds each; `requests` holds the forms that were posted.
    With a certificate (and key) it is reached over TLS."""

    def __init__(self, folder: Path, certificate: Path | None = None) -> None:
        self.life_s = 300
        self._scheme = "http" if certificate is None else "https"
        self.requests: list[dict[str, list[str]]] = []
        self._key = rsa.generate_private_key(65537, 2048)
        keys = folder / "jwks.json"
        keys.write_text(json.dumps({"keys": [self._public_key()]}))
        self.jwks_url = keys.as_uri()
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                form = parse_qs(self.rfile.read(int(self.headers["content-length"])).decode())
                status, body = endpoint.answer(self.headers["authorization"], form)
                self.send_response(status)
                self.end_headers()
                self.wfile.write(json.dumps(body).encode())

            def log_message(self, *_: object) -> None:
                """Do nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        if certificate is not None:
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            context.load_cert_chain(certificate)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"{self._scheme}://localhost:{self._server.server_port}/token"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, authorization: str, form: dict[str, list[str]]) -> tuple[int, dict[str, Any]]:
        self.requests.append(form)
        expected = f"{CLIENT_ID}:oauth-Secret-2%2F%3D"
        if b64decode(authorization.removeprefix("Basic ")).decode() != expected:
            return 401, {"error": "invalid_client"}
        audience = form.get("scope", ["nothing"])[0]
        return 200, {"access_token": self._token(audience), "expires_in": self.life_s}

    def _token(self, audience: str) -> str:
        now_s = wall_clock_ms() // 1000
        claims = {
            "sub": CLIENT_ID,
            "aud": audience,
            "iat": now_s,
            "exp": now_s + self.life_s,
            "scope": audience,
        }
        text = f"{_encoded({'alg': 'RS256', 'typ': 'JWT', 'kid': 'k1'})}.{_encoded(claims)}"
        signature = self._key.sign(text.encode(), padding.PKCS1v15(), hashes.SHA256())
        return f"{text}.{_base64url(signature)}"

    def _public_key(self) -> dict[str, str]:
        numbers = self._key.public_key().public_numbers()
        modulus, exponent = (
            _base64url(number.to_bytes((number.bit_length() + 7) // 8)) for number in (numbers.n, numbers.e)
        )
        return {"kty": "RSA", "alg": "RS256", "use": "sig", "kid": "k1", "n": modulus, "e": exponent}


def _encoded(part: dict[str, Any]) -> str:
    return _base64url(json.dumps(part).encode())


def _base64url(content: bytes) -> str:
    return urlsafe_b64encode(content).rstrip(b"=").decode()
