"""Webhooks: the signature of every vendor, and what others may try. Each is computed here anew, by what the
vendor documents, and held against its published example where there is one."""

import asyncio
import base64
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
from aiokafka import AIOKafkaConsumer
from starlette.applications import Starlette

from streamer.events.adapters import SOURCES
from streamer.events.counting_rules import MINUTE, SECOND
from streamer.events.outgoing_records import OutgoingRecord
from streamer.ingest.serve import LazyProducer
from streamer.readings.reader import MetricsReader
from streamer.settings import Settings, SettingsError, UserSettings
from streamer.web.credentials import token_hash
from streamer.web.server import SignalHandlingServer, application, server_config
from streamer.web.signatures import SIGNATURE_SCHEMES, SignatureProof, SignedRequest
from streamer.web.webhook_secrets import check_secrets
from streamer.web.webhooks import MAX_FAILURES, PublishRecord, WebhookTimeouts
from tests.browser.full_center import ServeProcess
from tests.conftest import Parts
from tests.parts.broker import Broker
from tests.parts.server import free_port
from tests.readings.small_center import NOW, SmallCenter
from tests.web.event_stream import InLoopServer

SECRET = "a secret of some length"
KEY = b"sixteen bytes xy"
SECRETS = dict.fromkeys(SOURCES, SECRET) | {"formbricks": f"whsec_{base64.b64encode(KEY).decode()}"}
URL = "https://hooks.example.org"
BODY = b'{"event_type": "survey_response.created", "event_data": {"id": "1", "comment": "personal words"}}'
SIGNED = ("twilio", "delighted", "help-scout", "chatwoot", "zendesk", "formbricks")
STAMPED = ("chatwoot", "zendesk", "formbricks")

FORM = "application/x-www-form-urlencoded; charset=utf-8"

Headers = dict[str, str]


class RecordingKafka:
    """A publisher that accepts everything at once, unless it is set to fail or to wait."""

    def __init__(self) -> None:
        self.records: list[OutgoingRecord] = []
        self.away = False
        self.held: asyncio.Event | None = None

    async def publish(self, record: OutgoingRecord) -> None:
        if self.held is not None:
            await self.held.wait()
        if self.away:
            raise ConnectionError("no broker")
        self.records.append(record)


class SettableClock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> int:
        return self.now


def settings(**more: Any) -> Settings:
    sources = {name: {"secret": secret} for name, secret in SECRETS.items()}
    return Settings(sources=sources, **more)


def app_of(
    publish: PublishRecord,
    clock: Callable[[], int] = lambda: NOW,
    patience: WebhookTimeouts | None = None,
    **more: Any,
) -> Starlette:
    ours = more.pop("ours", None) or settings(**more)
    return application(
        MetricsReader(SmallCenter().store, ours),
        ours,
        clock,
        publish=publish,
        timeouts=patience or WebhookTimeouts(),
    )


@asynccontextmanager
async def calling(app: Starlette, url: str = URL) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=url) as client:
        yield client


def hexed(key: bytes, signed: bytes) -> str:
    return hmac.new(key, signed, hashlib.sha256).hexdigest()


def b64(key: bytes, signed: bytes, digest: str = "sha256") -> str:
    return base64.b64encode(hmac.new(key, signed, digest).digest()).decode()


