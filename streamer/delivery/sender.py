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

from streamer.alerts.message import Message
from streamer.delivery.bell import Bell
from streamer.delivery.pauses import Backoff, Timing, within
from streamer.delivery.receiver import Delivered, Failed, Receiver
from streamer.delivery.record import Record, expired, sent
from streamer.events.rules import DAY

REMEMBERED: Final = 20_000
_log = structlog.get_logger(__name__)


class Patience(NamedTuple):
    """Time limits of sending.

    `retry_for_ms`: age at which a message is given up. `spacing_s`: least pause between two messages.
    `grace_s`: time for the message under way when the server stops.
    """

    keep_ms: int = DAY
    apart: float = 10.0
    grace: float = 5.0


PATIENCE: Final = Patience()


class Trouble(NamedTuple):
    """Reason why messages to a receiver fail, and since when (ms)."""

    reason: str
    since: int


class Sender:
    """Sender of one receiver, in a task of its own: a slow or dead receiver delays no other.

    Messages that wait at the same time are sent together. The first is sent at once; those that follow soon
    after it wait for `spacing_s`.
    """

    def __init__(self, name: str, receiver: Receiver, bell: Bell, timing: Timing, patience: Patience) -> None:
        self._name, self._receiver, self._bell = name, receiver, bell
        self._timing, self._patience = timing, patience
        self._backoff, self._most = Backoff(timing.chance), receiver.most
        self._done: set[str] = set()
        self._again: frozenset[str] = frozenset()
        self._aside: set[str] = set()
        self._ended, self._idle = asyncio.Event(), asyncio.Event()
        self.trouble: Trouble | None = None

    async def run(self) -> None:
        """Run until `stop`, and up to `grace_s` longer for the message under way."""
        working = asyncio.create_task(self._work())
        try:
            await self._ended.wait()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._idle.wait(), self._patience.grace)
        finally:
            working.cancel()
            await asyncio.wait({working})

    def end(self) -> None:
        self._ended.set()

    async def _work(self) -> None:
        news = self._bell.listen()
        while not self._ended.is_set():
            news.clear()
            self._idle.clear()
            try:
                pause_s = await self._step()
            except Exception as error:  # whatever the store raises
                pause_s = self._failed(Failed(type(error).__name__))
            self._idle.set()
            if pause_s is None:
                await news.wait()
            else:
                await self._timing.sleep(pause_s)

    async def _step(self) -> float | None:
        """Send the next messages; return the seconds until the next step, None: until the state changes."""
        if self._is_due():
            await self._bell.change(self._known)  # which also reads what another server marked before
        batch = self._batch() if self._bell.mine else ()
        if not batch:
            self.trouble = None
            return None
        outcome = await within(self._timing, self._receiver.timeout_s, self._receiver.send(batch))
        if isinstance(outcome, Delivered):
            await self._delivered(batch)
            return self._patience.apart
        failed = outcome or Failed(f"no answer in {self._receiver.timeout_s:.0f} s")
        self._choose(batch, failed)
        return self._failed(failed)

    def _is_due(self) -> bool:
        waiting = self._waiting()
        return bool(waiting) and (self._bell.mine or any(one.id in self._done for one in waiting))

    def _known(self, record: Record) -> Record:
        """Mark what was sent while the store was unavailable, and give up what is too old by now."""
        return expired(
            sent(record, self._name, self._done), self._name, self._timing.clock() - self._patience.keep_ms
        )

    def _waiting(self) -> list[Message]:
        return self._bell.record.to(self._name)

    def _batch(self) -> Sequence[Message]:
        """Return the last batch again if it is unknown whether it arrived, else the next one."""
        waiting = self._waiting()
        same = [one for one in waiting if one.id in self._again]
        return same or sorted(waiting, key=lambda one: one.episode in self._aside)[: self._most]

    async def _delivered(self, batch: Sequence[Message]) -> None:
        if self.trouble is not None:
            _log.info("sending alerts to a receiver works again", receiver=self._name)
        self._backoff.reset()
        self.trouble, self._again = None, frozenset()
        self._most = min(2 * self._most, self._receiver.most)
        self._aside.difference_update(one.episode for one in batch)
        if len(self._done) > REMEMBERED:
            self._done.intersection_update(one.id for one in self._waiting())
        self._done.update(one.id for one in batch)
        await self._bell.change(partial(sent, receiver=self._name, ids=[one.id for one in batch]))

    def _choose(self, batch: Sequence[Message], failed: Failed) -> None:
        """Halve a batch that was refused; defer a single refused message behind all others."""
        self._again = frozenset() if failed.refused else frozenset(one.id for one in batch)
        if failed.refused and len(batch) == 1:
            self._aside.add(batch[0].episode)
        elif failed.refused:
            self._most = (len(batch) + 1) // 2

    def _failed(self, failed: Failed) -> float:
        if self.trouble is None or self.trouble.reason != failed.reason:
            _log.warning("sending alerts to a receiver failed", receiver=self._name, reason=failed.reason)
            since = self._timing.clock() if self.trouble is None else self.trouble.since
            self.trouble = Trouble(failed.reason, since)
        return self._backoff.after_failure(failed.wait_s)
