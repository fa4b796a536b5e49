"""Between rounds, and during a long one, a server sees changes of others; none undoes another's."""

import asyncio
from collections.abc import Mapping, Sequence
from functools import partial

from streamer.alerts.message import Message
from streamer.alerts.rules import rules
from streamer.alerts.saying.composing import Composer
from streamer.alerts.states import Notice
from streamer.delivery.bell import Bell
from streamer.delivery.record import silenced
from streamer.store.memory import MemoryStore
from streamer.store.redis import LeasedDocument, RedisStore, TokenDocument
from tests.alerts.simulated import read
from tests.delivery.said import silence
from tests.delivery.test_bell import QUICK, SETTINGS, made, running, turns


async def known(bell: Bell, name: str) -> None:
    """Wait until this silence is known."""
    news = bell.listen()
    async with asyncio.timeout(10):
        while name not in bell.record.silences:
            await news.wait()
            news.clear()


async def test_what_others_do_is_known_while_a_turn_takes_long(
    store: RedisStore, numbers: MemoryStore
) -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def slow(notices: Sequence[Notice], told: Mapping[str, Message], now: int) -> list[Message]:
        begun.set()
        await go_on.wait()
        return await Composer(await read(numbers, SETTINGS), SETTINGS, rules(SETTINGS)).composed(
            notices, told, now
        )

    bell, other = await made(store, numbers, compose=slow), await made(store, numbers)
    async with running(bell), asyncio.timeout(30):
        await begun.wait()
        await other.change(partial(silenced, silence=silence("s1")))
        try:
            await known(bell, "s1")
        finally:
            go_on.set()


async def test_what_others_do_is_known_in_the_pause_after_a_long_turn(
    store: RedisStore, numbers: MemoryStore
) -> None:
    pace = QUICK._replace(share=1e6)
    bell, other = await made(store, numbers, pace=pace), await made(store, numbers)
    async with running(bell), asyncio.timeout(30):
        news = bell.listen()
        while not bell.record.alerts:
            await news.wait()
            news.clear()
        await other.change(partial(silenced, silence=silence("s1")))
        await known(bell, "s1")


async def test_a_turn_that_another_overtook_is_void_though_somebody_here_read_of_it(
    store: RedisStore, numbers: MemoryStore
) -> None:
    """Otherwise the messages of the other would be sent again."""
    other, ledger = await made(store, numbers), LeasedDocument(store, "alerts")

    async def overtaken(notices: Sequence[Notice], told: Mapping[str, Message], now: int) -> list[Message]:
        await ledger.release(bell._name)
        await turns(other, 1)
        await bell.change(partial(silenced, silence=silence("s1", key="nobody")))
        own = Composer(await read(numbers, SETTINGS), SETTINGS, rules(SETTINGS))
        return await own.composed(notices, told, now)

    bell = await made(store, numbers, compose=overtaken)
    await turns(bell, 1)
    assert len(other.record.alerts) == 2
    assert [one.key for one in bell.record.to("desk")] == ["billing", "sales"]


class Late(LeasedDocument):
    """Document whose next read returns late, if `asked` is set."""

    asked: asyncio.Event | None = None

    async def read(self) -> TokenDocument | None:
        found = await super().read()
        if self.asked is not None:
            self.asked.set()
            self.asked = None
            await asyncio.sleep(0.2)
        return found


async def test_what_was_read_before_a_change_does_not_undo_it_here(
    store: RedisStore, numbers: MemoryStore
) -> None:
    bell = await made(store, numbers)
    await bell.change(partial(silenced, silence=silence("s1")))
    bell._ledger = late = Late(store, "alerts")
    late.asked = asked = asyncio.Event()
    reading = asyncio.create_task(bell._read())
    await asked.wait()
    await bell.change(partial(silenced, silence=silence("s2")))
    await reading
    assert sorted(bell.record.silences) == ["s1", "s2"]
