"""Here is the veil over customers: a keyed hash stands for whoever an event is about.

A pseudonym is `~KEY~` and 96 bits of HMAC-SHA-256 in 16 characters. What protects the customer is the
key: without it nobody can try out ids, however few bits are shown. 96 bits are there so that two
customers never share one: among a hundred million, the odds are one in 10¹³.
"""

import hmac
import re
from base64 import urlsafe_b64encode
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Final

MARK: Final = "~"
KEY_ID: Final = r"[A-Za-z0-9]{1,16}"
_BYTES: Final = 12
_PSEUDONYM: Final = re.compile(rf"{MARK}({KEY_ID}){MARK}[A-Za-z0-9_-]{{16}}")


class Veil:
    """`keys` are secrets by their id, `key` the id of the one in force; without one, nothing is hidden.

    `forgotten` are pseudonyms that were erased, and when (ms): what comes later is somebody else's, now
    and in every rebuild. Whoever holds the veil keeps it up to date.
    """

    def __init__(self, keys: Mapping[str, bytes], key: str) -> None:
        assert not keys or key in keys
        self.key = key
        self.forgotten: Mapping[str, int] = {}
        self._keys = dict(keys)

    def customer(self, customer_id: str, at_ms: int) -> str:
        """Who stands in the records of that time for this customer; a pseudonym stands for itself."""
        if not self._keys:
            return customer_id
        own = self.hides(customer_id)
        name = customer_id if own else _hidden(self._keys[self.key], self.key, customer_id)
        if name in self.forgotten or (self.forgotten and len(self._keys) > 1):
            for since in self._forgettings(customer_id):
                name = name if at_ms <= since else self._again(name, since)
        return name

    def names(self, customer_id: str) -> list[list[str]]:
        """All pseudonyms there are for a customer: of each key, that of today last."""
        times = self._forgettings(customer_id)
        return [list(self._lives(name, times)) for name in self._first(customer_id)]

    def hides(self, customer_id: str) -> bool:
        """Whether this is a pseudonym already."""
        if not customer_id.startswith(MARK):
            return False
        found = _PSEUDONYM.fullmatch(customer_id)
        return found is not None and found[1] in self._keys

    def _first(self, customer_id: str) -> list[str]:
        if self.hides(customer_id):
            return [customer_id]
        return [_hidden(secret, key, customer_id) for key, secret in self._keys.items()]

    def _forgettings(self, customer_id: str) -> list[int]:
        """When this customer was forgotten, whatever key was in force at the time."""
        times = set()
        for name in self._first(customer_id):
            while (since := self.forgotten.get(name)) is not None:
                times.add(since)
                name = self._again(name, since)
        return sorted(times)

    def _lives(self, name: str, times: list[int]) -> Iterator[str]:
        yield name
        for since in times:
            name = self._again(name, since)
            yield name

    def _again(self, name: str, since: int) -> str:
        """The next pseudonym of a forgotten customer. An id holds no control character."""
        key = key_of(name)
        return _hidden(self._keys[key], key, f"{name}\x1f{since}")


def key_of(pseudonym: str) -> str:
    """The id of the key that it was made with; "" where it is none."""
    found = _PSEUDONYM.fullmatch(pseudonym)
    return found[1] if found is not None else ""


@lru_cache(maxsize=16_384)  # one contact brings several events
def _hidden(secret: bytes, key: str, text: str) -> str:
    digest = hmac.digest(secret, text.encode(errors="surrogatepass"), "sha256")
    return f"{MARK}{key}{MARK}{urlsafe_b64encode(digest[:_BYTES]).decode()}"


CLEAR: Final = Veil({}, "")
"""Hides nothing: for tests, and for what is no customer's."""
