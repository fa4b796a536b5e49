"""Log-in sessions in memory: random ids, kept as hashes, until they expire or idle. A restart ends all."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from streamer.events.counting_rules import HOUR
from streamer.runtime.clock import Clock
from streamer.web.credentials import new_token, token_hash

SESSION_LIFETIME_MS: Final = 12 * HOUR
MAX_SESSIONS: Final = 10_000


class Session:
    """A session of one user, until `expires_at_ms` (since the epoch) or until `ended` is set.

    `used_at_ms`: the last request; `open_count`: responses under way, such as event streams."""

    def __init__(self, name: str, now_ms: int) -> None:
        self.name, self.expires_at_ms = name, now_ms + SESSION_LIFETIME_MS
        self.used_at_ms, self.open_count = now_ms, 0
        self.ended = asyncio.Event()


class SessionStore:
    """The sessions of this server; beyond MAX_SESSIONS the oldest end.

    A session without a request for `idle_ms` ends, unless a response to it is under way.

    >>> now_ms = [0]
    >>> sessions = SessionStore(lambda: now_ms[0], idle_ms=HOUR)
    >>> token = sessions.begin("ana")
    >>> session = sessions.find(token)
    >>> session.name, sessions.remaining_s(session)
    ('ana', 43200.0)
    >>> now_ms[0] = HOUR
    >>> sessions.find(token) is None
    True
    """

    def __init__(self, clock: Clock, idle_ms: int = SESSION_LIFETIME_MS) -> None:
        self._clock, self._idle_ms = clock, idle_ms
        self._sessions: dict[str, Session] = {}

    def begin(self, name: str) -> str:
        """Begin a session and return its token; only the hash is kept."""
        now_ms = self._clock()
        for id_hash in [
            id_hash for id_hash, session in self._sessions.items() if not self._is_alive(session)
        ]:
            self._drop(id_hash)
        while len(self._sessions) >= MAX_SESSIONS:
            self._drop(next(iter(self._sessions)))
        token = new_token()
        self._sessions[token_hash(token)] = Session(name, now_ms)
        return token

    def find(self, token: str) -> Session | None:
        """Return the session of a token and note that it is used; None if there is none."""
        session = self._sessions.get(token_hash(token))
        if session is None or not self._is_alive(session):
            self.end(token)
            return None
        session.used_at_ms = self._clock()
        return session

    @contextmanager
    def in_use(self, session: Session) -> Iterator[None]:
        """Keep a session from being idle while a response is under way."""
        session.open_count += 1
        try:
            yield
        finally:
            session.open_count -= 1
            session.used_at_ms = self._clock()

    def _is_alive(self, session: Session) -> bool:
        now_ms = self._clock()
        is_idle = not session.open_count and now_ms - session.used_at_ms >= self._idle_ms
        return session.expires_at_ms > now_ms and not is_idle

    def remaining_s(self, session: Session) -> float:
        return max(0, session.expires_at_ms - self._clock()) / 1000

    def end(self, token: str) -> None:
        self._drop(token_hash(token))

    def _drop(self, id_hash: str) -> None:
        session = self._sessions.pop(id_hash, None)
        if session is not None:
            session.ended.set()
