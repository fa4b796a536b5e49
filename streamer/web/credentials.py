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

_TOKEN_BYTES: Final = 32
_MAX_PASSWORD_LENGTH: Final = 1_000
"""Characters of a password; a longer one is rejected without hashing it."""

_hasher = PasswordHasher()
_DUMMY_HASH: Final = (
    "$argon2id$v=19$m=65536,t=3,p=4$Y4Sr+D6cz6/KbQ+n0gNuig$aqVjFqLr8ZetwnYuSQB23dS8fLuEXOVYUQ9b6enjTfU"
)
"""Hash to compare with if a user has no password, so that the response time does not tell who exists."""


def new_token() -> str:
    return secrets.token_urlsafe(_TOKEN_BYTES)


def token_hash(token: str) -> str:
    """Hash a token as the settings hold it: SHA-256, in hexadecimal.

    >>> token_hash("example-token")[:16]
    '4d1566a1d7df42a8'
    """
    return hashlib.sha256(token.encode()).hexdigest()


def password_hash(password: str) -> str:
    return _hasher.hash(password)


def matching_hash(token: str, hashes: Iterable[str]) -> str | None:
    """Find the hash of this token; None if there is none. Every hash is compared, in constant time.

    >>> matching_hash("example-token", [token_hash("another"), token_hash("example-token")])[:16]
    '4d1566a1d7df42a8'
    """
    digest, match = token_hash(token), None
    for candidate in hashes:
        if compare_digest(digest, candidate):
            match = candidate
    return match


class PasswordVerifier:
    """Verify passwords in two threads, so that the event loop goes on: each takes 64 MB and about 50 ms of a
    core."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(2, "password")

    async def verify(self, password: str, expected: str | None) -> bool:
        """Tell whether a password fits a hash. `expected` None (no such user) takes as long, and is False."""
        if len(password) > _MAX_PASSWORD_LENGTH:
            return False
        loop = asyncio.get_running_loop()
        is_match = await loop.run_in_executor(self._threads, _same, password, expected or _DUMMY_HASH)
        return is_match and expected is not None


def _same(password: str, expected: str) -> bool:
    try:
        return _hasher.verify(expected, password)
    except (VerificationError, InvalidHashError):
        return False
