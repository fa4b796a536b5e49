"""Runs the alert coordinator and everything that sends its messages; starts and stops them together."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final

import structlog

from streamer.delivery.alert_coordinator import AlertCoordinator
from streamer.delivery.alert_state import give_up_expired
from streamer.delivery.alertmanager_client import AlertmanagerClient
from streamer.delivery.alertmanager_resend import AlertmanagerResender
from streamer.delivery.configured_receivers import build_receivers
from streamer.delivery.http_client import HttpClient
from streamer.delivery.message_sender import DEFAULT_LIMITS, DeliveryLimits, MessageSender
from streamer.delivery.report_sender import ReportSender, report_places
from streamer.delivery.silencing import AlertmanagerTarget, SilenceService, SilenceSync
from streamer.delivery.timing import DeliveryTiming
from streamer.runtime.redis_errors import redis_error_text
from streamer.runtime.retry import unavailability
from streamer.settings import Settings

CLEANUP_INTERVAL_S: Final = 60.0
RESTART_DELAY_S: Final = 30.0
_log = structlog.get_logger(__name__)
Run = Callable[[], Awaitable[None]]


class NotificationDispatcher:
    """One per server; only the dispatcher of the leader sends anything."""

    def __init__(
        self,
        coordinator: AlertCoordinator,
        settings: Settings,
        timing: DeliveryTiming,
        limits: DeliveryLimits = DEFAULT_LIMITS,
    ) -> None:
        self.coordinator, self._timing, self._http = coordinator, timing, HttpClient()
        self._retry_for_ms = round(settings.delivery.retry_for.total_seconds() * 1000)
        self._senders = {
            name: MessageSender(
                name, receiver, coordinator, timing, limits._replace(retry_for_ms=self._retry_for_ms)
            )
            for name, receiver in build_receivers(settings, self._http, timing.clock).items()
        }
        address, via = settings.delivery.alertmanager, settings.delivery.alertmanager_via
        target = AlertmanagerTarget(AlertmanagerClient(address, self._http), via) if address else None
        self.silencing = SilenceService(coordinator, timing.clock, target)
        self._loops: list[Run] = [self._drop_removed_receivers]
        if places := report_places(settings, self._http, timing):
            self._loops.append(ReportSender(coordinator, settings, places, timing).run)
        if target is not None:
            self._loops.append(SilenceSync(coordinator, target, timing).run)
            if target.via == "api":
                self._loops.append(AlertmanagerResender(coordinator, target.alertmanager, timing).run)
        self._stop_requested = asyncio.Event()

    async def run(self) -> None:
        """Run until `stop`. The lease is given up last, so that no other server sends what is under way."""
        coordinator_task = asyncio.create_task(self.coordinator.run())
        sender_tasks = [asyncio.create_task(sender.run()) for sender in self._senders.values()]
        loop_tasks = [asyncio.create_task(self._run_forever(run)) for run in self._loops]
        try:
            await self._stop_requested.wait()
        finally:
            for sender in self._senders.values():
                sender.stop()
            for task in loop_tasks:
                task.cancel()
            await asyncio.wait([*sender_tasks, *loop_tasks])
            self.coordinator.stop()
            await asyncio.wait([coordinator_task])
            await self._http.close()
        for task in (*sender_tasks, coordinator_task):
            task.result()

    def stop(self) -> None:
        self._stop_requested.set()

    async def _run_forever(self, run: Run) -> None:
        while True:
            try:
                await run()
            except Exception as error:
                if unavailability(error) is None:
                    _log.exception("an alert delivery task failed, restarting it")
                else:
                    _log.warning("an alert delivery task waits for the store", error=redis_error_text(error))
                await self._timing.sleep(RESTART_DELAY_S)

    async def _drop_removed_receivers(self) -> None:
        """Give up expired messages to receivers that are no longer configured, as for all others."""
        while True:
            await self._timing.sleep(CLEANUP_INTERVAL_S)
            removed_names = [name for name in self.coordinator.state.waiting if name not in self._senders]
            before_ms = self._timing.clock() - self._retry_for_ms
            for name in removed_names if self.coordinator.is_leader else ():
                await self.coordinator.update(partial(give_up_expired, receiver=name, before_ms=before_ms))
