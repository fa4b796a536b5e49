"""Work in a thread pauses for the event loop every few milliseconds."""

import asyncio
import time

from streamer.web.event_loop_yield import WORK_SLICE_S, EventLoopYield


class LoopRounds:
    """Counts the rounds of the event loop."""

    def __init__(self) -> None:
        self.number = 0
        self._task = asyncio.create_task(self._count())

    async def _count(self) -> None:
        while True:
            await asyncio.sleep(0)
            self.number += 1

    def end(self) -> None:
        self._task.cancel()


def busy_work() -> None:
    ends = time.monotonic() + 2 * WORK_SLICE_S
    while time.monotonic() < ends:
        pass


async def test_after_a_turn_the_loop_comes_first() -> None:
    rounds, turns = LoopRounds(), EventLoopYield()

    def work() -> list[int]:
        gone = []
        for _ in range(10):
            busy_work()
            before = rounds.number
            turns()
            gone.append(rounds.number - before)
        return gone

    gone = await asyncio.to_thread(work)
    rounds.end()
    assert min(gone) > 0


async def test_within_a_turn_the_work_goes_on() -> None:
    rounds, turns = LoopRounds(), EventLoopYield()

    def work() -> int:
        turns()
        before = rounds.number
        turns()
        return rounds.number - before

    gone = [await asyncio.to_thread(work) for _ in range(20)]
    rounds.end()
    assert min(gone) == 0
