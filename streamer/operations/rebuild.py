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

from streamer.events.counting_rules import DAY, CountingRules, diff_rules, encode_rules
from streamer.events.decoding import TOPICS, KafkaRecord
from streamer.ingest.assembly import ASSEMBLIES
from streamer.ingest.run import ingest_center
from streamer.operations.comparison import ChangeSource, CountDifference, diff_states, read_store_state
from streamer.privacy.pseudonyms import Pseudonymizer
from streamer.runtime.clock import wall_clock_ms
from streamer.runtime.retry import retry_forever, retry_refused
from streamer.settings import Settings
from streamer.store.port import LogPosition, Partition, StagedGeneration
from streamer.store.redis import (
    FormerLayoutStore,
    RedisGeneration,
    RedisRegistry,
    RedisStore,
    SupersedingGeneration,
    connect,
)
from streamer.worker.forgotten_customers import (
    erase_everywhere,
    erase_forgotten,
    load_pseudonymizer,
    refresh_forgotten,
)
from streamer.worker.kafka import KafkaLogProbe, KafkaRecordReader, count_partitions
from streamer.worker.log_identity import LogSnapshot, resolve_start_position
from streamer.worker.pipeline import DeadLetter, PartitionProcessor, ProcessingContext

PARALLEL_PARTITIONS: Final = 4
"""Partitions counted at a time: those furthest behind in event time."""
SMALL_LAG: Final = 2_000
SHOWN_DIFFERENCES: Final = 20
_PAUSE_COMMITS_MS: Final = 3_000
_PROMOTE_ATTEMPTS: Final = 10
_READ_TIMEOUT_S: Final = 30.0


class RebuildError(Exception):
    """The rebuild cannot be done now; the message says why and what to do. The live numbers are unchanged."""


class NullDeadLetterSink:
    """A dead letter sink that drops all: the letters were written when the live numbers were counted."""

    async def send(self, letters: Sequence[DeadLetter]) -> None: ...


class NullObserver:
    """A pipeline observer that ignores all."""

    def conflict(self) -> None: ...

    def committed(self, records: Sequence[KafkaRecord], now_ms: int) -> None: ...


class RecordSlice(NamedTuple):
    """Records of one partition, and the offset after them."""

    records: Sequence[KafkaRecord]
    end_offset: int


class ComparisonResult(NamedTuple):
    """The first differences, and how many there are."""

    examples: Sequence[CountDifference]
    total: int


class LiveStore(ChangeSource, Protocol):
    """The store of the numbers in force, whatever its layout."""

    async def positions(self, partitions: Sequence[Partition]) -> list[LogPosition | None]: ...

    async def rules(self) -> bytes | None: ...


