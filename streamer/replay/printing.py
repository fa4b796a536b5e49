"""Here is what would be sent, a line of JSON each; `streamer replay` reads such lines too."""

import os
import sys
from collections.abc import Callable

import msgspec

from streamer.events.outgoing import Outgoing

_encode = msgspec.json.Encoder().encode


class Printer:
    """Takes records in place of Kafka."""

    def put(self, record: Outgoing) -> None:
        source = dict(record.headers).get("ce_source", b"").decode()
        line = {
            "topic": record.topic,
            "key": record.key.decode(),
            "timestamp": record.timestamp_ms,
            **({"source": source} if source else {}),
            "data": msgspec.Raw(record.value),
        }
        sys.stdout.buffer.write(_encode(line) + b"\n")

    async def hand_over(self, acknowledged: Callable[[], None]) -> None:
        try:
            sys.stdout.buffer.flush()
        except BrokenPipeError:  # who reads has enough, as `head` has
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise
        acknowledged()

    async def settle(self) -> None:
        pass

    async def give_up(self) -> None:
        pass
