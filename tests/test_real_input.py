"""A bank's day of calls and a shop chain's survey answers, counted by a real worker behind a real broker,
equal plain arithmetic over the files."""

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from math import ceil, floor, sqrt
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from streamer.events.counting_rules import DAY, HOUR, SECOND
from streamer.readings.query import MetricQuery, Reading
from streamer.readings.reader import MetricsReader
from streamer.settings import Settings, load_settings
from streamer.store.redis import RedisStore
from streamer.worker import kafka
from tests.faults.worker import Worker
from tests.parts.broker import Broker
from tests.real_data import Row, tables

WITHIN_S, SHORT_S = 20, 5
pytestmark = pytest.mark.apache
TODAY = time.time_ns() // 1_000_000 // DAY * DAY
YESTERDAY = TODAY - DAY
Event = tuple[int, Mapping[str, Any]]


class Center:
    """One worker, and one reader behind it."""

    def __init__(self, settings: Settings, store: RedisStore, worker: Worker) -> None:
        self.settings, self.store, self.worker = settings, store, worker
        self.reader = MetricsReader(store, settings)

    async def count(self, topic: str, events: Sequence[Event]) -> None:
        """Publish each under its own time, wait until all are counted, and read them."""
        producer = await kafka.start_producer(self.settings.kafka)
        for at, event in events:
            await producer.send(topic, json.dumps(event).encode(), timestamp_ms=at)
        await producer.stop()
        await self.all_counted(topic, len(events))

    async def all_counted(self, topic: str, number: int) -> None:
        """Wait until so many are, and read them."""
        async with asyncio.timeout(60):
            while (counted := await self._counted(topic)).get("applied", 0) < number:
                assert self.worker.runs, self.worker.log()
                await asyncio.sleep(0.1)
            # Until the worker says that it is up to date: only then is none 0.
            while (data_age_s := self.reader.data_age_s(now())) is None or data_age_s > 5:
                await self.reader.refresh(now())
                await asyncio.sleep(0.1)
        assert counted == {"applied": number}

    async def _counted(self, topic: str) -> dict[str, int]:
        places = {tuple(name.split("\x1f")): amount for name, amount in (await self.store.counters()).items()}
        return {place[2]: amount for place, amount in places.items() if place[:2] == ("events", topic)}

    def read(self, metric: str, window: str, at: int, by: str = "queue", stat: str = "*") -> list[Reading]:
        asked = MetricQuery(now=now(), metrics=(metric,), windows=(window,), by=by, stat=stat, at=at)
        return self.reader.readings(asked)

    def command(self, *arguments: str) -> list[dict[str, Any]]:
        """Return what `streamer query` prints."""
        settings = self.settings
        address, url = settings.kafka.bootstrap_servers, settings.redis_url()
        ours = {"KAFKA": address, "REDIS": url, "CENTER": settings.center}
        env = os.environ | {f"STREAMER_{name}": value for name, value in ours.items()}
        command = [sys.executable, "-m", "streamer", "query", *arguments, "--json"]
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        found: list[dict[str, Any]] = json.loads(done.stdout)
        return found


@pytest.fixture
async def center(fresh_broker: Broker, store_url: str, center: str, tmp_path: Path) -> AsyncIterator[Center]:
    parts = {"kafka": fresh_broker.address, "redis": store_url, "center": center}
    await kafka.ensure_topics(fresh_broker.settings)
    store = await RedisStore.connect(store_url, center)
    worker = Worker(parts, tmp_path / "worker.log")
    try:
        yield Center(load_settings(**parts), store, worker)
    finally:
        worker.kill()
        await store.close()


def now() -> int:
    return time.time_ns() // 1_000_000


# The bank.


class Call(NamedTuple):
    """A call that queued or was answered at once. Times in seconds of the day."""

    id: str
    queue: str
    agent: str | None
    wait: int
    talk: int | None
    end: int

    @property
    def answered(self) -> bool:
        return self.talk is not None


def seconds(clock: str) -> int:
    hours, minutes, rest = map(int, clock.split(":"))
    return hours * 3600 + minutes * 60 + rest


def calls() -> list[Call]:
    table = tables()
    found = [call for row in table.call_rows() if (call := call_of(row))]
    assert len(found) == table.calls - table.noise - table.menu_leavers
    return found


