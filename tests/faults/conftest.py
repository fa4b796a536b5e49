"""Fixtures of the fault tests."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.conftest import PARTS
from tests.faults.trial import Trial
from tests.parts.broker import Broker
from tests.parts.redis_server import RedisServer
from tests.parts.server import run


@pytest.fixture
async def trial(
    fresh_broker: Broker, fresh_redis: RedisServer, center: str, tmp_path: Path
) -> AsyncIterator[Trial]:
    trial = Trial(fresh_broker, fresh_redis, center, tmp_path)
    await trial.open()
    try:
        yield trial
    finally:
        await trial.close()


@pytest.fixture
def embedded_broker() -> Iterator[Broker]:
    """The embedded broker, whatever the parts: for tests of which Kafka is not the point."""
    server = PARTS["embedded"].broker()
    try:
        run(server.start())
        yield server
    finally:
        run(server.close())