class RebuildJob:
    """One rebuild of one center. Raises RebuildError, GenerationSuperseded, and errors of the
    infrastructure."""

    def __init__(
        self,
        live: LiveStore,
        staged: StagedGeneration,
        rules: CountingRules,
        records: KafkaRecordReader,
        progress: Progress,
        pseudonymizer: Pseudonymizer,
        live_limits_ms: tuple[int, int],
    ) -> None:
        self._live, self._records, self._progress = live, records, progress
        self._task: TaskID = progress.add_task("counting again", total=None)
        self._rules = rules
        self.staged = staged
        self._pseudonymizer = pseudonymizer
        self._erased_pseudonyms: set[str] = set()
        self._deferred: dict[Partition, RecordSlice] = {}
        self._paused: set[Partition] = set()
        self._context = ProcessingContext(
            self.staged.store,
            rules,
            NullDeadLetterSink(),
            NullObserver(),
            wall_clock_ms,
            pseudonymizer=pseudonymizer,
            names=records.names,
            live_limits_ms=live_limits_ms,
        )
        self._begin_offsets: Mapping[Partition, int] = {}
        self._processors: dict[Partition, PartitionProcessor] = {}
        self._first_ms: dict[Partition, int] = {}  # times of records, in ms
        self._last_ms: dict[Partition, int] = {}
        self.counted_offsets = 0
        self.gone_offsets: Mapping[Partition, int] = {}
        """Counted offsets of partitions that Kafka no longer has."""

    async def open(self, begin_offsets: Mapping[Partition, int]) -> None:
        """Open the staged generation. `begin_offsets`: the first offset of each log."""
        self._begin_offsets = begin_offsets
        await retry_refused(self.staged.open)
        await retry_refused(lambda: self.staged.store.set_rules(encode_rules(self._rules)))

    async def catch_up(self) -> None:
        """Count up to the live numbers, which advance meanwhile: repeat until fewer than SMALL_LAG are
        left."""
        lag = SMALL_LAG
        while lag >= SMALL_LAG:
            end_offsets = await self._live_offsets()
            lag = sum(
                end_offset - self._processors[partition].position.next
                for partition, end_offset in end_offsets.items()
            )
            self._progress.update(self._task, total=self.counted_offsets + lag)
            await self._count_up_to(end_offsets)

    async def compare(self) -> ComparisonResult:
        """Compare with the live numbers at equal offsets. The live state of one moment is held in memory."""
        live = await retry_forever(lambda: read_store_state(self._live))
        counted_offsets = {partition: position.next for partition, position in live.positions.items()}
        end_offsets = {p: offset for p, offset in counted_offsets.items() if p in self._begin_offsets}
        self.gone_offsets = {p: n for p, n in counted_offsets.items() if n and p not in end_offsets}
        await self._count_up_to(await self._ensure_processors(end_offsets))
        rebuilt = await retry_forever(lambda: read_store_state(self.staged.store))
        differences = diff_states(live, rebuilt, wall_clock_ms(), self._rules.retention_ms)
        examples = list(islice(differences, SHOWN_DIFFERENCES))
        return ComparisonResult(examples, len(examples) + sum(1 for _ in differences))

    async def promote(self) -> None:
        """Put the new numbers in force. Where commits never cease, they are paused for a moment. Raises
        RebuildError after `_PROMOTE_ATTEMPTS`."""
        await retry_forever(
            lambda: erase_everywhere(self.staged.store, self._pseudonymizer.forgotten_at_ms, wall_clock_ms())
        )
        for attempt in range(_PROMOTE_ATTEMPTS):
            if attempt:
                await retry_refused(lambda: self.staged.pause_commits(_PAUSE_COMMITS_MS))
            await self._count_up_to(await self._live_offsets())
            await retry_forever(
                lambda: erase_forgotten(
                    self.staged.store, self._pseudonymizer.forgotten_at_ms, wall_clock_ms()
                )
            )
            if await retry_refused(lambda: self.staged.promote(self.gone_offsets)):
                return
        raise RebuildError(
            "the live numbers changed too fast to switch: run the rebuild again in a quieter hour"
        )

    def describe_lost_records(self, before_ms: int) -> list[str]:
        """Return a sentence for each partition where Kafka already deleted records younger than
        `before_ms`, or which Kafka no longer has."""
        return [
            f"{partition}: Kafka does not have this partition; the records of its {offset:,} counted offsets "
            "are missing in the new numbers"
            for partition, offset in self.gone_offsets.items()
        ] + [
            f"{partition}: Kafka's log begins at offset {begin_offset}"
            f"{f' ({_format_utc(self._first_ms[partition])})' if partition in self._first_ms else ''}; "
            "earlier records are missing in the new numbers"
            for partition, begin_offset in self._begin_offsets.items()
            if begin_offset and self._first_ms.get(partition, wall_clock_ms()) > before_ms
        ]

    async def _live_offsets(self) -> dict[Partition, int]:
        partitions = list(self._begin_offsets)
        positions = zip(
            partitions, await retry_forever(lambda: self._live.positions(partitions)), strict=True
        )
        return await self._ensure_processors(
            {partition: position.next for partition, position in positions if position is not None}
        )

    async def _ensure_processors(self, end_offsets: dict[Partition, int]) -> dict[Partition, int]:
        """Return the same, after making a processor for each. Partitions that the live numbers do not have
        are left to the workers. Raises RebuildError where the live numbers went back."""
        for partition, end_offset in end_offsets.items():
            if partition not in self._processors:
                start = resolve_start_position(
                    partition, None, LogSnapshot(self._begin_offsets[partition], {}, end_offset)
                ).position
                await retry_refused(lambda p=partition, s=start: self.staged.store.move(p, None, s))  # type: ignore[misc]
                self._processors[partition] = PartitionProcessor(partition, start, self._context)
            if self._processors[partition].position.next > end_offset:
                raise RebuildError(
                    f"{partition}: the live numbers went back to offset {end_offset}: run the rebuild again"
                )
        return end_offsets

    async def _count_up_to(self, end_offsets: Mapping[Partition, int]) -> None:
        """Count all partitions up to these offsets, in the order of event time: so contacts are forgotten
        when the workers forget them, and customers when they were erased from the live numbers. Corrections
        that came later change nothing."""
        while lagging := [
            partition
            for partition, end_offset in end_offsets.items()
            if self._processors[partition].position.next < end_offset
        ]:
            self._context.watermark_ms = min(self._last_ms.get(partition, 0) for partition in lagging)
            runnable = [partition for partition in lagging if partition not in self._paused]
            if runnable:
                runnable.sort(key=lambda partition: self._last_ms.get(partition, 0))
                await asyncio.gather(
                    *(
                        self._advance(self._processors[partition], end_offsets[partition])
                        for partition in runnable[:PARALLEL_PARTITIONS]
                    )
                )
            else:
                await self._erase_due()

    async def _erase_due(self) -> None:
        """Erase the customers due now: all partitions are counted up to the time when they were forgotten."""
        erasure_ms, forgotten = self._next_erasure_ms(), self._pseudonymizer.forgotten_at_ms
        due_pseudonyms = [
            name
            for name, at_ms in forgotten.items()
            if name not in self._erased_pseudonyms and at_ms == erasure_ms
        ]
        await retry_forever(lambda: erase_forgotten(self.staged.store, due_pseudonyms, wall_clock_ms()))
        self._erased_pseudonyms.update(due_pseudonyms)
        self._paused.clear()

    def _next_erasure_ms(self) -> int | None:
        """Return the time (ms) of the next erasure to be repeated; None if there is none."""
        times = (
            at_ms
            for name, at_ms in self._pseudonymizer.forgotten_at_ms.items()
            if name not in self._erased_pseudonyms
        )
        return min(times, default=None)

    def _split_at_erasure(
        self, partition: Partition, records: Sequence[KafkaRecord], end_offset: int
    ) -> RecordSlice:
        """Return the records up to the next erasure; defer later ones."""
        erasure_ms = self._next_erasure_ms()
        later_indexes = (
            record_index
            for record_index, record in enumerate(records)
            if erasure_ms is not None and record.timestamp > erasure_ms
        )
        if (record_index := next(later_indexes, None)) is None:
            return RecordSlice(records, end_offset)
        self._paused.add(partition)
        self._deferred[partition] = RecordSlice(records[record_index:], end_offset)
        return RecordSlice(records[:record_index], records[record_index].offset)

    async def _advance(self, processor: PartitionProcessor, end_offset: int) -> None:
        partition, before = processor.partition, processor.position
        record_slice = self._deferred.pop(partition, None) or RecordSlice(
            *await self._fetch(processor, end_offset)
        )
        records, next_offset = self._split_at_erasure(partition, *record_slice)
        if records:
            self._first_ms.setdefault(partition, records[0].timestamp)
            self._last_ms[partition] = records[-1].timestamp
            await processor.count(records, next_offset)
        elif next_offset > before.next:  # offsets without records: transaction markers, compaction
            processor.position = LogPosition(before.epoch, next_offset, before.token, before.checkpoints)
            await retry_refused(lambda: self.staged.store.move(partition, before, processor.position))
        self.counted_offsets += next_offset - before.next
        self._progress.update(self._task, completed=self.counted_offsets)

    async def _fetch(
        self, processor: PartitionProcessor, end_offset: int
    ) -> tuple[Sequence[KafkaRecord], int]:
        start_s = time.monotonic()
        while time.monotonic() < start_s + _READ_TIMEOUT_S:
            try:
                records, next_offset = await retry_forever(
                    lambda: self._records.read_next(processor.partition, end_offset)
                )
            except OffsetOutOfRangeError:
                raise RebuildError(
                    f"{processor.partition}: Kafka deleted the records to be read next: run the rebuild again"
                ) from None
            if next_offset > processor.position.next:
                return records, next_offset
        raise RebuildError(
            f"{processor.partition}: the live numbers were counted up to offset {end_offset}, but "
            f"Kafka gives nothing from offset {processor.position.next} on; run `streamer check`"
        )


