"""Replay the entries of one file: shift their times, check them, send them when due, and count them."""

import asyncio
import copy
import time
from collections.abc import Callable
from typing import Final, NamedTuple, Protocol

from rich.console import Console

from streamer.events.counting_rules import CountingRules
from streamer.events.models import RejectedEvent
from streamer.events.outgoing_records import OutgoingRecord
from streamer.replay.file_reader import FileReader
from streamer.replay.input_files import InputFile
from streamer.replay.pacing import ReplayPacer
from streamer.replay.position import PositionFile, ReplayPosition
from streamer.replay.progress_bar import ProgressBar
from streamer.replay.retention_check import RetentionCheck
from streamer.replay.row_results import ReplayEntry, SkippedRow, SourcedEvent, prepare_record, shift_times
from streamer.replay.stdout_sink import StdoutSink
from streamer.replay.summary import ReplaySummary
from streamer.runtime.clock import wall_clock_ms
from streamer.runtime.terminal import visible_text

_BATCH_ENTRIES: Final = 2_000
_SAVE_INTERVAL_S: Final = 1.0
_MIN_WAIT_S: Final = 0.005
_DRAIN_WAIT_S: Final = 0.1


class RecordSink(Protocol):
    """Destination of records: Kafka or standard output."""

    def put(self, record: OutgoingRecord) -> None: ...

    async def flush(self, on_acknowledged: Callable[[], None]) -> None:
        """Send all records put so far; call `on_acknowledged` when these and all before them have arrived."""

    async def drain(self) -> None:
        """Wait until all flushed records have arrived."""

    async def drain_or_abandon(self) -> None:
        """Wait for a limited time, ignoring failures."""


class ReplayContext(NamedTuple):
    """Settings and services shared by all files of a command."""

    rules: CountingRules
    reader: FileReader
    sink: RecordSink
    retention: RetentionCheck
    pace: ReplayPacer
    console: Console


async def newest_event_ms(
    rules: CountingRules, reader: FileReader, source: InputFile, console: Console
) -> int | None:
    """Return the time of the newest event that can be sent, in epoch milliseconds; None if there is none."""
    latest_ms: int | None = None
    with reader.open_entries(source) as (rows, entries), ProgressBar(console, source.name, "reading") as bar:
        for entry_number, entry in enumerate(entries, 1):
            records = [
                prepare_record(result, rules, 0)
                for result in entry.results
                if isinstance(result, SourcedEvent)
            ]
            times_ms = [record.timestamp_ms for record in records if isinstance(record, OutgoingRecord)]
            latest_ms = max([*times_ms, *([] if latest_ms is None else [latest_ms])], default=None)
            if entry_number % _BATCH_ENTRIES == 0:
                bar.show(rows, entry_number)
                await asyncio.sleep(0)  # lets Ctrl-C through
    return latest_ms


class FileReplay:
    """Replay of one file, from its saved position to its end."""

    def __init__(self, context: ReplayContext, position_file: PositionFile, position: ReplayPosition) -> None:
        self._context = context
        self._position_file = position_file
        self._acknowledged = position
        self._summary = copy.deepcopy(position.account)
        self._entries = position.entries
        self._batched_entries = 0
        self._last_event_ms = wall_clock_ms()
        self._saved_s = self._began_s = time.monotonic()
        self._show_progress: Callable[[], None] = lambda: None

    async def run(self, source: InputFile) -> ReplaySummary:
        """Replay the file, print its summary, and return it. Saves the position if interrupted."""
        earlier_events = self._acknowledged.account.events
        if not self._acknowledged.done:
            await self._replay_entries(source)
        summary = self._acknowledged.account
        verb = "printed" if isinstance(self._context.sink, StdoutSink) else "sent"
        report = summary.describe(source.name, verb, time.monotonic() - self._began_s, earlier_events)
        self._context.console.print(visible_text(report), markup=False)
        return summary

    async def _replay_entries(self, source: InputFile) -> None:
        context, earlier_events = self._context, self._summary.events
        bar = ProgressBar(context.console, source.name, "replaying")
        with context.reader.open_entries(source, self._entries) as (rows, entries), bar:
            self._show_progress = lambda: bar.show(rows, self._summary.events - earlier_events)
            self._position_file.save(self._acknowledged)  # if it cannot be saved, nothing is sent
            try:
                for entry in entries:
                    await self._send_entry(entry)
                    if self._batched_entries >= _BATCH_ENTRIES:
                        await self._flush()
                await self._flush(is_last=True)
                await context.sink.drain()
            except BaseException:
                await context.sink.drain_or_abandon()
                self._report_stop(source)
                raise
            finally:
                self._position_file.save(self._acknowledged)

    def _report_stop(self, source: InputFile) -> None:
        if self._position_file.is_enabled:
            rows = f"{self._acknowledged.entries:,} rows"
            message = f"{source.name}: stopped after {rows}; run the same command to continue"
            self._context.console.print(visible_text(message), markup=False)

    async def _send_entry(self, entry: ReplayEntry) -> None:
        """Send a whole entry: a position never lies within one."""
        records = self._prepare_records(entry)
        if records and not self._context.pace.is_max:
            await self._wait_until_due(records[0].timestamp_ms)
        for record in records:
            for warning in self._context.retention.warnings(record):
                self._context.console.print(visible_text(f"streamer replay: {warning}"), markup=False)
            self._context.sink.put(record)
            self._summary.add_sent(record.topic)
        self._summary.rows += bool(entry.line)
        self._entries += 1
        self._batched_entries += 1

    def _prepare_records(self, entry: ReplayEntry) -> list[OutgoingRecord]:
        records = []
        for result in entry.results:
            if isinstance(result, SkippedRow):
                self._summary.add_skipped(result.reason)
                continue
            record = self._prepare_record(result) if isinstance(result, SourcedEvent) else result
            if isinstance(record, RejectedEvent):
                self._summary.add_rejected(entry.line, record)
            else:
                self._last_event_ms = record.timestamp_ms
                records.append(record)
        return records

    def _prepare_record(self, sourced_event: SourcedEvent) -> OutgoingRecord | RejectedEvent:
        shift_ms = self._acknowledged.shift_ms
        return prepare_record(
            shift_times(sourced_event, shift_ms) if shift_ms else sourced_event,
            self._context.rules,
            self._last_event_ms,
        )

    async def _wait_until_due(self, event_ms: int) -> None:
        clock = asyncio.get_running_loop().time
        if (wait_s := self._context.pace.wait_s(event_ms, clock())) > _MIN_WAIT_S:
            await self._flush()
            if wait_s > _DRAIN_WAIT_S:
                await self._context.sink.drain()
            await asyncio.sleep(max(0.0, self._context.pace.wait_s(event_ms, clock())))

    async def _flush(self, is_last: bool = False) -> None:
        acknowledged = self._acknowledged
        next_position = ReplayPosition(
            acknowledged.file,
            acknowledged.options,
            acknowledged.shift_ms,
            self._entries,
            is_last,
            copy.deepcopy(self._summary),
        )
        self._batched_entries = 0
        await self._context.sink.flush(lambda: self._acknowledge(next_position))
        self._show_progress()

    def _acknowledge(self, position: ReplayPosition) -> None:
        self._acknowledged = position
        if time.monotonic() - self._saved_s >= _SAVE_INTERVAL_S:
            self._saved_s = time.monotonic()
            self._position_file.save(position)
