"""Log-in sessions in memory: random ids, kept as hashes, until they expire. A restart ends all."""

import asyncio
from collections.abc import Callable
from typing import Final

from streamer.events.rules import HOUR
from streamer.web.credentials import new_token, token_hash

LIFE_MS: Final = 12 * HOUR
MOST: Final = 10_000


class Session:
    """A session of one user, until `expires_at_ms` (since the epoch) or until `ended` is set."""

    def __init__(self, name: str, until: int) -> None:
        self.name, self.until = name, until
        self.ended = asyncio.Event()


class Sessions:
    """The sessions of this server; beyond MAX_SESSIONS the oldest end.

    >>> now_ms = [0]
    >>> sessions = Sessions(lambda: now_ms[0])
    >>> token = sessions.begin("ana")
    >>> session = sessions.of(token)
    >>> session.name, sessions.left_s(session)
    ('ana', 43200.0)
    >>> now_ms[0] = LIFE_MS
    >>> sessions.of(token) is None
    True
    """

    def __init__(self, clock: Callable[[], int]) -> None:
        self._clock = clock
        self._sessions: dict[str, Session] = {}

    def begin(self, name: str) -> str:
        """Begin a session and return its token; only the hash is kept."""
        now = self._clock()
        for one in [one for one, session in self._sessions.items() if session.until <= now]:
            self._drop(one)
        while len(self._sessions) >= MOST:
            self._drop(next(iter(self._sessions)))
        token = new_token()
        self._sessions[token_hash(token)] = Session(name, now + LIFE_MS)
        return token

    def of(self, token: str) -> Session | None:
        found = self._sessions.get(token_hash(token))
        return found if found and found.until > self._clock() else None

    def left_s(self, session: Session) -> float:
        return max(0, session.until - self._clock()) / 1000

    def end(self, token: str) -> None:
        self._drop(token_hash(token))

    def _drop(self, one: str) -> None:
        session = self._sessions.pop(one, None)
        if session is not None:
            session.ended.set()
