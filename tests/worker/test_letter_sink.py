"""Letters reach Kafka though it was away for longer than its client waits."""

import asyncio
from typing import Any

from aiokafka.errors import KafkaTimeoutError, RequestTimedOutError

from streamer.events.decoding import KafkaRecord
from streamer.events.models import RejectedEvent
from streamer.runtime.retry import retry_forever
from streamer.worker.kafka import KafkaDeadLetterSink

REJECTED = RejectedEvent("unreadable", "not JSON")


class AwayProducer:
    """Producer whose broker is away at first: it takes nothing, then it confirms nothing."""

    def __init__(self) -> None:
        self.kept: list[bytes] = []
        self._errors = [KafkaTimeoutError(), None, RequestTimedOutError()]

    async def send(self, _topic: str, *_: Any, key: bytes, **__: Any) -> asyncio.Future[None]:
        delivery: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        error = self._errors.pop(0) if self._errors else None
        if isinstance(error, KafkaTimeoutError):
            raise error
        if error is None:
            self.kept.append(key)
            delivery.set_result(None)
        else:
            delivery.set_exception(error)
        return delivery


async def test_letters_are_sent_again_until_the_broker_confirms_each() -> None:
    producer = AwayProducer()
    sink = KafkaDeadLetterSink(producer)
    letters = [(KafkaRecord("call-completed", 0, n, 0, None, b"not JSON", ()), REJECTED) for n in range(2)]
    await retry_forever(lambda: sink.send(letters))
    assert producer.kept[-2:] == [b"call-completed:0:0", b"call-completed:0:1"]
