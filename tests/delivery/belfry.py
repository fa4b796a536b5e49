"""Alert coordinators without data: the test says which alerts fire and resolve."""

import asyncio
from collections.abc import Callable
from functools import partial

from streamer.alerts.rules import rules
from streamer.alerts.watch import Watch
from streamer.delivery.bell import Bell, Pace
from streamer.delivery.record import Record, turned
from streamer.readings.reader import Reader
from streamer.settings import Settings
from streamer.store.memory import MemoryStore
from streamer.store.redis import LeasedDocument, RedisStore
from tests.delivery.said import NOW, alert, message, turn

LEASE_S = 600.0


def bell(
    store: RedisStore, settings: Settings, clock: Callable[[], int] = lambda: NOW, lease: float = LEASE_S
) -> Bell:
    async def silent(*_: object) -> list[object]:
        raise AssertionError("no rule is evaluated here")

    reader = Reader(MemoryStore(), settings)
    watch = Watch(reader, settings, rules(settings))
    pace = Pace(every=0.02, share=0, lease=lease)
    return Bell(LeasedDocument(store, "alerts"), watch, reader, silent, clock, pace)  # type: ignore[arg-type]


async def ring(bell: Bell, *keys: str, at: int = NOW, to: tuple[str, ...] = ("desk",)) -> list[str]:
    """Fire an alert of each key; return the ids of the messages. Alerts that fired before still do."""
    alerts = [alert(key, began=at) for key in keys]
    told = [message(one, at) for one in alerts]
    known = {(one.rule, one.key): one for one in (*bell.record.alerts, *alerts)}
    await bell.change(partial(turned, turn=turn(*known.values(), told=told, now=at, to=to)))
    return [one.id for one in told]


async def resolve(bell: Bell, key: str, at: int = NOW, to: tuple[str, ...] = ("desk",)) -> str:
    """Resolve the alert of that key; return the id of the message."""
    (was,) = [one for one in bell.record.alerts if one.key == key]
    over = alert(key, phase="resolved", began=was.began_at)
    told = message(over, at)
    others = [one for one in bell.record.alerts if one.key != key]
    await bell.change(partial(turned, turn=turn(*others, over, told=[told], now=at, to=to)))
    return told.id


async def until(bell: Bell, holds: Callable[[Record], bool]) -> Record:
    """Wait until the alert state is so, and return it."""
    news = bell.listen()
    async with asyncio.timeout(30):
        while not holds(bell.record):
            await news.wait()
            news.clear()
    return bell.record
