"""Replayed events arrive with their own times and count once, whatever interrupts the command."""

import asyncio
import json
import os
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from streamer.events.counting_rules import DAY, SECOND
from tests.parts.broker import Broker
from tests.replay.replay_command import call, ndjson, start_replay
from tests.test_real_input import Center, at_of, now

CALLS = 2_000
PER_S = 250


def run_replay_process(settings: dict[str, str], *arguments: str | Path) -> tuple[int, str]:
    process = start_replay(settings, *arguments)
    _, told = process.communicate()
    return process.returncode, told


def interrupted_by(number: signal.Signals) -> Any:
    return pytest.param(number, id=number.name)


async def read_records(broker: Broker, topic: str, number: int) -> list[Any]:
    """Return the first records of all partitions."""
    consumer = AIOKafkaConsumer(bootstrap_servers=broker.address, auto_offset_reset="earliest")
    found: list[Any] = []
    async with consumer, asyncio.timeout(30):
        consumer.assign([TopicPartition(topic, place) for place in range(4)])
        while len(found) < number:
            for some in (await consumer.getmany(timeout_ms=500)).values():
                found += some
    return found


async def test_records_bear_the_events_time_the_customer_and_the_source(
    fresh_broker: Broker, tmp_path: Path
) -> None:
    ended = now() - 3 * DAY
    rows = [
        call(number, customer_id=f"k{number % 7}", ended_at=ended / 1000 + number) for number in range(50)
    ]
    event = {"specversion": "1.0", "id": "x", "source": "/chat", "type": "call-completed"}
    path = ndjson(tmp_path / "calls.ndjson", [*rows[:49], {**event, "data": rows[49]}])
    code, told = run_replay_process({"kafka": fresh_broker.address}, path)
    assert code == 0, told
    found = await read_records(fresh_broker, "call-completed", 50)
    by_contact = {json.loads(record.value)["contact_id"]: record for record in found}
    for number, row in enumerate(rows):
        record = by_contact[f"c{number}"]
        assert json.loads(record.value) == row
        assert (record.key.decode(), record.timestamp) == (f"k{number % 7}", ended + number * SECOND)
        assert dict(record.headers).get("ce_source") == (b"/chat" if number == 49 else None)
    places = {(record.key, record.partition) for record in found}
    assert len(places) == 7
    assert len({partition for _, partition in places}) > 1


async def test_events_go_where_any_client_of_kafka_would_send_them(
    fresh_broker: Broker, tmp_path: Path
) -> None:
    """Compare with known values of the hash that all clients use."""
    rows = [
        call(number, customer_id=key, ended_at=now() / 1000) for number, key in enumerate(("21", "foobar"))
    ]
    assert (
        run_replay_process({"kafka": fresh_broker.address}, ndjson(tmp_path / "calls.ndjson", rows))[0] == 0
    )
    found = {record.key: record.partition for record in await read_records(fresh_broker, "call-completed", 2)}
    wanted = {b"21": -973932308, b"foobar": -790332482}
    assert found == {key: (hash_ & 0x7FFFFFFF) % 4 for key, hash_ in wanted.items()}


def write_paced_calls(path: Path) -> Path:
    """Some seconds of calls, so that there is time to interrupt them."""
    start = now() - DAY
    return ndjson(path, [call(n, ended_at=(start + n * SECOND / PER_S) / 1000) for n in range(CALLS)])


def saved_entries(state: Path) -> int:
    return int(json.loads(state.read_bytes())["entries"]) if state.exists() else 0


async def wait_for_position(process: subprocess.Popen[str], state: Path) -> None:
    """Wait until the process has saved a position inside the file."""
    async with asyncio.timeout(30):
        while not saved_entries(state):
            assert process.poll() is None, process.communicate()
            await asyncio.sleep(0.05)


async def wait_until_counted(live: Center, number: int) -> dict[str, int]:
    async with asyncio.timeout(60):
        while (found := await live._counted("call-completed")).get("applied", 0) < number:
            assert live.worker.runs, live.worker.log()
            await asyncio.sleep(0.1)
    return found


