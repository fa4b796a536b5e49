"""Tests: the memory of a command on dead letters does not grow with their number."""

import gc
import tracemalloc
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import pytest

from streamer.dead_letters import commands, erase_letters, letter_index
from streamer.dead_letters import kafka as letters_kafka
from streamer.dead_letters.letter_filter import LetterFilter
from streamer.events.decoding import KafkaRecord
from streamer.events.models import RejectedEvent
from streamer.settings import Settings, load_settings
from streamer.worker import kafka
from tests.parts.broker import Broker

FEW = 500
NOW = 1_795_255_200_000
EVERYTHING = LetterFilter()
REJECTED = RejectedEvent("off-scale", "answers.nps is 11, expected an integer from 0 to 10")


@pytest.fixture(autouse=True)
def _small_buffers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Buffers that a few letters fill."""
    small_fetches = partial(kafka.standalone_consumer, max_partition_fetch_bytes=8_192)
    monkeypatch.setattr(letters_kafka, "standalone_consumer", small_fetches)
    monkeypatch.setattr(letters_kafka, "_MAX_POLL_RECORDS", 50)
    monkeypatch.setattr(letters_kafka, "_UNREAD_FETCHES", 16)
    monkeypatch.setattr(letters_kafka, "_CHUNK_LETTERS", 50)
    monkeypatch.setattr(letter_index, "_MERGED_ROWS", 50)


@pytest.mark.apache  # the embedded broker answers a fetch with all it has
async def test_four_times_the_letters_take_no_more_memory(fresh_broker: Broker, tmp_path: Path) -> None:
    settings = load_settings(kafka=fresh_broker.address)
    await kafka.ensure_topics(settings.kafka)
    path = str(tmp_path / "letters.json")
    commands_by_name: dict[str, Callable[[], Awaitable[object]]] = {
        "list": lambda: commands.show_all(settings, EVERYTHING, as_json=True),
        "export": lambda: commands.export(settings, EVERYTHING, path, with_originals=True),
        "retry": lambda: commands.retry(settings, EVERYTHING, (), force=False, dry_run=True),
        "forget": lambda: erase_letters(settings, lambda _: False),
    }

    async def close() -> None:
        await commands.close(settings, EVERYTHING)

    await peak_bytes(commands_by_name["export"])  # imports what it needs
    peaks = []
    for letter_count in (FEW, 4 * FEW):
        await write_letters(settings, letter_count)
        peaks.append({name: await peak_bytes(command) for name, command in commands_by_name.items()})
        peaks[-1]["close"] = await peak_bytes(close)
    few, many = peaks
    growths = {name: round(many[name] / few[name], 2) for name in few}
    print(few, growths)
    assert max(growths.values()) < 1.7, growths


async def write_letters(settings: Settings, letter_count: int) -> None:
    """Write so many records that are no surveys, and a letter about each."""
    value = b'{"response_id":"r1","answers":{"nps":11},"comment":"%s"}' % (b"rude " * 50)
    producer = await kafka.start_producer(settings.kafka, linger_ms=5)
    try:
        for start in range(0, letter_count, FEW):
            sent = [
                await producer.send("survey-completed", value, partition=number % 4, timestamp_ms=NOW)
                for number in range(start, start + FEW)
            ]
            letters = [
                KafkaRecord("survey-completed", place.partition, place.offset, NOW, None, value, ())
                for place in [await delivery for delivery in sent]
            ]
            await kafka.KafkaDeadLetterSink(producer).send([(letter, REJECTED) for letter in letters])
    finally:
        await producer.stop()


async def peak_bytes(command: Callable[[], Awaitable[object]]) -> int:
    """Return the most bytes that a command holds, where nothing but the command itself frees cycles: when
    Python does depends on all other objects of the process."""
    gc.collect()
    gc.disable()
    tracemalloc.start()
    try:
        await command()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
        gc.enable()
