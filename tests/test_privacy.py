"""Tests that nothing a run writes tells who the customers are: everything it wrote is looked through.

Only the producers' own topics hold what they sent.
"""

import asyncio
import base64
import json
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import redis.asyncio

from streamer.demo.event_encoding import SimulatedMessage
from streamer.events.decoding import DEAD_LETTER_TOPIC
from streamer.store.redis import RedisStore
from streamer.worker import kafka
from tests.browser.full_center import ServeProcess
from tests.faults import kafka_log
from tests.faults.worker import Worker
from tests.parts.broker import Broker
from tests.parts.redis_server import RedisServer
from tests.parts.server import free_port

ANA, BEN, NUMBER = "ana-lopez-7781", "ben@customers.example", "908172635544"
CARD, PHONE, EMAIL, DNI = "4111 1111 1111 1111", "+34 600 123 457", "ana.lopez@mail.example", "12345678Z"
SECRETS = (ANA, BEN, NUMBER, CARD, CARD.replace(" ", ""), PHONE, "600 123 457", EMAIL, DNI, "lopez")
COMMENT = f"Call me at {PHONE} or {EMAIL}. My card {CARD} and my id {DNI} were asked for. Lovely agent"
NOW = time.time()  # noqa: TID251 - the edge of the tests
PATHS = (
    "/api/v1/contacts?metric=answered&window=1h",
    "/api/v1/contacts?metric=nps_score&window=1h&order=worst",
    "/api/v1/contacts?metric=comments&window=1h",
    "/api/v1/readings?window=1h",
    "/api/v1/readings?window=1h&by=queue",
    "/api/v1/readings?window=1h&by=reason",
    "/api/v1/distribution?window=1h",
    "/api/v1/alerts",
    "/api/v1/names",
    "/api/v1/catalog",
    "/metrics",
    "/readyz",
    "/supervisor",
    f"/api/v1/contacts?metric=answered&window=1h&by=queue&key={'x' * 300}",
)


def call(**fields: Any) -> dict[str, Any]:
    usual = {"queue": "billing", "outcome": "answered", "talk_s": 60, "ended_at": NOW, "customer_id": ANA}
    return usual | fields


def answer(**fields: Any) -> dict[str, Any]:
    usual = {"answered_at": NOW, "answers": {"nps": 1}, "customer_id": ANA, "comment": COMMENT}
    return usual | fields


def envelope(data: Any, **attributes: Any) -> dict[str, Any]:
    usual = {"specversion": "1.0", "id": "e1", "type": "t", "source": "crm", "subject": ANA, "data": data}
    return usual | attributes


def planted() -> Iterator[tuple[str, bytes, list[tuple[str, bytes]]]]:
    """Messages as producers send them: good, wrong, and unreadable."""
    calls: list[Any] = [
        call(contact_id="k1"),
        call(contact_id="k2", customer_id=BEN),
        call(contact_id="k3", customer_id=int(NUMBER)),
        call(contact_id="k1", version=2, resolved=True, note=COMMENT),
        envelope(call(contact_id="k4")),
        call(contact_id="k5", outcome=PHONE),
        call(contact_id="k6", ended_at=f"call {PHONE}"),
        call(contact_id="k7", queue=[EMAIL]),
        call(contact_id="k8", customer_id=[ANA]),
        call(contact_id="k9", customer_id=ANA * 30),
        call(contact_id="k10", talk_s=CARD),
        call(contact_id="k11", transfer=COMMENT),
        envelope(call(contact_id="k12"), source=""),
        envelope(None, data_base64=base64.b64encode(json.dumps(call(outcome="?")).encode()).decode()),
        envelope(f"{ANA} {COMMENT}"),
        {EMAIL: 1, "customer": ANA, "phone": PHONE, **call()},
        [ANA, COMMENT],
        COMMENT,
    ]
    answers: list[Any] = [
        answer(response_id="r1", contact_id="k1"),
        answer(response_id="r2", customer_id=BEN, survey_id="v2"),
        answer(response_id="r3", answers={"nps": 11}),
        answer(response_id="r4", answers=COMMENT),
        answer(response_id="r5", comment=[COMMENT]),
        answer(response_id="r6", scale=COMMENT),
    ]
    for body in calls:
        yield "call-completed", json.dumps(body).encode(), []
    for body in answers:
        yield "survey-completed", json.dumps(body, ensure_ascii=False).encode(), []
    yield "survey-sent", json.dumps({"survey_id": "v2", "customer_id": BEN, "sent_at": NOW}).encode(), []
    yield (
        "contact-evaluated",
        json.dumps(
            {"evaluation_id": "e", "customer_id": ANA, "contact_id": "k1", "score": 80, "evaluated_at": NOW}
        ).encode(),
        [],
    )
    for currency in ("EUR", EMAIL):
        value = {"customer_id": ANA, "value": 5, "as_of": NOW, "currency": currency}
        yield "customer-valued", json.dumps(value).encode(), []
    yield "customer-valued", json.dumps({"customer_id": ANA, "deleted": True}).encode(), []
    attributes = {
        "ce_specversion": "1.0",
        "ce_id": ANA,
        "ce_type": "t",
        "ce_source": "crm",
        "ce_subject": ANA,
    }
    headers = [(name, value.encode()) for name, value in attributes.items()]
    yield "call-completed", json.dumps(call(contact_id="k20")).encode(), headers
    yield "call-completed", json.dumps(call(contact_id="k21", outcome=EMAIL)).encode(), headers
    yield "call-completed", json.dumps(call(contact_id="k22")).encode()[:-9], []
    yield "call-completed", f'{{"customer_id": "{ANA}", "comment": "{COMMENT}'.encode(), []
    yield "call-completed", COMMENT.encode("utf-16"), [("customer", ANA.encode())]
    yield "survey-completed", b'{"customer_id": "' + ANA.encode() + b'\xff", "comment": 1}', []


