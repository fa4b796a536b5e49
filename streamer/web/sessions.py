"""Log-in sessions in memory: random ids, kept as hashes, until they expire. A restart ends all."""

import asyncio
from typing import Final

from streamer.events.counting_rules import HOUR
from streamer.runtime.clock import Clock
from streamer.web.credentials import new_token, token_hash

SESSION_LIFETIME_MS: Final = 12 * HOUR
MAX_SESSIONS: Final = 10_000


class Session:
    """A session of one user, until `expires_at_ms` (since the epoch) or until `ended` is set."""

    def __init__(self, name: str, expires_at_ms: int) -> None:
        self.name, self.expires_at_ms = name, expires_at_ms
        self.ended = asyncio.Event()


class SessionStore:
    """The sessions of this server; beyond MAX_SESSIONS the oldest end.

    >>> now_ms = [0]
    >>> sessions = SessionStore(lambda: now_ms[0])
    >>> token = sessions.begin("ana")
    >>> session = sessions.find(token)
    >>> session.name, sessions.remaining_s(session)
    ('ana', 43200.0)
    >>> now_ms[0] = SESSION_LIFETIME_MS
    >>> sessions.find(token) is None
    True
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._sessions: dict[str, Session] = {}

    def begin(self, name: str) -> str:
        """Begin a session and return its token; only the hash is kept."""
        now_ms = self._clock()
        for id_hash in [
            id_hash for id_hash, session in self._sessions.items() if session.expires_at_ms <= now_ms
        ]:
            self._drop(id_hash)
        while len(self._sessions) >= MAX_SESSIONS:
            self._drop(next(iter(self._sessions)))
        token = new_token()
        self._sessions[token_hash(token)] = Session(name, now_ms + SESSION_LIFETIME_MS)
        return token

    def find(self, token: str) -> Session | None:
        session = self._sessions.get(token_hash(token))
        return session if session and session.expires_at_ms > self._clock() else None

    def remaining_s(self, session: Session) -> float:
        return max(0, session.expires_at_ms - self._clock()) / 1000

    def end(self, token: str) -> None:
        self._drop(token_hash(token))

    def _drop(self, id_hash: str) -> None:
        session = self._sessions.pop(id_hash, None)
        if session is not None:
            session.ended.set()
