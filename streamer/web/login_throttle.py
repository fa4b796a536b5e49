"""A limit on log-in attempts, per address and per user name."""

from collections import OrderedDict
from ipaddress import IPv6Address, ip_address
from typing import Final

from streamer.events.counting_rules import MINUTE
from streamer.runtime.clock import Clock

ATTEMPT_WINDOW_MS: Final = 5 * MINUTE
MAX_PER_ADDRESS: Final = 20
MAX_PER_NAME: Final = 10
MAX_REMEMBERED: Final = 10_000
"""Addresses and names remembered; beyond it the oldest are dropped."""

AttemptKey = tuple[str, str]
"""The key of a count: ("address", …) or ("name", …)."""


class LoginThrottle:
    """Count log-in attempts: MAX_PER_ADDRESS and MAX_PER_NAME of them within ATTEMPT_WINDOW_MS.

    An attempt is counted before the password is verified, so parallel attempts gain nothing. A success clears
    the count of its name, never that of its address: else a user's own account would buy more attempts.

    >>> throttle = LoginThrottle(lambda: 0)
    >>> [throttle.register_attempt("203.0.113.7", "ana") for _ in range(11)][-2:]
    [0, 300]
    >>> throttle.record_success("ana")
    >>> throttle.register_attempt("203.0.113.7", "ana")
    0
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._attempts: OrderedDict[AttemptKey, list[int]] = OrderedDict()

    def register_attempt(self, address: str, name: str) -> int:
        """Count an attempt and return 0, or return the seconds to wait if it is refused."""
        limits: dict[AttemptKey, int] = {
            ("address", address_block(address)): MAX_PER_ADDRESS,
            ("name", name): MAX_PER_NAME,
        }
        waits_ms = [self._wait_ms(attempt_key, limit) for attempt_key, limit in limits.items()]
        if any(waits_ms):
            return -(-max(waits_ms) // 1000)
        for attempt_key in limits:
            self._count(attempt_key)
        return 0

    def record_success(self, name: str) -> None:
        self._attempts.pop(("name", name), None)

    def _wait_ms(self, attempt_key: AttemptKey, limit: int) -> int:
        since_ms = self._clock() - ATTEMPT_WINDOW_MS
        recent_ms = [at_ms for at_ms in self._attempts.get(attempt_key, []) if at_ms > since_ms]
        return recent_ms[-limit] - since_ms if len(recent_ms) >= limit else 0

    def _count(self, attempt_key: AttemptKey) -> None:
        now_ms = self._clock()
        recent_ms = [
            at_ms for at_ms in self._attempts.pop(attempt_key, []) if at_ms > now_ms - ATTEMPT_WINDOW_MS
        ]
        self._attempts[attempt_key] = [*recent_ms, now_ms]
        while len(self._attempts) > MAX_REMEMBERED:
            self._attempts.popitem(last=False)


def address_block(address: str) -> str:
    """Return the part of an address that one customer owns: IPv4 whole, of IPv6 the /64 network.

    >>> address_block("203.0.113.7"), address_block("2001:db8:1:2::5") == address_block("2001:db8:1:2:9::1")
    ('203.0.113.7', True)
    """
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    return str(int(parsed) >> 64) if isinstance(parsed, IPv6Address) else str(parsed)
