"""Fixtures of the fault tests."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.faults.trial import Trial
from tests.parts.broker import Broker
from tests.parts.redis_server import RedisServer


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
