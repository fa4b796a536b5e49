"""A limit on log-in attempts, per address and per user name."""

from typing import Final

from streamer.events.counting_rules import MINUTE
from streamer.runtime.clock import Clock
from streamer.web.client_address import address_block
from streamer.web.recent_activity import RecentCounter

ATTEMPT_WINDOW_MS: Final = 5 * MINUTE
MAX_PER_ADDRESS: Final = 20
MAX_PER_NAME: Final = 10
MAX_REMEMBERED: Final = 10_000
"""Addresses remembered, and names; beyond it the oldest are dropped."""


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
        self._by_address, self._by_name = (
            RecentCounter(clock, ATTEMPT_WINDOW_MS, MAX_REMEMBERED) for _ in range(2)
        )

    def register_attempt(self, address: str, name: str) -> int:
        """Count an attempt and return 0, or return the seconds to wait if it is refused."""
        block = address_block(address)
        wait_s = max(
            self._by_address.wait_s(block, MAX_PER_ADDRESS), self._by_name.wait_s(name, MAX_PER_NAME)
        )
        if not wait_s:
            self._by_address.count(block)
            self._by_name.count(name)
        return wait_s

    def record_success(self, name: str) -> None:
        self._by_name.clear(name)
