"""Interface of a receiver of alert messages, and the two outcomes of sending."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from streamer.alerts.alert_message import AlertMessage


class DeliverySucceeded(NamedTuple):
    """The receiver accepted the messages with this HTTP status."""

    status: int


class DeliveryFailed(NamedTuple):
    """The receiver did not accept the messages, or it is unknown whether it did.

    `wait_s`: delay that it asked for. `refused`: it rejected the content; other messages may pass.
    """

    reason: str
    wait_s: float | None = None
    refused: bool = False


class Receiver(Protocol):
    """Destination of alert messages. It does not limit the time that sending takes: the caller does."""

    @property
    def max_alerts(self) -> int:
        """Largest number of alerts in one message."""

    @property
    def timeout_s(self) -> float:
        """Seconds that the caller of `send` waits for the response."""

    async def send(self, messages: Sequence[AlertMessage]) -> DeliverySucceeded | DeliveryFailed:
        """Send the alerts as one message, in this order, without a time limit.

        The same alerts always make the same message, so that a receiver can recognize a repeated one.
        """
