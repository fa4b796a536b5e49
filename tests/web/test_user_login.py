"""Log-in and log-out, and the user that a request is taken for."""

import asyncio
import json
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

import pytest
from argon2 import PasswordHasher
from click.testing import CliRunner
from starlette.applications import Starlette
from starlette.types import Message

from streamer.cli import main
from streamer.events.counting_rules import DAY, HOUR, MINUTE, SECOND
from streamer.readings.reader import MetricsReader
from streamer.settings import (
    DisplaySettings,
    ProxySettings,
    Settings,
    SettingsError,
    UserSettings,
    load_settings,
)
from streamer.web import credentials
from streamer.web.access_checks import check_users, is_loopback
from streamer.web.credentials import new_token, password_hash, token_hash
from streamer.web.login_throttle import LoginAttempt, LoginThrottle
from streamer.web.server import application
from streamer.web.sessions import SessionStore
from tests.readings.small_center import NOW, SmallCenter
from tests.web.asgi_client import AsgiResponse, Headers, scope, send_request

HASH = password_hash("open sesame")
DISPLAY = new_token()
CHEAP_HASH = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash("open sesame")
ANN = UserSettings(role="admin", password=CHEAP_HASH, tokens=[token_hash("of ann")])
SETTINGS = Settings(
    users={"ann": ANN, "eve": UserSettings(role="viewer", tokens=[token_hash("of eve")])},
    displays={"lobby": DisplaySettings(token=token_hash(DISPLAY), view="tv")},
    views={"tv": {}},
    proxy=ProxySettings(header="X-User", addresses=["10.0.0.1", "fd00::/8"]),
)


class SettableClock:
    now = NOW

    def __call__(self) -> int:
        return self.now


def login_app(settings: Settings = SETTINGS, clock: SettableClock | None = None) -> Starlette:
    return application(MetricsReader(SmallCenter().store, settings), settings, clock or SettableClock())


async def log_in(
    app: Starlette, name: str = "ann", password: str = "open sesame", **how: Any
) -> AsgiResponse:
    return await send_request(app, "/login", "POST", form={"name": name, "password": password}, **how)


def session(answer: AsgiResponse) -> Headers:
    return {"streamer_session": answer.cookies["streamer_session"].partition(";")[0]}


async def me(app: Starlette, headers: Headers | None = None, **how: Any) -> str | int:
    """The name; the status where there is none."""
    answer = await send_request(app, "/api/v1/me", headers=headers, **how)
    return str(json.loads(answer.body)["name"]) if answer.status == 200 else answer.status


async def test_a_password_begins_a_session_and_logging_out_ends_it() -> None:
    app = login_app()
    assert await me(app) == 401
    welcome = await log_in(app)
    assert (welcome.status, welcome.headers["location"]) == (303, "/")
    assert await me(app, cookies=session(welcome)) == "ann"
    gone = await send_request(app, "/logout", "POST", cookies=session(welcome))
    assert (gone.status, gone.headers["location"]) == (303, "/login")
    assert await me(app, cookies=session(welcome)) == 401


@pytest.mark.parametrize(
    ("name", "password"),
    [
        ("ann", "open sesame!"),
        ("ann", ""),
        ("", ""),
        ("eve", ""),
        ("eve", "open sesame"),
        ("bob", "open sesame"),
    ],
)
async def test_a_wrong_name_or_password_gets_one_answer(name: str, password: str) -> None:
    answer = await log_in(login_app(), name, password)
    assert (answer.status, answer.cookies) == (401, {})
    assert b"Name or password is wrong." in answer.body


