"""Here is how often a log-in may be tried: so many times per address and per name in a while."""

from collections import OrderedDict
from collections.abc import Callable
from ipaddress import IPv6Address, ip_address
from typing import Final

from streamer.events.rules import MINUTE

WHILE_MS: Final = 5 * MINUTE
PER_ADDRESS: Final = 20
PER_NAME: Final = 10
MOST: Final = 10_000
"""Addresses and names remembered; beyond, the oldest are forgotten."""

Tried = tuple[str, str]
"""What is counted: ("address", …) or ("name", …)."""


class Throttle:
    """An attempt is counted before it is judged, so that many at once gain nothing; one that succeeds
    clears the count of its name, never that of its address: else an own account would buy tries."""

    def __init__(self, clock: Callable[[], int]) -> None:
        self._clock = clock
        self._tries: OrderedDict[Tried, list[int]] = OrderedDict()

    def wait_s(self, address: str, name: str) -> int:
        """Counts an attempt; 0: it may go on, else it is refused for so many seconds."""
        limits: dict[Tried, int] = {("address", block(address)): PER_ADDRESS, ("name", name): PER_NAME}
        waits = [self._wait_ms(tried, limit) for tried, limit in limits.items()]
        if any(waits):
            return -(-max(waits) // 1000)
        for tried in limits:
            self._count(tried)
        return 0

    def succeeded(self, name: str) -> None:
        self._tries.pop(("name", name), None)

    def _wait_ms(self, tried: Tried, limit: int) -> int:
        since = self._clock() - WHILE_MS
        recent = [at for at in self._tries.get(tried, []) if at > since]
        return recent[-limit] - since if len(recent) >= limit else 0

    def _count(self, tried: Tried) -> None:
        now = self._clock()
        kept = [at for at in self._tries.pop(tried, []) if at > now - WHILE_MS]
        self._tries[tried] = [*kept, now]
        while len(self._tries) > MOST:
            self._tries.popitem(last=False)


def block(address: str) -> str:
    """A customer of a provider has a whole /64 of addresses of version 6."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    return str(int(parsed) >> 64) if isinstance(parsed, IPv6Address) else str(parsed)
