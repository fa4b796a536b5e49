"""Posts of a webhook are as documented, signed as Standard Webhooks specifies, and go nowhere else."""

import base64
import json
import logging
import ssl
from collections.abc import AsyncIterator
from typing import Any

import pytest
import trustme
from msgspec.structs import replace

from streamer.alerts.alert_message import AlertMessage, Contributor
from streamer.alerts.verdict import VerdictFigures
from streamer.delivery.configured_receivers import build_receivers
from streamer.delivery.endpoint_checks import check_receivers
from streamer.delivery.http_client import HttpClient, HttpResponse, NoResponse
from streamer.delivery.receiver import DeliveryFailed, DeliverySucceeded
from streamer.settings import Settings, SettingsError
from streamer.web.signatures import SIGNATURE_SCHEMES, SignatureProof, SignedRequest
from tests.delivery.alert_samples import NOW, alert, message
from tests.delivery.http_listener import HttpListener, status
from tests.parts.server import free_port

KEY = bytes(range(32))
SECRET = f"whsec_{base64.b64encode(KEY).decode()}"
WHOLE = replace(
    message(alert()),
    text="NPS of Billing dropped from 31 to -12.",
    figures=VerdictFigures(
        value=-12.0, lower=-30.0, upper=6.0, support=60, least=20, usual=31.0, since=NOW - 600_000
    ),
    interval=(-28.5, 4.5),
    contributors=(
        Contributor(dimension="team", key="t7", name="Team 7", moved=-20.5, value=-40.0, support=22),
    ),
    links={"explain": "https://wall.example.org/supervisor?alert=nps-drop"},
)
LITERAL = {
    "version": 1,
    "center": "default",
    "alerts": [
        {
            "id": f"nps-drop/billing/{NOW}/firing",
            "episode": f"nps-drop/billing/{NOW}",
            "what": "firing",
            "why": "due",
            "rule": "nps-drop",
            "kind": "drop",
            "severity": "warning",
            "metric": "nps_score",
            "unit": "points",
            "better": "higher",
            "window": "today",
            "by": "queue",
            "key": "billing",
            "group": "Billing",
            "at": NOW,
            "since": NOW,
            "title": "NPS of Billing dropped",
            "text": "NPS of Billing dropped from 31 to -12.",
            "figures": {
                "value": -12.0,
                "lower": -30.0,
                "upper": 6.0,
                "support": 60,
                "least": 20,
                "target": None,
                "z": None,
                "usual": 31.0,
                "evidence": None,
                "line": None,
                "since": NOW - 600_000,
                "a_month": None,
                "learned_of": None,
                "waiting": None,
                "signed_in": None,
            },
            "interval": [-28.5, 4.5],
            "contributors": [
                {
                    "dimension": "team", "key": "t7", "name": "Team 7", "moved": -20.5, "value": -40.0,
                    "support": 22, "apart": True,
                }
            ],
            "links": {"explain": "https://wall.example.org/supervisor?alert=nps-drop"},
        }
    ],
}  # fmt: skip


@pytest.fixture
async def listener() -> AsyncIterator[HttpListener]:
    async with HttpListener() as found:
        yield found


@pytest.fixture
async def caller() -> AsyncIterator[HttpClient]:
    found = HttpClient()
    yield found
    await found.close()


async def sent(
    caller: HttpClient, url: str, *messages: AlertMessage, **more: Any
) -> DeliverySucceeded | DeliveryFailed:
    settings = Settings(receivers={"desk": {"url": url, **more}})  # type: ignore[dict-item]
    return await build_receivers(settings, caller, lambda: NOW)["desk"].send(messages or (WHOLE,))


async def test_what_is_posted_is_this(caller: HttpClient, listener: HttpListener) -> None:
    assert await sent(caller, listener.url) == DeliverySucceeded(200)
    (post,) = listener.posts
    assert json.loads(post.body) == LITERAL
    assert post.headers["Content-Type"] == "application/json"
    assert "webhook-signature" not in post.headers


