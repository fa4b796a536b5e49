"""Run the replay of files and return the exit code."""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Final, NamedTuple

from rich.console import Console

from streamer.events.decoding import TOPICS
from streamer.replay.entries import How, Reader
from streamer.replay.files import Input
from streamer.replay.pace import Pace
from streamer.replay.position import Keeper
from streamer.replay.printing import Printer
from streamer.replay.publishing import Publisher
from streamer.replay.replaying import FileReplay, Shared, Sink, newest_ms
from streamer.replay.retention import Retention
from streamer.replay.usage import WrongUseError
from streamer.settings import Settings
from streamer.worker import kafka
from streamer.worker.engine import wall_clock_ms

ALL_SENT: Final = 0
WRONG_USE: Final = 2
SOME_REJECTED: Final = 3
INTERRUPTED: Final = 130
_BATCH_BYTES: Final = 128 * 1024


class Asked(NamedTuple):
    """Options of the command line. `speed`: None is as fast as possible. `shift_to`: the new time of the
    newest event as given, RFC 3339 or "now"; `shift_to_ms`: the same in epoch milliseconds."""

    files: Sequence[str]
    how: How = How()
    speed: float | None = None
    shift_to: str | None = None
    shift_to_ms: int | None = None
    dry_run: bool = False
    state: str | None = None
    restart: bool = False


def run_replay(settings: Settings, asked: Asked) -> int:
    """Replay the files and return the exit code: 0 all sent, 2 the command or its map is wrong, 3 some events
    rejected, 130 interrupted. Errors of Kafka pass through."""
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    try:
        return asyncio.run(_replay(settings, asked, console))
    except WrongUseError as error:
        console.print(f"streamer replay: {error}", markup=False)
        return WRONG_USE
    except KeyboardInterrupt:
        console.print("streamer replay: interrupted", markup=False)
        return INTERRUPTED
    except BrokenPipeError:
        return ALL_SENT


async def _replay(settings: Settings, asked: Asked, console: Console) -> int:
    sources = [Input(path) for path in asked.files]
    try:
        return await _all(sources, settings, asked, console)
    finally:
        for source in sources:
            source.close()


async def _all(sources: Sequence[Input], settings: Settings, asked: Asked, console: Console) -> int:
    reader = Reader(asked.how, settings)
    keepers = [_keeper(source, asked, reader) for source in sources]
    positions = [keeper.begin(asked.restart or asked.dry_run) for keeper in keepers]
    begun = [position for position in positions if position.entries]
    shift_ms = begun[0].shift_ms if begun else await _shift_ms(settings, asked, reader, sources, console)
    async with AsyncExitStack() as stack:
        sink, retention = await _sink(settings, asked, stack)
        shared = Shared(settings.rules(), reader, sink, retention, Pace(asked.speed), console)
        accounts = []
        for source, keeper, position in zip(sources, keepers, positions, strict=True):
            position.shift_ms = shift_ms
            accounts.append(await FileReplay(shared, keeper, position).run(source))
    for keeper in keepers:
        keeper.forget()
    return SOME_REJECTED if any(account.rejected for account in accounts) else ALL_SENT


def _keeper(source: Input, asked: Asked, reader: Reader) -> Keeper:
    return Keeper(source, asked.state, f"{reader.digest} {asked.shift_to or ''}", kept=not asked.dry_run)


async def _shift_ms(
    settings: Settings, asked: Asked, reader: Reader, sources: Sequence[Input], console: Console
) -> int:
    """Return by how many milliseconds to move all times. Reads the files once before they are replayed."""
    if asked.shift_to_ms is None:
        return 0
    found = []
    for source in sources:
        source.keep()
        found.append(await newest_ms(settings.rules(), reader, source, console))
    newest = max((one for one in found if one is not None), default=None)
    return 0 if newest is None else asked.shift_to_ms - newest


async def _sink(settings: Settings, asked: Asked, stack: AsyncExitStack) -> tuple[Sink, Retention]:
    if asked.dry_run:
        return Printer(), Retention({}, 0)
    await kafka.ensure_topics(settings.kafka, retention_ms=kafka.kept_ms(settings.rules()))
    producer = await kafka.producer(settings.kafka, batch_bytes=_BATCH_BYTES)
    stack.push_async_callback(producer.stop)
    publisher = Publisher(producer)
    await publisher.know(TOPICS)
    return publisher, Retention(await kafka.configuration(settings.kafka, TOPICS), wall_clock_ms())