async def test_a_name_nobody_has_takes_as_long_as_one_that_somebody_has(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    compared: list[str] = []
    verify = credentials._same
    monkeypatch.setattr(credentials, "_same", lambda *pair: compared.append(pair[1]) or verify(*pair))
    await log_in(login_app(), "nobody")
    assert [one.rpartition("$")[0].rpartition("$")[0] for one in compared] == [
        "$argon2id$v=19$m=65536,t=3,p=4"
    ]
    assert HASH.startswith("$argon2id$v=19$m=65536,t=3,p=4$")


async def test_a_session_ends_after_twelve_hours() -> None:
    clock = SettableClock()
    app = login_app(SETTINGS.model_copy(update={"session_idle": timedelta(hours=12)}), clock)
    mine = session(await log_in(app))
    clock.now += 12 * HOUR - 1
    assert await me(app, cookies=mine) == "ann"
    clock.now += 1
    assert await me(app, cookies=mine) == 401


async def test_a_session_ends_after_an_hour_without_a_request_but_not_under_a_stream() -> None:
    clock = SettableClock()
    app = login_app(clock=clock)
    mine, idle = session(await log_in(app)), session(await log_in(app))
    for _ in range(3):
        clock.now += HOUR - 1
        assert await me(app, cookies=mine) == "ann"
    assert await me(app, cookies=idle) == 401
    sessions = SessionStore(clock, HOUR)
    token = sessions.begin("ann")
    opened = sessions.find(token)
    assert opened is not None
    with sessions.in_use(opened):
        clock.now += 5 * HOUR
        assert sessions.find(token) is opened
        clock.now += HOUR
    clock.now += HOUR - 1
    assert sessions.find(token) is opened
    clock.now += HOUR
    assert sessions.find(token) is None


async def test_over_https_a_cookie_with_a_bare_name_is_no_session() -> None:
    app = login_app()
    secure = (await log_in(app, scheme="https")).cookies["__Host-streamer_session"].partition(";")[0]
    assert await me(app, scheme="https", cookies={"__Host-streamer_session": secure}) == "ann"
    assert await me(app, scheme="https", cookies={"streamer_session": secure}) == 401
    gone = await send_request(
        app, "/logout", "POST", scheme="https", cookies={"__Host-streamer_session": secure}
    )
    assert {"__Host-streamer_session", "__Host-streamer_display"} == gone.cookies.keys()
    assert all(cookie.endswith("Secure") for cookie in gone.cookies.values())


@pytest.mark.parametrize(
    ("address", "headers", "scheme", "expected"),
    [
        ("192.0.2.1", {}, "http", None),
        ("192.0.2.1", {}, "https", "max-age=31536000"),
        ("10.0.0.1", {"x-forwarded-proto": "https"}, "http", "max-age=31536000"),
        ("192.0.2.1", {"x-forwarded-proto": "https"}, "http", None),
    ],
)
async def test_https_is_for_good_where_there_is_https(
    address: str, headers: Headers, scheme: str, expected: str | None
) -> None:
    for path in ("/login", "/nothing", "/api/v1/readings"):
        answer = await send_request(login_app(), path, headers=headers, address=address, scheme=scheme)
        assert answer.headers.get("strict-transport-security") == expected, path


@pytest.mark.parametrize(
    "path",
    [
        "/login/",
        "/supervisor/",
        "/supervisor",
        pytest.param("/?display=" + DISPLAY, id="a display"),
        "//evil.example/",
        "/api/v1/readings/",
    ],
)
async def test_no_redirect_is_built_from_a_host(path: str) -> None:
    said = {"host": "evil.example", "x-forwarded-host": "evil.example", "accept": "text/html"}
    for address in ("192.0.2.1", "10.0.0.1"):
        location = (await send_request(login_app(), path, headers=said, address=address)).headers.get(
            "location"
        )
        assert location is None or (location.startswith("/") and location[1:2] not in ("/", "\\"))
        assert "evil" not in (location or "").partition("next=")[0]


async def test_logging_in_again_ends_the_session_before() -> None:
    app = login_app()
    first = session(await log_in(app))
    second = session(await log_in(app, cookies=first))
    assert [await me(app, cookies=one) for one in (first, second)] == [401, "ann"]


async def test_cookies_are_for_no_script_no_other_site_and_https_alone_where_there_is_https() -> None:
    app = login_app()
    plain = (await log_in(app)).cookies["streamer_session"].partition("; ")[2]
    assert plain == "HttpOnly; Max-Age=43200; Path=/; SameSite=strict"
    secure = (await log_in(app, scheme="https")).cookies["__Host-streamer_session"]
    assert secure.partition("; ")[2] == "HttpOnly; Max-Age=43200; Path=/; SameSite=strict; Secure"
    said = {"x-forwarded-proto": "https"}
    assert (
        "Secure" in (await log_in(app, headers=said, address="10.0.0.1")).cookies["__Host-streamer_session"]
    )
    assert "Secure" not in (await log_in(app, headers=said, address="10.0.0.2")).cookies["streamer_session"]
    display = await send_request(app, f"/?display={DISPLAY}")
    kept = display.cookies["streamer_display"].partition("; ")[2]
    assert kept == "HttpOnly; Max-Age=31536000; Path=/; SameSite=strict"


def test_ids_are_known_by_their_hash_alone() -> None:
    sessions = SessionStore(lambda: NOW)
    token = sessions.begin("ann")
    assert len(token) == 43
    assert token not in repr(vars(sessions))
    assert token_hash(token) in vars(sessions)["_sessions"]


def test_beyond_the_most_the_oldest_session_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streamer.web.sessions.MAX_SESSIONS", 10)
    sessions = SessionStore(lambda: NOW)
    tokens = [sessions.begin("ann") for _ in range(10)]
    assert sessions.find(tokens[0])
    sessions.begin("ann")
    assert (sessions.find(tokens[0]), sessions.find(tokens[1]) is not None) == (None, True)


@pytest.mark.parametrize(
    ("wanted", "location"),
    [
        ("/supervisor?by=queue&key=a", "/supervisor?by=queue&key=a"),
        ("", "/"),
        ("https://evil.example", "/"),
        ("//evil.example", "/"),
        ("/\\evil.example", "/"),
        ("/\tevil", "/"),
        ("/\\/evil.example", "/"),
        ("\\\\evil.example", "/"),
        ("///evil.example", "/"),
        (" //evil.example", "/"),
        ("/\n/evil.example", "/"),
        ("http:evil.example", "/"),
        ("javascript:alert(1)", "/"),
    ],
)
async def test_after_logging_in_one_is_where_one_wanted_to_go_but_never_elsewhere(
    wanted: str, location: str
) -> None:
    form = {"name": "ann", "password": "open sesame", "next": wanted}
    answer = await send_request(login_app(), "/login", "POST", form=form)
    assert answer.headers["location"] == location


async def test_a_page_asks_to_log_in_and_a_program_is_told_to() -> None:
    app = login_app()
    page = await send_request(app, "/supervisor?by=team", headers={"accept": "text/html,*/*"})
    assert (page.status, page.headers["location"]) == (303, "/login?next=%2Fsupervisor%3Fby%3Dteam")
    program = await send_request(app, "/api/v1/readings")
    assert (program.status, program.headers["www-authenticate"]) == (401, "Bearer")
    assert program.headers["content-type"] == "application/problem+json"


async def test_what_is_typed_is_escaped() -> None:
    answer = await send_request(login_app(), "/login?next=/%22%3E%3Cscript%3E")
    assert b"<script>" not in answer.body
    assert b'value="/&quot;&gt;&lt;script&gt;"' in answer.body


async def test_a_form_is_short() -> None:
    answer = await send_request(login_app(), "/login", "POST", form={"name": "n" * 8_192})
    assert answer.status == 413


# How often it may be tried.


async def test_after_ten_failures_a_name_has_to_wait_where_they_came_from_and_nowhere_else() -> None:
    clock = SettableClock()
    app = login_app(clock=clock)
    for _ in range(10):
        assert (await log_in(app, password="wrong", address="192.0.2.9")).status == 401
    refused = await log_in(app, address="192.0.2.9")
    assert (refused.status, refused.headers["retry-after"]) == (429, "300")
    assert (await log_in(app, address="192.0.2.10")).status == 303
    clock.now += 5 * MINUTE - 1
    assert (await log_in(app, address="192.0.2.9")).status == 429
    clock.now += 1
    assert (await log_in(app, address="192.0.2.9")).status == 303


def device(answer: AsgiResponse) -> Headers:
    return {
        name: value.partition(";")[0]
        for name, value in answer.cookies.items()
        if name.startswith("streamer_device_")
    }


async def test_nobody_elsewhere_locks_a_user_out_of_a_device_they_have_used() -> None:
    app = login_app()
    known = device(await log_in(app, address="198.51.100.1"))
    assert len(known) == 1
    for number in range(60):
        await log_in(app, password="wrong", address=f"192.0.2.{number}")
    for _ in range(25):
        await log_in(app, password="wrong", address="198.51.100.1")  # also behind the same address
    assert (await log_in(app, address="203.0.113.5")).status == 429
    assert (await log_in(app, address="198.51.100.1")).status == 429
    assert (await log_in(app, address="198.51.100.1", cookies=known)).status == 303
    assert (await log_in(app, address="203.0.113.5", cookies=known)).status == 303


@pytest.mark.parametrize(
    ("sentence", "changes"),
    [
        ("the user's own", {}),
        ("forged", {"value": "0" * 32 + f".{NOW}." + "0" * 64}),
        ("cut", {"value": ""}),
        ("of another user", {"name": "bob"}),
        ("of before the password was changed", {"password": password_hash("open sesame")}),
        ("older than a year", {"later_ms": 366 * DAY}),
    ],
)
async def test_only_a_device_of_the_user_is_known(sentence: str, changes: dict[str, Any]) -> None:
    people = {"ann": ANN, "bob": UserSettings(role="admin", password=CHEAP_HASH)}
    clock = SettableClock()
    cookie = device(await log_in(login_app(Settings(users=people), clock), changes.get("name", "ann")))
    (value,) = cookie.values()
    (own_name,) = device(await log_in(login_app(Settings(users=people), clock)))
    if "password" in changes:
        people["ann"] = UserSettings(role="admin", password=changes["password"])
    clock.now += changes.get("later_ms", 0)
    app, cookies = login_app(Settings(users=people), clock), {own_name: changes.get("value", value)}
    for _ in range(10):
        await log_in(app, password="wrong")
    assert (await log_in(app, cookies=cookies)).status == (303 if not changes else 429), sentence


async def test_a_known_device_has_ten_failures_of_its_own() -> None:
    app = login_app()
    known = device(await log_in(app))
    for _ in range(10):
        assert (await log_in(app, password="wrong", cookies=known)).status == 401
    assert (await log_in(app, cookies=known)).status == 429
    assert (await log_in(app)).status == 303


async def test_a_form_that_does_not_arrive_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streamer.web.login.BODY_TIMEOUT_S", 0.01)
    answers: list[Message] = []

    async def receive() -> Message:
        await asyncio.Event().wait()
        raise AssertionError

    async def send(message: Message) -> None:
        answers.append(message)

    async with asyncio.timeout(5):
        await login_app()(scope("/login", "POST", {}, {}, "127.0.0.1", "http"), receive, send)
    assert answers[0]["status"] == 408


def attempt_waits(throttle: LoginThrottle, addresses: Iterable[str], name: str = "") -> list[int]:
    return [
        throttle.register_attempt(LoginAttempt(address, name or f"name {place}"))
        for place, address in enumerate(addresses)
    ]


@pytest.mark.parametrize(
    ("sentence", "addresses", "refused"),
    [
        ("twenty from an address", ["192.0.2.1"] * 20, 0),
        ("not one more", ["192.0.2.1"] * 21, 1),
        ("others are others", [f"192.0.2.{number}" for number in range(21)], 0),
        ("a /64 is one address", [f"2001:db8::{number:x}" for number in range(21)], 1),
        ("the next /64 is another", [f"2001:db8:0:{number:x}::1" for number in range(21)], 0),
    ],
)
def test_an_address_may_try_so_often(sentence: str, addresses: list[str], refused: int) -> None:
    assert sum(wait > 0 for wait in attempt_waits(LoginThrottle(lambda: NOW), addresses)) == refused, sentence


@pytest.mark.parametrize(
    ("sentence", "addresses", "refused"),
    [
        ("fifty of a name from anywhere", [f"192.0.2.{number}" for number in range(50)], 0),
        ("not one more", [f"192.0.2.{number}" for number in range(51)], 1),
        ("ten of a name from an address", ["192.0.2.1"] * 10, 0),
        ("not one more from there", ["192.0.2.1"] * 11, 1),
    ],
)
def test_a_name_may_be_tried_so_often(sentence: str, addresses: list[str], refused: int) -> None:
    waits = attempt_waits(LoginThrottle(lambda: NOW), addresses, "ann")
    assert sum(wait > 0 for wait in waits) == refused, sentence


def test_a_success_counts_for_nothing_and_takes_no_failure_back() -> None:
    throttle = LoginThrottle(lambda: NOW)
    own, other = LoginAttempt("198.51.100.1", "own account"), LoginAttempt("198.51.100.1", "ann")
    for _ in range(30):
        assert not throttle.register_attempt(own)
        throttle.record_success(own)
    assert attempt_waits(throttle, ["198.51.100.1"] * 10, "ann") == [0] * 10
    throttle.register_attempt(own)
    throttle.record_success(own)
    assert throttle.register_attempt(other) == 300


def test_the_wait_ends_when_the_first_try_is_forgotten() -> None:
    clock = SettableClock()
    throttle = LoginThrottle(clock)
    for _ in range(10):
        assert not throttle.register_attempt(LoginAttempt("192.0.2.1", "ann"))
        clock.now += 10 * SECOND
    assert throttle.register_attempt(LoginAttempt("192.0.2.1", "ann")) == 200


# Tokens, displays, proxies.


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("Bearer of ann", "ann"),
        ("bearer of eve", "eve"),
        ("Bearer of nobody", 401),
        ("Bearer ", 401),
        (f"Bearer {token_hash('of ann')}", 401),
        (f"Bearer {DISPLAY}", 401),
        ("Basic of ann", 401),
    ],
    ids=["ann", "eve", "nobody", "empty", "a hash", "a display's", "another scheme"],
)
async def test_a_program_shows_its_token(header: str, expected: str | int) -> None:
    assert await me(login_app(), {"authorization": header}) == expected