def call_of(row: Row) -> Call | None:
    name, wait = f"{row['vru+line']}-{row['call_id']}", int(row["q_time"])
    last = max(seconds(row[column]) for column in ("vru_exit", "q_exit", "ser_exit"))
    if row["outcome"] == "AGENT":
        agent = None if row["server"] == "NO_SERVER" else row["server"]
        return Call(name, row["type"], agent, wait, int(row["ser_time"]), last)
    if row["outcome"] == "HANG" and wait > 0:
        return Call(name, row["type"], None, wait, None, last)
    return None


def completed(call: Call, day: int) -> Event:
    event = {
        "contact_id": call.id,
        "queue": call.queue,
        "agent_id": call.agent,
        "ended_at": (day + call.end * SECOND) / SECOND,
        "wait_s": call.wait,
        "talk_s": call.talk,
        "outcome": "answered" if call.answered else "abandoned",
    }
    return day + call.end * SECOND, {name: value for name, value in event.items() if value is not None}


Figure = tuple[float | None, int]
"""Value and support."""


def ratio(part: int, of: int) -> Figure:
    return (part / of if of else None, of)


def mean(values: Sequence[int]) -> Figure:
    return (sum(values) / len(values) if values else None, len(values))


def figures(found: Sequence[Call]) -> dict[tuple[str, str], Figure]:
    """Compute figures by metric and stat, as the books on contact centers have them."""
    answered = [call for call in found if call.answered]
    abandoned = [call for call in found if not call.answered]
    offered, good = len(found), sum(call.wait <= WITHIN_S for call in answered)
    early = sum(call.wait <= WITHIN_S for call in abandoned)
    short = sum(call.wait <= SHORT_S for call in abandoned)
    return {
        ("offered", ""): (offered, offered),
        ("answered", ""): (len(answered), len(answered)),
        ("abandoned", ""): (len(abandoned), len(abandoned)),
        ("abandon_ratio", ""): ratio(len(abandoned), offered),
        ("wait_time_seconds", "mean"): mean([call.wait for call in answered]),
        ("abandon_time_seconds", "mean"): mean([call.wait for call in abandoned]),
        ("handle_time_seconds", "mean"): mean([call.talk for call in answered if call.talk is not None]),
        ("service_level_ratio", "negative"): ratio(good, offered),
        ("service_level_ratio", "exclude_short"): ratio(good, offered - short),
        ("service_level_ratio", "ignore"): ratio(good, offered - early),
        ("service_level_ratio", "positive"): ratio(good + early, offered),
        ("service_level_ratio", "answered_only"): ratio(good, len(answered)),
    }


def by_queue(found: Iterable[Call]) -> dict[str, list[Call]]:
    queues: dict[str, list[Call]] = {}
    for call in found:
        queues.setdefault(call.queue, []).append(call)
    return queues


def check(readings: Iterable[Reading], wanted: Mapping[str, Figure]) -> None:
    """Compare by key; a group without any is no reading, or one without a value or of 0."""
    found = {reading.key: reading for reading in readings}
    for key, (value, support) in wanted.items():
        assert found[key].support == support, found[key]
        assert found[key].value == (value if value is None else pytest.approx(value, rel=1e-12)), found[key]
        if found[key].lower is not None and value is not None:
            assert found[key].lower <= value <= found[key].upper  # type: ignore[operator]
    assert not [found[key] for key in found.keys() - wanted.keys() if found[key].value]


def check_all(center: Center, found: Sequence[Call], window: str, at: int) -> None:
    queues = {queue: figures(own) for queue, own in by_queue(found).items()}
    for metric, stat in figures(()):
        wanted = {queue: own[metric, stat] for queue, own in queues.items()}
        check(center.read(metric, window, at, stat=stat or "*"), wanted)
        whole = figures(found)[metric, stat]
        check(center.read(metric, window, at, by="all", stat=stat or "*"), {"": whole})


async def test_a_day_of_a_bank_by_queue(center: Center) -> None:
    found = calls()
    await center.count("call-completed", [completed(call, YESTERDAY) for call in found])
    check_all(center, found, "24h", TODAY)
    check_all(center, found, "7d", TODAY)
    check_percentiles(center.read("handle_time_seconds", "24h", TODAY, by="all"), found)
    agents = {call.agent for call in found if call.answered and call.agent}
    (active,) = center.read("active_agents", "24h", TODAY, by="all")
    assert active.value == len(agents)
    check_command(center, found)