class Run:
    """Worker and server at work, with everything that they write."""

    def __init__(self, broker: Broker, store: RedisServer, center: str, folder: Path) -> None:
        self.broker, self.store = broker, store
        self.settings = {
            "kafka": broker.address,
            "redis": store.url,
            "center": center,
            "consumer_group": center,
        }
        self.meters = f"http://127.0.0.1:{(port := free_port())}/metrics"
        self._log = folder / "worker.log"
        self.worker = Worker({**self.settings, "metrics_port": str(port)}, self._log)
        self.serve = ServeProcess(self.settings, "")

    async def publish(self) -> int:
        messages = [
            SimulatedMessage(round(NOW * 1000), topic, key, value, headers)
            for topic, value, headers in planted()
            for key in (ANA.encode(), b"")
        ]
        producer = await kafka.start_producer(self.broker.settings)
        try:
            await kafka_log.send(producer, messages)
        finally:
            await producer.stop()
        return len(messages)

    async def happens(self, *calls: Any) -> None:
        """Now, in one partition each; returns when they are counted."""
        before, now = await self.counted(), round(time.time() * 1000)  # noqa: TID251 - the edge of the tests
        messages = [
            SimulatedMessage(now, "call-completed", b"", json.dumps(one).encode(), []) for one in calls
        ]
        producer = await kafka.start_producer(self.broker.settings)
        await kafka_log.send(producer, messages)
        await producer.stop()
        async with asyncio.timeout(60):
            while await self.counted() < before + len(calls):  # noqa: ASYNC110 - Redis tells nobody
                await asyncio.sleep(0.1)

    async def counted(self) -> int:
        store = await RedisStore.connect(self.store.url, self.settings["center"])
        counters = await store.counters()
        await store.close()
        return sum(amount for name, amount in counters.items() if name.startswith("events"))

    async def written(self) -> AsyncIterator[tuple[str, bytes]]:
        """All, with where it is."""
        async with self.store.client() as client:
            async for key in client.scan_iter(count=1000):
                yield "Redis key", key
                yield f"Redis {key!r}", await held(client, key)
        for path in [*self.store.folder.rglob("*"), self._log, self.serve.folder / "log"]:
            if path.is_file():
                yield str(path), path.read_bytes()
        async for letter in kafka_log.records(self.broker.address, [DEAD_LETTER_TOPIC]):
            yield f"dead letter {letter.offset}", repr(letter).encode() + (letter.value or b"")
        async with httpx.AsyncClient() as client:
            for url in [self.meters, *(self.serve.url + path for path in PATHS)]:
                found = await client.get(url)
                yield url, str(found.headers).encode() + found.content
            async with client.stream("GET", f"{self.serve.url}/api/v1/stream") as events:
                yield "stream", await anext(events.aiter_bytes())


async def held(client: redis.asyncio.Redis, key: bytes) -> bytes:
    match await client.type(key):
        case b"string":
            return await client.get(key) or b""
        case b"hash":
            return repr(await client.hgetall(key)).encode() + b"".join(await client.hvals(key))
        case b"zset":
            return b"".join(await client.zrange(key, 0, -1))
        case kind:
            raise AssertionError(f"{key!r} is a {kind!r}")


