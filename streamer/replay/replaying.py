"""Replay the entries of one file: shift their times, check them, send them when due, and count them."""

import asyncio
import copy
import time
from collections.abc import Callable
from typing import Final, NamedTuple, Protocol

from rich.console import Console

from streamer.events.models import Rejected
from streamer.events.outgoing import Outgoing
from streamer.events.rules import Rules
from streamer.replay.account import Account
from streamer.replay.entries import Reader
from streamer.replay.facts import Entry, Fact, Skipped, ready, shifted
from streamer.replay.files import Input
from streamer.replay.pace import Pace
from streamer.replay.position import Keeper, Position
from streamer.replay.printing import Printer
from streamer.replay.progress import Bar
from streamer.replay.retention import Retention
from streamer.worker.engine import wall_clock_ms

_TOGETHER: Final = 2_000
_SAVED_S: Final = 1.0
_SOON_S: Final = 0.005
_QUIET_S: Final = 0.1


class Sink(Protocol):
    """Destination of records: Kafka or standard output."""

    def put(self, record: Outgoing) -> None: ...

    async def hand_over(self, acknowledged: Callable[[], None]) -> None:
        """Send all records put so far; call `on_acknowledged` when these and all before them have arrived."""

    async def settle(self) -> None:
        """Wait until all flushed records have arrived."""

    async def give_up(self) -> None:
        """Wait for a limited time, ignoring failures."""


class Shared(NamedTuple):
    """Settings and services shared by all files of a command."""

    rules: Rules
    reader: Reader
    sink: Sink
    retention: Retention
    pace: Pace
    console: Console


async def newest_ms(rules: Rules, reader: Reader, source: Input, console: Console) -> int | None:
    """Return the time of the newest event that can be sent, in epoch milliseconds; None if there is none."""
    newest: int | None = None
    with reader.entries(source) as (rows, entries), Bar(console, source.name, "reading") as bar:
        for number, entry in enumerate(entries, 1):
            found = [ready(said, rules, 0) for said in entry.said if isinstance(said, Fact)]
            times = [record.timestamp_ms for record in found if isinstance(record, Outgoing)]
            newest = max([*times, *([] if newest is None else [newest])], default=None)
            if number % _TOGETHER == 0:
                bar.show(rows, number)
                await asyncio.sleep(0)  # lets Ctrl-C through
    return newest


class FileReplay:
    """Replay of one file, from its saved position to its end."""

    def __init__(self, shared: Shared, keeper: Keeper, position: Position) -> None:
        self._shared = shared
        self._keeper = keeper
        self._acknowledged = position
        self._account = copy.deepcopy(position.account)
        self._entries = position.entries
        self._together = 0
        self._last_ms = wall_clock_ms()
        self._saved_s = self._began_s = time.monotonic()
        self._show: Callable[[], None] = lambda: None

    async def run(self, source: Input) -> Account:
        """Replay the file, print its summary, and return it. Saves the position if interrupted."""
        before = self._acknowledged.account.events
        if not self._acknowledged.done:
            await self._through(source)
        account = self._acknowledged.account
        verb = "printed" if isinstance(self._shared.sink, Printer) else "sent"
        told = account.told(source.name, verb, time.monotonic() - self._began_s, before)
        self._shared.console.print(told, markup=False)
        return account

    async def _through(self, source: Input) -> None:
        shared, before = self._shared, self._account.events
        bar = Bar(shared.console, source.name, "replaying")
        with shared.reader.entries(source, self._entries) as (rows, entries), bar:
            self._show = lambda: bar.show(rows, self._account.events - before)
            self._keeper.save(self._acknowledged)  # if it cannot be saved, nothing is sent
            try:
                for entry in entries:
                    await self._take(entry)
                    if self._together >= _TOGETHER:
                        await self._hand_over()
                await self._hand_over(done=True)
                await shared.sink.settle()
            except BaseException:
                await shared.sink.give_up()
                self._tell_where(source)
                raise
            finally:
                self._keeper.save(self._acknowledged)

    def _tell_where(self, source: Input) -> None:
        if self._keeper.keeps:
            rows = f"{self._acknowledged.entries:,} rows"
            told = f"{source.name}: stopped after {rows}; run the same command to continue"
            self._shared.console.print(told, markup=False)

    async def _take(self, entry: Entry) -> None:
        """Send a whole entry: a position never lies within one."""
        records = self._records(entry)
        if records and not self._shared.pace.is_max:
            await self._until(records[0].timestamp_ms)
        for record in records:
            for warning in self._shared.retention.warnings(record):
                self._shared.console.print(f"streamer replay: {warning}", markup=False)
            self._shared.sink.put(record)
            self._account.add_sent(record.topic)
        self._account.rows += bool(entry.line)
        self._entries += 1
        self._together += 1

    def _records(self, entry: Entry) -> list[Outgoing]:
        found = []
        for said in entry.said:
            if isinstance(said, Skipped):
                self._account.add_skipped(said.why)
                continue
            record = self._ready(said) if isinstance(said, Fact) else said
            if isinstance(record, Rejected):
                self._account.add_rejected(entry.line, record)
            else:
                self._last_ms = record.timestamp_ms
                found.append(record)
        return found

    def _ready(self, fact: Fact) -> Outgoing | Rejected:
        by_ms = self._acknowledged.shift_ms
        return ready(shifted(fact, by_ms) if by_ms else fact, self._shared.rules, self._last_ms)

    async def _until(self, at_ms: int) -> None:
        clock = asyncio.get_running_loop().time
        if (wait_s := self._shared.pace.wait_s(at_ms, clock())) > _SOON_S:
            await self._hand_over()
            if wait_s > _QUIET_S:
                await self._shared.sink.settle()
            await asyncio.sleep(max(0.0, self._shared.pace.wait_s(at_ms, clock())))

    async def _hand_over(self, done: bool = False) -> None:
        here = self._acknowledged
        reached = Position(
            here.file, here.options, here.shift_ms, self._entries, done, copy.deepcopy(self._account)
        )
        self._together = 0
        await self._shared.sink.hand_over(lambda: self._arrived(reached))
        self._show()

    def _arrived(self, reached: Position) -> None:
        self._acknowledged = reached
        if time.monotonic() - self._saved_s >= _SAVED_S:
            self._saved_s = time.monotonic()
            self._keeper.save(reached)
