"""A small center with known figures: counted by the real processors, served by the real server.

The clock stands still unless a test moves it, so that every figure is what it is.
"""

import asyncio
import json
from collections.abc import Iterable
from types import TracebackType
from typing import Any, Self

import uvicorn
from starlette.applications import Starlette

from streamer.demo.event_encoding import SimulatedMessage
from streamer.events.counting_rules import HOUR, MINUTE, SECOND
from streamer.events.decoding import KafkaRecord
from streamer.readings.reader import MetricsReader
from streamer.settings import Settings
from streamer.store.memory import MemoryStore
from streamer.store.port import Heartbeat, Partition
from streamer.web.server import application
from tests.counting import partition_processor, processing_context
from tests.parts.server import free_port

NOW = 1_795_255_205_000
"""2026-11-21 10:00:05 UTC, in Madrid 11:00:05."""
SETTINGS = Settings(
    timezone="Europe/Madrid",
    names={"queue": {"billing": "Billing & payments"}, "agent": {"ann": "Ana Ruiz", "bob": "Bob O’Neil"}},
    dimension_pairs=["queue,channel"],
)
TEAMS = {"ann": "north", "bob": "north", "cleo": "south"}
WORDS = {
    0: "I waited twenty minutes and then the line went dead.",
    2: "Nobody could tell me why I was charged twice.",
}

Event = tuple[str, dict[str, Any]]


def answered_contact(
    number: str, queue: str, agent: str, ago_ms: int, *, talk_s: float = 200, **more: Any
) -> Iterable[Event]:
    """Yield a contact that an agent took; with `nps` also its survey, answered a minute later."""
    ended_at = (NOW - ago_ms) / 1000
    about = {"contact_id": number, "customer_id": f"customer-{number}"}
    yield (
        "call-completed",
        {
            **about, "queue": queue, "agent_id": agent, "team": TEAMS[agent], "channel": "voice",
            "reason": "invoice", "ended_at": ended_at, "outcome": "answered",
            "wait_s": 10, "talk_s": talk_s, "hold_s": 0, "acw_s": 20,
        },
    )  # fmt: skip
    if "nps" in more:
        answers = {"nps": more["nps"]}
        said = {"comment": more["comment"], "language": "en"} if "comment" in more else {}
        survey = {"response_id": f"r-{number}", "answered_at": ended_at + 60, "answers": answers, **said}
        yield "survey-completed", {**about, **survey}


def last_hour() -> Iterable[Event]:
    """The last hour: billing 30 answers of which 20 detractors and 6 promoters, support 30 of which 2 and
    24, sales 4; Ana takes billing, slowly, Cleo support, Bob sales."""
    for place in range(30):
        score = 0 if place == 3 else 2 if place < 20 else 8 if place < 24 else 10
        more = {"comment": WORDS[score]} if place in (3, 5, 7) else {}
        yield from answered_contact(
            f"b{place}", "billing", "ann", (3 + place) * MINUTE, talk_s=400, nps=score, **more
        )
        score = 5 if place < 2 else 7 if place < 6 else 9
        yield from answered_contact(f"s{place}", "support", "cleo", (3 + place) * MINUTE, nps=score)
    for place in range(25):
        more = {"nps": 9} if place < 4 else {}
        yield from answered_contact(f"x{place}", "sales", "bob", (3 + place) * MINUTE, **more)


def good_hour() -> Iterable[Event]:
    """Six hours ago, when billing was well: 40 answers, 36 of them promoters."""
    for place in range(40):
        yield from answered_contact(
            f"e{place}", "billing", "bob", 6 * HOUR + place * SECOND, nps=7 if place < 4 else 10
        )


class SupervisedCenter:
    """`store` may be filled by another way; `now` is the server's clock, and when the data was last whole."""

    def __init__(self, settings: Settings = SETTINGS, store: MemoryStore | None = None) -> None:
        self.settings, self.store, self.port = settings, store or MemoryStore(), free_port()
        self.now = NOW
        self._counting = processing_context(self.store, settings.counting_rules(), NOW)
        self._server: uvicorn.Server | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/supervisor"

    async def publish(self, events: Iterable[Event]) -> None:
        """Count events as if published now, each with its topic."""
        await self.count(
            SimulatedMessage(NOW, topic, b"", json.dumps(data).encode(), ()) for topic, data in events
        )

    async def count(self, messages: Iterable[SimulatedMessage]) -> None:
        """Count messages topic by topic."""
        messages_by_topic: dict[str, list[SimulatedMessage]] = {}
        for message in messages:
            messages_by_topic.setdefault(message.topic, []).append(message)
        for topic, written in messages_by_topic.items():
            at = await partition_processor(self._counting, topic, 0)
            first = at.position.next
            records = [
                KafkaRecord(topic, 0, first + place, one.at_ms, one.key, one.value, one.headers)
                for place, one in enumerate(written)
            ]
            await at.count(records, first + len(records))

    async def catch_up(self) -> None:
        """Store a heartbeat that says the workers have caught up."""
        beat = Heartbeat(self.now, 0, self.now)
        await self.store.beat({Partition("call-completed", 0): beat})

    def app(self) -> Starlette:
        """Build the application to serve."""
        return application(MetricsReader(self.store, self.settings), self.settings, lambda: self.now)

    async def __aenter__(self) -> Self:
        await self.catch_up()
        config = uvicorn.Config(self.app(), port=self.port, log_level="error", timeout_graceful_shutdown=1)
        self._server = uvicorn.Server(config)
        self._task = asyncio.create_task(self._server._serve())
        async with asyncio.timeout(10):
            while not self._server.started:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        assert self._task is not None
        self._server.should_exit = True
        await self._task
