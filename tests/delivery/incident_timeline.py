"""Timeline of an incident from end to end: when each receiver and page knew of it."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, NamedTuple, Protocol

from playwright.async_api import Page

from streamer.runtime.clock import wall_clock_ms
from tests.delivery.alerting_center import AlertingCenter, AlertPlace

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
"""Records when the banner appears and disappears."""


class IncidentTimeline(NamedTuple):
    """Times in ms since the epoch, in causal order. `bad`: the first bad event is published; `acknowledged`:
    all servers show the acknowledgement."""

    began: int
    bad: int
    fired: int
    posted: int
    managed: int
    banner_shown: int
    clicked: int
    acknowledged: int
    ended: int
    resolved: int
    posted_over: int
    managed_over: int
    banner_gone: int


class IncidentPages(NamedTuple):
    """Wallboard of the last server, and supervisor page of the first."""

    wall: Page
    supervisor: Page


class IncidentCause(Protocol):
    """Fault that causes the incident. Each method returns when it happens (ms)."""

    async def begin(self) -> int: ...

    async def end(self) -> int: ...

    def first_bad(self, began: int) -> int: ...


async def run_incident(
    alarmed: AlertingCenter, place: AlertPlace, cause: IncidentCause, pages: IncidentPages
) -> IncidentTimeline:
    before = len(alarmed.hook.find(*place, "firing"))
    await pages.wall.evaluate(_WATCH)
    began = await cause.begin()
    managed, *_ = await asyncio.gather(
        alarmed.until(alarmed.is_active, place),
        alarmed.until(alarmed.is_told, place, "firing", before + 1),
        alarmed.until(_has_banner, pages.wall),
        *_of_each(alarmed, alarmed.has, place, "firing"),
    )
    clicked = await _acknowledge(pages.supervisor)
    known = await asyncio.gather(*_of_each(alarmed, alarmed.is_acknowledged, place))
    ended = await cause.end()
    managed_over, *_ = await asyncio.gather(
        alarmed.until(alarmed.is_inactive, place),
        alarmed.until(alarmed.is_told, place, "resolved", before + 1),
        alarmed.until(_has_no_banner, pages.wall),
        *_of_each(alarmed, alarmed.has, place, "resolved"),
    )
    firing, over = (alarmed.hook.find(*place, what)[before] for what in ("firing", "resolved"))
    found = await alarmed.alarm(alarmed.servers[0], place)
    shown, gone = [one["at"] for one in await pages.wall.evaluate("seen")][-2:]
    return IncidentTimeline(
        began=began,
        bad=cause.first_bad(began),
        fired=found["fired_at"],
        posted=firing.at,
        managed=managed,
        banner_shown=shown,
        clicked=clicked,
        acknowledged=max(known),
        ended=ended,
        resolved=found["resolved_at"],
        posted_over=over.at,
        managed_over=managed_over,
        banner_gone=gone,
    )


def _of_each(
    alarmed: AlertingCenter, holds: Callable[..., Awaitable[bool]], *given: Any
) -> Iterable[Awaitable[int]]:
    return [alarmed.until(holds, server, *given) for server in alarmed.servers]


async def _has_banner(wall: Page) -> bool:
    return bool(await wall.evaluate("seen.length > 0 && seen.at(-1).is"))


async def _has_no_banner(wall: Page) -> bool:
    return bool(await wall.evaluate("seen.length > 0 && !seen.at(-1).is"))


async def _acknowledge(desk: Page) -> int:
    """Acknowledge as a supervisor does, by mouse and keyboard; return when (ms)."""
    await desk.get_by_role("button", name="Acknowledge").first.click()
    clicked = wall_clock_ms()
    await desk.keyboard.press("Enter")
    return clicked