async def test_a_wrong_token_is_not_made_good_by_a_session() -> None:
    app = login_app()
    mine = session(await log_in(app))
    assert await me(app, {"authorization": "Bearer old"}, cookies=mine) == 401


async def test_a_television_shows_its_token_once() -> None:
    app = login_app()
    answer = await send_request(app, f"/?display={DISPLAY}&lang=es&view=default")
    assert (answer.status, answer.headers["location"]) == (303, "/?view=tv&lang=es")
    kept = {"streamer_display": answer.cookies["streamer_display"].partition(";")[0]}
    assert await me(app, cookies=kept) == "lobby"
    assert (await send_request(app, "/?view=tv&lang=es", cookies=kept)).status == 200
    astray = await send_request(app, "/?view=default", cookies=kept)
    assert (astray.status, astray.headers["location"]) == (303, "/?view=tv")
    unknown = await send_request(app, "/?display=of+nobody")
    assert (unknown.status, unknown.cookies) == (401, {})


async def test_a_display_that_is_taken_out_of_the_settings_is_nobody() -> None:
    without = SETTINGS.model_copy(update={"displays": {}})
    assert await me(login_app(without), cookies={"streamer_display": DISPLAY}) == 401


@pytest.mark.parametrize(
    ("sentence", "address", "name", "expected"),
    [
        ("named by the proxy", "10.0.0.1", "ann", "ann"),
        ("from a network", "fd00::7", "eve", "eve"),
        ("the same address in version 6", "::ffff:10.0.0.1", "ann", "ann"),
        ("from elsewhere it is just a header", "10.0.0.2", "ann", 401),
        ("from this machine too", "127.0.0.1", "ann", 401),
        ("sent by the proxy, is not configured", "10.0.0.1", "mallory", 403),
        ("empty is no name", "10.0.0.1", "", 401),
    ],
)
async def test_a_proxys_word_counts_from_its_addresses(
    sentence: str, address: str, name: str, expected: str | int
) -> None:
    assert await me(login_app(), {"x-user": name}, address=address) == expected, sentence


