"""Here is what shows who somebody is, a password or a token, of which only hashes are kept.

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
"""Characters of a password that are worth hashing."""

_hasher = PasswordHasher()
_NOBODYS: Final = (
    "$argon2id$v=19$m=65536,t=3,p=4$Y4Sr+D6cz6/KbQ+n0gNuig$aqVjFqLr8ZetwnYuSQB23dS8fLuEXOVYUQ9b6enjTfU"
)
"""Compared with where a name has no password, so that the time taken does not tell who is known."""


def new_token() -> str:
    return secrets.token_urlsafe(_BYTES)


def token_hash(token: str) -> str:
    """As it stands in the settings: SHA-256, in hexadecimal."""
    return hashlib.sha256(token.encode()).hexdigest()


def password_hash(password: str) -> str:
    return _hasher.hash(password)


def known(token: str, hashes: Iterable[str]) -> str | None:
    """The hash that is the token's. All are compared, each in a time that tells nothing."""
    own, found = token_hash(token), None
    for one in hashes:
        if compare_digest(own, one):
            found = one
    return found


class Passwords:
    """Compares passwords, two at a time: each takes 64 MB and some 50 ms of a core, for which the event
    loop is not kept waiting."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(2, "password")

    async def match(self, password: str, expected: str | None) -> bool:
        """`expected` None: of nobody, so no."""
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