@pytest.mark.embedded
@pytest.mark.parametrize("number", [interrupted_by(signal.SIGKILL), interrupted_by(signal.SIGINT)])
async def test_an_interrupted_replay_goes_on_where_it_stopped_and_all_counts_once(
    live: Center, tmp_path: Path, number: signal.Signals
) -> None:
    path, state = write_paced_calls(tmp_path / "calls.ndjson"), tmp_path / "calls.ndjson.replayed"
    settings = {"kafka": live.settings.kafka.bootstrap_servers}
    first = start_replay(settings, "--speed", "1", path)
    await wait_for_position(first, state)
    first.send_signal(number)
    _, told = first.communicate()
    reached = saved_entries(state)
    if number == signal.SIGINT:
        assert first.returncode == 130, told
        assert "streamer replay: interrupted" in told
        assert f"calls.ndjson: stopped after {reached:,} rows; run the same command to continue" in told
    assert 0 < reached < CALLS
    code, told = run_replay_process(settings, path)
    assert code == 0, told
    assert f"{CALLS:,} rows, {CALLS:,} events sent, {reached:,} of them before the interruption" in told
    assert not state.exists()
    found = await wait_until_counted(live, CALLS)
    assert found["applied"] == CALLS
    assert found.keys() <= {"applied", "unchanged"}
    assert found.get("unchanged", 0) < CALLS - reached, "it started over"


@pytest.mark.embedded
async def test_a_file_that_is_done_is_not_sent_again_after_another_was_interrupted(
    live: Center, tmp_path: Path
) -> None:
    done = ndjson(
        tmp_path / "done.ndjson", [call(CALLS + n, ended_at=now() / 1000 - 86_400) for n in range(10)]
    )
    path, state = write_paced_calls(tmp_path / "calls.ndjson"), tmp_path / "calls.ndjson.replayed"
    settings = {"kafka": live.settings.kafka.bootstrap_servers}
    first = start_replay(settings, "--speed", "1", done, path)
    await wait_for_position(first, state)
    first.kill()
    first.communicate()
    code, told = run_replay_process(settings, done, path)
    assert code == 0, told
    assert "done.ndjson: 10 rows, 10 events sent, 10 of them before the interruption" in told
    assert (await wait_until_counted(live, CALLS + 10))["applied"] == CALLS + 10
    assert sorted(os.listdir(tmp_path)) == ["calls.ndjson", "done.ndjson", "worker.log"]


@pytest.mark.embedded
async def test_a_moved_replay_is_moved_as_far_after_an_interruption(live: Center, tmp_path: Path) -> None:
    """The amount stays, although now is later."""
    path, state = write_paced_calls(tmp_path / "calls.ndjson"), tmp_path / "calls.ndjson.replayed"
    settings = {"kafka": live.settings.kafka.bootstrap_servers}
    command: Sequence[str | Path] = ("--shift-to", "now", path)
    first = start_replay(settings, "--speed", "1", *command)
    await wait_for_position(first, state)
    first.kill()
    first.communicate()
    by_ms = json.loads(state.read_bytes())["shift_ms"]
    code, told = run_replay_process(settings, *command)
    assert code == 0, told
    assert (await wait_until_counted(live, CALLS))["applied"] == CALLS
    (newest,) = live.command("contacts", "--window", "1h", "--at", at_of(now() + 60 * SECOND))
    assert newest["value"] == CALLS
    assert by_ms == pytest.approx(DAY, abs=120 * SECOND)


def test_a_broker_that_is_not_there_is_one_line_and_exit_code_1(tmp_path: Path) -> None:
    code, told = run_replay_process({"kafka": "127.0.0.1:1"}, ndjson(tmp_path / "calls.ndjson", [call()]))
    assert code == 1
    assert told.splitlines()[-1].startswith("streamer: ")
    assert "Traceback" not in told


@pytest.mark.apache
async def test_events_that_kafka_would_delete_are_warned_of_before_they_are_sent(
    fresh_broker: Broker, tmp_path: Path
) -> None:
    path = ndjson(tmp_path / "calls.ndjson", [call(1, ended_at=(now() - 101 * DAY) / 1000)])
    code, told = run_replay_process({"kafka": fresh_broker.address}, path)
    assert code == 0, told
    assert "topic call-completed keeps records for 100 days (retention.ms)" in told
    assert told.index("retention.ms") < told.index("1 event sent")