def forms(secret: str) -> set[bytes]:
    """Return the ways it might be written."""
    raw = secret.encode()
    found = {raw, raw.hex().encode(), raw.hex().upper().encode(), secret.encode("utf-16-le")}
    found |= {secret.encode("utf-16-be"), secret.upper().encode(), secret.title().encode()}
    for shift in range(3):
        encoded = base64.b64encode(b"\0" * shift + raw)
        inner = encoded[4 * (shift > 0) : -4 if (shift + len(raw)) % 3 else None]
        found |= {inner, inner.replace(b"+", b"-").replace(b"/", b"_")}
    return found


def command(run: Run, *arguments: str, stdin: str = "") -> str:
    toml = run.serve.folder / "streamer.toml"
    done = subprocess.run(
        [sys.executable, "-m", "streamer", *arguments],
        input=stdin, capture_output=True, text=True, cwd=toml.parent, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
async def run(
    fresh_broker: Broker, fresh_redis: RedisServer, center: str, tmp_path: Path
) -> AsyncIterator[Run]:
    await kafka.ensure_topics(fresh_broker.settings)
    run = Run(fresh_broker, fresh_redis, center, tmp_path)
    try:
        await run.serve.start()
        number = await run.publish()
        async with asyncio.timeout(60):
            while await run.counted() < number:  # noqa: ASYNC110 - Redis tells nobody
                await asyncio.sleep(0.1)
        yield run
    finally:
        run.worker.kill()
        await run.serve.close()


def test_the_forms_of_a_secret_are_found_in_what_holds_it() -> None:
    text = f"xx{ANA}yy".encode()
    for written in (text, base64.b64encode(text), base64.b64encode(b"z" + text), text.hex().encode()):
        assert any(form in written for form in forms(ANA)), written


@pytest.mark.apache
async def test_nothing_that_was_written_tells_who_the_customers_are(run: Run) -> None:
    sought = {form: secret for secret in SECRETS for form in forms(secret)}
    places, pseudonyms, comments = 0, 0, 0
    async for place, content in run.written():
        places += 1
        pseudonyms += content.count(b"~0~")
        comments += content.count(b"[card]")
        assert not {secret: form for form, secret in sought.items() if form in content}, (
            place,
            content[:3000],
        )
    assert places > 100
    assert pseudonyms > 10  # it is the facts that were looked through
    assert comments > 3


@pytest.mark.apache
async def test_a_forgotten_customer_is_gone_everywhere_and_no_reading_moves(run: Run) -> None:
    async with httpx.AsyncClient() as client:

        async def got(path: str) -> Any:
            return (await client.get(run.serve.url + path)).json()

        async def shown(answered: int) -> Any:
            """The readings, once the server knows of so many: it looks at the store now and then."""
            async with asyncio.timeout(30):
                while True:
                    found = await got("/api/v1/readings?window=1h&by=queue")
                    if sum(one["support"] for one in found if one["metric"] == "answered") == answered:
                        return found
                    await asyncio.sleep(0.1)

        await shown(5)
        contacts = await got("/api/v1/contacts?metric=answered&window=1h")
        ana = next(one["customer_id"] for one in contacts if one["contact_id"] == "k1")
        told = command(run, "forget", "-", stdin=f"{ANA}\n")
        assert ana in told
        assert "erased: 3 contacts" in told
        assert "not erased: Kafka's topics" in told
        assert ANA not in told
        left = await got("/api/v1/contacts?metric=answered&window=1h")
        assert {one["contact_id"] for one in left} == {"k2", "k3"}
        await run.happens(call(contact_id="k1", version=9, queue="other"), call(contact_id="k30"))
        readings = await shown(6)
        assert "not all is counted" not in told, told
        told = command(run, "rebuild")
        assert "equal: every tally" in told
        assert "switched" in told
        after = await got("/api/v1/readings?window=1h&by=queue")
        assert [(one["metric"], one["support"]) for one in after] == [
            (one["metric"], one["support"]) for one in readings
        ]
    center = run.settings["center"]
    async with run.store.client() as store:
        async for key in store.scan_iter(count=1000):
            if key != f"s{{{center}}}forgotten".encode():
                assert ana.encode() not in await held(store, key), key
    assert command(run, "forget", "--list").startswith("1 pseudonyms")
    assert "erased: 1 contacts with 1 facts" in command(run, "forget", "-", stdin=f"{ANA}\n")
    assert "recorded before: " in command(run, "forget", "-", stdin=f"{ANA}\n")
