"""Signed cookies of devices on which a user has logged in before.

Who tries passwords from elsewhere must not be able to lock a user out on their own device. The key of the
signature follows from the user's password hash: a new password makes all devices unknown again.
"""

import hmac
import secrets
from hashlib import sha256
from typing import Final

from streamer.events.counting_rules import DAY
from streamer.runtime.clock import Clock

_ID_BYTES: Final = 16
_LIFETIME_MS: Final = 365 * DAY


class KnownDevices:
    """Issue and recognize the cookies.

    >>> devices = KnownDevices({"ana": "$argon2id$one", "eve": "$argon2id$other"}, lambda: 1_795_255_203_000)
    >>> cookie = devices.issue("ana")
    >>> devices.device_id("ana", cookie) == devices.device_id("ana", devices.issue("ana", cookie)) != None
    True
    >>> [devices.device_id(name, cookie) for name in ("eve", "bob")], devices.device_id("ana", "forged")
    ([None, None], None)
    """

    def __init__(self, password_hashes: dict[str, str], clock: Clock) -> None:
        self._keys = {
            name: sha256(f"device of {hashed}".encode()) for name, hashed in password_hashes.items()
        }
        self._clock = clock

    def issue(self, name: str, previous_cookie: str = "") -> str:
        """Return a cookie of a user who has just logged in. A device that is known keeps its id."""
        device_id = self.device_id(name, previous_cookie) or secrets.token_hex(_ID_BYTES)
        return self._sign(name, f"{device_id}.{self._clock()}")

    def device_id(self, name: str, cookie: str) -> str | None:
        """Return the id of a device that this user has logged in on within a year; None for any other."""
        device_id, _, rest = cookie.partition(".")
        issued_text = rest.partition(".")[0]
        if name not in self._keys or not (issued_text.isascii() and issued_text.isdecimal()):
            return None
        if not hmac.compare_digest(self._sign(name, f"{device_id}.{issued_text}").encode(), cookie.encode()):
            return None
        return device_id if self._clock() - int(issued_text) < _LIFETIME_MS else None

    def _sign(self, name: str, content: str) -> str:
        signature = hmac.digest(self._keys[name].digest(), f"{name}\n{content}".encode(), "sha256")
        return f"{content}.{signature.hex()}"


def device_cookie(name: str) -> str:
    """Return the name of the cookie for a user: people who share a device have one each.

    >>> device_cookie("ana")
    'streamer_device_24d4b96f58da6d4a'
    """
    return f"streamer_device_{sha256(name.encode()).hexdigest()[:16]}"
