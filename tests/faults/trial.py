"""A trial: workers, a broker and a store that may be broken, and traffic meanwhile."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, aclosing
from itertools import count, islice
from pathlib import Path

from streamer.events.decoding import DEAD_LETTER_TOPIC, TOPICS, KafkaRecord
from streamer.operations.comparison import read_store_state
from streamer.panes.pane_keys import SEPARATOR
from streamer.runtime.retry import retry_forever
from streamer.settings import load_settings
from streamer.store.redis import RedisStore
from streamer.worker import kafka
from tests.counting import differing_tallies
from tests.faults import kafka_log
from tests.faults.kafka_log import Publisher
from tests.faults.traffic import PARTITIONS, EventCollector, Expected, messages
from tests.faults.worker import Worker
from tests.parts.broker import Broker
from tests.parts.redis_server import RedisServer
from tests.test_live_exactness import check_live_state

_PATIENCE_S = 60.0
_POLL_S = 0.05
RESULTS = ("applied", "unchanged", "rejected")


class Stall:
    """Tells when counting stands still; a slow machine only counts more slowly."""

    def __init__(self) -> None:
        self._count = -1
        self._at = time.monotonic()

    def since(self, count: int) -> bool:
        """Tell whether this count has been the same for _PATIENCE_S."""
        if count != self._count:
            self._count, self._at = count, time.monotonic()
        return time.monotonic() - self._at > _PATIENCE_S


class Trial:
    """Trial of one center."""

    def __init__(self, broker: Broker, redis: RedisServer, center: str, folder: Path) -> None:
        self.broker, self.redis = broker, redis
        self.workers: list[Worker] = []
        self.publisher = Publisher(broker.address, messages(time.time_ns() // 1_000_000, seed=1))
        self.settings = load_settings(kafka=broker.address, redis=redis.url, center=center)
        self.rules = self.settings.counting_rules()
        self._folder = folder
        self._numbers = count(1)

    async def open(self) -> None:
        await self.make_topics()
        self.store = await RedisStore.connect(self.redis.url, self.settings.center, self.rules)

    async def make_topics(self) -> None:
        await kafka.ensure_topics(self.broker.settings, PARTITIONS)

    async def close(self) -> None:
        for worker in self.workers:
            worker.kill()
        await self.store.close()

    def worker(
        self,
        group: str = "faults",
        program: Sequence[str] = ("-m", "streamer"),
        command: str = "worker",
        **others: str,
    ) -> Worker:
        """Starts one, or the process of another command."""
        settings = self.settings
        address, url = settings.kafka.bootstrap_servers, settings.redis_url()
        parts = {"kafka": address, "redis": url, "center": settings.center}
        log = self._folder / f"{command}-{next(self._numbers)}.log"
        self.workers.append(Worker({**parts, "consumer_group": group, **others}, log, program, command))
        return self.workers[-1]

    def add_states(self) -> None:
        """Let the load have states of contacts and agents too. Nothing may be published before."""
        assert not self.publisher.published
        load = messages(time.time_ns() // 1_000_000, seed=1, states=True)
        self.publisher = Publisher(self.broker.address, load)

    def load(self, per_s: float) -> AbstractAsyncContextManager[None]:
        """Publishes in the background while inside."""
        return self.publisher.load(per_s)

    @property
    def published(self) -> int:
        return self.publisher.published

    async def results(self) -> dict[str, Counter[str]]:
        """Return the number of records so far, by result and topic."""
        counts = await retry_forever(self.store.counters)
        names = {result: {t: SEPARATOR.join(("events", t, result)) for t in TOPICS} for result in RESULTS}
        return {
            result: Counter({topic: counts[name] for topic, name in by_topic.items() if name in counts})
            for result, by_topic in names.items()
        }

    async def counted(self) -> Counter[str]:
        """Return the number of counted records, by topic."""
        return sum((await self.results()).values(), Counter())

    async def progress(self, records: int = 1) -> float:
        """Waits until so many more are counted; returns how many seconds that took."""
        start, before = time.monotonic(), (await self.counted()).total()
        stalled = Stall()
        while (now := (await self.counted()).total()) < before + records:
            self._check(not stalled.since(now), f"only {now - before} more are counted, and now none")
            await asyncio.sleep(_POLL_S)
        return time.monotonic() - start

    async def until(self, holds: Callable[[], bool]) -> None:
        start = time.monotonic()
        while not await asyncio.to_thread(holds):
            self._check(time.monotonic() - start < _PATIENCE_S, "it did not come about")
            await asyncio.sleep(_POLL_S)

    async def records(self) -> list[KafkaRecord]:
        """All that is in the logs that are counted. Nobody may be publishing."""
        return [record async for record in kafka_log.records(self.broker.address, TOPICS)]

    async def settle(self, published: Sequence[KafkaRecord] | None = None) -> None:
        """Waits until all is counted, and checks that the numbers are the oracle's. `published` is what
        was, if that is not what the logs have now. The oracle takes 0.4 ms and 4 KB a record."""
        collector = EventCollector(self.rules)
        if published is None:
            async for record in kafka_log.records(self.broker.address, TOPICS):
                collector.add(record)
        else:
            for record in published:
                collector.add(record)
        wanted = await asyncio.to_thread(collector.expected)
        await self._all_counted(wanted)
        assert (await self.results())["rejected"] == wanted.rejected
        if published is None:
            await self._find_letters(wanted.letters)
        state = await read_store_state(self.store)
        assert not list(islice(differing_tallies(state, wanted.tallies), 3))
        await asyncio.to_thread(check_live_state, state, wanted.events, self.rules)
        assert await self.counted() == wanted.counted, "something was counted again"

    async def _find_letters(self, wanted: set[str]) -> None:
        missing = set(wanted)
        async with aclosing(kafka_log.records(self.broker.address, [DEAD_LETTER_TOPIC])) as letters:
            async for letter in letters:
                missing.discard((letter.key or b"").decode())
                if not missing:
                    return
        assert not missing

    async def _all_counted(self, wanted: Expected) -> None:
        stalled = Stall()
        while (counted := await self.counted()) != wanted.counted:
            going = counted <= wanted.counted and not stalled.since(counted.total())
            self._check(going, f"{counted}, not {wanted.counted}")
            await asyncio.sleep(_POLL_S)

    def _check(self, good: bool, problem: str) -> None:
        """Fails with what the workers said; also if one has ended by itself."""
        fallen = [worker for worker in self.workers if not worker.ended and not worker.runs]
        if fallen or not good:
            logs = "\n".join(f"--- {worker.log()[-6000:]}" for worker in fallen or self.workers[-3:])
            raise AssertionError(f"{'a worker ended by itself' if fallen else problem}\n{logs}")
