"""One of several servers evaluates and notifies; all know the result; it is stored, and sent once."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial

import pytest

from streamer.alerts.alert_message import AlertMessage
from streamer.alerts.alert_rules import load_alert_rules
from streamer.alerts.messages.composer import MessageComposer
from streamer.alerts.states import AlertNotice
from streamer.delivery.alert_coordinator import AlertCoordinator, ComposeMessages, EvaluationSchedule
from streamer.delivery.alert_state import Acknowledgement, AlertState, add_silence, set_acknowledgement
from streamer.readings.reader import MetricsReader
from streamer.settings import ReceiverSettings, Settings
from streamer.store.memory import MemoryStore
from streamer.store.port import Heartbeat, LeasedDocument
from streamer.store.redis import RedisDocument, RedisStore
from tests.alerts.simulated import NOW, PARTITION, only, read, watched
from tests.delivery.alert_samples import silence
from tests.parts.redis_server import RedisServer

QUICK = EvaluationSchedule(interval_s=0.01, duration_factor=0, lease_s=60)
BRIEF = QUICK._replace(lease_s=1)
RULE = {"kind": "threshold", "metric": "nps_score", "window": "24h", "target": 20, "keep_firing_for": 0}
SETTINGS = only(one=RULE).model_copy(
    update={"receivers": {"desk": ReceiverSettings.model_validate({"url": "http://127.0.0.1:9/"})}}
)
BAD = (0.6, 0.3, 0.1)


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> int:
        return self.now


async def make_coordinator(
    document: LeasedDocument,
    numbers: MemoryStore,
    settings: Settings = SETTINGS,
    pace: EvaluationSchedule = QUICK,
    compose: ComposeMessages | None = None,
) -> AlertCoordinator:
    reader: MetricsReader = await read(numbers, settings)
    composed = MessageComposer(reader, settings, load_alert_rules(settings)).compose
    watch = await watched(numbers, settings)
    return AlertCoordinator(document, watch, reader, compose or composed, Clock(), pace)


@asynccontextmanager
async def running(*bells: AlertCoordinator) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(bell.run()) for bell in bells]
    try:
        yield
    finally:
        for bell in bells:
            bell.stop()
        await asyncio.gather(*tasks)


async def until(bell: AlertCoordinator, wanted: int) -> AlertState:
    """Wait until so many alerts are known, and return the state."""
    news = bell.subscribe()
    async with asyncio.timeout(30):
        while len(bell.state.alerts) != wanted:
            await news.wait()
            news.clear()
    return bell.state


async def evaluate_times(bell: AlertCoordinator, number: int) -> None:
    for _ in range(number):
        await bell._evaluate_and_notify()


async def test_one_of_two_judges_and_both_know(each_document: LeasedDocument, numbers: MemoryStore) -> None:
    first, second = (
        await make_coordinator(each_document, numbers),
        await make_coordinator(each_document, numbers),
    )
    async with running(first, second):
        records = [await until(bell, 2) for bell in (first, second)]
        assert first.is_leader is not second.is_leader
    assert records[0] == records[1]
    assert [one.key for one in records[0].messages_for("desk")] == ["billing", "sales"]


async def test_nothing_is_told_again_turn_after_turn_nor_after_a_restart(
    each_document: LeasedDocument, numbers: MemoryStore
) -> None:
    first = await make_coordinator(each_document, numbers)
    await evaluate_times(first, 3)
    again = await make_coordinator(each_document, numbers, pace=BRIEF)
    await each_document.release_lease(first._name)
    await evaluate_times(again, 3)
    assert again.is_leader
    assert again.state.waiting == first.state.waiting
    assert len(again.state.messages) == 2


@pytest.mark.parametrize(
    ("beat", "patience", "judged"),
    [
        (Heartbeat(NOW, 0, NOW), 60, True),
        (Heartbeat(NOW - 3_000, 5, NOW), 60, True),
        (Heartbeat(NOW - 3_001, 5, NOW), 60, False),
        (Heartbeat(0, 5, NOW), 60, False),
        (Heartbeat(0, 5, NOW), 0, True),
    ],
    ids=["up to date", "just", "behind", "never", "for too long"],
)
async def test_while_workers_catch_up_nothing_is_judged_at_first(
    each_document: LeasedDocument, numbers: MemoryStore, beat: Heartbeat, patience: float, judged: bool
) -> None:
    await numbers.beat({PARTITION: beat})
    bell = await make_coordinator(each_document, numbers, pace=QUICK._replace(catch_up_s=patience))
    await evaluate_times(bell, 1)
    assert (await each_document.read() is not None) is judged


async def test_who_ends_hands_over_at_once(each_document: LeasedDocument, numbers: MemoryStore) -> None:
    first, second = (
        await make_coordinator(each_document, numbers),
        await make_coordinator(each_document, numbers),
    )
    async with running(first):
        await until(first, 2)
    await evaluate_times(second, 1)
    assert second.is_leader


async def test_who_is_dead_is_followed_when_its_lease_is_over(
    each_document: LeasedDocument, numbers: MemoryStore
) -> None:
    dead, other = (
        await make_coordinator(each_document, numbers, pace=BRIEF),
        await make_coordinator(each_document, numbers),
    )
    await evaluate_times(dead, 1)
    assert dead.is_leader
    await evaluate_times(other, 1)
    assert not other.is_leader
    async with running(other), asyncio.timeout(30):
        news = other.subscribe()
        while not other.is_leader:
            await news.wait()
            news.clear()
    assert not dead.is_leader


async def test_a_turn_is_void_where_another_server_took_one_meanwhile(
    each_document: LeasedDocument, numbers: MemoryStore
) -> None:
    other = await make_coordinator(each_document, numbers)
    own = MessageComposer(await read(numbers, SETTINGS), SETTINGS, load_alert_rules(SETTINGS)).compose

    async def overtaken(
        notices: Sequence[AlertNotice], known: Mapping[str, AlertMessage], now: int
    ) -> list[AlertMessage]:
        await each_document.release_lease(slow._name)  # as if the lease were over
        other._clock.now -= 7  # type: ignore[attr-defined]  # its alerts bear other names
        await other._evaluate_and_notify()
        return await own(notices, known, now)

    slow = await make_coordinator(each_document, numbers, compose=overtaken)
    await evaluate_times(slow, 1)
    assert {alert.began_at for alert in other.state.alerts} == {NOW - 7}
    assert slow.state == other.state
    assert len(slow.state.messages_for("desk")) == 2


async def test_what_people_do_during_a_turn_is_not_lost(
    each_document: LeasedDocument, numbers: MemoryStore
) -> None:
    other = await make_coordinator(each_document, numbers)
    own = MessageComposer(await read(numbers, SETTINGS), SETTINGS, load_alert_rules(SETTINGS)).compose
    quiet = silence(rule="one", key="sales")

    async def interrupted(
        notices: Sequence[AlertNotice], known: Mapping[str, AlertMessage], now: int
    ) -> list[AlertMessage]:
        await other.update(partial(add_silence, silence=quiet))
        return await own(notices, known, now)

    bell = await make_coordinator(each_document, numbers, compose=interrupted)
    await evaluate_times(bell, 1)
    assert [*bell.state.silences] == [quiet.id]
    assert [one.key for one in bell.state.messages_for("desk")] == ["billing"]
    assert len(bell.state.held) == 1


async def test_many_who_change_at_once_all_leave_their_mark(
    each_document: LeasedDocument, numbers: MemoryStore
) -> None:
    bells = [await make_coordinator(each_document, numbers) for _ in range(8)]
    await evaluate_times(bells[0], 1)
    episodes = [alert.id for alert in bells[0].state.alerts]

    def seen(episode: str, by: str) -> partial[AlertState]:
        return partial(set_acknowledgement, episode=episode, acknowledgement=Acknowledgement(by, NOW))

    marks = [silence(f"s{number}") for number in range(8)]
    await asyncio.gather(
        *(bell.update(partial(add_silence, silence=one)) for bell, one in zip(bells, marks, strict=True)),
        *(bells[0].update(seen(episode, "Ana")) for episode in episodes),
    )
    await bells[1].update(lambda record: record)
    assert sorted(bells[1].state.silences) == [f"s{number}" for number in range(8)]
    assert sorted(bells[1].state.acknowledged) == sorted(episodes)


async def test_a_store_that_was_away_costs_nothing_but_time(
    fresh_redis: RedisServer, numbers: MemoryStore
) -> None:
    store = await RedisStore.connect(fresh_redis.url, "away")
    bell = await make_coordinator(RedisDocument(store, "alerts"), numbers)
    news = bell.subscribe()
    async with running(bell), asyncio.timeout(60):
        await until(bell, 2)
        before = bell.state
        await fresh_redis.kill()
        with suppress(Exception):
            await bell.update(partial(add_silence, silence=silence("lost")))
        await fresh_redis.start()
        while True:
            with suppress(Exception):
                await bell.update(partial(add_silence, silence=silence("kept")))
                break
            await asyncio.sleep(0.05)
        while "kept" not in bell.state.silences or not bell.is_leader:
            news.clear()
            await news.wait()
    assert bell.state.waiting == before.waiting
    await store.close()
