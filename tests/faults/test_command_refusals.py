"""Redis answers "not now" to commands besides the worker: each waits, says so once, goes on, ends right."""

import asyncio
import json
import re
import sys
from collections.abc import Iterable, Iterator, MutableMapping, Sequence
from contextlib import contextmanager, suppress
from itertools import count, islice
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from redis.exceptions import RedisError, ResponseError
from structlog.testing import capture_logs

from streamer.dead_letters import commands as letter_commands
from streamer.dead_letters.letter_filter import LetterFilter
from streamer.events.raw_topics import raw_topic
from streamer.operations import forget
from streamer.operations.rebuild import run_rebuild
from streamer.runtime.clock import wall_clock_ms
from streamer.runtime.retry import OUTAGES
from streamer.store.redis import RedisDocument, RedisStore
from streamer.store.redis.connection import PrimaryConnection
from streamer.worker import kafka
from tests.alerts.simulated import NPS, drawn, steady, written
from tests.delivery.test_alert_coordinator import make_coordinator, until
from tests.faults import kafka_log
from tests.faults.redis_faults import Fault, demoted, failed_snapshot, loading, out_of_memory
from tests.faults.trial import Trial
from tests.faults.worker import said
from tests.parts.redis_server import RedisServer

pytestmark = pytest.mark.apache


