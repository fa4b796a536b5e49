"""Counting alone, without Kafka: events/s on a real store, and what each phase costs.

Run as `python -m tests.benchmarks.pipeline`. Three runs over the same records, each on an empty center: one
partition at a time with a stopwatch on each phase, all partitions at once as a worker has them (that is the
rate), and, asked for with --profile, one under cProfile. Each ends with the merging of pane deltas.
"""

import argparse
import asyncio
import cProfile
import io
import json
import pstats
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import reduce
from importlib import import_module
from inspect import iscoroutinefunction
from typing import Any, NamedTuple

from streamer.events.counting_rules import HOUR, CountingRules
from streamer.events.decoding import KafkaRecord
from streamer.privacy.pseudonyms import Pseudonymizer
from streamer.runtime.clock import wall_clock_ms
from streamer.runtime.gc_tuning import freeze_startup_objects
from streamer.store.redis import RedisStore
from streamer.worker.metrics import WorkerMetrics
from streamer.worker.partitions import COMPACT_FROM_DELTAS
from streamer.worker.pipeline import PartitionProcessor, ProcessingContext
from tests.benchmarks.center import Center, Message, messages
from tests.benchmarks.machine import busy_times, cpu_seconds, reset_busy_times
from tests.conftest import PARTS
from tests.counting import RecordedDeadLetters, partition_processor, processing_context
from tests.parts.redis_server import RedisServer

VEIL = Pseudonymizer({"1": b"of the length that keys have: 43 characters"}, "1")
PHASES = {
    "decode": "streamer.worker.pipeline:decode",
    "plan": "streamer.worker.pipeline:PlannedEvent",
    "read: store": "streamer.store.redis.store:RedisStore.read",
    "load": "streamer.journeys.working_set:WorkingSet.load",
    "references": "streamer.journeys.working_set:WorkingSet.references",
    "apply": "streamer.worker.pipeline:apply",
    "arrivals": "streamer.worker.pipeline:ArrivalCounters.count_first_statement",
    "fold": "streamer.worker.pipeline:add_delta",
    "pane deltas": "streamer.panes.rollup:Rollup.deltas",
    "pack documents": "streamer.journeys.working_set:WorkingSet.writes",
    "commit: store": "streamer.store.redis.store:RedisStore.commit",
    "compact": "streamer.worker.pipeline:ProcessingContext.compact",
    "meters": "streamer.worker.metrics:WorkerMetrics.committed",
}
"""What is timed, by the name it is called by. None of these calls another."""
SCRIPTS = {"scripts": "streamer.store.redis.connection:LuaScript.__call__"}
"""Part of the store's phases: sending, Redis at work, receiving."""

Batches = Mapping[int, Sequence[Sequence[KafkaRecord]]]
"""By partition."""


class Stopwatch:
    """Seconds and calls per phase. An awaited call's seconds include what it waits for."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.longest: dict[str, float] = {}
        self.calls: dict[str, int] = {}

    def _add(self, phase: str, began: float) -> None:
        took = time.perf_counter() - began
        self.seconds[phase] = self.seconds.get(phase, 0.0) + took
        self.longest[phase] = max(self.longest.get(phase, 0.0), took)
        self.calls[phase] = self.calls.get(phase, 0) + 1

    def around(self, phase: str, call: Callable[..., Any]) -> Callable[..., Any]:
        async def waited(*args: Any, **kwargs: Any) -> Any:
            began = time.perf_counter()
            try:
                return await call(*args, **kwargs)
            finally:
                self._add(phase, began)

        def called(*args: Any, **kwargs: Any) -> Any:
            began = time.perf_counter()
            try:
                return call(*args, **kwargs)
            finally:
                self._add(phase, began)

        return waited if iscoroutinefunction(call) else called

    @contextmanager
    def on(self, places: Mapping[str, str]) -> Iterator[None]:
        """Times these while it lasts. What no longer has its name is said, and not timed."""
        known = []
        for phase, place in places.items():
            owner, name = _owner(place)
            if (call := getattr(owner, name, None)) is None:
                print(f"{phase}: there is no {place} any more", file=sys.stderr)
                continue
            known.append((owner, name, call))
            setattr(owner, name, self.around(phase, call))
        try:
            yield
        finally:
            for owner, name, call in known:
                setattr(owner, name, call)


def _owner(place: str) -> tuple[Any, str]:
    module, _, path = place.partition(":")
    *outer, name = path.split(".")
    return reduce(getattr, outer, import_module(module)), name


class Run(NamedTuple):
    """Costs of one run; CPU seconds of this process and of the store."""

    events: int
    seconds: float
    own_cpu_s: float
    redis_cpu_s: float
    blocked_ms: Mapping[str, Mapping[str, float]]
    """See `machine.busy_times`."""

    @property
    def rate(self) -> float:
        return self.events / self.seconds

    def as_dict(self) -> dict[str, Any]:
        return {
            "events": self.events,
            "events_per_s": round(self.rate),
            "own_cpu_us_per_event": round(self.own_cpu_s / self.events * 1e6, 2),
            "redis_cpu_us_per_event": round(self.redis_cpu_s / self.events * 1e6, 2),
            "redis_blocked_ms": dict(self.blocked_ms),
        }


def batches(center: Center, sent: Sequence[Message], size: int) -> Batches:
    """Yield batches of the calls' topic, as a consumer would fetch them."""
    logs: dict[int, list[KafkaRecord]] = {number: [] for number in range(center.partitions)}
    for message in sent:
        log = logs[message.partition]
        log.append(
            KafkaRecord(
                message.topic, message.partition, len(log), message.at_ms, message.key, message.value, ()
            )
        )
    return {number: [log[at : at + size] for at in range(0, len(log), size)] for number, log in logs.items()}


