"""Leader election and rule evaluation: one server of a center evaluates the alert rules, all see the result.

The leader holds a lease in the store. That no message is sent twice does not depend on the lease: the result
of a round is stored together with the messages to be sent, and only if no other server has stored one since
the alert state was read.
"""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from math import inf
from typing import Final, NamedTuple, TypeVar

import structlog

from streamer.alerts.alert_message import AlertMessage
from streamer.alerts.alert_rule import AlertRule
from streamer.alerts.rule_evaluator import RuleEvaluator
from streamer.alerts.states import AlertNotice, advance_alerts
from streamer.delivery.alert_state import (
    EMPTY_STATE,
    AlertState,
    EvaluationRound,
    StateChange,
    apply_evaluation,
    decode_state,
    encode_state,
)
from streamer.readings.reader import MetricsReader
from streamer.runtime.clock import Clock
from streamer.runtime.redis_errors import redis_error_text
from streamer.runtime.retry import RetryBackoff
from streamer.store.port import LeasedDocument, TokenDocument

MAX_RETRY_DELAY_S: Final = 30.0
"""Longest delay between two attempts while the store is unavailable."""
MAX_DATA_AGE_S: Final = 3.0
"""Data older than this means that workers are behind: those that keep up send a heartbeat each second."""
STATE_VALID_S: Final = 300.0
"""Age up to which the state read last is used: in a large center a round and the pause after it take
minutes."""

ComposeMessages = Callable[
    [Sequence[AlertNotice], Mapping[str, AlertMessage], int], Awaitable[list[AlertMessage]]
]
"""Makes messages of notices, given the messages that exist by id and the time (ms)."""
T = TypeVar("T")
_log = structlog.get_logger(__name__)


class EvaluationSchedule(NamedTuple):
    """Times of the evaluation loop, in seconds.

    `interval_s`: least pause between two rounds. `duration_factor`: the pause also lasts at least this many
    times as long as the last round, because the same process serves the wallboard. `lease_s`: how long the
    lease of a dead leader lasts. `catch_up_s`: how long evaluation waits at first while workers catch up,
    which leaves them the processor.
    """

    interval_s: float = 2.0
    duration_factor: float = 4.0
    lease_s: float = 15.0
    catch_up_s: float = 30.0


DEFAULT_SCHEDULE: Final = EvaluationSchedule()


