"""Pauses of work in a thread, so that it does not slow down the event loop.

While a thread computes, each write of the loop releases the interpreter lock, and gets it back only after
some milliseconds: hundreds of writes would take seconds. So the thread stops every few milliseconds until the
loop has done all that was waiting.
"""

import asyncio
import time
from typing import Final

WORK_SLICE_S: Final = 0.002


class EventLoopYield:
    """A callable that pauses a thread for the event loop every WORK_SLICE_S.

    Create it in the event loop, and call it often in the thread."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._slice_ends_s = 0.0

    def __call__(self) -> None:
        if time.monotonic() >= self._slice_ends_s:
            asyncio.run_coroutine_threadsafe(asyncio.sleep(0), self._loop).result()
            self._slice_ends_s = time.monotonic() + WORK_SLICE_S
