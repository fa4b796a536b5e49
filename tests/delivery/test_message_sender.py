"""A receiver gets all messages in order and once, whatever it answers, however long it is unavailable."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from structlog.testing import capture_logs

from streamer.delivery.alert_coordinator import AlertCoordinator
from streamer.delivery.alert_state import mark_sent
from streamer.delivery.configured_receivers import build_receivers
from streamer.delivery.http_client import HttpClient
from streamer.delivery.message_sender import DeliveryLimits, MessageSender
from streamer.events.counting_rules import DAY
from streamer.settings import Settings
from streamer.store.memory_documents import MemoryDocument
from streamer.store.port import LeasedDocument
from streamer.store.redis import RedisDocument, RedisStore
from tests.delivery.alert_samples import NOW
from tests.delivery.coordinators import fire_alerts, resolve_alert, wait_for_state
from tests.delivery.coordinators import make_quiet_coordinator as bell_of
from tests.delivery.http_listener import SECRET_PATH, HttpListener, cut, endless, status
from tests.delivery.manual_time import ManualTime
from tests.parts.redis_server import RedisServer

TIMEOUT, APART = 61.0, 10.0


def settings(url: str, **more: Any) -> Settings:
    desk = {"url": url, "timeout": TIMEOUT, **more}
    return Settings(receivers={"desk": desk})  # type: ignore[dict-item]


def paused(seconds: float) -> bool:
    """Tell whether a sleep is a pause, not the wait for a response."""
    return seconds != TIMEOUT


class Case:
    """A running sender with its coordinator, its receiver and its clock."""

    def __init__(
        self, bell: AlertCoordinator, listener: HttpListener, time: ManualTime, sender: MessageSender
    ) -> None:
        self.bell, self.listener, self.time, self.sender = bell, listener, time, sender

    async def told(self, posts: int) -> None:
        """Wait until so many posts came in all and no message waits."""
        await self.listener.heard(posts)
        await wait_for_state(self.bell, lambda record: not record.messages_for("desk"))
        assert len(self.listener.posts) == posts


@asynccontextmanager
async def at_work(
    document: LeasedDocument,
    listener: HttpListener,
    time: ManualTime | None = None,
    is_mine: bool = True,
    grace: float = 5.0,
) -> AsyncIterator[Case]:
    time, caller = time or ManualTime(), HttpClient()
    found = settings(listener.url)
    bell = bell_of(document, found, time.clock)
    if is_mine:
        await bell._acquire_lease()
    receiver = build_receivers(found, caller, time.clock)["desk"]
    sender = MessageSender("desk", receiver, bell, time.timing, DeliveryLimits(DAY, APART, grace))
    running = asyncio.create_task(sender.run())
    try:
        yield Case(bell, listener, time, sender)
    finally:
        sender.stop()
        await running
        await caller.close()


@pytest.fixture
async def listener() -> AsyncIterator[HttpListener]:
    async with HttpListener() as found:
        yield found


async def test_the_first_goes_at_once_and_what_comes_soon_after_goes_together(
    document: MemoryDocument, listener: HttpListener
) -> None:
    async with at_work(document, listener) as case:
        first = await fire_alerts(case.bell, "billing", "sales")
        await case.told(1)
        second = await fire_alerts(case.bell, "support")
        third = [await resolve_alert(case.bell, "billing")]
        assert await case.time.wait_for_sleep(paused) == APART
        case.time.advance(APART - 0.01)
        await case.time.wait_for_sleep(paused)
        assert len(listener.posts) == 1
        case.time.advance(0.01)
        await case.told(2)
        assert [post.ids for post in listener.posts] == [first, second + third]
        assert case.time.now == APART


BAD = {
    "500": (status(500), "answered 500", 1.0),
    "refused word": (status(403, text="invalid_token"), "answered 403 (invalid_token)", 1.0),
    "an answer that repeats the address": (status(404, text=f"no {SECRET_PATH}"), "answered 404", 1.0),
    "429": (status(429, {"retry-after": "47"}), "answered 429", 47.0),
    "503 until a date": (
        status(503, {"retry-after": "Sat, 21 Nov 2026 10:01:03 GMT"}), "answered 503", 60.0,
    ),
    "429 for ever": (status(429, {"retry-after": "9999999999"}), "answered 429", 3600.0),
    "500 that asks to wait": (status(500, {"retry-after": "47"}), "answered 500", 1.0),
    "redirect": (
        status(307, {"location": "/elsewhere"}), "answered 307, redirects are not followed", 1.0,
    ),
    "cut before anything": (cut(b""), "connection closed before the response", 1.0),
    "cut in the status": (cut(b"HTTP/1.1 20"), "connection closed before the response", 1.0),
    "no HTTP": (cut(b"220 smtp.example.org\r\n\r\n"), "invalid HTTP response", 1.0),
}  # fmt: skip


@pytest.mark.parametrize(("answer", "reason", "pause"), BAD.values(), ids=BAD)
async def test_what_a_receiver_did_not_take_comes_again_the_same_and_then_no_more(
    answer: Any, reason: str, pause: float, document: MemoryDocument, listener: HttpListener
) -> None:
    listener.answer = answer
    async with at_work(document, listener) as case:
        ids = await fire_alerts(case.bell, "billing")
        assert await case.time.wait_for_sleep(paused) == pause
        assert case.sender.failure == (reason, NOW)
        ids += await fire_alerts(case.bell, "sales")
        listener.answer = status(204)
        case.time.advance(pause)
        await wait_for_state(
            case.bell, lambda record: [one.id for one in record.messages_for("desk")] == ids[1:]
        )
        assert await case.time.wait_for_sleep(paused) == APART
        assert case.sender.failure is None
        case.time.advance(APART)
        await case.told(3)
        assert [post.ids for post in listener.posts] == [ids[:1], ids[:1], ids[1:]]
        first, again, _ = listener.posts
        assert again.body == first.body
        assert again.headers["Idempotency-Key"] == first.headers["Idempotency-Key"]


HALF = b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf"


@pytest.mark.parametrize("answer", [endless, cut(HALF)], ids=["an endless answer", "cut in what it says"])
async def test_who_answered_well_has_it_whatever_becomes_of_the_answer(
    answer: Any, document: MemoryDocument, listener: HttpListener
) -> None:
    listener.answer = answer
    async with at_work(document, listener) as case:
        await fire_alerts(case.bell, "billing")
        await case.told(1)
        assert await case.time.wait_for_sleep(paused) == APART


async def test_of_a_huge_refusal_only_a_line_is_read(
    document: MemoryDocument, listener: HttpListener
) -> None:
    async def huge(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(status=500)
        await response.prepare(request)
        try:
            while True:
                await response.write(bytes(100_000))
        except ConnectionError:
            return response

    listener.answer = huge
    async with at_work(document, listener) as case:
        await fire_alerts(case.bell, "billing")
        await case.time.wait_for_sleep(paused)
        assert case.sender.failure == ("answered 500", NOW)


async def test_ten_minutes_away_cost_nothing_but_time(
    document: MemoryDocument, listener: HttpListener
) -> None:
    async with at_work(document, listener) as case:
        await listener.stop()
        ids, pauses = [], []
        while case.time.now < 600:
            ids += await fire_alerts(case.bell, f"queue-{len(ids)}", at=case.time.clock())
            pauses.append(await case.time.wait_for_sleep(paused))
            case.time.advance(pauses[-1])
        assert pauses[:8] == [1, 2, 4, 8, 16, 32, 60, 60]
        assert case.sender.failure == ("connection failed (Connection refused)", NOW)
        await case.time.wait_for_sleep(paused)
        await listener.start()
        case.time.advance(60)
        await listener.heard(1)
        await case.time.wait_for_sleep(lambda seconds: seconds == APART)
        case.time.advance(APART)
        await case.told(2)
        assert listener.ids == ids


async def test_who_takes_thirty_seconds_is_told_once(
    document: MemoryDocument, listener: HttpListener
) -> None:
    async with at_work(document, listener) as case:
        listener.answer = _slow(case.time, 30)
        ids = await fire_alerts(case.bell, "billing")
        await case.time.wait_for_sleep(lambda seconds: seconds == 30)
        case.time.advance(30)
        await case.told(1)
        await case.time.wait_for_sleep(lambda seconds: seconds == APART)
        case.time.advance(3600)
        more = await fire_alerts(case.bell, "sales")
        await case.time.wait_for_sleep(lambda seconds: seconds == 30)
        case.time.advance(30)
        await case.told(2)
        assert listener.ids == ids + more


@pytest.mark.parametrize(("seconds", "posts"), [(TIMEOUT - 1, 1), (TIMEOUT + 1, 2)])
async def test_after_its_time_a_receiver_is_told_again_the_same(
    seconds: float, posts: int, document: MemoryDocument, listener: HttpListener
) -> None:
    async with at_work(document, listener) as case:
        listener.answer = _slow(case.time, seconds)
        await fire_alerts(case.bell, "billing")
        await case.time.wait_for_sleep(lambda slept: slept == seconds)
        await case.time.wait_for_sleep(lambda slept: slept == TIMEOUT)
        listener.answer = status(200)
        case.time.advance(min(seconds, TIMEOUT))
        if posts == 2:
            assert await case.time.wait_for_sleep(lambda slept: slept == 1) == 1
            assert case.sender.failure == ("no answer in 61 s", NOW + 61_000)
            case.time.advance(1)
        await case.told(posts)
        assert len({post.headers["Idempotency-Key"] for post in listener.posts}) == 1


def _slow(time: ManualTime, seconds: float) -> Any:
    async def answer(request: web.Request) -> web.StreamResponse:
        await time.sleep(seconds)
        return web.Response()

    return answer


async def test_what_a_receiver_refuses_keeps_nothing_else_back_and_is_tried_until_it_takes_it(
    document: MemoryDocument, listener: HttpListener
) -> None:
    is_mended = False

    async def picky(request: web.Request) -> web.StreamResponse:
        return web.Response(status=400 if b"poison" in await request.read() and not is_mended else 200)

    listener.answer = picky
    async with at_work(document, listener) as case:
        ids = await fire_alerts(case.bell, "poison", "billing", "sales")
        ids.append(await resolve_alert(case.bell, "poison"))
        while len(case.bell.state.messages_for("desk")) > 2:
            await case.time.wait_for_sleep(paused)
            case.time.advance(60)
        is_mended = True
        while case.bell.state.messages_for("desk"):
            await case.time.wait_for_sleep(paused)
            case.time.advance(60)
        began, over = ids[0], ids[3]
        taken = [post.ids for post in listener.posts if not any("poison" in name for name in post.ids)]
        assert sorted(name for post in taken for name in post) == sorted(ids[1:3])
        last = [name for post in listener.posts[-2:] for name in post.ids]
        assert last.index(began) < last.index(over)


async def test_at_most_fifty_go_together(document: MemoryDocument, listener: HttpListener) -> None:
    async with at_work(document, listener) as case:
        ids = await fire_alerts(case.bell, *(f"queue-{number}" for number in range(51)))
        await listener.heard(1)
        await case.time.wait_for_sleep(lambda seconds: seconds == APART)
        case.time.advance(APART)
        await case.told(2)
        assert [len(post.ids) for post in listener.posts] == [50, 1]
        assert listener.ids == ids


async def test_who_has_not_the_turn_sends_nothing_until_it_has(
    document: MemoryDocument, listener: HttpListener
) -> None:
    async with at_work(document, listener, is_mine=False) as case:
        ids = await fire_alerts(case.bell, "billing")
        other = bell_of(document, settings(listener.url))
        await other._acquire_lease()
        await case.bell._acquire_lease()
        assert not case.bell.is_leader
        await other._document.release_lease(other._name)
        assert not listener.posts
        await case.bell._acquire_lease()
        await case.told(1)
        assert listener.ids == ids


async def test_what_another_server_marked_before_is_not_sent(
    document: MemoryDocument, listener: HttpListener
) -> None:
    """Also if this one had not read that yet when it became leader."""
    async with at_work(document, listener, is_mine=False) as case:
        ids = await fire_alerts(case.bell, "billing", "sales")
        other = bell_of(document, settings(listener.url))
        await other.update(lambda record: mark_sent(record, "desk", ids[:1]))
        assert [one.id for one in case.bell.state.messages_for("desk")] == ids
        await case.bell._acquire_lease()
        await case.told(1)
        assert listener.ids == ids[1:]


async def test_what_was_answered_while_the_store_was_away_is_not_sent_again(
    fresh_redis: RedisServer, listener: HttpListener
) -> None:
    store = await RedisStore.connect(fresh_redis.url, "away")
    async with at_work(RedisDocument(store, "alerts"), listener) as case:
        released = asyncio.Event()

        async def held(request: web.Request) -> web.StreamResponse:
            await released.wait()
            return web.Response()

        listener.answer = held
        ids = await fire_alerts(case.bell, "billing")
        await listener.heard(1)
        await fresh_redis.kill()
        released.set()
        for _ in range(3):
            case.time.advance(await case.time.wait_for_sleep(paused))
        assert case.sender.failure is not None
        assert [one.id for one in case.bell.state.messages_for("desk")] == ids
        await case.time.wait_for_sleep(paused)
        await fresh_redis.start()
        case.time.advance(60)
        await case.told(1)
        more = await fire_alerts(case.bell, "sales")
        case.time.advance(60)
        await case.told(2)
        assert listener.ids == ids + more
    await store.close()


async def test_what_is_too_old_is_given_up_and_counted(
    document: MemoryDocument, listener: HttpListener
) -> None:
    time = ManualTime()
    async with at_work(document, listener, time) as case:
        await listener.stop()
        await fire_alerts(case.bell, "billing")
        await time.wait_for_sleep(paused)
        late = await fire_alerts(case.bell, "sales", at=NOW + 60_000)
        await listener.start()
        time.advance(DAY / 1000 + 1)
        await case.told(1)
        assert listener.ids == late
        assert case.bell.state.given_up == {"desk": 1}


@pytest.mark.parametrize(("grace", "waits"), [(30.0, False), (0.0, True)])
async def test_at_the_end_what_is_under_way_gets_a_short_while(
    grace: float, waits: bool, document: MemoryDocument, listener: HttpListener
) -> None:
    released = asyncio.Event()

    async def held(request: web.Request) -> web.StreamResponse:
        await released.wait()
        return web.Response()

    listener.answer = held
    async with at_work(document, listener, grace=grace) as case:
        await fire_alerts(case.bell, "billing")
        await listener.heard(1)
        case.sender.stop()
        if not waits:
            released.set()
    released.set()
    assert bool(case.bell.state.messages_for("desk")) is waits


async def test_the_address_is_told_to_nobody(
    document: MemoryDocument,
    listener: HttpListener,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    listener.answer = status(500)
    with capture_logs() as logged:
        async with at_work(document, listener) as case:
            await fire_alerts(case.bell, "billing")
            for _ in range(2):
                case.time.advance(await case.time.wait_for_sleep(paused))
            await listener.stop()
            await case.time.wait_for_sleep(paused)
    said = f"{logged}{''.join(capsys.readouterr())}{caplog.text}"
    assert "sending alerts to a receiver failed" in said
    assert "secret" not in said
    assert str(listener.port) not in said
