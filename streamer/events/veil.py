"""Pseudonyms of customers: a keyed hash replaces the customer's id.

A pseudonym is `~KEY~` and 96 bits of HMAC-SHA-256 in 16 characters. The key protects the customer: without
it nobody can try out ids, however few bits are shown. 96 bits are enough that two customers never share a
pseudonym: among a hundred million, the odds are one in 10¹³.
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
    """Replaces customer ids by pseudonyms, which change when a customer is forgotten.

    The secrets are given by key id, with the id of the key in force. Without secrets, ids stay as they are.
    `forgotten_at_ms` holds the erased pseudonyms and the time of each (ms): later events get the next
    pseudonym, now and in every rebuild. The owner of the pseudonymizer keeps it up to date.

    >>> veil = Veil({"k1": b"a secret of thirty-two characters"}, "k1")
    >>> pseudonym = veil.customer("k-4711", 1_795_255_200_000)
    >>> pseudonym, veil.hides(pseudonym), key_of(pseudonym)
    ('~k1~j2fxPlA0XV4zUfYd', True, 'k1')
    """

    def __init__(self, keys: Mapping[str, bytes], key: str) -> None:
        assert not keys or key in keys
        self.key = key
        self.forgotten: Mapping[str, int] = {}
        self._keys = dict(keys)

    def customer(self, customer_id: str, at_ms: int) -> str:
        """Return the customer's pseudonym in records of that time. A pseudonym is returned as it is."""
        if not self._keys:
            return customer_id
        own = self.hides(customer_id)
        name = customer_id if own else _hidden(self._keys[self.key], self.key, customer_id)
        if name in self.forgotten or (self.forgotten and len(self._keys) > 1):
            for since in self._forgettings(customer_id):
                name = name if at_ms <= since else self._again(name, since)
        return name

    def names(self, customer_id: str) -> list[list[str]]:
        """Return all pseudonyms of a customer: a list for each key, the current one last."""
        times = self._forgettings(customer_id)
        return [list(self._lives(name, times)) for name in self._first(customer_id)]

    def hides(self, customer_id: str) -> bool:
        """Tell whether this is already a pseudonym, of a known key."""
        if not customer_id.startswith(MARK):
            return False
        found = _PSEUDONYM.fullmatch(customer_id)
        return found is not None and found[1] in self._keys

    def _first(self, customer_id: str) -> list[str]:
        if self.hides(customer_id):
            return [customer_id]
        return [_hidden(secret, key, customer_id) for key, secret in self._keys.items()]

    def _forgettings(self, customer_id: str) -> list[int]:
        """Return the times (ms) at which this customer was forgotten, under any key."""
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
        """Return the next pseudonym of a forgotten customer. Ids hold no \\x1f, so none can give the same."""
        key = key_of(name)
        return _hidden(self._keys[key], key, f"{name}\x1f{since}")


def key_of(pseudonym: str) -> str:
    """Return the id of the key of a pseudonym, or "" if the text is no pseudonym."""
    found = _PSEUDONYM.fullmatch(pseudonym)
    return found[1] if found is not None else ""


@lru_cache(maxsize=16_384)  # one contact brings several events
def _hidden(secret: bytes, key: str, text: str) -> str:
    digest = hmac.digest(secret, text.encode(errors="surrogatepass"), "sha256")
    return f"{MARK}{key}{MARK}{urlsafe_b64encode(digest[:_BYTES]).decode()}"


CLEAR: Final = Veil({}, "")
"""Leaves ids as they are: for tests, and for records without a customer."""
