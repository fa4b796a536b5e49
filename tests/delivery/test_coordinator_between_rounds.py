"""Between rounds, and during a long one, a server sees changes of others; none undoes another's."""

import asyncio
from collections.abc import Mapping, Sequence
from functools import partial

import pytest

from streamer.alerts.alert_message import AlertMessage
from streamer.alerts.alert_rules import load_alert_rules
from streamer.alerts.messages.composer import MessageComposer
from streamer.alerts.states import AlertNotice
from streamer.delivery.alert_coordinator import AlertCoordinator
from streamer.delivery.alert_state import add_silence
from streamer.store.memory import MemoryStore
from streamer.store.port import LeasedDocument, TokenDocument
from tests.alerts.simulated import read
from tests.delivery.alert_samples import silence
from tests.delivery.test_alert_coordinator import QUICK, SETTINGS, evaluate_times, make_coordinator, running


async def known(bell: AlertCoordinator, name: str) -> None:
    """Wait until this silence is known."""
    news = bell.subscribe()
    async with asyncio.timeout(10):
        while name not in bell.state.silences:
            await news.wait()
            news.clear()


async def test_what_others_do_is_known_while_a_turn_takes_long(
    each_document: LeasedDocument, numbers: MemoryStore
) -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def slow(
        notices: Sequence[AlertNotice], told: Mapping[str, AlertMessage], now: int
    ) -> list[AlertMessage]:
        begun.set()
        await go_on.wait()
        return await MessageComposer(
            await read(numbers, SETTINGS), SETTINGS, load_alert_rules(SETTINGS)
        ).compose(notices, told, now)

    bell, other = (
        await make_coordinator(each_document, numbers, compose=slow),
        await make_coordinator(each_document, numbers),
    )
    async with running(bell), asyncio.timeout(30):
        await begun.wait()
        await other.update(partial(add_silence, silence=silence("s1")))
        try:
            await known(bell, "s1")
        finally:
            go_on.set()


async def test_what_others_do_is_known_in_the_pause_after_a_long_turn(
    each_document: LeasedDocument, numbers: MemoryStore
) -> None:
    pace = QUICK._replace(duration_factor=1e6)
    bell, other = (
        await make_coordinator(each_document, numbers, pace=pace),
        await make_coordinator(each_document, numbers),
    )
    async with running(bell), asyncio.timeout(30):
        news = bell.subscribe()
        while not bell.state.alerts:
            await news.wait()
            news.clear()
        await other.update(partial(add_silence, silence=silence("s1")))
        await known(bell, "s1")


async def test_a_turn_that_another_overtook_is_void_though_somebody_here_read_of_it(
    each_document: LeasedDocument, numbers: MemoryStore
) -> None:
    """Otherwise the messages of the other would be sent again."""
    other = await make_coordinator(each_document, numbers)

    async def overtaken(
        notices: Sequence[AlertNotice], told: Mapping[str, AlertMessage], now: int
    ) -> list[AlertMessage]:
        await each_document.release_lease(bell._name)
        await evaluate_times(other, 1)
        await bell.update(partial(add_silence, silence=silence("s1", key="nobody")))
        own = MessageComposer(await read(numbers, SETTINGS), SETTINGS, load_alert_rules(SETTINGS))
        return await own.compose(notices, told, now)

    bell = await make_coordinator(each_document, numbers, compose=overtaken)
    await evaluate_times(bell, 1)
    assert len(other.state.alerts) == 2
    assert [one.key for one in bell.state.messages_for("desk")] == ["billing", "sales"]


async def test_what_was_read_before_a_change_does_not_undo_it_here(
    each_document: LeasedDocument, numbers: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    bell, asked, read_now = (
        await make_coordinator(each_document, numbers),
        asyncio.Event(),
        each_document.read,
    )
    await bell.update(partial(add_silence, silence=silence("s1")))

    async def read_late() -> TokenDocument | None:
        stored = await read_now()
        if not asked.is_set():
            asked.set()
            await asyncio.sleep(0.2)
        return stored

    monkeypatch.setattr(each_document, "read", read_late)
    reading = asyncio.create_task(bell._refresh())
    await asked.wait()
    await bell.update(partial(add_silence, silence=silence("s2")))
    await reading
    assert sorted(bell.state.silences) == ["s1", "s2"]
