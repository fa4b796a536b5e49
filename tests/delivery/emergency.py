"""Here is the simulator's incident from end to end: when each who is to know of it knew."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import Any, Final, NamedTuple

from playwright.async_api import Page

from streamer.demo import playing
from streamer.demo.letters import Message
from streamer.demo.playing import Past, Play
from streamer.demo.simulator import Center, Incident, Plan
from streamer.events.rules import SECOND
from streamer.web.server import wall_clock
from tests.delivery.alarmed import Alarmed, Place, Rules

PLACE: Final = Place("abandon-drop", "billing")
RULES: Final[Rules] = {
    PLACE.rule: {"key": PLACE.key, "clear": "5s", "false_alarms": 0.001, "severity": "critical"}
}
"""What is usual is learned of a thinned out past: live come some thousand times as many."""
_SERVERS: Final = 2
_WATCH = """() => {
    window.seen = [];
    const look = () => {
        const all = [...document.querySelectorAll(".notice .what")];
        const is = all.some((one) => one.textContent.includes("billing"));
        if ((seen.at(-1)?.is ?? false) !== is) seen.push({ is, at: Date.now() });
    };
    look();
    const all = { subtree: true, childList: true, characterData: true };
    new MutationObserver(look).observe(document.body, all);
}"""
"""Notes when the banner comes and goes."""


class Course(NamedTuple):
    """Moments in ms since the epoch, in the order of what leads to what. `abandoned`: the first caller who
    gave up is published; `known`: all servers show it acknowledged."""

    began: int
    abandoned: int
    fired: int
    posted: int
    managed: int
    shown: int
    clicked: int
    known: int
    ended: int
    resolved: int
    posted_over: int
    managed_over: int
    gone: int


class Pages(NamedTuple):
    """A wall of the second server, and the supervisor's page of the first."""

    wall: Page
    desk: Page


class Emergency:
    """One center in an incident that comes again and again. `rate` is contacts per second: the more there are
    the sooner an incident is evident; no clock is turned."""

    def __init__(self, alarmed: Alarmed, rate: float, incident: Incident) -> None:
        self._alarmed, self._incident = alarmed, incident
        self._play = Play(rate, 1, Past(contacts=12_000), incident)
        self._bad: list[int] = []
        self._start = 0

    async def open(self) -> None:
        await self._alarmed.open(RULES, _SERVERS, alertmanager=True)
        self._start = wall_clock()
        plan = Plan(1, self._start, self._play.rate, "Europe/Madrid", incident=self._incident)
        told = self._noting(playing.told(Center(plan), self._play))
        self._publishing = asyncio.create_task(self._alarmed.publish(told))

    async def close(self) -> None:
        self._publishing.cancel()
        await asyncio.wait([self._publishing])

    async def live(self) -> None:
        """Until what is past is counted by all servers."""
        for server in self._alarmed.servers:
            await self._alarmed.until(self._alarmed.counted, server, "offered", 2_000)

    async def course(self, number: int, pages: Pages) -> Course:
        """Of the incident of that number, from 0."""
        alarmed, began = self._alarmed, self._start + round(self._since_start_s(number) * SECOND)
        await pages.wall.evaluate(_WATCH)
        managed, *_ = await asyncio.gather(
            alarmed.until(alarmed.is_active, PLACE),
            alarmed.until(alarmed.is_told, PLACE, "firing", number + 1),
            *self._of_each(alarmed.has, PLACE, "firing"),
            alarmed.until(_has_banner, pages.wall),
        )
        clicked = await _acknowledge(pages.desk)
        known = await asyncio.gather(*self._of_each(alarmed.is_acknowledged, PLACE))
        managed_over, *_ = await asyncio.gather(
            alarmed.until(alarmed.is_inactive, PLACE),
            alarmed.until(alarmed.is_told, PLACE, "resolved", number + 1),
            *self._of_each(alarmed.has, PLACE, "resolved"),
            alarmed.until(_has_no_banner, pages.wall),
        )
        firing, over = (alarmed.hook.find(*PLACE, what)[number] for what in ("firing", "resolved"))
        found = await alarmed.alarm(alarmed.servers[1], PLACE)
        shown, gone = [one["at"] for one in await pages.wall.evaluate("seen")][-2:]
        return Course(
            began=began,
            abandoned=next(at for at in self._bad if at >= began),
            fired=found["fired_at"],
            posted=firing.at,
            managed=managed,
            shown=shown,
            clicked=clicked,
            known=max(known),
            ended=began + round(self._incident.lasts_s * SECOND),
            resolved=found["resolved_at"],
            posted_over=over.at,
            managed_over=managed_over,
            gone=gone,
        )

    def _since_start_s(self, number: int) -> float:
        return self._incident.after_s + number * self._incident.every_s

    def _of_each(self, holds: Callable[..., Awaitable[bool]], *given: Any) -> Iterable[Awaitable[int]]:
        return [self._alarmed.until(holds, server, *given) for server in self._alarmed.servers]

    def _noting(self, messages: Iterable[Message]) -> Iterator[Message]:
        """Of the queue, when callers who gave up are told of; a message goes out at its time."""
        for message in messages:
            if message.at_ms >= self._start and message.topic == "call-completed":
                body = json.loads(message.value)
                data = body.get("data", body)
                if data.get("queue") == PLACE.key and data.get("outcome") == "abandoned":
                    self._bad.append(message.at_ms)
            yield message


async def _has_banner(wall: Page) -> bool:
    return bool(await wall.evaluate("seen.length > 0 && seen.at(-1).is"))


async def _has_no_banner(wall: Page) -> bool:
    return bool(await wall.evaluate("seen.length > 0 && !seen.at(-1).is"))


async def _acknowledge(desk: Page) -> int:
    """As a supervisor does, by keyboard. When (ms)."""
    await desk.get_by_role("button", name="Acknowledge").first.click()
    clicked = wall_clock()
    await desk.keyboard.press("Enter")
    return clicked
