"""Here is the bell: of all servers of a center one judges the rules and tells; all know what came of it.

Whose turn it is, is a lease in the store; that nothing is told twice does not hang on it: a turn is stored
together with what is to be sent, and only if nobody else stored one since the record was read.
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
"""Between two attempts while the store is away."""
BEHIND_S: Final = 3.0
"""Workers that keep up say so every second."""
INFORMED_S: Final = 300.0
"""A turn in a large center, and the pause after it, take minutes."""

Clock = Callable[[], int]
Compose = Callable[[Sequence[Notice], Mapping[str, Message], int], Awaitable[list[Message]]]
"""What is to be said of notices, beside the messages there are by id, now (ms)."""
T = TypeVar("T")
_log = structlog.get_logger(__name__)


class Pace(NamedTuple):
    """In seconds: between two turns, at least, and `share` times as long as the last one took, for the
    wallboard is served by the same process; `lease`: how long after its death a server's turn is over;
    `patience`: so long nothing is judged at first while workers catch up, which leaves them the processor."""

    every: float = 2.0
    share: float = 4.0
    lease: float = 15.0
    patience: float = 30.0


PACE: Final = Pace()


class Bell:
    """`record` is what was last read, `mine` whether it is this server's turn. Who listens clears what was
    set. Only the ledger is shared between servers."""

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
        """Whether `record` is what the store said not long ago."""
        return asyncio.get_running_loop().time() - self._read_at < INFORMED_S

    @property
    def rules(self) -> Sequence[Rule]:
        return self._watch.rules

    def listen(self) -> asyncio.Event:
        """Set whenever the record changed, or the turn did."""
        event = asyncio.Event()
        self._listeners.append(event)
        return event

    async def run(self) -> None:
        """Until `end`: a turn after the other, as long as this one's it is; else what others do is read."""
        beside = [asyncio.create_task(one()) for one in (self._renew, self._follow)]
        wait_s = 0.0
        try:
            while not await self._is_over(wait_s):
                began = asyncio.get_running_loop().time()
                try:
                    await self._turn()
                except Exception as error:  # whatever the store raises
                    _log.warning("alerts cannot be judged or kept", error=f"{type(error).__name__}: {error}")
                    wait_s = min(LONGEST_S, max(self._pace.every, 2 * wait_s))
                else:
                    took = asyncio.get_running_loop().time() - began
                    wait_s = max(self._pace.every, self._pace.share * took)
        finally:
            self.end()  # cancelling would not do: a client may turn that into an error of its own
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
        """A turn may take longer than the lease."""
        while not await self._is_over(self._pace.lease / 4):
            with suppress(Exception):
                if self.mine:
                    await self._hold()

    async def _follow(self) -> None:
        """What others do is known soon, however long a turn takes, and the pause after it."""
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
        """In a thread of its own, one at a time: a watch is for one thread."""
        async with self._judging:
            return await asyncio.to_thread(judge, self._watch)

    async def _keep(self, before: Record, taken: Turn) -> None:
        """If another server took a turn meanwhile, this one is void: its alerts are not those judged here."""
        while self.record.alerts == before.alerts:
            if await self._changed(turned(self.record, taken)):
                return
            await self._read()
        _log.warning("another server judged the alerts at the same time; its turn counts")

    async def change(self, change: Change) -> Record:
        """Make the change, whoever else changes the record. Raises what the store raises."""
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
        """Not while something is written: an answer from before that would undo it here."""
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