class Bench:
    """A store of its own, with a new center for each run."""

    def __init__(self, server: RedisServer, topic: str, work: Batches) -> None:
        self._server = server
        self._topic = topic
        self._work = work
        self._events = sum(len(batch) for log in work.values() for batch in log)
        self._centers = 0

    async def run(self, *, at_once: bool) -> Run:
        """All partitions at once, or a batch of each in turn. Raises RuntimeError if not all was counted."""
        self._centers += 1
        store = await RedisStore.connect(self._server.url, f"bench-{self._centers}")
        meters = WorkerMetrics()
        known = processing_context(store, CountingRules())
        shared = ProcessingContext(
            store, known.rules, RecordedDeadLetters(), meters, wall_clock_ms, pseudonymizer=VEIL
        )
        processors = {number: await partition_processor(shared, self._topic, number) for number in self._work}
        assert self._server.process is not None
        redis = self._server.process.pid
        await reset_busy_times(self._server)
        redis_before, own_before, began = cpu_seconds(redis), time.process_time(), time.perf_counter()
        await (self._at_once(processors) if at_once else self._in_turn(processors))
        await shared.compact(COMPACT_FROM_DELTAS)
        seconds = time.perf_counter() - began
        own, theirs = time.process_time() - own_before, cpu_seconds(redis) - redis_before
        blocked = await busy_times(self._server)
        counts = await store.counters()
        await store.close()
        if counts.get(f"events\x1f{self._topic}\x1fapplied") != self._events:
            raise RuntimeError(f"not all of {self._events} were applied: {counts}")
        return Run(self._events, seconds, own, theirs, blocked)

    async def _at_once(self, processors: Mapping[int, PartitionProcessor]) -> None:
        async with asyncio.TaskGroup() as group:
            for number, one in processors.items():
                group.create_task(self._whole(one, number))

    async def _whole(self, one: PartitionProcessor, number: int) -> None:
        for batch in self._work[number]:
            await one.count(batch, batch[-1].offset + 1)

    async def _in_turn(self, processors: Mapping[int, PartitionProcessor]) -> None:
        for turn in range(max(map(len, self._work.values()))):
            for number, log in self._work.items():
                if turn < len(log):
                    await processors[number].count(log[turn], log[turn][-1].offset + 1)


def table(watch: Stopwatch, run: Run) -> dict[str, dict[str, float]]:
    """Per phase: µs per event, share of the whole, calls per event; `else` is what no phase covers."""
    phases = {name: watch.seconds.get(name, 0.0) for name in PHASES}
    rest = {"else": run.seconds - sum(phases.values()), "scripts": watch.seconds.get("scripts", 0.0)}
    return {
        name: {
            "us_per_event": round(seconds / run.events * 1e6, 2),
            "share": round(seconds / run.seconds, 3),
            "calls_per_event": round(watch.calls.get(name, 0) / run.events, 3),
            "longest_ms": round(watch.longest.get(name, 0.0) * 1000, 1),
        }
        for name, seconds in (phases | rest).items()
    }


def as_text(rows: Mapping[str, Mapping[str, float]]) -> str:
    lines = [f"{'phase':16} {'µs/event':>9} {'share':>7} {'calls/event':>12} {'longest ms':>11}"]
    for name, row in rows.items():
        within = " (within the store's phases)" if name == "scripts" else ""
        cost = f"{row['us_per_event']:9.2f} {row['share']:7.1%}"
        calls = f"{row['calls_per_event']:12.3f} {row['longest_ms']:11.1f}"
        lines.append(f"{name:16} {cost} {calls}{within}")
    return "\n".join(lines)


async def measure(center: Center, parts: str, batch: int, profile: int) -> dict[str, Any]:
    sent = messages(center, wall_clock_ms() - HOUR)
    async with PARTS[parts].store(aof=False) as server:
        bench = Bench(server, sent[0].topic, batches(center, sent, batch))
        freeze_startup_objects()  # a worker has no such heap of records to walk through
        watch = Stopwatch()
        with watch.on({**PHASES, **SCRIPTS}):
            timed = await bench.run(at_once=False)
        overlapped = await bench.run(at_once=True)
        rows = table(watch, timed)
        print(as_text(rows), file=sys.stderr)
        if profile:
            print(await _profiled(bench, profile), file=sys.stderr)
    return {"in_turn": timed.as_dict(), "at_once": overlapped.as_dict(), "phases": rows}


async def _profiled(bench: Bench, lines: int) -> str:
    profiler = cProfile.Profile()
    profiler.enable()
    try:
        await bench.run(at_once=False)
    finally:
        profiler.disable()
    text = io.StringIO()
    pstats.Stats(profiler, stream=text).strip_dirs().sort_stats("tottime").print_stats(lines)
    return text.getvalue()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.pipeline", description=__doc__)
    parser.add_argument("--parts", choices=PARTS, default="embedded", help="whose store")
    parser.add_argument("--events", type=int, default=50_000)
    parser.add_argument("--customers", type=int, default=12_500)
    parser.add_argument("--agents", type=int, default=500)
    parser.add_argument("--queues", type=int, default=20)
    parser.add_argument("--partitions", type=int, default=4)
    parser.add_argument("--batch", type=int, default=500, help="records per batch")
    parser.add_argument("--hours", type=float, default=24.0, help="event time that the calls spread over")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--profile", type=int, nargs="?", const=40, default=0, metavar="LINES", help="also the top costs"
    )
    given = parser.parse_args()
    span = round(given.hours * HOUR)
    center = Center(
        given.events, given.customers, given.agents, given.partitions, given.seed, span, queues=given.queues
    )
    print(json.dumps(asyncio.run(measure(center, given.parts, given.batch, given.profile)), indent=2))


if __name__ == "__main__":
    main()
