"""Here is a sender: it tells one receiver all that waits for it, in order, while it is this server's turn.

What is promised: a message that was stored is sent, or counted as given up after `keep`. It is marked in the
store once the receiver has answered, and what is marked is never sent again, by no server. So it is sent
once, unless nobody knows whether the receiver has it: no answer came in time, or the process died, or lost
the store and its turn, between the answer and the mark. Then it comes again, with the same ids, and from the
same process with the same Idempotency-Key. A process never sends again what was answered well, however long
the store is away. An end never comes before its beginning.
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
    """`keep_ms`: what is older is given up. In seconds: between two messages, at least; `grace`: so long may
    take what is under way when the server ends."""

    keep_ms: int = DAY
    apart: float = 10.0
    grace: float = 5.0


PATIENCE: Final = Patience()


class Trouble(NamedTuple):
    """Why a receiver has not what waits for it, and since when (ms)."""

    reason: str
    since: int


class Sender:
    """What waits together goes together. The first message goes at once; what comes soon after it waits a
    little. It has a task of its own: who is slow or dead delays nobody else."""

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
        """Until `end`."""
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
        """How long to wait then; None: until something changes."""
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
        """What the store may not know yet: what was sent while it was away, and what is too old by now."""
        return expired(
            sent(record, self._name, self._done), self._name, self._timing.clock() - self._patience.keep_ms
        )

    def _waiting(self) -> list[Message]:
        return self._bell.record.to(self._name)

    def _batch(self) -> Sequence[Message]:
        """The same as before, where nobody knows whether that came; else the next."""
        waiting = self._waiting()
        same = [one for one in waiting if one.id in self._again]
        return same or sorted(waiting, key=lambda one: one.episode in self._aside)[: self._most]

    async def _delivered(self, batch: Sequence[Message]) -> None:
        if self.trouble is not None:
            _log.info("a receiver of alerts is told again", receiver=self._name)
        self._backoff.reset()
        self.trouble, self._again = None, frozenset()
        self._most = min(2 * self._most, self._receiver.most)
        self._aside.difference_update(one.episode for one in batch)
        if len(self._done) > REMEMBERED:
            self._done.intersection_update(one.id for one in self._waiting())
        self._done.update(one.id for one in batch)
        await self._bell.change(partial(sent, receiver=self._name, ids=[one.id for one in batch]))

    def _choose(self, batch: Sequence[Message], failed: Failed) -> None:
        """What is refused is tried in parts; what is refused alone, after all others: it delays none."""
        self._again = frozenset() if failed.refused else frozenset(one.id for one in batch)
        if failed.refused and len(batch) == 1:
            self._aside.add(batch[0].episode)
        elif failed.refused:
            self._most = (len(batch) + 1) // 2

    def _failed(self, failed: Failed) -> float:
        if self.trouble is None or self.trouble.reason != failed.reason:
            _log.warning("a receiver of alerts cannot be told", receiver=self._name, reason=failed.reason)
            since = self._timing.clock() if self.trouble is None else self.trouble.since
            self.trouble = Trouble(failed.reason, since)
        return self._backoff.after_failure(failed.wait_s)