def iso(ms: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(ms // SECOND))


def media(source: str) -> str:
    return "text/plain" if SOURCES[source].form == "line" else "application/json; charset=utf-8"


def signed(source: str, body: bytes = BODY, at: int = NOW, id_: str = "msg_1") -> tuple[str, Headers]:
    """URL and headers of a request with a valid signature."""
    path, key, seconds = f"/ingest/{source}", SECRET.encode(), str(at // SECOND)
    headers: Headers = {"content-type": media(source)}
    match source:
        case "delighted":
            headers["X-Delighted-Webhook-Signature"] = "sha256=" + hexed(key, body)
        case "help-scout":
            headers["X-HelpScout-Signature"] = b64(key, body, "sha1")
        case "chatwoot":
            headers["X-Chatwoot-Timestamp"] = seconds
            headers["X-Chatwoot-Signature"] = "sha256=" + hexed(key, f"{seconds}.".encode() + body)
        case "zendesk":
            headers["X-Zendesk-Webhook-Signature-Timestamp"] = iso(at)
            headers["X-Zendesk-Webhook-Signature"] = b64(key, iso(at).encode() + body)
        case "formbricks":
            headers |= {"webhook-id": id_, "webhook-timestamp": seconds}
            headers["webhook-signature"] = "v1," + b64(KEY, f"{id_}.{seconds}.".encode() + body)
        case "twilio":
            path += f"?bodySHA256={hashlib.sha256(body).hexdigest()}"
            headers["X-Twilio-Signature"] = b64(key, f"{URL}{path}".encode(), "sha1")
        case _:
            headers["Authorization"] = f"Bearer {SECRET}"
    return path, headers


async def post(app: Starlette, source: str, body: bytes = BODY, **changed: Any) -> httpx.Response:
    path, headers = signed(source, body, **changed)
    async with calling(app) as client:
        return await client.post(path, content=body, headers=headers)


def problem(answer: httpx.Response, status: int) -> dict[str, Any]:
    """The error of an answer, which never shows what was sent, nor the secret."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    for private in ("personal words", SECRET, SECRETS["formbricks"]):
        assert private not in answer.text
        assert private not in str(answer.headers)
    told: dict[str, Any] = answer.json()
    return told


# What vendors send comes in.


@pytest.mark.parametrize("source", SOURCES)
async def test_what_a_vendor_signs_goes_to_kafka_as_it_is(source: str) -> None:
    kafka = RecordingKafka()
    answer = await post(app_of(kafka.publish), source)
    assert (answer.status_code, answer.content) == (202, b"")
    (record,) = kafka.records
    assert record == OutgoingRecord(
        topic=f"ingest-{source}",
        key=hashlib.sha256(BODY).hexdigest().encode(),
        value=BODY,
        headers=(("content-type", media(source).encode()),),
        timestamp_ms=NOW,
    )


@pytest.mark.parametrize("source", SOURCES)
async def test_a_wrong_signature_is_refused_and_nothing_says_what_is_wrong(source: str) -> None:
    kafka = RecordingKafka()
    app = app_of(kafka.publish)
    path, headers = signed(source)
    details = set()
    names = [name for name in headers if name != "content-type"]
    async with calling(app) as client:
        for name in names:
            for value in (headers[name] + "0", headers[name][:-1], "", "é"):
                raw = [(one.encode(), headers[one].encode()) for one in headers if one != name]
                wrong = [*raw, (name.encode(), value.encode("latin-1"))]
                details.add(problem(await client.post(path, content=BODY, headers=wrong), 401)["detail"])
            missing = {one: headers[one] for one in headers if one != name}
            details.add(problem(await client.post(path, content=BODY, headers=missing), 401)["detail"])
    assert details == {"signature missing or invalid"}
    assert kafka.records == []


@pytest.mark.parametrize("source", SIGNED)
async def test_a_body_that_was_changed_is_refused(source: str) -> None:
    kafka = RecordingKafka()
    path, headers = signed(source)
    async with calling(app_of(kafka.publish)) as client:
        problem(await client.post(path, content=BODY + b" ", headers=headers), 401)
        problem(await client.post(path, content=b"", headers=headers), 401)
    assert kafka.records == []


@pytest.mark.parametrize("source", SIGNED)
async def test_who_signs_need_not_and_must_not_bear_the_secret(source: str) -> None:
    headers = {"content-type": media(source), "authorization": f"Bearer {SECRET}", "x-api-key": SECRET}
    async with calling(app_of(RecordingKafka().publish)) as client:
        problem(await client.post(f"/ingest/{source}", content=BODY, headers=headers), 401)


@pytest.mark.parametrize("source", STAMPED)
@pytest.mark.parametrize(("late_ms", "status"), [(5 * MINUTE, 202), (5 * MINUTE + 1000, 401)])
@pytest.mark.parametrize("sign", [1, -1])
async def test_a_signed_time_holds_for_five_minutes_either_way(
    source: str, late_ms: int, status: int, sign: int
) -> None:
    kafka = RecordingKafka()
    whole = NOW // SECOND * SECOND
    answer = await post(app_of(kafka.publish, lambda: whole), source, at=whole + sign * late_ms)
    assert (answer.status_code, len(kafka.records)) == (status, int(status == 202))


@pytest.mark.parametrize("at", ["yesterday", "2026-11-21T10:00:00", "9" * 30, "1e9", "٣"])
def test_a_time_that_is_none_does_not_fit_though_it_is_signed(at: str) -> None:
    time_ = at.encode()
    headers = {
        "x-zendesk-webhook-signature-timestamp": time_.decode("latin-1"),
        "x-zendesk-webhook-signature": b64(SECRET.encode(), time_ + BODY),
    }
    assert SIGNATURE_SCHEMES["zendesk"](SignedRequest((), headers, BODY), SECRET) is None


async def test_the_secret_may_come_as_an_api_key() -> None:
    kafka = RecordingKafka()
    headers = {"content-type": "application/json", "x-api-key": SECRET}
    async with calling(app_of(kafka.publish)) as client:
        answer = await client.post("/ingest/wootric", content=BODY, headers=headers)
    assert (answer.status_code, len(kafka.records)) == (202, 1)


async def test_a_header_said_twice_does_not_count() -> None:
    path, headers = signed("delighted")
    another = ("x-delighted-webhook-signature", "sha256=00")
    async with calling(app_of(RecordingKafka().publish)) as client:
        for twice in ([*headers.items(), another], [another, *headers.items()]):
            problem(await client.post(path, content=BODY, headers=twice), 401)


async def test_after_a_change_of_the_secret_one_of_several_signatures_fits() -> None:
    path, headers = signed("formbricks")
    headers["webhook-signature"] = f"v1,AAAA {headers['webhook-signature']} v2,BBBB"
    async with calling(app_of(RecordingKafka().publish)) as client:
        assert (await client.post(path, content=BODY, headers=headers)).status_code == 202


# The vendors' own examples.


def test_the_example_of_standard_webhooks() -> None:
    body = b'{"event_type":"ping","data":{"success":true}}'
    headers = {
        "webhook-id": "msg_loFOjxBNrRLzqYUf",
        "webhook-timestamp": "1731705121",
        "webhook-signature": "v1,rAvfW3dJ/X/qxhsaXPOyyCGmRKsaKWcsNccKXlIktD0=",
    }
    found = SIGNATURE_SCHEMES["formbricks"](
        SignedRequest((), headers, body), "whsec_plJ3nmyCDGBKInavdOK15jsl"
    )
    assert found == SignatureProof(1_731_705_121_000, "msg_loFOjxBNrRLzqYUf")


def test_the_example_of_twilios_library() -> None:
    url = "https://mycompany.com/myapp.php?foo=1&bar=2&bodySHA256="
    digest = "0a1ff7634d9ab3b95db5c9a2dfe9416e41502b283a80c7cf19632632f96e6620"
    headers = {"x-twilio-signature": "a9nBmqA0ju/hNViExpshrM61xv4="}
    body = b'{"property": "value", "boolean": true}'
    assert (
        SIGNATURE_SCHEMES["twilio"](SignedRequest((url + digest,), headers, body), "12345")
        == SignatureProof()
    )
    assert SIGNATURE_SCHEMES["twilio"](SignedRequest((url + digest,), headers, body + b" "), "12345") is None
    assert SIGNATURE_SCHEMES["twilio"](SignedRequest((url + digest[:-1],), headers, body), "12345") is None


def test_the_example_of_twilio_for_a_form() -> None:
    url = "https://mycompany.com/myapp.php?foo=1&bar=2"
    fields = {
        "Digits": "1234", "To": "+18005551212", "From": "+14158675309",
        "Caller": "+14158675309", "CallSid": "CA1234567890ABCDE",
    }  # fmt: skip
    headers = {"x-twilio-signature": "RSOYDt4T1cUTdK1PDd93/VVr8B8=", "content-type": FORM}
    body = urlencode(fields).encode()
    assert SIGNATURE_SCHEMES["twilio"](SignedRequest((url,), headers, body), "12345") == SignatureProof()
    assert (
        SIGNATURE_SCHEMES["twilio"](SignedRequest((url,), headers, body + b"&Digits=5678"), "12345") is None
    )
    assert (
        SIGNATURE_SCHEMES["twilio"](
            SignedRequest((url,), headers | {"content-type": "application/json"}, body), "12345"
        )
        is None
    )
    again = headers | {"x-twilio-signature": "IK+Dwps556ElfBT0I3Rgjkr1wJU="}
    several = b"Sid=CA123&SidAccount=AC123&Digits=5678&Digits=1234"
    assert SIGNATURE_SCHEMES["twilio"](SignedRequest((url,), again, several), "12345") == SignatureProof()


def test_zendesk_signs_the_time_before_the_body() -> None:
    # Its page once had an example the other way round; its own code signs the time first.
    secret, at, body = (
        "dGhpc19zZWNyZXRfaXNfZm9yX3Rlc3Rpbmdfb25seQ==",
        "2021-07-25T10:00:00Z",
        b'{"say": "hello"}',
    )
    name = "x-zendesk-webhook-signature"
    for message, fits in ((at.encode() + body, True), (body + at.encode(), False)):
        headers = {name: b64(secret.encode(), message), f"{name}-timestamp": at}
        found = SIGNATURE_SCHEMES["zendesk"](SignedRequest((), headers, body), secret)
        assert found == (SignatureProof(1_627_207_200_000) if fits else None)


@pytest.mark.parametrize(
    "called", [URL, f"{URL}:443", "http://hooks.example.org", "http://hooks.example.org:8080", f"{URL}:8443"]
)
async def test_twilio_may_have_called_us_by_another_name_than_the_one_that_came_through(called: str) -> None:
    path, headers = signed("twilio")  # the URL without a port, over TLS
    async with calling(app_of(RecordingKafka().publish), called) as client:
        assert (await client.post(path, content=BODY, headers=headers)).status_code == 202
        problem(await client.post(f"{path}&more=1", content=BODY, headers=headers), 401)


# What was posted becomes payloads.


async def test_a_form_becomes_the_object_it_stands_for() -> None:
    kafka = RecordingKafka()
    body = urlencode(
        {"EventType": "task.created", "TaskAttributes": '{"from": "+34 915"}', "Sid": ""}
    ).encode()
    fields = "EventTypetask.createdSidTaskAttributes" + '{"from": "+34 915"}'
    signature = b64(SECRET.encode(), f"{URL}/ingest/twilio{fields}".encode(), "sha1")
    headers = {"x-twilio-signature": signature, "content-type": FORM}
    async with calling(app_of(kafka.publish)) as client:
        assert (await client.post("/ingest/twilio", content=body, headers=headers)).status_code == 202
        for_json = await client.post("/ingest/delighted", content=body, headers=headers)
    problem(for_json, 415)
    (record,) = kafka.records
    assert json.loads(record.value) == {
        "EventType": "task.created", "TaskAttributes": '{"from": "+34 915"}', "Sid": "",
    }  # fmt: skip
    assert record.headers == (("content-type", b"application/json"),)


@pytest.mark.parametrize(
    ("body", "payloads"),
    [
        (b' [ {"a": 1.50} ,{"b": "\\u00e9"}\n]', [b'{"a": 1.50}', b'{"b": "\\u00e9"}']),
        (b'[{"a": 1}]', [b'{"a": 1}']),
        (b"[]", [b"[]"]),
        (b"[" * 60_000, [b"[" * 60_000]),
        (b'[{"a": 1}', [b'[{"a": 1}']),
        (b' {"a": [1, 2]}', [b' {"a": [1, 2]}']),
        (b"\xff", [b"\xff"]),
        (b"", [b""]),
    ],
)
async def test_of_an_array_each_element_is_a_payload_and_anything_else_stays_as_it_is(
    body: bytes, payloads: list[bytes]
) -> None:
    kafka = RecordingKafka()
    app = app_of(kafka.publish)
    assert (await post(app, "twilio", body)).status_code == 202
    assert [record.value for record in kafka.records] == payloads
    assert (await post(app, "asterisk-queue-log", body)).status_code == 202
    assert kafka.records[-1].value == body


# What comes again.


@pytest.mark.parametrize("source", SOURCES)
async def test_what_came_before_is_taken_again_and_published_once(source: str) -> None:
    kafka, clock = RecordingKafka(), SettableClock()
    app = app_of(kafka.publish, clock)
    assert (await post(app, source)).status_code == 202
    clock.now += 3 * MINUTE
    assert (await post(app, source)).status_code == 202
    assert len(kafka.records) == 1
    assert (await post(app, source, BODY + b"\n", id_="msg_2")).status_code == 202
    assert len(kafka.records) == 2


async def test_the_vendors_own_id_says_what_is_the_same() -> None:
    kafka = RecordingKafka()
    app = app_of(kafka.publish)
    for id_ in ("msg_1", "msg_1", "msg_2"):
        assert (await post(app, "formbricks", id_=id_)).status_code == 202
    assert len(kafka.records) == 2


@pytest.mark.parametrize(("later_ms", "published"), [(10 * MINUTE - 1, 1), (10 * MINUTE, 2)])
async def test_after_a_while_the_same_is_published_again(later_ms: int, published: int) -> None:
    kafka, clock = RecordingKafka(), SettableClock()
    app = app_of(kafka.publish, clock)
    for _ in range(2):
        assert (await post(app, "delighted")).status_code == 202
        clock.now += later_ms
    assert len(kafka.records) == published


async def test_the_same_body_of_two_sources_is_two() -> None:
    kafka = RecordingKafka()
    app = app_of(kafka.publish)
    for source in ("wootric", "asterisk-ami"):
        assert (await post(app, source)).status_code == 202
    assert [record.topic for record in kafka.records] == ["ingest-wootric", "ingest-asterisk-ami"]


@pytest.mark.parametrize(("away", "status"), [(False, 202), (True, 503)])
async def test_who_sends_it_again_meanwhile_is_told_the_same(away: bool, status: int) -> None:
    kafka = RecordingKafka()
    kafka.held, kafka.away = asyncio.Event(), away
    app = app_of(kafka.publish)
    both = [asyncio.create_task(post(app, "delighted")) for _ in range(2)]
    await asyncio.wait(both, timeout=0.05)
    assert not any(one.done() for one in both)
    kafka.held.set()
    assert [answer.status_code for answer in await asyncio.gather(*both)] == [status, status]
    assert len(kafka.records) == int(not away)


# Kafka away.


async def test_what_kafka_does_not_take_is_to_be_sent_again_and_then_counts() -> None:
    kafka = RecordingKafka()
    kafka.away = True
    app = app_of(kafka.publish)
    answer = await post(app, "delighted")
    assert problem(answer, 503)["detail"] == "Kafka is unavailable: try again in 5 s"
    assert answer.headers["retry-after"] == "5"
    kafka.away = False
    assert (await post(app, "delighted")).status_code == 202
    assert len(kafka.records) == 1


async def test_a_kafka_that_does_not_answer_is_not_waited_for() -> None:
    kafka = RecordingKafka()
    kafka.held = asyncio.Event()
    async with asyncio.timeout(5):
        problem(await post(app_of(kafka.publish, patience=WebhookTimeouts(publish_s=0.01)), "delighted"), 503)


# What others may try.


@pytest.mark.parametrize(
    ("source", "type_", "status"),
    [
        ("delighted", "application/json", 202),
        ("delighted", "Application/JSON;charset=UTF-8", 202),
        ("delighted", "application/cloudevents+json", 202),
        ("delighted", "text/plain", 415),
        ("delighted", "application/x-www-form-urlencoded", 415),
        ("delighted", "multipart/form-data; boundary=x", 415),
        ("delighted", "text/json", 415),
        ("delighted", "", 415),
        ("asterisk-queue-log", "text/plain; charset=utf-8", 202),
        ("asterisk-queue-log", "application/json", 415),
    ],
)
async def test_only_what_can_be_read_is_taken(source: str, type_: str, status: int) -> None:
    path, headers = signed(source)
    async with calling(app_of(RecordingKafka().publish)) as client:
        answer = await client.post(path, content=BODY, headers=headers | {"content-type": type_})
        assert answer.status_code == status
        if status == 415:
            problem(answer, 415)
        packed = headers | {"content-encoding": "gzip"}
        problem(await client.post(path, content=BODY, headers=packed), 415)


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
async def test_only_posts_are_taken(method: str) -> None:
    async with calling(app_of(RecordingKafka().publish)) as client:
        answer = await client.request(method, "/ingest/delighted", headers=signed("delighted")[1])
    problem(answer, 405)
    assert "POST" in answer.headers["allow"]


@pytest.mark.parametrize("source", ["nothing", "wootric", "Delighted", "delighted%2f..", "delighted/x"])
async def test_only_sources_with_a_secret_are_there(source: str) -> None:
    ours = Settings(sources={"delighted": {"secret": SECRET}, "wootric": {}})
    async with calling(app_of(RecordingKafka().publish, ours=ours), "http://localhost") as client:
        answer = await client.post(f"/ingest/{source}", content=BODY, headers=signed("delighted")[1])
    problem(answer, 404)


async def test_without_any_secret_there_is_no_such_page() -> None:
    app = app_of(RecordingKafka().publish, ours=Settings(sources={"wootric": {}}))
    assert not [route for route in app.routes if "ingest" in getattr(route, "path", "")]


@pytest.mark.parametrize(("size", "status"), [(65_536, 202), (65_537, 413)])
@pytest.mark.parametrize("declared", [True, False])
async def test_a_body_has_a_limit_whether_its_length_is_declared_or_not(
    size: int, status: int, declared: bool
) -> None:
    body = b"x" * size

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, size, 5_000):
            yield body[start : start + 5_000]

    path, headers = signed("delighted", body)
    async with calling(app_of(RecordingKafka().publish)) as client:
        answer = await client.post(path, content=body if declared else pieces(), headers=headers)
    assert answer.status_code == status
    assert answer.headers.get("connection") == (None if status == 202 else "close")


async def test_a_source_has_a_rate() -> None:
    kafka, clock = RecordingKafka(), SettableClock()
    ours = Settings(sources={"delighted": {"secret": SECRET, "rate": 2}, "wootric": {"secret": SECRET}})
    app = app_of(kafka.publish, clock, ours=ours)
    for body in (b"1", b"2", b"2", b"1"):  # what came before is not counted again
        assert (await post(app, "delighted", body)).status_code == 202
    clock.now += 20 * SECOND
    answer = await post(app, "delighted", b"3")
    assert problem(answer, 429)["detail"] == "rate limit of this source exceeded: try again in 40 s"
    assert answer.headers["retry-after"] == "40"
    assert (await post(app, "wootric", b"3")).status_code == 202
    clock.now += 40 * SECOND - 1
    assert (await post(app, "delighted", b"3")).status_code == 429
    clock.now += 1
    assert (await post(app, "delighted", b"3")).status_code == 202
    assert len(kafka.records) == 4


async def test_who_keeps_on_without_a_signature_is_not_listened_to_and_takes_nobody_elses_rate() -> None:
    clock = SettableClock()
    app = app_of(RecordingKafka().publish, clock)
    path, headers = signed("delighted")
    async with calling(app) as client:
        for _ in range(MAX_FAILURES):
            problem(await client.post(path, content=BODY + b"!", headers=headers), 401)
        answer = await client.post(path, content=BODY + b"!", headers=headers)
        problem(answer, 429)
        assert answer.headers["retry-after"] == "60"
        assert answer.headers["connection"] == "close"
        assert (await client.post(path, content=BODY, headers=headers)).status_code == 429
        assert (await calling_from("192.0.2.1", app, path, headers)).status_code == 202
        clock.now += MINUTE
        assert (await client.post(path, content=BODY, headers=headers)).status_code == 202


async def test_where_vendors_come_from_others_cannot_shut_them_out() -> None:
    app = app_of(RecordingKafka().publish)
    path, headers = signed("delighted")
    async with calling(app) as client:
        assert (await client.post(path, content=BODY, headers=headers)).status_code == 202
        for _ in range(2 * MAX_FAILURES):
            problem(await client.post(path, content=BODY + b"!", headers=headers), 401)
        assert (await client.post(path, content=BODY, headers=headers)).status_code == 202


async def calling_from(address: str, app: Starlette, path: str, headers: Headers) -> httpx.Response:
    elsewhere = httpx.ASGITransport(app, client=(address, 1))
    async with httpx.AsyncClient(transport=elsewhere, base_url=URL) as client:
        return await client.post(path, content=BODY, headers=headers)


# The guard lets vendors through, and nobody else.

PEOPLE = {"adam": UserSettings(role="admin", tokens=[token_hash("of adam")])}


@pytest.mark.parametrize("people", [{}, PEOPLE])
@pytest.mark.parametrize("source", ["delighted", "wootric"])
async def test_a_vendor_is_nobody_of_ours_and_calls_us_by_any_name(people: Any, source: str) -> None:
    kafka = RecordingKafka()
    answer = await post(app_of(kafka.publish, users=people), source)
    assert (answer.status_code, len(kafka.records)) == (202, 1)


async def test_a_vendors_secret_opens_nothing_else_and_a_persons_token_no_webhook() -> None:
    app = app_of(RecordingKafka().publish, users=PEOPLE)
    as_vendor = {"authorization": f"Bearer {SECRET}", "content-type": "application/json"}
    as_person = as_vendor | {"authorization": "Bearer of adam"}
    async with calling(app) as client:
        for path in ("/", "/api/v1/readings", "/metrics", "/supervisor"):
            assert (await client.get(path, headers=as_vendor)).status_code == 401
        problem(await client.post("/ingest/wootric", content=BODY, headers=as_person), 401)
    async with calling(app_of(RecordingKafka().publish)) as client:
        assert (await client.get("/api/v1/readings")).status_code == 421  # by that name not even an open one
        assert (await client.post("/ingest/", content=BODY)).status_code == 421


# The secret.


@pytest.mark.parametrize(
    ("source", "secret", "expected"),
    [
        ("delighted", "123456789012345", "sources.delighted.secret: expected at least 16 characters"),
        ("delighted", "", "sources.delighted.secret: expected at least 16 characters"),
        (
            "formbricks",
            "whsec_this is no base64!",
            "sources.formbricks.secret: expected one that starts with whsec_",
        ),
    ],
)
def test_a_secret_that_cannot_be_meant_stops_the_start_and_is_not_shown(
    source: str, secret: str, expected: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        check_secrets(Settings(sources={source: {"secret": secret}}))
    assert str(caught.value) == expected
    check_secrets(settings())
    check_secrets(Settings(sources={"delighted": {"secret": "1234567890123456"}, "wootric": {}}))


# Over a connection.


@asynccontextmanager
async def serving(app: Starlette) -> AsyncIterator[int]:
    one = InLoopServer(SignalHandlingServer(server_config(app, Settings(port=0)), app.state.streams.end))
    await one.started()
    try:
        yield one.port
    finally:
        await one.end()


def head(*lines: str) -> bytes:
    path, headers = signed("delighted")
    named = [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([f"POST {path} HTTP/1.1", "host: hooks.example.org", *named, *lines, "", ""]).encode()


async def test_ten_megabytes_are_refused_unread() -> None:
    size = 10_000_000
    async with serving(app_of(RecordingKafka().publish)) as port, asyncio.timeout(10):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(head(f"content-length: {size}"))
        answer = await reader.read()  # to the end: the server closes without a byte of the body
        assert answer.startswith(b"HTTP/1.1 413 ")
        writer.close()

        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(head("transfer-encoding: chunked"))
        writer.write(b"10001\r\n" + b"x" * 65_537 + b"\r\n")  # and it does not end
        answer = await reader.read()
        assert answer.startswith(b"HTTP/1.1 413 ")
        writer.close()


async def test_a_slow_body_is_refused_and_holds_nobody_up() -> None:
    kafka = RecordingKafka()
    async with (
        serving(app_of(kafka.publish, patience=WebhookTimeouts(body_s=1.0))) as port,
        asyncio.timeout(20),
    ):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(head("content-length: 100") + b"{")
        path, headers = signed("delighted")
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
            assert (await client.post(path, content=BODY, headers=headers)).status_code == 202
        assert len(kafka.records) == 1
        answer = await reader.read()
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert b"the body did not arrive within 1 s" in answer
        writer.close()


async def test_who_goes_away_in_the_middle_leaves_nothing_behind() -> None:
    kafka = RecordingKafka()
    async with serving(app_of(kafka.publish)) as port, asyncio.timeout(10):
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(head("content-length: 100") + b"{")
        await writer.drain()
        writer.close()
        await writer.wait_closed()
        path, headers = signed("delighted")
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
            assert (await client.post(path, content=BODY, headers=headers)).status_code == 202
    assert len(kafka.records) == 1


# With a real Kafka.


async def published(broker: Broker, topic: str) -> list[Any]:
    consumer = AIOKafkaConsumer(topic, bootstrap_servers=broker.address, auto_offset_reset="earliest")
    await consumer.start()
    try:
        places = await consumer.end_offsets(consumer.assignment())
        found: list[Any] = []
        for place, end in places.items():
            while await consumer.position(place) < end:
                found += (await consumer.getmany(place, timeout_ms=500)).get(place, [])
        return found
    finally:
        await consumer.stop()


async def test_streamer_serve_passes_a_signed_webhook_on_to_kafka(
    parts: Parts, broker: Broker, store_url: str, center: str
) -> None:
    body = json.dumps({"event_id": center, "event_data": {"comment": "personal words"}}).encode()
    toml = f'[sources.delighted]\nsecret = "{SECRET}"'
    serve = ServeProcess({"kafka": broker.address, "redis": store_url, "center": center}, toml)
    await serve.start()
    try:
        path, headers = signed("delighted", body)
        async with httpx.AsyncClient(base_url=serve.url) as client:
            assert (await client.post(path, content=body, headers=headers)).status_code == 202
            assert (await client.post(path, content=body, headers=headers)).status_code == 202
            problem(await client.post(path, content=body + b" ", headers=headers), 401)
            problem(await client.post("/ingest/wootric", content=body, headers=headers), 404)
        ours = [
            record
            for record in await published(broker, "ingest-delighted")
            if center.encode() in record.value
        ]
        (record,) = ours
        assert record.value == body
        assert dict(record.headers) == {"content-type": b"application/json; charset=utf-8"}
    finally:
        await serve.stop()
        told = serve.log()
        await serve.close()
    for private in (SECRET, "personal words", headers["X-Delighted-Webhook-Signature"]):
        assert private not in told


async def test_streamer_serve_shows_numbers_while_kafka_is_away(
    parts: Parts, store_url: str, center: str
) -> None:
    toml = f'[sources.delighted]\nsecret = "{SECRET}"'
    serve = ServeProcess({"kafka": f"127.0.0.1:{free_port()}", "redis": store_url, "center": center}, toml)
    await serve.start()
    try:
        path, headers = signed("delighted")
        async with httpx.AsyncClient(base_url=serve.url, timeout=30) as client:
            problem(await client.post(path, content=BODY, headers=headers), 503)
            assert (await client.get("/api/v1/catalog")).is_success
        told = serve.log()
    finally:
        await serve.close()
    assert "publishing webhooks to Kafka failed" in told
    for private in (SECRET, "personal words"):
        assert private not in told


async def test_a_door_that_was_shut_opens_once_kafka_is_there(fresh_broker: Broker) -> None:
    await fresh_broker.stop()
    door = LazyProducer(fresh_broker.settings, ["ingest-delighted"])
    record = OutgoingRecord("ingest-delighted", b"k", BODY, (("content-type", b"application/json"),), NOW)
    try:
        with pytest.raises(ConnectionError):
            await door.publish(record)
        await fresh_broker.start()
        await door.publish(record)
        assert [one.value for one in await published(fresh_broker, "ingest-delighted")] == [BODY]
    finally:
        await door.close()
