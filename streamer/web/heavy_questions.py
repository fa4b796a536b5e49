"""Heavy questions: a few at a time, in threads of their own, so that figures stay current meanwhile.

A question keeps its place until its answer is sent, so that slow readers hold only so many answers in memory.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from http import HTTPStatus
from typing import Final, NamedTuple, TypeVar

from starlette.datastructures import QueryParams
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from streamer.readings.pauses import Pause
from streamer.web.connection import transport_of
from streamer.web.event_loop_yield import EventLoopYield
from streamer.web.problems import problem_response

HEAVY_PATHS: Final = (
    "/api/v1/readings",
    "/api/v1/history",
    "/api/v1/intervals",
    "/api/v1/contacts",
    "/api/v1/distribution",
    "/api/v1/alerts/explain",
    "/api/v1/alerts/rules",
)
RETRY_HEADERS: Final = {"retry-after": "5"}
T = TypeVar("T")


class QuestionLimits(NamedTuple):
    """Limits of heavy questions, for all and for one user.

    `threads` compute; `at_once` answers are in memory; `waiting` questions wait. Beyond, and after `wait_s`,
    a question is refused. An answer must be read within `send_s`."""

    threads: int = 2
    at_once: int = 4
    user_at_once: int = 2
    waiting: int = 64
    user_waiting: int = 16
    wait_s: float = 10.0
    send_s: float = 60.0


QUESTION_LIMITS: Final = QuestionLimits()


class QuestionRefused(Exception):  # noqa: N818 - names the state
    """There is no place for one more question now. The message says why."""

    def __init__(self, status: HTTPStatus, detail: str) -> None:
        super().__init__(detail)
        self.status = status


class UserQuestions:
    """The questions of one user that wait or are answered."""

    def __init__(self, at_once: int) -> None:
        self.places, self.count = asyncio.Semaphore(at_once), 0


class HeavyQuestions:
    """The places and threads of heavy questions. One user leaves places to others."""

    def __init__(self, limits: QuestionLimits = QUESTION_LIMITS) -> None:
        self.limits = limits
        self._threads = ThreadPoolExecutor(limits.threads, "question")
        self._places = asyncio.Semaphore(limits.at_once)
        self._users: dict[str, UserQuestions] = {}
        self._is_ended = False

    @asynccontextmanager
    async def place(self, user_name: str) -> AsyncIterator[None]:
        """Wait for a place and hold it. Raise QuestionRefused."""
        user = self._users.setdefault(user_name, UserQuestions(self.limits.user_at_once))
        self._require_room(user)
        user.count += 1
        try:
            async with AsyncExitStack() as places:
                await self._enter_places(places, user)
                yield
        finally:
            user.count -= 1
            if not user.count:
                del self._users[user_name]

    def _require_room(self, user: UserQuestions) -> None:
        limits = self.limits
        if user.count >= limits.user_at_once + limits.user_waiting:
            raise QuestionRefused(HTTPStatus.TOO_MANY_REQUESTS, "too many questions of one user at a time")
        if sum(each.count for each in self._users.values()) >= limits.at_once + limits.waiting:
            raise QuestionRefused(HTTPStatus.SERVICE_UNAVAILABLE, "too many questions at a time")

    async def _enter_places(self, places: AsyncExitStack, user: UserQuestions) -> None:
        try:
            async with asyncio.timeout(self.limits.wait_s):
                await places.enter_async_context(user.places)
                await places.enter_async_context(self._places)
        except TimeoutError:
            detail = f"no answer began within {self.limits.wait_s:g} s"
            raise QuestionRefused(HTTPStatus.SERVICE_UNAVAILABLE, detail) from None

    async def run(self, operation: Callable[[], T]) -> T:
        """Run an operation in a thread of questions. The default threads follow the store."""
        if self._is_ended:
            raise HTTPException(HTTPStatus.SERVICE_UNAVAILABLE, "the server is shutting down")
        return await asyncio.get_running_loop().run_in_executor(self._threads, operation)

    def pause(self, request: Request) -> Pause:
        """Return a pause for a thread, made in the event loop: it lets the loop go first, and ends the work
        (HTTPException) when nobody waits for its result any more."""
        yield_to_loop, transport = EventLoopYield(), transport_of(request.scope)

        def pause_or_end() -> None:
            if self._is_ended or (transport is not None and transport.is_closing()):
                raise HTTPException(HTTPStatus.SERVICE_UNAVAILABLE, "nobody waits for this answer any more")
            yield_to_loop()

        return pause_or_end

    def end(self) -> None:
        """End the work under way at its next pause, and begin no other."""
        self._is_ended = True
        self._threads.shutdown(wait=False, cancel_futures=True)


class QuestionGate:
    """ASGI middleware that gives each heavy question a place, after the user is known.

    `questions`: those that share places, by path. `files`: those of any list that is asked for as a file."""

    def __init__(
        self, app: ASGIApp, questions: Mapping[str, HeavyQuestions], files: HeavyQuestions | None = None
    ) -> None:
        self._app, self._questions, self._files = app, questions, files

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        questions = self._questions_of(scope) if scope["type"] == "http" else None
        if questions is None:
            await self._app(scope, receive, send)
            return
        user = scope["person"]
        try:
            async with questions.place("" if user is None else user.name):
                await self._app(scope, receive, send_in_time(scope, send, questions.limits.send_s))
        except QuestionRefused as refusal:
            response = problem_response(refusal.status, f"{refusal}: try again in 5 s")
            response.headers.update(RETRY_HEADERS)
            await response(scope, receive, send)

    def _questions_of(self, scope: Scope) -> HeavyQuestions | None:
        is_file = QueryParams(scope["query_string"]).get("format", "json") != "json"
        return self._questions.get(scope["path"], self._files if is_file else None)


def send_in_time(scope: Scope, send: Send, send_s: float) -> Send:
    """Return a `send` that drops the connection if the client has not read the answer after `send_s`."""
    transport, timers = transport_of(scope), list[asyncio.TimerHandle]()

    async def timed_send(message: Message) -> None:
        if transport is not None and not timers:
            timers.append(asyncio.get_running_loop().call_later(send_s, transport.abort))
        await send(message)
        if message["type"] == "http.response.body" and not message.get("more_body", False):
            for timer in timers:
                timer.cancel()

    return timed_send
