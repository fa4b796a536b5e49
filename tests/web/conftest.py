"""Here is what tests of the server may ask for: the store in which alerts are kept."""

from collections.abc import AsyncIterator

import pytest

from streamer.store.redis import RedisStore


@pytest.fixture
async def store(store_url: str, center: str) -> AsyncIterator[RedisStore]:
    found = await RedisStore.connect(store_url, center)
    yield found
    await found.close()
