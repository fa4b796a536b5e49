"""Leader election and rule evaluation: one server of a center evaluates the alert rules, all see the result.

The leader holds a lease in the store. That no message is sent twice does not depend on the lease: the result
of a round is stored together with the messages to be sent, and only if no other server has stored one since
the alert state was read.
"""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from math import inf
from typing import Final, NamedTuple, TypeVar

import structlog

from streamer.alerts.message import Message
from streamer.alerts.rules import Rule
from streamer.alerts.states import Notice, turn
from streamer.alerts.watch import Watch
from streamer.delivery.record import EMPTY, Change, Record, Turn, read, turned, written
from streamer.readings.reader import Reader
from streamer.store.redis import LeasedDocument, TokenDocument

LONGEST_S: Final = 30.0
"""Longest delay between two attempts while the store is unavailable."""
BEHIND_S: Final = 3.0
"""Data older than this means that workers are behind: those that keep up send a heartbeat each second."""
INFORMED_S: Final = 300.0
"""Age up to which the state read last is used: in a large center a round and the pause after it take
minutes."""

Clock = Callable[[], int]
Compose = Callable[[Sequence[Notice], Mapping[str, Message], int], Awaitable[list[Message]]]
"""Makes messages of notices, given the messages that exist by id and the time (ms)."""
T = TypeVar("T")
_log = structlog.get_logger(__name__)


class Pace(NamedTuple):
    """Times of the evaluation loop, in seconds.

    `interval_s`: least pause between two rounds. `duration_factor`: the pause also lasts at least this many
    times as long as the last round, because the same process serves the wallboard. `lease_s`: how long the
    lease of a dead leader lasts. `catch_up_s`: how long evaluation waits at first while workers catch up,
    which leaves them the processor.
    """

    every: float = 2.0
    share: float = 4.0
    lease: float = 15.0
    patience: float = 30.0


PACE: Final = Pace()