async def run_rebuild(settings: Settings, yes: bool) -> int:
    """Rebuild, print the comparison, switch. Return the exit code: 0 if the new numbers are in force, else 1.
    `yes`: switch even if numbers differ or records are missing."""
    rules = settings.counting_rules()
    async with AsyncExitStack() as stack:
        client = await retry_refused(lambda: connect(settings.redis_url(), settings.center))
        store = RedisStore(client, settings.center, rules)
        stack.push_async_callback(store.close)
        former_store = await retry_refused(lambda: FormerLayoutStore.find(client, settings.center))
        live: LiveStore = store if former_store is None else former_store
        staged: StagedGeneration = RedisGeneration(store, rules)
        if former_store is not None:
            click.echo("the numbers in force are in the layout of an earlier release")
            await retry_refused(former_store.copy_shared_keys)
            staged = SupersedingGeneration(store, rules, former_store)
        records = KafkaRecordReader(settings.kafka)
        stack.push_async_callback(records.stop)
        begin_offsets = await records.start(await _list_partitions(settings))
        await _require_same_logs(settings, live, list(begin_offsets))
        progress = stack.enter_context(Progress(console=Console(stderr=True), transient=True))
        registry = RedisRegistry(store, settings.center)
        pseudonymizer = await retry_refused(lambda: load_pseudonymizer(registry, settings))
        job = RebuildJob(live, staged, rules, records, progress, pseudonymizer, settings.live_limits_ms())
        # After the switch, the former generation is left over.
        stack.push_async_callback(retry_refused, staged.discard)
        await job.open(begin_offsets)
        await job.catch_up()
        comparison = await job.compare()
        progress.stop()
        has_reservations = _print_report(job, comparison, await _changed_rules(live, rules), rules)
        if has_reservations and not yes:
            click.echo("not switched: the live numbers stay in force; use --yes to switch all the same")
            return 1
        if former_store is not None:
            await retry_refused(former_store.copy_shared_keys)
            await retry_refused(lambda: _convert_assemblies(store, ingest_center(settings)))
        await retry_refused(lambda: refresh_forgotten(pseudonymizer, registry))
        await job.promote()
        click.echo("switched: the new numbers are in force; workers and readers follow by themselves")
        return 0


