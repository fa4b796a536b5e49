"""Here is how vendors show that a webhook is theirs: one scheme for each source, over the raw bytes.

Every scheme takes what was posted and the source's secret, and compares in constant time; what fits is a
Proof, anything else is None and not told apart.
"""

import base64
import hmac
from binascii import hexlify
from collections.abc import Callable, Mapping
from datetime import datetime
from hashlib import sha256
from typing import Final, Literal, NamedTuple
from urllib.parse import parse_qs, urlsplit

import msgspec

from streamer.events.adapters import SOURCES
from streamer.web.posted import form_of, is_form


class Post(NamedTuple):
    """`urls`: how the vendor may have written ours, as a proxy hides some of it; `headers`: by lower-case
    name, those that came once."""

    urls: tuple[str, ...]
    headers: Mapping[str, str]
    body: bytes


class Proof(NamedTuple):
    """When it was signed, and the vendor's own id of what was sent, where the signature holds for them."""

    at_ms: int | None = None
    id: str | None = None


Scheme = Callable[[Post, str], Proof | None]


def _bytes(secret: str) -> bytes:
    return secret.encode()


def whsec(secret: str) -> bytes:
    """A key as Standard Webhooks writes it. Raises ValueError."""
    return base64.b64decode(secret.removeprefix("whsec_"), validate=True)


class Hmac(msgspec.Struct, frozen=True):
    """The header holds the HMAC, `written` as text after a prefix, of what goes `before` (names of headers,
    and points) and the body. Some send several after a change of the secret, with a space between."""

    header: str
    digest: Literal["sha1", "sha256"]
    written: Callable[[bytes], bytes]
    prefix: bytes = b""
    before: tuple[str, ...] = ()
    at: str | None = None
    id: str | None = None
    key: Callable[[str], bytes] = _bytes

    def __call__(self, post: Post, secret: str) -> Proof | None:
        parts = ["." if part == "." else post.headers.get(part) for part in self.before]
        if None in parts:
            return None
        signed = "".join(part or "" for part in parts).encode("latin-1") + post.body
        expected = self.prefix + self.written(hmac.digest(self.key(secret), signed, self.digest))
        given = post.headers.get(self.header, "").encode("latin-1").split()
        if not any(hmac.compare_digest(expected, one) for one in given):
            return None
        at_ms = None if self.at is None else _moment_ms(post.headers[self.at])
        if self.at is not None and at_ms is None:
            return None
        return Proof(at_ms, None if self.id is None else post.headers[self.id])


def _moment_ms(text: str) -> int | None:
    """Epoch seconds, or RFC 3339 with a zone."""
    if text.isascii() and text.isdecimal():
        return int(text) * 1000 if len(text) <= 12 else None
    try:
        moment = datetime.fromisoformat(text)
        return None if moment.tzinfo is None else round(moment.timestamp() * 1000)
    except (ValueError, OverflowError):
        return None


def twilio(post: Post, secret: str) -> Proof | None:
    """The URL is signed, and after it a form's fields; of any other body the digest is in the URL's query."""
    fields = ""
    if is_form(post.headers.get("content-type", "")):
        fields = "".join(name + value for name, value in sorted({*form_of(post.body)}))
    elif not _is_digest(parse_qs(urlsplit(post.urls[0]).query).get("bodySHA256", [""])[-1], post.body):
        return None
    given = post.headers.get("x-twilio-signature", "").encode("latin-1")
    signed = (hmac.digest(secret.encode(), f"{url}{fields}".encode(), "sha1") for url in post.urls)
    fits = any(hmac.compare_digest(base64.b64encode(one), given) for one in signed)
    return Proof() if fits else None


def _is_digest(told: str, body: bytes) -> bool:
    return hmac.compare_digest(told.lower().encode(), sha256(body).hexdigest().encode())


def bearer(post: Post, secret: str) -> Proof | None:
    """The secret itself, of those who do not sign: `Authorization: Bearer …`, or `X-Api-Key: …`."""
    kind, _, token = post.headers.get("authorization", "").partition(" ")
    given = token.strip() if kind.lower() == "bearer" else post.headers.get("x-api-key", "")
    return Proof() if hmac.compare_digest(given.encode("latin-1"), secret.encode()) else None


_SIGNED: Final[Mapping[str, Scheme]] = {
    "twilio": twilio,
    "delighted": Hmac("x-delighted-webhook-signature", "sha256", hexlify, b"sha256="),
    "help-scout": Hmac("x-helpscout-signature", "sha1", base64.b64encode),
    "chatwoot": Hmac(
        "x-chatwoot-signature", "sha256", hexlify, b"sha256=",
        before=("x-chatwoot-timestamp", "."), at="x-chatwoot-timestamp",
    ),
    "zendesk": Hmac(
        "x-zendesk-webhook-signature", "sha256", base64.b64encode,
        before=("x-zendesk-webhook-signature-timestamp",), at="x-zendesk-webhook-signature-timestamp",
    ),
    "formbricks": Hmac(
        "webhook-signature", "sha256", base64.b64encode, b"v1,",
        before=("webhook-id", ".", "webhook-timestamp", "."), at="webhook-timestamp", id="webhook-id",
        key=whsec,
    ),
}  # fmt: skip
SCHEMES: Final[Mapping[str, Scheme]] = {source: _SIGNED.get(source, bearer) for source in SOURCES}
"""By source. Who is not among the signed ones bears the secret."""
