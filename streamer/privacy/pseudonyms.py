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

PSEUDONYM_MARK: Final = "~"
KEY_ID_PATTERN: Final = r"[A-Za-z0-9]{1,16}"
_BYTES: Final = 12
_PSEUDONYM: Final = re.compile(rf"{PSEUDONYM_MARK}({KEY_ID_PATTERN}){PSEUDONYM_MARK}[A-Za-z0-9_-]{{16}}")


class Pseudonymizer:
    """Replaces customer ids by pseudonyms, which change when a customer is forgotten.

    The secrets are given by key id, with the id of the key in force. Without secrets, ids stay as they are.
    `forgotten_at_ms` holds the erased pseudonyms and the time of each (ms): later events get the next
    pseudonym, now and in every rebuild. The owner of the pseudonymizer keeps it up to date.

    >>> veil = Pseudonymizer({"k1": b"a secret of thirty-two characters"}, "k1")
    >>> pseudonym = veil.pseudonym_at("k-4711", 1_795_255_200_000)
    >>> pseudonym, veil.is_pseudonym(pseudonym), key_id_of(pseudonym)
    ('~k1~j2fxPlA0XV4zUfYd', True, 'k1')
    """

    def __init__(self, secrets_by_key_id: Mapping[str, bytes], key_id: str) -> None:
        assert not secrets_by_key_id or key_id in secrets_by_key_id
        self.key_id = key_id
        self.forgotten_at_ms: Mapping[str, int] = {}
        self._secrets_by_key_id = dict(secrets_by_key_id)

    def pseudonym_at(self, customer_id: str, at_ms: int) -> str:
        """Return the customer's pseudonym in records of that time. A pseudonym is returned as it is."""
        if not self._secrets_by_key_id:
            return customer_id
        is_pseudonym = self.is_pseudonym(customer_id)
        pseudonym = (
            customer_id
            if is_pseudonym
            else _hash(self._secrets_by_key_id[self.key_id], self.key_id, customer_id)
        )
        if pseudonym in self.forgotten_at_ms or (self.forgotten_at_ms and len(self._secrets_by_key_id) > 1):
            for forgotten_ms in self._forgotten_times_ms(customer_id):
                pseudonym = (
                    pseudonym if at_ms <= forgotten_ms else self._next_pseudonym(pseudonym, forgotten_ms)
                )
        return pseudonym

    def pseudonyms_by_key(self, customer_id: str) -> list[list[str]]:
        """Return all pseudonyms of a customer: a list for each key, the current one last."""
        forgotten_times_ms = self._forgotten_times_ms(customer_id)
        return [
            list(self._successive_pseudonyms(pseudonym, forgotten_times_ms))
            for pseudonym in self._first_pseudonyms(customer_id)
        ]

    def secret_of(self, key_id: str) -> bytes | None:
        """Return the secret of a key id; None if there is none."""
        return self._secrets_by_key_id.get(key_id)

    def is_pseudonym(self, customer_id: str) -> bool:
        """Tell whether this is already a pseudonym, of a known key."""
        if not customer_id.startswith(PSEUDONYM_MARK):
            return False
        match = _PSEUDONYM.fullmatch(customer_id)
        return match is not None and match[1] in self._secrets_by_key_id

    def _first_pseudonyms(self, customer_id: str) -> list[str]:
        if self.is_pseudonym(customer_id):
            return [customer_id]
        return [_hash(secret, key_id, customer_id) for key_id, secret in self._secrets_by_key_id.items()]

    def _forgotten_times_ms(self, customer_id: str) -> list[int]:
        """Return the times (ms) at which this customer was forgotten, under any key."""
        times_ms = set()
        for pseudonym in self._first_pseudonyms(customer_id):
            while (forgotten_ms := self.forgotten_at_ms.get(pseudonym)) is not None:
                times_ms.add(forgotten_ms)
                pseudonym = self._next_pseudonym(pseudonym, forgotten_ms)
        return sorted(times_ms)

    def _successive_pseudonyms(self, pseudonym: str, forgotten_times_ms: list[int]) -> Iterator[str]:
        yield pseudonym
        for forgotten_ms in forgotten_times_ms:
            pseudonym = self._next_pseudonym(pseudonym, forgotten_ms)
            yield pseudonym

    def _next_pseudonym(self, pseudonym: str, forgotten_ms: int) -> str:
        """Return the next pseudonym of a forgotten customer. Ids hold no \\x1f, so none can give the same."""
        key_id = key_id_of(pseudonym)
        return _hash(self._secrets_by_key_id[key_id], key_id, f"{pseudonym}\x1f{forgotten_ms}")


def key_id_of(pseudonym: str) -> str:
    """Return the id of the key of a pseudonym, or "" if the text is no pseudonym."""
    match = _PSEUDONYM.fullmatch(pseudonym)
    return match[1] if match is not None else ""


@lru_cache(maxsize=16_384)  # one contact brings several events
def _hash(secret: bytes, key_id: str, text: str) -> str:
    mac = _begin_mac(secret).copy()
    mac.update(text.encode(errors="surrogatepass"))
    return f"{PSEUDONYM_MARK}{key_id}{PSEUDONYM_MARK}{urlsafe_b64encode(mac.digest()[:_BYTES]).decode()}"


@lru_cache  # a copy takes half the time that the key's own preparation takes
def _begin_mac(secret: bytes) -> hmac.HMAC:
    return hmac.new(secret, digestmod="sha256")


NO_PSEUDONYMS: Final = Pseudonymizer({}, "")
"""Leaves ids as they are: for tests, and for records without a customer."""
