"""States at 1,000 a second with 200 queues and 2,000 agents: how soon a reading shows a caller, and the CPU.

Run as `python -m tests.benchmarks.live_delay`; prints one JSON object. A worker and a server with one open
wallboard run in processes of their own; this process publishes, and follows the store as the server does. A
contact waits 2.5 s and is served 2.5 s, so some 500 are under way. The delay of a contact is the time from
handing its first state to the producer until a refresh has it, and a reading by queue was computed.

With `--page` the wallboard is open in Chromium instead, and shows how many wait in a queue that four more
callers a second join and nobody leaves: the delay is then also that until the page shows the next number.
"""

import argparse
import asyncio
import json
import random
import time
import urllib.request
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from statistics import median, quantiles
from typing import Any, Final

import msgspec
from playwright.async_api import Page, async_playwright

from streamer.events.counting_rules import SECOND
from streamer.readings.query import MetricQuery
from streamer.readings.reader import MetricsReader
from streamer.runtime.clock import wall_clock_ms
from streamer.settings import Settings
from streamer.store.redis import RedisStore
from streamer.web.reader_refresher import REFRESH_INTERVAL_S
from streamer.worker.kafka import ensure_topics
from tests.benchmarks.center import Message
from tests.benchmarks.machine import cpu_seconds
from tests.benchmarks.records import publish, publish_in_time
from tests.benchmarks.stream import Serve
from tests.benchmarks.throughput import default_parts, say
from tests.benchmarks.worker import CENTER, Worker, counted
from tests.browser.conftest import TELEVISION, chromium
from tests.conftest import PARTS

PARTITIONS: Final = 4
AGENTS: Final = 2_000
QUEUES: Final = 200
PHASE_MS: Final = 2_500
_WARM_S: Final = 2.0
_GRACE_S: Final = 30.0
_PROBED: Final = "probed"
_PROBE_MS: Final = 250
_VIEW: Final = f"""
[views.probe]
title = "Probe"
queues = ["{_PROBED}"]
tiles = ["waiting"]
"""
_NOTE_CHANGES: Final = """() => {
    const number = document.querySelector('.live-tile[data-metric="waiting"] .number');
    window.noted = [];
    const note = () => window.noted.push([Date.now(), Number(number.textContent)]);
    new MutationObserver(note).observe(number, { childList: true, characterData: true, subtree: true });
}"""
"""Notes when the page shows which number."""
_encode = msgspec.json.Encoder().encode


def agent_message(number: int, state: str, at_ms: int, **more: object) -> Message:
    data = {"agent_id": f"agent-{number}", "state": state, "at": at_ms / 1000, **more}
    return Message("agent-state", number % PARTITIONS, at_ms, b"", _encode(data))


def contact_message(contact_id: str, state: str, at_ms: int, queue: str) -> Message:
    data = {"contact_id": contact_id, "state": state, "at": at_ms / 1000, "channel": "voice", "queue": queue}
    return Message("contact-state", at_ms % PARTITIONS, at_ms, b"", _encode(data))


def signed_in(at_ms: int) -> list[Message]:
    """Return the first state of every agent: five queues each."""
    return [
        agent_message(
            number, "available", at_ms,
            queues=[f"queue-{(number + step) % QUEUES}" for step in range(5)], team=f"team-{number % 40}",
        )
        for number in range(AGENTS)
    ]  # fmt: skip


def states(rate: int, seconds: int, start_ms: int, has_probes: bool = False) -> list[Message]:
    """Return a tenth of `rate` contacts a second with three states each, and agents' states, by their time;
    with probes also the callers of the queue that a page shows."""
    probes = range(start_ms, start_ms + seconds * SECOND, _PROBE_MS) if has_probes else ()
    callers = [contact_message(f"probe-{at_ms}", "queued", at_ms, _PROBED) for at_ms in probes]
    return sorted([*_states(rate, seconds, start_ms), *callers], key=lambda message: message.at_ms)


