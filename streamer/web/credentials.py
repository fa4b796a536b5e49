"""Passwords and tokens, of which only hashes are kept.

A password is hashed slowly (argon2id), since people choose it; a token is 256 random bits, for which one
round of SHA-256 is enough.
"""

import asyncio
import hashlib
import secrets
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from hmac import compare_digest
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

_BYTES: Final = 32
_LONGEST: Final = 1_000
"""Characters of a password; a longer one is rejected without hashing it."""

_hasher = PasswordHasher()
_NOBODYS: Final = (
    "$argon2id$v=19$m=65536,t=3,p=4$Y4Sr+D6cz6/KbQ+n0gNuig$aqVjFqLr8ZetwnYuSQB23dS8fLuEXOVYUQ9b6enjTfU"
)
"""Hash to compare with if a user has no password, so that the response time does not tell who exists."""


def new_token() -> str:
    return secrets.token_urlsafe(_BYTES)


def token_hash(token: str) -> str:
    """Hash a token as the settings hold it: SHA-256, in hexadecimal.

    >>> token_hash("example-token")[:16]
    '4d1566a1d7df42a8'
    """
    return hashlib.sha256(token.encode()).hexdigest()


def password_hash(password: str) -> str:
    return _hasher.hash(password)


def known(token: str, hashes: Iterable[str]) -> str | None:
    """Find the hash of this token; None if there is none. Every hash is compared, in constant time.

    >>> known("example-token", [token_hash("another"), token_hash("example-token")])[:16]
    '4d1566a1d7df42a8'
    """
    own, found = token_hash(token), None
    for one in hashes:
        if compare_digest(own, one):
            found = one
    return found


class Passwords:
    """Verify passwords in two threads, so that the event loop goes on: each takes 64 MB and about 50 ms of a
    core."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(2, "password")

    async def match(self, password: str, expected: str | None) -> bool:
        """Tell whether a password fits a hash. `expected` None (no such user) takes as long, and is False."""
        if len(password) > _LONGEST:
            return False
        loop = asyncio.get_running_loop()
        same = await loop.run_in_executor(self._threads, _same, password, expected or _NOBODYS)
        return same and expected is not None


def _same(password: str, expected: str) -> bool:
    try:
        return _hasher.verify(expected, password)
    except (VerificationError, InvalidHashError):
        return False