class AlertCoordinator:
    """Evaluates the alert rules on the leader and keeps every server's copy of the alert state up to date.

    `state` is the alert state as last read or written, `is_leader` tells whether this server holds the lease.
    A subscriber clears its event itself. Servers share only the document in the store.
    """

    def __init__(
        self,
        document: LeasedDocument,
        evaluator: RuleEvaluator,
        reader: MetricsReader,
        compose: ComposeMessages,
        clock: Clock,
        schedule: EvaluationSchedule = DEFAULT_SCHEDULE,
    ) -> None:
        self._document, self._evaluator, self._reader = document, evaluator, reader
        self._compose, self._clock, self._schedule = compose, clock, schedule
        self._name = secrets.token_hex(8)
        self._stored: TokenDocument | None = None
        self._evaluation_lock, self._store_lock = asyncio.Lock(), asyncio.Lock()
        self._stop_requested = asyncio.Event()
        self._listeners: list[asyncio.Event] = []
        self._leader_until_s = -inf
        self._read_at_s = -inf
        self._first_attempt_s: float | None = None
        self.state: AlertState = EMPTY_STATE

    @property
    def reader(self) -> MetricsReader:
        return self._reader

    @property
    def is_leader(self) -> bool:
        return asyncio.get_running_loop().time() < self._leader_until_s

    @property
    def has_recent_state(self) -> bool:
        """Tell whether `state` was read from the store within the last STATE_VALID_S seconds."""
        return asyncio.get_running_loop().time() - self._read_at_s < STATE_VALID_S

    @property
    def rules(self) -> Sequence[AlertRule]:
        return self._evaluator.rules

    def subscribe(self) -> asyncio.Event:
        """Return an event that is set whenever the alert state or the leadership changes."""
        event = asyncio.Event()
        self._listeners.append(event)
        return event

    async def run(self) -> None:
        """Run until `stop`: evaluate round after round while this server is leader, else follow the state."""
        background_tasks = [
            asyncio.create_task(background_loop())
            for background_loop in (self._renew_lease, self._follow_state)
        ]
        backoff, wait_s = RetryBackoff(self._schedule.interval_s, MAX_RETRY_DELAY_S), 0.0
        failure: str | None = None
        try:
            while not await self._wait_for_stop(wait_s):
                started_s = asyncio.get_running_loop().time()
                try:
                    await self._evaluate_and_notify()
                except Exception as error:  # whatever the store raises
                    former_failure, failure = failure, f"{type(error).__name__}: {redis_error_text(error)}"
                    if failure != former_failure:
                        _log.warning("evaluating or storing alerts failed, retrying", error=failure)
                    wait_s = backoff.after_failure()
                else:
                    failure = None
                    backoff.reset()
                    duration_s = asyncio.get_running_loop().time() - started_s
                    wait_s = max(self._schedule.interval_s, self._schedule.duration_factor * duration_s)
        finally:
            self.stop()  # not cancelled: a Redis client may turn that into an error of its own
            await asyncio.wait(background_tasks)
            with suppress(Exception):
                await self._document.release_lease(self._name)

    def stop(self) -> None:
        self._stop_requested.set()

    async def _wait_for_stop(self, wait_s: float) -> bool:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._stop_requested.wait(), wait_s)
        return self._stop_requested.is_set()

    async def _renew_lease(self) -> None:
        """Renew the lease while a round runs: it may take longer than the lease."""
        while not await self._wait_for_stop(self._schedule.lease_s / 4):
            with suppress(Exception):
                if self.is_leader:
                    await self._acquire_lease()

    async def _follow_state(self) -> None:
        """Read the state at each interval: changes of others are seen during a long round or pause."""
        while not await self._wait_for_stop(self._schedule.interval_s):
            with suppress(Exception):
                await self._refresh()

    async def _acquire_lease(self) -> None:
        requested_s = asyncio.get_running_loop().time()
        was_leader, has_lease = (
            self.is_leader,
            await self._document.acquire_lease(self._name, round(self._schedule.lease_s * 1000)),
        )
        self._leader_until_s = requested_s + self._schedule.lease_s if has_lease else -inf
        if has_lease != was_leader:
            self._wake_listeners()

    async def _evaluate_and_notify(self) -> None:
        await self._refresh()
        await self._acquire_lease()
        previous_state, now_ms = self.state, self._clock()
        if not self.is_leader or not self._reader.ready or self._is_catching_up(now_ms):
            return
        fired_alerts = {
            group: alert
            for group, alert in previous_state.alerts_by_group().items()
            if alert.fired_at is not None
        }
        verdicts = await self.run_with_evaluator(
            lambda evaluator: evaluator.evaluate_rules(now_ms, notified=fired_alerts)
        )
        alerts, notices = advance_alerts(previous_state.alerts_by_group(), self.rules, verdicts, now_ms)
        messages = await self._compose(notices, previous_state.messages, now_ms) if notices else []
        receivers = {rule.name: rule.tell for rule in self.rules}
        await self._store_evaluation(previous_state, EvaluationRound(alerts, messages, receivers, now_ms))

    def _is_catching_up(self, now_ms: int) -> bool:
        monotonic_s = asyncio.get_running_loop().time()
        self._first_attempt_s = monotonic_s if self._first_attempt_s is None else self._first_attempt_s
        data_age_s = self._reader.data_age_s(now_ms)
        is_behind = data_age_s is None or data_age_s > MAX_DATA_AGE_S
        return is_behind and monotonic_s - self._first_attempt_s < self._schedule.catch_up_s

    async def run_with_evaluator(self, operation: Callable[[RuleEvaluator], T]) -> T:
        """Run an operation on the rule evaluator in a thread; one at a time, for it is not thread-safe."""
        async with self._evaluation_lock:
            return await asyncio.to_thread(operation, self._evaluator)

    async def _store_evaluation(self, previous_state: AlertState, evaluation: EvaluationRound) -> None:
        """Store the result of a round, unless another server stored its own: then drop this one.

        The alerts of the other are not those that were evaluated here.
        """
        while self.state.alerts == previous_state.alerts:
            if await self._try_replace(apply_evaluation(self.state, evaluation)):
                return
            await self._refresh()
        _log.warning("another server evaluated the alerts at the same time, dropping this result")

    async def update(self, change: StateChange) -> AlertState:
        """Apply a change to the alert state and return the new state.

        If another server changed it meanwhile, the change is applied anew. Raises what the store raises.
        """
        await self._refresh()
        while not await self._try_replace(change(self.state)):
            await self._refresh()
        return self.state

    async def _try_replace(self, new_state: AlertState) -> bool:
        if new_state == self.state and self._stored is not None:
            return True
        expected = self._stored
        async with self._store_lock:
            stored = await self._document.replace(expected, encode_state(new_state))
            if stored is None:
                return False
            self._stored, self.state = stored, new_state
        self._wake_listeners()
        return True

    async def _refresh(self) -> None:
        """Read the state from the store. Waits for a write under way: an older answer would undo it here."""
        async with self._store_lock:
            stored = await self._document.read()
            if stored is None:
                self._stored, self.state = None, EMPTY_STATE
            elif self._stored is None or stored.token != self._stored.token:
                self._stored, self.state = stored, decode_state(stored.value)
                self._wake_listeners()
        self._read_at_s = asyncio.get_running_loop().time()

    def _wake_listeners(self) -> None:
        for event in self._listeners:
            event.set()
