"""Data that several tests of delivery evaluate."""

import pytest

from streamer.store.memory import MemoryStore
from tests.alerts.simulated import NPS, drawn, steady, written


@pytest.fixture
async def numbers() -> MemoryStore:
    """Store with two queues that miss their target."""
    return await written(drawn(["billing", "sales"], 150, NPS, steady(0.6, 0.3, 0.1)))
