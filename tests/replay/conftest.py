"""Fixture of a center that counts replayed events: a worker, a broker, and a reader."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from streamer.settings import load_settings
from streamer.store.redis import RedisStore
from streamer.worker import kafka
from tests.faults.worker import Worker
from tests.parts.broker import Broker
from tests.test_real_input import Center


@pytest.fixture
async def live(fresh_broker: Broker, store_url: str, center: str, tmp_path: Path) -> AsyncIterator[Center]:
    parts = {"kafka": fresh_broker.address, "redis": store_url, "center": center}
    await kafka.ensure_topics(fresh_broker.settings)
    store = await RedisStore.connect(store_url, center)
    worker = Worker(parts, tmp_path / "worker.log")
    try:
        yield Center(load_settings(**parts), store, worker)
    finally:
        worker.kill()
        await store.close()
