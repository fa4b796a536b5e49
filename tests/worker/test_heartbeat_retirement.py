"""Heartbeats of partitions that no longer exist are retired; no others, whatever a broker answers."""

from collections.abc import Collection

import pytest
from structlog.testing import capture_logs

from streamer.store.memory import MemoryStore
from streamer.store.port import Heartbeat, Partition
from streamer.worker.heartbeat_retirement import ABSENT_ANSWERS, ABSENT_S, SILENT_S, HeartbeatRetirement

KEPT, GONE = Partition("call-completed", 0), Partition("call-completed", 1)
OLD = Heartbeat(1_000, 0, 900)


class ScriptedDirectory:
    """Directory whose answers are set by the test; None: the broker does not answer."""

    def __init__(self) -> None:
        self.known: set[Partition] | None = {KEPT}
        self.questions = 0

    async def existing(self, partitions: Collection[Partition]) -> Collection[Partition]:
        self.questions += 1
        if self.known is None:
            raise ConnectionError("no broker")
        return self.known & {*partitions}


class RetirementTrial:
    """Retirement over a store in memory, called every second of a made-up time."""

    def __init__(self) -> None:
        self.store, self.directory = MemoryStore(), ScriptedDirectory()
        self.now_s = 0.0
        self._retirement = HeartbeatRetirement(self.store, self.directory, lambda: self.now_s)

    async def pass_time(self, seconds: float, renewed: Collection[Partition] = ()) -> set[Partition]:
        """Let seconds pass, in which some heartbeats are renewed. Return whose heartbeats are left."""
        for _ in range(int(seconds)):
            self.now_s += 1
            await self.store.beat({p: Heartbeat(1_000 + int(self.now_s), 0, 900) for p in renewed})
            await self._retirement.run_once()
        return {*await self.store.heartbeats()}


@pytest.fixture
async def trial() -> RetirementTrial:
    trial = RetirementTrial()
    await trial.store.beat({KEPT: OLD, GONE: OLD})
    return trial


LONG_S = SILENT_S + 5 * ABSENT_S


async def test_a_partition_that_is_gone_is_retired_and_that_is_said_once(trial: RetirementTrial) -> None:
    with capture_logs() as logs:
        assert await trial.pass_time(SILENT_S + ABSENT_S - 1) == {KEPT, GONE}
        assert await trial.pass_time(LONG_S) == {KEPT}
    assert [entry["partitions"] for entry in logs] == [str(GONE)]


@pytest.mark.parametrize("renewed", [(KEPT, GONE), (GONE,)])
async def test_a_heartbeat_that_is_renewed_stays_whatever_the_broker_says(
    trial: RetirementTrial, renewed: Collection[Partition]
) -> None:
    assert await trial.pass_time(LONG_S, renewed) == {KEPT, GONE}


async def test_a_partition_that_nobody_owns_stays_while_it_exists(trial: RetirementTrial) -> None:
    trial.directory.known = {KEPT, GONE}
    assert await trial.pass_time(LONG_S) == {KEPT, GONE}


async def test_kafka_is_not_asked_while_all_heartbeats_are_renewed(trial: RetirementTrial) -> None:
    await trial.pass_time(LONG_S, (KEPT, GONE))
    assert trial.directory.questions == 0


async def test_a_broker_that_answers_in_part_now_and_then_retires_nothing(trial: RetirementTrial) -> None:
    for _ in range(10):
        trial.directory.known = {KEPT}
        await trial.pass_time(ABSENT_S - 2)
        trial.directory.known = {KEPT, GONE}
        assert await trial.pass_time(ABSENT_S) == {KEPT, GONE}


async def test_a_broker_that_does_not_answer_retires_nothing(trial: RetirementTrial) -> None:
    trial.directory.known = None
    with capture_logs():
        assert await trial.pass_time(LONG_S) == {KEPT, GONE}
    assert trial.directory.questions >= ABSENT_ANSWERS


async def test_an_owner_that_comes_back_has_its_heartbeat_again(trial: RetirementTrial) -> None:
    with capture_logs():
        assert await trial.pass_time(LONG_S) == {KEPT}
    assert await trial.pass_time(1, (GONE,)) == {KEPT, GONE}