@pytest.mark.parametrize(
    ("names", "expected"), [(["ann"], 200), (["ann", "eve"], 401), (["eve", "ann"], 401)]
)
async def test_a_name_that_comes_twice_is_nobodys(names: list[str], expected: int) -> None:
    asked = scope("/api/v1/me", "GET", {}, {}, "10.0.0.1", "http")
    asked["headers"] += [(b"x-user", name.encode()) for name in names]
    assert (await send_request(login_app(), "", request_scope=asked)).status == expected


async def test_a_proxy_says_names_in_utf_8() -> None:
    settings = SETTINGS.model_copy(update={"users": {"José": ANN}})
    name = "José".encode().decode("latin-1")
    assert await me(login_app(settings), {"x-user": name}, address="10.0.0.1") == "José"


async def test_whom_a_proxy_names_may_all_have_a_role() -> None:
    proxy = ProxySettings(header="X-User", addresses=["10.0.0.1"], role="viewer")
    app = login_app(Settings(proxy=proxy))
    answer = await send_request(app, "/api/v1/me", headers={"x-user": "mallory"}, address="10.0.0.1")
    assert json.loads(answer.body) == {"name": "mallory", "role": "viewer", "teams": None, "view": None}
    assert await me(app, {"x-user": "mallory"}, address="10.0.0.2") == 401
    page = await send_request(app, "/supervisor", headers={"x-user": "mallory"}, address="10.0.0.1")
    assert page.status == 403


