"""Run the replay of files and return the exit code."""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Final, NamedTuple

from rich.console import Console

from streamer.events.decoding import TOPICS
from streamer.replay.file_reader import FileReader, ReadOptions
from streamer.replay.file_replay import FileReplay, RecordSink, ReplayContext, newest_event_ms
from streamer.replay.input_files import InputFile
from streamer.replay.kafka_sink import KafkaSink
from streamer.replay.pacing import ReplayPacer
from streamer.replay.position import PositionFile
from streamer.replay.retention_check import RetentionCheck
from streamer.replay.stdout_sink import StdoutSink
from streamer.replay.usage_error import ReplayUsageError
from streamer.runtime.clock import wall_clock_ms
from streamer.runtime.terminal import visible_text
from streamer.settings import Settings
from streamer.worker import kafka

ALL_SENT: Final = 0
WRONG_USE: Final = 2
SOME_REJECTED: Final = 3
INTERRUPTED: Final = 130
_BATCH_BYTES: Final = 128 * 1024


class ReplayOptions(NamedTuple):
    """Options of the command line. `speed`: None is as fast as possible. `shift_to`: the new time of the
    newest event as given, RFC 3339 or "now"; `shift_to_ms`: the same in epoch milliseconds."""

    files: Sequence[str]
    read_options: ReadOptions = ReadOptions()
    speed: float | None = None
    shift_to: str | None = None
    shift_to_ms: int | None = None
    dry_run: bool = False
    state_folder: str | None = None
    restart: bool = False


def run_replay(settings: Settings, options: ReplayOptions) -> int:
    """Replay the files and return the exit code: 0 all sent, 2 the command or its map is wrong, 3 some events
    rejected, 130 interrupted. Errors of Kafka pass through."""
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    try:
        return asyncio.run(_replay_files(settings, options, console))
    except ReplayUsageError as error:
        console.print(visible_text(f"streamer replay: {error}"), markup=False)
        return WRONG_USE
    except KeyboardInterrupt:
        console.print("streamer replay: interrupted", markup=False)
        return INTERRUPTED
    except BrokenPipeError:
        return ALL_SENT


async def _replay_files(settings: Settings, options: ReplayOptions, console: Console) -> int:
    sources = [InputFile(path) for path in options.files]
    try:
        return await _replay_inputs(sources, settings, options, console)
    finally:
        for source in sources:
            source.close()


async def _replay_inputs(
    sources: Sequence[InputFile], settings: Settings, options: ReplayOptions, console: Console
) -> int:
    reader = FileReader(options.read_options, settings)
    position_files = [_position_file(source, options, reader) for source in sources]
    positions = [position_file.load(options.restart or options.dry_run) for position_file in position_files]
    started_positions = [position for position in positions if position.entries]
    shift_ms = (
        started_positions[0].shift_ms
        if started_positions
        else await _compute_shift_ms(settings, options, reader, sources, console)
    )
    async with AsyncExitStack() as stack:
        sink, retention = await _open_sink(settings, options, stack)
        context = ReplayContext(
            settings.counting_rules(), reader, sink, retention, ReplayPacer(options.speed), console
        )
        summaries = []
        for source, position_file, position in zip(sources, position_files, positions, strict=True):
            position.shift_ms = shift_ms
            summaries.append(await FileReplay(context, position_file, position).run(source))
    for position_file in position_files:
        position_file.delete()
    return SOME_REJECTED if any(summary.rejected for summary in summaries) else ALL_SENT


def _position_file(source: InputFile, options: ReplayOptions, reader: FileReader) -> PositionFile:
    return PositionFile(
        source, options.state_folder, f"{reader.digest} {options.shift_to or ''}", enabled=not options.dry_run
    )


async def _compute_shift_ms(
    settings: Settings,
    options: ReplayOptions,
    reader: FileReader,
    sources: Sequence[InputFile],
    console: Console,
) -> int:
    """Return by how many milliseconds to move all times. Reads the files once before they are replayed."""
    if options.shift_to_ms is None:
        return 0
    newest_times_ms = []
    for source in sources:
        source.buffer_stdin()
        newest_times_ms.append(await newest_event_ms(settings.counting_rules(), reader, source, console))
    latest_ms = max((time_ms for time_ms in newest_times_ms if time_ms is not None), default=None)
    return 0 if latest_ms is None else options.shift_to_ms - latest_ms


async def _open_sink(
    settings: Settings, options: ReplayOptions, stack: AsyncExitStack
) -> tuple[RecordSink, RetentionCheck]:
    if options.dry_run:
        return StdoutSink(), RetentionCheck({}, 0, settings.kafka.names)
    await kafka.ensure_topics(
        settings.kafka, retention_ms=kafka.topic_retention_ms(settings.counting_rules())
    )
    producer = await kafka.start_producer(settings.kafka, batch_bytes=_BATCH_BYTES)
    stack.push_async_callback(producer.stop)
    kafka_sink = KafkaSink(producer, settings.kafka.names)
    await kafka_sink.load_partitions(TOPICS)
    names = settings.kafka.names
    configs = await kafka.describe_topic_configs(settings.kafka, list(map(names.on_broker, TOPICS)))
    return kafka_sink, RetentionCheck(configs, wall_clock_ms(), names)
