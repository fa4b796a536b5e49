"""Retries: which errors are waited for, and what is said meanwhile."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from redis import exceptions
from redis._parsers.base import BaseParser
from redis.exceptions import RedisError, ResponseError
from structlog.testing import capture_logs

from streamer.runtime import retry
from streamer.runtime.redis_errors import redis_error_text, redis_unavailability
from streamer.runtime.retry import Outages, retry_forever, retry_refused

ANSWERS: list[tuple[str, str | None]] = [
    ("OOM command not allowed when used memory > 'maxmemory'.", "oom"),
    ("MISCONF Errors writing to the AOF file: No space left on device", "misconf"),
    ("MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist", "misconf"),
    ("READONLY You can't write against a read only replica.", "readonly"),
    ("BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.", "busy"),
    ("LOADING Redis is loading the dataset in memory", "loading"),
    ("MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.", "masterdown"),
    ("NOREPLICAS Not enough good replicas to write.", "noreplicas"),
    ("CLUSTERDOWN Hash slot not served", "clusterdown"),
    ("TRYAGAIN Multiple keys request during rehashing of slot", "tryagain"),
    ("MOVED 3999 127.0.0.1:6381", "moved"),
    ("ASK 3999 127.0.0.1:6381", "ask"),
    ("ERR Script attempted to access a non local key in a cluster node script: f", "tryagain"),
    ("EXECABORT Transaction discarded because of: OOM command not allowed", "oom"),
    ("ERR max number of clients reached", "connection"),
    ("WRONGTYPE Operation against a key holding the wrong kind of value", None),
    ("WRONGPASS invalid username-password pair or user is disabled.", None),
    ("NOAUTH Authentication required.", None),
    ("NOPERM User app has no permissions to run the 'hset' command", None),
    ("BUSYKEY Target key name already exists.", None),
    ("ERR unknown command 'HGETF'", None),
]


def parsed(answer: str) -> RedisError:
    """Return the error that redis-py makes of an answer."""
    error: RedisError = BaseParser.parse_error(answer)  # type: ignore[no-untyped-call]
    return error


@pytest.mark.parametrize(("answer", "reason"), ANSWERS, ids=[answer[:40] for answer, _ in ANSWERS])
def test_an_answer_that_passes_by_itself_is_told_from_one_that_does_not(
    answer: str, reason: str | None
) -> None:
    assert redis_unavailability(parsed(answer)) == reason


def test_the_data_of_a_refused_command_decides_nothing_and_is_not_shown() -> None:
    error = ResponseError(
        "Command # 3 (HSET d3 k BUSY of pipeline caused error: ('OOM ',)) of pipeline caused error: "
        "('WRONGTYPE Operation against a key',)"
    )
    assert redis_unavailability(error) is None
    assert redis_error_text(error) == "WRONGTYPE Operation against a key"


def failing(errors: Sequence[Exception]) -> Any:
    """Return a call that raises each of these errors, then gives 42."""
    left = iter(errors)

    async def call() -> int:
        for error in left:
            raise error
        return 42

    return call


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "_FIRST_DELAY_S", 0.0)
    monkeypatch.setattr(retry, "OUTAGES", Outages(lambda: 0.0))


async def test_a_call_is_repeated_until_it_is_answered_and_one_line_says_why() -> None:
    errors = [exceptions.OutOfMemoryError("no")] * 5 + [exceptions.ReadOnlyError("no")] * 5
    with capture_logs() as logs:
        assert await retry_forever(failing(errors)) == 42
    assert [(entry["event"], entry.get("reason")) for entry in logs] == [
        ("retrying: store unavailable", "oom"),
        ("retrying: store unavailable", "readonly"),
        ("store and broker answer again", None),
    ]
    assert retry.OUTAGES.reasons() == frozenset()


async def test_what_is_wrong_is_raised_and_nothing_waits_any_more() -> None:
    for error in (ResponseError("WRONGTYPE"), exceptions.AuthenticationError("invalid password"), KeyError()):
        with pytest.raises(type(error)), capture_logs():
            await retry_forever(failing([exceptions.OutOfMemoryError("no"), error]))
        assert retry.OUTAGES.reasons() == frozenset()


async def test_a_command_waits_for_not_now_and_not_for_a_server_that_is_not_there() -> None:
    with capture_logs():
        assert await retry_refused(failing([exceptions.OutOfMemoryError("no")])) == 42
        for error in (
            exceptions.ConnectionError("refused"),
            exceptions.TimeoutError(),
            ConnectionError("Kafka"),
        ):
            with pytest.raises(type(error)):
                await retry_refused(failing([error]))


async def test_a_cancelled_call_waits_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "_FIRST_DELAY_S", 60.0)
    with capture_logs():
        task = asyncio.create_task(retry_forever(failing([exceptions.OutOfMemoryError("no")])))
        while not retry.OUTAGES.reasons():  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert retry.OUTAGES.reasons() == frozenset()


def test_many_calls_and_a_long_outage_are_a_line_a_minute() -> None:
    seconds = iter(range(1_000_000))
    outages, error = Outages(lambda: next(seconds) / 10), exceptions.OutOfMemoryError("no")
    with capture_logs() as logs:
        for call in range(8):
            outages.failed("oom", None if call < 8 else "oom", error)
        for _ in range(2_990):
            outages.failed("oom", "oom", error)
        for _ in range(8):
            outages.ended("oom")
    assert [entry["event"] for entry in logs].count("retrying: store unavailable") == 5
    assert logs[-1]["event"] == "store and broker answer again"


def test_a_flapping_store_does_not_fill_the_log() -> None:
    seconds = iter(range(1_000_000))
    outages = Outages(lambda: next(seconds) / 10)
    with capture_logs() as logs:
        for _ in range(1_000):  # for 100 s
            outages.failed("connection", None, exceptions.ConnectionError("gone"))
            outages.ended("connection")
    assert len(logs) <= 2 * 11