async def test_who_verifies_standard_webhooks_finds_it_signed(
    caller: HttpClient, listener: HttpListener
) -> None:
    await sent(caller, listener.url, secret=SECRET)
    (post,) = listener.posts
    headers = {name.lower(): value for name, value in post.headers.items()}
    verify = SIGNATURE_SCHEMES["formbricks"]  # which signs so
    name = headers["webhook-id"]
    assert verify(SignedRequest((), headers, post.body), SECRET) == SignatureProof(NOW // 1000 * 1000, name)
    assert name == headers["idempotency-key"]
    assert verify(SignedRequest((), headers, post.body + b" "), SECRET) is None
    other = f"whsec_{base64.b64encode(KEY[::-1]).decode()}"
    assert verify(SignedRequest((), headers, post.body), other) is None


async def test_other_alerts_or_another_center_make_another_message(
    caller: HttpClient, listener: HttpListener
) -> None:
    over = message(alert(phase="resolved"))
    for messages in ((WHOLE,), (WHOLE,), (over,), (WHOLE, over)):
        await sent(caller, listener.url, *messages)
    keys = [post.headers["Idempotency-Key"] for post in listener.posts]
    assert keys[0] == keys[1]
    assert len({*keys}) == 3


@pytest.mark.parametrize(
    "secret", ["short", "whsec_", "whsec_%%%%", f"whsec_{base64.b64encode(bytes(23)).decode()}", SECRET[6:]]
)
def test_a_secret_that_is_no_key_stops_the_start_and_is_not_shown(secret: str) -> None:
    settings = Settings(receivers={"desk": {"url": "http://x/", "secret": secret}})  # type: ignore[dict-item]
    with pytest.raises(SettingsError, match=r"^receivers\.desk\.secret: expected whsec_") as raised:
        check_receivers(settings)
    assert "%" not in str(raised.value)


@pytest.mark.parametrize("secret", [None, SECRET, f"whsec_{base64.b64encode(bytes(24)).decode()}"])
def test_a_secret_that_is_a_key_does_not(secret: str | None) -> None:
    check_receivers(Settings(receivers={"desk": {"url": "http://x/", "secret": secret}}))  # type: ignore[dict-item]


# The HTTP client.


async def test_a_redirect_is_not_followed(caller: HttpClient, listener: HttpListener) -> None:
    async with HttpListener() as elsewhere:
        for code in (301, 302, 303, 307, 308):
            listener.answer = status(code, {"location": elsewhere.url})
            assert isinstance(await sent(caller, listener.url), DeliveryFailed)
        assert elsewhere.posts == []
    assert len(listener.posts) == 5


async def test_a_proxy_of_the_environment_hears_nothing(
    caller: HttpClient, listener: HttpListener, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with HttpListener() as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        assert await sent(caller, listener.url) == DeliverySucceeded(200)
        assert (len(listener.posts), proxy.posts) == (1, [])


async def test_cookies_are_not_kept(caller: HttpClient, listener: HttpListener) -> None:
    listener.answer = status(200, {"set-cookie": "a=b; path=/"})
    await sent(caller, listener.url)
    await sent(caller, listener.url)
    assert "Cookie" not in listener.posts[1].headers


async def test_a_certificate_that_nobody_vouches_for_is_not_trusted(caller: HttpClient) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)  # an authority that nobody knows
    async with HttpListener(tls=context) as listener:
        assert await sent(caller, listener.url) == DeliveryFailed("TLS certificate not trusted")
        assert listener.posts == []


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://127.0.0.1:{port}/secret", "connection failed (Connection refused)"),
        ("http://secret.invalid/secret", "DNS lookup failed"),
        ("http://secret:99999/secret", "invalid URL"),
        ("http:///secret", "invalid URL"),
        ("https://127.0.0.1:{listening}/secret", "TLS handshake failed"),
    ],
)
async def test_why_nobody_answers_is_said_in_words_that_hold_no_address(
    url: str, reason: str, caller: HttpClient, listener: HttpListener, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    written = url.format(port=free_port(), listening=listener.port)
    assert await caller.request("POST", written) == NoResponse(reason)
    assert "secret" not in caplog.text


async def test_of_an_answer_no_more_is_read_than_is_asked_for(
    caller: HttpClient, listener: HttpListener
) -> None:
    listener.answer = status(200, text="x" * 1_000_000)
    assert await caller.request("GET", listener.url, max_bytes=10) == HttpResponse(200, b"x" * 10)
    listener.answer = status(400, text="x" * 1_000_000)
    found = await caller.request("GET", listener.url, max_bytes=10)
    assert isinstance(found, HttpResponse)
    assert found.body == b"x" * 200
