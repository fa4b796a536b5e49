"""Here is how long work in a thread lets an event loop go first.

While a thread computes, whatever the loop writes costs it the interpreter, and it gets that back only after
some milliseconds: hundreds of writes would take seconds. So the work stops every few milliseconds until the
loop has done all that it had to do.
"""

import asyncio
import time
from typing import Final

TURN_S: Final = 0.002


class Turns:
    """To be made in the event loop, and called often in the thread."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._ends = 0.0

    def __call__(self) -> None:
        if time.monotonic() >= self._ends:
            asyncio.run_coroutine_threadsafe(asyncio.sleep(0), self._loop).result()
            self._ends = time.monotonic() + TURN_S