class EachCallOnce:
    """Has Redis refuse each call of a command to the store once, at its first command, by a script that is
    too long. `places`: the lines that lead to each call."""

    def __init__(self, redis: RedisServer) -> None:
        self._redis = redis
        self._tasks = set[asyncio.Task[None]]()
        self._one_script = asyncio.Lock()
        self.places = set[tuple[str, ...]]()

    @contextmanager
    def active(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        async def send(connection: PrimaryConnection, *args: Any, **options: Any) -> Any:
            place = calling_place()
            if place and place not in self.places:
                self.places.add(place)
                await self._refuse()
            return await super(PrimaryConnection, connection).send_packed_command(*args, **options)  # type: ignore[misc]

        with monkeypatch.context() as patched:
            patched.setattr(PrimaryConnection, "send_packed_command", send, raising=False)
            yield

    async def _refuse(self) -> None:
        """Return once Redis refuses all calls; a moment later it does no more."""
        refusing = asyncio.Event()
        task = asyncio.create_task(self._run_script(refusing))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        await refusing.wait()

    async def _run_script(self, refusing: asyncio.Event) -> None:
        async with self._one_script, self._redis.client() as client, self._redis.client() as admin:
            await admin.config_set("lua-time-limit", 1)
            script = asyncio.create_task(client.eval("while true do end", 0))
            with suppress(ResponseError):  # BUSY
                while True:
                    await admin.ping()
            refusing.set()
            await asyncio.sleep(0.02)
            await admin.script_kill()
            with suppress(RedisError):
                await script


def calling_place() -> tuple[str, ...]:
    """Return the lines outside the store that lead to this call, innermost first; none for what workers do
    too, and for a connection's own commands."""
    lines = []
    frame: FrameType | None = sys._getframe()
    while frame is not None:
        path = frame.f_code.co_filename
        if path.endswith("worker/pipeline.py") or frame.f_code.co_name == "on_connect":
            return ()
        if "/streamer/" in path and not re.search("/tests/|/store/|/retry.py$", path):
            lines.append(f"{path.rpartition('/')[2]}:{frame.f_lineno}")
        frame = frame.f_back
    return tuple(lines)


async def test_rebuild_and_forget_wait_at_each_of_their_calls_to_redis(
    trial: Trial, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forget, "FORGET_LEAD_MS", 100)
    trial.worker()
    async with trial.load(per_s=100):
        await trial.progress(150)
    customer = await anybody(trial)
    refusals = EachCallOnce(trial.redis)
    with refusals.active(monkeypatch):
        assert await run_rebuild(trial.settings, yes=False) == 0
        await forget.run_forget(trial.settings, customer)
    output = capsys.readouterr().out
    assert "equal: " in output
    assert re.search("^erased: [1-9]", output, re.MULTILINE), output
    assert {place[-1].partition(":")[0] for place in refusals.places} == {"rebuild.py", "forget.py"}
    assert len(refusals.places) > 25
    await trial.settle()


REASONS: dict[str, Fault] = {
    "oom": out_of_memory,
    "readonly": demoted,
    "misconf": failed_snapshot,
    "loading": loading,
}


async def test_commands_wait_through_each_reason_and_say_it_once(
    trial: Trial, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rebuild and forget by turns, dead letters that are sent again, and `ingest` all the time."""
    monkeypatch.setattr(forget, "FORGET_LEAD_MS", 100)
    (tmp_path / "streamer.toml").write_text("[sources.delighted]\n")
    worker, ingest = trial.worker(), trial.worker(command="ingest")
    async with trial.load(per_s=100):
        await trial.progress(150)
    customer, numbers = await anybody(trial), count()
    for reason, fault in REASONS.items():
        with capture_logs() as logs:
            async with fault(trial.redis):
                is_rebuild = reason in ("readonly", "loading")
                command = asyncio.create_task(
                    run_rebuild(trial.settings, yes=False)
                    if is_rebuild
                    else forget.run_forget(trial.settings, customer)
                )
                await publish_responses(trial, islice(numbers, 5))
                if reason == "oom":
                    await letter_commands.retry(trial.settings, LetterFilter(), (), force=True, dry_run=False)
                await trial.until(lambda reason=reason: reason in OUTAGES.reasons())  # type: ignore[misc]
                await trial.until(lambda reason=reason: bool(said(ingest, f"reason={reason}")))  # type: ignore[misc]
                assert not command.done()
            assert await command in (0, None)
        assert len(lines_about(logs, reason)) == 1
        assert len(said(ingest, f"reason={reason}")) == 1
    await until_published(trial, next(numbers))
    await trial.settle()
    assert worker.runs


async def publish_responses(trial: Trial, numbers: Iterable[int]) -> None:
    """Publish raw records of a survey tool."""
    producer = await kafka.start_producer(trial.settings.kafka)
    try:
        for number in numbers:
            response = {"id": f"raw-{number}", "score": 9, "created_at": wall_clock_ms() // 1000}
            await producer.send_and_wait(raw_topic("delighted"), json.dumps(response).encode())
    finally:
        await producer.stop()


async def until_published(trial: Trial, responses: int) -> None:
    """Wait until `ingest` has made an event of each response."""
    found: set[bytes] = set()
    while len(found) < responses:
        async for record in kafka_log.records(trial.broker.address, ["survey-completed"]):
            found.update(re.findall(rb"raw-\d+", record.value or b""))


async def anybody(trial: Trial) -> str:
    """Return the id of a customer of the trial."""
    async for record in kafka_log.records(trial.broker.address, ["call-completed"]):
        with suppress(ValueError, KeyError):
            return str(json.loads(record.value or b"")["customer_id"])
    raise AssertionError("nobody called")


def lines_about(logs: Sequence[MutableMapping[str, Any]], reason: str) -> list[MutableMapping[str, Any]]:
    return [
        line for line in logs if line["event"] == "retrying: store unavailable" and line["reason"] == reason
    ]


async def test_alerts_fire_after_each_reason_once_and_the_log_says_each_error_once(
    fresh_redis: RedisServer, center: str
) -> None:
    numbers = await written(drawn(["billing", "sales"], 150, NPS, steady(0.6, 0.3, 0.1)))
    store = await RedisStore.connect(fresh_redis.url, center)
    for reason, fault in REASONS.items():
        bell = await make_coordinator(RedisDocument(store, reason), numbers)
        with capture_logs() as logs:
            async with fault(fresh_redis):
                ringing = asyncio.create_task(bell.run())
                async with asyncio.timeout(30):
                    while not logs:  # noqa: ASYNC110
                        await asyncio.sleep(0.01)
            state = await until(bell, 2)
        bell.stop()
        await ringing
        assert len(state.messages) == 2
        lines = [(line["event"], line["error"]) for line in logs]
        assert {event for event, _ in lines} == {"evaluating or storing alerts failed, retrying"}
        assert len(lines) == len({*lines}), "each error once"
    await store.close()
