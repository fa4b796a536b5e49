"""The `streamer rebuild` command: count everything again from Kafka beside the live numbers, compare both at
equal offsets, and promote the new ones."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from itertools import islice
from typing import Final, NamedTuple, Protocol

import click
from aiokafka.errors import OffsetOutOfRangeError
from rich.console import Console
from rich.progress import Progress, TaskID

from streamer.comparison import ChangeSource, Difference, differences, state
from streamer.events.decoding import TOPICS, Record
from streamer.events.rules import DAY, Rules, differing, written
from streamer.events.veil import Veil
from streamer.ingest.assembly import ASSEMBLIES
from streamer.ingest.run import center_of
from streamer.privacy import erase_everywhere, erase_forgotten, refresh, veil
from streamer.settings import Settings
from streamer.store.port import Partition, Position
from streamer.store.redis import (
    CustomerRegistry,
    FormerNumbers,
    RedisStore,
    StagedGeneration,
    SupersedingGeneration,
    connect,
)
from streamer.worker.kafka import KafkaLogs, KafkaRecords, partitions
from streamer.worker.log_identity import LogSnapshot, resolve_start_position
from streamer.worker.pipeline import DeadLetter, PartitionProcessor, ProcessingContext
from streamer.worker.retry import retry_forever

ABREAST: Final = 4
"""Partitions counted at a time: those furthest behind in event time."""
NEAR: Final = 2_000
SHOWN: Final = 20
_HOLD_MS: Final = 3_000
_TRIES: Final = 10
_PATIENCE_S: Final = 30.0


class RebuildError(Exception):
    """The rebuild cannot be done now; the message says why and what to do. The live numbers are unchanged."""


class DroppedLetters:
    """A dead letter sink that drops all: the letters were written when the live numbers were counted."""

    async def send(self, letters: Sequence[DeadLetter]) -> None: ...


class NoObserver:
    """A pipeline observer that ignores all."""

    def conflict(self) -> None: ...

    def committed(self, records: Sequence[Record], now_ms: int) -> None: ...


class RecordRun(NamedTuple):
    """Records of one partition, and the offset after them."""

    records: Sequence[Record]
    end: int


class ComparisonResult(NamedTuple):
    """The first differences, and how many there are."""

    first: Sequence[Difference]
    number: int


class LiveNumbers(ChangeSource, Protocol):
    """The store of the numbers in force, whatever its layout."""

    async def positions(self, partitions: Sequence[Partition]) -> list[Position | None]: ...

    async def rules(self) -> bytes | None: ...


class Rebuild:
    """One rebuild of one center. Raises RebuildError, GenerationSuperseded, and errors of the
    infrastructure."""

    def __init__(
        self,
        live: LiveNumbers,
        staged: StagedGeneration,
        rules: Rules,
        records: KafkaRecords,
        progress: Progress,
        veil: Veil,
    ) -> None:
        self._live, self._records, self._progress = live, records, progress
        self._task: TaskID = progress.add_task("counting again", total=None)
        self._rules = rules
        self.staged = staged
        self._veil = veil
        self._erased: set[str] = set()
        self._ahead: dict[Partition, RecordRun] = {}
        self._waiting: set[Partition] = set()
        self._context = ProcessingContext(
            self.staged.store, rules, DroppedLetters(), NoObserver(), wall_clock_ms, veil=veil
        )
        self._begins: Mapping[Partition, int] = {}
        self._processors: dict[Partition, PartitionProcessor] = {}
        self._first: dict[Partition, int] = {}  # times of records, in ms
        self._last: dict[Partition, int] = {}
        self.counted = 0

    async def begin(self, begins: Mapping[Partition, int]) -> None:
        """Open the staged generation. `begin_offsets`: the first offset of each log."""
        self._begins = begins
        await self.staged.open()
        await self.staged.store.set_rules(written(self._rules))

    async def catch_up(self) -> None:
        """Count up to the live numbers, which advance meanwhile: repeat until fewer than SMALL_LAG are
        left."""
        behind = NEAR
        while behind >= NEAR:
            ends = await self._ends()
            behind = sum(end - self._processors[partition].position.next for partition, end in ends.items())
            self._progress.update(self._task, total=self.counted + behind)
            await self._count(ends)

    async def compare(self) -> ComparisonResult:
        """Compare with the live numbers at equal offsets. The live state of one moment is held in memory."""
        live = await state(self._live)
        ends = {partition: at.next for partition, at in live.positions.items() if partition in self._begins}
        await self._count(await self._opened(ends))
        rebuilt = await state(self.staged.store)
        found = differences(live, rebuilt, wall_clock_ms(), self._rules.retention_ms)
        first = list(islice(found, SHOWN))
        return ComparisonResult(first, len(first) + sum(1 for _ in found))

    async def switch(self) -> None:
        """Put the new numbers in force. Where commits never cease, they are paused for a moment. Raises
        RebuildError after `_PROMOTE_ATTEMPTS`."""
        await retry_forever(
            lambda: erase_everywhere(self.staged.store, self._veil.forgotten, wall_clock_ms())
        )
        for attempt in range(_TRIES):
            if attempt:
                await self.staged.pause_commits(_HOLD_MS)
            await self._count(await self._ends())
            await retry_forever(
                lambda: erase_forgotten(self.staged.store, self._veil.forgotten, wall_clock_ms())
            )
            if await self.staged.promote():
                return
        raise RebuildError(
            "the live numbers changed too fast to switch: run the rebuild again in a quieter hour"
        )

    def lost(self, before_ms: int) -> list[str]:
        """Return a sentence for each partition where Kafka already deleted records younger than
        `before_ms`."""
        return [
            f"{partition}: Kafka's log begins at offset {begin}"
            f"{f' ({_when(self._first[partition])})' if partition in self._first else ''}; earlier "
            "records are missing in the new numbers"
            for partition, begin in self._begins.items()
            if begin and self._first.get(partition, wall_clock_ms()) > before_ms
        ]

    async def _ends(self) -> dict[Partition, int]:
        places = list(self._begins)
        found = zip(places, await retry_forever(lambda: self._live.positions(places)), strict=True)
        return await self._opened({partition: at.next for partition, at in found if at is not None})

    async def _opened(self, ends: dict[Partition, int]) -> dict[Partition, int]:
        """Return the same, after making a processor for each. Partitions that the live numbers do not have
        are left to the workers. Raises RebuildError where the live numbers went back."""
        for partition, end in ends.items():
            if partition not in self._processors:
                start = resolve_start_position(
                    partition, None, LogSnapshot(self._begins[partition], {})
                ).position
                await self.staged.store.move(partition, None, start)
                self._processors[partition] = PartitionProcessor(partition, start, self._context)
            if self._processors[partition].position.next > end:
                raise RebuildError(
                    f"{partition}: the live numbers went back to offset {end}: run the rebuild again"
                )
        return ends

    async def _count(self, ends: Mapping[Partition, int]) -> None:
        """Count all partitions up to these offsets, in the order of event time: so contacts are forgotten
        when the workers forget them, and customers when they were erased from the live numbers. Corrections
        that came later change nothing."""
        while behind := [p for p, end in ends.items() if self._processors[p].position.next < end]:
            self._context.watermark = min(self._last.get(partition, 0) for partition in behind)
            free = [partition for partition in behind if partition not in self._waiting]
            if free:
                free.sort(key=lambda partition: self._last.get(partition, 0))
                await asyncio.gather(*(self._advance(self._processors[p], ends[p]) for p in free[:ABREAST]))
            else:
                await self._forget()

    async def _forget(self) -> None:
        """Erase the customers due now: all partitions are counted up to the time when they were forgotten."""
        moment, forgotten = self._moment(), self._veil.forgotten
        due = [name for name, at in forgotten.items() if name not in self._erased and at == moment]
        await retry_forever(lambda: erase_forgotten(self.staged.store, due, wall_clock_ms()))
        self._erased.update(due)
        self._waiting.clear()

    def _moment(self) -> int | None:
        """Return the time (ms) of the next erasure to be repeated; None if there is none."""
        times = (at for name, at in self._veil.forgotten.items() if name not in self._erased)
        return min(times, default=None)

    def _before(self, partition: Partition, records: Sequence[Record], end: int) -> RecordRun:
        """Return the records up to the next erasure; defer later ones."""
        moment = self._moment()
        later = (place for place, one in enumerate(records) if moment is not None and one.timestamp > moment)
        if (place := next(later, None)) is None:
            return RecordRun(records, end)
        self._waiting.add(partition)
        self._ahead[partition] = RecordRun(records[place:], end)
        return RecordRun(records[:place], records[place].offset)

    async def _advance(self, processor: PartitionProcessor, end: int) -> None:
        partition, before = processor.partition, processor.position
        taken = self._ahead.pop(partition, None) or RecordRun(*await self._next(processor, end))
        records, reached = self._before(partition, *taken)
        if records:
            self._first.setdefault(partition, records[0].timestamp)
            self._last[partition] = records[-1].timestamp
            await processor.count(records, reached)
        elif reached > before.next:  # offsets without records: transaction markers, compaction
            processor.position = Position(before.epoch, reached, before.token, before.checkpoints)
            await self.staged.store.move(partition, before, processor.position)
        self.counted += reached - before.next
        self._progress.update(self._task, completed=self.counted)

    async def _next(self, processor: PartitionProcessor, end: int) -> tuple[Sequence[Record], int]:
        start = time.monotonic()
        while time.monotonic() < start + _PATIENCE_S:
            try:
                records, reached = await retry_forever(lambda: self._records.next(processor.partition, end))
            except OffsetOutOfRangeError:
                raise RebuildError(
                    f"{processor.partition}: Kafka deleted the records to be read next: run the rebuild again"
                ) from None
            if reached > processor.position.next:
                return records, reached
        raise RebuildError(
            f"{processor.partition}: the live numbers were counted up to offset {end}, but Kafka gives "
            f"nothing from offset {processor.position.next} on; run `streamer check`"
        )


async def run_rebuild(settings: Settings, yes: bool) -> int:
    """Rebuild, print the comparison, switch. Return the exit code: 0 if the new numbers are in force, else 1.
    `yes`: switch even if numbers differ or records are missing."""
    rules = settings.rules()
    async with AsyncExitStack() as stack:
        store = RedisStore(await connect(settings.redis, settings.center), settings.center, rules)
        stack.push_async_callback(store.close)
        former = await FormerNumbers.find(store.client, settings.center)
        live: LiveNumbers = store if former is None else former
        staged = StagedGeneration(store, rules)
        if former is not None:
            click.echo("the numbers in force are in the layout of an earlier release")
            await former.bring_shared()
            staged = SupersedingGeneration(store, rules, former)
        records = KafkaRecords(settings.kafka)
        stack.push_async_callback(records.stop)
        begins = await records.start(await _partitions(settings))
        await _same_logs(settings, live, list(begins))
        progress = stack.enter_context(Progress(console=Console(stderr=True), transient=True))
        hiding = await veil(store, settings)
        rebuild = Rebuild(live, staged, rules, records, progress, hiding)
        stack.push_async_callback(staged.discard)  # after the switch, the former generation is left over
        await rebuild.begin(begins)
        await rebuild.catch_up()
        compared = await rebuild.compare()
        progress.stop()
        reservations = _told(rebuild, compared, await _changed(live, rules), rules)
        if reservations and not yes:
            click.echo("not switched: the live numbers stay in force; use --yes to switch all the same")
            return 1
        if former is not None:
            await former.bring_shared()
            await _convert_assemblies(store, center_of(settings))
        await refresh(hiding, CustomerRegistry(store, settings.center))
        await rebuild.switch()
        click.echo("switched: the new numbers are in force; workers and readers follow by themselves")
        return 0


async def _convert_assemblies(store: RedisStore, center: str) -> None:
    """Convert the state of `streamer ingest`, which nothing can count again. Raises RebuildError."""
    if (former := await FormerNumbers.find(store.client, center)) is None:
        return
    if not await former.convert(RedisStore(store.client, center, Rules()), ASSEMBLIES, wall_clock_ms()):
        raise RebuildError(
            "a `streamer ingest` of an earlier release is still writing: stop it, and run the rebuild again"
        )
    click.echo("brought over: unfinished contacts of `streamer ingest`")


async def _partitions(settings: Settings) -> list[Partition]:
    found = await partitions(settings.kafka)
    return [Partition(topic, number) for topic in TOPICS for number in range(found[topic])]


async def _same_logs(settings: Settings, live: LiveNumbers, wanted: Sequence[Partition]) -> None:
    """Raise RebuildError where the live numbers were counted from other logs than those Kafka has now."""
    looks = KafkaLogs(settings.kafka)
    await looks.start()
    try:
        stored = dict(zip(wanted, await live.positions(wanted), strict=True))
        known = {p: [at.checkpoints[-1].offset] for p, at in stored.items() if at and at.checkpoints}
        if not known:
            raise RebuildError(
                "nothing is counted yet: start a worker, it counts from the beginning by itself"
            )
        for partition, found in (await retry_forever(lambda: looks.probe(known))).items():
            if sentence := resolve_start_position(partition, stored[partition], found).sentence:
                raise RebuildError(f"{sentence}. A worker does that: start one, then run the rebuild again")
    finally:
        await looks.stop()


async def _changed(live: LiveNumbers, rules: Rules) -> list[str]:
    stored = await live.rules()
    return differing(stored, written(rules)) if stored is not None else []


def _told(rebuild: Rebuild, compared: ComparisonResult, changed: Sequence[str], rules: Rules) -> bool:
    """Print the result of the comparison. Return whether anything speaks against a switch."""
    click.echo(f"counted {rebuild.counted:,} offsets; compared with the live numbers at equal offsets")
    for rule in changed:
        click.echo(f"changed setting: {rule}")
    lasting_ms = max(rules.retention_ms, 2 * rules.horizon_ms + rules.fcr_ms)
    lost = rebuild.lost(wall_clock_ms() - lasting_ms)
    for sentence in lost:
        click.echo(sentence)
    for one in compared.first:
        click.echo(
            f"{one.family} {one.time}  {one.group}  {one.name}: live {one.live}, rebuilt {one.rebuilt}"
        )
    if compared.number:
        click.echo(f"{compared.number:,} counts differ; the first {len(compared.first)} are above")
    else:
        days = rules.retention_ms // DAY
        click.echo(f"equal: every tally of the last 50 hours and, by hour, of the last {days} days")
    click.echo("plain counters (…_total) were not compared: they count arrivals and are kept as they are")
    return bool(compared.number or lost)


def _when(ms: int) -> str:
    return f"{datetime.fromtimestamp(ms / 1000, UTC):%Y-%m-%dT%H:%M:%SZ}"


def wall_clock_ms() -> int:
    return time.time_ns() // 1_000_000
