"""Print the records that would be sent, as JSON lines that `streamer replay` can read again."""

import os
import sys
from collections.abc import Callable

import msgspec

from streamer.events.outgoing_records import OutgoingRecord

_encode = msgspec.json.Encoder().encode


class StdoutSink:
    """Sink that prints records instead of sending them to Kafka."""

    def put(self, record: OutgoingRecord) -> None:
        source = dict(record.headers).get("ce_source", b"").decode()
        line = {
            "topic": record.topic,
            "key": record.key.decode(),
            "timestamp": record.timestamp_ms,
            **({"source": source} if source else {}),
            "data": msgspec.Raw(record.value),
        }
        sys.stdout.buffer.write(_encode(line) + b"\n")

    async def flush(self, on_acknowledged: Callable[[], None]) -> None:
        try:
            sys.stdout.buffer.flush()
        except BrokenPipeError:  # the reader has closed the pipe, as `head` does
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise
        on_acknowledged()

    async def drain(self) -> None:
        pass

    async def drain_or_abandon(self) -> None:
        pass