@pytest.mark.parametrize("name", ["ann\u202e", "a\u200bnn", "ann\x9b2J"])
async def test_a_proxys_name_with_signs_that_cannot_be_seen_is_nobodys(name: str) -> None:
    app = login_app(Settings(proxy=ProxySettings(header="X-User", addresses=["10.0.0.1"], role="viewer")))
    assert await me(app, {"x-user": name.encode().decode("latin-1")}, address="10.0.0.1") == 403


async def test_tries_through_a_proxy_are_those_of_the_address_it_hands_on() -> None:
    app = login_app()
    for number in range(21):
        said = {"x-forwarded-for": f"1.2.3.4, 192.0.2.{number}"}
        answer = await log_in(app, f"name {number}", "x" * 1_001, headers=said, address="10.0.0.1")
        assert answer.status == 401
    said = {"x-forwarded-for": "192.0.2.1"}
    statuses = [
        (await log_in(app, f"name {number}", "x" * 1_001, headers=said, address="10.0.0.2")).status
        for number in range(21)
    ]
    assert statuses == [401] * 20 + [429]


# Other sites.


@pytest.mark.parametrize(
    ("sentence", "headers", "status"),
    [
        ("our own page", {"sec-fetch-site": "same-origin"}, 303),
        ("typed by hand", {"sec-fetch-site": "none"}, 303),
        ("another site", {"sec-fetch-site": "cross-site"}, 403),
        ("another server of this site", {"sec-fetch-site": "same-site"}, 403),
        ("an older browser, our own page", {"origin": "http://streamer.test:8080"}, 303),
        ("an older browser, another port", {"origin": "http://streamer.test:9090"}, 403),
        ("an older browser, another site", {"origin": "https://evil.example"}, 403),
        ("a page without an origin", {"origin": "null"}, 403),
        ("no browser", {}, 303),
    ],
)
async def test_no_page_of_another_site_logs_anybody_out(sentence: str, headers: Headers, status: int) -> None:
    app = login_app()
    mine = session(await log_in(app))
    answer = await send_request(app, "/logout", "POST", headers, cookies=mine)
    assert answer.status == status, sentence
    assert await me(app, cookies=mine) == (401 if status == 303 else "ann"), sentence


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("127.0.0.1", True),
        ("127.0.0.1:8080", True),
        ("127.9.9.9:1", True),
        ("localhost:8080", True),
        ("wall.localhost:8080", True),
        ("[::1]:8080", True),
        ("::1", True),
        ("evil.example", False),
        ("localhost.evil.example:8080", False),
        ("127.0.0.1.evil.example", False),
        ("0.0.0.0:8080", False),
        ("192.168.1.2:8080", False),
        ("[::1", False),
        ("", False),
    ],
)
async def test_while_all_is_open_only_names_of_this_machine_are_answered(host: str, loopback: bool) -> None:
    assert is_loopback(host) is loopback
    app = login_app(Settings())
    for path in ("/", "/healthz", "/metrics", "/api/v1/catalog", "/static/wall.html"):
        assert (await send_request(app, path, headers={"host": host})).status == (200 if loopback else 421), (
            path
        )