class Bell:
    """Evaluates the alert rules on the leader and keeps every server's copy of the alert state up to date.

    `state` is the alert state as last read or written, `is_leader` tells whether this server holds the lease.
    A subscriber clears its event itself. Servers share only the document in the store.
    """

    def __init__(
        self,
        ledger: LeasedDocument,
        watch: Watch,
        reader: Reader,
        compose: Compose,
        clock: Clock,
        pace: Pace = PACE,
    ) -> None:
        self._ledger, self._watch, self._reader = ledger, watch, reader
        self._compose, self._clock, self._pace = compose, clock, pace
        self._name = secrets.token_hex(8)
        self._known: TokenDocument | None = None
        self._judging, self._asking = asyncio.Lock(), asyncio.Lock()
        self._ended = asyncio.Event()
        self._listeners: list[asyncio.Event] = []
        self._mine_until = -inf
        self._read_at = -inf
        self._since: float | None = None
        self.record: Record = EMPTY

    @property
    def mine(self) -> bool:
        return asyncio.get_running_loop().time() < self._mine_until

    @property
    def is_informed(self) -> bool:
        """Tell whether `state` was read from the store within the last STATE_VALID_S seconds."""
        return asyncio.get_running_loop().time() - self._read_at < INFORMED_S

    @property
    def rules(self) -> Sequence[Rule]:
        return self._watch.rules

    def listen(self) -> asyncio.Event:
        """Return an event that is set whenever the alert state or the leadership changes."""
        event = asyncio.Event()
        self._listeners.append(event)
        return event

    async def run(self) -> None:
        """Run until `stop`: evaluate round after round while this server is leader, else follow the state."""
        beside = [asyncio.create_task(one()) for one in (self._renew, self._follow)]
        wait_s = 0.0
        try:
            while not await self._is_over(wait_s):
                began = asyncio.get_running_loop().time()
                try:
                    await self._turn()
                except Exception as error:  # whatever the store raises
                    reason = f"{type(error).__name__}: {error}"
                    _log.warning("evaluating or storing alerts failed, retrying", error=reason)
                    wait_s = min(LONGEST_S, max(self._pace.every, 2 * wait_s))
                else:
                    took = asyncio.get_running_loop().time() - began
                    wait_s = max(self._pace.every, self._pace.share * took)
        finally:
            self.end()  # not cancelled: a Redis client may turn that into an error of its own
            await asyncio.wait(beside)
            with suppress(Exception):
                await self._ledger.release(self._name)

    def end(self) -> None:
        self._ended.set()

    async def _is_over(self, wait_s: float) -> bool:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._ended.wait(), wait_s)
        return self._ended.is_set()

    async def _renew(self) -> None:
        """Renew the lease while a round runs: it may take longer than the lease."""
        while not await self._is_over(self._pace.lease / 4):
            with suppress(Exception):
                if self.mine:
                    await self._hold()

    async def _follow(self) -> None:
        """Read the state at each interval: changes of others are seen during a long round or pause."""
        while not await self._is_over(self._pace.every):
            with suppress(Exception):
                await self._read()

    async def _hold(self) -> None:
        asked = asyncio.get_running_loop().time()
        was, held = self.mine, await self._ledger.hold(self._name, round(self._pace.lease * 1000))
        self._mine_until = asked + self._pace.lease if held else -inf
        if held != was:
            self._tell()

    async def _turn(self) -> None:
        await self._read()
        await self._hold()
        before, now = self.record, self._clock()
        if not self.mine or not self._reader.ready or self._is_early(now):
            return
        told = {place: one for place, one in before.by_place().items() if one.fired_at is not None}
        judged = await self.judging(lambda watch: watch.judged(now, fired=told))
        alerts, notices = turn(before.by_place(), self.rules, judged, now)
        messages = await self._compose(notices, before.messages, now) if notices else []
        receivers = {rule.name: rule.tell for rule in self.rules}
        await self._keep(before, Turn(alerts, messages, receivers, now))

    def _is_early(self, now: int) -> bool:
        asked = asyncio.get_running_loop().time()
        self._since = asked if self._since is None else self._since
        fresh_s = self._reader.fresh_s(now)
        is_behind = fresh_s is None or fresh_s > BEHIND_S
        return is_behind and asked - self._since < self._pace.patience

    async def judging(self, judge: Callable[[Watch], T]) -> T:
        """Run an operation on the rule evaluator in a thread; one at a time, for it is not thread-safe."""
        async with self._judging:
            return await asyncio.to_thread(judge, self._watch)

    async def _keep(self, before: Record, taken: Turn) -> None:
        """Store the result of a round, unless another server stored its own: then drop this one.

        The alerts of the other are not those that were evaluated here.
        """
        while self.record.alerts == before.alerts:
            if await self._changed(turned(self.record, taken)):
                return
            await self._read()
        _log.warning("another server evaluated the alerts at the same time, dropping this result")

    async def change(self, change: Change) -> Record:
        """Apply a change to the alert state and return the new state.

        If another server changed it meanwhile, the change is applied anew. Raises what the store raises.
        """
        await self._read()
        while not await self._changed(change(self.record)):
            await self._read()
        return self.record

    async def _changed(self, after: Record) -> bool:
        if after == self.record and self._known is not None:
            return True
        known = self._known
        async with self._asking:
            kept = await self._ledger.replace(known, written(after))
            if kept is None:
                return False
            self._known, self.record = kept, after
        self._tell()
        return True

    async def _read(self) -> None:
        """Read the state from the store. Waits for a write under way: an older answer would undo it here."""
        async with self._asking:
            found = await self._ledger.read()
            if found is None:
                self._known, self.record = None, EMPTY
            elif self._known is None or found.token != self._known.token:
                self._known, self.record = found, read(found.value)
                self._tell()
        self._read_at = asyncio.get_running_loop().time()

    def _tell(self) -> None:
        for event in self._listeners:
            event.set()
