"""A limit on failed log-ins, by address and name together, that lets known devices in."""

from typing import Final, NamedTuple

from streamer.events.counting_rules import MINUTE
from streamer.runtime.clock import Clock
from streamer.web.client_address import address_block
from streamer.web.recent_activity import RecentCounter

FAILURE_WINDOW_MS: Final = 5 * MINUTE
MAX_PER_PAIR: Final = 10
"""Failures of one name from one address, and of one name on a device that is known."""
MAX_PER_ADDRESS: Final = 20
MAX_PER_NAME: Final = 50
"""Failures of one name from all addresses together, on devices that are not known."""
MAX_REMEMBERED: Final = 10_000
"""Pairs remembered, and addresses, names and devices; beyond it the oldest are dropped."""


class LoginAttempt(NamedTuple):
    """An attempt to log in. `device_id`: the device, if this user has logged in on it before."""

    address: str
    name: str
    device_id: str | None = None


class LoginThrottle:
    """Count failed log-ins within FAILURE_WINDOW_MS.

    Who guesses a name's password from anywhere can make others on unknown devices wait, never a device that
    the user has logged in on before: that has a count of its own. An attempt is counted before the password
    is verified, so parallel attempts gain nothing; a success takes its own attempt back.

    >>> throttle, attempt = LoginThrottle(lambda: 0), LoginAttempt("203.0.113.7", "ana")
    >>> [throttle.register_attempt(attempt) for _ in range(11)][-2:]
    [0, 300]
    >>> throttle.register_attempt(LoginAttempt("203.0.113.8", "ana"))
    0
    >>> throttle.register_attempt(attempt._replace(device_id="one that ana uses"))
    0
    """

    def __init__(self, clock: Clock) -> None:
        self._pairs, self._addresses, self._names, self._devices = (
            RecentCounter(clock, FAILURE_WINDOW_MS, MAX_REMEMBERED) for _ in range(4)
        )

    def register_attempt(self, attempt: LoginAttempt) -> int:
        """Count an attempt and return 0, or return the seconds to wait if it is refused."""
        counts = self._counts_of(attempt)
        wait_s = max(counter.wait_s(key, limit) for counter, key, limit in counts)
        if not wait_s:
            for counter, key, _ in counts:
                counter.count(key)
        return wait_s

    def record_success(self, attempt: LoginAttempt) -> None:
        for counter, key, _ in self._counts_of(attempt):
            counter.take_back(key)

    def _counts_of(self, attempt: LoginAttempt) -> list[tuple[RecentCounter, str, int]]:
        if attempt.device_id is not None:
            return [(self._devices, f"{attempt.device_id} {attempt.name}", MAX_PER_PAIR)]
        block = address_block(attempt.address)
        return [
            (self._pairs, f"{block} {attempt.name}", MAX_PER_PAIR),
            (self._addresses, block, MAX_PER_ADDRESS),
            (self._names, attempt.name, MAX_PER_NAME),
        ]
