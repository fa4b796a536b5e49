"""Maintenance beside counting: merge deltas, forget what expired, and whatever else comes again and again."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Mapping
from typing import NamedTuple, Protocol

import structlog

from streamer.runtime.clock import Clock
from streamer.runtime.redis_errors import redis_error_text
from streamer.runtime.retry import retry_forever

log = structlog.get_logger()


class MaintenanceStep(NamedTuple):
    """A call that is made each round, or once in so many rounds."""

    call: Callable[[], Awaitable[object]]
    every_rounds: int = 1


class MaintenanceObserver(Protocol):
    """Observer of maintenance: metrics, or a list in tests."""

    def maintenance_failed(self, step: str) -> None: ...

    def maintenance_done(self, now_ms: int) -> None: ...


class MaintenanceLoop:
    """Loop over maintenance steps. No error ends it: a failed step is reported and comes again, and the other
    steps go on. If the loop died, deltas and documents would pile up without anybody seeing it."""

    def __init__(
        self,
        steps: Mapping[str, MaintenanceStep],
        observer: MaintenanceObserver,
        clock_ms: Clock,
        pause_s: float,
    ) -> None:
        self._steps, self._observer, self._clock_ms, self._pause_s = steps, observer, clock_ms, pause_s
        self._failures: dict[str, str] = {}

    async def run(self) -> None:
        """Run until cancelled."""
        for round_number in itertools.count():
            await self.run_round(round_number)
            await asyncio.sleep(self._pause_s)

    async def run_round(self, round_number: int) -> None:
        """Make the calls that are due. A failure is logged once, until it changes or is over."""
        for name, step in self._steps.items():
            if round_number % step.every_rounds:
                continue
            try:
                await retry_forever(step.call)
            except Exception as error:
                self._report(name, redis_error_text(error))
            else:
                self._failures.pop(name, None)
        if not self._failures:
            self._observer.maintenance_done(self._clock_ms())

    def _report(self, name: str, failure: str) -> None:
        self._observer.maintenance_failed(name)
        if self._failures.get(name) != failure:
            log.error("maintenance failed, counting goes on", step=name, error=failure)
        self._failures[name] = failure
