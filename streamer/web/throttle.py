"""A limit on log-in attempts, per address and per user name."""

from collections import OrderedDict
from collections.abc import Callable
from ipaddress import IPv6Address, ip_address
from typing import Final

from streamer.events.rules import MINUTE

WHILE_MS: Final = 5 * MINUTE
PER_ADDRESS: Final = 20
PER_NAME: Final = 10
MOST: Final = 10_000
"""Addresses and names remembered; beyond it the oldest are dropped."""

Tried = tuple[str, str]
"""The key of a count: ("address", …) or ("name", …)."""


class Throttle:
    """Count log-in attempts: MAX_PER_ADDRESS and MAX_PER_NAME of them within ATTEMPT_WINDOW_MS.

    An attempt is counted before the password is verified, so parallel attempts gain nothing. A success clears
    the count of its name, never that of its address: else a user's own account would buy more attempts.

    >>> throttle = Throttle(lambda: 0)
    >>> [throttle.wait_s("203.0.113.7", "ana") for _ in range(11)][-2:]
    [0, 300]
    >>> throttle.succeeded("ana")
    >>> throttle.wait_s("203.0.113.7", "ana")
    0
    """

    def __init__(self, clock: Callable[[], int]) -> None:
        self._clock = clock
        self._tries: OrderedDict[Tried, list[int]] = OrderedDict()

    def wait_s(self, address: str, name: str) -> int:
        """Count an attempt and return 0, or return the seconds to wait if it is refused."""
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
    """Return the part of an address that one customer owns: IPv4 whole, of IPv6 the /64 network.

    >>> block("203.0.113.7"), block("2001:db8:1:2::5") == block("2001:db8:1:2:9::1")
    ('203.0.113.7', True)
    """
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    return str(int(parsed) >> 64) if isinstance(parsed, IPv6Address) else str(parsed)
