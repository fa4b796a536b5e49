"""Heavy questions wait for a place, leave others theirs, and end when nobody waits for the answer."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from threading import Event

import pytest
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from streamer.readings.query import MetricQuery, Reading
from streamer.readings.reader import MetricsReader
from streamer.settings import Settings
from streamer.web.heavy_questions import HeavyQuestions, QuestionGate, QuestionLimits
from streamer.web.server import SignalHandlingServer, application, end_long_work, server_config
from streamer.web.users import User
from tests.readings.small_center import NOW, SmallCenter, new_reader
from tests.web.asgi_client import AsgiResponse, send_request
from tests.web.event_stream import InLoopServer
from tests.web.raw_client import connected, unread_socket

LIMITS = QuestionLimits(
    threads=2, at_once=3, user_at_once=2, waiting=2, user_waiting=1, wait_s=30.0, send_s=0.3
)
GET = b"GET /api/v1/readings?by=queue HTTP/1.1\r\nHost: localhost\r\n\r\n"


class HeldRoute:
    """A route whose answers wait until they may go on; `?by=NAME` names the user."""

    def __init__(self, limits: QuestionLimits = LIMITS) -> None:
        self.questions = HeavyQuestions(limits)
        self.free, self.running, self.most = asyncio.Event(), 0, 0
        app = Starlette(routes=[Route("/heavy", self._answer), Route("/light", self._answer)])
        self.app: ASGIApp = self._as_user(QuestionGate(app, {"/heavy": self.questions}))

    async def _answer(self, request: Request) -> Response:
        self.running += 1
        self.most = max(self.most, self.running)
        await self.free.wait()
        self.running -= 1
        return Response(b"done")

    def _as_user(self, app: ASGIApp) -> ASGIApp:
        async def app_as_user(scope: Scope, receive: Receive, send: Send) -> None:
            scope["person"] = User(scope["query_string"].decode(), "viewer")
            await app(scope, receive, send)

        return app_as_user

    def ask(self, *users: str, path: str = "/heavy") -> list[asyncio.Task[AsgiResponse]]:
        return [asyncio.create_task(send_request(self.app, f"{path}?{user}")) for user in users]  # type: ignore[arg-type]


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not holds():  # noqa: ASYNC110 - nobody says when
            await asyncio.sleep(0.005)


async def statuses(tasks: list[asyncio.Task[AsgiResponse]]) -> list[int]:
    return [response.status for response in await asyncio.gather(*tasks)]


async def test_questions_are_answered_a_few_at_a_time_and_all_in_the_end() -> None:
    route = HeldRoute(LIMITS._replace(waiting=20))
    tasks = route.ask("ann", "ann", "ann", "bob", "bob", "bob", "cyd")
    await until(lambda: route.running == 3)
    route.free.set()
    assert await statuses(tasks) == [200] * 7
    assert route.most == 3


async def test_one_user_leaves_a_place_to_others() -> None:
    route = HeldRoute()
    tasks = route.ask("ann", "ann", "ann")
    await until(lambda: route.running == 2)
    tasks += route.ask("bob")
    await until(lambda: route.running == 3)
    route.free.set()
    assert await statuses(tasks) == [200] * 4
    assert vars(route.questions)["_users"] == {}


@pytest.mark.parametrize(
    ("sentence", "users", "expected"),
    [
        ("beyond what one user may have waiting", ["ann"] * 4, [429]),
        ("beyond what may wait in all", ["ann", "ann", "bob", "bob", "cyd", "dan"], [503]),
    ],
)
async def test_beyond_the_waiting_a_question_is_refused(
    sentence: str, users: list[str], expected: list[int]
) -> None:
    route = HeldRoute()
    tasks = route.ask(*users)
    await until(lambda: any(task.done() for task in tasks))
    route.free.set()
    answers = await asyncio.gather(*tasks)
    refused = [answer for answer in answers if answer.status != 200]
    assert [answer.status for answer in refused] == expected, sentence
    assert refused[0].headers["content-type"] == "application/problem+json"
    assert refused[0].headers["retry-after"] == "5"
    assert json.loads(refused[0].body)["status"] == expected[0]


async def test_a_question_does_not_wait_for_ever() -> None:
    route = HeldRoute(LIMITS._replace(wait_s=0.05))
    tasks = route.ask("ann", "ann", "ann")
    assert (await tasks[2]).status == 503
    route.free.set()
    assert await statuses(tasks) == [200, 200, 503]


async def test_other_questions_wait_for_nobody() -> None:
    route = HeldRoute()
    tasks = route.ask("ann", "ann", "ann") + route.ask(*["ann"] * 9, path="/light")
    await until(lambda: route.running == 11)
    route.free.set()
    assert await statuses(tasks) == [200] * 12


async def test_work_under_way_ends_with_the_server_and_none_begins() -> None:
    questions = HeavyQuestions()
    pause = questions.pause(Request({"type": "http"}))
    await asyncio.to_thread(pause)
    questions.end()
    with pytest.raises(HTTPException, match="nobody waits"):
        await asyncio.to_thread(pause)
    with pytest.raises(HTTPException, match="shutting down"):
        await questions.run(int)


# Over a connection.


class EndlessReader(MetricsReader):
    """A reader whose readings do not end."""

    count = 0

    def iter_readings(self, query: MetricQuery) -> Iterator[Reading]:
        key = "q" * 1_000
        reading = Reading("answered", "", "count", "", "1h", "queue", key, 1, None, None, 1, "", "", 0, 0)
        while True:
            self.count += 1
            yield reading


@asynccontextmanager
async def endless_server(
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[tuple[InLoopServer, EndlessReader]]:
    monkeypatch.setattr("streamer.web.permissions.MAX_READINGS", 1 << 60)
    reader = EndlessReader((await new_reader(SmallCenter())).__dict__["_store"], Settings())
    await reader.refresh(NOW)
    app = application(reader, Settings(), lambda: NOW)
    server = InLoopServer(
        SignalHandlingServer(server_config(app, Settings(port=0)), lambda: end_long_work(app))
    )
    await server.started()
    try:
        yield server, reader
    finally:
        await server.end()


async def stands_still(reader: EndlessReader) -> None:
    async with asyncio.timeout(10):
        count = -1
        while count != reader.count:
            count = reader.count
            await asyncio.sleep(0.1)


async def test_the_work_ends_when_its_client_leaves(monkeypatch: pytest.MonkeyPatch) -> None:
    async with endless_server(monkeypatch) as (server, reader):
        async with connected(server.port, 2, GET):
            await until(lambda: reader.count > 0)
        await stands_still(reader)


async def test_the_server_ends_while_questions_are_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    async with endless_server(monkeypatch) as (server, reader):
        clients = [unread_socket(server.port, GET) for _ in range(4)]
        await until(lambda: reader.count > 0)
        async with asyncio.timeout(10):
            await server.end()
        await stands_still(reader)
        for client in clients:
            client.close()


async def test_a_file_that_nobody_reads_holds_no_thread_and_is_made_no_further(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with endless_server(monkeypatch) as (server, reader):
        clients = [unread_socket(server.port, GET.replace(b"=queue", b"=queue&format=csv")) for _ in range(2)]
        await until(lambda: len([unsent for unsent in server.unsent() if unsent]) == len(clients))
        await stands_still(reader)
        questions, _ = server.__dict__["_server"].config.app.state.heavy_questions
        async with asyncio.timeout(5):
            assert await asyncio.gather(*(questions.run(int) for _ in range(2))) == [0, 0]
        for client in clients:
            client.close()


async def test_who_does_not_read_an_answer_loses_its_place() -> None:
    questions = HeavyQuestions(LIMITS._replace(at_once=1, user_at_once=1))

    async def large(request: Request) -> Response:
        return Response(bytes(20_000_000))

    gate = QuestionGate(Starlette(routes=[Route("/api/v1/readings", large)]), {"/api/v1/readings": questions})

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            scope["person"] = None
            await gate(scope, receive, send)

    server = InLoopServer(SignalHandlingServer(server_config(app, Settings(port=0)), lambda: None))  # type: ignore[arg-type]
    await server.started()
    clients = [unread_socket(server.port, GET) for _ in range(2)]
    await until(lambda: any(server.unsent()))
    await until(lambda: server.connections == 0)
    await server.end()
    for client in clients:
        client.close()


async def test_the_store_is_followed_while_all_threads_of_questions_are_busy() -> None:
    questions, free = HeavyQuestions(), Event()
    busy: list[Awaitable[bool]] = [
        asyncio.ensure_future(questions.run(lambda: free.wait(10))) for _ in range(50)
    ]
    try:
        async with asyncio.timeout(5):
            await (await new_reader(SmallCenter())).refresh(NOW + 1)
            await asyncio.to_thread(int)
    finally:
        free.set()
    assert all(await asyncio.gather(*busy))