async def test_while_nobody_is_set_everybody_is_an_admin() -> None:
    answer = await send_request(login_app(Settings()), "/api/v1/me", headers={"host": "localhost"})
    assert json.loads(answer.body) == {"name": "", "role": "admin", "teams": None, "view": None}


# A stream does not outlive the session.


async def test_a_stream_ends_when_its_person_logs_out() -> None:
    reader = MetricsReader(SmallCenter().store, SETTINGS)
    await reader.refresh(NOW)
    app = application(reader, SETTINGS, lambda: NOW)
    mine = session(await log_in(app))
    began, sent = asyncio.Event(), list[Any]()

    async def receive() -> Any:
        await asyncio.Event().wait()

    async def send(message: Any) -> None:
        sent.append(message)
        began.set()

    asked = scope("/api/v1/stream", "GET", {}, mine, "127.0.0.1", "http")
    stream = asyncio.create_task(app(asked, receive, send))
    async with asyncio.timeout(5):
        await began.wait()
        assert not stream.done()
        await send_request(app, "/logout", "POST", cookies=mine)
        await stream
    assert sent[0]["status"] == 200
    assert (sent[-1]["body"], sent[-1].get("more_body", False)) == (b"", False)


# Settings and commands.


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"users": {"ann": {"role": "admin", "password": "hunter2"}}},
         "users.ann.password: expected what `streamer secret password` prints"),
        ({"users": {"ann": {"role": "admin", "tokens": ["hunter2"]}}},
         "users.ann.tokens.0: expected what `streamer secret token` prints"),
        ({"users": {"ann": {"password": "hunter2"}}},
         "users.ann.role: required; "
         "users.ann.password: expected what `streamer secret password` prints"),
        ({"users": {"ann": {"role": "supervisor"}}},
         "users.ann: expected teams for a supervisor, and for nobody else"),
        ({"users": {"ann": {"role": "viewer", "teams": ["red"]}}},
         "users.ann: expected teams for a supervisor, and for nobody else"),
        ({"users": {"ann": {"role": "boss"}}},
         "users.ann.role: expected input should be 'viewer', 'supervisor' or 'admin'"),
        ({"displays": {"lobby": {"token": "hunter2"}}},
         "displays.lobby.token: expected what `streamer secret token` prints"),
        ({"proxy": {"header": "X-User", "addresses": ["10.0.0.300"]}},
         "proxy.addresses.0 = '10.0.0.300': expected an address such as 10.0.0.1, or a network such as "
         "10.0.0.0/24"),
    ],
)  # fmt: skip
def test_a_wrong_setting_is_named_and_no_secret_shown(given: dict[str, Any], expected: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings(**given)
    assert str(caught.value) == expected
    assert "hunter2" not in str(caught.value)


def test_who_could_never_come_in_is_named() -> None:
    with pytest.raises(
        SettingsError, match=r"^users\.ann: expected a password or tokens, as no proxy logs people in$"
    ):
        check_users(load_settings(users={"ann": {"role": "admin"}}))
    check_users(SETTINGS)
    check_users(
        load_settings(users={"ann": {"role": "admin"}}, proxy={"header": "X-User", "addresses": ["::1"]})
    )


def test_the_commands_print_what_the_settings_take() -> None:
    made = CliRunner().invoke(main, ["secret", "token"])
    shown = made.stderr.removeprefix("the token, shown this once: ").strip()
    assert made.stdout.startswith(f"token = '{token_hash(shown)}'")
    hashed = CliRunner().invoke(main, ["secret", "password"], input="open sesame\n")
    line = hashed.stdout.removeprefix("password = '").removesuffix("'\n")
    assert credentials._same("open sesame", line)
    password = load_settings(users={"ann": {"role": "admin", "password": line}}).users["ann"].password
    assert password is not None
    assert password.get_secret_value() == line
    assert CliRunner().invoke(main, ["secret", "password"], input="\n").exit_code == 2
