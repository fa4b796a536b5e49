"""Sends one receiver the messages that wait for it, in order, while this server is leader.

Delivery is at least once. A stored message is sent, or counted as given up after `retry_for_ms`. It is marked
in the store once the receiver has accepted it, and no server sends a marked message again. A message is sent
twice only if it is unknown whether the receiver has it: no response came in time, or between the response and
the mark the process died, or lost both the store and the lease. It is then sent with the same ids, and by the
same process with the same Idempotency-Key. A process never repeats a message that was accepted, however long
the store is unavailable. The resolved message of an alert never comes before its firing one.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from typing import Final, NamedTuple

import structlog

from streamer.alerts.alert_message import AlertMessage
from streamer.delivery.alert_coordinator import AlertCoordinator
from streamer.delivery.alert_state import AlertState, give_up_expired, mark_sent
from streamer.delivery.receiver import DeliveryFailed, DeliverySucceeded, Receiver
from streamer.delivery.timing import DeliveryTiming, run_with_timeout
from streamer.events.counting_rules import DAY

MAX_REMEMBERED_IDS: Final = 20_000
MAX_REQUESTED_DELAY_S: Final = 3600.0
"""Upper limit of any delay, whatever Retry-After asks for."""
_log = structlog.get_logger(__name__)


class DeliveryLimits(NamedTuple):
    """Time limits of sending.

    `retry_for_ms`: age at which a message is given up. `spacing_s`: least pause between two messages.
    `grace_s`: time for the message under way when the server stops.
    """

    retry_for_ms: int = DAY
    spacing_s: float = 10.0
    grace_s: float = 5.0


DEFAULT_LIMITS: Final = DeliveryLimits()


class ReceiverFailure(NamedTuple):
    """Reason why messages to a receiver fail, and since when (ms)."""

    reason: str
    since_ms: int


class MessageSender:
    """Sender of one receiver, in a task of its own: a slow or dead receiver delays no other.

    Messages that wait at the same time are sent together. The first is sent at once; those that follow soon
    after it wait for `spacing_s`.
    """

    def __init__(
        self,
        name: str,
        receiver: Receiver,
        coordinator: AlertCoordinator,
        timing: DeliveryTiming,
        limits: DeliveryLimits,
    ) -> None:
        self._name, self._receiver, self._coordinator = name, receiver, coordinator
        self._timing, self._limits = timing, limits
        self._backoff, self._max_batch = timing.backoff(), receiver.max_alerts
        self._sent_ids: set[str] = set()
        self._unconfirmed_ids: frozenset[str] = frozenset()
        self._deferred_episodes: set[str] = set()
        self._stop_requested, self._idle = asyncio.Event(), asyncio.Event()
        self.failure: ReceiverFailure | None = None

    async def run(self) -> None:
        """Run until `stop`, and up to `grace_s` longer for the message under way."""
        work_task = asyncio.create_task(self._send_loop())
        try:
            await self._stop_requested.wait()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._idle.wait(), self._limits.grace_s)
        finally:
            work_task.cancel()
            await asyncio.wait({work_task})

    def stop(self) -> None:
        self._stop_requested.set()

    async def _send_loop(self) -> None:
        changed = self._coordinator.subscribe()
        while not self._stop_requested.is_set():
            changed.clear()
            self._idle.clear()
            try:
                pause_s = await self._send_next()
            except Exception as error:  # whatever the store raises
                pause_s = self._note_failure(DeliveryFailed(type(error).__name__))
            self._idle.set()
            if pause_s is None:
                await changed.wait()
            else:
                await self._timing.sleep(pause_s)

    async def _send_next(self) -> float | None:
        """Send the next messages; return the seconds until the next step, None: until the state changes."""
        if self._has_work():
            await self._coordinator.update(
                self._mark_sent_and_expired
            )  # which also reads what another server marked before
        batch = self._next_batch() if self._coordinator.is_leader else ()
        if not batch:
            self.failure = None
            return None
        outcome = await run_with_timeout(self._timing, self._receiver.timeout_s, self._receiver.send(batch))
        if isinstance(outcome, DeliverySucceeded):
            await self._note_success(batch)
            return self._limits.spacing_s
        failure = outcome or DeliveryFailed(f"no answer in {self._receiver.timeout_s:.0f} s")
        self._plan_retry(batch, failure)
        return self._note_failure(failure)

    def _has_work(self) -> bool:
        waiting = self._waiting_messages()
        return bool(waiting) and (
            self._coordinator.is_leader or any(message.id in self._sent_ids for message in waiting)
        )

    def _mark_sent_and_expired(self, state: AlertState) -> AlertState:
        """Mark what was sent while the store was unavailable, and give up what is too old by now."""
        return give_up_expired(
            mark_sent(state, self._name, self._sent_ids),
            self._name,
            self._timing.clock() - self._limits.retry_for_ms,
        )

    def _waiting_messages(self) -> list[AlertMessage]:
        return self._coordinator.state.messages_for(self._name)

    def _next_batch(self) -> Sequence[AlertMessage]:
        """Return the last batch again if it is unknown whether it arrived, else the next one."""
        waiting = self._waiting_messages()
        unconfirmed = [message for message in waiting if message.id in self._unconfirmed_ids]
        return (
            unconfirmed
            or sorted(waiting, key=lambda message: message.episode in self._deferred_episodes)[
                : self._max_batch
            ]
        )

    async def _note_success(self, batch: Sequence[AlertMessage]) -> None:
        if self.failure is not None:
            _log.info("sending alerts to a receiver works again", receiver=self._name)
        self._backoff.reset()
        self.failure, self._unconfirmed_ids = None, frozenset()
        self._max_batch = min(2 * self._max_batch, self._receiver.max_alerts)
        self._deferred_episodes.difference_update(message.episode for message in batch)
        if len(self._sent_ids) > MAX_REMEMBERED_IDS:
            self._sent_ids.intersection_update(message.id for message in self._waiting_messages())
        self._sent_ids.update(message.id for message in batch)
        await self._coordinator.update(
            partial(mark_sent, receiver=self._name, ids=[message.id for message in batch])
        )

    def _plan_retry(self, batch: Sequence[AlertMessage], failure: DeliveryFailed) -> None:
        """Halve a batch that was refused; defer a single refused message behind all others."""
        self._unconfirmed_ids = frozenset() if failure.refused else frozenset(message.id for message in batch)
        if failure.refused and len(batch) == 1:
            self._deferred_episodes.add(batch[0].episode)
        elif failure.refused:
            self._max_batch = (len(batch) + 1) // 2

    def _note_failure(self, failure: DeliveryFailed) -> float:
        if self.failure is None or self.failure.reason != failure.reason:
            _log.warning("sending alerts to a receiver failed", receiver=self._name, reason=failure.reason)
            since_ms = self._timing.clock() if self.failure is None else self.failure.since_ms
            self.failure = ReceiverFailure(failure.reason, since_ms)
        return min(max(self._backoff.after_failure(), failure.wait_s or 0.0), MAX_REQUESTED_DELAY_S)