def _states(rate: int, seconds: int, start_ms: int) -> Iterator[Message]:
    chance, contacts = random.Random(11), rate * seconds // 10
    for number in range(contacts):
        at_ms = start_ms + number * seconds * SECOND // contacts
        for step, state in enumerate(("queued", "connected", "ended")):
            if at_ms + step * PHASE_MS < start_ms + seconds * SECOND:
                yield contact_message(
                    f"c{number}", state, at_ms + step * PHASE_MS, f"queue-{number % QUEUES}"
                )
    for number in range(rate * seconds * 7 // 10):
        at_ms = start_ms + number * seconds * SECOND // (rate * seconds * 7 // 10)
        state = chance.choice(("available", "offered", "busy", "wrap_up", "away"))
        yield agent_message(chance.randrange(AGENTS), state, at_ms)


class SeenContacts:
    """A reader as the server has one, and when it first had each contact."""

    def __init__(self, store: RedisStore) -> None:
        self._reader = MetricsReader(store, Settings(center=CENTER))
        self.first_seen: dict[str, float] = {}
        self.reading_ms: list[float] = []
        self.most_under_way = 0

    async def follow(self, contacts: set[str]) -> None:
        """Refresh until all contacts were seen. Each is under way for longer than a refresh takes."""
        while not contacts <= self.first_seen.keys():
            await self._reader.refresh(wall_clock_ms())
            began_s = time.thread_time()
            self._reader.readings(
                MetricQuery(now=wall_clock_ms(), metrics=("waiting",), windows=("now",), by="queue")
            )
            self.reading_ms.append(1000 * (time.thread_time() - began_s))
            seen_at, under_way = time.monotonic(), self._reader.live_state().contacts
            self.most_under_way = max(self.most_under_way, len(under_way))
            for contact in under_way.values():
                self.first_seen.setdefault(contact.contact_id, seen_at)
            await asyncio.sleep(REFRESH_INTERVAL_S)


def watch_wall(port: int) -> None:
    """Read the stream of a wallboard, and do nothing with it."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/stream") as stream:
        while stream.read1(65_536):
            pass


@asynccontextmanager
async def opened_page(port: int) -> AsyncIterator[Page]:
    """Open the wallboard of the probed queue in Chromium."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(**chromium())
        page = await browser.new_page(viewport=TELEVISION)
        await page.goto(f"http://127.0.0.1:{port}/?view=probe")
        await page.locator('.live-tile[data-metric="waiting"] .number').wait_for()
        await page.evaluate(_NOTE_CHANGES)
        yield page
        await browser.close()


@asynccontextmanager
async def no_page(port: int) -> AsyncIterator[None]:
    """Follow the stream of a wallboard without a page."""
    wall = asyncio.get_running_loop().run_in_executor(None, watch_wall, port)
    yield
    wall.cancel()  # the thread ends with the server


def shown_delays_ms(noted: Sequence[tuple[float, int]], published_ms: Sequence[float]) -> list[float]:
    """Return for each caller of the probed queue how long until the page showed as many as had called.

    >>> shown_delays_ms([(1_150.0, 1), (1_700.0, 3)], [1_000.0, 1_250.0, 1_500.0])
    [150.0, 450.0, 200.0]
    """
    return [
        next(at_ms for at_ms, waiting in noted if waiting >= place) - since_ms
        for place, since_ms in enumerate(published_ms, 1)
    ]


def distribution(delays_ms: Sequence[float]) -> dict[str, int]:
    return {
        "median": round(median(delays_ms)),
        "p99": round(quantiles(delays_ms, n=100, method="inclusive")[98]),
        "longest": round(max(delays_ms)),
    }


async def measure(parts: str, rate: int, seconds: int, has_page: bool) -> dict[str, Any]:
    async with PARTS[parts].broker() as broker, PARTS[parts].store() as redis:
        store = await RedisStore.connect(redis.url, CENTER)
        await ensure_topics(broker.settings, PARTITIONS)
        async with Worker(broker, redis) as worker, Serve(redis, _VIEW) as serve:
            say(f"signing in {AGENTS} agents")
            await publish(broker.address, signed_in(wall_clock_ms() - SECOND))
            while await counted(store) < AGENTS:  # noqa: ASYNC110 - as one who looks would
                await asyncio.sleep(0.2)
            async with opened_page(serve.port) if has_page else no_page(serve.port) as page:
                sent = states(rate, seconds, wall_clock_ms() + SECOND, has_page)
                queued = places_of_queued(sent)
                seen, assert_process = SeenContacts(store), redis.process
                assert assert_process is not None
                following = asyncio.create_task(seen.follow({*queued}))
                pids = {"worker": worker.pid, "server": serve.pid, "redis": assert_process.pid}
                before = {name: cpu_seconds(pid) for name, pid in pids.items()}
                say(f"publishing {rate} states a second for {seconds} s")
                published = await publish_in_time(broker.address, sent)
                used = {name: cpu_seconds(pid) - before[name] for name, pid in pids.items()}
                async with asyncio.timeout(_GRACE_S):
                    await following
                shown_ms = [] if page is None else await page_delays_ms(page, sent, published)
        await store.close()
    span_s = published[-1] - published[0]
    delays_ms = [
        1000 * (seen.first_seen[contact] - published[place])
        for contact, place in queued.items()
        if published[place] > published[0] + _WARM_S
    ]
    return {
        "states": len(sent),
        "states_per_s": round(len(sent) / span_s),
        "contacts_under_way_at_most": seen.most_under_way,
        "delay_ms": distribution(delays_ms),
        "page_delay_ms": distribution(shown_ms[round(_WARM_S * SECOND / _PROBE_MS) :]) if shown_ms else None,
        "reading_by_queue_cpu_ms": round(median(seen.reading_ms), 2),
        "cpu_share": {name: round(cpu_s / span_s, 2) for name, cpu_s in used.items()},
        "cpu_us_per_state": {name: round(cpu_s / len(sent) * 1e6) for name, cpu_s in used.items()},
    }


def places_of_queued(sent: Sequence[Message]) -> dict[str, int]:
    """Return the place of each contact's first state."""
    return {
        json.loads(message.value)["contact_id"]: place
        for place, message in enumerate(sent)
        if message.topic == "contact-state" and b'"queued"' in message.value
    }


async def page_delays_ms(page: Page, sent: Sequence[Message], published: Sequence[float]) -> list[float]:
    """Return how long it took the page to show each caller of the probed queue."""
    await asyncio.sleep(1)  # for the last one
    began_ms = wall_clock_ms() - 1000 * time.monotonic()
    called_ms = [
        began_ms + 1000 * published_s
        for message, published_s in zip(sent, published, strict=True)
        if b'"probe-' in message.value
    ]
    return shown_delays_ms(await page.evaluate("window.noted"), called_ms)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.live_delay", description=__doc__)
    parser.add_argument("--parts", choices=PARTS, default=default_parts(), help="whose broker and store")
    parser.add_argument("--rate", type=int, default=1_000, help="states a second")
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--page", action="store_true", help="measure in Chromium too")
    given = parser.parse_args()
    figures = asyncio.run(measure(given.parts, given.rate, given.seconds, given.page))
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