def check_percentiles(readings: Sequence[Reading], found: Sequence[Call]) -> None:
    times = sorted(call.talk for call in found if call.talk is not None)
    for reading in readings:
        if reading.stat in ("p50", "p90", "p95"):
            place = int(reading.stat[1:]) / 100 * (len(times) - 1)
            assert reading.value is not None
            assert 0.98 * times[floor(place)] <= reading.value <= 1.02 * times[ceil(place)]


def check_command(center: Center, found: Sequence[Call]) -> None:
    at = f"{datetime.fromtimestamp(TODAY / SECOND, UTC):%Y-%m-%dT%H:%M:%SZ}"
    asked = ("service_level_ratio", "--window", "24h", "--by", "queue", "--stat", "*", "--at", at)
    told = center.command(*asked)
    queues = by_queue(found)
    wanted = {
        (queue, stat): figure
        for queue, own in queues.items()
        for (metric, stat), figure in figures(own).items()
        if metric == "service_level_ratio"
    }
    said = {(one["key"], one["stat"]): (one["value"], one["support"]) for one in told if one["stat"]}
    assert {place: said[place] for place in wanted} == {
        place: (pytest.approx(value), support) for place, (value, support) in wanted.items()
    }
    (offered,) = center.command("offered", "--window", "24h", "--at", at)
    assert (offered["value"], offered["from"], offered["to"]) == (len(found), at_of(YESTERDAY), at)


def at_of(ms: int) -> str:
    return f"{datetime.fromtimestamp(ms / SECOND, UTC):%Y-%m-%dT%H:%M:%SZ}"


async def test_every_hour_of_a_bank_day_that_ended_a_minute_ago(center: Center) -> None:
    """All its hours lie in the last day: each can be read as the hour before its end."""
    found = calls()
    day = (now() - 60 * SECOND) // (10 * SECOND) * 10 * SECOND - DAY
    await center.count("call-completed", [completed(call, day) for call in found])
    for hour in range(24):
        own = [call for call in found if call.end // 3600 == hour]
        check_all(center, own, "1h", day + (hour + 1) * HOUR)


# The shops.


def answers() -> list[Row]:
    table = tables()
    found = table.answer_rows()
    assert len(found) == table.answers
    return found


def answered(row: Row, at: int) -> Event:
    event = {
        "response_id": row[""],
        "customer_id": row["id"],
        "answered_at": at / SECOND,
        "answers": {"nps": score(row["nps"]), "cnx": score(row["satisfaction"])},
        "comment": None if row["explication"] == "NA" else row["explication"],
        "language": "fr",
    }
    return at, event


def score(text: str) -> int | None:
    return None if text == "NA" else int(text)


def known(found: Iterable[Row], column: str) -> Iterator[int]:
    return (value for row in found if (value := score(row[column])) is not None)


async def test_survey_answers_of_a_shop_chain(center: Center) -> None:
    found = answers()
    events = [answered(row, YESTERDAY + number * 6 * SECOND) for number, row in enumerate(found)]
    await center.count("survey-completed", events)
    for by, key in (("all", ""), ("language", "fr"), ("queue", "unknown")):
        check_score(center.read("nps_score", "24h", TODAY, by), key, list(known(found, "nps")))
        check_score(center.read("cnx_score", "24h", TODAY, by), key, list(known(found, "satisfaction")))
    check(center.read("comments", "24h", TODAY, "all"), {"": (tables().comments, tables().comments)})
    said = sum(any(row[name] != "NA" for name in ("nps", "satisfaction", "explication")) for row in found)
    check(center.read("surveys", "24h", TODAY, "all"), {"": (said, said)})
    detractors = sum(value <= 6 for value in known(found, "nps"))
    check(center.read("detractors", "24h", TODAY, "all"), {"": (detractors, detractors)})


def check_score(readings: Sequence[Reading], key: str, values: Sequence[int]) -> None:
    """100 (promoters − detractors) / answers, and an interval that is the normal one at such numbers."""
    good, bad, of = sum(v >= 9 for v in values), sum(v <= 6 for v in values), len(values)
    value = 100 * (good - bad) / of
    check(readings, {key: (value, of)})
    (reading,) = readings
    assert reading.lower is not None
    assert reading.upper is not None
    half = 196 * sqrt((good + bad) / of - (value / 100) ** 2) / sqrt(of)
    assert (reading.upper - reading.lower) / 2 == pytest.approx(half, rel=0.01)
