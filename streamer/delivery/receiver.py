"""Here is what a receiver of messages is, and what comes of sending."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from streamer.alerts.message import Message


class Delivered(NamedTuple):
    """It has them, and answered with this status."""

    status: int


class Failed(NamedTuple):
    """It has them not, or nobody knows. `wait_s`: how long it asked us to wait. `refused`: by what it says
    it is what was sent that is wrong, and other messages may do."""

    reason: str
    wait_s: float | None = None
    refused: bool = False


class Receiver(Protocol):
    @property
    def most(self) -> int:
        """So many alerts go in one message."""

    @property
    def timeout_s(self) -> float:
        """So long an answer is waited for, by whoever sends."""

    async def send(self, messages: Sequence[Message]) -> Delivered | Failed:
        """In one message, in this order; sent again it is the same, so that a receiver can know it. Sets no
        limit of time."""