async def _convert_assemblies(store: RedisStore, center: str) -> None:
    """Convert the state of `streamer ingest`, which nothing can count again. Raises RebuildError."""
    if (former_store := await FormerLayoutStore.find(store.client, center)) is None:
        return
    if not await former_store.convert_documents(
        RedisStore(store.client, center, CountingRules()), ASSEMBLIES, wall_clock_ms()
    ):
        raise RebuildError(
            "a `streamer ingest` of an earlier release is still writing: stop it, and run the rebuild again"
        )
    click.echo("brought over: unfinished contacts of `streamer ingest`")


async def _list_partitions(settings: Settings) -> list[Partition]:
    partition_counts = await count_partitions(settings.kafka)
    names = map(settings.kafka.names.on_broker, TOPICS)
    return [Partition(name, number) for name in names for number in range(partition_counts[name])]


async def _require_same_logs(settings: Settings, live: LiveStore, partitions: Sequence[Partition]) -> None:
    """Raise RebuildError where the live numbers were counted from other logs than those Kafka has now."""
    probe = KafkaLogProbe(settings.kafka)
    await probe.start()
    try:
        positions = await retry_refused(lambda: live.positions(partitions))
        stored = dict(zip(partitions, positions, strict=True))
        last_offsets = {
            partition: [position.checkpoints[-1].offset]
            for partition, position in stored.items()
            if position and position.checkpoints
        }
        if not last_offsets:
            raise RebuildError(
                "nothing is counted yet: start a worker, it counts from the beginning by itself"
            )
        for partition, snapshot in (await retry_forever(lambda: probe.probe(last_offsets))).items():
            if sentence := resolve_start_position(partition, stored[partition], snapshot).warning:
                raise RebuildError(f"{sentence}. A worker does that: start one, then run the rebuild again")
    finally:
        await probe.stop()


async def _changed_rules(live: LiveStore, rules: CountingRules) -> list[str]:
    stored = await retry_refused(live.rules)
    return diff_rules(stored, encode_rules(rules)) if stored is not None else []


def _print_report(
    job: RebuildJob, comparison: ComparisonResult, changed_rules: Sequence[str], rules: CountingRules
) -> bool:
    """Print the result of the comparison. Return whether anything speaks against a switch."""
    click.echo(f"counted {job.counted_offsets:,} offsets; compared with the live numbers at equal offsets")
    for rule in changed_rules:
        click.echo(f"changed setting: {rule}")
    lasting_ms = max(rules.retention_ms, 2 * rules.horizon_ms + rules.fcr_ms)
    lost_records = job.describe_lost_records(wall_clock_ms() - lasting_ms)
    for sentence in lost_records:
        click.echo(sentence)
    for difference in comparison.examples:
        click.echo(
            f"{difference.family} {difference.time}  {difference.group}  {difference.name}: "
            f"live {difference.live}, rebuilt {difference.rebuilt}"
        )
    if comparison.total:
        click.echo(f"{comparison.total:,} counts differ; the first {len(comparison.examples)} are above")
    else:
        days = rules.retention_ms // DAY
        click.echo(
            f"equal: every tally of the last 50 hours and, by hour, of the last {days} days; all that is live"
        )
    click.echo("plain counters (…_total) were not compared: they count arrivals and are kept as they are")
    return bool(comparison.total or lost_records)


def _format_utc(ms: int) -> str:
    return f"{datetime.fromtimestamp(ms / 1000, UTC):%Y-%m-%dT%H:%M:%SZ}"
