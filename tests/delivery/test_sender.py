"""A receiver gets all messages in order and once, whatever it answers, however long it is unavailable."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from structlog.testing import capture_logs

from streamer.delivery.bell import Bell
from streamer.delivery.caller import Caller
from streamer.delivery.receivers import receivers
from streamer.delivery.record import sent
from streamer.delivery.sender import Patience, Sender
from streamer.events.rules import DAY
from streamer.settings import Settings
from streamer.store.redis import RedisStore
from tests.delivery.belfry import bell as bell_of
from tests.delivery.belfry import resolve, ring, until
from tests.delivery.listening import SECRET_PATH, Listener, cut, endless, status
from tests.delivery.passing import Time
from tests.delivery.said import NOW
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

    def __init__(self, bell: Bell, listener: Listener, time: Time, sender: Sender) -> None:
        self.bell, self.listener, self.time, self.sender = bell, listener, time, sender

    async def told(self, posts: int) -> None:
        """Wait until so many posts came in all and no message waits."""
        await self.listener.heard(posts)
        await until(self.bell, lambda record: not record.to("desk"))
        assert len(self.listener.posts) == posts


@asynccontextmanager
async def at_work(
    store: RedisStore, listener: Listener, time: Time | None = None, is_mine: bool = True, grace: float = 5.0
) -> AsyncIterator[Case]:
    time, caller = time or Time(), Caller()
    found = settings(listener.url)
    bell = bell_of(store, found, time.clock)
    if is_mine:
        await bell._hold()
    receiver = receivers(found, caller, time.clock)["desk"]
    sender = Sender("desk", receiver, bell, time.timing, Patience(DAY, APART, grace))
    running = asyncio.create_task(sender.run())
    try:
        yield Case(bell, listener, time, sender)
    finally:
        sender.end()
        await running
        await caller.close()


@pytest.fixture
async def listener() -> AsyncIterator[Listener]:
    async with Listener() as found:
        yield found


async def test_the_first_goes_at_once_and_what_comes_soon_after_goes_together(
    store: RedisStore, listener: Listener
) -> None:
    async with at_work(store, listener) as case:
        first = await ring(case.bell, "billing", "sales")
        await case.told(1)
        second = await ring(case.bell, "support")
        third = [await resolve(case.bell, "billing")]
        assert await case.time.asleep(paused) == APART
        case.time.passes(APART - 0.01)
        await case.time.asleep(paused)
        assert len(listener.posts) == 1
        case.time.passes(0.01)
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
    answer: Any, reason: str, pause: float, store: RedisStore, listener: Listener
) -> None:
    listener.answer = answer
    async with at_work(store, listener) as case:
        ids = await ring(case.bell, "billing")
        assert await case.time.asleep(paused) == pause
        assert case.sender.trouble == (reason, NOW)
        ids += await ring(case.bell, "sales")
        listener.answer = status(204)
        case.time.passes(pause)
        await until(case.bell, lambda record: [one.id for one in record.to("desk")] == ids[1:])
        assert await case.time.asleep(paused) == APART
        assert case.sender.trouble is None
        case.time.passes(APART)
        await case.told(3)
        assert [post.ids for post in listener.posts] == [ids[:1], ids[:1], ids[1:]]
        first, again, _ = listener.posts
        assert again.body == first.body
        assert again.headers["Idempotency-Key"] == first.headers["Idempotency-Key"]


HALF = b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf"


@pytest.mark.parametrize("answer", [endless, cut(HALF)], ids=["an endless answer", "cut in what it says"])
async def test_who_answered_well_has_it_whatever_becomes_of_the_answer(
    answer: Any, store: RedisStore, listener: Listener
) -> None:
    listener.answer = answer
    async with at_work(store, listener) as case:
        await ring(case.bell, "billing")
        await case.told(1)
        assert await case.time.asleep(paused) == APART


async def test_of_a_huge_refusal_only_a_line_is_read(store: RedisStore, listener: Listener) -> None:
    async def huge(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(status=500)
        await response.prepare(request)
        try:
            while True:
                await response.write(bytes(100_000))
        except ConnectionError:
            return response

    listener.answer = huge
    async with at_work(store, listener) as case:
        await ring(case.bell, "billing")
        await case.time.asleep(paused)
        assert case.sender.trouble == ("answered 500", NOW)


async def test_ten_minutes_away_cost_nothing_but_time(store: RedisStore, listener: Listener) -> None:
    async with at_work(store, listener) as case:
        await listener.stop()
        ids, pauses = [], []
        while case.time.now < 600:
            ids += await ring(case.bell, f"queue-{len(ids)}", at=case.time.clock())
            pauses.append(await case.time.asleep(paused))
            case.time.passes(pauses[-1])
        assert pauses[:8] == [1, 2, 4, 8, 16, 32, 60, 60]
        assert case.sender.trouble == ("connection failed (Connection refused)", NOW)
        await case.time.asleep(paused)
        await listener.start()
        case.time.passes(60)
        await listener.heard(1)
        await case.time.asleep(lambda seconds: seconds == APART)
        case.time.passes(APART)
        await case.told(2)
        assert listener.ids == ids


async def test_who_takes_thirty_seconds_is_told_once(store: RedisStore, listener: Listener) -> None:
    async with at_work(store, listener) as case:
        listener.answer = _slow(case.time, 30)
        ids = await ring(case.bell, "billing")
        await case.time.asleep(lambda seconds: seconds == 30)
        case.time.passes(30)
        await case.told(1)
        await case.time.asleep(lambda seconds: seconds == APART)
        case.time.passes(3600)
        more = await ring(case.bell, "sales")
        await case.time.asleep(lambda seconds: seconds == 30)
        case.time.passes(30)
        await case.told(2)
        assert listener.ids == ids + more


@pytest.mark.parametrize(("seconds", "posts"), [(TIMEOUT - 1, 1), (TIMEOUT + 1, 2)])
async def test_after_its_time_a_receiver_is_told_again_the_same(
    seconds: float, posts: int, store: RedisStore, listener: Listener
) -> None:
    async with at_work(store, listener) as case:
        listener.answer = _slow(case.time, seconds)
        await ring(case.bell, "billing")
        await case.time.asleep(lambda slept: slept == seconds)
        await case.time.asleep(lambda slept: slept == TIMEOUT)
        listener.answer = status(200)
        case.time.passes(min(seconds, TIMEOUT))
        if posts == 2:
            assert await case.time.asleep(lambda slept: slept == 1) == 1
            assert case.sender.trouble == ("no answer in 61 s", NOW + 61_000)
            case.time.passes(1)
        await case.told(posts)
        assert len({post.headers["Idempotency-Key"] for post in listener.posts}) == 1


def _slow(time: Time, seconds: float) -> Any:
    async def answer(request: web.Request) -> web.StreamResponse:
        await time.sleep(seconds)
        return web.Response()

    return answer


async def test_what_a_receiver_refuses_keeps_nothing_else_back_and_is_tried_until_it_takes_it(
    store: RedisStore, listener: Listener
) -> None:
    is_mended = False

    async def picky(request: web.Request) -> web.StreamResponse:
        return web.Response(status=400 if b"poison" in await request.read() and not is_mended else 200)

    listener.answer = picky
    async with at_work(store, listener) as case:
        ids = await ring(case.bell, "poison", "billing", "sales")
        ids.append(await resolve(case.bell, "poison"))
        while len(case.bell.record.to("desk")) > 2:
            await case.time.asleep(paused)
            case.time.passes(60)
        is_mended = True
        while case.bell.record.to("desk"):
            await case.time.asleep(paused)
            case.time.passes(60)
        began, over = ids[0], ids[3]
        taken = [post.ids for post in listener.posts if not any("poison" in name for name in post.ids)]
        assert sorted(name for post in taken for name in post) == sorted(ids[1:3])
        last = [name for post in listener.posts[-2:] for name in post.ids]
        assert last.index(began) < last.index(over)


async def test_at_most_fifty_go_together(store: RedisStore, listener: Listener) -> None:
    async with at_work(store, listener) as case:
        ids = await ring(case.bell, *(f"queue-{number}" for number in range(51)))
        await listener.heard(1)
        await case.time.asleep(lambda seconds: seconds == APART)
        case.time.passes(APART)
        await case.told(2)
        assert [len(post.ids) for post in listener.posts] == [50, 1]
        assert listener.ids == ids


async def test_who_has_not_the_turn_sends_nothing_until_it_has(store: RedisStore, listener: Listener) -> None:
    async with at_work(store, listener, is_mine=False) as case:
        ids = await ring(case.bell, "billing")
        other = bell_of(store, settings(listener.url))
        await other._hold()
        await case.bell._hold()
        assert not case.bell.mine
        await other._ledger.release(other._name)
        assert not listener.posts
        await case.bell._hold()
        await case.told(1)
        assert listener.ids == ids


async def test_what_another_server_marked_before_is_not_sent(store: RedisStore, listener: Listener) -> None:
    """Also if this one had not read that yet when it became leader."""
    async with at_work(store, listener, is_mine=False) as case:
        ids = await ring(case.bell, "billing", "sales")
        other = bell_of(store, settings(listener.url))
        await other.change(lambda record: sent(record, "desk", ids[:1]))
        assert [one.id for one in case.bell.record.to("desk")] == ids
        await case.bell._hold()
        await case.told(1)
        assert listener.ids == ids[1:]


async def test_what_was_answered_while_the_store_was_away_is_not_sent_again(
    fresh_redis: RedisServer, listener: Listener
) -> None:
    store = await RedisStore.connect(fresh_redis.url, "away")
    async with at_work(store, listener) as case:
        released = asyncio.Event()

        async def held(request: web.Request) -> web.StreamResponse:
            await released.wait()
            return web.Response()

        listener.answer = held
        ids = await ring(case.bell, "billing")
        await listener.heard(1)
        await fresh_redis.kill()
        released.set()
        for _ in range(3):
            case.time.passes(await case.time.asleep(paused))
        assert case.sender.trouble is not None
        assert [one.id for one in case.bell.record.to("desk")] == ids
        await case.time.asleep(paused)
        await fresh_redis.start()
        case.time.passes(60)
        await case.told(1)
        more = await ring(case.bell, "sales")
        case.time.passes(60)
        await case.told(2)
        assert listener.ids == ids + more
    await store.close()


async def test_what_is_too_old_is_given_up_and_counted(store: RedisStore, listener: Listener) -> None:
    time = Time()
    async with at_work(store, listener, time) as case:
        await listener.stop()
        await ring(case.bell, "billing")
        await time.asleep(paused)
        late = await ring(case.bell, "sales", at=NOW + 60_000)
        time.passes(DAY / 1000 + 1)
        await listener.start()
        await case.told(1)
        assert listener.ids == late
        assert case.bell.record.given_up == {"desk": 1}


@pytest.mark.parametrize(("grace", "waits"), [(30.0, False), (0.0, True)])
async def test_at_the_end_what_is_under_way_gets_a_short_while(
    grace: float, waits: bool, store: RedisStore, listener: Listener
) -> None:
    released = asyncio.Event()

    async def held(request: web.Request) -> web.StreamResponse:
        await released.wait()
        return web.Response()

    listener.answer = held
    async with at_work(store, listener, grace=grace) as case:
        await ring(case.bell, "billing")
        await listener.heard(1)
        case.sender.end()
        if not waits:
            released.set()
    released.set()
    assert bool(case.bell.record.to("desk")) is waits


async def test_the_address_is_told_to_nobody(
    store: RedisStore,
    listener: Listener,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    listener.answer = status(500)
    with capture_logs() as logged:
        async with at_work(store, listener) as case:
            await ring(case.bell, "billing")
            for _ in range(2):
                case.time.passes(await case.time.asleep(paused))
            await listener.stop()
            await case.time.asleep(paused)
    said = f"{logged}{''.join(capsys.readouterr())}{caplog.text}"
    assert "sending alerts to a receiver failed" in said
    assert "secret" not in said
    assert str(listener.port) not in said
