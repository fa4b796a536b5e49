"""Measure how long it takes until all receivers know of an incident of the simulator, end to end.

Run as `python -m tests.benchmarks.incident`; prints JSON. A worker, two servers, Debian's Alertmanager, a
webhook receiver and Chromium, on one machine. More contacts come than in most centers, so that minutes are
enough; no clock is turned. Each run is one incident of the same center.
"""

import argparse
import asyncio
import json
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from statistics import median
from typing import Any

from playwright.async_api import async_playwright

from streamer.demo import scenario
from streamer.demo.event_encoding import SimulatedMessage
from streamer.demo.scenario import DemoScenario, HistoryPlan
from streamer.demo.simulator import CenterPlan, Incident, SimulatedCenter
from streamer.events.counting_rules import SECOND
from streamer.runtime.clock import wall_clock_ms
from tests.benchmarks.machine import facts
from tests.browser.conftest import chromium
from tests.conftest import PARTS
from tests.delivery.alerting_center import AlertingCenter, AlertPlace
from tests.delivery.incident_timeline import IncidentPages, IncidentTimeline, run_incident

PLACE = AlertPlace("abandon-target", "billing")
RULES = {
    PLACE.rule: {"key": PLACE.key, "window": "5m", "keep_firing_for": "5s", "false_alarms": 0.01, "for": "0s"}
}
INCIDENT = Incident(after_s=60, lasts_s=150, every_s=720)
ZONE = "Europe/Madrid"
STEPS = {
    "first caller gave up": ("began", "bad"),
    "decided": ("bad", "fired"),
    "webhook has it": ("fired", "posted"),
    "Alertmanager has it": ("fired", "managed"),
    "banner is there": ("fired", "shown"),
    "acknowledged on both servers": ("clicked", "known"),
    "decided that it is over": ("ended", "resolved"),
    "webhook knows that": ("resolved", "posted_over"),
    "Alertmanager knows that": ("resolved", "managed_over"),
    "banner is gone": ("resolved", "gone"),
}
"""From which moment until which."""


class Simulated:
    """The simulator's incidents, each `every_s` after the other."""

    def __init__(self, alarmed: AlertingCenter, rate: float) -> None:
        self._alarmed, self._number = alarmed, -1
        self._bad: list[int] = []
        self._start = wall_clock_ms()
        plan = CenterPlan(1, self._start, rate, ZONE, incident=INCIDENT)
        center, play = SimulatedCenter(plan), DemoScenario(rate, 1, HistoryPlan(contacts=6_000), INCIDENT)
        older = scenario.older_messages(plan, center, play)
        told = chain(older, scenario.scenario_messages(center, play))
        self._publishing = asyncio.create_task(alarmed.publish(self._noting(told)))

    async def begin(self) -> int:
        self._number += 1
        began = self._start + round((INCIDENT.after_s + self._number * INCIDENT.every_s) * SECOND)
        await asyncio.sleep((began - wall_clock_ms()) / SECOND)
        return began

    async def end(self) -> int:
        began = self._start + round((INCIDENT.after_s + self._number * INCIDENT.every_s) * SECOND)
        ended = began + round(INCIDENT.lasts_s * SECOND)
        await asyncio.sleep((ended - wall_clock_ms()) / SECOND)
        return ended

    def first_bad(self, began: int) -> int:
        return next(at for at in self._bad if at >= began)

    async def close(self) -> None:
        self._publishing.cancel()
        await asyncio.wait([self._publishing])

    def _noting(self, messages: Iterable[SimulatedMessage]) -> Iterator[SimulatedMessage]:
        """Note when abandoned calls are published; a message goes out at its time."""
        for message in messages:
            if message.at_ms >= self._start and _is_bad(message):
                self._bad.append(message.at_ms)
            yield message


def _is_bad(message: SimulatedMessage) -> bool:
    if message.topic != "call-completed":
        return False
    body = json.loads(message.value)
    data = body.get("data", body)
    return (data.get("queue"), data.get("outcome")) == (PLACE.key, "abandoned")


async def measure(parts: str, rate: float, runs: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        async with (
            PARTS[parts].broker() as broker,
            PARTS[parts].store() as store,
            AlertingCenter(broker, store, "incident", Path(folder)) as alarmed,
            async_playwright() as playwright,
        ):
            await alarmed.open(RULES, alertmanager=True)
            browser = await playwright.chromium.launch(**chromium())
            wall, desk = await browser.new_page(), await browser.new_page()
            await wall.goto(f"{alarmed.servers[1].url}/")
            await desk.goto(f"{alarmed.servers[0].url}/supervisor")
            cause = Simulated(alarmed, rate)
            try:
                found = [
                    await run_incident(alarmed, PLACE, cause, IncidentPages(wall, desk)) for _ in range(runs)
                ]
            finally:
                await cause.close()
            times = set(alarmed.hook.taken().values())
    return {"seconds": told(found), "each message came once": times == {1}, "rate": rate, **facts()}


def told(found: Sequence[IncidentTimeline]) -> dict[str, Any]:
    """Seconds of each step: the median, and of every run."""
    return {name: _seconds(found, *ends) for name, ends in STEPS.items()}


def _seconds(found: Sequence[IncidentTimeline], start: str, end: str) -> dict[str, Any]:
    each = [(getattr(one, end) - getattr(one, start)) / SECOND for one in found]
    return {"median": round(median(each), 2), "each": [round(one, 2) for one in each]}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.incident", description=__doc__)
    parser.add_argument("--parts", choices=PARTS, default="embedded")
    parser.add_argument("--rate", type=float, default=8.0, help="contacts per second")
    parser.add_argument("--runs", type=int, default=3, help="incidents")
    given = parser.parse_args()
    print(json.dumps(asyncio.run(measure(given.parts, given.rate, given.runs)), indent=2))


if __name__ == "__main__":
    main()
